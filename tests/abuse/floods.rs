//! More of everything than the limits allow.

use crate::harness::client::{Carrier, Client, Via, encode};
use crate::harness::router::{Router, Setup};
use crate::{Neighbours, join, resident_bytes};
use crossbar_cluster::wire::{Dict, Serializer, Value};

const CBOR: Via = Via::new(Carrier::RawSocket, Serializer::Cbor);

/// Sends `n` requests of this type in one go, each for a URI of its own; gives how many were refused as over the limit.
fn flood(client: &mut Client, code: u64, n: u64) -> u64 {
    let mut bytes = Vec::new();
    for _ in 0..n {
        let request = client.next_request();
        let uri = format!("com.flood.n{request}");
        let message = encode(client.via.serializer, &[code.into(), request.into(), Dict::new().into(), uri.into()]);
        bytes.extend(client.frame(&message));
    }
    client.write(&bytes);
    let mut refused = 0;
    for _ in 0..n {
        let answer = client.receive();
        match answer.as_slice() {
            [Value::Uint(8), Value::Uint(of), _, _, Value::String(error), ..] if *of == code => {
                assert_eq!(error, "wamp.error.limit_exceeded");
                refused += 1;
            }
            [Value::Uint(answer), ..] => assert_eq!(*answer, code + 1),
            other => panic!("{other:?}"),
        }
    }
    refused
}

#[test]
fn subscriptions_and_registrations_beyond_the_limit_are_refused_by_name() {
    let limits = "subscriptions_per_session_max = 1000\nregistrations_per_session_max = 1000";
    let router = Router::start(&Setup { limits, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut offender = join(&router, CBOR);
    assert_eq!(flood(&mut offender, 32, 5_000), 4_000);
    assert_eq!(flood(&mut offender, 64, 5_000), 4_000);
    // All of it is given back.
    let mut other = join(&router, CBOR);
    other.send(r#"[48, #, {}, "wamp.subscription.list"]"#);
    let listed = other.receive();
    assert_eq!(
        listed[3].as_list().expect("arguments")[0].as_dict().expect("a dict").list("exact").map(<[_]>::len),
        Some(1001)
    );
    offender.goodbye();
    other.call("wamp.subscription.list", "", r#"[{"exact": [$_], "prefix": [], "wildcard": []}]"#);
    other.call("wamp.registration.list", "", r#"[{"exact": [$_], "prefix": [], "wildcard": []}]"#);
    neighbours.stop();
}

#[test]
fn calls_that_nobody_answers_are_bounded() {
    let limits = "calls_per_session_max = 1000\ncalls_queued_max = 100";
    let router = Router::start(&Setup { limits, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut callee = join(&router, CBOR);
    callee.register("com.never", "{}", "never");
    callee.register("com.queued", r#"{"concurrency": 1}"#, "queued");
    let mut offender = join(&router, CBOR);
    for (procedure, refused) in [("com.queued", 899), ("com.never", 101)] {
        let mut bytes = Vec::new();
        for _ in 0..1_000 {
            let request = offender.next_request();
            let call = [48u64.into(), request.into(), Dict::new().into(), procedure.into()];
            bytes.extend(offender.frame(&encode(Serializer::Cbor, &call)));
        }
        offender.write(&bytes);
        offender.sync();
        let mut errors = 0;
        while let Some(answer) = offender.take_received() {
            assert_eq!(answer[4], "wamp.error.limit_exceeded".into());
            errors += 1;
        }
        assert_eq!(errors, refused, "{procedure}");
    }
    neighbours.stop();
}

/// Sessions that come and go leave nothing behind.
#[test]
fn coming_and_going_leaves_nothing_behind() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let churn = |n: usize| {
        for k in 0..n {
            let via = Via::all().nth(k % 9).expect("nine ways to speak");
            let mut client = join(&router, via);
            client.subscribe("com.a.topic", "{}", "sub");
            client.subscribe("com..topic", r#"{"match": "wildcard"}"#, "sub");
            client.register(&format!("com.procedure{k}"), "{}", "reg");
            match k % 4 {
                0 => client.goodbye(),
                1 => client.into_io().reset(),
                2 => client.send(r#"[3, {}, "com.nevermind"]"#),
                _ => drop(client),
            }
        }
        let mut last = join(&router, CBOR);
        crate::harness::router::eventually("all are gone", || {
            router.metric("crossbar_sessions{realm=\"realm1\"}") == 3
        });
        last.call("wamp.subscription.list", "", r#"[{"exact": [$_], "prefix": [], "wildcard": []}]"#);
        last.call("wamp.registration.list", "", r#"[{"exact": [$_], "prefix": [], "wildcard": []}]"#);
        drop(last);
    };
    churn(200);
    let before = resident_bytes(&router);
    churn(600);
    let grown = resident_bytes(&router).saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more after 600 sessions");
    neighbours.stop();
}

/// Whoever breaks the protocol and goes on sending is not listened to, and not waited for.
#[test]
fn sending_on_after_the_end_is_of_no_use() {
    let router = Router::start(&Setup { limits: "close_timeout = \"200ms\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut offender = join(&router, Via::new(Carrier::WebSocket, Serializer::Json));
    offender.send_bytes(b"[]");
    let piece = offender.frame(&vec![b'['; 60_000]);
    for _ in 0..200 {
        offender.write(&piece);
    }
    offender.into_io().read_to_close();
    router.await_drops("protocol_violation", 1);
    neighbours.stop();
}

/// One transport message that holds very many: it is routed in slices, between which others have their turn, in order
/// and without a loss.
#[test]
fn a_batch_of_very_many_messages_is_routed_in_order_beside_its_neighbours() {
    const N: u64 = 20_000;
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    for serializer in [Serializer::Cbor, Serializer::Json] {
        let mut offender = join(&router, Via::new(Carrier::Batched, serializer));
        let options = Dict::new().with("acknowledge", true);
        let requests: Vec<u64> = (0..N).map(|_| offender.next_request()).collect();
        let publish = |request: &u64| vec![16u64.into(), (*request).into(), options.clone().into(), "t".into()];
        offender.send_batch_of(&requests.iter().map(publish).collect::<Vec<_>>());
        for request in requests {
            let published = offender.receive();
            assert_eq!((&published[0], &published[1]), (&17u64.into(), &request.into()));
        }
    }
    neighbours.stop();
}
