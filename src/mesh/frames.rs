//! The protocol of a link, of which `docs/protocol.md` says more: ordinary WAMP, with the keys of this table in options
//! and details.
//!
//! A is the node that has dialed, B the one that was dialed. Times are wall times in microseconds since the epoch.
//!
//! | message | from | keys, and what they mean |
//! | --- | --- | --- |
//! | SUBSCRIBE, UNSUBSCRIBE | A | `match`. A has at least one client that listens (or a history that does) |
//! | REGISTER | A | `match invoke weight since_us latest_us`: A has `weight` callees, the first and last since then |
//! | | | `leaving`: A is letting them go, calls go to others where there are any
//! | | | `pending`: a client of A asks for it; B refuses where a client of its own has it or asked earlier |
//! | | | `force_reregister`: a client of A asks to take it from whoever has it |
//! | EVENT | B | `topic`, the lists, `retain published_us`, what is carried for the application |
//! | | | `forward_for`: the publisher, where the role it has on B discloses it |
//! | INVOCATION | B | `procedure`, `caller*`; `disclosed`: the callee may be told who calls; `timeout` |
//! | YIELD, ERROR | A | as of a callee; `wamp.error.unavailable` sends the call on to another node |
//! | INTERRUPT | B | `mode reason` |
//! | CALL of `wamp.*` | A | `forward_for`: the client that asks; answered by B for its own clients only |
//! | CALL of `wamp.link.*` | A | see below; unknown to clients |
//! | EVENT on `wamp.link.*` | B | notices, see below; sent unasked |

use super::remote_client::{HOP, PUBLISHER, RemoteClient};
use crate::wamp::message::code;
use crate::wamp::uri::is_reserved;
use crate::wamp::{Message, error};
use crate::wire::{Dict, Value};
use std::time::Duration;

/// What links say to one another; unknown to clients.
pub const NAMESPACE: &str = "wamp.link.";
/// EVENT: a session of B has joined.
pub const SESSION: &str = "wamp.link.session";
/// EVENT: a session of B has added a testament: its id, the testament.
pub const TESTAMENT: &str = "wamp.link.testament";
/// EVENT: a session of B has flushed its testaments of one scope: its id, the scope.
pub const TESTAMENTS_FLUSHED: &str = "wamp.link.testaments_flushed";
/// EVENT: a session of B has left, by its id.
pub const SESSION_GONE: &str = "wamp.link.session_gone";
/// EVENT: a session of B has begun to hold a subscription or registration: session, kind, what it is.
pub const HELD: &str = "wamp.link.held";
/// EVENT: a session of B has ceased to hold one: session, kind, id. With the session alone, it holds none any more.
pub const HELD_NO_MORE: &str = "wamp.link.held_no_more";
/// EVENT: the link was too full for a notice; A is to fetch sessions and holdings again.
pub const OVERRUN: &str = "wamp.link.overrun";
/// CALL: a page of what B's sessions hold, what comes after the holding that the arguments name.
pub const HOLDINGS: &str = "wamp.link.holdings";
/// CALL: a page of B's sessions and of their testaments, those after the place that the arguments name.
pub const SESSIONS: &str = "wamp.link.sessions";
/// CALL: a page of what B retains, what comes after the place that the arguments name.
pub const RETAINED: &str = "wamp.link.retained";
/// CALL: B tells the digest of all that A has on it.
pub const DIGEST: &str = "wamp.link.digest";
/// CALL: A has said all that it wants of B since the link came up. An earlier version of B answers with an ERROR.
pub const REPLAYED: &str = "wamp.link.replayed";
/// CALL: B forgets all that A has on it, which A is about to say again.
pub const RESET: &str = "wamp.link.reset";

/// What a link asks of its peer on its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkCall {
    Sessions,
    Retained,
    Digest,
    Reset,
    Holdings,
    Replayed,
}

impl LinkCall {
    /// The procedure that is called.
    pub const fn procedure(self) -> &'static str {
        match self {
            LinkCall::Sessions => SESSIONS,
            LinkCall::Retained => RETAINED,
            LinkCall::Digest => DIGEST,
            LinkCall::Reset => RESET,
            LinkCall::Holdings => HOLDINGS,
            LinkCall::Replayed => REPLAYED,
        }
    }
}

