//! The official test vectors, run on the codec: every serialization sample in every serializer and between them, and
//! every sample that checks the types of options and details.
//!
//! The vectors are looked for in `WAMP_TESTSUITE`, or in `shared/wamp-testsuite` beside or above the package. Where
//! they are absent the tests say so and check nothing.

use crossbar_cluster::limits::Limits;
use crossbar_cluster::wamp::Message;
use crossbar_cluster::wamp::codec::{self, ProtocolError};
use crossbar_cluster::wire::{Dict, Payload, Serializer};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

#[test]
fn every_serialization_sample_reads_and_is_written_as_listed() {
    let Some(samples) = samples("serializers") else { return };
    assert_eq!(samples.len(), 35, "the vectors have as many serialization samples as when this was written");
    for Sample { name, sample } in &samples {
        for from in Serializer::ALL {
            let variants = variants(sample, from);
            assert!(!variants.is_empty(), "{name}: no {from:?} variant");
            for bytes in &variants {
                let message = decode(from, bytes).unwrap_or_else(|error| panic!("{name} {from:?}: {error}"));
                assert_attributes(name, &message, &sample["expected_attributes"]);
                assert_rewritten(name, &message, sample);
            }
        }
    }
}

#[test]
fn every_validation_sample_is_accepted_or_refused_as_listed() {
    let Some(samples) = samples("wmsg") else { return };
    assert_eq!(samples.len(), 67, "the vectors have as many validation samples as when this was written");
    let mut refused = 0;
    for Sample { name, sample } in &samples {
        for serializer in Serializer::ALL {
            let result = decode(serializer, &serialize(&sample["wmsg"], serializer));
            match sample["expected_error"]["contains"].as_str() {
                None => assert!(result.is_ok(), "{name} {serializer:?}: {result:?}"),
                Some(part) => {
                    refused += 1;
                    let error = result.expect_err("what must be refused").to_string();
                    assert!(error.contains(part), "{name} {serializer:?}: {error:?} does not name {part}");
                }
            }
        }
    }
    assert_eq!(refused, 28 * Serializer::ALL.len(), "samples that must be refused");
}

fn decode(serializer: Serializer, bytes: &[u8]) -> Result<Message, ProtocolError> {
    codec::decode(serializer, bytes, Limits::default().message_depth_max)
}

/// The message must be written, in each serializer, as one of the variants that are listed for it.
fn assert_rewritten(name: &str, message: &Message, sample: &Json) {
    for serializer in Serializer::ALL {
        let mut bytes = Vec::new();
        codec::encode(message, serializer, &mut bytes);
        let listed = variants(sample, serializer);
        assert!(listed.contains(&bytes), "{name} {serializer:?}: wrote {:?}", String::from_utf8_lossy(&bytes));
    }
}

/// Each expected attribute by its name in the vectors; null means absent.
fn assert_attributes(name: &str, message: &Message, expected: &Json) {
    let actual = attributes(message);
    for (attribute, value) in expected.as_object().expect("expected_attributes is a dict") {
        assert_eq!(&actual[attribute], value, "{name}: {attribute}");
    }
}

fn attributes(message: &Message) -> Json {
    let mut attributes = match message {
        Message::Hello { realm, details } => json!({"realm": realm, "roles": details.get("roles")}),
        Message::Welcome { session, details } => json!({"session_id": session, "roles": details.get("roles")}),
        Message::Abort { details, reason, payload } => with(json!({"details": details, "reason": reason}), payload),
        Message::Challenge { method, extra } => json!({"method": method, "extra": extra}),
        Message::Authenticate { signature, extra } => json!({"signature": signature, "extra": extra}),
        Message::Goodbye { details, reason } => json!({"details": details, "reason": reason}),
        Message::Error { request_type, request, details, error, payload } => with(
            json!({"request_type": request_type, "request_id": request, "details": details, "error": error}),
            payload,
        ),
        Message::Publish { request, options, topic, payload } => {
            with(json!({"request_id": request, "options": options, "topic": topic}), payload)
        }
        Message::Published { request, publication } => json!({"request_id": request, "publication_id": publication}),
        Message::Subscribe { request, options, topic } => {
            json!({"request_id": request, "options": options, "topic": topic})
        }
        Message::Subscribed { request, subscription } => {
            json!({"request_id": request, "subscription_id": subscription})
        }
        Message::Unsubscribe { request, subscription, .. } => {
            json!({"request_id": request, "subscription_id": subscription})
        }
        Message::Unsubscribed { request, .. } | Message::Unregistered { request, .. } => json!({"request_id": request}),
        Message::Event { subscription, publication, details, payload } => {
            with(json!({"subscription": subscription, "publication": publication, "details": details}), payload)
        }
        Message::Call { request, options, procedure, payload } => {
            with(json!({"request_id": request, "options": options, "procedure": procedure}), payload)
        }
        Message::Cancel { request, options } | Message::Interrupt { request, options } => {
            json!({"request_id": request, "options": options})
        }
        Message::Result { request, details, payload } => {
            with(json!({"request_id": request, "details": details}), payload)
        }
        Message::Register { request, options, procedure } => {
            json!({"request_id": request, "options": options, "procedure": procedure})
        }
        Message::Registered { request, registration } | Message::Unregister { request, registration, .. } => {
            json!({"request_id": request, "registration_id": registration})
        }
        Message::Invocation { request, registration, details, payload } => {
            with(json!({"request_id": request, "registration_id": registration, "details": details}), payload)
        }
        Message::Yield { request, options, payload } => {
            with(json!({"request_id": request, "options": options}), payload)
        }
        Message::EventReceived { publication } => json!({"publication_id": publication}),
    };
    attributes["message_type"] = message.code().into();
    attributes
}

