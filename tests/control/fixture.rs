//! A master with two edges that are linked with each other, an edge that has no master, and `crossbarctl` for both.

use crate::harness::Edge;
use crate::harness::cluster::Cluster;
use crate::harness::router::{Router, Setup, eventually};
use crossbar_cluster::config::node_key;
use serde_json::Value;
use std::process::{Command, Output, Stdio};

/// A master and its edges, `edge1` and `edge2`; and the master, to be asked with its own operator's key.
pub(crate) fn start_cluster() -> (Cluster, Whom) {
    let cluster = Cluster::start_mastered(vec![0; 2], Setup { realms: REALM2, ..Setup::default() });
    let master = cluster.master();
    let whom = Whom::new(&["--master", &master.url(), "--key", &master.operator_key().display().to_string()]);
    eventually("the cluster is whole", || whom.run("status").status.success());
    (cluster, whom)
}

/// An edge that has no master and no peers. Its admin port is a socket file.
pub(crate) fn start_alone() -> Router {
    let directory = tempfile::tempdir().expect("a temporary directory");
    node_key::read_or_generate(&directory.path().join("state"), &mut rand::rng()).expect("it has a key");
    let setup = Setup { admin: "listen = \"unix:{dir}/admin.sock\"", realms: REALM2, ..Setup::default() };
    Router::of(Edge::start_with(directory, &setup.to_text(), |_| {}))
}

/// The address of the admin port of an edge from `start_alone`.
pub(crate) fn admin_address(alone: &Router) -> String {
    format!("unix:{}", alone.edge.directory().join("admin.sock").display())
}

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
    fn new(arguments: &[&str]) -> Whom {
        Whom(arguments.iter().map(|argument| (*argument).to_owned()).collect())
    }

    /// An edge by its configuration file.
    pub(crate) fn by_config(alone: &Router) -> Whom {
        Whom::new(&["--edge", &alone.edge.config_file().display().to_string()])
    }

    /// An edge by the address of its admin port.
    pub(crate) fn by_address(alone: &Router) -> Whom {
        let key = alone.edge.directory().join("state/node.key");
        Whom::new(&["--edge", &admin_address(alone), "--key", &key.display().to_string()])
    }

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

/// A realm in which nothing happens.
const REALM2: &str = "[[realm]]\nname = \"realm2\"\n[[realm.role]]\nname = \"anonymous\"\n";
