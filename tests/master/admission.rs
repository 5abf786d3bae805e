//! Nodes come and go by their keys, while everything runs.

use crate::harness::cluster::{Cluster, is_complete, mesh_of, name};
use crate::harness::router::{Setup, eventually};
use serde_json::json;

#[test]
fn a_node_that_is_added_is_linked_by_all_and_one_that_is_removed_gets_in_nowhere() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    let mut on_first = cluster.node(1).join("first");
    on_first.subscribe("com.topic", "{}", "first");
    let (id, address, key) = cluster.add_node();
    cluster.start_alone(3);
    eventually("a stranger is refused", || {
        cluster.routers[2].as_ref().expect("it runs").edge.log().contains("there is no master")
    });
    assert_eq!(mesh_of(cluster.node(3))["links"], json!([]), "it knows of nobody");

    let node = json!({"id": id, "address": address, "public_key": key});
    cluster.master().command("node_add", &node).expect("it is admitted");
    eventually("all link with it", || {
        let n_links =
            |node: usize| mesh_of(cluster.routers[node].as_ref().expect("it runs"))["links"].as_array().map(Vec::len);
        (0..3).all(|node| n_links(node) == Some(2)) && cluster.routers.iter().flatten().all(is_complete)
    });
    eventually("it is up", || cluster.master().state("edge3") == "up");
    let mut on_third = cluster.node(3).join("third");
    on_third.publish("com.topic", "{}", r#"["from the newcomer"]"#);
    on_first.expect(r#"[36, $first, $_, {...}, ["from the newcomer"]]"#);

    cluster.master().command("node_remove", &json!({"id": id})).expect("it is removed");
    on_third.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
    eventually("nobody links with it", || {
        let n_links =
            |node: usize| mesh_of(cluster.routers[node].as_ref().expect("it runs"))["links"].as_array().map(Vec::len);
        n_links(0) == Some(1) && n_links(1) == Some(1) && n_links(2) == Some(0)
    });
    assert_eq!(cluster.master().state("edge3"), "unknown");
    // What it still knows does not help it, even after a restart.
    cluster.kill(3);
    cluster.start_alone(3);
    eventually("it is refused", || {
        cluster.routers[2].as_ref().expect("it runs").edge.log().contains("there is no master")
    });
    assert!(cluster.routers[..2].iter().flatten().all(is_complete));
}

#[test]
fn what_was_added_and_removed_is_remembered() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    let (id, address, key) = cluster.add_node();
    let node = json!({"id": id, "address": address, "public_key": key});
    cluster.master().command("node_add", &node).expect("it is admitted");
    cluster.master().command("node_remove", &json!({"id": "edge2"})).expect("it is removed");
    let before = cluster.master().command("membership", &json!({})).expect("it is told");
    let events = cluster.master().command("events", &json!({"after": 0})).expect("they are told");
    let master = cluster.master.as_mut().expect("there is one");
    master.kill();
    master.start();
    // The configuration still names edge2, which was removed at run time.
    let after = cluster.master().command("membership", &json!({})).expect("it is told");
    assert_eq!(after, before);
    let ids: Vec<&str> =
        after["members"].as_array().expect("a list").iter().filter_map(|member| member["id"].as_str()).collect();
    assert_eq!(ids, ["edge1", "edge3"]);
    let kept = cluster.master().command("events", &json!({"after": 0})).expect("they are told");
    let (kept, events) = (kept.as_array().expect("a list"), events.as_array().expect("a list"));
    assert!(events.len() > 3 && kept[..events.len()] == events[..], "the log goes on where it ended");
    assert!(kept.iter().any(|event| event["kind"] == "removed" && event["node"] == name(2)));
}

#[test]
fn a_node_is_refused_with_a_sentence_that_says_why() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    let key = "01".repeat(32);
    let taken = cluster.master().node("edge1")["public_key"].clone();
    for (node, sentence) in [
        (json!({"id": "edge 9", "address": "a:1", "public_key": key}), "\"edge 9\" is no name of a node"),
        (json!({"id": "edge1.b", "address": "a:1", "public_key": key}), "\"edge1.b\" is no name of a node"),
        (json!({"id": "edge9", "address": "a".repeat(2_000), "public_key": key}), "address has 2000 bytes"),
        (json!({"id": "edge9", "address": "a", "public_key": key}), "\"a\" is not host:port or unix:/path"),
        (json!({"id": "edge9", "address": "a:1", "public_key": "01"}), "\"01\" is no public key of 64 hex digits"),
        (json!({"id": "edge9", "address": "a:1", "public_key": taken}), "the key of edge9 is already that of edge1"),
        (json!({"id": "edge9", "address": "a:1"}), "missing field `public_key`"),
    ] {
        let refusal = cluster.master().command("node_add", &node).expect_err("it is refused");
        assert!(refusal.contains(sentence), "{sentence:?} is not in {refusal:?}");
    }
    let refusal = cluster.master().command("node_remove", &json!({"id": "edge9"})).expect_err("it is refused");
    assert!(refusal.contains("there is no node \"edge9\"; there are: edge1"), "{refusal}");
    let refusal = cluster.master().command("dance", &json!({})).expect_err("it is refused");
    assert!(refusal.contains("unknown variant `dance`"), "{refusal}");
}

#[test]
fn a_reload_takes_over_the_nodes_of_the_file() {
    let cluster = Cluster::start_mastered(vec![0; 3], Setup::default());
    eventually("all are up", || cluster.master().status()["totals"]["nodes_up"] == 3);
    let file = cluster.master().process().directory().join("edge.toml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    let without = text.split("[[node]]\n").filter(|table| !table.contains("id = \"edge3\"")).collect::<Vec<_>>();
    std::fs::write(&file, without.join("[[node]]\n")).expect("the configuration is written");
    cluster.master().process().signal("HUP");
    eventually("it is out", || cluster.master().state("edge3") == "unknown");
    std::fs::write(&file, text).expect("the configuration is written");
    cluster.master().process().signal("HUP");
    eventually("it is back", || cluster.master().state("edge3") == "up");
}
