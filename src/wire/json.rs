//! JSON (RFC 8259): the scan that checks a message and finds its elements, and the few parts of values that the router
//! reads and writes itself. Whole values go through `serde_json`.

use super::serde_value::{Keys, Reading};
use super::writer::written;
use super::{Elements, Kind, Serializer, Value, WireError};
use serde::Serialize;
use serde::de::DeserializeSeed;
use std::borrow::Cow;

/// Finds the elements of `message`, which must be one list, and checks every byte on the way.
pub(super) fn split<'a>(message: &'a [u8], depth_max: usize, found: &mut Elements<'a>) -> Result<(), WireError> {
    if simdutf8::basic::from_utf8(message).is_err() {
        let offset = std::str::from_utf8(message).map_or_else(|error| error.valid_up_to(), |_| 0);
        return Err(invalid(offset, "text that is not UTF-8"));
    }
    let mut scanner = Scanner { bytes: message, at: 0, depth_max };
    if scanner.next()? != b'[' {
        return Err(invalid(scanner.at, "a message must be a list"));
    }
    scanner.step(1);
    let depth = scanner.deeper(depth_max)?;
    let mut first = true;
    while scanner.another(b']', &mut first)? {
        let start = scanner.at;
        scanner.skip(depth)?;
        found.push(message.get(start..scanner.at).unwrap_or_default())?;
    }
    scanner.skip_whitespace();
    if scanner.at < message.len() { Err(invalid(scanner.at, "bytes after the message")) } else { Ok(()) }
}

/// The kind of a value that has passed `split`. Binary is a string here.
pub(super) fn kind(raw: &[u8]) -> Kind {
    match raw.first() {
        Some(b'"') => Kind::String,
        Some(b'[') => Kind::List,
        Some(b'{') => Kind::Dict,
        Some(b'n') => Kind::Null,
        Some(b'-' | b'0'..=b'9') if !raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => Kind::Integer,
        _ => Kind::Other,
    }
}

pub(super) fn uint(raw: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.checked_sub(b'0').filter(|digit| *digit < 10).map(u64::from);
    raw.iter().try_fold(0u64, |sum, byte| sum.checked_mul(10)?.checked_add(digit(byte)?))
}

/// The text of a string that has passed `split`; none for one with escapes, which has to be put together.
pub(super) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let text = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', text).is_some() { None } else { std::str::from_utf8(text).ok().map(Cow::Borrowed) }
}

/// Whether a list or dict that has passed `split` has nothing in it.
pub(super) fn is_empty_container(raw: &[u8]) -> bool {
    match raw {
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.iter().all(u8::is_ascii_whitespace),
        _ => false,
    }
}

pub(super) fn decode(raw: &[u8], keys: Keys) -> Result<Value, WireError> {
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let reading = Reading { serializer: Serializer::Json, keys };
    reading.deserialize(&mut deserializer).map_err(|error| WireError::decode(Serializer::Json, error))
}

pub(super) fn encode(value: &impl Serialize, out: &mut Vec<u8>) {
    written(serde_json::to_writer(out, value));
}

pub(super) fn write_uint(value: u64, out: &mut Vec<u8>) {
    encode(&value, out);
}

pub(super) fn write_string(value: &str, out: &mut Vec<u8>) {
    encode(&value, out);
}

/// Walks over bytes that are UTF-8 and otherwise unchecked.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth_max: usize,
}

