//! The meta API of the whole cluster: the node that is called answers for its own clients, asks all peers for theirs,
//! and puts the answers together. A peer that does not answer in time is left out.
//!
//! What one session asks fills no link: from a number of questions on, the next messages of the session wait.

use super::{ClusteredRealm, parts};
use crate::kept::Kind;
use crate::mesh::CallOwner;
use crate::realm::ledger::Ledger;
use crate::realm::{Effect, timestamp};
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value, allocated};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The calls that wait for peers, by token: in the order in which their time ends.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    by_token: BTreeMap<u64, Gather>,
    n_begun: u64,
    /// How many of them each session has.
    n_of_session: BTreeMap<SessionKey, usize>,
}

#[derive(Debug)]
struct Gather {
    session: SessionKey,
    request: Id,
    how: Merge,
    /// Those of `wamp.subscription.get_events` matter after the answers have come, too.
    payload: Payload,
    /// The id of this node.
    node: String,
    /// By node.
    answers: BTreeMap<String, Answer>,
    /// The node of the session that the call is about, where that is known. What others say of it does not count.
    owner: Option<String>,
    /// What all answers have together, as they were sent.
    told_bytes: usize,
    /// What has come of the answers that come in parts.
    parts: BTreeMap<SessionKey, Vec<Value>>,
    waiting: BTreeSet<SessionKey>,
    deadline: Duration,
    /// The bytes that the ledger has charged its session with for this gathering.
    charged: usize,
}

/// The arguments of a RESULT, or the error and its arguments.
type Answer = Result<Vec<Value>, (String, Payload)>;

/// How the answers of nodes make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    /// Numbers are added.
    Sum,
    /// Lists are joined.
    List,
    /// Lists by match policy are joined.
    Policies,
    /// Lists are joined; none is null.
    ListOrNull,
    /// The first that is not null.
    NotNull,
    /// The one that could do it.
    Any,
    /// The one that has it for the longest time.
    Oldest,
    /// Events are sorted by time, each once.
    Events,
}

impl Merge {
    /// Whether what every node says is part of the answer.
    const fn joins(self) -> bool {
        match self {
            Merge::Sum | Merge::List | Merge::Policies | Merge::ListOrNull | Merge::Events => true,
            Merge::NotNull | Merge::Any | Merge::Oldest => false,
        }
    }

    /// Whether what this node knows itself goes before what it is told.
    const fn prefers_own(self) -> bool {
        matches!(self, Merge::Oldest | Merge::Events)
    }
}

/// Every procedure that is more than the business of one node.
const PROCEDURES: &[(&str, Merge)] = &[
    ("wamp.session.count", Merge::Sum),
    ("wamp.session.list", Merge::List),
    ("wamp.session.get", Merge::Any),
    ("wamp.session.kill", Merge::Any),
    ("wamp.session.kill_by_authid", Merge::List),
    ("wamp.session.kill_by_authrole", Merge::Sum),
    ("wamp.session.kill_all", Merge::Sum),
    ("wamp.authorization.forget", Merge::Sum),
    ("wamp.registration.list", Merge::Policies),
    ("wamp.registration.lookup", Merge::NotNull),
    ("wamp.registration.match", Merge::NotNull),
    ("wamp.registration.get", Merge::Oldest),
    ("wamp.registration.list_callees", Merge::List),
    ("wamp.registration.count_callees", Merge::Sum),
    ("wamp.registration.remove_callee", Merge::Any),
    ("wamp.subscription.list", Merge::Policies),
    ("wamp.subscription.lookup", Merge::NotNull),
    ("wamp.subscription.match", Merge::ListOrNull),
    ("wamp.subscription.get", Merge::Oldest),
    ("wamp.subscription.list_subscribers", Merge::List),
    ("wamp.subscription.count_subscribers", Merge::Sum),
    ("wamp.subscription.remove_subscriber", Merge::Any),
    ("wamp.subscription.get_events", Merge::Events),
];

/// How long peers may take. What needs longer is not answered by a healthy node.
const GATHER_TIMEOUT: Duration = Duration::from_secs(1);

/// What all nodes together may answer to one call. A list of the sessions of a large cluster has a few MiB.
const ANSWERS_BYTES_MAX: usize = 64 << 20;
/// How far apart nodes may have kept the same event: their clocks differ, and links are slow or were down.
const HISTORY_SKEW_MAX: Duration = Duration::from_secs(10);

