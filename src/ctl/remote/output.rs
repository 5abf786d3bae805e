//! What is printed: answers to standard output, progress and complaints to standard error.

use crate::admin::stdout::print;
use crate::ctl::run::Failure;
use anyhow::anyhow;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// Prints to standard output, at once.
pub(super) fn say(text: impl AsRef<str>) -> anyhow::Result<()> {
    Ok(print(text.as_ref())?)
}

/// Prints JSON for programs.
pub(super) fn say_json(value: &Value) -> anyhow::Result<()> {
    say(format!("{value:#}\n"))
}

/// Prints one or the other.
pub(super) fn answer(is_json: bool, value: &Value, sentence: &str) -> anyhow::Result<()> {
    if is_json { say_json(value) } else { say(format!("{sentence}\n")) }
}

/// Prints to standard error. Nothing is done about one that is closed.
pub(super) fn remark(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// Fails with these sentences, if there are any.
pub(super) fn fail_with(sentences: &[String]) -> Result<(), Failure> {
    if sentences.is_empty() { Ok(()) } else { Err(anyhow!(sentences.join("; ")).into()) }
}

/// A sentence on standard error that changes while something goes on: in place on a terminal, else line by line.
#[derive(Debug)]
pub(super) struct Progress {
    last: String,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { last: String::new(), is_terminal: io::stderr().is_terminal() }
    }

    /// Shows the sentence, unless it is there already.
    pub(super) fn tell(&mut self, sentence: String) {
        if sentence == self.last {
            return;
        }
        let (before, after) = if self.is_terminal { ("\r", "\x1b[K") } else { ("", "\n") };
        let _ = write!(io::stderr(), "{before}{sentence}{after}");
        self.last = sentence;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_terminal && !self.last.is_empty() {
            let _ = writeln!(io::stderr());
        }
    }
}

/// Whether the reader of standard output has gone away, as `head` does: that is no failure.
pub(super) fn is_closed_pipe(failure: &Failure) -> bool {
    let Failure::Other(error) = failure else { return false };
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
