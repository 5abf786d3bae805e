//! The calls that wait for an answer, and the tables in which they are found: by the caller's request, by the callee's
//! invocation and by the time at which they end.

use super::Caller;
use crate::kept::Kind;
use crate::realm::Origin;
use crate::realm::ledger::Ledger;
use crate::realm::pattern::hashed;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload, allocated};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// One call, in the order in which they arrived; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CallKey(u64);

impl CallKey {
    /// Before all calls.
    pub(super) const FIRST: CallKey = CallKey(0);
}

/// A call that has no final answer yet.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) request: Id,
    pub(super) origin: Origin,
    pub(super) procedure: String,
    /// Those of the CALL; of a progressive call, those of its first part.
    pub(super) options: Dict,
    /// The caller's role discloses callers.
    pub(super) disclosed: bool,
    pub(super) registration: Id,
    /// What to send to the next callee. Taken when the call cannot go to another one any more.
    pub(super) payload: Option<Payload>,
    /// The caller has more parts to send.
    pub(super) input_open: bool,
    pub(super) place: Place,
    /// Callees that have said that they are unavailable.
    pub(super) tried: BTreeSet<SessionKey>,
    /// The longest time without an answer or a part of one, and the uptime at which it is over.
    pub(super) gap_max: Option<Duration>,
    pub(super) gap_end: Option<Duration>,
    /// The uptime at which the call ends in any case.
    pub(super) end: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    /// What is counted for the call, see `Call::bytes`.
    pub(super) charged: usize,
}

/// Where a call is.
#[derive(Debug)]
pub(super) enum Place {
    /// In the queue of its registration, or just on its way to a callee.
    Waiting,
    Invoked(Invocation),
}

/// A call that a callee works on.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) callee: SessionKey,
    pub(super) id: Id,
    /// The callee announced call_canceling.
    pub(super) interruptible: bool,
    pub(super) interrupted: bool,
    /// The caller asked for progressive results. The callee knows of it only where it announced what that takes, but
    /// there are callees that announce nothing and do it all the same (wampy.js), and the caller can take it.
    pub(super) progressive: bool,
    /// A part of the result has gone to the caller.
    pub(super) progressed: bool,
    /// The callee has been sent more than the first part of the call.
    pub(super) continued: bool,
    pub(super) slot: Option<Slot>,
    /// Of a call with progressive input, for its next parts.
    pub(super) details: Option<Dict>,
}

/// A place among the invocations that a callee with a concurrency works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) registration: Id,
    /// `Callee::serial`.
    pub(super) callee: u64,
}

/// What a callee works on under one invocation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Call(CallKey),
    /// The caller has its answer or has left, but the callee has a concurrency and is still busy.
    Abandoned(Slot),
}

/// Every call, with its indexes.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_key: HashMap<CallKey, Call>,
    by_caller: HashMap<Caller, BTreeMap<Id, CallKey>>,
    by_callee: HashMap<SessionKey, BTreeMap<Id, Work>>,
    deadlines: BTreeSet<(Duration, CallKey)>,
    n_inserted: u64,
}

impl Call {
    /// The memory that the call takes, with its places in all tables.
    pub(super) fn bytes(&self) -> usize {
        let payload = self.payload.as_ref().map_or(0, Payload::heap_bytes);
        let details = self.invocation().and_then(|invocation| invocation.details.as_ref()).map_or(0, Dict::heap_bytes);
        let tried = self.tried.len() * allocated(size_of::<SessionKey>());
        CALL_BYTES + self.options.heap_bytes() + allocated(self.procedure.len()) + payload + details + tried
    }

    /// The session that is charged for the call.
    pub(super) fn payer(&self) -> Option<SessionKey> {
        if let Caller::Session(session) = self.caller { Some(session) } else { None }
    }

    /// Counts anew what the call takes, after it has come or changed.
    pub(super) fn recount(&mut self, ledger: &mut Ledger) {
        let bytes = self.bytes();
        ledger.recount(Kind::Calls, self.payer(), self.charged, bytes);
        self.charged = bytes;
    }

