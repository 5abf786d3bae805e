//! A client that sends from many threads: each draws a request id, and they leave in another order than they were
//! drawn.

use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;
use crossbar_cluster::wire::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

const THREADS: u64 = 16;
const CALLS_PER_THREAD: u64 = 25;

#[test]
fn every_call_of_16_threads_is_answered_on_one_edge() {
    every_call_is_answered(1);
}

#[test]
fn every_call_of_16_threads_is_answered_over_a_link() {
    every_call_is_answered(2);
}

/// The callee is on the last of so many edges, the caller on the first.
fn every_call_is_answered(n_edges: usize) {
    let mut cluster = Cluster::start(n_edges, Setup::default());
    let mut callee = cluster.node(n_edges).join("callee");
    let mut caller = cluster.node(1).join("caller");
    callee.register("com.echo", "{}", "reg");
    let n_calls = THREADS * CALLS_PER_THREAD;
    thread::scope(|scope| {
        scope.spawn(|| (0..n_calls).for_each(|_| echo(&mut callee)));
        let requests = send_from_threads(&mut caller);
        assert_eq!(requests.len() as u64, n_calls);
        assert!(!requests.is_sorted(), "the ids left out of order");
        let mut unanswered: BTreeSet<u64> = requests.into_iter().collect();
        while !unanswered.is_empty() {
            let answer = caller.receive();
            let [Value::Uint(50), Value::Uint(request), _, Value::List(args)] = &answer[..] else {
                panic!("{answer:?} is no RESULT");
            };
            assert_eq!(args[..], [Value::Uint(*request)], "the answer to another call");
            assert!(unanswered.remove(request), "CALL {request} is answered twice");
        }
    });
    caller.expect_nothing();
}

/// Sends CALLs whose argument is their request id. Returns the ids in the order in which they left.
fn send_from_threads(caller: &mut Client) -> Vec<u64> {
    let (caller, next, left) = (Mutex::new(caller), AtomicU64::new(1), Mutex::new(Vec::new()));
    let all_have_drawn = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let (caller, next, left, all_have_drawn) = (&caller, &next, &left, &all_have_drawn);
            scope.spawn(move || {
                for _ in 0..CALLS_PER_THREAD {
                    let request = next.fetch_add(1, Ordering::Relaxed);
                    all_have_drawn.wait();
                    let mut caller = caller.lock().expect("no thread panics with it");
                    caller.send(&format!(r#"[48, {request}, {{}}, "com.echo", [{request}]]"#));
                    left.lock().expect("no thread panics with it").push(request);
                }
            });
        }
    });
    left.into_inner().expect("no thread has panicked")
}

fn echo(callee: &mut Client) {
    let invocation = callee.receive();
    let [Value::Uint(68), Value::Uint(request), _, _, args] = &invocation[..] else {
        panic!("{invocation:?} is no INVOCATION");
    };
    callee.send_message(&[Value::Uint(70), Value::Uint(*request), Value::Dict(Default::default()), args.clone()]);
}
