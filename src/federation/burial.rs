//! What this node's clients are told of sessions whose node is dead: their testaments, and that they have left. Where
//! they have left much behind it is told a little at a time, so that subscribers who read have had one part before the
//! next.

use super::ClusteredRealm;
use crate::limits::{BURIAL_BYTES, BURIAL_PAUSE};
use crate::realm::Effect;
use crate::realm::broker::Publisher;
use crate::realm::testament::{Scope, Testament};
use crate::time::Now;
use std::collections::VecDeque;
use std::time::Duration;

/// The sessions of which not all has been told.
#[derive(Debug, Default)]
pub(super) struct Burials {
    waiting: VecDeque<Burial>,
    /// The uptime at which the next part may be told.
    next_at: Duration,
    /// What the testaments take.
    bytes: usize,
}

#[derive(Debug)]
struct Burial {
    publisher: Publisher,
    testaments: VecDeque<Testament>,
}

impl Burials {
    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.waiting.len() * size_of::<Burial>() * 3 / 2
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }
}

impl ClusteredRealm {
    /// Tells of one session, after all those before it.
    pub(super) fn bury(&mut self, publisher: Publisher, mut testaments: Vec<Testament>) {
        self.burials.bytes += testaments.iter().map(Testament::bytes).sum::<usize>();
        testaments.sort_by_key(|testament| testament.scope != Scope::Detached);
        self.burials.waiting.push_back(Burial { publisher, testaments: testaments.into() });
    }

    /// Tells the next part, if it is time.
    pub(super) fn continue_burials(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.burials.next_at <= now.uptime && self.tell_some(now, BURIAL_BYTES, out) {
            self.burials.next_at = now.uptime + BURIAL_PAUSE;
        }
    }

    /// Tells all that is left to be told: one of the sessions is here again.
    pub(super) fn finish_burials(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.tell_some(now, usize::MAX, out);
    }

    /// Publishes testaments of about so many bytes. Whether more is to come.
    fn tell_some(&mut self, now: Now, bytes_max: usize, out: &mut Vec<Effect>) -> bool {
        let mut bytes = 0;
        while let Some(burial) = self.burials.waiting.front_mut() {
            if bytes >= bytes_max {
                return true;
            }
            if let Some(testament) = burial.testaments.pop_front() {
                bytes += testament.payload.len();
                self.burials.bytes -= testament.bytes();
                let publisher = burial.publisher.clone();
                self.realm.publish_testament(now, &publisher, testament, out);
            } else if let Some(Burial { publisher, .. }) = self.burials.waiting.pop_front() {
                self.realm.bury(now, publisher, out);
            }
        }
        false
    }
}
