//! A client of each serializer exchanges every kind of payload with a client of each other: events, arguments of calls,
//! results and errors arrive as they were sent.

mod harness;

use crossbar_cluster::wire::{Dict, Serializer, Value};
use harness::client::{Carrier, Client, Via};
use harness::pattern::show;
use harness::router::{ALL_ROLES, Router, Setup};

/// Values of every kind that all three serializers have, by a name for messages.
fn values() -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::from(text);
    let list = |items: &[Value]| Value::List(items.to_vec());
    let int = |number: i64| Value::from(number);
    let float = Value::Float;
    let integers = [0, 1, 23, 24, 127, 128, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32];
    let beyond = [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];
    let negative = [-1, -24, -25, -32, -33, -128, -129, -32_768, -32_769, i64::from(i32::MIN), i64::MIN + 1, i64::MIN];
    let floats = [0.1, -0.5, 1.0, 100.0, -0.0, 1e23, 1e300, f64::MAX, f64::MIN_POSITIVE, 5e-324, std::f64::consts::PI];
    let mut nested = list(&[]);
    for n in 0..40 {
        nested = if n % 2 == 0 { list(&[nested, int(n)]) } else { Dict::new().with("deeper", nested).into() };
    }
    let unordered = Dict::new().with("z", 1u64).with("a", 2u64).with("m", Dict::new().with("y", 3u64).with("b", 4u64));
    vec![
        ("null", Value::Null),
        ("bools", list(&[true.into(), false.into()])),
        ("integers", list(&integers.map(Value::from))),
        ("integers beyond 2^53", list(&beyond.map(Value::from))),
        ("negative integers", list(&negative.map(Value::from))),
        ("floats", list(&floats.map(float))),
        ("no text", text("")),
        ("text", text("hello, world")),
        ("unicode", text("Grüße, Καλημέρα, こんにちは, 🦀🇦🇹, e\u{301}, \u{10ffff}, \u{feff}")),
        ("text to be escaped", text("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}\u{2028}</script>")),
        ("zero inside of text", text("a\0b")),
        ("long text", text(&"word ".repeat(20_000))),
        ("no binary", Value::Bytes(Vec::new())),
        ("binary", Value::Bytes((0..=255).collect())),
        ("binary of each length", list(&(1..8).map(|n| Value::Bytes(vec![0xff; n])).collect::<Vec<_>>())),
        ("long binary", Value::Bytes((0..100_000).map(|n| (n * 7 % 256) as u8).collect())),
        ("binary in a dict", Dict::new().with("blob", Value::Bytes(vec![0, 1, 2])).into()),
        ("empty containers", list(&[list(&[]), Dict::new().into(), list(&[list(&[])])])),
        ("a long list", list(&(0..70_000).map(|n| int(n % 300)).collect::<Vec<_>>())),
        ("a dict keeps its order", unordered.into()),
        ("keys of every kind", Dict::new().with("", 1u64).with("ключ", 2u64).with("a b\"c\n", 3u64).into()),
        ("deep nesting", nested),
        ("all together", list(&[Value::Null, true.into(), int(-7), float(2.5), text("x"), Value::Bytes(vec![9])])),
    ]
}

/// The clients of one test: one of each serializer as sender and as receiver.
fn pairs(router: &Router) -> Vec<(Client, Client)> {
    let join = |serializer, name| {
        let carrier = if serializer == Serializer::MsgPack { Carrier::RawSocket } else { Carrier::WebSocket };
        let mut client = router.connect_via(Via::new(carrier, serializer));
        client.hello(ALL_ROLES, name);
        client
    };
    let receivers = || Serializer::ALL.map(|to| join(to, "receiver"));
    Serializer::ALL.into_iter().flat_map(|from| receivers().map(|receiver| (join(from, "sender"), receiver))).collect()
}

/// Asserts that arguments have arrived: bit by bit where equality is not enough.
fn assert_same(sent: &Value, message: &[Value], at: usize, what: &str) {
    let expected = [Value::List(vec![sent.clone()]), Dict::new().with("value", sent.clone()).into()];
    let arrived = message.get(at..).unwrap_or_default();
    if arrived != expected || format!("{arrived:?}") != format!("{expected:?}") {
        let message = show(message);
        panic!("{what}: {} arrived", message.get(..2000).unwrap_or(&message));
    }
}

fn arguments(value: &Value) -> [Value; 2] {
    [Value::List(vec![value.clone()]), Dict::new().with("value", value.clone()).into()]
}

fn message(head: &[Value], value: &Value) -> Vec<Value> {
    [head, &arguments(value)].concat()
}

