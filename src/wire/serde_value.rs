//! `Value` for the serializer crates: how each kind is written, and what is made of all that they can read.
//!
//! The three serializers can express more than WAMP's values. Reading maps the rest to what is nearest: CBOR tags are
//! dropped (bignums become numbers), `undefined` is null, integers beyond 64 bits are floats, MessagePack extensions
//! are their bytes, and dict keys that are no strings are written as one. JSON has no binary and no NaN: binary is a
//! string of U+0000 and base64 in both directions, NaN and the infinities are written as null.

use super::value::Key as DictKey;
use super::{Dict, Serializer, Value};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{self, Serialize};
use std::fmt;

/// Which keys a dict may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keys {
    /// What the application sends: any key, even twice.
    Any,
    /// Options and details: strings, each once. Those that are among these names, which are in order, are not copied.
    UniqueStrings(&'static [&'static str]),
}

impl Keys {
    fn are_unique(self) -> bool {
        matches!(self, Keys::UniqueStrings(_))
    }

    fn named(self, key: &str) -> DictKey {
        let known = match self {
            Keys::Any => None,
            Keys::UniqueStrings(names) => names.binary_search(&key).ok().and_then(|at| names.get(at)),
        };
        known.map_or_else(|| key.to_owned().into(), |name| DictKey::Borrowed(name))
    }
}

/// How a value is being read; given to the serializer crate as its seed and visitor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) serializer: Serializer,
    pub(super) keys: Keys,
}

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::from))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        if self.serializer == Serializer::Json
            && let Some(bytes) = json_binary_decode(value)
        {
            return Ok(Value::Bytes(bytes));
        }
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(PREALLOCATED_MAX));
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut dict = Dict::new();
        while let Some(key) = pairs.next_key_seed(Key(self))? {
            dict.push(key, pairs.next_value_seed(self)?);
        }
        if self.keys.are_unique() && has_repeated_key(&dict) {
            return Err(de::Error::custom("a key occurs twice in one dict"));
        }
        Ok(Value::Dict(dict))
    }

    /// A CBOR tag and its content, or a MessagePack extension, which reads as a list of its type and its bytes.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let tag = serde_cbor::tags::current_cbor_tag();
        let content = deserializer.deserialize_any(self)?;
        Ok(match (self.serializer, content) {
            (Serializer::MsgPack, Value::List(parts)) if is_undefined(&parts) => Value::Null,
            (Serializer::MsgPack, Value::List(mut parts)) => parts.pop().unwrap_or(Value::Null),
            (Serializer::Cbor, Value::Bytes(bytes)) => match tag {
                Some(TAG_BIGNUM) => bignum(&bytes),
                Some(TAG_BIGNUM_NEGATIVE) => bignum_negative(&bytes),
                _ => Value::Bytes(bytes),
            },
            (_, content) => content,
        })
    }
}

/// MessagePack has no `undefined`; msgpackr, which wampy.js uses, writes it as an extension of type 0 with one zero
/// byte.
fn is_undefined(extension: &[Value]) -> bool {
    matches!(extension, [Value::Uint(0), Value::Bytes(bytes)] if *bytes == [0])
}

/// A dict key, as the string that it is or is written as.
struct Key(Reading);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = DictKey;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<DictKey, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Strings come straight through; everything else is read as a value first.
macro_rules! visit_other_keys {
    ($($visit:ident($source:ty);)*) => {
        $(fn $visit<E: de::Error>(self, key: $source) -> Result<DictKey, E> {
            let value = self.0.$visit(key)?;
            self.written(value)
        })*
    };
}

impl<'de> Visitor<'de> for Key {
    type Value = DictKey;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a dict key")
    }

    fn visit_str<E>(self, key: &str) -> Result<DictKey, E> {
        Ok(self.0.keys.named(key))
    }

    visit_other_keys! {
        visit_bool(bool);
        visit_u64(u64);
        visit_i64(i64);
        visit_i128(i128);
        visit_f64(f64);
        visit_bytes(&[u8]);
    }

    fn visit_unit<E: de::Error>(self) -> Result<DictKey, E> {
        self.written(Value::Null)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<DictKey, D::Error> {
        let value = self.0.visit_newtype_struct(deserializer)?;
        self.written(value)
    }
}

impl Key {
    fn written<E: de::Error>(&self, key: Value) -> Result<DictKey, E> {
        match key {
            Value::String(key) => Ok(key.into()),
            other if self.0.keys.are_unique() => {
                Err(de::Error::custom(format_args!("a key must be string, got {}", other.kind_name())))
            }
            Value::Bytes(bytes) => Ok(json_binary_encode(&bytes).into()),
            other => serde_json::to_string(&other).map(DictKey::from).map_err(de::Error::custom),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Uint(value) => serializer.serialize_u64(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) if serializer.is_human_readable() => {
                serializer.serialize_str(&json_binary_encode(value))
            }
            Value::Bytes(value) => serializer.serialize_bytes(value),
            Value::List(items) => serializer.collect_seq(items),
            Value::Dict(dict) => dict.serialize(serializer),
        }
    }
}

impl Serialize for Dict {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Binary as WAMP writes it in JSON: U+0000, then base64 with padding.
fn json_binary_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4).saturating_add(1));
    text.push('\0');
    STANDARD.encode_string(bytes, &mut text);
    text
}

/// The binary that a JSON string stands for. A string of U+0000 and something else than base64 is just a string.
fn json_binary_decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix('\0')?).ok()
}

fn bignum(bytes: &[u8]) -> Value {
    let magnitude = bytes.iter().fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte));
    small(bytes).map_or(Value::Float(magnitude), Value::Uint)
}

/// The number -1 - n.
fn bignum_negative(bytes: &[u8]) -> Value {
    match bignum(bytes) {
        Value::Uint(n) => i64::try_from(n).map_or_else(|_| Value::Float(-1.0 - n as f64), |n| Value::Int(!n)),
        Value::Float(n) => Value::Float(-1.0 - n),
        other => other,
    }
}

fn small(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0u64, |sum, byte| Some(sum.checked_mul(256)? | u64::from(*byte)))
}

/// Sorting keeps a peer that sends very many keys from making the router compare each with each.
fn has_repeated_key(dict: &Dict) -> bool {
    if dict.len() <= SORTED_MIN {
        return dict.iter().enumerate().any(|(at, (key, _))| dict.iter().take(at).any(|(earlier, _)| earlier == key));
    }
    let mut keys: Vec<_> = dict.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    !keys.is_sorted_by(|a, b| a < b)
}

const TAG_BIGNUM: u64 = 2;
const TAG_BIGNUM_NEGATIVE: u64 = 3;
/// List items allocated at once on the word of a length that nobody has counted yet.
const PREALLOCATED_MAX: usize = 64;
/// Dicts up to this size, which are nearly all, are compared key by key: that allocates nothing.
const SORTED_MIN: usize = 16;
