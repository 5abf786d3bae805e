//! Links are encrypted, and only the two nodes with the right keys have one: whoever else comes, or stands between, is
//! refused and named in the log.

use crate::harness::cluster::{Cluster, name};
use crate::harness::io::Endpoint;
use crate::harness::rogue::{accept, bind, challenge, new_runtime, secured};
use crate::harness::router::{Setup, eventually};
use crossbar_cluster::auth::client::Client;
use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::auth::mutual::Purpose;
use crossbar_cluster::transport::node_tls::LINK_ALPN;
use crossbar_cluster::wamp::{Message, feature};
use crossbar_cluster::wire::Dict;
use std::io::Write;
use std::path::PathBuf;

#[test]
fn a_link_shows_neither_payload_nor_uri() {
    let mut cluster = Cluster::start_recorded(2, Setup::default());
    let mut here = cluster.node(1).join("here");
    let mut there = cluster.node(2).join("there");
    here.subscribe("com.visible.topic", "{}", "sub");
    here.register("com.visible.procedure", "{}", "reg");
    let payload = "seen on the wire ".repeat(1_000);
    there.send(&format!(r#"[16, #, {{}}, "com.visible.topic", ["{payload}"]]"#));
    here.expect(&format!(r#"[36, $sub, $_, {{...}}, ["{payload}"]]"#));
    there.send(&format!(r#"[48, #, {{}}, "com.visible.procedure", ["{payload}"]]"#));
    here.expect(&format!(r#"[68, $i, $reg, {{...}}, ["{payload}"]]"#));
    here.send(&format!(r#"[70, $i, {{}}, ["{payload}"]]"#));
    there.expect(&format!(r#"[50, #, {{...}}, ["{payload}"]]"#));
    let seen: Vec<u8> = cluster.recorders.iter().flat_map(|recorder| recorder.seen()).collect();
    assert!(seen.len() > 3 * payload.len(), "all of it went through the recorders: {}", seen.len());
    for word in ["seen on", "com.visible", "realm1", "edge1", "edge2", "wamp."] {
        assert!(memchr::memmem::find(&seen, word.as_bytes()).is_none(), "{word:?} can be read");
    }
}

#[test]
fn what_is_not_encrypted_is_refused() {
    let mut cluster = Cluster::start(2, Setup::default());
    let url = cluster.node(1).edge.url("rs+unix").to_owned();
    let path = PathBuf::from(url.strip_prefix("rs+unix:").expect("a socket file"));
    // A link of an edge from before links were encrypted, and a client.
    for (n, said) in (1..).zip([&b"\x7f\xf3\0\0"[..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]) {
        let mut io = Endpoint::Unix(path.clone()).connect();
        io.write_all(said).expect("it is open");
        assert!(io.read_to_close().is_empty(), "it is told nothing");
        cluster.node(1).await_drops("transport_violation", n);
    }
    eventually("the log says so", || cluster.node(1).edge.log().contains("the first octet is 0x7f, not TLS's 0x16"));
}

#[test]
fn an_unknown_key_and_another_protocol_get_no_link() {
    let mut cluster = Cluster::start(2, Setup::default());
    let (unknown, known) = (SecretKey::from_seed([7; 32]), cluster.node_key(2));
    let own = cluster.node_key(1);
    let cases: [(&SecretKey, &[u8], &str); 4] = [
        (&unknown, LINK_ALPN, "its key ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"),
        (&own, LINK_ALPN, &format!("its key {}", own.public())),
        (&known, b"crossbar-link/2", "no version of the protocol in common"),
        (&known, b"wamp", "no version of the protocol in common"),
    ];
    let runtime = new_runtime();
    for (key, alpn, line) in cases {
        let refused = runtime.block_on(secured(&cluster, key, alpn, 1));
        assert!(refused.is_err(), "it comes in");
        eventually("the log says why", || cluster.node(1).edge.log().contains(line));
    }
    cluster.node(1).await_drops("authentication_failed", 2);
}

/// `edge3` has been taken over and stands between `edge1`, which dials it, and `edge2`: with the key of a member it has
/// a channel to each, and passes on what the two say.
#[test]
fn a_handshake_that_is_passed_on_makes_no_link() {
    let mut cluster = Cluster::start(3, Setup::default());
    cluster.kill(3);
    let runtime = new_runtime();
    for is_challenged_by_edge2 in [true, false] {
        runtime.block_on(async {
            let listener = bind(&cluster, 3);
            let mut from_edge1 = accept(&listener, &cluster, 3, 1).await;
            let hello = from_edge1.receive().await.expect("edge1 says HELLO");
            let Message::Hello { realm, details } = hello.clone() else { panic!("{hello:?}") };
            let mut to_edge2 = secured(&cluster, &cluster.node_key(3), LINK_ALPN, 2).await.expect("it has a key");
            to_edge2.send(&hello).await.expect("HELLO is passed on");
            let told = to_edge2.receive().await.expect("edge2 challenges");
            let own = challenge(&from_edge1, &cluster, 3, realm, &details);
            from_edge1.send(if is_challenged_by_edge2 { &told } else { &own }).await.expect("it is passed on");
            match from_edge1.receive().await {
                Ok(proof @ Message::Authenticate { .. }) if !is_challenged_by_edge2 => {
                    to_edge2.send(&proof).await.expect("it is passed on");
                    let answer = to_edge2.receive().await;
                    assert!(matches!(answer, Ok(Message::Abort { .. })), "{answer:?}");
                }
                other => assert!(is_challenged_by_edge2 && other.is_err(), "{other:?}"),
            }
        });
    }
    cluster.node(2).await_drops("authentication_failed", 1);
    eventually("the log of edge2 says so", || cluster.node(2).edge.log().contains("it did not prove by mutual"));
    let log = cluster.node(1).edge.log();
    assert!(log.contains("did not prove that it has the expected key"), "{log}");
}

/// With the key of one member nobody is another one, at whatever address and for whatever purpose.
#[test]
fn a_member_is_no_other_member() {
    let mut cluster = Cluster::start(3, Setup::default());
    cluster.kill(3);
    let runtime = new_runtime();
    for (id, purpose) in [(2, Purpose::Link), (3, Purpose::Report), (3, Purpose::Operate)] {
        let client = Client::program(name(id), cluster.node_key(3), purpose);
        let refused = runtime.block_on(async {
            let mut link = secured(&cluster, &cluster.node_key(3), LINK_ALPN, 1).await.expect("it is a member");
            link.open("realm1", &client, Dict::new().with("roles", feature::link_roles())).await
        });
        assert!(refused.expect_err("it comes in").contains("wamp.error.authentication_failed"));
    }
    cluster.node(1).await_drops("authentication_failed", 3);
}
