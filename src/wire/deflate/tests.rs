//! permessage-deflate: what is agreed on, and that messages come back as they went in.

use super::*;
use crate::wire::websocket::{Decoder, FrameError, FrameHead, Incoming, Role, write_compressed_frame};
use proptest::prelude::*;
use std::borrow::Cow;

const WILLING: DeflateConfig = DeflateConfig {
    server_window_bits_max: 15,
    client_window_bits_max: 15,
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    level: 4,
    message_bytes_min: 0,
};

/// Both directions alike, so that one side's compressor fits its own inflater.
fn symmetric(window_bits: u8, takeover: bool) -> DeflateParams {
    let context = Context { window_bits, takeover };
    DeflateParams { outbound: context, inbound: context, level: 6, message_bytes_min: 0 }
}

/// The server's answer to one header, and the two contexts that follow from it.
fn answer(offers: &str, config: &DeflateConfig) -> Option<(String, Context, Context)> {
    negotiate_server([offers], config).map(|(params, answer)| (answer, params.outbound, params.inbound))
}

fn context(window_bits: u8, takeover: bool) -> Context {
    Context { window_bits, takeover }
}

#[test]
fn an_offer_is_met_in_what_it_asks() {
    let cases = [
        ("permessage-deflate", "permessage-deflate", context(15, true), context(15, true)),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate", context(15, true), context(15, true)),
        (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"12\"",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
            context(10, true),
            context(12, true),
        ),
        (
            "permessage-deflate;server_no_context_takeover ;client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            context(15, false),
            context(15, false),
        ),
        (
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=8",
            context(15, true),
            context(8, true),
        ),
        (", x-other; a=\"b\\\"c\", permessage-deflate ,", "", context(0, false), context(0, false)),
        (
            "x-other; a=1, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
            context(9, true),
            context(15, true),
        ),
    ];
    for (offers, expected, outbound, inbound) in cases {
        let expected = (!expected.is_empty()).then(|| (expected.to_owned(), outbound, inbound));
        assert_eq!(answer(offers, &WILLING), expected, "{offers}");
    }
}

/// RFC 7692, 7.1: each parameter that was offered with a value is in the answer, with the same or a smaller one.
#[test]
fn every_offered_value_is_answered_with_the_same_or_a_smaller_one() {
    for bits_max in 9..=15 {
        let config = DeflateConfig { server_window_bits_max: bits_max, client_window_bits_max: bits_max, ..WILLING };
        for (server, client) in (9..=15).flat_map(|server| (8..=15).map(move |client| (server, client))) {
            let values = format!("server_max_window_bits={server}; client_max_window_bits={client}");
            let expected = format!(
                "permessage-deflate; server_max_window_bits={}; client_max_window_bits={}",
                server.min(bits_max),
                client.min(bits_max)
            );
            let (says, outbound, inbound) = answer(&format!("permessage-deflate; {values}"), &config).expect(&values);
            assert_eq!(says, expected, "{values}, at most {bits_max}");
            assert_eq!((outbound.window_bits, inbound.window_bits), (server.min(bits_max), client.min(bits_max)));
        }
    }
    let cases = [
        ("server_max_window_bits=15", "; server_max_window_bits=15"),
        ("client_max_window_bits=15", "; client_max_window_bits=15"),
        ("client_max_window_bits; server_max_window_bits=15", "; server_max_window_bits=15"),
        (
            "server_no_context_takeover; server_max_window_bits=15",
            "; server_no_context_takeover; server_max_window_bits=15",
        ),
    ];
    for (offered, answered) in cases {
        let says = answer(&format!("permessage-deflate; {offered}"), &WILLING).expect(offered).0;
        assert_eq!(says, format!("permessage-deflate{answered}"));
    }
}

#[test]
fn an_offer_with_a_wrong_parameter_is_declined() {
    let parameters = [
        "unknown",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=",
        "server_max_window_bits=\"\"",
        "server_max_window_bits=\"10",
        "client_max_window_bits=1x",
        "client_max_window_bits=-9",
        "server_no_context_takeover; server_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=10",
        "",
        "a b",
    ];
    for parameter in parameters {
        assert_eq!(answer(&format!("permessage-deflate; {parameter}"), &WILLING), None, "{parameter}");
    }
    for offers in ["", " ", ",", "permessage-deflate-2", "x-webkit-deflate-frame", "perme\u{df}age-deflate"] {
        assert_eq!(answer(offers, &WILLING), None, "{offers}");
    }
}

#[test]
fn the_configuration_bounds_what_is_agreed_on() {
    let careful = DeflateConfig {
        server_window_bits_max: 11,
        client_window_bits_max: 10,
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..WILLING
    };
    let agreed = answer("permessage-deflate; client_max_window_bits", &careful);
    let says = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; \
                client_max_window_bits=10";
    assert_eq!(agreed, Some((says.to_owned(), context(11, false), context(10, false))));

    // This client cannot be asked for a smaller window.
    let agreed = answer("permessage-deflate; server_max_window_bits=9", &careful);
    let says = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9";
    assert_eq!(agreed, Some((says.to_owned(), context(9, false), context(15, false))));
}

