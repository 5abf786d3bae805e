//! The result of an import as a file: what is to be known first, then the tables, and where it goes.

use super::document::Remark;
use super::draft::Draft;
use super::{Import, Imported, import};
use crate::admin::stdout::print;
use crate::auth::cryptosign::SecretKey;
use crate::config::{Config, node_key};
use crate::ctl::run::Failure;
use anyhow::Context;
use serde_json::json;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Imports, and prints the result or writes it with the node key into `directory`. What is not carried over goes to
/// stderr.
pub(in crate::ctl) fn run(
    what: &Import<'_>,
    directory: Option<&Path>,
    is_forced: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let imported = import(what)?;
    let files = match directory {
        Some(directory) => write(&imported, directory, is_forced)?,
        None => Vec::new(),
    };
    let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    if is_json {
        let Imported { id, toml, remarks, .. } = &imported;
        let answer = json!({"id": id, "files": files, "toml": toml, "remarks": remarks});
        return Ok(print(format!("{answer:#}\n"))?);
    }
    imported.remarks.iter().for_each(|remark| eprintln!("{}: {remark}", what.file.display()));
    let lines = || files.iter().map(|file| format!("{file}\n")).collect::<String>();
    Ok(print(directory.map_or_else(|| imported.toml.clone(), |_| lines()))?)
}

/// The files that are then there.
fn write(imported: &Imported, directory: &Path, is_forced: bool) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let path = directory.join(format!("{}.toml", imported.id));
    let named = || path.display().to_string();
    let mut options = OpenOptions::new();
    match is_forced {
        true => options.write(true).create(true).truncate(true),
        false => options.write(true).create_new(true),
    };
    let mode = if imported.has_secrets { 0o600 } else { 0o644 };
    let mut file = options.mode(mode).open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => anyhow::anyhow!("{} is there already; --force replaces it", path.display()),
        _ => anyhow::Error::from(error).context(named()),
    })?;
    file.write_all(imported.toml.as_bytes()).with_context(named)?;
    let key = imported.key.as_ref().map(|key| node_key::install(&imported.state_dir, key)).transpose()?;
    Ok([Some(path), key].into_iter().flatten().collect())
}

/// The whole text of the file.
pub(super) fn document(
    name: &str,
    config: &Config,
    draft: &Draft,
    remarks: &[Remark],
    key: Option<&SecretKey>,
) -> String {
    let mut out = format!("# Made from {name} by `crossbarctl import`.\n");
    let _ = writeln!(out, "#\n# To be done by hand:");
    for task in tasks(config, key) {
        let _ = writeln!(out, "# - {task}");
    }
    if !remarks.is_empty() {
        let _ = writeln!(out, "#\n# Not carried over, or not as it was:");
    }
    for remark in remarks {
        let _ = writeln!(out, "# - {}", comment(&remark.to_string()));
    }
    out + draft.text()
}

/// What the file cannot know.
fn tasks(config: &Config, key: Option<&SecretKey>) -> Vec<String> {
    let key_file = config.node.state_dir.join("node.key");
    let mut tasks = vec![match key {
        Some(key) => format!(
            "The node key is that of key.priv, public half {}; `import --output` writes it to {}.",
            key.public(),
            key_file.display()
        ),
        None if config.mesh.peers.is_empty() => {
            format!("Run `crossbar-edge keygen`: it makes the node key, {}.", key_file.display())
        }
        None => format!(
            "There was no key.priv beside the file. Run `crossbar-edge keygen`, which makes a new key ({}), and write what it \
             prints as the public_key of '{}' into the files of all other nodes.",
            key_file.display(),
            config.node.id
        ),
    }];
    tasks.push(
        "Add [admin] listen = \"127.0.0.1:PORT\" for /metrics, health checks and crossbarctl, each node of a host with a port \
         of its own."
            .to_owned(),
    );
    if !config.mesh.peers.is_empty() {
        tasks.push("Check that each [[mesh.peer]] has the key of the node at its address.".to_owned());
    }
    tasks.into_iter().map(|task| comment(&task)).collect()
}

/// What comes from the file must not end its comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
