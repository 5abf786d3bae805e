//! The message table: every form is written and read again, and every mistake is refused with a sentence that names it.

use super::*;
use crate::wire::Value;
use crate::wire::tests::{any_dict, any_string, any_value};
use proptest::prelude::*;

const DEPTH: usize = 64;

fn any_id() -> impl Strategy<Value = Id> {
    prop_oneof![1..=24u64, 1..=ID_MAX, Just(ID_MAX)]
}

fn any_payload() -> impl Strategy<Value = Payload> {
    (prop::collection::vec(any_value(), 0..3), any_dict()).prop_map(|(args, kwargs)| Payload::from_values(args, kwargs))
}

fn any_request_type() -> impl Strategy<Value = Code> {
    prop::sample::select(&REQUEST_TYPES[..])
}

/// Every message type from the same handful of parts.
fn any_message() -> impl Strategy<Value = Message> {
    let parts = (any_id(), any_id(), any_dict(), any_string(), any_payload(), any_request_type());
    (0..ALL.len(), parts).prop_map(|(at, (request, id, dict, text, payload, request_type))| {
        build(ALL[at], request, id, dict, text, payload, request_type)
    })
}

const ALL: [Code; 25] = [1, 2, 3, 4, 5, 6, 8, 16, 17, 32, 33, 34, 35, 36, 48, 49, 50, 64, 65, 66, 67, 68, 69, 70, 337];

fn build(code: Code, request: Id, id: Id, dict: Dict, text: String, payload: Payload, request_type: Code) -> Message {
    match code {
        code::HELLO => Message::Hello { realm: text, details: dict },
        code::WELCOME => Message::Welcome { session: id, details: dict },
        code::ABORT => Message::Abort { details: dict, reason: text, payload },
        code::CHALLENGE => Message::Challenge { method: text, extra: dict },
        code::AUTHENTICATE => Message::Authenticate { signature: text, extra: dict },
        code::GOODBYE => Message::Goodbye { details: dict, reason: text },
        code::ERROR => Message::Error { request_type, request, details: dict, error: text, payload },
        code::PUBLISH => Message::Publish { request, options: dict, topic: text, payload },
        code::PUBLISHED => Message::Published { request, publication: id },
        code::SUBSCRIBE => Message::Subscribe { request, options: dict, topic: text },
        code::SUBSCRIBED => Message::Subscribed { request, subscription: id },
        code::UNSUBSCRIBE => Message::Unsubscribe { request, subscription: id, options: dict },
        code::UNSUBSCRIBED => Message::Unsubscribed { request: request - 1, details: dict },
        code::EVENT => Message::Event { subscription: request, publication: id, details: dict, payload },
        code::CALL => Message::Call { request, options: dict, procedure: text, payload },
        code::CANCEL => Message::Cancel { request, options: dict },
        code::RESULT => Message::Result { request, details: dict, payload },
        code::REGISTER => Message::Register { request, options: dict, procedure: text },
        code::REGISTERED => Message::Registered { request, registration: id },
        code::UNREGISTER => Message::Unregister { request, registration: id, options: dict },
        code::UNREGISTERED => Message::Unregistered { request: request - 1, details: dict },
        code::INVOCATION => Message::Invocation { request, registration: id, details: dict, payload },
        code::INTERRUPT => Message::Interrupt { request, options: dict },
        code::YIELD => Message::Yield { request, options: dict, payload },
        code::EVENT_RECEIVED => Message::EventReceived { publication: id },
        other => panic!("no message has the code {other}"),
    }
}

fn encoded(message: &Message, serializer: Serializer) -> Vec<u8> {
    let mut out = Vec::new();
    encode(message, serializer, &mut out);
    out
}

proptest! {
    #[test]
    fn a_message_that_was_written_is_read_again(message in any_message()) {
        let bytes = encoded(&message, Serializer::Cbor);
        prop_assert_eq!(decode(Serializer::Cbor, &bytes, DEPTH), Ok(message.clone()));
        for serializer in Serializer::ALL {
            let there = decode(serializer, &encoded(&message, serializer), DEPTH);
            prop_assert_eq!(there.map(|message| encoded(&message, Serializer::Cbor)), Ok(bytes.clone()));
        }
    }

    #[test]
    fn arbitrary_elements_are_refused_or_written_and_read_again(
        code in prop::sample::select(&ALL[..]),
        elements in prop::collection::vec(prop_oneof![any_id().prop_map(Value::from), any_value()], 0..7),
    ) {
        let mut bytes = Vec::new();
        let mut writer = Writer::list(Serializer::Cbor, elements.len() + 1, &mut bytes);
        writer.uint(code);
        elements.iter().for_each(|element| { writer.value(element); });
        writer.finish();
        if let Ok(message) = decode(Serializer::Cbor, &bytes, DEPTH) {
            prop_assert_eq!(message.code(), code);
            prop_assert_eq!(decode(Serializer::Cbor, &encoded(&message, Serializer::Cbor), DEPTH), Ok(message));
        }
    }
}

