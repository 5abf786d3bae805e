//! How messages are wrapped on an established transport. The inbound half turns bytes into messages in place; the
//! outbound half wraps encoded messages, and says under which `Encoding` a wrapped message may be shared with other
//! receivers.

use super::outbox::Class;
use crate::drop::DropReason;
use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::wire::batch::{Batching, SEPARATOR_DEPLOYED};
use crate::wire::deflate::{Compressor, DeflateParams};
use crate::wire::rawsocket::FrameKind;
use crate::wire::websocket::FrameHead;
use crate::wire::{Serializer, TooLarge, rawsocket, websocket};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;

/// What a message is put into. Receivers with the same serializer and wrapping get the very same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    WebSocket,
    /// A WebSocket message that holds a batch.
    Batched,
    /// A JSON batch for a client that separates with 0x18, as deployed clients do.
    BatchedLegacy,
    RawSocket,
}

/// One way to write a message: the key under which an encoded message is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub serializer: Serializer,
    pub wrapping: Wrapping,
}

impl Encoding {
    /// How many encodings there are, and so how many slots a cache of them has.
    pub const COUNT: usize = 3 * 4;

    pub fn index(self) -> usize {
        self.serializer as usize * 4 + self.wrapping as usize
    }

    /// Wraps one encoded message into a frame of its own. An error where the wrapping has no word for its length.
    pub fn wrap(self, message: &[u8]) -> Result<Vec<u8>, TooLarge> {
        let mut out = Vec::with_capacity(message.len() + FRAME_OVERHEAD_MAX);
        match self.wrapping {
            Wrapping::RawSocket => rawsocket::write_frame(&mut out, FrameKind::Message, message)?,
            Wrapping::WebSocket => websocket::write_frame(&mut out, self.head(), message),
            Wrapping::Batched | Wrapping::BatchedLegacy => {
                let start = websocket::begin_frame(&mut out);
                self.batch(message, &mut out)?;
                websocket::finish_frame(&mut out, start, self.head());
            }
        }
        Ok(out)
    }

    fn head(self) -> FrameHead {
        if self.serializer == Serializer::Json { FrameHead::TEXT } else { FrameHead::BINARY }
    }

    /// Appends one message as a batch of its own.
    fn batch(self, message: &[u8], out: &mut Vec<u8>) -> Result<(), TooLarge> {
        let batching = match self.wrapping {
            Wrapping::BatchedLegacy => Batching::Separator(SEPARATOR_DEPLOYED),
            _ => Batching::of(self.serializer),
        };
        batching.append(out, message)
    }
}

/// Prefixes of all kinds together: the largest WebSocket header and a batch length.
const FRAME_OVERHEAD_MAX: usize = 16;

/// What arrived, as a slice of the bytes that were read.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// `is_text` where the transport tells text from binary.
    Message {
        bytes: Cow<'a, [u8]>,
        is_text: Option<bool>,
    },
    Ping(Cow<'a, [u8]>),
    Pong,
    /// The peer closes a WebSocket, with the code of its close frame.
    Close {
        code: Option<u16>,
    },
}

/// The peer broke the transport's rules: what to tell it, and the reason to count.
#[derive(Debug)]
pub struct Broken {
    pub reason: DropReason,
    pub message: String,
    /// The close frame for a WebSocket peer; empty for RawSocket, which has none.
    pub farewell: Vec<u8>,
}

/// The inbound half: finds messages in what was read.
#[derive(Debug)]
pub enum Inbound {
    WebSocket(websocket::Decoder),
    RawSocket(rawsocket::Decoder),
}

impl Inbound {
    /// The peer has turned out to be another node, whose messages may be as large as RawSocket has them.
    pub fn widen(&mut self) {
        if let Inbound::RawSocket(decoder) = self {
            decoder.widen(RAWSOCKET_BYTES_MAX);
        }
    }

    /// The memory that a message takes which has come in part.
    pub fn partial_bytes(&self) -> usize {
        match self {
            Inbound::WebSocket(decoder) => decoder.partial_bytes(),
            Inbound::RawSocket(decoder) => decoder.partial_bytes(),
        }
    }

