//! What the targets for frames and headers assert: how the bytes are cut does not matter, and limits hold.

use crossbar_cluster::wire::deflate::{Compressor, Context, DeflateParams};
use crossbar_cluster::wire::proxy::{self, ProxyHeader};
use crossbar_cluster::wire::websocket::{FrameHead, OpCode, Role};
use crossbar_cluster::wire::{Serializer, rawsocket, websocket};

const MESSAGE_BYTES_MAX: usize = 4 << 10;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a WebSocket peer sends. The first byte says which side it is on and what was agreed on, the second where to cut.
pub fn websocket(bytes: &[u8]) {
    let [agreed, cut, stream @ ..] = bytes else { return };
    let role = if agreed & 1 == 0 { Role::Server } else { Role::Client };
    let params = agreed & 2 != 0;
    let params = params.then(|| deflate_params(8 + (agreed >> 4) % 8, agreed & 4 != 0));

    let (whole, error) = websocket_messages(role, params.as_ref(), stream, usize::MAX);
    let in_pieces = websocket_messages(role, params.as_ref(), stream, usize::from(*cut) + 1);
    assert_eq!(in_pieces, (whole.clone(), error));

    let mut compressor = params.as_ref().map(|params| {
        Compressor::new(&DeflateParams {
            outbound: Context { window_bits: params.outbound.window_bits.max(9), ..params.outbound },
            ..*params
        })
    });
    let mut sent = Vec::new();
    for incoming in &whole {
        assert_bounded(incoming);
        send_back(incoming, role, compressor.as_mut(), &mut sent);
    }
    let other = if role == Role::Server { Role::Client } else { Role::Server };
    // The other side is allowed the window that we compress with, also where this one was allowed less.
    let params = params.map(|params| deflate_params(params.inbound.window_bits.max(9), params.inbound.takeover));
    assert_eq!(websocket_messages(other, params.as_ref(), &sent, usize::MAX), (whole, None));
}

fn deflate_params(window_bits: u8, takeover: bool) -> DeflateParams {
    let context = Context { window_bits, takeover };
    DeflateParams { outbound: context, inbound: context, level: 1, message_bytes_min: 0 }
}

