//! Nodes, links and clients in one thread, in virtual time: what a cluster is, without sockets. Everything random comes
//! from one seed; every message crosses a link as bytes.

use crate::client::Client;
use crossbar_cluster::drop::DropReason;
use crossbar_cluster::federation::ClusteredRealm;
use crossbar_cluster::limits::Limits;
use crossbar_cluster::realm::dealer::Farewell;
use crossbar_cluster::realm::permission::HistoryRule;
use crossbar_cluster::realm::{Effect, MemberKind, Permission, RealmConfig, Role};
use crossbar_cluster::time::Now;
use crossbar_cluster::wamp::codec::Form;
use crossbar_cluster::wamp::feature::Features;
use crossbar_cluster::wamp::uri::{Match, UriCheck};
use crossbar_cluster::wamp::{Id, Identity, Message, SessionKey, codec, options};
use crossbar_cluster::wire::Dict;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A cluster.
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    /// By (who dialed, who was dialed).
    pub(crate) links: BTreeMap<(usize, usize), Link>,
    /// What is going to happen, and in which order at one time.
    agenda: BTreeMap<(Duration, u64), Happening>,
    n_happenings: u64,
    n_sessions: Id,
    pub(crate) config: RealmConfig,
    /// How often links have been asked for a page of what is retained.
    pub(crate) n_retained_pages: usize,
    /// How long a message may be on its way; more during a spike.
    pub(crate) delay_max_ms: u64,
    /// When each link was up and whole: (link, from, to).
    pub(crate) uptimes: Vec<((usize, usize), Duration, Duration)>,
    /// Until when two nodes cannot reach one another.
    blocked: BTreeMap<(usize, usize), Duration>,
    /// (node, publication) of every EVENT that came over a link: none may come twice.
    arrived: BTreeSet<(usize, Id)>,
    /// Links have no room for what nodes tell one another unasked.
    pub(crate) links_are_full: bool,
    pub(crate) trace: bool,
}

pub(crate) struct Node {
    pub(crate) id: String,
    /// None while it is dead.
    pub(crate) realm: Option<ClusteredRealm>,
    members: BTreeMap<SessionKey, Who>,
    key_next: u32,
    /// Counts its lives.
    pub(crate) life: u32,
}

/// Whom a place in a node's shard belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client(usize),
    /// The link with this epoch that the other node has dialed.
    Dialed(usize, u64),
    /// The link with this epoch that this node has dialed.
    Dialing(usize, u64),
}

/// One link, as long as both ends believe in it.
pub(crate) struct Link {
    pub(crate) epoch: u64,
    /// The places of its two ends, while they are there.
    ends: [Option<SessionKey>; 2],
    /// When the last message of each direction (from the dialing end first) arrives: there is no overtaking.
    last: [Duration; 2],
    /// Nothing arrives any more in this direction.
    cut: [bool; 2],
    up_since: Duration,
    /// The requests that the dialing end has made.
    n_requests: Id,
}

enum Happening {
    Arrive {
        link: (usize, usize),
        epoch: u64,
        direction: usize,
        bytes: Vec<u8>,
    },
    /// One end notices that the link is gone.
    Notice {
        link: (usize, usize),
        epoch: u64,
        end: usize,
    },
    Dial {
        link: (usize, usize),
    },
    Client {
        client: usize,
        message: Message,
    },
}

