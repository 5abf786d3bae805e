//! What happens to the sessions of a node that dies: every node keeps a list of the sessions of each peer, with their
//! testaments, and when the peer stays away tells its own clients what the peer cannot tell them any more. What these
//! sessions hold is told in `holdings`.
//!
//! The list begins with a snapshot, fetched page by page when a link comes up, and is kept by notices, which come on
//! the same link and so in order. A node that is not dead but out of reach is treated alike: nobody can tell the two
//! apart. When it comes back, what was published for its sessions is not published again.

use super::ClusteredRealm;
use super::holdings::RemoteHoldings;
use super::upkeep::Token;
use crate::mesh::frames;
use crate::realm::Effect;
use crate::realm::broker::Publisher;
use crate::realm::ids::{IdKind, id_of};
use crate::realm::meta::session_summary;
use crate::realm::testament::{Scope, SessionTestaments, Testament};
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Message, SessionKey};
use crate::wire::{Dict, Payload, Serializer, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

/// What is known of the sessions of other nodes, by node.
#[derive(Debug, Default)]
pub(super) struct Afterlife {
    by_node: BTreeMap<String, Remote>,
    /// The testaments that were published for sessions whose node may come back, as far as they are remembered.
    published: BTreeSet<Id>,
    /// The sessions of such nodes that were said to have left, as far as they are remembered.
    buried: BTreeSet<Id>,
}

#[derive(Debug, Default)]
struct Remote {
    sessions: BTreeMap<Id, RemoteSession>,
    /// The sessions that the snapshot has told of, while it is under way.
    told: Option<BTreeSet<Id>>,
    /// What they hold.
    held: RemoteHoldings,
    /// The uptime at which the node counts as dead, while its link is down.
    dead_at: Option<Duration>,
}

#[derive(Clone, Debug)]
struct RemoteSession {
    publisher: Publisher,
    testaments: Vec<Testament>,
}

impl Afterlife {
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.by_node.values().filter_map(|remote| remote.dead_at).min()
    }

    /// The link to a node is lost.
    pub(super) fn handle_lost(&mut self, now: Now, node: &str) {
        if let Some(remote) = self.by_node.get_mut(node) {
            remote.told = None;
            remote.held.handle_lost();
            remote.dead_at = Some(now.uptime + GRACE);
        }
    }

    /// The link to a node is up; a snapshot is asked for.
    pub(super) fn handle_up(&mut self, node: &str) {
        let remote = self.by_node.entry(node.to_owned()).or_default();
        (remote.dead_at, remote.told) = (None, Some(BTreeSet::new()));
        remote.held.handle_up();
    }

    /// Whether a publication that a link has brought is a testament that was published here before; one that was not
    /// needs no copy any more.
    pub(super) fn is_repeated(&mut self, node: &str, publication: Id) -> bool {
        if let Some(remote) = self.by_node.get_mut(node) {
            for session in remote.sessions.values_mut() {
                session.testaments.retain(|testament| testament.publication != publication);
            }
        }
        self.published.contains(&publication)
    }

    /// What the sessions of a node hold, if the node is known.
    pub(super) fn held_mut(&mut self, node: &str) -> Option<&mut RemoteHoldings> {
        self.by_node.get_mut(node).map(|remote| &mut remote.held)
    }

    /// Takes over what a node says about one of its sessions.
    fn learn(&mut self, node: &str, told: &Value) -> Option<Id> {
        let (id, mut session) = read_session(told)?;
        session.testaments.retain(|testament| !self.published.contains(&testament.publication));
        let remote = self.by_node.entry(node.to_owned()).or_default();
        if let Some(told) = &mut remote.told {
            told.insert(id);
        }
        remote.sessions.insert(id, session);
        Some(id)
    }
}

impl ClusteredRealm {
    /// Tells all peers of a session, as it is now.
    pub(super) fn notify_session(&self, key: SessionKey, out: &mut Vec<Effect>) {
        if let Some(session) = self.session_for_peers(key) {
            self.notify(frames::SESSION, vec![session], out);
        }
    }

