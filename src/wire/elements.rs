//! One message split into its top-level elements, each still the bytes that arrived.
//!
//! Splitting walks the whole message once and checks well-formedness, depth and UTF-8, so that an element may later be
//! spliced into another message of the same serializer without being looked at again.

use super::serde_value::Keys;
use super::{Dict, Serializer, Value, WireError, cbor, json, msgpack};
use crate::limits::{LINK_DEPTH_MAX, MESSAGE_ELEMENTS_MAX};
use std::borrow::Cow;

/// What kind of value an element is, without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    String,
    Bytes,
    List,
    Dict,
    /// Null, and what CBOR calls undefined.
    Null,
    Other,
}

/// The top-level elements of one message, as slices of the frame.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    serializer: Serializer,
    slices: [&'a [u8]; MESSAGE_ELEMENTS_MAX],
    len: usize,
}

impl<'a> Elements<'a> {
    /// Splits one whole message (a list) and checks every byte of it. Trailing bytes are an error.
    ///
    /// `depth_max` counts the message itself and CBOR tags too; more than `LINK_DEPTH_MAX` is taken as that.
    pub fn split(serializer: Serializer, message: &'a [u8], depth_max: usize) -> Result<Elements<'a>, WireError> {
        let mut elements = Elements { serializer, slices: [&[]; MESSAGE_ELEMENTS_MAX], len: 0 };
        let depth_max = depth_max.min(LINK_DEPTH_MAX);
        match serializer {
            Serializer::Cbor => cbor::split(message, depth_max, &mut elements)?,
            Serializer::MsgPack => msgpack::split(message, depth_max, &mut elements)?,
            Serializer::Json => json::split(message, depth_max, &mut elements)?,
        }
        Ok(elements)
    }

    /// Adds the next element that a scan has found.
    pub(super) fn push(&mut self, element: &'a [u8]) -> Result<(), WireError> {
        let slot = self.slices.get_mut(self.len).ok_or(WireError::TooManyElements(self.len.saturating_add(1)))?;
        *slot = element;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// The raw bytes of element `index`, to be spliced elsewhere.
    pub fn raw(&self, index: usize) -> Option<&'a [u8]> {
        self.slices.get(..self.len)?.get(index).copied()
    }

    pub fn kind(&self, index: usize) -> Option<Kind> {
        let raw = self.raw(index)?;
        Some(match self.serializer {
            Serializer::Cbor => cbor::kind(raw),
            Serializer::MsgPack => msgpack::kind(raw),
            Serializer::Json => json::kind(raw),
        })
    }

    /// Element `index` as a non-negative integer; floats and negative numbers are refused.
    pub fn uint(&self, index: usize) -> Result<u64, WireError> {
        let raw = self.present(index, "non-negative integer")?;
        let value = match self.serializer {
            Serializer::Cbor => cbor::uint(raw),
            Serializer::MsgPack => msgpack::uint(raw),
            Serializer::Json => json::uint(raw),
        };
        value.ok_or_else(|| self.wrong_type(index, "non-negative integer"))
    }

    /// Element `index` as a string, borrowed from the frame where its bytes are the text.
    pub fn text(&self, index: usize) -> Result<Cow<'a, str>, WireError> {
        let raw = self.present(index, "string")?;
        let text = match self.serializer {
            Serializer::Cbor => cbor::text(raw),
            Serializer::MsgPack => msgpack::text(raw),
            Serializer::Json => json::text(raw),
        };
        match text {
            Some(text) => Ok(text),
            None if self.kind(index) != Some(Kind::String) => Err(self.wrong_type(index, "string")),
            None => match self.value(index)? {
                Value::String(text) => Ok(Cow::Owned(text)),
                other => Err(WireError::WrongType { expected: "string", got: other.kind_name() }),
            },
        }
    }

    pub fn string(&self, index: usize) -> Result<String, WireError> {
        self.text(index).map(Cow::into_owned)
    }

    /// Element `index` as a binary, borrowed from the frame. Of CBOR only, the serializer of links.
    pub fn bytes(&self, index: usize) -> Result<&'a [u8], WireError> {
        let raw = self.present(index, "bytes")?;
        let bytes = if self.serializer == Serializer::Cbor { cbor::bytes(raw) } else { None };
        bytes.ok_or_else(|| self.wrong_type(index, "bytes"))
    }

    /// Element `index` as a dict whose keys, at every level, are strings and occur once. Keys that are among `names`,
    /// which are in order, are not copied.
    pub fn dict(&self, index: usize, names: &'static [&'static str]) -> Result<Dict, WireError> {
        let raw = self.present(index, "dict")?;
        if self.kind(index) != Some(Kind::Dict) {
            return Err(self.wrong_type(index, "dict"));
        }
        if is_empty_container(self.serializer, raw) {
            return Ok(Dict::new());
        }
        match decode(self.serializer, raw, Keys::UniqueStrings(names))? {
            Value::Dict(dict) => Ok(dict),
            other => Err(WireError::WrongType { expected: "dict", got: other.kind_name() }),
        }
    }

    pub fn value(&self, index: usize) -> Result<Value, WireError> {
        decode(self.serializer, self.present(index, "any value")?, Keys::Any)
    }

    fn present(&self, index: usize, expected: &'static str) -> Result<&'a [u8], WireError> {
        self.raw(index).ok_or(WireError::WrongType { expected, got: "nothing" })
    }

    fn wrong_type(&self, index: usize, expected: &'static str) -> WireError {
        let got = match self.value(index) {
            Ok(Value::Int(_)) => "negative integer",
            Ok(value) => value.kind_name(),
            Err(_) => "something else",
        };
        WireError::WrongType { expected, got }
    }
}

/// Reads one element that has passed `Elements::split`.
pub(super) fn decode(serializer: Serializer, raw: &[u8], keys: Keys) -> Result<Value, WireError> {
    match serializer {
        Serializer::Cbor => cbor::decode(raw, keys),
        Serializer::MsgPack => msgpack::decode(raw, keys),
        Serializer::Json => json::decode(raw, keys),
    }
}

/// Whether `raw`, which has passed `Elements::split`, is a list or dict with nothing in it.
pub(super) fn is_empty_container(serializer: Serializer, raw: &[u8]) -> bool {
    match serializer {
        Serializer::Cbor => cbor::is_empty_container(raw),
        Serializer::MsgPack => msgpack::is_empty_container(raw),
        Serializer::Json => json::is_empty_container(raw),
    }
}
