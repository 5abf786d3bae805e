//! Two nodes, the two links between them and a few clients, in one thread and in virtual time.

use super::input::Input;
use super::message::{Known, hello, message, message_of_peer, payload, uri};
use crossbar_cluster::auth::Secret;
use crossbar_cluster::drop::DropReason;
use crossbar_cluster::limits::Limits;
use crossbar_cluster::mesh::frames;
use crossbar_cluster::realm::dealer::Farewell;
use crossbar_cluster::realm::permission::HistoryRule;
use crossbar_cluster::realm::{Effect, MemberKind, Permission, RealmConfig, Role};
use crossbar_cluster::router::clustered::ClusteredRealm;
use crossbar_cluster::session::admission::{self, Admission, Anonymous, Grant, Methods, Peer, RequestIds};
use crossbar_cluster::session::{Context, Join, Session, Step};
use crossbar_cluster::time::Now;
use crossbar_cluster::wamp::feature::Features;
use crossbar_cluster::wamp::message::code;
use crossbar_cluster::wamp::uri::{Match, UriCheck};
use crossbar_cluster::wamp::{Id, Identity, Message, SessionKey, codec};
use crossbar_cluster::wire::{Dict, Serializer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Clients that are there at one time.
const CLIENTS_MAX: usize = 6;
/// Messages that one step may set in motion on links, and timers that may be due in it: more would never end.
const MOTIONS_MAX: usize = 5_000;
const DEPTH_MAX: usize = 64;
const RETAINED_BYTES_MAX: usize = 8 << 10;
const HISTORY_BYTES_MAX: usize = 8 << 10;

/// The nodes and everybody who talks to them.
pub struct World {
    now: Now,
    nodes: [Node; 2],
    /// By who dials: 0 dials 1, and 1 dials 0.
    links: [Option<Link>; 2],
    clients: [Option<Client>; CLIENTS_MAX],
    /// What two listeners admit: as somebody who may do everything, or for whom an authorizer is asked.
    admissions: [Admission; 2],
    peer: Peer,
    rng: ChaCha8Rng,
    n_sessions: Id,
    n_router_calls: u64,
    /// Nodes also say on links what is not true.
    has_hostile_node: bool,
    /// Every message of a client is printed.
    is_traced: bool,
    /// The next message cannot be delivered.
    loses_next: bool,
    /// Sessions that a node wants to end, and how.
    endings: Vec<(usize, SessionKey, Ending)>,
    cost: Cost,
}

/// What a step was, and how many messages it has sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub step: &'static str,
    pub receivers: usize,
}

struct Node {
    realm: ClusteredRealm,
    members: BTreeMap<SessionKey, Who>,
}

/// Whose a place in a node's shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client(usize),
    /// The end of a link, by who dials it.
    Link(usize),
}

struct Client {
    node: usize,
    listener: usize,
    serializer: Serializer,
    session: Session,
    /// Its place, while it has joined.
    key: Option<SessionKey>,
    next_request: Id,
    /// An authorizer is being asked, and the session not read.
    is_suspended: bool,
    known: Known,
}

/// A link that is up: its ends at the dialing and the dialed node, and what is on its way from each.
struct Link {
    ends: [SessionKey; 2],
    queues: [VecDeque<Vec<u8>>; 2],
    known: [Known; 2],
    n_requests: Id,
}

enum Ending {
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

    fn connect_client(&mut self, input: &mut Input) {
        self.cost.step = "a client connects";
        let Some(free) = self.clients.iter().position(Option::is_none) else { return };
        let (node, listener) = (input.below(2), usize::from(input.once_in(8)));
        let serializer = input.pick(&Serializer::ALL).unwrap_or(Serializer::Cbor);
        let session = Session::new(&self.context(listener));
        self.clients[free] = Some(Client {
            node,
            listener,
            serializer,
            session,
            key: None,
            next_request: 1,
            is_suspended: false,
            known: Known::default(),
        });
        let hello = hello(input);
        self.receive(free, &hello);
    }

    fn lose_client(&mut self, input: &mut Input) {
        self.cost.step = "a client is lost";
        if let Some(client) = self.any_client(input) {
            self.lose(client);
        }
    }

    fn lose(&mut self, client: usize) {
        let mut out = Vec::new();
        if let Some(client) = &mut self.clients[client] {
            client.session.handle_transport_closed(&mut out);
        }
        self.carry_out(client, out);
    }

