//! REGISTER, UNREGISTER and revocation: how callees come and go, and what the meta events say of it.

use super::Dealer;
use super::registrations::{Callee, Invoke, Registration, bytes_alone};
use crate::kept::Kind;
use crate::limits::LINK_WEIGHT_MAX;
use crate::realm::holdings::Holding;
use crate::realm::ids::{Asked, IdKind};
use crate::realm::{Context, Effect, Member, MemberKind, Members};
use crate::wamp::message::code;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::Dict;
use std::time::Duration;

impl Dealer {
    /// Makes `key` a callee of `procedure`, for which it asked then.
    pub fn handle_register(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        options: Dict,
        procedure: String,
        asked: Asked,
    ) {
        let kind = cx.members.member(key).map_or(MemberKind::Client, |member| member.kind);
        let (policy, uri) = (terms(&options).0, procedure.clone());
        let registered = match kind {
            MemberKind::Client => self.register(cx, key, &options, procedure, asked),
            MemberKind::Peer | MemberKind::Uplink => Ok(self.register_link(cx, key, &options, procedure)),
        };
        match registered {
            Ok(registration) => {
                cx.out.push(Effect::Send { to: key, message: Message::Registered { request, registration } });
                // A registration that was made anew may hold calls that its new callee cannot take.
                self.fail_unservable(cx, registration);
                self.serve_queue(cx, registration);
                self.release_awaited(cx, policy, &uri);
            }
            Err((error, sentence)) => {
                cx.out.extend(Effect::refused(key, "register", &uri, error, &sentence));
                let message = Message::error(code::REGISTER, request, error, sentence);
                cx.out.push(Effect::Send { to: key, message });
            }
        }
    }

    /// Whether a client may register this, as far as this node knows.
    pub fn admits(&self, procedure: &str, options: &Dict) -> Result<(), (&'static str, String)> {
        let (policy, invoke, force) = terms(options);
        let Some(existing) = self.lookup(procedure, policy).filter(|_| !force) else { return Ok(()) };
        // Where nodes disagree for a moment, those of this one count.
        let existing = existing.local_callees().map_or(existing.invoke, |local| local.invoke);
        if existing != invoke {
            let sentence = format!("{procedure} is registered with invoke {}", existing.name());
            return Err((error::INVOCATION_POLICY_MISMATCH, sentence));
        }
        match invoke {
            Invoke::Single => Err((error::PROCEDURE_ALREADY_EXISTS, format!("{procedure} is already registered"))),
            _ => Ok(()),
        }
    }

    fn register(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        options: &Dict,
        procedure: String,
        asked: Asked,
    ) -> Result<Id, (&'static str, String)> {
        self.admits(&procedure, options)?;
        let (policy, invoke, force) = terms(options);
        let existing = self.lookup(&procedure, policy).map(|existing| existing.id);
        if let Some(id) = existing.filter(|id| !force && self.registrations.is_callee(key, *id)) {
            return Ok(id);
        }
        let registrations_max = cx.config.limits.registrations_per_session_max;
        if self.registrations.n_of_session(key) >= registrations_max {
            let sentence = format!("registrations_per_session_max is {registrations_max}");
            return Err((error::LIMIT_EXCEEDED, sentence));
        }
        let bytes = bytes_alone(&procedure, policy);
        cx.ledger.admit(&cx.config.limits, Some(key), bytes).map_err(|sentence| (error::LIMIT_EXCEEDED, sentence))?;
        let id = match existing {
            Some(id) if force => self.replace(cx, id, key, invoke, asked),
            Some(id) => id,
            None => {
                let generation = self.generation_for(cx.members, key, &procedure, policy, asked.generation);
                self.registrations.create(procedure, policy, invoke, generation, asked.wall)
            }
        };
        self.add_callee(cx, id, key, options, asked.wall);
        Ok(id)
    }

    /// Takes over what a link says about the callees of its node. The nodes of those who want the same settle among
    /// themselves who gets it, so nothing is refused here; a link registers again when its callees have changed, and
    /// it has counted what each of them has.
    fn register_link(&mut self, cx: &mut Context, key: SessionKey, options: &Dict, procedure: String) -> Id {
        let (policy, invoke, _) = terms(options);
        let since = micros(options, "since_us").unwrap_or(cx.now.wall);
        let generation = generation(options);
        if let Some(known) = self.lookup(&procedure, policy)
            && known.generation != generation
            && known.callees.iter().all(|callee| callee.session == key)
        {
            // Nobody else knows it under the id that it had.
            self.remove_callee(cx, known.id, key);
        }
        let known = self.lookup(&procedure, policy).map(|existing| existing.id);
        let id = match known {
            Some(id) => id,
            None => self.registrations.create(procedure, policy, invoke, generation, since),
        };
        if self.registrations.is_callee(key, id) {
            self.update_link(key, id, options, invoke, since);
        } else {
            self.add_callee(cx, id, key, options, since);
        }
        id
    }

