//! The sessions of one other node with what they have left behind, and the memory that they take.

use crate::realm::broker::Publisher;
use crate::realm::testament::Testament;
use crate::wamp::Id;
use crate::wire::allocated;
use std::collections::BTreeMap;

/// Sessions by id.
#[derive(Debug, Default)]
pub(super) struct RemoteSessions {
    by_id: BTreeMap<Id, RemoteSession>,
    bytes: usize,
    /// Of these the bytes of testaments.
    testament_bytes: usize,
}

#[derive(Clone, Debug)]
pub(super) struct RemoteSession {
    pub(super) publisher: Publisher,
    pub(super) testaments: Vec<Testament>,
}

impl RemoteSession {
    fn testament_bytes(&self) -> usize {
        self.testaments.iter().map(Testament::bytes).sum()
    }

    fn bytes(&self) -> usize {
        let words = allocated(self.publisher.authid.len()) + allocated(self.publisher.authrole.len());
        SESSION_BYTES + words + self.testament_bytes()
    }
}

impl RemoteSessions {
    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that their testaments take.
    pub(super) fn testament_bytes(&self) -> usize {
        self.testament_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Adds a session, or takes over who it is now. Gives whether it was unknown.
    pub(super) fn learn(&mut self, publisher: Publisher) -> bool {
        let id = publisher.session;
        let known = self.remove(id);
        let is_new = known.is_none();
        let testaments = known.map(|session| session.testaments).unwrap_or_default();
        let session = RemoteSession { publisher, testaments };
        self.bytes += session.bytes();
        self.testament_bytes += session.testament_bytes();
        self.by_id.insert(id, session);
        is_new
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<RemoteSession> {
        let removed = self.by_id.remove(&id)?;
        self.bytes -= removed.bytes();
        self.testament_bytes -= removed.testament_bytes();
        Some(removed)
    }

    pub(super) fn get(&self, id: Id) -> Option<&RemoteSession> {
        self.by_id.get(&id)
    }

    /// Adds a testament of a session that is known.
    pub(super) fn push_testament(&mut self, id: Id, testament: Testament) {
        if let Some(session) = self.by_id.get_mut(&id) {
            self.bytes += testament.bytes();
            self.testament_bytes += testament.bytes();
            session.testaments.push(testament);
        }
    }

    /// Forgets the testaments of one session, or of all, that do not fulfil `condition`.
    pub(super) fn retain_testaments(&mut self, id: Option<Id>, condition: impl Fn(&Testament) -> bool) {
        let range = id.map_or(0..=Id::MAX, |id| id..=id);
        for session in self.by_id.range_mut(range).map(|(_, session)| session) {
            let forgotten = session.testaments.extract_if(.., |testament| !condition(testament));
            let bytes = forgotten.map(|testament| testament.bytes()).sum::<usize>();
            self.bytes -= bytes;
            self.testament_bytes -= bytes;
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> {
        self.by_id.keys().copied()
    }

    pub(super) fn into_all(self) -> Vec<RemoteSession> {
        self.by_id.into_values().collect()
    }
}

/// A session's place; the nodes of the tree are two thirds full.
const SESSION_BYTES: usize = size_of::<(Id, RemoteSession)>() * 3 / 2;
