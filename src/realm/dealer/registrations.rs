//! Who answers what: a registration, its callees, and the table of all registrations.

use super::calls::{CallKey, Slot};
use crate::realm::ids::{IdKind, id_of};
use crate::realm::pattern::{PatternTable, hashed};
use crate::realm::{MemberKind, Origin, timestamp};
use crate::wamp::feature::Features;
use crate::wamp::{Id, SessionKey, uri::Match};
use crate::wire::{Dict, allocated};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// A procedure, or a pattern of procedures, that somebody answers.
#[derive(Debug)]
pub struct Registration {
    pub id: Id,
    pub uri: String,
    pub policy: Match,
    pub invoke: Invoke,
    /// Which of its ids it has, see `id_of`.
    pub generation: u32,
    /// Wall time since the Unix epoch.
    pub created: Duration,
    /// In the order in which they registered; never empty while the registration is in the table.
    pub(super) callees: Vec<Callee>,
    /// Whose turn it is with `Invoke::RoundRobin`, and how many calls it has had in this turn.
    pub(super) turn: usize,
    pub(super) turn_calls: u32,
    /// Calls that wait for a callee to come below its concurrency, in the order in which they arrived.
    pub(super) queue: BTreeSet<CallKey>,
}

/// One member that answers a registration.
#[derive(Debug)]
pub(super) struct Callee {
    pub(super) session: SessionKey,
    /// Tells this entry from an earlier one of the same session, whose calls may still be in flight.
    pub(super) serial: u64,
    pub(super) kind: MemberKind,
    /// How it wants the registration to choose; all callees of a registration agree, except while nodes that met just
    /// now find out which of them has to give way.
    pub(super) invoke: Invoke,
    /// Wall time at which it registered; of a link, at which the first and the last callee of its node did.
    pub(super) since: Duration,
    pub(super) latest: Duration,
    pub(super) features: Features,
    /// For how many callees it stands: 1 for a client, all of its node's for a link.
    pub(super) weight: u32,
    /// The most invocations that it wants to work on at a time. Only then is `in_flight` counted.
    pub(super) concurrency: Option<u32>,
    pub(super) in_flight: u32,
    /// Its node is letting its clients go: it gets a call only where nobody else can take it.
    pub(super) leaving: bool,
    /// Its turn to go has come: it ends what it works on, and gets no call any more.
    pub(super) departing: bool,
    pub(super) disclose_caller: bool,
    pub(super) forward_timeout: bool,
}

/// How a registration with several callees chooses among them. The first registrant decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invoke {
    /// There is only one callee.
    #[default]
    Single,
    /// In turn, in the order of registration.
    RoundRobin,
    Random,
    /// The one that registered first.
    First,
    /// The one that registered last.
    Last,
}

/// Every registration of the realm, by id, by pattern and by session.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    by_id: BTreeMap<Id, Registration>,
    by_pattern: PatternTable<Id>,
    by_session: HashMap<SessionKey, BTreeSet<Id>>,
    /// What all registrations take, see `Registration::bytes`.
    bytes: usize,
    n_callees: usize,
}

impl Registration {
    /// The clients that answer it, in the order in which they registered. Links to other nodes are not callees to
    /// anybody who asks.
    pub fn client_callees(&self) -> impl Iterator<Item = SessionKey> {
        self.callees.iter().filter(|callee| callee.kind == MemberKind::Client).map(|callee| callee.session)
    }

    /// As `wamp.registration.get` and `on_create` tell it.
    pub fn details(&self) -> Dict {
        Dict::new()
            .with("id", self.id)
            .with("created", timestamp::to_text(self.created))
            .with("uri", self.uri.as_str())
            .with("match", self.policy.name())
            .with("invoke", self.invoke.name())
    }

    /// What peers are to know of the clients that answer it.
    pub fn local_callees(&self) -> Option<LocalCallees> {
        let clients = || self.callees.iter().filter(|callee| callee.kind == MemberKind::Client);
        let first = clients().min_by_key(|callee| callee.since)?;
        Some(LocalCallees {
            invoke: first.invoke,
            since: first.since,
            latest: clients().map(|callee| callee.latest).max().unwrap_or(first.since),
            count: clients().count(),
            leaving: clients().all(Callee::is_leaving),
            generation: self.generation,
        })
    }

