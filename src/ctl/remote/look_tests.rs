//! What people are shown of a cluster, from what a master answers.

use super::*;
use crate::ctl::links::matrix;

/// A node as the master tells it: `links` are the peers, and whether each link is up in both directions.
fn node(id: &str, state: &str, sessions: usize, links: &[(&str, bool, bool)]) -> Value {
    let all_up = links.iter().all(|(_, out, inbound)| *out && *inbound);
    let links: Vec<Value> = links
        .iter()
        .map(|(peer, is_up, is_up_inbound)| {
            json!({"peer": peer, "address": "h:1", "realm": "realm1", "is_up": is_up, "is_up_inbound": is_up_inbound,
                   "seconds": 1.5, "round_trip_ms": if *is_up { Some(0.25) } else { None }, "queued_bytes": 0,
                   "attempts": 1, "last_error": if *is_up { None } else { Some("Connection refused") }})
        })
        .collect();
    json!({
        "id": id, "address": format!("{id}:5081"), "public_key": "", "state": state, "since": "", "state_seconds": 192.0,
        "reason": format!("because of {state}"), "silent_seconds": 0.1,
        "rates": {"events_out": 12_345.6, "messages_in": 3.1, "messages_out": 0.0, "bytes_in": 0.0, "bytes_out": 0.0,
                  "drops": 0.0, "cpu": 0.515},
        "heartbeat": {
            "status": {"node": id, "program": "crossbar-edge", "version": "0.1.0", "hostname": "brummer1", "pid": 1,
                       "started": "", "uptime_seconds": 300, "public_key": "", "state": state, "descriptors_max": 1,
                       "connections": 1, "sessions": sessions, "event_delay_ms": 0.0, "listeners": [], "realms": [],
                       "mesh": {"is_complete": all_up, "links": links}},
            "counters": {"messages_in": 1, "messages_out": 1, "events_out": 1, "bytes_in": 1, "bytes_out": 1, "drops": {},
                         "publisher_stalls": 0, "outbox_bytes": 1_536, "outbox_bytes_fullest": 0, "cpu_seconds": 1.0,
                         "resident_bytes": 12 << 20, "open_files": 1, "open_files_max": 1},
            "config_digest": "0123456789abcdef",
        },
    })
}

fn look(nodes: &[Value], waits_for: Option<&str>, skew: &[&str]) -> Look {
    let up = nodes.iter().filter(|node| node["state"] == "up").count();
    Look::of_master(json!({
        "master": {"id": "matterhorn", "version": "0.1.0", "hostname": "matterhorn", "pid": 1, "public_key": "",
                   "started": "", "uptime_seconds": 1, "membership": 2, "now": ""},
        "nodes": nodes,
        "totals": {"nodes": nodes.len(), "nodes_up": up, "sessions": 0, "events_out": 0.0, "messages_in": 0.0,
                   "outbox_bytes": 0},
        "gate": {"is_open": waits_for.is_none(), "waits_for": waits_for},
        "rebalance": null, "skew": skew, "events": [],
    }))
    .unwrap()
}

#[test]
fn a_whole_cluster_is_one_sentence_and_a_table() {
    let nodes =
        [node("edge1", "up", 1_200, &[("edge2", true, true)]), node("edge2", "up", 1, &[("edge1", true, true)])];
    let look = look(&nodes, None, &[]);
    assert!(look.is_whole());
    assert_eq!(look.headline(), "the cluster is whole: 2 of 2 nodes up, 1,201 sessions");
    assert_eq!(look.warnings(), Vec::<String>::new());
    let expected = "\
NODE   STATE    FOR  LINKS  SESSIONS  EVENTS/S  HOST
edge1  up     3m12s    1/1     1,200    12,346  brummer1
edge2  up     3m12s    1/1         1    12,346  brummer1
";
    assert_eq!(look.short_table().to_string(), expected);
    let expected = "\
NODE   STATE    FOR  VERSION  LINKS  SESSIONS  EVENTS/S  IN/S  OUT/S   OUTBOX  DROPS/S   CPU  MEMORY  ADDRESS
edge1  up     3m12s  0.1.0      1/1     1,200    12,346   3.1      0  1.5 KiB        0  52 %  12 MiB  edge1:5081
";
    assert!(look.long_table().to_string().starts_with(expected), "{}", look.long_table());
}

