//! URIs: what is well-formed, strictly or loosely, as a name and as a pattern. The regexes of the specification, as
//! scans.

use crate::wire::Dict;

/// How a subscription or registration matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Match {
    Exact,
    Prefix,
    Wildcard,
}

impl Match {
    pub const ALL: [Match; 3] = [Match::Exact, Match::Prefix, Match::Wildcard];

    pub const fn name(self) -> &'static str {
        match self {
            Match::Exact => "exact",
            Match::Prefix => "prefix",
            Match::Wildcard => "wildcard",
        }
    }

    pub fn from_name(name: &str) -> Option<Match> {
        Match::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The policy that the options of a SUBSCRIBE or REGISTER name; other words than the three have not passed the
    /// codec.
    pub fn of(options: &Dict) -> Match {
        options.str("match").and_then(Match::from_name).unwrap_or(Match::Exact)
    }

    /// Whether `pattern` with this policy covers `uri`. A prefix is a prefix of the string, not of the components; an
    /// empty component of a wildcard pattern stands for exactly one component.
    pub fn covers(self, pattern: &str, uri: &str) -> bool {
        match self {
            Match::Exact => pattern == uri,
            Match::Prefix => uri.starts_with(pattern),
            Match::Wildcard => {
                let mut components = uri.split('.');
                pattern.split('.').all(|p| components.next().is_some_and(|c| p.is_empty() || p == c))
                    && components.next().is_none()
            }
        }
    }
}

/// How URIs are checked, per realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriCheck {
    /// No whitespace, no `#`, no empty component.
    Loose,
    /// Only lower-case letters, digits and `_` in each component.
    Strict,
}

impl UriCheck {
    /// Whether `uri` may name a topic, a procedure or an error.
    pub fn is_name(self, uri: &str) -> bool {
        !uri.is_empty() && uri.split('.').all(|c| !c.is_empty() && self.is_component(c))
    }

    /// Whether `uri` may stand in a SUBSCRIBE or REGISTER with this match policy.
    pub fn is_pattern(self, uri: &str, policy: Match) -> bool {
        match policy {
            Match::Exact => self.is_name(uri),
            // Only the last component of a prefix may be empty or cut short.
            Match::Prefix => match uri.rsplit_once('.') {
                None => self.is_component(uri),
                Some((head, tail)) => self.is_name(head) && self.is_component(tail),
            },
            Match::Wildcard => uri.split('.').all(|c| self.is_component(c)),
        }
    }

    fn is_component(self, component: &str) -> bool {
        match self {
            UriCheck::Loose => !component.chars().any(|c| c.is_whitespace() || c == '#'),
            UriCheck::Strict => component.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
        }
    }
}

/// Whether `uri` lies in the namespace that is reserved for the router.
pub fn is_reserved(uri: &str) -> bool {
    uri == "wamp" || uri.starts_with("wamp.")
}

/// How many components a URI or a pattern has, wildcards included.
pub fn n_components(uri: &str) -> usize {
    memchr::memchr_iter(b'.', uri.as_bytes()).count().saturating_add(1)
}

/// Whether a pattern says of itself that it is about the namespace of the router: only then it covers names there.
pub fn names_reserved(pattern: &str, policy: Match) -> bool {
    match policy {
        Match::Exact | Match::Wildcard => is_reserved(pattern),
        // It may be cut short, and then is about other names as well.
        Match::Prefix => pattern.starts_with("wamp."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_regexes_of_the_specification() {
        for (uri, loose, strict) in [
            ("com.myapp.topic1", true, true),
            ("com.myapp.Topic-1", true, false),
            ("a", true, true),
            ("", false, false),
            ("a..b", false, false),
            (".a", false, false),
            ("a.", false, false),
            ("a b", false, false),
            ("a#b", false, false),
            ("a.\u{00e9}", true, false),
            ("a.\u{2003}b", false, false),
        ] {
            assert_eq!(UriCheck::Loose.is_name(uri), loose, "loose {uri:?}");
            assert_eq!(UriCheck::Strict.is_name(uri), strict, "strict {uri:?}");
        }
    }

    #[test]
    fn patterns_may_leave_components_out() {
        for (uri, policy, loose) in [
            ("", Match::Prefix, true),
            ("com.", Match::Prefix, true),
            ("com.my", Match::Prefix, true),
            ("com..my", Match::Prefix, false),
            ("com..my", Match::Wildcard, true),
            ("..", Match::Wildcard, true),
            ("a b.", Match::Wildcard, false),
            ("a..b", Match::Exact, false),
        ] {
            assert_eq!(UriCheck::Loose.is_pattern(uri, policy), loose, "{uri:?} {policy:?}");
        }
    }

    #[test]
    fn wildcards_cover_exactly_one_component_each() {
        assert!(Match::Wildcard.covers("com..x", "com.a.x"));
        assert!(!Match::Wildcard.covers("com..x", "com.a.b.x"));
        assert!(!Match::Wildcard.covers("com..x", "com.x"));
        assert!(Match::Prefix.covers("com.ob", "com.object1.do"));
        assert!(Match::Prefix.covers("", "anything"));
    }
}