fn websocket_messages(
    role: Role,
    params: Option<&DeflateParams>,
    stream: &[u8],
    piece_bytes: usize,
) -> (Vec<websocket::Incoming<'static>>, Option<websocket::FrameError>) {
    let mut decoder = websocket::Decoder::new(role, MESSAGE_BYTES_MAX, params);
    let mut messages = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        let mut buffer = piece.to_vec();
        let mut at = 0;
        while at < buffer.len() {
            match decoder.decode(&mut buffer[at..]) {
                Ok((consumed, incoming)) => {
                    assert!(consumed > 0, "each call makes progress");
                    at += consumed;
                    messages.extend(incoming.map(|incoming| match incoming {
                        websocket::Incoming::Message { text, payload } => {
                            websocket::Incoming::Message { text, payload: payload.into_owned().into() }
                        }
                        websocket::Incoming::Ping(payload) => websocket::Incoming::Ping(payload.into_owned().into()),
                        websocket::Incoming::Pong(payload) => websocket::Incoming::Pong(payload.into_owned().into()),
                        websocket::Incoming::Close(close) => websocket::Incoming::Close(close),
                    }));
                }
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn assert_bounded(incoming: &websocket::Incoming<'_>) {
    match incoming {
        websocket::Incoming::Message { text, payload } => {
            assert!(payload.len() <= MESSAGE_BYTES_MAX);
            assert!(!text || std::str::from_utf8(payload).is_ok());
        }
        websocket::Incoming::Ping(payload) | websocket::Incoming::Pong(payload) => assert!(payload.len() <= 125),
        websocket::Incoming::Close(close) => assert!(close.reason.len() <= 123),
    }
}

/// Writes what has arrived at `role`, as that side would send it.
fn send_back(incoming: &websocket::Incoming<'_>, role: Role, compressor: Option<&mut Compressor>, out: &mut Vec<u8>) {
    let mask = (role == Role::Client).then_some(KEY);
    let head = |opcode| match mask {
        Some(key) => FrameHead::new(opcode).masked(key),
        None => FrameHead::new(opcode),
    };
    match incoming {
        websocket::Incoming::Message { text, payload } => {
            let head = head(if *text { OpCode::Text } else { OpCode::Binary });
            match compressor {
                Some(compressor) => websocket::write_compressed_frame(out, head, payload, compressor),
                None => websocket::write_frame(out, head, payload),
            }
        }
        websocket::Incoming::Ping(payload) => websocket::write_frame(out, head(OpCode::Ping), payload),
        websocket::Incoming::Pong(payload) => websocket::write_frame(out, head(OpCode::Pong), payload),
        websocket::Incoming::Close(close) => websocket::write_close(out, close.code, &close.reason, mask),
    }
}

/// What a RawSocket peer sends after the handshake. The first byte says where to cut.
pub fn rawsocket(bytes: &[u8]) {
    if let Some((handshake, _)) = bytes.split_first_chunk::<4>() {
        if let Ok(request) = rawsocket::read_request(*handshake) {
            assert_eq!(rawsocket::request(request.serializer, request.bytes_max), *handshake);
            let reply = rawsocket::reply(request.serializer, request.bytes_max);
            assert_eq!(rawsocket::read_reply(reply, request.serializer), Ok(request.bytes_max));
        }
        let _ = rawsocket::read_reply(*handshake, Serializer::Cbor);
    }
    let Some((cut, stream)) = bytes.split_first() else { return };
    let (whole, error) = rawsocket_frames(stream, usize::MAX);
    assert_eq!(rawsocket_frames(stream, usize::from(*cut) + 1), (whole.clone(), error));

    let mut sent = Vec::new();
    for incoming in &whole {
        let (kind, payload) = match incoming {
            rawsocket::Incoming::Message(payload) => (rawsocket::FrameKind::Message, payload),
            rawsocket::Incoming::Ping(payload) => (rawsocket::FrameKind::Ping, payload),
            rawsocket::Incoming::Pong(payload) => (rawsocket::FrameKind::Pong, payload),
        };
        assert!(payload.len() <= MESSAGE_BYTES_MAX);
        rawsocket::write_frame(&mut sent, kind, payload).expect("what was read can be written");
    }
    assert!(stream.starts_with(&sent), "there is one way to write a frame");
}

fn rawsocket_frames(
    stream: &[u8],
    piece_bytes: usize,
) -> (Vec<rawsocket::Incoming<'static>>, Option<rawsocket::FrameError>) {
    let mut decoder = rawsocket::Decoder::new(MESSAGE_BYTES_MAX);
    let mut frames = Vec::new();
    for mut piece in stream.chunks(piece_bytes) {
        while !piece.is_empty() {
            match decoder.decode(piece) {
                Ok((consumed, incoming)) => {
                    assert!(consumed > 0, "each call makes progress");
                    piece = &piece[consumed..];
                    frames.extend(incoming.map(|incoming| match incoming {
                        rawsocket::Incoming::Message(payload) => {
                            rawsocket::Incoming::Message(payload.into_owned().into())
                        }
                        rawsocket::Incoming::Ping(payload) => rawsocket::Incoming::Ping(payload.into_owned().into()),
                        rawsocket::Incoming::Pong(payload) => rawsocket::Incoming::Pong(payload.into_owned().into()),
                    }));
                }
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// What a proxy says first.
pub fn proxy(bytes: &[u8]) {
    let verdict = proxy::parse(bytes);
    match verdict {
        ProxyHeader::Done { consumed, .. } => assert!(consumed <= bytes.len().min(proxy::HEADER_BYTES_MAX)),
        ProxyHeader::NeedMore => assert!(bytes.len() < proxy::HEADER_BYTES_MAX),
        ProxyHeader::Absent | ProxyHeader::Invalid(_) => {}
    }
    let early = (0..bytes.len().min(300)).map(|end| proxy::parse(&bytes[..end]));
    if let Some(early) = early.into_iter().find(|early| *early != ProxyHeader::NeedMore) {
        assert_eq!(early, verdict);
    }
}

/// The first inputs of each target, by its name.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for agreed in [0x00, 0x01, 0x72, 0x73, 0x76, 0x77, 0x16, 0x06] {
        seeds.push(("websocket", websocket_seed(agreed)));
    }
    let mut frames = vec![7];
    for kind in [rawsocket::FrameKind::Message, rawsocket::FrameKind::Ping, rawsocket::FrameKind::Pong] {
        rawsocket::write_frame(&mut frames, kind, b"payload").expect("it is short");
    }
    seeds.push(("rawsocket", frames));
    seeds.push(("rawsocket", rawsocket::request(Serializer::Cbor, 1 << 20).to_vec()));
    let v2 = b"\r\n\r\n\0\r\nQUIT\n";
    seeds.extend(
        [
            &b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /"[..],
            b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n",
            b"PROXY UNKNOWN\r\n",
            &[&v2[..], b"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"].concat(),
            &[&v2[..], b"\x21\x21\x00\x2b", &[1; 36], b"\x04\0\x04abcd"].concat(),
            &[&v2[..], b"\x20\x00\x00\x00GET /"].concat(),
        ]
        .map(|header| ("proxy", header.to_vec())),
    );
    seeds
}

/// Frames of every kind, as the peer of the side that `agreed` names sends them.
fn websocket_seed(agreed: u8) -> Vec<u8> {
    let mask = (agreed & 1 == 0).then_some(KEY);
    let head = |opcode| match mask {
        Some(key) => FrameHead::new(opcode).masked(key),
        None => FrameHead::new(opcode),
    };
    let mut out = vec![agreed, 5];
    websocket::write_frame(&mut out, head(OpCode::Text).unfinished(), "gr\u{fc}".as_bytes());
    websocket::write_frame(&mut out, head(OpCode::Ping), b"ping");
    websocket::write_frame(&mut out, head(OpCode::Continuation), b"n");
    websocket::write_frame(&mut out, head(OpCode::Binary), &[7; 300]);
    if agreed & 2 != 0 {
        let mut compressor = Compressor::new(&deflate_params(9, agreed & 4 != 0));
        for message in ["Hello, Hello, Hello", "Hello", ""] {
            let head = head(OpCode::Text);
            websocket::write_compressed_frame(&mut out, head, message.as_bytes(), &mut compressor);
        }
    }
    websocket::write_close(&mut out, Some(1000), "done", mask);
    out
}
