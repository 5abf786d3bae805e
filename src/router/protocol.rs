//! What is spoken on a connection: WAMP by a client (or a peer that has dialed in) with its session, a link that we
//! have dialed, whose messages all go to the realm, or nothing at all.

use crate::drop::{DropReason, Refused};
use crate::session::admission::Admission;
use crate::session::{Context, Session, Step};
use crate::wamp::{Identity, Message, error};
use crate::wire::{Dict, Serializer, Value};
use rand::CryptoRng;
use std::time::Duration;

/// What the two ends of a connection have agreed to speak.
#[derive(Debug)]
pub enum Protocol {
    /// The other side has dialed and opens sessions here.
    Wamp(Serializer, Session),
    /// We have dialed and hold a session there; its handshake is done.
    Link(Serializer),
    /// An Autobahn testee: what arrives is sent back.
    Echo,
}

impl Protocol {
    /// How messages are written; None where there are none.
    pub fn serializer(&self) -> Option<Serializer> {
        match self {
            Protocol::Wamp(serializer, _) | Protocol::Link(serializer) => Some(*serializer),
            Protocol::Echo => None,
        }
    }

    fn session(&mut self) -> Option<&mut Session> {
        if let Protocol::Wamp(_, session) = self { Some(session) } else { None }
    }

    pub fn handle_message(&mut self, cx: &Context, message: Message, rng: &mut dyn CryptoRng, out: &mut Vec<Step>) {
        match (self, message) {
            (Protocol::Wamp(_, session), message) => session.handle_message(cx, message, rng, out),
            (Protocol::Link(_), Message::Goodbye { .. } | Message::Abort { .. }) => {
                let sentence = "the other node has ended the link";
                out.extend([note(DropReason::PeerLost, sentence), Step::Leave, close(DropReason::PeerLost)]);
            }
            (Protocol::Link(_), message) => out.push(Step::Route(message)),
            (Protocol::Echo, _) => {}
        }
    }

    /// What arrived is no message.
    pub fn handle_violation(&mut self, sentence: &str, out: &mut Vec<Step>) {
        match self {
            Protocol::Wamp(_, session) => session.handle_violation(sentence, out),
            Protocol::Link(_) | Protocol::Echo => {
                self.abort(error::PROTOCOL_VIOLATION, sentence, DropReason::ProtocolViolation, out);
            }
        }
    }

    /// The transport is gone.
    pub fn handle_transport_closed(&mut self, out: &mut Vec<Step>) {
        match self {
            Protocol::Wamp(_, session) => session.handle_transport_closed(out),
            Protocol::Link(_) => {
                let sentence = "the connection of the link is lost";
                out.extend([note(DropReason::PeerLost, sentence), Step::Leave, close(DropReason::PeerLost)]);
            }
            Protocol::Echo => {}
        }
    }

    pub fn handle_authenticator_answer(
        &mut self,
        cx: &Context,
        attempt: u32,
        answer: Result<Value, String>,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Step>,
    ) {
        if let Some(session) = self.session() {
            session.handle_authenticator_answer(cx, attempt, answer, rng, out);
        }
    }

    /// Whether the question that the session waits for is to be asked, see `Session::may_ask`.
    pub fn may_ask(&mut self, cx: &Context, out: &mut Vec<Step>) -> bool {
        self.session().is_some_and(|session| session.may_ask(cx, out))
    }

    /// Whether what the listener admits now still covers the session, see `Session::is_covered`. Whom we have dialed
    /// the listener does not admit.
    pub fn is_covered(&self, admission: &Admission, realm: &str, identity: &Identity) -> bool {
        match self {
            Protocol::Wamp(_, session) => session.is_covered(admission, realm, identity),
            Protocol::Link(_) | Protocol::Echo => true,
        }
    }

    pub fn handle_timeout(&mut self, cx: &Context, out: &mut Vec<Step>) {
        if let Some(session) = self.session() {
            session.handle_timeout(cx, out);
        }
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if let Protocol::Wamp(_, session) = self { session.poll_timeout() } else { None }
    }

    /// Ends the session with GOODBYE.
    pub fn end(
        &mut self,
        cx: &Context,
        reason: &str,
        message: Option<&str>,
        drop_reason: DropReason,
        out: &mut Vec<Step>,
    ) {
        match self {
            Protocol::Wamp(_, session) => session.end(cx, reason, message, drop_reason, out),
            Protocol::Link(_) | Protocol::Echo => out.extend([
                note(drop_reason, message.unwrap_or(reason)),
                Step::Leave,
                Step::Send(Message::Goodbye { details: Dict::new(), reason: reason.to_owned() }),
                close(drop_reason),
            ]),
        }
    }

    /// Ends the session because the other side broke the protocol, or is not wanted.
    pub fn abort(&mut self, reason: &str, sentence: &str, drop_reason: DropReason, out: &mut Vec<Step>) {
        match self {
            Protocol::Wamp(_, session) => session.abort(reason, sentence, drop_reason, out),
            Protocol::Link(_) | Protocol::Echo => out.extend([
                note(drop_reason, sentence),
                Step::Leave,
                Step::Send(Message::abort(reason, sentence)),
                close(drop_reason),
            ]),
        }
    }
}

fn note(reason: DropReason, sentence: &str) -> Step {
    Step::Refused(Box::new(Refused::new(reason, sentence)))
}

fn close(reason: DropReason) -> Step {
    Step::CloseTransport { reason: Some(reason) }
}
