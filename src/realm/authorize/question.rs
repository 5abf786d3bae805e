//! What is being asked of dynamic authorizers, and what they answer.

use super::{Demand, Verdict, refused};
use crate::realm::effect::CallError;
use crate::realm::pattern::hashed;
use crate::wamp::{Identity, Message, SessionKey};
use crate::wire::{Payload, Value, allocated};
use std::collections::{BTreeSet, HashMap};

/// A message that waits for the answer of an authorizer. A client is suspended meanwhile, so it has only one; a link
/// may ask for many clients at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub session: SessionKey,
    /// The client of another node for which a link asks.
    pub asker: Option<Box<Identity>>,
    /// Without its options.
    pub message: Message,
    /// As the arguments by keyword of a payload: encoded, lists take a fraction of the memory.
    pub options: Payload,
    /// What was asked about the message. A message may make more than one demand, one after the other.
    pub demand: Demand,
}

impl Question {
    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let asker = self.asker.as_ref().map_or(0, |asker| asker.bytes());
        let own = hashed(size_of::<(u64, Question)>()) + 2 * size_of::<(SessionKey, u64)>();
        own + asker + self.message.heap_bytes() + self.options.heap_bytes() + allocated(self.demand.uri.len())
    }

    /// The session that is charged for it: for what a link asks, the link.
    pub fn payer(&self) -> Option<SessionKey> {
        Some(self.session)
    }
}

/// All questions that are open.
#[derive(Debug, Default)]
pub(super) struct Questions {
    by_token: HashMap<u64, Question>,
    by_session: BTreeSet<(SessionKey, u64)>,
    /// Those of which the answer is not to be believed: it may have been given before answers were forgotten.
    doubtful: BTreeSet<u64>,
    n_tokens: u64,
}

/// What an authorizer has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) allow: bool,
    pub(super) disclose: bool,
    pub(super) cache: bool,
}

impl Questions {
    pub(super) fn ask(&mut self, question: Question) -> u64 {
        let token = self.token();
        self.by_session.insert((question.session, token));
        self.by_token.insert(token, question);
        token
    }

    /// The token of a call about which nothing more is kept here.
    pub(super) fn token(&mut self) -> u64 {
        self.n_tokens += 1;
        self.n_tokens
    }

    /// Whatever is answered to what has been asked so far is not to be believed.
    pub(super) fn doubt(&mut self) {
        self.doubtful = self.by_token.keys().copied().collect();
    }

    pub(super) fn is_asking(&self, session: SessionKey) -> bool {
        self.tokens_of(session).next().is_some()
    }

    /// Takes the question that is answered, and whether the answer is in doubt.
    pub(super) fn take(&mut self, token: u64) -> Option<(Question, bool)> {
        let is_doubtful = self.doubtful.remove(&token);
        let question = self.by_token.remove(&token)?;
        self.by_session.remove(&(question.session, token));
        Some((question, is_doubtful))
    }

    /// Takes out all of a session.
    pub(super) fn forget(&mut self, session: SessionKey) -> Vec<Question> {
        let tokens: Vec<u64> = self.tokens_of(session).collect();
        let forget = |token: u64| {
            self.by_session.remove(&(session, token));
            self.by_token.remove(&token)
        };
        tokens.into_iter().filter_map(forget).collect()
    }

    fn tokens_of(&self, session: SessionKey) -> impl Iterator<Item = u64> {
        self.by_session.range((session, 0)..=(session, u64::MAX)).map(|(_, token)| *token)
    }
}

impl Answer {
    /// Reads what came back from the call. The error is a sentence for the one who wanted to act.
    pub(super) fn from_result(result: Result<Payload, CallError>) -> Result<Answer, String> {
        let payload = result.map_err(|error| format!("the authorizer failed with {}", error.error))?;
        let args = payload.args().map_err(|error| format!("the authorizer's answer cannot be read: {error}"))?;
        match args.first() {
            Some(Value::Bool(allow)) => Ok(Answer { allow: *allow, disclose: false, cache: false }),
            Some(Value::Dict(answer)) => {
                let allow = answer.bool("allow").ok_or("the authorizer answered a dict without a bool \"allow\"")?;
                let is_set = |key| answer.bool(key) == Some(true);
                Ok(Answer { allow, disclose: is_set("disclose"), cache: is_set("cache") })
            }
            Some(other) => Err(format!("the authorizer answered {}, expected bool or dict", other.kind_name())),
            None => Err("the authorizer answered nothing, expected bool or dict".to_owned()),
        }
    }

    pub(super) fn verdict(self, demand: &Demand) -> Verdict {
        match self.allow {
            true => Verdict::Granted { disclosed: self.disclose },
            false => refused(demand.action, &demand.uri),
        }
    }
}
