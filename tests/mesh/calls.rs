//! Calls across the mesh.

use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;
use crossbar_cluster::wire::Value;

#[test]
fn results_errors_and_identity_cross_unchanged() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut carol = cluster.node(2).join_as("carol");
    callee.register("com.add", "{}", "reg");
    carol.send(r#"[48, #, {}, "com.add", [1, 2], {"k": "v"}]"#);
    callee.expect(
        r#"[68, 1, $reg, {"caller": $carol, "caller_authid": "carol", "caller_authrole": "known", ...}, [1, 2], {"k": "v"}]"#,
    );
    callee.send("[70, 1, {}, [3]]");
    carol.expect("[50, #, {}, [3]]");
    carol.send(r#"[48, #, {}, "com.add", []]"#);
    callee.expect("[68, 2, $reg, {...}]");
    callee.send(r#"[8, 68, 2, {}, "com.error.wrong", ["boom"], {"code": 7}]"#);
    carol.expect(r#"[8, 48, #, {...}, "com.error.wrong", ["boom"], {"code": 7}]"#);
    carol.call_fails("com.nobody", "", "wamp.error.no_such_procedure");
}

#[test]
fn progress_cancel_and_timeout_cross() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut caller = cluster.node(2).join("caller");
    callee.register("com.work", "{}", "reg");
    caller.send(r#"[48, #, {"receive_progress": true}, "com.work"]"#);
    callee.expect(r#"[68, 1, $reg, {"receive_progress": true, ...}]"#);
    callee.send(r#"[70, 1, {"progress": true}, [50]]"#);
    caller.expect(r#"[50, #, {"progress": true}, [50]]"#);
    callee.send("[70, 1, {}, [100]]");
    caller.expect("[50, #, {}, [100]]");
    caller.send(r#"[48, #, {}, "com.work"]"#);
    callee.expect("[68, 2, $reg, {...}]");
    caller.send(r#"[49, 2, {"mode": "killnowait"}]"#);
    caller.expect(r#"[8, 48, 2, {...}, "wamp.error.canceled", ...]"#);
    callee.expect("[69, 2, {...}]");
    caller.send(r#"[48, #, {"timeout": 50}, "com.work"]"#);
    callee.expect("[68, 3, $reg, {...}]");
    caller.expect(r#"[8, 48, #, {...}, "wamp.error.timeout", ...]"#);
    callee.expect("[69, 3, {...}]");
}

#[test]
fn single_is_single_on_all_nodes() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut first = cluster.node(1).join("first");
    let mut second = cluster.node(2).join("second");
    first.register("com.one", "{}", "reg");
    second.send(r#"[64, #, {}, "com.one"]"#);
    second.expect(r#"[8, 64, #, {...}, "wamp.error.procedure_already_exists", ...]"#);
    second.send(r#"[64, #, {"invoke": "random"}, "com.one"]"#);
    second.expect(r#"[8, 64, #, {...}, $_, ...]"#);
    first.send("[66, #, $reg]");
    first.expect("[67, #]");
    // What is given up on one node is free on the others as soon as the word has travelled.
    let answer = (0..1_000).find_map(|_| {
        second.send(r#"[64, #, {}, "com.one"]"#);
        let answer = second.receive();
        (answer[0] == Value::Uint(65)).then_some(answer)
    });
    assert!(answer.is_some(), "the name is never free again");
    let mut third = cluster.node(3).join("third");
    third.send(r#"[64, #, {"force_reregister": true}, "com.one"]"#);
    third.expect("[65, #, $_]");
    second.expect(r#"[67, 0, {"registration": $reg, ...}]"#);
}

#[test]
fn of_two_that_race_one_is_registered() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut one = cluster.node(1).join("one");
    let mut two = cluster.node(2).join("two");
    for round in 0..20 {
        one.send(&format!(r#"[64, #, {{}}, "com.race{round}"]"#));
        two.send(&format!(r#"[64, #, {{}}, "com.race{round}"]"#));
        let answers = [one.receive(), two.receive()].map(|message| message[0].as_uint().expect("a code"));
        let n_registered = answers.iter().filter(|code| **code == 65).count();
        assert_eq!(n_registered, 1, "round {round}: {answers:?}");
    }
}

#[test]
fn a_shared_procedure_is_served_by_callees_of_all_nodes() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut here = cluster.node(1).join("here");
    let mut there = cluster.node(2).join("there");
    here.register("com.shared", r#"{"invoke": "roundrobin"}"#, "reg");
    there.send(r#"[64, #, {"invoke": "roundrobin"}, "com.shared"]"#);
    there.expect("[65, #, $reg]");
    let mut caller = cluster.node(1).join("caller");
    for n in 1..=3 {
        caller.send(r#"[48, #, {}, "com.shared"]"#);
        caller.send(r#"[48, #, {}, "com.shared"]"#);
        here.expect(&format!("[68, {n}, $reg, {{...}}]"));
        there.expect(&format!("[68, {n}, $reg, {{...}}]"));
        here.send(&format!("[70, {n}, {{}}, [\"here\"]]"));
        there.send(&format!("[70, {n}, {{}}, [\"there\"]]"));
        caller.expect("[50, $_, {}, [$_]]");
        caller.expect("[50, $_, {}, [$_]]");
    }
}

#[test]
fn a_callee_that_leaves_answers_callers_of_other_nodes() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut caller = cluster.node(2).join("caller");
    callee.register("com.work", "{}", "reg");
    caller.send(r#"[48, #, {}, "com.work"]"#);
    callee.expect("[68, 1, $reg, {...}]");
    callee.goodbye();
    caller.expect(r#"[8, 48, #, {...}, "wamp.error.canceled", ...]"#);
}