impl World {
    pub(crate) fn new(seed: u64, n_nodes: usize) -> World {
        let mut world = World {
            now: Now::epoch(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            nodes: Vec::new(),
            clients: Vec::new(),
            links: BTreeMap::new(),
            agenda: BTreeMap::new(),
            n_happenings: 0,
            n_sessions: 0,
            config: config(),
            n_retained_pages: 0,
            delay_max_ms: 20,
            uptimes: Vec::new(),
            blocked: BTreeMap::new(),
            arrived: BTreeSet::new(),
            links_are_full: false,
            trace: std::env::var("SIM_TRACE").is_ok(),
        };
        for index in 0..n_nodes {
            world.nodes.push(Node {
                id: format!("edge{}", index + 1),
                realm: None,
                members: BTreeMap::new(),
                key_next: 0,
                life: 0,
            });
            world.start(index);
        }
        world
    }

    /// Everything is mended, and all that comes of it has come.
    pub(crate) fn heal(&mut self) {
        self.delay_max_ms = 20;
        for node in 0..self.nodes.len() {
            if self.nodes[node].realm.is_none() {
                self.start(node);
            }
        }
        for _ in 0..60 {
            self.run(1_000);
            if self.is_whole() {
                break;
            }
        }
        assert!(self.is_whole(), "the mesh does not mend");
        // Digests are compared every 10 s, and twice before what is retained is fetched again.
        self.run(35_000);
        let up: Vec<_> = self.links.iter().map(|(key, link)| (*key, link.up_since, Duration::MAX)).collect();
        self.uptimes.extend(up);
    }

    pub(crate) fn realm(&self, node: usize) -> &ClusteredRealm {
        self.nodes[node].realm.as_ref().expect("the node lives")
    }

    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].realm.is_some()).collect()
    }

    /// A node comes (back) to life, and dials all others; they dial it.
    pub(crate) fn start(&mut self, node: usize) {
        let seed = self.rng.random();
        let id = self.nodes[node].id.clone();
        self.nodes[node].life += 1;
        self.nodes[node].realm = Some(ClusteredRealm::new(self.now, &id, self.config.clone(), seed));
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.plan(20, Happening::Dial { link: (node, other) });
            self.plan(20, Happening::Dial { link: (other, node) });
        }
    }

    /// A node dies: its clients are gone, its links silent until the others notice.
    pub(crate) fn kill(&mut self, node: usize) {
        self.say(|| format!("kill {node}"));
        self.nodes[node].realm = None;
        self.nodes[node].members.clear();
        for client in &mut self.clients {
            if client.node == node {
                client.is_gone = true;
            }
        }
        let links: Vec<(usize, usize)> =
            self.links.keys().filter(|(from, to)| *from == node || *to == node).copied().collect();
        for link in links {
            self.cut(link, [true, true]);
        }
    }

    /// Nothing arrives any more in the directions named, of which both ends learn only later.
    pub(crate) fn cut(&mut self, key: (usize, usize), directions: [bool; 2]) {
        self.say(|| format!("cut {key:?} {directions:?}"));
        let Some(link) = self.links.get_mut(&key) else { return };
        let epoch = link.epoch;
        let uptime = (key, link.up_since, self.now.uptime);
        for (cut, too) in link.cut.iter_mut().zip(directions) {
            *cut |= too;
        }
        self.uptimes.push(uptime);
        for end in 0..2 {
            self.plan(2_000, Happening::Notice { link: key, epoch, end });
        }
    }

    /// Two nodes cannot reach one another for a while.
    pub(crate) fn part_nodes(&mut self, a: usize, b: usize, ms: u64) {
        for link in [(a, b), (b, a)] {
            let until = self.now.uptime + Duration::from_millis(ms);
            self.blocked.insert(link, until);
            self.cut(link, [true, true]);
        }
    }

    /// A client joins on a node.
    pub(crate) fn join(&mut self, node: usize) -> usize {
        self.join_as(node, "user")
    }

    pub(crate) fn join_as(&mut self, node: usize, authrole: &str) -> usize {
        let client = self.clients.len();
        self.n_sessions += 1;
        let session = self.n_sessions;
        let key = self.place(node, Who::Client(client));
        self.clients.push(Client::new(node, key, session, self.now.uptime));
        let identity = identity(session, &format!("client{client}"), authrole);
        self.act(node, |now, realm, out| realm.join(now, key, MemberKind::Client, identity, out));
        client
    }

    pub(crate) fn leave(&mut self, client: usize) {
        if self.clients[client].is_gone {
            return;
        }
        self.say(|| format!("client {client} leaves"));
        self.clients[client].is_gone = true;
        let (node, key) = (self.clients[client].node, self.clients[client].key);
        self.nodes[node].members.remove(&key);
        self.act(node, |now, realm, out| realm.leave(now, key, out));
    }

    /// A node lets its clients go, or keeps them after all.
    pub(crate) fn set_leaving(&mut self, node: usize, is_leaving: bool) {
        self.act(node, |now, realm, out| realm.set_leaving(now, is_leaving, out));
    }

    /// A client is sent away in order, to connect again elsewhere.
    pub(crate) fn send_elsewhere(&mut self, client: usize) {
        let (node, key) = (self.clients[client].node, self.clients[client].key);
        let farewell = |now: Now| Farewell {
            message: "please connect again",
            reason: DropReason::Rebalanced,
            until: now.uptime + DEPARTURE_MAX,
        };
        self.act(node, |now, realm, out| realm.depart(now, key, farewell(now), out));
    }

    /// A client sends a message now.
    pub(crate) fn send(&mut self, client: usize, message: Message) {
        if self.clients[client].is_gone {
            return;
        }
        self.say(|| format!("client {client} > {message:?}"));
        let now = self.now.uptime;
        self.clients[client].note_sent(now, &message);
        let (node, key) = (self.clients[client].node, self.clients[client].key);
        self.act(node, |now, realm, out| realm.handle_message(now, key, message, out));
    }

    /// A client sends a message within so many milliseconds.
    pub(crate) fn send_within(&mut self, ms: u64, client: usize, message: Message) {
        self.plan(ms, Happening::Client { client, message });
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now.uptime + Duration::from_millis(ms);
        while let Some(at) = self.next_time().filter(|at| *at <= end) {
            self.advance(at);
            self.happen();
        }
        self.advance(end);
    }

    /// All links between living nodes are up at both ends.
    pub(crate) fn is_whole(&self) -> bool {
        let alive = self.alive();
        alive.iter().all(|a| alive.iter().all(|b| a == b || self.is_connected(*a, *b)))
    }

    /// Whether `from` has a link to `to` on which everything arrives.
    pub(crate) fn is_connected(&self, from: usize, to: usize) -> bool {
        let link = self.links.get(&(from, to));
        link.is_some_and(|link| link.ends.iter().all(Option::is_some) && link.cut == [false, false])
    }

    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>9.3} {}", self.now.uptime.as_secs_f64(), text());
        }
    }

    fn next_time(&self) -> Option<Duration> {
        let planned = self.agenda.keys().next().map(|(at, _)| *at);
        let timers = self.nodes.iter().filter_map(|node| node.realm.as_ref()?.poll_timeout());
        planned.into_iter().chain(timers).min()
    }

    fn advance(&mut self, at: Duration) {
        if at > self.now.uptime {
            self.now = self.now.after(at - self.now.uptime);
        }
    }

    /// Does what is due.
    fn happen(&mut self) {
        for node in self.alive() {
            if self.realm(node).poll_timeout().is_some_and(|at| at <= self.now.uptime) {
                self.act(node, |now, realm, out| realm.handle_timeout(now, out));
                let again = self.realm(node).poll_timeout();
                assert!(again.is_none_or(|at| at > self.now.uptime), "a timer of node {node} is due again at once");
            }
        }
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= self.now.uptime
        {
            match entry.remove() {
                Happening::Arrive { link, epoch, direction, bytes } => self.arrive(link, epoch, direction, &bytes),
                Happening::Notice { link, epoch, end } => self.notice(link, epoch, end),
                Happening::Dial { link } => self.dial(link),
                Happening::Client { client, message } => self.send(client, message),
            }
        }
    }

    fn plan(&mut self, within_ms: u64, happening: Happening) {
        let delay = Duration::from_micros(self.rng.random_range(0..=within_ms * 1_000));
        self.plan_at(self.now.uptime + delay, happening);
    }

    fn plan_at(&mut self, at: Duration, happening: Happening) {
        self.n_happenings += 1;
        self.agenda.insert((at, self.n_happenings), happening);
    }

    fn place(&mut self, node: usize, who: Who) -> SessionKey {
        let key = SessionKey(self.nodes[node].key_next);
        self.nodes[node].key_next += 1;
        self.nodes[node].members.insert(key, who);
        key
    }

    fn dial(&mut self, key: (usize, usize)) {
        let (from, to) = key;
        if self.links.contains_key(&key) || self.nodes[from].realm.is_none() || self.nodes[to].realm.is_none() {
            return;
        }
        if let Some(until) = self.blocked.get(&key).copied().filter(|until| *until > self.now.uptime) {
            return self.plan_at(until, Happening::Dial { link: key });
        }
        self.n_happenings += 1;
        let epoch = self.n_happenings;
        self.n_sessions += 1;
        let session = self.n_sessions;
        let dialing = self.place(from, Who::Dialing(to, epoch));
        let dialed = self.place(to, Who::Dialed(from, epoch));
        let now = self.now.uptime;
        let link = Link {
            epoch,
            ends: [Some(dialing), Some(dialed)],
            last: [now; 2],
            cut: [false; 2],
            up_since: now,
            n_requests: 0,
        };
        self.links.insert(key, link);
        self.say(|| format!("link {key:?} is up"));
        let (peer, ours) = (self.nodes[from].id.clone(), self.nodes[to].id.clone());
        let identity_there = identity(session, &peer, "node");
        self.act(to, |now, realm, out| realm.join(now, dialed, MemberKind::Peer, identity_there, out));
        let identity_here = identity(session, &ours, "node");
        self.act(from, |now, realm, out| realm.join(now, dialing, MemberKind::Uplink, identity_here, out));
    }

    fn notice(&mut self, key: (usize, usize), epoch: u64, end: usize) {
        let Some(link) = self.links.get_mut(&key).filter(|link| link.epoch == epoch) else { return };
        let place = link.ends[end].take();
        link.cut = [true, true];
        let both_gone = link.ends.iter().all(Option::is_none);
        let node = if end == 0 { key.0 } else { key.1 };
        let other_end = 1 - end;
        if both_gone {
            self.links.remove(&key);
            self.plan(300, Happening::Dial { link: key });
        } else {
            self.plan(500, Happening::Notice { link: key, epoch, end: other_end });
        }
        self.say(|| format!("node {node} notices the end of link {key:?}"));
        if let Some(place) = place
            && self.nodes[node].members.remove(&place).is_some()
        {
            self.act(node, |now, realm, out| realm.leave(now, place, out));
        }
    }

    fn arrive(&mut self, key: (usize, usize), epoch: u64, direction: usize, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&key).filter(|link| link.epoch == epoch) else { return };
        if link.cut[direction] {
            return;
        }
        let Some(place) = link.ends[1 - direction] else { return };
        let message = codec::decode(Form::Link, bytes, 64).expect("what a node sends can be read");
        let node = if direction == 0 { key.1 } else { key.0 };
        if direction == 0
            && let Some(request) = request_of(&message)
        {
            link.n_requests += 1;
            assert_eq!(request, link.n_requests, "the requests of link {key:?} have gaps: {message:?}");
        }
        if let Message::Event { publication, details, .. } = &message
            && !details.str("topic").is_some_and(|topic| topic.starts_with("wamp.link."))
        {
            let is_first = self.arrived.insert((node, *publication));
            assert!(is_first, "publication {publication} has come to node {node} before: {message:?}");
        }
        if matches!(&message, Message::Call { procedure, .. } if procedure == "wamp.link.retained") {
            self.n_retained_pages += 1;
        }
        self.say(|| format!("node {node} < {key:?} {message:?}"));
        self.act(node, |now, realm, out| realm.handle_message(now, place, message, out));
    }

    /// Lets a node act, and carries out what it wants done.
    pub(crate) fn act(&mut self, node: usize, act: impl FnOnce(Now, &mut ClusteredRealm, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        let now = self.now;
        if let Some(realm) = &mut self.nodes[node].realm {
            act(now, realm, &mut out);
            realm.check();
        }
        let mut parting = Vec::new();
        for effect in out {
            match effect {
                Effect::Send { to, message } => self.deliver(node, to, &message),
                Effect::Fanout { to, message } => to.iter().for_each(|to| self.deliver(node, to, &message)),
                Effect::Goodbye { session, .. } => parting.push(session),
                Effect::Abort { session, reason, sentence } => {
                    panic!("node {node} aborts {session:?} ({:?}): {reason}, {sentence}", self.who(node, session));
                }
                Effect::Settle { .. } | Effect::Gather(_) => panic!("{effect:?} is for the clustered realm itself"),
                Effect::Suspend { .. } | Effect::Resume { .. } | Effect::Answer { .. } | Effect::Drop { .. } => {}
                Effect::Refused { .. } => {}
            }
        }
        // What comes of it stands behind what is to be done already, as in the queue of a shard.
        parting.into_iter().for_each(|session| self.part(node, session));
    }

    /// A member is told to go.
    fn part(&mut self, node: usize, key: SessionKey) {
        match self.who(node, key) {
            Some(Who::Client(client)) => self.leave(client),
            Some(Who::Dialed(from, epoch)) => self.notice((from, node), epoch, 1),
            Some(Who::Dialing(to, epoch)) => self.notice((node, to), epoch, 0),
            None => {}
        }
    }

    fn who(&self, node: usize, key: SessionKey) -> Option<Who> {
        self.nodes[node].members.get(&key).copied()
    }

    fn deliver(&mut self, node: usize, to: SessionKey, message: &Message) {
        match self.who(node, to) {
            None => {}
            Some(Who::Client(client)) => {
                self.say(|| format!("client {client} < {message:?}"));
                let now = self.now.uptime;
                let replies = self.clients[client].receive(now, message, &mut self.rng);
                for (ms, reply) in replies {
                    self.send_within(ms, client, reply);
                }
            }
            Some(Who::Dialing(other, epoch)) => self.transmit((node, other), epoch, 0, message),
            Some(Who::Dialed(..)) if self.links_are_full && is_notice(message) => {
                self.act(node, |_, realm, out| realm.note_overrun(to, out));
            }
            Some(Who::Dialed(other, epoch)) => self.transmit((other, node), epoch, 1, message),
        }
    }

    fn transmit(&mut self, key: (usize, usize), epoch: u64, direction: usize, message: &Message) {
        let mut bytes = Vec::new();
        codec::encode(message, Form::Link, &mut bytes);
        assert!(bytes.len() <= 1 << 24, "no link carries {} bytes of {}", bytes.len(), message.name());
        let delay = Duration::from_micros(self.rng.random_range(50..=self.delay_max_ms * 1_000));
        let Some(link) = self.links.get_mut(&key).filter(|link| link.epoch == epoch) else { return };
        if link.cut[direction] {
            return;
        }
        let at = (self.now.uptime + delay).max(link.last[direction]);
        link.last[direction] = at;
        self.plan_at(at, Happening::Arrive { link: key, epoch, direction, bytes });
    }
}

