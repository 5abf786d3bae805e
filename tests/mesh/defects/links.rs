//! Links, and nodes that come and go.

use crate::harness::cluster::{Cluster, is_complete, mesh_of};
use crate::harness::router::{Setup, eventually};

/// There links between two versions were refused over plain TCP, and with TLS they were in none of the earlier one,
/// because of what the keys were to be bound to. Here a key is proven the same way over whatever carries the link.
#[test]
fn links_come_up_over_tcp() {
    let mut cluster = Cluster::start_over_tcp(2, Setup::default());
    let mut subscriber = cluster.node(1).join("subscriber");
    let mut publisher = cluster.node(2).join("publisher");
    subscriber.subscribe("com.topic", "{}", "sub");
    publisher.send(r#"[16, #, {}, "com.topic", ["over TCP"]]"#);
    subscriber.expect(r#"[36, $sub, $_, {...}, ["over TCP"]]"#);
    assert!(mesh_of(cluster.node(1))["links"][0]["address"].as_str().is_some_and(|address| !address.contains("unix")));
}

/// There what had been mirrored was gone with a link and came back with it, which here is so without duplicates too,
/// however often a node comes back.
#[test]
fn after_each_return_of_a_node_events_come_once() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut client = cluster.node(1).join("client");
    client.subscribe("com.topic", "{}", "sub");
    client.register("com.procedure", "{}", "reg");
    for n in 1..=3 {
        cluster.kill(2);
        client.send(r#"[16, #, {"exclude_me": false}, "com.topic", ["alone"]]"#);
        client.expect(r#"[36, $sub, $_, {...}, ["alone"]]"#);
        cluster.restart(2);
        let mut other = cluster.node(2).join("other");
        other.send(&format!(r#"[16, #, {{}}, "com.topic", [{n}]]"#));
        client.expect(&format!("[36, $sub, $_, {{...}}, [{n}]]"));
        other.send(r#"[48, #, {}, "com.procedure"]"#);
        client.expect(&format!("[68, {n}, $reg, {{...}}]"));
        client.send(&format!("[70, {n}, {{}}, []]"));
        other.expect("[50, #, {}]");
        client.expect_nothing();
    }
}

/// There a link that was lost while a subscription was being mirrored stopped cleaning up in the middle.
#[test]
fn a_subscription_outlives_the_link_that_was_to_confirm_it() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut subscriber = cluster.node(1).join("subscriber");
    subscriber.subscribe("com.before", "{}", "before");
    cluster.node(2).edge.signal("STOP");
    subscriber.send(r#"[32, #, {}, "com.topic"]"#);
    cluster.kill(2);
    subscriber.expect("[33, #, $sub]");
    let mut third = cluster.node(3).join("third");
    cluster.restart(2);
    let mut second = cluster.node(2).join("second");
    for publisher in [&mut second, &mut third] {
        for (topic, name) in [("com.topic", "sub"), ("com.before", "before")] {
            publisher.send(&format!(r#"[16, #, {{}}, "{topic}"]"#));
            subscriber.expect(&format!("[36, ${name}, $_, {{...}}]"));
        }
    }
    subscriber.send("[34, #, $sub]");
    subscriber.expect("[35, #]");
    for client in [&mut second, &mut third] {
        client.call("wamp.subscription.lookup", r#"["com.topic"]"#, "[null]");
    }
}

/// There a node buffered whatever was published for a peer that was frozen. Here what waits for it is bounded, what it
/// does not get is counted by name, and the clients of this node miss nothing.
#[test]
fn what_waits_for_a_frozen_peer_is_bounded() {
    let limits = "link_outbox_bytes_max = \"1MiB\"";
    let mut cluster = Cluster::start(2, Setup { limits, ..Setup::default() });
    let mut far = cluster.node(2).join("far");
    let mut near = cluster.node(1).join("near");
    far.subscribe("com.topic", "{}", "sub");
    near.subscribe("com.topic", "{}", "sub");
    let mut publisher = cluster.node(1).join("publisher");
    let padding = "x".repeat(64 << 10);
    cluster.node(2).edge.signal("STOP");
    for n in 0..60 {
        publisher.send(&format!(r#"[16, #, {{}}, "com.topic", [{n}, "{padding}"]]"#));
    }
    for n in 0..60 {
        near.expect(&format!(r#"[36, $sub, $_, {{...}}, [{n}, "{padding}"]]"#));
    }
    let (waiting, dropped) =
        (cluster.node(1).metric("crossbar_outbox_bytes"), cluster.node(1).drops("link_queue_full"));
    cluster.node(2).edge.signal("CONT");
    // The one that does not fit any more is let in.
    assert!(waiting <= (1 << 20) + (66 << 10), "{waiting} bytes wait");
    assert!(dropped > 0, "nothing was dropped");
    eventually("the mesh heals", || cluster.routers.iter().flatten().all(is_complete));
    let mut again = cluster.node(2).join("again");
    again.subscribe("com.after", "{}", "after");
    publisher.send(r#"[16, #, {}, "com.after", ["heard"]]"#);
    again.expect(r#"[36, $after, $_, {...}, ["heard"]]"#);
}

/// There the sessions of links were sessions to everybody.
#[test]
fn links_are_no_sessions() {
    let mut cluster = Cluster::start(3, Setup::default());
    let mut one = cluster.node(1).join("one");
    let mut two = cluster.node(2).join("two");
    let mut sessions = [one.id("one"), two.id("two")];
    sessions.sort_unstable();
    let [first, second] = sessions;
    for client in [&mut one, &mut two] {
        client.call("wamp.session.list", "", &format!("[[{first}, {second}]]"));
        client.call("wamp.session.count", "", "[2]");
    }
}

/// There too a node did not wait for its links; here it says so on its page, and serves its own clients meanwhile.
#[test]
fn a_node_serves_while_its_peer_is_away_and_links_when_it_comes() {
    let mut cluster = Cluster::start(2, Setup::default());
    cluster.kill(1);
    cluster.kill(2);
    cluster.start_alone(1);
    assert!(!is_complete(cluster.node(1)));
    let mut client = cluster.node(1).join("client");
    client.subscribe("com.topic", r#"{"match": "prefix"}"#, "sub");
    client.register("com.procedure", "{}", "reg");
    client.call("wamp.session.count", "", "[1]");
    cluster.restart(2);
    let mut other = cluster.node(2).join("other");
    other.send(r#"[16, #, {}, "com.topic.one", ["there"]]"#);
    client.expect(r#"[36, $sub, $_, {...}, ["there"]]"#);
    other.call("wamp.registration.lookup", r#"["com.procedure"]"#, "[$reg]");
}

/// There a link could not be stopped, and of its state there was one flag.
#[test]
fn the_page_of_a_node_tells_of_each_link() {
    let mut cluster = Cluster::start(3, Setup::default());
    let link_to = |cluster: &mut Cluster, peer: &str| {
        let mesh = mesh_of(cluster.node(1));
        let links = mesh["links"].as_array().expect("a list").clone();
        links.into_iter().find(|link| link["peer"] == peer).expect("every peer has a link")
    };
    for peer in ["edge2", "edge3"] {
        let link = link_to(&mut cluster, peer);
        assert!(link["is_up"] == true && link["is_up_inbound"] == true && link["realm"] == "realm1", "{link}");
    }
    cluster.kill(2);
    let router = cluster.routers[0].as_ref().expect("it runs");
    eventually("the link to edge2 is down", || mesh_of(router)["is_complete"] == false);
    eventually("its dialer says why", || {
        let mesh = mesh_of(router);
        let links = mesh["links"].as_array().expect("a list");
        links.iter().any(|link| link["peer"] == "edge2" && link["last_error"].is_string())
    });
    assert!(link_to(&mut cluster, "edge3")["is_up"] == true);
}
