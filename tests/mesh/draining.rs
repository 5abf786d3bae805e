//! A node lets its clients go while every one of them always has calls under way.

use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::router::{ALL_ROLES, Setup, eventually};
use crossbar_cluster::wire::{Dict, Value};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CALLERS: usize = 3;
const CALLS_IN_FLIGHT: usize = 20;

/// The callers and the only callee are on the drained edge, and one caller is on the other.
#[test]
fn a_drain_cancels_no_call_however_busy_its_clients_are() {
    let mut cluster = Cluster::start(2, Setup { node: "drain_time = \"3s\"", ..Setup::default() });
    let mut callee = cluster.node(1).join("callee");
    callee.register("com.work", "{}", "reg");
    let mut callers: Vec<Client> = (0..CALLERS).map(|n| cluster.node(1).join(&format!("caller{n}"))).collect();
    callers.push(cluster.node(2).join("far"));
    // Where they go when they are sent away: connected already, and without a session until then.
    let mut elsewhere: Vec<Client> = (0..=callers.len()).map(|_| cluster.node(2).connect()).collect();
    let (is_over, n_answered) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    thread::scope(|scope| {
        let next = elsewhere.pop().expect("one for each");
        let callee = scope.spawn(|| work(callee, next, is_over));
        let callers: Vec<_> = callers.into_iter().zip(elsewhere).collect();
        let callers: Vec<_> = callers
            .into_iter()
            .map(|(caller, next)| scope.spawn(move || Calls::default().make(caller, next, is_over, n_answered)))
            .collect();
        let await_answers = |what: &str| {
            let before = n_answered.load(Ordering::Relaxed);
            eventually(what, || n_answered.load(Ordering::Relaxed) >= before + 400);
        };
        await_answers("calls are answered");
        let mut drained = cluster.routers[0].take().expect("it is running");
        drained.edge.signal("TERM");
        assert!(drained.edge.await_exit().success());
        await_answers("calls are answered by the callee in its new place");
        is_over.store(true, Ordering::Relaxed);
        for caller in callers {
            assert_eq!(caller.join().expect("no caller panics"), Vec::<String>::new(), "errors of one caller");
        }
        assert_eq!(callee.join().expect("the callee does not panic"), 0, "calls were cancelled at the callee");
    });
}

/// The calls of one caller.
#[derive(Default)]
struct Calls {
    open: BTreeSet<u64>,
    n_made: u64,
    errors: Vec<String>,
}

impl Calls {
    /// Has so many calls in flight until it is over. A call without an answer when GOODBYE comes has never been made.
    /// Returns the errors.
    fn make(mut self, mut caller: Client, next: Client, is_over: &AtomicBool, n_answered: &AtomicUsize) -> Vec<String> {
        let mut next = Some(next);
        loop {
            while self.open.len() < CALLS_IN_FLIGHT && !is_over.load(Ordering::Relaxed) {
                self.n_made += 1;
                self.open.insert(self.n_made);
                caller.send(&format!(r#"[48, {}, {{}}, "com.work"]"#, self.n_made));
            }
            if self.open.is_empty() {
                return self.errors;
            }
            match &caller.receive()[..] {
                [Value::Uint(50), Value::Uint(request), ..] => {
                    assert!(self.open.remove(request), "CALL {request} has an answer too many");
                    n_answered.fetch_add(1, Ordering::Relaxed);
                }
                [Value::Uint(8), _, Value::Uint(request), _, Value::String(error), ..] => {
                    self.open.remove(request);
                    self.errors.push(error.clone());
                }
                [Value::Uint(6), ..] => {
                    caller = move_on(caller, next.take());
                    for request in &self.open {
                        caller.send(&format!(r#"[48, {request}, {{}}, "com.work"]"#));
                    }
                }
                other => panic!("a caller does not expect {other:?}"),
            }
        }
    }
}

/// Answers every call after 10 to 50 ms. Returns how often it was interrupted.
fn work(mut callee: Client, next: Client, is_over: &AtomicBool) -> usize {
    let (mut next, mut due, mut n_interrupts) = (Some(next), BTreeMap::new(), 0);
    while !is_over.load(Ordering::Relaxed) || !due.is_empty() {
        while let Some((time, invocation)) = due.first_key_value().map(|(key, ())| *key)
            && time <= Instant::now()
        {
            due.remove(&(time, invocation));
            callee.send_message(&[Value::Uint(70), Value::Uint(invocation), Value::Dict(Dict::new())]);
        }
        if !callee.has_arrived() {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        match &callee.receive()[..] {
            [Value::Uint(68), Value::Uint(invocation), ..] => {
                let time = Instant::now() + Duration::from_millis(rand::rng().random_range(10..50));
                due.insert((time, *invocation), ());
            }
            [Value::Uint(69), ..] => n_interrupts += 1,
            [Value::Uint(6), ..] => {
                assert!(due.is_empty(), "it is sent away with {} calls under way", due.len());
                callee = move_on(callee, next.take());
                callee.register("com.work", "{}", "elsewhere");
            }
            other => panic!("a callee does not expect {other:?}"),
        }
    }
    n_interrupts
}

/// Answers GOODBYE, and opens a session on the other edge.
fn move_on(mut client: Client, next: Option<Client>) -> Client {
    client.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
    let mut next = next.expect("nobody is sent away twice");
    // Not by `hello`: the names of all clients are one table.
    next.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
    assert_eq!(next.receive()[0], Value::Uint(2), "WELCOME");
    next
}
