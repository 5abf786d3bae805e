//! Several edges that are linked with each other, as processes of their own. Links go over socket files, so that no
//! port has to be known before it is bound, unless a test is about TCP.

use super::client::Scope;
use super::haproxy::free_ports;
use super::master::{Master, free_port};
use super::recorder::Recorder;
use super::router::{Router, Setup, eventually};
use super::{Edge, in_target};
use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::config::node_key;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mesh of edges, `edge1` first.
pub struct Cluster {
    /// None where a node has been killed and not started again.
    pub routers: Vec<Option<Router>>,
    setup: Setup,
    /// Of the WebSocket listener of each node; 0 is any, and another one after a restart.
    ports: Vec<u16>,
    scope: Scope,
    keys: Vec<String>,
    /// Where each node listens for links.
    addresses: Vec<String>,
    /// Where each node answers HAProxy's agent check; empty where none does.
    pub agents: Vec<u16>,
    /// Where the nodes learn of each other; without one, from their configurations.
    pub master: Option<Master>,
    /// A name that peers are configured with instead of 127.0.0.1, and the `resolv.conf` by which nodes look it up.
    names: Option<(&'static str, PathBuf)>,
    /// Through which peers reach each node, where everything that links carry is to be seen.
    pub recorders: Vec<Recorder>,
    directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts `n` edges and waits until each is linked with every other.
    pub fn start(n: usize, setup: Setup) -> Cluster {
        Cluster::start_on(vec![0; n], setup)
    }

    /// As `start`, an edge for each of these ports, on which it takes WebSockets.
    pub fn start_on(ports: Vec<u16>, setup: Setup) -> Cluster {
        let (addresses, directory) = socket_files(ports.len());
        Cluster::start_at(ports, addresses, setup, directory)
    }

    /// As `start_on`, with a master from which the edges learn of each other.
    pub fn start_mastered(ports: Vec<u16>, setup: Setup) -> Cluster {
        Cluster::start_under(Vec::new(), ports, setup)
    }

    /// As `start_mastered`, with agents for HAProxy.
    pub fn start_with_agents(ports: Vec<u16>, setup: Setup) -> Cluster {
        Cluster::start_under(ports.iter().map(|_| free_port()).collect(), ports, setup)
    }

    fn start_under(agents: Vec<u16>, ports: Vec<u16>, setup: Setup) -> Cluster {
        let (addresses, directory) = socket_files(ports.len());
        let mut cluster = Cluster { agents, ..Cluster::prepare(ports, addresses, setup, directory) };
        let mut master = Master::prepare(cluster.directory.path(), free_port());
        for node in 1..=cluster.keys.len() {
            master.configure_node(&name(node), &cluster.addresses[node - 1], &cluster.keys[node - 1]);
        }
        master.start();
        cluster.master = Some(master);
        cluster.start_nodes();
        cluster
    }

    /// As `start`, with links over TCP, on ports that were free a moment ago.
    pub fn start_over_tcp(n: usize, setup: Setup) -> Cluster {
        Cluster::start_at(vec![0; n], tcp_addresses(n), setup, tempfile::tempdir().expect("a temporary directory"))
    }

    /// As `start_over_tcp`, with everything that the links carry recorded.
    pub fn start_recorded(n: usize, setup: Setup) -> Cluster {
        let (addresses, directory) = (tcp_addresses(n), tempfile::tempdir().expect("a temporary directory"));
        let recorders = addresses.iter().map(|address| Recorder::start(address)).collect();
        let mut cluster = Cluster { recorders, ..Cluster::prepare(vec![0; n], addresses, setup, directory) };
        cluster.start_nodes();
        cluster
    }

    /// As `start_over_tcp`, with a name for the hosts of all peers, which nodes look up by this `resolv.conf`. It takes
    /// root.
    pub fn start_by_name(n: usize, name: &'static str, resolver: PathBuf) -> Cluster {
        let addresses = free_ports::<8>().iter().take(n).map(|port| format!("127.0.0.1:{port}")).collect();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut cluster = Cluster::prepare(vec![0; n], addresses, Setup::default(), directory);
        cluster.names = Some((name, resolver));
        cluster.start_nodes();
        cluster
    }

    fn start_at(ports: Vec<u16>, addresses: Vec<String>, setup: Setup, directory: tempfile::TempDir) -> Cluster {
        let mut cluster = Cluster::prepare(ports, addresses, setup, directory);
        cluster.start_nodes();
        cluster
    }

    /// Everything but the processes.
    fn prepare(ports: Vec<u16>, addresses: Vec<String>, setup: Setup, directory: tempfile::TempDir) -> Cluster {
        let keys = (1..=addresses.len()).map(|node| make_key(directory.path(), node, &addresses)).collect();
        Cluster {
            routers: Vec::new(),
            setup,
            ports,
            scope: Scope::default(),
            keys,
            addresses,
            agents: Vec::new(),
            master: None,
            names: None,
            recorders: Vec::new(),
            directory,
        }
    }

    fn start_nodes(&mut self) {
        for node in 1..=self.keys.len() {
            let router = self.start_node(node);
            self.routers.push(Some(router));
        }
        // Before they have heard of each other they miss nobody.
        let n_others = self.keys.len() - 1;
        for router in self.routers.iter().flatten() {
            eventually("it knows the others", || peers_known_to(router).len() == n_others);
        }
        self.await_complete();
    }

    fn start_node(&self, node: usize) -> Router {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let peers = match &self.master {
            Some(master) => format!(
                "[mesh]\nadvertise = \"{}\"\n[master]\nurl = \"{}\"\npublic_key = \"{}\"\n",
                self.addresses[node - 1],
                master.url(),
                master.public_key
            ),
            None if self.recorders.is_empty() => peers_of(node, &self.keys, &self.addresses),
            None => {
                let recorded: Vec<String> = self.recorders.iter().map(|recorder| recorder.address.clone()).collect();
                peers_of(node, &self.keys, &recorded)
            }
        };
        let peers = match self.names {
            Some((name, _)) => peers.replace("\"127.0.0.1:", &format!("\"{name}:")),
            None => peers,
        };
        let text = config_of(self.directory.path(), node, &self.addresses[node - 1], &peers, &self.setup);
        let text = match self.agents.get(node - 1) {
            Some(port) => text.replacen("[admin]\n", &format!("[admin]\nagent_listen = \"127.0.0.1:{port}\"\n"), 1),
            None => text,
        };
        let address = |port| format!("type = \"websocket\"\naddress = \"127.0.0.1:{port}\"");
        let text = text.replacen(&address(0), &address(self.ports[node - 1]), 1);
        let mut router = Router::of(Edge::start_with(directory, &text, |command| {
            if let Some((_, resolver)) = &self.names {
                see_resolver(command, resolver);
            }
        }));
        router.scope = self.scope.clone();
        router
    }

    /// Starts `edge<node>` again with another key than the one that the others know, without waiting for anything.
    pub fn start_impostor(&mut self, node: usize) {
        let key = self.directory.path().join(format!("node{node}/node.key"));
        std::fs::remove_file(key).expect("it has a key");
        make_key(self.directory.path(), node, &self.addresses);
        self.start_alone(node);
    }

    /// The running router of `edge<node>`.
    pub fn node(&mut self, node: usize) -> &mut Router {
        self.routers[node - 1].as_mut().expect("this node is running")
    }

    /// The master that it was started with.
    pub fn master(&self) -> &Master {
        self.master.as_ref().expect("it was started with a master")
    }

    /// Makes one more edge, which has yet to be admitted: its id, the address of its links and its key.
    pub fn add_node(&mut self) -> (String, String, String) {
        let node = self.keys.len() + 1;
        self.addresses.push(format!("unix:{}/link{node}.sock", self.directory.path().display()));
        self.keys.push(make_key(self.directory.path(), node, &self.addresses));
        self.ports.push(0);
        self.routers.push(None);
        (name(node), self.addresses[node - 1].clone(), self.keys[node - 1].clone())
    }

    /// Where a node listens for links.
    pub fn link_address(&self, node: usize) -> &str {
        &self.addresses[node - 1]
    }

    /// The key of a node.
    pub fn node_key(&self, node: usize) -> SecretKey {
        let state_dir = self.directory.path().join(format!("node{node}"));
        node_key::read(&state_dir).expect("it can be read").expect("it was made")
    }

    /// Ends a node without a word, as a crash does.
    pub fn kill(&mut self, node: usize) {
        let router = self.routers[node - 1].take().expect("this node is running");
        router.edge.signal("KILL");
    }

    /// Starts a node that was killed, whether or not its peers are there.
    pub fn start_alone(&mut self, node: usize) {
        self.routers[node - 1] = Some(self.start_node(node));
    }

    /// Starts a node that was killed, and waits until the mesh is complete again.
    pub fn restart(&mut self, node: usize) {
        self.start_alone(node);
        self.await_complete();
    }

    /// Waits until every running node is linked with every other in both directions.
    pub fn await_complete(&self) {
        for router in self.routers.iter().flatten() {
            eventually("every link is up", || is_complete(router));
        }
    }
}

/// Whether the node's own page says that all its links are up.
pub fn is_complete(router: &Router) -> bool {
    mesh_of(router)["is_complete"] == true
}

/// The nodes with which it is linked or wants to be, whether they are there or not; with each it has a link per realm.
fn peers_known_to(router: &Router) -> BTreeSet<String> {
    let mesh = mesh_of(router);
    let links = mesh["links"].as_array().into_iter().flatten();
    links.filter_map(|link| link["peer"].as_str().map(str::to_owned)).collect()
}

/// The `mesh` of a node's `/info`.
pub fn mesh_of(router: &Router) -> serde_json::Value {
    let page = super::http::fetch(
        &super::router::endpoint_of(router.edge.url("http")),
        "/info",
        &[("Accept", "application/json")],
    );
    let info: serde_json::Value = serde_json::from_str(page.text()).expect("/info is JSON");
    info["mesh"].clone()
}

/// Makes the key of a node with the program's own command. Returns the public half.
fn make_key(directory: &Path, node: usize, addresses: &[String]) -> String {
    let file = directory.join(format!("keygen{node}.toml"));
    std::fs::write(&file, config_of(directory, node, &addresses[node - 1], "", &Setup::default()))
        .expect("the configuration is written");
    let output = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"))
        .args(["keygen", "--config"])
        .arg(&file)
        .current_dir(in_target(""))
        .output()
        .expect("crossbar-edge is started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a key is hex").trim().to_owned()
}

/// The configuration of one node, with the tables that name its peers.
fn config_of(directory: &Path, node: usize, address: &str, peers: &str, setup: &Setup) -> String {
    let at = directory.display();
    let links = format!(
        "[[listen]]\ntype = \"rawsocket\"\naddress = \"{address}\"\npurpose = \"mesh\"\n\
         serializers = [\"cbor\"]\n"
    );
    let setup = Setup { listeners: format!("{}{links}", setup.listeners), ..setup.clone() };
    let text = setup.to_text().replace("id = \"edge1\"", &format!("id = \"{}\"", name(node)));
    text.replace("{dir}/state", &format!("{at}/node{node}")) + peers
}

/// Has a program look names up by another file than the machine's `/etc/resolv.conf`.
pub fn see_resolver(command: &mut Command, resolver: &Path) {
    let mut wrapped = Command::new("unshare");
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    wrapped.args(["--mount", "sh", "-c", script]).arg(resolver).arg(command.get_program()).args(command.get_args());
    wrapped.env_remove("NOTIFY_SOCKET");
    *command = wrapped;
}

/// All nodes but this one.
fn peers_of(node: usize, keys: &[String], addresses: &[String]) -> String {
    let peer = |peer: usize| {
        let (name, key, address) = (name(peer), &keys[peer - 1], &addresses[peer - 1]);
        format!("[[mesh.peer]]\nid = \"{name}\"\naddress = \"{address}\"\npublic_key = \"{key}\"\n")
    };
    (1..=keys.len()).filter(|other| *other != node).map(peer).collect()
}

/// Addresses with ports that were free a moment ago.
fn tcp_addresses(n: usize) -> Vec<String> {
    let free = |_| TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let listeners: Vec<TcpListener> = (0..n).map(free).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it is bound").to_string()).collect()
}

/// Addresses of links in a directory of their own.
fn socket_files(n: usize) -> (Vec<String>, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = |node| format!("unix:{}/link{node}.sock", directory.path().display());
    ((1..=n).map(address).collect(), directory)
}

pub fn name(node: usize) -> String {
    format!("edge{node}")
}
