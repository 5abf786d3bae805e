//! What a client gets does not depend on the node to which its balancer has taken it: payloads cross links as they
//! came, and the receiver's node transcodes them, or leaves them alone, as the sender's node would.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::Cluster;
use crate::harness::router::{ALL_ROLES, Setup};
use crossbar_cluster::wamp::{Message, codec};
use crossbar_cluster::wire::{Payload, Serializer};
use std::collections::BTreeSet;

/// Values that some serializer has and another has not, or that can be written in several ways, as they are sent.
const VALUES: [(Serializer, &[u8]); 26] = [
    (Serializer::Json, b"18446744073709551616"),
    (Serializer::Json, b"-9223372036854775809"),
    (Serializer::Json, b"0.1000000000000000055511151231257827"),
    (Serializer::Json, b"1.10"),
    (Serializer::Json, b"1E+2"),
    (Serializer::Json, b"-0"),
    (Serializer::Json, br#""\u0041\/""#),
    (Serializer::Json, br#"{"a":1, "a":2}"#),
    (Serializer::MsgPack, b"\x81\x07\x01"),
    (Serializer::MsgPack, b"\x81\xc3\x01"),
    (Serializer::MsgPack, b"\x81\xc0\x01"),
    (Serializer::MsgPack, b"\x81\xc4\x01\x09\x01"),
    (Serializer::MsgPack, b"\x81\xcb\x3f\xf8\0\0\0\0\0\0\x01"),
    (Serializer::MsgPack, b"\xd4\x05\x2a"),
    (Serializer::MsgPack, b"\xd6\xff\x5e\x0b\xe1\x00"),
    (Serializer::MsgPack, b"\xca\x3f\xc0\0\0"),
    (Serializer::MsgPack, b"\xd9\x01a"),
    (Serializer::MsgPack, b"\xcf\0\0\0\0\0\0\0\x01"),
    (Serializer::Cbor, b"\xc1\x1a\x5e\x0b\xe1\x00"),
    (Serializer::Cbor, b"\xc0\x741985-04-12T23:20:50Z"),
    (Serializer::Cbor, b"\xc2\x49\x01\0\0\0\0\0\0\0\0"),
    (Serializer::Cbor, b"\xa1\x07\x01"),
    (Serializer::Cbor, b"\xa1\x41\x09\x01"),
    (Serializer::Cbor, b"\x9f\x01\x7f\x61a\x61b\xff\xff"),
    (Serializer::Cbor, b"\xf9\x3c\x00"),
    (Serializer::Cbor, b"\xf7"),
];

fn join(cluster: &mut Cluster, node: usize, serializer: Serializer) -> Client {
    let mut client = cluster.node(node).connect_via(Via::new(Carrier::RawSocket, serializer));
    client.hello(ALL_ROLES, "client");
    client
}

/// A message that begins with `head` (JSON, without brackets) and carries `value` as its only argument.
fn message(serializer: Serializer, head: &str, value: &[u8]) -> Vec<u8> {
    let head = codec::decode(Serializer::Json, format!("[{head}]").as_bytes(), 8).expect("a message");
    let mut bytes = Vec::new();
    codec::encode(&head, serializer, &mut bytes);
    match serializer {
        Serializer::Json => [&bytes[..bytes.len() - 1], b",[", value, b"]]"].concat(),
        Serializer::Cbor | Serializer::MsgPack => {
            // One more element, a list of one.
            bytes[0] += 1;
            let list = if serializer == Serializer::Cbor { 0x81 } else { 0x91 };
            [&bytes[..], &[list], value].concat()
        }
    }
}

/// The next message with arguments, and these as they came.
fn arguments(client: &mut Client) -> (Message, Vec<u8>) {
    let bytes = client.receive_bytes().bytes;
    let message = codec::decode(client.via.serializer, &bytes, 64).expect("a message");
    let of = |payload: &Payload| payload.raw().0.to_vec();
    match &message {
        Message::Event { payload, .. }
        | Message::Invocation { payload, .. }
        | Message::Result { payload, .. }
        | Message::Error { payload, .. } => {
            let arguments = of(payload);
            (message, arguments)
        }
        other => panic!("{other:?} has no arguments"),
    }
}

/// Asserts that both nodes' clients got the same, and within a serializer what was sent.
fn assert_same(near: &[u8], far: &[u8], to: Serializer, (from, value): (Serializer, &[u8]), what: &str) {
    let what = format!("{what} {} from {from:?} to {to:?}", value.escape_ascii());
    assert_eq!(near.escape_ascii().to_string(), far.escape_ascii().to_string(), "{what}");
    if from == to {
        assert!(far.windows(value.len()).any(|part| part == value), "{what}: {}", far.escape_ascii());
    }
}

#[test]
fn events_are_the_same_on_the_publishers_node_and_over_a_link() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut subscribers = Serializer::ALL.map(|to| (join(&mut cluster, 1, to), join(&mut cluster, 2, to)));
    for (near, far) in &mut subscribers {
        near.subscribe("com.topic", "{}", "sub");
        far.subscribe("com.topic", "{}", "sub");
    }
    for (from, value) in VALUES {
        let mut publisher = join(&mut cluster, 1, from);
        publisher.send_bytes(&message(from, r#"16, 1, {}, "com.topic""#, value));
        for (near, far) in &mut subscribers {
            let (here, there) = (arguments(near).1, arguments(far).1);
            assert_same(&here, &there, near.via.serializer, (from, value), "EVENT");
        }
    }
}

#[test]
fn calls_results_and_errors_are_the_same_on_the_callees_node_and_over_a_link() {
    let mut cluster = Cluster::start(2, Setup::default());
    for to in Serializer::ALL {
        let mut callee = join(&mut cluster, 2, to);
        callee.register("com.work", "{}", "reg");
        for (from, value) in VALUES {
            let (mut near, mut far) = (join(&mut cluster, 2, from), join(&mut cluster, 1, from));
            let invocations = [&mut near, &mut far].map(|caller| {
                caller.send_bytes(&message(from, r#"48, 1, {}, "com.work""#, value));
                let (message, arguments) = arguments(&mut callee);
                let Message::Invocation { request, .. } = message else { panic!("{message:?}") };
                (request, arguments)
            });
            assert_same(&invocations[0].1, &invocations[1].1, to, (from, value), "INVOCATION");
            // The answers go the other way: these values are of the callee's serializer.
            let back = VALUES.iter().find(|(serializer, _)| *serializer == to).map_or(value, |(_, value)| value);
            for (request, _) in &invocations {
                callee.send_bytes(&message(to, &format!("70, {request}, {{}}"), back));
            }
            let answers = [&mut near, &mut far].map(|caller| arguments(caller).1);
            assert_same(&answers[0], &answers[1], from, (to, back), "RESULT");
        }
        for (_, value) in VALUES.iter().filter(|(serializer, _)| *serializer == to) {
            for from in Serializer::ALL {
                let answers = [2, 1].map(|node| {
                    let mut caller = join(&mut cluster, node, from);
                    caller.send(r#"[48, 1, {}, "com.work"]"#);
                    let Message::Invocation { request, .. } = arguments(&mut callee).0 else { panic!("a call") };
                    callee.send_bytes(&message(to, &format!(r#"8, 68, {request}, {{}}, "com.error""#), value));
                    arguments(&mut caller).1
                });
                assert_same(&answers[0], &answers[1], from, (to, value), "ERROR");
            }
        }
        callee.goodbye();
    }
}

#[test]
fn retained_events_are_the_same_on_a_node_that_has_fetched_them() {
    let mut cluster = Cluster::start(2, Setup::default());
    for (n, (from, value)) in VALUES.into_iter().enumerate() {
        let mut publisher = join(&mut cluster, 1, from);
        let head = format!(r#"16, 1, {{"retain": true, "acknowledge": true}}, "com.state.n{n}""#);
        publisher.send_bytes(&message(from, &head, value));
        publisher.expect("[17, 1, $_]");
    }
    cluster.kill(2);
    cluster.restart(2);
    let all = r#"{"match": "prefix", "get_retained": true}"#;
    for to in Serializer::ALL {
        let [here, there] = [1, 2].map(|node| {
            let mut subscriber = join(&mut cluster, node, to);
            subscriber.subscribe("com.state", all, "sub");
            VALUES.map(|_| {
                let (message, arguments) = arguments(&mut subscriber);
                let Message::Event { publication, .. } = message else { panic!("{message:?}") };
                (publication, arguments.escape_ascii().to_string())
            })
        });
        assert_eq!(BTreeSet::from(here), BTreeSet::from(there), "{to:?}");
    }
}
