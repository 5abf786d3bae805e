//! Very many connections at once.

use crate::harness::client::{Carrier, Via};
use crate::harness::http;
use crate::harness::io::Io;
use crate::harness::router::{Router, Setup, dial, endpoint_of, eventually};
use crate::{Neighbours, join};
use crossbar_cluster::wire::Serializer;
use std::io::Write;

/// Ten thousand, or as many as the machine lets two processes have.
fn crowd() -> usize {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be read");
    let crowd = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(500).min(10_000);
    println!("a crowd of {crowd}");
    crowd
}

/// Ten thousand connections that say nothing, or only half of what they should.
#[test]
fn ten_thousand_half_open_connections_disturb_nobody() {
    let crowd = crowd();
    // Longer than it takes to make them all, so that they are all there at once.
    let router = Router::start(&Setup { limits: "handshake_timeout = \"10s\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let (websocket, rawsocket) = (endpoint_of(router.edge.url("ws")), endpoint_of(router.edge.url("rs")));
    let connections: Vec<Io> = (0..crowd)
        .map(|n| {
            let (endpoint, bytes): (_, &[u8]) = match n % 5 {
                0 => (&websocket, b""),
                1 => (&rawsocket, b""),
                2 => (&websocket, b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgr"),
                3 => (&rawsocket, b"\x7f\xf1"),
                _ => (&websocket, b"G"),
            };
            let mut io = endpoint.connect();
            io.write_all(bytes).expect("it is open");
            io
        })
        .collect();
    eventually("all are accepted", || router.metric("crossbar_connections_accepted_total") >= crowd as u64);
    // New clients come in all the while.
    let mut late = join(&router, Via::new(Carrier::WebSocket, Serializer::Cbor));
    late.call("wamp.session.count", "", "[3]");
    eventually("all are ended", || router.drops("handshake_timeout") >= crowd as u64);
    for mut io in connections {
        io.read_to_close();
    }
    late.call("wamp.session.count", "", "[3]");
    neighbours.stop();
}

#[test]
fn a_listener_has_as_many_handshakes_as_the_limit_says() {
    let router = Router::start(&Setup { listen: "limits = { handshakes_max = 50 }", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let connections: Vec<Io> = (0..200).map(|_| dial(&router.edge, "ws")).collect();
    router.await_drops("too_many_handshakes", 150);
    // Those who are in are not disturbed, and when the others give up there is room again.
    drop(connections);
    eventually("there is room", || {
        let mut io = dial(&router.edge, "ws");
        http::request(&mut io, "/", &[("Connection", "close")]);
        io.read_to_close().starts_with(b"HTTP/1.1 200")
    });
    neighbours.stop();
}

#[test]
fn a_listener_has_as_many_connections_as_the_limit_says() {
    let listeners = "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:0\"\nlimits = { connections_max = 3 }\n";
    let router = Router::start(&Setup { listeners: listeners.to_owned(), ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let endpoint = endpoint_of(router.edge.nth_url("rs", 1));
    let via = Via::new(Carrier::RawSocket, Serializer::Cbor);
    let open = || crate::harness::client::Client::open(endpoint.connect(), via, router.scope.clone());
    let mut clients = [open(), open(), open()];
    for n in 1..=2 {
        let mut io = endpoint.connect();
        let _ = io.write_all(b"\x7f\xf3\0\0");
        let answer = io.read_to_close();
        assert!(answer.is_empty() || answer == b"\x7f\x40\0\0", "{answer:?}");
        router.await_drops("too_many_connections", n);
    }
    for client in &mut clients {
        client.sync();
    }
    drop(clients);
    eventually("there is room", || {
        let mut io = endpoint.connect();
        let _ = io.write_all(b"\x7f\xf3\0\0");
        let mut answer = [0; 4];
        std::io::Read::read_exact(&mut io, &mut answer).is_ok() && answer[1] & 0x0f == 3
    });
    neighbours.stop();
}

/// Thousands of sessions that say nothing but answer pings are no burden.
#[test]
fn many_idle_sessions_disturb_nobody() {
    let n = crowd().min(2_000);
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let sessions: Vec<_> = (0..n).map(|k| join(&router, Via::all().nth(k % 9).expect("nine ways to speak"))).collect();
    assert_eq!(router.metric("crossbar_sessions{realm=\"realm1\"}"), n as u64 + 2);
    drop(sessions);
    eventually("all are gone", || router.metric("crossbar_sessions{realm=\"realm1\"}") == 2);
    neighbours.stop();
}
