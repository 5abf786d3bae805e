//! Who speaks on a connection: a client (or a peer that has dialed in) with its session, or a peer that we have dialed,
//! whose messages all go to the realm.

use crate::drop::{DropReason, Refused};
use crate::session::admission::Admission;
use crate::session::{Context, Session, Step};
use crate::wamp::{Identity, Message, error};
use crate::wire::{Dict, Value};
use rand::CryptoRng;
use std::time::Duration;

/// The two ends that a connection can have.
#[derive(Debug)]
pub enum Speaker {
    /// The other side has dialed and opens sessions here.
    Session(Session),
    /// We have dialed and hold a session there; its handshake is done.
    Uplink,
}

impl Speaker {
    pub fn handle_message(&mut self, cx: &Context, message: Message, rng: &mut dyn CryptoRng, out: &mut Vec<Step>) {
        match (self, message) {
            (Speaker::Session(session), message) => session.handle_message(cx, message, rng, out),
            (Speaker::Uplink, Message::Goodbye { .. } | Message::Abort { .. }) => {
                let sentence = "the other node has ended the link";
                out.extend([note(DropReason::PeerLost, sentence), Step::Leave, close(DropReason::PeerLost)]);
            }
            (Speaker::Uplink, message) => out.push(Step::Route(message)),
        }
    }

    /// What arrived is no message.
    pub fn handle_violation(&mut self, sentence: &str, out: &mut Vec<Step>) {
        match self {
            Speaker::Session(session) => session.handle_violation(sentence, out),
            Speaker::Uplink => self.abort(error::PROTOCOL_VIOLATION, sentence, DropReason::ProtocolViolation, out),
        }
    }

    /// The transport is gone.
    pub fn handle_transport_closed(&mut self, out: &mut Vec<Step>) {
        match self {
            Speaker::Session(session) => session.handle_transport_closed(out),
            Speaker::Uplink => {
                let sentence = "the connection of the link is lost";
                out.extend([note(DropReason::PeerLost, sentence), Step::Leave, close(DropReason::PeerLost)]);
            }
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
        if let Speaker::Session(session) = self {
            session.handle_authenticator_answer(cx, attempt, answer, rng, out);
        }
    }

    /// Whether the question that the session waits for is to be asked, see `Session::may_ask`.
    pub fn may_ask(&mut self, cx: &Context, out: &mut Vec<Step>) -> bool {
        match self {
            Speaker::Session(session) => session.may_ask(cx, out),
            Speaker::Uplink => false,
        }
    }

    /// Whether what the listener admits now still covers the session, see `Session::is_covered`. Whom we have dialed
    /// the listener does not admit.
    pub fn is_covered(&self, admission: &Admission, realm: &str, identity: &Identity) -> bool {
        match self {
            Speaker::Session(session) => session.is_covered(admission, realm, identity),
            Speaker::Uplink => true,
        }
    }

    pub fn handle_timeout(&mut self, cx: &Context, out: &mut Vec<Step>) {
        if let Speaker::Session(session) = self {
            session.handle_timeout(cx, out);
        }
    }

    pub fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Speaker::Session(session) => session.poll_timeout(),
            Speaker::Uplink => None,
        }
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
            Speaker::Session(session) => session.end(cx, reason, message, drop_reason, out),
            Speaker::Uplink => out.extend([
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
            Speaker::Session(session) => session.abort(reason, sentence, drop_reason, out),
            Speaker::Uplink => out.extend([
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