    /// Whether nobody who stays answers it.
    pub(super) fn is_leaving(&self) -> bool {
        self.callees.iter().all(Callee::is_leaving)
    }

    /// The oldest callee says how to choose.
    pub(super) fn agree(&mut self) {
        if let Some(first) = self.callees.iter().min_by_key(|callee| callee.since) {
            self.invoke = first.invoke;
        }
    }

    /// The memory that it takes with its place in the table, apart from the calls in its queue.
    fn bytes(&self) -> usize {
        REGISTRATION_BYTES + allocated(self.uri.len()) + allocated(self.callees.capacity() * size_of::<Callee>())
    }

    fn position(&self, session: SessionKey) -> Option<usize> {
        self.callees.iter().position(|callee| callee.session == session)
    }
}

/// The clients that answer a registration, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalCallees {
    pub invoke: Invoke,
    /// Wall times at which the first and the last of them registered.
    pub since: Duration,
    pub latest: Duration,
    pub count: usize,
    /// They are all about to leave.
    pub leaving: bool,
    /// Of the registration.
    pub generation: u32,
}

impl Callee {
    /// Whether a call from there may come here: what came from another shard or node stays with this shard's clients.
    pub(super) fn may_take(&self, origin: Origin) -> bool {
        match origin {
            Origin::Client => true,
            Origin::Shard | Origin::Node => self.kind == MemberKind::Client,
        }
    }

    /// Whether it works on fewer invocations than it wants to at most, and takes more.
    pub(super) fn is_free(&self) -> bool {
        !self.departing && self.concurrency.is_none_or(|concurrency| self.in_flight < concurrency)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving || self.departing
    }
}

impl Invoke {
    pub const ALL: [Invoke; 5] = [Invoke::Single, Invoke::RoundRobin, Invoke::Random, Invoke::First, Invoke::Last];

    pub const fn name(self) -> &'static str {
        match self {
            Invoke::Single => "single",
            Invoke::RoundRobin => "roundrobin",
            Invoke::Random => "random",
            Invoke::First => "first",
            Invoke::Last => "last",
        }
    }

    pub fn from_name(name: &str) -> Option<Invoke> {
        Invoke::ALL.into_iter().find(|invoke| invoke.name() == name)
    }
}