/// Adds `args` and `kwargs`, or where the payload is passed through, `payload` in hex.
fn with(mut attributes: Json, payload: &Payload) -> Json {
    if let Ok(args) = payload.args() {
        if !args.is_empty() {
            attributes["args"] = json!(args);
        }
        let kwargs: Dict = payload.kwargs().expect("kwargs are a dict");
        if !kwargs.is_empty() {
            attributes["kwargs"] = json!(kwargs);
        }
    } else {
        let (binary, _) = payload.elements_in(Serializer::Cbor);
        let serde_cbor::Value::Bytes(binary) = serde_cbor::from_slice(&binary).expect("one element") else {
            panic!("a payload that is neither a list nor binary");
        };
        attributes["payload"] = hex::encode(binary).into();
    }
    attributes
}

fn serialize(message: &Json, serializer: Serializer) -> Vec<u8> {
    match serializer {
        Serializer::Cbor => serde_cbor::to_vec(message).expect("JSON has a CBOR form"),
        Serializer::MsgPack => rmp_serde::to_vec(message).expect("JSON has a MessagePack form"),
        Serializer::Json => serde_json::to_vec(message).expect("JSON is JSON"),
    }
}

/// The listed bytes of a sample in one serializer.
fn variants(sample: &Json, serializer: Serializer) -> Vec<Vec<u8>> {
    let listed = sample["serializers"][serializer.name()].as_array().map_or(&[][..], |listed| listed);
    let bytes = |variant: &Json| match (variant["bytes_hex"].as_str(), variant["bytes"].as_str()) {
        (Some(hex), _) => hex::decode(hex).expect("bytes_hex is hex"),
        (None, Some(text)) => text.as_bytes().to_vec(),
        (None, None) => panic!("a variant without bytes: {variant}"),
    };
    listed.iter().map(bytes).collect()
}

struct Sample {
    /// File, position and description, to find it again.
    name: String,
    sample: Json,
}

/// All samples of single messages that have `key`.
fn samples(key: &str) -> Option<Vec<Sample>> {
    let Some(directory) = testsuite() else {
        println!("skipped: no shared/wamp-testsuite above this package, and WAMP_TESTSUITE is not set");
        return None;
    };
    let mut samples = Vec::new();
    for profile in ["basic", "advanced"] {
        for file in files(&directory.join("singlemessage").join(profile)) {
            let text = std::fs::read_to_string(&file).expect("a readable vector file");
            let vectors: Json = serde_json::from_str(&text).expect("a vector file is JSON");
            let all = vectors["samples"].as_array().expect("a vector file has samples");
            samples.extend(all.iter().enumerate().filter(|(_, sample)| sample.get(key).is_some()).map(
                |(at, sample)| Sample {
                    name: format!("{} #{at} {}", file.display(), sample["description"]),
                    sample: sample.clone(),
                },
            ));
        }
    }
    Some(samples)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory of vectors");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    files.sort();
    files
}

fn testsuite() -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("WAMP_TESTSUITE") {
        return Some(directory.into());
    }
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|directory| directory.join("shared/wamp-testsuite")).find(|directory| directory.is_dir())
}
