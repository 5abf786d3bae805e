//! Failed logins, by address and principal, and what they cost: after a few of them, the next login of this principal
//! from this address is refused for a time that doubles with each further one. Never by the principal alone, or anybody
//! could lock out anybody; and what is refused for a penalty makes it no longer, or clients that try again by
//! themselves would never get in.

use crate::limits::{PENALTIES_MAX, PENALTY_MAX, PENALTY_MEMORY, UNPUNISHED_FAILURES};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// Who has failed, the oldest of them given up when there are too many.
#[derive(Debug, Default)]
pub struct Penalties {
    failed: HashMap<Culprit, Failures>,
    /// By the number of the last failure.
    by_age: BTreeMap<u64, Culprit>,
    number_next: u64,
}

/// Somebody who logs in from somewhere. Of the principal a hash is kept: names may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Culprit {
    place: IpAddr,
    principal: [u8; 16],
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    n: u32,
    /// Of the last one: its number, and the uptime.
    number: u64,
    at: Duration,
}

impl Culprit {
    /// `place` is the address, of IPv6 the network: what one customer has.
    pub fn new(place: IpAddr, principal: &str) -> Culprit {
        let hash: [u8; 32] = Sha256::digest(principal).into();
        let mut short = [0; 16];
        short.iter_mut().zip(hash).for_each(|(short, byte)| *short = byte);
        Culprit { place, principal: short }
    }
}

impl Penalties {
    /// A login has failed.
    pub fn note(&mut self, culprit: Culprit, uptime: Duration) {
        let n = self.failures(culprit, uptime).map_or(0, |failures| failures.n).saturating_add(1);
        self.forgive(culprit);
        while self.failed.len() >= PENALTIES_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.failed.remove(&oldest);
        }
        let number = self.number_next;
        self.number_next = self.number_next.saturating_add(1);
        self.failed.insert(culprit, Failures { n, number, at: uptime });
        self.by_age.insert(number, culprit);
    }

    /// A login has succeeded.
    pub fn forgive(&mut self, culprit: Culprit) {
        if let Some(failures) = self.failed.remove(&culprit) {
            self.by_age.remove(&failures.number);
        }
    }

    /// How long the next login has to wait, if at all.
    pub fn wait(&self, culprit: Culprit, uptime: Duration) -> Option<Duration> {
        let failures = self.failures(culprit, uptime)?;
        let wait = failures.at.saturating_add(penalty(failures.n)).saturating_sub(uptime);
        (!wait.is_zero()).then_some(wait)
    }

    fn failures(&self, culprit: Culprit, uptime: Duration) -> Option<&Failures> {
        let failures = self.failed.get(&culprit)?;
        (uptime < failures.at.saturating_add(PENALTY_MEMORY)).then_some(failures)
    }
}

/// What so many failures in a row cost.
fn penalty(n: u32) -> Duration {
    match n.checked_sub(UNPUNISHED_FAILURES + 1) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1_u64.checked_shl(doublings).unwrap_or(u64::MAX)).min(PENALTY_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn culprit(last: u8, principal: &str) -> Culprit {
        Culprit::new([10, 0, 0, last].into(), principal)
    }

    #[test]
    fn penalties_double_up_to_a_bound() {
        let mut penalties = Penalties::default();
        let alice = culprit(1, "alice");
        let mut uptime = SECOND;
        let mut waits = Vec::new();
        for _ in 0..12 {
            penalties.note(alice, uptime);
            let wait = penalties.wait(alice, uptime).unwrap_or_default();
            waits.push(wait.as_secs());
            uptime += wait;
            assert_eq!(penalties.wait(alice, uptime), None, "it is over then");
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn it_is_for_this_principal_from_this_address() {
        let mut penalties = Penalties::default();
        (0..10).for_each(|_| penalties.note(culprit(1, "alice"), SECOND));
        assert!(penalties.wait(culprit(1, "alice"), SECOND).is_some());
        assert_eq!(penalties.wait(culprit(2, "alice"), SECOND), None);
        assert_eq!(penalties.wait(culprit(1, "bob"), SECOND), None);
    }

    #[test]
    fn success_and_time_forgive() {
        let mut penalties = Penalties::default();
        let alice = culprit(1, "alice");
        (0..10).for_each(|_| penalties.note(alice, SECOND));
        penalties.forgive(alice);
        assert_eq!(penalties.wait(alice, SECOND), None);
        (0..10).for_each(|_| penalties.note(alice, SECOND));
        let later = SECOND + PENALTY_MEMORY;
        penalties.note(alice, later);
        assert_eq!(penalties.wait(alice, later), None, "this is the first again");
    }

    #[test]
    fn the_oldest_is_given_up() {
        let mut penalties = Penalties::default();
        let many = u32::try_from(PENALTIES_MAX).unwrap() + 10;
        let (alice, bob) = (culprit(1, "alice"), culprit(1, "bob"));
        (0..4).for_each(|_| penalties.note(alice, SECOND));
        (0..4).for_each(|_| penalties.note(bob, SECOND));
        for n in 0..many {
            if n == 100 {
                penalties.note(bob, SECOND);
            }
            penalties.note(Culprit::new(n.to_be_bytes().into(), "x"), SECOND);
            assert!(penalties.failed.len() <= PENALTIES_MAX);
            assert_eq!(penalties.by_age.len(), penalties.failed.len());
        }
        assert_eq!(penalties.wait(alice, SECOND), None);
        assert!(penalties.wait(bob, SECOND).is_some(), "bob has failed later");
    }
}
