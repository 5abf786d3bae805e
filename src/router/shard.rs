//! One shard: its connections, its realms, and the turns in which what was read is routed and then written.
//!
//! Everything on the message path happens in here, on one thread, without a lock: `read` finds messages in the bytes,
//! `route` lets session and realm decide, `deliver` encodes and queues, `flush` writes at the end of the turn.

use super::balancer::Balancer;
use super::connection::{Connection, Ending, Stalls};
use super::crowd::{Crowd, Entry, Holder};
use super::dial::{LinkName, LinkState};
use super::node::NodeInfo;
use super::protocol::Protocol;
use super::questions::Questions;
use super::rounds::{Rounds, Share, Source};
use super::serve::{Answer, Served};
use super::trace::Tracer;
use super::turn::Slice;
use crate::admin::refusals::RefusalLog;
use crate::config::{ListenerId, Realm as RealmSettings, RunningFile};
use crate::federation::ClusteredRealm;
use crate::kept::Account;
use crate::limits::Limits;
use crate::metrics::Stats;
use crate::realm::Effect;
use crate::session::admission::{Admission, Peer};
use crate::session::penalties::Penalties;
use crate::session::{Context, Session, Step};
use crate::time::Now;
use crate::transport::accept::Accepting;
use crate::transport::{Established, Inbound, Outbound, Outbox, Stream};
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Serializer};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use slab::Slab;
use std::cell::{Cell, Ref, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};

/// What a fresh connection brings from its handshake.
struct End {
    stream: Stream,
    inbound: Inbound,
    outbound: Outbound,
    parked: Vec<u8>,
    protocol: Protocol,
}

/// A realm's place in its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RealmIndex(pub usize);

/// One listener, as its connections know it.
pub struct ListenerState {
    pub name: String,
    /// Finds it in a configuration; None for what is no `[[listen]]`.
    pub id: Option<ListenerId>,
    pub accepting: Accepting,
    /// Replaced by `Shard::set_admission` alone, which ends the sessions that the new one does not cover.
    pub admission: RefCell<Admission>,
    pub pings: Pings,
    /// It carries links between nodes.
    pub is_mesh: bool,
    /// Everybody who is connected.
    pub crowd: Rc<RefCell<Crowd>>,
}

impl ListenerState {
    pub fn new(name: String, accepting: Accepting, admission: Admission, pings: Pings) -> ListenerState {
        ListenerState {
            name,
            id: None,
            accepting,
            admission: RefCell::new(admission),
            pings,
            is_mesh: false,
            crowd: Rc::default(),
        }
    }

    /// Whether clients connect to it, rather than nodes or operators.
    pub fn is_for_clients(&self) -> bool {
        self.id.is_some() && !self.is_mesh
    }

    /// Takes over what a reload may change of any port: its bounds.
    pub fn set_limits(&self, limits: &Limits) {
        self.accepting.limits.borrow_mut().clone_from(limits);
        self.admission.borrow_mut().limits.clone_from(limits);
    }

    /// The bounds as they are now.
    pub fn limits(&self) -> Ref<'_, Limits> {
        self.accepting.limits.borrow()
    }
}

/// How silent connections are asked whether they live.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// Zero: never.
    pub interval: Duration,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Also those that come by RawSocket.
    pub rawsocket: bool,
}

/// Work that routing has brought up, carried out in order.
pub(super) enum Work {
    Step(SessionKey, Step),
    Effect(RealmIndex, Effect),
}

