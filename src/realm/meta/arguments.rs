//! The arguments of a call of the meta API, read with errors that name what was expected.

use super::{Refusal, refusal};
use crate::wamp::uri::{Match, UriCheck};
use crate::wamp::{Id, error};
use crate::wire::{Dict, Payload, Value};

/// The decoded arguments of one call.
pub(super) struct Arguments {
    args: Vec<Value>,
    kwargs: Dict,
}

impl Arguments {
    pub(super) fn read(payload: &Payload) -> Result<Arguments, Refusal> {
        let invalid = |sentence| refusal(error::INVALID_ARGUMENT, sentence);
        let args = payload.args().map_err(|error| invalid(format!("the arguments cannot be read: {error}")))?;
        let kwargs =
            payload.kwargs().map_err(|error| invalid(format!("the keyword arguments cannot be read: {error}")))?;
        Ok(Arguments { args, kwargs })
    }

    pub(super) fn id(&self, index: usize, name: &str) -> Result<Id, Refusal> {
        self.required(index, name, "integer", Value::as_uint)
    }

    pub(super) fn string(&self, index: usize, name: &str) -> Result<&str, Refusal> {
        self.required(index, name, "string", Value::as_str)
    }

    pub(super) fn optional_list(&self, index: usize, name: &str) -> Result<Option<&[Value]>, Refusal> {
        self.optional(index, name, "list", Value::as_list)
    }

    pub(super) fn optional_dict(&self, index: usize, name: &str) -> Result<Option<&Dict>, Refusal> {
        self.optional(index, name, "dict", Value::as_dict)
    }

    /// A keyword argument that may be absent or null.
    pub(super) fn keyword<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.kwargs.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| wrong(name, expected, value)),
        }
    }

    /// The keyword `reason`, which has to be a URI.
    pub(super) fn reason(&self, check: UriCheck) -> Result<Option<&str>, Refusal> {
        let reason = self.keyword("reason", "string", Value::as_str)?;
        match reason {
            Some(uri) if !check.is_name(uri) => {
                Err(refusal(error::INVALID_URI, format!("reason is {uri:?}, expected a URI")))
            }
            _ => Ok(reason),
        }
    }

    /// The match policy in the options of a lookup.
    pub(super) fn lookup_policy(&self) -> Result<Match, Refusal> {
        let Some(value) = self.optional_dict(1, "options")?.and_then(|options| options.get("match")) else {
            return Ok(Match::Exact);
        };
        let policy = value.as_str().and_then(Match::from_name);
        policy.ok_or_else(|| wrong("match", "exact, prefix or wildcard", value))
    }

    fn required<'a, T>(
        &'a self,
        index: usize,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Refusal> {
        self.optional(index, name, expected, read)?.ok_or_else(|| {
            refusal(error::INVALID_ARGUMENT, format!("argument {} ({name}) is missing, expected {expected}", index + 1))
        })
    }

    fn optional<'a, T>(
        &'a self,
        index: usize,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.args.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| wrong(name, expected, value)),
        }
    }
}

/// Values that are short to say are quoted, of all others the kind is named.
fn wrong(name: &str, expected: &str, value: &Value) -> Refusal {
    let got = match value {
        Value::String(text) if text.len() < 100 => format!("{text:?}"),
        other => other.kind_name().to_owned(),
    };
    refusal(error::INVALID_ARGUMENT, format!("{name} is {got}, expected {expected}"))
}