/// What a link may have no room for; that it had none always has room.
fn is_notice(message: &Message) -> bool {
    let Message::Event { details, .. } = message else { return false };
    details.str("topic").is_some_and(|topic| topic.starts_with("wamp.link.") && topic != "wamp.link.overrun")
}

/// The request id of what the dialing end of a link asks.
fn request_of(message: &Message) -> Option<Id> {
    match message {
        Message::Subscribe { request, options, .. } | Message::Register { request, options, .. } => {
            assert_eq!(options::check(message.code(), options), Ok(()));
            Some(*request)
        }
        Message::Unsubscribe { request, .. } | Message::Unregister { request, .. } | Message::Call { request, .. } => {
            Some(*request)
        }
        _ => None,
    }
}

pub(crate) fn identity(session: Id, authid: &str, authrole: &str) -> Identity {
    let all = |names: &[&'static str]| names.iter().fold(Dict::new(), |dict, name| dict.with(*name, true));
    let features = all(&[
        "progressive_call_invocations",
        "progressive_call_results",
        "call_canceling",
        "call_timeout",
        "registration_revocation",
        "subscription_revocation",
        "payload_passthru_mode",
    ]);
    let role = |_: &str| Dict::new().with("features", features.clone());
    let roles = ["publisher", "subscriber", "caller", "callee"];
    let roles = roles.iter().fold(Dict::new(), |dict, name| dict.with(*name, role(name)));
    Identity {
        session,
        authid: authid.to_owned(),
        authrole: authrole.to_owned(),
        authmethod: "anonymous".to_owned(),
        authprovider: "static".to_owned(),
        authextra: Dict::new(),
        transport: Dict::new(),
        features: Features::from_roles(&roles),
    }
}

fn config() -> RealmConfig {
    let everything = Permission { call: true, register: true, publish: true, subscribe: true, ..Permission::none("") };
    let disclosing = Permission { disclose_caller: true, disclose_publisher: true, ..everything.clone() };
    let meta = Permission { uri: "wamp.".to_owned(), ..everything.clone() };
    let role =
        |name: &str, rule| Role { name: name.to_owned(), permissions: vec![rule, meta.clone()], authorizer: None };
    let limits = Limits { settle_max: Duration::from_secs(5), ..Limits::default() };
    RealmConfig {
        name: "realm1".to_owned(),
        uri_check: UriCheck::Loose,
        roles: vec![role("user", everything), role("open", disclosing)],
        history: vec![HistoryRule { uri: "com.history".to_owned(), policy: Match::Exact, entries_max: 1_000 }],
        deciding: Vec::new(),
        local_first: false,
        limits,
    }
}

/// How long a client that is sent away may take to end what it has under way.
const DEPARTURE_MAX: Duration = Duration::from_secs(5);