/// How many calls a session may have open before its next messages wait.
const GATHERS_PER_SESSION_MAX: usize = 16;

impl Gathering {
    fn insert(&mut self, token: u64, gather: Gather, out: &mut Vec<Effect>) {
        let n = self.n_of_session.entry(gather.session).or_default();
        *n += 1;
        if *n == GATHERS_PER_SESSION_MAX {
            out.push(Effect::Suspend { session: gather.session });
        }
        self.by_token.insert(token, gather);
    }

    /// Takes a call out. Gives also whether its session has waited for that.
    fn remove(&mut self, token: u64) -> Option<(Gather, bool)> {
        let gather = self.by_token.remove(&token)?;
        let n = self.n_of_session.get_mut(&gather.session)?;
        let has_waited = *n == GATHERS_PER_SESSION_MAX;
        *n -= 1;
        if *n == 0 {
            self.n_of_session.remove(&gather.session);
        }
        Some((gather, has_waited))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.by_token.values().next().map(|gather| gather.deadline)
    }
}

impl ClusteredRealm {
    /// Answers a call of the meta API that a client may make.
    pub(super) fn begin_gather(
        &mut self,
        now: Now,
        session: SessionKey,
        request: Id,
        procedure: &str,
        payload: Payload,
        out: &mut Vec<Effect>,
    ) {
        let caller = self.members().member(session).map(|member| member.identity.clone());
        let own = self.realm.answer_meta(now, session, procedure, &payload, out);
        let own = own.map_err(|refusal| {
            (refusal.error.to_owned(), Payload::from_values(vec![refusal.sentence.into()], Dict::new()))
        });
        let how = PROCEDURES.iter().find(|(name, _)| *name == procedure).map(|(_, how)| *how);
        let is_done = how == Some(Merge::Any) && own.is_ok();
        let Some(how) = how.filter(|_| !is_done) else {
            return answer(session, request, own, out);
        };
        let hop = caller.map(|caller| {
            Dict::new()
                .with("session", caller.session)
                .with("authid", caller.authid)
                .with("authrole", caller.authrole)
                .into()
        });
        let options = Dict::new().with("forward_for", Value::List(hop.into_iter().collect()));
        let token = self.gathering.n_begun;
        self.gathering.n_begun += 1;
        let mut waiting = BTreeSet::new();
        for (to, uplink) in &mut self.uplinks {
            let message = uplink.call(CallOwner::Meta(token), procedure, options.clone(), payload.clone());
            out.push(Effect::Send { to: *to, message });
            waiting.insert(*to);
        }
        let deadline = now.uptime + GATHER_TIMEOUT;
        let (node, parts) = (self.node.clone(), BTreeMap::new());
        let answers = BTreeMap::from([(node.clone(), own)]);
        let owner = session_in_question(procedure, &payload).and_then(|id| self.afterlife.owner(id));
        let owner = owner.map(str::to_owned);
        let bytes = GATHER_BYTES + payload.heap_bytes() + answers.values().map(answer_bytes).sum::<usize>();
        let (told_bytes, charged) = (0, 0);
        let mut gather = Gather {
            session,
            request,
            how,
            payload,
            node,
            answers,
            owner,
            told_bytes,
            parts,
            waiting,
            deadline,
            charged,
        };
        gather.charge(self.realm.ledger_mut(), bytes);
        self.gathering.insert(token, gather, out);
        self.finish_gather_if_whole(token, out);
    }

    /// A peer has answered.
    pub(super) fn handle_gathered(
        &mut self,
        token: u64,
        peer: SessionKey,
        result: Result<Payload, (String, Payload)>,
        out: &mut Vec<Effect>,
    ) {
        let Some(gather) = self.gathering.by_token.get_mut(&token) else { return };
        if gather.waiting.remove(&peer) {
            let Some(node) = self.uplinks.get(&peer).map(|uplink| uplink.node.clone()) else { return };
            let before = gather.parts.remove(&peer);
            let is_flat = gather.how == Merge::Events;
            let answer = result.and_then(|payload| {
                gather.count(&payload)?;
                let mut whole = before.unwrap_or_default();
                parts::join(&mut whole, payload.args().unwrap_or_default(), is_flat);
                Ok(whole)
            });
            gather.charge(self.realm.ledger_mut(), answer_bytes(&answer));
            if gather.owner.as_ref().is_none_or(|owner| *owner == node) {
                gather.answers.insert(node, answer);
            }
            self.finish_gather_if_whole(token, out);
        }
    }

