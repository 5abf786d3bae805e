//! Lengths that nobody could ever send or keep, and messages that are too large.

use crate::harness::client::{Carrier, Client, MASK, Via};
use crate::harness::router::{Router, Setup, endpoint_of};
use crate::{Neighbours, join, publish, resident_bytes};
use crossbar_cluster::wire::Serializer;
use crossbar_cluster::wire::deflate::DeflateConfig;
use crossbar_cluster::wire::websocket::{FrameHead, OpCode, write_frame};

const JSON: Via = Via::new(Carrier::WebSocket, Serializer::Json);

/// The head of a masked WebSocket frame that announces this length.
fn head_of(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0xff], &length.to_be_bytes()[..], &MASK].concat()
}

#[test]
fn huge_websocket_frames_are_refused_at_their_head() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let before = resident_bytes(&router);
    let (mut too_large, mut violations) = (0, 0);
    for (length, code, reason) in [
        ((1 << 20) + 1, 1009, "message_too_large"),
        (1 << 32, 1009, "message_too_large"),
        ((1 << 63) - 1, 1009, "message_too_large"),
        (1 << 63, 1002, "transport_violation"),
        (u64::MAX, 1002, "transport_violation"),
    ] {
        let mut offender = join(&router, JSON);
        offender.write(&head_of(0x81, length));
        assert_eq!(offender.expect_closed().code, Some(code), "{length}");
        let n = if reason == "message_too_large" { &mut too_large } else { &mut violations };
        *n += 1;
        router.await_drops(reason, *n);
    }
    assert!(resident_bytes(&router) < before + (32 << 20), "no memory is taken for what is only announced");
    neighbours.stop();
}

#[test]
fn huge_rawsocket_frames_are_refused_at_their_head() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    for (n, prefix) in (1..).zip([[0x00, 0x10, 0, 1], [0x00, 0xff, 0xff, 0xff], [0x08, 0, 0, 0], [0x01, 0xff, 0, 0]]) {
        let mut offender = join(&router, Via::new(Carrier::RawSocket, Serializer::Cbor));
        offender.write(&prefix);
        offender.expect_closed();
        router.await_drops("message_too_large", n);
    }
    neighbours.stop();
}

/// Serializers announce lengths as well.
#[test]
fn huge_lengths_inside_of_messages_are_violations() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let before = resident_bytes(&router);
    let huge = u64::MAX.to_be_bytes();
    let with = |first: u8, rest: &[u8]| [&[first], rest].concat();
    let cases = [
        // Lists, dicts, text and binary of CBOR, of 2^64-1 and of 2^63 items.
        (Serializer::Cbor, with(0x9b, &huge)),
        (Serializer::Cbor, with(0x9b, &(1u64 << 63).to_be_bytes())),
        (Serializer::Cbor, publish(Serializer::Cbor, 1, &with(0x9b, &huge))),
        (Serializer::Cbor, publish(Serializer::Cbor, 1, &[b"\x81", &with(0xbb, &huge)[..]].concat())),
        (Serializer::Cbor, publish(Serializer::Cbor, 1, &[b"\x81", &with(0x7b, &huge)[..]].concat())),
        (Serializer::Cbor, publish(Serializer::Cbor, 1, &[b"\x81", &with(0x5b, &huge)[..]].concat())),
        (Serializer::Cbor, [&b"\x84\x10\x01"[..], &with(0xbb, &huge)].concat()),
        (Serializer::Cbor, [&b"\x84\x10\x01\xa0"[..], &with(0x7b, &huge)].concat()),
        // The same of MessagePack, which has 32 bits.
        (Serializer::MsgPack, with(0xdd, &[0xff; 4])),
        (Serializer::MsgPack, publish(Serializer::MsgPack, 1, &with(0xdd, &[0xff; 4]))),
        (Serializer::MsgPack, publish(Serializer::MsgPack, 1, &[b"\x91", &with(0xdf, &[0xff; 4])[..]].concat())),
        (Serializer::MsgPack, publish(Serializer::MsgPack, 1, &[b"\x91", &with(0xdb, &[0xff; 4])[..]].concat())),
        (Serializer::MsgPack, publish(Serializer::MsgPack, 1, &[b"\x91", &with(0xc6, &[0xff; 4])[..]].concat())),
        (Serializer::MsgPack, publish(Serializer::MsgPack, 1, &[b"\x91", &with(0xc9, &[0xff; 5])[..]].concat())),
    ];
    for (serializer, bytes) in cases {
        for carrier in [Carrier::WebSocket, Carrier::RawSocket] {
            let mut offender = join(&router, Via::new(carrier, serializer));
            offender.send_bytes(&bytes);
            offender.expect_violation();
        }
    }
    // A batch of one message of four gigabytes.
    let mut offender = join(&router, Via::new(Carrier::Batched, Serializer::Cbor));
    let mut frame = Vec::new();
    write_frame(&mut frame, offender.head(), &[0xff, 0xff, 0xff, 0xff, 0x80]);
    offender.write(&frame);
    offender.expect_violation();
    assert!(resident_bytes(&router) < before + (32 << 20), "no memory is taken for what is only announced");
    neighbours.stop();
}

