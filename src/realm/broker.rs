//! Publish and subscribe: who listens to what, and what is kept for those who come later.

mod filter;
mod history;
mod publish;
mod retained;
mod subscriptions;

pub use history::{HistoryEntry, HistoryError, HistoryQuery};
pub(crate) use publish::micros;
pub use publish::{Forwarded, Publication, Publisher, Source};
pub use retained::{RetainedForPeers, RetainedPlace};
pub use subscriptions::Subscription;

use super::{MemberKind, RealmConfig, ledger::Ledger, pattern::PatternTable};
use crate::kept::Kind;
use crate::time::Now;
use crate::wamp::uri::{Match, is_reserved, names_reserved};
use crate::wamp::{Id, SessionKey};
use history::Histories;
use retained::RetainedEvents;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// The broker of one realm.
#[derive(Debug, Default)]
pub struct Broker {
    subscriptions: Slab<Subscription>,
    /// Places in `subscriptions`, by id and by pattern.
    by_id: HashMap<Id, usize>,
    by_pattern: PatternTable<usize>,
    /// What each member has subscribed to: the place of the subscription, and the member's place among its receivers.
    held: HashMap<SessionKey, BTreeMap<usize, usize>>,
    /// How many entries `held` has in all, and what the URIs of all subscriptions take.
    n_held: usize,
    uri_bytes: usize,
    retained: RetainedEvents,
    histories: Histories,
    /// The subscriptions that match the publication at hand; kept for its memory.
    matches: Vec<usize>,
    /// The patterns that clients (or histories) have begun or ceased to listen to; see `Realm::take_changes`.
    pub(super) changed: BTreeSet<(Match, String)>,
}

impl Broker {
    /// Takes over what the configuration says about event history. What was kept under a rule that stays is kept.
    pub fn configure(&mut self, now: Now, config: &RealmConfig, ledger: &mut Ledger) {
        for place in self.histories.places() {
            let Some(subscription) = self.subscriptions.get(place) else { continue };
            let stays = |rule: &_| history::rule_is(rule, &subscription.uri, subscription.policy);
            if !config.history.iter().any(stays) {
                self.changed.insert((subscription.policy, subscription.uri.clone()));
                self.histories.remove(place);
                self.release_if_unused(place);
            }
        }
        for rule in &config.history {
            let place = self.place_or_create(now, &rule.uri, rule.policy, 0);
            self.histories.configure(place, rule.entries_max);
            self.changed.insert((rule.policy, rule.uri.clone()));
        }
        self.post_subscriptions(ledger);
        ledger.post(Kind::History, self.histories.bytes());
    }

    /// Every subscription that a client has, or that has a history, in the order of their places.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.iter().filter(|(place, _)| self.is_visible(*place)).map(|(_, subscription)| subscription)
    }

    /// The subscription with this id, if a client has it or it has a history.
    pub fn subscription(&self, id: Id) -> Option<&Subscription> {
        let place = *self.by_id.get(&id)?;
        self.subscriptions.get(place).filter(|_| self.is_visible(place))
    }

    /// How many subscriptions a member has.
    pub fn n_held_by(&self, key: SessionKey) -> usize {
        self.held.get(&key).map_or(0, BTreeMap::len)
    }

    /// The subscription with this id, even if only links have it.
    pub(super) fn subscription_of_any(&self, id: Id) -> Option<&Subscription> {
        self.by_id.get(&id).and_then(|place| self.subscriptions.get(*place))
    }

    /// The subscription of exactly this pattern.
    pub fn lookup(&self, uri: &str, policy: Match) -> Option<&Subscription> {
        let place = *self.by_pattern.value(uri, policy)?;
        self.subscriptions.get(place).filter(|_| self.is_visible(place))
    }

    /// See `PatternTable::probes_with`.
    pub(super) fn probes_with(&self, uri: &str, policy: Match) -> usize {
        self.by_pattern.probes_with(uri, policy)
    }

    /// The subscriptions of one member.
    pub fn held_by(&self, key: SessionKey) -> impl Iterator<Item = &Subscription> {
        let places = self.held.get(&key).into_iter().flat_map(|held| held.keys());
        places.filter_map(|place| self.subscriptions.get(*place))
    }

    /// The ids of all subscriptions that an event on `topic` goes to.
    pub fn matching(&self, topic: &str) -> Vec<Id> {
        let mut ids = Vec::new();
        self.for_each_match(topic, |place| {
            let subscription = self.subscriptions.get(place).filter(|_| self.is_visible(place));
            ids.extend(subscription.map(|subscription| subscription.id));
        });
        ids
    }

    /// The places of all subscriptions that an event on `topic` goes to. What the router tells of itself goes to those
    /// only that name its namespace, because only for those it was asked whether they may.
    fn for_each_match(&self, topic: &str, mut visit: impl FnMut(usize)) {
        let is_reserved = is_reserved(topic);
        self.by_pattern.for_each_match(topic, |place| {
            let Some(subscription) = self.subscriptions.get(*place) else { return };
            if !is_reserved || names_reserved(&subscription.uri, subscription.policy) {
                visit(*place);
            }
        });
    }

    /// The kept events of a subscription that `query` asks for, unless they have more than `bytes_max` bytes.
    pub fn history(&self, id: Id, query: &HistoryQuery, bytes_max: usize) -> Result<Vec<&HistoryEntry>, HistoryError> {
        let place = *self.by_id.get(&id).ok_or(HistoryError::NoSuchSubscription)?;
        self.histories.query(place, query, bytes_max)
    }

    /// Lets the oldest events of all histories go, so many bytes of them.
    pub(super) fn trim_history(&mut self, bytes: usize, ledger: &mut Ledger) {
        self.histories.trim_all(self.histories.bytes().saturating_sub(bytes));
        ledger.post(Kind::History, self.histories.bytes());
    }

    /// How many events are retained.
    pub fn n_retained(&self) -> usize {
        self.retained.len()
    }

    /// Links to other nodes are of no concern to those who ask.
    fn is_visible(&self, place: usize) -> bool {
        let has_clients = |subscription: &Subscription| !subscription.clients.is_empty();
        self.subscriptions.get(place).is_some_and(has_clients) || self.histories.has(place)
    }
}

/// Which receivers of a subscription a member of this kind is among.
fn receivers(subscription: &mut Subscription, kind: MemberKind) -> &mut Vec<SessionKey> {
    match kind {
        MemberKind::Client => Rc::make_mut(&mut subscription.clients),
        MemberKind::Peer | MemberKind::Uplink => &mut subscription.peers,
    }
}
