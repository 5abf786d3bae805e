//! MessagePack: the scan that checks a message and finds its elements, and the few parts of values that the router
//! reads and writes itself. Whole values go through `rmp_serde`.

use super::serde_value::{Keys, Reading};
use super::writer::written;
use super::{Elements, Kind, Serializer, Value, WireError};
use serde::Serialize;
use serde::de::DeserializeSeed;
use std::borrow::Cow;

/// Finds the elements of `message`, which must be one list, and checks every byte on the way.
pub(super) fn split<'a>(message: &'a [u8], depth_max: usize, found: &mut Elements<'a>) -> Result<(), WireError> {
    let mut scanner = Scanner { bytes: message, at: 0, depth_max };
    let Head::List(count) = scanner.head()? else {
        return Err(invalid(0, "a message must be a list"));
    };
    let depth = scanner.deeper(depth_max)?;
    for _ in 0..count {
        let start = scanner.at;
        scanner.skip(depth)?;
        found.push(message.get(start..scanner.at).unwrap_or_default())?;
    }
    if scanner.at < message.len() { Err(invalid(scanner.at, "bytes after the message")) } else { Ok(()) }
}

/// The kind of a value that has passed `split`.
pub(super) fn kind(raw: &[u8]) -> Kind {
    if raw == [NIL] {
        return Kind::Null;
    }
    match (Scanner { bytes: raw, at: 0, depth_max: 0 }).head() {
        Ok(Head::Uint(_) | Head::Int) => Kind::Integer,
        Ok(Head::Text(_)) => Kind::String,
        Ok(Head::Bytes(_)) => Kind::Bytes,
        Ok(Head::List(_)) => Kind::List,
        Ok(Head::Dict(_)) => Kind::Dict,
        Ok(Head::Scalar | Head::Extension(_)) | Err(_) => Kind::Other,
    }
}

/// A non-negative integer; a signed format may hold one too.
pub(super) fn uint(raw: &[u8]) -> Option<u64> {
    match (Scanner { bytes: raw, at: 0, depth_max: 0 }).head() {
        Ok(Head::Uint(value)) => Some(value),
        _ => None,
    }
}

/// The text of a string that has passed `split`.
pub(super) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let mut scanner = Scanner { bytes: raw, at: 0, depth_max: 0 };
    let Head::Text(_) = scanner.head().ok()? else {
        return None;
    };
    std::str::from_utf8(raw.get(scanner.at..)?).ok().map(Cow::Borrowed)
}

/// Whether a list or dict that has passed `split` has nothing in it.
pub(super) fn is_empty_container(raw: &[u8]) -> bool {
    let head = (Scanner { bytes: raw, at: 0, depth_max: 0 }).head();
    matches!(head, Ok(Head::List(0) | Head::Dict(0)))
}

pub(super) fn decode(raw: &[u8], keys: Keys) -> Result<Value, WireError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(raw);
    let reading = Reading { serializer: Serializer::MsgPack, keys };
    reading.deserialize(&mut deserializer).map_err(|error| WireError::decode(Serializer::MsgPack, error))
}

pub(super) fn encode(value: &impl Serialize, out: &mut Vec<u8>) {
    written(value.serialize(&mut rmp_serde::Serializer::new(out)));
}

pub(super) fn write_list_head(len: usize, out: &mut Vec<u8>) {
    written(rmp::encode::write_array_len(out, len as u32));
}

pub(super) fn write_uint(value: u64, out: &mut Vec<u8>) {
    written(rmp::encode::write_uint(out, value));
}

pub(super) fn write_string(value: &str, out: &mut Vec<u8>) {
    written(rmp::encode::write_str(out, value));
}

/// The first byte of a value with the length or number that follows it.
enum Head {
    Uint(u64),
    /// A negative integer; nobody asks which.
    Int,
    /// Null, a bool or a float.
    Scalar,
    Text(usize),
    Bytes(usize),
    List(usize),
    Dict(usize),
    /// Length without the byte for its type.
    Extension(usize),
}

/// Walks over bytes that nobody has checked.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth_max: usize,
}

