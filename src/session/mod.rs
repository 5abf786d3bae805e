//! One peer's session as a state machine, from the transport being up to its end: HELLO, who the peer is, what it may
//! send when, GOODBYE. Pure: messages and the time go in, [`Step`]s come out, and the driver takes them in order.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

pub mod admission;
mod authenticator;
mod challenge;
mod established;
mod handshake;
pub mod penalties;
pub mod rate;
mod standing;
#[cfg(test)]
mod tests;
mod welcome;

use crate::drop::{DropReason, Refused};
use crate::time::Now;
use crate::wamp::{Id, Identity, Message, error};
use crate::wire::Dict;
use admission::{Admission, Peer};
pub use authenticator::Question;
use established::{Established, Verdict};
use handshake::Handshake;
use penalties::Penalties;
use rand::CryptoRng;
use std::cell::RefCell;
use std::time::Duration;

/// What a session is told with every input.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    pub admission: &'a Admission,
    pub peer: &'a Peer,
    /// Of all logins of this program.
    pub penalties: &'a RefCell<Penalties>,
}

/// The session on one transport. After a GOODBYE the same transport may open another one.
#[derive(Debug)]
pub struct Session {
    state: State,
    /// When `handle_timeout` is due, in uptime.
    deadline: Option<Duration>,
    /// Counts the questions to authenticators, so that a late answer is not taken for the answer to a later question.
    attempt: u32,
}

/// What has to be done now, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// To this peer.
    Send(Message),
    /// The peer is admitted. Its WELCOME is sent once the realm has taken it; when the realm will not, call `abort`.
    Join(Box<Join>),
    /// A legal message of an established session, for its realm.
    Route(Message),
    /// Ask an authenticator; its answer goes to `handle_authenticator_answer`.
    Authenticate(Box<Question>),
    /// A peer or one of its messages was refused, or its session is ended: to be counted, and told to the operator.
    /// While there is a session, this comes before its `Leave`.
    Refused(Box<Refused>),
    /// The session is over: the realm must forget it now. Comes before the last message, so that nothing follows that.
    Leave,
    /// Close the transport once what was sent is flushed, for this reason if it is a loss. Nothing follows.
    CloseTransport { reason: Option<DropReason> },
}

/// A peer that is to join a realm.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub realm: String,
    pub identity: Identity,
    /// A router of this cluster, see `Grant::trusted_link`.
    pub trusted_link: bool,
    pub welcome: Message,
}

#[derive(Debug)]
enum State {
    /// No session; HELLO is expected.
    Opening,
    /// After HELLO, before WELCOME.
    Handshake(Box<Handshake>),
    /// Authentication has failed; the peer is told so at the deadline.
    Refused(Box<Message>),
    Established(Established),
    /// Our GOODBYE is out, its echo is expected; then the transport closes for this reason.
    Closing(DropReason),
    /// The transport is being closed.
    Closed,
}

impl Session {
    /// A session on a transport that has just come up.
    pub fn new(cx: &Context) -> Session {
        let mut session = Session { state: State::Opening, deadline: None, attempt: 0 };
        session.reopen(cx);
        session
    }

    /// The id of the established session.
    pub fn id(&self) -> Option<Id> {
        if let State::Established(established) = &self.state { Some(established.session) } else { None }
    }

    /// Whether what this listener admits now still covers the session, which is in this realm and is `identity` there.
    /// A session that is not open has nothing to lose: its handshake looks for itself.
    pub fn is_covered(&self, admission: &Admission, realm: &str, identity: &Identity) -> bool {
        match &self.state {
            State::Established(established) => admission.covers(realm, identity, established.proved.as_deref()),
            _ => true,
        }
    }