impl Registrations {
    /// The memory that all registrations take.
    pub(super) fn bytes(&self) -> usize {
        let held = self.by_session.len() * HOLDER_BYTES + self.n_callees * HELD_BYTES;
        self.bytes + self.by_pattern.heap_bytes() + held
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Registration> {
        self.by_id.values_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.by_id.values()
    }

    pub(super) fn registration(&self, id: Id) -> Option<&Registration> {
        self.by_id.get(&id)
    }

    pub(super) fn registration_mut(&mut self, id: Id) -> Option<&mut Registration> {
        self.by_id.get_mut(&id)
    }

    /// The callee that the slot is of, unless it has unregistered since.
    pub(super) fn callee(&self, slot: Slot) -> Option<&Callee> {
        self.by_id.get(&slot.registration)?.callees.iter().find(|callee| callee.serial == slot.callee)
    }

    pub(super) fn callee_mut(&mut self, slot: Slot) -> Option<&mut Callee> {
        let registration = self.by_id.get_mut(&slot.registration)?;
        registration.callees.iter_mut().find(|callee| callee.serial == slot.callee)
    }

    pub(super) fn lookup(&self, uri: &str, policy: Match) -> Option<&Registration> {
        self.by_id.get(self.by_pattern.value(uri, policy)?)
    }

    pub(super) fn probes_with(&self, uri: &str, policy: Match) -> usize {
        self.by_pattern.probes_with(uri, policy)
    }

    pub(super) fn best_match(&self, uri: &str) -> Option<&Registration> {
        self.by_id.get(self.by_pattern.best_match(uri)?)
    }

    pub(super) fn of_session(&self, session: SessionKey) -> impl Iterator<Item = Id> {
        self.by_session.get(&session).into_iter().flatten().copied()
    }

    pub(super) fn n_of_session(&self, session: SessionKey) -> usize {
        self.by_session.get(&session).map_or(0, BTreeSet::len)
    }

    pub(super) fn is_callee(&self, session: SessionKey, id: Id) -> bool {
        self.by_session.get(&session).is_some_and(|ids| ids.contains(&id))
    }

    /// Makes a registration that has no callee yet; `add_callee` is to follow at once.
    pub(super) fn create(
        &mut self,
        uri: String,
        policy: Match,
        invoke: Invoke,
        generation: u32,
        created: Duration,
    ) -> Id {
        let id = id_of(IdKind::Registration, policy, &uri, generation, |id| self.by_id.contains_key(&id));
        self.by_pattern.insert(&uri, policy, id);
        // Most have one.
        let (callees, queue) = (Vec::with_capacity(1), BTreeSet::new());
        let registration =
            Registration { id, uri, policy, invoke, generation, created, callees, turn: 0, turn_calls: 0, queue };
        self.bytes += registration.bytes();
        self.by_id.insert(id, registration);
        id
    }

    pub(super) fn add_callee(&mut self, id: Id, callee: Callee) {
        if let Some(registration) = self.by_id.get_mut(&id) {
            self.by_session.entry(callee.session).or_default().insert(id);
            self.n_callees += 1;
            self.bytes -= registration.bytes();
            registration.callees.push(callee);
            self.bytes += registration.bytes();
            registration.agree();
        }
    }

    /// Takes one callee out, and the registration with its last one; then the calls that waited in it are returned.
    pub(super) fn remove_callee(&mut self, id: Id, session: SessionKey) -> Option<Removed> {
        let registration = self.by_id.get_mut(&id)?;
        let index = registration.position(session)?;
        let callee = registration.callees.remove(index);
        self.n_callees -= 1;
        if index < registration.turn {
            registration.turn -= 1;
        } else if index == registration.turn {
            registration.turn_calls = 0;
        }
        registration.agree();
        let is_last = registration.callees.is_empty();
        if let Some(ids) = self.by_session.get_mut(&session) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_session.remove(&session);
            }
        }
        let deleted = if is_last { self.by_id.remove(&id) } else { None };
        if let Some(registration) = &deleted {
            self.bytes -= registration.bytes();
            self.by_pattern.remove(&registration.uri, registration.policy);
        }
        Some(Removed { callee, deleted })
    }

    /// Asserts that the three tables agree. For tests and simulations.
    pub(super) fn check(&self) {
        let mut n_callees = 0;
        for (id, registration) in &self.by_id {
            assert_eq!(*id, registration.id);
            assert_eq!(self.by_pattern.value(&registration.uri, registration.policy), Some(id));
            assert!(!registration.callees.is_empty(), "registration {id} has no callee");
            let is_single = |callee: &Callee| callee.kind == MemberKind::Client && callee.invoke == Invoke::Single;
            assert!(!registration.callees.iter().any(is_single) || registration.client_callees().count() == 1);
            for callee in &registration.callees {
                assert!(self.is_callee(callee.session, *id), "{callee:?} does not know of registration {id}");
                assert!(callee.concurrency.is_none_or(|concurrency| callee.in_flight <= concurrency), "{callee:?}");
            }
            n_callees += registration.callees.len();
        }
        assert_eq!(n_callees, self.by_session.values().map(BTreeSet::len).sum::<usize>());
        assert_eq!(n_callees, self.n_callees);
        assert_eq!(self.bytes, self.by_id.values().map(Registration::bytes).sum::<usize>());
        assert!(self.by_session.values().all(|ids| !ids.is_empty()));
    }
}

/// What `Registrations::remove_callee` took out.
#[derive(Debug)]
pub(super) struct Removed {
    pub(super) callee: Callee,
    /// The registration, if this was its last callee.
    pub(super) deleted: Option<Registration>,
}

/// The memory that a registration would take if its pattern were new.
pub(super) fn bytes_alone(uri: &str, policy: Match) -> usize {
    let pattern = PatternTable::<Id>::bytes_alone(uri, policy);
    REGISTRATION_BYTES + HELD_BYTES + allocated(uri.len()) + allocated(size_of::<Callee>()) + pattern
}

/// A registration's place in the table, of which the nodes are two thirds full.
const REGISTRATION_BYTES: usize = size_of::<(Id, Registration)>() * 3 / 2;
/// One entry of the set in which a member's registrations are found.
const HELD_BYTES: usize = 2 * size_of::<Id>();
/// A member's place in the table of members, with the first node of its set.
const HOLDER_BYTES: usize = hashed(size_of::<(SessionKey, BTreeSet<Id>)>()) + 12 * size_of::<Id>();
