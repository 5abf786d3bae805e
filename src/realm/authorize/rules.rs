//! The static rules of one role.
//!
//! A name (of a topic or procedure) is decided by the most specific rule that covers it. A pattern stands for all names
//! that it covers: there has to be a rule that covers the whole pattern, and of all rules that cover a part of it and
//! outrank that rule none may say no. So nobody widens his rights by subscribing to a prefix that is shorter than his
//! permission.
//!
//! The namespace `wamp.` of the router is a world of its own, in which only the rules count that name it: whoever may
//! do everything by a rule for the empty prefix may not therefore end the sessions of others.

use crate::realm::pattern::PatternTable;
use crate::realm::{Action, Permission};
use crate::wamp::uri::{Match, is_reserved, names_reserved};
use std::cmp::Ordering;

/// The rules of one role, ready for lookup.
#[derive(Debug)]
pub(super) struct Rules {
    ordinary: World,
    reserved: World,
}

/// The rules for one part of all names.
#[derive(Debug)]
struct World {
    all: Vec<Permission>,
    by_pattern: PatternTable<usize>,
}

impl Rules {
    pub(super) fn new(permissions: &[Permission]) -> Rules {
        let in_ordinary = |rule: &&Permission| !names_reserved(&rule.uri, rule.policy);
        Rules {
            ordinary: World::new(permissions.iter().filter(in_ordinary)),
            reserved: World::new(permissions.iter().filter(|rule| is_reserved(&rule.uri))),
        }
    }

    /// Whether `action` on `uri` is allowed; if so, whether the one who acts is disclosed.
    pub(super) fn grant(&self, action: Action, uri: &str, policy: Match) -> Option<bool> {
        let world = if names_reserved(uri, policy) { &self.reserved } else { &self.ordinary };
        world.grant(action, uri, policy)
    }

    /// Whether there is a rule of exactly this URI that allows the action.
    pub(super) fn names(&self, action: Action, uri: &str) -> bool {
        let is_it = |rule: &&Permission| rule.policy == Match::Exact && rule.uri == uri;
        self.ordinary.all.iter().find(is_it).is_some_and(|rule| allows(rule, action))
    }
}

impl World {
    fn new<'a>(permissions: impl Iterator<Item = &'a Permission>) -> World {
        let all: Vec<Permission> = permissions.cloned().collect();
        let mut by_pattern = PatternTable::default();
        for (index, permission) in all.iter().enumerate() {
            by_pattern.insert(&permission.uri, permission.policy, index);
        }
        World { all, by_pattern }
    }

    fn grant(&self, action: Action, uri: &str, policy: Match) -> Option<bool> {
        let rule = match policy {
            Match::Exact => self.all.get(*self.by_pattern.best_match(uri)?)?,
            Match::Prefix | Match::Wildcard => self.rule_for_pattern(action, uri, policy)?,
        };
        allows(rule, action).then_some(match action {
            Action::Call => rule.disclose_caller,
            Action::Publish => rule.disclose_publisher,
            Action::Register | Action::Subscribe => false,
        })
    }

    /// The rule that decides about a pattern; `None` when a part of the pattern is forbidden by a rule that outranks
    /// it.
    fn rule_for_pattern(&self, action: Action, uri: &str, policy: Match) -> Option<&Permission> {
        let covering = self.all.iter().filter(|rule| covers_pattern(rule, uri, policy));
        let decisive = covering.max_by(|a, b| rank(a, b))?;
        let forbids =
            |rule: &&Permission| rank(rule, decisive).is_gt() && overlaps(rule, uri, policy) && !allows(rule, action);
        match self.all.iter().find(forbids) {
            Some(_) => None,
            None => Some(decisive),
        }
    }
}

fn allows(rule: &Permission, action: Action) -> bool {
    match action {
        Action::Call => rule.call,
        Action::Register => rule.register,
        Action::Publish => rule.publish,
        Action::Subscribe => rule.subscribe,
    }
}

