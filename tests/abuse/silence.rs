//! Peers that say nothing: before the handshake, before HELLO, in a session, and when they are told to go.

use crate::harness::client::{Carrier, MASK, UPGRADE, Via};
use crate::harness::http;
use crate::harness::router::{Router, Setup, dial, endpoint_of};
use crate::{Neighbours, join};
use crossbar_cluster::wire::Serializer;
use crossbar_cluster::wire::websocket::{FrameHead, write_frame};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const WEBSOCKET: Via = Via::new(Carrier::WebSocket, Serializer::Json);
const RAWSOCKET: Via = Via::new(Carrier::RawSocket, Serializer::Cbor);

#[test]
fn who_never_says_hello_is_ended() {
    let router = Router::start(&Setup { limits: "hello_timeout = \"300ms\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    for (n, via) in (1..).zip([WEBSOCKET, RAWSOCKET]) {
        let mut offender = router.connect_via(via);
        offender.expect_closed();
        router.await_drops("hello_timeout", n);
    }
    // Pings, and a message that comes byte by byte, are no HELLO.
    let mut offender = router.connect_via(WEBSOCKET);
    let mut ping = Vec::new();
    write_frame(&mut ping, FrameHead::PING.masked(MASK), b"");
    offender.write(&ping);
    let mut slow = Vec::new();
    write_frame(&mut slow, FrameHead::TEXT.masked(MASK), &[b' '; 100_000]);
    for byte in slow {
        if router.drops("hello_timeout") == 3 {
            break;
        }
        offender.write(&[byte]);
        std::thread::sleep(Duration::from_millis(10));
    }
    router.await_drops("hello_timeout", 3);
    // After GOODBYE the next HELLO has as much time.
    let mut again = join(&router, WEBSOCKET);
    again.goodbye();
    again.expect_closed();
    router.await_drops("hello_timeout", 4);
    neighbours.stop();
}

/// Who does not answer the CHALLENGE.
#[test]
fn who_never_authenticates_is_ended() {
    let router = Router::start(&Setup { limits: "hello_timeout = \"300ms\"", ..Setup::default() });
    let mut offender = router.connect_via(WEBSOCKET);
    offender.send(r#"[1, "realm1", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "alice"}]"#);
    offender.expect(r#"[4, "ticket", {}]"#);
    offender.expect_abort("wamp.error.timeout");
    offender.expect_closed();
    router.await_drops("hello_timeout", 1);
}

#[test]
fn half_a_handshake_is_ended() {
    let listeners = "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"required\"\n";
    let setup = Setup { limits: "handshake_timeout = \"300ms\"", listeners: listeners.to_owned(), ..Setup::default() };
    let router = Router::start(&setup);
    let neighbours = Neighbours::start(&router);
    let cases: [(&str, usize, &[u8]); 8] = [
        ("ws", 0, b""),
        ("ws", 0, b"GET /ws HTTP/1.1\r\nHost: x\r\n"),
        ("ws", 0, b"GET"),
        ("rs", 0, b""),
        ("rs", 0, b"\x7f\xf1"),
        ("ws", 1, b""),
        ("ws", 1, b"PROXY TCP4 192.0.2.1"),
        ("ws", 1, b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n\x7f"),
    ];
    for (n, (scheme, listener, bytes)) in (1..).zip(cases) {
        let mut io = endpoint_of(router.edge.nth_url(scheme, listener)).connect();
        io.write_all(bytes).expect("it is open");
        let answer = io.read_to_close();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", answer.escape_ascii());
        router.await_drops("handshake_timeout", n);
    }
    neighbours.stop();
}

/// Slowloris: a header every now and then, so that the connection is never silent.
#[test]
fn a_handshake_that_trickles_is_ended() {
    let router = Router::start(&Setup { limits: "handshake_timeout = \"500ms\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut io = dial(&router.edge, "ws");
    io.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\n").expect("it is open");
    let started = Instant::now();
    while router.drops("handshake_timeout") == 0 {
        assert!(started.elapsed() < crate::harness::io::PATIENCE, "it is not ended");
        // That it fails in the end is what is wanted.
        let _ = io.write_all(b"X-a: b\r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    io.read_to_close();
    neighbours.stop();
}

/// A head without end.
#[test]
fn a_request_head_is_as_large_as_the_limit_says() {
    let router = Router::start(&Setup { limits: "http_head_bytes_max = \"8KiB\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut io = dial(&router.edge, "ws");
    let _ = io.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\n");
    let _ = io.write_all(&b"X-header: some text that is not needed\r\n".repeat(2_000));
    let answer = io.read_to_close();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", answer.escape_ascii());
    router.await_drops("transport_violation", 1);
    // A request line without end.
    let mut io = dial(&router.edge, "ws");
    let _ = io.write_all(b"GET /");
    let _ = io.write_all(&vec![b'a'; 100_000]);
    let answer = io.read_to_close();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", answer.escape_ascii());
    router.await_drops("transport_violation", 2);
    neighbours.stop();
}

/// An HTTP client that stays on the line after its page.
#[test]
fn a_page_does_not_keep_the_connection() {
    let router = Router::start(&Setup::default());
    let mut io = dial(&router.edge, "ws");
    http::request(&mut io, "/", &[]);
    let page = io.read_to_close();
    assert!(page.starts_with(b"HTTP/1.1 200"), "{}", page.escape_ascii());
    assert_eq!(router.drops("handshake_timeout"), 0);
}

#[test]
fn silent_sessions_are_pinged_and_ended() {
    let setup = Setup {
        listen: "ping_interval = \"200ms\"\nping_timeout = \"200ms\"\nping_rawsocket = true",
        ..Setup::default()
    };
    let router = Router::start(&setup);
    let neighbours = Neighbours::start(&router);
    for (n, via) in (1..).zip([WEBSOCKET, RAWSOCKET]) {
        let mut watcher = join(&router, WEBSOCKET);
        watcher.subscribe("wamp.session.on_leave", "{}", "left");
        let offender = join(&router, via);
        let session = offender.id("offender");
        // From now on nobody answers pings on this connection, nor reads what comes.
        let mut io = offender.into_io();
        let event = watcher.receive();
        assert_eq!(event[4].as_list().expect("arguments")[0], session.into());
        router.await_drops("ping_timeout", n);
        io.read_to_close();
    }
    neighbours.stop();
}

/// A peer that answers neither our close nor reads it.
#[test]
fn a_close_that_is_not_answered_is_not_waited_for() {
    let router = Router::start(&Setup { limits: "close_timeout = \"200ms\"", ..Setup::default() });
    let mut io = dial(&router.edge, "ws");
    http::request(&mut io, "/ws", &[&UPGRADE[..], &[("Sec-WebSocket-Protocol", "wamp.2.json")]].concat());
    assert_eq!(http::read_head(&mut io).expect("an answer").status, 101);
    // A frame that is not masked: the router closes.
    io.write_all(&[0x81, 0x01, b'[']).expect("it is open");
    let mut head = [0; 2];
    io.read_exact(&mut head).expect("a close frame");
    assert_eq!(head[0], 0x88);
    // The connection ends although it is not answered and stays open on this side.
    io.read_to_close();
    router.await_drops("transport_violation", 1);
    crate::harness::router::eventually("it is gone", || {
        router.metric(&format!("crossbar_connections{{listener=\"{}\"}}", router.edge.url("ws"))) == 0
    });
}
