//! Procedures whose last callee was let go by its node, in a drain or a rebalance: it comes back on another node in a
//! moment, and until then calls wait for it instead of failing.

use super::calls::{Call, CallKey};
use super::routing::end;
use super::{Caller, Dealer};
use crate::realm::{Context, Origin};
use crate::wamp::uri::Match;
use crate::wamp::{Id, error};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is awaited, and who waits.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Until when, in uptime.
    patterns: BTreeMap<(Match, String), Duration>,
    /// In the order in which they came.
    pub(super) queue: BTreeSet<CallKey>,
}

/// Takes the place of the registration in a call that waits here; no registration has this id.
pub(super) const AWAITED: Id = 0;

impl Dealer {
    /// The last callee of this pattern was let go.
    pub(super) fn await_return(&mut self, cx: &Context, policy: Match, uri: &str) {
        self.awaited.patterns.retain(|_, until| *until > cx.now.uptime);
        self.awaited.patterns.insert((policy, uri.to_owned()), cx.now.uptime + RETURN_MAX);
    }

    /// Whether somebody who answers this procedure is about to come back.
    pub(super) fn is_awaited(&self, cx: &Context, procedure: &str) -> bool {
        self.awaited.queue.len() < cx.config.limits.calls_queued_max
            && self
                .awaited
                .patterns
                .iter()
                .any(|((policy, uri), until)| *until > cx.now.uptime && policy.covers(uri, procedure))
    }

    /// Lets a call wait for whoever comes back.
    pub(super) fn wait_for_return(&mut self, cx: &Context, key: CallKey) {
        let Some(call) = self.calls.call_mut(key) else { return };
        (call.registration, call.end) = (AWAITED, Some(cx.now.uptime + RETURN_MAX));
        call.tried.clear();
        self.calls.start_timer(key, cx.now.uptime);
        self.awaited.queue.insert(key);
    }

    /// Sends on the calls that have found whom they waited for.
    pub(super) fn release_awaited(&mut self, cx: &mut Context) {
        for key in self.awaited.queue.clone() {
            let Some(call) = self.calls.call(key) else { continue };
            let Some(registration) = self.registrations.best_match(&call.procedure).map(|found| found.id) else {
                continue;
            };
            self.awaited.queue.remove(&key);
            let Some(call) = self.calls.call_mut(key) else { continue };
            (call.registration, call.end) = (registration, end(cx));
            self.calls.start_timer(key, cx.now.uptime);
            self.route(cx, key);
        }
    }

    /// Nobody has come back in time.
    pub(super) fn give_up_waiting(&mut self, cx: &mut Context, key: CallKey) {
        let procedure = self.calls.call(key).map(|call| call.procedure.clone()).unwrap_or_default();
        self.fail(cx, key, error::NO_SUCH_PROCEDURE, &format!("no callee has registered {procedure} again"));
    }
}

impl Call {
    /// Whether it could be sent to another callee as if nothing had happened, and its caller is one of our own: calls
    /// of other nodes wait there.
    pub(super) fn may_wait_for_return(&self) -> bool {
        let is_own = self.origin == Origin::Client && matches!(self.caller, Caller::Session(_));
        is_own && self.payload.is_some() && !self.input_open
    }
}

/// Clients that are sent away connect again within a second or two.
const RETURN_MAX: Duration = Duration::from_secs(3);
