//! Frames to messages, in place. See the room's own text for how it is used.

use super::close::Close;
use super::header::{HEADER_BYTES_MAX, Header};
use super::{FrameError, OpCode, Role, mask};
use crate::wire::deflate::{DeflateParams, InflateError, Inflater};
use crate::wire::gather;
use crate::wire::utf8::{self, Utf8Checker};
use std::borrow::Cow;

/// What has arrived as a whole. Payloads are borrowed where they lay in the input, and owned if they had to be
/// gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'i> {
    /// A message; if it is text, its payload is valid UTF-8.
    Message {
        text: bool,
        payload: Cow<'i, [u8]>,
    },
    /// To be answered by a pong with the same payload, at most 125 bytes.
    Ping(Cow<'i, [u8]>),
    Pong(Cow<'i, [u8]>),
    /// The last thing that a peer says. To be answered by a close frame with the same code (1000 where it names none),
    /// unless it answers ours.
    Close(Close),
}

/// Turns the bytes that one peer sends into messages. While it waits for a frame to begin it owns no memory.
#[derive(Debug)]
pub struct Decoder {
    /// Static after construction: the most that a message may have after reassembly and inflation.
    message_bytes_max: usize,
    /// Present if permessage-deflate was agreed on; it keeps the window where there is context takeover.
    inflater: Option<Inflater>,
    /// What has arrived in part.
    partial: Option<Box<Partial>>,
    /// Static after construction.
    role: Role,
    /// The peer has closed or has been found at fault, and nothing that follows counts.
    ended: bool,
}

/// What a frame or message that has not arrived as a whole needs to be continued.
#[derive(Debug, Default)]
struct Partial {
    /// The first bytes of a header, and how many there are.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// What has arrived of a control frame's payload.
    control: Vec<u8>,
    /// The message that the frames belong to; control frames may come in between.
    message: Option<Message>,
}

/// A frame whose header has been accepted.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    /// It belongs to a compressed message.
    compressed: bool,
    /// The mask as it stands at the next byte of the payload.
    mask: Option<[u8; 4]>,
    /// Bytes of the payload that have not arrived.
    left: usize,
}

/// A message that arrives in parts.
#[derive(Debug)]
struct Message {
    text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    utf8: Utf8Checker,
}

impl Decoder {
    /// A decoder for what arrives at the given side of a connection, compressed if that was agreed on.
    pub fn new(role: Role, message_bytes_max: usize, deflate: Option<&DeflateParams>) -> Decoder {
        Decoder { message_bytes_max, inflater: deflate.map(Inflater::new), partial: None, role, ended: false }
    }

