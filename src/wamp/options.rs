//! The options and details that the router knows, with their types: one table, used to refuse wrong types.
//!
//! Keys that the table does not have are carried and never looked at, as the specification asks.

use super::message::{Code, code};
use crate::limits::ID_MAX;
use crate::wire::{Dict, Value};
use std::borrow::Cow;
use std::sync::LazyLock;

/// A known option that has another type than it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} must be {expected}, got {got}")]
pub struct WrongOption {
    pub key: &'static str,
    pub expected: Cow<'static, str>,
    pub got: Cow<'static, str>,
}

/// Checks the options, details or extra of a message of type `message`.
pub fn check(message: Code, dict: &Dict) -> Result<(), WrongOption> {
    if dict.is_empty() {
        return Ok(());
    }
    let groups = known(message);
    for (key, value) in dict.iter() {
        let row = groups.iter().flat_map(|group| group.iter()).find(|(name, _)| *name == key);
        // Clients in JavaScript write options that are not set as null (`undefined` in their words).
        if let Some((key, type_)) = row
            && *value != Value::Null
            && let Err(got) = type_.check(value)
        {
            return Err(WrongOption { key, expected: type_.name(), got });
        }
    }
    Ok(())
}

/// The names of all options and details that the router knows, in order.
pub fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let of_groups = ALL.iter().flat_map(|group| group.iter()).map(|(name, _)| *name);
        let mut names: Vec<&'static str> = of_groups.chain(["session"]).collect();
        names.sort_unstable();
        names.dedup();
        names
    });
    &NAMES
}

/// Forgets the options that the router knows nothing of, where nobody is told of them.
pub fn forget_unknown(message: Code, dict: &mut Dict) {
    let groups = known(message);
    dict.retain(|key| groups.iter().flat_map(|group| group.iter()).any(|(name, _)| *name == key));
}

/// Whether options or details say that the payload is one binary which the router carries and cannot read.
pub fn is_passthru(dict: &Dict) -> bool {
    ["ppt_scheme", "enc_algo"].iter().any(|key| dict.get(key).is_some_and(|value| *value != Value::Null))
}

/// What a known option may be.
enum Is {
    Bool,
    String,
    Dict,
    /// A non-negative integer.
    Uint,
    /// An integer from 1.
    Positive,
    Id,
    /// A list of non-negative integers.
    Uints,
    Strings,
    /// A dict whose values are dicts.
    Dicts,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, null, or a word of the application's own, which begins with `x_`.
    Encoding(&'static [&'static str]),
    /// The way of a forwarded message: a list of `{session: id, authid: string, authrole: string}`.
    Hops,
}

use Is::{Bool, Dicts, Encoding, Hops, Id, Positive, Strings, Uint, Uints, Word};

impl Is {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Bool => "bool",
            Is::String => "string",
            Is::Dict => "dict",
            Uint => "a non-negative integer",
            Positive => "an integer from 1",
            Id => "an id from 1 to 2^53",
            Uints => "a list of non-negative integers",
            Strings => "a list of strings",
            Dicts => "a dict of dicts",
            Word(words) => return format!("one of {}", words.join(", ")).into(),
            Encoding(words) => return format!("null, one of {}, or x_…", words.join(", ")).into(),
            Hops => "a list of {session: id, authid: string, authrole: string}",
        })
    }

    /// What `value` is instead, if it is not this.
    fn check(&self, value: &Value) -> Result<(), Cow<'static, str>> {
        let fits = match (self, value) {
            (Bool, Value::Bool(_)) | (Is::String, Value::String(_)) | (Is::Dict, Value::Dict(_)) => true,
            (Encoding(_), Value::Null) => true,
            (Uint, value) => value.as_uint().is_some(),
            (Positive, value) => value.as_uint().is_some_and(|value| value >= 1),
            (Id, value) => value.as_uint().is_some_and(|id| (1..=ID_MAX).contains(&id)),
            (Uints, Value::List(items)) => return all(items.iter(), &Uint),
            (Strings, Value::List(items)) => return all(items.iter(), &Is::String),
            (Dicts, Value::Dict(dict)) => return all(dict.iter().map(|(_, value)| value), &Is::Dict),
            (Hops, Value::List(hops)) => return hops.iter().try_for_each(check_hop),
            (Encoding(_), Value::String(word)) if word.starts_with("x_") => true,
            (Word(words) | Encoding(words), Value::String(word)) => {
                return if words.contains(&word.as_str()) { Ok(()) } else { Err("another word".into()) };
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.describe(value)) }
    }

    /// The kind of a value that does not fit, or the number where it is just out of range.
    fn describe(&self, value: &Value) -> Cow<'static, str> {
        match (self, value) {
            (Uint | Positive | Id, Value::Uint(value)) => value.to_string().into(),
            (Uint | Positive | Id, Value::Int(value)) => value.to_string().into(),
            _ => value.kind_name().into(),
        }
    }
}

fn all<'v>(mut items: impl Iterator<Item = &'v Value>, type_: &Is) -> Result<(), Cow<'static, str>> {
    items.try_for_each(|item| type_.check(item)).map_err(|got| format!("{got} in it").into())
}

