//! Rows 44 and 45: RawSocket.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::io::Io;
use crate::harness::router::{ALL_ROLES, NO_FEATURES, Router, Setup, endpoint_of};
use crossbar_cluster::wire::rawsocket::{FrameKind, write_frame};
use crossbar_cluster::wire::{Serializer, Value};
use std::io::{Read, Write};

const JSON: Via = Via::new(Carrier::RawSocket, Serializer::Json);

fn dial(router: &Router) -> Io {
    router.endpoint(JSON).connect()
}

/// The reply to a handshake; then the router closes unless it agrees.
fn reply(router: &Router, octets: [u8; 4]) -> Vec<u8> {
    let mut io = dial(router);
    io.write_all(&octets).expect("it is open");
    io.read_to_close()
}

/// Row 45 and the handshake of the specification.
#[test]
fn a_handshake_is_answered_with_the_routers_own_limit() {
    let router = Router::start(&Setup { limits: "message_bytes_max = \"64KiB\"", ..Setup::default() });
    for serializer in [1, 2, 3] {
        for length in [0x0, 0x7, 0xf] {
            let mut io = dial(&router);
            io.write_all(&[0x7f, length << 4 | serializer, 0, 0]).expect("it is open");
            let mut answer = [0; 4];
            io.read_exact(&mut answer).expect("an answer");
            // 2^(9+7) is 64 KiB.
            assert_eq!(answer, [0x7f, 0x70 | serializer, 0, 0]);
        }
    }
}

#[test]
fn a_handshake_that_cannot_be_is_refused_with_its_number() {
    let router = Router::start(&Setup::default());
    assert_eq!(reply(&router, [0x7f, 0xf0, 0, 0]), [0x7f, 0x10, 0, 0], "serializer 0 is illegal");
    assert_eq!(reply(&router, [0x7f, 0xf4, 0, 0]), [0x7f, 0x10, 0, 0], "UBJSON is not supported");
    assert_eq!(reply(&router, [0x7f, 0xff, 0, 0]), [0x7f, 0x10, 0, 0], "serializer 15 is reserved");
    assert_eq!(reply(&router, [0x7f, 0xf1, 1, 0]), [0x7f, 0x30, 0, 0], "reserved octets are zero");
    assert_eq!(reply(&router, [0x7f, 0xf1, 0, 1]), [0x7f, 0x30, 0, 0], "reserved octets are zero");
    assert_eq!(reply(&router, *b"GET "), b"", "this port speaks RawSocket only");
    router.await_drops("transport_violation", 6);
}

/// Row 45.
#[test]
fn a_ping_is_answered_by_one_pong_with_the_same_payload() {
    let router = Router::start(&Setup::default());
    for payload in [&b""[..], b"hello", &[0; 125], &[0xff; 70_000]] {
        let client = router.connect_via(JSON);
        let mut io = client.into_io();
        let mut ping = vec![1];
        ping.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        ping.extend_from_slice(payload);
        io.write_all(&ping).expect("it is open");
        let mut pong = vec![0; ping.len()];
        io.read_exact(&mut pong).expect("a PONG");
        assert_eq!(pong[0], 2);
        assert_eq!(pong[1..], ping[1..], "length and payload are those of the PING");
        // Exactly one: what comes next is the answer to the next PING.
        io.write_all(&[1, 0, 0, 1, b'x']).expect("it is open");
        let mut next = [0; 5];
        io.read_exact(&mut next).expect("a PONG");
        assert_eq!(next, [2, 0, 0, 1, b'x']);
    }
}

/// A PONG that nobody asked for is of no consequence.
#[test]
fn an_unasked_pong_is_ignored() {
    let router = Router::start(&Setup::default());
    let mut a = router.connect_via(JSON);
    a.write(&[2, 0, 0, 1, b'x']);
    a.hello(ALL_ROLES, "a");
}

/// Row 45.
#[test]
fn reserved_bits_and_types_fail_the_connection() {
    let router = Router::start(&Setup::default());
    for (n, first) in (1..).zip([0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x20, 0x40, 0x80, 0xf0]) {
        let mut a = router.connect_via(JSON);
        a.hello(ALL_ROLES, "a");
        a.write(&[first, 0, 0, 0]);
        a.expect_closed();
        router.await_drops("transport_violation", n);
    }
    // The 25th bit of the length goes with a length of zero only.
    let mut a = router.connect_via(JSON);
    a.write(&[0x08, 0, 0, 1]);
    a.expect_closed();
}

