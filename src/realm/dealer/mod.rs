//! Call and register: who answers what, and the calls that wait for an answer. Every CALL gets exactly one final
//! RESULT or ERROR while its caller is here, whatever its caller, its callee and the clock do in the meantime.
//!
//! Two tables hold everything: `registrations` says who answers what, `calls` who waits for what. A call either waits
//! in the queue of its registration or is an invocation of one callee. How it gets there is told in `routing`, how it
//! ends in `answers`.

mod answers;
mod awaited;
mod calls;
mod departures;
mod register;
mod registrations;
mod routing;
mod select;
mod undelivered;

#[cfg(test)]
mod tests;

pub(super) use answers::{Answer, send_answer};
pub use departures::Farewell;
pub use registrations::{Invoke, LocalCallees, Registration};

use super::{Context, MemberKind, ledger::Ledger};
use crate::kept::Kind;
use crate::wamp::parts::OpenInputs;
use crate::wamp::uri::Match;
use crate::wamp::{Id, SessionKey, error};
use awaited::{AWAITED, Awaited};
use calls::{Call, Calls, Work};
use departures::Departures;
use registrations::Registrations;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// The dealer of one realm.
///
/// `Realm` has checked URIs, reserved names and authorization when it calls `handle_register` and `handle_call`, and
/// the codec the types of options and details.
#[derive(Debug, Default)]
pub struct Dealer {
    registrations: Registrations,
    calls: Calls,
    /// Calls of procedures whose callees are about to come back.
    awaited: Awaited,
    /// Sessions whose turn to leave has come.
    departures: Departures,
    /// The calls of each session that have more parts to come.
    inputs: HashMap<SessionKey, OpenInputs>,
    /// For `Callee::serial`.
    n_callees_added: u64,
    /// The clients of this node are being let go.
    is_leaving: bool,
    /// The patterns whose callees among the clients have changed; see `Realm::take_changes`.
    pub(super) changed: BTreeSet<(Match, String)>,
}

/// Who waits for the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    Session(SessionKey),
    /// The program that runs the router; the final answer is `Effect::Answer` with this token.
    Program(u64),
    /// The realm itself, which asks a dynamic authorizer; the final answer goes to `Context::answers` with this token.
    Authority(u64),
}