#[test]
fn ids_that_were_given_out_may_return_as_floats() {
    for bytes in
        [hex::decode("83182201fb433000000000001c").unwrap(), hex::decode("83184201fb433000000000001c").unwrap()]
    {
        match decode(Serializer::Cbor, &bytes, DEPTH).unwrap() {
            Message::Unsubscribe { request: 1, subscription: id, .. }
            | Message::Unregister { request: 1, registration: id, .. } => assert_eq!(id, 0x10_0000_0000_001c),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn mistakes_are_named() {
    let id_max = ID_MAX + 1;
    for (text, sentence) in [
        ("", "the message ends in the middle of a value"),
        ("{}", "invalid json at byte 0: a message must be a list"),
        ("[]", "an empty list is no message"),
        ("[7]", "7 is not the type of any message"),
        ("[\"16\"]", "the message type: expected non-negative integer, got string"),
        ("[1.0,\"r\",{}]", "the message type: expected non-negative integer, got float"),
        ("[1]", "HELLO.Realm is missing"),
        ("[1,\"r\"]", "HELLO.Details is missing"),
        ("[1,1,{}]", "HELLO.Realm must be string, got integer"),
        ("[1,\"r\",[]]", "HELLO.Details must be dict, got list"),
        ("[1,\"r\",{},1]", "HELLO has 4 elements, at most 3"),
        ("[1,\"r\",{\"roles\":[]}]", "HELLO.Details.roles must be dict, got list"),
        ("[1,\"r\",{\"authmethods\":\"ticket\"}]", "HELLO.Details.authmethods must be a list of strings, got string"),
        ("[1,\"r\",{\"authmethods\":[1]}]", "HELLO.Details.authmethods must be a list of strings, got integer in it"),
        ("[1,\"r\",{\"authid\":7}]", "HELLO.Details.authid must be string, got integer"),
        ("[1,\"r\",{\"authextra\":7}]", "HELLO.Details.authextra must be dict, got integer"),
        ("[3,{},1]", "ABORT.Reason must be string, got integer"),
        ("[6,{},\"r\",[]]", "GOODBYE has 4 elements, at most 3"),
        ("[8,7,1,{},\"e\"]", "ERROR.Type must be the type of a request, got 7"),
        ("[16,0,{},\"t\"]", "PUBLISH.Request must be an id from 1 to 2^53, got 0"),
        ("[16,-1,{},\"t\"]", "PUBLISH.Request must be non-negative integer, got negative integer"),
        ("[16,1.0,{},\"t\"]", "PUBLISH.Request must be non-negative integer, got float"),
        (&format!("[16,{id_max},{{}},\"t\"]"), "PUBLISH.Request must be an id from 1 to 2^53, got 9007199254740993"),
        ("[16,1,{},\"t\",1]", "PUBLISH.Arguments must be list, got integer"),
        ("[16,1,{},\"t\",\"binary\"]", "PUBLISH.Arguments must be list, got string"),
        ("[16,1,null,\"t\"]", "PUBLISH.Options must be dict, got null"),
        ("[50,1,null]", "RESULT.Details must be dict, got null"),
        ("[16,1,{},\"t\",null,[]]", "PUBLISH.ArgumentsKw must be dict, got list"),
        ("[16,1,{},\"t\",false,null]", "PUBLISH.Arguments must be list, got bool"),
        ("[16,1,{},\"t\",{}]", "PUBLISH.Arguments must be list, got dict"),
        ("[16,1,{},\"t\",[],[]]", "PUBLISH.ArgumentsKw must be dict, got list"),
        ("[16,1,{},\"t\",[],{},1]", "PUBLISH has 7 elements, at most 6"),
        ("[16,1,{\"acknowledge\":1},\"t\"]", "PUBLISH.Options.acknowledge must be bool, got integer"),
        ("[16,1,{\"ppt_scheme\":\"x\"},\"t\",1]", "PUBLISH.Arguments must be list, got integer"),
        ("[16,1,{\"enc_algo\":null},\"t\",\"x\"]", "PUBLISH.Arguments must be list, got string"),
        ("[17,1,0]", "PUBLISHED.Publication must be an id from 1 to 2^53, got 0"),
        ("[34,1,0.5]", "UNSUBSCRIBE.Subscription must be non-negative integer, got float"),
        ("[66,1,-1.0]", "UNREGISTER.Registration must be non-negative integer, got float"),
        ("[35,0,1]", "UNSUBSCRIBED.Details must be dict, got integer"),
        ("[35,9007199254740993]", "UNSUBSCRIBED.Request must be an id up to 2^53, got 9007199254740993"),
        ("[33,0,1]", "SUBSCRIBED.Request must be an id from 1 to 2^53, got 0"),
        ("[48,1,{},2]", "CALL.Procedure must be string, got integer"),
        ("[337,1,1]", "EVENT_RECEIVED has 3 elements, at most 2"),
    ] {
        let result = decode(Serializer::Json, text.as_bytes(), DEPTH);
        assert_eq!(result, Err(ProtocolError(sentence.to_owned())), "{text}");
    }
}

#[test]
fn a_repeated_option_is_refused() {
    let error = decode(Serializer::Json, b"[16,1,{\"retain\":true,\"retain\":false},\"t\"]", DEPTH);
    let sentence = error.expect_err("two retains").to_string();
    assert!(sentence.starts_with("PUBLISH.Options: ") && sentence.contains("a key occurs twice"), "{sentence}");
}

#[test]
fn unasked_messages_of_the_router_have_request_0_and_details() {
    for text in ["[35,0,{\"subscription\":7,\"reason\":\"r\"}]", "[67,0,{\"registration\":7}]", "[35,0]", "[67,1]"] {
        let message = decode(Serializer::Json, text.as_bytes(), DEPTH).expect("a message");
        assert_eq!(encoded(&message, Serializer::Json), text.as_bytes());
    }
}

#[test]
fn unknown_options_are_carried() {
    let text = b"[16,1,{\"_x\":[1,{}],\"acknowledge\":true,\"zzz\":null},\"t\"]";
    let message = decode(Serializer::Json, text, DEPTH).expect("a message");
    assert_eq!(encoded(&message, Serializer::Json), text);
}

#[test]
fn passed_through_payloads_keep_their_place() {
    for text in [
        "[16,1,{\"enc_algo\":\"cryptobox\"},\"t\",\"\\u0000AQ==\"]",
        "[48,1,{\"ppt_scheme\":\"x_custom\"},\"p\",\"\\u0000AQ==\"]",
        "[70,1,{\"ppt_scheme\":\"x_custom\"},[\"\\u0000AQ==\"]]",
        "[8,68,1,{\"enc_algo\":\"cryptobox\"},\"e\",\"\\u0000AQ==\"]",
    ] {
        let message = decode(Serializer::Json, text.as_bytes(), DEPTH).expect("a message");
        for serializer in Serializer::ALL {
            let there = decode(serializer, &encoded(&message, serializer), DEPTH).expect("a message");
            assert_eq!(String::from_utf8_lossy(&encoded(&there, Serializer::Json)), text, "{serializer:?}");
        }
    }
}

#[test]
fn null_is_what_is_absent() {
    let (list, dict) = (Value::List(vec![7_u64.into()]), Value::Dict(Dict::new().with("a", 1_u64)));
    let sent_and_meant = [
        (vec![Value::Null], vec![]),
        (vec![Value::Null, Value::Null], vec![]),
        (vec![list.clone(), Value::Null], vec![list]),
        (vec![Value::Null, dict.clone()], vec![Value::List(Vec::new()), dict]),
    ];
    let (id, none, uri) = (|| Value::from(1_u64), || Value::from(Dict::new()), || Value::from("com.a"));
    let heads = [
        (code::ABORT, vec![none(), uri()]),
        (code::ERROR, vec![code::INVOCATION.into(), id(), none(), uri()]),
        (code::PUBLISH, vec![id(), none(), uri()]),
        (code::EVENT, vec![id(), id(), none()]),
        (code::CALL, vec![id(), none(), uri()]),
        (code::RESULT, vec![id(), none()]),
        (code::INVOCATION, vec![id(), id(), none()]),
        (code::YIELD, vec![id(), none()]),
    ];
    for serializer in Serializer::ALL {
        for (code, head) in &heads {
            for (sent, meant) in &sent_and_meant {
                let [sent, meant] = [sent, meant].map(|arguments| {
                    let message = read_again(serializer, *code, &[&head[..], arguments].concat()).expect("a message");
                    encoded(&message, serializer)
                });
                assert_eq!(sent, meant, "{serializer:?} {code}");
            }
        }
        for code in [code::UNSUBSCRIBE, code::UNREGISTER] {
            let message = read_again(serializer, code, &[1_u64.into(), 2_u64.into(), Value::Null]).expect("a message");
            assert_eq!(encoded(&message, Serializer::Json), format!("[{code},1,2]").as_bytes());
        }
    }
}

/// The message that these elements are, after a code.
fn read_again(serializer: Serializer, code: Code, elements: &[Value]) -> Result<Message, ProtocolError> {
    let mut bytes = Vec::new();
    let mut writer = Writer::list(serializer, elements.len() + 1, &mut bytes);
    writer.uint(code);
    for element in elements {
        writer.value(element);
    }
    writer.finish();
    decode(serializer, &bytes, DEPTH)
}

#[test]
fn empty_arguments_are_not_written() {
    for (text, written) in [
        ("[16,1,{},\"t\",[]]", "[16,1,{},\"t\"]"),
        ("[16,1,{},\"t\",[],{}]", "[16,1,{},\"t\"]"),
        ("[16,1,{},\"t\",[1],{}]", "[16,1,{},\"t\",[1]]"),
        ("[16,1,{},\"t\",[ ], {\"a\": 1}]", "[16,1,{},\"t\",[ ],{\"a\": 1}]"),
        ("[34,1,2,{}]", "[34,1,2]"),
    ] {
        let message = decode(Serializer::Json, text.as_bytes(), DEPTH).expect("a message");
        assert_eq!(String::from_utf8_lossy(&encoded(&message, Serializer::Json)), written);
    }
}

/// A payload that is kept in each serializer.
fn any_kept_payload() -> impl Strategy<Value = Payload> {
    (any_payload(), prop::sample::select(&Serializer::ALL[..])).prop_map(|(payload, serializer)| {
        let (args, kwargs) = payload.elements_in(serializer);
        // Without any element there is nothing that a serializer could say.
        if payload.is_empty() { payload } else { Payload::from_raw(serializer, &args, &kwargs) }
    })
}

proptest! {
    #[test]
    fn links_carry_a_payload_as_it_is(request in any_id(), dict in any_dict(), payload in any_kept_payload()) {
        let message = build(code::CALL, request, 1, dict, "com.work".to_owned(), payload, 48);
        let mut bytes = Vec::new();
        encode(&message, Form::Link, &mut bytes);
        prop_assert_eq!(decode(Form::Link, &bytes, DEPTH), Ok(message));
    }
}

#[test]
fn what_a_node_says_are_arguments_is_checked_as_what_a_client_says() {
    let call = |elements: &str| {
        let elements = hex::decode(elements).unwrap();
        let list = [&[0x80 + 4 + if elements.is_empty() { 0 } else { 2 }], &b"\x18\x30\x01\xa0\x63a.b"[..], &elements];
        decode(Form::Link, &list.concat(), 4)
    };
    let read = |elements| match call(elements) {
        Ok(Message::Call { payload, .. }) => Ok((payload.serializer(), payload.raw().0.to_vec())),
        Ok(other) => panic!("{other:?}"),
        Err(ProtocolError(sentence)) => Err(sentence),
    };
    assert_eq!(read(""), Ok((Serializer::Cbor, Vec::new())));
    assert_eq!(read("01455b5b315d5d"), Ok((Serializer::Json, b"[1]".to_vec())));
    assert_eq!(read("0243919107"), Ok((Serializer::MsgPack, vec![0x91, 7])));
    for (elements, sentence) in [
        ("0440", "4 is the number of no serializer"),
        ("0140", "the arguments: the message ends in the middle of a value"),
        ("01425b5b", "the arguments: the message ends in the middle of a value"),
        ("0344828000ff", "the arguments: invalid cbor at byte 3: bytes after the message"),
        ("03458181818180", "the arguments: values are nested deeper than 4"),
        ("03438100ff", "the arguments: invalid cbor at byte 2: bytes after the message"),
        ("03428101", "Arguments must be list, got integer"),
        ("0343828001", "ArgumentsKw must be dict, got integer"),
        ("034483808080", "3 arguments elements, at most 2"),
        ("0301", "must be bytes, got integer"),
        ("616140", "must be non-negative integer, got string"),
    ] {
        let told = read(elements).expect_err(elements);
        assert!(told.contains(sentence), "{elements}: {told}");
    }
}
