//! Sessions whose turn to leave has come, in a drain or a rebalance: what they have under way ends, nothing new begins,
//! and then they are told to go at once. However busy a session is, it so comes to an end.

use super::{Caller, Dealer};
use crate::drop::DropReason;
use crate::realm::{Context, Effect, Ending};
use crate::wamp::{Id, SessionKey, error};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// How a session is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// What its client is told with GOODBYE.
    pub message: &'static str,
    pub reason: DropReason,
    /// The uptime at which it goes even if it has calls under way.
    pub until: Duration,
}

/// The sessions that are going.
#[derive(Debug, Default)]
pub(super) struct Departures {
    by_session: HashMap<SessionKey, Farewell>,
    /// By the uptime at which each has to go.
    deadlines: BTreeSet<(Duration, SessionKey)>,
    /// Those of whose calls one has ended since `let_go` was called: it may have been the last.
    relieved: Vec<SessionKey>,
}

impl Departures {
    fn insert(&mut self, key: SessionKey, farewell: Farewell) {
        self.remove(key);
        self.by_session.insert(key, farewell);
        self.deadlines.insert((farewell.until, key));
    }

    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Farewell> {
        let farewell = self.by_session.remove(&key)?;
        self.deadlines.remove(&(farewell.until, key));
        Some(farewell)
    }

    pub(super) fn contains(&self, key: SessionKey) -> bool {
        !self.by_session.is_empty() && self.by_session.contains_key(&key)
    }

    /// A call of this session, or one that it worked on, has ended.
    pub(super) fn relieve(&mut self, key: SessionKey) {
        if self.contains(key) {
            self.relieved.push(key);
        }
    }

    pub(super) fn first_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_session.is_empty() && self.deadlines.is_empty() && self.relieved.is_empty()
    }
}

impl Dealer {
    /// The turn of a client has come to be sent away, to come back on another node. A CALL that it sends from now on
    /// counts as never made, as one that crosses GOODBYE does, and calls that it might have answered go to others or
    /// wait for its return.
    pub fn depart(&mut self, cx: &mut Context, key: SessionKey, farewell: Farewell) {
        self.departures.insert(key, farewell);
        let registrations: Vec<Id> = self.registrations.of_session(key).collect();
        for id in registrations {
            let Some(registration) = self.registrations.registration_mut(id) else { continue };
            registration.callees.iter_mut().filter(|callee| callee.session == key).for_each(|c| c.departing = true);
            self.changed.insert((registration.policy, registration.uri.clone()));
            for call in self.unservable(id) {
                if let Some(registration) = self.registrations.registration_mut(id) {
                    registration.queue.remove(&call);
                }
                self.route(cx, call);
            }
        }
        self.departures.relieve(key);
    }

    /// Whether a CALL of this session counts as never made.
    pub fn is_departing(&self, key: SessionKey) -> bool {
        self.departures.contains(key)
    }

    /// Tells those to go who have nothing under way any more. To be called when an input has been dealt with.
    pub fn let_go(&mut self, cx: &mut Context) {
        while let Some(key) = self.departures.relieved.pop() {
            if !self.is_busy(key)
                && let Some(farewell) = self.departures.remove(key)
            {
                say_goodbye(cx, key, farewell);
            }
        }
    }

    /// Tells those to go whose time is over. What they still wait for is answered: a call that has no answer when its
    /// caller is told to go has never been made, and may be made again.
    pub(super) fn end_departures(&mut self, cx: &mut Context) {
        while let Some((until, key)) = self.departures.deadlines.first().copied()
            && until <= cx.now.uptime
            && let Some(farewell) = self.departures.remove(key)
        {
            for call in self.calls.of_caller(Caller::Session(key)) {
                if let Some(call) = self.fail(cx, call, error::CANCELED, "the caller is sent to another node") {
                    self.abandon(cx, call, Some(error::CANCELED));
                }
            }
            say_goodbye(cx, key, farewell);
        }
    }
}

fn say_goodbye(cx: &mut Context, key: SessionKey, farewell: Farewell) {
    let Some(member) = cx.members.member_mut(key) else { return };
    member.ending = Some(Ending::Announced);
    cx.out.push(Effect::Goodbye {
        session: key,
        reason: error::CLOSE_SYSTEM_SHUTDOWN.to_owned(),
        message: Some(farewell.message.to_owned()),
        drop_reason: farewell.reason,
    });
}
