//! permessage-deflate (RFC 7692): what both sides agree on in the opening handshake, and the two halves that compress
//! and inflate messages by it.

mod negotiation;
mod stream;
#[cfg(test)]
mod tests;

pub use negotiation::{NegotiationError, client_offer, negotiate_client, negotiate_server};
pub use stream::{Compressor, InflateError, Inflater};

/// The windows that DEFLATE has. A sender that is asked for 8 bits must decline: zlib's smallest window has 9.
const WINDOW_BITS_MAX: u8 = 15;
const WINDOW_BITS_MIN: u8 = 9;

/// What we are ready to agree to. It serves both sides; `server_` and `client_` are who compresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// Largest window of what the server sends, 9 to 15 bits.
    pub server_window_bits_max: u8,
    /// Largest window of what the client sends, 9 to 15 bits.
    pub client_window_bits_max: u8,
    /// The server forgets its window after each message.
    pub server_no_context_takeover: bool,
    /// The client forgets its window after each message.
    pub client_no_context_takeover: bool,
    /// zlib's level, 1 to 9.
    pub level: u8,
    /// Messages below this size go out as they are.
    pub message_bytes_min: usize,
}

/// What was agreed on, as one side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// What we compress.
    pub outbound: Context,
    /// What we inflate.
    pub inbound: Context,
    /// zlib's level of what we compress, 1 to 9.
    pub level: u8,
    /// Messages below this size go out as they are.
    pub message_bytes_min: usize,
}

/// What one direction refers back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The window is 2^this bytes; 8 to 15.
    pub window_bits: u8,
    /// Messages refer to earlier messages too, so that both sides have to keep the window.
    pub takeover: bool,
}