#[test]
fn offers_may_come_in_several_headers() {
    let headers = ["permessage-deflate; server_max_window_bits=8", "broken =", "permessage-deflate"];
    let (_, answer) = negotiate_server(headers, &WILLING).expect("the last one can be met");
    assert_eq!(answer, "permessage-deflate");
}

#[test]
fn a_client_holds_the_server_to_its_offer() {
    let asking = DeflateConfig { server_window_bits_max: 12, server_no_context_takeover: true, ..WILLING };
    assert_eq!(
        client_offer(&asking),
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits"
    );
    let parameter = |name: &str| Err(NegotiationError::Parameter(name.to_owned()));
    let cases = [
        ("permessage-deflate; server_no_context_takeover", parameter("server_max_window_bits")),
        ("permessage-deflate; server_max_window_bits=13", parameter("server_max_window_bits")),
        ("permessage-deflate; server_max_window_bits=12", parameter("server_no_context_takeover")),
        ("permessage-deflate; server_max_window_bits", parameter("server_max_window_bits")),
        ("permessage-deflate; client_max_window_bits=8", parameter("server_max_window_bits")),
        ("permessage-deflate; mystery", parameter("mystery")),
        ("permessage-deflate, permessage-deflate", parameter("server_max_window_bits")),
        ("x-other", Err(NegotiationError::NotOffered("x-other".to_owned()))),
        ("permessage-deflate;", Err(NegotiationError::Malformed)),
        ("", Ok(None)),
    ];
    for (answer, expected) in cases {
        assert_eq!(negotiate_client([answer], &asking), expected, "{answer}");
    }
    assert_eq!(
        negotiate_client(["permessage-deflate; client_max_window_bits=8"], &WILLING),
        parameter("client_max_window_bits"),
        "zlib has no such window"
    );
    assert_eq!(
        negotiate_client(["permessage-deflate", "permessage-deflate"], &WILLING),
        Err(NegotiationError::NotOffered("permessage-deflate".to_owned()))
    );
}

#[test]
fn both_sides_understand_the_same() {
    for bits in [9, 12, 15] {
        for takeover in [true, false] {
            let client =
                DeflateConfig { client_window_bits_max: bits, client_no_context_takeover: takeover, ..WILLING };
            let server =
                DeflateConfig { server_window_bits_max: bits, server_no_context_takeover: takeover, ..WILLING };
            let offer = client_offer(&client);
            let (at_server, answer) = negotiate_server([&*offer], &server).expect("the offer can be met");
            let at_client = negotiate_client([&*answer], &client).expect("the answer fits").expect("it was accepted");
            assert_eq!((at_server.outbound, at_server.inbound), (at_client.inbound, at_client.outbound));
        }
    }
}

#[test]
fn the_examples_of_the_rfc_are_inflated() {
    let mut inflater = Inflater::new(&symmetric(15, true));
    let examples: [&[u8]; 5] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // The same once more, by reference to the first.
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        // Stored, not compressed.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // Two blocks.
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        // The stream ends here.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
    ];
    for _twice in 0..2 {
        for example in examples {
            assert_eq!(inflater.inflate(example, 5).as_deref(), Ok(&b"Hello"[..]), "{example:x?}");
            assert_eq!(inflater.inflate(&[0x00], 5).as_deref(), Ok(&b""[..]));
        }
    }
    assert_eq!(inflater.inflate(b"", 5).as_deref(), Ok(&b""[..]));
    assert_eq!(
        inflater.inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00], 5),
        Err(InflateError::NotDeflate),
        "refers to nothing"
    );
}

#[test]
fn what_is_not_deflate_is_told() {
    let not_deflate = [&[0x07][..], &[0xff, 0xff], &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x01]];
    for message in not_deflate {
        let mut inflater = Inflater::new(&symmetric(15, true));
        assert_eq!(inflater.inflate(message, 1_000), Err(InflateError::NotDeflate), "{message:x?}");
    }
}

#[test]
fn the_bound_is_exact() {
    let mut compressed = Vec::new();
    assert!(Compressor::new(&symmetric(15, true)).compress(&[b'x'; 1_000], &mut compressed));
    let inflate = |bytes_max| Inflater::new(&symmetric(15, true)).inflate(&compressed, bytes_max);
    assert_eq!(inflate(1_000), Ok(vec![b'x'; 1_000]));
    assert_eq!(inflate(999), Err(InflateError::TooLarge));
    assert_eq!(inflate(0), Err(InflateError::TooLarge));
}

#[test]
fn a_message_that_does_not_shrink_is_sent_as_it_is() {
    let noise: Vec<u8> = (0u32..200).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut out = b"before".to_vec();
    assert!(!Compressor::new(&symmetric(15, false)).compress(&noise, &mut out));
    assert_eq!(out, b"before");

    let small = DeflateParams { message_bytes_min: 64, ..symmetric(15, true) };
    assert!(!Compressor::new(&small).compress(&[0; 63], &mut out));
    assert!(Compressor::new(&small).compress(&[0; 64], &mut out));
}

