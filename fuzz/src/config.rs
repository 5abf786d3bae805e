//! A configuration file: whatever it says, the answer is a configuration that prints and reads as itself, or sentences.

use crossbar_cluster::config::{Host, parse};
use std::path::Path;
use std::{fs, io};

/// A machine on which every variable and every file holds the same.
const HOST: Host =
    Host { environment: |_| Some("a secret".to_owned()), read: |_| Ok(b"a secret".to_vec()), ..Host::EMPTY };

/// Text that an operator has written. It may be refused; what is accepted prints as a file that means the same.
pub fn file(text: &str) {
    let path = Path::new("/etc/crossbar/edge.toml");
    let config = match parse(text, path, &HOST) {
        Ok(config) => config,
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "refused without a word");
            for mistake in &mistakes.0 {
                assert!(!mistake.sentence.contains('\n'), "more than a sentence: {mistake}");
            }
            return;
        }
    };
    let (reloaded, changes) = config.reload(&config, &HOST).expect("a file does not contradict itself");
    assert!(changes.applied.is_empty() && changes.needs_restart.is_empty(), "{changes:?}");
    assert!(reloaded == config, "a reload of the same file changes something");
    let printed = config.to_toml();
    match parse(&printed, path, &HOST) {
        Ok(again) => assert!(again == config, "what was printed means something else:\n{printed}"),
        // Secrets that stand in the file are masked, and a mask is no secret.
        Err(mistakes) => {
            let is_masked = mistakes.0.iter().all(|mistake| mistake.sentence.contains("is masked"));
            assert!(is_masked, "{mistakes}\n{printed}");
        }
    }
}

/// The first corpus: the shipped examples, and all that the tests of the configuration complain about.
pub fn seeds(repository: &Path) -> io::Result<Vec<String>> {
    let example = |name: &str| fs::read_to_string(repository.join("docs/examples").join(name));
    let minimal = example("edge-minimal.toml")?;
    let mut seeds = vec![minimal.clone(), example("edge-full.toml")?];
    let mistakes = fs::read_to_string(repository.join("src/config/testdata/mistakes.txt"))?;
    for case in mistakes.split("=== ").skip(1) {
        let Some((input, _)) = case.split_once('\n').and_then(|(_, rest)| rest.split_once("---\n")) else { continue };
        seeds.push(match input.strip_prefix("minimal +\n") {
            Some(added) => format!("{minimal}{added}"),
            None => input.to_owned(),
        });
    }
    Ok(seeds)
}
