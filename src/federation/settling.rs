//! SUBSCRIBED and REGISTERED mean the whole cluster: what clients have asked for waits here until every peer has
//! agreed, or for `settle_max`; and who gives way where two nodes want the same procedure for themselves.
//!
//! Of two that want what only one can have, the nodes of the two decide, each for itself and both alike: who has it
//! keeps it against who asks for it, and otherwise the older stays, then the smaller node id. Other nodes do not judge.

use super::ClusteredRealm;
use crate::kept::Kind as Bytes;
use crate::mesh::{Kind, Offer, Pattern, Uplink, Want};
use crate::realm::Effect;
use crate::realm::dealer::{Invoke, LocalCallees};
use crate::realm::ids::Asked;
use crate::realm::ledger::Ledger;
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, allocated};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// What waits, by pattern.
#[derive(Debug, Default)]
pub(super) struct Settling {
    by_pattern: BTreeMap<Pattern, Vec<Request>>,
    /// The patterns that each session waits for: who leaves is found without a look at all that wait.
    by_session: HashMap<SessionKey, BTreeSet<Pattern>>,
    /// The nodes that have agreed to what clients of this node answer, and whose links were lost since.
    pub(super) agreed: HashMap<Pattern, BTreeSet<String>>,
    /// Uptimes at which the waiting ends; in order, because all wait equally long.
    deadlines: VecDeque<(Duration, Pattern)>,
}

/// A SUBSCRIBE or REGISTER of a client.
#[derive(Debug)]
struct Request {
    session: SessionKey,
    message: Message,
    /// Wall time.
    asked: Duration,
    /// Uptime.
    deadline: Duration,
    /// Which of its ids the subscription or registration is to have.
    generation: u32,
}

impl Request {
    /// The memory that it takes, with its pattern in three tables.
    fn bytes(&self) -> usize {
        let pattern = |pattern: &Pattern| size_of::<Pattern>() * 3 / 2 + allocated(pattern.uri.len());
        let patterns = pattern_of(&self.message).as_ref().map_or(0, pattern) * 3;
        size_of::<Request>() * 2 + patterns + self.message.heap_bytes()
    }
}