    fn client_speaks(&mut self, input: &mut Input) {
        self.cost.step = "a client speaks";
        let Some(index) = self.any_client(input) else { return self.connect_client(input) };
        let Some(client) = self.clients[index].as_mut().filter(|client| !client.is_suspended) else { return };
        if input.once_in(64) {
            let count = input.byte().into();
            return self.receive_bytes(index, input.bytes(count));
        }
        let is_outside = client.key.is_none() && !input.once_in(16);
        let message = if is_outside { hello(input) } else { message(input, &client.known, client.next_request) };
        let is_counted = matches!(
            message,
            Message::Publish { .. }
                | Message::Subscribe { .. }
                | Message::Register { .. }
                | Message::Call { .. }
                | Message::Unsubscribe { .. }
                | Message::Unregister { .. }
        );
        client.next_request += u64::from(is_counted);
        if matches!(message, Message::Goodbye { .. } | Message::Hello { .. }) {
            client.next_request = 1;
        }
        self.receive(index, &message);
    }

    fn any_client(&self, input: &mut Input) -> Option<usize> {
        let present: Vec<usize> = (0..CLIENTS_MAX).filter(|index| self.clients[*index].is_some()).collect();
        input.pick(&present)
    }

    /// A message of a client arrives as the bytes of its serializer.
    fn receive(&mut self, client: usize, message: &Message) {
        let Some(serializer) = self.clients[client].as_ref().map(|client| client.serializer) else { return };
        if self.is_traced {
            eprintln!("client {client} > {message:?}");
        }
        let mut bytes = Vec::new();
        codec::encode(message, serializer, &mut bytes);
        self.receive_bytes(client, &bytes);
    }

    fn receive_bytes(&mut self, index: usize, bytes: &[u8]) {
        let mut out = Vec::new();
        let Some(client) = &mut self.clients[index] else { return };
        let (now, admission, peer) = (self.now, &self.admissions[client.listener], &self.peer);
        match codec::decode(client.serializer, bytes, DEPTH_MAX) {
            Ok(message) => {
                client.session.handle_message(&Context { now, admission, peer }, message, &mut self.rng, &mut out);
            }
            Err(error) => client.session.handle_violation(&error.to_string(), &mut out),
        }
        self.carry_out(index, out);
    }