    /// Decodes up to the next message or control frame.
    ///
    /// Returns how many bytes of `input` it has used and what was complete with them. To be called again with what is
    /// left until nothing is; each call uses at least one byte of an input that has any, and bytes that are used need
    /// not be kept. The payloads in `input` are unmasked in place.
    ///
    /// After an error or a [`Incoming::Close`] it swallows whatever it is given.
    pub fn decode<'i>(&mut self, input: &'i mut [u8]) -> Result<(usize, Option<Incoming<'i>>), FrameError> {
        if self.ended || input.is_empty() {
            return Ok((input.len(), None));
        }
        let mut partial = self.partial.take();
        let decoded = self.decode_frame(input, &mut partial);
        match decoded {
            Ok((_, Some(Incoming::Close(_)))) | Err(_) => self.ended = true,
            Ok(_) => self.partial = partial.filter(|partial| !partial.is_empty()),
        }
        decoded
    }

    /// The memory that a message takes which has arrived in part.
    pub fn partial_bytes(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.and_then(|partial| partial.message.as_ref()).map_or(0, |message| message.bytes.capacity())
    }

    /// The memory that is kept to inflate the messages to come.
    pub fn inflater_bytes(&self) -> usize {
        self.inflater.as_ref().map_or(0, Inflater::heap_bytes)
    }

    /// Whether a frame or a message has arrived in part: the peer owes the rest.
    pub fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Takes one frame, or as much of it as there is.
    fn decode_frame<'i>(
        &mut self,
        input: &'i mut [u8],
        partial: &mut Option<Box<Partial>>,
    ) -> Result<(usize, Option<Incoming<'i>>), FrameError> {
        let input_bytes = input.len();
        let (mut frame, begins, payload) = match partial.as_mut().and_then(|partial| partial.frame.take()) {
            Some(frame) => (frame, false, input),
            None => {
                let Some((header, header_bytes)) = self.read_header(input, partial)? else {
                    return Ok((input_bytes, None));
                };
                let message = partial.as_ref().and_then(|partial| partial.message.as_ref());
                let frame = self.admit(header, message)?;
                (frame, true, input.get_mut(header_bytes..).unwrap_or_default())
            }
        };
        let header_bytes = input_bytes.saturating_sub(payload.len());
        let piece_bytes = frame.left.min(payload.len());
        let (piece, _) = payload.split_at_mut(piece_bytes);
        frame.unmask(piece);
        let consumed = header_bytes.saturating_add(piece_bytes);

        if begins && frame.left == 0 {
            return Ok((consumed, self.take_whole(frame, piece, partial)?));
        }
        Ok((consumed, self.take_piece(frame, piece, partial.get_or_insert_default())?))
    }

    /// Reads a header that begins in `input` or has begun in an earlier one; returns it and how many bytes of `input`
    /// it has. `None` means that all of `input` was the beginning of a header, and has been kept.
    fn read_header(
        &self,
        input: &[u8],
        partial: &mut Option<Box<Partial>>,
    ) -> Result<Option<(Header, usize)>, FrameError> {
        let kept = partial.as_ref().map_or(0, |partial| partial.header_bytes);
        if kept == 0 {
            let header = Header::read(input, self.role, self.inflater.is_some())?;
            if header.is_some() {
                return Ok(header);
            }
        }
        let partial = partial.get_or_insert_default();
        for (byte, arrived) in partial.header.iter_mut().skip(kept).zip(input) {
            *byte = *arrived;
            partial.header_bytes = partial.header_bytes.saturating_add(1);
        }
        let bytes = partial.header.get(..partial.header_bytes).unwrap_or_default();
        let Some((header, header_bytes)) = Header::read(bytes, self.role, self.inflater.is_some())? else {
            return Ok(None);
        };
        partial.header_bytes = 0;
        Ok(Some((header, header_bytes.saturating_sub(kept))))
    }

    /// Checks a header against the message that is open and against the limit, before any of its payload is taken.
    fn admit(&self, header: Header, message: Option<&Message>) -> Result<Frame, FrameError> {
        match (header.opcode, message) {
            (OpCode::Continuation, None) => return Err(FrameError::NothingToContinue),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(FrameError::MessageNotFinished),
            _ => {}
        }
        let compressed = message.map_or(header.compressed, |message| message.compressed);
        let bytes_max = match compressed {
            true => deflate_bytes_max(self.message_bytes_max),
            false => self.message_bytes_max,
        };
        let bytes_max = bytes_max.saturating_sub(message.map_or(0, |message| message.bytes.len()));
        let left = match usize::try_from(header.length) {
            Ok(length) if length <= bytes_max || header.opcode.is_control() => length,
            _ => return Err(FrameError::MessageTooLarge(self.message_bytes_max)),
        };
        let Header { fin, opcode, mask, .. } = header;
        Ok(Frame { opcode, fin, compressed, mask, left })
    }

    /// Takes a frame that lies in the input as a whole: what is complete with it stays there.
    fn take_whole<'i>(
        &mut self,
        frame: Frame,
        payload: &'i [u8],
        partial: &mut Option<Box<Partial>>,
    ) -> Result<Option<Incoming<'i>>, FrameError> {
        match frame.opcode {
            OpCode::Text | OpCode::Binary if frame.fin => {
                let text = frame.opcode == OpCode::Text;
                if frame.compressed {
                    return self.inflate(text, payload).map(Some);
                }
                if text {
                    utf8::check(payload)?;
                }
                Ok(Some(Incoming::Message { text, payload: Cow::Borrowed(payload) }))
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                self.take_piece(frame, payload, partial.get_or_insert_default())
            }
            OpCode::Close | OpCode::Ping | OpCode::Pong => control(frame.opcode, Cow::Borrowed(payload)).map(Some),
        }
    }

    /// Takes a piece of a frame, or a frame of a fragmented message.
    fn take_piece(
        &mut self,
        frame: Frame,
        piece: &[u8],
        partial: &mut Partial,
    ) -> Result<Option<Incoming<'static>>, FrameError> {
        if frame.opcode.is_control() {
            partial.control.extend_from_slice(piece);
        } else {
            partial.message.get_or_insert_with(|| Message::begin(frame)).append(piece, frame.left)?;
        }
        if frame.left > 0 {
            partial.frame = Some(frame);
            return Ok(None);
        }
        if frame.opcode.is_control() {
            return control(frame.opcode, Cow::Owned(std::mem::take(&mut partial.control))).map(Some);
        }
        match partial.message.take_if(|_| frame.fin) {
            Some(message) if message.compressed => self.inflate(message.text, &message.bytes).map(Some),
            Some(message) => message.finish().map(Some),
            None => Ok(None),
        }
    }

    fn inflate(&mut self, text: bool, compressed: &[u8]) -> Result<Incoming<'static>, FrameError> {
        let inflater = self.inflater.as_mut().ok_or(FrameError::ReservedBits)?;
        let payload = inflater.inflate(compressed, self.message_bytes_max).map_err(|error| match error {
            InflateError::TooLarge => FrameError::InflateLimit(self.message_bytes_max),
            InflateError::NotDeflate => FrameError::NotDeflate,
        })?;
        if text {
            utf8::check(&payload)?;
        }
        Ok(Incoming::Message { text, payload: Cow::Owned(payload) })
    }
}

