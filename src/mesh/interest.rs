//! What a node mirrors onto one peer: every pattern that its own clients have, once, and how far the peer has
//! confirmed it.
//!
//! It is told what is wanted, not what has changed: to say the same twice costs nothing, and a link that comes up is
//! simply told everything.

use super::Offer;
use super::frames::with_generation;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Message};
use crate::wire::{Dict, allocated};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Topic,
    Procedure,
}

/// Something to listen to, or to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    pub kind: Kind,
    pub policy: Match,
    pub uri: String,
}

/// What a node wants of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To a subscription that has this one of its ids.
    Listen {
        generation: u32,
    },
    Answer(Offer),
}

/// What has been said to one peer.
#[derive(Debug, Default)]
pub struct Mirror {
    entries: BTreeMap<Pattern, Entry>,
    /// What the texts of the patterns take.
    uri_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    said: Want,
    /// The last request about it, while it is unanswered.
    outstanding: Option<Id>,
    /// What the peer calls it, once it has confirmed.
    id: Option<Id>,
    /// To be taken back as soon as the peer has answered.
    is_unwanted: bool,
    is_refused: bool,
}

impl Entry {
    fn is_agreed(&self) -> bool {
        self.id.is_some() && !self.is_refused && !self.is_unwanted
    }
}

/// What an answer of the peer has brought.
#[derive(Debug, PartialEq)]
pub enum Answered {
    Confirmed,
    /// The peer does not agree to what was last said.
    Refused(Want),
    /// It concerns nothing that still matters.
    Nothing,
}

impl Mirror {
    /// Says what is wanted of a pattern now; `request` gives the id of a request, if there is one to send.
    pub fn want(&mut self, pattern: &Pattern, want: Option<Want>, mut request: impl FnMut() -> Id) -> Option<Message> {
        match (self.entries.get_mut(pattern), want) {
            (None, None) => None,
            (Some(entry), Some(want)) if entry.said == want => {
                entry.is_unwanted = false;
                None
            }
            (Some(entry), Some(want)) => {
                let id = request();
                (entry.said, entry.outstanding, entry.is_unwanted, entry.is_refused) = (want, Some(id), false, false);
                Some(ask(pattern, want, id))
            }
            (None, Some(want)) => {
                let id = request();
                let entry =
                    Entry { said: want, outstanding: Some(id), id: None, is_unwanted: false, is_refused: false };
                self.uri_bytes = self.uri_bytes.saturating_add(allocated(pattern.uri.len()));
                self.entries.insert(pattern.clone(), entry);
                Some(ask(pattern, want, id))
            }
            (Some(entry), None) if entry.outstanding.is_some() => {
                entry.is_unwanted = true;
                None
            }
            (Some(_), None) => self.take_back(pattern, request),
        }
    }

    /// The peer has confirmed a request, and calls the pattern so.
    pub fn handle_confirmed(
        &mut self,
        pattern: &Pattern,
        answers: Id,
        id: Id,
        request: impl FnMut() -> Id,
    ) -> (Answered, Option<Message>) {
        let Some(entry) = self.entries.get_mut(pattern) else { return (Answered::Nothing, None) };
        entry.id = Some(id);
        if entry.outstanding != Some(answers) {
            return (Answered::Nothing, None);
        }
        entry.outstanding = None;
        match entry.is_unwanted {
            true => (Answered::Nothing, self.take_back(pattern, request)),
            false => (Answered::Confirmed, None),
        }
    }

    /// The peer has refused a request. What it had confirmed before of the same pattern, it keeps.
    pub fn handle_refused(
        &mut self,
        pattern: &Pattern,
        answers: Id,
        request: impl FnMut() -> Id,
    ) -> (Answered, Option<Message>) {
        let Some(entry) = self.entries.get_mut(pattern) else { return (Answered::Nothing, None) };
        if entry.outstanding != Some(answers) {
            return (Answered::Nothing, None);
        }
        (entry.outstanding, entry.is_refused) = (None, true);
        match entry.is_unwanted {
            true => (Answered::Nothing, self.take_back(pattern, request)),
            false => (Answered::Refused(entry.said), None),
        }
    }

    /// Whether the peer has confirmed the last that was said about the pattern.
    pub fn is_settled(&self, pattern: &Pattern) -> bool {
        self.entries.get(pattern).is_some_and(|entry| entry.outstanding.is_none() && !entry.is_refused)
    }

    /// The procedures that are answered here, as the peer has confirmed.
    pub fn agreed_procedures(&self) -> impl Iterator<Item = &Pattern> {
        let entries = self.entries.iter().filter(|(pattern, _)| pattern.kind == Kind::Procedure);
        entries.filter(|(_, entry)| entry.is_agreed()).map(|(pattern, _)| pattern)
    }

    /// Whether the peer has confirmed the pattern, and has not refused it since.
    pub fn is_agreed(&self, pattern: &Pattern) -> bool {
        self.entries.get(pattern).is_some_and(Entry::is_agreed)
    }

    /// A number that two nodes have in common when they agree on what is mirrored, whatever the order.
    pub fn digest(&self) -> u64 {
        digest(self.entries.iter().filter(|(_, entry)| !entry.is_refused).map(|(pattern, _)| pattern))
    }

