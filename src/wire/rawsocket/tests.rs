//! RawSocket's handshake and frames: every refusal, and any cut of the stream.

use super::*;
use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::wire::{Serializer, TooLarge};
use proptest::prelude::*;
use std::borrow::Cow;

const BYTES_MAX: usize = 1 << 9;

fn decode_in_pieces(
    decoder: &mut Decoder,
    mut stream: &[u8],
    piece_bytes: &[usize],
) -> Result<Vec<Incoming<'static>>, FrameError> {
    let mut messages = Vec::new();
    let mut sizes = piece_bytes.iter().copied();
    let last = piece_bytes.last().copied().unwrap_or(usize::MAX);
    while !stream.is_empty() {
        let (mut piece, rest) = stream.split_at(sizes.next().unwrap_or(last).clamp(1, stream.len()));
        while !piece.is_empty() {
            let (consumed, incoming) = decoder.decode(piece)?;
            assert!(consumed > 0, "each call makes progress");
            piece = &piece[consumed..];
            messages.extend(incoming.map(owned));
        }
        stream = rest;
    }
    Ok(messages)
}

fn owned(incoming: Incoming<'_>) -> Incoming<'static> {
    match incoming {
        Incoming::Message(payload) => Incoming::Message(Cow::Owned(payload.into_owned())),
        Incoming::Ping(payload) => Incoming::Ping(Cow::Owned(payload.into_owned())),
        Incoming::Pong(payload) => Incoming::Pong(Cow::Owned(payload.into_owned())),
    }
}

fn incoming(kind: FrameKind, payload: &[u8]) -> Incoming<'static> {
    match kind {
        FrameKind::Message => Incoming::Message(Cow::Owned(payload.to_vec())),
        FrameKind::Ping => Incoming::Ping(Cow::Owned(payload.to_vec())),
        FrameKind::Pong => Incoming::Pong(Cow::Owned(payload.to_vec())),
    }
}

#[test]
fn every_length_and_serializer_can_be_asked_for() {
    for (nibble, exponent) in (9..=24).enumerate() {
        for (serializer, number) in [(Serializer::Json, 1), (Serializer::MsgPack, 2), (Serializer::Cbor, 3)] {
            let octets = [0x7f, (nibble as u8) << 4 | number, 0, 0];
            let bytes_max = 1 << exponent;
            assert_eq!(request(serializer, bytes_max), octets);
            assert_eq!(read_request(octets), Ok(Request { serializer, bytes_max }));
            assert_eq!(reply(serializer, bytes_max), octets);
            assert_eq!(read_reply(octets, serializer), Ok(bytes_max));
        }
    }
}

#[test]
fn what_is_announced_is_never_more_than_is_taken() {
    let cases = [(1, 512), (512, 512), (1_023, 512), (1_024, 1_024), (1_000_000, 524_288), (1 << 20, 1 << 20)];
    for (bytes_max, announced) in cases {
        assert_eq!(announced_bytes_max(bytes_max), announced);
    }
    assert_eq!(announced_bytes_max(1 << 24), RAWSOCKET_BYTES_MAX);
    assert_eq!(announced_bytes_max(usize::MAX), RAWSOCKET_BYTES_MAX);
}

#[test]
fn requests_that_cannot_be_served_are_refused_by_their_number() {
    assert_eq!(read_request(*b"GET "), Err(HandshakeError::NotRawSocket(b'G')));
    assert_eq!(read_request([0x7f, 0xf3, 0, 1]), Err(Refusal::ReservedBits.into()));
    assert_eq!(read_request([0x7f, 0xf3, 1, 0]), Err(Refusal::ReservedBits.into()));
    for serializer in [0, 4, 5, 6, 15] {
        assert_eq!(read_request([0x7f, 0xf0 | serializer, 0, 0]), Err(Refusal::SerializerUnsupported.into()));
    }
}

#[test]
fn refusals_are_read_as_they_were_written() {
    let refusals = [
        Refusal::SerializerUnsupported,
        Refusal::LengthUnacceptable,
        Refusal::ReservedBits,
        Refusal::TooManyConnections,
    ];
    for (refusal, number) in refusals.into_iter().zip(1u8..) {
        assert_eq!(refuse(refusal), [0x7f, number << 4, 0, 0]);
        assert_eq!(read_reply(refuse(refusal), Serializer::Cbor), Err(HandshakeError::Refused(refusal)));
    }
    assert_eq!(read_reply([0x7f, 0x00, 0, 0], Serializer::Cbor), Err(HandshakeError::RefusedUnknown(0)));
    assert_eq!(read_reply([0x7f, 0x50, 0, 0], Serializer::Cbor), Err(HandshakeError::RefusedUnknown(5)));
    assert_eq!(read_reply([0x7f, 0xf1, 0, 0], Serializer::Cbor), Err(HandshakeError::SerializerChanged));
    assert_eq!(read_reply([0x7f, 0xf3, 0, 9], Serializer::Cbor), Err(HandshakeError::ReplyReservedBits));
    assert_eq!(read_reply(*b"HTTP", Serializer::Cbor), Err(HandshakeError::NotRawSocket(b'H')));
}

