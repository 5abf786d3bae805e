//! Nesting that would exhaust the stack of whoever follows it.

use crate::harness::client::{Carrier, Via};
use crate::harness::router::{Router, Setup};
use crate::{Neighbours, join, publish};
use crossbar_cluster::wire::Serializer;

/// A list of a list of a list …, `depth` of them.
fn nested_lists(serializer: Serializer, depth: usize) -> Vec<u8> {
    match serializer {
        Serializer::Json => [vec![b'['; depth], vec![b']'; depth]].concat(),
        Serializer::Cbor => [vec![0x81; depth - 1], vec![0x80]].concat(),
        Serializer::MsgPack => [vec![0x91; depth - 1], vec![0x90]].concat(),
    }
}

/// The same of dicts.
fn nested_dicts(serializer: Serializer, depth: usize) -> Vec<u8> {
    match serializer {
        Serializer::Json => [br#"{"a":"#.repeat(depth), b"1".to_vec(), vec![b'}'; depth]].concat(),
        Serializer::Cbor => [b"\xa1\x61a".repeat(depth), b"\x01".to_vec()].concat(),
        Serializer::MsgPack => [b"\x81\xa1a".repeat(depth), b"\x01".to_vec()].concat(),
    }
}

#[test]
fn nesting_beyond_the_limit_ends_the_session() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let mut n = 0;
    for via in Via::all() {
        for depth in [65, 1_000, 100_000] {
            for dicts in [false, true] {
                let mut offender = join(&router, via);
                let lists = nested_lists(via.serializer, depth);
                let arguments = match (dicts, via.serializer) {
                    (false, _) => lists,
                    (true, Serializer::Json) => [b"[", &nested_dicts(via.serializer, depth)[..], b"]"].concat(),
                    (true, Serializer::Cbor) => [b"\x81", &nested_dicts(via.serializer, depth)[..]].concat(),
                    (true, Serializer::MsgPack) => [b"\x91", &nested_dicts(via.serializer, depth)[..]].concat(),
                };
                offender.send_bytes(&publish(via.serializer, 1, &arguments));
                let sentence = offender.expect_violation();
                assert!(sentence.contains("nested deeper than 64"), "{via:?}: {sentence}");
                n += 1;
            }
        }
    }
    router.await_drops("protocol_violation", n);
    neighbours.stop();
}

/// Options too, tags of CBOR, and lists that are never closed.
#[test]
fn nesting_is_found_wherever_it_is() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let json = |text: String| (Serializer::Json, text.into_bytes());
    let deep = 100_000;
    let cases = [
        json(format!("[16,1,{}1{},\"com.topic\"]", r#"{"a":"#.repeat(deep), "}".repeat(deep))),
        json("[".repeat(deep)),
        json(r#"[16,1,{},"com.topic",[{"a":"#.repeat(1_000)),
        (Serializer::Cbor, vec![0x9f; deep]),
        (Serializer::Cbor, [&b"\x85\x10\x01\xa0\x69com.topic\x81"[..], &vec![0xc1; deep], b"\x01"].concat()),
        (Serializer::Cbor, [&b"\x84\x10\x01"[..], &b"\xbf\x61a".repeat(deep)].concat()),
        (Serializer::MsgPack, vec![0x91; deep]),
        (Serializer::MsgPack, b"\xdd\xff\xff\xff\xff".repeat(1_000)),
        (Serializer::MsgPack, b"\xdc\x00\x01".repeat(deep)),
    ];
    for (serializer, bytes) in cases {
        let mut offender = join(&router, Via::new(Carrier::WebSocket, serializer));
        offender.send_bytes(&bytes);
        offender.expect_violation();
    }
    neighbours.stop();
}

/// What is just within the limit is none of anybody's business.
#[test]
fn nesting_within_the_limit_arrives() {
    let router = Router::start(&Setup::default());
    for from in Serializer::ALL {
        for to in Serializer::ALL {
            let mut receiver = join(&router, Via::new(Carrier::WebSocket, to));
            receiver.subscribe("com.topic", "{}", "sub");
            let mut sender = join(&router, Via::new(Carrier::RawSocket, from));
            // The message itself is the first level.
            sender.send_bytes(&publish(from, 1, &nested_lists(from, 63)));
            let nested = format!("{}{}", "[".repeat(63), "]".repeat(63));
            receiver.expect(&format!("[36, $sub, $_, {{}}, {nested}]"));
            receiver.goodbye();
            sender.goodbye();
        }
    }
}

/// A listener can allow more or less.
#[test]
fn the_limit_is_that_of_the_listener() {
    let router = Router::start(&Setup { listen: "limits = { message_depth_max = 5 }", ..Setup::default() });
    for serializer in Serializer::ALL {
        let mut offender = join(&router, Via::new(Carrier::RawSocket, serializer));
        offender.send_bytes(&publish(serializer, 1, &nested_lists(serializer, 4)));
        offender.sync();
        offender.send_bytes(&publish(serializer, 2, &nested_lists(serializer, 5)));
        offender.expect_violation();
    }
}
