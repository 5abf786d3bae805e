//! Bytes to values and back, without any WAMP meaning: the three serializers, batches, and the frames of WebSocket,
//! RawSocket and the PROXY protocol. Everything here works on byte slices; nothing reads or writes a socket.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

pub mod batch;
mod cbor;
pub mod deflate;
pub mod elements;
mod gather;
mod json;
mod msgpack;
pub mod payload;
pub mod proxy;
pub mod rawsocket;
mod serde_value;
pub mod utf8;
pub mod value;
pub mod websocket;
pub mod writer;

pub use elements::{Elements, Kind};
pub use payload::Payload;
pub use value::{Dict, Key, Value, allocated};
pub use writer::Writer;

/// The way in which messages are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Serializer {
    Cbor,
    MsgPack,
    Json,
}

impl Serializer {
    /// Every serializer, in the order in which the router prefers them.
    pub const ALL: [Serializer; 3] = [Serializer::Cbor, Serializer::MsgPack, Serializer::Json];

    /// The name in the configuration and in `wamp.2.<name>`.
    pub const fn name(self) -> &'static str {
        match self {
            Serializer::Cbor => "cbor",
            Serializer::MsgPack => "msgpack",
            Serializer::Json => "json",
        }
    }

    /// The number in the handshake of RawSocket and in the messages of links.
    pub const fn number(self) -> u8 {
        match self {
            Serializer::Json => 1,
            Serializer::MsgPack => 2,
            Serializer::Cbor => 3,
        }
    }

    /// The serializer with this number.
    pub fn from_number(number: u64) -> Option<Serializer> {
        Serializer::ALL.into_iter().find(|serializer| u64::from(serializer.number()) == number)
    }

    /// The serializer with this name.
    pub fn from_name(name: &str) -> Option<Serializer> {
        Serializer::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// Why bytes could not be read as a value. The text names what was wrong and where, and is safe to show to the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("the message ends in the middle of a value")]
    Truncated,
    #[error("invalid {serializer} at byte {offset}: {what}")]
    Invalid { serializer: &'static str, offset: usize, what: &'static str },
    #[error("values are nested deeper than {depth_max}")]
    TooDeep { depth_max: usize },
    #[error("expected {expected}, got {got}")]
    WrongType { expected: &'static str, got: &'static str },
    /// What a serializer crate says about a value; options and details only, payloads are not decoded on arrival.
    #[error("invalid {serializer}: {what}")]
    Undecodable { serializer: &'static str, what: String },
    #[error("the message has {0} elements, more than any WAMP message")]
    TooManyElements(usize),
}

/// Bytes that are more than the length before them can say, or than their receiver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are more than {bytes_max}")]
pub struct TooLarge {
    pub bytes: usize,
    pub bytes_max: usize,
}

impl TooLarge {
    /// Compares a size in bytes with the most that may be.
    pub const fn check(bytes: usize, bytes_max: usize) -> Result<(), TooLarge> {
        if bytes > bytes_max { Err(TooLarge { bytes, bytes_max }) } else { Ok(()) }
    }
}

impl WireError {
    fn decode(serializer: Serializer, error: impl std::fmt::Display) -> WireError {
        WireError::Undecodable { serializer: serializer.name(), what: error.to_string() }
    }
}

#[cfg(test)]
pub(crate) mod tests;
