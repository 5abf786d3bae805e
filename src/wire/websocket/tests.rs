//! The frames of RFC 6455: its examples, every fault, and any cut of the stream.

use super::header::Header;
use super::*;
use proptest::prelude::*;
use std::borrow::Cow;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const BYTES_MAX: usize = 1_000;

/// One frame as a client sends it.
fn client_frame(head: FrameHead, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, head.masked(KEY), payload);
    out
}

fn server() -> Decoder {
    Decoder::new(Role::Server, BYTES_MAX, None)
}

/// Feeds the decoder from buffers of the given sizes, the last size repeated, and collects what comes out.
fn decode_in_pieces(
    decoder: &mut Decoder,
    mut stream: &[u8],
    piece_bytes: &[usize],
) -> Result<Vec<Incoming<'static>>, FrameError> {
    let mut messages = Vec::new();
    let mut sizes = piece_bytes.iter().copied();
    let last = piece_bytes.last().copied().unwrap_or(usize::MAX);
    while !stream.is_empty() {
        let (piece, rest) = stream.split_at(sizes.next().unwrap_or(last).clamp(1, stream.len()));
        let mut buffer = piece.to_vec();
        let mut at = 0;
        while at < buffer.len() {
            let (consumed, incoming) = decoder.decode(&mut buffer[at..])?;
            assert!(consumed > 0, "each call makes progress");
            at += consumed;
            messages.extend(incoming.map(owned));
        }
        stream = rest;
    }
    Ok(messages)
}

fn decode_all(stream: &[u8]) -> Result<Vec<Incoming<'static>>, FrameError> {
    decode_in_pieces(&mut server(), stream, &[usize::MAX])
}

fn owned(incoming: Incoming<'_>) -> Incoming<'static> {
    match incoming {
        Incoming::Message { text, payload } => Incoming::Message { text, payload: Cow::Owned(payload.into_owned()) },
        Incoming::Ping(payload) => Incoming::Ping(Cow::Owned(payload.into_owned())),
        Incoming::Pong(payload) => Incoming::Pong(Cow::Owned(payload.into_owned())),
        Incoming::Close(close) => Incoming::Close(close),
    }
}

fn message(text: bool, payload: &[u8]) -> Incoming<'static> {
    Incoming::Message { text, payload: Cow::Owned(payload.to_vec()) }
}

fn ping(payload: &[u8]) -> Incoming<'static> {
    Incoming::Ping(Cow::Owned(payload.to_vec()))
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    let mut client = Decoder::new(Role::Client, BYTES_MAX, None);
    let examples: [&[u8]; 4] = [
        &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
        &[0x01, 0x03, 0x48, 0x65, 0x6c],
        &[0x80, 0x02, 0x6c, 0x6f],
        &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
    ];
    let incoming = decode_in_pieces(&mut client, &examples.concat(), &[usize::MAX]);
    assert_eq!(incoming, Ok(vec![message(true, b"Hello"), message(true, b"Hello"), ping(b"Hello")]));

    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode_all(&masked), Ok(vec![message(true, b"Hello")]));
    assert_eq!(client_frame(FrameHead::TEXT, b"Hello"), masked);
}

#[test]
fn a_whole_message_stays_where_it_lies_and_leaves_nothing_behind() {
    let mut decoder = server();
    let mut buffer = client_frame(FrameHead::BINARY, b"payload");
    let (consumed, incoming) = decoder.decode(&mut buffer).expect("the frame is valid");
    assert_eq!(consumed, 6 + 7);
    assert!(matches!(incoming, Some(Incoming::Message { text: false, payload: Cow::Borrowed(b"payload") })));
    assert_eq!(decoder.decode(&mut []), Ok((0, None)));
    assert!(!decoder.is_partial());
}

#[test]
fn what_arrives_in_part_is_owed_until_its_last_byte() {
    let mut decoder = server();
    let frame = client_frame(FrameHead::TEXT, b"payload");
    for byte in &frame[..frame.len() - 1] {
        assert_eq!(decoder.decode(&mut [*byte]), Ok((1, None)));
        assert!(decoder.is_partial());
    }
    let last =
        decoder.decode(&mut [frame[frame.len() - 1]]).map(|(consumed, incoming)| (consumed, incoming.map(owned)));
    assert_eq!(last, Ok((1, Some(message(true, b"payload")))));
    assert!(!decoder.is_partial());
}

#[test]
fn control_frames_come_between_the_fragments_of_a_message() {
    let first = client_frame(FrameHead::TEXT.unfinished(), "gr\u{fc}".as_bytes().split_at(3).0);
    let between = client_frame(FrameHead::PING, b"still there?");
    let last = client_frame(FrameHead::new(OpCode::Continuation), "\u{fc}n".as_bytes().split_at(1).1);
    let stream = [first, between, last].concat();
    for piece_bytes in 1..stream.len() {
        assert_eq!(
            decode_in_pieces(&mut server(), &stream, &[piece_bytes]),
            Ok(vec![ping(b"still there?"), message(true, "gr\u{fc}n".as_bytes())])
        );
    }
}