    /// A peer has sent a part of its answer.
    pub(super) fn handle_gathered_part(
        &mut self,
        token: u64,
        peer: SessionKey,
        payload: &Payload,
        out: &mut Vec<Effect>,
    ) {
        let gather = self.gathering.by_token.get_mut(&token);
        let Some(gather) = gather.filter(|gather| gather.waiting.contains(&peer)) else { return };
        match gather.count(payload) {
            Ok(()) => {
                gather.charge(self.realm.ledger_mut(), payload.heap_bytes());
                let whole = gather.parts.entry(peer).or_default();
                parts::join(whole, payload.args().unwrap_or_default(), gather.how == Merge::Events);
            }
            Err(refusal) => self.handle_gathered(token, peer, Err(refusal), out),
        }
    }

    /// A peer is gone, or a client: nobody waits for the one nor answers the other.
    pub(super) fn forget_in_gathers(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        let ledger = self.realm.ledger_mut();
        self.gathering.by_token.retain(|_, gather| {
            if gather.session == key {
                gather.discharge(ledger);
            }
            gather.session != key
        });
        self.gathering.n_of_session.remove(&key);
        let waits = |gather: &mut Gather| gather.waiting.remove(&key);
        let with = self.gathering.by_token.iter_mut().filter_map(|(token, gather)| waits(gather).then_some(*token));
        for token in with.collect::<Vec<_>>() {
            self.finish_gather_if_whole(token, out);
        }
    }

    /// Answers with what there is when the time has come.
    pub(super) fn finish_overdue_gathers(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some((token, gather)) = self.gathering.by_token.first_key_value()
            && gather.deadline <= now.uptime
        {
            self.finish_gather(*token, out);
        }
    }

    fn finish_gather_if_whole(&mut self, token: u64, out: &mut Vec<Effect>) {
        if self.gathering.by_token.get(&token).is_some_and(|gather| gather.waiting.is_empty()) {
            self.finish_gather(token, out);
        }
    }

    fn finish_gather(&mut self, token: u64, out: &mut Vec<Effect>) {
        let Some((gather, has_waited)) = self.gathering.remove(token) else { return };
        let session = gather.session;
        gather.discharge(self.realm.ledger_mut());
        gather.finish(out);
        if has_waited && !self.realm.is_asking(session) {
            out.push(Effect::Resume { session });
        }
    }
}

impl Gather {
    fn charge(&mut self, ledger: &mut Ledger, bytes: usize) {
        ledger.recount(Kind::Requests, Some(self.session), 0, bytes);
        self.charged += bytes;
    }

    fn discharge(&self, ledger: &mut Ledger) {
        ledger.recount(Kind::Requests, Some(self.session), self.charged, 0);
    }

    /// Counts what a peer has sent. The error says that it is too much to be put together.
    fn count(&mut self, payload: &Payload) -> Result<(), (String, Payload)> {
        self.told_bytes += payload.len();
        match self.told_bytes > ANSWERS_BYTES_MAX {
            true => {
                let sentence = format!("the nodes answer with more than {ANSWERS_BYTES_MAX} bytes");
                let payload = Payload::from_values(vec![sentence.into()], Dict::new());
                Err((error::PAYLOAD_SIZE_EXCEEDED.to_owned(), payload))
            }
            false => Ok(()),
        }
    }

    fn finish(self, out: &mut Vec<Effect>) {
        let Gather { session, request, how, payload, node, mut answers, parts, .. } = self;
        if !parts.is_empty() {
            let refusal = Payload::from_values(vec!["an answer did not come to its end in time".into()], Dict::new());
            answers.insert(String::new(), Err((error::NETWORK_FAILURE.to_owned(), refusal)));
        }
        let own = answers.get(&node).and_then(|own| own.as_ref().ok()).filter(|_| how.prefers_own());
        let own = own.cloned().unwrap_or_default();
        let (good, mut bad): (Vec<Answer>, Vec<Answer>) = answers.into_values().partition(Result::is_ok);
        if let Some(index) = bad.iter().position(is_missing).filter(|_| how.joins()) {
            // What could not be brought here is part of the answer, which must not look as if it were whole.
            return answer(session, request, bad.swap_remove(index), out);
        }
        let good: Vec<Vec<Value>> = good.into_iter().flatten().collect();
        let merged = if good.is_empty() { Err(most_telling(bad)) } else { Ok(merge(how, &own, good, &payload)) };
        answer(session, request, merged, out);
    }
}

