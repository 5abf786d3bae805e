//! Batched WebSocket subprotocols (`wamp.2.*.batched`): several WAMP messages in one WebSocket message.
//!
//! MessagePack and CBOR put a length of four bytes, big-endian, before each message. JSON puts a separator after each:
//! the specification says 0x1e, deployed peers write 0x18. Neither occurs in JSON text, so both are read, and whoever
//! answers uses the one that came.

use super::{Serializer, TooLarge, WireError};

/// How the messages of one batch are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// A length before each message.
    Length,
    /// This byte after each message.
    Separator(u8),
}

impl Batching {
    /// What a serializer's batches look like, until a peer is seen to do it in another way.
    pub const fn of(serializer: Serializer) -> Batching {
        match serializer {
            Serializer::Cbor | Serializer::MsgPack => Batching::Length,
            Serializer::Json => Batching::Separator(SEPARATOR),
        }
    }

    /// Appends one message to the batch in `out`. An error where its length cannot be said; `out` is as it was then.
    pub fn append(self, out: &mut Vec<u8>, message: &[u8]) -> Result<(), TooLarge> {
        match self {
            Batching::Length => {
                out.extend_from_slice(&length_prefix(message.len())?);
                out.extend_from_slice(message);
            }
            Batching::Separator(separator) => {
                out.extend_from_slice(message);
                out.push(separator);
            }
        }
        Ok(())
    }
}

/// What stands before a message of so many bytes.
fn length_prefix(bytes: usize) -> Result<[u8; LENGTH_BYTES], TooLarge> {
    const BYTES_MAX: usize = u32::MAX as usize;
    TooLarge::check(bytes, BYTES_MAX)?;
    Ok((bytes as u32).to_be_bytes())
}

/// The messages of one batch, in order. An error is the last item.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    serializer: Serializer,
    batching: Batching,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Batch<'a> {
    /// Looks at a whole WebSocket message. A batch of no messages is an error.
    pub fn new(serializer: Serializer, bytes: &'a [u8]) -> Result<Batch<'a>, WireError> {
        if bytes.is_empty() {
            return Err(WireError::Invalid {
                serializer: serializer.name(),
                offset: 0,
                what: "a batch of no messages",
            });
        }
        let batching = match Batching::of(serializer) {
            Batching::Length => Batching::Length,
            Batching::Separator(separator) => {
                let first = memchr::memchr2(separator, SEPARATOR_DEPLOYED, bytes);
                Batching::Separator(first.and_then(|at| bytes.get(at)).copied().unwrap_or(separator))
            }
        };
        Ok(Batch { serializer, batching, bytes, at: 0 })
    }

    /// Goes on with what `rest` of a batch that was put together in this way left.
    pub fn resume(serializer: Serializer, batching: Batching, rest: &'a [u8]) -> Batch<'a> {
        Batch { serializer, batching, bytes: rest, at: 0 }
    }

    /// The bytes of the messages that have not been taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// How this batch is put together, for the answer.
    pub fn batching(&self) -> Batching {
        self.batching
    }

    fn message(&mut self) -> Result<&'a [u8], WireError> {
        let rest = self.rest();
        let message = match self.batching {
            Batching::Length => {
                let (len, rest) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(WireError::Truncated)?;
                let len = u32::from_be_bytes(*len) as usize;
                self.at = self.at.saturating_add(LENGTH_BYTES).saturating_add(len);
                rest.get(..len).ok_or(WireError::Truncated)?
            }
            Batching::Separator(separator) => {
                let len = memchr::memchr(separator, rest).ok_or(WireError::Truncated)?;
                self.at = self.at.saturating_add(len).saturating_add(1);
                rest.get(..len).unwrap_or_default()
            }
        };
        if message.is_empty() {
            let what = "an empty message in a batch";
            return Err(WireError::Invalid { serializer: self.serializer.name(), offset: self.at, what });
        }
        Ok(message)
    }
}

impl<'a> Iterator for Batch<'a> {
    type Item = Result<&'a [u8], WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let message = self.message();
        if message.is_err() {
            self.at = self.bytes.len();
        }
        Some(message)
    }
}

/// The specification's separator, "record separator" in ASCII.
const SEPARATOR: u8 = 0x1e;
/// What peers write that took the specification's decimal 30 for an octal one.
pub const SEPARATOR_DEPLOYED: u8 = 0x18;
const LENGTH_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_four_bytes_cannot_say_is_refused() {
        assert_eq!(length_prefix(0), Ok([0; 4]));
        assert_eq!(length_prefix(u32::MAX as usize), Ok([0xff; 4]));
        let bytes = u32::MAX as usize + 1;
        assert_eq!(length_prefix(bytes), Err(TooLarge { bytes, bytes_max: u32::MAX as usize }));
    }

    fn read(serializer: Serializer, bytes: &[u8]) -> Result<Vec<&[u8]>, WireError> {
        Batch::new(serializer, bytes)?.collect()
    }

    #[test]
    fn what_is_appended_is_read_again() {
        let all = [Batching::Length, Batching::Separator(SEPARATOR), Batching::Separator(SEPARATOR_DEPLOYED)];
        for (batching, serializer) in all.into_iter().zip([Serializer::Cbor, Serializer::Json, Serializer::Json]) {
            let mut bytes = Vec::new();
            for message in ["[1]", "[2,3]"] {
                batching.append(&mut bytes, message.as_bytes()).expect("it is short");
            }
            assert_eq!(read(serializer, &bytes), Ok(vec![&b"[1]"[..], b"[2,3]"]), "{batching:?}");
            assert_eq!(Batch::new(serializer, &bytes).map(|batch| batch.batching()), Ok(batching));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let mut bytes = Vec::new();
        Batching::of(Serializer::MsgPack).append(&mut bytes, &[0x91, 0x01]).expect("it is short");
        assert_eq!(bytes, [0, 0, 0, 2, 0x91, 0x01]);
        bytes.clear();
        Batching::of(Serializer::Json).append(&mut bytes, b"[1]").expect("it is short");
        assert_eq!(bytes, b"[1]\x1e");
    }

    #[test]
    fn malformed_batches_end_with_an_error() {
        for (serializer, bytes) in [
            (Serializer::Cbor, &b""[..]),
            (Serializer::Json, b""),
            (Serializer::Cbor, b"\0\0\0"),
            (Serializer::Cbor, b"\0\0\0\0"),
            (Serializer::Cbor, b"\0\0\0\x01\x80\0"),
            (Serializer::MsgPack, b"\xff\xff\xff\xff\x90"),
            (Serializer::Json, b"[1]"),
            (Serializer::Json, b"\x1e"),
            (Serializer::Json, b"[1]\x1e[2]"),
            (Serializer::Json, b"[1]\x1e[2]\x18"),
        ] {
            assert!(read(serializer, bytes).is_err(), "{serializer:?} {bytes:x?}");
            let items = Batch::new(serializer, bytes).into_iter().flatten();
            assert!(items.skip_while(Result::is_ok).count() <= 1, "an error is the last item");
        }
    }
}