#[test]
fn events_arrive_as_they_were_published() {
    let router = Router::start(&Setup::default());
    for (mut sender, mut receiver) in pairs(&router) {
        receiver.subscribe("com.topic", "{}", "sub");
        for (n, (name, value)) in (1u64..).zip(values()) {
            let what = format!("{name} from {:?} to {:?}", sender.via.serializer, receiver.via.serializer);
            sender.send_message(&message(&[16u64.into(), n.into(), Dict::new().into(), "com.topic".into()], &value));
            let event = receiver.receive();
            assert_eq!(event[0], Value::Uint(36), "{what}");
            assert_same(&value, &event, 4, &what);
        }
        receiver.goodbye();
    }
}

#[test]
fn calls_results_and_errors_arrive_as_they_were_sent() {
    let router = Router::start(&Setup::default());
    for (mut caller, mut callee) in pairs(&router) {
        callee.register("com.procedure", "{}", "reg");
        let mut invocation = 0u64;
        for (name, value) in values() {
            let what = format!("{name} from {:?} to {:?} and back", caller.via.serializer, callee.via.serializer);
            for is_error in [false, true] {
                invocation += 1;
                let head = [48u64.into(), invocation.into(), Dict::new().into(), "com.procedure".into()];
                caller.send_message(&message(&head, &value));
                assert_same(&value, &callee.receive(), 4, &what);
                let (head, at) = match is_error {
                    false => (vec![70u64.into(), invocation.into(), Dict::new().into()], 3),
                    true => {
                        (vec![8u64.into(), 68u64.into(), invocation.into(), Dict::new().into(), "com.error".into()], 5)
                    }
                };
                callee.send_message(&message(&head, &value));
                assert_same(&value, &caller.receive(), at, &what);
            }
        }
        callee.goodbye();
    }
}

