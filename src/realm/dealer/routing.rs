//! CALL: how a call finds its callee, waits for one, and is sent on in parts.

use super::answers::{Answer, send_answer};
use super::awaited::AWAITED;
use super::calls::{Call, CallKey, Invocation, Place, Slot};
use super::registrations::{Callee, Registration};
use super::select::Choice;
use super::{Caller, Dealer};
use crate::realm::{Context, Effect, MemberKind, Origin};
use crate::wamp::parts::OpenInputs;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Message, SessionKey, error, options::is_passthru};
use crate::wire::{Dict, Payload};
use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::ops::Bound;
use std::time::Duration;

impl Dealer {
    /// Whether a CALL of `key` begins a call. If not, it continues one that is progressive (or has ended), and goes
    /// to `handle_continuation` without any check of its URI and of the right to call, so that no call gets a second
    /// answer. Ids need not count up: every id that is not in use begins a call.
    ///
    /// To be asked once for every CALL of a session, before anything else is checked: it notes whether more parts come.
    pub fn begins_call(&mut self, key: SessionKey, request: Id, options: &Dict) -> bool {
        let has_more = options.bool("progress") == Some(true);
        let continues = match self.inputs.entry(key) {
            Entry::Occupied(mut inputs) => {
                let continues = inputs.get_mut().handle_call(request, has_more);
                if inputs.get().is_empty() {
                    inputs.remove();
                }
                continues
            }
            Entry::Vacant(inputs) if has_more => inputs.insert(OpenInputs::default()).handle_call(request, has_more),
            Entry::Vacant(_) => false,
        };
        !continues && self.calls.of_request(Caller::Session(key), request).is_none()
    }

    /// Routes a new call. `disclosed` says that the caller's role discloses callers to callees.
    #[expect(clippy::too_many_arguments, reason = "the elements of CALL, and who sent it")]
    pub fn handle_call(
        &mut self,
        cx: &mut Context,
        caller: Caller,
        request: Id,
        options: Dict,
        procedure: String,
        payload: Payload,
        disclosed: bool,
    ) {
        let origin = origin(cx, caller);
        let calls_max = cx.config.limits.calls_per_session_max;
        // A link carries the calls of all clients of its node, each of which that node has counted.
        if origin == Origin::Client
            && matches!(caller, Caller::Session(_))
            && self.calls.n_of_caller(caller) >= calls_max
        {
            let sentence = format!("calls_per_session_max is {calls_max}");
            return refuse_call(cx, caller, request, &procedure, &sentence);
        }
        let registration = self.destination(origin, &procedure, &options).map(|registration| registration.id);
        let may_wait = origin == Origin::Client && options.bool("progress") != Some(true) && self.has_room_to_wait(cx);
        let is_awaited = registration.is_none() && may_wait && self.awaited_until(cx, &procedure).is_some();
        let Some(registration) = registration.or(is_awaited.then_some(AWAITED)) else {
            let (error, sentence) = nobody(origin, &procedure);
            return send_answer(cx, caller, request, Answer::error(error, &sentence));
        };
        let mut call = Call {
            caller,
            request,
            origin,
            procedure,
            disclosed: disclosed && (origin == Origin::Client || options.bool("disclosed") == Some(true)),
            registration,
            payload: Some(payload),
            input_open: options.bool("progress") == Some(true),
            place: Place::Waiting,
            tried: BTreeSet::new(),
            // The time of a call is kept where it was made.
            gap_max: timeout(&options).filter(|_| origin == Origin::Client),
            gap_end: None,
            end: end(cx),
            options: kept_options(options),
            deadline: None,
            charged: 0,
        };
        // The router's own calls are as few as the messages that wait for them.
        if let Some(payer) = call.payer().map(|key| (origin == Origin::Client).then_some(key))
            && let Err(sentence) = cx.ledger.admit(&cx.config.limits, payer, call.bytes())
        {
            return refuse_call(cx, caller, request, &call.procedure, &sentence);
        }
        call.recount(cx.ledger);
        let call = self.calls.insert(call);
        self.calls.start_timer(call, cx.now.uptime);
        if is_awaited {
            self.wait_for_return(cx, call);
        } else {
            self.route(cx, call);
        }
    }