fn check_hop(hop: &Value) -> Result<(), Cow<'static, str>> {
    let Value::Dict(hop) = hop else {
        return Err(format!("{} in it", hop.kind_name()).into());
    };
    for (key, type_) in [("session", &Id), ("authid", &Is::String), ("authrole", &Is::String)] {
        let value = hop.get(key).ok_or_else(|| format!("an entry without {key}"))?;
        type_.check(value).map_err(|got| format!("an entry with {key} {got}"))?;
    }
    Ok(())
}

/// Options that mean the same in several messages.
type Group = &'static [(&'static str, Is)];

/// The table: the groups of options that a message may carry. Only what the router or its peers act on is listed.
const fn known(message: Code) -> &'static [Group] {
    match message {
        code::HELLO => &[HELLO],
        code::WELCOME => &[WELCOME],
        code::ABORT | code::GOODBYE => &[CLOSING],
        code::PUBLISH => &[PUBLISH, PASSTHRU, FORWARDED],
        code::SUBSCRIBE => &[SUBSCRIBE, FORWARDED],
        code::UNSUBSCRIBE | code::UNREGISTER => &[FORWARDED],
        code::UNSUBSCRIBED | code::UNREGISTERED => &[REVOKED],
        code::EVENT => &[EVENT, PASSTHRU, FORWARDED],
        code::CALL => &[CALL, PASSTHRU, FORWARDED],
        code::CANCEL | code::INTERRUPT => &[CANCEL, FORWARDED],
        code::RESULT | code::YIELD => &[RESULT, PASSTHRU, FORWARDED],
        code::ERROR => &[CALLEE, PASSTHRU, FORWARDED],
        code::REGISTER => &[REGISTER, FORWARDED],
        code::INVOCATION => &[INVOCATION, PASSTHRU, FORWARDED],
        _ => &[],
    }
}

const HELLO: Group = &[
    ("roles", Is::Dict),
    ("agent", Is::String),
    ("authmethods", Strings),
    ("authid", Is::String),
    ("authrole", Is::String),
    ("authextra", Is::Dict),
];
const WELCOME: Group = &[
    ("roles", Dicts),
    ("agent", Is::String),
    ("realm", Is::String),
    ("authid", Is::String),
    ("authrole", Is::String),
    ("authmethod", Is::String),
    ("authprovider", Is::String),
    ("authextra", Is::Dict),
];
const CLOSING: Group = &[("message", Is::String)];
const PUBLISH: Group = &[
    ("acknowledge", Bool),
    ("exclude_me", Bool),
    ("exclude", Uints),
    ("exclude_authid", Strings),
    ("exclude_authrole", Strings),
    ("eligible", Uints),
    ("eligible_authid", Strings),
    ("eligible_authrole", Strings),
    ("disclose_me", Bool),
    ("retain", Bool),
    ("transaction_hash", Is::String),
];
const EVENT: Group = &[
    ("topic", Is::String),
    ("publisher", Id),
    ("publisher_authid", Is::String),
    ("publisher_authrole", Is::String),
    ("trustlevel", Uint),
    ("retained", Bool),
    ("transaction_hash", Is::String),
    ("x_acknowledged_delivery", Bool),
];
const SUBSCRIBE: Group = &[("match", Word(MATCH)), ("get_retained", Bool)];
const REVOKED: Group = &[("subscription", Id), ("registration", Id), ("reason", Is::String)];
const REGISTER: Group = &[
    ("match", Word(MATCH)),
    ("invoke", Word(&["single", "roundrobin", "random", "first", "last"])),
    ("concurrency", Positive),
    ("force_reregister", Bool),
    ("disclose_caller", Bool),
    ("forward_timeout", Bool),
];
const CALL: Group = &[
    ("receive_progress", Bool),
    ("progress", Bool),
    ("timeout", Uint),
    ("disclose_me", Bool),
    ("transaction_hash", Is::String),
    ("caller", Id),
    ("caller_authid", Is::String),
    ("caller_authrole", Is::String),
];
const INVOCATION: Group = &[
    ("receive_progress", Bool),
    ("progress", Bool),
    ("timeout", Uint),
    ("procedure", Is::String),
    ("trustlevel", Uint),
    ("transaction_hash", Is::String),
    ("caller", Id),
    ("caller_authid", Is::String),
    ("caller_authrole", Is::String),
];
const CANCEL: Group = &[("mode", Word(&["skip", "kill", "killnowait"])), ("reason", Is::String)];
const RESULT: Group =
    &[("progress", Bool), ("callee", Id), ("callee_authid", Is::String), ("callee_authrole", Is::String)];
