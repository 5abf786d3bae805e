//! Event history: what was published on the topics of each configured rule, whoever listened.

use super::{Publication, filter::Filter};
use crate::realm::permission::HistoryRule;
use crate::realm::timestamp;
use crate::wamp::{Id, Identity, uri::Match};
use crate::wire::{Dict, Payload, allocated};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The histories of a realm, by the place of their subscription.
#[derive(Debug, Default)]
pub(super) struct Histories {
    by_place: BTreeMap<usize, History>,
    bytes: usize,
    /// Counts every entry of every history, to find the oldest.
    number_next: u64,
}

#[derive(Debug, Default)]
struct History {
    entries: VecDeque<HistoryEntry>,
    entries_max: usize,
}

/// One kept event.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    pub publication: Id,
    /// Wall time since the Unix epoch.
    pub published: Duration,
    pub topic: String,
    pub details: Dict,
    pub payload: Payload,
    filter: Option<Arc<Filter>>,
    number: u64,
}

/// What `wamp.subscription.get_events` asks for. All conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery<'a> {
    /// Who asks: it gets what it would have been eligible for. `None` is the router itself.
    pub requester: Option<&'a Identity>,
    /// The latest first.
    pub reverse: bool,
    pub limit: Option<usize>,
    pub from_time: Option<Duration>,
    pub after_time: Option<Duration>,
    pub before_time: Option<Duration>,
    pub until_time: Option<Duration>,
    pub topic: Option<String>,
    pub from_publication: Option<Id>,
    pub after_publication: Option<Id>,
    pub before_publication: Option<Id>,
    pub until_publication: Option<Id>,
}

/// Why there are no events to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryError {
    NoSuchSubscription,
    /// No rule keeps the events of this subscription.
    Unavailable,
    /// The events that are asked for have more bytes than one answer may.
    TooLarge,
    /// The publication that the named condition speaks of is not kept (any more): what came before or after it cannot
    /// be told.
    UnknownPublication(&'static str, Id),
}

impl Histories {
    pub(super) fn has(&self, place: usize) -> bool {
        self.by_place.contains_key(&place)
    }

    /// The memory that all entries take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn places(&self) -> Vec<usize> {
        self.by_place.keys().copied().collect()
    }

    pub(super) fn configure(&mut self, place: usize, entries_max: usize) {
        self.by_place.entry(place).or_default().entries_max = entries_max;
        self.trim(place, usize::MAX);
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Some(history) = self.by_place.remove(&place) {
            self.bytes -= history.entries.iter().map(HistoryEntry::bytes).sum::<usize>();
        }
    }

    /// Keeps a publication that the subscription at `place` covers, if that has a history. What names sessions is not
    /// kept: it would be for nobody who comes later.
    pub(super) fn record(
        &mut self,
        place: usize,
        publication: &Publication,
        details: &Dict,
        now: Duration,
        bytes_max: usize,
    ) {
        let Some(history) = self.by_place.get_mut(&place) else { return };
        if publication.filter.as_ref().is_some_and(|filter| filter.names_sessions()) {
            return;
        }
        let entry = HistoryEntry {
            publication: publication.id,
            published: timestamp::truncated(now),
            topic: publication.topic.to_owned(),
            details: details.clone(),
            payload: publication.payload.clone(),
            filter: publication.filter.clone(),
            number: self.number_next,
        };
        self.number_next += 1;
        self.bytes += entry.bytes();
        history.entries.push_back(entry);
        self.trim(place, bytes_max);
    }

    /// Lets the oldest entries go: of one history while it has too many, of all while they fill too many bytes.
    fn trim(&mut self, place: usize, bytes_max: usize) {
        if let Some(history) = self.by_place.get_mut(&place) {
            while history.entries.len() > history.entries_max {
                self.bytes -= history.entries.pop_front().map_or(0, |entry| entry.bytes());
            }
        }
        self.trim_all(bytes_max);
    }

    /// Lets the oldest entries of all histories go while they fill more bytes than this.
    pub(super) fn trim_all(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let oldest = |history: &&mut History| history.entries.front().map_or(u64::MAX, |entry| entry.number);
            let with_oldest = self.by_place.values_mut().min_by_key(oldest);
            let Some(entry) = with_oldest.and_then(|history| history.entries.pop_front()) else { return };
            self.bytes -= entry.bytes();
        }
    }

    /// The events of the history at `place` that `query` asks for, in the order in which it wants them, unless their
    /// topics and arguments have more than `bytes_max` bytes.
    pub(super) fn query(
        &self,
        place: usize,
        query: &HistoryQuery,
        bytes_max: usize,
    ) -> Result<Vec<&HistoryEntry>, HistoryError> {
        let entries = &self.by_place.get(&place).ok_or(HistoryError::Unavailable)?.entries;
        let index_of = |condition: &'static str, publication: Option<Id>| match publication {
            None => Ok(None),
            Some(id) => match entries.iter().position(|entry| entry.publication == id) {
                Some(index) => Ok(Some(index)),
                None => Err(HistoryError::UnknownPublication(condition, id)),
            },
        };
        let from = index_of("from_publication", query.from_publication)?.unwrap_or(0);
        let after = index_of("after_publication", query.after_publication)?.map_or(0, |index| index + 1);
        let before = index_of("before_publication", query.before_publication)?.unwrap_or(entries.len());
        let until = index_of("until_publication", query.until_publication)?.map_or(entries.len(), |index| index + 1);
        let (start, end) = (from.max(after), before.min(until));
        let asked = |entry: &&HistoryEntry| query.asks_for(entry);
        let limit = query.limit.unwrap_or(usize::MAX);
        let range = entries.range(start.min(end)..end);
        if query.reverse {
            collect(range.rev().filter(asked).take(limit), bytes_max)
        } else {
            collect(range.filter(asked).take(limit), bytes_max)
        }
    }
}

impl HistoryQuery<'_> {
    fn asks_for(&self, entry: &HistoryEntry) -> bool {
        let holds = |bound: Option<Duration>, test: fn(Duration, Duration) -> bool| {
            bound.is_none_or(|bound| test(entry.published, bound))
        };
        holds(self.from_time, |time, bound| time >= bound)
            && holds(self.after_time, |time, bound| time > bound)
            && holds(self.before_time, |time, bound| time < bound)
            && holds(self.until_time, |time, bound| time <= bound)
            && self.topic.as_ref().is_none_or(|topic| *topic == entry.topic)
            && match (self.requester, &entry.filter) {
                (Some(identity), Some(filter)) => filter.admits(identity),
                _ => true,
            }
    }
}

impl HistoryEntry {
    /// The memory that the entry takes, its own place included.
    fn bytes(&self) -> usize {
        let filter = self.filter.as_ref().map_or(0, |filter| filter.bytes());
        size_of::<HistoryEntry>()
            + allocated(self.topic.len())
            + self.details.heap_bytes()
            + self.payload.heap_bytes()
            + allocated(filter)
    }
}

/// The entries, unless an answer with them would be too large.
fn collect<'a>(
    entries: impl Iterator<Item = &'a HistoryEntry>,
    bytes_max: usize,
) -> Result<Vec<&'a HistoryEntry>, HistoryError> {
    let mut bytes = 0;
    let within = |entry: &'a HistoryEntry| {
        bytes += entry.topic.len() + entry.payload.len();
        if bytes <= bytes_max { Ok(entry) } else { Err(HistoryError::TooLarge) }
    };
    entries.map(within).collect()
}

pub(super) fn rule_is(rule: &HistoryRule, uri: &str, policy: Match) -> bool {
    rule.uri == uri && rule.policy == policy
}
