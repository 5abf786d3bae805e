//! Two nodes, the two links between them and a few clients, in one thread and in virtual time.

use super::clients::Client;
use super::input::Input;
use super::links::Link;
use super::message::{payload, uri};
use super::setting::{admission, config};
use crossbar_cluster::drop::DropReason;
use crossbar_cluster::federation::ClusteredRealm;
use crossbar_cluster::realm::Effect;
use crossbar_cluster::realm::dealer::Farewell;
use crossbar_cluster::session::Context;
use crossbar_cluster::session::admission::{Admission, Peer};
use crossbar_cluster::session::penalties::Penalties;
use crossbar_cluster::time::Now;
use crossbar_cluster::wamp::codec::Form;
use crossbar_cluster::wamp::{Id, Message, SessionKey, codec};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// Clients that are there at one time.
pub(super) const CLIENTS_MAX: usize = 6;
/// Messages that one step may set in motion on links, and timers that may be due in it: more would never end.
pub(super) const MOTIONS_MAX: usize = 5_000;
pub(super) const DEPTH_MAX: usize = 64;
pub(super) const RETAINED_BYTES_MAX: usize = 8 << 10;
pub(super) const HISTORY_BYTES_MAX: usize = 8 << 10;

/// The nodes and everybody who talks to them.
pub struct World {
    pub(super) now: Now,
    pub(super) nodes: [Node; 2],
    /// By who dials: 0 dials 1, and 1 dials 0.
    pub(super) links: [Option<Link>; 2],
    pub(super) clients: [Option<Client>; CLIENTS_MAX],
    /// What two listeners admit: as somebody who may do everything, or for whom an authorizer is asked.
    pub(super) admissions: [Admission; 2],
    pub(super) penalties: RefCell<Penalties>,
    pub(super) peer: Peer,
    pub(super) rng: ChaCha8Rng,
    pub(super) n_sessions: Id,
    pub(super) n_router_calls: u64,
    /// Nodes also say on links what is not true.
    pub(super) has_hostile_node: bool,
    /// Every message of a client is printed.
    pub(super) is_traced: bool,
    /// The next message cannot be delivered.
    pub(super) loses_next: bool,
    /// Sessions that a node wants to end, and how.
    pub(super) endings: Vec<(usize, SessionKey, Ending)>,
    pub(super) cost: Cost,
}

/// What a step was, and how many messages it has sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub step: &'static str,
    pub receivers: usize,
}

pub(super) struct Node {
    pub(super) realm: ClusteredRealm,
    pub(super) members: BTreeMap<SessionKey, Who>,
}

/// Whose a place in a node's shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Client(usize),
    /// The end of a link, by who dials it.
    Link(usize),
}

pub(super) enum Ending {
    Goodbye(String, Option<String>, DropReason),
    Abort(&'static str, String),
}

impl World {
    /// What the first byte of an input says: whether links are up and nodes are hostile.
    pub fn new(how: u8) -> World {
        let now = Now::epoch();
        let node = |id: &str, seed| Node {
            realm: ClusteredRealm::new(now, id, config(), [seed; 32]),
            members: BTreeMap::new(),
        };
        let mut world = World {
            now,
            nodes: [node("edge1", 1), node("edge2", 2)],
            links: [None, None],
            clients: [const { None }; CLIENTS_MAX],
            admissions: ["anonymous", "asked"].map(admission),
            penalties: RefCell::default(),
            peer: Peer::default(),
            rng: ChaCha8Rng::seed_from_u64(3),
            n_sessions: 1 << 40,
            n_router_calls: 0,
            has_hostile_node: how & 2 != 0,
            is_traced: std::env::var_os("SESSIONS_TRACE").is_some(),
            loses_next: false,
            endings: Vec::new(),
            cost: Cost::default(),
        };
        if how & 1 == 0 {
            world.connect_nodes();
        }
        world
    }

    /// A few clients are there from the beginning.
    pub fn begin(&mut self, input: &mut Input) {
        (0..4).for_each(|_| self.connect_client(input));
        self.pass(Duration::from_millis(1));
        self.end_sessions();
    }

