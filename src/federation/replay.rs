//! How a link that has come up is told everything that is wanted of its peer, and how the peer knows when that is all.
//!
//! It is said in portions: the next one when the peer has answered, so that neither node is busy with it for long and
//! no queue grows with the number of patterns. After the last one comes a mark. A node that has just started waits for
//! the marks of its peers before it lets clients in: from then on it knows what to send them.

use super::ClusteredRealm;
use crate::limits::REPLAY_PORTION;
use crate::mesh::{Kind, LinkCall, Pattern};
use crate::realm::Effect;
use crate::wamp::SessionKey;

/// How far the replay of a peer that has dialed in has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What it has said so far.
    pub n_messages: u64,
    /// It has said that this is all. What it wants anew comes after that.
    pub is_all: bool,
}

impl ClusteredRealm {
    /// Begins to tell a link that has come up everything.
    pub(super) fn begin_replay(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        let topic = |found: &crate::realm::broker::Subscription| (Kind::Topic, found.policy, found.uri.clone());
        let procedure = |found: &crate::realm::dealer::Registration| (Kind::Procedure, found.policy, found.uri.clone());
        let held = (self.realm.broker().subscriptions().map(topic))
            .chain(self.realm.dealer().registrations().map(procedure))
            .map(|(kind, policy, uri)| Pattern { kind, policy, uri });
        let patterns = self.settling.patterns().cloned().chain(held).collect();
        if let Some(uplink) = self.uplinks.get_mut(&key) {
            uplink.unsaid = Some(patterns);
        }
        self.go_on_replaying(key, out);
    }

    /// Says as much as the peer may be asked at a time, and after the last of it that this was all.
    pub(super) fn go_on_replaying(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        while let Some(uplink) = self.uplinks.get_mut(&key)
            && uplink.n_unanswered() < REPLAY_PORTION
            && let Some(unsaid) = &mut uplink.unsaid
        {
            let Some(pattern) = unsaid.pop_front() else {
                uplink.unsaid = None;
                return self.ask_peer(key, LinkCall::Replayed, Vec::new(), out);
            };
            let want = self.want(&pattern);
            let said = self.uplinks.get_mut(&key).and_then(|uplink| uplink.want(&pattern, want));
            out.extend(said.map(|message| Effect::Send { to: key, message }));
        }
    }

    /// How far the replay of a node that has dialed in has come; None while it has not.
    pub fn heard_of(&self, node: &str) -> Option<Heard> {
        self.peer_key(node).map(|key| self.heard.get(&key).copied().unwrap_or_default())
    }

    /// A peer has said something on the link that it has dialed.
    pub(super) fn note_heard(&mut self, key: SessionKey) {
        if let Some(heard) = self.heard.get_mut(&key) {
            heard.n_messages += 1;
        }
    }

    /// A peer has said that it has said everything.
    pub(super) fn note_all_heard(&mut self, key: SessionKey) {
        if let Some(heard) = self.heard.get_mut(&key) {
            heard.is_all = true;
        }
    }
}
