//! What a realm keeps for its clients, in bytes: for each session, for the realm by kind, and as a part of what the
//! node keeps. Who wants something kept asks `admit` first.
//!
//! What several sessions share (a subscription with its pattern) counts once for the realm and in full for each of
//! them, so that a session is bounded by what it would cost alone. What links bring counts for the realm; the node at
//! the other end has bounded the sessions that cause it.

use crate::kept::{Account, Kind, Tally};
use crate::limits::Limits;
use crate::wamp::SessionKey;
use std::rc::Rc;

/// The ledger of one realm.
#[derive(Debug, Default)]
pub struct Ledger {
    tally: Tally,
    /// By the place of the session, which is dense.
    of_sessions: Vec<usize>,
    account: Rc<Account>,
}

impl Ledger {
    /// Counts what this realm keeps in the account of its node. To be called while nothing is kept.
    pub fn join(&mut self, account: Rc<Account>) {
        self.account.change(self.tally.total(), 0);
        self.account = account;
        self.account.change(0, self.tally.total());
    }

    /// What the realm keeps.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is kept for one session.
    pub fn of_session(&self, session: SessionKey) -> usize {
        self.of_sessions.get(session.0 as usize).copied().unwrap_or(0)
    }

    /// Whether so many bytes more may be kept, for this session where it is one's. The error is a sentence for the one
    /// who asked, with the limit's name.
    pub fn admit(&self, limits: &Limits, session: Option<SessionKey>, bytes: usize) -> Result<(), String> {
        let session_max = limits.kept_bytes_per_session_max;
        if session.is_some_and(|session| self.of_session(session).saturating_add(bytes) > session_max) {
            return Err(format!("what is kept for the session fills kept_bytes_per_session_max = {session_max}"));
        }
        let realm_max = limits.kept_bytes_per_realm_max;
        if self.tally.total().saturating_add(bytes) > realm_max {
            return Err(format!("what is kept for the realm fills kept_bytes_per_realm_max = {realm_max}"));
        }
        if bytes > self.account.room() {
            return Err(format!("what is kept by the node fills kept_bytes_max = {}", self.account.bytes_max()));
        }
        Ok(())
    }

    /// How many bytes more the realm may keep.
    pub fn room(&self, limits: &Limits) -> usize {
        limits.kept_bytes_per_realm_max.saturating_sub(self.tally.total()).min(self.account.room())
    }

    /// Takes over what is kept of one kind.
    pub fn post(&mut self, kind: Kind, bytes: usize) {
        self.account.change(self.tally.of(kind), bytes);
        self.tally.set(kind, bytes);
    }

    /// Keeps something for the realm.
    pub fn keep(&mut self, kind: Kind, bytes: usize) {
        self.post(kind, self.tally.of(kind) + bytes);
    }

    /// Keeps something no more.
    pub fn release(&mut self, kind: Kind, bytes: usize) {
        debug_assert!(self.tally.of(kind) >= bytes, "{kind:?} has {} and gives back {bytes}", self.tally.of(kind));
        self.post(kind, self.tally.of(kind).saturating_sub(bytes));
    }

    /// What is kept of one thing has changed. `session` pays for it, if one does.
    pub fn recount(&mut self, kind: Kind, session: Option<SessionKey>, before: usize, after: usize) {
        self.keep(kind, after);
        self.release(kind, before);
        if let Some(session) = session {
            self.charge(session, after);
            self.discharge(session, before);
        }
    }

    /// Charges a session with what is kept for it.
    pub fn charge(&mut self, session: SessionKey, bytes: usize) {
        let place = session.0 as usize;
        if self.of_sessions.len() <= place {
            self.of_sessions.resize(place + 1, 0);
        }
        if let Some(charged) = self.of_sessions.get_mut(place) {
            *charged += bytes;
        }
    }

    /// Takes back what a session was charged with.
    pub fn discharge(&mut self, session: SessionKey, bytes: usize) {
        debug_assert!(self.of_session(session) >= bytes, "{session:?} gives back {bytes} more than it has");
        if let Some(charged) = self.of_sessions.get_mut(session.0 as usize) {
            *charged = charged.saturating_sub(bytes);
        }
    }
}

/// What a realm that is closed has kept is kept no more.
impl Drop for Ledger {
    fn drop(&mut self) {
        self.account.change(self.tally.total(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named_when_it_is_in_the_way() {
        let limits = Limits { kept_bytes_per_session_max: 100, kept_bytes_per_realm_max: 1_000, ..Limits::default() };
        let mut ledger = Ledger::default();
        let account = Rc::new(Account::default());
        ledger.join(account.clone());
        let session = SessionKey(3);
        ledger.charge(session, 60);
        ledger.keep(Kind::Testaments, 60);
        assert_eq!(ledger.admit(&limits, Some(session), 40), Ok(()));
        let refused = |ledger: &Ledger, session, bytes| ledger.admit(&limits, session, bytes).expect_err("too much");
        assert!(refused(&ledger, Some(session), 41).contains("kept_bytes_per_session_max = 100"));
        assert!(refused(&ledger, None, 941).contains("kept_bytes_per_realm_max = 1000"));
        account.set_bytes_max(200);
        assert!(refused(&ledger, None, 140).contains("kept_bytes_max = 200"));
        ledger.discharge(session, 60);
        ledger.release(Kind::Testaments, 60);
        assert_eq!((ledger.of_session(session), ledger.tally().total(), account.total()), (0, 0, 0));
        ledger.keep(Kind::Retained, 70);
        assert_eq!(account.total(), 70);
        drop(ledger);
        assert_eq!(account.total(), 0, "a realm that is closed keeps nothing");
    }
}
