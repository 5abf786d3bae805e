//! What the clients of other nodes hold: every node tells its peers of the subscriptions and registrations of its own
//! clients, one by one, so that each can tell its clients of those of the whole cluster (`realm::holdings`), and of
//! their end when the node dies.
//!
//! As in `afterlife` there is a snapshot, page by page, when a link comes up, and then there are notices on the same
//! link. What had been told before the link was lost, and is not told again, has ended meanwhile.

use super::ClusteredRealm;
use super::page::Page;
use super::trust::forged;
use crate::limits::HOLDINGS_AT_ONCE;
use crate::mesh::{LinkCall, frames};
use crate::realm::Effect;
use crate::realm::holdings::Holding;
use crate::realm::ids::IdKind;
use crate::time::Now;
use crate::wamp::uri::is_reserved;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload, Value};
use std::collections::BTreeSet;

/// What the sessions of one node hold.
#[derive(Debug, Default)]
pub(super) struct RemoteHoldings {
    held: BTreeSet<Key>,
    /// What was told of before the link was lost and has not been told again, while the snapshot is under way.
    unconfirmed: Option<BTreeSet<Key>>,
}

/// Session, kind and id.
type Key = (Id, IdKind, Id);

impl RemoteHoldings {
    /// The memory that they take; the nodes of the trees are two thirds full.
    pub(super) fn bytes(&self) -> usize {
        let n = self.held.len() + self.unconfirmed.as_ref().map_or(0, BTreeSet::len);
        n * size_of::<Key>() * 3 / 2
    }

    /// The link to the node is up; a snapshot is asked for.
    pub(super) fn handle_up(&mut self) {
        self.unconfirmed = Some(self.held.clone());
    }

