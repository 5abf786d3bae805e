//! The servers under test as child processes, and what they cost.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server, ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// Keeps the configuration file while the server runs.
    _directory: tempfile::TempDir,
}

impl Server {
    /// The bare program: this very executable in another mode.
    pub(crate) fn bare() -> Server {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.arg("bare");
        Server::start(command, tempfile::tempdir().expect("a temporary directory can be made"))
    }

    /// The edge with these bounds of the event delay.
    pub(crate) fn edge(event_delay_min: &str, event_delay_max: &str) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("edge.toml");
        let config = format!(
            r#"
[node]
id = "bench"
state_dir = "{state}"
drain_time = "0s"
[[listen]]
type = "websocket"
address = "127.0.0.1:0"
path = "/ws"
ping_interval = "0s"
backlog = 16384
[[realm]]
name = "realm1"
[[realm.role]]
name = "anonymous"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
[[realm.role.permission]]
uri = "wamp.registration.lookup"
allow = ["call"]
[limits]
event_delay_min = "{event_delay_min}"
event_delay_max = "{event_delay_max}"
"#,
            state = directory.path().display(),
        );
        std::fs::write(&path, config).expect("the configuration can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"));
        command.arg("run").arg("--config").arg(path);
        Server::start(command, directory)
    }

    /// Starts a server that says `listening on ws://ADDRESS/ws` on its standard output.
    fn start(mut command: Command, directory: tempfile::TempDir) -> Server {
        let mut child = command.stdout(Stdio::piped()).env("RUST_LOG", "error").spawn().expect("the server starts");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let line = output.lines().map_while(Result::ok).find(|line| line.contains("listening on ws://"));
        let line = line.expect("the server says where it listens");
        let address = line.split("ws://").nth(1).and_then(|rest| rest.strip_suffix("/ws"));
        Server { child, address: address.expect("the address is a WebSocket URL").to_owned(), _directory: directory }
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server is running");
        let after_name = stat.rsplit_once(')').expect("stat has a program name").1;
        let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap_or(0)).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the server is running");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("status has VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
