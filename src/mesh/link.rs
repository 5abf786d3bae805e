//! The dialing end of one link: what is mirrored, which requests wait for an answer, and what the peer's messages mean
//! for this node.

use super::frames::{LinkCall, NAMESPACE, call_options, publish_options};
use super::interest::Answered;
use super::{Mirror, Pattern, Want};
use crate::wamp::message::code;
use crate::wamp::{Id, Identity, Message};
use crate::wire::{Dict, Payload};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A link that this node has dialed, while it is up.
#[derive(Debug)]
pub struct Uplink {
    /// The id of the peer.
    pub node: String,
    pub mirror: Mirror,
    /// Patterns of which the peer has still to be told since the link came up; None once it has been told of all.
    pub unsaid: Option<VecDeque<Pattern>>,
    /// The uptime at which the digests are to be compared next.
    pub digest_at: Duration,
    /// Ours, when the peer was last asked for its own.
    pub digest_asked: Option<u64>,
    /// The digests of what both ends retain, ours first, when they were last compared.
    pub retained: (u64, u64),
    /// Those for which what the peer retains was fetched last. While they stay the same, to fetch it again is in vain.
    pub retained_fetched: Option<(u64, u64)>,
    /// How the peer is named where it speaks for somebody whose name is not told.
    hop: Dict,
    requests: BTreeMap<Id, Request>,
    n_requests: Id,
    /// It has broken a rule and is being ended: nothing that it says counts any more.
    pub is_ended: bool,
    /// Procedures that clients of this node have, and that the peer has agreed to give up for them.
    taken: BTreeSet<Pattern>,
}

#[derive(Debug)]
enum Request {
    Mirror(Pattern),
    /// A CALL of ours, and who waits for its answer.
    Call(CallOwner),
}

/// Who waits for the answer to a CALL on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOwner {
    /// The link itself.
    Link(LinkCall),
    /// A call of the meta API that is put to all peers, by its number.
    Meta(u64),
}

/// What a message of the peer asks of this node.
#[derive(Debug, PartialEq)]
pub enum Input {
    /// To be handled as if the link's stand-in had sent it.
    Route(Message),
    /// The peer tells something that is none of the clients' business.
    Notice { topic: String, payload: Payload },
    /// The peer has confirmed a pattern.
    Settled(Pattern),
    /// The peer does not agree to what was last said about a pattern.
    Refused { pattern: Pattern, said: Want, error: String, payload: Payload },
    /// The answer to a call of ours; an error is told by its URI.
    Answer { owner: CallOwner, result: Result<Payload, (String, Payload)> },
    /// A part of it, more of which comes.
    Part { owner: CallOwner, payload: Payload },
}

impl Uplink {
    /// `identity` is this node's own on the link, except that `authid` is the id of the peer.
    pub fn new(identity: &Identity) -> Uplink {
        let hop = Dict::new()
            .with("session", identity.session)
            .with("authid", identity.authid.as_str())
            .with("authrole", identity.authrole.as_str());
        let node = identity.authid.clone();
        Uplink {
            node,
            mirror: Mirror::default(),
            unsaid: None,
            digest_at: Duration::MAX,
            digest_asked: None,
            retained: (0, 0),
            retained_fetched: None,
            hop,
            requests: BTreeMap::new(),
            n_requests: 0,
            is_ended: false,
            taken: BTreeSet::new(),
        }
    }

    /// Says what is wanted of a pattern now. Gives what is to be sent, if anything.
    pub fn want(&mut self, pattern: &Pattern, want: Option<Want>) -> Option<Message> {
        if want.is_none() {
            self.taken.remove(pattern);
        }
        let message = self.mirror.want(pattern, want, counter(&mut self.n_requests))?;
        self.remember(pattern, &message);
        Some(message)
    }

    /// The peer has agreed that it has lost a procedure.
    pub fn take(&mut self, pattern: Pattern) {
        self.taken.insert(pattern);
    }

    /// Whether the peer has agreed to that, so that what it said of older callees of its own is of the past.
    pub fn has_taken(&self, pattern: &Pattern) -> bool {
        self.taken.contains(pattern)
    }

