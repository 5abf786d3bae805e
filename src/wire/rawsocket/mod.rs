//! WAMP over a plain stream (RawSocket): the handshake of four octets, and frames with a prefix of four octets.

mod decoder;
mod handshake;
#[cfg(test)]
mod tests;

use crate::drop::DropReason;
use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::wire::TooLarge;

pub use decoder::{Decoder, Incoming};
pub use handshake::{
    HandshakeError, MAGIC, Refusal, Request, announced_bytes_max, read_reply, read_request, refuse, reply, request,
};

/// What a frame is, by the number that it has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    Message = 0,
    Ping = 1,
    /// The answer to a ping, with the same payload.
    Pong = 2,
}

/// What the peer did wrong. RawSocket has no way to tell it: the connection is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("reserved bits of a frame are set")]
    ReservedBits,
    #[error("frame type {0} is reserved")]
    ReservedKind(u8),
    #[error("a frame of {bytes} bytes is longer than the {bytes_max} bytes agreed on")]
    TooLarge { bytes: usize, bytes_max: usize },
}

impl FrameError {
    /// The name that this loss of a connection has in metrics and logs.
    pub const fn drop_reason(self) -> DropReason {
        match self {
            FrameError::TooLarge { .. } => DropReason::MessageTooLarge,
            FrameError::ReservedBits | FrameError::ReservedKind(_) => DropReason::TransportViolation,
        }
    }
}

const PREFIX_BYTES: usize = 4;

/// The prefix is `RRRR X TTT` and 24 bits of length. X is the 25th bit of the length, for frames of exactly 2^24 bytes.
const RESERVED_BITS: u8 = 0xf0;
const LENGTH_BIT_25: u8 = 0x08;
const KIND_BITS: u8 = 0x07;

/// Appends a frame with this payload. An error where it has more than 2^24 bytes; `out` is as it was then.
/// [`announced_bytes_max`] tells how much the peer takes.
pub fn write_frame(out: &mut Vec<u8>, kind: FrameKind, payload: &[u8]) -> Result<(), TooLarge> {
    out.extend_from_slice(&prefix(kind, payload.len())?);
    out.extend_from_slice(payload);
    Ok(())
}

/// The prefix of a frame. Lengths beyond 2^24 cannot be written.
fn prefix(kind: FrameKind, payload_bytes: usize) -> Result<[u8; PREFIX_BYTES], TooLarge> {
    TooLarge::check(payload_bytes, RAWSOCKET_BYTES_MAX)?;
    let [bit_25, high, middle, low] = (payload_bytes as u32).to_be_bytes();
    Ok([kind as u8 | if bit_25 != 0 { LENGTH_BIT_25 } else { 0 }, high, middle, low])
}

/// Reads a prefix: what the frame is and how many bytes of payload it has.
fn read_prefix([bits, high, middle, low]: [u8; PREFIX_BYTES]) -> Result<(FrameKind, usize), FrameError> {
    let kind = read_kind(bits)?;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    match (bits & LENGTH_BIT_25 != 0, length) {
        (false, length) => Ok((kind, length)),
        (true, 0) => Ok((kind, RAWSOCKET_BYTES_MAX)),
        (true, _) => Err(FrameError::ReservedBits),
    }
}

/// Reads the first octet of a prefix, which may be all of it that has arrived.
fn read_kind(bits: u8) -> Result<FrameKind, FrameError> {
    if bits & RESERVED_BITS != 0 {
        return Err(FrameError::ReservedBits);
    }
    match bits & KIND_BITS {
        0 => Ok(FrameKind::Message),
        1 => Ok(FrameKind::Ping),
        2 => Ok(FrameKind::Pong),
        kind => Err(FrameError::ReservedKind(kind)),
    }
}