/// What is kept for later (a retained event, the result of the meta API on it) is transcoded as well.
#[test]
fn what_was_kept_arrives_as_it_was_published() {
    let rules = "[[realm.history]]\nuri = \"com.topic\"\nentries_max = 1\n";
    let router = Router::start(&Setup { rules, ..Setup::default() });
    for (mut sender, mut receiver) in pairs(&router) {
        for (name, value) in values().into_iter().filter(|(name, _)| !name.contains("long")) {
            let what = format!("{name} from {:?} to {:?}", sender.via.serializer, receiver.via.serializer);
            let options = Dict::new().with("retain", true).with("acknowledge", true);
            let request = sender.next_request();
            let head = [16u64.into(), request.into(), options.into(), "com.topic".into()];
            sender.send_message(&message(&head, &value));
            sender.expect("[17, $_, $_]");
            receiver.subscribe("com.topic", r#"{"get_retained": true}"#, "sub");
            assert_same(&value, &receiver.receive(), 4, &what);
            receiver.send("[48, #, {}, \"wamp.subscription.get_events\", [$sub]]");
            let result = receiver.receive();
            let told = result[3].as_list().expect("arguments")[0].as_dict().expect("an event");
            let [args, kwargs] = arguments(&value);
            assert_eq!((told.get("args"), told.get("kwargs")), (Some(&args), Some(&kwargs)), "{what}");
            receiver.send("[34, #, $sub]");
            receiver.expect("[35, #]");
        }
        receiver.goodbye();
    }
}

/// Between clients of one serializer, payloads are the bytes that were sent: nothing is decoded.
#[test]
fn payloads_travel_untouched_within_a_serializer() {
    let router = Router::start(&Setup::default());
    let cases: [(Serializer, &[u8], &[u8]); 3] = [
        // Blanks, escapes that need not be, a number that no double holds, a key twice.
        (
            Serializer::Json,
            br#"[16,1,{},"com.topic","#,
            br#"[ 1.10 , "\u0041\/" , 123456789012345678901234567890 , {"a":1, "a":2}, 1E+2 ]"#,
        ),
        // Indefinite lengths, a half float, a tag, an integer in more bytes than it needs.
        (
            Serializer::Cbor,
            b"\x85\x10\x01\xa0\x69com.topic",
            b"\x9f\xf9\x3c\x00\x7f\x61a\x61b\xff\xc1\x1a\x5e\x0b\xe1\x00\x1b\0\0\0\0\0\0\0\x07\xa1\x01\xf7\xff",
        ),
        // A short float, an extension, a long form of a short string.
        (Serializer::MsgPack, b"\x95\x10\x01\x80\xa9com.topic", b"\x93\xca\x3f\x80\0\0\xd4\x05\x2a\xd9\x01a"),
    ];
    for (serializer, head, payload) in cases {
        let via = Via::new(Carrier::WebSocket, serializer);
        let mut sender = router.connect_via(via);
        let mut receiver = router.connect_via(Via::new(Carrier::RawSocket, serializer));
        sender.hello(ALL_ROLES, "sender");
        receiver.hello(ALL_ROLES, "receiver");
        receiver.subscribe("com.topic", "{}", "sub");
        let end: &[u8] = if serializer == Serializer::Json { b"]" } else { b"" };
        sender.send_bytes(&[head, payload, end].concat());
        let event = receiver.receive_bytes().bytes;
        assert!(event.ends_with(&[payload, end].concat()), "{serializer:?}: {}", event.escape_ascii());
        receiver.goodbye();
    }
}

/// What one serializer can say and another cannot becomes what is nearest.
#[test]
fn what_others_cannot_say_becomes_the_nearest() {
    let router = Router::start(&Setup::default());
    let float = Value::Float;
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let cases: [(Serializer, &[u8], Value); 16] = [
        (Serializer::Cbor, b"\xf9\x3c\x00", float(1.0)),
        (Serializer::Cbor, b"\xfa\x3f\xc0\0\0", float(1.5)),
        (Serializer::Cbor, b"\xf7", Value::Null),
        (Serializer::Cbor, b"\x9f\x01\x02\xff", Value::List(vec![1u64.into(), 2u64.into()])),
        (Serializer::Cbor, b"\x7f\x61a\x61b\xff", "ab".into()),
        (Serializer::Cbor, b"\x5f\x41\x01\x41\x02\xff", bytes(&[1, 2])),
        (Serializer::Cbor, b"\xbf\x61a\x01\xff", Dict::new().with("a", 1u64).into()),
        (Serializer::Cbor, b"\xc0\x741985-04-12T23:20:50Z", "1985-04-12T23:20:50Z".into()),
        (Serializer::Cbor, b"\xc2\x49\x01\0\0\0\0\0\0\0\0", float(18_446_744_073_709_551_616.0)),
        (Serializer::Cbor, b"\xa1\x07\x01", Dict::new().with("7", 1u64).into()),
        (Serializer::MsgPack, b"\xca\x3f\xc0\0\0", float(1.5)),
        (Serializer::MsgPack, b"\xd5\x05\x01\x02", bytes(&[1, 2])),
        (Serializer::MsgPack, b"\xd9\x01a", "a".into()),
        (Serializer::MsgPack, b"\xcf\0\0\0\0\0\0\0\x01", 1u64.into()),
        (Serializer::Json, b"1e2", float(100.0)),
        (Serializer::Json, b"18446744073709551616", float(18_446_744_073_709_551_616.0)),
    ];
    for to in Serializer::ALL {
        let mut receiver = router.connect_via(Via::new(Carrier::WebSocket, to));
        receiver.hello(ALL_ROLES, "receiver");
        receiver.subscribe("com.topic", "{}", "sub");
        for (from, item, expected) in cases.iter().filter(|(from, ..)| *from != to) {
            let mut sender = router.connect_via(Via::new(Carrier::RawSocket, *from));
            sender.hello(ALL_ROLES, "sender");
            let message = match from {
                Serializer::Json => [br#"[16,1,{},"com.topic",["#, *item, b"]]"].concat(),
                Serializer::Cbor => [b"\x85\x10\x01\xa0\x69com.topic\x81", *item].concat(),
                Serializer::MsgPack => [b"\x95\x10\x01\x80\xa9com.topic\x91", *item].concat(),
            };
            sender.send_bytes(&message);
            let event = receiver.receive();
            let what = format!("{from:?} {} to {to:?}", item.escape_ascii());
            assert_eq!(event.get(4), Some(&Value::List(vec![expected.clone()])), "{what}");
        }
        receiver.goodbye();
    }
}

/// NaN and the infinities are the only floats that JSON cannot say.
#[test]
fn floats_that_json_has_not_are_null_there() {
    let router = Router::start(&Setup::default());
    // In CBOR: NaN, infinity and its negative.
    let floats = b"\xf9\x7e\x00\xf9\x7c\x00\xf9\xfc\x00";
    let mut json = router.connect_via(Via::new(Carrier::WebSocket, Serializer::Json));
    let mut msgpack = router.connect_via(Via::new(Carrier::WebSocket, Serializer::MsgPack));
    for receiver in [&mut json, &mut msgpack] {
        receiver.hello(ALL_ROLES, "receiver");
        receiver.subscribe("com.topic", "{}", "sub");
    }
    let mut sender = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Cbor));
    sender.hello(ALL_ROLES, "sender");
    sender.send_bytes(&[&b"\x85\x10\x01\xa0\x69com.topic\x83"[..], floats].concat());
    json.expect("[36, $sub, $_, {}, [null, null, null]]");
    let event = msgpack.receive();
    let [Value::Float(nan), Value::Float(up), Value::Float(down)] = event[4].as_list().expect("arguments") else {
        panic!("{event:?} has no three floats")
    };
    assert!(nan.is_nan() && *up == f64::INFINITY && *down == f64::NEG_INFINITY);
}
