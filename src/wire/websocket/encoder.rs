//! Appends WebSocket frames to a buffer. A frame of a server depends on nothing but its payload, so that one can be
//! built once and sent to many.

use super::header::Header;
use super::{OpCode, mask};
use crate::wire::deflate::Compressor;

/// The most that the reason of a close frame may have: 125 bytes less two for the code.
const REASON_BYTES_MAX: usize = 123;

/// Room left for the header before its payload is known: what payloads of 126 to 65,535 bytes need, as most messages
/// have.
const HEADER_BYTES_GUESS: usize = 4;

/// What a frame is, apart from its payload: `FrameHead::BINARY`, `FrameHead::TEXT.compressed()`,
/// `FrameHead::PING.masked(key)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    opcode: OpCode,
    fin: bool,
    compressed: bool,
    mask: Option<[u8; 4]>,
}

impl FrameHead {
    /// A whole text message.
    pub const TEXT: FrameHead = FrameHead::new(OpCode::Text);
    /// A whole binary message.
    pub const BINARY: FrameHead = FrameHead::new(OpCode::Binary);
    pub const PING: FrameHead = FrameHead::new(OpCode::Ping);
    /// The answer to a ping, with the same payload.
    pub const PONG: FrameHead = FrameHead::new(OpCode::Pong);
    /// See [`write_close`].
    const CLOSE: FrameHead = FrameHead::new(OpCode::Close);

    /// A frame that is a message, or the last one of a message if it is a continuation.
    pub const fn new(opcode: OpCode) -> FrameHead {
        FrameHead { opcode, fin: true, compressed: false, mask: None }
    }

    /// More frames of this message follow, as continuations.
    pub const fn unfinished(self) -> FrameHead {
        FrameHead { fin: false, ..self }
    }

    /// The message that begins here has been deflated.
    pub const fn compressed(self) -> FrameHead {
        FrameHead { compressed: true, ..self }
    }

    /// As clients send it. The key is to be a new random one for each frame.
    pub const fn masked(self, key: [u8; 4]) -> FrameHead {
        FrameHead { mask: Some(key), ..self }
    }

    fn header(self, payload_bytes: usize) -> Header {
        let FrameHead { opcode, fin, compressed, mask } = self;
        Header { fin, compressed, opcode, length: payload_bytes as u64, mask }
    }
}

/// Appends a frame with this payload.
pub fn write_frame(out: &mut Vec<u8>, head: FrameHead, payload: &[u8]) {
    let header = head.header(payload.len()).write();
    out.reserve(header.as_slice().len().saturating_add(payload.len()));
    out.extend_from_slice(header.as_slice());
    let start = out.len();
    out.extend_from_slice(payload);
    mask_from(out, start, head.mask);
}

/// Appends a frame with this message, compressed if that makes it smaller.
pub fn write_compressed_frame(out: &mut Vec<u8>, head: FrameHead, message: &[u8], compressor: &mut Compressor) {
    let start = begin_frame(out);
    if compressor.compress(message, out) {
        finish_frame(out, start, head.compressed());
    } else {
        out.truncate(start);
        write_frame(out, head, message);
    }
}

/// Begins a frame whose payload is then written to the end of `out`, so that a message need not be built elsewhere and
/// copied. Returns the mark that [`finish_frame`] wants.
pub fn begin_frame(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start.saturating_add(HEADER_BYTES_GUESS), 0);
    start
}

/// Ends the frame that was begun at `start`: all that was appended to `out` since is its payload.
pub fn finish_frame(out: &mut Vec<u8>, start: usize, head: FrameHead) {
    let payload_start = start.saturating_add(HEADER_BYTES_GUESS);
    mask_from(out, payload_start, head.mask);
    let header = head.header(out.len().saturating_sub(payload_start)).write();
    // Where the guess fits, as it mostly does, this moves nothing.
    out.splice(start..payload_start, header.as_slice().iter().copied());
}

/// Masks what `out` holds from `start` on, if there is a key.
fn mask_from(out: &mut [u8], start: usize, key: Option<[u8; 4]>) {
    if let (Some(payload), Some(key)) = (out.get_mut(start..), key) {
        mask(payload, key);
    }
}

/// Appends a close frame. Without a code it is empty. A reason that is too long is cut at a character.
pub fn write_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str, mask: Option<[u8; 4]>) {
    let head = FrameHead { mask, ..FrameHead::CLOSE };
    let mut payload = Vec::new();
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(cut(reason, REASON_BYTES_MAX).as_bytes());
    }
    write_frame(out, head, &payload);
}

/// The beginning of a text, of at most that many bytes and without cutting a character.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut ends = (0..=text.len().min(bytes_max)).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}