    /// The registration that a call goes to. What comes from a link was matched by the node of the caller, which may
    /// know of others than we do.
    fn destination(&self, origin: Origin, procedure: &str, options: &Dict) -> Option<&Registration> {
        let named = match origin {
            Origin::Client => None,
            Origin::Shard | Origin::Node => options.uint("registration"),
        };
        let named = named.and_then(|id| self.registrations.registration(id));
        let covers = |registration: &&Registration| registration.policy.covers(&registration.uri, procedure);
        named.filter(covers).or_else(|| self.registrations.best_match(procedure))
    }

    /// Sends one more part of a progressive call to the callee that has the first one. Only `progress` of its options
    /// counts.
    pub fn handle_continuation(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        options: Dict,
        procedure: String,
        payload: Payload,
    ) {
        // A part that comes after the final answer was sent before the caller could know of that.
        let Some(call) = self.calls.of_request(Caller::Session(key), request) else { return };
        let Some(call) = self.calls.call_mut(call) else { return };
        if !call.input_open || call.procedure != procedure {
            let sentence = format!("CALL {request} is still open and not continued by a CALL of {procedure}");
            return cx.out.push(Effect::Abort { session: key, reason: error::PROTOCOL_VIOLATION, sentence });
        }
        call.input_open = options.bool("progress") == Some(true);
        // Nobody else could take the call without this part of it.
        call.payload = None;
        call.recount(cx.ledger);
        let (registration, input_open) = (call.registration, call.input_open);
        let Some(invocation) = call.invocation_mut().filter(|invocation| !invocation.interrupted) else { return };
        invocation.continued = true;
        let mut details = invocation.details.clone().unwrap_or_default();
        if !input_open {
            details.remove("progress");
        }
        let message = Message::Invocation { request: invocation.id, registration, details, payload };
        cx.out.push(Effect::Send { to: invocation.callee, message });
    }

    /// Finds a callee for a call that has none: sends it there, lets it wait, or answers that there is none.
    pub(super) fn route(&mut self, cx: &mut Context, key: CallKey) {
        let Some(call) = self.calls.call(key) else { return };
        let may_wait = call.may_wait_for_return() && self.has_room_to_wait(cx);
        let is_awaited = may_wait && self.awaited_until(cx, &call.procedure).is_some();
        if self.registrations.registration(call.registration).is_none() {
            return self.route_anew(cx, key, is_awaited);
        }
        let Some(registration) = self.registrations.registration_mut(call.registration) else { return };
        match registration.choose(cx.rng, cx.config.local_first, |callee| call.fits(callee)) {
            Choice::Callee(index) => self.invoke(cx, key, index),
            // Its parts would have to wait with it.
            Choice::Busy if call.input_open => {
                self.fail(
                    cx,
                    key,
                    error::NO_AVAILABLE_CALLEE,
                    "all callees are busy, and a progressive call cannot wait",
                );
            }
            Choice::Busy if registration.queue.len() >= cx.config.limits.calls_queued_max => {
                let sentence = format!("calls_queued_max is {}", cx.config.limits.calls_queued_max);
                if let Some(call) = self.calls.call(key) {
                    note_refused_call(cx, call.caller, &call.procedure, &sentence);
                }
                self.fail(cx, key, error::LIMIT_EXCEEDED, &sentence);
            }
            Choice::Busy => {
                registration.queue.insert(key);
            }
            // They were let go in the moment in which the call came to them; or somebody is about to come back on
            // another node, where his registration has not taken effect yet.
            Choice::Nobody if may_wait && (is_awaited || registration.is_leaving()) => {
                self.wait_for_return(cx, key);
            }
            Choice::Nobody => {
                let (error, sentence) = why_nobody(call, registration);
                self.fail(cx, key, error, &sentence);
            }
        }
    }

