//! Events between nodes.

use super::{fence, traffic};
use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;

/// Two nodes, several subscribers on each: there each got each event once and in order, and so it is here, with
/// keyword arguments and without acknowledgement.
#[test]
fn all_subscribers_of_a_node_hear_each_event_once_and_in_order() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut subscribers = Vec::new();
    for (node, name) in [(1, "a"), (1, "b"), (2, "c"), (2, "d")] {
        let mut subscriber = cluster.node(node).join(name);
        subscriber.subscribe("com.topic", "{}", "sub");
        subscribers.push(subscriber);
    }
    let mut publisher = cluster.node(1).join("publisher");
    for n in 0..300 {
        publisher.send(&format!(r#"[16, #, {{}}, "com.topic", [{n}], {{"n": {n}}}]"#));
    }
    for subscriber in &mut subscribers {
        for n in 0..300 {
            subscriber.expect(&format!(r#"[36, $sub, $_, {{...}}, [{n}], {{"n": {n}}}]"#));
        }
        subscriber.expect_nothing();
    }
}

/// There PUBLISHED was the local router's word alone, a forwarded event had another id on each node, and in a chain of
/// nodes it went one hop. Here what was acknowledged reaches all nodes, with the id that the publisher was told.
#[test]
fn what_is_published_reaches_every_node_under_its_id() {
    let mut cluster = Cluster::start(3, Setup::default());
    for origin in 1..=3 {
        let mut subscribers: Vec<_> = (1..=3).map(|node| cluster.node(node).join("subscriber")).collect();
        for subscriber in &mut subscribers {
            subscriber.subscribe("com.topic", "{}", "sub");
        }
        let mut publisher = cluster.node(origin).join("publisher");
        publisher.unbind(&["pub"]);
        publisher.send(r#"[16, #, {"acknowledge": true}, "com.topic", ["hello"]]"#);
        publisher.expect("[17, #, $pub]");
        for subscriber in &mut subscribers {
            subscriber.expect(r#"[36, $sub, $pub, {...}, ["hello"]]"#);
            subscriber.expect_nothing();
        }
    }
}

/// There exclude lists were not told to other nodes, whose excluded sessions got the event, and eligible lists were
/// applied to the link, so that the event never left.
#[test]
fn every_list_holds_on_the_other_node() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut alice = cluster.node(1).join_as("alice");
    let mut bob = cluster.node(1).join_as("bob");
    let mut publisher = cluster.node(2).join("publisher");
    alice.subscribe("com.topic", "{}", "sub");
    bob.subscribe("com.topic", "{}", "sub");
    for (list, for_alice, for_bob) in [
        (r#""exclude": [$alice]"#, false, true),
        (r#""exclude_authid": ["alice"]"#, false, true),
        (r#""exclude_authrole": ["frontend"]"#, false, true),
        (r#""eligible": [$alice]"#, true, false),
        (r#""eligible_authid": ["alice"]"#, true, false),
        (r#""eligible_authrole": ["frontend", "nobody"]"#, true, false),
        (r#""eligible": [$alice, $bob], "exclude_authid": ["bob"]"#, true, false),
        (r#""eligible": []"#, false, false),
    ] {
        publisher.send(&format!(r#"[16, #, {{{list}}}, "com.topic", ["listed"]]"#));
        publisher.send(r#"[16, #, {}, "com.topic", ["all"]]"#);
        for (client, is_for) in [(&mut alice, for_alice), (&mut bob, for_bob)] {
            if is_for {
                client.expect(r#"[36, $sub, $_, {...}, ["listed"]]"#);
            }
            client.expect(r#"[36, $sub, $_, {...}, ["all"]]"#);
        }
    }
}

/// There an event whose payload only its receivers can read was not forwarded.
#[test]
fn payload_passthru_crosses_as_it_is() {
    const BINARY: &str = r#""\u0000EOP/kFMHXFJvX8BtT+N82w==""#;
    let mut cluster = Cluster::start(2, Setup::default());
    let mut a = cluster.node(1).join("a");
    let mut b = cluster.node(2).join("b");
    a.subscribe("com.topic", "{}", "sub");
    a.register("com.procedure", "{}", "reg");
    for (n, attributes) in [
        r#""ppt_scheme": "x_custom", "ppt_serializer": "cbor", "ppt_cipher": "aes256gcm", "ppt_keyid": "k1""#,
        r#""enc_algo": "x_custom", "enc_serializer": "cbor", "enc_key": "k1""#,
    ]
    .into_iter()
    .enumerate()
    {
        let request = n + 1;
        b.send(&format!(r#"[16, #, {{{attributes}}}, "com.topic", [{BINARY}]]"#));
        a.expect(&format!("[36, $sub, $_, {{{attributes}, ...}}, [{BINARY}]]"));
        b.send(&format!(r#"[48, #, {{{attributes}}}, "com.procedure", [{BINARY}]]"#));
        a.expect(&format!("[68, {request}, $reg, {{{attributes}, ...}}, [{BINARY}]]"));
        a.send(&format!("[70, {request}, {{{attributes}}}, [{BINARY}]]"));
        b.expect(&format!("[50, #, {{{attributes}}}, [{BINARY}]]"));
    }
}

/// There the identity of a publisher or caller whose role did not disclose it went to other nodes if the role of the
/// link did, and then to local receivers too.
#[test]
fn nobody_learns_who_published_or_called_unless_the_role_discloses_it() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut far = cluster.node(1).join("far");
    let mut local = cluster.node(2).join("local");
    let mut bob = cluster.node(2).join_as("bob");
    far.subscribe("com.topic", "{}", "sub");
    local.subscribe("com.topic", "{}", "sub");
    far.register("com.procedure", "{}", "reg");
    bob.send(r#"[16, #, {}, "com.topic", ["event"]]"#);
    bob.send(r#"[48, #, {}, "com.procedure", ["call"]]"#);
    let session = bob.id("bob").to_string();
    let told = [far.receive(), far.receive(), local.receive()].map(|message| format!("{message:?}"));
    for (text, expected) in told.iter().zip(["event", "call", "event"]) {
        assert!(text.contains(expected), "{text}");
        for secret in ["bob", "backend", session.as_str()] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

/// There an event went round for ever, a thousand times a second, where nodes had subscribers on both sides and the
/// role of the link did not disclose publishers. Here no node sees an event twice, whatever is disclosed.
#[test]
fn an_event_that_is_not_disclosed_visits_each_node_once() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut clients: Vec<_> = (1..=3).map(|node| cluster.node(node).join("client")).collect();
    for client in &mut clients {
        client.subscribe("com.topic", "{}", "sub");
        client.subscribe("com.fence", "{}", "fence");
    }
    let [one, two, three] = &mut clients[..] else { unreachable!("there are three") };
    let settle = |publishers: &mut [&mut _; 3]| {
        // Each publisher is a subscriber too, which its own events do not reach.
        for n in 0..3 {
            let (before, rest) = publishers.split_at_mut(n);
            let (publisher, after) = rest.split_first_mut().expect("there are three");
            let others = before.iter_mut().chain(after);
            let mut others: Vec<&mut crate::harness::client::Client> = others.map(|client| &mut **client).collect();
            fence(&mut [publisher], &mut others);
        }
    };
    settle(&mut [one, two, three]);
    let before = [1, 2, 3].map(|node| traffic(&mut cluster, node, "event"));
    for n in 0..10 {
        one.send(&format!(r#"[16, #, {{}}, "com.topic", [{n}]]"#));
    }
    for client in [&mut *two, &mut *three] {
        for n in 0..10 {
            client.expect(&format!("[36, $sub, $_, {{...}}, [{n}]]"));
        }
    }
    settle(&mut [one, two, three]);
    // Each fence is one event in from, and one event out to, each of the others and their subscribers.
    let after = [1, 2, 3].map(|node| traffic(&mut cluster, node, "event"));
    let grown = |node: usize| [after[node][0] - before[node][0], after[node][1] - before[node][1]];
    assert_eq!(grown(0), [2, 10 * 2 + 2 + 2], "node 1 has sent each event to two nodes, and got none back");
    for node in [1, 2] {
        assert_eq!(grown(node), [10 + 2, 10 + 2 + 2], "node {} has got each event once, and sent it on once", node + 1);
    }
    for client in &mut clients {
        client.expect_nothing();
    }
}

/// There the mirrored subscriptions of two nodes kept each other alive after the last subscriber of either had left.
#[test]
fn the_last_subscribers_of_two_nodes_leave_nothing_behind() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut one = cluster.node(1).join("one");
    let mut two = cluster.node(2).join("two");
    one.subscribe("com.topic", "{}", "sub");
    two.subscribe("com.topic", "{}", "sub");
    one.send("[34, #, $sub]");
    one.expect("[35, #]");
    two.send("[34, #, $sub]");
    two.expect("[35, #]");
    for client in [&mut one, &mut two] {
        client.call("wamp.subscription.lookup", r#"["com.topic"]"#, "[null]");
        client.call("wamp.subscription.match", r#"["com.topic"]"#, "[null]");
        client.call("wamp.subscription.list", "", r#"[{"exact": [], "prefix": [], "wildcard": []}]"#);
    }
    // And no node sends the other what nobody there listens to.
    let before = traffic(&mut cluster, 2, "event");
    one.send(r#"[16, #, {"acknowledge": true}, "com.topic", ["for nobody"]]"#);
    one.expect("[17, #, $_]");
    two.subscribe("com.fence", "{}", "fence");
    fence(&mut [&mut one], &mut [&mut two]);
    assert_eq!(traffic(&mut cluster, 2, "event")[0] - before[0], 1, "the fence alone has come");
}
