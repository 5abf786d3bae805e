//! Publications across the mesh.

use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;

#[test]
fn every_match_policy_crosses_once_and_with_the_same_publication() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut exact = cluster.node(1).join("exact");
    let mut prefix = cluster.node(2).join("prefix");
    let mut wildcard = cluster.node(3).join("wildcard");
    exact.subscribe("com.topic.one", "{}", "s1");
    prefix.subscribe("com.topic.", r#"{"match": "prefix"}"#, "s2");
    wildcard.subscribe("com..one", r#"{"match": "wildcard"}"#, "s3");
    let mut publisher = cluster.node(2).join("publisher");
    publisher.send(r#"[16, #, {"acknowledge": true}, "com.topic.one", ["hello"], {"k": 1}]"#);
    publisher.expect("[17, #, $pub]");
    exact.expect(r#"[36, $s1, $pub, {...}, ["hello"], {"k": 1}]"#);
    prefix.expect(r#"[36, $s2, $pub, {"topic": "com.topic.one", ...}, ["hello"], {"k": 1}]"#);
    wildcard.expect(r#"[36, $s3, $pub, {"topic": "com.topic.one", ...}, ["hello"], {"k": 1}]"#);
    for client in [&mut exact, &mut prefix, &mut wildcard, &mut publisher] {
        client.expect_nothing();
    }
}

#[test]
fn a_burst_arrives_in_order_without_loss() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut subscriber = cluster.node(1).join("subscriber");
    let mut publisher = cluster.node(2).join("publisher");
    subscriber.subscribe("com.a", "{}", "a");
    subscriber.subscribe("com.b", "{}", "b");
    for n in 0..500 {
        let topic = if n % 2 == 0 { "com.a" } else { "com.b" };
        publisher.send(&format!(r#"[16, #, {{}}, "{topic}", [{n}]]"#));
    }
    for n in 0..500 {
        let name = if n % 2 == 0 { "a" } else { "b" };
        subscriber.expect(&format!("[36, ${name}, $_, {{...}}, [{n}]]"));
    }
    subscriber.expect_nothing();
}

#[test]
fn lists_and_disclosure_hold_on_every_node() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut alice = cluster.node(1).join_as("alice");
    let mut bob = cluster.node(1).join_as("bob");
    let mut carol = cluster.node(2).join_as("carol");
    alice.subscribe("com.topic", "{}", "sub");
    bob.subscribe("com.topic", "{}", "sub");
    carol.send(r#"[16, #, {"exclude_authid": ["bob"]}, "com.topic", [1]]"#);
    alice.expect(
        r#"[36, $sub, $_, {"publisher": $carol, "publisher_authid": "carol", "publisher_authrole": "known", ...}, [1]]"#,
    );
    carol.send(r#"[16, #, {"eligible": [$bob]}, "com.topic", [2]]"#);
    bob.expect("[36, $sub, $_, {...}, [2]]");
    carol.send(r#"[16, #, {"eligible_authrole": ["frontend"]}, "com.topic", [3]]"#);
    alice.expect("[36, $sub, $_, {...}, [3]]");
    carol.send(r#"[16, #, {"eligible": []}, "com.topic", [4]]"#);
    carol.send(r#"[16, #, {}, "com.topic", [5]]"#);
    alice.expect("[36, $sub, $_, {...}, [5]]");
    bob.expect("[36, $sub, $_, {...}, [5]]");
    bob.expect_nothing();
}

#[test]
fn an_identity_that_is_not_disclosed_stays_at_home() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut alice = cluster.node(1).join_as("alice");
    alice.subscribe("com.topic", "{}", "sub");
    let mut bob = cluster.node(2).join_as("bob");
    bob.send(r#"[16, #, {}, "com.topic", [1]]"#);
    let event = alice.receive();
    let text = format!("{event:?}");
    assert!(!text.contains("bob") && !text.contains("backend"), "{text}");
}

#[test]
fn retained_events_are_there_on_every_node_also_later_ones() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut publisher = cluster.node(1).join("publisher");
    publisher.send(r#"[16, #, {"acknowledge": true, "retain": true}, "com.state", ["on"]]"#);
    publisher.expect("[17, #, $pub]");
    let mut late = cluster.node(2).join("late");
    late.subscribe("com.state", r#"{"get_retained": true}"#, "sub");
    late.expect(r#"[36, $sub, $pub, {"retained": true, ...}, ["on"]]"#);
    cluster.kill(2);
    cluster.restart(2);
    let mut later = cluster.node(2).join("later");
    later.subscribe("com.state", r#"{"get_retained": true}"#, "sub2");
    later.expect(r#"[36, $sub2, $pub, {"retained": true, ...}, ["on"]]"#);
}

#[test]
fn history_is_readable_from_any_node() {
    let setup = Setup { rules: "[[realm.history]]\nuri = \"com.log\"\nentries_max = 10", ..Setup::default() };
    let mut cluster = Cluster::start(2, setup);
    let mut publisher = cluster.node(1).join("publisher");
    publisher.send(r#"[16, #, {"acknowledge": true}, "com.log", ["one"]]"#);
    publisher.expect("[17, #, $pub]");
    let mut reader = cluster.node(2).join("reader");
    reader.call("wamp.subscription.lookup", r#"["com.log"]"#, "[$sub]");
    reader.send(r#"[48, #, {}, "wamp.subscription.get_events", [$sub]]"#);
    reader.expect(r#"[50, #, {}, [{"publication": $pub, "args": ["one"], ...}]]"#);
}

#[test]
fn the_last_unsubscribe_leaves_nothing_behind() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut subscriber = cluster.node(1).join("subscriber");
    let mut other = cluster.node(2).join("other");
    subscriber.subscribe("com.topic", "{}", "sub");
    other.call("wamp.subscription.lookup", r#"["com.topic"]"#, "[$sub]");
    subscriber.send("[34, #, $sub]");
    subscriber.expect("[35, #]");
    let lookup = r#"[48, #, {}, "wamp.subscription.lookup", ["com.topic"]]"#;
    other.send(lookup);
    other.expect("[50, #, {}, [null]]");
}
