//! The answers of dynamic authorizers that may be used again.

use super::Demand;
use super::question::Answer;
use crate::kept::Kind;
use crate::limits::Limits;
use crate::realm::Forgetting;
use crate::realm::ledger::Ledger;
use crate::realm::pattern::hashed;
use crate::time::Now;
use crate::wamp::Identity;
use crate::wire::allocated;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Answers by who asked for what. Bounded in number and in time.
#[derive(Debug, Default)]
pub(super) struct AnswerCache {
    answers: HashMap<CacheKey, Answer>,
    /// The same keys with the uptime at which each expires, in that order: all live equally long.
    expiring: VecDeque<(Duration, CacheKey)>,
}

/// Sessions of the same authid and authrole may do the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    authrole: String,
    authid: String,
    demand: Demand,
}

impl CacheKey {
    pub(super) fn of(identity: &Identity, demand: &Demand) -> CacheKey {
        CacheKey { authrole: identity.authrole.clone(), authid: identity.authid.clone(), demand: demand.clone() }
    }
}

impl CacheKey {
    /// The memory that an answer takes with its two keys.
    fn bytes(&self) -> usize {
        let words = [&self.authrole, &self.authid, &self.demand.uri];
        let words: usize = words.iter().map(|word| allocated(word.len())).sum();
        2 * words + hashed(size_of::<(CacheKey, Answer)>()) + size_of::<(Duration, CacheKey)>() * 3 / 2
    }
}

impl AnswerCache {
    pub(super) fn answer(&mut self, key: &CacheKey, now: Now, ledger: &mut Ledger) -> Option<Answer> {
        self.expire(now, ledger);
        self.answers.get(key).copied()
    }

    /// Keeps an answer; when there are too many, the oldest goes. When nothing more may be kept, it is not.
    pub(super) fn insert(&mut self, key: CacheKey, answer: Answer, now: Now, limits: &Limits, ledger: &mut Ledger) {
        self.expire(now, ledger);
        if limits.authorizer_cache_max == 0 {
            return;
        }
        // Two sessions of one authid may have asked at the same time: the later answer counts, for the time of the
        // first.
        if let Some(known) = self.answers.get_mut(&key) {
            *known = answer;
            return;
        }
        while self.answers.len() >= limits.authorizer_cache_max {
            self.remove_oldest(ledger);
        }
        if ledger.admit(limits, None, key.bytes()).is_err() {
            return;
        }
        ledger.keep(Kind::Questions, key.bytes());
        self.expiring.push_back((now.uptime.saturating_add(limits.authorizer_cache_ttl), key.clone()));
        self.answers.insert(key, answer);
    }

    /// Forgets the answers that fit.
    pub(super) fn forget(&mut self, which: &Forgetting, ledger: &mut Ledger) {
        let fits = |key: &CacheKey| which.fits(&key.authid, &key.authrole, &key.demand.uri, key.demand.policy);
        self.expiring.retain(|(_, key)| {
            let is_forgotten = fits(key);
            if is_forgotten {
                ledger.release(Kind::Questions, key.bytes());
                self.answers.remove(key);
            }
            !is_forgotten
        });
    }

    /// Forgets all answers.
    pub(super) fn clear(&mut self, ledger: &mut Ledger) {
        while !self.expiring.is_empty() {
            self.remove_oldest(ledger);
        }
    }

    fn expire(&mut self, now: Now, ledger: &mut Ledger) {
        while self.expiring.front().is_some_and(|(at, _)| *at <= now.uptime) {
            self.remove_oldest(ledger);
        }
    }

    fn remove_oldest(&mut self, ledger: &mut Ledger) {
        if let Some((_, key)) = self.expiring.pop_front() {
            ledger.release(Kind::Questions, key.bytes());
            self.answers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::Action;
    use crate::realm::tests::identity;
    use crate::wamp::uri::Match;

    fn key(uri: &str) -> CacheKey {
        let demand = Demand { action: Action::Call, uri: uri.to_owned(), policy: Match::Exact };
        CacheKey::of(&identity(1, "ada", "user"), &demand)
    }

    #[test]
    fn answers_are_bounded_in_number_and_time() {
        let limits =
            Limits { authorizer_cache_max: 2, authorizer_cache_ttl: Duration::from_secs(10), ..Limits::default() };
        let yes = Answer { allow: true, disclose: false, cache: true };
        let start = Now::epoch();
        let later = start.after(Duration::from_secs(5));
        let mut cache = AnswerCache::default();
        let ledger = &mut Ledger::default();
        cache.insert(key("a"), yes, start, &limits, ledger);
        cache.insert(key("b"), yes, later, &limits, ledger);
        assert_eq!(cache.answer(&key("a"), later, ledger), Some(yes));
        cache.insert(key("c"), yes, later, &limits, ledger);
        assert_eq!(cache.answer(&key("a"), later, ledger), None, "the oldest made room");
        assert_eq!(cache.answer(&key("b"), start.after(Duration::from_secs(14)), ledger), Some(yes));
        assert_eq!(cache.answer(&key("b"), start.after(Duration::from_secs(15)), ledger), None, "it has expired");
        assert_eq!((cache.answers.len(), cache.expiring.len(), ledger.tally().total()), (0, 0, 0));
    }
}