impl Settling {
    pub(super) fn is_empty(&self) -> bool {
        self.by_pattern.is_empty()
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.by_pattern.keys()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// What those who wait for a pattern want of it.
    pub(super) fn want(&self, pattern: &Pattern) -> Option<Want> {
        let requests = self.by_pattern.get(pattern)?;
        match pattern.kind {
            Kind::Topic => Some(Want::Listen { generation: requests.first()?.generation }),
            Kind::Procedure => {
                let first = requests.first()?;
                let (invoke, force) = terms(&first.message);
                Some(Want::Answer(Offer {
                    invoke: invoke.name(),
                    since: first.asked,
                    latest: first.asked,
                    weight: 1,
                    leaving: false,
                    pending: true,
                    force,
                    generation: first.generation,
                }))
            }
        }
    }

    fn insert(&mut self, ledger: &mut Ledger, pattern: Pattern, request: Request) {
        ledger.recount(Bytes::Requests, Some(request.session), 0, request.bytes());
        self.by_session.entry(request.session).or_default().insert(pattern.clone());
        self.by_pattern.entry(pattern).or_default().push(request);
    }

    /// Takes out what waits for a pattern.
    fn take(&mut self, ledger: &mut Ledger, pattern: &Pattern) -> Vec<Request> {
        let requests = self.by_pattern.remove(pattern).unwrap_or_default();
        for request in &requests {
            ledger.recount(Bytes::Requests, Some(request.session), request.bytes(), 0);
            if let Entry::Occupied(mut patterns) = self.by_session.entry(request.session) {
                patterns.get_mut().remove(pattern);
                if patterns.get().is_empty() {
                    patterns.remove();
                }
            }
        }
        if self.by_pattern.is_empty() {
            self.deadlines.clear();
        }
        requests
    }

    /// Asserts that both tables agree. For tests and simulations.
    pub(super) fn check(&self) {
        for (pattern, requests) in &self.by_pattern {
            assert!(!requests.is_empty(), "nobody waits for {pattern:?}");
            let names = |session: SessionKey| self.by_session.get(&session).is_some_and(|it| it.contains(pattern));
            assert!(requests.iter().all(|request| names(request.session)));
        }
        for (session, patterns) in &self.by_session {
            assert!(!patterns.is_empty(), "{session:?} waits for nothing");
            let of_session = |requests: &Vec<Request>| requests.iter().any(|request| request.session == *session);
            let waits = |pattern: &Pattern| self.by_pattern.get(pattern).is_some_and(of_session);
            assert!(patterns.iter().all(waits));
        }
    }
}

impl ClusteredRealm {
    /// Puts what a client asks for to the peers.
    pub(super) fn begin_settling(&mut self, now: Now, session: SessionKey, message: Message, out: &mut Vec<Effect>) {
        let Some(pattern) = pattern_of(&message) else { return };
        if pattern.kind == Kind::Procedure {
            let (invoke, force) = terms(&message);
            let waiting = self.settling.by_pattern.get(&pattern).and_then(|requests| requests.first());
            let rival = waiting.map(|first| terms(&first.message).0);
            if rival.is_some() && force {
                self.refuse_waiting(&pattern, error::PROCEDURE_ALREADY_EXISTS, &taken(&pattern), out);
            } else if let Some(error) = rival.and_then(|rival| conflict(rival, invoke)) {
                return refuse(session, &message, error, taken(&pattern), out);
            }
        }
        let deadline = now.uptime.saturating_add(self.config().limits.settle_max);
        let generation = self.generation_for(session, &pattern);
        let request = Request { session, message, asked: now.wall, deadline, generation };
        if let Err(sentence) = self.realm.ledger().admit(&self.config().limits, Some(session), request.bytes()) {
            return refuse(session, &request.message, error::LIMIT_EXCEEDED, sentence, out);
        }
        self.settling.deadlines.push_back((deadline, pattern.clone()));
        self.settling.insert(self.realm.ledger_mut(), pattern.clone(), request);
        self.mirror(&pattern, out);
        self.settle_if_agreed(now, &pattern, out);
    }

    fn generation_for(&self, session: SessionKey, pattern: &Pattern) -> u32 {
        let Pattern { kind, policy, uri } = pattern;
        match kind {
            Kind::Topic => self.realm.broker().generation_for(self.members(), session, uri, *policy, None),
            Kind::Procedure => self.realm.dealer().generation_for(self.members(), session, uri, *policy, None),
        }
    }

    /// Carries out what waits for a pattern, if no peer is left to agree.
    pub(super) fn settle_if_agreed(&mut self, now: Now, pattern: &Pattern, out: &mut Vec<Effect>) {
        if self.settling.by_pattern.contains_key(pattern)
            && self.uplinks.values().all(|uplink| uplink.mirror.is_settled(pattern))
        {
            let requests = self.settling.take(self.realm.ledger_mut(), pattern);
            self.carry_out(now, pattern, requests, out);
        }
    }

    /// A peer is gone, for which nobody has to wait any more.
    pub(super) fn settle_all(&mut self, now: Now, out: &mut Vec<Effect>) {
        let patterns: Vec<Pattern> = self.settling.patterns().cloned().collect();
        for pattern in patterns {
            self.settle_if_agreed(now, &pattern, out);
        }
    }

    /// Carries out what has waited long enough for peers that do not answer.
    pub(super) fn settle_overdue(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some((deadline, pattern)) = self.settling.deadlines.front()
            && *deadline <= now.uptime
        {
            let pattern = pattern.clone();
            self.settling.deadlines.pop_front();
            let is_due = |request: &Request| request.deadline <= now.uptime;
            if self.settling.by_pattern.get(&pattern).is_some_and(|requests| requests.iter().any(is_due)) {
                let (due, rest): (Vec<Request>, Vec<Request>) =
                    self.settling.take(self.realm.ledger_mut(), &pattern).into_iter().partition(is_due);
                if !rest.is_empty() {
                    self.settling.deadlines.extend(rest.iter().map(|request| (request.deadline, pattern.clone())));
                    rest.into_iter()
                        .for_each(|request| self.settling.insert(self.realm.ledger_mut(), pattern.clone(), request));
                }
                self.carry_out(now, &pattern, due, out);
            }
        }
    }