#[test]
fn faults_are_found_at_the_first_byte_that_shows_them() {
    let cases: [(&[u8], FrameError); 16] = [
        (&[0xc1], FrameError::ReservedBits),
        (&[0xa1], FrameError::ReservedBits),
        (&[0x91], FrameError::ReservedBits),
        (&[0x83], FrameError::ReservedOpCode(3)),
        (&[0x8f], FrameError::ReservedOpCode(15)),
        (&[0x09], FrameError::FragmentedControl),
        (&[0x81, 0x05], FrameError::NotMasked),
        (&[0x89, 0xfe], FrameError::ControlTooLong),
        (&[0x82, 0xfe, 0, 125], FrameError::LengthNotMinimal),
        (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], FrameError::LengthNotMinimal),
        (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0], FrameError::LengthOutOfRange),
        (&[0x82, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 1, 2, 3, 4], FrameError::MessageTooLarge(BYTES_MAX)),
        (&[0x80, 0x80, 1, 2, 3, 4], FrameError::NothingToContinue),
        (&[0x01, 0x80, 1, 2, 3, 4, 0x81, 0x80, 1, 2, 3, 4], FrameError::MessageNotFinished),
        (&[0x88, 0x81, 0, 0, 0, 0, 3], FrameError::CloseTruncated),
        (&[0x88, 0x84, 0, 0, 0, 0, 3, 0xe8, 0xc3, 0x28], FrameError::InvalidUtf8),
    ];
    for (bytes, error) in cases {
        for piece_bytes in 1..=bytes.len() {
            let mut decoder = server();
            let (start, last) = bytes.split_at(bytes.len() - 1);
            assert_eq!(decode_in_pieces(&mut decoder, start, &[piece_bytes]), Ok(vec![]), "{error}");
            assert_eq!(decode_in_pieces(&mut decoder, last, &[1]), Err(error), "{bytes:x?}");
        }
    }
    let mut client = Decoder::new(Role::Client, BYTES_MAX, None);
    assert_eq!(client.decode(&mut [0x81, 0x85]), Err(FrameError::Masked));
}

#[test]
fn the_limit_counts_all_fragments_and_is_held_before_the_payload() {
    let fits = client_frame(FrameHead::BINARY, &[7; BYTES_MAX]);
    assert_eq!(decode_all(&fits), Ok(vec![message(false, &[7; BYTES_MAX])]));

    let first = client_frame(FrameHead::BINARY.unfinished(), &[7; BYTES_MAX - 1]);
    let one_too_many = client_frame(FrameHead::new(OpCode::Continuation), &[7; 2]);
    let just_the_header = &one_too_many[..6];
    let error = FrameError::MessageTooLarge(BYTES_MAX);
    assert_eq!(decode_all(&[&first, just_the_header].concat()), Err(error));
    assert_eq!((error.close_code(), error.drop_reason()), (1009, DropReason::MessageTooLarge));
}

#[test]
fn invalid_utf8_fails_inside_an_unfinished_frame() {
    let text = "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}".bytes().chain([0xed, 0xa0, 0x80]).chain(*b"edited");
    let text: Vec<u8> = text.collect();
    let surrogate_end = text.len() - b"edited".len() - 1;
    let frame = client_frame(FrameHead::TEXT, &text);
    let mut decoder = server();
    assert_eq!(decode_in_pieces(&mut decoder, &frame[..6 + surrogate_end - 1], &[3]), Ok(vec![]));
    let error = decode_in_pieces(&mut decoder, &frame[6 + surrogate_end - 1..6 + surrogate_end], &[1]);
    assert_eq!(error, Err(FrameError::InvalidUtf8));
    assert_eq!(FrameError::InvalidUtf8.close_code(), 1007);

    let unfinished_character = client_frame(FrameHead::TEXT, b"\xe2\x82");
    for piece_bytes in [1, 2, 100] {
        let decoded = decode_in_pieces(&mut server(), &unfinished_character, &[piece_bytes]);
        assert_eq!(decoded, Err(FrameError::InvalidUtf8));
    }
}

#[test]
fn close_codes_are_those_that_may_stand_in_a_frame() {
    let judged = |code: u16| {
        let mut frame = Vec::new();
        write_close(&mut frame, Some(code), "why", Some(KEY));
        decode_all(&frame)
    };
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let close = Close { code: Some(code), reason: "why".to_owned() };
        assert_eq!(judged(code), Ok(vec![Incoming::Close(close)]));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
        assert_eq!(judged(code), Err(FrameError::CloseCodeInvalid(code)));
    }
}