    /// The generation of the id that a client's registration is to have: that of the registration which exists, if one
    /// does, else the one that the peers were told, else the first that the client has not given up.
    pub fn generation_for(
        &self,
        members: &Members,
        key: SessionKey,
        procedure: &str,
        policy: Match,
        told: Option<u32>,
    ) -> u32 {
        let existing = self.lookup(procedure, policy).map(|existing| existing.generation);
        let given_up = members.member(key).map(|member| &member.given_up);
        let next = || given_up.map_or(0, |it| it.next_generation(IdKind::Registration, policy, procedure));
        existing.or(told).unwrap_or_else(next)
    }

    /// A registration that a client loses is not to have the same id when the client gets it again.
    fn note_given_up(&self, cx: &mut Context, id: Id, key: SessionKey) {
        let Some(registration) = self.registration(id) else { return };
        let Some(member) = cx.members.member_mut(key).filter(|member| member.kind == MemberKind::Client) else {
            return;
        };
        let Registration { policy, uri, generation, .. } = registration;
        member.given_up.note(IdKind::Registration, *policy, uri, *generation);
    }

    pub fn handle_unregister(&mut self, cx: &mut Context, key: SessionKey, request: Id, registration: Id) {
        if !self.registrations.is_callee(key, registration) {
            let sentence = format!("registration {registration} is none of this session's");
            let message = Message::error(code::UNREGISTER, request, error::NO_SUCH_REGISTRATION, sentence);
            cx.out.push(Effect::Send { to: key, message });
            return;
        }
        cx.out.push(Effect::Send { to: key, message: Message::Unregistered { request, details: Dict::new() } });
        self.note_given_up(cx, registration, key);
        self.remove_callee(cx, registration, key);
    }

    /// Takes a registration away from one callee, which hears of it (UNREGISTERED with request 0) if it announced
    /// that it understands. `false` when it was not a callee of it.
    pub fn revoke(&mut self, cx: &mut Context, registration: Id, session: SessionKey, reason: &str) -> bool {
        if !self.registrations.is_callee(session, registration) {
            return false;
        }
        announce_revocation(cx, registration, session, reason);
        self.note_given_up(cx, registration, session);
        self.remove_callee(cx, registration, session);
        true
    }

    /// Takes a registration away from all of its clients.
    pub fn revoke_all(&mut self, cx: &mut Context, registration: Id, reason: &str) {
        let clients: Vec<SessionKey> =
            self.registration(registration).into_iter().flat_map(Registration::client_callees).collect();
        for client in clients {
            self.revoke(cx, registration, client, reason);
        }
    }

    /// Ends a registration for all of its clients and makes it anew, with the calls that waited in it, for `key` to
    /// register.
    fn replace(&mut self, cx: &mut Context, id: Id, key: SessionKey, invoke: Invoke, asked: Asked) -> Id {
        let mut id = id;
        let callees: Vec<SessionKey> =
            self.registration(id).into_iter().flat_map(Registration::client_callees).collect();
        for callee in callees {
            if callee != key {
                // A URI, because that is what clients take it for.
                announce_revocation(cx, id, callee, error::UNREGISTERED);
                self.note_given_up(cx, id, callee);
            }
            if let Some(old) = self.take_callee(cx, id, callee) {
                let waiting = old.queue;
                let generation = self.generation_for(cx.members, key, &old.uri, old.policy, asked.generation);
                id = self.registrations.create(old.uri, old.policy, invoke, generation, cx.now.wall);
                for call in &waiting {
                    if let Some(call) = self.calls.call_mut(*call) {
                        call.registration = id;
                    }
                }
                if let Some(new) = self.registrations.registration_mut(id) {
                    new.queue = waiting;
                }
            }
        }
        id
    }

    fn add_callee(&mut self, cx: &mut Context, id: Id, key: SessionKey, options: &Dict, since: Duration) {
        let (Some(member), Some(registration)) = (cx.members.member(key), self.registrations.registration_mut(id))
        else {
            return;
        };
        let (kind, features, session) = (member.kind, member.identity.features, member.identity.session);
        if kind == MemberKind::Client {
            let is_only = registration.client_callees().next().is_none();
            if is_only {
                // Links may have had it before, but for those who ask this node it begins now.
                registration.created = since;
            }
            let details = Some(registration.details());
            cx.tell_holding(Holding { session, kind: IdKind::Registration, id, details }, is_only);
            self.changed.insert((registration.policy, registration.uri.clone()));
        }
        cx.ledger.charge(key, bytes_alone(&registration.uri, registration.policy));
        self.n_callees_added += 1;
        let concurrency = options.uint("concurrency").map(|limit| u32::try_from(limit).unwrap_or(u32::MAX).max(1));
        let callee = Callee {
            session: key,
            serial: self.n_callees_added,
            kind,
            invoke: terms(options).1,
            since,
            latest: latest(kind, options, since),
            features,
            weight: weight(kind, options),
            concurrency,
            in_flight: 0,
            leaving: if kind == MemberKind::Client { self.is_leaving } else { options.bool("leaving") == Some(true) },
            departing: self.departures.contains(key),
            disclose_caller: options.bool("disclose_caller") == Some(true),
            forward_timeout: options.bool("forward_timeout") == Some(true),
        };
        self.registrations.add_callee(id, callee);
        cx.ledger.post(Kind::Registrations, self.registrations.bytes());
    }