    /// Calls a procedure of the peer itself. The answer comes with `owner`.
    pub fn call(&mut self, owner: CallOwner, procedure: &str, options: Dict, payload: Payload) -> Message {
        let request = counter(&mut self.n_requests)();
        self.requests.insert(request, Request::Call(owner));
        Message::Call { request, options, procedure: procedure.to_owned(), payload }
    }

    /// How many requests the peer has still to answer.
    pub fn n_unanswered(&self) -> usize {
        self.requests.len()
    }

    /// The peer has nothing of ours any more: everything is to be said anew.
    pub fn forget_mirror(&mut self) {
        self.mirror = Mirror::default();
        self.requests.retain(|_, request| matches!(request, Request::Call(_)));
    }

    /// The topic and the options of a PUBLISH on this node, from the details of an event of the peer.
    pub fn publish_options(&self, details: Dict, publication: Id) -> (String, Dict) {
        publish_options(details, publication, &self.hop)
    }

    /// What a message of the peer means; and what is to be sent in return, if anything.
    pub fn handle_message(&mut self, message: Message) -> (Option<Input>, Option<Message>) {
        match message {
            Message::Event { publication, details, payload, .. } => {
                let (topic, options) = self.publish_options(details, publication);
                let input = match topic.starts_with(NAMESPACE) {
                    true => Input::Notice { topic, payload },
                    // Nobody is to answer it, so the request has no number.
                    false => Input::Route(Message::Publish { request: 1, options, topic, payload }),
                };
                (Some(input), None)
            }
            Message::Invocation { request, registration, details, payload } => {
                let (procedure, options) = call_options(details, registration);
                (Some(Input::Route(Message::Call { request, options, procedure, payload })), None)
            }
            Message::Interrupt { request, options } => (Some(Input::Route(Message::Cancel { request, options })), None),
            Message::Subscribed { request, subscription: id } | Message::Registered { request, registration: id } => {
                let Some(Request::Mirror(pattern)) = self.requests.remove(&request) else { return (None, None) };
                let (answered, message) =
                    self.mirror.handle_confirmed(&pattern, request, id, counter(&mut self.n_requests));
                ((answered == Answered::Confirmed).then_some(Input::Settled(pattern)), message)
            }
            Message::Error { request_type: code::CALL, request, error, payload, .. } => {
                (self.answer(request, Err((error, payload))), None)
            }
            Message::Result { request, details, payload } if details.bool("progress") == Some(true) => {
                let part = match self.requests.get(&request) {
                    Some(Request::Call(owner)) => Some(Input::Part { owner: *owner, payload }),
                    Some(Request::Mirror(_)) | None => None,
                };
                (part, None)
            }
            Message::Result { request, payload, .. } => (self.answer(request, Ok(payload)), None),
            Message::Error { request, error, payload, .. } => {
                let Some(Request::Mirror(pattern)) = self.requests.remove(&request) else { return (None, None) };
                let (answered, message) = self.mirror.handle_refused(&pattern, request, counter(&mut self.n_requests));
                let input = match answered {
                    Answered::Refused(said) => Some(Input::Refused { pattern, said, error, payload }),
                    Answered::Confirmed | Answered::Nothing => None,
                };
                (input, message)
            }
            // What we take back is taken back, whatever the peer says to it.
            _ => (None, None),
        }
    }

    fn answer(&mut self, request: Id, result: Result<Payload, (String, Payload)>) -> Option<Input> {
        match self.requests.remove(&request)? {
            Request::Call(owner) => Some(Input::Answer { owner, result }),
            Request::Mirror(_) => None,
        }
    }

    fn remember(&mut self, pattern: &Pattern, message: &Message) {
        if let Message::Subscribe { request, .. } | Message::Register { request, .. } = message {
            self.requests.insert(*request, Request::Mirror(pattern.clone()));
        }
    }
}

/// Request ids of a session begin with 1 and have no gaps.
fn counter(n_requests: &mut Id) -> impl FnMut() -> Id {
    move || {
        *n_requests = n_requests.saturating_add(1);
        *n_requests
    }
}