/// Which of two rules that cover the same name decides, by the precedence of pattern-based registrations.
fn rank(a: &Permission, b: &Permission) -> Ordering {
    let class = |rule: &Permission| match rule.policy {
        Match::Exact => 2,
        Match::Prefix => 1,
        Match::Wildcard => 0,
    };
    class(a).cmp(&class(b)).then_with(|| match (a.policy, b.policy) {
        (Match::Prefix, Match::Prefix) => a.uri.len().cmp(&b.uri.len()),
        // The first component in which only one of them is given decides for that one.
        (Match::Wildcard, Match::Wildcard) => {
            let given = |rule: &Permission| rule.uri.split('.').map(|c| !c.is_empty()).collect::<Vec<_>>();
            given(a).cmp(&given(b))
        }
        _ => Ordering::Equal,
    })
}

/// Whether a rule covers every name that a pattern covers.
fn covers_pattern(rule: &Permission, uri: &str, policy: Match) -> bool {
    match (rule.policy, policy) {
        (Match::Exact, Match::Exact) => rule.uri == uri,
        (Match::Prefix, Match::Exact | Match::Prefix) => uri.starts_with(&rule.uri),
        (Match::Prefix, Match::Wildcard) => given_head(uri).starts_with(&rule.uri),
        (Match::Wildcard, Match::Exact | Match::Wildcard) => {
            rule.uri.split('.').count() == uri.split('.').count()
                && rule.uri.split('.').zip(uri.split('.')).all(|(rule, part)| rule.is_empty() || rule == part)
        }
        (Match::Exact, Match::Wildcard) => rule.uri == uri && !uri.split('.').any(str::is_empty),
        // A prefix stands for names of any number of components.
        (Match::Exact | Match::Wildcard, Match::Prefix) => false,
    }
}

/// Whether some name is covered by both the rule and the pattern.
fn overlaps(rule: &Permission, uri: &str, policy: Match) -> bool {
    match (rule.policy, policy) {
        (Match::Exact, _) => policy.covers(uri, &rule.uri),
        (_, Match::Exact) => rule.policy.covers(&rule.uri, uri),
        (Match::Prefix, Match::Prefix) => uri.starts_with(&rule.uri) || rule.uri.starts_with(uri),
        (Match::Prefix, Match::Wildcard) => wildcard_meets_prefix(uri, &rule.uri),
        (Match::Wildcard, Match::Prefix) => wildcard_meets_prefix(&rule.uri, uri),
        (Match::Wildcard, Match::Wildcard) => {
            let meets = |(a, b): (&str, &str)| a.is_empty() || b.is_empty() || a == b;
            rule.uri.split('.').count() == uri.split('.').count() && rule.uri.split('.').zip(uri.split('.')).all(meets)
        }
    }
}

/// Whether some name that the wildcard pattern covers begins with the prefix, whose last component may be cut short.
fn wildcard_meets_prefix(wildcard: &str, prefix: &str) -> bool {
    let mut components = wildcard.split('.');
    let mut parts = prefix.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(component) = components.next() else { return false };
        let is_last = parts.peek().is_none();
        if !(component.is_empty() || component == part || is_last && component.starts_with(part)) {
            return false;
        }
    }
    true
}

