//! What was revoked while it was in use: the sessions that rest on it end.

use crate::harness::cluster::Cluster;
use crate::harness::router::{Setup, eventually};
use crossbar_cluster::admin::client::ControlClient;
use crossbar_cluster::admin::command::MASTER_REALM;
use crossbar_cluster::auth::Secret;
use crossbar_cluster::auth::client::{Client, Credential};
use serde_json::{Value, json};

#[test]
fn a_node_with_a_new_key_ends_the_session_that_was_opened_with_the_old_one() {
    let cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("both are up", || cluster.master().status()["totals"]["nodes_up"] == 2);
    let edge2 = cluster.master().node("edge2");
    let address = edge2["address"].as_str().expect("it has one");
    let node = json!({"id": "edge2", "address": address, "public_key": "01".repeat(32)});
    cluster.master().command("node_add", &node).expect("it gets another key");
    eventually("the old key's session is over", || {
        let state = cluster.master().state("edge2");
        state == "late" || state == "down"
    });
    let log = |node: usize| cluster.routers[node - 1].as_ref().expect("it runs").edge.log();
    eventually("it is told", || log(2).contains("there is no master"));
    // Its links are ended by those who knew it by the old key.
    eventually("it is linked no more", || {
        let mesh = crate::harness::cluster::mesh_of(cluster.routers[0].as_ref().expect("it runs"));
        mesh["links"][0]["is_up"] == false && mesh["links"][0]["is_up_inbound"] == false
    });
    // And it gets no other one by the key that does not hold any more.
    eventually("the log says so", || log(1).contains("is not the expected one"));
}

#[test]
fn an_operator_who_is_taken_out_of_the_file_can_do_nothing_more_on_an_open_session() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    let url = cluster.master().url().parse().expect("a URL");
    let alice = Client::new(Some("alice".to_owned()), Credential::Ticket(Secret::new("alice-ticket")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut session = runtime.block_on(ControlClient::open(&url, MASTER_REALM, &alice)).expect("she is let in");
    let mut ask = |procedure: &str, kwargs: Value| {
        runtime.block_on(session.ask::<Value>(procedure, &kwargs)).map_err(|error| error.to_string())
    };
    ask("crossbar.master.status", json!({})).expect("she may ask");

    let file = cluster.master().process().directory().join("edge.toml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("alice", "bob")).expect("the configuration is written");
    cluster.master().process().signal("HUP");
    eventually("it is reloaded", || cluster.master().process().log().contains("configuration reloaded"));
    let refusal = ask("crossbar.master.node_remove", json!({"id": "edge1"})).expect_err("she is no operator any more");
    assert!(refusal.contains("the session was ended: wamp.error.not_authorized"), "{refusal}");
    assert_ne!(cluster.master().state("edge1"), "unknown", "the node is still a member");
}
