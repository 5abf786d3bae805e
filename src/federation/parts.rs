//! Answers of the meta API that are long travel on links in parts: as progressive results, which the node that asked
//! puts together again. So a listing may be longer than any message of a link.

use crate::limits::PART_BYTES;
use crate::realm::{Effect, MemberKind, Members};
use crate::wamp::Message;
use crate::wire::{Dict, Payload, Value};

/// Cuts the answers to peers among the effects from `first` on that are longer than a part may be.
pub(super) fn cut_answers(members: &Members, out: &mut Vec<Effect>, first: usize) {
    let is_long = |effect: &Effect| match effect {
        Effect::Send { to, message: Message::Result { payload, .. } } => {
            payload.len() > PART_BYTES && members.member(*to).is_some_and(|member| member.kind == MemberKind::Peer)
        }
        _ => false,
    };
    if !out.iter().skip(first).any(is_long) {
        return;
    }
    for effect in out.split_off(first) {
        match effect {
            Effect::Send { to, message: Message::Result { request, payload, .. } }
                if payload.len() > PART_BYTES
                    && members.member(to).is_some_and(|member| member.kind == MemberKind::Peer) =>
            {
                let parts = parts_of(payload.args().unwrap_or_default());
                let n_parts = parts.len();
                out.extend((1..).zip(parts).map(|(number, args)| {
                    let details = if number < n_parts { Dict::new().with("progress", true) } else { Dict::new() };
                    let payload = Payload::from_values(args, Dict::new());
                    Effect::Send { to, message: Message::Result { request, details, payload } }
                }));
            }
            effect => out.push(effect),
        }
    }
}

/// The arguments of an answer as those of several: a list, a dict of lists or the arguments themselves are cut. A page
/// of what links fetch stays whole, it has been cut before.
fn parts_of(mut args: Vec<Value>) -> Vec<Vec<Value>> {
    if let [Value::List(_), _] = args.as_slice() {
        return vec![args];
    }
    match (args.len(), args.pop()) {
        (1, Some(Value::List(items))) => cut(items).into_iter().map(|items| vec![Value::List(items)]).collect(),
        (1, Some(Value::Dict(lists))) if lists.iter().all(|(_, list)| list.as_list().is_some()) => {
            let lists = lists.pairs().flat_map(|(key, list)| {
                let items = list.as_list().unwrap_or_default().to_vec();
                cut(items).into_iter().map(move |items| vec![Value::Dict(Dict::new().with(key.clone(), items))])
            });
            lists.collect()
        }
        (_, last) => {
            args.extend(last);
            cut(args)
        }
    }
}

/// Cuts a list by bytes, with at least one item in each piece; an empty list is one piece.
fn cut(items: Vec<Value>) -> Vec<Vec<Value>> {
    let (mut pieces, mut bytes) = (vec![Vec::new()], 0);
    for item in items {
        let item_bytes = item.cbor_bytes_max();
        if bytes + item_bytes > PART_BYTES && bytes > 0 {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes += item_bytes;
        if let Some(piece) = pieces.last_mut() {
            piece.push(item);
        }
    }
    pieces
}

/// Adds the arguments of a further part to those of the parts before it. `is_flat` says that the arguments themselves
/// have been cut, and not the list or the lists in the first of them.
pub(super) fn join(whole: &mut Vec<Value>, part: Vec<Value>, is_flat: bool) {
    if is_flat || whole.is_empty() {
        return whole.extend(part);
    }
    for (whole, part) in whole.iter_mut().zip(part) {
        match (whole, part) {
            (Value::List(whole), Value::List(part)) => whole.extend(part),
            (Value::Dict(whole), Value::Dict(part)) => {
                for (key, list) in part.pairs() {
                    let mut joined = whole.remove(key).and_then(|list| list.as_list().map(<[Value]>::to_vec));
                    joined.get_or_insert_default().extend(list.as_list().unwrap_or_default().to_vec());
                    whole.set(key.clone(), joined.unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: u64) -> Value {
        Value::List((0..n).map(|n| (n + (1 << 40)).into()).collect())
    }

    #[test]
    fn what_is_cut_is_put_together_again() {
        let policies = Dict::new().with("exact", ids(200_000)).with("prefix", ids(0)).with("wildcard", ids(3));
        let events: Vec<Value> = (0..40)
            .map(|n| Dict::new().with("publication", n as u64 + 1).with("args", Value::Bytes(vec![0; 100_000])).into())
            .collect();
        for (args, is_flat) in [(vec![ids(500_000)], false), (vec![policies.into()], false), (events, true)] {
            let parts = parts_of(args.clone());
            assert!(parts.len() > 2, "{} parts", parts.len());
            let mut whole = Vec::new();
            for part in parts {
                assert!(Payload::from_values(part.clone(), Dict::new()).len() <= PART_BYTES + 100);
                join(&mut whole, part, is_flat);
            }
            assert!(whole == args);
        }
    }

    #[test]
    fn pages_and_single_values_stay_whole() {
        for args in
            [vec![ids(500_000), Value::Null], vec![7u64.into()], vec![Dict::new().with("uri", "x").into()], vec![]]
        {
            assert!(parts_of(args.clone()) == [args]);
        }
    }
}
