//! Whether a program runs its configuration file as it is: what of the file waits for a restart, whether a reload has
//! refused it, and whether it has changed since it was read.

use super::Changes;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The configuration file of a running program.
#[derive(Debug)]
pub struct RunningFile {
    path: PathBuf,
    read: Option<Stamp>,
    /// What came of reading it last; None where all of it is run.
    not_run: Option<String>,
}

/// Tells one content of a file from the next without reading it. A file that is replaced has another inode.
type Stamp = (SystemTime, u64, u64);

impl RunningFile {
    /// The file with which a program starts.
    pub fn new(path: &Path) -> RunningFile {
        RunningFile { path: path.to_owned(), read: stamp(path), not_run: None }
    }

    /// It is about to be read again: what is written to it from now on has not been read.
    pub fn begin(&mut self) {
        self.read = stamp(&self.path);
    }

    /// It was read, and this came of it.
    pub fn take(&mut self, changes: &Changes) {
        let waiting = &changes.needs_restart;
        self.not_run = (!waiting.is_empty()).then(|| format!("needs a restart: {}", waiting.join(", ")));
    }

    /// It was read, and nothing of it was applied.
    pub fn refuse(&mut self, sentence: &str) {
        self.not_run = Some(format!("was not reloaded: {sentence}"));
    }

    /// Why the program does not run what the file says, in a few words; None where it does.
    pub fn not_run(&self) -> Option<String> {
        match stamp(&self.path) == self.read {
            true => self.not_run.clone(),
            false => Some("the file has changed and was not read since".to_owned()),
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_run_has_a_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("edge.toml");
        std::fs::write(&path, "one").unwrap();
        let mut file = RunningFile::new(&path);
        assert_eq!(file.not_run(), None);
        std::fs::write(directory.path().join("new"), "two").unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert_eq!(file.not_run().as_deref(), Some("the file has changed and was not read since"));
        file.begin();
        file.refuse("line 1: nothing");
        assert_eq!(file.not_run().as_deref(), Some("was not reloaded: line 1: nothing"));
        let waiting = ["[node] id", "[[listen]] 127.0.0.1:1: path"].map(str::to_owned).to_vec();
        file.take(&Changes { applied: Vec::new(), needs_restart: waiting });
        assert_eq!(file.not_run().as_deref(), Some("needs a restart: [node] id, [[listen]] 127.0.0.1:1: path"));
        file.take(&Changes::default());
        assert_eq!(file.not_run(), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.not_run().as_deref(), Some("the file has changed and was not read since"));
    }
}
