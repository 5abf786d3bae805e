//! Retained events: the latest of each topic, for those who subscribe later and ask for it.

use super::{Broker, Publication, filter::Filter};
use crate::kept::Kind;
use crate::limits::{AUDIENCES_PER_TOPIC_MAX, Limits};
use crate::realm::ledger::Ledger;
use crate::realm::{Context, Effect, carriage};
use crate::wamp::{Id, Identity, Message, SessionKey, uri::Match};
use crate::wire::{Dict, Payload, allocated};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

/// All retained events of a realm.
#[derive(Debug, Default)]
pub(super) struct RetainedEvents {
    /// By topic, the oldest first. Only the last that is for everybody is kept, and after it the last for each other
    /// audience.
    by_topic: BTreeMap<String, Vec<RetainedEvent>>,
    count: usize,
    bytes: usize,
    /// When the latest event was published, of this node or of another.
    last: Duration,
}

#[derive(Clone, Debug)]
struct RetainedEvent {
    publication: Id,
    /// Wall time.
    published: Duration,
    details: Dict,
    /// The details for peers as the arguments by keyword of a payload: encoded, the lists of a publication take a
    /// fraction of the memory.
    for_peers: Payload,
    /// Links can carry it. What they cannot is this node's alone.
    is_carried: bool,
    payload: Payload,
    filter: Option<Arc<Filter>>,
}

/// One retained event, as it is carried by links.
#[derive(Clone, Debug)]
pub struct RetainedForPeers {
    pub place: RetainedPlace,
    pub details: Dict,
    pub payload: Payload,
}

/// Where a retained event stands among all: by topic, then by the wall time at which it was published, then by its
/// publication.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetainedPlace {
    pub topic: String,
    pub published: Duration,
    pub publication: Id,
}

impl RetainedEvents {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The wall time at which an event of this node is published: later than all before it, whatever the clocks of
    /// this and other nodes say.
    pub(super) fn next_moment(&mut self, now: Duration) -> Duration {
        self.last = now.max(self.last + Duration::from_micros(1));
        self.last
    }

    /// An event of another node has been published then.
    pub(super) fn note_moment(&mut self, published: Duration) {
        self.last = self.last.max(published);
    }

    /// Keeps a publication instead of those that it replaces, or says which limit is in the way. What is older than
    /// what is kept is not; so all nodes keep the same, in whatever order they come to know of it.
    pub(super) fn retain(
        &mut self,
        publication: &Publication,
        limits: &Limits,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        let topic = publication.topic;
        let old = self.by_topic.get(topic).map_or(&[][..], Vec::as_slice);
        if old.iter().any(|event| event.publication == publication.id) {
            return Ok(());
        }
        let new = RetainedEvent {
            publication: publication.id,
            published: publication.published,
            details: publication.details.clone(),
            for_peers: Payload::from_values(Vec::new(), publication.details_for_peers()),
            is_carried: carriage::is_carried(publication.options, &publication.payload),
            payload: publication.payload.clone(),
            filter: publication.filter.clone(),
        };
        let mut events: Vec<&RetainedEvent> = old.iter().chain([&new]).collect();
        // Only those of different nodes can be of one moment.
        events.sort_by_key(|event| (event.published, event.publication));
        let mut kept: Vec<&RetainedEvent> = Vec::new();
        for event in events {
            if event.filter.is_none() {
                kept.clear();
            }
            kept.retain(|earlier| earlier.filter != event.filter);
            kept.push(event);
        }
        if kept.len() > AUDIENCES_PER_TOPIC_MAX {
            kept.remove(0);
        }
        let count = self.count - old.len() + kept.len();
        let bytes_old: usize = old.iter().map(|event| event.bytes(topic)).sum();
        let bytes_kept: usize = kept.iter().map(|event| event.bytes(topic)).sum();
        let bytes = self.bytes - bytes_old + bytes_kept;
        if count > limits.retained_max {
            return Err(format!("the realm has retained_max = {} retained events", limits.retained_max));
        }
        if bytes > limits.retained_bytes_max {
            return Err(format!("the realm's retained events fill retained_bytes_max = {}", limits.retained_bytes_max));
        }
        ledger.admit(limits, None, bytes.saturating_sub(self.bytes))?;
        ledger.post(Kind::Retained, bytes);
        let kept: Vec<RetainedEvent> = kept.into_iter().cloned().collect();
        (self.count, self.bytes) = (count, bytes);
        self.by_topic.insert(topic.to_owned(), kept);
        Ok(())
    }

    /// The latest event that `identity` may have, of each topic that the pattern covers.
    fn matching<'a>(
        &'a self,
        uri: &'a str,
        policy: Match,
        identity: &'a Identity,
    ) -> impl Iterator<Item = (&'a str, &'a RetainedEvent)> {
        let (start, end) = match policy {
            Match::Exact => (uri, Bound::Included(uri)),
            Match::Prefix => (uri, Bound::Unbounded),
            // Topics are in order, so those that begin as the pattern does before its first wildcard are neighbours.
            Match::Wildcard if uri.starts_with('.') => ("", Bound::Unbounded),
            Match::Wildcard => (uri.split("..").next().unwrap_or(""), Bound::Unbounded),
        };
        self.by_topic
            .range::<str, _>((Bound::Included(start), end))
            .take_while(move |(topic, _)| topic.starts_with(start))
            .filter(move |(topic, _)| policy.covers(uri, topic))
            .filter_map(|(topic, events)| {
                let admits = |event: &&RetainedEvent| event.filter.as_ref().is_none_or(|f| f.admits(identity));
                events.iter().rfind(admits).map(|event| (topic.as_str(), event))
            })
    }
}

