//! Calls between nodes.

use super::{answer_next, traffic};
use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;
use crossbar_cluster::wire::Value;

/// There a prefix or wildcard was mirrored as if it were an exact URI. Here the best match of the cluster is called,
/// whichever node has it.
#[test]
fn patterns_of_procedures_cross() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut callees: Vec<_> = (1..=3).map(|node| cluster.node(node).join("callee")).collect();
    callees[0].register("com.a.b", r#"{"match": "prefix"}"#, "prefix");
    callees[1].register("com..c", r#"{"match": "wildcard"}"#, "wildcard");
    callees[2].register("com.a.b.d", "{}", "exact");
    for node in 1..=3 {
        let mut caller = cluster.node(node).join("caller");
        for (procedure, expected) in [("com.a.b.x", 0), ("com.x.c", 1), ("com.a.b.d", 2)] {
            caller.send(&format!(r#"[48, #, {{}}, "{procedure}"]"#));
            assert_eq!(answer_next(&mut all(&mut callees)), expected, "{procedure} from node {node}");
            caller.expect(&format!("[50, #, {{}}, [{expected}]]"));
        }
    }
}

/// There each node could keep a registration of its own, and answered `no_such_procedure` when that one had left.
#[test]
fn a_single_procedure_is_the_same_on_every_node() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut first = cluster.node(1).join("first");
    first.register("com.one", "{}", "reg");
    let mut others: Vec<_> = (2..=3).map(|node| cluster.node(node).join("other")).collect();
    for other in &mut others {
        other.send(r#"[64, #, {}, "com.one"]"#);
        other.expect(r#"[8, 64, #, {...}, "wamp.error.procedure_already_exists", ...]"#);
        other.call("wamp.registration.lookup", r#"["com.one"]"#, "[$reg]");
        other.send(r#"[48, #, {}, "com.one"]"#);
        answer_next(&mut [&mut first]);
        other.expect("[50, #, {}, [0]]");
    }
    drop(first);
    for other in &mut others {
        await_gone(other, "com.one");
        other.call("wamp.registration.lookup", r#"["com.one"]"#, "[null]");
    }
}

/// There `force_reregister` on one node left the registration of another active.
#[test]
fn who_takes_a_procedure_takes_it_on_every_node() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut callees: Vec<_> = (1..=3).map(|node| cluster.node(node).join("callee")).collect();
    let mut callers: Vec<_> = (1..=3).map(|node| cluster.node(node).join("caller")).collect();
    callees[0].register("com.throne", "{}", "reg");
    for taker in [1, 2, 0] {
        callees[taker].register("com.throne", r#"{"force_reregister": true}"#, "reg");
        // The one before it was on the node before its own.
        callees[(taker + 2) % 3].expect(r#"[67, 0, {"registration": $reg, ...}]"#);
        for caller in &mut callers {
            caller.send(r#"[48, #, {}, "com.throne"]"#);
            assert_eq!(answer_next(&mut all(&mut callees)), taker);
            caller.expect(&format!("[50, #, {{}}, [{taker}]]"));
        }
    }
}

/// There a whole node counted as one callee, and links of links as further ones, so that some callees had most calls.
#[test]
fn every_shared_callee_of_the_cluster_has_its_share() {
    let mut cluster = Cluster::start(3, Setup { limits: PATIENT, ..Setup::default() });
    let mut callees: Vec<_> = [1, 1, 2].map(|node| cluster.node(node).join("callee")).into();
    for callee in &mut callees {
        callee.register("com.shared", r#"{"invoke": "roundrobin"}"#, "reg");
    }
    settle(&mut callees, "roundrobin");
    // The third node has none, and its callers are served alike.
    for node in [3, 2, 1] {
        let mut caller = cluster.node(node).join("caller");
        let mut n_calls = [0; 3];
        for _ in 0..9 {
            caller.send(r#"[48, #, {}, "com.shared"]"#);
            n_calls[answer_next(&mut all(&mut callees))] += 1;
            caller.expect("[50, #, {}, [$_]]");
        }
        assert_eq!(n_calls, [3, 3, 3], "from node {node}");
    }
}

/// There `first` was the link and `last` another callee on each node.
#[test]
fn first_and_last_are_the_same_callee_from_every_node() {
    let mut cluster = Cluster::start(3, Setup { limits: PATIENT, ..Setup::default() });
    for (invoke, expected) in [("first", 0), ("last", 2)] {
        let mut callees: Vec<_> = [2, 1, 3].map(|node| cluster.node(node).join("callee")).into();
        for callee in &mut callees {
            callee.register(&format!("com.{invoke}"), &format!(r#"{{"invoke": "{invoke}"}}"#), "reg");
        }
        settle(&mut callees, invoke);
        for node in 1..=3 {
            let mut caller = cluster.node(node).join("caller");
            caller.send(&format!(r#"[48, #, {{}}, "com.{invoke}"]"#));
            assert_eq!(answer_next(&mut all(&mut callees)), expected, "{invoke} from node {node}");
            caller.expect("[50, #, {}, [$_]]");
        }
    }
}

/// There a call to the only callee of a shared procedure bounced between nodes for up to 100 ms, and one to a single
/// procedure took whichever way had been mirrored first and forgot who had called.
#[test]
fn a_call_goes_straight_to_the_node_of_its_callee() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut carol = cluster.node(2).join_as("carol");
    for (procedure, invoke) in [("com.shared", "roundrobin"), ("com.single", "single")] {
        callee.register(procedure, &format!(r#"{{"invoke": "{invoke}"}}"#), "reg");
        let before = [1, 2, 3].map(|node| traffic(&mut cluster, node, "invocation"));
        for _ in 0..10 {
            carol.send(&format!(r#"[48, #, {{}}, "{procedure}"]"#));
            let invocation = callee.receive();
            let details = invocation[3].as_dict().expect("details");
            assert_eq!(details.uint("caller"), Some(carol.id("carol")));
            assert_eq!((details.str("caller_authid"), details.str("caller_authrole")), (Some("carol"), Some("known")));
            let request = invocation[1].as_uint().expect("an id");
            callee.send(&format!("[70, {request}, {{}}, [1]]"));
            carol.expect("[50, #, {}, [1]]");
        }
        let after = [1, 2, 3].map(|node| traffic(&mut cluster, node, "invocation"));
        let grown = [0, 1, 2].map(|node| [after[node][0] - before[node][0], after[node][1] - before[node][1]]);
        assert_eq!(grown, [[10, 10], [0, 10], [0, 0]], "once over the link, once to the callee, and nowhere else");
    }
}

/// There a call went from link to link for ever, 2000 times a second, when the callees of a shared procedure had left,
/// and its caller had no answer.
#[test]
fn calls_end_when_the_shared_callees_have_left() {
    for n_nodes in [2, 3] {
        let mut cluster = Cluster::start(n_nodes, Setup::default());
        for round in 0..5 {
            let procedure = format!("com.shared{round}");
            let mut callees: Vec<_> = (1..=n_nodes).map(|node| cluster.node(node).join("callee")).collect();
            for callee in &mut callees {
                callee.register(&procedure, r#"{"invoke": "roundrobin"}"#, "reg");
            }
            // One is cut off, the others say goodbye.
            let rest = callees.split_off(1);
            drop(callees);
            rest.into_iter().for_each(|mut callee| callee.goodbye());
            for node in 1..=n_nodes {
                let mut caller = cluster.node(node).join("caller");
                await_gone(&mut caller, &procedure);
            }
        }
        let before: Vec<_> = (1..=n_nodes).map(|node| traffic(&mut cluster, node, "invocation")).collect();
        let mut caller = cluster.node(1).join("caller");
        caller.call_fails("com.shared0", "", "wamp.error.no_such_procedure");
        let after: Vec<_> = (1..=n_nodes).map(|node| traffic(&mut cluster, node, "invocation")).collect();
        assert_eq!(before, after, "nothing is under way any more");
    }
}

/// There CANCEL raised an error within the node of the caller, which never had an answer; the callee went on.
#[test]
fn every_way_to_cancel_is_answered_and_reaches_the_callee() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut caller = cluster.node(2).join("caller");
    callee.register("com.work", "{}", "reg");
    for (request, mode) in ["kill", "killnowait", "skip"].into_iter().enumerate() {
        let request = request + 1;
        caller.send(r#"[48, #, {}, "com.work"]"#);
        callee.expect(&format!("[68, {request}, $reg, {{...}}]"));
        caller.send(&format!(r#"[49, {request}, {{"mode": "{mode}"}}]"#));
        if mode != "skip" {
            callee.expect(&format!("[69, {request}, {{...}}]"));
        }
        if mode == "kill" {
            // The caller waits for what the callee says to it.
            callee.send(&format!(r#"[8, 68, {request}, {{}}, "com.error.interrupted", ["half"], {{"done": 50}}]"#));
            caller.expect(r#"[8, 48, #, {...}, "com.error.interrupted", ["half"], {"done": 50}]"#);
        } else {
            caller.expect(r#"[8, 48, #, {...}, "wamp.error.canceled", ...]"#);
            callee.send(&format!("[70, {request}, {{}}, [\"too late\"]]"));
        }
    }
    callee.sync();
    caller.expect_nothing();
}

/// There the caller got the result `[null]`.
#[test]
fn a_callee_that_is_cut_off_is_an_error_to_its_callers() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut caller = cluster.node(2).join("caller");
    callee.register("com.work", "{}", "reg");
    caller.send(r#"[48, #, {}, "com.work"]"#);
    callee.expect("[68, 1, $reg, {...}]");
    drop(callee);
    caller.expect(r#"[8, 48, #, {...}, "wamp.error.canceled", ...]"#);
}

/// There each forwarded call wrote two lines.
#[test]
fn a_forwarded_call_is_not_worth_a_line_in_the_log() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut caller = cluster.node(2).join("caller");
    callee.register("com.work", "{}", "reg");
    for _ in 0..100 {
        caller.send(r#"[48, #, {}, "com.work"]"#);
        answer_next(&mut [&mut callee]);
        caller.expect("[50, #, {}, [0]]");
    }
    for node in 1..=2 {
        let log = cluster.node(node).edge.log();
        assert!(log.lines().count() < 50 && !log.contains("com.work"), "node {node} has logged:\n{log}");
    }
}

/// Not measured there, because there were none: a CALL in parts goes to the same callee, on whatever node.
#[test]
fn parts_of_a_call_cross() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    let mut caller = cluster.node(2).join("caller");
    callee.register("com.collect", "{}", "reg");
    let request = caller.next_request();
    for part in 0..3 {
        let progress = part < 2;
        let options = format!(r#"{{"progress": {progress}, "receive_progress": true}}"#);
        caller.send(&format!(r#"[48, {request}, {options}, "com.collect", [{part}]]"#));
        let told = if progress { r#""progress": true, "# } else { "" };
        callee.expect(&format!("[68, 1, $reg, {{{told}\"receive_progress\": true, ...}}, [{part}]]"));
        callee.send(&format!("[70, 1, {{\"progress\": {progress}}}, [{part}]]"));
        let message = caller.receive();
        assert_eq!(message[..2], [Value::Uint(50), Value::Uint(request)]);
        assert_eq!(message[2].as_dict().and_then(|details| details.bool("progress")), progress.then_some(true));
    }
}

/// A callee works on as many invocations as it said, whichever nodes they come from: its own node counts them.
#[test]
fn the_concurrency_of_a_callee_holds_for_callers_of_all_nodes() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut callee = cluster.node(1).join("callee");
    callee.register("com.narrow", r#"{"concurrency": 2}"#, "reg");
    let mut callers: Vec<_> = (1..=3).map(|node| cluster.node(node).join("caller")).collect();
    for caller in &mut callers {
        caller.send(r#"[48, #, {}, "com.narrow"]"#);
        caller.send(r#"[48, #, {}, "com.narrow"]"#);
    }
    let mut working = Vec::new();
    for n_done in 0..6 {
        while working.len() < 2.min(6 - n_done) {
            working.push(callee.receive()[1].as_uint().expect("an id"));
        }
        // What a call of the meta API has been through, the calls of that node have been before.
        for caller in &mut callers {
            caller.sync();
        }
        callee.expect_nothing();
        callee.send(&format!("[70, {}, {{}}, []]", working.remove(0)));
    }
    for caller in &mut callers {
        caller.expect("[50, $_, {}]");
        caller.expect("[50, $_, {}]");
    }
}

/// A node has the time that a busy machine takes to hear of all others what they confirm.
const PATIENT: &str = "settle_max = \"5s\"";

/// All nodes know how many callees there are: they confirm what comes behind that on the same link.
fn settle(callees: &mut [Client], name: &str) {
    for (n, callee) in callees.iter_mut().enumerate() {
        callee.subscribe(&format!("com.barrier.{name}{n}"), "{}", "barrier");
    }
}

fn all(clients: &mut [Client]) -> Vec<&mut Client> {
    clients.iter_mut().collect()
}

/// Waits until the node of this caller knows that nobody answers the procedure any more. Every call has an answer.
fn await_gone(caller: &mut Client, procedure: &str) {
    let gone = (0..1_000).any(|_| {
        caller.send(&format!(r#"[48, #, {{}}, "{procedure}"]"#));
        let answer = caller.receive();
        assert_eq!(answer[0], Value::Uint(8), "{answer:?}");
        answer[4].as_str() == Some("wamp.error.no_such_procedure")
    });
    assert!(gone, "{procedure} is never gone");
}
