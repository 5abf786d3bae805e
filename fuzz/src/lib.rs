//! What the fuzz targets assert, as plain functions, so that an input that failed can be run in a debugger too.

pub mod config;
pub mod frames;
pub mod sessions;

use crossbar_cluster::wamp::codec::{self, Form};
use crossbar_cluster::wire::{Elements, Payload, Serializer, Value, WireError, Writer};

const DEPTH_MAX: usize = 64;

/// Bytes that a peer has sent as one message. They may be refused; what is accepted must hold everywhere.
pub fn message(serializer: Serializer, bytes: &[u8]) {
    let elements = Elements::split(serializer, bytes, DEPTH_MAX);
    if serializer == Serializer::Json {
        assert_as_strict_as_serde_json(bytes, &elements);
    }
    let Ok(elements) = elements else {
        codec::decode(serializer, bytes, DEPTH_MAX).expect_err("a message that the scan has refused");
        return;
    };
    for index in 0..elements.len() {
        let value = elements.value(index).expect("an element that passed the scan can be decoded");
        assert_stable(serializer, &value);
        let _ = (elements.uint(index), elements.string(index), elements.dict(index, &[]));
        let raw = elements.raw(index).expect("an element that was counted");
        assert_carried(Payload::from_raw(serializer, raw, &[]));
        assert_carried(Payload::from_raw(serializer, &[], raw));
    }
    assert_message_stable(serializer, bytes);
}

/// A value that is written and read again is written the same way. (Values are compared as bytes: NaN is not itself.)
fn assert_stable(serializer: Serializer, value: &Value) {
    let once = list_of(serializer, value);
    let elements = Elements::split(serializer, &once, usize::MAX).expect("what was written can be read");
    let again = elements.value(0).expect("what was written can be decoded");
    assert_eq!(list_of(serializer, &again), once);
}

fn list_of(serializer: Serializer, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::list(serializer, 1, &mut out);
    writer.value(value);
    writer.finish();
    out
}

/// A payload can be written in every serializer, and what is written passes that serializer's scan.
fn assert_carried(payload: Payload) {
    let present = [payload.raw().0, payload.raw().1].iter().filter(|element| !element.is_empty()).count();
    for other in Serializer::ALL {
        let (args, kwargs) = payload.elements_in(other);
        let elements: Vec<_> = [args, kwargs].into_iter().filter(|element| !element.is_empty()).collect();
        assert_eq!(elements.len(), present, "an element was lost on the way to {other:?}");
        let mut out = Vec::new();
        let mut writer = Writer::list(other, elements.len(), &mut out);
        elements.iter().for_each(|element| {
            writer.raw(element);
        });
        writer.finish();
        Elements::split(other, &out, usize::MAX).expect("what was transcoded passes the scan");
    }
}

/// One message of a link: its payload is checked as a client's is, whatever the node that sent it has done.
pub fn link_message(bytes: &[u8]) {
    assert_message_stable(Form::Link, bytes);
}

/// A message that is accepted is written and read as itself; in the other serializers it is at least well-formed.
fn assert_message_stable(form: impl Into<Form>, bytes: &[u8]) {
    let form = form.into();
    let Ok(message) = codec::decode(form, bytes, DEPTH_MAX) else { return };
    let mut once = Vec::new();
    codec::encode(&message, form, &mut once);
    let read = codec::decode(form, &once, usize::MAX).expect("a message that was written can be read");
    let mut again = Vec::new();
    codec::encode(&read, form, &mut again);
    assert_eq!(again, once);
    for other in Serializer::ALL {
        let mut out = Vec::new();
        codec::encode(&message, other, &mut out);
        Elements::split(other, &out, usize::MAX).expect("a message that was written passes the scan");
    }
}

/// Both parsers must agree on what JSON is, apart from the limits that serde_json does not have or has elsewhere.
fn assert_as_strict_as_serde_json(bytes: &[u8], elements: &Result<Elements, WireError>) {
    if matches!(elements, Err(WireError::TooDeep { .. } | WireError::TooManyElements(_))) {
        return;
    }
    let wanted = serde_json::from_slice::<Vec<serde_json::Value>>(bytes);
    assert_eq!(elements.is_ok(), wanted.is_ok(), "the scan: {elements:?}, serde_json: {wanted:?}");
}