    /// One step, as the input says.
    pub fn step(&mut self, input: &mut Input) -> Cost {
        self.cost = Cost::default();
        match input.byte() % 32 {
            0..3 => self.connect_client(input),
            3 if input.once_in(4) => self.lose_client(input),
            4..6 => {
                self.cost.step = "time passes";
                let ms = 1 << (input.byte() % 17);
                self.pass(Duration::from_millis(ms));
            }
            6..8 => {
                self.cost.step = "links carry";
                self.carry();
            }
            8 => self.cut_or_mend(input),
            9 => self.steer(input),
            10 => {
                self.cost.step = "the next message is lost";
                self.loses_next = true;
            }
            11 if self.has_hostile_node => self.lie(input),
            _ => self.client_speaks(input),
        }
        self.end_sessions();
        self.cost
    }

    /// All clients go, the links come back, and the time of everything that waits ends.
    pub fn end(&mut self) {
        self.loses_next = false;
        for client in 0..CLIENTS_MAX {
            self.lose(client);
        }
        self.end_sessions();
        self.connect_nodes();
        for node in 0..2 {
            self.act(node, |now, realm, out| realm.set_leaving(now, false, out));
        }
        // Authorizers' answers are kept for a minute, and digests are compared every ten seconds.
        for _ in 0..12 {
            self.pass(Duration::from_secs(10));
            self.end_sessions();
            self.connect_nodes();
        }
    }

    /// The nodes' own invariants.
    pub fn check(&self) {
        self.nodes.iter().for_each(|node| node.realm.check());
    }

    /// Nothing is left of sessions, unless a node has told of some that never were.
    pub fn assert_empty(&mut self) {
        if self.has_hostile_node {
            return;
        }
        for Node { realm, members } in &self.nodes {
            let node = realm.node();
            assert_eq!(members.len(), 2, "the links of {node} are its members: {members:?}");
            assert_eq!(realm.dealer().registrations().count(), 0, "registrations of {node}");
            assert_eq!(realm.n_sessions(), 0, "sessions of {node}");
            assert_eq!(realm.n_subscriptions(), config().history.len(), "{node} has the subscription of its history");
        }
        // A link remembers some of the calls that it has carried whose further parts never came.
        (0..2).for_each(|dialing| self.cut(dialing));
        self.connect_nodes();
        self.carry();
        for Node { realm, .. } in &self.nodes {
            assert!(realm.dealer().is_empty(), "the dealer of {}: {:?}", realm.node(), realm.dealer());
        }
    }

    /// What may be kept when all sessions have ended.
    pub fn kept_bytes_max(&self) -> usize {
        let retained: usize = self.nodes.iter().map(|node| node.realm.broker().n_retained()).sum();
        let kept = if retained > 0 { 2 * RETAINED_BYTES_MAX } else { 0 };
        // A hostile node may also fill the tables of sessions elsewhere, until its link is gone.
        kept + 2 * HISTORY_BYTES_MAX + if self.has_hostile_node { 1 << 20 } else { 0 }
    }

    /// The lowest free place in a node's shard.
    pub(super) fn place(&mut self, node: usize, who: Who) -> SessionKey {
        let members = &mut self.nodes[node].members;
        let free = (0..).map(SessionKey).find(|key| !members.contains_key(key)).unwrap_or(SessionKey(u32::MAX));
        members.insert(free, who);
        free
    }

