//! Retained events: the latest of each topic, for those who subscribe later and ask for it.

use super::{Broker, Publication, filter::Filter};
use crate::limits::Limits;
use crate::realm::{Context, Effect};
use crate::wamp::{Id, Identity, Message, SessionKey, uri::Match};
use crate::wire::{Dict, Payload};
use std::collections::BTreeMap;
use std::ops::Bound;

/// All retained events of a realm.
#[derive(Debug, Default)]
pub(super) struct RetainedEvents {
    /// By topic, the oldest first. Only the last that is for everybody is kept, and after it the last for each other
    /// audience.
    by_topic: BTreeMap<String, Vec<RetainedEvent>>,
    count: usize,
    bytes: usize,
}

#[derive(Debug)]
struct RetainedEvent {
    publication: Id,
    details: Dict,
    payload: Payload,
    filter: Option<Box<Filter>>,
}

impl RetainedEvents {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Keeps a publication instead of those that it replaces, or says which limit is in the way.
    pub(super) fn retain(&mut self, publication: &Publication, limits: &Limits) -> Result<(), String> {
        let event = RetainedEvent {
            publication: publication.id,
            details: publication.details.clone(),
            payload: publication.payload.clone(),
            filter: publication.filter.clone(),
        };
        let topic = publication.topic;
        let events = self.by_topic.get(topic).map_or(&[][..], Vec::as_slice);
        let stays = |old: &RetainedEvent| event.filter.is_some() && event.filter != old.filter;
        let mut kept: Vec<usize> = (0..events.len()).filter(|index| stays(&events[*index])).collect();
        if kept.len() == AUDIENCES_PER_TOPIC_MAX {
            kept.remove(0);
        }
        let count = self.count - events.len() + kept.len() + 1;
        let bytes_old: usize = events.iter().map(|old| old.bytes(topic)).sum();
        let bytes_kept: usize = kept.iter().map(|index| events[*index].bytes(topic)).sum();
        let bytes = self.bytes - bytes_old + bytes_kept + event.bytes(topic);
        if count > limits.retained_max {
            return Err(format!("the realm has retained_max = {} retained events", limits.retained_max));
        }
        if bytes > limits.retained_bytes_max {
            return Err(format!("the realm's retained events fill retained_bytes_max = {}", limits.retained_bytes_max));
        }
        (self.count, self.bytes) = (count, bytes);
        let events = self.by_topic.entry(topic.to_owned()).or_default();
        let mut index = 0..;
        events.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
        events.push(event);
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
    fn bytes(&self, topic: &str) -> usize {
        topic.len() + self.payload.len()
    }
}

impl Broker {
    /// Sends a new subscriber what is retained for its subscription.
    pub(super) fn send_retained(&self, cx: &mut Context, key: SessionKey, place: usize) {
        let subscription = &self.subscriptions[place];
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

/// How many audiences (of eligible and exclude lists) one topic keeps an event for. It bounds the work of a PUBLISH.
const AUDIENCES_PER_TOPIC_MAX: usize = 16;

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
            publisher: None,
            payload: Payload::from_values(vec![id.into()], Dict::new()),
            filter,
        };
        retained.retain(&publication, &Limits::default()).expect("no limit is near");
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