/// What a node says about its callees of one procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub invoke: &'static str,
    /// Wall times at which the first and the last of them registered.
    pub since: Duration,
    pub latest: Duration,
    pub weight: u32,
    /// Their node is letting its clients go: who can go elsewhere should.
    pub leaving: bool,
    /// They have not got it yet: the peers are being asked.
    pub pending: bool,
    /// They ask to take it from whoever has it.
    pub force: bool,
    /// Which of its ids the registration has.
    pub generation: u32,
}

impl Offer {
    /// As REGISTER.Options.
    pub fn options(&self) -> Dict {
        let mut options = Dict::new()
            .with("invoke", self.invoke)
            .with("weight", self.weight)
            .with("since_us", micros(self.since))
            .with("latest_us", micros(self.latest));
        for (key, value) in [("leaving", self.leaving), ("pending", self.pending), ("force_reregister", self.force)] {
            if value {
                options.set(key, true);
            }
        }
        with_generation(options, self.generation)
    }
}

/// Adds which of its ids a subscription or registration has, where it is not the first.
pub fn with_generation(options: Dict, generation: u32) -> Dict {
    if generation == 0 { options } else { options.with("generation", generation) }
}

/// Turns the EVENT of a link into the options of a PUBLISH on this node: the id, the publisher and what the origin
/// node has decided. `hop` is how the peer itself is named where the publisher is not.
///
/// Subscribers find `forward_for` in the details of every event that came over a link: the publisher if its role
/// discloses it, else the node. Nothing but `forward_for` tells of a publisher, whatever else the peer has written.
pub fn publish_options(mut details: Dict, publication: u64, hop: &Dict) -> (String, Dict) {
    let topic = match details.remove("topic") {
        Some(Value::String(topic)) => topic,
        _ => String::new(),
    };
    PUBLISHER.iter().for_each(|key| drop(details.remove(key)));
    details.set("publication", publication);
    let publisher = RemoteClient::forwarded(&details).map(|publisher| publisher.hop());
    if let Some(publisher) = &publisher {
        for (key, from) in PUBLISHER.into_iter().zip(HOP) {
            details.set(key, publisher.get(from).cloned().unwrap_or(Value::Null));
        }
    }
    details.set("forward_for", Value::List(vec![publisher.unwrap_or_else(|| hop.clone()).into()]));
    (topic, details)
}

/// Whether the dialing node may send a message on its link once the link is up: what it wants, what its callees answer,
/// and calls of the meta API. What its clients publish and call goes over the link of the other direction.
pub fn is_of_dialer(message: &Message) -> bool {
    match message {
        Message::Call { procedure, .. } => is_reserved(procedure),
        Message::Register { procedure, .. } => !is_reserved(procedure),
        Message::Error { request_type, .. } => *request_type == code::INVOCATION,
        Message::Subscribe { .. }
        | Message::Unsubscribe { .. }
        | Message::Unregister { .. }
        | Message::Yield { .. }
        | Message::EventReceived { .. } => true,
        _ => false,
    }
}

/// Turns the details of a link's INVOCATION into the options of a CALL on this node.
pub fn call_options(mut details: Dict, registration: u64) -> (String, Dict) {
    let procedure = match details.remove("procedure") {
        Some(Value::String(procedure)) => procedure,
        _ => String::new(),
    };
    details.set("registration", registration);
    (procedure, details)
}

/// Turns what the realm sends to the stand-in of a link into what the link carries. `false` if that is nothing.
pub fn translate(message: &mut Message) -> bool {
    let translated = match std::mem::replace(message, Message::EventReceived { publication: 1 }) {
        Message::Result { request, details, payload } => Message::Yield { request, options: details, payload },
        Message::Error { request_type: code::CALL, request, details, error, payload } => {
            // Another node may have a callee that is available.
            let is_nobody = error == error::NO_AVAILABLE_CALLEE;
            let error = if is_nobody { error::UNAVAILABLE.to_owned() } else { error };
            Message::Error { request_type: code::INVOCATION, request, details, error, payload }
        }
        _ => return false,
    };
    *message = translated;
    true
}

fn micros(wall: Duration) -> u64 {
    u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)
}