    pub(super) fn invocation(&self) -> Option<&Invocation> {
        if let Place::Invoked(invocation) = &self.place { Some(invocation) } else { None }
    }

    pub(super) fn invocation_mut(&mut self) -> Option<&mut Invocation> {
        if let Place::Invoked(invocation) = &mut self.place { Some(invocation) } else { None }
    }
}

impl Calls {
    pub(super) fn call(&self, key: CallKey) -> Option<&Call> {
        self.by_key.get(&key)
    }

    pub(super) fn call_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.by_key.get_mut(&key)
    }

    pub(super) fn of_request(&self, caller: Caller, request: Id) -> Option<CallKey> {
        self.by_caller.get(&caller)?.get(&request).copied()
    }

    /// All calls of one caller.
    pub(super) fn of_caller(&self, caller: Caller) -> Vec<CallKey> {
        self.by_caller.get(&caller).map(|calls| calls.values().copied().collect()).unwrap_or_default()
    }

    pub(super) fn n_of_caller(&self, caller: Caller) -> usize {
        self.by_caller.get(&caller).map_or(0, BTreeMap::len)
    }

    pub(super) fn work(&self, callee: SessionKey, invocation: Id) -> Option<Work> {
        self.by_callee.get(&callee)?.get(&invocation).copied()
    }

    /// Whether a callee works on a call that somebody waits for.
    pub(super) fn is_working(&self, callee: SessionKey) -> bool {
        // Looks at abandoned work as well, which is bounded by what the callee said that it works on at a time.
        self.by_callee.get(&callee).is_some_and(|work| work.values().any(|work| matches!(work, Work::Call(_))))
    }

    /// All that a callee works on; it works on nothing any more.
    pub(super) fn take_work(&mut self, callee: SessionKey) -> BTreeMap<Id, Work> {
        self.by_callee.remove(&callee).unwrap_or_default()
    }

    pub(super) fn insert(&mut self, call: Call) -> CallKey {
        self.n_inserted += 1;
        let key = CallKey(self.n_inserted);
        self.by_caller.entry(call.caller).or_default().insert(call.request, key);
        if let Some(deadline) = call.deadline {
            self.deadlines.insert((deadline, key));
        }
        self.by_key.insert(key, call);
        key
    }

    pub(super) fn remove(&mut self, key: CallKey) -> Option<Call> {
        let call = self.by_key.remove(&key)?;
        remove_from(&mut self.by_caller, &call.caller, call.request);
        if let Some(deadline) = call.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        if let Place::Invoked(invocation) = &call.place {
            remove_from(&mut self.by_callee, &invocation.callee, invocation.id);
        }
        Some(call)
    }

    /// A callee has the call now.
    pub(super) fn assign(&mut self, key: CallKey, invocation: Invocation) {
        if let Some(call) = self.by_key.get_mut(&key) {
            self.by_callee.entry(invocation.callee).or_default().insert(invocation.id, Work::Call(key));
            call.place = Place::Invoked(invocation);
        }
    }

    /// The callee has given the call back.
    pub(super) fn unassign(&mut self, key: CallKey) -> Option<Invocation> {
        let call = self.by_key.get_mut(&key)?;
        let Place::Invoked(invocation) = std::mem::replace(&mut call.place, Place::Waiting) else { return None };
        remove_from(&mut self.by_callee, &invocation.callee, invocation.id);
        Some(invocation)
    }

    /// Keeps the slot of an invocation whose call has ended until the callee is done with it.
    pub(super) fn abandon(&mut self, callee: SessionKey, invocation: Id, slot: Slot) {
        self.by_callee.entry(callee).or_default().insert(invocation, Work::Abandoned(slot));
    }

    /// The callee has unregistered: nobody waits for these slots any more.
    pub(super) fn forget_slots(&mut self, session: SessionKey, callee: u64) {
        if let Some(work) = self.by_callee.get_mut(&session) {
            work.retain(|_, work| !matches!(work, Work::Abandoned(slot) if slot.callee == callee));
            if work.is_empty() {
                self.by_callee.remove(&session);
            }
        }
    }

    pub(super) fn remove_work(&mut self, callee: SessionKey, invocation: Id) {
        remove_from(&mut self.by_callee, &callee, invocation);
    }

    /// Starts the time of a call, or of the next part of its result, anew.
    pub(super) fn start_timer(&mut self, key: CallKey, now: Duration) {
        let Some(call) = self.by_key.get_mut(&key) else { return };
        call.gap_end = call.gap_max.map(|gap| now.saturating_add(gap));
        self.schedule(key);
    }

    /// Sets the uptime at which a call ends in any case.
    pub(super) fn set_end(&mut self, key: CallKey, end: Option<Duration>) {
        let Some(call) = self.by_key.get_mut(&key) else { return };
        call.end = end;
        self.schedule(key);
    }

    fn schedule(&mut self, key: CallKey) {
        let Some(call) = self.by_key.get_mut(&key) else { return };
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.remove(&(deadline, key));
        }
        call.deadline = call.gap_end.into_iter().chain(call.end).min();
        if let Some(deadline) = call.deadline {
            self.deadlines.insert((deadline, key));
        }
    }

    /// The call that ends next, and when.
    pub(super) fn first_deadline(&self) -> Option<(Duration, CallKey)> {
        self.deadlines.first().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.by_key.iter().map(|(key, call)| (*key, call))
    }

    /// Asserts that the tables agree. For tests and simulations.
    pub(super) fn check(&self) {
        for (key, call) in self.iter() {
            assert_eq!(self.of_request(call.caller, call.request), Some(key));
            assert!(call.deadline.is_none_or(|deadline| self.deadlines.contains(&(deadline, key))));
            assert!(call.gap_max.is_none() && call.end.is_none() || call.deadline.is_some(), "{call:?} never ends");
            if let Some(invocation) = call.invocation() {
                assert_eq!(self.work(invocation.callee, invocation.id), Some(Work::Call(key)));
            }
        }
        assert_eq!(self.by_key.len(), self.by_caller.values().map(BTreeMap::len).sum::<usize>());
        assert_eq!(self.deadlines.len(), self.by_key.values().filter(|call| call.deadline.is_some()).count());
        let work = || self.by_callee.values().flat_map(BTreeMap::values);
        let n_invoked = self.by_key.values().filter(|call| call.invocation().is_some()).count();
        assert_eq!(n_invoked, work().filter(|work| matches!(work, Work::Call(_))).count());
        assert!(self.by_caller.values().all(|calls| !calls.is_empty()));
        assert!(self.by_callee.values().all(|work| !work.is_empty()));
    }

    /// The slots that calls have taken. For tests and simulations.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.by_key.values().filter_map(|call| call.invocation()?.slot)
    }

    /// The slots that are still taken though their calls have ended. For tests and simulations.
    pub(super) fn abandoned_slots(&self) -> impl Iterator<Item = Slot> {
        self.by_callee.values().flat_map(BTreeMap::values).filter_map(|work| match work {
            Work::Call(_) => None,
            Work::Abandoned(slot) => Some(*slot),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.by_caller.is_empty() && self.by_callee.is_empty() && self.deadlines.is_empty()
    }
}

/// Removes one entry of an inner map, and the map with its last one, so that sessions at rest take no memory here.
fn remove_from<K: Eq + std::hash::Hash, V>(maps: &mut HashMap<K, BTreeMap<Id, V>>, key: &K, id: Id) {
    if let Some(map) = maps.get_mut(key) {
        map.remove(&id);
        if map.is_empty() {
            maps.remove(key);
        }
    }
}

/// A call's place, and those under its request and its invocation or in a queue; the nodes of the trees are half full,
/// because what comes later is greater.
const CALL_BYTES: usize =
    hashed(size_of::<(CallKey, Call)>()) + 2 * size_of::<(Id, CallKey)>() + size_of::<(Id, Work)>();