/// A realm and what the edge, rather than the realm, needs to know about it.
pub struct RealmSlot {
    pub realm: ClusteredRealm,
    /// Replaced on reload.
    pub settings: RealmSettings,
    /// It is one realm with those of the same name on the peers; others are this program's own affair.
    pub is_clustered: bool,
    /// The procedures that the program itself answers, by their prefix, and where their calls wait.
    pub(super) served: Option<(&'static str, mpsc::Sender<Served>)>,
}

impl RealmSlot {
    pub fn name(&self) -> &str {
        self.realm.name()
    }
}

/// All that one thread owns.
pub struct Shard {
    // Static after construction.
    pub node: Rc<NodeInfo>,
    pub limits: Limits,
    /// What is kept for clients, by realms and connections.
    pub account: Rc<Account>,
    /// When sessions were last ended because too much was kept, in uptime.
    pub(super) relieved: Duration,
    started: Instant,

    // Owned by routing.
    pub connections: Slab<Connection>,
    pub realms: Vec<RealmSlot>,
    pub realm_names: HashMap<String, RealmIndex>,
    pub listeners: Vec<Rc<ListenerState>>,
    /// Where the admin port listens.
    pub admin: Option<String>,
    /// The links that this node dials.
    pub links: BTreeMap<LinkName, LinkState>,
    pub(super) work: VecDeque<Work>,
    pub(super) is_working: bool,
    pub(super) steps: Vec<Step>,
    pub(super) effects: Vec<Effect>,
    pub(super) rng: ChaCha8Rng,
    /// Whose message is being routed; it is stalled when a receiver is slow.
    pub(super) source: Option<SessionKey>,
    /// What authenticators are asked.
    pub(super) questions: Questions,
    pub(super) next_token: u64,
    /// For logins that have failed, on all listeners.
    pub(super) penalties: RefCell<Penalties>,
    /// Who waits for the answer to a call that this program has made, by its token.
    pub(super) own_calls: HashMap<u64, oneshot::Sender<Answer>>,
    /// What an operator is looking at.
    pub tracer: Tracer,

    // Owned by the turn.
    pub(super) read_buffer: Vec<u8>,
    pub(super) encode_buffer: Vec<u8>,
    pub(super) write_buffer: Vec<u8>,
    pub(super) touched: Vec<SessionKey>,
    pub(super) held: VecDeque<(Duration, SessionKey)>,
    /// Some of these are due, and there was no time to write to them.
    pub(super) has_due: bool,
    /// Connections that were ended while something was delivered, and whose realms have yet to hear of it.
    pub(super) ended: VecDeque<SessionKey>,
    pub(super) stalled: VecDeque<(Duration, SessionKey)>,
    /// Who has sent more than its role may, and when it is read again; the first to be so on top.
    pub(super) throttled: BinaryHeap<Reverse<(Duration, SessionKey)>>,
    pub(super) event_delay: Duration,
    pub(super) turn_started: Option<Instant>,
    /// The connections that wait to be read, and the slice of the one that is being read.
    pub(super) rounds: Rounds,
    pub(super) slice: Slice,
    pub(super) flusher: Option<Waker>,
    /// The flusher must compute its deadlines again.
    pub(super) deadlines_changed: bool,
    /// Events queued since the last tick, and when that was.
    pub(super) queued_events: u64,
    pub(super) ticked: Duration,