const CALLEE: Group = &[("callee", Id), ("callee_authid", Is::String), ("callee_authrole", Is::String)];
/// Payload passthru as the specification has it, and as deployed clients do it.
const PASSTHRU: Group = &[
    ("ppt_scheme", Is::String),
    ("ppt_serializer", Is::String),
    ("ppt_cipher", Is::String),
    ("ppt_keyid", Is::String),
    ("enc_algo", Encoding(&["null", "cryptobox", "mqtt", "xbr"])),
    ("enc_key", Is::String),
    ("enc_serializer", Encoding(&["null", "json", "msgpack", "cbor", "ubjson", "opaque", "flatbuffers"])),
];
const FORWARDED: Group = &[("forward_for", Hops)];
/// Every group.
const ALL: &[Group] = &[
    HELLO, WELCOME, CLOSING, PUBLISH, EVENT, SUBSCRIBE, REVOKED, REGISTER, CALL, INVOCATION, CANCEL, RESULT, CALLEE,
    PASSTHRU, FORWARDED,
];

const MATCH: &[&str] = &["exact", "prefix", "wildcard"];

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }

    fn hop(session: impl Into<Value>) -> Dict {
        Dict::new().with("session", session).with("authid", "joe").with("authrole", "user")
    }

    #[test]
    fn every_name_of_the_table_is_known() {
        assert!(names().is_sorted_by(|one, next| one < next));
        let rows = (0..=100).flat_map(|message| known(message).iter().copied()).flat_map(|group| group.iter());
        assert!(rows.map(|(name, _)| name).all(|name| names().contains(name)));
    }

    #[test]
    fn what_fits_is_accepted() {
        for (message, key, value) in [
            (code::PUBLISH, "eligible", list([])),
            (code::PUBLISH, "eligible", list([1u64.into(), ID_MAX.into()])),
            (code::PUBLISH, "eligible", list([Value::Float(7.0), Value::Float(ID_MAX as f64)])),
            (code::PUBLISH, "enc_algo", Value::Null),
            (code::PUBLISH, "enc_algo", "x_ours".into()),
            (code::SUBSCRIBE, "match", Value::Null),
            (code::SUBSCRIBE, "get_retained", Value::Null),
            (code::PUBLISH, "forward_for", list([hop(7u64).into(), hop(ID_MAX).into()])),
            (code::PUBLISH, "match", 7u64.into()),
            (code::EVENT, "publisher", ID_MAX.into()),
            (code::CALL, "timeout", 0u64.into()),
            (code::CANCEL, "mode", "skip".into()),
            (code::REGISTER, "concurrency", 1u64.into()),
            (code::REGISTER, "invoke", "roundrobin".into()),
            (code::WELCOME, "roles", Dict::new().with("broker", Dict::new()).into()),
            (code::HELLO, "roles", Dict::new().with("caller", true).into()),
            (code::CHALLENGE, "roles", 7u64.into()),
            (code::PUBLISH, "an_unknown_one", Value::Float(1.5)),
        ] {
            assert_eq!(check(message, &Dict::new().with(key, value)), Ok(()), "{key}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (message, key, value, sentence) in [
            (code::CALL, "timeout", Value::Int(-1), "timeout must be a non-negative integer, got -1"),
            (code::CALL, "timeout", Value::Float(1.5), "timeout must be a non-negative integer, got float"),
            (code::CALL, "progress", 1u64.into(), "progress must be bool, got integer"),
            (code::EVENT, "publisher", 0u64.into(), "publisher must be an id from 1 to 2^53, got 0"),
            (code::REGISTER, "concurrency", 0u64.into(), "concurrency must be an integer from 1, got 0"),
            (code::REGISTER, "match", "Exact".into(), "match must be one of exact, prefix, wildcard, got another word"),
            (code::CANCEL, "mode", 1u64.into(), "mode must be one of skip, kill, killnowait, got integer"),
            (
                code::PUBLISH,
                "exclude",
                list([1u64.into(), Value::Int(-1)]),
                "exclude must be a list of non-negative integers, got -1 in it",
            ),
            (
                code::WELCOME,
                "roles",
                Dict::new().with("broker", true).into(),
                "roles must be a dict of dicts, got bool in it",
            ),
            (
                code::PUBLISH,
                "forward_for",
                list([hop("x").into()]),
                "forward_for must be a list of {session: id, authid: string, authrole: string}, \
                 got an entry with session string",
            ),
            (
                code::PUBLISH,
                "forward_for",
                list([Dict::new().with("session", 1u64).into()]),
                "forward_for must be a list of {session: id, authid: string, authrole: string}, \
                 got an entry without authid",
            ),
            (
                code::PUBLISH,
                "forward_for",
                list([7u64.into()]),
                "forward_for must be a list of {session: id, authid: string, authrole: string}, got integer in it",
            ),
        ] {
            let result = check(message, &Dict::new().with(key, value));
            assert_eq!(result.map_err(|error| error.to_string()), Err(sentence.to_owned()));
        }
    }

    #[test]
    fn passthru_is_announced_by_either_key() {
        assert!(is_passthru(&Dict::new().with("ppt_scheme", "x_custom")));
        assert!(is_passthru(&Dict::new().with("enc_algo", "cryptobox")));
        assert!(!is_passthru(&Dict::new().with("enc_algo", Value::Null)));
        assert!(!is_passthru(&Dict::new().with("enc_key", "k")));
    }
}
