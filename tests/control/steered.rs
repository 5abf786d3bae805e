//! What is changed in a cluster: drain, undrain, rebalance, gate, kick, the log level, and who belongs to it.

use crate::fixture::{command, fails, start_cluster, stderr, stdout};
use crate::harness::router::eventually;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

const KEY: &str = "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d";

#[test]
fn a_drain_is_watched_to_its_end_and_taken_back() {
    let (mut cluster, whom) = start_cluster();
    let mut clients: Vec<_> = (0..3).map(|n| cluster.node(1).join(&format!("client{n}"))).collect();
    eventually("the master has heard of the sessions", || whom.json("status")["totals"]["sessions"] == 3);
    let output = whom.run("drain edge1 --seconds 2");
    let text = stdout(&output);
    assert!(text.starts_with("edge1 is drained: 3 sessions gone in "), "{text}");
    assert!(stderr(&output).contains("edge1: "), "its progress is shown: {}", stderr(&output));
    for client in &mut clients {
        client.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
    }
    fails(&whom.run("gate --seconds 1"), "the gate is still closed after 1s: edge1 is draining");
    assert_eq!(whom.text("undrain edge1"), "edge1 takes clients again\n");
    let output = whom.run("gate --seconds 30");
    assert_eq!(stdout(&output), "the gate is open\n");
    cluster.node(1).join("again");

    let answer = whom.json("drain edge2 --seconds 0 --no-wait");
    assert_eq!((answer["node"].as_str(), answer["sessions"].as_u64()), (Some("edge2"), Some(0)));
    eventually("edge2 drains", || {
        let nodes = whom.json("nodes");
        nodes[1]["state"] == "draining"
    });
    let answer = whom.json("drain edge2 --seconds 0");
    assert_eq!((answer["node"].as_str(), answer["seconds"].is_number()), (Some("edge2"), true));
    assert_eq!(whom.json("undrain edge2"), serde_json::json!({"node": "edge2"}));
    assert_eq!(whom.json("gate --seconds 30"), serde_json::json!({"is_open": true, "waits_for": null}));
}

#[test]
fn a_rebalance_tells_what_was_before_and_what_is_after() {
    let (mut cluster, whom) = start_cluster();
    let text = whom.text("rebalance");
    assert!(text.starts_with("0 sessions moved in 0s\n\nNODE   BEFORE  AFTER\nedge1       0      0\n"), "{text}");

    let _clients: Vec<_> = (0..8).map(|n| cluster.node(1).join(&format!("client{n}"))).collect();
    eventually("the master has heard of the sessions", || whom.json("status")["totals"]["sessions"] == 8);
    // Nobody comes back, so that it goes on until next to nobody is left; that is even, too.
    let output = whom.run("rebalance --rate 50");
    let text = stdout(&output);
    assert!(text.contains("NODE   BEFORE  AFTER\nedge1       8 "), "{text}");
    assert!(stderr(&output).contains("round 1: 4 sessions moved"), "{}", stderr(&output));

    let answer = whom.json("rebalance");
    assert_eq!((answer["moved"].as_u64(), answer["is_even"].as_bool()), (Some(0), Some(true)), "{answer:#}");
    assert_eq!(answer["before"], answer["after"]);
    let text = whom.text("rebalance --no-wait");
    assert!(text.starts_with("a rebalance has begun"), "{text}");
}

#[test]
fn a_gate_that_waits_for_load_has_it_spread() {
    let (mut cluster, whom) = start_cluster();
    let _clients: Vec<_> = (0..10).map(|n| cluster.node(1).join(&format!("client{n}"))).collect();
    eventually("load is missing on edge2", || whom.json("status")["gate"]["is_open"] == false);
    fails(&whom.run("gate --seconds 0"), "edge2 carries 0 sessions, its fair share is 5");
    // Nobody comes back here either; once there is no load to speak of, none is missing.
    let output = whom.run("gate --rebalance --seconds 60");
    assert_eq!(stdout(&output), "the gate is open\n");
    let told = stderr(&output);
    assert!(told.contains("waiting: edge2 carries 0 sessions") && told.contains("a rebalance has begun"), "{told}");
}

#[test]
fn a_session_is_ended_wherever_it_is() {
    let (mut cluster, whom) = start_cluster();
    let mut bob = cluster.node(2).join("bob");
    let id = bob.id("bob");
    fails(
        &whom.run(&format!("kick {id} --realm realm2")),
        &format!("there is no session {id} in realm2 on edge1, edge2"),
    );
    let text = whom.text(&format!("kick {id} --realm realm1"));
    assert_eq!(text, format!("the session {id} on edge2 was ended\n"));
    bob.expect(r#"[6, {...}, "wamp.close.killed"]"#);
    let output = whom.run(&format!("kick {id} --json"));
    fails(&output, &format!("there is no session {id} on edge1, edge2"));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer, serde_json::json!({"session": id, "node": null}));

    let carol = cluster.node(1).join("carol");
    let answer = whom.json(&format!("kick {}", carol.id("carol")));
    assert_eq!(answer["node"], "edge1");
}

