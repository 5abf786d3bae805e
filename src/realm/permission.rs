//! Who may do what: the static permissions of a role, and what a realm is configured to be.

use crate::limits::Limits;
use crate::wamp::uri::{Match, UriCheck};

/// What a role asks to do with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Call,
    Register,
    Publish,
    Subscribe,
}

impl Action {
    /// The word in the configuration and in the call of a dynamic authorizer.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Call => "call",
            Action::Register => "register",
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
        }
    }
}

/// One rule of a role. The most specific rule that covers a URI decides: exact, then the longest prefix, then
/// wildcards.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    pub uri: String,
    pub policy: Match,
    pub call: bool,
    pub register: bool,
    pub publish: bool,
    pub subscribe: bool,
    pub disclose_caller: bool,
    pub disclose_publisher: bool,
}

impl Permission {
    /// A rule for all URIs that begin so, which allows nothing.
    pub fn none(prefix: &str) -> Permission {
        Permission {
            uri: prefix.to_owned(),
            policy: Match::Prefix,
            call: false,
            register: false,
            publish: false,
            subscribe: false,
            disclose_caller: false,
            disclose_publisher: false,
        }
    }
}

/// A role of a realm. Without a rule that covers the URI, and without an authorizer, nothing is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub name: String,
    pub permissions: Vec<Permission>,
    /// The procedure of a dynamic authorizer, asked instead of the rules.
    pub authorizer: Option<String>,
}

/// Events on these topics are kept for `wamp.subscription.get_events`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRule {
    pub uri: String,
    pub policy: Match,
    /// How many events are kept.
    pub entries_max: usize,
}

/// Everything that the configuration says about one realm.
#[derive(Clone, Debug, PartialEq)]
pub struct RealmConfig {
    pub name: String,
    pub uri_check: UriCheck,
    pub roles: Vec<Role>,
    pub history: Vec<HistoryRule>,
    /// The procedures of this realm that decide who comes in and who may do what: authenticators and authorizers. They
    /// are registered only by roles that have a rule of exactly their URI.
    pub deciding: Vec<String>,
    /// Calls go to a callee on this node where there is one, before the policy of the registration looks at other
    /// nodes.
    pub local_first: bool,
    pub limits: Limits,
}