/// The memory that an answer takes.
fn answer_bytes(answer: &Answer) -> usize {
    match answer {
        Ok(args) => args.iter().map(|arg| size_of::<Value>() + arg.heap_bytes()).sum(),
        Err((error, payload)) => allocated(error.len()) + payload.heap_bytes(),
    }
}

/// A gathering's place, and those of the first answers and of the peers that are waited for.
const GATHER_BYTES: usize = 1 << 10;

/// Whether a node had an answer that its link did not carry.
fn is_missing(answer: &Answer) -> bool {
    matches!(answer, Err((error, _)) if error == error::PAYLOAD_SIZE_EXCEEDED || error == error::NETWORK_FAILURE)
}

/// The answers of nodes, in the order of their names, as one. `own` is the answer of this node, where it is preferred.
fn merge(how: Merge, own: &[Value], answers: Vec<Vec<Value>>, payload: &Payload) -> Vec<Value> {
    let firsts = || answers.iter().filter_map(|answer| answer.first());
    match how {
        Merge::Sum => vec![firsts().filter_map(Value::as_uint).fold(0, u64::saturating_add).into()],
        Merge::List => vec![joined(firsts()).into()],
        Merge::ListOrNull => match joined(firsts()) {
            list if list.is_empty() => vec![Value::Null],
            list => vec![list.into()],
        },
        Merge::Policies => {
            let mut policies = Dict::new();
            for (policy, _) in firsts().filter_map(Value::as_dict).flat_map(Dict::iter) {
                let lists = firsts().filter_map(|answer| answer.as_dict()?.get(policy));
                policies.set(policy, joined(lists));
            }
            vec![policies.into()]
        }
        Merge::NotNull => vec![firsts().find(|first| **first != Value::Null).cloned().unwrap_or(Value::Null)],
        Merge::Any => answers.into_iter().next().unwrap_or_default(),
        Merge::Oldest => {
            // RFC 3339 in UTC and with equal precision: the order of the texts is that of the times.
            let created = |answer: &Vec<Value>| {
                let created = answer.first().and_then(Value::as_dict).and_then(|details| details.str("created"));
                created.unwrap_or_default().to_owned()
            };
            let what = |answer: &[Value]| {
                let details = answer.first().and_then(Value::as_dict);
                details.map(|details| ["id", "uri", "match"].map(|key| details.get(key).cloned()))
            };
            // An answer about another object than the one that is known here is none.
            let is_it = |answer: &Vec<Value>| own.is_empty() || what(answer) == what(own);
            answers.into_iter().filter(is_it).min_by_key(created).unwrap_or_default()
        }
        Merge::Events => events(own, answers, payload),
    }
}

/// The ids of several lists, each once, in order.
fn joined<'a>(lists: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let ids: BTreeSet<u64> = lists.filter_map(Value::as_list).flatten().filter_map(Value::as_uint).collect();
    ids.into_iter().map(Value::from).collect()
}

/// The events that any node has kept, by the time of the first that has, as the arguments of the call want them. Of
/// those of one millisecond the order is that of the first node that has both, whichever node is asked. The content of
/// an event is taken from this node where this node has kept it.
fn events(own: &[Value], answers: Vec<Vec<Value>>, payload: &Payload) -> Vec<Value> {
    let arguments = payload.kwargs().unwrap_or_default();
    let is_reversed = arguments.bool("reverse") == Some(true);
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    let mut events: Vec<(String, Dict)> = Vec::new();
    for mut answer in answers {
        if is_reversed {
            answer.reverse();
        }
        for event in answer {
            let Value::Dict(event) = event else { continue };
            let Some(publication) = event.uint("publication") else { continue };
            let time = event.str("timestamp").unwrap_or_default().to_owned();
            match places.get(&publication).and_then(|place| events.get_mut(*place)) {
                Some(known) if time < known.0 && is_near(&time, &known.0) => known.0 = time,
                Some(_) => {}
                None => {
                    places.insert(publication, events.len());
                    events.push((time, event));
                }
            }
        }
    }
    for event in own.iter().filter_map(Value::as_dict) {
        let place = event.uint("publication").and_then(|publication| places.get(&publication));
        if let Some((time, told)) = place.and_then(|place| events.get_mut(*place)) {
            let kept = event.str("timestamp").unwrap_or_default();
            if !is_near(time, kept) {
                *time = kept.to_owned();
            }
            *told = event.clone();
        }
    }
    for (time, event) in &mut events {
        event.set("timestamp", time.as_str());
    }
    events.sort_by(|(a, _), (b, _)| a.cmp(b));
    if is_reversed {
        events.reverse();
    }
    let limit = arguments.uint("limit").map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    events.into_iter().take(limit).map(|(_, event)| event.into()).collect()
}

