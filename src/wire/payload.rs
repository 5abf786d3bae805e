//! What an application sends: arguments that the router carries and does not open.

use super::{Dict, Serializer, Value, WireError};
use bytes::Bytes;

/// The arguments of one message, as the encoded elements that arrived (or that the router made).
///
/// `args` is the element at the position of `Args`: a list, or in payload passthru mode one binary. `kwargs` is the dict
/// after it. Absent elements are empty slices; an empty `kwargs` dict, and an empty `args` list without `kwargs`, are
/// normalized to absent when a payload is made.
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
        todo!()
    }
    /// A payload that the router makes itself.
    pub fn from_values(args: Vec<Value>, kwargs: Dict) -> Payload {
        todo!()
    }
    pub fn serializer(&self) -> Serializer {
        self.serializer
    }
    pub fn is_empty(&self) -> bool {
        self.args.is_empty() && self.kwargs.is_empty()
    }
    /// Encoded size in bytes, for limits and accounting.
    pub fn len(&self) -> usize {
        self.args.len() + self.kwargs.len()
    }
    /// The positional arguments, decoded; empty when absent. An error when the element is not a list (passthru).
    pub fn args(&self) -> Result<Vec<Value>, WireError> {
        todo!()
    }
    /// The keyword arguments, decoded; empty when absent.
    pub fn kwargs(&self) -> Result<Dict, WireError> {
        todo!()
    }
    /// The same payload in another serializer (cheap when it is the same one): (args element, kwargs element).
    pub fn elements_in(&self, serializer: Serializer) -> (Bytes, Bytes) {
        todo!()
    }
}
