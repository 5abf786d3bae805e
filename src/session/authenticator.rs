//! Dynamic authenticators: what the router asks them, and how it reads their answer. The shapes are those of the
//! system that this router replaces, so that authenticators written for it go on working.

use super::admission::{Authenticator, Grant};
use crate::auth::{Secret, cryptosign::PublicKey, wampcra};
use crate::wamp::Id;
use crate::wire::{Dict, Value};

/// A question to an authenticator: who is it, and may they come in?
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Goes back with the answer.
    pub attempt: u32,
    /// Whom to call, as the router itself, with `args`.
    pub authenticator: Authenticator,
    pub(super) realm: String,
    /// None when the peer did not name itself.
    pub(super) authid: Option<String>,
    pub(super) session: Id,
    pub(super) authmethod: &'static str,
    pub(super) authextra: Dict,
    pub(super) transport: Dict,
    /// The ticket to be checked; only for that method.
    pub(super) ticket: Option<Secret>,
}

impl Question {
    /// The arguments of the call: `[realm, authid, details]`. They may tell a ticket, so do not print them.
    pub fn args(&self) -> Vec<Value> {
        let mut details = Dict::new()
            .with("transport", self.transport.clone())
            .with("session", self.session)
            .with("authmethod", self.authmethod)
            .with("authextra", self.authextra.clone());
        if let Some(ticket) = &self.ticket {
            details.set("ticket", ticket.expose());
        }
        vec![self.realm.as_str().into(), self.authid.as_deref().map_or(Value::Null, Value::from), details.into()]
    }
}

/// The answer of an authenticator: a role, or a dict with a role and what the method needs to go on.
pub(super) struct Answer(Dict);

impl Answer {
    /// Reads what the call returned, and whom it admits. The error says what is missing, for the operator.
    pub(super) fn read(value: Value) -> Result<(Answer, Grant), &'static str> {
        let dict = match value {
            Value::String(role) => Dict::new().with("role", role),
            Value::Dict(dict) => dict,
            _ => return Err("the answer is neither a role nor a dict"),
        };
        let text = |key: &str| dict.str(key).filter(|text| !text.is_empty()).map(str::to_owned);
        let grant = Grant {
            role: text("role").ok_or("the answer names no role")?,
            realm: text("realm"),
            authid: text("authid"),
            authextra: dict.dict("extra").cloned().unwrap_or_default(),
            trusted_link: false,
        };
        Ok((Answer(dict), grant))
    }

    /// The ticket that the peer must have shown, when the authenticator leaves the comparison to the router.
    pub(super) fn ticket(&self) -> Option<Secret> {
        self.0.str("ticket").map(Secret::new)
    }

    pub(super) fn wampcra(&self) -> Result<wampcra::Credential, &'static str> {
        let key = Secret::new(self.0.str("secret").ok_or("the answer has no secret")?);
        let Some(salt) = self.0.str("salt") else { return Ok(wampcra::Credential { key, salting: None }) };
        let number = |key: &str, default: u64| match self.0.get(key) {
            None | Some(Value::Null) => Some(default),
            Some(value) => value.as_uint(),
        };
        let iterations = number("iterations", ITERATIONS_DEFAULT).and_then(|number| u32::try_from(number).ok());
        let keylen = number("keylen", KEYLEN_DEFAULT).and_then(|number| usize::try_from(number).ok());
        let (Some(iterations), Some(keylen)) = (iterations, keylen) else {
            return Err("iterations and keylen of the answer are not both numbers in range");
        };
        Ok(wampcra::Credential { key, salting: Some(wampcra::Salting { salt: salt.to_owned(), iterations, keylen }) })
    }

    /// The keys that the peer may prove to have: `pubkey`, or a list of `authorized_keys`.
    pub(super) fn cryptosign(&self) -> Result<Vec<PublicKey>, &'static str> {
        let single = self.0.str("pubkey").into_iter();
        let list = self.0.list("authorized_keys").unwrap_or_default().iter().filter_map(Value::as_str);
        let keys: Vec<PublicKey> = single.chain(list).filter_map(|text| text.parse().ok()).collect();
        if keys.is_empty() { Err("the answer has neither a valid pubkey nor authorized_keys") } else { Ok(keys) }
    }
}

/// What deployed clients and authenticators assume when nothing else is said.
const ITERATIONS_DEFAULT: u64 = 1000;
const KEYLEN_DEFAULT: u64 = 32;
