//! Which callee of a registration gets a call.

use super::registrations::{Callee, Invoke, Registration};
use crate::realm::MemberKind;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The outcome of looking for a callee.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    /// The one at this place of `Registration::callees`.
    Callee(usize),
    /// Those that may take the call work on as many as they want to.
    Busy,
    /// None may take the call, now or later.
    Nobody,
}

impl Registration {
    /// Chooses, by the policy of the registration and the weight of each callee, among those that are free and that
    /// `fits` lets take the call. Those who are about to leave come last. With `local_first` this shard's clients come
    /// before links to others.
    pub(super) fn choose(&mut self, rng: &mut ChaCha8Rng, local_first: bool, fits: impl Fn(&Callee) -> bool) -> Choice {
        let is_local = |callee: &Callee| callee.kind == MemberKind::Client;
        let is_able = |callee: &Callee| callee.is_free() && fits(callee);
        let any_stays = self.callees.iter().any(|callee| !callee.leaving && is_able(callee));
        let is_able = |callee: &Callee| is_able(callee) && !(callee.leaving && any_stays);
        let local_only = local_first && self.callees.iter().any(|callee| is_local(callee) && is_able(callee));
        let is_candidate = |callee: &Callee| is_able(callee) && (is_local(callee) || !local_only);
        let chosen = match self.invoke {
            // Of a single registration there is a second callee only until the younger one's node withdraws it.
            Invoke::Single | Invoke::First => {
                let first = self.candidates(is_candidate).min_by_key(|(_, callee)| callee.since);
                first.map(|(index, _)| index)
            }
            Invoke::Last => {
                let last = self.candidates(is_candidate).max_by_key(|(_, callee)| callee.latest);
                last.map(|(index, _)| index)
            }
            Invoke::Random => self.random(rng, is_candidate),
            Invoke::RoundRobin => self.next_in_turn(is_candidate),
        };
        match chosen {
            Some(index) => Choice::Callee(index),
            None if self.callees.iter().any(fits) => Choice::Busy,
            None => Choice::Nobody,
        }
    }

    fn candidates(&self, is_candidate: impl Fn(&Callee) -> bool) -> impl Iterator<Item = (usize, &Callee)> {
        self.callees.iter().enumerate().filter(move |(_, callee)| is_candidate(callee))
    }

    fn random(&self, rng: &mut ChaCha8Rng, is_candidate: impl Fn(&Callee) -> bool) -> Option<usize> {
        let candidates = || self.candidates(&is_candidate);
        let total: u64 = candidates().map(|(_, callee)| u64::from(callee.weight)).sum();
        if total == 0 {
            return None;
        }
        let mut rest = rng.random_range(0..total);
        for (index, callee) in candidates() {
            match rest.checked_sub(u64::from(callee.weight)) {
                Some(less) => rest = less,
                None => return Some(index),
            }
        }
        None
    }

    /// A callee of weight n has n calls in a row: the far node hands them to its n callees in turn, so that all
    /// callees of all nodes have their turn.
    fn next_in_turn(&mut self, is_candidate: impl Fn(&Callee) -> bool) -> Option<usize> {
        // One step more than there are callees, because the first may just have had all of its calls.
        for _ in 0..=self.callees.len() {
            if self.turn >= self.callees.len() {
                (self.turn, self.turn_calls) = (0, 0);
            }
            let callee = self.callees.get(self.turn)?;
            if self.turn_calls < callee.weight && is_candidate(callee) {
                self.turn_calls += 1;
                return Some(self.turn);
            }
            (self.turn, self.turn_calls) = (self.turn + 1, 0);
        }
        None
    }

    /// Whether any callee could take one more call.
    pub(super) fn has_free_callee(&self) -> bool {
        self.callees.iter().any(Callee::is_free)
    }
}
