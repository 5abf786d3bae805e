//! `crossbar-probe` as the load of a test: it runs until the test has seen enough, and then tells what its clients saw.

use super::{in_target, signal};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running probe. It is killed when it is dropped before its end.
pub struct Probe(Option<Child>);

impl Probe {
    /// Starts it with these options, separated by spaces.
    pub fn start(url: &str, options: &str) -> Probe {
        let mut command = command(url);
        command.args(["--json", "--duration", "3600"]).args(options.split_whitespace());
        Probe(Some(command.stdout(Stdio::piped()).spawn().expect("crossbar-probe is started")))
    }

    /// Has it end its publishing; gives its exit code and the outcome.
    pub fn finish(mut self) -> (i32, Value) {
        let child = self.0.take().expect("it is taken here only");
        signal(&[child.id()], "INT");
        let output = child.wait_with_output().expect("crossbar-probe ends");
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let outcome = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        (output.status.code().expect("it ends by itself"), outcome)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

/// A callee for the probe's calls. It ends with the test.
pub struct Backend(Child);

impl Backend {
    /// Starts the callee of `<container>.proc1`, and waits until it is registered.
    pub fn start(url: &str, container: &str) -> Backend {
        let mut command = command(url);
        command.args(["--backend", "--logname", container]);
        let mut backend = Backend(command.stdout(Stdio::piped()).spawn().expect("crossbar-probe is started"));
        let mut output = BufReader::new(backend.0.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says that it is registered");
        assert!(line.trim_end().ends_with(&format!("Backend procedure registered at {container}.proc1")), "{line}");
        // What it says of its reconnects nobody listens to, but the pipe has to be emptied.
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        backend
    }

    pub fn signal(&self, name: &str) {
        signal(&[self.0.id()], name);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn command(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-probe"));
    command.current_dir(in_target("")).args(["--url", url]);
    command
}

fn end(child: &mut Child) {
    // It has ended by itself if this fails.
    let _ = child.kill();
    let _ = child.wait();
}