impl Scanner<'_> {
    /// Steps over one value with everything in it. `depth` is how many levels it may still open, so the recursion ends.
    fn skip(&mut self, depth: usize) -> Result<(), WireError> {
        match self.head()? {
            Head::Uint(_) | Head::Int | Head::Scalar => Ok(()),
            Head::Text(len) => {
                let start = self.at;
                let text = self.take(len)?;
                match simdutf8::basic::from_utf8(text) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(invalid(start, "a string that is not UTF-8")),
                }
            }
            Head::Bytes(len) => self.take(len).map(drop),
            Head::Extension(len) => {
                self.take(1)?;
                self.take(len).map(drop)
            }
            Head::List(count) => {
                let depth = self.deeper(depth)?;
                for _ in 0..count {
                    self.skip(depth)?;
                }
                Ok(())
            }
            Head::Dict(count) => {
                let depth = self.deeper(depth)?;
                for _ in 0..count {
                    self.skip_key(depth)?;
                    self.skip(depth)?;
                }
                Ok(())
            }
        }
    }

    /// A key may be anything that is easily written as a string, but no list or dict: a key inside a key inside a key
    /// would be escaped again at each level and double in size.
    fn skip_key(&mut self, depth: usize) -> Result<(), WireError> {
        match kind(self.bytes.get(self.at..).unwrap_or_default()) {
            Kind::List | Kind::Dict => Err(invalid(self.at, "a list or dict as a key")),
            _ => self.skip(depth),
        }
    }

    fn head(&mut self) -> Result<Head, WireError> {
        let start = self.at;
        let first = self.number(1)? as u8;
        Ok(match first {
            0x00..=0x7f => Head::Uint(u64::from(first)),
            0x80..=0x8f => Head::Dict(usize::from(first & 0x0f)),
            0x90..=0x9f => Head::List(usize::from(first & 0x0f)),
            0xa0..=0xbf => Head::Text(usize::from(first & 0x1f)),
            0xc0 | 0xc2 | 0xc3 => Head::Scalar,
            0xc1 => return Err(invalid(start, "the byte c1, which is never used")),
            0xc4..=0xc6 => Head::Bytes(self.length(first.saturating_sub(0xc4))?),
            0xc7..=0xc9 => Head::Extension(self.length(first.saturating_sub(0xc7))?),
            0xca | 0xcb => {
                self.take(4 << first.saturating_sub(0xca))?;
                Head::Scalar
            }
            0xcc..=0xcf => Head::Uint(self.number(1 << first.saturating_sub(0xcc))?),
            0xd0..=0xd3 => {
                let is_negative = self.bytes.get(self.at).is_some_and(|byte| byte & 0x80 != 0);
                let value = self.number(1 << (first & 3))?;
                if is_negative { Head::Int } else { Head::Uint(value) }
            }
            0xd4..=0xd8 => Head::Extension(1 << first.saturating_sub(0xd4)),
            0xd9..=0xdb => Head::Text(self.length(first.saturating_sub(0xd9))?),
            0xdc | 0xdd => Head::List(self.length(first.saturating_sub(0xdb))?),
            0xde | 0xdf => Head::Dict(self.length(first.saturating_sub(0xdd))?),
            0xe0..=0xff => Head::Int,
        })
    }

    /// A length of 1, 2 or 4 bytes for `power` 0, 1 or 2.
    fn length(&mut self, power: u8) -> Result<usize, WireError> {
        self.number(1 << power).map(|len| len as usize)
    }

    /// A big-endian number of 1 to 8 bytes.
    fn number(&mut self, len: usize) -> Result<u64, WireError> {
        Ok(self.take(len)?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    fn deeper(&self, depth: usize) -> Result<usize, WireError> {
        depth.checked_sub(1).ok_or(WireError::TooDeep { depth_max: self.depth_max })
    }

    fn take(&mut self, len: usize) -> Result<&[u8], WireError> {
        let end = self.at.checked_add(len).ok_or(WireError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(WireError::Truncated)?;
        self.at = end;
        Ok(taken)
    }
}

fn invalid(offset: usize, what: &'static str) -> WireError {
    WireError::Invalid { serializer: "msgpack", offset, what }
}

const NIL: u8 = 0xc0;
