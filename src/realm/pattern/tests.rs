//! The pattern table against a list that is searched.

use super::*;
use crate::wamp::uri::UriCheck;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// URIs over few letters, so that patterns meet, share beginnings and split in the middle of characters.
fn pattern() -> impl Strategy<Value = (String, Match)> {
    ("(a|b|ab|ä|ö|\\.){0,6}", prop_oneof![Just(Match::Exact), Just(Match::Prefix), Just(Match::Wildcard)])
}

/// How the specification ranks two wildcard patterns that cover the same URI: the runs of given components.
fn wildcard_rank(pattern: &str) -> Vec<usize> {
    let mut runs = vec![0];
    for component in pattern.split('.') {
        match component {
            "" => runs.push(0),
            _ => *runs.last_mut().expect("there is a first run") += 1,
        }
    }
    runs
}

fn naive_best<'a>(model: &'a BTreeMap<(String, Match), u32>, uri: &str) -> Option<&'a u32> {
    let covering = || model.iter().filter(|((pattern, policy), _)| policy.covers(pattern, uri));
    let of = |wanted: Match| covering().filter(move |((_, policy), _)| *policy == wanted);
    of(Match::Exact)
        .next()
        .or_else(|| of(Match::Prefix).max_by_key(|((pattern, _), _)| pattern.len()))
        .or_else(|| of(Match::Wildcard).max_by_key(|((pattern, _), _)| wildcard_rank(pattern)))
        .map(|(_, value)| value)
}

proptest! {
    /// The table behaves as a list of patterns that is searched with `Match::covers`, through inserts and removals.
    #[test]
    fn the_table_agrees_with_a_scan(
        steps in prop::collection::vec((pattern(), any::<bool>()), 0..60),
        uris in prop::collection::vec("(a|b|ab|ä|ö|\\.){0,6}", 1..20),
    ) {
        let mut table = PatternTable::default();
        let mut model = BTreeMap::new();
        for (value, ((uri, policy), insert)) in steps.into_iter().enumerate() {
            let value = value as u32;
            if insert {
                prop_assert_eq!(table.insert(&uri, policy, value), model.insert((uri, policy), value));
            } else {
                prop_assert_eq!(table.remove(&uri, policy), model.remove(&(uri, policy)));
            }
        }
        for ((uri, policy), value) in &model {
            prop_assert_eq!(table.value(uri, *policy), Some(value));
        }
        for uri in uris.iter().filter(|uri| UriCheck::Loose.is_name(uri)) {
            let mut found = Vec::new();
            table.for_each_match(uri, |value| found.push(*value));
            found.sort();
            let mut expected: Vec<u32> =
                model.iter().filter(|((p, policy), _)| policy.covers(p, uri)).map(|(_, value)| *value).collect();
            expected.sort();
            prop_assert_eq!(found, expected, "{}", uri);
            prop_assert_eq!(table.best_match(uri), naive_best(&model, uri), "{}", uri);
        }
        for (uri, policy) in model.keys() {
            table.remove(uri, *policy);
        }
        prop_assert_eq!(table.heap_bytes(), 0, "an empty table takes nothing");
    }
}

/// The example of the specification's pattern-based registrations, without the row that contradicts its own rule.
#[test]
fn the_best_match_follows_the_specification() {
    let mut table = PatternTable::default();
    for (number, (uri, policy)) in [
        ("a1.b2.c3.d4.e55", Match::Exact),
        ("a1.b2.c3", Match::Prefix),
        ("a1.b2.c3.d4", Match::Prefix),
        ("a1.b2..d4.e5", Match::Wildcard),
        ("a1.b2.c33..e5", Match::Wildcard),
        ("a1.b2..d4.e5..g7", Match::Wildcard),
        ("a1.b2..d4..f6.g7", Match::Wildcard),
    ]
    .into_iter()
    .enumerate()
    {
        table.insert(uri, policy, number + 1);
    }
    for (uri, best) in [
        ("a1.b2.c3.d4.e55", Some(1)),
        ("a1.b2.c3.d98.e74", Some(2)),
        ("a1.b2.c3.d4.e325", Some(3)),
        ("a1.b2.c55.d4.e5", Some(4)),
        ("a1.b2.c88.d4.e5.f6.g7", Some(6)),
        ("a2.b2.c2.d2.e2", None),
    ] {
        assert_eq!(table.best_match(uri).copied(), best, "{uri}");
    }
}

#[test]
fn removing_leaves_nothing_behind() {
    let mut table = PatternTable::default();
    for uri in ["com.app.", "com.apple.", "com.", "com..x", "com.app..y"] {
        table.insert(uri, Match::Prefix, ());
        table.insert(uri, Match::Wildcard, ());
    }
    for uri in ["com.", "com.apple.", "com.app.", "com.app..y", "com..x"] {
        table.remove(uri, Match::Prefix);
        table.remove(uri, Match::Wildcard);
    }
    let empty: PatternTable<()> = PatternTable::default();
    assert_eq!(format!("{table:?}"), format!("{empty:?}"));
}

/// What the search for a URI costs follows the shapes of the patterns, not their number.
#[test]
fn wildcard_patterns_of_one_shape_cost_one_probe() {
    let mut table = PatternTable::default();
    for number in 0..1_000 {
        table.insert(&format!("com..n{number}"), Match::Wildcard, number);
    }
    assert_eq!(table.probes_with("com..x", Match::Wildcard), 1, "the same shape");
    assert_eq!(table.probes_with("com.a.", Match::Wildcard), 2, "another shape of three components");
    assert_eq!(table.probes_with("..", Match::Prefix), 0);
    assert_eq!(table.probes_with("com...", Match::Wildcard), 1, "the first of four components");
    assert_eq!(table.best_match("com.any.n7"), Some(&7));
}

/// Prefixes can nest in every byte of a long URI: no recursion follows its length.
#[test]
fn deep_patterns_do_not_exhaust_the_stack() {
    const BYTES: usize = 4 << 10;
    let run = || {
        let mut table = PatternTable::default();
        let long = "a".repeat(BYTES);
        for length in (1..=BYTES).rev() {
            table.insert(&long[..length], Match::Prefix, length);
        }
        let dots = ".".repeat(BYTES - 1);
        table.insert(&dots, Match::Wildcard, 0);
        assert_eq!(table.best_match(&long), Some(&BYTES));
        assert_eq!(table.remove(&long[..BYTES / 2], Match::Prefix), Some(BYTES / 2));
        assert_eq!(table.remove(&dots, Match::Wildcard), Some(0));
        drop(table);
    };
    // A thread with little stack: what recursed over the length would end the process.
    std::thread::Builder::new().stack_size(64 << 10).spawn(run).unwrap().join().unwrap();
}