#[test]
fn a_whole_frame_stays_where_it_lies_and_leaves_nothing_behind() {
    let mut decoder = Decoder::new(BYTES_MAX);
    let stream = [0, 0, 0, 2, b'h', b'i', 1, 0, 0, 0];
    let (consumed, message) = decoder.decode(&stream).expect("the frame is valid");
    assert!(matches!(message, Some(Incoming::Message(Cow::Borrowed(b"hi")))));
    assert_eq!(decoder.decode(&stream[consumed..]), Ok((4, Some(Incoming::Ping(Cow::Borrowed(b""))))));
    assert!(!decoder.is_partial());
}

#[test]
fn faults_are_found_at_the_first_byte_that_shows_them() {
    let cases: [(&[u8], FrameError); 6] = [
        (&[0x10], FrameError::ReservedBits),
        (&[0x80], FrameError::ReservedBits),
        (&[0x03], FrameError::ReservedKind(3)),
        (&[0x07], FrameError::ReservedKind(7)),
        (&[0x08, 0, 0, 1], FrameError::ReservedBits),
        (&[0x00, 0, 2, 1], FrameError::TooLarge { bytes: BYTES_MAX + 1, bytes_max: BYTES_MAX }),
    ];
    for (bytes, error) in cases {
        for piece_bytes in 1..=bytes.len() {
            let mut decoder = Decoder::new(BYTES_MAX);
            let (start, last) = bytes.split_at(bytes.len() - 1);
            assert_eq!(decode_in_pieces(&mut decoder, start, &[piece_bytes]), Ok(vec![]), "{error}");
            assert_eq!(decoder.decode(last), Err(error), "{bytes:x?}");
            assert_eq!(decoder.decode(b"more"), Ok((4, None)), "nothing counts after an error");
        }
    }
}

#[test]
fn the_25th_bit_is_the_length_of_the_longest_frame_only() {
    let mut longest = Vec::new();
    let payload = vec![b'x'; RAWSOCKET_BYTES_MAX];
    write_frame(&mut longest, FrameKind::Message, &payload).expect("2^24 bytes can be written");
    assert_eq!(longest[..4], [0x08, 0, 0, 0]);
    let mut decoder = Decoder::new(RAWSOCKET_BYTES_MAX);
    let messages = decode_in_pieces(&mut decoder, &longest, &[3, 100_000]);
    assert!(messages == Ok(vec![incoming(FrameKind::Message, &payload)]));

    let error = FrameError::TooLarge { bytes: RAWSOCKET_BYTES_MAX, bytes_max: BYTES_MAX };
    assert_eq!(Decoder::new(BYTES_MAX).decode(&longest[..4]), Err(error));
    assert_eq!(error.drop_reason(), DropReason::MessageTooLarge);

    let mut second_longest = Vec::new();
    write_frame(&mut second_longest, FrameKind::Message, &payload[1..]).expect("so can fewer");
    assert_eq!(second_longest[..4], [0x00, 0xff, 0xff, 0xff]);
}

#[test]
fn a_frame_that_is_too_long_is_refused_and_leaves_no_trace() {
    let bytes = RAWSOCKET_BYTES_MAX + 1;
    let mut out = b"before".to_vec();
    let refused = write_frame(&mut out, FrameKind::Message, &vec![0; bytes]);
    assert_eq!(refused, Err(TooLarge { bytes, bytes_max: RAWSOCKET_BYTES_MAX }));
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames(
        sent in prop::collection::vec((0u8..3, prop::collection::vec(any::<u8>(), 0..BYTES_MAX)), 0..8),
        cuts in prop::collection::vec(1usize..600, 1..20),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (kind, payload) in &sent {
            let kind = read_kind(*kind).expect("the kinds are 0 to 2");
            write_frame(&mut stream, kind, payload).expect("it is short");
            expected.push(incoming(kind, payload));
        }
        let mut decoder = Decoder::new(BYTES_MAX);
        prop_assert_eq!(decode_in_pieces(&mut decoder, &stream, &cuts), Ok(expected));
        prop_assert!(!decoder.is_partial());
    }

    #[test]
    fn noise_never_panics_and_is_judged_alike_however_it_is_cut(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        first in 0u8..16,
        cuts in prop::collection::vec(1usize..40, 1..10),
    ) {
        let stream = [&[first, 0, 0], &noise[..]].concat();
        let whole = decode_in_pieces(&mut Decoder::new(BYTES_MAX), &stream, &[usize::MAX]);
        prop_assert_eq!(decode_in_pieces(&mut Decoder::new(BYTES_MAX), &stream, &cuts), whole);
    }
}
