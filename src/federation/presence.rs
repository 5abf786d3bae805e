//! What the clients of this node are told of those who join and leave on other nodes: all of it, and each once, whether
//! or not the link was up at the time.
//!
//! While a link is up and the peer knows that somebody listens here, the peer sends these meta events as it sends any
//! others. What it could not send, because the link was down or the peer did not know yet, follows from its list of
//! sessions and from its notices (`afterlife`).

use super::ClusteredRealm;
use super::trust::forged;
use crate::mesh::{Kind, Pattern, frames};
use crate::realm::Effect;
use crate::time::Now;
use crate::wamp::SessionKey;
use crate::wire::{Payload, Value};

pub(super) const ON_JOIN: &str = "wamp.session.on_join";
pub(super) const ON_LEAVE: &str = "wamp.session.on_leave";

impl ClusteredRealm {
    /// Takes over what a node says about one of its sessions. Our clients are told of one that was said to have left
    /// and has not, and of one that they have missed.
    pub(super) fn learn_session(
        &mut self,
        now: Now,
        link: SessionKey,
        node: &str,
        told: &Value,
        is_missed: bool,
        out: &mut Vec<Effect>,
    ) {
        let is_ours = told.as_dict().and_then(|told| told.uint("session")).is_some_and(|id| self.is_ours(id));
        let learnt = if is_ours { None } else { self.afterlife.learn(node, told) };
        let Some((id, is_new)) = learnt else {
            let sentence = format!("a session that {node} tells of is another node's, or none");
            return out.push(forged(link, "join", frames::SESSION, sentence));
        };
        let is_back = self.afterlife.exhume(id);
        if let Some(summary) = told.as_dict().filter(|_| is_back || is_new && is_missed) {
            if is_back {
                self.finish_burials(now, out);
            }
            self.realm.welcome_back(now, summary.clone(), out);
        }
    }

    /// A node has said by an event that a session has joined or left. The notice that follows may be lost with the
    /// link, and then nobody is to be told of it a second time.
    pub(super) fn note_meta_event(&mut self, node: &str, topic: &str, payload: &Payload) {
        let args = payload.args().unwrap_or_default();
        match (topic, args.first()) {
            (ON_JOIN, Some(summary)) => drop(self.afterlife.learn(node, summary)),
            (ON_LEAVE, Some(session)) => self.afterlife.forget(node, session.as_uint().unwrap_or_default()),
            _ => {}
        }
    }

    /// Whether a node already knows that clients of this node listen to a topic, and so sends what is published on it.
    pub(super) fn is_told_by(&self, node: &str, topic: &str) -> bool {
        let Some(uplink) = self.uplinks.values().find(|uplink| uplink.node == node) else { return false };
        let heard = self.broker().matching(topic).into_iter().filter_map(|id| self.broker().subscription(id));
        let mut patterns =
            heard.map(|found| Pattern { kind: Kind::Topic, policy: found.policy, uri: found.uri.clone() });
        patterns.any(|pattern| uplink.mirror.is_settled(&pattern))
    }
}
