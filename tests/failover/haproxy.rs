//! The shipped `haproxy.cfg`: it notices an edge that is dead or hangs, ends the sessions to it, and leaves those alone
//! that say nothing but answer pings.

use crate::harness::router::{Setup, eventually};
use crate::stack::{Stack, name};
use std::time::{Duration, Instant};

#[test]
fn an_edge_that_hangs_is_out_and_its_sessions_are_ended() {
    let Some(mut stack) = Stack::start(Setup::default(), &[]) else { return };
    // Sessions that are idle: nothing tells HAProxy but its own checks.
    let (mut client, node) = stack.join();
    let edge = number_of(&node);
    stack.cluster.node(edge).edge.signal("STOP");
    let stopped = Instant::now();
    client.expect_closed();
    let ended = stopped.elapsed();
    eventually("HAProxy knows", || !stack.haproxy.is_up(edge));
    println!(
        "a session to an edge that hangs is ended after {ended:?}: {}",
        stack.haproxy.statistic(edge, "check_status")
    );
    assert!(ended < NOTICED_MAX, "ended after {ended:?}");
    assert_eq!(stack.haproxy.statistic(edge, "scur"), "0", "no session is left on it");
    let others: Vec<_> = (0..8).map(|_| stack.join()).collect();
    assert!(others.iter().all(|(_, other)| *other != node), "nobody is sent there");
    stack.cluster.node(edge).edge.signal("CONT");
    let back = stack.await_new_clients_on(&[edge]);
    println!("when it goes on, it takes new clients after {back:?}");
    let violations = stack.cluster.node(edge).drops("transport_violation");
    assert_eq!(violations, 0, "the checks that were not answered in time violate nothing");
    assert!(back < NOTICED_MAX, "back after {back:?}");
}

#[test]
fn an_edge_that_is_dead_is_out_although_nobody_connects() {
    let Some(mut stack) = Stack::start(Setup::default(), &[]) else { return };
    let (mut client, node) = stack.join();
    let edge = number_of(&node);
    let killed = Instant::now();
    stack.cluster.kill(edge);
    client.expect_closed();
    println!("a session to a dead edge is ended after {:?}", killed.elapsed());
    eventually("HAProxy knows", || !stack.haproxy.is_up(edge));
    let noticed = killed.elapsed();
    println!("HAProxy has noticed after {noticed:?}: {}", stack.haproxy.statistic(edge, "check_status"));
    assert!(noticed < NOTICED_MAX, "noticed after {noticed:?}");
}

/// What makes HAProxy cut connections is scaled down, so that nobody has to wait for it.
#[test]
fn idle_sessions_that_answer_pings_are_never_cut() {
    let (client, server) = ("timeout client 30s", "timeout server 30s");
    let short = [(client, "timeout client 300ms"), (server, "timeout server 300ms")];
    // Three times as long as those timeouts passes between two pings; the shipped ones are three times as long as that.
    let setup = Setup { listen: "ping_interval = \"1s\"", ..Setup::default() };
    let Some(stack) = Stack::start(setup.clone(), &short) else { return };
    let (mut idle, node) = stack.join();
    while idle.n_pinged() < 3 {
        idle.await_ping();
    }
    idle.call("wamp.session.count", "", "[1]");
    println!("a session on {node} that has only answered {} pings is still there", idle.n_pinged());
    drop(stack);
    // That it can be cut at all: with the one timeout that holds for it.
    let shorter = [short[0], short[1], ("timeout tunnel 24h", "timeout tunnel 300ms")];
    let Some(stack) = Stack::start(setup, &shorter) else { return };
    let (mut idle, _) = stack.join();
    idle.expect_closed();
    assert_eq!(idle.n_pinged(), 0, "it is cut before the first ping");
}

fn number_of(node: &str) -> usize {
    (1..=4).find(|edge| name(*edge) == node).expect("one of the four")
}

/// Until HAProxy has noticed that an edge is dead or hangs, and has ended its sessions.
const NOTICED_MAX: Duration = Duration::from_secs(2);
