//! What an established session may send: which messages at all, under which request ids, with which options.

use super::admission::RequestIds;
use super::standing::Fingerprint;
use crate::drop::{DropReason, Refused};
use crate::limits::ID_MAX;
use crate::wamp::message::code::{self, CALL};
use crate::wamp::{Code, Id, Message, error, feature::Features, parts::OpenInputs};

/// What the session remembers from WELCOME on. All else about the peer is kept by its realm.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) session: Id,
    features: Features,
    request_ids: RequestIds,
    /// The next request id in strict order. All requests of a session share this count.
    request_next: Id,
    /// Kept in strict order only.
    inputs: OpenInputs,
    trusted_link: bool,
    /// The credential by which it was opened, see `standing`.
    pub(super) proved: Option<Box<Fingerprint>>,
}

/// What is to become of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is legal: for the realm.
    Route(Message),
    /// It is answered with this ERROR, for which the operator is given the reason.
    Refuse(Message, Box<Refused>),
    /// It is not routed, and no answer is due.
    Drop(Box<Refused>),
    /// It breaks the protocol, in the way that the sentence says.
    Violation(String),
}

impl Established {
    pub(super) fn new(
        session: Id,
        features: Features,
        request_ids: RequestIds,
        trusted_link: bool,
        proved: Option<Box<Fingerprint>>,
    ) -> Established {
        Established {
            session,
            features,
            request_ids,
            request_next: 1,
            inputs: OpenInputs::default(),
            trusted_link,
            proved,
        }
    }

    /// Whether `message` may be sent now, and what is to become of it. Counts its request id.
    pub(super) fn judge(&mut self, message: Message) -> Verdict {
        let (name, code) = (message.name(), message.code());
        let features = self.features;
        let (request, options, passthru_announced) = match &message {
            Message::Publish { request, options, .. } => (Some(*request), options, features.publisher_passthru),
            Message::Call { request, options, .. } => (Some(*request), options, features.caller_passthru),
            Message::Yield { options, .. } => (None, options, features.callee_passthru),
            Message::Subscribe { request, options, .. }
            | Message::Unsubscribe { request, options, .. }
            | Message::Register { request, options, .. }
            | Message::Unregister { request, options, .. } => (Some(*request), options, true),
            Message::Cancel { options, .. } => (None, options, true),
            Message::Error { request_type: code::INVOCATION, details, .. } => (None, details, true),
            Message::Error { request_type, .. } => {
                return Verdict::Violation(format!("ERROR of a client answers INVOCATION (68), not {request_type}"));
            }
            Message::EventReceived { .. } => return Verdict::Route(message),
            // HELLO and AUTHENTICATE come too late, all others are for routers to send.
            _ => return Verdict::Violation(format!("{name} is not for a client to send in an established session")),
        };
        if !passthru_announced && options.get("ppt_scheme").is_some() {
            return Verdict::Violation(format!("{name} has ppt_scheme, but payload_passthru_mode was not announced"));
        }
        if code == CALL && options.bool("progress") == Some(true) && !features.caller_progressive_invocations {
            return Verdict::Violation(
                "CALL has progress, but progressive_call_invocations was not announced".to_owned(),
            );
        }
        if let Some(request) = request
            && let Err(sentence) = self.count_request(code, request, options.bool("progress") == Some(true))
        {
            return Verdict::Violation(format!("{name} {sentence}"));
        }
        if !self.trusted_link && options.get(FORWARD_FOR).is_some() {
            return refuse_forward_for(message);
        }
        Verdict::Route(message)
    }

    /// Checks the id of a request, and counts it; `has_more` says that a CALL is to be continued. The error completes a
    /// sentence that starts with the message's name.
    fn count_request(&mut self, code: Code, request: Id, has_more: bool) -> Result<(), String> {
        if self.request_ids == RequestIds::Lenient {
            return Ok(());
        }
        let is_next = request == self.request_next;
        let continues = code == CALL && self.inputs.contains(request);
        if is_next || continues {
            if is_next {
                self.request_next = if request >= ID_MAX { 1 } else { request.saturating_add(1) };
            }
            if code == CALL {
                self.inputs.handle_call(request, has_more);
            }
            return Ok(());
        }
        Err(format!("has request id {request}, expected {}", self.request_next))
    }
}

/// Who only claims to speak for others is refused where an answer is possible.
fn refuse_forward_for(mut message: Message) -> Verdict {
    let code = message.code();
    let sentence = "forward_for is for links between routers";
    let refused = Refused::new(DropReason::OptionNotAllowed, sentence);
    let refused = Box::new(match message.asks_for() {
        Some((action, uri)) => refused.about(action, uri),
        None => refused,
    });
    let request = match &mut message {
        Message::Publish { options, .. } if options.bool("acknowledge") != Some(true) => {
            return Verdict::Drop(refused);
        }
        Message::Publish { request, .. }
        | Message::Subscribe { request, .. }
        | Message::Unsubscribe { request, .. }
        | Message::Call { request, .. }
        | Message::Register { request, .. }
        | Message::Unregister { request, .. } => *request,
        // These carry on a call, which would hang without them: only the claim is taken away.
        Message::Cancel { options, .. } | Message::Yield { options, .. } | Message::Error { details: options, .. } => {
            options.remove(FORWARD_FOR);
            return Verdict::Route(message);
        }
        _ => return Verdict::Route(message),
    };
    Verdict::Refuse(Message::error(code, request, error::OPTION_NOT_ALLOWED, sentence), refused)
}

/// Whom a router speaks for.
const FORWARD_FOR: &str = "forward_for";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Dict, Payload};

    #[test]
    fn request_ids_start_over_after_the_largest() {
        let mut established = Established::new(1, Features::default(), RequestIds::Strict, false, None);
        established.request_next = ID_MAX;
        for request in [ID_MAX, 1, 2] {
            assert_eq!(established.judge(publish(request)), Verdict::Route(publish(request)));
        }
        assert!(matches!(established.judge(publish(ID_MAX)), Verdict::Violation(_)));
    }

    fn publish(request: Id) -> Message {
        Message::Publish { request, options: Dict::new(), topic: "com.topic".to_owned(), payload: Payload::empty() }
    }
}
