//! Messages to bytes and back, from one table: which elements follow each code, and of which type they are.

use super::Message;
use crate::wire::Serializer;

/// Why bytes are not a WAMP message. Always the peer's fault: it is told the sentence in an ABORT and loses its session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(pub String);

/// Reads one message, with types, ids and known options checked.
pub fn decode(serializer: Serializer, bytes: &[u8], depth_max: usize) -> Result<Message, ProtocolError> {
    todo!()
}

/// Appends one message to `out`. Payloads of another serializer are transcoded.
pub fn encode(message: &Message, serializer: Serializer, out: &mut Vec<u8>) {
    todo!()
}
