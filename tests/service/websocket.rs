//! The opening handshake of WebSockets: origins, subprotocols, paths; and the pings and closes of the established one.

use crate::harness::client::{Carrier, MASK, UPGRADE, Via};
use crate::harness::http::{self, Response};
use crate::harness::router::{ALL_ROLES, Router, Setup, dial, everywhere_with};
use crossbar_cluster::wire::Serializer;
use crossbar_cluster::wire::websocket::{FrameHead, write_close, write_frame};
use std::io::{Read, Write};

/// Asks for an upgrade with these headers besides the necessary ones.
fn upgrade(router: &Router, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut io = dial(&router.edge, "ws");
    http::request(&mut io, path, &[&UPGRADE[..], headers].concat());
    let mut response = http::read_head(&mut io).expect("an answer");
    if response.status != 101 {
        let length: usize = response.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        let mut rest = vec![0; length - response.body.len()];
        io.read_exact(&mut rest).expect("the whole body");
        response.body.extend(rest);
    }
    response
}

const JSON: (&str, &str) = ("Sec-WebSocket-Protocol", "wamp.2.json");

#[test]
fn the_first_subprotocol_that_is_served_is_agreed_on() {
    let router = Router::start(&Setup::default());
    for (offered, agreed) in [
        ("wamp.2.json", "wamp.2.json"),
        ("wamp.2.msgpack,wamp.2.json", "wamp.2.msgpack"),
        ("wamp.2.ubjson, wamp.2.cbor , wamp.2.json", "wamp.2.cbor"),
        ("wamp.2.cbor.batched, wamp.2.cbor", "wamp.2.cbor.batched"),
        ("mqtt, wamp.2.json.batched", "wamp.2.json.batched"),
    ] {
        let response = upgrade(&router, "/ws", &[("Sec-WebSocket-Protocol", offered)]);
        assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, Some(agreed)), "{offered}");
    }
    // The header may come in several lines.
    let response = upgrade(&router, "/ws", &[("Sec-WebSocket-Protocol", "mqtt"), JSON]);
    assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, Some("wamp.2.json")));
}

#[test]
fn without_a_common_subprotocol_the_served_ones_are_told() {
    let router = Router::start(&Setup::default());
    for headers in [&[][..], &[("Sec-WebSocket-Protocol", "wamp.2.ubjson")], &[("Sec-WebSocket-Protocol", "")]] {
        let response = upgrade(&router, "/ws", headers);
        assert_eq!(response.status, 400, "{headers:?}");
        for served in ["wamp.2.cbor", "wamp.2.msgpack", "wamp.2.json"] {
            assert!(response.text().contains(served), "{}", response.text());
        }
    }
    router.await_drops("transport_violation", 3);
    // Where none is required, it is JSON.
    let router = Router::start(&Setup {
        listeners: "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\nrequire_subprotocol = false\n"
            .to_owned(),
        ..Setup::default()
    });
    let mut io = crate::harness::router::endpoint_of(router.edge.nth_url("ws", 1)).connect();
    http::request(&mut io, "/ws", &UPGRADE);
    let response = http::read_head(&mut io).expect("an answer");
    assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, None));
    let mut hello = Vec::new();
    write_frame(&mut hello, FrameHead::TEXT.masked(MASK), br#"[1,"realm1",{"roles":{"caller":{}}}]"#);
    io.write_all(&hello).expect("it is open");
    let mut answer = [0; 3];
    io.read_exact(&mut answer).expect("WELCOME");
    assert_eq!(answer[0], 0x81, "it is text");
}