    fn carry_out(&mut self, now: Now, pattern: &Pattern, requests: Vec<Request>, out: &mut Vec<Effect>) {
        for Request { session, message, asked, generation, .. } in requests {
            let asked = Asked { wall: asked, generation: Some(generation) };
            self.realm.handle_settled(now, session, message, asked, out);
        }
        // A limit of the realm may have refused it after the peers were asked: they are not to keep the interest.
        self.mirror(pattern, out);
    }

    /// A client has left and waits for nothing any more.
    pub(super) fn forget_session(&mut self, session: SessionKey, out: &mut Vec<Effect>) {
        for pattern in self.settling.by_session.remove(&session).unwrap_or_default() {
            for request in self.settling.take(self.realm.ledger_mut(), &pattern) {
                if request.session != session {
                    self.settling.insert(self.realm.ledger_mut(), pattern.clone(), request);
                }
            }
            self.mirror(&pattern, out);
        }
    }

    /// A peer offers callees: those of its clients that have got a procedure, or one that asks for it.
    pub(super) fn handle_offer(
        &mut self,
        now: Now,
        key: SessionKey,
        request: Id,
        options: Dict,
        procedure: String,
        out: &mut Vec<Effect>,
    ) {
        let message = Message::Register { request, options: options.clone(), procedure };
        let Some(pattern) = pattern_of(&message) else { return };
        let Some(node) = self.members().member(key).map(|member| member.identity.authid.clone()) else { return };
        let (invoke, force) = terms(&message);
        let is_pending = options.bool("pending") == Some(true);
        let since = options.uint("since_us").map_or(now.wall, Duration::from_micros);
        let is_ours_older = |ours: Duration| (truncated(ours), self.node.as_str()) < (since, node.as_str());
        let local = self.realm.dealer().lookup(&pattern.uri, pattern.policy);
        let local = local.and_then(|found| Some((found.id, found.local_callees()?)));
        if let Some((id, ours)) = local
            && let Some(error) = conflict(ours.invoke, invoke).or(force.then_some(error::PROCEDURE_ALREADY_EXISTS))
        {
            // A node that has agreed that ours is the only one has none that is older.
            if !force && (is_pending || is_ours_older(ours.since) || self.has_agreed(&node, &pattern)) {
                return refuse(key, &message, error, taken(&pattern), out);
            }
            // What it said before it gave way may arrive after its word that it does: links go both ways.
            let is_past =
                !force && self.uplinks.values().any(|uplink| uplink.node == node && uplink.has_taken(&pattern));
            if !is_past {
                self.realm.revoke_registration(now, id, error::UNREGISTERED, out);
            }
        }
        let waiting = self.settling.by_pattern.get(&pattern).and_then(|requests| requests.first());
        let waiting = waiting.map(|first| (first.asked, terms(&first.message)));
        // Likewise while our word that it is to be taken away is on its way.
        let is_taken_away = |ours_force: bool| ours_force && !is_pending;
        if let Some((asked, (ours, ours_force))) = waiting
            && !is_taken_away(ours_force)
            && let Some(error) = conflict(ours, invoke).or(force.then_some(error::PROCEDURE_ALREADY_EXISTS))
        {
            if is_pending && is_ours_older(asked) {
                return refuse(key, &message, error, taken(&pattern), out);
            }
            self.refuse_waiting(&pattern, error, &taken(&pattern), out);
        }
        self.realm.handle_message(now, key, message, out);
    }

