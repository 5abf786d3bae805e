//! A decoded value: what options, details and the router's own payloads are made of. Dicts keep their order, because
//! the official vectors (and people who read traces) compare bytes.

use std::borrow::Cow;

/// Anything that WAMP's serializers can carry.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// Non-negative integers.
    Uint(u64),
    /// Negative integers only; non-negative ones are always `Uint`, so that equal numbers compare equal.
    Int(i64),
    Float(f64),
    String(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Dict(Dict),
}

impl Value {
    /// The word for this kind of value in error messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Uint(_) | Value::Int(_) => "integer",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Dict(_) => "dict",
        }
    }

    /// The most bytes that this takes in CBOR, told without writing it.
    pub fn cbor_bytes_max(&self) -> usize {
        let content = match self {
            Value::Null | Value::Bool(_) | Value::Uint(_) | Value::Int(_) | Value::Float(_) => 0,
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) => items.iter().map(Value::cbor_bytes_max).sum(),
            Value::Dict(dict) => dict.cbor_bytes_max(),
        };
        content.saturating_add(HEAD_BYTES_MAX)
    }

    /// The memory that the value takes beside its own place.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Uint(_) | Value::Int(_) | Value::Float(_) => 0,
            Value::String(text) => allocated(text.capacity()),
            Value::Bytes(bytes) => allocated(bytes.capacity()),
            Value::List(list) => {
                let items = list.iter().map(Value::heap_bytes).sum::<usize>();
                items.saturating_add(allocated(list.capacity().saturating_mul(size_of::<Value>())))
            }
            Value::Dict(dict) => dict.heap_bytes(),
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// Also of a float that is a whole number: clients in JavaScript write integers beyond 32 bits that way, session
    /// ids for one.
    pub fn as_uint(&self) -> Option<u64> {
        match self {
            Value::Uint(value) => Some(*value),
            Value::Float(value) if value.fract() == 0.0 && (0.0..=EXACT_MAX).contains(value) => Some(*value as u64),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(value) = self { Some(value) } else { None }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(value) = self { Some(value) } else { None }
    }

    pub fn as_dict(&self) -> Option<&Dict> {
        if let Value::Dict(value) = self { Some(value) } else { None }
    }
}

/// What CBOR writes before the content of a value, if it has any: a type, and up to eight bytes of number or length.
const HEAD_BYTES_MAX: usize = 9;
/// What the allocator gives where so many bytes are asked for: a header beside them, in steps of 16.
pub const fn allocated(bytes: usize) -> usize {
    match bytes.saturating_add(8).checked_next_multiple_of(16) {
        _ if bytes == 0 => 0,
        Some(bytes) => bytes,
        None => usize::MAX,
    }
}

/// Up to here (2^53) floats hold every integer.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

macro_rules! value_from {
    ($($source:ty => $variant:ident($convert:expr);)*) => {
        $(impl From<$source> for Value {
            fn from(source: $source) -> Value {
                let convert: fn($source) -> _ = $convert;
                Value::$variant(convert(source))
            }
        })*
    };
}

value_from! {
    bool => Bool(|v| v);
    u64 => Uint(|v| v);
    u32 => Uint(u64::from);
    usize => Uint(|v| v as u64);
    f64 => Float(|v| v);
    &str => String(str::to_owned);
    String => String(|v| v);
    Vec<Value> => List(|v| v);
    Dict => Dict(|v| v);
}

impl From<i64> for Value {
    fn from(source: i64) -> Value {
        u64::try_from(source).map_or(Value::Int(source), Value::Uint)
    }
}

/// A dict with string keys that keeps the order in which it was written. Lookups are linear: options and details have a
/// handful of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(Vec<(Key, Value)>);

/// A key of a dict. Those that WAMP names are static: most dicts on the message path have no others.
pub type Key = Cow<'static, str>;

impl Dict {
    pub const fn new() -> Dict {
        Dict(Vec::new())
    }

    /// The memory that the dict takes beside its own place.
    pub fn heap_bytes(&self) -> usize {
        let pairs = self.0.iter().map(|(key, value)| key_bytes(key).saturating_add(value.heap_bytes()));
        let places = allocated(self.0.capacity().saturating_mul(size_of::<(Key, Value)>()));
        pairs.sum::<usize>().saturating_add(places)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub fn bool(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    pub fn uint(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(Value::as_uint)
    }

    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub fn list(&self, key: &str) -> Option<&[Value]> {
        self.get(key).and_then(Value::as_list)
    }

    pub fn dict(&self, key: &str) -> Option<&Dict> {
        self.get(key).and_then(Value::as_dict)
    }

    /// Sets `key`, in its old place if it was there, else at the end.
    pub fn set(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Appends a pair; the caller has made sure that the key is new.
    pub fn push(&mut self, key: Key, value: Value) {
        self.0.push((key, value));
    }

    /// Removes the pairs whose key does not fulfil `condition`.
    pub fn retain(&mut self, condition: impl Fn(&str) -> bool) {
        self.0.retain(|(key, _)| condition(key));
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to_fit();
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(index).1)
    }

    /// The same dict with one more pair; for building details in one expression.
    pub fn with(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Dict {
        self.set(key, value);
        self
    }

    /// The most bytes that the pairs take in CBOR.
    pub fn cbor_bytes_max(&self) -> usize {
        let bytes = |(key, value): &(Key, Value)| {
            value.cbor_bytes_max().saturating_add(HEAD_BYTES_MAX).saturating_add(key.len())
        };
        self.0.iter().map(bytes).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The pairs as they are kept, to be copied into another dict.
    pub fn pairs(&self) -> impl Iterator<Item = &(Key, Value)> {
        self.0.iter()
    }
}

/// The memory that a key takes beside its place.
fn key_bytes(key: &Key) -> usize {
    match key {
        Cow::Borrowed(_) => 0,
        Cow::Owned(key) => allocated(key.capacity()),
    }
}