    /// Whether nothing waits for an answer.
    pub fn is_quiet(&self) -> bool {
        self.entries.values().all(|entry| entry.outstanding.is_none())
    }

    /// The memory that it takes; the nodes of the tree are two thirds full.
    pub fn bytes(&self) -> usize {
        const ENTRY_BYTES: usize = size_of::<(Pattern, Entry)>() * 3 / 2;
        self.entries.len().saturating_mul(ENTRY_BYTES).saturating_add(self.uri_bytes)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn take_back(&mut self, pattern: &Pattern, mut request: impl FnMut() -> Id) -> Option<Message> {
        let removed = self.entries.remove(pattern)?;
        self.uri_bytes = self.uri_bytes.saturating_sub(allocated(pattern.uri.len()));
        let id = removed.id?;
        let (request, options) = (request(), Dict::new());
        Some(match pattern.kind {
            Kind::Topic => Message::Unsubscribe { request, subscription: id, options },
            Kind::Procedure => Message::Unregister { request, registration: id, options },
        })
    }
}

/// The digest of a set of patterns: 53 bits, so that every serializer carries it.
pub fn digest<'a>(patterns: impl Iterator<Item = &'a Pattern>) -> u64 {
    let one = |pattern: &Pattern| {
        let mut hash = Sha256::new();
        hash.update([pattern.kind as u8, pattern.policy as u8]);
        hash.update(pattern.uri.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11
    };
    patterns.fold(0, |sum, pattern| sum ^ one(pattern))
}

fn ask(pattern: &Pattern, want: Want, request: Id) -> Message {
    let with_match = |options: Dict| match pattern.policy {
        Match::Exact => options,
        policy => options.with("match", policy.name()),
    };
    let uri = pattern.uri.clone();
    match want {
        Want::Listen { generation } => {
            let options = with_generation(with_match(Dict::new()), generation);
            Message::Subscribe { request, options, topic: uri }
        }
        Want::Answer(offer) => Message::Register { request, options: with_match(offer.options()), procedure: uri },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pattern on one link: what is sent, told by the names of the messages.
    struct World {
        mirror: Mirror,
        n_requests: Id,
        sent: Vec<&'static str>,
    }

    impl World {
        fn want(&mut self, want: Option<Want>) {
            let n_requests = &mut self.n_requests;
            let message = self.mirror.want(&pattern(), want, || {
                *n_requests += 1;
                *n_requests
            });
            self.sent.extend(message.map(|message| message.name()));
        }

        /// The peer confirms the request with this id.
        fn confirm(&mut self, request: Id) -> Answered {
            let (answered, message) = self.mirror.handle_confirmed(&pattern(), request, 77, || 99);
            self.sent.extend(message.map(|message| message.name()));
            answered
        }

        fn refuse(&mut self, request: Id) -> Answered {
            self.mirror.handle_refused(&pattern(), request, || 99).0
        }
    }

    fn world() -> World {
        World { mirror: Mirror::default(), n_requests: 0, sent: Vec::new() }
    }

    fn pattern() -> Pattern {
        Pattern { kind: Kind::Procedure, policy: Match::Exact, uri: "com.a".to_owned() }
    }

    fn offer(weight: u32) -> Option<Want> {
        let (since, latest) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        Some(Want::Answer(Offer {
            invoke: "random",
            since,
            latest,
            weight,
            leaving: false,
            pending: false,
            force: false,
            generation: 0,
        }))
    }

    #[test]
    fn what_is_taken_back_before_it_is_confirmed_is_taken_back_after() {
        let mut world = world();
        world.want(offer(1));
        world.want(None);
        assert_eq!(world.sent, ["REGISTER"]);
        assert_eq!(world.confirm(1), Answered::Nothing);
        assert_eq!(world.sent, ["REGISTER", "UNREGISTER"]);
        assert!(world.mirror.is_empty());
    }

    #[test]
    fn who_changes_his_mind_twice_has_said_it_once() {
        let mut world = world();
        world.want(offer(1));
        world.want(None);
        world.want(offer(1));
        assert_eq!(world.confirm(1), Answered::Confirmed);
        assert_eq!(world.sent, ["REGISTER"]);
        assert!(world.mirror.is_settled(&pattern()));
    }

    #[test]
    fn only_the_last_answer_counts() {
        let mut world = world();
        world.want(offer(1));
        world.want(offer(2));
        assert_eq!(world.refuse(1), Answered::Nothing, "what was refused is not wanted any more");
        assert!(!world.mirror.is_settled(&pattern()));
        assert_eq!(world.confirm(2), Answered::Confirmed);
        world.want(offer(3));
        assert_eq!(world.refuse(3), Answered::Refused(offer(3).expect("an offer")));
        assert!(!world.mirror.is_settled(&pattern()));
    }

    #[test]
    fn digests_do_not_depend_on_the_order() {
        let patterns: Vec<Pattern> =
            ["com.a", "com.b"].map(|uri| Pattern { uri: uri.to_owned(), ..pattern() }).to_vec();
        assert_eq!(digest(patterns.iter()), digest(patterns.iter().rev()));
        assert_ne!(digest(patterns.iter()), digest(patterns[1..].iter()));
    }
}