    /// Whether a snapshot is under way.
    pub(super) fn is_fetching(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// The link to the node is lost, or the snapshot failed.
    pub(super) fn handle_lost(&mut self) {
        self.unconfirmed = None;
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Takes out what a session holds.
    pub(super) fn take_of(&mut self, session: Id) -> Vec<Holding> {
        let keys = (session, IdKind::Subscription, 0)..=(session, IdKind::Registration, Id::MAX);
        let keys: Vec<Key> = self.held.range(keys).copied().collect();
        keys.into_iter().filter(|key| self.remove(key)).map(ended).collect()
    }

    pub(super) fn into_all(self) -> Vec<Holding> {
        self.held.into_iter().map(ended).collect()
    }

    fn remove(&mut self, key: &Key) -> bool {
        if let Some(unconfirmed) = &mut self.unconfirmed {
            unconfirmed.remove(key);
        }
        self.held.remove(key)
    }

    /// Whether it is new.
    fn insert(&mut self, key: Key) -> bool {
        if let Some(unconfirmed) = &mut self.unconfirmed {
            unconfirmed.remove(&key);
        }
        self.held.insert(key)
    }
}

impl ClusteredRealm {
    /// Tells all peers what clients of this node have begun and ceased to hold. Of those that have left, all is said.
    pub(super) fn notify_holdings(&self, changed: Vec<Holding>, out: &mut Vec<Effect>) {
        for holding in changed.into_iter().filter(|holding| self.members().key_of(holding.session).is_some()) {
            let Holding { session, kind, id, details } = holding;
            let head = |last: Value| vec![session.into(), kind.name().into(), last];
            match details {
                Some(details) => self.notify(frames::HELD, head(details.into()), out),
                None => self.notify(frames::HELD_NO_MORE, head(id.into()), out),
            }
        }
    }

    /// Tells all peers that a session, which is about to leave, holds nothing any more.
    pub(super) fn notify_held_no_more(&self, key: SessionKey, session: Id, out: &mut Vec<Effect>) {
        if self.held_by_client(key).next().is_some() {
            self.notify(frames::HELD_NO_MORE, vec![session.into()], out);
        }
    }

    /// A notice of a peer.
    pub(super) fn handle_held(
        &mut self,
        now: Now,
        link: SessionKey,
        node: &str,
        told: &[Value],
        out: &mut Vec<Effect>,
    ) {
        match told {
            [session] => {
                let (Some(held), Some(session)) = (self.afterlife.held_mut(node), session.as_uint()) else { return };
                let ended = held.take_of(session);
                self.end_all(now, ended, false, out);
            }
            told => self.learn_holding(now, link, node, told, out),
        }
    }

    /// Tells our clients of what clients of other nodes have ceased to hold.
    pub(super) fn end_all(&mut self, now: Now, ended: Vec<Holding>, is_silent: bool, out: &mut Vec<Effect>) {
        for holding in ended {
            self.realm.handle_elsewhere(now, &holding, is_silent, out);
        }
    }

    /// One page of what this node's sessions hold, for a peer: what comes after the holding that it names; and the
    /// holding to go on after.
    pub(super) fn holdings_page(&self, payload: &Payload, out: &mut Vec<Effect>) -> Vec<Value> {
        let after = payload.args().ok().and_then(|args| read_key(&args));
        let sessions = self.members().visible().into_iter().map(|(key, member)| (member.identity.session, key));
        let (mut page, mut last) = (Page::default(), after);
        for (session, key) in sessions.filter(|(session, _)| after.is_none_or(|(from, ..)| from <= *session)) {
            // In order, and with their details, which are long, only those that may be on this page.
            for (kind, id) in self.held_in_order(key, last.filter(|(from, ..)| *from == session)) {
                let place = (session, kind, id);
                let Some(details) = self.holding_details(kind, id) else { continue };
                if !page.push(Value::List(vec![session.into(), kind.name().into(), details.into()])) {
                    return page.finish(last.map_or(Value::Null, write_key), out);
                }
                last = Some(place);
            }
        }
        page.finish(Value::Null, out)
    }

    /// A page of what a peer's sessions hold has come: the next one is asked for, or this was the last.
    pub(super) fn handle_holdings_page(&mut self, now: Now, key: SessionKey, args: Vec<Value>, out: &mut Vec<Effect>) {
        let Some(node) = self.uplinks.get(&key).map(|uplink| uplink.node.clone()) else { return };
        for told in args.first().and_then(Value::as_list).unwrap_or_default() {
            self.learn_holding(now, key, &node, told.as_list().unwrap_or_default(), out);
        }
        if self.end_if_excessive(now, key, out) {
            return;
        }
        if let Some(Value::List(more)) = args.get(1) {
            return self.ask_peer(key, LinkCall::Holdings, more.clone(), out);
        }
        let Some(held) = self.afterlife.held_mut(&node) else { return };
        let gone = held.unconfirmed.take().unwrap_or_default();
        let gone: Vec<Holding> = gone.into_iter().filter(|key| held.held.remove(key)).map(ended).collect();
        self.end_all(now, gone, false, out);
        self.fetch_if_stale(key, out);
    }

    /// Takes over what a node says about one holding.
    fn learn_holding(&mut self, now: Now, link: SessionKey, node: &str, told: &[Value], out: &mut Vec<Effect>) {
        let Some(key) = read_key(told) else { return };
        let details = told.last().and_then(Value::as_dict).cloned();
        if details.is_some() && !self.may_hold(node, key.0) {
            let sentence = format!("the holder, session {}, is none of {node}", key.0);
            return out.push(forged(link, "hold", frames::HELD, sentence));
        }
        let Some(held) = self.afterlife.held_mut(node) else { return };
        let is_news = if details.is_some() { held.insert(key) } else { held.remove(&key) };
        if is_news {
            let holding = Holding { details, ..ended(key) };
            self.realm.handle_elsewhere(now, &holding, false, out);
        }
    }

    /// What a client of this node holds and others are told of.
    fn held_by_client(&self, key: SessionKey) -> impl Iterator<Item = (IdKind, Id)> {
        let topics = self.realm.broker().held_by(key).filter(|held| !is_reserved(&held.uri));
        let topics = topics.map(|held| (IdKind::Subscription, held.id));
        let procedures = self.realm.dealer().held_by(key);
        topics.chain(procedures.map(|held| (IdKind::Registration, held.id)))
    }

    /// The same in order, those after this one. Every page of a session asks anew, so that only a few are sorted at a
    /// time, and the others no more than looked at.
    fn held_in_order(&self, key: SessionKey, after: Option<Key>) -> impl Iterator<Item = (IdKind, Id)> {
        let mut after = after.map(|(_, kind, id)| (kind, id));
        std::iter::from_fn(move || {
            let mut next: Vec<(IdKind, Id)> =
                self.held_by_client(key).filter(|held| after.is_none_or(|after| after < *held)).collect();
            if next.len() > HOLDINGS_AT_ONCE {
                next.select_nth_unstable(HOLDINGS_AT_ONCE);
                next.truncate(HOLDINGS_AT_ONCE);
            }
            next.sort_unstable();
            after = next.last().copied().or(after);
            (!next.is_empty()).then_some(next)
        })
        .flatten()
    }

    fn holding_details(&self, kind: IdKind, id: Id) -> Option<Dict> {
        match kind {
            IdKind::Subscription => self.realm.broker().subscription(id).map(|held| held.details()),
            IdKind::Registration => self.realm.dealer().registration(id).map(|held| held.details()),
        }
    }
}

/// Reads session, kind, and the id or the details that have it.
fn read_key(told: &[Value]) -> Option<Key> {
    let [session, kind, what] = told else { return None };
    let id = what.as_uint().or_else(|| what.as_dict()?.uint("id"))?;
    Some((session.as_uint()?, IdKind::from_name(kind.as_str()?)?, id))
}

fn write_key((session, kind, id): Key) -> Value {
    Value::List(vec![session.into(), kind.name().into(), id.into()])
}

fn ended((session, kind, id): Key) -> Holding {
    Holding { session, kind, id, details: None }
}
