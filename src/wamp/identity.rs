//! Who a session is, as both `session` (which finds it out) and `realm` (which routes by it) understand it.

use super::{Id, feature::Features};
use crate::wire::{Dict, allocated};

/// A session's place in its shard: small, dense, reused after the session has left. It never leaves the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub u32);

/// Who a session is, from WELCOME to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The random id that WELCOME tells, unique in the cluster.
    pub session: Id,
    pub authid: String,
    pub authrole: String,
    pub authmethod: String,
    pub authprovider: String,
    /// What the authenticator added; told in WELCOME and in `wamp.session.get`.
    pub authextra: Dict,
    /// How the session is connected, as `wamp.session.get` tells it (`{type, peer, protocol, …}`).
    pub transport: Dict,
    /// What the client announced in HELLO.
    pub features: Features,
}

impl Identity {
    /// The memory that it takes among the members of a realm.
    pub fn bytes(&self) -> usize {
        let words = [&self.authid, &self.authrole, &self.authmethod, &self.authprovider];
        let words = words.iter().map(|word| allocated(word.capacity()));
        let dicts = [self.authextra.heap_bytes(), self.transport.heap_bytes()];
        words.chain(dicts).fold(MEMBER_BYTES, usize::saturating_add)
    }
}

/// The identity with what a realm notes beside it, and its places in the tables of members.
const MEMBER_BYTES: usize = allocated(size_of::<Identity>() + 80) + 64;
