//! A node that has been taken over reports to the master what it likes: what is not such as nodes tell is refused with
//! a sentence, and nothing of it is shown.

use crate::harness::cluster::Cluster;
use crate::harness::http::fetch;
use crate::harness::router::{Setup, eventually};
use crossbar_cluster::admin::client::{ControlClient, ControlError};
use crossbar_cluster::admin::command::MASTER_REALM;
use crossbar_cluster::admin::json::to_payload;
use crossbar_cluster::auth::client::Client;
use crossbar_cluster::auth::mutual::Purpose;
use serde_json::{Value, json};

#[test]
fn a_heartbeat_that_no_node_sends_is_refused_and_shown_nowhere() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("edge2 is there", || cluster.master().state("edge2") == "up");
    let good = cluster.master().node("edge2")["heartbeat"].clone();
    assert!(good["status"]["node"] == "edge2", "{good}");
    let client = Client::program("edge2", cluster.node_key(2), Purpose::Report);
    cluster.kill(2);
    let url = cluster.master().url();
    let beat = |heartbeat: &Value| report(&url, &client, heartbeat);
    assert_eq!(beat(&good), Ok(()), "as it was it is taken");

    let long = "FORGED".repeat(1_000);
    let link = json!({"peer": "edge1", "address": "h:1", "realm": "realm1", "is_up": true, "is_up_inbound": true,
        "seconds": -1.0, "round_trip_ms": null, "queued_bytes": 0, "attempts": 0, "last_error": "FORGED"});
    let realm = json!({"name": "FORGED", "sessions": 1, "subscriptions": 0, "registrations": 0});
    for (place, value, sentence) in [
        ("/status/node", json!("edge1"), "this is the session of edge2, but the heartbeat is of \"edge1\""),
        ("/status/hostname", json!(long), "hostname has 6000 bytes, 1024 are allowed"),
        ("/status/version", json!("FORGED\u{1b}[2J"), "version has control characters"),
        ("/status/sessions", json!(-1), ""),
        ("/status/sessions", json!(1_u64 << 53), "no node has more than 100000000 sessions or connections"),
        (
            "/status/realms",
            json!([{"name": long, "sessions": 1, "subscriptions": 0, "registrations": 0}]),
            "name has 6000 bytes",
        ),
        ("/status/realms", json!(vec![realm; 10_001]), "realms has 10001 entries"),
        ("/status/mesh/links", json!([link]), "a time is no number that a node tells"),
        (
            "/status/listeners",
            json!([{"address": "FORGED\n", "connections": 1, "handshakes": 1}]),
            "address has control",
        ),
        ("/counters/messages_in", json!(-5), ""),
        ("/counters/cpu_seconds", json!(-0.5), "a time is no number that a node tells"),
        ("/counters/drops", json!({long.as_str(): 1}), "a key in drops has 6000 bytes"),
        ("/config_digest", json!(7), ""),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).expect("there is such a key") = value;
        let refusal = beat(&bad).expect_err(place);
        assert!(refusal.contains(sentence), "{place}: {refusal}");
        let page = fetch(&cluster.master().endpoint(), "/api/cluster", &[]);
        let metrics = fetch(&cluster.master().endpoint(), "/metrics", &[]);
        assert!(!page.text().contains("FORGED") && !metrics.text().contains("FORGED"), "{place}");
    }
    // Sums of counters that are as large as can be are as large, and nothing breaks.
    let mut huge = good.clone();
    huge["counters"]["outbox_bytes"] = json!(u64::MAX);
    huge["counters"]["drops"] = json!({"killed": u64::MAX >> 1, "shutdown": u64::MAX});
    for _ in 0..2 {
        let _ = beat(&huge);
        assert_eq!(cluster.master().node("edge2")["id"], "edge2");
    }
}

/// Sends a heartbeat in a session of its own. The error is what the master says to it.
fn report(url: &str, client: &Client, heartbeat: &Value) -> Result<(), String> {
    let url = url.parse().expect("a URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut node = ControlClient::open(&url, MASTER_REALM, client).await?;
        let answer = node.call("crossbar.master.heartbeat", to_payload(heartbeat)).await;
        node.close().await;
        answer.map(drop).map_err(|error| match error {
            ControlError::Refused { error, sentence } => format!("{error}: {sentence}"),
            ControlError::Lost(sentence) => sentence,
        })
    })
}
