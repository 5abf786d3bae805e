//! What a link may say: only what its node can own. A node that has been admitted may have been taken over; then it
//! speaks for its own clients, whoever they are said to be, but not for those of other nodes, nor in another node's
//! name, nor without bound.
//!
//! A session is of the node that has told of it first, for as long as that node has it or may come back with it. What
//! is said of any other session is not taken, and counted as `forged`.

use super::ClusteredRealm;
use super::afterlife::Claim;
use super::presence::{ON_JOIN, ON_LEAVE};
use crate::drop::{DropReason, Refused};
use crate::mesh::{RemoteClient, frames};
use crate::realm::{Effect, MemberKind};
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::uri::is_reserved;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};

/// For the operator: the node of this link has said what is not its to say.
pub(super) fn forged(link: SessionKey, action: &'static str, uri: &str, sentence: String) -> Effect {
    let refused = Box::new(Refused::new(DropReason::Forged, sentence).about(action, uri));
    Effect::Refused { session: link, refused }
}

impl ClusteredRealm {
    /// Whether a session is one of this node.
    pub(super) fn is_ours(&self, session: Id) -> bool {
        let member = self.members().key_of(session).and_then(|key| self.members().member(key));
        member.is_some_and(|member| member.kind == MemberKind::Client)
    }

    /// Whether a session may be this node's that a node names as holder of something.
    pub(super) fn may_hold(&self, node: &str, session: Id) -> bool {
        !self.is_ours(session) && matches!(self.afterlife.claim(node, session, |_| true), Claim::Own | Claim::Open)
    }

    fn claim(&self, node: &str, client: RemoteClient<'_>) -> Claim {
        if self.is_ours(client.session) {
            return Claim::False;
        }
        self.afterlife.claim(node, client.session, |known| {
            (known.authid.as_str(), known.authrole.as_str()) == (client.authid, client.authrole)
        })
    }

    /// Whether what a link brings for our clients is its node's to say. What is not, is counted, and a call gets an
    /// ERROR.
    pub(super) fn admits(&self, key: SessionKey, message: &Message, out: &mut Vec<Effect>) -> bool {
        let Some(node) = self.uplinks.get(&key).map(|uplink| uplink.node.as_str()) else { return false };
        let is_admitted = match message {
            Message::Publish { options, topic, payload, .. } => self.admits_event(node, topic, options, payload),
            Message::Call { options, procedure, .. } => {
                let caller = RemoteClient::caller(options).map(|caller| caller.map(|caller| self.claim(node, caller)));
                !is_reserved(procedure) && matches!(caller, Ok(None | Some(Claim::Own | Claim::Open)))
            }
            _ => true,
        };
        if is_admitted {
            return true;
        }
        let sentence = format!("{node} has no such client");
        let (action, uri) = match message {
            Message::Publish { topic, .. } => ("publish", topic.as_str()),
            Message::Call { procedure, .. } => ("call", procedure.as_str()),
            _ => ("say", message.name()),
        };
        out.push(forged(key, action, uri, sentence.clone()));
        if let Message::Call { request, .. } = message {
            let message = Message::error(code::INVOCATION, *request, error::NOT_AUTHORIZED, sentence);
            out.push(Effect::Send { to: key, message });
        }
        false
    }

    fn admits_event(&self, node: &str, topic: &str, options: &Dict, payload: &Payload) -> bool {
        if is_reserved(topic) {
            return options.get("retain").is_none() && self.admits_meta_event(node, topic, payload);
        }
        // Its session may have gone while the node was out of reach.
        let is_testament = options.bool("testament") == Some(true);
        match RemoteClient::publisher(options).map(|publisher| self.claim(node, publisher)) {
            None | Some(Claim::Own | Claim::Open) => true,
            Some(Claim::Unknown) => is_testament,
            Some(Claim::False) => false,
        }
    }

    /// Of all meta events only those of sessions cross a link.
    fn admits_meta_event(&self, node: &str, topic: &str, payload: &Payload) -> bool {
        let args = payload.args().unwrap_or_default();
        match (topic, args.as_slice()) {
            (ON_JOIN, [Value::Dict(summary)]) => {
                let is_new = |id| !self.is_ours(id) && !self.afterlife.is_of_another(node, id);
                summary.uint("session").is_some_and(is_new)
            }
            (ON_LEAVE, [Value::Uint(session), Value::String(authid), Value::String(authrole)]) => {
                let client = RemoteClient { session: *session, authid, authrole };
                matches!(self.claim(node, client), Claim::Own | Claim::Open)
            }
            _ => false,
        }
    }

    /// Whether a node may hand over a retained event. It may be of anybody who has left; the events of those who are
    /// there come from their own nodes.
    pub(super) fn admits_retained(&self, node: &str, topic: &str, options: &Dict) -> bool {
        let publisher = RemoteClient::publisher(options).map(|publisher| self.claim(node, publisher));
        !is_reserved(topic) && publisher != Some(Claim::False)
    }

    /// Whether a node that has dialed in may send this on its link. Where not, the link ends, or the call gets an
    /// ERROR.
    pub(super) fn admits_of_dialer(&mut self, key: SessionKey, message: &Message, out: &mut Vec<Effect>) -> bool {
        let Some(node) = self.members().member(key).map(|member| member.identity.authid.clone()) else { return false };
        if !frames::is_of_dialer(message) {
            let sentence = format!("{} is not for the dialing node of a link to send", message.name());
            out.push(forged(key, "say", message.name(), sentence.clone()));
            out.push(Effect::Abort { session: key, reason: error::PROTOCOL_VIOLATION, sentence });
            return false;
        }
        match message {
            Message::Call { request, options, procedure, .. } => {
                let client = RemoteClient::forwarded(options);
                let is_false = client.is_some_and(|client| self.claim(&node, client) == Claim::False);
                if is_false {
                    let sentence = format!("forward_for names a client that is none of {node}");
                    out.push(forged(key, "call", procedure, sentence.clone()));
                    let message = Message::error(code::CALL, *request, error::NOT_AUTHORIZED, sentence);
                    out.push(Effect::Send { to: key, message });
                }
                !is_false
            }
            Message::Subscribe { .. } | Message::Register { .. } => {
                let max = self.config().limits.peer_holdings_max;
                let is_excessive = self.broker().n_held_by(key) + self.dealer().n_held_by(key) >= max;
                if is_excessive {
                    let sentence = format!("{node} has more patterns here than peer_holdings_max = {max}");
                    out.push(Effect::Drop { reason: DropReason::PeerLimit });
                    out.push(Effect::Abort { session: key, reason: error::LIMIT_EXCEEDED, sentence });
                }
                !is_excessive
            }
            _ => true,
        }
    }

    /// Ends the link to a node that has told of more than it may, and forgets what it has told. Whether it did.
    pub(super) fn end_if_excessive(&mut self, now: Now, key: SessionKey, out: &mut Vec<Effect>) -> bool {
        let Some(uplink) = self.uplinks.get(&key) else { return false };
        let node = uplink.node.clone();
        let Some(sentence) = self.afterlife.excess(&node, &self.config().limits) else { return false };
        if let Some(uplink) = self.uplinks.get_mut(&key) {
            uplink.is_ended = true;
        }
        self.disown(now, &node, out);
        let (reason, message) = (error::LIMIT_EXCEEDED.to_owned(), Some(sentence));
        out.push(Effect::Goodbye { session: key, reason, message, drop_reason: DropReason::PeerLimit });
        true
    }
}
