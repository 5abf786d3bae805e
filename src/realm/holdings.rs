//! Who holds which subscription or registration, and what every node tells its own clients of it.
//!
//! A node tells its clients of the subscriptions and registrations of the whole cluster, those of other nodes as soon
//! as it has heard of them. So the meta events of one node always fit together, in whatever order nodes hear of one
//! another: between two `on_create` of the same object there is one `on_delete`, and who dies is told of like who
//! leaves.

use super::ids::IdKind;
use super::pattern::hashed;
use super::{Context, MetaEvent};
use crate::wamp::Id;
use crate::wire::{Dict, Value};
use std::collections::HashMap;

/// What clients of other nodes hold, and what is to be told to these nodes.
#[derive(Debug, Default)]
pub struct Holdings {
    /// How many clients of other nodes hold it. No entry is 0.
    elsewhere: HashMap<(IdKind, Id), usize>,
    /// What clients of this node have begun or ceased to hold; see `Realm::take_changes`.
    pub(super) changed: Vec<Holding>,
}

/// One subscription or registration of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    pub session: Id,
    pub kind: IdKind,
    pub id: Id,
    /// What it is, as `on_create` tells it; None when the session has ceased to hold it.
    pub details: Option<Dict>,
}

impl Holdings {
    /// How many clients of other nodes hold it.
    pub fn n_elsewhere(&self, kind: IdKind, id: Id) -> usize {
        self.elsewhere.get(&(kind, id)).copied().unwrap_or(0)
    }

    /// The memory that this takes.
    pub(super) fn bytes(&self) -> usize {
        self.elsewhere.len() * hashed(size_of::<((IdKind, Id), usize)>())
    }

    /// Takes note of what a client of another node has begun or ceased to hold.
    pub(super) fn count(&mut self, holding: &Holding) {
        let key = (holding.kind, holding.id);
        let n = self.n_elsewhere(holding.kind, holding.id);
        match holding.details {
            Some(_) => drop(self.elsewhere.insert(key, n + 1)),
            None if n > 1 => drop(self.elsewhere.insert(key, n - 1)),
            None => drop(self.elsewhere.remove(&key)),
        }
    }
}

impl Context<'_> {
    /// A client of this node has begun or ceased to hold something. `is_only` says that no other client of this node
    /// holds it.
    pub(super) fn tell_holding(&mut self, holding: Holding, is_only: bool) {
        self.note_holding(&holding, is_only);
        self.holdings.changed.push(holding);
    }

    /// As `tell_holding`, of a client of whatever node.
    pub(super) fn note_holding(&mut self, holding: &Holding, is_only: bool) {
        let Holding { session, kind, id, details } = holding;
        let is_only = is_only && self.holdings.n_elsewhere(*kind, *id) == 0;
        let [on_create, on_begin, on_end, on_delete] = topics(*kind);
        let args: Vec<Value> = vec![(*session).into(), (*id).into()];
        match details {
            Some(details) => {
                if is_only {
                    let args = vec![(*session).into(), details.clone().into()];
                    self.meta.push(MetaEvent { topic: on_create, args });
                }
                self.meta.push(MetaEvent { topic: on_begin, args });
            }
            None => {
                self.meta.push(MetaEvent { topic: on_end, args: args.clone() });
                if is_only {
                    self.meta.push(MetaEvent { topic: on_delete, args });
                }
            }
        }
    }
}

/// The meta events of an object, in the order of its life.
const fn topics(kind: IdKind) -> [&'static str; 4] {
    match kind {
        IdKind::Subscription => [
            "wamp.subscription.on_create",
            "wamp.subscription.on_subscribe",
            "wamp.subscription.on_unsubscribe",
            "wamp.subscription.on_delete",
        ],
        IdKind::Registration => [
            "wamp.registration.on_create",
            "wamp.registration.on_register",
            "wamp.registration.on_unregister",
            "wamp.registration.on_delete",
        ],
    }
}