    /// The memory that is kept to inflate the messages to come.
    pub fn inflater_bytes(&self) -> usize {
        match self {
            Inbound::WebSocket(decoder) => decoder.inflater_bytes(),
            Inbound::RawSocket(_) => 0,
        }
    }

    /// Takes bytes from the front of `input`. Returns how many it took and, if they complete something, what.
    pub fn decode<'i>(&mut self, input: &'i mut [u8]) -> Result<(usize, Option<Incoming<'i>>), Broken> {
        match self {
            Inbound::WebSocket(decoder) => {
                let (taken, incoming) = decoder.decode(input)?;
                let incoming = incoming.map(|incoming| match incoming {
                    websocket::Incoming::Message { text, payload } => {
                        Incoming::Message { bytes: payload, is_text: Some(text) }
                    }
                    websocket::Incoming::Ping(payload) => Incoming::Ping(payload),
                    websocket::Incoming::Pong(_) => Incoming::Pong,
                    websocket::Incoming::Close(close) => Incoming::Close { code: close.code },
                });
                Ok((taken, incoming))
            }
            Inbound::RawSocket(decoder) => {
                let (taken, incoming) = decoder.decode(input)?;
                let incoming = incoming.map(|incoming| match incoming {
                    rawsocket::Incoming::Message(payload) => Incoming::Message { bytes: payload, is_text: None },
                    rawsocket::Incoming::Ping(payload) => Incoming::Ping(payload),
                    rawsocket::Incoming::Pong(_) => Incoming::Pong,
                });
                Ok((taken, incoming))
            }
        }
    }
}

impl From<websocket::FrameError> for Broken {
    fn from(error: websocket::FrameError) -> Broken {
        let mut farewell = Vec::new();
        websocket::write_close(&mut farewell, Some(error.close_code()), &error.to_string(), None);
        Broken { reason: error.drop_reason(), message: error.to_string(), farewell }
    }
}

impl From<rawsocket::FrameError> for Broken {
    fn from(error: rawsocket::FrameError) -> Broken {
        Broken { reason: error.drop_reason(), message: error.to_string(), farewell: Vec::new() }
    }
}

/// The outbound half of a connection.
#[derive(Debug)]
pub struct Outbound {
    pub wrapping: Wrapping,
    /// The largest message that the peer accepts.
    pub message_bytes_max: usize,
    /// Present when permessage-deflate was agreed on; then frames cannot be shared.
    compressor: Option<Box<Compressor>>,
    /// Present when we are the client of a WebSocket; then frames cannot be shared either.
    masks: Option<Box<Masks>>,
}

/// Where the masks of a client's frames come from: they must not be predictable by whoever chooses the payload.
#[derive(Debug)]
struct Masks(ChaCha8Rng);

impl Masks {
    fn next(&mut self) -> [u8; 4] {
        self.0.next_u32().to_ne_bytes()
    }
}

impl Outbound {
    /// The memory that is kept to compress the messages to come.
    pub fn compressor_bytes(&self) -> usize {
        self.compressor.as_ref().map_or(0, |compressor| compressor.heap_bytes())
    }

    /// Whether this receiver gets the very frames that others get. Masked and compressed frames are its own, but a
    /// frame that may be dropped is not compressed where later ones would refer to it.
    pub fn shares_frames(&self, class: Class) -> bool {
        match &self.compressor {
            Some(compressor) => class == Class::Expendable && compressor.refers_back(),
            None => self.masks.is_none(),
        }
    }

    /// Wraps one encoded message for this receiver alone. An error where the receiver does not take so much.
    pub fn wrap(&mut self, serializer: Serializer, message: &[u8]) -> Result<Vec<u8>, TooLarge> {
        TooLarge::check(message.len(), self.message_bytes_max)?;
        let encoding = Encoding { serializer, wrapping: self.wrapping };
        if self.masks.is_some() {
            return Ok(frame(self.masked(encoding.head()), message));
        }
        match &mut self.compressor {
            None => encoding.wrap(message),
            Some(compressor) if self.wrapping == Wrapping::WebSocket => {
                Ok(compress(compressor, encoding.head(), message))
            }
            Some(compressor) => {
                let mut batch = Vec::with_capacity(message.len() + FRAME_OVERHEAD_MAX);
                encoding.batch(message, &mut batch)?;
                Ok(compress(compressor, encoding.head(), &batch))
            }
        }
    }

