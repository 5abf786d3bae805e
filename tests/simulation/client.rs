//! A client of the simulation: what it has asked for, what it has heard, and what it must never hear.

use crossbar_cluster::wamp::message::code;
use crossbar_cluster::wamp::{Id, Message, SessionKey};
use crossbar_cluster::wire::{Dict, Payload, Value};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) struct Client {
    pub(crate) node: usize,
    pub(crate) key: SessionKey,
    pub(crate) session: Id,
    pub(crate) joined: Duration,
    pub(crate) is_gone: bool,
    pub(crate) inbox: Vec<(Duration, Message)>,
    n_requests: Id,
    /// Requests without an answer.
    pub(crate) open: BTreeMap<Id, (Duration, Message)>,
    /// What it has been told that it has: id, pattern, and since when.
    pub(crate) subscriptions: BTreeMap<Id, Held>,
    pub(crate) registrations: BTreeMap<Id, Held>,
    /// (subscription, publication) of every event.
    heard: BTreeSet<(Id, Id)>,
    /// The highest number of each publisher's events.
    last_of: BTreeMap<u64, u64>,
    /// Invocations that it works on.
    working: BTreeMap<Id, Duration>,
}

#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) uri: String,
    pub(crate) policy: String,
    pub(crate) asked: Duration,
    pub(crate) since: Duration,
}

impl Client {
    pub(crate) fn new(node: usize, key: SessionKey, session: Id, joined: Duration) -> Client {
        Client {
            node,
            key,
            session,
            joined,
            is_gone: false,
            inbox: Vec::new(),
            n_requests: 0,
            open: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            registrations: BTreeMap::new(),
            heard: BTreeSet::new(),
            last_of: BTreeMap::new(),
            working: BTreeMap::new(),
        }
    }

    /// The id for its next request.
    pub(crate) fn request(&mut self) -> Id {
        self.n_requests += 1;
        self.n_requests
    }

    pub(crate) fn note_sent(&mut self, now: Duration, message: &Message) {
        match message {
            Message::Subscribe { request, .. } | Message::Register { request, .. } | Message::Call { request, .. } => {
                self.open.insert(*request, (now, message.clone()));
            }
            Message::Publish { request, options, .. } if options.bool("acknowledge") == Some(true) => {
                self.open.insert(*request, (now, message.clone()));
            }
            Message::Unsubscribe { request, subscription, .. } => {
                self.open.insert(*request, (now, message.clone()));
                self.subscriptions.remove(subscription);
            }
            Message::Unregister { request, registration, .. } => {
                self.open.insert(*request, (now, message.clone()));
                self.registrations.remove(registration);
            }
            Message::Yield { request, options, .. } if options.bool("progress") != Some(true) => {
                self.working.remove(request);
            }
            Message::Error { request, .. } => {
                self.working.remove(request);
            }
            _ => {}
        }
    }

    /// Gives what it answers, and within how many milliseconds.
    pub(crate) fn receive(&mut self, now: Duration, message: &Message, rng: &mut ChaCha8Rng) -> Vec<(u64, Message)> {
        self.inbox.push((now, message.clone()));
        match message {
            Message::Subscribed { request, subscription: id } | Message::Registered { request, registration: id } => {
                let (asked, question) = self.close(*request, message);
                let held = held(&question, asked, now);
                match message {
                    Message::Subscribed { .. } => self.subscriptions.insert(*id, held),
                    _ => self.registrations.insert(*id, held),
                };
            }
            Message::Unsubscribed { request: 0, details } => {
                let id = details.uint("subscription").expect("a revocation says of what");
                self.subscriptions.remove(&id);
            }
            Message::Unregistered { request: 0, details } => {
                let id = details.uint("registration").expect("a revocation says of what");
                self.registrations.remove(&id);
            }
            Message::Published { request, .. } => drop(self.close(*request, message)),
            Message::Unsubscribed { request, .. } | Message::Unregistered { request, .. } => {
                self.close(*request, message);
            }
            Message::Error { request, request_type, .. } if *request_type != code::INVOCATION => {
                self.close(*request, message);
            }
            Message::Result { request, details, .. } if details.bool("progress") != Some(true) => {
                self.close(*request, message);
            }
            Message::Result { request, .. } => {
                assert!(self.open.contains_key(request), "a part of a result after the final one: {message:?}");
            }
            Message::Event { subscription, publication, payload, .. } => {
                self.hear(*subscription, *publication, payload, message);
            }
            Message::Invocation { request, payload, details, .. } => {
                return self.work(now, *request, payload, details, rng);
            }
            Message::Interrupt { request, .. } => {
                let was_working = self.working.remove(request).is_some();
                return was_working.then(|| (0, error(*request, "wamp.error.canceled"))).into_iter().collect();
            }
            _ => {}
        }
        Vec::new()
    }

