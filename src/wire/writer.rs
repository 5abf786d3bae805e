//! Writes one message: a list whose length is known, element by element.

use super::{Dict, Serializer, Value, cbor, json, msgpack};
use serde::Serialize;
use std::fmt::Debug;

/// A list being written into a buffer. `finish` closes it; the elements written must be as many as announced.
pub struct Writer<'b> {
    serializer: Serializer,
    out: &'b mut Vec<u8>,
    /// Elements that were announced and are not yet written.
    left: usize,
    first: bool,
}

impl<'b> Writer<'b> {
    pub fn list(serializer: Serializer, elements: usize, out: &'b mut Vec<u8>) -> Writer<'b> {
        match serializer {
            Serializer::Cbor => cbor::write_list_head(elements, out),
            Serializer::MsgPack => msgpack::write_list_head(elements, out),
            Serializer::Json => out.push(b'['),
        }
        Writer { serializer, out, left: elements, first: true }
    }

    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.element();
        match self.serializer {
            Serializer::Cbor => cbor::write_uint(value, self.out),
            Serializer::MsgPack => msgpack::write_uint(value, self.out),
            Serializer::Json => json::write_uint(value, self.out),
        }
        self
    }

    pub fn string(&mut self, value: &str) -> &mut Self {
        self.element();
        match self.serializer {
            Serializer::Cbor => cbor::write_string(value, self.out),
            Serializer::MsgPack => msgpack::write_string(value, self.out),
            Serializer::Json => json::write_string(value, self.out),
        }
        self
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.element();
        match self.serializer {
            Serializer::Cbor => cbor::write_bytes(value, self.out),
            Serializer::MsgPack | Serializer::Json => {
                encode(self.serializer, &Value::Bytes(value.to_vec()), self.out);
            }
        }
        self
    }

    pub fn dict(&mut self, value: &Dict) -> &mut Self {
        self.element();
        encode(self.serializer, value, self.out);
        self
    }

    pub fn value(&mut self, value: &Value) -> &mut Self {
        self.element();
        encode(self.serializer, value, self.out);
        self
    }

    /// An element that is already in this serializer.
    pub fn raw(&mut self, element: &[u8]) -> &mut Self {
        self.element();
        self.out.extend_from_slice(element);
        self
    }

    pub fn finish(self) {
        debug_assert_eq!(self.left, 0, "elements that were announced and not written");
        if self.serializer == Serializer::Json {
            self.out.push(b']');
        }
    }

    fn element(&mut self) {
        debug_assert!(self.left > 0, "more elements than announced");
        self.left = self.left.saturating_sub(1);
        if !std::mem::take(&mut self.first) && self.serializer == Serializer::Json {
            self.out.push(b',');
        }
    }
}

/// What has been written, where that cannot fail.
#[expect(
    clippy::expect_used,
    reason = "a value has a form in each serializer, and a Vec takes all that is written to it"
)]
pub(super) fn written<T, E: Debug>(result: Result<T, E>) -> T {
    result.expect("writing to memory does not fail")
}

/// Appends one value: no whitespace, the fewest bytes for each integer, definite lengths, dicts in their own order.
pub(super) fn encode(serializer: Serializer, value: &impl Serialize, out: &mut Vec<u8>) {
    match serializer {
        Serializer::Cbor => cbor::encode(value, out),
        Serializer::MsgPack => msgpack::encode(value, out),
        Serializer::Json => json::encode(value, out),
    }
}
