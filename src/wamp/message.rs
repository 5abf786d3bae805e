//! The messages of WAMP v2. Options and details stay dicts (unknown keys must be carried, known ones are checked by
//! `options`); what the application sends is an opaque `Payload`.

use super::Id;
use crate::wire::{Dict, Payload, allocated};

/// The integer that starts a message, as a constant per type.
pub type Code = u64;

/// The message codes by name.
pub mod code {
    use super::Code;
    pub const HELLO: Code = 1;
    pub const WELCOME: Code = 2;
    pub const ABORT: Code = 3;
    pub const CHALLENGE: Code = 4;
    pub const AUTHENTICATE: Code = 5;
    pub const GOODBYE: Code = 6;
    pub const ERROR: Code = 8;
    pub const PUBLISH: Code = 16;
    pub const PUBLISHED: Code = 17;
    pub const SUBSCRIBE: Code = 32;
    pub const SUBSCRIBED: Code = 33;
    pub const UNSUBSCRIBE: Code = 34;
    pub const UNSUBSCRIBED: Code = 35;
    pub const EVENT: Code = 36;
    pub const CALL: Code = 48;
    pub const CANCEL: Code = 49;
    pub const RESULT: Code = 50;
    pub const REGISTER: Code = 64;
    pub const REGISTERED: Code = 65;
    pub const UNREGISTER: Code = 66;
    pub const UNREGISTERED: Code = 67;
    pub const INVOCATION: Code = 68;
    pub const INTERRUPT: Code = 69;
    pub const YIELD: Code = 70;
    pub const EVENT_RECEIVED: Code = 337;
}

/// One WAMP message. Fields are in wire order.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Hello {
        realm: String,
        details: Dict,
    },
    Welcome {
        session: Id,
        details: Dict,
    },
    Abort {
        details: Dict,
        reason: String,
        payload: Payload,
    },
    Challenge {
        method: String,
        extra: Dict,
    },
    Authenticate {
        signature: String,
        extra: Dict,
    },
    Goodbye {
        details: Dict,
        reason: String,
    },
    Error {
        request_type: Code,
        request: Id,
        details: Dict,
        error: String,
        payload: Payload,
    },
    Publish {
        request: Id,
        options: Dict,
        topic: String,
        payload: Payload,
    },
    Published {
        request: Id,
        publication: Id,
    },
    Subscribe {
        request: Id,
        options: Dict,
        topic: String,
    },
    Subscribed {
        request: Id,
        subscription: Id,
    },
    /// `options` is written only when it is not empty (a deployed extension of the two-element form).
    Unsubscribe {
        request: Id,
        subscription: Id,
        options: Dict,
    },
    /// `details` is written only for a revocation, when `request` is 0.
    Unsubscribed {
        request: Id,
        details: Dict,
    },
    Event {
        subscription: Id,
        publication: Id,
        details: Dict,
        payload: Payload,
    },
    Call {
        request: Id,
        options: Dict,
        procedure: String,
        payload: Payload,
    },
    Cancel {
        request: Id,
        options: Dict,
    },
    Result {
        request: Id,
        details: Dict,
        payload: Payload,
    },
    Register {
        request: Id,
        options: Dict,
        procedure: String,
    },
    Registered {
        request: Id,
        registration: Id,
    },
    /// As with `Unsubscribe`.
    Unregister {
        request: Id,
        registration: Id,
        options: Dict,
    },
    /// As with `Unsubscribed`.
    Unregistered {
        request: Id,
        details: Dict,
    },
    Invocation {
        request: Id,
        registration: Id,
        details: Dict,
        payload: Payload,
    },
    Interrupt {
        request: Id,
        options: Dict,
    },
    Yield {
        request: Id,
        options: Dict,
        payload: Payload,
    },
    EventReceived {
        publication: Id,
    },
}

