//! How messages of a link are made and read: `table` says which there are and what their keys mean.
//!
//! A is the node that has dialed, B the one that was dialed. Times are wall times in microseconds since the epoch.

use super::remote_client::{HOP, PUBLISHER, RemoteClient};
use crate::wamp::message::code;
use crate::wamp::uri::is_reserved;
use crate::wamp::{Message, error};
use crate::wire::{Dict, Value};
use std::time::Duration;

pub use super::table::{
    DIGEST, HELD, HELD_NO_MORE, HOLDINGS, NAMESPACE, OVERRUN, REPLAYED, RESET, RETAINED, SESSION, SESSION_GONE,
    SESSIONS, TESTAMENT, TESTAMENTS_FLUSHED,
};

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
