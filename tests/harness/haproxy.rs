//! A real HAProxy in front of the edges of a test, with the configuration that is shipped: only its addresses are
//! others.

use super::http::fetch;
use super::io::Endpoint;
use super::router::eventually;
use super::{in_package, in_target, signal};
use rand::RngExt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running HAProxy. It is ended when this is dropped.
pub struct Haproxy {
    process: Child,
    /// Where clients connect.
    door: u16,
    statistics: u16,
    directory: tempfile::TempDir,
}

/// The versions of HAProxy that the shipped configuration is for, as `tests/failover/setup` fetches them.
pub const VERSIONS: [&str; 2] = ["2.6", "3.0"];

impl Haproxy {
    /// Starts it in front of edges on these ports of this machine, `edge1` first, and waits until it has found all of
    /// them. `changes` are further lines of the configuration and what they are to be instead. None where HAProxy is
    /// not installed, unless the environment says that all that tests need has to be there.
    pub fn start(edges: &[u16], changes: &[(&str, &str)]) -> Option<Haproxy> {
        Some(Haproxy::start_program(&program()?, edges, changes))
    }

    /// As `start`, of this program.
    pub fn start_program(program: &Path, edges: &[u16], changes: &[(&str, &str)]) -> Haproxy {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [door, statistics] = free_ports();
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, configuration(edges, door, statistics, directory.path(), changes))
            .expect("the configuration is written");
        let log = File::create(directory.path().join("log")).expect("the log is created");
        let process = Command::new(program)
            .arg("-f")
            .arg(&file)
            .env("CROSSBAR_LOCAL", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("haproxy is started");
        let haproxy = Haproxy { process, door, statistics, directory };
        eventually("HAProxy listens", || std::net::TcpStream::connect(("127.0.0.1", statistics)).is_ok());
        eventually("HAProxy sees all edges", || (1..=edges.len()).all(|edge| haproxy.is_up(edge)));
        haproxy
    }

    /// Gives it an operator's command, and returns what it answers.
    pub fn command(&self, command: &str) -> String {
        let mut socket =
            UnixStream::connect(socket(self.directory.path())).expect("HAProxy has a socket for operators");
        socket.write_all(format!("{command}\n").as_bytes()).expect("it takes a command");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Where a WebSocket client connects.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.door)
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(format!("127.0.0.1:{}", self.door))
    }

    /// Whether it sends clients to this edge.
    pub fn is_up(&self, edge: usize) -> bool {
        self.statistic(edge, "status").starts_with("UP")
    }

    /// A column of its statistics on an edge, by its name.
    pub fn statistic(&self, edge: usize, column: &str) -> String {
        let page = fetch(&Endpoint::Tcp(format!("127.0.0.1:{}", self.statistics)), "/;csv", &[]);
        let mut lines = page.text().lines();
        let names = lines.next().expect("the names of the columns").trim_start_matches("# ");
        let index = names.split(',').position(|name| name == column).expect("a column of this name");
        let line = lines.find(|line| line.starts_with(&format!("crossbar_nodes,edge{edge},"))).expect("a known edge");
        line.split(',').nth(index).expect("all lines have all columns").to_owned()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            signal(&[self.process.id()], "TERM");
        }
        let status = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            println!("--- haproxy ended with {status:?}; its log:\n{log}---");
        }
    }
}

/// Where HAProxy is. It has to be somewhere when the environment says so.
pub fn program() -> Option<PathBuf> {
    let found =
        ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].map(PathBuf::from).into_iter().find(|path| path.exists());
    assert!(found.is_some() || !is_required(), "no haproxy");
    found
}

/// One of `VERSIONS`. It has to be there when the environment says so.
pub fn program_of(version: &str) -> Option<PathBuf> {
    let program = in_target("test-haproxy").join(format!("haproxy-{version}"));
    if program.exists() {
        return Some(program);
    }
    assert!(!is_required(), "no HAProxy {version}: run tests/failover/setup");
    println!("skipped: HAProxy {version} is not there (tests/failover/setup fetches it)");
    None
}

fn is_required() -> bool {
    std::env::var_os("CROSSBAR_TEST_CLIENTS").is_some_and(|value| value == "required")
}

/// Where a running HAProxy takes commands.
fn socket(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

/// Ports that nobody listens on and that the kernel gives to nobody who connects: an edge that was killed has to find
/// its port free, and a check of a port on which nobody listens must not come from that very port and so meet itself.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first_of_kernel = range.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768);
    let mut taken = Vec::new();
    while taken.len() < N {
        let port = rand::rng().random_range(10_000..first_of_kernel);
        taken.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    std::array::from_fn(|n| taken[n].local_addr().expect("it is bound").port())
}

/// The shipped configuration with these addresses, and with a socket for operators.
fn configuration(edges: &[u16], door: u16, statistics: u16, directory: &Path, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(in_package("haproxy/haproxy.cfg")).expect("it is shipped");
    let mut change = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} is once in haproxy.cfg");
        text = text.replace(from, to);
    };
    change("bind *:8080", &format!("bind 127.0.0.1:{door}"));
    change("bind 127.0.0.1:1936", &format!("bind 127.0.0.1:{statistics}"));
    let local = "    presetenv BRUMMER2 127.0.0.1\n";
    change(local, &format!("{local}    stats socket {} level admin\n", socket(directory).display()));
    for (n, port) in (1..).zip(edges) {
        let host = if n <= 2 { "${BRUMMER1}" } else { "${BRUMMER2}" };
        change(&format!("\"{host}:808{n}\""), &format!("\"{host}:{port}\""));
    }
    for (from, to) in changes {
        change(from, to);
    }
    text
}
