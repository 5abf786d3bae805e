//! WebSocket frames (RFC 6455) as the established connection needs them: a decoder that works in place on whatever a
//! read has brought, and functions that append frames to a buffer. Both sides of a connection are served, see [`Role`].
//!
//! How a connection reads:
//!
//! ```text
//! read into the shared buffer ─► while bytes are left: decoder.decode(&mut buffer[at..]) ─► (consumed,
//! Option<Incoming>)
//! ```
//!
//! The decoder takes every byte that it is given, so that nothing is ever left in the buffer for the next read. A
//! message that lies in it as one whole, uncompressed frame is handed out where it lies; only what arrives in parts or
//! compressed is gathered in memory of the decoder's own, and that is handed over to the caller with the message.
//!
//! The opening handshake is HTTP and is not here; see [`crate::wire::deflate`] for the extension that it negotiates.

mod close;
mod decoder;
mod encoder;
mod header;
#[cfg(test)]
mod tests;

use crate::drop::DropReason;

pub use close::{Close, CloseCode};
pub use decoder::{Decoder, Incoming};
pub use encoder::{FrameHead, begin_frame, finish_frame, write_close, write_compressed_frame, write_frame};

/// The side of the connection that we are. Clients mask their frames and servers do not, and each insists on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// What a frame is, by the number that it has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl OpCode {
    const fn from_bits(bits: u8) -> Option<OpCode> {
        Some(match bits {
            0x0 => OpCode::Continuation,
            0x1 => OpCode::Text,
            0x2 => OpCode::Binary,
            0x8 => OpCode::Close,
            0x9 => OpCode::Ping,
            0xa => OpCode::Pong,
            _ => return None,
        })
    }

    const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// What the peer did wrong. The connection is to be failed: send a close frame with [`FrameError::close_code`] and this
/// error as the reason, then drop the connection after `close_timeout` at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("reserved bits are set without an extension that uses them")]
    ReservedBits,
    #[error("opcode {0:#x} is reserved")]
    ReservedOpCode(u8),
    #[error("a frame from a client is not masked")]
    NotMasked,
    #[error("a frame from a server is masked")]
    Masked,
    #[error("a control frame is fragmented")]
    FragmentedControl,
    #[error("a control frame has more than 125 bytes")]
    ControlTooLong,
    #[error("the length of a frame is not written in the shortest way")]
    LengthNotMinimal,
    #[error("the length of a frame has its highest bit set")]
    LengthOutOfRange,
    #[error("a continuation frame without a message to continue")]
    NothingToContinue,
    #[error("a new message begins inside a fragmented one")]
    MessageNotFinished,
    #[error("a close frame has one byte of payload")]
    CloseTruncated,
    #[error("close code {0} must not be sent")]
    CloseCodeInvalid(u16),
    #[error("the message has more than {0} bytes")]
    MessageTooLarge(usize),
    #[error("the message has more than {0} bytes when it is inflated")]
    InflateLimit(usize),
    #[error("the compressed message cannot be inflated")]
    NotDeflate,
    #[error("the text is not valid UTF-8")]
    InvalidUtf8,
}

impl FrameError {
    /// The code of the close frame that answers this error.
    pub const fn close_code(self) -> u16 {
        match self {
            FrameError::MessageTooLarge(_) | FrameError::InflateLimit(_) => CloseCode::TOO_BIG,
            FrameError::InvalidUtf8 | FrameError::NotDeflate => CloseCode::INVALID_PAYLOAD,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// The name that this loss of a connection has in metrics and logs.
    pub const fn drop_reason(self) -> DropReason {
        match self {
            FrameError::MessageTooLarge(_) => DropReason::MessageTooLarge,
            FrameError::InflateLimit(_) => DropReason::InflateLimit,
            FrameError::InvalidUtf8 => DropReason::InvalidUtf8,
            _ => DropReason::TransportViolation,
        }
    }
}

impl From<super::utf8::InvalidUtf8> for FrameError {
    fn from(_: super::utf8::InvalidUtf8) -> FrameError {
        FrameError::InvalidUtf8
    }
}

/// Masks or unmasks the payload of a frame in place; both are the same operation.
///
/// Whole words first: the compiler makes vector instructions of that loop.
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let word_key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ word_key).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
