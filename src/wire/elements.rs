//! One message split into its top-level elements, each still the bytes that arrived.
//!
//! Splitting walks the whole message once and checks well-formedness, depth and UTF-8, so that an element may later be
//! spliced into another message of the same serializer without being looked at again.

use super::{Dict, Serializer, Value, WireError};
use crate::limits::MESSAGE_ELEMENTS_MAX;

/// What kind of value an element is, without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    String,
    Bytes,
    List,
    Dict,
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
    pub fn split(serializer: Serializer, message: &'a [u8], depth_max: usize) -> Result<Elements<'a>, WireError> {
        todo!()
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
        todo!()
    }
    pub fn kind(&self, index: usize) -> Option<Kind> {
        todo!()
    }
    /// Element `index` as a non-negative integer; floats and negative numbers are refused.
    pub fn uint(&self, index: usize) -> Result<u64, WireError> {
        todo!()
    }
    pub fn string(&self, index: usize) -> Result<String, WireError> {
        todo!()
    }
    pub fn dict(&self, index: usize) -> Result<Dict, WireError> {
        todo!()
    }
    pub fn value(&self, index: usize) -> Result<Value, WireError> {
        todo!()
    }
}
