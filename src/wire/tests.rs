//! The three serializers side by side: what they accept, refuse and make of each other's values.

use super::*;
use proptest::prelude::*;

const DEPTH: usize = 64;

/// Any value that every serializer keeps exactly.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // JSON has no other numbers.
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
        any_string().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            dict_of(inner).prop_map(Value::from)
        ]
    })
}

pub(crate) fn any_dict() -> impl Strategy<Value = Dict> {
    dict_of(any_value())
}

/// Any string but those that stand for binary in JSON.
pub(crate) fn any_string() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("no leading U+0000", |string| !string.starts_with('\0'))
}

fn dict_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Dict> {
    prop::collection::vec((any::<String>(), value), 0..6).prop_map(|pairs| {
        let mut dict = Dict::new();
        pairs.into_iter().for_each(|(key, value)| dict.set(key, value));
        dict
    })
}

/// A message of one element.
fn message(serializer: Serializer, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::list(serializer, 1, &mut bytes);
    writer.value(value);
    writer.finish();
    bytes
}

fn split(serializer: Serializer, bytes: &[u8]) -> Result<Elements<'_>, WireError> {
    Elements::split(serializer, bytes, DEPTH)
}

/// The only element of a message.
fn element(serializer: Serializer, bytes: &[u8]) -> Value {
    let elements = split(serializer, bytes).unwrap_or_else(|error| panic!("{serializer:?} {bytes:x?}: {error}"));
    assert_eq!(elements.len(), 1, "{serializer:?} {bytes:x?}");
    elements.value(0).unwrap_or_else(|error| panic!("{serializer:?} {bytes:x?}: {error}"))
}

