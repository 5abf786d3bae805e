//! Who is in the realm.

use crate::wamp::{Id, Identity, SessionKey};
use std::collections::HashMap;

/// What a member of the realm is. Links between nodes are members too: the same tables and the same code carry their
/// messages, only the origin differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A client of this shard.
    Client,
    /// The session by which a peer node has dialed in. It holds that node's interest: it is sent, as EVENT and INVOCATION, what our
    /// own clients produce and never what came from another node.
    Peer,
    /// The stand-in for a link that this node has dialed. It publishes and calls what that peer's clients produced; what it
    /// brings goes to local sessions only.
    Uplink,
}

/// One member of the realm.
#[derive(Clone, Debug)]
pub struct Member {
    pub kind: MemberKind,
    pub identity: Identity,
    /// The id that the next INVOCATION to this member gets; session scope, so it starts at 1.
    pub next_invocation: Id,
}

/// All members, by their place in the shard and by session id.
#[derive(Debug, Default)]
pub struct Members {
    by_key: HashMap<SessionKey, Member>,
    by_id: HashMap<Id, SessionKey>,
}

impl Members {
    pub fn insert(&mut self, key: SessionKey, kind: MemberKind, identity: Identity) {
        self.by_id.insert(identity.session, key);
        self.by_key.insert(key, Member { kind, identity, next_invocation: 1 });
    }

    pub fn remove(&mut self, key: SessionKey) -> Option<Member> {
        let member = self.by_key.remove(&key)?;
        self.by_id.remove(&member.identity.session);
        Some(member)
    }

    pub fn member(&self, key: SessionKey) -> Option<&Member> {
        self.by_key.get(&key)
    }

    pub fn member_mut(&mut self, key: SessionKey) -> Option<&mut Member> {
        self.by_key.get_mut(&key)
    }

    pub fn key_of(&self, session: Id) -> Option<SessionKey> {
        self.by_id.get(&session).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SessionKey, &Member)> {
        self.by_key.iter().map(|(key, member)| (*key, member))
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