impl RetainedEvent {
    /// The memory that the event takes, with its topic and its place among those of the realm.
    fn bytes(&self, topic: &str) -> usize {
        let filter = self.filter.as_ref().map_or(0, |filter| filter.bytes());
        size_of::<RetainedEvent>()
            + PLACE_BYTES
            + allocated(topic.len())
            + self.details.heap_bytes()
            + self.for_peers.heap_bytes()
            + self.payload.heap_bytes()
            + allocated(filter)
    }
}

impl Broker {
    /// What is retained after a place, as peers are told of it, in order. What links cannot carry is told all the same.
    pub fn retained_after<'a>(
        &'a self,
        after: Option<&'a RetainedPlace>,
    ) -> impl Iterator<Item = RetainedForPeers> + 'a {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Included(after.topic.as_str()));
        let topics = self.retained.by_topic.range::<str, _>((start, Bound::Unbounded));
        let events = topics.flat_map(|(topic, events)| events.iter().map(move |event| (topic, event)));
        let places = events.map(|(topic, event)| {
            let place =
                RetainedPlace { topic: topic.clone(), published: event.published, publication: event.publication };
            (place, event)
        });
        places.filter(move |(place, _)| after.is_none_or(|after| place > after)).map(|(place, event)| {
            let (details, payload) = (event.for_peers.kwargs().unwrap_or_default(), event.payload.clone());
            RetainedForPeers { place, details, payload }
        })
    }

    /// A number that two nodes have in common when they retain the same, as far as links can carry it.
    pub fn retained_digest(&self) -> u64 {
        let carried = self.retained.by_topic.values().flatten().filter(|event| event.is_carried);
        carried.fold(0, |sum, event| sum ^ event.publication)
    }

    /// Sends a new subscriber what is retained for its subscription.
    pub(super) fn send_retained(&self, cx: &mut Context, key: SessionKey, place: usize) {
        let Some(subscription) = self.subscriptions.get(place) else { return };
        let Some(member) = cx.members.member(key) else { return };
        for (topic, event) in self.retained.matching(&subscription.uri, subscription.policy, &member.identity) {
            let mut details = event.details.clone();
            if subscription.policy != Match::Exact {
                details.set("topic", topic);
            }
            details.set("retained", true);
            let message = Message::Event {
                subscription: subscription.id,
                publication: event.publication,
                details,
                payload: event.payload.clone(),
            };
            cx.out.push(Effect::Send { to: key, message });
        }
    }
}

/// About what a topic's place among those of the realm takes, apart from its text.
const PLACE_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::Origin;
    use crate::wire::Value;

    /// Retains an event for one authrole, or for everybody.
    fn retain(retained: &mut RetainedEvents, id: Id, role: Option<&str>) {
        let options = Dict::new();
        let filter = role.map(|role| {
            let options = Dict::new().with("eligible_authrole", Value::List(vec![role.into()]));
            Filter::from_options(&options, &Limits::default()).expect("a short list").expect("there is a list")
        });
        let publication = Publication {
            id,
            origin: Origin::Client,
            excluded: None,
            topic: "com.a",
            options: &options,
            details: Dict::new(),
            published: Duration::from_micros(id),
            payload: Payload::from_values(vec![id.into()], Dict::new()),
            filter,
            is_testament: false,
        };
        retained.retain(&publication, &Limits::default(), &mut Ledger::default()).expect("no limit is near");
    }

    fn kept(retained: &RetainedEvents) -> Vec<Id> {
        let events: Vec<&RetainedEvent> = retained.by_topic.values().flatten().collect();
        assert_eq!(retained.len(), events.len());
        assert_eq!(retained.bytes, events.iter().map(|event| event.bytes("com.a")).sum::<usize>());
        events.iter().map(|event| event.publication).collect()
    }

    #[test]
    fn a_topic_keeps_few_audiences() {
        let mut retained = RetainedEvents::default();
        retain(&mut retained, 1, None);
        for number in 2..=AUDIENCES_PER_TOPIC_MAX as u64 {
            retain(&mut retained, number, Some(&format!("role{number}")));
        }
        assert_eq!(kept(&retained), (1..=16).collect::<Vec<_>>());
        retain(&mut retained, 17, Some("role2"));
        assert_eq!(kept(&retained), [vec![1], (3..=17).collect()].concat(), "the same audience is replaced");
        retain(&mut retained, 18, Some("role18"));
        assert_eq!(kept(&retained), (3..=18).collect::<Vec<_>>(), "the oldest makes room");
        retain(&mut retained, 19, None);
        assert_eq!(kept(&retained), [19], "what is for everybody replaces all");
    }
}
