//! What becomes of messages that cannot be queued: nothing is lost silently that somebody waits for.

use super::shard::Shard;
use crate::drop::{DropReason, Refused};
use crate::federation::ClusteredRealm;
use crate::mesh::frames;
use crate::realm::Effect;
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::{Message, SessionKey, error};
use crate::wire::{Dict, Payload, TooLarge};

/// Why a message cannot be queued for its receiver.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// The receiver takes no message of this size.
    TooLarge(TooLarge),
    /// So much waits for the node at the other end of the link that this has no room.
    FullLink,
    /// So much waits for the callee that an INVOCATION has no room.
    FullCallee,
}

impl From<TooLarge> for Loss {
    fn from(error: TooLarge) -> Loss {
        Loss::TooLarge(error)
    }
}

impl Loss {
    pub(super) const fn reason(self) -> DropReason {
        match self {
            Loss::TooLarge(_) => DropReason::ReceiverLimit,
            Loss::FullLink => DropReason::LinkQueueFull,
            Loss::FullCallee => DropReason::CalleeFull,
        }
    }

    /// The URI for whoever waits for the message, or for an answer to it.
    const fn error(self) -> &'static str {
        match self {
            Loss::TooLarge(_) => error::PAYLOAD_SIZE_EXCEEDED,
            Loss::FullLink => error::NETWORK_FAILURE,
            // Of a shared registration, another callee may have room.
            Loss::FullCallee => error::UNAVAILABLE,
        }
    }

    fn sentence(self) -> String {
        match self {
            Loss::TooLarge(TooLarge { bytes, bytes_max }) => {
                format!("{bytes} bytes are more than the {bytes_max} that the receiver takes")
            }
            Loss::FullLink => "the link to the other node is full".to_owned(),
            Loss::FullCallee => "the callee does not read what waits for it".to_owned(),
        }
    }
}

impl Shard {
    /// Counts a message that cannot be queued, and tells whoever waits for it or for an answer to it.
    pub(super) fn handle_loss(&mut self, key: SessionKey, message: Message, loss: Loss) {
        if matches!(message, Message::Welcome { .. } | Message::Challenge { .. }) {
            // A session of which the peer cannot be told is none.
            return self.abort(key, loss.error(), &loss.sentence(), loss.reason());
        }
        if let Message::Event { details, .. } = &message {
            return self.handle_lost_event(key, details, loss);
        }
        self.note_loss(key, &message, loss);
        let (error, sentence) = (loss.error(), loss.sentence());
        match message {
            Message::Result { request, .. } | Message::Yield { request, .. } => {
                self.with_realm_of(key, |realm, now, out| {
                    realm.refuse_answer(now, key, request, error, &sentence, out);
                });
            }
            Message::Invocation { request, .. } => self.with_realm_of(key, |realm, now, out| {
                realm.refuse_invocation(now, key, request, error, &sentence, out);
            }),
            Message::Call { request, .. } => {
                let answer = Message::error(code::CALL, request, error, sentence);
                self.with_realm_of(key, |realm, now, out| realm.handle_message(now, key, answer, out));
            }
            Message::Error { request_type, request, error, .. } => {
                let sentence = format!("the arguments of this error have been left out: {sentence}");
                let (details, payload) = (Dict::new(), Payload::from_values(vec![sentence.into()], Dict::new()));
                let error = short_or(error, loss.error());
                self.deliver(key, Message::Error { request_type, request, details, error, payload });
            }
            Message::Goodbye { details, reason } if !details.is_empty() => {
                let reason = short_or(reason, error::CLOSE_NORMAL);
                self.deliver(key, Message::Goodbye { details: Dict::new(), reason });
            }
            Message::Abort { details, reason, .. } if !details.is_empty() => {
                let reason = short_or(reason, loss.error());
                self.deliver(key, Message::Abort { details: Dict::new(), reason, payload: Payload::empty() });
            }
            _ => {}
        }
    }

    /// An event that cannot be queued is counted. A notice between nodes for which a link has no room is not lost: the
    /// other node fetches what it has missed.
    pub(super) fn handle_lost_event(&mut self, key: SessionKey, details: &Dict, loss: Loss) {
        if is_notice(details) && matches!(loss, Loss::FullLink) {
            self.with_realm_of(key, |realm, _, out| realm.note_overrun(key, out));
        } else {
            self.note_events(key, loss.reason(), 1);
        }
    }

    /// An INVOCATION that its callee cannot take is told to the operator as a refusal of the caller, with the procedure
    /// and the callee.
    fn note_loss(&mut self, key: SessionKey, message: &Message, loss: Loss) {
        let refused = Refused::new(loss.reason(), format!("{}: {}", message.name(), loss.sentence()));
        if let Message::Invocation { request, .. } = message
            && let Some(slot) = self.slot_of(key)
            && let Some((caller, procedure)) = slot.realm.dealer().caller_of(key, *request)
        {
            let callee = slot.realm.members().member(key).map(|member| &member.identity);
            let callee = callee.map(|callee| format!(", session {} of {}", callee.session, callee.authid));
            let sentence = format!("{}{}", refused.sentence, callee.unwrap_or_default());
            return self.note(caller, Refused { sentence, ..refused }.about("call", procedure));
        }
        self.note(key, refused);
    }

    /// Lets the realm of a session act.
    fn with_realm_of(&mut self, key: SessionKey, act: impl FnOnce(&mut ClusteredRealm, Now, &mut Vec<Effect>)) {
        let now = self.now();
        if let Some(index) = self.connection(key).and_then(|connection| connection.realm) {
            self.with_realm(index, |realm, out| act(realm, now, out));
        }
    }
}

/// Whether an event is what nodes tell one another, rather than a publication.
pub(super) fn is_notice(details: &Dict) -> bool {
    details.str("topic").is_some_and(|topic| topic.starts_with(frames::NAMESPACE))
}

/// A URI, unless it is so long itself, or becomes so in JSON, that a message with it may not fit.
fn short_or(uri: String, instead: &str) -> String {
    let grows = |character: char| character.is_control() || character == '"' || character == '\\';
    if uri.len() <= SHORT_URI_BYTES && !uri.contains(grows) { uri } else { instead.to_owned() }
}

/// With a URI of this length and a sentence, a message fits into the 512 bytes that every receiver takes.
const SHORT_URI_BYTES: usize = 200;
