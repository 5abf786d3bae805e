//! Whether the rules of a role decide here as Crossbar.io decides by them. They do for most rule sets, but Crossbar.io
//! puts wildcard rules before prefix rules, and looks at one rule of each kind only: the one with the longest text (of
//! a wildcard rule, up to its first wildcard) with which the name begins, whether or not that rule covers the name.
//!
//! Both are asked about names that stand for all names: at each place of a name there is a component of a rule, the
//! beginning of one, or something that no rule has.

use crate::realm::pattern::PatternTable;
use crate::wamp::uri::Match;
use std::collections::{BTreeMap, BTreeSet};

/// One rule of a role, as far as it decides.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) uri: String,
    pub(super) policy: Match,
    /// What it allows, in words.
    pub(super) grants: Vec<&'static str>,
}

/// Two rules, by their places in the list, of which one decides here and the other one in Crossbar.io; `None` is where
/// no rule decides, so that everything is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    pub(super) here: Option<usize>,
    pub(super) there: Option<usize>,
}

/// All differences, each with a name that it shows in. `None` when there are too many names to ask about.
pub(super) fn differences(rules: &[Rule]) -> Option<BTreeMap<Difference, String>> {
    let mut names =
        Names { rules: rules.iter().map(|rule| rule.uri.split('.').collect()).collect(), found: Vec::new() };
    names.visit(&mut Vec::new(), &(0..rules.len()).collect::<Vec<_>>());
    if names.found.len() > NAMES_MAX {
        return None;
    }
    let table = table_of(rules);
    let mut differences = BTreeMap::new();
    for name in names.found {
        if let Some(difference) = difference(rules, &table, &name) {
            let shown: &mut String = differences.entry(difference).or_insert_with(|| name.clone());
            if name.len() < shown.len() {
                *shown = name;
            }
        }
    }
    Some(differences)
}

/// The rules by their patterns, as they decide here: each by its place in the list.
pub(super) fn table_of(rules: &[Rule]) -> PatternTable<usize> {
    let mut table = PatternTable::default();
    for (index, rule) in rules.iter().enumerate() {
        table.insert(&rule.uri, rule.policy, index);
    }
    table
}

/// How the decisions about one name differ, if they do.
fn difference(rules: &[Rule], table: &PatternTable<usize>, name: &str) -> Option<Difference> {
    let (here, there) = (table.best_match(name).copied(), decision_of_crossbar(rules, name));
    let grants = |rule: Option<usize>| rule.map_or(&[][..], |index| &rules[index].grants);
    (grants(here) != grants(there)).then_some(Difference { here, there })
}

/// The rule by which Crossbar.io decides about a name. Of rules with the same text the last one counts, whatever their
/// policies.
fn decision_of_crossbar(rules: &[Rule], name: &str) -> Option<usize> {
    let longest = |head: &dyn Fn(&Rule) -> Option<usize>| {
        let begins = |(index, rule): (usize, &Rule)| {
            let length = head(rule)?;
            name.starts_with(&rule.uri[..length]).then_some((length, index))
        };
        rules.iter().enumerate().filter_map(begins).max().map(|(_, index)| index)
    };
    let first_wildcard = |rule: &Rule| rule.uri.find("..");
    let plain = longest(&|rule| first_wildcard(rule).is_none().then_some(rule.uri.len()));
    let plain = plain.filter(|index| rules[*index].policy == Match::Prefix || rules[*index].uri == name);
    if plain.is_some_and(|index| rules[index].policy == Match::Exact) {
        return plain;
    }
    let wildcard = longest(&first_wildcard).filter(|index| is_covered_in_crossbar(&rules[*index].uri, name));
    wildcard.or(plain)
}

/// Whether a text with two dots in a row covers a name. Texts with other characters than these cover nothing.
fn is_covered_in_crossbar(pattern: &str, name: &str) -> bool {
    let is_valid = |component: &str| {
        let bytes = component.as_bytes();
        let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.first().is_none_or(is_alphanumeric)
            && bytes.iter().all(|byte| is_alphanumeric(byte) || matches!(byte, b'_' | b'-'))
    };
    pattern.split('.').all(is_valid)
        && pattern.split('.').count() == name.split('.').count()
        && pattern.split('.').zip(name.split('.')).all(|(given, part)| given.is_empty() || given == part)
}

/// Finds the names.
struct Names<'r> {
    /// The components of each rule.
    rules: Vec<Vec<&'r str>>,
    found: Vec<String>,
}

impl Names<'_> {
    /// Adds the name that is made of `path` and those that begin with it. `live` are the rules that agree with it and
    /// have more components, which are the ones that matter for what follows.
    fn visit(&mut self, path: &mut Vec<String>, live: &[usize]) {
        if !path.is_empty() {
            self.found.push(path.join("."));
        }
        if live.is_empty() || self.found.len() > NAMES_MAX {
            return;
        }
        let depth = path.len();
        for component in self.components(depth, live) {
            let agrees = |rule: &&usize| {
                let given = self.rules[**rule].get(depth);
                given.is_some_and(|given| given.is_empty() || *given == component)
            };
            let live: Vec<usize> = live.iter().filter(agrees).copied().collect();
            path.push(component);
            self.visit(path, &live);
            path.pop();
        }
    }

    /// What may stand at this place.
    fn components(&self, depth: usize, live: &[usize]) -> BTreeSet<String> {
        let mut components = BTreeSet::from([UNKNOWN.to_owned()]);
        for rule in live.iter().map(|index| &self.rules[*index]) {
            let Some(given) = rule.get(depth).filter(|given| !given.is_empty()) else { continue };
            components.insert((*given).to_owned());
            if rule.get(depth + 1).is_none_or(|next| next.is_empty()) {
                // A prefix may end within a component, and so may what stands before a wildcard.
                components.insert(format!("{given}{UNKNOWN}"));
            }
        }
        components
    }
}

