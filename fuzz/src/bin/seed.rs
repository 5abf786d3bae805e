//! Writes the first corpus of each target: frames and headers of every kind, configuration files good and bad, and every
//! message of `seeds.jsonl`, and of the official vectors where they are at hand, in each serializer.

use crossbar_cluster::wamp::codec::{self, Form};
use crossbar_cluster::wire::Serializer;
use crossbar_cluster_fuzz::{config, frames, sessions};
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = package.join("corpus");
    for (line, text) in fs::read_to_string(package.join("seeds.jsonl"))?.lines().enumerate() {
        let message = codec::decode(Serializer::Json, text.as_bytes(), usize::MAX);
        let message = message.map_err(|error| io::Error::other(format!("seeds.jsonl:{}: {error}", line + 1)))?;
        for serializer in Serializer::ALL {
            let mut bytes = Vec::new();
            codec::encode(&message, serializer, &mut bytes);
            write(&corpus, serializer.name(), &format!("seed-{line}"), &bytes)?;
        }
    }
    for (line, text) in fs::read_to_string(package.join("seeds.jsonl"))?.lines().enumerate() {
        for serializer in Serializer::ALL {
            write(&corpus, "links", &format!("seed-{line}-{}", serializer.name()), &on_link(text, serializer)?)?;
        }
    }
    for (index, (target, bytes)) in frames::seeds().into_iter().enumerate() {
        write(&corpus, target, &format!("seed-{index}"), &bytes)?;
    }
    for (index, bytes) in sessions::seeds().iter().enumerate() {
        write(&corpus, "sessions", &format!("seed-{index}"), bytes)?;
    }
    let repository = package.parent().unwrap_or(package);
    for (index, text) in config::seeds(repository)?.iter().enumerate() {
        write(&corpus, "config", &format!("seed-{index}"), text.as_bytes())?;
    }
    match testsuite(package) {
        Some(directory) => seed_from_vectors(&corpus, &directory.join("singlemessage")),
        None => Ok(()),
    }
}

/// A message as a link carries it whose payload has come in this serializer.
fn on_link(text: &str, serializer: Serializer) -> io::Result<Vec<u8>> {
    let message = codec::decode(Serializer::Json, text.as_bytes(), usize::MAX).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    codec::encode(&message, serializer, &mut bytes);
    let message = codec::decode(serializer, &bytes, usize::MAX).map_err(io::Error::other)?;
    bytes.clear();
    codec::encode(&message, Form::Link, &mut bytes);
    Ok(bytes)
}

fn seed_from_vectors(corpus: &Path, directory: &Path) -> io::Result<()> {
    for profile in fs::read_dir(directory)? {
        for file in fs::read_dir(profile?.path())? {
            let file = file?.path();
            let vectors: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            for (at, sample) in vectors["samples"].as_array().into_iter().flatten().enumerate() {
                for serializer in Serializer::ALL {
                    let hex = sample["serializers"][serializer.name()][0]["bytes_hex"].as_str();
                    // Samples that only check the types of options have no bytes.
                    let Some(hex) = hex else { continue };
                    let bytes = hex::decode(hex).map_err(io::Error::other)?;
                    write(corpus, serializer.name(), &format!("vector-{name}-{at}"), &bytes)?;
                }
            }
        }
    }
    Ok(())
}

fn write(corpus: &Path, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let directory = corpus.join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}

fn testsuite(package: &Path) -> Option<PathBuf> {
    package.ancestors().map(|directory| directory.join("shared/wamp-testsuite")).find(|directory| directory.is_dir())
}
