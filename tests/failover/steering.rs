//! What an operator does to a running cluster under load: an edge is drained and taken back, and after a failure the
//! sessions are spread evenly again. Clients lose nothing but their connection.

use crate::harness::probe::Backend;
use crate::harness::router::{Setup, eventually};
use crate::stack::{ALL, Stack, all_sessions, name, per_edge, sessions};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Over which the sessions of an edge are let go.
const DRAIN_SECONDS: f64 = 4.0;

#[test]
fn a_drained_edge_fails_no_call_and_its_clients_are_back_within_a_second() {
    const DRAINED: usize = 2;
    const OTHERS: [usize; 3] = [1, 3, 4];
    let Some(stack) = Stack::start_mastered(Setup::default()) else { return };
    // Two callees for each procedure of the original, so that one is there while the other moves.
    let url = stack.haproxy.url();
    let containers = ALL.map(|node| format!("node{node}.container1"));
    let _backends: Vec<Backend> =
        containers.iter().chain(&containers).map(|container| Backend::start(&url, container)).collect();
    let probe = stack.load();
    let id = name(DRAINED);
    let master = stack.cluster.master();
    master.command("drain", &json!({"id": id, "seconds": DRAIN_SECONDS})).expect("it begins");
    eventually("HAProxy shows it", || stack.haproxy.statistic(DRAINED, "status").starts_with("DRAIN"));
    eventually("all its clients have gone", || {
        stack.only(&[DRAINED]).all(|router| sessions(router) == 0)
            && stack.only(&OTHERS).map(sessions).sum::<u64>() == all_sessions() + 8
    });
    assert!(stack.haproxy.statistic(DRAINED, "status").starts_with("DRAIN"), "it was not down at any time");
    assert_eq!(master.state(&id), "draining");
    stack.await_load_on(&OTHERS);

    master.command("undrain", &json!({"id": id})).expect("it is taken back");
    eventually("HAProxy sends clients again", || stack.haproxy.statistic(DRAINED, "status").starts_with("UP"));
    stack.await_new_clients_on(&[DRAINED]);
    eventually("the master sees it", || master.state(&id) == "up");
    let (code, outcome) = probe.finish();
    let (calls, again) = (&outcome["calls"], &outcome["reconnects"]);
    println!("{} calls, errors {}, abandoned {}", calls["issued"], calls["errors"], calls["abandoned"]);
    assert_eq!(calls["errors"], json!({}), "{calls}");
    for nothing in ["unanswered", "wrong", "abandoned"] {
        assert_eq!(calls[nothing], 0, "{nothing}: {calls}");
    }
    check_away(again, &[DRAINED]);
    let outages = again["outages"].as_array().expect("a list");
    let left: Vec<f64> = outages.iter().map(|outage| number(&outage["at"])).collect();
    let spread = left.iter().cloned().fold(f64::MIN, f64::max) - left.iter().cloned().fold(f64::MAX, f64::min);
    println!("the sessions left over {spread:.1} s of {DRAIN_SECONDS} s");
    assert!(spread > DRAIN_SECONDS / 2.0, "they went at once: {left:?}");
    // What a killed edge had acknowledged and not passed on dies with it; an edge that lets its clients go passes on
    // all.
    assert_eq!(outcome["events"]["lost_with_publisher"], 0, "{outcome}");
    check_nothing_lost(code, &outcome);
}

#[test]
fn a_rebalance_evens_out_after_an_edge_was_away() {
    const KILLED: usize = 3;
    const OTHERS: [usize; 3] = [1, 2, 4];
    let Some(mut stack) = Stack::start_mastered(Setup::default()) else { return };
    let probe = stack.load();
    stack.cluster.kill(KILLED);
    eventually("all sessions are back", || stack.only(&OTHERS).map(sessions).sum::<u64>() == all_sessions());
    stack.cluster.start_alone(KILLED);
    stack.cluster.await_complete();
    let master = stack.cluster.master();
    eventually("it is back", || master.state(&name(KILLED)) == "up" && stack.haproxy.is_up(KILLED));
    let gate = master.status()["gate"].clone();
    assert_eq!(gate["is_open"], false, "it carries no load yet: {gate}");
    master.command("rebalance", &json!({})).expect("it begins");
    let begun = Instant::now();
    eventually("it is done", || master.status()["rebalance"].is_null());
    let took = begun.elapsed();
    let counts: Vec<u64> = stack.living().map(sessions).collect();
    println!("rebalanced within {took:?} to {counts:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    let fair = all_sessions() as f64 / 4.0;
    for count in &counts {
        assert!((*count as f64 - fair).abs() <= (fair * 0.05).max(1.0), "{counts:?}");
    }
    eventually("the gate is open", || master.status()["gate"]["is_open"] == true);
    stack.await_load_on(&ALL);
    let (code, outcome) = probe.finish();
    let moved = outcome["reconnects"]["outages"].as_array().expect("a list").len() as u64;
    assert!(moved <= 2 * per_edge() + 2, "no more were sent away than had to be: {moved}");
    check_nothing_lost(code, &outcome);
}

/// Exactly the clients of these edges were away, each once and for less than a second.
fn check_away(again: &Value, edges: &[usize]) {
    println!(
        "{} sessions were away: until subscribed again median {:.0} ms, most {:.0} ms",
        again["lost"],
        number(&again["away_median"]),
        number(&again["away_max"])
    );
    let outages = again["outages"].as_array().expect("a list");
    assert_eq!(outages.len() as u64, per_edge() * edges.len() as u64, "{again}");
    assert!(outages.iter().all(|outage| edges.iter().any(|edge| outage["from"] == name(*edge))), "{again}");
    assert!(number(&again["away_max"]) < 1_000.0, "{again}");
}

fn check_nothing_lost(code: i32, outcome: &Value) {
    let events = &outcome["events"];
    for nothing in ["lost", "duplicated", "reordered", "corrupted", "unanswered"] {
        assert_eq!(events[nothing], 0, "{nothing}: {events}");
    }
    assert_eq!(outcome["sessions_absent"], 0);
    assert_eq!(code, 0, "{events}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}