    pub stats: Stats,
    /// Who was refused, and why.
    pub refusals: RefusalLog,
    /// Descriptors that are no connections, as last counted.
    pub(super) other_files: Cell<u64>,
    /// What load balancers are told, where there is a port on which they ask.
    pub balancer: Option<Balancer>,
    /// What the program was configured with, where that is a file.
    pub running_file: Option<RunningFile>,
    /// The node has been started, and waits for its links before it lets clients in.
    pub is_joining: bool,
    /// The peers that it waits for.
    pub waits_for: Vec<String>,
    /// Clients are asked to go elsewhere.
    pub is_draining: bool,
    /// New clients are refused. A drain begins before this, so that whoever directs clients here notices first.
    pub is_closed: bool,
}

impl Shard {
    pub fn new(node: Rc<NodeInfo>, limits: Limits, started: Instant) -> Shard {
        let account = Rc::new(Account::default());
        account.set_bytes_max(limits.kept_bytes_max);
        Shard {
            node,
            event_delay: limits.event_delay_min,
            limits,
            account,
            relieved: Duration::ZERO,
            started,
            connections: Slab::new(),
            realms: Vec::new(),
            realm_names: HashMap::new(),
            listeners: Vec::new(),
            admin: None,
            links: BTreeMap::new(),
            work: VecDeque::new(),
            is_working: false,
            steps: Vec::new(),
            effects: Vec::new(),
            rng: ChaCha8Rng::from_rng(&mut rand::rng()),
            source: None,
            questions: Questions::default(),
            next_token: 1,
            penalties: RefCell::default(),
            own_calls: HashMap::new(),
            tracer: Tracer::default(),
            read_buffer: vec![0; READ_BUFFER_BYTES],
            encode_buffer: Vec::new(),
            write_buffer: Vec::with_capacity(WRITE_CHUNK_BYTES),
            touched: Vec::new(),
            held: VecDeque::new(),
            has_due: false,
            ended: VecDeque::new(),
            stalled: VecDeque::new(),
            throttled: BinaryHeap::new(),
            turn_started: None,
            rounds: Rounds::default(),
            slice: Slice::new(started),
            flusher: None,
            deadlines_changed: false,
            queued_events: 0,
            ticked: Duration::ZERO,
            stats: Stats::default(),
            refusals: RefusalLog::new(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            other_files: Cell::new(0),
            balancer: None,
            running_file: None,
            is_joining: false,
            waits_for: Vec::new(),
            is_draining: false,
            is_closed: false,
        }
    }

    /// When the runtime's clock shows this uptime.
    pub fn instant_of(&self, uptime: Duration) -> Instant {
        self.started + uptime
    }

    /// Takes over the bounds of the node.
    pub fn set_limits(&mut self, limits: Limits) {
        self.account.set_bytes_max(limits.kept_bytes_max);
        self.limits = limits;
    }

    /// The time, read once per turn and passed on.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { uptime: self.started.elapsed(), wall }
    }

    /// Takes in a connection whose transport is up. Its task has to be a `Driver` with the key.
    pub fn open(&mut self, established: Established, listener: Rc<ListenerState>, entry: Entry) -> SessionKey {
        let now = self.now();
        let transport = Dict::new()
            .with("type", established.kind)
            .with("protocol", established.protocol.as_str())
            .with("peer", established.peer.to_string());
        let name = established.peer.to_string();
        let place = entry.source().and_then(|source| source.place());
        let (channel_id, shown) = (established.stream.channel_id(), established.stream.peer_key());
        let peer = Box::new(Peer { name, transport, place, channel_id, key: shown });
        let session = || {
            let admission = listener.admission.borrow();
            Session::new(&Context { now, admission: &admission, peer: &peer, penalties: &self.penalties })
        };
        let Established { stream, inbound, outbound, serializer, leftover, .. } = established;
        let protocol = serializer.map_or(Protocol::Echo, |serializer| Protocol::Wamp(serializer, session()));
        let end = End { stream, inbound, outbound, parked: leftover.to_vec(), protocol };
        let key = self.insert(now, end, peer, listener, entry);
        if let Some(connection) = self.connection(key) {
            match connection.protocol {
                Protocol::Echo => connection.entry.open(),
                _ => connection.entry.hold(Holder::Connection(key)),
            }
        }
        key
    }

    /// Takes in a link that this node has dialed and whose session is open.
    pub(super) fn open_link(
        &mut self,
        now: Now,
        stream: Stream,
        inbound: Inbound,
        outbound: Outbound,
        parked: Vec<u8>,
        settings: Rc<ListenerState>,
    ) -> SessionKey {
        let end = End { stream, inbound, outbound, parked, protocol: Protocol::Link(Serializer::Cbor) };
        let mut entry = Entry::new(&settings.crowd, None);
        entry.open();
        self.insert(now, end, Box::new(Peer::default()), settings, entry)
    }