#[test]
fn nothing_counts_after_a_close_or_an_error() {
    let mut close = Vec::new();
    write_close(&mut close, None, "a reason needs a code", Some(KEY));
    let after = client_frame(FrameHead::PING, b"");
    let empty = Incoming::Close(Close::default());
    assert_eq!(decode_all(&[close, after].concat()), Ok(vec![empty]));

    let mut decoder = server();
    assert!(decoder.decode(&mut [0xff]).is_err());
    assert_eq!(decoder.decode(&mut [0x81, 0xff, 0xff]), Ok((3, None)));
}

#[test]
fn a_long_close_reason_is_cut_at_a_character() {
    let mut frame = Vec::new();
    write_close(&mut frame, Some(1008), &"\u{20ac}".repeat(50), Some(KEY));
    let cut = Close { code: Some(1008), reason: "\u{20ac}".repeat(41) };
    assert_eq!(decode_all(&frame), Ok(vec![Incoming::Close(cut)]));
}

#[test]
fn a_frame_begun_in_the_buffer_is_the_frame_written_at_once() {
    for payload_bytes in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        for head in [FrameHead::BINARY, FrameHead::TEXT.compressed().unfinished(), FrameHead::BINARY.masked(KEY)] {
            let payload = vec![0x5a; payload_bytes];
            let mut at_once = b"before".to_vec();
            write_frame(&mut at_once, head, &payload);
            let mut begun = b"before".to_vec();
            let start = begin_frame(&mut begun);
            begun.extend_from_slice(&payload);
            finish_frame(&mut begun, start, head);
            assert_eq!(begun, at_once);
        }
    }
}

#[test]
fn masking_twice_is_no_masking_whatever_the_length() {
    for len in 0..70 {
        let original: Vec<u8> = (0..len).collect();
        let mut masked = original.clone();
        mask(&mut masked, KEY);
        let byte_by_byte: Vec<u8> = original.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        assert_eq!(masked, byte_by_byte);
        mask(&mut masked, KEY);
        assert_eq!(masked, original);
    }
}

/// What a peer sends: messages in fragments, with pings among them.
fn sent() -> impl Strategy<Value = Vec<(bool, Vec<String>)>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec(".{0,80}", 1..4)), 0..5)
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_gives_the_same_messages(
        sent in sent(), cuts in prop::collection::vec(1usize..200, 1..20),
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (text, fragments) in &sent {
            for (index, fragment) in fragments.iter().enumerate() {
                let opcode = match (index, text) {
                    (0, true) => OpCode::Text,
                    (0, false) => OpCode::Binary,
                    _ => OpCode::Continuation,
                };
                let mut head = FrameHead::new(opcode).masked(KEY);
                if index + 1 < fragments.len() {
                    head = head.unfinished();
                }
                write_frame(&mut stream, head, fragment.as_bytes());
                if index + 1 < fragments.len() {
                    write_frame(&mut stream, FrameHead::PING.masked(KEY), fragment.get(..1).unwrap_or("").as_bytes());
                    expected.push(ping(fragment.get(..1).unwrap_or("").as_bytes()));
                }
            }
            expected.push(message(*text, fragments.concat().as_bytes()));
        }
        let mut decoder = Decoder::new(Role::Server, 1 << 20, None);
        prop_assert_eq!(decode_in_pieces(&mut decoder, &stream, &cuts), Ok(expected));
        prop_assert!(!decoder.is_partial());
    }

    #[test]
    fn noise_never_panics_and_is_judged_alike_however_it_is_cut(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        first in prop_oneof![Just(0x81u8), Just(0x01), Just(0x82), Just(0x88), Just(0x89), any::<u8>()],
        cuts in prop::collection::vec(1usize..40, 1..10),
    ) {
        let stream = [&[first, 0x80 | noise.len() as u8], &noise[..]].concat();
        let whole = decode_in_pieces(&mut server(), &stream, &[usize::MAX]);
        prop_assert_eq!(decode_in_pieces(&mut server(), &stream, &cuts), whole);
    }

    #[test]
    fn headers_are_read_as_they_were_written(
        fin in any::<bool>(),
        opcode in prop::sample::select(vec![OpCode::Continuation, OpCode::Text, OpCode::Binary]),
        bits in 0u32..63,
        noise in any::<u64>(),
        key in any::<Option<[u8; 4]>>(),
    ) {
        let length = noise & ((1 << bits) - 1);
        let compressed = opcode == OpCode::Text;
        let header = Header { fin, compressed, opcode, length, mask: key };
        let role = if key.is_some() { Role::Server } else { Role::Client };
        let written = header.write();
        let bytes = written.as_slice();
        prop_assert_eq!(Header::read(bytes, role, true), Ok(Some((header, bytes.len()))));
        for short in 0..bytes.len() {
            prop_assert_eq!(Header::read(&bytes[..short], role, true), Ok(None));
        }
    }
}
