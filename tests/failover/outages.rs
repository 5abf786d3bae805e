//! One of four edges dies under load, two of them, or one hangs: its clients are back through HAProxy at once, and
//! nobody else loses anything. Then it comes back.

use crate::harness::cluster::is_complete;
use crate::harness::router::{Setup, eventually};
use crate::harness::signal;
use crate::stack::{ALL, Stack, all_sessions, name, per_edge, sessions};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn the_clients_of_a_killed_edge_are_back_within_a_second() {
    kill(&[2]);
}

#[test]
fn half_of_the_clients_are_back_within_a_second_when_two_edges_are_killed() {
    kill(&[3, 4]);
}

fn kill(edges: &[usize]) {
    let others: Vec<usize> = ALL.into_iter().filter(|edge| !edges.contains(edge)).collect();
    let Some(mut stack) = Stack::start(Setup::default(), &[]) else { return };
    let probe = stack.load();
    // All of them at once: one that lived on for a moment would get clients of the others.
    let pids: Vec<u32> = stack.only(edges).map(|router| router.edge.pid()).collect();
    signal(&pids, "KILL");
    edges.iter().for_each(|edge| stack.cluster.kill(*edge));
    await_all_sessions(&stack, &others);
    stack.await_load_on(&others);
    for edge in edges {
        stack.cluster.start_alone(*edge);
    }
    let taken = stack.await_new_clients_on(edges);
    println!("back and ready, {edges:?} take new clients after {taken:?}");
    assert!(taken < RETURN_MAX, "new clients come after {taken:?}");
    stack.cluster.await_complete();
    stack.await_load_on(&others);
    let (code, outcome) = probe.finish();
    check(code, &outcome, edges, BACK_MAX);
}

#[test]
fn the_clients_of_an_edge_that_hangs_are_back_within_four_seconds() {
    const OTHERS: [usize; 3] = [1, 3, 4];
    let Some(mut stack) = Stack::start(Setup::default(), &[]) else { return };
    let probe = stack.load();
    stack.cluster.node(2).edge.signal("STOP");
    await_all_sessions(&stack, &OTHERS);
    eventually("the others give it up", || !stack.only(&OTHERS).any(is_complete));
    stack.await_load_on(&OTHERS);
    stack.cluster.node(2).edge.signal("CONT");
    let continued = Instant::now();
    let taken = stack.await_new_clients_on(&[2]);
    eventually("the mesh heals", || stack.living().all(is_complete));
    println!(
        "once it goes on, it takes new clients after {taken:?}; the mesh is whole after {:?}",
        continued.elapsed()
    );
    let mut newcomer = stack.join_one_of(&[2]);
    newcomer.subscribe("com.example.test1.binary", "{}", "sub");
    newcomer.receive();
    stack.await_load_on(&OTHERS);
    let (code, outcome) = probe.finish();
    check(code, &outcome, &[2], BACK_FROM_HANG_MAX);
}

/// Waits until these edges have all sessions of the load.
fn await_all_sessions(stack: &Stack, edges: &[usize]) {
    eventually("all sessions are back", || stack.only(edges).map(sessions).sum::<u64>() == all_sessions());
}

/// Exactly the clients of these edges were away, for no longer than that, and nothing else is missing anywhere.
fn check(code: i32, outcome: &Value, edges: &[usize], away_max: Duration) {
    let (again, events) = (&outcome["reconnects"], &outcome["events"]);
    println!(
        "{} of {} sessions were away: until subscribed again median {:.0} ms, most {:.0} ms; from the last event \
         before to the first after median {:.0} ms, most {:.0} ms",
        again["lost"],
        all_sessions(),
        number(&again["away_median"]),
        number(&again["away_max"]),
        number(&again["gap_median"]),
        number(&again["gap_max"]),
    );
    for figure in ["received", "lost", "duplicated", "reordered", "missed_while_away", "lost_with_publisher"] {
        println!("  {figure}: {}", events[figure]);
    }
    println!("  longest time without an event, per node of publishers: {}", outcome["silences_ms"]);
    let dead: Vec<String> = edges.iter().map(|edge| name(*edge)).collect();
    let outages = again["outages"].as_array().expect("a list");
    for outage in outages {
        let from = outage["from"].as_str().expect("the edge that was lost");
        let to = outage["to"].as_str().unwrap_or_else(|| panic!("it is back: {outage}"));
        assert!(dead.iter().any(|edge| edge == from), "a client of a living edge was cut off: {outage}");
        assert!(dead.iter().all(|edge| edge != to), "a client was sent to a dead edge: {outage}");
        // From the last event before to the first after: the loss, its discovery and the way back.
        let gap = Duration::from_secs_f64(number(&outage["gap_ms"]) / 1_000.0);
        assert!(gap < away_max, "{gap:?} without events: {outage}");
    }
    assert_eq!(outages.len() as u64, per_edge() * edges.len() as u64, "each client of {dead:?}, once");
    for nothing in ["lost", "duplicated", "reordered", "corrupted", "unanswered"] {
        assert_eq!(events[nothing], 0, "{nothing}: {events}");
    }
    assert_eq!(outcome["sessions_absent"], 0);
    assert_eq!(code, 0, "{events}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Until the clients of a killed edge are subscribed again.
const BACK_MAX: Duration = Duration::from_secs(1);
/// The same for an edge that hangs, which has to be noticed first.
const BACK_FROM_HANG_MAX: Duration = Duration::from_secs(4);
/// Until an edge that is back takes new clients.
const RETURN_MAX: Duration = Duration::from_secs(2);