    /// A link registers again what it has when its node's callees have become more or fewer.
    fn update_link(&mut self, key: SessionKey, id: Id, options: &Dict, invoke: Invoke, since: Duration) {
        let Some(registration) = self.registrations.registration_mut(id) else { return };
        for callee in registration.callees.iter_mut().filter(|callee| callee.session == key) {
            callee.weight = weight(callee.kind, options);
            callee.leaving = options.bool("leaving") == Some(true);
            callee.latest = latest(callee.kind, options, since);
            (callee.invoke, callee.since) = (invoke, since);
        }
        registration.agree();
    }

    /// Takes one callee out of a registration. Calls that can wait for nobody else any more get an ERROR; what the
    /// callee already works on it may still answer.
    pub(super) fn remove_callee(&mut self, cx: &mut Context, id: Id, key: SessionKey) {
        match self.take_callee(cx, id, key) {
            Some(deleted) => {
                for call in deleted.queue {
                    self.fail(cx, call, error::CANCELED, "the last callee is gone");
                }
            }
            None => self.fail_unservable(cx, id),
        }
    }

    fn take_callee(&mut self, cx: &mut Context, id: Id, key: SessionKey) -> Option<Registration> {
        let removed = self.registrations.remove_callee(id, key)?;
        self.calls.forget_slots(key, removed.callee.serial);
        cx.ledger.post(Kind::Registrations, self.registrations.bytes());
        if let Some(registration) = removed.deleted.as_ref().or(self.registrations.registration(id)) {
            cx.ledger.discharge(key, bytes_alone(&registration.uri, registration.policy));
        }
        if let Some(deleted) = removed.deleted.as_ref().filter(|_| removed.callee.is_leaving()) {
            self.await_return(cx, deleted.policy, &deleted.uri);
        }
        if removed.callee.kind == MemberKind::Client
            && let Some(registration) = removed.deleted.as_ref().or(self.registrations.registration(id))
        {
            self.changed.insert((registration.policy, registration.uri.clone()));
        }
        if removed.callee.kind == MemberKind::Client
            && let Some(member) = cx.members.member(key)
        {
            let session = member.identity.session;
            let is_only = self.registrations.registration(id).is_none_or(|left| left.client_callees().next().is_none());
            cx.tell_holding(Holding { session, kind: IdKind::Registration, id, details: None }, is_only);
        }
        removed.deleted
    }
}

fn announce_revocation(cx: &mut Context, registration: Id, session: SessionKey, reason: &str) {
    // The node of a link is told by whoever takes its place.
    let understands =
        |member: &Member| member.kind == MemberKind::Client && member.identity.features.callee_registration_revocation;
    if cx.members.member(session).is_some_and(understands) {
        let details = Dict::new().with("registration", registration).with("reason", reason);
        cx.out.push(Effect::Send { to: session, message: Message::Unregistered { request: 0, details } });
    }
}

/// What REGISTER.Options ask for: the match policy, how to choose, and whether whoever has it is to lose it.
fn terms(options: &Dict) -> (Match, Invoke, bool) {
    // Other words than the six have not passed the codec.
    let invoke = options.str("invoke").and_then(Invoke::from_name).unwrap_or_default();
    (Match::of(options), invoke, options.bool("force_reregister") == Some(true))
}

fn latest(kind: MemberKind, options: &Dict, since: Duration) -> Duration {
    match kind {
        MemberKind::Client => since,
        MemberKind::Peer | MemberKind::Uplink => micros(options, "latest_us").unwrap_or(since),
    }
}

/// A wall time of a link.
fn micros(options: &Dict, key: &str) -> Option<Duration> {
    options.uint(key).map(Duration::from_micros)
}

/// Which of its ids a registration has on the node that a link is of.
fn generation(options: &Dict) -> u32 {
    options.uint("generation").and_then(|generation| u32::try_from(generation).ok()).unwrap_or(0)
}

/// Only a link may stand for more callees than itself.
fn weight(kind: MemberKind, options: &Dict) -> u32 {
    match kind {
        MemberKind::Client => 1,
        MemberKind::Peer | MemberKind::Uplink => {
            let weight = options.uint("weight").unwrap_or(1).clamp(1, LINK_WEIGHT_MAX.into());
            u32::try_from(weight).unwrap_or(LINK_WEIGHT_MAX)
        }
    }
}