    fn insert(&mut self, now: Now, end: End, peer: Box<Peer>, listener: Rc<ListenerState>, entry: Entry) -> SessionKey {
        let place = self.connections.vacant_entry();
        let key = SessionKey(u32::try_from(place.key()).expect("connections_max is far below 2^32"));
        let connection = place.insert(Connection {
            stream: Rc::new(end.stream),
            listener,
            share: Share::new(entry.source().unwrap_or(Source::Own(key))),
            entry,
            peer,
            inbound: Some(end.inbound),
            protocol: end.protocol,
            realm: None,
            authenticating: None,
            is_suspended: false,
            batch: None,
            parked: end.parked,
            stalled_until: None,
            stalls: Stalls::default(),
            meter: None,
            throttled_until: None,
            outbound: end.outbound,
            outbox: Outbox::new(self.account.clone()),
            inbound_bytes: 0,
            own_bytes: 0,
            is_touched: false,
            is_held: false,
            wants_write: false,
            ending: Ending::Open,
            opened: now.uptime,
            heard: now.uptime,
            pinged: None,
            ping_sent: now.uptime,
            round_trip: None,
            waker: None,
        });
        connection.recount_itself(&self.account);
        key
    }

    /// The connection with this key, unless it has ended.
    pub fn connection(&mut self, key: SessionKey) -> Option<&mut Connection> {
        self.connections.get_mut(key.0 as usize)
    }

    pub fn realm_mut(&mut self, index: RealmIndex) -> Option<&mut ClusteredRealm> {
        self.realms.get_mut(index.0).map(|slot| &mut slot.realm)
    }

    /// A number that names a question to a dynamic authenticator.
    pub(super) fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Opens a realm as configured.
    pub fn add_realm(&mut self, settings: &RealmSettings) -> RealmIndex {
        let now = self.now();
        let mut realm = ClusteredRealm::new(now, &self.node.id, (*settings.core).clone(), rand::random());
        realm.use_account(self.account.clone());
        let slot = RealmSlot { realm, settings: settings.clone(), is_clustered: true, served: None };
        let index = RealmIndex(self.realms.len());
        self.realm_names.insert(settings.core.name.clone(), index);
        self.realms.push(slot);
        index
    }

    /// Opens a realm that is this program's own affair: no link carries it, and no page counts it.
    pub fn add_own_realm(&mut self, settings: &RealmSettings) -> RealmIndex {
        let index = self.add_realm(settings);
        self.realms[index.0].is_clustered = false;
        index
    }

    /// The id of the open session at this place.
    pub fn session_at(&self, key: SessionKey) -> Option<Id> {
        Some(self.slot_of(key)?.realm.members().member(key)?.identity.session)
    }

    /// The realm that a session has joined.
    pub(super) fn slot_of(&self, key: SessionKey) -> Option<&RealmSlot> {
        let index = self.connections.get(key.0 as usize)?.realm?;
        self.realms.get(index.0)
    }

    /// The places of the realms of clients.
    pub fn clustered_realms(&self) -> Vec<RealmIndex> {
        (0..self.realms.len()).filter(|n| self.realms[*n].is_clustered).map(RealmIndex).collect()
    }

    /// The realms of clients.
    pub fn client_realms(&self) -> impl Iterator<Item = &RealmSlot> {
        self.realms.iter().filter(|slot| slot.is_clustered)
    }

    /// Sessions of clients, in all realms.
    pub fn n_sessions(&self) -> usize {
        self.client_realms().map(|slot| slot.realm.n_sessions()).sum()
    }
}

/// Bytes read at most with one call; also the largest message that is parsed in place.
pub(super) const READ_BUFFER_BYTES: usize = 64 << 10;
/// Bytes gathered at most for one write. Loopback and most NICs take no more in one go.
pub(super) const WRITE_CHUNK_BYTES: usize = 64 << 10;
