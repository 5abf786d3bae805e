//! Testaments: what a session wants published when it is gone.

use super::broker::{Broker, Publisher};
use super::ids::id_of_testament;
use super::{Context, Effect, Origin};
use crate::drop::DropReason;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload};
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
    pub options: Dict,
    pub payload: Payload,
    /// Whether the session's role discloses publishers.
    pub disclosed: bool,
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
        key: SessionKey,
        session: Id,
        mut testament: Testament,
        count_max: usize,
    ) -> Result<(), String> {
        let SessionTestaments(testaments) = self.by_session.entry(key).or_default();
        if testaments.len() >= count_max {
            return Err(format!("the session has testaments_per_session_max = {count_max} testaments"));
        }
        self.n_added += 1;
        testament.serial = self.n_added;
        testament.publication = id_of_testament(session, self.n_added);
        self.changed.push(TestamentChange::Added(key, testament.publication));
        testaments.push(testament);
        Ok(())
    }

    /// Forgets those of one scope. Gives how many there were.
    pub fn flush(&mut self, key: SessionKey, scope: Scope) -> usize {
        let Some(SessionTestaments(testaments)) = self.by_session.get_mut(&key) else { return 0 };
        let before = testaments.len();
        testaments.retain(|testament| testament.scope != scope);
        self.changed.push(TestamentChange::Flushed(key, scope));
        before - testaments.len()
    }

    /// Those of a session.
    pub fn of(&self, key: SessionKey) -> &[Testament] {
        self.by_session.get(&key).map_or(&[], |SessionTestaments(testaments)| testaments)
    }

    /// Takes those of a session that leaves.
    pub fn take(&mut self, key: SessionKey) -> SessionTestaments {
        self.by_session.remove(&key).unwrap_or_default()
    }
}

impl SessionTestaments {
    /// Publishes those of one scope for the session that has left.
    /// `origin` is that of the session.
    pub fn publish(&self, scope: Scope, cx: &mut Context, broker: &mut Broker, publisher: &Publisher, origin: Origin) {
        for testament in self.0.iter().filter(|testament| testament.scope == scope) {
            let disclosed = testament.disclosed || testament.options.bool("disclose_me") == Some(true);
            let publisher = disclosed.then(|| publisher.clone());
            let Testament { publication, topic, options, payload, .. } = testament;
            let options = options.clone().with("testament", true);
            if broker.publish(cx, *publication, origin, publisher, topic, &options, payload.clone()).is_err() {
                cx.out.push(Effect::Drop { reason: DropReason::PublishRefused });
            }
        }
    }
}