    /// A peer does not agree to what was last said about a pattern.
    pub(super) fn handle_refusal(
        &mut self,
        now: Now,
        pattern: Pattern,
        said: Want,
        error: &str,
        payload: Payload,
        out: &mut Vec<Effect>,
    ) {
        let Want::Answer(said) = said else { return };
        if said.pending {
            for Request { session, message, .. } in self.settling.take(self.realm.ledger_mut(), &pattern) {
                let (request_type, request) = (message.code(), request_of(&message));
                let (details, payload, error) = (Dict::new(), payload.clone(), error.to_owned());
                let message = Message::Error { request_type, request, details, error, payload };
                out.push(Effect::Send { to: session, message });
            }
            self.mirror(&pattern, out);
        } else if let Some(found) = self.realm.dealer().lookup(&pattern.uri, pattern.policy) {
            self.realm.revoke_registration(now, found.id, error::UNREGISTERED, out);
        }
    }

    /// Whether a node has agreed to a registration that a client of this node has, on the link that is up or on an
    /// earlier one.
    fn has_agreed(&self, node: &str, pattern: &Pattern) -> bool {
        let agrees_now = |uplink: &Uplink| uplink.node == node && uplink.mirror.is_agreed(pattern);
        self.uplinks.values().any(agrees_now)
            || self.settling.agreed.get(pattern).is_some_and(|nodes| nodes.contains(node))
    }

    /// A link that this node has dialed is lost; what its node has agreed to it is held to.
    pub(super) fn note_agreed(&mut self, uplink: &Uplink) {
        for pattern in uplink.mirror.agreed_procedures() {
            self.settling.agreed.entry(pattern.clone()).or_default().insert(uplink.node.clone());
        }
    }

    fn refuse_waiting(&mut self, pattern: &Pattern, error: &str, sentence: &str, out: &mut Vec<Effect>) {
        for Request { session, message, .. } in self.settling.take(self.realm.ledger_mut(), pattern) {
            refuse(session, &message, error, sentence.to_owned(), out);
        }
        self.mirror(pattern, out);
    }
}

/// What peers are told of callees that have their registration.
pub(super) fn offer(local: LocalCallees) -> Offer {
    Offer {
        invoke: local.invoke.name(),
        since: local.since,
        latest: local.latest,
        weight: u32::try_from(local.count).unwrap_or(u32::MAX),
        leaving: local.leaving,
        pending: false,
        force: false,
        generation: local.generation,
    }
}

fn pattern_of(message: &Message) -> Option<Pattern> {
    let (kind, options, uri) = match message {
        Message::Subscribe { options, topic, .. } => (Kind::Topic, options, topic),
        Message::Register { options, procedure, .. } => (Kind::Procedure, options, procedure),
        _ => return None,
    };
    Some(Pattern { kind, policy: Match::of(options), uri: uri.clone() })
}

fn request_of(message: &Message) -> Id {
    match message {
        Message::Subscribe { request, .. } | Message::Register { request, .. } => *request,
        _ => 1,
    }
}

/// How a REGISTER wants its callees chosen, and whether whoever has the procedure is to lose it.
fn terms(message: &Message) -> (Invoke, bool) {
    let Message::Register { options, .. } = message else { return (Invoke::Single, false) };
    let invoke = options.str("invoke").and_then(Invoke::from_name).unwrap_or_default();
    (invoke, options.bool("force_reregister") == Some(true))
}

/// Why two that want the same procedure cannot both have it, if they cannot.
fn conflict(ours: Invoke, theirs: Invoke) -> Option<&'static str> {
    if ours != theirs {
        Some(error::INVOCATION_POLICY_MISMATCH)
    } else if ours == Invoke::Single {
        Some(error::PROCEDURE_ALREADY_EXISTS)
    } else {
        None
    }
}

fn taken(pattern: &Pattern) -> String {
    format!("{} is registered on another node", pattern.uri)
}

fn refuse(to: SessionKey, message: &Message, error: &str, sentence: String, out: &mut Vec<Effect>) {
    let message = Message::error(message.code(), request_of(message), error, sentence);
    out.push(Effect::Send { to, message });
}

/// As precise as links carry it.
fn truncated(wall: Duration) -> Duration {
    Duration::from_micros(u64::try_from(wall.as_micros()).unwrap_or(u64::MAX))
}
