//! What is shown of a cluster.

use crate::fixture::{crossbarctl, fails, start_cluster, stdout};
use crate::harness::router::eventually;
use serde_json::Value;

#[test]
fn status_nodes_and_links() {
    let (mut cluster, whom) = start_cluster();
    let _client = cluster.node(1).join("alice");
    let config = cluster.master().process().config_file().display().to_string();
    let by_config = crossbarctl(&["--master", &config, "status"]);
    assert!(stdout(&by_config).starts_with("the cluster is whole: 2 of 2 nodes up, "));
    eventually("the master has heard of the session", || whom.json("status")["totals"]["sessions"] == 1);
    let text = whom.text("status");
    assert!(text.starts_with("the cluster is whole: 2 of 2 nodes up, 1 session\n"), "{text}");
    for line in ["edge1  up ", "edge2  up "] {
        assert!(text.contains(line) && text.contains("  1/1  "), "{text}");
    }

    let nodes = whom.json("nodes");
    let ids: Vec<&Value> = nodes.as_array().expect("an array").iter().map(|node| &node["id"]).collect();
    assert_eq!(ids, ["edge1", "edge2"]);
    assert_eq!(nodes[0]["heartbeat"]["status"]["sessions"], 1);
    let text = whom.text("nodes");
    assert!(text.contains("MEMORY") && text.contains(" MiB") && text.contains("link1.sock"), "{text}");

    let text = whom.text("links");
    assert!(text.starts_with("FROM \\ TO") && !text.contains("down") && !text.contains('–'), "{text}");
    let links = whom.json("links");
    let links = links.as_array().expect("an array");
    assert!(links.iter().all(|link| link["is_up"] == true), "{links:#?}");
    let is_it = |link: &&Value| link["node"] == "edge1" && link["peer"] == "edge2" && link["realm"] == "realm1";
    assert_eq!(links.iter().filter(is_it).count(), 1, "{links:#?}");

    cluster.kill(2);
    eventually("the cluster is not whole", || {
        let output = whom.run("status");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.code() == Some(1)
            && text.starts_with("the cluster is not whole: 1 of 2 nodes up, ")
            && text.contains("! edge2 is down: ")
            && text.contains("! the link from edge1 to edge2 for realm1 is down")
            && text.contains("! the gate is closed: ")
    });
    let output = whom.run("status --json");
    assert_eq!(output.status.code(), Some(1));
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON all the same");
    assert_eq!(status["gate"]["is_open"], false);
    assert!(whom.text("links").contains("down"));
    // What is there is shown, and what is missing is named.
    let output = whom.run("sessions");
    fails(&output, "edge2 is down and was not asked: ");
    assert!(String::from_utf8_lossy(&output.stdout).contains("edge1"));
    let output = whom.run("gate --seconds 1");
    fails(&output, "the gate is still closed after 1s: edge");
    fails(&whom.run("gate --seconds 0 --json"), "the gate is still closed after 0s");
}

#[test]
fn sessions_registrations_and_subscriptions() {
    let (mut cluster, whom) = start_cluster();
    let (mut alice, mut bob) = (cluster.node(1).join("alice"), cluster.node(2).join("bob"));
    alice.register("com.example.add", r#"{"invoke": "roundrobin"}"#, "reg");
    bob.subscribe("com.example.topic", r#"{"match": "prefix"}"#, "sub");

    let text = whom.text("sessions");
    assert!(text.starts_with("NODE   REALM   "), "{text}");
    for (node, client, name) in [("edge1", &alice, "alice"), ("edge2", &bob, "bob")] {
        let id = client.id(name).to_string();
        assert!(text.lines().any(|line| line.starts_with(node) && line.contains(&id)), "{node} {id}\n{text}");
    }
    let rows = whom.json("sessions");
    assert_eq!(rows.as_array().map(Vec::len), Some(2), "{rows:#}");
    assert_eq!((&rows[0]["registrations"], &rows[1]["subscriptions"]), (&1.into(), &1.into()));

    let text = whom.text("registrations");
    assert!(text.lines().any(|line| line.starts_with("edge1  realm1") && line.contains("com.example.add")), "{text}");
    assert!(text.contains("roundrobin"), "{text}");
    let rows = whom.json("registrations");
    assert_eq!((rows[0]["uri"].as_str(), rows[0]["members"].as_u64()), (Some("com.example.add"), Some(1)));

    let text = whom.text("subscriptions");
    assert!(text.lines().any(|line| line.starts_with("edge2  realm1") && line.contains("com.example.topic")), "{text}");
    let rows = whom.json("subscriptions");
    assert_eq!((rows[0]["match"].as_str(), rows[0]["members"].as_u64()), (Some("prefix"), Some(1)));

    for list in ["sessions", "registrations", "subscriptions"] {
        let n = |realm: &str| whom.json(&format!("{list} --realm {realm}")).as_array().map(Vec::len);
        let all = whom.json(list).as_array().map(Vec::len);
        assert_eq!((n("realm1"), n("realm2")), (all, Some(0)), "{list}");
    }
}

#[test]
fn long_lists_come_by_the_page() {
    let (mut cluster, whom) = start_cluster();
    let mut alice = cluster.node(1).join("alice");
    let topics = 2_345;
    for n in 0..topics {
        alice.send(&format!(r#"[32, #, {{}}, "com.example.topic{n}"]"#));
    }
    // The other node has to know of each before it is there.
    for _ in 0..topics {
        alice.expect("[33, $_, $_]");
    }
    let rows = whom.json("subscriptions");
    let rows = rows.as_array().expect("an array");
    let uris: std::collections::BTreeSet<&str> = rows.iter().filter_map(|row| row["uri"].as_str()).collect();
    assert_eq!((rows.len(), uris.len()), (topics, topics));
}

#[test]
fn top_shows_a_line_per_look() {
    let (_cluster, whom) = start_cluster();
    let text = whom.text("top --iterations 2");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().all(|line| line.contains("  the cluster is whole: 2 of 2 nodes up, ")), "{text}");
    assert!(text.lines().all(|line| line.contains(" events/s, ") && line.ends_with(" B waiting")), "{text}");
    let text = whom.text("top --iterations 1 --json");
    let status: Value = serde_json::from_str(&text).expect("one JSON value in one line");
    assert_eq!((status["nodes"].as_array().map(Vec::len), text.lines().count()), (Some(2), 1));
}

#[test]
fn of_a_node_that_hangs_the_rest_is_not_withheld() {
    let (mut cluster, whom) = start_cluster();
    let (_alice, _bob) = (cluster.node(1).join("alice"), cluster.node(2).join("bob"));
    cluster.node(2).edge.signal("STOP");
    let output = whom.run("sessions");
    cluster.node(2).edge.signal("CONT");
    // Asked while it was taken for well, or known to be late by then.
    fails(&output, "edge2 ");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("\nedge1  realm1 ") && !text.contains("\nedge2 "), "{text}");
}
