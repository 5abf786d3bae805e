//! Procedures whose last callee was let go by its node, in a drain or a rebalance: it comes back on another node in a
//! moment, and until then calls wait for it instead of failing.

use super::Dealer;
use super::calls::{Call, CallKey};
use super::registrations::Registration;
use super::routing::end;
use crate::limits::CALLEE_RETURN_MAX;
use crate::realm::pattern::PatternTable;
use crate::realm::{Context, Origin};
use crate::wamp::uri::Match;
use crate::wamp::{Id, error};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

/// What is awaited, and who waits.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Until when each pattern is awaited, in uptime.
    patterns: PatternTable<Duration>,
    /// The same patterns, in the order in which they stop to be awaited.
    expiries: BTreeSet<(Duration, Match, String)>,
    /// The calls that wait, by procedure, and of each procedure in the order in which they came.
    waiting: BTreeSet<(String, CallKey)>,
}

/// Takes the place of the registration in a call that waits here; no registration has this id.
pub(super) const AWAITED: Id = 0;

impl Awaited {
    /// Awaits a pattern until this uptime, and no other.
    fn insert(&mut self, policy: Match, uri: &str, until: Duration) {
        if let Some(earlier) = self.patterns.insert(uri, policy, until) {
            self.expiries.remove(&(earlier, policy, uri.to_owned()));
        }
        self.expiries.insert((until, policy, uri.to_owned()));
    }

    /// Forgets the patterns that have been awaited long enough.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((until, _, _)) = self.expiries.first()
            && *until <= now
            && let Some((_, policy, uri)) = self.expiries.pop_first()
        {
            self.patterns.remove(&uri, policy);
        }
    }

    /// The uptime at which `expire` has something to do.
    pub(super) fn first_expiry(&self) -> Option<Duration> {
        self.expiries.first().map(|(until, _, _)| *until)
    }

    /// The call does not wait any more.
    pub(super) fn remove(&mut self, call: &Call, key: CallKey) {
        if call.registration == AWAITED {
            self.waiting.remove(&(call.procedure.clone(), key));
        }
    }

    /// The calls that a callee of this pattern could take, in the order in which they came.
    fn covered_by(&self, policy: Match, uri: &str) -> Vec<CallKey> {
        let from = match policy {
            Match::Exact | Match::Prefix => uri,
            Match::Wildcard => "",
        };
        let from: (Bound<(String, CallKey)>, _) =
            (Bound::Included((from.to_owned(), CallKey::FIRST)), Bound::Unbounded);
        let may_follow = |procedure: &str| match policy {
            Match::Exact => procedure == uri,
            Match::Prefix => procedure.starts_with(uri),
            // At most `calls_queued_max` wait in all.
            Match::Wildcard => true,
        };
        let candidates = self.waiting.range(from).take_while(|(procedure, _)| may_follow(procedure));
        let covered = candidates.filter(|(procedure, _)| policy.covers(uri, procedure));
        let mut keys: Vec<CallKey> = covered.map(|(_, key)| *key).collect();
        keys.sort_unstable();
        keys
    }

    /// How many calls wait.
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The calls that wait. For tests and simulations.
    pub(super) fn calls(&self) -> impl Iterator<Item = CallKey> {
        self.waiting.iter().map(|(_, key)| *key)
    }

    /// How many patterns are kept.
    #[cfg(test)]
    pub(super) fn n_patterns(&self) -> usize {
        self.expiries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.expiries.is_empty() && self.waiting.is_empty()
    }
}

impl Dealer {
    /// The last callee of this pattern was let go.
    pub(super) fn await_return(&mut self, cx: &Context, policy: Match, uri: &str) {
        self.awaited.insert(policy, uri, cx.now.uptime + CALLEE_RETURN_MAX);
    }

    /// Whether one more call may wait for somebody to come back.
    pub(super) fn has_room_to_wait(&self, cx: &Context) -> bool {
        self.awaited.n_waiting() < cx.config.limits.calls_queued_max
    }

    /// Until when somebody who answers this procedure may come back, in uptime; None when nobody is expected to.
    pub(super) fn awaited_until(&self, cx: &Context, procedure: &str) -> Option<Duration> {
        if self.awaited.expiries.is_empty() {
            return None;
        }
        let mut last = None;
        self.awaited.patterns.for_each_match(procedure, |until| last = last.max(Some(*until)));
        last.filter(|until| *until > cx.now.uptime)
    }

    /// Lets a call wait for whoever comes back.
    pub(super) fn wait_for_return(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.call_mut(key) else { return };
        call.registration = AWAITED;
        call.tried.clear();
        call.recount(cx.ledger);
        self.awaited.waiting.insert((call.procedure.clone(), key));
        self.calls.set_end(key, Some(cx.now.uptime + CALLEE_RETURN_MAX));
    }

    /// Sends on the calls that have waited for callees of this pattern.
    pub(super) fn release_awaited(&mut self, cx: &mut Context, policy: Match, uri: &str) {
        for key in self.awaited.covered_by(policy, uri) {
            let Some(call) = self.calls.call_mut(key) else { continue };
            let Some(registration) = self.registrations.best_match(&call.procedure).map(|found| found.id) else {
                continue;
            };
            self.awaited.remove(call, key);
            call.registration = registration;
            self.calls.set_end(key, end(cx));
            self.route(cx, key);
        }
    }

    /// Nobody has come back in time, unless the callee has left later than the call has begun to wait, or is still at
    /// work on its last calls: then the call goes on waiting.
    pub(super) fn give_up_waiting(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.call(key) else { return };
        let is_leaving = self.registrations.best_match(&call.procedure).is_some_and(Registration::is_leaving);
        let until = self.awaited_until(cx, &call.procedure);
        if let Some(until) = until.or(is_leaving.then(|| cx.now.uptime + CALLEE_RETURN_MAX)) {
            return self.calls.set_end(key, Some(until));
        }
        let sentence = format!("no callee has registered {} again", call.procedure);
        self.fail(cx, key, error::NO_SUCH_PROCEDURE, &sentence);
    }
}

impl Call {
    /// Whether it could be sent to another callee as if nothing had happened, and was made on this node: calls of
    /// other nodes wait there.
    pub(super) fn may_wait_for_return(&self) -> bool {
        self.origin == Origin::Client && self.payload.is_some() && !self.input_open
    }
}
