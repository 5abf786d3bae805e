//! What the dealer has sent and what could not be delivered: too large for its receiver, or for the link on its way.

use super::answers::{Answer, send_answer};
use super::calls::{Call, Work};
use super::{Caller, Dealer};
use crate::realm::Context;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload};

impl Dealer {
    /// A result, or a part of one, could not be delivered: its caller gets this ERROR instead. Where more was to come,
    /// the call is over and the callee is told to stop.
    pub fn refuse_answer(&mut self, cx: &mut Context, key: SessionKey, request: Id, error: &str, sentence: &str) {
        let caller = Caller::Session(key);
        match self.calls.of_request(caller, request) {
            None => send_answer(cx, caller, request, Answer::error(error, sentence)),
            Some(call) => {
                if let Some(call) = self.fail(cx, call, error, sentence) {
                    self.abandon(cx, call, Some(error));
                }
            }
        }
    }

    /// An INVOCATION could not be delivered: the caller gets this ERROR. A callee that has earlier parts of the call is
    /// told to stop.
    pub fn refuse_invocation(&mut self, cx: &mut Context, callee: SessionKey, id: Id, error: &str, sentence: &str) {
        let call = match self.calls.work(callee, id) {
            Some(Work::Call(call)) => Some(call),
            Some(Work::Abandoned(_)) | None => None,
        };
        let is_continued =
            |call: &Call| call.invocation().is_some_and(|invocation| invocation.continued && !invocation.interrupted);
        match call.filter(|call| self.calls.call(*call).is_some_and(is_continued)) {
            Some(call) => {
                if let Some(call) = self.fail(cx, call, error, sentence) {
                    self.abandon(cx, call, Some(error));
                }
            }
            None => {
                let payload = Payload::from_values(vec![sentence.into()], Dict::new());
                self.handle_error(cx, callee, id, Dict::new(), error.to_owned(), payload);
            }
        }
    }

    /// The session whose call an INVOCATION passes on, and the procedure that it calls.
    pub fn caller_of(&self, callee: SessionKey, invocation: Id) -> Option<(SessionKey, &str)> {
        let Work::Call(call) = self.calls.work(callee, invocation)? else { return None };
        let Call { caller, procedure, .. } = self.calls.call(call)?;
        let Caller::Session(caller) = caller else { return None };
        Some((*caller, procedure))
    }
}
