//! Testaments: what a session wants published when it is gone.

use super::broker::{Broker, Forwarded, Publisher, Source};
use super::ids::id_of_testament;
use super::ledger::Ledger;
use super::{Context, Effect, Origin};
use crate::drop::DropReason;
use crate::kept::Kind;
use crate::limits::Limits;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload, allocated};
use std::collections::HashMap;

/// When a testament is published. Sessions do not outlive their transport here, so both come at the same time, the
/// detached ones first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Destroyed,
    Detached,
}

impl Scope {
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Destroyed => "destroyed",
            Scope::Detached => "detached",
        }
    }

    pub fn from_name(name: &str) -> Option<Scope> {
        match name {
            "destroyed" => Some(Scope::Destroyed),
            "detached" => Some(Scope::Detached),
            _ => None,
        }
    }
}

/// One event to come.
#[derive(Clone, Debug)]
pub struct Testament {
    /// The id of its publication: the same on every node that may have to publish it.
    pub publication: Id,
    /// Its number among all testaments of its node, in the order in which they were added.
    pub serial: u64,
    pub scope: Scope,
    pub topic: String,
    /// As the arguments by keyword of a payload: encoded, lists take a fraction of the memory.
    pub options: Payload,
    pub payload: Payload,
    /// Whether the session's role discloses publishers.
    pub disclosed: bool,
}

impl Testament {
    /// The memory that it takes in a list of testaments.
    pub fn bytes(&self) -> usize {
        let own = size_of::<Testament>() * 3 / 2;
        own + allocated(self.topic.len()) + self.options.heap_bytes() + self.payload.heap_bytes()
    }

    /// The options of its publication.
    pub fn publish_options(&self) -> Dict {
        // What was checked when it arrived can be read.
        self.options.kwargs().unwrap_or_default()
    }
}

/// The testaments of all sessions.
#[derive(Debug, Default)]
pub struct Testaments {
    by_session: HashMap<SessionKey, SessionTestaments>,
    n_added: u64,
    /// What has become of them; see `Realm::take_changes`.
    pub(super) changed: Vec<TestamentChange>,
}

/// What a session has done with its testaments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestamentChange {
    /// Added the one with this publication.
    Added(SessionKey, Id),
    /// Forgotten all of this scope.
    Flushed(SessionKey, Scope),
}

/// Those of one session, in the order in which they were added.
#[derive(Debug, Default)]
pub struct SessionTestaments(pub Vec<Testament>);

impl Testaments {
    /// Adds one, unless the session has `count_max` already.
    pub fn add(
        &mut self,
        ledger: &mut Ledger,
        limits: &Limits,
        key: SessionKey,
        session: Id,
        mut testament: Testament,
    ) -> Result<(), String> {
        let count_max = limits.testaments_per_session_max;
        if self.of(key).len() >= count_max {
            return Err(format!("the session has testaments_per_session_max = {count_max} testaments"));
        }
        ledger.admit(limits, Some(key), testament.bytes())?;
        ledger.recount(Kind::Testaments, Some(key), 0, testament.bytes());
        let SessionTestaments(testaments) = self.by_session.entry(key).or_default();
        self.n_added += 1;
        testament.serial = self.n_added;
        testament.publication = id_of_testament(session, self.n_added);
        self.changed.push(TestamentChange::Added(key, testament.publication));
        testaments.push(testament);
        Ok(())
    }

    /// Forgets those of one scope. Gives how many there were.
    pub fn flush(&mut self, ledger: &mut Ledger, key: SessionKey, scope: Scope) -> usize {
        let Some(SessionTestaments(testaments)) = self.by_session.get_mut(&key) else { return 0 };
        let before = testaments.len();
        let is_flushed = |testament: &mut Testament| testament.scope == scope;
        let bytes = testaments.extract_if(.., is_flushed).map(|flushed| flushed.bytes()).sum();
        ledger.recount(Kind::Testaments, Some(key), bytes, 0);
        self.changed.push(TestamentChange::Flushed(key, scope));
        before - testaments.len()
    }

    /// Those of a session.
    pub fn of(&self, key: SessionKey) -> &[Testament] {
        self.by_session.get(&key).map_or(&[], |SessionTestaments(testaments)| testaments)
    }

    /// Takes those of a session that leaves.
    pub fn take(&mut self, ledger: &mut Ledger, key: SessionKey) -> SessionTestaments {
        let taken = self.by_session.remove(&key).unwrap_or_default();
        ledger.recount(Kind::Testaments, Some(key), taken.0.iter().map(Testament::bytes).sum(), 0);
        taken
    }
}

impl SessionTestaments {
    /// Publishes those of one scope for the session that has left.
    /// `origin` is that of the session.
    pub fn publish(&self, scope: Scope, cx: &mut Context, broker: &mut Broker, publisher: &Publisher, origin: Origin) {
        for testament in self.0.iter().filter(|testament| testament.scope == scope) {
            let options = testament.publish_options();
            let disclosed = testament.disclosed || options.bool("disclose_me") == Some(true);
            let publisher = disclosed.then(|| publisher.clone());
            let Testament { publication, topic, payload, .. } = testament;
            let publication = *publication;
            let source = match origin {
                Origin::Client => Source::Client { publication, publisher },
                Origin::Shard | Origin::Node => {
                    Source::Link(Forwarded { publication, publisher, published: None, forward_for: None })
                }
            };
            if broker.publish_testament(cx, source, topic, &options, payload.clone()).is_err() {
                cx.out.push(Effect::Drop { reason: DropReason::PublishRefused });
            }
        }
    }
}