    /// Sends a message back as it came, for an Autobahn testee.
    pub fn echo(&mut self, bytes: &[u8], is_text: bool) -> Vec<u8> {
        let head = if is_text { FrameHead::TEXT } else { FrameHead::BINARY };
        match &mut self.compressor {
            None => frame(head, bytes),
            Some(compressor) => compress(compressor, head, bytes),
        }
    }

    pub fn ping(&mut self, payload: &[u8]) -> Result<Vec<u8>, TooLarge> {
        self.control(FrameHead::PING, FrameKind::Ping, payload)
    }

    /// The answer to a ping. An error where the peer sends more in a ping than it takes itself.
    pub fn pong(&mut self, payload: &[u8]) -> Result<Vec<u8>, TooLarge> {
        self.control(FrameHead::PONG, FrameKind::Pong, payload)
    }

    /// The frame that ends a WebSocket; RawSocket has none and just closes.
    pub fn close(&mut self, code: Option<u16>, reason: &str) -> Option<Vec<u8>> {
        (self.wrapping != Wrapping::RawSocket).then(|| {
            let mut out = Vec::new();
            websocket::write_close(&mut out, code, reason, self.masks.as_mut().map(|masks| masks.next()));
            out
        })
    }

    /// Masks a frame where we are the side that has to.
    fn masked(&mut self, head: FrameHead) -> FrameHead {
        self.masks.as_mut().map_or(head, |masks| head.masked(masks.next()))
    }

    fn control(&mut self, head: FrameHead, kind: FrameKind, payload: &[u8]) -> Result<Vec<u8>, TooLarge> {
        TooLarge::check(payload.len(), self.message_bytes_max)?;
        let mut out = Vec::with_capacity(payload.len() + FRAME_OVERHEAD_MAX);
        match self.wrapping {
            Wrapping::RawSocket => rawsocket::write_frame(&mut out, kind, payload)?,
            _ => websocket::write_frame(&mut out, self.masked(head), payload),
        }
        Ok(out)
    }
}

fn frame(head: FrameHead, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + FRAME_OVERHEAD_MAX);
    websocket::write_frame(&mut out, head, payload);
    out
}

fn compress(compressor: &mut Compressor, head: FrameHead, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() / 2 + FRAME_OVERHEAD_MAX);
    websocket::write_compressed_frame(&mut out, head, payload, compressor);
    out
}

/// Both halves of a fresh WebSocket.
pub fn websocket_framing(
    wrapping: Wrapping,
    message_bytes_max: usize,
    deflate: Option<DeflateParams>,
) -> (Inbound, Outbound) {
    let decoder = websocket::Decoder::new(websocket::Role::Server, message_bytes_max, deflate.as_ref());
    let compressor = deflate.map(|params| Box::new(Compressor::new(&params)));
    (Inbound::WebSocket(decoder), Outbound { wrapping, message_bytes_max: usize::MAX, compressor, masks: None })
}

/// Both halves of a fresh WebSocket that we opened: plain, since links and probes do not compress.
pub fn websocket_client_framing(message_bytes_max: usize) -> (Inbound, Outbound) {
    let decoder = websocket::Decoder::new(websocket::Role::Client, message_bytes_max, None);
    let outbound = Outbound {
        wrapping: Wrapping::WebSocket,
        message_bytes_max: usize::MAX,
        compressor: None,
        masks: Some(Box::new(Masks(rand::make_rng()))),
    };
    (Inbound::WebSocket(decoder), outbound)
}

/// Both halves of a fresh RawSocket: what we receive at most, and what the peer receives at most.
pub fn rawsocket_framing(receive_bytes_max: usize, send_bytes_max: usize) -> (Inbound, Outbound) {
    let decoder = rawsocket::Decoder::new(receive_bytes_max);
    let outbound =
        Outbound { wrapping: Wrapping::RawSocket, message_bytes_max: send_bytes_max, compressor: None, masks: None };
    (Inbound::RawSocket(decoder), outbound)
}