impl Dealer {
    /// Every registration, by id.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.iter()
    }

    pub fn registration(&self, id: Id) -> Option<&Registration> {
        self.registrations.registration(id)
    }

    /// The registration of exactly this pattern.
    pub fn lookup(&self, uri: &str, policy: Match) -> Option<&Registration> {
        self.registrations.lookup(uri, policy)
    }

    /// See `PatternTable::probes_with`.
    pub(in crate::realm) fn probes_with(&self, uri: &str, policy: Match) -> usize {
        self.registrations.probes_with(uri, policy)
    }

    /// The registration that a call of `uri` goes to.
    pub fn best_match(&self, uri: &str) -> Option<&Registration> {
        self.registrations.best_match(uri)
    }

    /// How many registrations a member has.
    pub fn n_held_by(&self, key: SessionKey) -> usize {
        self.registrations.n_of_session(key)
    }

    /// The registrations of one member.
    pub fn held_by(&self, key: SessionKey) -> impl Iterator<Item = &Registration> {
        self.registrations.of_session(key).filter_map(|id| self.registrations.registration(id))
    }

    /// All clients of this node are about to leave, or stay after all: calls go to other nodes where these have
    /// callees, the calls of this node's own clients too.
    pub fn set_leaving(&mut self, is_leaving: bool) {
        self.is_leaving = is_leaving;
        for registration in self.registrations.iter_mut() {
            let clients = registration.callees.iter_mut().filter(|callee| callee.kind == MemberKind::Client);
            for callee in clients {
                callee.leaving = is_leaving;
                self.changed.insert((registration.policy, registration.uri.clone()));
            }
        }
    }

    /// Ends all that `key` had as a caller and as a callee. It must still be in `cx.members`; nothing is sent to it.
    pub fn handle_leave(&mut self, cx: &mut Context, key: SessionKey) {
        self.inputs.remove(&key);
        self.departures.remove(key);
        let caller = Caller::Session(key);
        for call in self.calls.of_caller(caller) {
            let Some(call) = self.take(cx, call) else { continue };
            if call.invocation().is_some_and(|invocation| invocation.callee != key) {
                self.abandon(cx, call, Some(error::CANCELED));
            }
        }
        let (error, sentence) = match cx.members.member(key).map(|member| member.kind) {
            Some(MemberKind::Peer) => (error::NETWORK_FAILURE, "the link to the node of the callee is lost"),
            _ => (error::CANCELED, "the callee has left"),
        };
        for work in self.calls.take_work(key).into_values() {
            let Work::Call(call) = work else { continue };
            self.fail(cx, call, error, sentence);
        }
        self.remove_callees_of(cx, key);
    }

    /// Takes all registrations away from one member.
    pub(super) fn remove_callees_of(&mut self, cx: &mut Context, key: SessionKey) {
        let registrations: Vec<Id> = self.registrations.of_session(key).collect();
        for registration in registrations {
            self.remove_callee(cx, registration, key);
        }
    }

    /// Ends the calls whose time has come, and lets those go whose time to leave is over.
    pub fn handle_timeout(&mut self, cx: &mut Context) {
        self.awaited.expire(cx.now.uptime);
        self.end_departures(cx);
        while let Some((deadline, call)) = self.calls.first_deadline()
            && deadline <= cx.now.uptime
        {
            let is_wait_over = |call: &Call| call.gap_end.is_none_or(|gap_end| gap_end > cx.now.uptime);
            if self.calls.call(call).is_some_and(|call| call.registration == AWAITED && is_wait_over(call)) {
                self.give_up_waiting(cx, call);
            } else if let Some(call) = self.fail(cx, call, error::TIMEOUT, "the call took too long") {
                self.abandon(cx, call, Some(error::TIMEOUT));
            }
        }
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let first_call = self.calls.first_deadline().map(|(deadline, _)| deadline);
        let times = [first_call, self.awaited.first_expiry(), self.departures.first_deadline()];
        times.into_iter().flatten().min()
    }

    /// Whether a session waits for an answer, or owes one.
    pub fn is_busy(&self, key: SessionKey) -> bool {
        self.calls.n_of_caller(Caller::Session(key)) > 0 || self.calls.is_working(key)
    }

    /// Asserts that all tables agree with one another. For tests and simulations: it looks at everything.
    pub fn check(&self) {
        self.registrations.check();
        self.calls.check();
        let mut n_taken = HashMap::new();
        for slot in self.calls.slots().chain(self.calls.abandoned_slots()) {
            *n_taken.entry((slot.registration, slot.callee)).or_insert(0) += 1;
        }
        for slot in self.calls.abandoned_slots() {
            assert!(self.registrations.callee(slot).is_some(), "{slot:?} is of nobody");
        }
        let mut n_queued = self.awaited.n_waiting();
        for key in self.awaited.calls() {
            assert!(
                self.calls.call(key).is_some_and(|call| call.registration == AWAITED && call.invocation().is_none())
            );
        }
        for registration in self.registrations.iter() {
            for callee in registration.callees.iter().filter(|callee| callee.concurrency.is_some()) {
                let taken = n_taken.get(&(registration.id, callee.serial)).copied().unwrap_or(0);
                assert_eq!(callee.in_flight, taken, "{callee:?}");
            }
            for call in &registration.queue {
                let call = self.calls.call(*call);
                assert!(call.is_some(), "what waits in a queue is a call");
                let Some(call) = call else { continue };
                assert!(call.invocation().is_none() && call.registration == registration.id, "{call:?}");
                let mut fitting = registration.callees.iter().filter(|callee| call.fits(callee)).peekable();
                assert!(fitting.peek().is_some(), "{call:?} waits for nobody");
                assert!(fitting.all(|callee| !callee.is_free()), "{call:?} waits though a callee is free");
            }
            n_queued += registration.queue.len();
        }
        assert_eq!(n_queued, self.calls.iter().filter(|(_, call)| call.invocation().is_none()).count());
    }

    /// Asserts that the ledger has what registrations and calls take. For tests and simulations.
    pub fn check_kept(&self, ledger: &Ledger) {
        assert_eq!(ledger.tally().of(Kind::Registrations), self.registrations.bytes());
        let charged = self.calls.iter().map(|(_, call)| call.charged).sum::<usize>();
        assert_eq!(ledger.tally().of(Kind::Calls), charged);
        for (_, call) in self.calls.iter() {
            assert_eq!(call.charged, call.bytes(), "{call:?}");
        }
    }

    /// Whether nothing is registered and nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        let has_registration = self.registrations.iter().next().is_some();
        !has_registration
            && [self.calls.is_empty(), self.inputs.is_empty(), self.awaited.is_empty(), self.departures.is_empty()]
                .iter()
                .all(|is_empty| *is_empty)
    }
}
