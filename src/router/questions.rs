//! Questions to authenticators. Of each, only so many are asked at a time; when more wait, the sources take turns. So a
//! crowd that logs in from one address keeps nobody else waiting for long, however slow the authenticator is.

use super::rounds::Source;
use crate::limits::QUESTIONS_MAX;
use crate::session::Question;
use crate::session::admission::Authenticator;
use crate::wamp::SessionKey;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// All questions that are not answered.
#[derive(Debug, Default)]
pub(super) struct Questions {
    desks: HashMap<Authenticator, Desk>,
    /// What has been asked. It stays until it is answered, whether or not the session is still there: the authenticator
    /// is busy with it.
    asked: HashMap<u64, Asked>,
    /// Where what waits is found.
    waiting: HashMap<u64, (Authenticator, Source)>,
}

/// One authenticator.
#[derive(Debug, Default)]
struct Desk {
    n_asked: usize,
    /// The oldest of each source first: tokens are given out in order.
    waiting: HashMap<Source, BTreeMap<u64, Asking>>,
    /// The sources that have something waiting, in the order of their turns.
    turns: VecDeque<Source>,
}

/// A question of the session at this place.
#[derive(Debug)]
pub(super) struct Asking {
    /// Names it, in this shard.
    pub token: u64,
    pub key: SessionKey,
    pub question: Box<Question>,
}

/// Whose question it was, and which of its attempts.
#[derive(Debug)]
pub(super) struct Asked {
    pub key: SessionKey,
    pub attempt: u32,
    pub authenticator: Authenticator,
}

impl Questions {
    /// A session has a question, which is given back if it is to be asked now.
    pub(super) fn add(&mut self, source: Source, asking: Asking) -> Option<Asking> {
        let authenticator = asking.question.authenticator.clone();
        let desk = self.desks.entry(authenticator.clone()).or_default();
        if desk.n_asked < QUESTIONS_MAX {
            return Some(self.note_asked(asking));
        }
        self.waiting.insert(asking.token, (authenticator, source));
        let waiting = desk.waiting.entry(source).or_default();
        if waiting.is_empty() {
            desk.turns.push_back(source);
        }
        waiting.insert(asking.token, asking);
        None
    }

    /// The session is gone, or has given up.
    pub(super) fn forget(&mut self, token: u64) {
        let Some((authenticator, source)) = self.waiting.remove(&token) else { return };
        let Some(desk) = self.desks.get_mut(&authenticator) else { return };
        let Some(waiting) = desk.waiting.get_mut(&source) else { return };
        waiting.remove(&token);
        if waiting.is_empty() {
            desk.waiting.remove(&source);
            desk.turns.retain(|other| *other != source);
        }
    }

    /// A question is answered.
    pub(super) fn take_asked(&mut self, token: u64) -> Option<Asked> {
        let asked = self.asked.remove(&token)?;
        if let Some(desk) = self.desks.get_mut(&asked.authenticator) {
            desk.n_asked -= 1;
            if desk.n_asked == 0 && desk.turns.is_empty() {
                self.desks.remove(&asked.authenticator);
            }
        }
        Some(asked)
    }

    /// What is to be asked next, if there is room for it.
    pub(super) fn take_next(&mut self, authenticator: &Authenticator) -> Option<Asking> {
        let desk = self.desks.get_mut(authenticator).filter(|desk| desk.n_asked < QUESTIONS_MAX)?;
        let source = desk.turns.pop_front()?;
        let waiting = desk.waiting.get_mut(&source)?;
        let (token, asking) = waiting.pop_first()?;
        if waiting.is_empty() {
            desk.waiting.remove(&source);
        } else {
            desk.turns.push_back(source);
        }
        self.waiting.remove(&token);
        Some(self.note_asked(asking))
    }

    fn note_asked(&mut self, asking: Asking) -> Asking {
        let Question { attempt, authenticator, .. } = &*asking.question;
        self.desks.entry(authenticator.clone()).or_default().n_asked += 1;
        let asked = Asked { key: asking.key, attempt: *attempt, authenticator: authenticator.clone() };
        self.asked.insert(asking.token, asked);
        asking
    }
}