    /// Routes a call whose registration is gone to whoever else answers its procedure.
    fn route_anew(&mut self, cx: &mut Context, key: CallKey, is_awaited: bool) {
        let Some(call) = self.calls.call_mut(key) else { return };
        match self.registrations.best_match(&call.procedure).map(|found| found.id) {
            Some(registration) => {
                call.registration = registration;
                call.tried.clear();
                call.recount(cx.ledger);
                self.route(cx, key);
            }
            None if is_awaited => self.wait_for_return(cx, key),
            None => {
                let (error, sentence) = nobody(call.origin, &call.procedure);
                self.fail(cx, key, error, &sentence);
            }
        }
    }

    /// Sends calls that wait in a registration to callees that have become free.
    pub(super) fn serve_queue(&mut self, cx: &mut Context, id: Id) {
        if self.registrations.registration(id).is_none_or(|registration| registration.queue.is_empty()) {
            return;
        }
        let mut last = Bound::Unbounded;
        while let Some(registration) = self.registrations.registration_mut(id)
            && registration.has_free_callee()
            && let Some(key) = registration.queue.range((last, Bound::Unbounded)).next().copied()
        {
            last = Bound::Excluded(key);
            let Some(call) = self.calls.call(key) else { continue };
            let choice = registration.choose(cx.rng, cx.config.local_first, |callee| call.fits(callee));
            if let Choice::Callee(index) = choice {
                registration.queue.remove(&key);
                self.invoke(cx, key, index);
            }
        }
    }

    /// Answers the calls that wait in a registration though no callee is left that might take them.
    pub(super) fn fail_unservable(&mut self, cx: &mut Context, id: Id) {
        for key in self.unservable(id) {
            self.fail(cx, key, error::NO_AVAILABLE_CALLEE, "the callees that might have taken the call are gone");
        }
    }

    /// The calls that wait in a registration though no callee is left that might take them.
    pub(super) fn unservable(&self, id: Id) -> Vec<CallKey> {
        let Some(registration) = self.registrations.registration(id) else { return Vec::new() };
        let is_servable = |key: &CallKey| {
            self.calls.call(*key).is_some_and(|call| registration.callees.iter().any(|callee| call.fits(callee)))
        };
        registration.queue.iter().filter(|key| !is_servable(key)).copied().collect()
    }

    /// Sends a call to the callee at place `index` of its registration.
    fn invoke(&mut self, cx: &mut Context, key: CallKey, index: usize) {
        let Some(call) = self.calls.call_mut(key) else { return };
        let Some(registration) = self.registrations.registration_mut(call.registration) else { return };
        let id = registration.id;
        let Some(callee) = registration.callees.get(index) else { return };
        let details = invocation_details(cx, call, registration, callee);
        let Some(member) = cx.members.member_mut(callee.session) else { return };
        let request = member.next_invocation;
        member.next_invocation += 1;
        let Some(callee) = registration.callees.get_mut(index) else { return };
        let slot = callee.concurrency.map(|_| Slot { registration: id, callee: callee.serial });
        callee.in_flight += u32::from(slot.is_some());
        let is_link = callee.kind != MemberKind::Client;
        let is_forwarded = !is_link && details.get("timeout").is_some();
        let invocation = Invocation {
            callee: callee.session,
            id: request,
            interruptible: callee.features.callee_call_canceling,
            interrupted: false,
            progressive: call.options.bool("receive_progress") == Some(true),
            progressed: false,
            continued: false,
            slot,
            details: call.input_open.then(|| details.clone()),
        };
        let to = callee.session;
        // The only callee, if it is a client, has the last word. A link may have to say that its callee has just left.
        let is_only = registration.callees.len() == 1 && !is_link;
        let payload = if is_only { call.payload.take() } else { call.payload.clone() };
        if is_forwarded {
            call.gap_max = timeout(&call.options).map(|gap| gap.saturating_mul(FORWARDED_TIMEOUT_FACTOR));
        }
        self.calls.assign(key, invocation);
        if let Some(call) = self.calls.call_mut(key) {
            call.recount(cx.ledger);
        }
        if is_forwarded {
            self.calls.start_timer(key, cx.now.uptime);
        }
        let payload = payload.unwrap_or(Payload::empty());
        cx.out.push(Effect::Send { to, message: Message::Invocation { request, registration: id, details, payload } });
    }
}