/// Each batched subprotocol, with several messages in one batch; and JSON with the separator of deployed clients.
#[test]
fn batches_hold_several_messages() {
    let router = Router::start(&Setup::default());
    for serializer in Serializer::ALL {
        let mut a = router.connect_via(Via::new(Carrier::Batched, serializer));
        a.hello(ALL_ROLES, "a");
        a.send_batch(&[
            r#"[32, #, {}, "com.topic"]"#,
            r#"[16, #, {"exclude_me": false}, "com.topic", [1]]"#,
            r#"[16, #, {"exclude_me": false}, "com.topic", [2]]"#,
        ]);
        a.expect("[33, 1, $sub]");
        a.expect("[36, $sub, $_, {}, [1]]");
        a.expect("[36, $sub, $_, {}, [2]]");
        a.goodbye();
    }
    for separator in [0x1e, 0x18] {
        let mut io = dial(&router.edge, "ws");
        http::request(&mut io, "/ws", &[&UPGRADE[..], &[("Sec-WebSocket-Protocol", "wamp.2.json.batched")]].concat());
        assert_eq!(http::read_head(&mut io).expect("an answer").status, 101);
        let mut frame = Vec::new();
        let hello = [&br#"[1,"realm1",{"roles":{"caller":{}}}]"#[..], &[separator]].concat();
        write_frame(&mut frame, FrameHead::TEXT.masked(MASK), &hello);
        io.write_all(&frame).expect("it is open");
        let mut head = [0; 4];
        io.read_exact(&mut head).expect("WELCOME");
        assert_eq!(head[1], 126, "its length is in two bytes");
        let mut welcome = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        io.read_exact(&mut welcome).expect("WELCOME");
        assert_eq!(welcome.last(), Some(&separator), "the router separates as the client does");
    }
}

/// A batch of nothing, and one that is cut short.
#[test]
fn broken_batches_are_violations() {
    let router = Router::start(&Setup::default());
    for serializer in Serializer::ALL {
        for batch in [&b""[..], b"\0\0\0\x09\x01", b"[1]"] {
            let mut a = router.connect_via(Via::new(Carrier::Batched, serializer));
            a.hello(ALL_ROLES, "a");
            let mut frame = Vec::new();
            write_frame(&mut frame, a.head(), batch);
            a.write(&frame);
            a.expect_violation();
        }
    }
}

#[test]
fn pages_of_other_origins_are_refused() {
    let listen = "allowed_origins = [\"https://*.example.com\", \"http://localhost:8080\"]\nallow_null_origin = false";
    let setup = Setup {
        listeners: format!("[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n{listen}\n"),
        ..Setup::default()
    };
    let router = Router::start(&setup);
    let from = |origin: Option<&str>| {
        let mut io = crate::harness::router::endpoint_of(router.edge.nth_url("ws", 1)).connect();
        let origin: Vec<(&str, &str)> = origin.into_iter().map(|origin| ("Origin", origin)).collect();
        http::request(&mut io, "/ws", &[&UPGRADE[..], &[JSON], &origin].concat());
        http::read_head(&mut io).expect("an answer").status
    };
    // Programs that are no browsers say nothing.
    assert_eq!(from(None), 101);
    assert_eq!(from(Some("https://app.example.com")), 101);
    assert_eq!(from(Some("http://localhost:8080")), 101);
    let others = ["https://example.com.evil.org", "http://app.example.com", "http://localhost:8081", "null", "garbage"];
    for origin in others {
        assert_eq!(from(Some(origin)), 403, "{origin}");
    }
    router.await_drops("origin_refused", others.len() as u64);
    // By default every page may connect.
    let response = upgrade(&router, "/ws", &[JSON, ("Origin", "https://anywhere.org")]);
    assert_eq!(response.status, 101);
}

#[test]
fn wamp_is_spoken_at_its_path_and_at_the_root() {
    let router = Router::start(&Setup::default());
    for (path, status) in [("/ws", 101), ("/", 101), ("/ws?token=x", 101), ("/other", 404), ("/ws/", 404)] {
        assert_eq!(upgrade(&router, path, &[JSON]).status, status, "{path}");
    }
}

#[test]
fn what_is_no_websocket_upgrade_is_refused() {
    let router = Router::start(&Setup::default());
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let basic = [("Connection", "Upgrade"), ("Upgrade", "websocket"), JSON];
    for (headers, status) in [
        (vec![("Sec-WebSocket-Version", "8"), key], 426),
        (vec![("Sec-WebSocket-Version", "13")], 400),
        (vec![key], 400),
    ] {
        let mut io = dial(&router.edge, "ws");
        http::request(&mut io, "/ws", &[&basic[..], &headers].concat());
        let response = http::read_head(&mut io).expect("an answer");
        assert!(response.status == status || response.status == 426, "{headers:?}: {}", response.status);
        if status == 426 {
            assert_eq!(response.header("sec-websocket-version"), Some("13"));
        }
    }
    router.await_drops("transport_violation", 3);
}

/// Messages right behind the upgrade, in the same packet, are not lost.
#[test]
fn a_client_need_not_wait_for_the_upgrade() {
    let router = Router::start(&Setup::default());
    let mut io = dial(&router.edge, "ws");
    let mut bytes =
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
            .to_vec();
    write_frame(&mut bytes, FrameHead::TEXT.masked(MASK), br#"[1,"realm1",{"roles":{"caller":{}}}]"#);
    io.write_all(&bytes).expect("it is open");
    let response = http::read_head(&mut io).expect("an answer");
    assert_eq!(response.status, 101);
    let mut body = response.body;
    while !body.windows(9).any(|window| window == b"x_cb_node") {
        let mut more = [0; 4096];
        let n = io.read(&mut more).expect("WELCOME");
        assert!(n > 0, "closed without WELCOME");
        body.extend_from_slice(&more[..n]);
    }
}

/// RFC 6455: a close is answered with its code, and then the TCP connection ends. One that names no code is answered
/// with 1000: a browser, and autobahn-js in it, takes an empty answer for a lost connection.
#[test]
fn a_close_is_answered() {
    let router = Router::start(&Setup::default());
    for code in [None, Some(1000), Some(1001), Some(3000), Some(4999)] {
        let mut a = router.connect_via(Via::new(Carrier::WebSocket, Serializer::Json));
        a.hello(ALL_ROLES, "a");
        let mut close = Vec::new();
        write_close(&mut close, code, "bye", Some(MASK));
        a.write(&close);
        let closed = a.expect_closed();
        assert_eq!(closed.code, code.or(Some(1000)));
    }
    let mut b = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Json));
    b.hello(ALL_ROLES, "b");
    b.call("wamp.session.count", "", "[1]");
}

