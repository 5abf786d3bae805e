//! Call and register: who answers what, and the calls that wait for an answer. Every CALL gets exactly one final RESULT or
//! ERROR, whatever its caller, its callee and the clock do in the meantime.

mod registrations;

pub use registrations::{Invoke, Registration};

use super::Context;
use crate::wamp::uri::Match;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload};
use std::time::Duration;

/// The dealer of one realm.
#[derive(Debug, Default)]
pub struct Dealer {}

/// Who waits for the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    Session(SessionKey),
    /// The router itself; the final answer is `Effect::Answer` with this token.
    Router(u64),
}

// URIs, reserved names and authorization have been checked by `Realm` when it calls these.
#[allow(unused_variables)]
impl Dealer {
    /// Makes `key` a callee of `procedure`, or answers ERROR.
    pub fn handle_register(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        options: Dict,
        procedure: String,
    ) {
        todo!()
    }

    pub fn handle_unregister(&mut self, cx: &mut Context, key: SessionKey, request: Id, registration: Id) {
        todo!()
    }

    /// Whether a CALL of `key` begins a call. If not, it continues one that is progressive (or has ended), and goes to
    /// `handle_continuation` without any check of its URI and of the right to call, so that a call never gets a second answer.
    ///
    /// To be asked once for every CALL of a session, before anything else is checked: it counts the request id.
    pub fn begins_call(&mut self, cx: &Context, key: SessionKey, request: Id) -> bool {
        todo!()
    }

    /// Routes a new call. `disclosed` says that the caller's role discloses callers to the callee.
    #[allow(clippy::too_many_arguments)]
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
        todo!()
    }

    /// Routes one more part of a progressive call to the callee that has the first one.
    pub fn handle_continuation(
        &mut self,
        cx: &mut Context,
        key: SessionKey,
        request: Id,
        options: Dict,
        procedure: String,
        payload: Payload,
    ) {
        todo!()
    }

    pub fn handle_cancel(&mut self, cx: &mut Context, key: SessionKey, request: Id, options: Dict) {
        todo!()
    }

    pub fn handle_yield(&mut self, cx: &mut Context, key: SessionKey, request: Id, options: Dict, payload: Payload) {
        todo!()
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
        todo!()
    }

    /// Ends all that `key` had as a callee and as a caller. It must still be in `cx.members`; nothing is sent to it.
    pub fn handle_leave(&mut self, cx: &mut Context, key: SessionKey) {
        todo!()
    }

    /// Ends the calls whose time has come.
    pub fn handle_timeout(&mut self, cx: &mut Context) {
        todo!()
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        todo!()
    }

    /// Every registration, by id.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        std::iter::empty()
    }

    pub fn registration(&self, id: Id) -> Option<&Registration> {
        todo!()
    }

    /// The registration of exactly this pattern.
    pub fn lookup(&self, uri: &str, policy: Match) -> Option<&Registration> {
        todo!()
    }

    /// The registration that a call of `uri` goes to.
    pub fn best_match(&self, uri: &str) -> Option<&Registration> {
        todo!()
    }

    /// Takes a registration away from one callee, which hears of it (UNREGISTERED with request 0) if it announced that it
    /// understands. `false` when it was not a callee of it.
    pub fn revoke(&mut self, cx: &mut Context, registration: Id, session: SessionKey, reason: &str) -> bool {
        todo!()
    }
}
