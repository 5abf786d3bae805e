//! The answers of dynamic authorizers that may be used again.

use super::Demand;
use super::question::Answer;
use crate::limits::Limits;
use crate::time::Now;
use crate::wamp::Identity;
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

impl AnswerCache {
    pub(super) fn answer(&mut self, key: &CacheKey, now: Now) -> Option<Answer> {
        self.expire(now);
        self.answers.get(key).copied()
    }

    /// Keeps an answer; when there are too many, the oldest goes.
    pub(super) fn insert(&mut self, key: CacheKey, answer: Answer, now: Now, limits: &Limits) {
        self.expire(now);
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
            self.remove_oldest();
        }
        self.expiring.push_back((now.uptime.saturating_add(limits.authorizer_cache_ttl), key.clone()));
        self.answers.insert(key, answer);
    }

    fn expire(&mut self, now: Now) {
        while self.expiring.front().is_some_and(|(at, _)| *at <= now.uptime) {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((_, key)) = self.expiring.pop_front() {
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
        cache.insert(key("a"), yes, start, &limits);
        cache.insert(key("b"), yes, later, &limits);
        assert_eq!(cache.answer(&key("a"), later), Some(yes));
        cache.insert(key("c"), yes, later, &limits);
        assert_eq!(cache.answer(&key("a"), later), None, "the oldest made room");
        assert_eq!(cache.answer(&key("b"), start.after(Duration::from_secs(14))), Some(yes));
        assert_eq!(cache.answer(&key("b"), start.after(Duration::from_secs(15))), None, "it has expired");
        assert_eq!((cache.answers.len(), cache.expiring.len()), (0, 0));
    }
}
