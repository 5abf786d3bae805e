//! What an application sends: arguments that the router carries and does not open.

use super::elements::{decode, is_empty_container};
use super::serde_value::Keys;
use super::value::allocated;
use super::writer::encode;
use super::{Dict, Serializer, Value, WireError, Writer};
use bytes::Bytes;

/// The arguments of one message, as the encoded elements that arrived (or that the router made).
///
/// `args` is the element at the position of `Args`: a list, or in payload passthru mode one binary. `kwargs` is the
/// dict after it. Absent elements are empty slices; an empty `kwargs` dict, and an empty `args` list without `kwargs`,
/// are normalized to absent when a payload is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    serializer: Serializer,
    args: Bytes,
    kwargs: Bytes,
}

impl Payload {
    pub const fn empty() -> Payload {
        Payload { serializer: Serializer::Cbor, args: Bytes::new(), kwargs: Bytes::new() }
    }

    /// A payload from raw elements of `serializer` that have passed `Elements::split`. Copies once.
    pub fn from_raw(serializer: Serializer, args: &[u8], kwargs: &[u8]) -> Payload {
        let kwargs = if is_empty_container(serializer, kwargs) { &[] } else { kwargs };
        if kwargs.is_empty() {
            let args = if is_empty_container(serializer, args) { &[] } else { args };
            return Payload { serializer, args: Bytes::copy_from_slice(args), kwargs: Bytes::new() };
        }
        // One allocation for both.
        let mut args_then_kwargs = Bytes::from([args, kwargs].concat());
        let args = args_then_kwargs.split_to(args.len());
        Payload { serializer, args, kwargs: args_then_kwargs }
    }

    /// A payload that the router makes itself.
    pub fn from_values(args: Vec<Value>, kwargs: Dict) -> Payload {
        let element = |value: Value| {
            let mut out = Vec::new();
            encode(Serializer::Cbor, &value, &mut out);
            out
        };
        Payload::from_raw(Serializer::Cbor, &element(Value::List(args)), &element(Value::Dict(kwargs)))
    }

    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    pub fn is_empty(&self) -> bool {
        self.args.is_empty() && self.kwargs.is_empty()
    }

    /// The memory that the payload takes beside its own place, unless it shares it with a copy of itself.
    pub fn heap_bytes(&self) -> usize {
        // The bytes, and what counts those who share them.
        if self.is_empty() { 0 } else { allocated(self.len()).saturating_add(allocated(SHARED_BYTES)) }
    }

    /// Encoded size in bytes, for limits and accounting.
    pub fn len(&self) -> usize {
        self.args.len().saturating_add(self.kwargs.len())
    }

    /// The elements as they are kept: (args, kwargs), in `serializer()`.
    pub fn raw(&self) -> (&[u8], &[u8]) {
        (&self.args, &self.kwargs)
    }

    /// The element at the position of `Args`, decoded: a list, or one binary in payload passthru mode; null when
    /// absent.
    pub fn args_value(&self) -> Result<Value, WireError> {
        if self.args.is_empty() {
            return Ok(Value::Null);
        }
        decode(self.serializer, &self.args, Keys::Any)
    }

    /// The positional arguments, decoded; empty when absent. An error when the element is not a list (passthru).
    pub fn args(&self) -> Result<Vec<Value>, WireError> {
        match self.args_value()? {
            Value::Null => Ok(Vec::new()),
            Value::List(args) => Ok(args),
            other => Err(WireError::WrongType { expected: "list", got: other.kind_name() }),
        }
    }

    /// The keyword arguments, decoded; empty when absent.
    pub fn kwargs(&self) -> Result<Dict, WireError> {
        if self.kwargs.is_empty() {
            return Ok(Dict::new());
        }
        match decode(self.serializer, &self.kwargs, Keys::Any)? {
            Value::Dict(kwargs) => Ok(kwargs),
            other => Err(WireError::WrongType { expected: "dict", got: other.kind_name() }),
        }
    }

    /// The same payload in another serializer (cheap when it is the same one): (args element, kwargs element).
    pub fn elements_in(&self, serializer: Serializer) -> (Bytes, Bytes) {
        if serializer == self.serializer {
            return (self.args.clone(), self.kwargs.clone());
        }
        (transcode(self.serializer, &self.args, serializer), transcode(self.serializer, &self.kwargs, serializer))
    }

    /// The elements that are present, as one list in `serializer()`: the form in which another node gets them.
    pub fn to_list(&self) -> Vec<u8> {
        let mut list = Vec::with_capacity(self.len().saturating_add(LIST_BYTES));
        let mut writer = Writer::list(self.serializer, self.n_elements(), &mut list);
        self.write(&mut writer);
        writer.finish();
        list
    }

    /// How many elements of a message the payload takes: an empty list stands for absent args before kwargs.
    pub fn n_elements(&self) -> usize {
        match self.raw() {
            ([], []) => 0,
            (_, []) => 1,
            _ => 2,
        }
    }

    /// Writes the elements that are present into a message: none, args, or both, with an empty list for absent args.
    pub fn write(&self, writer: &mut Writer) {
        if self.is_empty() {
            return;
        }
        if self.args.is_empty() {
            writer.value(&Value::List(Vec::new()));
        }
        for element in [&self.args, &self.kwargs] {
            match writer.serializer() {
                _ if element.is_empty() => {}
                serializer if serializer == self.serializer => {
                    writer.raw(element);
                }
                serializer => {
                    writer.raw(&transcode(self.serializer, element, serializer));
                }
            }
        }
    }
}

/// What a list of args and kwargs has beside them, in the serializer that needs most of it.
const LIST_BYTES: usize = "[[],]".len();
/// What `Bytes` keeps beside bytes that have several owners.
const SHARED_BYTES: usize = 24;

/// One element in another serializer. What has passed `Elements::split` can always be decoded; should that ever be
/// untrue, the receiver gets no arguments rather than the router a panic.
fn transcode(from: Serializer, element: &[u8], to: Serializer) -> Bytes {
    if element.is_empty() {
        return Bytes::new();
    }
    let decoded = decode(from, element, Keys::Any);
    debug_assert!(decoded.is_ok(), "{from:?} element passed the scan and cannot be decoded: {decoded:?}");
    decoded.map_or_else(
        |_| Bytes::new(),
        |value| {
            let mut out = Vec::with_capacity(element.len());
            encode(to, &value, &mut out);
            out.into()
        },
    )
}
