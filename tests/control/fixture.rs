//! A master with two edges that are linked with each other, an edge that has no master, and `crossbarctl` for both.

use crate::harness::Edge;
use crate::harness::client::{Carrier, Client, Scope, Via};
use crate::harness::router::{ALL_ROLES, Setup, endpoint_of, eventually};
use crossbar_cluster::wire::Serializer;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Runs `crossbarctl` to its end, with nothing of the environment that says whom to ask.
pub(crate) fn crossbarctl(arguments: &[&str]) -> Output {
    command(arguments).output().expect("crossbarctl is started")
}

/// `crossbarctl` that is about to be started.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbarctl"));
    for name in ["CROSSBAR_MASTER", "CROSSBAR_KEY", "CROSSBAR_OPERATOR"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What was printed by a command that has to end well.
pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), stderr(output));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that a command fails with this in its complaint.
#[track_caller]
pub(crate) fn fails(output: &Output, sentence: &str) {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(sentence), "{sentence:?} is not in\n{stderr}");
}

/// Who is asked: `--master …` or `--edge …`, with the key.
pub(crate) struct Whom(Vec<String>);

impl Whom {
    pub(crate) fn run(&self, line: &str) -> Output {
        crossbarctl(&self.arguments(line))
    }

    /// What a command prints for people.
    pub(crate) fn text(&self, line: &str) -> String {
        stdout(&self.run(line))
    }

    /// What it prints for programs.
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = stdout(&self.run(&format!("{line} --json")));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error} in\n{text}"))
    }

    pub(crate) fn arguments<'a>(&'a self, line: &'a str) -> Vec<&'a str> {
        self.0.iter().map(String::as_str).chain(line.split_whitespace()).collect()
    }
}

/// The master and its edges, `edge1` and `edge2`.
pub(crate) struct Cluster {
    edges: Vec<Option<Edge>>,
    scope: Scope,
    pub(crate) master: Master,
    directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts all, and waits until the master finds them whole.
    pub(crate) fn start() -> Cluster {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = directory.path();
        let keys: Vec<String> = (1..=2).map(|node| make_key(at, node)).collect();
        let nodes: String = (1..=2)
            .map(|node| {
                let key = &keys[node - 1];
                format!(
                    "[[node]]\nid = \"edge{node}\"\naddress = \"unix:{}\"\npublic_key = \"{key}\"\n",
                    link(at, node)
                )
            })
            .collect();
        let master = Master::start(at, &nodes);
        let mut cluster = Cluster { edges: vec![None, None], scope: Scope::default(), master, directory };
        (1..=2).for_each(|node| cluster.restart(node));
        let whom = cluster.whom();
        eventually("the cluster is whole", || whom.run("status").status.success());
        cluster
    }

    /// The master, with its own operator's key.
    pub(crate) fn whom(&self) -> Whom {
        let key = self.path("master/operator.key");
        Whom(["--master", &self.master.url, "--key", &key].map(str::to_owned).to_vec())
    }

    /// A file or directory of the cluster.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A client of an edge; its session is bound to `name`.
    pub(crate) fn join(&self, node: usize, name: &str) -> Client {
        let edge = self.edges[node - 1].as_ref().expect("this edge is running");
        join(edge, self.scope.clone(), name)
    }

    pub(crate) fn signal(&self, node: usize, name: &str) {
        self.edges[node - 1].as_ref().expect("this edge is running").signal(name);
    }

    /// Starts an edge that is not running.
    pub(crate) fn restart(&mut self, node: usize) {
        let (url, key) = (&self.master.url, &self.master.public_key);
        let table = format!("\n[master]\nurl = \"{url}\"\npublic_key = \"{key}\"\n");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let text = edge_text(self.directory.path(), node) + &table;
        self.edges[node - 1] = Some(Edge::start_with(directory, &text, |_| {}));
    }

    /// Ends an edge as a crash does.
    pub(crate) fn kill(&mut self, node: usize) {
        let edge = self.edges[node - 1].take().expect("this edge is running");
        edge.signal("KILL");
    }
}

/// A client with all roles over WebSocket.
pub(crate) fn join(edge: &Edge, scope: Scope, name: &str) -> Client {
    let via = Via { carrier: Carrier::WebSocket, serializer: Serializer::Json };
    let mut client = Client::open(endpoint_of(edge.url("ws")).connect(), via, scope);
    client.hello(ALL_ROLES, name);
    client
}

