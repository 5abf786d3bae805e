//! Text that is not UTF-8.

use crate::harness::client::{Carrier, MASK, Via};
use crate::harness::router::{Router, Setup};
use crate::{Neighbours, join, publish};
use crossbar_cluster::wire::Serializer;
use crossbar_cluster::wire::websocket::{FrameHead, OpCode, write_frame};

/// A lone continuation, an overlong zero, half a surrogate pair, beyond U+10FFFF, a character cut short.
const INVALID: [&[u8]; 6] = [b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff"];

#[test]
fn websocket_text_that_is_not_utf8_ends_the_connection() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let mut n = 0;
    for bytes in INVALID {
        let message = publish(Serializer::Json, 1, &[b"[\"", bytes, b"\"]"].concat());
        for in_fragments in [false, true] {
            let mut offender = join(&router, Via::new(Carrier::WebSocket, Serializer::Json));
            let mut frames = Vec::new();
            if in_fragments {
                let (first, second) = message.split_at(message.len() - 3);
                write_frame(&mut frames, FrameHead::TEXT.unfinished().masked(MASK), first);
                write_frame(&mut frames, FrameHead::new(OpCode::Continuation).masked(MASK), second);
            } else {
                write_frame(&mut frames, FrameHead::TEXT.masked(MASK), &message);
            }
            offender.write(&frames);
            assert_eq!(offender.expect_closed().code, Some(1007), "{bytes:x?}");
            n += 1;
            router.await_drops("invalid_utf8", n);
        }
    }
    neighbours.stop();
}

/// Where the transport does not look at text, the serializer does.
#[test]
fn strings_that_are_not_utf8_are_violations() {
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    for bytes in INVALID {
        let length = bytes.len() as u8;
        let cases = [
            (Carrier::RawSocket, Serializer::Json, [b"[\"", bytes, b"\"]"].concat()),
            (Carrier::WebSocket, Serializer::Cbor, [&[0x81, 0x60 + length], bytes].concat()),
            (Carrier::RawSocket, Serializer::Cbor, [&[0x81, 0x7f, 0x60 + length], bytes, &[0xff]].concat()),
            (Carrier::WebSocket, Serializer::MsgPack, [&[0x91, 0xa0 + length], bytes].concat()),
            (Carrier::RawSocket, Serializer::MsgPack, [&[0x91, 0xd9, length], bytes].concat()),
        ];
        for (carrier, serializer, arguments) in cases {
            let mut offender = join(&router, Via::new(carrier, serializer));
            offender.send_bytes(&publish(serializer, 1, &arguments));
            offender.expect_violation();
        }
    }
    // JSON's escapes can say what UTF-8 cannot.
    for escape in [r"\ud800", r"\udc00\ud800", r"\ud800x"] {
        let mut offender = join(&router, Via::new(Carrier::WebSocket, Serializer::Json));
        offender.send_bytes(&publish(Serializer::Json, 1, format!("[\"{escape}\"]").as_bytes()));
        offender.expect_violation();
    }
    neighbours.stop();
}

/// Any bytes at all, from a seed: whatever they are, they hurt nobody else.
#[test]
fn noise_hurts_nobody() {
    use rand::{RngExt, SeedableRng};
    let router = Router::start(&Setup::default());
    let neighbours = Neighbours::start(&router);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for n in 0..200 {
        let noise: Vec<u8> = (0..rng.random_range(1..300)).map(|_| rng.random()).collect();
        let via = Via::all().nth(n % 9).expect("nine ways to speak");
        let mut offender = join(&router, via);
        match n % 2 {
            // As a message, and as bytes of the transport.
            0 => offender.send_bytes(&noise),
            _ => offender.write(&noise),
        }
    }
    neighbours.stop();
}
