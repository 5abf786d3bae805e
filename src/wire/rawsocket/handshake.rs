//! The opening handshake of RawSocket: four octets from the client, four in answer. Lengths are announced as powers of
//! two from 2^9 to 2^24, and each side holds to what the other announced.

use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::wire::Serializer;

/// The first octet of both handshakes. No HTTP request begins with it, so that one port can serve both.
pub const MAGIC: u8 = 0x7f;

/// The least that can be announced is 2^9 bytes; each step of the nibble doubles it.
const BYTES_MAX_EXPONENT_LEAST: u32 = 9;
const NIBBLE_MAX: u32 = 15;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub serializer: Serializer,
    /// The longest message that the client will take.
    pub bytes_max: usize,
}

/// Why a server turns a client away, by the number that it has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    #[error("the serializer is not supported")]
    SerializerUnsupported = 1,
    #[error("the maximum message length is not acceptable")]
    LengthUnacceptable = 2,
    #[error("reserved bits are used")]
    ReservedBits = 3,
    #[error("the maximum number of connections is reached")]
    TooManyConnections = 4,
}

/// Why a handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The connection is dropped without an answer.
    #[error("the peer does not speak RawSocket: its first octet is {0:#04x}")]
    NotRawSocket(u8),
    /// What a server answers by [`refuse`], or a client was answered.
    #[error("RawSocket is refused: {0}")]
    Refused(#[from] Refusal),
    #[error("RawSocket is refused for the unknown reason {0}")]
    RefusedUnknown(u8),
    #[error("the server chose another serializer than it was asked for")]
    SerializerChanged,
    #[error("the server's answer has reserved bits set")]
    ReplyReservedBits,
}

/// What an endpoint with this limit announces, and has to hold its peer to: the next power of two that is not above it.
pub const fn announced_bytes_max(bytes_max: usize) -> usize {
    bytes_max_from_nibble(length_nibble(bytes_max))
}

/// The handshake of a client that takes messages up to `announced_bytes_max(bytes_max)`.
pub const fn request(serializer: Serializer, bytes_max: usize) -> [u8; 4] {
    [MAGIC, length_nibble(bytes_max) << 4 | serializer.number(), 0, 0]
}

/// Reads the handshake of a client. What is answered to it is a [`reply`] or, to `HandshakeError::Refused`, a
/// [`refuse`].
pub fn read_request([magic, nibbles, reserved @ ..]: [u8; 4]) -> Result<Request, HandshakeError> {
    if magic != MAGIC {
        return Err(HandshakeError::NotRawSocket(magic));
    }
    if reserved != [0, 0] {
        return Err(Refusal::ReservedBits.into());
    }
    let serializer = Serializer::from_number(u64::from(nibbles & 0x0f)).ok_or(Refusal::SerializerUnsupported)?;
    Ok(Request { serializer, bytes_max: bytes_max_from_nibble(nibbles >> 4) })
}

/// The answer of a server that takes messages up to `announced_bytes_max(bytes_max)`.
pub const fn reply(serializer: Serializer, bytes_max: usize) -> [u8; 4] {
    request(serializer, bytes_max)
}

/// The answer of a server that closes the connection after it.
pub const fn refuse(refusal: Refusal) -> [u8; 4] {
    [MAGIC, (refusal as u8) << 4, 0, 0]
}

/// Reads a server's answer to a request for `serializer`; returns the longest message that the server takes.
pub fn read_reply([magic, nibbles, reserved @ ..]: [u8; 4], serializer: Serializer) -> Result<usize, HandshakeError> {
    if magic != MAGIC {
        return Err(HandshakeError::NotRawSocket(magic));
    }
    if reserved != [0, 0] {
        return Err(HandshakeError::ReplyReservedBits);
    }
    match nibbles & 0x0f {
        0 => Err(match nibbles >> 4 {
            1 => Refusal::SerializerUnsupported.into(),
            2 => Refusal::LengthUnacceptable.into(),
            3 => Refusal::ReservedBits.into(),
            4 => Refusal::TooManyConnections.into(),
            unknown => HandshakeError::RefusedUnknown(unknown),
        }),
        nibble if nibble == serializer.number() => Ok(bytes_max_from_nibble(nibbles >> 4)),
        _ => Err(HandshakeError::SerializerChanged),
    }
}

const fn length_nibble(bytes_max: usize) -> u8 {
    let exponent = match bytes_max.checked_ilog2() {
        Some(exponent) => exponent,
        None => 0,
    };
    match exponent.saturating_sub(BYTES_MAX_EXPONENT_LEAST) {
        nibble if nibble > NIBBLE_MAX => NIBBLE_MAX as u8,
        nibble => nibble as u8,
    }
}

const fn bytes_max_from_nibble(nibble: u8) -> usize {
    1 << (nibble as u32).saturating_add(BYTES_MAX_EXPONENT_LEAST)
}

const _: () = assert!(bytes_max_from_nibble(NIBBLE_MAX as u8) == RAWSOCKET_BYTES_MAX);
