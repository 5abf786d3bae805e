//! What happens to the sessions of a node that dies: every node keeps a list of the sessions of each peer, with their
//! testaments, and when the peer stays away tells its own clients what the peer cannot tell them any more. What these
//! sessions hold is told in `holdings`.
//!
//! The list begins with a snapshot, fetched page by page when a link comes up, and is kept by notices, which come on
//! the same link and so in order. Where a link is too full for a notice, the snapshot is fetched again. A node that is
//! not dead but out of reach is treated alike: nobody can tell the two apart. When it comes back, what was published
//! for its sessions is not published again.

use super::ClusteredRealm;
use super::holdings::RemoteHoldings;
use super::page::Page;
use super::remote::{RemoteSession, RemoteSessions};
use crate::limits::{BURIED_MAX, LINK_DEPTH_MAX, Limits, NODE_GRACE};
use crate::mesh::LinkCall;
use crate::realm::broker::Publisher;
use crate::realm::holdings::Holding;
use crate::realm::meta::session_summary;
use crate::realm::testament::{Scope, Testament};
use crate::realm::{Effect, Member};
use crate::time::Now;
use crate::wamp::uri::is_reserved;
use crate::wamp::{Id, SessionKey, codec, options};
use crate::wire::{Dict, Payload, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

/// What is known of the sessions of other nodes, by node.
#[derive(Debug, Default)]
pub(super) struct Afterlife {
    by_node: BTreeMap<String, Remote>,
    /// The testaments that were published for sessions whose node may come back, as far as they are remembered, each
    /// with its node.
    published: BTreeSet<(Id, String)>,
    /// The sessions of such nodes that were said to have left, as far as they are remembered, each with its node.
    buried: BTreeMap<Id, String>,
}

#[derive(Debug, Default)]
struct Remote {
    sessions: RemoteSessions,
    /// What the snapshot and the notices since its beginning have told of, while it is under way.
    told: Option<Told>,
    /// Notices have been missed, or a snapshot failed: another one is to be fetched after this.
    is_stale: bool,
    /// Clients of this node were here when the snapshot was asked for: they have missed who joined there before.
    has_missed: bool,
    /// What they hold.
    held: RemoteHoldings,
    /// The uptime at which the node counts as dead, while its link is down.
    dead_at: Option<Duration>,
}

#[derive(Debug, Default)]
struct Told {
    sessions: BTreeSet<Id>,
    /// Their testaments, by publication.
    testaments: BTreeSet<Id>,
}

impl Afterlife {
    /// The memory that all this takes.
    pub(super) fn bytes(&self) -> usize {
        self.by_node.values().map(|remote| remote.sessions.bytes() + remote.held.bytes()).sum()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.by_node.values().filter_map(|remote| remote.dead_at).min()
    }

    /// The link to a node is lost.
    pub(super) fn handle_lost(&mut self, now: Now, node: &str) {
        if let Some(remote) = self.by_node.get_mut(node) {
            remote.stop_fetching();
            remote.dead_at = Some(now.uptime + NODE_GRACE);
        }
    }

    /// The link to a node is up; a snapshot is asked for. `has_clients`: there is somebody here who may have missed
    /// what happened there meanwhile.
    pub(super) fn handle_up(&mut self, node: &str, has_clients: bool) {
        let remote = self.by_node.entry(node.to_owned()).or_default();
        (remote.dead_at, remote.told, remote.is_stale) = (None, Some(Told::default()), false);
        remote.has_missed = has_clients;
        remote.held.handle_up();
    }

    /// Whether a publication that a link has brought is a testament that was published here before; one that was not
    /// needs no copy any more.
    pub(super) fn is_repeated(&mut self, node: &str, publication: Id) -> bool {
        if let Some(remote) = self.by_node.get_mut(node) {
            remote.sessions.retain_testaments(None, |testament| testament.publication != publication);
        }
        self.published.contains(&(publication, node.to_owned()))
    }

    /// What the sessions of a node hold, if the node is known.
    pub(super) fn held_mut(&mut self, node: &str) -> Option<&mut RemoteHoldings> {
        self.by_node.get_mut(node).map(|remote| &mut remote.held)
    }

    /// Whether clients of this node have missed who joined on another before its snapshot was asked for.
    pub(super) fn has_missed(&self, node: &str) -> bool {
        self.by_node.get(node).is_some_and(|remote| remote.has_missed)
    }

    /// Whether a node has told of a session; `is_called` judges how it is called.
    pub(super) fn claim(&self, node: &str, session: Id, is_called: impl Fn(&Publisher) -> bool) -> Claim {
        let own = self.by_node.get(node);
        if let Some(known) = own.and_then(|own| own.sessions.get(session)) {
            return if is_called(&known.publisher) { Claim::Own } else { Claim::False };
        }
        if self.is_of_another(node, session) {
            return Claim::False;
        }
        // Its notices come before whatever its sessions say, unless some of them have been missed.
        let is_whole = own.is_some_and(|own| !own.is_fetching() && !own.is_stale);
        if is_whole { Claim::Unknown } else { Claim::Open }
    }

    /// Whether a session was told of by another node than this one. A node that is out of reach keeps its sessions for
    /// as long as they are remembered.
    pub(super) fn is_of_another(&self, node: &str, session: Id) -> bool {
        self.buried.get(&session).is_some_and(|of| of != node)
            || self.by_node.iter().any(|(other, remote)| other != node && remote.sessions.get(session).is_some())
    }

    /// The node that has told of a session, if it is not this one.
    pub(super) fn owner(&self, session: Id) -> Option<&str> {
        let owner = self.by_node.iter().find(|(_, remote)| remote.sessions.get(session).is_some());
        owner.map(|(node, _)| node.as_str())
    }

    /// Which limit a node has passed with what it has told of: a sentence.
    pub(super) fn excess(&self, node: &str, limits: &Limits) -> Option<String> {
        let remote = self.by_node.get(node)?;
        let amounts = [
            ("sessions", remote.sessions.len(), "peer_sessions_max", limits.peer_sessions_max),
            ("holdings", remote.held.len(), "peer_holdings_max", limits.peer_holdings_max),
            (
                "bytes of testaments",
                remote.sessions.testament_bytes(),
                "peer_testaments_bytes_max",
                limits.peer_testaments_bytes_max,
            ),
        ];
        let (what, _, name, max) = amounts.into_iter().find(|(_, amount, _, max)| amount > max)?;
        Some(format!("{node} has told of more {what} than {name} = {max}"))
    }

    /// Takes over what a node says about one of its sessions, which is none of another node. Gives its id, and whether
    /// it was unknown.
    pub(super) fn learn(&mut self, node: &str, told: &Value) -> Option<(Id, bool)> {
        let publisher = read_session(told)?;
        let id = publisher.session;
        if self.is_of_another(node, id) {
            return None;
        }
        let remote = self.by_node.entry(node.to_owned()).or_default();
        if let Some(told) = &mut remote.told {
            told.sessions.insert(id);
        }
        Some((id, remote.sessions.learn(publisher)))
    }

    /// A session of a node has left, as its clients were told; its testaments, too, were published by its own node.
    pub(super) fn forget(&mut self, node: &str, session: Id) {
        if let Some(remote) = self.by_node.get_mut(node) {
            remote.sessions.remove(session);
        }
    }

    /// A session is there. Whether it was said to have left.
    pub(super) fn exhume(&mut self, session: Id) -> bool {
        self.buried.remove(&session).is_some()
    }

    /// Takes over a testament of a session that its node has told of.
    pub(super) fn learn_testament(&mut self, node: &str, session: &Value, told: &Value) -> Option<()> {
        let testament = read_testament(told).filter(|testament| !is_reserved(&testament.topic))?;
        let remote = self.by_node.get_mut(node)?;
        let session = session.as_uint()?;
        let testaments = &remote.sessions.get(session)?.testaments;
        if let Some(told) = &mut remote.told {
            told.testaments.insert(testament.publication);
        }
        let is_known = testaments.iter().any(|known| known.publication == testament.publication);
        if !is_known && !self.published.contains(&(testament.publication, node.to_owned())) {
            remote.sessions.push_testament(session, testament);
        }
        Some(())
    }

    /// A session of a node has flushed its testaments of one scope.
    pub(super) fn forget_testaments(&mut self, node: &str, session: &Value, scope: &Value) -> Option<()> {
        let scope = Scope::from_name(scope.as_str()?)?;
        let sessions = &mut self.by_node.get_mut(node)?.sessions;
        sessions.retain_testaments(Some(session.as_uint()?), |testament| testament.scope != scope);
        Some(())
    }

    /// A session of a node has left. Gives who it was, if that was known, and what it held.
    pub(super) fn forget_session(&mut self, node: &str, session: Id) -> (Option<Publisher>, Vec<Holding>) {
        let Some(remote) = self.by_node.get_mut(node) else { return (None, Vec::new()) };
        let known = remote.sessions.remove(session);
        (known.map(|known| known.publisher), remote.held.take_of(session))
    }

    /// Something that a node has said did not arrive.
    pub(super) fn mark_stale(&mut self, node: &str) {
        if let Some(remote) = self.by_node.get_mut(node) {
            remote.is_stale = true;
        }
    }
}

impl Remote {
    fn is_fetching(&self) -> bool {
        self.told.is_some() || self.held.is_fetching()
    }

    /// No more of the snapshot comes.
    fn stop_fetching(&mut self) {
        self.told = None;
        self.held.handle_lost();
    }
}

impl ClusteredRealm {
    /// Fetches what the sessions of a peer are, have left behind and hold.
    pub(super) fn fetch_sessions(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        if let Some(uplink) = self.uplinks.get(&key) {
            let has_clients = self.realm.n_sessions() > 0;
            self.afterlife.handle_up(&uplink.node, has_clients);
            self.ask_peer(key, LinkCall::Sessions, Vec::new(), out);
            self.ask_peer(key, LinkCall::Holdings, Vec::new(), out);
        }
    }

    /// Fetches them again where something has been missed and no snapshot is under way.
    pub(super) fn fetch_if_stale(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        let remote = self.uplinks.get(&key).and_then(|uplink| self.afterlife.by_node.get(&uplink.node));
        if remote.is_some_and(|remote| remote.is_stale && !remote.is_fetching()) {
            self.fetch_sessions(key, out);
        }
    }

    /// A peer could not send a page. What was fetched so far proves nothing; it is tried again when the digests are
    /// compared next.
    pub(super) fn handle_failed_page(&mut self, key: SessionKey, call: LinkCall) {
        let Some(uplink) = self.uplinks.get_mut(&key) else { return };
        match call {
            LinkCall::Sessions | LinkCall::Holdings => {
                if let Some(remote) = self.afterlife.by_node.get_mut(&uplink.node) {
                    remote.stop_fetching();
                    remote.is_stale = true;
                }
            }
            LinkCall::Retained => uplink.retained_fetched = None,
            LinkCall::Digest | LinkCall::Reset | LinkCall::Replayed => {}
        }
    }

    /// One page of this node's sessions, each followed by its testaments, for a peer: what comes after the session, and
    /// the testament of it, that the peer names.
    pub(super) fn sessions_page(&mut self, key: SessionKey, payload: &Payload, out: &mut Vec<Effect>) -> Vec<Value> {
        let after = payload.args().ok().and_then(|args| Some((args.first()?.as_uint()?, args.get(1)?.as_uint()?)));
        if after.is_none() {
            self.overrun.remove(&key);
        }
        let start = after.map_or(Bound::Unbounded, |(session, _)| Bound::Included(session));
        let sessions: BTreeMap<Id, (SessionKey, &Member)> = self
            .members()
            .visible()
            .into_iter()
            .map(|(key, member)| (member.identity.session, (key, member)))
            .collect();
        let (mut page, mut last) = (Page::default(), after);
        for (session, (key, member)) in sessions.range((start, Bound::Unbounded)) {
            let told = after.filter(|(from, _)| from == session).map(|(_, serial)| serial);
            let summary = told.is_none().then(|| (0, session_summary(&member.identity).into()));
            let testaments = self.realm.testaments(*key).iter().filter(|left| left.serial > told.unwrap_or(0));
            let testaments =
                testaments.map(|left| (left.serial, Value::List(vec![(*session).into(), write_testament(left)])));
            for (serial, entry) in summary.into_iter().chain(testaments) {
                if !page.push(entry) {
                    let more = last.map_or(Value::Null, |(id, serial)| Value::List(vec![id.into(), serial.into()]));
                    return page.finish(more, out);
                }
                last = Some((*session, serial));
            }
        }
        page.finish(Value::Null, out)
    }

    /// A page of a peer's sessions has come: the next one is asked for, or this was the last.
    pub(super) fn handle_sessions_page(&mut self, now: Now, key: SessionKey, args: Vec<Value>, out: &mut Vec<Effect>) {
        let Some(node) = self.uplinks.get(&key).map(|uplink| uplink.node.clone()) else { return };
        let is_missed = self.afterlife.has_missed(&node);
        for told in args.first().and_then(Value::as_list).unwrap_or_default() {
            if let Some([session, testament]) = told.as_list() {
                self.afterlife.learn_testament(&node, session, testament);
            } else {
                self.learn_session(now, key, &node, told, is_missed, out);
            }
        }
        if let Some(Value::List(more)) = args.into_iter().nth(1) {
            return self.ask_peer(key, LinkCall::Sessions, more, out);
        }
        if self.end_if_excessive(now, key, out) {
            return;
        }
        let Some(remote) = self.afterlife.by_node.get_mut(&node) else { return };
        let Some(told) = remote.told.take() else { return };
        // What it had before and has no more has ended while the link was down.
        let gone: Vec<Id> = remote.sessions.ids().filter(|id| !told.sessions.contains(id)).collect();
        let gone: Vec<RemoteSession> = gone.iter().filter_map(|id| remote.sessions.remove(*id)).collect();
        remote.sessions.retain_testaments(None, |testament| told.testaments.contains(&testament.publication));
        let held = gone.iter().flat_map(|session| remote.held.take_of(session.publisher.session)).collect();
        self.end_all(now, held, false, out);
        self.bury_all(now, &node, gone, out);
        self.fetch_if_stale(key, out);
    }

    /// Nodes that have been away for too long are dead.
    pub(super) fn bury_dead_nodes(&mut self, now: Now, out: &mut Vec<Effect>) {
        let is_dead = |remote: &Remote| remote.dead_at.is_some_and(|dead_at| dead_at <= now.uptime);
        let dead: Vec<String> =
            self.afterlife.by_node.iter().filter(|(_, remote)| is_dead(remote)).map(|(node, _)| node.clone()).collect();
        for node in dead {
            let remote = self.afterlife.by_node.remove(&node).unwrap_or_default();
            self.end_all(now, remote.held.into_all(), false, out);
            self.bury_all(now, &node, remote.sessions.into_all(), out);
        }
    }

    /// Forgets a node that has broken the rules: its sessions have left, and what they were to leave behind is not
    /// published.
    pub(super) fn disown(&mut self, now: Now, node: &str, out: &mut Vec<Effect>) {
        let remote = self.afterlife.by_node.remove(node).unwrap_or_default();
        self.end_all(now, remote.held.into_all(), false, out);
        let sessions = remote.sessions.into_all().into_iter();
        let sessions = sessions.map(|session| RemoteSession { testaments: Vec::new(), ..session }).collect();
        self.bury_all(now, node, sessions, out);
    }

    fn bury_all(&mut self, now: Now, node: &str, sessions: Vec<RemoteSession>, out: &mut Vec<Effect>) {
        for RemoteSession { publisher, testaments } in sessions {
            let published = testaments.iter().map(|testament| (testament.publication, node.to_owned()));
            self.afterlife.published.extend(published);
            self.afterlife.buried.insert(publisher.session, node.to_owned());
            self.bury(publisher, testaments);
        }
        self.continue_burials(now, out);
        while self.afterlife.buried.len() > BURIED_MAX {
            self.afterlife.buried.pop_first();
        }
        while self.afterlife.published.len() > BURIED_MAX {
            self.afterlife.published.pop_first();
        }
    }
}

/// How far a node may speak for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The node has told of the session.
    Own,
    /// The node has not told of the session, but its notices are not complete yet.
    Open,
    /// The node has not told of the session, and its notices are complete.
    Unknown,
    /// The session is another node's, or called otherwise.
    False,
}

