//! Who answers what: a registration, its callees, and how they come and go.

use crate::realm::MemberKind;
use crate::wamp::{Id, SessionKey, uri::Match};
use std::time::Duration;

/// How a registration with several callees chooses among them. The first registrant decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invoke {
    /// There is only one callee.
    #[default]
    Single,
    /// In turn, in the order of registration.
    RoundRobin,
    Random,
    /// The one that registered first.
    First,
    /// The one that registered last.
    Last,
}

impl Invoke {
    pub const ALL: [Invoke; 5] = [Invoke::Single, Invoke::RoundRobin, Invoke::Random, Invoke::First, Invoke::Last];

    pub const fn name(self) -> &'static str {
        match self {
            Invoke::Single => "single",
            Invoke::RoundRobin => "roundrobin",
            Invoke::Random => "random",
            Invoke::First => "first",
            Invoke::Last => "last",
        }
    }

    pub fn from_name(name: &str) -> Option<Invoke> {
        Invoke::ALL.into_iter().find(|invoke| invoke.name() == name)
    }
}

/// A procedure, or a pattern of procedures, that somebody answers.
#[derive(Debug)]
pub struct Registration {
    pub id: Id,
    pub uri: String,
    pub policy: Match,
    pub invoke: Invoke,
    /// Wall time since the Unix epoch.
    pub created: Duration,
    callees: Vec<Callee>,
}

impl Registration {
    /// The clients that answer it, in the order in which they registered. Links to other nodes are not callees to anybody
    /// who asks.
    pub fn client_callees(&self) -> impl Iterator<Item = SessionKey> {
        self.callees.iter().filter(|callee| callee.kind == MemberKind::Client).map(|callee| callee.session)
    }
}

/// One member that answers a registration.
#[derive(Debug)]
pub(super) struct Callee {
    session: SessionKey,
    kind: MemberKind,
}