    /// The uptime at which `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.deadline
    }

    /// A message has arrived. The hot path of an established session appends one `Route`.
    pub fn handle_message(&mut self, cx: &Context, message: Message, rng: &mut dyn CryptoRng, out: &mut Vec<Step>) {
        match (&mut self.state, message) {
            (State::Closed | State::Refused(_), _) => {}
            (State::Closing(reason), Message::Goodbye { .. }) => {
                let reason = Some(*reason);
                self.close_transport(reason, out);
            }
            // ABORT is never answered, and who aborts has nothing more to say.
            (_, Message::Abort { .. }) => {
                self.leave(out);
                self.close_transport(None, out);
            }
            (State::Closing(_), _) => {}
            (State::Opening, Message::Hello { realm, details }) => self.handle_hello(cx, realm, details, rng, out),
            (State::Opening, other) => self.violation(&format!("{} came before HELLO", other.name()), out),
            (State::Handshake(_), Message::Authenticate { signature, .. }) => {
                self.handle_authenticate(cx, signature, rng, out);
            }
            (State::Handshake(_), other) => self.violation(&format!("{} came before WELCOME", other.name()), out),
            (State::Established(_), Message::Goodbye { .. }) => {
                self.leave(out);
                out.push(Step::Send(goodbye(error::CLOSE_GOODBYE_AND_OUT, None)));
                self.reopen(cx);
            }
            (State::Established(established), message) => match established.judge(message) {
                Verdict::Route(message) => out.push(Step::Route(message)),
                Verdict::Refuse(error, refused) => out.extend([Step::Refused(refused), Step::Send(error)]),
                Verdict::Drop(refused) => out.push(Step::Refused(refused)),
                Verdict::Violation(sentence) => self.violation(&sentence, out),
            },
        }
    }

    /// The peer sent something that is no message. `sentence` says what was wrong; the peer is told.
    pub fn handle_violation(&mut self, sentence: &str, out: &mut Vec<Step>) {
        match self.state {
            // Nothing but GOODBYE is listened to any more, so nothing else can be wrong.
            State::Closing(_) | State::Refused(_) | State::Closed => {}
            _ => self.violation(sentence, out),
        }
    }

    /// The peer has closed the transport, or it broke. A loss for a session that was open; one that we have ended has
    /// ended for the reason that it was ended for, and where there is none nothing is lost.
    pub fn handle_transport_closed(&mut self, out: &mut Vec<Step>) {
        if matches!(self.state, State::Established(_)) {
            note(DropReason::PeerLost, "the peer closed or reset the connection while its session was open", out);
        }
        self.leave(out);
        let reason = match self.state {
            State::Established(_) => Some(DropReason::PeerLost),
            State::Closing(reason) => Some(reason),
            State::Opening | State::Handshake(_) | State::Refused(_) => None,
            State::Closed => return,
        };
        self.close_transport(reason, out);
    }

    /// The time is `cx.now`; does nothing before the deadline.
    pub fn handle_timeout(&mut self, cx: &Context, out: &mut Vec<Step>) {
        if self.deadline.is_none_or(|deadline| cx.now.uptime < deadline) {
            return;
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Opening => {
                note(DropReason::HelloTimeout, "no HELLO led to a session in time", out);
                self.close_transport(Some(DropReason::HelloTimeout), out);
            }
            State::Handshake(handshake) => {
                let sentence = "authentication was not completed in time";
                out.push(handshake.refused(DropReason::HelloTimeout, sentence));
                out.push(Step::Send(Message::abort(error::TIMEOUT, sentence)));
                self.close_transport(Some(DropReason::HelloTimeout), out);
            }
            State::Refused(abort) => {
                out.push(Step::Send(*abort));
                self.close_transport(Some(DropReason::AuthenticationFailed), out);
            }
            State::Closing(_) => {
                note(DropReason::CloseTimeout, "the peer did not answer GOODBYE in time", out);
                self.close_transport(Some(DropReason::CloseTimeout), out);
            }
            state @ (State::Established(_) | State::Closed) => (self.state, self.deadline) = (state, None),
        }
    }

    /// The router ends the session: GOODBYE with `reason` (a URI), then the transport closes for `drop_reason` when the
    /// peer has echoed it or `close_timeout` is over. A peer without a session is told by an ABORT.
    pub fn end(
        &mut self,
        cx: &Context,
        reason: &str,
        message: Option<&str>,
        drop_reason: DropReason,
        out: &mut Vec<Step>,
    ) {
        match self.state {
            State::Established(_) => {
                note(drop_reason, message.unwrap_or(reason), out);
                self.leave(out);
                out.push(Step::Send(goodbye(reason, message)));
                self.state = State::Closing(drop_reason);
                self.deadline = Some(cx.now.uptime.saturating_add(cx.admission.limits.close_timeout));
            }
            State::Opening | State::Handshake(_) | State::Refused(_) => {
                self.abort(reason, message.unwrap_or("the router ends this connection"), drop_reason, out);
            }
            State::Closing(_) | State::Closed => {}
        }
    }

    /// The realm finds that the peer broke the protocol, or will not take it at all: ABORT with `reason` (a URI), and
    /// the transport closes at once for `drop_reason`.
    pub fn abort(&mut self, reason: &str, sentence: &str, drop_reason: DropReason, out: &mut Vec<Step>) {
        if matches!(self.state, State::Closed) {
            return;
        }
        match &self.state {
            State::Handshake(handshake) => out.push(handshake.refused(drop_reason, sentence)),
            _ => note(drop_reason, sentence, out),
        }
        self.leave(out);
        out.push(Step::Send(Message::abort(reason, sentence)));
        self.close_transport(Some(drop_reason), out);
    }

    fn violation(&mut self, sentence: &str, out: &mut Vec<Step>) {
        self.abort(error::PROTOCOL_VIOLATION, sentence, DropReason::ProtocolViolation, out);
    }

    /// Waits for a HELLO from now on.
    fn reopen(&mut self, cx: &Context) {
        self.state = State::Opening;
        self.deadline = Some(cx.now.uptime.saturating_add(cx.admission.limits.hello_timeout));
    }

    fn leave(&mut self, out: &mut Vec<Step>) {
        if matches!(self.state, State::Established(_)) {
            out.push(Step::Leave);
        }
    }

    fn close_transport(&mut self, reason: Option<DropReason>, out: &mut Vec<Step>) {
        (self.state, self.deadline) = (State::Closed, None);
        out.push(Step::CloseTransport { reason });
    }
}

/// Tells the operator why a peer is refused or its session ended.
fn note(reason: DropReason, sentence: &str, out: &mut Vec<Step>) {
    out.push(Step::Refused(Box::new(Refused::new(reason, sentence))));
}

fn goodbye(reason: &str, message: Option<&str>) -> Message {
    let details = message.map_or(Dict::new(), |message| Dict::new().with("message", message));
    Message::Goodbye { details, reason: reason.to_owned() }
}

// Every idle connection holds one.
const _: () = assert!(size_of::<Session>() <= 96);