/// Whether the times at which two nodes have kept one event are as near as clocks and links may have them.
fn is_near(one: &str, other: &str) -> bool {
    let times = timestamp::from_text(one).zip(timestamp::from_text(other));
    times.is_some_and(|(one, other)| one.abs_diff(other) <= HISTORY_SKEW_MAX)
}

/// The session that a call is about.
fn session_in_question(procedure: &str, payload: &Payload) -> Option<Id> {
    let place = match procedure {
        "wamp.session.get" | "wamp.session.kill" => 0,
        "wamp.registration.remove_callee" | "wamp.subscription.remove_subscriber" => 1,
        _ => return None,
    };
    payload.args().ok()?.get(place)?.as_uint()
}

/// Of several refusals the one that knew more than that there is no such thing.
fn most_telling(refusals: Vec<Answer>) -> (String, Payload) {
    let refusals = refusals.into_iter().filter_map(Result::err);
    let ignorance = |error: &str| match error {
        error::NO_SUCH_REGISTRATION | error::NO_SUCH_SUBSCRIPTION => 2,
        // The client's own node has permitted it; a peer that does not may have nothing to tell either.
        error::NOT_AUTHORIZED => 1,
        _ => 0,
    };
    let nothing = || (error::NETWORK_FAILURE.to_owned(), Payload::empty());
    refusals.min_by_key(|(error, _)| ignorance(error)).unwrap_or_else(nothing)
}

fn answer(to: SessionKey, request: Id, answer: Answer, out: &mut Vec<Effect>) {
    let details = Dict::new();
    let message = match answer {
        Ok(args) => Message::Result { request, details, payload: Payload::from_values(args, Dict::new()) },
        Err((error, payload)) => Message::Error { request_type: code::CALL, request, details, error, payload },
    };
    out.push(Effect::Send { to, message });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller hears of a listing for which another node says this.
    fn answered(how: Merge, other: Answer) -> Message {
        let own = Ok(vec![Value::List(vec![7u64.into()])]);
        let answers = BTreeMap::from([("edge1".to_owned(), own), ("edge2".to_owned(), other)]);
        let gather = Gather {
            session: SessionKey(1),
            request: 1,
            how,
            payload: Payload::empty(),
            node: "edge1".to_owned(),
            answers,
            owner: None,
            told_bytes: 0,
            parts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            deadline: Duration::ZERO,
            charged: 0,
        };
        let mut out = Vec::new();
        gather.finish(&mut out);
        let Some(Effect::Send { message, .. }) = out.pop() else { panic!("a caller is answered") };
        message
    }

    #[test]
    fn what_no_node_can_have_counted_is_added_all_the_same() {
        let count = |n: u64| Ok(vec![n.into()]);
        let counts = [count(u64::MAX), count(2)].into_iter().flat_map(|answer: Answer| answer);
        assert_eq!(merge(Merge::Sum, &[], counts.collect(), &Payload::empty()), [u64::MAX.into()]);
    }

    #[test]
    fn a_listing_without_a_part_that_no_link_carried_is_an_error() {
        let refused = |error: &str| Err((error.to_owned(), Payload::empty()));
        let too_large = answered(Merge::List, refused(error::PAYLOAD_SIZE_EXCEEDED));
        assert!(matches!(too_large, Message::Error { error, .. } if error == error::PAYLOAD_SIZE_EXCEEDED));
        let unknown = answered(Merge::List, refused(error::NO_SUCH_SUBSCRIPTION));
        assert!(matches!(unknown, Message::Result { .. }), "whoever has none adds nothing");
        let found = answered(Merge::NotNull, refused(error::NETWORK_FAILURE));
        assert!(matches!(found, Message::Result { .. }), "one answer is enough");
    }
}