    fn context(&self, listener: usize) -> Context<'_> {
        Context { now: self.now, admission: &self.admissions[listener], peer: &self.peer }
    }

    /// Does what a session wants done.
    fn carry_out(&mut self, index: usize, steps: Vec<Step>) {
        for step in steps {
            let Some((node, key)) = self.clients[index].as_ref().map(|client| (client.node, client.key)) else {
                return;
            };
            match step {
                Step::Send(message) => self.tell(index, &message),
                Step::Join(join) => {
                    let Join { identity, welcome, .. } = *join;
                    let key = self.place(node, Who::Client(index));
                    if let Some(client) = &mut self.clients[index] {
                        client.key = Some(key);
                    }
                    self.act(node, |now, realm, out| realm.join(now, key, MemberKind::Client, identity, out));
                    self.tell(index, &welcome);
                }
                Step::Route(message) => {
                    let Some(key) = key else { continue };
                    self.act(node, |now, realm, out| realm.handle_message(now, key, message, out));
                }
                Step::Leave => {
                    if let Some(client) = &mut self.clients[index] {
                        (client.key, client.is_suspended) = (None, false);
                    }
                    let Some(key) = key else { continue };
                    self.nodes[node].members.remove(&key);
                    self.act(node, |now, realm, out| realm.leave(now, key, out));
                }
                Step::CloseTransport { .. } => self.clients[index] = None,
                _ => {}
            }
        }
    }

    /// The lowest free place in a node's shard.
    fn place(&mut self, node: usize, who: Who) -> SessionKey {
        let members = &mut self.nodes[node].members;
        let free = (0..).map(SessionKey).find(|key| !members.contains_key(key)).unwrap_or(SessionKey(u32::MAX));
        members.insert(free, who);
        free
    }

    /// Lets a node act, and carries out what it wants done.
    fn act(&mut self, node: usize, act: impl FnOnce(Now, &mut ClusteredRealm, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        act(self.now, &mut self.nodes[node].realm, &mut out);
        for effect in out {
            match effect {
                Effect::Send { to, message } => self.deliver(node, to, &message),
                Effect::Fanout { to, message } => to.into_iter().for_each(|to| self.deliver(node, to, &message)),
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

    fn suspend(&mut self, node: usize, key: SessionKey, is_suspended: bool) {
        if let Some(Who::Client(index)) = self.nodes[node].members.get(&key)
            && let Some(client) = &mut self.clients[*index]
        {
            client.is_suspended = is_suspended;
        }
    }

    fn deliver(&mut self, node: usize, to: SessionKey, message: &Message) {
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
                codec::encode(message, Serializer::Cbor, &mut bytes);
                link.queues[end].push_back(bytes);
            }
            None => {}
        }
    }

    /// A client is sent a message, which it can read.
    fn tell(&mut self, index: usize, message: &Message) {
        let Some(client) = &mut self.clients[index] else { return };
        let mut bytes = Vec::new();
        codec::encode(message, client.serializer, &mut bytes);
        let read = codec::decode(client.serializer, &bytes, usize::MAX);
        assert!(read.is_ok(), "a client cannot read {message:?}: {read:?}");
        if self.is_traced {
            eprintln!("client {index} of node {} < {message:?}", client.node);
        }
        client.known.note(message);
    }

    /// Ends the sessions that the nodes want to end.
    fn end_sessions(&mut self) {
        for _ in 0..MOTIONS_MAX {
            let Some((node, key, ending)) = self.endings.pop() else { return };
            match self.nodes[node].members.get(&key).copied() {
                Some(Who::Link(dialing)) => self.cut(dialing),
                Some(Who::Client(index)) => {
                    let mut out = Vec::new();
                    let Some(client) = &mut self.clients[index] else { continue };
                    let (now, admission, peer) = (self.now, &self.admissions[client.listener], &self.peer);
                    let cx = Context { now, admission, peer };
                    match ending {
                        Ending::Goodbye(reason, message, drop_reason) => {
                            client.session.end(&cx, &reason, message.as_deref(), drop_reason, &mut out);
                        }
                        Ending::Abort(reason, sentence) => {
                            client.session.abort(reason, &sentence, DropReason::ProtocolViolation, &mut out);
                        }
                    }
                    self.carry_out(index, out);
                }
                None => {}
            }
        }
        assert!(self.endings.is_empty(), "ending sessions never ends");
    }

    /// Lets time pass, with all that becomes due on the way.
    fn pass(&mut self, time: Duration) {
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

    fn do_what_is_due(&mut self) {
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
                client.session.handle_timeout(&Context { now, admission, peer }, &mut out);
            }
            self.carry_out(index, out);
        }
        self.end_sessions();
    }

    /// Everything that is on its way on links arrives, and what comes of it.
    fn carry(&mut self) {
        for _ in 0..MOTIONS_MAX {
            let queued = |dialing: &usize| self.links[*dialing].as_ref().is_some_and(|link| link.is_busy());
            let Some(dialing) = (0..2).find(queued) else { return };
            self.carry_one(dialing);
        }
        panic!("links never come to rest");
    }

    fn carry_one(&mut self, dialing: usize) {
        let Some(link) = &mut self.links[dialing] else { return };
        let from = usize::from(link.queues[0].is_empty());
        let Some(bytes) = link.queues[from].pop_front() else { return };
        let to = link.ends[1 - from];
        let node = if from == 0 { 1 - dialing } else { dialing };
        let message = codec::decode(Serializer::Cbor, &bytes, usize::MAX).expect("what a node sends can be read");
        self.cost.receivers = 0;
        self.act(node, |now, realm, out| realm.handle_message(now, to, message, out));
        self.end_sessions();
    }

    fn cut_or_mend(&mut self, input: &mut Input) {
        self.cost.step = "a link is cut or mended";
        let dialing = input.below(2);
        match self.links[dialing] {
            Some(_) => self.cut(dialing),
            None => self.dial(dialing),
        }
    }

    fn connect_nodes(&mut self) {
        (0..2).for_each(|dialing| self.dial(dialing));
    }

    fn dial(&mut self, dialing: usize) {
        if self.links[dialing].is_some() {
            return;
        }
        let dialed = 1 - dialing;
        let ends = [self.place(dialing, Who::Link(dialing)), self.place(dialed, Who::Link(dialing))];
        let names = [dialing, dialed].map(|node| self.nodes[node].realm.node().to_owned());
        self.links[dialing] = Some(Link {
            ends,
            queues: [VecDeque::new(), VecDeque::new()],
            known: [Known::default(), Known::default()],
            n_requests: 0,
        });
        self.n_sessions += 1;
        let session = self.n_sessions;
        let [ours, theirs] = names.map(|name| identity(session, name));
        self.act(dialed, |now, realm, out| realm.join(now, ends[1], MemberKind::Peer, ours, out));
        self.act(dialing, |now, realm, out| realm.join(now, ends[0], MemberKind::Uplink, theirs, out));
    }

    fn cut(&mut self, dialing: usize) {
        let Some(link) = self.links[dialing].take() else { return };
        for (node, key) in [dialing, 1 - dialing].into_iter().zip(link.ends) {
            self.nodes[node].members.remove(&key);
            self.act(node, |now, realm, out| realm.leave(now, key, out));
        }
    }

    /// What an operator does.
    fn steer(&mut self, input: &mut Input) {
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

    /// A message that may be too large, or find a full link, is not delivered: does what the driver of a realm makes of
    /// that. Returns whether it was one.
    fn lose_message(&mut self, node: usize, to: SessionKey, message: &Message) -> bool {
        let (error, sentence) = ("wamp.error.payload_size_exceeded", "it is too large");
        self.loses_next = false;
        match message {
            Message::Result { request, .. } | Message::Yield { request, .. } => {
                self.act(node, |now, realm, out| realm.refuse_answer(now, to, *request, error, sentence, out));
            }
            Message::Invocation { request, .. } => {
                self.act(node, |now, realm, out| realm.refuse_invocation(now, to, *request, error, sentence, out));
            }
            Message::Call { request, .. } => {
                let answer = Message::error(code::CALL, *request, error, sentence.to_owned());
                self.act(node, |now, realm, out| realm.handle_message(now, to, answer, out));
            }
            Message::Event { details, .. } => {
                let is_notice = details.str("topic").is_some_and(|topic| topic.starts_with(frames::NAMESPACE));
                if is_notice && self.nodes[node].realm.members().peers().contains(&to) {
                    self.act(node, |_, realm, out| realm.note_overrun(to, out));
                }
            }
            _ => {
                self.loses_next = true;
                return false;
            }
        }
        true
    }

    /// A node says something on a link that its realm has not said.
    fn lie(&mut self, input: &mut Input) {
        self.cost.step = "a node lies";
        let (dialing, from) = (input.below(2), input.below(2));
        let Some(link) = &mut self.links[dialing] else { return };
        link.n_requests += 1;
        let message = message_of_peer(input, &link.known[1 - from], link.n_requests);
        let mut bytes = Vec::new();
        codec::encode(&message, Serializer::Cbor, &mut bytes);
        // As the other end would read it: what is no message ends the link there.
        match codec::decode(Serializer::Cbor, &bytes, DEPTH_MAX) {
            Ok(_) => link.queues[from].push_back(bytes),
            Err(_) => self.cut(dialing),
        }
    }
}

impl Link {
    fn is_busy(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }
}

fn identity(session: Id, authid: String) -> Identity {
    Identity {
        session,
        authid,
        authrole: "node".to_owned(),
        authmethod: "mutual".to_owned(),
        authprovider: "static".to_owned(),
        authextra: Dict::new(),
        transport: Dict::new(),
        features: Features::EVERYTHING,
    }
}

fn admission(role: &str) -> Admission {
    let roles = ["anonymous", "asked"].map(str::to_owned).into();
    let methods = Methods { anonymous: Some(Anonymous::Static(Grant::role(role))), ..Methods::default() };
    Admission {
        node: admission::Node { id: "edge1".to_owned(), pid: 1 },
        realms: HashMap::from([("realm1".to_owned(), admission::Realm { roles, request_ids: RequestIds::Strict })]),
        methods,
        decoy_key: Secret::new("decoy"),
        limits: Limits::default(),
    }
}

fn config() -> RealmConfig {
    let everything = Permission {
        uri: String::new(),
        policy: Match::Prefix,
        call: true,
        register: true,
        publish: true,
        subscribe: true,
        disclose_caller: false,
        disclose_publisher: false,
    };
    let meta = Permission { uri: "wamp.".to_owned(), ..everything.clone() };
    let role = |name: &str, authorizer: Option<&str>| Role {
        name: name.to_owned(),
        permissions: vec![everything.clone(), meta.clone()],
        authorizer: authorizer.map(str::to_owned),
    };
    RealmConfig {
        name: "realm1".to_owned(),
        uri_check: UriCheck::Loose,
        roles: vec![role("anonymous", None), role("asked", Some("com.authorize"))],
        history: vec![HistoryRule { uri: "com.history".to_owned(), policy: Match::Exact, entries_max: 4 }],
        deciding: Vec::new(),
        local_first: false,
        limits: limits(),
    }
}

/// Small ones, to come to their ends.
fn limits() -> Limits {
    Limits {
        subscriptions_per_session_max: 8,
        registrations_per_session_max: 8,
        calls_per_session_max: 8,
        calls_queued_max: 4,
        wildcard_shapes_max: 3,
        publish_list_max: 2,
        retained_max: 8,
        retained_bytes_max: RETAINED_BYTES_MAX,
        history_bytes_max: HISTORY_BYTES_MAX,
        testaments_per_session_max: 3,
        authorizer_cache_max: 4,
        authorizer_timeout: Duration::from_secs(1),
        ..Limits::default()
    }
}
