//! The only room with sockets: listening, the handshakes up to the point where WAMP messages flow, and streams that are
//! read and written without waiting. What the bytes mean is `wire`'s business; what the messages mean is the edge's.

pub mod accept;
pub mod askers;
pub mod connect;
pub mod conversation;
mod frames;
pub mod framing;
pub mod handover;
pub mod http;
pub mod listener;
pub mod node_tls;
pub mod outbox;
pub mod peer;
pub mod plumbing;
pub mod rewind;
pub mod stream;
pub mod tls;

pub use accept::{Accepted, Accepting, Established, HandshakeError};
pub use conversation::Conversation;
pub use framing::{Broken, Encoding, Inbound, Incoming, Outbound, Wrapping};
pub use outbox::{Class, Frame, FrameBytes, Outbox};
pub use peer::Peer;
pub use stream::Stream;
