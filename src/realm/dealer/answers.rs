//! YIELD, ERROR and CANCEL: how a call ends. Every end goes through `finish`, which takes the call out of the tables,
//! so that there is no second one.

use super::calls::{Call, CallKey, Invocation, Slot, Work};
use super::routing::{copy_carried, nobody};
use super::{Caller, Dealer};
use crate::drop::DropReason;
use crate::kept::Kind;
use crate::realm::effect::CallError;
use crate::realm::{Context, Effect, MemberKind};
use crate::wamp::message::code;
use crate::wamp::options::is_passthru;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};

/// What a caller is told in the end.
pub(in crate::realm) enum Answer {
    Result { details: Dict, payload: Payload },
    Error { details: Dict, error: String, payload: Payload },
}

impl Dealer {
    /// A result or, with `progress`, a part of one.
    pub fn handle_yield(&mut self, cx: &mut Context, key: SessionKey, request: Id, options: Dict, payload: Payload) {
        let is_final = options.bool("progress") != Some(true);
        let Some(call) = self.call_of(cx, key, request, is_final) else { return };
        if !is_final && !self.wants_progress(call) {
            // A caller that did not ask would take it for the final result.
            return;
        }
        if is_passthru(&options) && !self.takes_passthru(cx, call) {
            return self.refuse_passthru(cx, key, request, call, is_final);
        }
        let mut details = Dict::new();
        copy_carried(&options, &mut details);
        if is_final {
            self.finish_by_callee(cx, call, Answer::Result { details, payload });
        } else {
            self.pass_progress(cx, call, details, payload);
        }
    }

    /// An ERROR that answers an INVOCATION.
    pub fn handle_error(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        details: Dict,
        error: String,
        payload: Payload,
    ) {
        let Some(call) = self.call_of(cx, key, request, true) else { return };
        if error == error::UNAVAILABLE && self.is_untouched(call) {
            return self.try_next_callee(cx, call);
        }
        let mut carried = Dict::new();
        copy_carried(&details, &mut carried);
        self.finish_by_callee(cx, call, Answer::Error { details: carried, error, payload });
    }

    /// The caller does not want to wait any more. Without a mode it is killnowait, as deployed routers have it.
    pub fn handle_cancel(&mut self, cx: &mut Context, key: SessionKey, request: Id, options: Dict) {
        // The answer may have been on its way to the caller already.
        let Some(call_key) = self.calls.of_request(Caller::Session(key), request) else { return };
        let mode = options.str("mode").unwrap_or("killnowait");
        if mode == "kill"
            && let Some(invocation) = self.calls.call_mut(call_key).and_then(Call::invocation_mut)
            && invocation.interruptible
        {
            // The callee is to answer, and what it says goes to the caller.
            return interrupt(cx, invocation, mode, error::CANCELED);
        }
        if let Some(call) = self.fail(cx, call_key, error::CANCELED, "the caller has cancelled the call") {
            self.abandon(cx, call, (mode != "skip").then_some(error::CANCELED));
        }
    }

    /// The call that a callee speaks of. What it says of one that has ended is dropped.
    fn call_of(&mut self, cx: &mut Context, callee: SessionKey, request: Id, is_final: bool) -> Option<CallKey> {
        match self.calls.work(callee, request) {
            Some(Work::Call(call)) => return Some(call),
            Some(Work::Abandoned(slot)) if is_final => {
                self.calls.remove_work(callee, request);
                self.release(cx, slot);
            }
            Some(Work::Abandoned(_)) => {}
            None => {
                let next_invocation = cx.members.member(callee).map_or(1, |member| member.next_invocation);
                if !(1..next_invocation).contains(&request) {
                    let sentence = format!("INVOCATION {request} was never sent to this session");
                    cx.out.push(Effect::Abort { session: callee, reason: error::PROTOCOL_VIOLATION, sentence });
                    return None;
                }
            }
        }
        cx.out.push(Effect::Drop { reason: DropReason::CallerGone });
        None
    }

    /// Whether another callee could take the call as if nothing had happened.
    fn is_untouched(&self, call: CallKey) -> bool {
        let invocation = self.calls.call(call).and_then(Call::invocation);
        invocation.is_some_and(|invocation| !invocation.progressed && !invocation.interrupted)
    }

    fn try_next_callee(&mut self, cx: &mut Context, key: CallKey) {
        let Some(invocation) = self.calls.unassign(key) else { return };
        let Some(call) = self.calls.call_mut(key) else { return };
        call.tried.insert(invocation.callee);
        call.recount(cx.ledger);
        let is_link = cx.members.member(invocation.callee).is_some_and(|member| member.kind != MemberKind::Client);
        if call.payload.is_some() {
            self.route(cx, key);
        } else if is_link {
            // Nobody is there any more, and parts of the call that have been sent on cannot go to somebody else.
            let (error, sentence) = nobody(call.origin, &call.procedure);
            self.fail(cx, key, error, &sentence);
        } else {
            self.fail(cx, key, error::NO_AVAILABLE_CALLEE, "the callee is unavailable, and there is no other");
        }
        self.departures.relieve(invocation.callee);
        if let Some(slot) = invocation.slot {
            self.release(cx, slot);
        }
    }

    fn wants_progress(&self, call: CallKey) -> bool {
        self.calls.call(call).and_then(Call::invocation).is_some_and(|invocation| invocation.progressive)
    }

    fn pass_progress(&mut self, cx: &mut Context, key: CallKey, details: Dict, payload: Payload) {
        let Some(call) = self.calls.call_mut(key) else { return };
        let (caller, request) = (call.caller, call.request);
        if let Some(invocation) = call.invocation_mut() {
            invocation.progressed = true;
        }
        self.calls.start_timer(key, cx.now.uptime);
        if let Caller::Session(to) = caller {
            let details = details.with("progress", true);
            cx.out.push(Effect::Send { to, message: Message::Result { request, details, payload } });
        }
    }