/// A component, or the end of one, that no rule has.
const UNKNOWN: &str = "zz9";
/// Far more than rules that people write give.
const NAMES_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(given: &[(&str, Match, bool)]) -> Vec<Rule> {
        let grants = |allows: bool| if allows { vec!["call"] } else { Vec::new() };
        let rule = |(uri, policy, allows): &(&str, Match, bool)| Rule {
            uri: (*uri).to_owned(),
            policy: *policy,
            grants: grants(*allows),
        };
        given.iter().map(rule).collect()
    }

    #[test]
    fn rule_sets_as_most_are_decide_alike() {
        use Match::{Exact, Prefix};
        for set in [
            vec![("", Prefix, true)],
            vec![("com.a.", Prefix, true), ("com.a.b.", Prefix, false), ("org.", Prefix, true)],
            vec![("com.a.", Prefix, true), ("wamp.session.count", Exact, true)],
            vec![("com.a", Exact, true), ("com.b", Exact, false)],
            vec![("com..x", Match::Wildcard, true), ("com.a.x", Exact, false)],
        ] {
            assert_eq!(differences(&rules(&set)), Some(BTreeMap::new()), "{set:?}");
        }
    }

    #[test]
    fn what_is_decided_otherwise_is_found() {
        use Match::{Exact, Prefix, Wildcard};
        for (set, here, there, name) in [
            // There, wildcard rules go before prefix rules.
            (vec![("", Prefix, true), ("com..private", Wildcard, false)], Some(0), Some(1), "com.zz9.private"),
            // An exact rule hides the prefix rules for all names that begin like it.
            (vec![("com.", Prefix, true), ("com.add", Exact, false)], Some(0), None, "com.addzz9"),
            // A wildcard at the end is none, and hides what is shorter.
            (vec![("com.a.", Wildcard, true)], Some(0), None, "com.a.zz9"),
            // Of several wildcard rules only one is looked at.
            (vec![("com..x", Wildcard, true), ("com..y", Wildcard, true)], Some(0), None, "com.zz9.x"),
            // The same text under another policy is another rule here.
            (vec![("com.a", Prefix, true), ("com.a", Exact, false)], Some(0), None, "com.azz9"),
            // The one that is looked at is found by the text before its wildcard, which may end within a component.
            (vec![("a..x", Wildcard, false), ("..x", Wildcard, true)], Some(1), None, "azz9.zz9.x"),
            // Capital letters make no pattern.
            (vec![("Com..x", Wildcard, true)], Some(0), None, "Com.zz9.x"),
        ] {
            let found = differences(&rules(&set)).expect("few names");
            assert_eq!(found.get(&Difference { here, there }).map(String::as_str), Some(name), "{set:?}: {found:?}");
        }
    }

    #[test]
    fn too_many_names_are_said_to_be() {
        let wild: Vec<String> = (0..16).map(|n| format!("{}k{n}{}", ".".repeat(n), ".".repeat(16 - n))).collect();
        let set: Vec<_> = wild.iter().map(|uri| (uri.as_str(), Match::Wildcard, true)).collect();
        assert_eq!(differences(&rules(&set)), None);
    }

    /// The model against the original's own decisions.
    #[test]
    fn crossbar_decides_as_is_said_here() {
        let policy = |word: &str| Match::from_name(word).expect("a match policy");
        let mut n_names = 0;
        for line in include_str!("testdata/decisions.txt").lines().filter(|line| !line.starts_with('#')) {
            let (set, names) = line.split_once(" => ").expect("rules and names");
            let parts = |rule: &str| rule.split(':').map(str::to_owned).collect::<Vec<String>>();
            let set: Vec<Vec<String>> = set.split(' ').map(parts).collect();
            let set: Vec<_> = set.iter().map(|rule| (rule[0].as_str(), policy(&rule[1]), rule[2] == "+")).collect();
            let rules = rules(&set);
            for name in names.split(' ') {
                let (name, allows) = name.split_at(name.len() - 1);
                let decision = decision_of_crossbar(&rules, name);
                assert_eq!(decision.is_some_and(|rule| set[rule].2), allows == "+", "{name} by {set:?}");
                n_names += 1;
            }
        }
        assert!(n_names > 800, "{n_names}");
    }

    fn any_uri() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["", "a", "b", "ab", "abc", "B"]), 1..4)
            .prop_map(|components| components.join("."))
    }

    proptest! {
        /// Whatever is not found is decided alike.
        #[test]
        fn no_name_is_decided_otherwise_without_being_found(
            set in prop::collection::vec(
                (any_uri(), prop::sample::select(vec![Match::Exact, Match::Prefix, Match::Wildcard]), any::<bool>()),
                0..7,
            ),
            names in prop::collection::vec(
                prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "abc", "abb", "c", "B"]), 1..5),
                40,
            ),
        ) {
            let set: Vec<_> = set.iter().map(|(uri, policy, allows)| (uri.as_str(), *policy, *allows)).collect();
            let rules = rules(&set);
            let found = differences(&rules).expect("few names");
            let table = table_of(&rules);
            for name in names.iter().map(|components| components.join(".")) {
                if let Some(difference) = difference(&rules, &table, &name) {
                    prop_assert!(found.contains_key(&difference), "{name}: {difference:?} is none of {found:?}");
                }
            }
        }
    }
}