/// How all names begin that a wildcard pattern covers: the pattern up to its first wildcard.
fn given_head(wildcard: &str) -> &str {
    if wildcard.starts_with('.') {
        return "";
    }
    let head = wildcard.find("..").and_then(|index| wildcard.get(..=index));
    head.unwrap_or(wildcard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(uri: &str, policy: Match, subscribe: bool) -> Permission {
        Permission { policy, subscribe, ..Permission::none(uri) }
    }

    #[test]
    fn the_most_specific_rule_decides_about_a_name() {
        let rules = Rules::new(&[
            rule("", Match::Prefix, false),
            rule("com.app.", Match::Prefix, true),
            rule("com.app.secret.", Match::Prefix, false),
            rule("com.app.secret.key", Match::Exact, true),
            rule("net..x", Match::Wildcard, true),
        ]);
        for (uri, allowed) in [
            ("org.a", false),
            ("com.app.a", true),
            ("com.app.secret.a", false),
            ("com.app.secret.key", true),
            // The empty prefix covers it too, and a prefix comes before a wildcard.
            ("net.a.x", false),
        ] {
            assert_eq!(rules.grant(Action::Subscribe, uri, Match::Exact).is_some(), allowed, "{uri}");
        }
        assert_eq!(Rules::new(&[]).grant(Action::Call, "com.a", Match::Exact), None);
    }

    #[test]
    fn a_pattern_needs_a_rule_that_covers_all_of_it() {
        let rules = Rules::new(&[
            rule("com.a.", Match::Prefix, true),
            rule("com.b", Match::Exact, true),
            rule("net..x", Match::Wildcard, true),
            rule("org.", Match::Prefix, true),
            rule("org.secret.", Match::Prefix, false),
        ]);
        for (uri, policy, allowed) in [
            ("", Match::Prefix, false),
            ("com.", Match::Prefix, false),
            ("com.a.", Match::Prefix, true),
            ("com.a.b", Match::Prefix, true),
            ("com.a..b", Match::Wildcard, true),
            ("com..b", Match::Wildcard, false),
            ("com.b", Match::Prefix, false),
            ("com.b", Match::Wildcard, true),
            ("net..x", Match::Wildcard, true),
            ("net.a.x", Match::Wildcard, true),
            ("net..", Match::Wildcard, false),
            ("net.", Match::Prefix, false),
            ("org.", Match::Prefix, false),
            ("org.public.", Match::Prefix, true),
            ("org..x", Match::Wildcard, false),
            ("org.public.", Match::Wildcard, true),
        ] {
            assert_eq!(rules.grant(Action::Subscribe, uri, policy).is_some(), allowed, "{uri:?} {policy:?}");
        }
    }

    #[test]
    fn a_rule_is_about_the_router_only_when_it_says_so() {
        let grants =
            |rules: &[Permission], uri: &str, policy| Rules::new(rules).grant(Action::Subscribe, uri, policy).is_some();
        let everything =
            [rule("", Match::Prefix, true), rule("..", Match::Wildcard, true), rule("w", Match::Prefix, true)];
        for (uri, policy) in [
            ("wamp.session.on_join", Match::Exact),
            ("wamp", Match::Exact),
            ("wamp.", Match::Prefix),
            ("wamp..on_join", Match::Wildcard),
        ] {
            assert!(!grants(&everything, uri, policy), "{uri:?}");
            let named =
                [&everything[..], &[rule("wamp.", Match::Prefix, true), rule("wamp", Match::Exact, true)]].concat();
            assert!(grants(&named, uri, policy), "{uri:?}");
        }
        assert!(grants(&everything, "", Match::Prefix), "it brings nothing of the router, see the broker");
        let closed = [rule("", Match::Prefix, true), rule("wamp.", Match::Prefix, false)];
        assert!(grants(&closed, "", Match::Prefix) && grants(&closed, "wamp", Match::Prefix));
        let one = [rule("", Match::Prefix, false), rule("wamp.session.", Match::Prefix, true)];
        assert!(grants(&one, "wamp.session.on_join", Match::Exact));
        assert!(!grants(&one, "wamp.", Match::Prefix) && !grants(&one, "wamp.metatopic", Match::Exact));
        assert!(!grants(&[rule("wamp.", Match::Prefix, true)], "wampum", Match::Exact));
    }

    proptest! {
        /// Who may subscribe to a pattern may subscribe to everything that it covers.
        #[test]
        fn a_pattern_gives_no_more_than_its_names(
            rules in prop::collection::vec(("(a|b|\\.){0,4}", 0..3usize, any::<bool>()), 0..6),
            pattern in "(a|b|\\.){0,4}",
            policy in 1..3usize,
            names in prop::collection::vec("(a|b)(\\.?(a|b)){0,3}", 1..12),
        ) {
            let rules: Vec<_> = rules.iter().map(|(uri, policy, yes)| rule(uri, Match::ALL[*policy], *yes)).collect();
            let rules = Rules::new(&rules);
            let policy = Match::ALL[policy];
            if rules.grant(Action::Subscribe, &pattern, policy).is_some() {
                for name in names.iter().filter(|name| policy.covers(&pattern, name)) {
                    prop_assert!(rules.grant(Action::Subscribe, name, Match::Exact).is_some(), "{}", name);
                }
            }
        }
    }
}