impl Partial {
    fn is_empty(&self) -> bool {
        self.header_bytes == 0 && self.frame.is_none() && self.message.is_none()
    }
}

impl Frame {
    /// Unmasks the next piece of the payload, which has arrived.
    fn unmask(&mut self, piece: &mut [u8]) {
        self.left = self.left.saturating_sub(piece.len());
        if let Some(key) = &mut self.mask {
            mask(piece, *key);
            key.rotate_left(piece.len() % 4);
        }
    }
}

impl Message {
    fn begin(frame: Frame) -> Message {
        let text = frame.opcode == OpCode::Text;
        Message { text, compressed: frame.compressed, bytes: Vec::new(), utf8: Utf8Checker::default() }
    }

    /// Adds a piece; `left` more bytes of its frame are announced.
    fn append(&mut self, piece: &[u8], left: usize) -> Result<(), FrameError> {
        // Compressed messages are gathered as they come: inflated, they could hold memory that the peer never sent.
        if self.text && !self.compressed {
            self.utf8.check(piece)?;
        }
        gather::append(&mut self.bytes, piece, left);
        Ok(())
    }

    fn finish(mut self) -> Result<Incoming<'static>, FrameError> {
        if self.text {
            self.utf8.finish()?;
        }
        Ok(Incoming::Message { text: self.text, payload: Cow::Owned(self.bytes) })
    }
}

fn control(opcode: OpCode, payload: Cow<'_, [u8]>) -> Result<Incoming<'_>, FrameError> {
    match opcode {
        OpCode::Close => Close::read(&payload).map(Incoming::Close),
        OpCode::Ping => Ok(Incoming::Ping(payload)),
        _ => Ok(Incoming::Pong(payload)),
    }
}

/// How long a message within the limit can become by being compressed. A sender in a hurry takes the fixed code of
/// DEFLATE, which has nine bits for half of the bytes; the rest is for the headers of blocks and the flush.
const fn deflate_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(message_bytes_max / 8).saturating_add(message_bytes_max / 64).saturating_add(64)
}

const _: () = assert!(size_of::<Decoder>() <= 64, "an idle connection pays for this");
