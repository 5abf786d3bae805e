//! The meta API sees the whole cluster, and says the same on every node.

use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;

#[test]
fn sessions_are_counted_listed_and_killed_over_all_nodes() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut one = cluster.node(1).join("one");
    let mut two = cluster.node(2).join("two");
    let mut three = cluster.node(3).join_as("carol");
    one.call("wamp.session.count", "", "[3]");
    two.call("wamp.session.count", "", "[3]");
    three.call("wamp.session.count", r#"[["known"]]"#, "[1]");
    one.call("wamp.session.get", "[$carol]", r#"[{"session": $carol, "authid": "carol", ...}]"#);
    one.call_fails("wamp.session.get", "[1234567]", "wamp.error.no_such_session");
    one.call("wamp.session.kill", "[$two]", "");
    two.expect(r#"[6, {...}, "wamp.close.killed"]"#);
    three.call("wamp.session.count", "", "[2]");
}

#[test]
fn registrations_and_subscriptions_have_the_same_ids_everywhere() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut one = cluster.node(1).join("one");
    let mut two = cluster.node(2).join("two");
    one.register("com.proc", r#"{"invoke": "random"}"#, "reg");
    one.subscribe("com.topic", "{}", "sub");
    two.call("wamp.registration.lookup", r#"["com.proc"]"#, "[$reg]");
    two.call("wamp.registration.match", r#"["com.proc"]"#, "[$reg]");
    two.call("wamp.registration.list_callees", "[$reg]", "[[$one]]");
    two.call("wamp.registration.count_callees", "[$reg]", "[1]");
    two.call("wamp.subscription.match", r#"["com.topic"]"#, "[[$sub]]");
    two.call("wamp.subscription.list_subscribers", "[$sub]", "[[$one]]");
    two.subscribe("com.topic", "{}", "sub");
    one.call("wamp.subscription.count_subscribers", "[$sub]", "[2]");
    one.call("wamp.registration.get", "[$reg]", r#"[{"id": $reg, "uri": "com.proc", "invoke": "random", ...}]"#);
}

#[test]
fn meta_events_reach_every_node() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut watcher = cluster.node(1).join("watcher");
    watcher.subscribe("wamp.session.on_join", "{}", "on_join");
    watcher.subscribe("wamp.session.on_leave", "{}", "on_leave");
    let mut guest = cluster.node(2).join("guest");
    watcher.expect(r#"[36, $on_join, $_, {...}, [{"session": $guest, ...}]]"#);
    guest.goodbye();
    watcher.expect("[36, $on_leave, $_, {...}, [$guest, $_, $_]]");
}

#[test]
fn testaments_are_published_on_every_node() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut heir = cluster.node(1).join("heir");
    heir.subscribe("com.will", "{}", "sub");
    let mut testator = cluster.node(2).join("testator");
    testator.send(r#"[48, #, {}, "wamp.session.add_testament", ["com.will", ["gone"], {}]]"#);
    testator.expect("[50, #, {...}, ...]");
    drop(testator);
    heir.expect(r#"[36, $sub, $_, {...}, ["gone"]]"#);
}

/// Also when it is not the first that the session has.
#[test]
fn ids_are_the_same_on_all_nodes() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut near = cluster.node(1).join("near");
    let mut far = cluster.node(2).join("far");
    for (register, unregister, registered) in [(64, 66, 65), (32, 34, 33)] {
        let options = if register == 64 { r#"{"invoke": "random"}"# } else { "{}" };
        let kind = if register == 64 { "registration" } else { "subscription" };
        for round in 0..3 {
            near.send(&format!(r#"[{register}, #, {options}, "com.thing"]"#));
            near.expect(&format!("[{registered}, #, ${kind}{round}]"));
            // A session on the other node gets the id that there is.
            far.send(&format!(r#"[{register}, #, {options}, "com.thing"]"#));
            far.expect(&format!("[{registered}, #, ${kind}{round}]"));
            for session in [&mut near, &mut far] {
                session.call(&format!("wamp.{kind}.lookup"), r#"["com.thing"]"#, &format!("[${kind}{round}]"));
            }
            far.send(&format!("[{unregister}, #, ${kind}{round}]"));
            far.expect(&format!("[{}, #]", unregister + 1));
            // Goes over the link behind what has just been given up, so that node 1 knows of that.
            far.call("wamp.session.count", "", "[2]");
            near.send(&format!("[{unregister}, #, ${kind}{round}]"));
            near.expect(&format!("[{}, #]", unregister + 1));
        }
        let ids = [0, 1, 2].map(|round| near.id(&format!("{kind}{round}")));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    }
}

/// A call that all nodes refuse is noted by the node of its caller, as it is where there is only one node.
#[test]
fn a_call_that_is_refused_over_all_nodes_is_noted_once() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut client = cluster.node(1).join("client");
    client.call_fails("wamp.session.list_no_such", "", "wamp.error.no_such_procedure");
    client.call_fails("wamp.session.get", r#"["no number"]"#, "wamp.error.invalid_argument");
    cluster.node(1).await_drops("invalid_request", 1);
    let log = cluster.node(1).edge.log();
    assert!(log.contains("refusal: invalid_request: ") && log.contains(": call wamp.session.get: "), "{log}");
}