proptest! {
    #[test]
    fn a_value_that_was_written_is_read_again(value in any_value()) {
        for serializer in Serializer::ALL {
            prop_assert_eq!(&element(serializer, &message(serializer, &value)), &value, "{:?}", serializer);
        }
    }

    #[test]
    fn a_payload_means_the_same_in_every_serializer(
        args in prop::collection::vec(any_value(), 0..4),
        kwargs in any_dict(),
    ) {
        let made = Payload::from_values(args.clone(), kwargs.clone());
        for first in Serializer::ALL {
            let (raw_args, raw_kwargs) = made.elements_in(first);
            let there = Payload::from_raw(first, &raw_args, &raw_kwargs);
            for second in Serializer::ALL {
                let (raw_args, raw_kwargs) = there.elements_in(second);
                let back = Payload::from_raw(second, &raw_args, &raw_kwargs);
                prop_assert_eq!(back.is_empty(), args.is_empty() && kwargs.is_empty());
                prop_assert_eq!(&back.args().unwrap(), &args);
                prop_assert_eq!(&back.kwargs().unwrap(), &kwargs);
            }
        }
    }

    #[test]
    fn a_message_that_was_cut_off_is_refused(value in any_value()) {
        for serializer in Serializer::ALL {
            let whole = message(serializer, &value);
            for len in 0..whole.len() {
                prop_assert!(split(serializer, &whole[..len]).is_err(), "{:?} {:x?}", serializer, &whole[..len]);
            }
        }
    }

    #[test]
    fn bytes_after_the_message_are_refused(value in any_value(), after in 0x21u8..) {
        for serializer in Serializer::ALL {
            let mut bytes = message(serializer, &value);
            bytes.push(after);
            prop_assert!(split(serializer, &bytes).is_err(), "{:?}", serializer);
        }
    }

    #[test]
    fn what_passes_the_scan_can_be_decoded(value in any_value(), at in any::<prop::sample::Index>(), byte: u8) {
        for serializer in Serializer::ALL {
            let mut bytes = message(serializer, &value);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            assert_decodable(serializer, &bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_can_be_decoded(bytes: Vec<u8>) {
        for serializer in Serializer::ALL {
            assert_decodable(serializer, &bytes);
        }
    }

    #[test]
    fn the_json_scan_is_as_strict_as_serde_json(value in any_value(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = message(Serializer::Json, &value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let wanted = serde_json::from_slice::<Vec<serde_json::Value>>(&bytes);
        let elements = split(Serializer::Json, &bytes);
        prop_assume!(!matches!(elements, Err(WireError::TooManyElements(_))));
        prop_assert_eq!(elements.is_ok(), wanted.is_ok(), "{:?} {:?}", elements, wanted);
    }
}

/// Whatever passes the scan must decode, and transcode to something that passes the other scan.
fn assert_decodable(serializer: Serializer, bytes: &[u8]) {
    let Ok(elements) = split(serializer, bytes) else { return };
    for index in 0..elements.len() {
        let value = elements.value(index);
        assert!(value.is_ok(), "{serializer:?} {bytes:x?}: {value:?}");
    }
    for other in Serializer::ALL {
        let (transcoded, _) = Payload::from_raw(serializer, bytes, &[]).elements_in(other);
        let len = if transcoded.is_empty() { Ok(0) } else { split(other, &transcoded).map(|elements| elements.len()) };
        assert_eq!(len, Ok(elements.len()), "{serializer:?} {bytes:x?} to {other:?} {transcoded:x?}");
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).expect("hex")
}

#[test]
fn cbor_values_are_read_as_rfc_8949_lists_them() {
    for (bytes, value) in [
        ("00", Value::Uint(0)),
        ("1bffffffffffffffff", Value::Uint(u64::MAX)),
        ("20", Value::Int(-1)),
        ("3b7fffffffffffffff", Value::Int(i64::MIN)),
        ("3bffffffffffffffff", Value::Float(-18446744073709551616.0)),
        ("c249010000000000000000", Value::Float(18446744073709551616.0)),
        ("c24101", Value::Uint(1)),
        ("c340", Value::Int(-1)),
        ("c349010000000000000000", Value::Float(-18446744073709551617.0)),
        ("f93c00", Value::Float(1.0)),
        ("fa47c35000", Value::Float(100_000.0)),
        ("fb3ff199999999999a", Value::Float(1.1)),
        ("f97c00", Value::Float(f64::INFINITY)),
        ("f4", Value::Bool(false)),
        ("f6", Value::Null),
        ("f7", Value::Null),
        ("c11a514b67b0", Value::Uint(1_363_896_240)),
        ("d818456449455446", Value::Bytes(b"dIETF".to_vec())),
        ("5f42010243030405ff", Value::Bytes(vec![1, 2, 3, 4, 5])),
        ("7f657374726561646d696e67ff", "streaming".into()),
        ("9fff", Value::List(vec![])),
        ("9f018202039f0405ffff", vec![1u64.into(), list(&[2, 3]), list(&[4, 5])].into()),
        ("bf61610161629f0203ffff", Dict::new().with("a", 1u64).with("b", list(&[2, 3])).into()),
        ("bf6346756ef563416d7421ff", Dict::new().with("Fun", true).with("Amt", Value::Int(-2)).into()),
    ] {
        assert_eq!(element(Serializer::Cbor, &hex(&format!("81{bytes}"))), value, "{bytes}");
    }
    let Value::Float(nan) = element(Serializer::Cbor, &hex("81f97e00")) else { panic!("NaN is a float") };
    assert!(nan.is_nan());
}

fn list(items: &[u64]) -> Value {
    Value::List(items.iter().map(|item| Value::from(*item)).collect())
}

#[test]
fn malformed_cbor_is_refused() {
    for bytes in [
        "",
        "01",
        "a0",
        "8118",
        "811c",
        "813c",
        "815c",
        "817d",
        "819e",
        "81bd",
        "81dc",
        "81fc",
        "811f",
        "813f",
        "81df",
        "81ff",
        "9f",
        "9f01",
        "8161ff",
        "8162c328",
        "81623132ff",
        "815f6161ff",
        "817f4161ff",
        "817f7f6161ffff",
        "817f61c361a9ff",
        "815f5f4161ffff",
        "81bf01ff",
        "81bf0102",
        "81a101",
        "81f800",
        "81f818",
        "81f8ff",
        "81e0",
        "81f3",
        "81c1",
        "815bffffffffffffffff",
        "817bffffffffffffffff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "819bffffffffffffffff01",
        "81bbffffffffffffffff0101",
        "81fa0000",
        "80f6",
        "81a18001",
        "81a1a001",
        "81a1c18001",
        "81bf9fff01ff",
        "81a1c1c1c1a001",
    ] {
        let message = hex(bytes);
        assert!(split(Serializer::Cbor, &message).is_err(), "{bytes}");
    }
}

#[test]
fn msgpack_values_of_every_format_are_read() {
    for (bytes, value) in [
        ("00", Value::Uint(0)),
        ("7f", Value::Uint(127)),
        ("ff", Value::Int(-1)),
        ("e0", Value::Int(-32)),
        ("cc80", Value::Uint(128)),
        ("cd0100", Value::Uint(256)),
        ("ce00010000", Value::Uint(65_536)),
        ("cfffffffffffffffff", Value::Uint(u64::MAX)),
        ("d080", Value::Int(-128)),
        ("d07f", Value::Uint(127)),
        ("d18000", Value::Int(-32_768)),
        ("d280000000", Value::Int(-2_147_483_648)),
        ("d38000000000000000", Value::Int(i64::MIN)),
        ("d37fffffffffffffff", Value::Uint(i64::MAX as u64)),
        ("ca3f800000", Value::Float(1.0)),
        ("cb3ff0000000000000", Value::Float(1.0)),
        ("c0", Value::Null),
        ("c2", Value::Bool(false)),
        ("c3", Value::Bool(true)),
        ("a161", "a".into()),
        ("d90161", "a".into()),
        ("da000161", "a".into()),
        ("db0000000161", "a".into()),
        ("c40101", Value::Bytes(vec![1])),
        ("c5000101", Value::Bytes(vec![1])),
        ("c60000000101", Value::Bytes(vec![1])),
        ("d40501", Value::Bytes(vec![1])),
        ("d40000", Value::Null),
        ("d5050102", Value::Bytes(vec![1, 2])),
        ("d6ff00000001", Value::Bytes(vec![0, 0, 0, 1])),
        ("d7050102030405060708", Value::Bytes((1..9).collect())),
        ("d8050102030405060708090a0b0c0d0e0f10", Value::Bytes((1..17).collect())),
        ("c70005", Value::Bytes(vec![])),
        ("c7020501ff", Value::Bytes(vec![1, 255])),
        ("c800010501", Value::Bytes(vec![1])),
        ("c9000000010501", Value::Bytes(vec![1])),
        ("90", Value::List(vec![])),
        ("dc000101", list(&[1])),
        ("dd0000000101", list(&[1])),
        ("81a16101", Dict::new().with("a", 1u64).into()),
        ("de0001a16101", Dict::new().with("a", 1u64).into()),
        ("df00000001a16101", Dict::new().with("a", 1u64).into()),
    ] {
        assert_eq!(element(Serializer::MsgPack, &hex(&format!("91{bytes}"))), value, "{bytes}");
    }
}

#[test]
fn malformed_msgpack_is_refused() {
    for bytes in [
        "",
        "01",
        "80",
        "91",
        "91c1",
        "91cc",
        "91cd01",
        "91cfffff",
        "91a2c328",
        "91a261",
        "91d9ff61",
        "91c4",
        "91c5ff",
        "91d405",
        "91c70105",
        "91dc",
        "91dcffff01",
        "91ddffffffff01",
        "91dfffffffff0101",
        "91dbffffffff61",
        "9181a161",
        "91ca0000",
        "90c0",
    ] {
        let message = hex(bytes);
        assert!(split(Serializer::MsgPack, &message).is_err(), "{bytes}");
    }
}

#[test]
fn json_values_are_read() {
    for (text, value) in [
        ("0", Value::Uint(0)),
        ("-1", Value::Int(-1)),
        ("18446744073709551615", Value::Uint(u64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("18446744073709551616", Value::Float(18446744073709551616.0)),
        ("-0", Value::Float(-0.0)),
        ("1.0", Value::Float(1.0)),
        ("1e2", Value::Float(100.0)),
        ("1e-999", Value::Float(0.0)),
        ("0.1", Value::Float(0.1)),
        (" \t\r\nnull ", Value::Null),
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz".into()),
        (r#""\u00e9\uD83D\uDE00""#, "é😀".into()),
        (r#""\u0000EOP/kFMHXFJvX8BtT+N82w==""#, Value::Bytes(hex("10e3ff9053075c526f5fc06d4fe37cdb"))),
        (r#""\u0000""#, Value::Bytes(vec![])),
        (r#""\u0000EO""#, "\0EO".into()),
        (r#"{ "a" : [ ] , "b":{}}"#, Dict::new().with("a", list(&[])).with("b", Dict::new()).into()),
        (r#"{"\u0000AQ==":1}"#, Dict::new().with("\0AQ==", 1u64).into()),
    ] {
        assert_eq!(element(Serializer::Json, format!(" [{text}] ").as_bytes()), value, "{text}");
    }
}

#[test]
fn malformed_json_is_refused() {
    for text in [
        "",
        " ",
        "1",
        "{}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]]",
        "[01]",
        "[-]",
        "[+1]",
        "[1.]",
        "[.1]",
        "[1e]",
        "[1e+]",
        "[1e999]",
        "[-1e999]",
        "[nul]",
        "[nulll]",
        "[True]",
        "[NaN]",
        "[Infinity]",
        "[\"a]",
        "[\"\\x\"]",
        "[\"\\u12g4\"]",
        "[\"\\u123\"]",
        "[\"\\ud800\"]",
        "[\"\\udc00\"]",
        "[\"\\ud800\\u0041\"]",
        "[\"\\ud800a\"]",
        "[\"\n\"]",
        "[\"\0\"]",
        "[{]",
        "[{1:2}]",
        "[{\"a\"}]",
        "[{\"a\":}]",
        "[{\"a\":1,}]",
        "[{\"a\" 1}]",
        "[1]\u{1e}",
        "[1]//",
        "['a']",
        "\u{feff}[]",
        "[\"\\",
    ] {
        let result = split(Serializer::Json, text.as_bytes());
        assert!(result.is_err(), "{text}: {result:?}");
    }
    for bytes in [&b"[\"\xff\"]"[..], b"[\"\xc3\"]", b"[\"\xed\xa0\x80\"]"] {
        assert!(split(Serializer::Json, bytes).is_err(), "{bytes:x?}");
    }
    let digits = "9".repeat(400);
    assert!(split(Serializer::Json, format!("[{digits}]").as_bytes()).is_err());
    assert!(split(Serializer::Json, format!("[0.{digits}]").as_bytes()).is_ok());
    assert_eq!(element(Serializer::Json, format!("[0.{}]", "9".repeat(100_000)).as_bytes()), Value::Float(1.0));
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    let nested = |open: &str, close: &str, levels: usize| [hex(open).repeat(levels), hex(close)].concat();
    for levels in [DEPTH + 1, 100_000] {
        let json = ["[".repeat(levels), "]".repeat(levels)].concat();
        let dicts = ["[".to_owned(), "{\"a\":".repeat(levels), "1".to_owned(), "}".repeat(levels)].concat() + "]";
        for (serializer, bytes) in [
            (Serializer::Cbor, nested("81", "01", levels)),
            (Serializer::Cbor, nested("9f", "01", levels)),
            (Serializer::Cbor, nested("81a101", "01", levels)),
            (Serializer::Cbor, [hex("81"), nested("c1", "01", levels)].concat()),
            (Serializer::MsgPack, nested("91", "01", levels)),
            (Serializer::MsgPack, nested("9181a161", "01", levels)),
            (Serializer::Json, json.into_bytes()),
            (Serializer::Json, dicts.into_bytes()),
        ] {
            let error = split(serializer, &bytes).err();
            assert_eq!(error, Some(WireError::TooDeep { depth_max: DEPTH }), "{serializer:?}");
        }
    }
}

#[test]
fn the_deepest_message_that_passes_can_be_decoded_and_transcoded() {
    let mut value = Value::Null;
    for _ in 1..crate::limits::MESSAGE_DEPTH_CEILING {
        value = vec![value].into();
    }
    for serializer in Serializer::ALL {
        let bytes = message(serializer, &value);
        let elements = Elements::split(serializer, &bytes, usize::MAX).expect("depth at the ceiling");
        assert_eq!(elements.value(0).as_ref(), Ok(&value));
        for other in Serializer::ALL {
            let payload = Payload::from_raw(serializer, elements.raw(0).expect("an element"), &[]);
            assert_eq!(payload.elements_in(other).0, message_element(other, &value));
        }
    }
}

fn message_element(serializer: Serializer, value: &Value) -> Vec<u8> {
    let bytes = message(serializer, value);
    split_unbounded(serializer, &bytes).raw(0).expect("one element").to_vec()
}

fn split_unbounded(serializer: Serializer, bytes: &[u8]) -> Elements<'_> {
    Elements::split(serializer, bytes, usize::MAX).expect("a message that was just written")
}

#[test]
fn seven_elements_are_the_most() {
    for (serializer, seven, eight) in [
        (Serializer::Cbor, hex("8701020304050607"), hex("880102030405060708")),
        (Serializer::Cbor, hex("9f01020304050607ff"), hex("9f0102030405060708ff")),
        (Serializer::MsgPack, hex("9701020304050607"), hex("980102030405060708")),
        (Serializer::Json, b"[1,2,3,4,5,6,7]".to_vec(), b"[1,2,3,4,5,6,7,8]".to_vec()),
    ] {
        assert_eq!(split(serializer, &seven).map(|elements| elements.len()), Ok(7), "{serializer:?}");
        assert_eq!(split(serializer, &eight).err(), Some(WireError::TooManyElements(8)), "{serializer:?}");
        let elements = split(serializer, &seven).expect("seven elements");
        assert_eq!((elements.uint(6), elements.raw(7), elements.kind(7)), (Ok(7), None, None), "{serializer:?}");
        assert!(elements.uint(7).is_err() && elements.value(7).is_err() && elements.dict(7, &[]).is_err());
    }
}

#[test]
fn elements_are_the_bytes_that_arrived() {
    let bytes = b" [ 16 , 1.0,{ \"a\" : 1 } , \"x\" ]";
    let elements = split(Serializer::Json, bytes).expect("a message");
    let raw: Vec<_> = (0..4).filter_map(|index| elements.raw(index)).collect();
    assert_eq!(raw, [&b"16"[..], b"1.0", b"{ \"a\" : 1 }", b"\"x\""]);
    let kinds: Vec<_> = (0..4).filter_map(|index| elements.kind(index)).collect();
    assert_eq!(kinds, [Kind::Integer, Kind::Other, Kind::Dict, Kind::String]);
}

#[test]
fn ids_are_no_floats_and_not_negative() {
    for (serializer, bytes) in [
        (Serializer::Cbor, hex("81f93c00")),
        (Serializer::Cbor, hex("8120")),
        (Serializer::Cbor, hex("816131")),
        (Serializer::MsgPack, hex("91cb3ff0000000000000")),
        (Serializer::MsgPack, hex("91ff")),
        (Serializer::Json, b"[1.0]".to_vec()),
        (Serializer::Json, b"[1e0]".to_vec()),
        (Serializer::Json, b"[-1]".to_vec()),
        (Serializer::Json, b"[-0]".to_vec()),
        (Serializer::Json, b"[18446744073709551616]".to_vec()),
        (Serializer::Json, b"[\"1\"]".to_vec()),
    ] {
        let elements = split(serializer, &bytes).expect("a message");
        assert!(matches!(elements.uint(0), Err(WireError::WrongType { .. })), "{serializer:?} {bytes:x?}");
    }
}

#[test]
fn dicts_of_the_envelope_have_unique_string_keys_at_every_level() {
    let many: String = (0..100).map(|key| format!("\"{}\":1,", key % 99)).collect();
    for (serializer, bytes) in [
        (Serializer::Cbor, hex("81a2616101616102")),
        (Serializer::Cbor, hex("81a10102")),
        (Serializer::Cbor, hex("81a1616181a2616101616102")),
        (Serializer::Cbor, hex("81a1416102")),
        (Serializer::MsgPack, hex("9182a16101a16102")),
        (Serializer::MsgPack, hex("91810102")),
        (Serializer::Json, b"[{\"a\":1,\"\\u0061\":2}]".to_vec()),
        (Serializer::Json, format!("[{{{many}\"x\":1}}]").into_bytes()),
    ] {
        let elements = split(serializer, &bytes).expect("a message");
        assert!(matches!(elements.dict(0, &[]), Err(WireError::Undecodable { .. })), "{serializer:?} {bytes:x?}");
        assert!(elements.value(0).is_ok(), "payloads may have such keys");
    }
}

#[test]
fn what_another_serializer_lacks_is_written_as_the_nearest_thing() {
    use Serializer::{Cbor, Json, MsgPack};
    for (from, bytes, to, expected) in [
        (Cbor, hex("81f97e00"), Json, b"[null]".to_vec()),
        (Cbor, hex("81f97c00"), Json, b"[null]".to_vec()),
        (Cbor, hex("81f7"), Json, b"[null]".to_vec()),
        (Cbor, hex("81f93c00"), Json, b"[1.0]".to_vec()),
        (Cbor, hex("81f93c00"), MsgPack, hex("91cb3ff0000000000000")),
        (Json, b"[1.0]".to_vec(), Cbor, hex("81f93c00")),
        (Json, b"[0.1]".to_vec(), Cbor, hex("81fb3fb999999999999a")),
        (Cbor, hex("814101"), Json, b"[\"\\u0000AQ==\"]".to_vec()),
        (Json, b"[[\"\\u0000AQ==\"]]".to_vec(), MsgPack, hex("9191c40101")),
        (MsgPack, hex("91d40501"), Json, b"[\"\\u0000AQ==\"]".to_vec()),
        (MsgPack, hex("91820102c0c3"), Json, b"[{\"1\":2,\"null\":true}]".to_vec()),
        (MsgPack, hex("9181d4050102"), Json, b"[{\"\\u0000AQ==\":2}]".to_vec()),
        (Cbor, hex("81a3410102f503f93c0004"), Json, b"[{\"\\u0000AQ==\":2,\"true\":3,\"1.0\":4}]".to_vec()),
        (Cbor, hex("81a2c10102c24105f6"), Json, b"[{\"1\":2,\"5\":null}]".to_vec()),
        (Cbor, hex("81c11a514b67b0"), Json, b"[1363896240]".to_vec()),
        (Cbor, hex("811903e8"), MsgPack, hex("91cd03e8")),
        (Cbor, hex("81a2616101616102"), Json, b"[{\"a\":1,\"a\":2}]".to_vec()),
    ] {
        assert_eq!(split(from, &bytes).map(|elements| elements.len()), Ok(1), "{bytes:x?}");
        assert_eq!(Payload::from_raw(from, &bytes, &[]).elements_in(to).0, expected, "{bytes:x?}");
    }
}

#[test]
fn empty_arguments_are_absent() {
    for (serializer, args, kwargs) in [
        (Serializer::Cbor, hex("80"), hex("a0")),
        (Serializer::Cbor, hex("9fff"), hex("bfff")),
        (Serializer::Cbor, hex("9800"), hex("")),
        (Serializer::MsgPack, hex("90"), hex("80")),
        (Serializer::MsgPack, hex("dc0000"), hex("df00000000")),
        (Serializer::Json, b"[]".to_vec(), b"{}".to_vec()),
        (Serializer::Json, b"[ \n]".to_vec(), b"{\t}".to_vec()),
    ] {
        let payload = Payload::from_raw(serializer, &args, &kwargs);
        assert!(payload.is_empty(), "{serializer:?} {args:x?} {kwargs:x?}");
        for other in Serializer::ALL {
            let (args, kwargs) = payload.elements_in(other);
            assert!(args.is_empty() && kwargs.is_empty(), "{serializer:?} in {other:?}");
        }
        assert_eq!((payload.args(), payload.kwargs()), (Ok(vec![]), Ok(Dict::new())));
    }
    let kwargs_only = Payload::from_values(vec![], Dict::new().with("a", 1u64));
    assert_eq!(kwargs_only.raw(), (&hex("80")[..], &hex("a1616101")[..]));
    assert!(Payload::from_values(vec![], Dict::new()).is_empty());
    assert!(!Payload::from_values(vec![list(&[])], Dict::new()).is_empty());
    assert!(!Payload::from_raw(Serializer::Cbor, &hex("40"), &[]).is_empty(), "a binary of no bytes is a payload");
}

#[test]
fn passed_through_binary_is_no_list() {
    for (serializer, bytes) in [
        (Serializer::Cbor, hex("4101")),
        (Serializer::MsgPack, hex("c40101")),
        (Serializer::Json, b"\"\\u0000AQ==\"".to_vec()),
    ] {
        let payload = Payload::from_raw(serializer, &bytes, &[]);
        assert_eq!(payload.args(), Err(WireError::WrongType { expected: "list", got: "bytes" }));
        for other in Serializer::ALL {
            assert_eq!(payload.elements_in(other).0, message_element(other, &Value::Bytes(vec![1])));
        }
    }
}