#[test]
fn frames_carry_compressed_messages_whole_and_in_fragments() {
    let params = symmetric(15, true);
    let mut client = Decoder::new(Role::Client, 1_000, Some(&params));
    let mut whole = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let hello = Incoming::Message { text: true, payload: Cow::Borrowed(b"Hello") };
    assert_eq!(client.decode(&mut whole), Ok((9, Some(hello.clone()))));
    assert_eq!(client.decode(&mut [0x41, 0x03, 0xf2, 0x48, 0xcd]), Ok((5, None)));
    assert_eq!(client.decode(&mut [0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00]), Ok((6, Some(hello))));
    assert_eq!(client.decode(&mut [0xc0, 0x00]), Err(FrameError::ReservedBits), "not on continuations");
}

#[test]
fn faults_in_compressed_messages_have_their_names() {
    let params = symmetric(15, true);
    let decode = |message: &[u8], bytes_max: usize| {
        let mut frame = Vec::new();
        write_compressed_frame(&mut frame, FrameHead::TEXT, message, &mut Compressor::new(&params));
        Decoder::new(Role::Client, bytes_max, Some(&params)).decode(&mut frame).map(|_| ())
    };
    assert_eq!(decode(&[b'x'; 2_000], 2_000), Ok(()));
    let bomb = decode(&[b'x'; 2_000], 1_999).expect_err("one byte too many");
    assert_eq!((bomb, bomb.close_code()), (FrameError::InflateLimit(1_999), 1009));
    assert_eq!(decode(b"\xc3\x28", 2_000), Err(FrameError::InvalidUtf8));

    let mut decoder = Decoder::new(Role::Client, 2_000, Some(&params));
    let garbage = decoder.decode(&mut [0xc2, 0x01, 0x07]).expect_err("block type 3 does not exist");
    assert_eq!((garbage, garbage.close_code()), (FrameError::NotDeflate, 1007));
}

#[test]
fn the_longest_message_passes_however_little_it_shrinks() {
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(300_000)
    .collect();
    for level in 1..=9 {
        for window_bits in 9..=15 {
            let params = DeflateParams { level, ..symmetric(window_bits, true) };
            let mut frame = Vec::new();
            write_compressed_frame(&mut frame, FrameHead::BINARY, &noise, &mut Compressor::new(&params));
            let mut decoder = Decoder::new(Role::Client, noise.len(), Some(&params));
            let decoded = decoder.decode(&mut frame);
            let Ok((_, Some(Incoming::Message { payload, .. }))) = decoded else { panic!("{decoded:?}") };
            assert!(payload == noise, "level {level}, window {window_bits}");
        }
    }
}

proptest! {
    #[test]
    fn messages_come_back_as_they_were(
        window_bits in 9u8..=15,
        takeover: bool,
        level in 1u8..=9,
        message_bytes_min in prop_oneof![Just(0usize), Just(20)],
        messages in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                (any::<u8>(), 0usize..3_000).prop_map(|(byte, len)| vec![byte; len]),
                "[ab]{0,400}".prop_map(String::into_bytes),
            ],
            0..8,
        ),
    ) {
        let params = DeflateParams { level, message_bytes_min, ..symmetric(window_bits, takeover) };
        let mut compressor = Compressor::new(&params);
        let mut stream = Vec::new();
        for message in &messages {
            write_compressed_frame(&mut stream, FrameHead::BINARY, message, &mut compressor);
        }
        let mut decoder = Decoder::new(Role::Client, 3_000, Some(&params));
        let mut at = 0;
        let mut decoded = Vec::new();
        while at < stream.len() {
            let (consumed, incoming) = decoder.decode(&mut stream[at..]).expect("what we send is right");
            at += consumed;
            match incoming {
                Some(Incoming::Message { payload, .. }) => decoded.push(payload.into_owned()),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(decoded, messages);
    }

    #[test]
    fn noise_is_inflated_or_refused_within_the_bound(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        window_bits in 8u8..=15,
        bytes_max in 0usize..2_000,
    ) {
        let mut inflater = Inflater::new(&symmetric(window_bits, true));
        // The second and third may refer to the first.
        for _ in 0..3 {
            let Ok(inflated) = inflater.inflate(&noise, bytes_max) else { break };
            prop_assert!(inflated.len() <= bytes_max);
        }
    }

    #[test]
    fn any_header_is_answered_or_declined(header in "[a-z_=;, \"\\\\]{0,60}", tail in ".{0,10}") {
        let header = format!("permessage-deflate{header}{tail}");
        if let Some((_, answer)) = negotiate_server([&*header], &WILLING) {
            let confirmed = negotiate_client([&*answer], &WILLING);
            prop_assert!(matches!(confirmed, Ok(Some(_)) | Err(NegotiationError::Parameter(_))), "{:?}", confirmed);
        }
    }
}