/// A `crossbar-master`.
pub(crate) struct Master {
    file: PathBuf,
    process: Child,
    /// Where it speaks WAMP.
    pub(crate) url: String,
    pub(crate) public_key: String,
}

impl Master {
    /// Makes its keys in `master` and starts it. Writes `master.toml` with the port that it has got.
    fn start(directory: &Path, nodes: &str) -> Master {
        let file = directory.join("master.toml");
        let text = |listen: &str| {
            format!("[master]\nid = \"matterhorn\"\nstate_dir = \"master\"\nlisten = \"{listen}\"\n{nodes}")
        };
        std::fs::write(&file, text("127.0.0.1:0")).expect("the configuration is written");
        let public_key = stdout(&master_command(&file, "keygen").output().expect("crossbar-master is started"));
        let (process, address) = start_master(&file);
        std::fs::write(&file, text(&address)).expect("the configuration is written");
        Master { file, process, url: format!("ws://{address}/ws"), public_key: public_key.trim().to_owned() }
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it after it was killed.
    pub(crate) fn restart(&mut self) {
        self.process = start_master(&self.file).0;
    }
}

fn master_command(file: &Path, command: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_crossbar-master"));
    program.arg("--config").arg(file).arg(command).env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    program
}

/// Waits until it is ready. Returns where it listens, too.
fn start_master(file: &Path) -> (Child, String) {
    let mut command = master_command(file, "run");
    let process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = process.expect("crossbar-master is started");
    let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take(2).collect();
    assert!(lines.last().is_some_and(|line| line.ends_with(": ready")), "{lines:?}");
    let (_, url) = lines[0].split_once(": listening on http://").unwrap_or_else(|| panic!("{lines:?}"));
    (process, url.trim_end_matches('/').to_owned())
}

impl Drop for Master {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An edge that has no master and no peers.
pub(crate) struct Alone {
    pub(crate) edge: Edge,
    directory: tempfile::TempDir,
}

impl Alone {
    pub(crate) fn start() -> Alone {
        let directory = tempfile::tempdir().expect("a temporary directory");
        make_key(directory.path(), 1);
        let own = tempfile::tempdir().expect("a temporary directory");
        let edge = Edge::start_with(own, &edge_text(directory.path(), 1), |_| {});
        Alone { edge, directory }
    }

    /// The edge by its configuration file.
    pub(crate) fn by_config(&self) -> Whom {
        Whom(vec!["--edge".to_owned(), self.path("edge1.toml").display().to_string()])
    }

    /// The edge by the address of its admin port.
    pub(crate) fn by_address(&self) -> Whom {
        let (address, key) = (format!("unix:{}", self.path("admin1.sock").display()), self.path("edge1/node.key"));
        Whom(["--edge", &address, "--key", &key.display().to_string()].map(str::to_owned).to_vec())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn join(&self, name: &str) -> Client {
        join(&self.edge, Scope::default(), name)
    }
}

/// Makes the key of an edge, and leaves its configuration at `edge<node>.toml`. Returns the public half.
fn make_key(directory: &Path, node: usize) -> String {
    let file = directory.join(format!("edge{node}.toml"));
    std::fs::write(&file, edge_text(directory, node)).expect("the configuration is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"));
    let output = command.args(["keygen", "--config"]).arg(&file).output().expect("crossbar-edge is started");
    stdout(&output).trim().to_owned()
}

/// The configuration of an edge without a master. Its admin port and its links are socket files.
fn edge_text(directory: &Path, node: usize) -> String {
    let (at, link) = (directory.display(), link(directory, node));
    let listeners = format!(
        "[mesh]\nadvertise = \"unix:{link}\"\n\
         [[listen]]\ntype = \"rawsocket\"\naddress = \"unix:{link}\"\npurpose = \"mesh\"\nserializers = [\"cbor\"]\n"
    );
    let realms = "[[realm]]\nname = \"realm2\"\n[[realm.role]]\nname = \"anonymous\"\n";
    let text = Setup { listeners, realms, ..Setup::default() }.to_text();
    text.replace("id = \"edge1\"", &format!("id = \"edge{node}\""))
        .replace("{dir}/state", &format!("{at}/edge{node}"))
        .replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"unix:{at}/admin{node}.sock\""))
}

fn link(directory: &Path, node: usize) -> String {
    directory.join(format!("link{node}.sock")).display().to_string()
}