impl Call {
    /// Whether `callee` may ever take this call.
    pub(super) fn fits(&self, callee: &Callee) -> bool {
        callee.may_take(self.origin)
            && !callee.departing
            && self.is_understood(callee)
            && !self.tried.contains(&callee.session)
    }

    /// Whether `callee` announced what the call cannot do without.
    fn is_understood(&self, callee: &Callee) -> bool {
        let features = &callee.features;
        let takes_parts = features.callee_progressive_invocations && features.callee_call_canceling;
        (takes_parts || !self.input_open) && (features.callee_passthru || !is_passthru(&self.options))
    }
}

/// What to say where nobody has registered a procedure. A link's call was meant for somebody, who has just left: its
/// node may know of another.
pub(super) fn nobody(origin: Origin, procedure: &str) -> (&'static str, String) {
    let error = match origin {
        Origin::Client => error::NO_SUCH_PROCEDURE,
        Origin::Shard | Origin::Node => error::UNAVAILABLE,
    };
    (error, format!("no callee has registered {procedure}"))
}

/// Why no callee of the registration may take the call.
fn why_nobody(call: &Call, registration: &Registration) -> (&'static str, String) {
    let procedure = &call.procedure;
    // A link that was tried has said that it has no callee any more.
    let is_gone = |callee: &Callee| callee.kind != MemberKind::Client && call.tried.contains(&callee.session);
    let is_within_reach = |callee: &&Callee| callee.may_take(call.origin) && !callee.departing && !is_gone(callee);
    let within_reach: Vec<&Callee> = registration.callees.iter().filter(is_within_reach).collect();
    if within_reach.is_empty() {
        nobody(call.origin, procedure)
    } else if within_reach.iter().all(|callee| !call.is_understood(callee)) {
        let feature = if is_passthru(&call.options) { "payload_passthru_mode" } else { "progressive_call_invocations" };
        (error::FEATURE_NOT_SUPPORTED, format!("no callee of {procedure} announced {feature}"))
    } else {
        (error::NO_AVAILABLE_CALLEE, format!("every callee of {procedure} is unavailable"))
    }
}

/// The details of an INVOCATION, in the order of the specification's tables.
fn invocation_details(cx: &Context, call: &Call, registration: &Registration, callee: &Callee) -> Dict {
    let (options, features) = (&call.options, &callee.features);
    let mut details = Dict::new();
    // The specification wants callees to announce call_canceling as well; autobahn-js has progressive results without
    // it, and they are worth more than an INTERRUPT that it would not understand.
    if options.bool("receive_progress") == Some(true) && features.callee_progressive_results {
        details.set("receive_progress", true);
    }
    if call.input_open {
        details.set("progress", true);
    }
    let is_link = callee.kind != MemberKind::Client;
    if registration.policy != Match::Exact || is_link {
        details.set("procedure", call.procedure.as_str());
    }
    let disclosed = call.disclosed || options.bool("disclose_me") == Some(true);
    // The callee may have asked to be told; its node knows.
    if disclosed || callee.disclose_caller || is_link {
        disclose_caller(cx, call, &mut details);
    }
    if is_link && disclosed {
        details.set("disclosed", true);
    }
    // The router keeps the time of its own calls itself: what waits for them has no other bound.
    if (callee.forward_timeout && features.callee_call_timeout || is_link)
        && matches!(call.caller, Caller::Session(_))
        && let Some(timeout_ms) = options.uint("timeout").filter(|timeout_ms| *timeout_ms > 0)
    {
        details.set("timeout", timeout_ms);
    }
    copy_carried(options, &mut details);
    details
}

