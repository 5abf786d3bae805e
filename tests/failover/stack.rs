//! Four linked edges behind HAProxy, and what can be seen of them while a load runs.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::Cluster;
use crate::harness::haproxy::{Haproxy, free_ports, program};
use crate::harness::probe::Probe;
use crate::harness::router::{ALL_ROLES, Router, Setup, eventually};
use crossbar_cluster::wire::{Dict, Serializer, Value};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) const ALL: [usize; 4] = [1, 2, 3, 4];

/// Sessions of the load on each of the four edges at first: what a development build of everything carries on two busy
/// cores, or as many as the environment says. With 80 it is the first load of the original.
pub(crate) fn per_edge() -> u64 {
    std::env::var("FAILOVER_CONNECTIONS").map_or(10, |number| number.parse().expect("FAILOVER_CONNECTIONS is a number"))
}

/// All sessions of the load.
pub(crate) fn all_sessions() -> u64 {
    4 * per_edge()
}

/// The cluster as clients see it.
pub(crate) struct Stack {
    pub(crate) haproxy: Haproxy,
    pub(crate) cluster: Cluster,
    pub(crate) _alone: MutexGuard<'static, ()>,
}

impl Stack {
    /// None where HAProxy is not installed. `changes` are to its configuration, see `Haproxy::start`.
    pub(crate) fn start(setup: Setup, changes: &[(&str, &str)]) -> Option<Stack> {
        let alone = alone();
        let ports: [u16; 4] = free_ports();
        let cluster = Cluster::start_on(ports.to_vec(), behind_haproxy(setup));
        let haproxy = Haproxy::start(&ports, changes)?;
        Some(Stack { haproxy, cluster, _alone: alone })
    }

    /// The same with a master, and with agents that tell HAProxy who wants clients.
    pub(crate) fn start_mastered(setup: Setup) -> Option<Stack> {
        Some(Stack::start_with_agents(&program()?, setup))
    }

    /// The same behind this HAProxy.
    pub(crate) fn start_with_agents(program: &Path, setup: Setup) -> Stack {
        let alone = alone();
        let ports: [u16; 4] = free_ports();
        let cluster = Cluster::start_with_agents(ports.to_vec(), behind_haproxy(setup));
        let agents: Vec<(String, String)> = (1..)
            .zip(&cluster.agents)
            .map(|(n, port)| (format!("agent-port 918{n}"), format!("agent-port {port}")))
            .collect();
        let changes: Vec<(&str, &str)> = agents.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        let haproxy = Haproxy::start_program(program, &ports, &changes);
        eventually("the master knows all edges", || cluster.master().status()["totals"]["nodes_up"] == 4);
        Stack { haproxy, cluster, _alone: alone }
    }

    /// Starts the load, and waits until it is spread evenly and flows.
    pub(crate) fn load(&self) -> Probe {
        let others: Vec<u64> = self.living().map(sessions).collect();
        let options = format!("--clients 4 --connections {} --rate 2 --size 128 --linger 3", per_edge());
        let probe = Probe::start(&self.haproxy.url(), &options);
        for (router, others) in self.living().zip(others) {
            eventually("a quarter of the sessions is on each edge", || sessions(router) == others + per_edge());
        }
        self.await_load_on(&ALL);
        probe
    }

    /// The edges that run.
    pub(crate) fn living(&self) -> impl Iterator<Item = &Router> {
        self.cluster.routers.iter().flatten()
    }

    /// Waits until the load has gone on for two more seconds or so on each of these edges.
    pub(crate) fn await_load_on(&self, edges: &[usize]) {
        let counts: Vec<(&Router, u64)> = self.only(edges).map(|router| (router, published(router))).collect();
        for (router, before) in counts {
            eventually("the load goes on", || published(router) >= before + 4 * per_edge());
        }
    }

    /// The running ones of these edges.
    pub(crate) fn only<'s>(&'s self, edges: &'s [usize]) -> impl Iterator<Item = &'s Router> {
        edges.iter().filter_map(|edge| self.cluster.routers[edge - 1].as_ref())
    }

    /// A session that comes through HAProxy, and the edge that it has come to.
    pub(crate) fn join(&self) -> (Client, String) {
        let via = Via::new(Carrier::WebSocket, Serializer::Cbor);
        let mut client = Client::open(self.haproxy.endpoint().connect(), via, Default::default());
        client.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        let welcome = client.receive();
        let [Value::Uint(2), _, Value::Dict(details)] = welcome.as_slice() else { panic!("no WELCOME: {welcome:?}") };
        (client, node_of(details))
    }

    /// A session that comes through HAProxy to one of these edges.
    pub(crate) fn join_one_of(&self, edges: &[usize]) -> Client {
        let mut others = Vec::new();
        loop {
            assert!(others.len() < 100, "none of {edges:?} gets a client");
            let (client, node) = self.join();
            if edges.iter().any(|edge| node == name(*edge)) {
                return client;
            }
            // As long as it is there, the next one goes elsewhere.
            others.push(client);
        }
    }

    /// How long it takes until new clients have come to each of these edges.
    pub(crate) fn await_new_clients_on(&self, edges: &[usize]) -> Duration {
        let started = Instant::now();
        let mut waited_for: BTreeSet<String> = edges.iter().map(|edge| name(*edge)).collect();
        let mut clients = Vec::new();
        while !waited_for.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(30), "no client comes to {waited_for:?}");
            let (client, node) = self.join();
            if waited_for.remove(&node) {
                clients.push(client);
            } else {
                // It leaves again, so that the living do not fill up meanwhile.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        started.elapsed()
    }
}

/// Has the tests of this program wait for each other where they share a process, as they do under plain `cargo test`.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Edges that believe HAProxy who their clients are.
fn behind_haproxy(setup: Setup) -> Setup {
    let listen = format!("proxy_protocol = \"optional\"\nproxies = [\"127.0.0.1\"]\n{}", setup.listen);
    // As long as the test: a setup is made of what was written into it.
    Setup { listen: listen.leak(), ..setup }
}

/// The clients that have a session on an edge.
pub(crate) fn sessions(router: &Router) -> u64 {
    router.metric("crossbar_sessions{realm=\"realm1\"}")
}

pub(crate) fn name(edge: usize) -> String {
    format!("edge{edge}")
}

fn published(router: &Router) -> u64 {
    router.metric("crossbar_messages_total{type=\"publish\",direction=\"in\"}")
}

fn node_of(details: &Dict) -> String {
    details.str("x_cb_node").expect("the edge names itself").to_owned()
}
