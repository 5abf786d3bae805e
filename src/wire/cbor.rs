//! CBOR (RFC 8949): the scan that checks a message and finds its elements, and the few parts of values that the router
//! reads and writes itself. Whole values go through `serde_cbor`.

use super::serde_value::{Keys, Reading};
use super::writer::written;
use super::{Elements, Kind, Serializer, Value, WireError};
use serde::Serialize;
use serde::de::DeserializeSeed;
use std::borrow::Cow;

/// Finds the elements of `message`, which must be one list, and checks every byte on the way.
pub(super) fn split<'a>(message: &'a [u8], depth_max: usize, found: &mut Elements<'a>) -> Result<(), WireError> {
    let mut scanner = Scanner { bytes: message, at: 0, depth_max };
    let (LIST, count) = scanner.head()? else {
        return Err(invalid(0, "a message must be a list"));
    };
    let depth = scanner.deeper(depth_max)?;
    let mut left = count;
    while scanner.another(&mut left)? {
        let start = scanner.at;
        scanner.skip(depth)?;
        found.push(message.get(start..scanner.at).unwrap_or_default())?;
    }
    if scanner.at < message.len() { Err(invalid(scanner.at, "bytes after the message")) } else { Ok(()) }
}

/// The kind of a value that has passed `split`. Tags hide what they hold: the envelope has none.
pub(super) fn kind(raw: &[u8]) -> Kind {
    if let [NULL | UNDEFINED] = raw {
        return Kind::Null;
    }
    match raw.first().map_or(SIMPLE, |byte| byte >> 5) {
        UINT | NEGATIVE => Kind::Integer,
        BYTES => Kind::Bytes,
        TEXT => Kind::String,
        LIST => Kind::List,
        DICT => Kind::Dict,
        _ => Kind::Other,
    }
}

pub(super) fn uint(raw: &[u8]) -> Option<u64> {
    match (Scanner { bytes: raw, at: 0, depth_max: 0 }).head() {
        Ok((UINT, value)) => value,
        _ => None,
    }
}

/// The text of a definite string that has passed `split`; none for one in chunks, which has to be put together.
pub(super) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let mut scanner = Scanner { bytes: raw, at: 0, depth_max: 0 };
    let (TEXT, Some(_)) = scanner.head().ok()? else {
        return None;
    };
    std::str::from_utf8(raw.get(scanner.at..)?).ok().map(Cow::Borrowed)
}

/// A definite binary that has passed `split`.
pub(super) fn bytes(raw: &[u8]) -> Option<&[u8]> {
    let mut scanner = Scanner { bytes: raw, at: 0, depth_max: 0 };
    let (BYTES, Some(_)) = scanner.head().ok()? else {
        return None;
    };
    raw.get(scanner.at..)
}

/// Whether a list or dict that has passed `split` has nothing in it.
pub(super) fn is_empty_container(raw: &[u8]) -> bool {
    let mut scanner = Scanner { bytes: raw, at: 0, depth_max: 0 };
    match scanner.head() {
        Ok((LIST | DICT, Some(count))) => count == 0,
        Ok((LIST | DICT, None)) => raw.get(scanner.at) == Some(&BREAK),
        _ => false,
    }
}

pub(super) fn decode(raw: &[u8], keys: Keys) -> Result<Value, WireError> {
    let mut deserializer = serde_cbor::Deserializer::from_slice(raw);
    let reading = Reading { serializer: Serializer::Cbor, keys };
    reading.deserialize(&mut deserializer).map_err(|error| WireError::decode(Serializer::Cbor, error))
}

pub(super) fn encode(value: &impl Serialize, out: &mut Vec<u8>) {
    written(value.serialize(&mut serde_cbor::Serializer::new(serde_cbor::ser::IoWrite::new(out))));
}

pub(super) fn write_list_head(len: usize, out: &mut Vec<u8>) {
    write_head(LIST, len as u64, out);
}

pub(super) fn write_uint(value: u64, out: &mut Vec<u8>) {
    write_head(UINT, value, out);
}

