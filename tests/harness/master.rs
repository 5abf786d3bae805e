//! A running `crossbar-master`, and an operator who asks it.

use super::http::fetch;
use super::io::Endpoint;
use super::{Edge, in_target};
use crossbar_cluster::admin::client::{ControlClient, ControlError};
use crossbar_cluster::admin::command::{MASTER_REALM, OPERATOR_ROLE};
use crossbar_cluster::auth::client::Client;
use crossbar_cluster::auth::mutual::Purpose;
use crossbar_cluster::config::node_key;
use rand::RngExt;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A master, and where it keeps what it knows while it is not running.
pub struct Master {
    /// None while it is not running.
    pub process: Option<Edge>,
    pub port: u16,
    pub public_key: String,
    /// Its keys, among others.
    pub state_dir: PathBuf,
    config: String,
}

impl Master {
    /// Makes the keys of a master that keeps its state in this directory. It does not run yet.
    pub fn prepare(directory: &Path, port: u16) -> Master {
        let state_dir = directory.join("master");
        let config = format!(
            "[master]\nid = \"matterhorn\"\nstate_dir = \"{}\"\nlisten = \"127.0.0.1:{port}\"\n\
             [[operator]]\nid = \"alice\"\nticket = \"alice-ticket\"\n",
            state_dir.display()
        );
        let file = directory.join("master-keygen.toml");
        std::fs::write(&file, &config).expect("the configuration is written");
        let output = Command::new(PROGRAM)
            .args(["keygen", "--config"])
            .arg(&file)
            .current_dir(in_target(""))
            .output()
            .expect("crossbar-master is started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let public_key = String::from_utf8(output.stdout).expect("a key is hex").trim().to_owned();
        Master { process: None, port, public_key, state_dir, config }
    }

    /// Names a node in the configuration.
    pub fn configure_node(&mut self, id: &str, address: &str, public_key: &str) {
        self.config
            .push_str(&format!("[[node]]\nid = \"{id}\"\naddress = \"{address}\"\npublic_key = \"{public_key}\"\n"));
    }

    pub fn start(&mut self) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        self.process = Some(Edge::start_program(PROGRAM, directory, &self.config, |_| {}));
    }

    /// Ends it without a word, as a crash does.
    pub fn kill(&mut self) {
        self.process.take().expect("it is running").signal("KILL");
    }

    /// The running process.
    pub fn process(&self) -> &Edge {
        self.process.as_ref().expect("it is running")
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(format!("127.0.0.1:{}", self.port))
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.port)
    }

    /// With this key an operator on the master's own host is let in.
    pub fn operator_key(&self) -> PathBuf {
        node_key::operator_key_path(&self.state_dir)
    }

    /// `/api/cluster`.
    pub fn status(&self) -> Value {
        let page = fetch(&self.endpoint(), "/api/cluster", &[]);
        serde_json::from_str(page.text()).expect("the API speaks JSON")
    }

    /// The node as the master sees it.
    pub fn node(&self, id: &str) -> Value {
        let status = self.status();
        let nodes = status["nodes"].as_array().expect("a list");
        nodes.iter().find(|node| node["id"] == id).cloned().unwrap_or(Value::Null)
    }

    /// The state of a node, like `up`.
    pub fn state(&self, id: &str) -> String {
        self.node(id)["state"].as_str().unwrap_or("unknown").to_owned()
    }

    /// Asks as the operator of this host. The error is what an operator would read.
    pub fn ask(&self, procedure: &str, kwargs: &Value) -> Result<Value, String> {
        let key = node_key::read_file(&self.operator_key()).expect("it can be read").expect("it is there");
        let client = Client::program(OPERATOR_ROLE, key, Purpose::Operate);
        ask(&self.url(), MASTER_REALM, &client, procedure, kwargs)
    }

    /// A command of the master itself.
    pub fn command(&self, command: &str, kwargs: &Value) -> Result<Value, String> {
        self.ask(&format!("crossbar.master.{command}"), kwargs)
    }
}

/// Opens a session, asks one thing, and closes it again.
pub fn ask(url: &str, realm: &str, client: &Client, procedure: &str, kwargs: &Value) -> Result<Value, String> {
    let url = url.parse().expect("a URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut operator = ControlClient::open(&url, realm, client).await?;
        let answer = operator.ask::<Value>(procedure, kwargs).await;
        operator.close().await;
        answer.map_err(|error| match error {
            ControlError::Refused { error, sentence } => format!("{error}: {sentence}"),
            ControlError::Lost(sentence) => sentence,
        })
    })
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    loop {
        // Below those that the kernel gives to whoever connects, so that it is still free after a restart.
        let port = rand::rng().random_range(10_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_crossbar-master");