/// The router pings who is silent; who answers stays.
#[test]
fn silent_peers_that_answer_pings_stay() {
    let listen = "ping_interval = \"100ms\"\nping_timeout = \"30s\"\nping_rawsocket = true";
    everywhere_with(&Setup { listen, ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        for _ in 0..3 {
            a.await_ping();
        }
        a.expect_nothing();
    });
}

/// Text of a JSON session is checked as it arrives, over fragments too.
#[test]
fn messages_may_come_in_fragments() {
    use crossbar_cluster::wire::websocket::OpCode;
    let router = Router::start(&Setup::default());
    let mut a = router.connect_via(Via::new(Carrier::WebSocket, Serializer::Json));
    a.hello(ALL_ROLES, "a");
    a.subscribe("com.topic", "{}", "sub");
    let text = r#"[16,2,{"exclude_me":false},"com.topic",["Grüße"]]"#.as_bytes();
    let mut frames = Vec::new();
    // In the middle of a character, and a ping between fragments.
    let (first, second) = text.split_at(text.len() - 6);
    write_frame(&mut frames, FrameHead::TEXT.unfinished().masked(MASK), first);
    write_frame(&mut frames, FrameHead::PING.masked(MASK), b"x");
    write_frame(&mut frames, FrameHead::new(OpCode::Continuation).masked(MASK), second);
    for byte in frames {
        a.write(&[byte]);
    }
    a.expect(r#"[36, $sub, $_, {}, ["Grüße"]]"#);
}

/// RawSocket clients are pinged only where that was asked for.
#[test]
fn rawsocket_clients_are_not_pinged_unasked() {
    let setup = Setup { listen: "ping_interval = \"100ms\"\nping_timeout = \"100ms\"", ..Setup::default() };
    let router = Router::start(&setup);
    let mut raw = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Json));
    raw.hello(ALL_ROLES, "raw");
    let mut web = router.connect_via(Via::new(Carrier::WebSocket, Serializer::Json));
    web.hello(ALL_ROLES, "web");
    // The pings of another client are the clock.
    for _ in 0..4 {
        web.await_ping();
    }
    raw.expect_nothing();
    assert_eq!(raw.n_pinged(), 0);
}
