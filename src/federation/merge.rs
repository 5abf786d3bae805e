//! The answers of several nodes to one call of the meta API as one answer.

use crate::limits::HISTORY_SKEW_MAX;
use crate::realm::meta::Merge;
use crate::realm::timestamp;
use crate::wamp::error;
use crate::wire::{Dict, Payload, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The arguments of a RESULT, or the error and its arguments.
pub(super) type Answer = Result<Vec<Value>, (String, Payload)>;

/// The answers of nodes, in the order of their names, as one. `own` is the answer of this node, where it is preferred.
pub(super) fn merge(how: Merge, own: &[Value], answers: Vec<Vec<Value>>, payload: &Payload) -> Vec<Value> {
    let firsts = || answers.iter().filter_map(|answer| answer.first());
    match how {
        Merge::Sum => vec![firsts().filter_map(Value::as_uint).fold(0, u64::saturating_add).into()],
        Merge::List => vec![joined(firsts()).into()],
        Merge::ListOrNull => match joined(firsts()) {
            list if list.is_empty() => vec![Value::Null],
            list => vec![list.into()],
        },
        Merge::Policies => {
            let mut policies = Dict::new();
            for (policy, _) in firsts().filter_map(Value::as_dict).flat_map(Dict::iter) {
                let lists = firsts().filter_map(|answer| answer.as_dict()?.get(policy));
                policies.set(policy.to_owned(), joined(lists));
            }
            vec![policies.into()]
        }
        Merge::NotNull => vec![firsts().find(|first| **first != Value::Null).cloned().unwrap_or(Value::Null)],
        Merge::Any => answers.into_iter().next().unwrap_or_default(),
        Merge::Oldest => {
            // RFC 3339 in UTC and with equal precision: the order of the texts is that of the times.
            let created = |answer: &Vec<Value>| {
                let created = answer.first().and_then(Value::as_dict).and_then(|details| details.str("created"));
                created.unwrap_or_default().to_owned()
            };
            let what = |answer: &[Value]| {
                let details = answer.first().and_then(Value::as_dict);
                details.map(|details| ["id", "uri", "match"].map(|key| details.get(key).cloned()))
            };
            // An answer about another object than the one that is known here is none.
            let is_it = |answer: &Vec<Value>| own.is_empty() || what(answer) == what(own);
            answers.into_iter().filter(is_it).min_by_key(created).unwrap_or_default()
        }
        Merge::Events => events(own, answers, payload),
    }
}

/// The ids of several lists, each once, in order.
fn joined<'a>(lists: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let ids: BTreeSet<u64> = lists.filter_map(Value::as_list).flatten().filter_map(Value::as_uint).collect();
    ids.into_iter().map(Value::from).collect()
}

/// The events that any node has kept, by the time of the first that has, as the arguments of the call want them. Of
/// those of one millisecond the order is that of the first node that has both, whichever node is asked. The content of
/// an event is taken from this node where this node has kept it.
fn events(own: &[Value], answers: Vec<Vec<Value>>, payload: &Payload) -> Vec<Value> {
    let arguments = payload.kwargs().unwrap_or_default();
    let is_reversed = arguments.bool("reverse") == Some(true);
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    let mut events: Vec<(String, Dict)> = Vec::new();
    for mut answer in answers {
        if is_reversed {
            answer.reverse();
        }
        for event in answer {
            let Value::Dict(event) = event else { continue };
            let Some(publication) = event.uint("publication") else { continue };
            let time = event.str("timestamp").unwrap_or_default().to_owned();
            match places.get(&publication).and_then(|place| events.get_mut(*place)) {
                Some(known) if time < known.0 && is_near(&time, &known.0) => known.0 = time,
                Some(_) => {}
                None => {
                    places.insert(publication, events.len());
                    events.push((time, event));
                }
            }
        }
    }
    for event in own.iter().filter_map(Value::as_dict) {
        let place = event.uint("publication").and_then(|publication| places.get(&publication));
        if let Some((time, told)) = place.and_then(|place| events.get_mut(*place)) {
            let kept = event.str("timestamp").unwrap_or_default();
            if !is_near(time, kept) {
                *time = kept.to_owned();
            }
            *told = event.clone();
        }
    }
    for (time, event) in &mut events {
        event.set("timestamp", time.as_str());
    }
    events.sort_by(|(a, _), (b, _)| a.cmp(b));
    if is_reversed {
        events.reverse();
    }
    let limit = arguments.uint("limit").map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    events.into_iter().take(limit).map(|(_, event)| event.into()).collect()
}

/// Whether the times at which two nodes have kept one event are as near as clocks and links may have them.
fn is_near(one: &str, other: &str) -> bool {
    let times = timestamp::from_text(one).zip(timestamp::from_text(other));
    times.is_some_and(|(one, other)| one.abs_diff(other) <= HISTORY_SKEW_MAX)
}

/// Of several refusals the one that knew more than that there is no such thing.
pub(super) fn most_telling(refusals: Vec<Answer>) -> (String, Payload) {
    let refusals = refusals.into_iter().filter_map(Result::err);
    let ignorance = |error: &str| match error {
        error::NO_SUCH_REGISTRATION | error::NO_SUCH_SUBSCRIPTION => 2,
        // The client's own node has permitted it; a peer that does not may have nothing to tell either.
        error::NOT_AUTHORIZED => 1,
        _ => 0,
    };
    let nothing = || (error::NETWORK_FAILURE.to_owned(), Payload::empty());
    refusals.min_by_key(|(error, _)| ignorance(error)).unwrap_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_node_can_have_counted_is_added_all_the_same() {
        let count = |n: u64| Ok(vec![n.into()]);
        let counts = [count(u64::MAX), count(2)].into_iter().flat_map(|answer: Answer| answer);
        assert_eq!(merge(Merge::Sum, &[], counts.collect(), &Payload::empty()), [u64::MAX.into()]);
    }
}
