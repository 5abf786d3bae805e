//! The callee's node dies or hangs while calls are under way: each call has one final answer, and soon.

use crate::harness::client::Client;
use crate::harness::cluster::is_complete;
use crate::harness::probe::Backend;
use crate::harness::router::{Router, Setup, eventually};
use crate::stack::{Stack, all_sessions};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn a_reset_answers_every_call_within_a_second() {
    lose_a_callees_node("KILL", RESET_MAX);
}

#[test]
fn silence_answers_every_call_within_three_seconds() {
    lose_a_callees_node("STOP", SILENCE_MAX);
}

/// The original's callees, one on each node, are called by the load and by a session on each node that stays. The node
/// of one of them is lost in the middle of calls.
fn lose_a_callees_node(signal: &str, answered_max: Duration) {
    let Some(mut stack) = Stack::start(Setup::default(), &[]) else { return };
    let urls = stack.living().map(|router| router.edge.url("ws").to_owned());
    let backends: Vec<Backend> =
        urls.zip(1..).map(|(url, node)| Backend::start(&url, &format!("node{node}.container1"))).collect();
    let probe = stack.load();
    let mut callers: Vec<Client> = [1, 3, 4].map(|edge| stack.join_one_of(&[edge])).into();
    let held = Instant::now();
    if signal == "KILL" {
        // The callee does not answer from now on, so that every caller has a call there when the node is lost.
        backends[LOST - 1].signal("STOP");
        callers.iter_mut().for_each(call);
        let expected = all_sessions() + callers.len() as u64;
        eventually("every caller waits", || under_way(stack.cluster.node(LOST)) >= expected);
    }
    let held = held.elapsed();
    let lost = Instant::now();
    stack.cluster.node(LOST).edge.signal(signal);
    if signal == "STOP" {
        callers.iter_mut().for_each(call);
    }
    for caller in &mut callers {
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.network_failure", ...]"#);
        let answered = lost.elapsed();
        println!("a call from another edge has its answer {answered:?} after SIG{signal}");
        assert!(answered < answered_max, "answered after {answered:?}");
    }
    backends[LOST - 1].signal("CONT");
    if signal == "STOP" {
        stack.cluster.node(LOST).edge.signal("CONT");
    } else {
        stack.cluster.kill(LOST);
        stack.cluster.start_alone(LOST);
    }
    eventually("the mesh heals", || stack.living().all(is_complete));
    for caller in &mut callers {
        eventually("the callee can be called again", || {
            call(caller);
            caller.receive()[0] == RESULT.into()
        });
    }
    stack.await_load_on(&[1, 3, 4]);
    // The answers of a node that goes on may come now: nobody waits for them any more.
    callers.iter_mut().for_each(Client::expect_nothing);
    let (_, outcome) = probe.finish();
    check(&outcome, held + answered_max);
}

fn call(caller: &mut Client) {
    caller.send(r#"[48, #, {}, "node2.container1.proc1", ["payload"]]"#);
}

/// Invocations of a node's callees, and over its links, that have no answer yet.
fn under_way(router: &mut Router) -> u64 {
    let asked = router.metric("crossbar_messages_total{type=\"invocation\",direction=\"out\"}");
    asked.saturating_sub(router.metric("crossbar_messages_total{type=\"yield\",direction=\"in\"}"))
}

/// Every call of the load has one answer, unless its caller was on the lost node itself; none after more than that.
fn check(outcome: &Value, answered_max: Duration) {
    let calls = &outcome["calls"];
    let number = |name: &str| calls[name].as_u64().unwrap_or_else(|| panic!("{name} in {calls}"));
    let errors: u64 = calls["errors"].as_object().expect("a table").values().filter_map(Value::as_u64).sum();
    println!("{calls:#}");
    assert_eq!(number("unexpected"), 0, "an answer too many");
    assert_eq!(number("unanswered"), 0, "an answer too few");
    assert_eq!(number("wrong"), 0);
    assert_eq!(number("answered") + errors + number("abandoned"), number("issued"));
    assert!(calls["errors"]["wamp.error.network_failure"].as_u64().is_some_and(|n| n > 0), "calls were under way");
    let slowest = Duration::from_secs_f64(calls["error_latency_ms"]["max"].as_f64().expect("a number") / 1_000.0);
    assert!(slowest < answered_max, "an error came after {slowest:?}");
}

/// The node whose callee is called.
const LOST: usize = 2;
const RESULT: u64 = 50;
/// Until calls to a node whose connections were reset have their answers.
const RESET_MAX: Duration = Duration::from_secs(1);
/// Until calls to a node that is silent have them.
const SILENCE_MAX: Duration = Duration::from_secs(3);