pub(super) fn write_string(value: &str, out: &mut Vec<u8>) {
    write_head(TEXT, value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

pub(super) fn write_bytes(value: &[u8], out: &mut Vec<u8>) {
    write_head(BYTES, value.len() as u64, out);
    out.extend_from_slice(value);
}

/// The first byte of a value and its argument, in the fewest bytes.
fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if let Ok(argument) = u8::try_from(argument) {
        out.extend_from_slice(&[major | 24, argument]);
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
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
        let start = self.at;
        let first = self.peek()?;
        let (major, argument) = self.head()?;
        match major {
            UINT | NEGATIVE => Ok(()),
            BYTES => self.skip_string(BYTES, argument),
            TEXT => self.skip_string(TEXT, argument),
            LIST => {
                let depth = self.deeper(depth)?;
                let mut left = argument;
                while self.another(&mut left)? {
                    self.skip(depth)?;
                }
                Ok(())
            }
            DICT => {
                let depth = self.deeper(depth)?;
                let mut left = argument;
                while self.another(&mut left)? {
                    self.skip_key(depth)?;
                    self.skip(depth)?;
                }
                Ok(())
            }
            TAG => {
                let depth = self.deeper(depth)?;
                self.skip(depth)
            }
            _ => match first & 0x1f {
                20..=23 | 25..=27 => Ok(()),
                31 => Err(invalid(start, "a break where a value must stand")),
                // RFC 8949 gives them no meaning, so nothing could be made of them in another serializer.
                _ => Err(invalid(start, "an unassigned simple value")),
            },
        }
    }

    /// A key may be anything that is easily written as a string, but no list or dict: a key inside a key inside a key
    /// would be escaped again at each level and double in size.
    fn skip_key(&mut self, depth: usize) -> Result<(), WireError> {
        match self.peek()? >> 5 {
            LIST | DICT => Err(invalid(self.at, "a list or dict as a key")),
            TAG => {
                let depth = self.deeper(depth)?;
                self.head()?;
                self.skip_key(depth)
            }
            _ => self.skip(depth),
        }
    }

    fn skip_string(&mut self, major: u8, len: Option<u64>) -> Result<(), WireError> {
        if let Some(len) = len {
            return self.skip_chunk(major, len);
        }
        let mut endless = None;
        while self.another(&mut endless)? {
            let start = self.at;
            match self.head()? {
                (chunk, Some(len)) if chunk == major => self.skip_chunk(major, len)?,
                _ => return Err(invalid(start, "a chunk of another type in a string")),
            }
        }
        Ok(())
    }

    fn skip_chunk(&mut self, major: u8, len: u64) -> Result<(), WireError> {
        let start = self.at;
        let chunk = self.take(usize::try_from(len).map_err(|_| WireError::Truncated)?)?;
        if major == TEXT && simdutf8::basic::from_utf8(chunk).is_err() {
            return Err(invalid(start, "a string that is not UTF-8"));
        }
        Ok(())
    }

    /// Reads the first byte of a value and its argument: (major type, argument), or none for an indefinite length.
    fn head(&mut self) -> Result<(u8, Option<u64>), WireError> {
        let start = self.at;
        let first = self.peek()?;
        self.at = self.at.saturating_add(1);
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..24 => u64::from(info),
            24..28 => {
                let bytes = self.take(1 << (info & 3))?;
                bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
            }
            31 if !matches!(major, UINT | NEGATIVE | TAG) => return Ok((major, None)),
            _ => return Err(invalid(start, "a reserved length")),
        };
        Ok((major, Some(argument)))
    }

    /// Whether a container has another item: `left` counts down when it was announced, else a break ends it.
    fn another(&mut self, left: &mut Option<u64>) -> Result<bool, WireError> {
        if let Some(left) = left {
            let more = *left > 0;
            *left = left.saturating_sub(1);
            return Ok(more);
        }
        let ends = self.peek()? == BREAK;
        self.at = self.at.saturating_add(usize::from(ends));
        Ok(!ends)
    }

    fn deeper(&self, depth: usize) -> Result<usize, WireError> {
        depth.checked_sub(1).ok_or(WireError::TooDeep { depth_max: self.depth_max })
    }

    fn peek(&self) -> Result<u8, WireError> {
        self.bytes.get(self.at).copied().ok_or(WireError::Truncated)
    }

    fn take(&mut self, len: usize) -> Result<&[u8], WireError> {
        let end = self.at.checked_add(len).ok_or(WireError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(WireError::Truncated)?;
        self.at = end;
        Ok(taken)
    }
}

fn invalid(offset: usize, what: &'static str) -> WireError {
    WireError::Invalid { serializer: "cbor", offset, what }
}

const UINT: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const DICT: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;
const BREAK: u8 = 0xff;
const NULL: u8 = 0xf6;
const UNDEFINED: u8 = 0xf7;