impl Message {
    /// The code that starts this message on the wire.
    pub const fn code(&self) -> Code {
        match self {
            Message::Hello { .. } => code::HELLO,
            Message::Welcome { .. } => code::WELCOME,
            Message::Abort { .. } => code::ABORT,
            Message::Challenge { .. } => code::CHALLENGE,
            Message::Authenticate { .. } => code::AUTHENTICATE,
            Message::Goodbye { .. } => code::GOODBYE,
            Message::Error { .. } => code::ERROR,
            Message::Publish { .. } => code::PUBLISH,
            Message::Published { .. } => code::PUBLISHED,
            Message::Subscribe { .. } => code::SUBSCRIBE,
            Message::Subscribed { .. } => code::SUBSCRIBED,
            Message::Unsubscribe { .. } => code::UNSUBSCRIBE,
            Message::Unsubscribed { .. } => code::UNSUBSCRIBED,
            Message::Event { .. } => code::EVENT,
            Message::Call { .. } => code::CALL,
            Message::Cancel { .. } => code::CANCEL,
            Message::Result { .. } => code::RESULT,
            Message::Register { .. } => code::REGISTER,
            Message::Registered { .. } => code::REGISTERED,
            Message::Unregister { .. } => code::UNREGISTER,
            Message::Unregistered { .. } => code::UNREGISTERED,
            Message::Invocation { .. } => code::INVOCATION,
            Message::Interrupt { .. } => code::INTERRUPT,
            Message::Yield { .. } => code::YIELD,
            Message::EventReceived { .. } => code::EVENT_RECEIVED,
        }
    }

    /// The word for this type of message, in sentences and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Message::Hello { .. } => "HELLO",
            Message::Welcome { .. } => "WELCOME",
            Message::Abort { .. } => "ABORT",
            Message::Challenge { .. } => "CHALLENGE",
            Message::Authenticate { .. } => "AUTHENTICATE",
            Message::Goodbye { .. } => "GOODBYE",
            Message::Error { .. } => "ERROR",
            Message::Publish { .. } => "PUBLISH",
            Message::Published { .. } => "PUBLISHED",
            Message::Subscribe { .. } => "SUBSCRIBE",
            Message::Subscribed { .. } => "SUBSCRIBED",
            Message::Unsubscribe { .. } => "UNSUBSCRIBE",
            Message::Unsubscribed { .. } => "UNSUBSCRIBED",
            Message::Event { .. } => "EVENT",
            Message::Call { .. } => "CALL",
            Message::Cancel { .. } => "CANCEL",
            Message::Result { .. } => "RESULT",
            Message::Register { .. } => "REGISTER",
            Message::Registered { .. } => "REGISTERED",
            Message::Unregister { .. } => "UNREGISTER",
            Message::Unregistered { .. } => "UNREGISTERED",
            Message::Invocation { .. } => "INVOCATION",
            Message::Interrupt { .. } => "INTERRUPT",
            Message::Yield { .. } => "YIELD",
            Message::EventReceived { .. } => "EVENT_RECEIVED",
        }
    }

    /// The memory that a request takes beside its own place: what PUBLISH, SUBSCRIBE, CALL or REGISTER carries.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Message::Publish { options, topic: uri, payload, .. }
            | Message::Call { options, procedure: uri, payload, .. } => {
                options.heap_bytes().saturating_add(allocated(uri.capacity())).saturating_add(payload.heap_bytes())
            }
            Message::Subscribe { options, topic: uri, .. } | Message::Register { options, procedure: uri, .. } => {
                options.heap_bytes().saturating_add(allocated(uri.capacity()))
            }
            _ => 0,
        }
    }

    /// What a request asks for: what is to be done, and the topic or procedure. None of all other messages.
    pub fn asks_for(&self) -> Option<(&'static str, &str)> {
        match self {
            Message::Publish { topic, .. } => Some(("publish", topic)),
            Message::Subscribe { topic, .. } => Some(("subscribe", topic)),
            Message::Call { procedure, .. } => Some(("call", procedure)),
            Message::Register { procedure, .. } => Some(("register", procedure)),
            _ => None,
        }
    }

    /// An ERROR that answers `request` of type `request_type`, with one sentence for the person who reads it.
    pub fn error(request_type: Code, request: Id, error: &str, sentence: impl Into<String>) -> Message {
        Message::Error {
            request_type,
            request,
            details: Dict::new(),
            error: error.to_owned(),
            payload: Payload::from_values(vec![sentence.into().into()], Dict::new()),
        }
    }

    /// An ABORT with the sentence that says why.
    pub fn abort(reason: &str, sentence: impl Into<String>) -> Message {
        Message::Abort {
            details: Dict::new().with("message", sentence.into()),
            reason: reason.to_owned(),
            payload: Payload::empty(),
        }
    }
}