    /// Tells all peers that a session is gone, after they have got its testaments.
    pub(super) fn notify_session_gone(&self, session: Id, out: &mut Vec<Effect>) {
        self.notify(frames::SESSION_GONE, vec![session.into()], out);
    }

    pub(super) fn notify(&self, topic: &str, told: Vec<Value>, out: &mut Vec<Effect>) {
        let to = self.members().peers().to_vec();
        if !to.is_empty() {
            // Notices are no publications; nobody looks at their ids.
            let subscription = id_of(IdKind::Subscription, Match::Exact, topic, |_| false);
            let details = Dict::new().with("topic", topic);
            let payload = Payload::from_values(told, Dict::new());
            out.push(Effect::Fanout { to, message: Message::Event { subscription, publication: 1, details, payload } });
        }
    }

    /// A notice of a peer.
    pub(super) fn handle_notice(
        &mut self,
        now: Now,
        node: &str,
        topic: &str,
        payload: &Payload,
        out: &mut Vec<Effect>,
    ) {
        let args = payload.args().unwrap_or_default();
        let Some(told) = args.first() else { return };
        match topic {
            frames::SESSION => {
                self.learn_session(now, node, told, out);
            }
            frames::HELD | frames::HELD_NO_MORE => self.handle_held(now, node, &args, out),
            frames::SESSION_GONE => {
                if let (Some(remote), Some(id)) = (self.afterlife.by_node.get_mut(node), told.as_uint()) {
                    remote.sessions.remove(&id);
                    // Unless it went silently, it has ceased to hold anything before.
                    let held = remote.held.take_of(id);
                    self.end_all(now, held, true, out);
                }
            }
            _ => {}
        }
    }

    /// Takes over what a node says about one of its sessions. One that was said to have left has not.
    fn learn_session(&mut self, now: Now, node: &str, told: &Value, out: &mut Vec<Effect>) -> Option<Id> {
        let id = self.afterlife.learn(node, told)?;
        if self.afterlife.buried.remove(&id) {
            let mut summary = told.as_dict()?.clone();
            summary.remove("testaments");
            self.realm.welcome_back(now, summary, out);
        }
        Some(id)
    }

    /// One page of this node's sessions, for a peer: those after the id that it names.
    pub(super) fn sessions_page(&self, payload: &Payload) -> Vec<Value> {
        let after = payload.args().ok().and_then(|args| args.first()?.as_uint());
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids: BTreeMap<Id, SessionKey> =
            self.members().visible().into_iter().map(|(key, member)| (member.identity.session, key)).collect();
        let keys: Vec<SessionKey> = ids.range((start, Bound::Unbounded)).map(|(_, key)| *key).take(PAGE).collect();
        vec![Value::List(keys.into_iter().filter_map(|key| self.session_for_peers(key)).collect())]
    }

    /// A page of a peer's sessions has come: the next one is asked for, or this was the last.
    pub(super) fn handle_sessions_page(&mut self, now: Now, key: SessionKey, args: &[Value], out: &mut Vec<Effect>) {
        let Some(node) = self.uplinks.get(&key).map(|uplink| uplink.node.clone()) else { return };
        let page = args.first().and_then(Value::as_list).unwrap_or_default();
        let last = page.iter().filter_map(|told| self.learn_session(now, &node, told, out)).max();
        if let Some(last) = last.filter(|_| page.len() >= PAGE) {
            return self.ask_peer(key, Token::Sessions, vec![last.into()], out);
        }
        let Some(remote) = self.afterlife.by_node.get_mut(&node) else { return };
        let Some(told) = remote.told.take() else { return };
        // What it had before and has no more has ended while the link was down.
        let gone: Vec<Id> = remote.sessions.keys().filter(|id| !told.contains(id)).copied().collect();
        let gone: Vec<RemoteSession> = gone.iter().filter_map(|id| remote.sessions.remove(id)).collect();
        let held = gone.iter().flat_map(|session| remote.held.take_of(session.publisher.session)).collect();
        self.end_all(now, held, false, out);
        self.bury_all(now, gone, out);
    }

