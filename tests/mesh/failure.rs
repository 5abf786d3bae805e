//! What the death of a node costs, and that it heals.

use crate::harness::cluster::{Cluster, is_complete, mesh_of};
use crate::harness::router::{Setup, eventually};
use std::time::Instant;

#[test]
fn a_killed_node_answers_its_calls_and_leaves_nothing_behind() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut callee = cluster.node(2).join("callee");
    callee.register("com.work", "{}", "reg");
    callee.subscribe("com.topic", "{}", "sub");
    let mut caller = cluster.node(1).join("caller");
    caller.send(r#"[48, #, {}, "com.work"]"#);
    callee.expect("[68, 1, $reg, {...}]");
    let killed = Instant::now();
    cluster.kill(2);
    caller.expect(r#"[8, 48, #, {...}, "wamp.error.network_failure", ...]"#);
    println!("a reset link answers its calls after {:?}", killed.elapsed());
    caller.call_fails("com.work", "", "wamp.error.no_such_procedure");
    caller.call("wamp.subscription.lookup", r#"["com.topic"]"#, "[null]");
    let mut again = cluster.node(3).join("again");
    again.register("com.work", "{}", "reg");
    cluster.restart(2);
    let mut back = cluster.node(2).join("back");
    back.send(r#"[48, #, {}, "com.work"]"#);
    again.expect("[68, 1, $reg, {...}]");
    again.send("[70, 1, {}, [\"there\"]]");
    back.expect(r#"[50, #, {}, ["there"]]"#);
}

#[test]
fn a_frozen_node_is_noticed_and_comes_back() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(2).join("callee");
    callee.register("com.work", "{}", "reg");
    let mut caller = cluster.node(1).join("caller");
    let mut neighbour = cluster.node(1).join("neighbour");
    neighbour.subscribe("com.local", "{}", "local");
    cluster.node(2).edge.signal("STOP");
    let frozen = Instant::now();
    caller.send(r#"[48, #, {}, "com.work"]"#);
    caller.send(r#"[16, #, {}, "com.local", ["meanwhile"]]"#);
    neighbour.expect(r#"[36, $local, $_, {...}, ["meanwhile"]]"#);
    caller.expect(r#"[8, 48, $_, {...}, "wamp.error.network_failure", ...]"#);
    println!("a silent link answers its calls after {:?}", frozen.elapsed());
    eventually("the frozen node counts as lost", || {
        mesh_of(cluster.routers[0].as_ref().expect("runs"))["is_complete"] == false
    });
    cluster.node(2).edge.signal("CONT");
    eventually("the mesh heals", || cluster.routers.iter().flatten().all(is_complete));
    let mut callee = cluster.node(2).join("callee2");
    callee.subscribe("com.after", "{}", "after");
    caller.send(r#"[16, #, {}, "com.after", [1]]"#);
    callee.expect("[36, $after, $_, {...}, [1]]");
}
