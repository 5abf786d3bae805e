//! Calls that the program itself answers or makes, beside the meta API: what operators' tools and other programs of the
//! cluster ask of it, in realms of its own that no other node shares.

use super::shard::{RealmIndex, Shard};
use crate::drop::{DropReason, Refused};
use crate::realm::CallError;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// A call that waits for the program's answer.
#[derive(Debug)]
pub struct Served {
    key: SessionKey,
    /// Tells the caller from a later session at its place.
    session: Id,
    request: Id,
    pub realm: RealmIndex,
    /// Where the caller is, like `tcp4:127.0.0.1:51926`.
    pub from: String,
    /// Who calls, as it was admitted.
    pub authid: String,
    pub authrole: String,
    pub procedure: String,
    pub payload: Payload,
}

/// The arguments of a RESULT, or an ERROR.
pub type Answer = Result<Payload, CallError>;

/// An ERROR with one sentence for the caller.
pub fn refusal(error: &str, sentence: impl Into<String>) -> CallError {
    CallError { error: error.to_owned(), payload: Payload::from_values(vec![sentence.into().into()], Dict::new()) }
}

impl Shard {
    /// Has calls of procedures that begin with `prefix` answered by whoever reads the channel. At most `SERVED_MAX`
    /// wait.
    pub fn serve_realm(&mut self, realm: RealmIndex, prefix: &'static str) -> mpsc::Receiver<Served> {
        let (sender, receiver) = mpsc::channel(SERVED_MAX);
        if let Some(slot) = self.realms.get_mut(realm.0) {
            slot.served = Some((prefix, sender));
        }
        receiver
    }

    /// Takes a message that is for the program itself; gives back what is for the realm.
    pub(super) fn take_served(&mut self, key: SessionKey, realm: RealmIndex, message: Message) -> Option<Message> {
        let Some(slot) = self.realms.get(realm.0) else { return Some(message) };
        let Some((prefix, sender)) = &slot.served else { return Some(message) };
        match message {
            Message::Call { request, procedure, payload, .. } if procedure.starts_with(prefix) => {
                let identity = &slot.realm.members().member(key)?.identity;
                let (authid, authrole) = (identity.authid.clone(), identity.authrole.clone());
                let session = identity.session;
                let from =
                    self.connections.get(key.0 as usize).map(|found| found.peer.name.clone()).unwrap_or_default();
                let served = Served { key, session, request, realm, from, authid, authrole, procedure, payload };
                if let Err(TrySendError::Full(served) | TrySendError::Closed(served)) = sender.try_send(served) {
                    let sentence = "this program is too busy to answer";
                    let refused = Refused::new(DropReason::LimitExceeded, sentence);
                    self.note(key, refused.about("call", &served.procedure));
                    self.deliver(key, Message::error(code::CALL, request, error::LIMIT_EXCEEDED, sentence));
                }
                None
            }
            message => Some(message),
        }
    }

    /// Answers a call, if its caller is still there.
    pub fn answer(&mut self, served: &Served, answer: Answer) {
        let slot = self.realms.get(served.realm.0);
        let member = slot.and_then(|slot| slot.realm.members().member(served.key));
        if member.is_none_or(|member| member.identity.session != served.session) {
            return self.note_in(Some(served.realm), DropReason::CallerGone);
        }
        let (request, details) = (served.request, Dict::new());
        let message = match answer {
            Ok(payload) => Message::Result { request, details, payload },
            Err(CallError { error, payload }) => {
                Message::Error { request_type: code::CALL, request, details, error, payload }
            }
        };
        self.deliver(served.key, message);
        self.work_off(self.now());
        self.wake_flusher();
    }

    /// Calls a procedure of one of this program's realms. The answer comes after `timeout` at the latest.
    pub fn call(
        &mut self,
        realm: RealmIndex,
        procedure: &str,
        payload: Payload,
        timeout: Duration,
    ) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let (now, token) = (self.now(), self.token());
        self.own_calls.insert(token, sender);
        self.with_realm(realm, |realm, effects| realm.call(now, token, procedure, payload, timeout, effects));
        self.work_off(now);
        self.wake_flusher();
        receiver
    }

    /// Publishes an event to whoever listens in one of this program's realms.
    pub fn publish(&mut self, realm: RealmIndex, topic: &'static str, args: Vec<Value>) {
        let now = self.now();
        self.with_realm(realm, |realm, effects| realm.publish(now, topic, args, effects));
        self.work_off(now);
        self.wake_flusher();
    }
}

/// More than this many calls do not wait for the program; they are answered within milliseconds.
const SERVED_MAX: usize = 1_024;