    /// Nodes that have been away for too long are dead.
    pub(super) fn bury_dead_nodes(&mut self, now: Now, out: &mut Vec<Effect>) {
        let is_dead = |remote: &Remote| remote.dead_at.is_some_and(|dead_at| dead_at <= now.uptime);
        let dead: Vec<String> =
            self.afterlife.by_node.iter().filter(|(_, remote)| is_dead(remote)).map(|(node, _)| node.clone()).collect();
        for node in dead {
            let remote = self.afterlife.by_node.remove(&node).unwrap_or_default();
            self.end_all(now, remote.held.into_all(), false, out);
            self.bury_all(now, remote.sessions.into_values().collect(), out);
        }
    }

    fn bury_all(&mut self, now: Now, sessions: Vec<RemoteSession>, out: &mut Vec<Effect>) {
        for RemoteSession { publisher, testaments } in sessions {
            self.afterlife.published.extend(testaments.iter().map(|testament| testament.publication));
            self.afterlife.buried.insert(publisher.session);
            self.realm.bury(now, publisher, SessionTestaments(testaments), out);
        }
        while self.afterlife.buried.len() > PUBLISHED_MAX {
            self.afterlife.buried.pop_first();
        }
        while self.afterlife.published.len() > PUBLISHED_MAX {
            self.afterlife.published.pop_first();
        }
    }

    /// A session as links carry it.
    fn session_for_peers(&self, key: SessionKey) -> Option<Value> {
        let identity = &self.members().member(key)?.identity;
        let testaments: Vec<Value> = self.realm.testaments(key).iter().map(write_testament).collect();
        Some(session_summary(identity).with("testaments", testaments).into())
    }
}

fn read_session(told: &Value) -> Option<(Id, RemoteSession)> {
    let told = told.as_dict()?;
    let session = told.uint("session")?;
    let authid = told.str("authid")?.to_owned();
    let authrole = told.str("authrole")?.to_owned();
    let testaments = told.list("testaments")?.iter().filter_map(read_testament).collect();
    Some((session, RemoteSession { publisher: Publisher { session, authid, authrole }, testaments }))
}

fn write_testament(testament: &Testament) -> Value {
    Dict::new()
        .with("publication", testament.publication)
        .with("scope", testament.scope.name())
        .with("topic", testament.topic.as_str())
        .with("options", testament.options.clone())
        .with("disclosed", testament.disclosed)
        .with("payload", write_payload(&testament.payload))
        .into()
}

fn read_testament(told: &Value) -> Option<Testament> {
    let told = told.as_dict()?;
    Some(Testament {
        publication: told.uint("publication")?,
        scope: Scope::from_name(told.str("scope")?)?,
        topic: told.str("topic")?.to_owned(),
        options: told.dict("options")?.clone(),
        payload: read_payload(told.get("payload")?)?,
        disclosed: told.bool("disclosed")?,
    })
}

/// A payload within a payload: its two elements in CBOR, as binaries.
pub(super) fn write_payload(payload: &Payload) -> Value {
    let (args, kwargs) = payload.elements_in(Serializer::Cbor);
    Value::List(vec![Value::Bytes(args.to_vec()), Value::Bytes(kwargs.to_vec())])
}

pub(super) fn read_payload(told: &Value) -> Option<Payload> {
    match told.as_list()? {
        [Value::Bytes(args), Value::Bytes(kwargs)] => Some(Payload::from_raw(Serializer::Cbor, args, kwargs)),
        _ => None,
    }
}

/// How long the link to a node may be down before the node counts as dead.
const GRACE: Duration = Duration::from_secs(3);
/// Sessions per page of a snapshot.
const PAGE: usize = 100;
/// How many published testaments are remembered, and how many sessions that were buried. Only a node that comes back
/// from a partition could repeat the one and bring back the other.
const PUBLISHED_MAX: usize = 10_000;