impl Scanner<'_> {
    /// Steps over one value with everything in it. `depth` is how many levels it may still open, so the recursion ends.
    fn skip(&mut self, depth: usize) -> Result<(), WireError> {
        match self.next()? {
            b'"' => self.skip_string(),
            b'[' => {
                self.step(1);
                let depth = self.deeper(depth)?;
                let mut first = true;
                while self.another(b']', &mut first)? {
                    self.skip(depth)?;
                }
                Ok(())
            }
            b'{' => {
                self.step(1);
                let depth = self.deeper(depth)?;
                let mut first = true;
                while self.another(b'}', &mut first)? {
                    if self.next()? != b'"' {
                        return Err(invalid(self.at, "a key that is not a string"));
                    }
                    self.skip_string()?;
                    if self.next()? != b':' {
                        return Err(invalid(self.at, "a key without a colon"));
                    }
                    self.step(1);
                    self.skip(depth)?;
                }
                Ok(())
            }
            b'-' | b'0'..=b'9' => self.skip_number(),
            b't' => self.skip_word(b"true"),
            b'f' => self.skip_word(b"false"),
            b'n' => self.skip_word(b"null"),
            _ => Err(invalid(self.at, "no value begins like this")),
        }
    }

    /// Whether a container has another item; steps over the comma before it or the bracket `end` that closes it.
    fn another(&mut self, end: u8, first: &mut bool) -> Result<bool, WireError> {
        let next = self.next()?;
        if next == end {
            self.step(1);
            return Ok(false);
        }
        if std::mem::take(first) {
            return Ok(true);
        }
        if next != b',' {
            return Err(invalid(self.at, "a comma or the closing bracket is missing"));
        }
        self.step(1);
        if self.next()? == end { Err(invalid(self.at, "a comma before the closing bracket")) } else { Ok(true) }
    }

    fn skip_string(&mut self) -> Result<(), WireError> {
        self.step(1);
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\');
            self.step(plain.ok_or(WireError::Truncated)?);
            match self.peek()? {
                b'"' => {
                    self.step(1);
                    return Ok(());
                }
                b'\\' => self.skip_escape()?,
                _ => return Err(invalid(self.at, "a control character in a string")),
            }
        }
    }

    /// An escape; one for half a surrogate pair must be followed by the other half, because no UTF-8 has either alone.
    fn skip_escape(&mut self) -> Result<(), WireError> {
        let start = self.at;
        self.step(1);
        let kind = self.peek()?;
        self.step(1);
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex4()? {
                0xd800..0xdc00 => {
                    let pair = self.peek()? == b'\\' && self.bytes.get(self.at.saturating_add(1)) == Some(&b'u');
                    self.step(2);
                    if pair && (0xdc00..0xe000).contains(&self.hex4()?) {
                        Ok(())
                    } else {
                        Err(invalid(start, "half a surrogate pair"))
                    }
                }
                0xdc00..0xe000 => Err(invalid(start, "half a surrogate pair")),
                _ => Ok(()),
            },
            _ => Err(invalid(start, "an unknown escape")),
        }
    }

    fn hex4(&mut self) -> Result<u32, WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let digits = rest.first_chunk::<4>().ok_or(WireError::Truncated)?;
        let value = digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?));
        let value = value.ok_or_else(|| invalid(self.at, "an escape without four hex digits"))?;
        self.step(4);
        Ok(value)
    }

    fn skip_number(&mut self) -> Result<(), WireError> {
        let start = self.at;
        self.skip_if(|byte| byte == b'-');
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        let digits = self.skip_digits()?;
        if leading_zero && digits > 1 {
            return Err(invalid(start, "a number with a leading zero"));
        }
        if self.skip_if(|byte| byte == b'.') {
            self.skip_digits()?;
        }
        let exponent = self.skip_if(|byte| matches!(byte, b'e' | b'E'));
        if exponent {
            self.skip_if(|byte| matches!(byte, b'+' | b'-'));
            self.skip_digits()?;
        }
        // Nothing could be made of it where it has to become a double.
        if (exponent || digits > FLOAT_DIGITS_MAX) && !self.is_finite(start) {
            return Err(invalid(start, "a number too large for a double"));
        }
        Ok(())
    }

    fn is_finite(&self, start: usize) -> bool {
        let text = self.bytes.get(start..self.at).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.and_then(|text| text.parse().ok()).is_some_and(f64::is_finite)
    }

    fn skip_digits(&mut self) -> Result<usize, WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            return Err(if rest.is_empty() { WireError::Truncated } else { invalid(self.at, "a digit is missing") });
        }
        self.step(digits);
        Ok(digits)
    }

    fn skip_word(&mut self, word: &[u8]) -> Result<(), WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.step(word.len());
            return Ok(());
        }
        Err(if word.starts_with(rest) { WireError::Truncated } else { invalid(self.at, "an unknown word") })
    }

    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| wanted(*byte));
        self.step(usize::from(found));
        found
    }

    fn skip_whitespace(&mut self) {
        while self.skip_if(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {}
    }

    /// The first byte that is not whitespace; the scanner then stands on it.
    fn next(&mut self) -> Result<u8, WireError> {
        self.skip_whitespace();
        self.peek()
    }

    fn deeper(&self, depth: usize) -> Result<usize, WireError> {
        depth.checked_sub(1).ok_or(WireError::TooDeep { depth_max: self.depth_max })
    }

    fn step(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn peek(&self) -> Result<u8, WireError> {
        self.bytes.get(self.at).copied().ok_or(WireError::Truncated)
    }
}

fn invalid(offset: usize, what: &'static str) -> WireError {
    WireError::Invalid { serializer: "json", offset, what }
}

/// A number with at most this many digits before its point and no exponent fits a double (which goes to 10^308).
const FLOAT_DIGITS_MAX: usize = 308;
