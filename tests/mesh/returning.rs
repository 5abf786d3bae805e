//! An edge that has come back lets its clients in when it knows what those of its peers want: nothing that is published
//! right after WELCOME is lost, however much that is. And no peer takes its readiness back.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::{Cluster, is_complete};
use crate::harness::router::{ALL_ROLES, Router, Setup, eventually};
use crossbar_cluster::wire::Serializer;
use std::collections::BTreeSet;

/// Patterns on each peer.
const PATTERNS: usize = 30_000;
/// Every so many of them is published to.
const STEP: usize = 1_000;

const REALM2: &str = r#"
[[realm]]
name = "realm2"
[[realm.role]]
name = "anonymous"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
"#;

#[test]
fn what_is_published_right_after_welcome_on_a_returned_edge_arrives() {
    let limits = "subscriptions_per_session_max = 100000";
    let mut cluster = Cluster::start(4, Setup { limits, realms: REALM2, ..Setup::default() });
    cluster.kill(1);
    let mut subscribers: Vec<Client> = Vec::new();
    for node in 2..=4 {
        for (realm, n_patterns) in [("realm1", PATTERNS), ("realm2", STEP)] {
            let mut subscriber = join(cluster.node(node), realm);
            subscribe(&mut subscriber, node, n_patterns);
            subscribers.push(subscriber);
        }
    }
    // Returns when the edge says that it is ready, and so lets clients in.
    cluster.start_alone(1);
    let log = cluster.node(1).edge.log();
    println!("{}", log.lines().find(|line| line.contains("joined")).unwrap_or_default());
    assert!(!log.contains("without the whole replay"), "{log}");
    assert_eq!(cluster.node(1).admin("/readyz").text(), "ready\n");
    for (realm, n_patterns) in [("realm1", PATTERNS), ("realm2", STEP)] {
        let mut publisher = join(cluster.node(1), realm);
        for (node, n) in (2..=4).flat_map(|node| (0..n_patterns).step_by(STEP).map(move |n| (node, n))) {
            publisher.send(&format!(r#"[16, #, {{"acknowledge": true}}, "{}", [{n}]]"#, topic(node, n)));
        }
        for _ in 0..3 * n_patterns / STEP {
            publisher.expect("[17, $_, $_]");
        }
    }
    for (n, subscriber) in subscribers.iter_mut().enumerate() {
        let n_patterns = if n % 2 == 0 { PATTERNS } else { STEP };
        let expected: BTreeSet<u64> = (0..n_patterns as u64).step_by(STEP).collect();
        let mut arrived = BTreeSet::new();
        while arrived.len() < expected.len() {
            let event = subscriber.receive();
            assert_eq!(event[0], 36_u64.into());
            arrived.insert(event[4].as_list().expect("arguments")[0].as_uint().expect("a number"));
        }
        assert_eq!(arrived, expected);
    }
}

fn join(router: &Router, realm: &str) -> Client {
    let mut client = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Cbor));
    client.send(&format!(r#"[1, "{realm}", {ALL_ROLES}]"#));
    client.receive();
    client
}

fn topic(node: usize, n: usize) -> String {
    format!("com.example.node{node}.topic{n}")
}

fn subscribe(client: &mut Client, node: usize, n_patterns: usize) {
    let all: Vec<usize> = (0..n_patterns).collect();
    for portion in all.chunks(STEP) {
        for n in portion {
            client.send(&format!(r#"[32, #, {{}}, "{}"]"#, topic(node, *n)));
        }
        for _ in portion {
            assert_eq!(client.receive()[0], 33_u64.into());
        }
    }
}

#[test]
fn no_peer_takes_back_the_readiness_of_an_edge() {
    let limits = "subscriptions_per_session_max = 100000";
    let mut cluster = Cluster::start(2, Setup { limits, ..Setup::default() });
    let mut subscriber = join(cluster.node(1), "realm1");
    subscribe(&mut subscriber, 1, 5 * STEP);
    // Silent, gone, away, and back with its own replay and ours.
    cluster.node(2).edge.signal("STOP");
    await_links(&mut cluster, false);
    cluster.node(2).edge.signal("CONT");
    await_links(&mut cluster, true);
    cluster.kill(2);
    await_links(&mut cluster, false);
    cluster.start_alone(2);
    await_links(&mut cluster, true);
}

/// Waits until the links of the first edge are up, or down; it is ready all the time.
fn await_links(cluster: &mut Cluster, are_up: bool) {
    eventually("the links are as they are to be", || {
        assert_eq!(cluster.node(1).admin("/readyz").text(), "ready\n");
        is_complete(cluster.node(1)) == are_up
    });
}