    /// Lets a node act, and carries out what it wants done.
    pub(super) fn act(&mut self, node: usize, act: impl FnOnce(Now, &mut ClusteredRealm, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        act(self.now, &mut self.nodes[node].realm, &mut out);
        for effect in out {
            match effect {
                Effect::Send { to, message } => self.deliver(node, to, &message),
                Effect::Fanout { to, message } => to.iter().for_each(|to| self.deliver(node, to, &message)),
                Effect::Goodbye { session, reason, message, drop_reason } => {
                    self.endings.push((node, session, Ending::Goodbye(reason, message, drop_reason)));
                }
                Effect::Abort { session, reason, sentence } => {
                    self.endings.push((node, session, Ending::Abort(reason, sentence)));
                }
                Effect::Suspend { session } => self.suspend(node, session, true),
                Effect::Resume { session } => self.suspend(node, session, false),
                _ => {}
            }
        }
    }

    pub(super) fn deliver(&mut self, node: usize, to: SessionKey, message: &Message) {
        self.cost.receivers += 1;
        if self.loses_next && self.lose_message(node, to, message) {
            return;
        }
        match self.nodes[node].members.get(&to) {
            Some(Who::Client(client)) => self.tell(*client, message),
            Some(Who::Link(dialing)) => {
                let Some(link) = &mut self.links[*dialing] else { return };
                let end = usize::from(node != *dialing);
                link.known[end].note(message);
                let mut bytes = Vec::new();
                codec::encode(message, Form::Link, &mut bytes);
                link.queues[end].push_back(bytes);
            }
            None => {}
        }
    }

    /// Lets time pass, with all that becomes due on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now.uptime.saturating_add(time);
        for _ in 0..MOTIONS_MAX {
            self.carry();
            let sessions = self.clients.iter().flatten().filter_map(|client| client.session.poll_timeout());
            let realms = self.nodes.iter().filter_map(|node| node.realm.poll_timeout());
            let Some(due) = sessions.chain(realms).min().filter(|due| *due <= end) else {
                self.now = self.now.after(end.saturating_sub(self.now.uptime));
                return;
            };
            self.now = self.now.after(due.saturating_sub(self.now.uptime));
            // What a step costs is what one moment of it costs.
            self.cost.receivers = 0;
            self.do_what_is_due();
        }
        panic!("timers are due again and again");
    }

    pub(super) fn do_what_is_due(&mut self) {
        let now = self.now.uptime;
        for node in 0..2 {
            if self.nodes[node].realm.poll_timeout().is_some_and(|due| due <= now) {
                self.act(node, |now, realm, out| realm.handle_timeout(now, out));
                let again = self.nodes[node].realm.poll_timeout();
                assert!(again.is_none_or(|due| due > now), "a timer of node {node} is due again at once");
            }
        }
        for index in 0..CLIENTS_MAX {
            let mut out = Vec::new();
            if let Some(client) = &mut self.clients[index] {
                let (now, admission, peer) = (self.now, &self.admissions[client.listener], &self.peer);
                let penalties = &self.penalties;
                client.session.handle_timeout(&Context { now, admission, peer, penalties }, &mut out);
            }
            self.carry_out(index, out);
        }
        self.end_sessions();
    }

    /// What an operator does.
    pub(super) fn steer(&mut self, input: &mut Input) {
        self.cost.step = "an operator steers";
        let node = input.below(2);
        match input.byte() % 5 {
            0 => {
                let is_leaving = !input.once_in(2);
                self.act(node, |now, realm, out| realm.set_leaving(now, is_leaving, out));
            }
            1 => {
                let Some(client) = self.any_client(input).and_then(|index| self.clients[index].as_ref()) else {
                    return;
                };
                let (node, Some(key)) = (client.node, client.key) else { return };
                self.act(node, |now, realm, out| {
                    let until = now.uptime + Duration::from_secs(5);
                    let farewell = Farewell { message: "go elsewhere", reason: DropReason::Rebalanced, until };
                    realm.depart(now, key, farewell, out);
                });
            }
            2 => {
                let mut config = config();
                if input.once_in(2) {
                    config.roles.iter_mut().for_each(|role| role.permissions.truncate(1));
                }
                self.act(node, |now, realm, out| realm.reconfigure(now, config, out));
            }
            3 => {
                let (procedure, payload) = (uri(input), payload(input));
                self.n_router_calls += 1;
                let (token, timeout) = (self.n_router_calls, Duration::from_secs(1));
                self.act(node, |now, realm, out| realm.call(now, token, &procedure, payload, timeout, out));
            }
            _ => self.act(node, |now, realm, out| realm.publish(now, "wamp.node.event", vec![1u64.into()], out)),
        }
    }
}
