//! How nodes stand: the master knows it within seconds.

use crate::harness::cluster::Cluster;
use crate::harness::http::fetch;
use crate::harness::router::{Setup, eventually};
use std::time::{Duration, Instant};

#[test]
fn a_killed_node_is_late_at_once_and_down_after_three_seconds() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("both are up", || cluster.master().status()["totals"]["nodes_up"] == 2);
    let killed = Instant::now();
    cluster.kill(2);
    eventually("it is late", || cluster.master().state("edge2") == "late");
    println!("late after {:?}", killed.elapsed());
    eventually("it is down", || cluster.master().state("edge2") == "down");
    println!("down after {:?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    let status = cluster.master().status();
    let waits_for = status["gate"]["waits_for"].as_str().expect("a reason");
    assert!(waits_for.starts_with("edge2 is down"), "{waits_for}");
    eventually("its peer says so too", || {
        let events = cluster.master().status()["events"].clone();
        let is_told = |event: &serde_json::Value| event["text"] == "edge1 is not linked with edge2 any more";
        events.as_array().expect("a list").iter().any(is_told)
    });
    cluster.restart(2);
    eventually("it is up again, and the gate is open", || {
        cluster.master().state("edge2") == "up" && cluster.master().status()["gate"]["is_open"] == true
    });
}

#[test]
fn a_frozen_node_is_noticed_by_its_silence() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("both are up", || cluster.master().status()["totals"]["nodes_up"] == 2);
    let frozen = Instant::now();
    cluster.node(2).edge.signal("STOP");
    eventually("it is down", || cluster.master().state("edge2") == "down");
    println!("down after {:?}", frozen.elapsed());
    assert!(frozen.elapsed() < Duration::from_secs(5), "{:?}", frozen.elapsed());
    cluster.node(2).edge.signal("CONT");
    eventually("it is up again", || cluster.master().state("edge2") == "up");
}

#[test]
fn nodes_that_differ_are_named() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("both are up", || cluster.master().status()["totals"]["nodes_up"] == 2);
    assert_eq!(cluster.master().status()["skew"], serde_json::json!([]));
    let file = cluster.node(2).edge.directory().join("edge.toml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    let changed = text.replacen("[limits]\n", "[limits]\nuri_bytes_max = 300\n", 1);
    std::fs::write(&file, changed).expect("the configuration is written");
    cluster.node(2).edge.signal("HUP");
    eventually("the difference is told", || {
        let skew = cluster.master().status()["skew"].clone();
        skew[0].as_str().is_some_and(|sentence| {
            sentence.starts_with("nodes have different configurations: ") && sentence.contains("edge2")
        })
    });
}

/// Whoever restarts a program wants to know before what it will run then.
#[test]
fn a_program_says_what_of_its_file_it_does_not_run() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("both are up", || cluster.master().status()["totals"]["nodes_up"] == 2);
    let file = cluster.node(2).edge.directory().join("edge.toml");
    let original = std::fs::read_to_string(&file).expect("it is there");
    let replace = |text: &str| {
        let new = file.with_extension("new");
        std::fs::write(&new, text).expect("the configuration is written");
        std::fs::rename(&new, &file).expect("it takes the place of the old one");
    };
    let await_told = |cluster: &mut Cluster, expected: Option<&str>| {
        eventually(expected.unwrap_or("nothing is told"), || {
            let nodes = cluster.master().status()["nodes"].clone();
            let of = |id: &str| nodes.as_array().expect("a list").iter().find(|node| node["id"] == id).cloned();
            let told = |id: &str| of(id).expect("it is a member")["heartbeat"]["status"]["not_run"].clone();
            assert!(told("edge1").is_null(), "it has a file of its own");
            match expected {
                Some(begin) => told("edge2").as_str().is_some_and(|why| why.starts_with(begin)),
                None => told("edge2").is_null(),
            }
        });
        let value = u8::from(expected.is_some());
        let of_edge = cluster.node(2).admin("/metrics");
        assert_line(of_edge.text(), &format!("crossbar_config_not_run {value}"));
        let of_master = fetch(&cluster.master().endpoint(), "/metrics", &[]);
        assert_line(of_master.text(), &format!("crossbar_cluster_node_config_not_run{{node=\"edge2\"}} {value}"));
        assert_line(of_master.text(), "crossbar_cluster_node_config_not_run{node=\"edge1\"} 0");
    };
    await_told(&mut cluster, None);
    replace(&original.replacen("[admin]\n", "[admin]\nallowed_hosts = [\"cluster.example\"]\n", 1));
    await_told(&mut cluster, Some("the file has changed and was not read since"));
    cluster.node(2).edge.signal("HUP");
    await_told(&mut cluster, Some("needs a restart: [admin] allowed_hosts"));
    replace("nonsense");
    cluster.node(2).edge.signal("HUP");
    await_told(&mut cluster, Some("was not reloaded: "));
    replace(&original);
    cluster.node(2).edge.signal("HUP");
    await_told(&mut cluster, None);
}

/// The master is a program with a file, too.
#[test]
fn the_master_says_that_its_own_file_was_not_read() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    let metrics = || fetch(&cluster.master().endpoint(), "/metrics", &[]);
    assert_line(metrics().text(), "crossbar_master_config_not_run 0");
    let file = cluster.master().process().config_file();
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, format!("{text}# A line more.\n")).expect("the configuration is written");
    assert_line(metrics().text(), "crossbar_master_config_not_run 1");
    assert_eq!(cluster.master().status()["master"]["not_run"], "the file has changed and was not read since");
}

fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|other| other == line), "{line}\n is not in\n{text}");
}

#[test]
fn the_metrics_are_those_of_the_whole_cluster() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    let _client = cluster.node(2).join("a");
    eventually("the session is counted", || {
        let text = fetch(&cluster.master().endpoint(), "/metrics", &[]);
        text.text().lines().any(|line| line == "crossbar_cluster_node_sessions{node=\"edge2\"} 1")
    });
    let page = fetch(&cluster.master().endpoint(), "/metrics", &[]);
    for line in [
        "crossbar_cluster_nodes{state=\"up\"} 2",
        "crossbar_cluster_node_up{node=\"edge1\"} 1",
        "crossbar_cluster_link_up{node=\"edge1\",peer=\"edge2\",realm=\"realm1\"} 1",
        "crossbar_cluster_gate_open 1",
        "# EOF",
    ] {
        assert_line(page.text(), line);
    }
    for (path, kind) in [("/", "text/html"), ("/dashboard.js", "text/javascript"), ("/api/history", "application/json")]
    {
        let page = fetch(&cluster.master().endpoint(), path, &[]);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").is_some_and(|value| value.starts_with(kind)), "{path}");
    }
    assert_eq!(fetch(&cluster.master().endpoint(), "/nothing", &[]).status, 404);
}