    /// How many invocations it works on.
    pub(crate) fn n_working(&self) -> usize {
        self.working.len()
    }

    /// The answers to a request, with the name of the last message of each kind.
    pub(crate) fn answers(&self, request: Id) -> Vec<&Message> {
        let is_answer = |message: &&Message| match message {
            Message::Result { request: answers, .. }
            | Message::Published { request: answers, .. }
            | Message::Subscribed { request: answers, .. }
            | Message::Registered { request: answers, .. }
            | Message::Unsubscribed { request: answers, .. }
            | Message::Unregistered { request: answers, .. } => *answers == request,
            Message::Error { request_type, request: answers, .. } => {
                *request_type != code::INVOCATION && *answers == request
            }
            _ => false,
        };
        self.inbox.iter().map(|(_, message)| message).filter(is_answer).collect()
    }

    pub(crate) fn events(&self) -> Vec<&Message> {
        let messages = self.inbox.iter().map(|(_, message)| message);
        messages.filter(|message| matches!(message, Message::Event { .. })).collect()
    }

    /// The id of an acknowledged publication.
    pub(crate) fn published(&self, request: Id) -> Option<Id> {
        match self.answers(request)[..] {
            [Message::Published { publication, .. }] => Some(*publication),
            _ => None,
        }
    }

    pub(crate) fn has_heard(&self, subscription: Id, publication: Id) -> bool {
        self.heard.contains(&(subscription, publication))
    }

    fn close(&mut self, request: Id, answer: &Message) -> (Duration, Message) {
        let open = self.open.remove(&request);
        open.unwrap_or_else(|| panic!("session {} got an answer to nothing: {answer:?}", self.session))
    }

    /// Events of the simulation's publishers carry (publisher, number).
    fn hear(&mut self, subscription: Id, publication: Id, payload: &Payload, message: &Message) {
        let is_mine = self.subscriptions.contains_key(&subscription)
            || self
                .inbox
                .iter()
                .any(|(_, m)| matches!(m, Message::Subscribed { subscription: s, .. } if *s == subscription));
        assert!(is_mine, "an event before SUBSCRIBED, or of another's subscription: {message:?}");
        assert!(self.heard.insert((subscription, publication)), "session {} twice: {message:?}", self.session);
        let args = payload.args().unwrap_or_default();
        if let [Value::String(word), publisher, number] = &args[..]
            && word == "event"
        {
            let (publisher, number) = (publisher.as_uint().expect("an id"), number.as_uint().expect("a number"));
            let last = self.last_of.entry(publisher).or_default();
            assert!(number >= *last, "session {}: {number} of {publisher} comes after {last}", self.session);
            *last = number;
        }
    }

    /// Does what the caller wants: the first argument says what.
    fn work(
        &mut self,
        now: Duration,
        request: Id,
        payload: &Payload,
        details: &Dict,
        rng: &mut ChaCha8Rng,
    ) -> Vec<(u64, Message)> {
        self.working.entry(request).or_insert(now);
        if details.bool("progress") == Some(true) {
            // More parts of the call are to come.
            return Vec::new();
        }
        let args = payload.args().unwrap_or_default();
        let word = args.first().and_then(Value::as_str).unwrap_or("echo").to_owned();
        let session = self.session;
        let part = |progress: bool| Message::Yield {
            request,
            options: if progress { Dict::new().with("progress", true) } else { Dict::new() },
            payload: Payload::from_values(vec![session.into()], Dict::new()),
        };
        match word.as_str() {
            "echo" => vec![(0, part(false))],
            "slow" => vec![(rng.random_range(0..500), part(false))],
            "error" => vec![(0, error(request, "com.error.mine"))],
            "progress" => {
                let wants = details.bool("receive_progress") == Some(true);
                let mut parts = if wants { vec![(0, part(true)), (0, part(true))] } else { Vec::new() };
                parts.push((20, part(false)));
                parts
            }
            "long" => vec![(8_000, part(false))],
            // Until it is interrupted.
            "never" => Vec::new(),
            other => panic!("a callee does not know how to {other}"),
        }
    }
}

fn held(question: &Message, asked: Duration, since: Duration) -> Held {
    let (Message::Subscribe { options, topic: uri, .. } | Message::Register { options, procedure: uri, .. }) = question
    else {
        panic!("{question:?} is not to be answered so");
    };
    Held { uri: uri.clone(), policy: options.str("match").unwrap_or("exact").to_owned(), asked, since }
}

fn error(request: Id, error: &str) -> Message {
    Message::Error {
        request_type: code::INVOCATION,
        request,
        details: Dict::new(),
        error: error.to_owned(),
        payload: Payload::from_values(vec!["sorry".into()], Dict::new()),
    }
}
