//! Who is in the realm.

use super::ids::GivenUp;
use crate::wamp::{Id, Identity, SessionKey};
use std::collections::HashMap;

/// What a member of the realm is. Links between nodes are members too: the same tables and the same code carry their
/// messages, only the origin differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A client of this shard.
    Client,
    /// The session by which a peer node has dialed in. It holds that node's interest: it is sent, as EVENT and
    /// INVOCATION, what our own clients produce and never what came from another node.
    Peer,
    /// The stand-in for a link that this node has dialed. It publishes and calls what that peer's clients produced;
    /// what it brings goes to local sessions only.
    Uplink,
}

/// One member of the realm.
#[derive(Clone, Debug)]
pub struct Member {
    pub kind: MemberKind,
    pub identity: Identity,
    /// The id that the next INVOCATION to this member gets; session scope, so it starts at 1.
    pub next_invocation: Id,
    /// Set when it was told to go: it counts no more, and what it still sends is not routed.
    pub ending: Option<Ending>,
    /// What it held and has given up.
    pub given_up: GivenUp,
}

impl Member {
    /// Whether it is a session to anybody who asks: links are not, nor is who was told to go.
    pub fn is_visible(&self) -> bool {
        self.kind == MemberKind::Client && self.ending.is_none()
    }
}

/// How a member goes that was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if it left by itself, with testaments and meta events.
    Announced,
    /// Without either: everybody is told to go.
    Silent,
}

/// All members, by their place in the shard and by session id.
#[derive(Debug, Default)]
pub struct Members {
    /// Places in the shard are dense, and every message looks its sender up.
    by_key: Vec<Option<Box<Member>>>,
    by_id: HashMap<Id, SessionKey>,
    n_clients: usize,
    /// How many of the clients have each authid; who proves nothing is left out, as its authid is random.
    n_by_authid: HashMap<Box<str>, usize>,
    /// The peers that have dialed in.
    peers: Vec<SessionKey>,
    n_uplinks: usize,
}

impl Members {
    /// Adds a member. Its place and its session id are not in use.
    pub fn insert(&mut self, key: SessionKey, kind: MemberKind, identity: Identity) {
        let place = key.0 as usize;
        if self.by_key.len() <= place {
            self.by_key.resize_with(place.saturating_add(1), || None);
        }
        let Some(free) = self.by_key.get_mut(place) else { return };
        debug_assert!(free.is_none(), "place {place} in the shard is taken");
        self.by_id.insert(identity.session, key);
        if kind == MemberKind::Client && has_authid_of_its_own(&identity) {
            *self.n_by_authid.entry(identity.authid.as_str().into()).or_default() += 1;
        }
        let member = Member { kind, identity, next_invocation: 1, ending: None, given_up: GivenUp::default() };
        *free = Some(Box::new(member));
        match kind {
            MemberKind::Client => self.n_clients += 1,
            MemberKind::Peer => self.peers.push(key),
            MemberKind::Uplink => self.n_uplinks += 1,
        }
    }

    pub fn remove(&mut self, key: SessionKey) -> Option<Member> {
        let member = *self.by_key.get_mut(key.0 as usize)?.take()?;
        self.by_id.remove(&member.identity.session);
        self.forget_authid(&member);
        match member.kind {
            MemberKind::Client => self.n_clients -= 1,
            MemberKind::Peer => self.peers.retain(|peer| *peer != key),
            MemberKind::Uplink => self.n_uplinks -= 1,
        }
        Some(member)
    }

    pub fn member(&self, key: SessionKey) -> Option<&Member> {
        self.by_key.get(key.0 as usize)?.as_deref()
    }

    pub fn member_mut(&mut self, key: SessionKey) -> Option<&mut Member> {
        self.by_key.get_mut(key.0 as usize)?.as_deref_mut()
    }

    pub fn key_of(&self, session: Id) -> Option<SessionKey> {
        self.by_id.get(&session).copied()
    }

    /// All members, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (SessionKey, &Member)> {
        let members = self.by_key.iter().enumerate();
        members.filter_map(|(place, member)| Some((SessionKey(place as u32), member.as_deref()?)))
    }

    /// How many members are clients of this shard.
    pub fn n_clients(&self) -> usize {
        self.n_clients
    }

    /// How many clients of this shard have proved to be this principal.
    pub fn n_clients_of(&self, authid: &str) -> usize {
        self.n_by_authid.get(authid).copied().unwrap_or_default()
    }

    fn forget_authid(&mut self, member: &Member) {
        if member.kind != MemberKind::Client || !has_authid_of_its_own(&member.identity) {
            return;
        }
        let authid = member.identity.authid.as_str();
        if let Some(n) = self.n_by_authid.get_mut(authid) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.n_by_authid.remove(authid);
            }
        }
    }

    /// The peers that have dialed in.
    pub fn peers(&self) -> &[SessionKey] {
        &self.peers
    }

    /// Whether there are other nodes to ask before a client gets what it asks for.
    pub fn is_linked(&self) -> bool {
        self.n_uplinks > 0
    }

    /// The members that are sessions to anybody who asks, by session id: the same order in every run.
    pub fn visible(&self) -> Vec<(SessionKey, &Member)> {
        let mut visible: Vec<_> = self.iter().filter(|(_, member)| member.is_visible()).collect();
        visible.sort_unstable_by_key(|(_, member)| member.identity.session);
        visible
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

/// Whether several sessions can have it: of whoever proves nothing it is random.
fn has_authid_of_its_own(identity: &Identity) -> bool {
    identity.authmethod != "anonymous"
}