/// Row 44.
#[test]
fn a_message_beyond_the_routers_limit_fails_the_connection() {
    let router = Router::start(&Setup { limits: "message_bytes_max = 1024", ..Setup::default() });
    let text = |bytes: usize| {
        let head = r#"[16,1,{"acknowledge":true},"com.topic",[""#;
        format!("{head}{}\"]]", "x".repeat(bytes - head.len() - 3))
    };
    for via in Via::all().filter(|via| via.serializer == Serializer::Json && via.carrier != Carrier::Batched) {
        let mut a = router.connect_via(via);
        a.hello(ALL_ROLES, "a");
        a.send_bytes(text(1024).as_bytes());
        a.expect("[17, 1, $_]");
        a.send_bytes(text(1025).as_bytes());
        a.expect_closed();
        a.unbind(&["_"]);
    }
    router.await_drops("message_too_large", 2);
    // PINGs are messages in this respect.
    let mut a = router.connect_via(JSON);
    a.write(&[1, 0, 4, 1]);
    a.expect_closed();
    router.await_drops("message_too_large", 3);
}

/// Row 44: what a peer cannot take is not sent; those who wait for it are told, and the connection goes on.
#[test]
fn what_is_larger_than_the_peer_takes_is_never_sent() {
    let router = Router::start(&Setup::default());
    let mut a = Client::open_rawsocket(dial(&router), JSON, router.scope.clone(), 2048);
    a.hello(ALL_ROLES, "a");
    let mut b = router.connect_via(JSON);
    b.hello(ALL_ROLES, "b");
    let large = format!("[\"{}\"]", "x".repeat(3000));
    // An EVENT is dropped and counted.
    a.subscribe("com.topic", "{}", "sub");
    b.publish("com.topic", "{}", &large);
    a.expect_nothing();
    assert_eq!(router.drops("receiver_limit"), 1);
    b.publish("com.topic", "{}", "[1]");
    a.expect("[36, $sub, $_, {}, [1]]");
    // A CALL to it fails.
    a.register("com.small", "{}", "reg_a");
    b.call_fails("com.small", &large, "wamp.error.payload_size_exceeded");
    a.expect_nothing();
    // A RESULT for it becomes an ERROR, and an ERROR loses its arguments.
    b.register("com.large", "{}", "reg_b");
    a.send(r#"[48, #, {}, "com.large"]"#);
    b.expect("[68, 1, $reg_b, {}]");
    b.send(&format!("[70, 1, {{}}, {large}]"));
    a.expect(r#"[8, 48, #, {...}, "wamp.error.payload_size_exceeded", ...]"#);
    a.send(r#"[48, #, {}, "com.large"]"#);
    b.expect("[68, 2, $reg_b, {}]");
    b.send(&format!("[8, 68, 2, {{}}, \"com.error\", {large}]"));
    a.expect(r#"[8, 48, #, {}, "com.error", [$why]]"#);
    // A part of a RESULT ends the call: what the callee says later is for nobody.
    a.send(r#"[48, #, {"receive_progress": true}, "com.large"]"#);
    b.expect("[68, 3, $reg_b, {...}]");
    b.send(&format!("[70, 3, {{\"progress\": true}}, {large}]"));
    a.expect(r#"[8, 48, #, {...}, "wamp.error.payload_size_exceeded", ...]"#);
    b.expect("[69, 3, {...}]");
    b.send("[70, 3, {}]");
    b.sync();
    a.expect_nothing();
    // So does a part of a CALL.
    b.send(r#"[48, #, {"progress": true}, "com.small"]"#);
    a.expect(r#"[68, 2, $reg_a, {...}]"#);
    let request = b.next_request() - 1;
    b.send(&format!("[48, {request}, {{}}, \"com.small\", {large}]"));
    b.expect(&format!(r#"[8, 48, {request}, {{...}}, "wamp.error.payload_size_exceeded", ...]"#));
    a.expect("[69, 2, {...}]");
    a.expect_nothing();
}

#[test]
fn a_pong_that_its_peer_would_not_take_is_not_sent() {
    let router = Router::start(&Setup::default());
    let mut a = Client::open_rawsocket(dial(&router), JSON, router.scope.clone(), 2048);
    a.hello(NO_FEATURES, "a");
    let mut ping = Vec::new();
    write_frame(&mut ping, FrameKind::Ping, &[7; 3000]).expect("it is short");
    a.write(&ping);
    a.sync();
    assert_eq!(router.drops("receiver_limit"), 1);
}

#[test]
fn a_message_that_may_not_even_wait_for_its_receiver_costs_nobody_the_connection() {
    let limits = "message_bytes_max = \"64KiB\"\noutbox_bytes_max = \"64KiB\"";
    // Who publishes may send more than others may be sent.
    let listeners = "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:0\"\n\
                     limits = { message_bytes_max = \"1MiB\", outbox_bytes_max = \"4MiB\" }\n";
    let router = Router::start(&Setup { limits, listeners: listeners.to_owned(), ..Setup::default() });
    let large = format!("[\"{}\"]", "x".repeat(100_000));
    let endpoint = endpoint_of(router.edge.nth_url("rs", 1));
    let mut publisher = Client::open(endpoint.connect(), JSON, router.scope.clone());
    publisher.hello(ALL_ROLES, "publisher");
    publisher.register("com.echo", "{}", "reg");
    for (n, via) in (1..).zip(Via::all()) {
        let mut a = router.connect_via(via);
        a.hello(ALL_ROLES, "a");
        a.subscribe("com.topic", "{}", "sub");
        publisher.publish("com.topic", "{}", &large);
        publisher.publish("com.topic", "{}", "[1]");
        a.expect("[36, $sub, $_, {}, [1]]");
        assert_eq!(router.drops("receiver_limit"), 2 * n - 1, "{via:?}");
        a.send(r#"[48, #, {}, "com.echo"]"#);
        publisher.expect("[68, $call, $reg, {}]");
        publisher.send(&format!("[70, $call, {{}}, {large}]"));
        a.expect(r#"[8, 48, #, {...}, "wamp.error.payload_size_exceeded", [$_]]"#);
        a.unbind(&["_", "sub", "call"]);
        a.goodbye();
    }
}

/// Row 44: the limit is one of messages, not of frames.
#[test]
fn a_message_that_just_fits_is_sent() {
    let router = Router::start(&Setup::default());
    let mut a = Client::open_rawsocket(dial(&router), JSON, router.scope.clone(), 2048);
    a.hello(ALL_ROLES, "a");
    a.subscribe("com.topic", "{}", "sub");
    let mut b = router.connect_via(JSON);
    b.hello(ALL_ROLES, "b");
    let around = |bytes: usize| format!("[\"{}\"]", "x".repeat(bytes));
    let head = format!("[36,{},,{{}},{}]", a.id("sub"), around(0)).len();
    // An id has at most 16 digits: this fits whatever the id, and 16 bytes more do not.
    let fitting = 2048 - head - 16;
    b.publish("com.topic", "{}", &around(fitting));
    a.expect(&format!("[36, $sub, $_, {{}}, {}]", around(fitting)));
    b.publish("com.topic", "{}", &around(fitting + 16));
    a.expect_nothing();
    assert_eq!(router.drops("receiver_limit"), 1);
}

/// Row 44: a session whose WELCOME is too large is refused in few words.
#[test]
fn a_peer_that_cannot_take_welcome_is_told() {
    let router = Router::start(&Setup::default());
    let mut a = Client::open_rawsocket(dial(&router), JSON, router.scope.clone(), 512);
    a.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
    a.expect_abort("wamp.error.payload_size_exceeded");
    a.expect_closed();
    router.await_drops("receiver_limit", 1);
    let mut b = router.connect_via(JSON);
    b.hello(ALL_ROLES, "b");
    b.call("wamp.session.count", "", "[1]");
}

/// Row 44: an ERROR that is too large by its URI alone.
#[test]
fn an_error_with_a_uri_beyond_the_peers_limit_arrives_under_another_name() {
    let router = Router::start(&Setup::default());
    let mut a = Client::open_rawsocket(dial(&router), JSON, router.scope.clone(), 2048);
    a.hello(ALL_ROLES, "a");
    let mut b = router.connect_via(JSON);
    b.hello(ALL_ROLES, "b");
    b.register("com.procedure", "{}", "reg");
    a.send(r#"[48, #, {}, "com.procedure"]"#);
    b.expect("[68, 1, $reg, {}]");
    b.send(&format!(r#"[8, 68, 1, {{}}, "com.{}", ["why"]]"#, "x".repeat(3000)));
    a.expect(r#"[8, 48, #, {}, "wamp.error.payload_size_exceeded", [$_]]"#);
}

/// 3 MiB of control characters are 18 MiB in JSON, which no RawSocket frame can hold.
#[test]
fn what_no_frame_can_hold_is_never_framed() {
    let limits = "message_bytes_max = \"32MiB\"\noutbox_bytes_max = \"64MiB\"";
    let router = Router::start(&Setup { limits, ..Setup::default() });
    let mut a = Client::open_rawsocket(dial(&router), JSON, router.scope.clone(), 1 << 24);
    a.hello(ALL_ROLES, "a");
    a.subscribe("com.topic", "{}", "sub");
    let mut b = router.connect_via(Via::new(Carrier::WebSocket, Serializer::Cbor));
    b.hello(ALL_ROLES, "b");
    b.register("com.work", "{}", "reg");
    let huge = Value::List(vec!["\u{1}".repeat(3 << 20).into()]);
    let mut event = b.fill(r#"[16, #, {}, "com.topic"]"#);
    event.push(huge.clone());
    b.send_message(&event);
    b.publish("com.topic", "{}", "[1]");
    a.expect("[36, $sub, $_, {}, [1]]");
    assert_eq!(router.drops("receiver_limit"), 1);
    a.send(r#"[48, #, {}, "com.work"]"#);
    b.expect("[68, $call, $reg, {}]");
    let mut answer = b.fill("[70, $call, {}]");
    answer.push(huge);
    b.send_message(&answer);
    a.expect(r#"[8, 48, #, {...}, "wamp.error.payload_size_exceeded", [$_]]"#);
}
