//! The two halves of an agreed permessage-deflate. Both come to life with the first message that needs them, and
//! without context takeover they die with it, so that an idle connection does not pay for them.

use super::{Context, DeflateParams, WINDOW_BITS_MIN};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a flush ends with: the sender leaves it out and the receiver puts it back.
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Least room to compress or inflate into; zlib wants more than six bytes to end a flush in one go.
const ROOM_BYTES_MIN: usize = 128;

/// What zlib keeps to compress, beside four times the window; and all that it keeps to inflate, whatever the window.
const COMPRESSOR_BYTES: usize = 242 << 10;
const INFLATER_BYTES: usize = 46 << 10;
const WINDOW_BITS_MAX: u8 = 15;

/// Compresses the messages of one direction.
///
/// With context takeover it keeps 250 KiB (window of 9 bits) to 370 KiB (15 bits) between messages, as zlib needs it.
/// To make that anew for each message, as without takeover, was measured to take five times as long as to compress
/// 128 bytes with it (17 µs to 3.5 µs).
#[derive(Debug)]
pub struct Compressor {
    /// Static after construction.
    context: Context,
    /// Static after construction.
    level: u8,
    /// Static after construction.
    message_bytes_min: usize,
    stream: Option<Box<Compress>>,
}

impl Compressor {
    /// The half of the agreement that we send by.
    pub fn new(params: &DeflateParams) -> Compressor {
        let DeflateParams { outbound, level, message_bytes_min, .. } = *params;
        Compressor { context: outbound, level, message_bytes_min, stream: None }
    }

    /// The memory that is kept between messages.
    pub fn heap_bytes(&self) -> usize {
        let window_bytes = 1_usize << self.context.window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        if self.stream.is_some() { COMPRESSOR_BYTES.saturating_add(window_bytes.saturating_mul(4)) } else { 0 }
    }

    /// Whether messages refer to earlier ones, so that the receiver has to see all of them.
    pub fn refers_back(&self) -> bool {
        self.context.takeover
    }

    /// Appends the compressed form of a message to `out` and returns true. Returns false, and appends nothing, if the
    /// message is to be sent as it is: it is too small, or would be none the smaller.
    pub fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        if message.len() < self.message_bytes_min {
            return false;
        }
        if message.is_empty() {
            // zlib has nothing to flush, so that the empty block is written here.
            out.push(0x00);
            return true;
        }
        let start = out.len();
        let stream = self.stream.get_or_insert_with(|| {
            let level = Compression::new(u32::from(self.level));
            Box::new(Compress::new_with_window_bits(level, false, self.context.window_bits))
        });
        if !flush(stream, message, out) {
            // Never seen of zlib. A new stream refers to nothing, so that the receiver can follow it all the same.
            self.stream = None;
            out.truncate(start);
            return false;
        }
        if self.context.takeover {
            // The receiver has to see it whatever its size: later messages may refer to it.
            return true;
        }
        self.stream = None;
        if out.len().saturating_sub(start) >= message.len() {
            out.truncate(start);
            return false;
        }
        true
    }
}

/// Writes the message and everything that the stream still holds back, less the tail. Returns whether it could.
fn flush(stream: &mut Compress, message: &[u8], out: &mut Vec<u8>) -> bool {
    let before = stream.total_in();
    loop {
        out.reserve((message.len() / 2).saturating_add(ROOM_BYTES_MIN));
        let rest = message.get(stream.total_in().saturating_sub(before) as usize..).unwrap_or_default();
        if stream.compress_vec(rest, out, FlushCompress::Sync).is_err() {
            return false;
        }
        // Room to spare means that nothing waited for room.
        if out.len() < out.capacity() {
            break;
        }
    }
    let has_tail = out.ends_with(&FLUSH_TAIL);
    if has_tail {
        out.truncate(out.len().saturating_sub(FLUSH_TAIL.len()));
    }
    has_tail
}

/// Why a message cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    #[error("the message is longer than allowed when it is inflated")]
    TooLarge,
    #[error("the message is not compressed by DEFLATE, or refers to what never came")]
    NotDeflate,
}

/// Inflates the messages of one direction. With context takeover it keeps 46 KiB between messages.
#[derive(Debug)]
pub struct Inflater {
    /// Static after construction.
    context: Context,
    stream: Option<Box<Decompress>>,
}

impl Inflater {
    /// The half of the agreement that we receive by.
    pub fn new(params: &DeflateParams) -> Inflater {
        Inflater { context: params.inbound, stream: None }
    }

    /// The memory that is kept between messages.
    pub fn heap_bytes(&self) -> usize {
        if self.stream.is_some() { INFLATER_BYTES } else { 0 }
    }

    /// Inflates one whole message to at most `bytes_max`, and takes no more memory than that on the way to finding that
    /// it would be longer. After an error the direction cannot be continued.
    pub fn inflate(&mut self, message: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
        // Some senders write an empty message as nothing at all, where it should be an empty block.
        if message.is_empty() {
            return Ok(Vec::new());
        }
        let stream = self.stream.get_or_insert_with(|| {
            let window_bits = self.context.window_bits.max(WINDOW_BITS_MIN);
            Box::new(Decompress::new_with_window_bits(false, window_bits))
        });
        let mut inflated = Vec::new();
        let ended = match inflate_piece(stream, message, &mut inflated, bytes_max)? {
            None => inflate_piece(stream, &FLUSH_TAIL, &mut inflated, bytes_max)?.is_some(),
            // A sender that cannot flush ends its stream with each message. Then an empty block follows.
            Some([] | [0x00]) => true,
            Some(_) => return Err(InflateError::NotDeflate),
        };
        if ended || !self.context.takeover {
            self.stream = None;
        }
        Ok(inflated)
    }
}

/// Inflates what `piece` holds. Returns what follows the end of the stream, if it ends there.
fn inflate_piece<'p>(
    stream: &mut Decompress,
    mut piece: &'p [u8],
    inflated: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Option<&'p [u8]>, InflateError> {
    loop {
        // One byte more than is allowed, so that a message that fills its bound can be told from one that exceeds it.
        let allowed = bytes_max.saturating_sub(inflated.len()).saturating_add(1);
        let wanted = piece.len().saturating_mul(3).max(inflated.len()).max(ROOM_BYTES_MIN);
        if inflated.len() == inflated.capacity() {
            inflated.reserve_exact(wanted.min(allowed));
        }
        let before = stream.total_in();
        let status = stream.decompress_vec(piece, inflated, FlushDecompress::Sync);
        let status = status.map_err(|_| InflateError::NotDeflate)?;
        piece = piece.get(stream.total_in().saturating_sub(before) as usize..).unwrap_or_default();
        if inflated.len() > bytes_max {
            return Err(InflateError::TooLarge);
        }
        if status == Status::StreamEnd {
            return Ok(Some(piece));
        }
        // Room to spare means that nothing waited for room, and that all input is used.
        if inflated.len() < inflated.capacity() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_takes_no_more_memory_than_its_bound() {
        let bytes_max = 100_000;
        let mut bomb = Vec::new();
        let mut stream = Compress::new(Compression::best(), false);
        assert!(flush(&mut stream, &vec![0; 64 << 20], &mut bomb));
        assert!(bomb.len() < bytes_max, "the bomb itself passes the bound");

        let mut inflated = Vec::new();
        let error = inflate_piece(&mut Decompress::new(false), &bomb, &mut inflated, bytes_max);
        assert_eq!(error, Err(InflateError::TooLarge));
        assert!(inflated.capacity() <= bytes_max + 1, "{}", inflated.capacity());
    }
}