/// What a load balancer was last told is part of how a node is; a node of an earlier version does not tell it.
#[test]
fn a_node_that_is_not_offered_clients_makes_the_cluster_less_than_whole() {
    let mut nodes =
        [node("edge1", "up", 1, &[("edge2", true, true)]), node("edge2", "up", 1, &[("edge1", true, true)])];
    let balancer =
        |why: Option<&str>| json!({"answers": 9, "answer": "up", "answered_seconds": 0.4, "not_offered": why});
    nodes[0]["heartbeat"]["status"]["balancer"] = balancer(None);
    assert!(look(&nodes, None, &[]).is_whole());
    nodes[0]["heartbeat"]["status"]["balancer"] = balancer(Some("no load balancer has asked its agent port for 9 s"));
    let look = look(&nodes, None, &[]);
    assert_eq!(look.headline(), "the cluster is not whole: 2 of 2 nodes up, 2 sessions");
    let expected = "edge1 is not offered clients: no load balancer has asked its agent port for 9 s";
    assert_eq!(look.warnings(), [expected]);
}

/// A file that was changed and not taken over is what the next restart will run.
#[test]
fn a_program_that_does_not_run_its_file_makes_the_cluster_less_than_whole() {
    let mut nodes =
        [node("edge1", "up", 1, &[("edge2", true, true)]), node("edge2", "up", 1, &[("edge1", true, true)])];
    nodes[1]["heartbeat"]["status"]["not_run"] = json!("needs a restart: [admin] listen");
    let mut look = look(&nodes, None, &[]);
    assert_eq!(look.headline(), "the cluster is not whole: 2 of 2 nodes up, 2 sessions");
    let of_edge = "edge2 does not run its configuration file: needs a restart: [admin] listen";
    assert_eq!(look.warnings(), [of_edge]);
    look.cluster.as_mut().unwrap().master.not_run = Some("the file has changed and was not read since".to_owned());
    let of_master = "the master does not run its configuration file: the file has changed and was not read since";
    assert_eq!(look.warnings(), [of_master, of_edge]);
}

#[test]
fn everything_that_is_wrong_has_a_sentence() {
    let nodes = [
        node("edge1", "up", 10, &[("edge2", false, false), ("edge3", true, true)]),
        node("edge2", "down", 99, &[("edge1", true, true), ("edge3", true, true)]),
        node("edge3", "draining", 5, &[("edge1", true, true), ("edge2", true, false)]),
    ];
    let look = look(&nodes, Some("edge2 is down"), &["nodes have different versions: 1 on edge1; 2 on edge3"]);
    assert!(!look.is_whole());
    // What a node said before it went down counts no more.
    assert_eq!(look.headline(), "the cluster is not whole: 1 of 3 nodes up, 15 sessions");
    let expected = [
        "edge2 is down: because of down",
        "edge3 is draining: because of draining",
        "the link from edge1 to edge2 for realm1 is down: Connection refused",
        "edge3 is not linked with edge2 in both directions",
        "nodes have different versions: 1 on edge1; 2 on edge3",
        "the gate is closed: edge2 is down",
    ];
    assert_eq!(look.warnings(), expected);
    let (nodes, links) = look.links();
    let expected = "\
FROM \\ TO  edge1  edge2  edge3
edge1      ·      down    0.25
edge2      down   ·      down
edge3       0.25   0.25  ·
";
    assert_eq!(matrix(&nodes, &links).to_string(), expected);
}

#[test]
fn a_node_that_does_not_know_another_yet_is_not_linked_with_it() {
    let look = look(&[node("edge1", "up", 1, &[]), node("edge2", "up", 1, &[("edge1", true, true)])], None, &[]);
    assert!(!look.is_whole());
    assert_eq!(look.warnings(), ["edge1 is not linked with edge2 in both directions"]);
    assert!(look.short_table().to_string().contains("    0/1  "), "{}", look.short_table());
}

#[test]
fn a_single_edge_is_shown_alike() {
    let status = |is_linked: bool| node("edge1", "up", 3, &[("edge2", is_linked, true)])["heartbeat"]["status"].clone();
    let look = Look::of_edge(status(true)).unwrap();
    assert!(look.is_whole());
    assert_eq!(look.headline(), "edge1 is up, linked with 1 of 1 peer: 3 sessions");
    let look = Look::of_edge(status(false)).unwrap();
    assert!(!look.is_whole());
    assert_eq!(look.headline(), "edge1 is up, linked with 0 of 1 peer: 3 sessions");
    let (nodes, links) = look.links();
    let expected = "FROM \\ TO  edge1  edge2\nedge1      ·      down\nedge2      up     ·\n";
    assert_eq!(matrix(&nodes, &links).to_string(), expected);
    assert_eq!(look.raw_links()[0]["peer"], "edge2");
    assert!(Look::of_edge(json!({"node": 1})).is_err());
}
