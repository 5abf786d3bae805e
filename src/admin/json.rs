//! What programs of the cluster and operators' tools say to one another: WAMP payloads whose values are the structs of
//! this room, as JSON has them.

use crate::realm::CallError;
use crate::wire::{Dict, Payload, Serializer, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A payload of one argument.
pub fn to_payload(value: &impl Serialize) -> Payload {
    let json = serde_json::to_string(value).expect("what is told is plain strings, numbers and lists");
    Payload::from_raw(Serializer::Json, format!("[{json}]").as_bytes(), b"")
}

/// The same argument, for an event of the router itself.
pub fn to_args(value: &impl Serialize) -> Vec<Value> {
    to_payload(value).args().expect("it was written a moment ago")
}

/// A payload of keyword arguments; `value` is a struct or a map.
pub fn to_kwargs(value: &impl Serialize) -> Payload {
    let json = serde_json::to_string(value).expect("what is told is plain strings, numbers and lists");
    Payload::from_raw(Serializer::Json, b"[]", json.as_bytes())
}

/// The first argument; null where there is none.
pub fn from_payload<T: DeserializeOwned>(payload: &Payload) -> Result<T, String> {
    let (args, _) = payload.elements_in(Serializer::Json);
    let args: Vec<serde_json::Value> = match args.is_empty() {
        true => Vec::new(),
        false => serde_json::from_slice(&args).map_err(|error| error.to_string())?,
    };
    let first = args.into_iter().next().unwrap_or(serde_json::Value::Null);
    serde_json::from_value(first).map_err(|error| error.to_string())
}

/// As `from_payload`, of somebody who is not trusted to keep to what is usual: no text is longer than `TEXT_BYTES_MAX`
/// or has control characters, no list or table is longer than `ENTRIES_MAX`.
pub fn told<T: DeserializeOwned>(payload: &Payload) -> Result<T, String> {
    let value: serde_json::Value = from_payload(payload)?;
    check(&value, "")?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Whether all texts and lists in a value are as usual. The error names the one that is not by its key.
fn check(value: &serde_json::Value, key: &str) -> Result<(), String> {
    match value {
        serde_json::Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            Err(format!("{key} has {} bytes, {TEXT_BYTES_MAX} are allowed", text.len()))
        }
        serde_json::Value::String(text) if text.chars().any(char::is_control) => {
            Err(format!("{key} has control characters"))
        }
        serde_json::Value::Array(items) if items.len() > ENTRIES_MAX => {
            Err(format!("{key} has {} entries, {ENTRIES_MAX} are allowed", items.len()))
        }
        serde_json::Value::Object(fields) if fields.len() > ENTRIES_MAX => {
            Err(format!("{key} has {} entries, {ENTRIES_MAX} are allowed", fields.len()))
        }
        serde_json::Value::Array(items) => items.iter().try_for_each(|item| check(item, key)),
        serde_json::Value::Object(fields) => {
            fields.iter().try_for_each(|(name, field)| match name.len() > KEY_BYTES_MAX {
                true => Err(format!("a key in {key} has {} bytes, {KEY_BYTES_MAX} are allowed", name.len())),
                false => check(field, name),
            })
        }
        _ => Ok(()),
    }
}

/// Longer than any URI by default, and any error that a link tells.
const TEXT_BYTES_MAX: usize = 1_024;
const KEY_BYTES_MAX: usize = 64;
/// The links of 100 nodes in 100 realms.
const ENTRIES_MAX: usize = 10_000;

/// A command by its name and its keyword arguments, for enums that serde tags with `command`.
pub fn command<T: DeserializeOwned>(name: &str, payload: &Payload) -> Result<T, String> {
    let (_, kwargs) = payload.elements_in(Serializer::Json);
    let mut fields: serde_json::Map<String, serde_json::Value> = match kwargs.is_empty() {
        true => serde_json::Map::new(),
        false => serde_json::from_slice(&kwargs).map_err(|error| error.to_string())?,
    };
    fields.insert("command".to_owned(), name.into());
    let fields = fields.into();
    check(&fields, name)?;
    serde_json::from_value(fields).map_err(|error| error.to_string())
}

/// The name and the keyword arguments of a command, for enums that serde tags with `command`.
pub fn from_command(command: &impl Serialize) -> (String, Payload) {
    let fields = serde_json::to_value(command).expect("a command is plain strings and numbers");
    let serde_json::Value::Object(mut fields) = fields else { unreachable!("a command has fields") };
    let name = fields.remove("command").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    (name, to_kwargs(&fields))
}

/// What a refusal says for people: its first argument if that is text, else its URI.
pub fn sentence(error: &str, payload: &Payload) -> String {
    match payload.args().ok().and_then(|args| args.into_iter().next()) {
        Some(Value::String(sentence)) => sentence,
        _ => error.to_owned(),
    }
}

/// What an answer refuses, in one sentence; None where it does what was asked.
pub fn refusal(answer: &Result<Payload, CallError>) -> Option<String> {
    answer.as_ref().err().map(|refused| sentence(&refused.error, &refused.payload))
}

/// Keyword arguments of none.
pub fn nothing() -> Payload {
    Payload::from_values(Vec::new(), Dict::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_argument_is_read_and_none_is_null() {
        assert_eq!(from_payload::<String>(&to_payload(&"edge1")), Ok("edge1".to_owned()));
        assert_eq!(from_payload::<Option<bool>>(&nothing()), Ok(None));
        assert_eq!(from_payload::<()>(&nothing()), Ok(()));
        assert!(from_payload::<bool>(&nothing()).is_err());
    }
}
