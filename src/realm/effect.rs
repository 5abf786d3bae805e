//! What a realm wants done. Effects are carried out in order; the order is what gives WAMP its guarantees.

use super::meta::Merge;
use crate::drop::{DropReason, Refused};
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Payload, Value};
use std::rc::Rc;

/// Where a routed message came from, and so where it may go.
///
/// What came from a client may go anywhere; what came from another shard of this node goes to local sessions only; what
/// came from another node goes to local sessions and sibling shards, never to another node. No other route can be
/// expressed, so no message can loop, whatever the permissions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Client,
    Shard,
    Node,
}

/// One thing to do for the one who drives the realm.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this message to one session.
    Send {
        to: SessionKey,
        message: Message,
    },
    /// Send the same message (an EVENT) to many sessions; it is encoded once per serializer.
    Fanout {
        to: Receivers,
        message: Message,
    },
    /// The session broke the protocol: ABORT it with this reason and sentence. The realm expects `leave` for it.
    Abort {
        session: SessionKey,
        reason: &'static str,
        sentence: String,
    },
    /// End the session with GOODBYE. The realm expects `leave` for it.
    Goodbye {
        session: SessionKey,
        reason: String,
        message: Option<String>,
        /// What the end is counted as.
        drop_reason: DropReason,
    },
    /// Route nothing more from this session until `Resume`: a dynamic authorizer is being asked about its last message.
    Suspend {
        session: SessionKey,
    },
    Resume {
        session: SessionKey,
    },
    /// The final answer to a call that the router itself made with `Realm::call`.
    Answer {
        token: u64,
        result: Result<Payload, CallError>,
    },
    /// A SUBSCRIBE or REGISTER that may be carried out, in a realm that is linked to other nodes: once these agree,
    /// `Realm::handle_settled` is to be called with it.
    Settle {
        session: SessionKey,
        message: Message,
    },
    /// A call of the meta API that may be made, in a realm that is linked to other nodes: what `Realm::answer_meta`
    /// says is to be put together with what they say.
    Gather(SharedCall),
    /// Something was not delivered, and who sent it is not there any more.
    Drop {
        reason: DropReason,
    },
    /// A request of this session was refused: to be counted, and told to the operator.
    Refused {
        session: SessionKey,
        refused: Box<Refused>,
    },
}

impl Effect {
    /// For the operator: this request of a session is answered with an ERROR, or would be if its sender wanted to know.
    /// None where the ERROR is an answer rather than a refusal, such as that there is no such procedure.
    pub fn refused(
        session: SessionKey,
        action: &'static str,
        uri: &str,
        error: &str,
        sentence: &str,
    ) -> Option<Effect> {
        let refused = Box::new(Refused::new(reason_of(error)?, sentence).about(action, uri));
        Some(Effect::Refused { session, refused })
    }

    /// The same of a PUBLISH whose sender does not want to know.
    pub(super) fn publish_refused(session: SessionKey, topic: &str, sentence: &str) -> Effect {
        let refused = Box::new(Refused::new(DropReason::PublishRefused, sentence).about("publish", topic));
        Effect::Refused { session, refused }
    }
}

/// Which errors are refusals.
fn reason_of(error: &str) -> Option<DropReason> {
    Some(match error {
        error::NOT_AUTHORIZED => DropReason::NotAuthorized,
        error::AUTHORIZATION_FAILED => DropReason::AuthorizationFailed,
        error::LIMIT_EXCEEDED => DropReason::LimitExceeded,
        error::PAYLOAD_SIZE_EXCEEDED => DropReason::ReceiverLimit,
        error::OPTION_NOT_ALLOWED => DropReason::OptionNotAllowed,
        error::INVALID_URI | error::INVALID_ARGUMENT => DropReason::InvalidRequest,
        _ => return None,
    })
}

/// Who gets an event: all of a list, which the realm may share, or all but one of it.
#[derive(Clone, Debug, Default)]
pub struct Receivers {
    all: Rc<Vec<SessionKey>>,
    without: Option<SessionKey>,
}

impl Receivers {
    /// `without`, if any, is in the list once.
    pub fn all(all: Rc<Vec<SessionKey>>, without: Option<SessionKey>) -> Receivers {
        Receivers { all, without }
    }

    pub fn is_empty(&self) -> bool {
        self.all.len() == usize::from(self.without.is_some())
    }

    pub fn iter(&self) -> impl Iterator<Item = SessionKey> {
        self.all.iter().copied().filter(|key| self.without != Some(*key))
    }
}

impl From<Vec<SessionKey>> for Receivers {
    fn from(all: Vec<SessionKey>) -> Receivers {
        Receivers { all: Rc::new(all), without: None }
    }
}

impl PartialEq for Receivers {
    fn eq(&self, other: &Receivers) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A call of the meta API in the answer of which other nodes have a share.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedCall {
    /// Who calls.
    pub session: SessionKey,
    pub request: Id,
    pub procedure: String,
    pub payload: Payload,
    /// How the answers of the nodes make one.
    pub how: Merge,
}

/// Why a call failed: the error's URI and what came with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CallError {
    pub error: String,
    pub payload: Payload,
}

/// Something that happened in the realm: published on `topic` with `args` after the message that caused it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaEvent {
    pub topic: &'static str,
    pub args: Vec<Value>,
}

impl MetaEvent {
    /// How far it goes: of sessions a node tells the whole cluster, of what they hold every node tells its own clients.
    pub(super) fn origin(&self) -> Origin {
        if self.topic.starts_with("wamp.session.") { Origin::Client } else { Origin::Node }
    }
}