    fn takes_passthru(&self, cx: &Context, call: CallKey) -> bool {
        match self.calls.call(call).map(|call| call.caller) {
            Some(Caller::Session(caller)) => {
                cx.members.member(caller).is_some_and(|member| member.identity.features.caller_passthru)
            }
            Some(Caller::Program(_) | Caller::Authority(_)) | None => false,
        }
    }

    /// A result that its caller could not read: both sides are told.
    fn refuse_passthru(&mut self, cx: &mut Context, callee: SessionKey, request: Id, call: CallKey, is_final: bool) {
        let sentence = "the result is in payload_passthru_mode, which the caller did not announce";
        let message = Message::error(code::INVOCATION, request, error::FEATURE_NOT_SUPPORTED, sentence);
        cx.out.push(Effect::Send { to: callee, message });
        let Some(call) = self.fail(cx, call, error::FEATURE_NOT_SUPPORTED, sentence) else { return };
        if !is_final {
            self.abandon(cx, call, Some(error::FEATURE_NOT_SUPPORTED));
        } else if let Some(slot) = call.invocation().and_then(|invocation| invocation.slot) {
            self.release(cx, slot);
        }
    }

    /// Ends a call with what its callee said, which thereby is free for another one.
    fn finish_by_callee(&mut self, cx: &mut Context, call: CallKey, answer: Answer) {
        let ended = self.finish(cx, call, answer);
        if let Some(slot) = ended.and_then(|call| call.invocation()?.slot) {
            self.release(cx, slot);
        }
    }

    /// Ends a call with an ERROR of the router's own.
    pub(super) fn fail(&mut self, cx: &mut Context, call: CallKey, error: &str, sentence: &str) -> Option<Call> {
        self.finish(cx, call, Answer::error(error, sentence))
    }

    fn finish(&mut self, cx: &mut Context, call: CallKey, answer: Answer) -> Option<Call> {
        let call = self.take(cx, call)?;
        send_answer(cx, call.caller, call.request, answer);
        Some(call)
    }

    /// Takes a call out of all tables. Nobody is told.
    pub(super) fn take(&mut self, cx: &mut Context, key: CallKey) -> Option<Call> {
        let call = self.calls.remove(key)?;
        cx.ledger.recount(Kind::Calls, call.payer(), call.charged, 0);
        self.awaited.remove(&call, key);
        if let Caller::Session(caller) = call.caller {
            self.departures.relieve(caller);
        }
        if let Some(invocation) = call.invocation() {
            self.departures.relieve(invocation.callee);
        }
        if let Some(registration) = self.registrations.registration_mut(call.registration) {
            registration.queue.remove(&key);
        }
        Some(call)
    }

    /// Leaves a call that has ended to its callee, which is told to stop for this reason if it understands. It counts
    /// as busy until it says something or leaves.
    pub(super) fn abandon(&mut self, cx: &mut Context, mut call: Call, reason: Option<&str>) {
        let Some(invocation) = call.invocation_mut() else { return };
        if let Some(reason) = reason
            && invocation.interruptible
        {
            interrupt(cx, invocation, "killnowait", reason);
        }
        if let Some(slot) = invocation.slot
            && self.registrations.callee(slot).is_some()
        {
            self.calls.abandon(invocation.callee, invocation.id, slot);
        }
    }

    /// A callee is done with an invocation that counted towards its concurrency.
    fn release(&mut self, cx: &mut Context, slot: Slot) {
        if let Some(callee) = self.registrations.callee_mut(slot) {
            callee.in_flight -= 1;
            self.serve_queue(cx, slot.registration);
        }
    }
}

impl Answer {
    pub(in crate::realm) fn result(args: Vec<Value>) -> Answer {
        Answer::Result { details: Dict::new(), payload: Payload::from_values(args, Dict::new()) }
    }

    pub(in crate::realm) fn error(error: &str, sentence: &str) -> Answer {
        let payload = Payload::from_values(vec![sentence.into()], Dict::new());
        Answer::Error { details: Dict::new(), error: error.to_owned(), payload }
    }

    fn into_message(self, request: Id) -> Message {
        match self {
            Answer::Result { details, payload } => Message::Result { request, details, payload },
            Answer::Error { details, error, payload } => {
                Message::Error { request_type: code::CALL, request, details, error, payload }
            }
        }
    }

    fn into_result(self) -> Result<Payload, CallError> {
        match self {
            Answer::Result { payload, .. } => Ok(payload),
            Answer::Error { error, payload, .. } => Err(CallError { error, payload }),
        }
    }
}

/// Gives a caller the final answer. To be called by `finish`, and for calls that never were in the tables.
pub(in crate::realm) fn send_answer(cx: &mut Context, caller: Caller, request: Id, answer: Answer) {
    match caller {
        Caller::Session(to) => cx.out.push(Effect::Send { to, message: answer.into_message(request) }),
        Caller::Program(token) => cx.out.push(Effect::Answer { token, result: answer.into_result() }),
        Caller::Authority(token) => cx.answers.push_back((token, answer.into_result())),
    }
}

fn interrupt(cx: &mut Context, invocation: &mut Invocation, mode: &str, reason: &str) {
    if !invocation.interrupted {
        invocation.interrupted = true;
        let options = Dict::new().with("mode", mode).with("reason", reason);
        let message = Message::Interrupt { request: invocation.id, options };
        cx.out.push(Effect::Send { to: invocation.callee, message });
    }
}