/// Says who calls. A link speaks for a client of another node, and its CALL says for which.
fn disclose_caller(cx: &Context, call: &Call, details: &mut Dict) {
    let Caller::Session(caller) = call.caller else { return };
    let Some(member) = cx.members.member(caller) else { return };
    if member.kind == MemberKind::Client {
        details.set("caller", member.identity.session);
        details.set("caller_authid", member.identity.authid.as_str());
        details.set("caller_authrole", member.identity.authrole.as_str());
        return;
    }
    for key in ["caller", "caller_authid", "caller_authrole"] {
        if let Some(value) = call.options.get(key) {
            details.set(key, value.clone());
        }
    }
}

/// The options of a CALL that matter until it ends. What nobody looks at is not kept.
fn kept_options(mut options: Dict) -> Dict {
    options.retain(|key| KEPT.contains(&key) || is_carried(key));
    options
}

/// Whether an option is what one application tells the other about its payload.
fn is_carried(key: &str) -> bool {
    key.starts_with("ppt_") || key.starts_with("enc_") || key == "transaction_hash"
}

/// Copies what one application tells the other about its payload. `to` has none of these keys yet.
pub(super) fn copy_carried(from: &Dict, to: &mut Dict) {
    for (key, value) in from.pairs() {
        if is_carried(key) {
            // `set` would look at all keys for each, and a hostile message has many.
            to.push(key.clone(), value.clone());
        }
    }
}

/// How long the caller wants to wait for the answer, or for the next part of it.
fn timeout(options: &Dict) -> Option<Duration> {
    options.uint("timeout").filter(|timeout_ms| *timeout_ms > 0).map(Duration::from_millis)
}

/// The uptime at which a call that begins now ends in any case.
pub(super) fn end(cx: &Context) -> Option<Duration> {
    let call_timeout_max = cx.config.limits.call_timeout_max;
    (!call_timeout_max.is_zero()).then(|| cx.now.uptime.saturating_add(call_timeout_max))
}

/// Where a call comes from: links carry calls of other nodes.
fn origin(cx: &Context, caller: Caller) -> Origin {
    let kind = match caller {
        Caller::Program(_) | Caller::Authority(_) => MemberKind::Client,
        Caller::Session(key) => cx.members.member(key).map_or(MemberKind::Client, |member| member.kind),
    };
    match kind {
        MemberKind::Client => Origin::Client,
        MemberKind::Peer | MemberKind::Uplink => Origin::Node,
    }
}

/// A callee that is told the timeout is to end the call itself; the dealer only does when the callee fails to, this
/// many times later.
const FORWARDED_TIMEOUT_FACTOR: u32 = 2;
/// The options of a CALL that the dealer looks at later.
const KEPT: [&str; 7] =
    ["receive_progress", "timeout", "disclose_me", "progress", "caller", "caller_authid", "caller_authrole"];

/// Answers a call for which a limit leaves no room.
fn refuse_call(cx: &mut Context, caller: Caller, request: Id, procedure: &str, sentence: &str) {
    note_refused_call(cx, caller, procedure, sentence);
    send_answer(cx, caller, request, Answer::error(error::LIMIT_EXCEEDED, sentence));
}

fn note_refused_call(cx: &mut Context, caller: Caller, procedure: &str, sentence: &str) {
    if let Caller::Session(session) = caller {
        cx.out.extend(Effect::refused(session, "call", procedure, error::LIMIT_EXCEEDED, sentence));
    }
}