/// A message that comes in fragments for ever is ended where the limit is.
#[test]
fn endless_fragments_end_at_the_limit() {
    let router = Router::start(&Setup { limits: "message_bytes_max = \"64KiB\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut offender = join(&router, JSON);
    let mut first = Vec::new();
    write_frame(&mut first, FrameHead::TEXT.unfinished().masked(MASK), b"[");
    offender.write(&first);
    let mut piece = Vec::new();
    write_frame(&mut piece, FrameHead::new(OpCode::Continuation).unfinished().masked(MASK), &[b' '; 1000]);
    for _ in 0..100 {
        offender.write(&piece);
    }
    assert_eq!(offender.expect_closed().code, Some(1009));
    router.await_drops("message_too_large", 1);
    // Byte by byte, over as many reads.
    let mut offender = join(&router, Via::new(Carrier::RawSocket, Serializer::Json));
    offender.write(&[0, 1, 0, 0]);
    for _ in 0..2_000 {
        offender.write(b" ");
    }
    drop(offender);
    neighbours.stop();
}

/// Control frames are small, and never in fragments.
#[test]
fn misused_control_frames_end_the_connection() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let frame = |bytes: &[u8]| bytes.to_vec();
    let cases = [
        // A ping of 126 bytes, a ping in fragments, an opcode that is none, reserved bits, no mask.
        frame(&[0x89, 0xfe, 0, 126, 1, 2, 3, 4]),
        frame(&[0x09, 0x80, 1, 2, 3, 4]),
        frame(&[0x83, 0x80, 1, 2, 3, 4]),
        frame(&[0x8b, 0x80, 1, 2, 3, 4]),
        frame(&[0xc1, 0x80, 1, 2, 3, 4]),
        frame(&[0xa1, 0x80, 1, 2, 3, 4]),
        frame(&[0x81, 0x01, b'[']),
        // A continuation of nothing, and a close with half a code.
        frame(&[0x80, 0x80, 1, 2, 3, 4]),
        frame(&[0x88, 0x81, 0, 0, 0, 0, 3]),
    ];
    for (n, bytes) in (1..).zip(cases) {
        let mut offender = join(&router, JSON);
        offender.write(&bytes);
        assert_eq!(offender.expect_closed().code, Some(1002), "{bytes:x?}");
        router.await_drops("transport_violation", n);
    }
    neighbours.stop();
}

/// A little on the wire that would be very much in memory.
#[test]
fn deflate_bombs_are_defused() {
    let listeners = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n[listen.compression]\n".to_owned();
    let router = Router::start(&Setup { listeners, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let before = resident_bytes(&router);
    let config = DeflateConfig {
        server_window_bits_max: 15,
        client_window_bits_max: 15,
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        level: 9,
        message_bytes_min: 0,
    };
    let bomb = vec![b' '; 200 << 20];
    for n in 1..=3 {
        let io = endpoint_of(router.edge.nth_url("ws", 1)).connect();
        let mut offender = Client::open_compressed(io, JSON, router.scope.clone(), &config);
        offender.hello(crate::harness::router::ALL_ROLES, "offender");
        let frame = offender.frame(&bomb);
        assert!(frame.len() < 1 << 20, "the bomb is small: {} bytes", frame.len());
        offender.write(&frame);
        assert_eq!(offender.expect_closed().code, Some(1009));
        router.await_drops("inflate_limit", n);
    }
    assert!(resident_bytes(&router) < before + (64 << 20), "the bomb is not inflated");
    // What cannot be inflated at all.
    let io = endpoint_of(router.edge.nth_url("ws", 1)).connect();
    let mut offender = Client::open_compressed(io, JSON, router.scope.clone(), &config);
    let mut frame = Vec::new();
    write_frame(&mut frame, FrameHead::TEXT.compressed().masked(MASK), &[0xff; 64]);
    offender.write(&frame);
    assert_eq!(offender.expect_closed().code, Some(1007));
    neighbours.stop();
}

/// A HELLO that would be kept for as long as the session lasts.
#[test]
fn a_large_authextra_is_refused() {
    let router = Router::start(&Setup::default());
    let mut offender = router.connect_via(JSON);
    let details = format!(r#"{{"roles": {{"caller": {{}}}}, "authextra": {{"x": "{}"}}}}"#, "x".repeat(100_000));
    offender.send(&format!(r#"[1, "realm1", {details}]"#));
    offender.expect_abort("wamp.error.limit_exceeded");
}