fn read_session(told: &Value) -> Option<Publisher> {
    let told = told.as_dict()?;
    let authid = told.str("authid")?.to_owned();
    let authrole = told.str("authrole")?.to_owned();
    Some(Publisher { session: told.uint("session")?, authid, authrole })
}

pub(super) fn write_testament(testament: &Testament) -> Value {
    Dict::new()
        .with("publication", testament.publication)
        .with("scope", testament.scope.name())
        .with("topic", testament.topic.as_str())
        .with("options", testament.publish_options())
        .with("disclosed", testament.disclosed)
        .with("payload", write_payload(&testament.payload))
        .into()
}

fn read_testament(told: &Value) -> Option<Testament> {
    let told = told.as_dict()?;
    let options = told.dict("options")?;
    Some(Testament {
        publication: told.uint("publication")?,
        serial: 0,
        scope: Scope::from_name(told.str("scope")?)?,
        topic: told.str("topic")?.to_owned(),
        options: Payload::from_values(Vec::new(), options.clone()),
        payload: read_payload(told.get("payload")?, options)?,
        disclosed: told.bool("disclosed")?,
    })
}

/// A payload within a payload, as the messages of links have it: the number of its serializer, its list.
pub(super) fn write_payload(payload: &Payload) -> Value {
    Value::List(vec![u64::from(payload.serializer().number()).into(), Value::Bytes(payload.to_list())])
}

/// `options` of the event say whether its payload may be one binary.
pub(super) fn read_payload(told: &Value, options: &Dict) -> Option<Payload> {
    let [Value::Uint(number), Value::Bytes(list)] = told.as_list()? else { return None };
    codec::read_payload(*number, list, LINK_DEPTH_MAX, options::is_passthru(options)).ok()
}
