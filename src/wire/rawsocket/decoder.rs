//! Frames to messages, in place.

use super::{FrameError, FrameKind, PREFIX_BYTES, read_kind, read_prefix};
use crate::wire::gather;
use std::borrow::Cow;

/// What has arrived as a whole. Payloads are borrowed where they lay in the input, and owned if they had to be
/// gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'i> {
    Message(Cow<'i, [u8]>),
    /// To be answered by a pong with the same payload.
    Ping(Cow<'i, [u8]>),
    Pong(Cow<'i, [u8]>),
}

/// Turns the bytes that one peer sends into messages. It is used as [`crate::wire::websocket::Decoder`] is: it takes
/// every byte that it is given, and owns memory only while a frame has arrived in part.
#[derive(Debug)]
pub struct Decoder {
    /// The most that a frame may have: what was announced in the handshake, or less until [`Decoder::widen`].
    bytes_max: usize,
    partial: Option<Box<Partial>>,
    /// The peer has been found at fault, and nothing that follows counts.
    ended: bool,
}

/// A frame that has not arrived as a whole.
#[derive(Debug, Default)]
struct Partial {
    /// The first octets of the prefix, and how many there are.
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    frame: Option<Frame>,
}

#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    payload: Vec<u8>,
    /// Bytes of the payload that have not arrived.
    left: usize,
}

impl Decoder {
    /// A decoder that takes frames of up to `bytes_max`, which is to be what [`super::announced_bytes_max`] says.
    pub fn new(bytes_max: usize) -> Decoder {
        Decoder { bytes_max, partial: None, ended: false }
    }

    /// Decodes up to the end of the next frame.
    ///
    /// Returns how many bytes of `input` it has used and what was complete with them. To be called again with what is
    /// left until nothing is; each call uses at least one byte of an input that has any, and bytes that are used need
    /// not be kept. After an error it swallows whatever it is given.
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Option<Incoming<'i>>), FrameError> {
        if self.ended {
            return Ok((input.len(), None));
        }
        let decoded = match self.partial.take() {
            None => self.decode_whole(input),
            Some(partial) => self.decode_rest(input, partial),
        };
        self.ended = decoded.is_err();
        decoded
    }

    /// From now on takes frames of up to `bytes_max`: the peer is one that may send so much.
    pub fn widen(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The memory that a frame takes which has arrived in part.
    pub fn partial_bytes(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.and_then(|partial| partial.frame.as_ref()).map_or(0, |frame| frame.payload.capacity())
    }

    /// Whether a frame has arrived in part: the peer owes the rest.
    pub fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Decodes a frame that begins in `input`, and with luck ends there.
    fn decode_whole<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Option<Incoming<'i>>), FrameError> {
        let Some((prefix, rest)) = input.split_first_chunk::<PREFIX_BYTES>() else {
            return match input {
                [] => Ok((0, None)),
                _ => self.decode_rest(input, Box::default()),
            };
        };
        let (kind, payload_bytes) = self.admit(*prefix)?;
        match rest.split_at_checked(payload_bytes) {
            Some((payload, _)) => {
                Ok((PREFIX_BYTES.saturating_add(payload_bytes), Some(Incoming::new(kind, Cow::Borrowed(payload)))))
            }
            None => self.decode_rest(input, Box::default()),
        }
    }

    /// Continues the frame that has arrived in part.
    fn decode_rest(
        &mut self,
        input: &[u8],
        mut partial: Box<Partial>,
    ) -> Result<(usize, Option<Incoming<'static>>), FrameError> {
        let mut rest = input;
        let mut frame = match partial.frame.take() {
            Some(frame) => frame,
            None => {
                for byte in partial.prefix.iter_mut().skip(partial.prefix_bytes) {
                    let Some((arrived, after)) = rest.split_first() else { break };
                    *byte = *arrived;
                    partial.prefix_bytes = partial.prefix_bytes.saturating_add(1);
                    rest = after;
                }
                if partial.prefix_bytes < PREFIX_BYTES {
                    read_kind(partial.prefix[0])?;
                    self.partial = Some(partial);
                    return Ok((input.len(), None));
                }
                let (kind, left) = self.admit(partial.prefix)?;
                Frame { kind, payload: Vec::new(), left }
            }
        };

        let (piece, rest) = rest.split_at(frame.left.min(rest.len()));
        frame.append(piece);
        if frame.left > 0 {
            partial.frame = Some(frame);
            self.partial = Some(partial);
            return Ok((input.len(), None));
        }
        Ok((input.len().saturating_sub(rest.len()), Some(Incoming::new(frame.kind, Cow::Owned(frame.payload)))))
    }

    /// Checks a prefix before any of the payload is taken.
    fn admit(&self, prefix: [u8; PREFIX_BYTES]) -> Result<(FrameKind, usize), FrameError> {
        let (kind, bytes) = read_prefix(prefix)?;
        if bytes > self.bytes_max {
            return Err(FrameError::TooLarge { bytes, bytes_max: self.bytes_max });
        }
        Ok((kind, bytes))
    }
}

impl<'i> Incoming<'i> {
    fn new(kind: FrameKind, payload: Cow<'i, [u8]>) -> Incoming<'i> {
        match kind {
            FrameKind::Message => Incoming::Message(payload),
            FrameKind::Ping => Incoming::Ping(payload),
            FrameKind::Pong => Incoming::Pong(payload),
        }
    }
}

impl Frame {
    /// Adds a piece of the payload.
    fn append(&mut self, piece: &[u8]) {
        self.left = self.left.saturating_sub(piece.len());
        gather::append(&mut self.payload, piece, self.left);
    }
}
