//! One realm of the whole cluster, as one shard of this node sees it: the realm's routing truth and the links that join
//! it to the same realm on other nodes. Pure, like the two that meet here.
//!
//! Whoever drives it treats links as he treats clients: a link is a member with a key, it joins and leaves, its
//! messages go in through `handle_message`, and what `Effect`s address to its key is ready to be sent.

use crate::realm::broker::Broker;
use crate::realm::dealer::Dealer;
use crate::realm::{Effect, Member, MemberKind, Members, Realm, RealmConfig};
use crate::time::Now;
use crate::wamp::{Identity, Message, SessionKey};
use crate::wire::Payload;
use std::time::Duration;

/// A realm and its links.
#[derive(Debug)]
pub struct ClusteredRealm {
    /// The id of this node.
    node: String,
    realm: Realm,
}

impl ClusteredRealm {
    /// An empty realm on the node with this id. All that it ever chooses at random comes from `seed`.
    pub fn new(now: Now, node: &str, config: RealmConfig, seed: [u8; 32]) -> ClusteredRealm {
        ClusteredRealm { node: node.to_owned(), realm: Realm::new(now, config, seed) }
    }

    /// Takes over a changed configuration, see `Realm::reconfigure`.
    pub fn reconfigure(&mut self, now: Now, config: RealmConfig) {
        self.realm.reconfigure(now, config);
    }

    /// A session has been welcomed: a client's, a peer's that has dialed in (`Peer`), or ours at a peer that we have
    /// dialed (`Uplink`). Of links, `identity.authid` is the id of the other node.
    pub fn join(&mut self, now: Now, key: SessionKey, kind: MemberKind, identity: Identity, out: &mut Vec<Effect>) {
        self.realm.join(now, key, kind, identity, out);
    }

    /// A session or a link has ended, for whatever reason.
    pub fn leave(&mut self, now: Now, key: SessionKey, out: &mut Vec<Effect>) {
        self.realm.leave(now, key, out);
    }

    /// A message of a member.
    pub fn handle_message(&mut self, now: Now, key: SessionKey, message: Message, out: &mut Vec<Effect>) {
        self.realm.handle_message(now, key, message, out);
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.realm.handle_timeout(now, out);
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.realm.poll_timeout()
    }

    /// A call that the router itself makes, see `Realm::call`.
    pub fn call(
        &mut self,
        now: Now,
        token: u64,
        procedure: &str,
        payload: Payload,
        timeout: Duration,
        out: &mut Vec<Effect>,
    ) {
        self.realm.call(now, token, procedure, payload, timeout, out);
    }

    /// The id of this node.
    pub fn node(&self) -> &str {
        &self.node
    }

    pub fn name(&self) -> &str {
        self.realm.name()
    }

    pub fn config(&self) -> &RealmConfig {
        self.realm.config()
    }

    pub fn members(&self) -> &Members {
        self.realm.members()
    }

    pub fn broker(&self) -> &Broker {
        self.realm.broker()
    }

    pub fn dealer(&self) -> &Dealer {
        self.realm.dealer()
    }

    /// The link by which this node has dialed in, if it is up.
    pub fn peer_key(&self, node: &str) -> Option<SessionKey> {
        let is_peer = |member: &Member| member.kind == MemberKind::Peer && member.identity.authid == node;
        self.realm.members().iter().find(|(_, member)| is_peer(member)).map(|(key, _)| key)
    }

    /// How many clients of this node have joined.
    pub fn n_sessions(&self) -> usize {
        self.realm.n_sessions()
    }

    /// How many subscriptions clients of this node have.
    pub fn n_subscriptions(&self) -> usize {
        self.realm.n_subscriptions()
    }

    /// How many registrations clients of this node have.
    pub fn n_registrations(&self) -> usize {
        self.realm.n_registrations()
    }
}