#[test]
fn a_node_logs_what_it_is_told_to() {
    let (_cluster, whom) = start_cluster();
    assert_eq!(whom.text("log-level edge1 debug"), "edge1 logs debug now, until it is started again\n");
    assert_eq!(whom.json("log-level edge2 warn"), serde_json::json!({"node": "edge2", "level": "warn"}));
    fails(&whom.run("log-level edge1 a=b=c"), "is no log level");
    fails(&whom.run("log-level edge1 degub"), "\"degub\" is no log level, it must be 'off', ");
    fails(&whom.run("log-level edge1 info,"), "is no log level");
    fails(&whom.run("log-level edge9 debug"), "there is no node \"edge9\"; there are: edge1, edge2");
}

#[test]
fn a_node_is_added_and_removed() {
    let (_cluster, whom) = start_cluster();
    let text = whom.text(&format!("node add edge3 brummer2:5083 {KEY}"));
    assert_eq!(text, "edge3 at brummer2:5083 belongs to the cluster now: all others link with it\n");
    assert_eq!(whom.json("nodes")[2]["public_key"], KEY);
    fails(&whom.run(&format!("node add edge4 brummer2:5084 {KEY}")), "the key of edge4 is already that of edge3");
    let output = whom.run("drain edge3");
    fails(&output, "edge3 is ");
    fails(&output, " and was not asked");
    let answer = whom.json("node remove edge3 --yes");
    assert_eq!(answer["node"], "edge3");
    let version = |answer: &serde_json::Value| answer["membership"].as_u64().expect("a version");
    let again = whom.json(&format!("node add edge3 brummer2:5083 {KEY}"));
    assert_eq!(version(&again), version(&answer) + 1);
    assert_eq!(version(&whom.json("node remove edge3 --yes")), version(&again) + 1);
    fails(&whom.run("node remove edge3 --yes"), "there is no node \"edge3\"; there are: edge1, edge2");
    let text = whom.text("node remove edge2 --yes");
    assert_eq!(text, "edge2 does not belong to the cluster any more: all others refuse it\n");
}

#[test]
fn what_takes_something_away_says_so_first_and_is_asked_for_twice() {
    const OTHER: &str = "5cb5ac8d0bdfd0e84ba43ee8f1a3a0bf31f5c4b3aa0e9b5a2c1f0d5b2a9e8d77";
    let (_cluster, whom) = start_cluster();
    let before = whom.json("nodes");
    let line = format!("node add edge2 brummer2:5083 {OTHER}");
    let output = whom.run(&line);
    fails(&output, "edge2 belongs to the cluster already, at ");
    fails(&output, "--replace gives it this address and key");
    let output = whom.run(&format!("{line} --replace"));
    fails(&output, "nothing was done. edge2 belongs to the cluster already, at ");
    fails(&output, "It is up now, and it has 0 sessions. There is no terminal to ask on: --yes does it");
    let output = whom.run("node remove edge2");
    fails(&output, "nothing was done. edge2 is taken out of the cluster: its links end");
    let keys = |nodes: &serde_json::Value| nodes[1]["public_key"].clone();
    assert_eq!(keys(&whom.json("nodes")), keys(&before), "nothing was done");
    let (address, key) = (before[1]["address"].as_str(), before[1]["public_key"].as_str());
    let (address, key) = (address.expect("an address"), key.expect("a key"));
    whom.text(&format!("node add edge2 {address} {key}"));
    whom.text(&format!("{line} --replace --yes"));
    assert_eq!(keys(&whom.json("nodes")), OTHER);
}

#[test]
fn the_only_node_that_takes_clients_is_not_taken_away_by_the_way() {
    let (_cluster, whom) = start_cluster();
    whom.text("drain edge1 --seconds 0");
    for line in ["drain edge2 --seconds 0", "node remove edge2 --yes"] {
        fails(&whom.run(line), "edge2 is the only node that takes clients");
    }
    whom.text("drain edge2 --seconds 0 --last");
}

#[test]
fn a_gate_outlives_a_restart_of_the_master() {
    let (mut cluster, whom) = start_cluster();
    cluster.kill(2);
    eventually("edge2 is down", || whom.json("nodes")[1]["state"] == "down");
    let mut command = command(&whom.arguments("gate --seconds 60"));
    let mut gate = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("crossbarctl is started");
    let mut told = BufReader::new(gate.stderr.take().expect("stderr is piped")).lines().map_while(Result::ok);
    let mut until = |sentence: &str| assert!(told.any(|line| line.contains(sentence)), "{sentence} is not told");
    until("waiting: edge");
    cluster.master.as_mut().expect("it has one").kill();
    until("waiting: ws://");
    cluster.master.as_mut().expect("it has one").start();
    cluster.restart(2);
    let mut output = String::new();
    gate.stdout.take().expect("stdout is piped").read_to_string(&mut output).expect("UTF-8");
    assert!(gate.wait().expect("it ends").success());
    assert_eq!(output, "the gate is open\n");
}
