//! Notices: what a node tells its peers unasked, of its sessions and of what these leave behind and hold. What they
//! hold is told by `holdings`; what becomes of it all is `afterlife`.

use super::ClusteredRealm;
use super::afterlife::write_testament;
use super::presence::{ON_JOIN, ON_LEAVE};
use crate::mesh::frames;
use crate::realm::ids::{IdKind, id_of};
use crate::realm::meta::session_summary;
use crate::realm::testament::TestamentChange;
use crate::realm::{Effect, Member};
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Message, SessionKey};
use crate::wire::{Dict, Payload, Value};

impl ClusteredRealm {
    /// Tells all peers of a session that has joined.
    pub(super) fn notify_session(&self, key: SessionKey, out: &mut Vec<Effect>) {
        if let Some(member) = self.members().member(key) {
            self.notify(frames::SESSION, vec![session_summary(&member.identity).into()], out);
        }
    }

    /// Tells all peers what sessions have done with their testaments: of each no more than the session itself has said.
    pub(super) fn notify_testaments(&self, changes: Vec<TestamentChange>, out: &mut Vec<Effect>) {
        let session_of = |key| self.members().member(key).map(|member: &Member| Value::from(member.identity.session));
        for change in changes {
            match change {
                TestamentChange::Added(key, publication) => {
                    let added = self.realm.testaments(key).iter().find(|added| added.publication == publication);
                    if let (Some(session), Some(testament)) = (session_of(key), added) {
                        self.notify(frames::TESTAMENT, vec![session, write_testament(testament)], out);
                    }
                }
                TestamentChange::Flushed(key, scope) => {
                    if let Some(session) = session_of(key) {
                        self.notify(frames::TESTAMENTS_FLUSHED, vec![session, scope.name().into()], out);
                    }
                }
            }
        }
    }

    /// Tells all peers that a session is gone, after they have got its testaments.
    pub(super) fn notify_session_gone(&self, session: Id, out: &mut Vec<Effect>) {
        self.notify(frames::SESSION_GONE, vec![session.into()], out);
    }

    pub(super) fn notify(&self, topic: &str, told: Vec<Value>, out: &mut Vec<Effect>) {
        let to = self.members().peers().to_vec();
        if !to.is_empty() {
            out.push(Effect::Fanout { to: to.into(), message: notice(topic, told) });
        }
    }

    /// A link has no room for a notice: its peer is told once, and fetches what it has missed.
    pub fn note_overrun(&mut self, key: SessionKey, out: &mut Vec<Effect>) {
        if self.overrun.insert(key) {
            out.push(Effect::Send { to: key, message: notice(frames::OVERRUN, Vec::new()) });
        }
    }

    /// A notice of a peer.
    pub(super) fn handle_notice(
        &mut self,
        now: Now,
        key: SessionKey,
        topic: &str,
        payload: &Payload,
        out: &mut Vec<Effect>,
    ) {
        let Some(node) = self.uplinks.get(&key).map(|uplink| uplink.node.clone()) else { return };
        let args = payload.args().unwrap_or_default();
        let may_grow = [frames::SESSION, frames::TESTAMENT, frames::HELD].contains(&topic);
        match (topic, args.as_slice()) {
            (frames::SESSION, [told]) => {
                let is_missed = !self.is_told_by(&node, ON_JOIN);
                self.learn_session(now, key, &node, told, is_missed, out);
            }
            (frames::TESTAMENT, [session, told]) => {
                self.afterlife.learn_testament(&node, session, told);
            }
            (frames::TESTAMENTS_FLUSHED, [session, scope]) => {
                self.afterlife.forget_testaments(&node, session, scope);
            }
            (frames::HELD | frames::HELD_NO_MORE, told) => self.handle_held(now, key, &node, told, out),
            (frames::SESSION_GONE, [told]) => self.handle_session_gone(now, &node, told, out),
            (frames::OVERRUN, _) => {
                self.afterlife.mark_stale(&node);
                self.fetch_if_stale(key, out);
            }
            _ => {}
        }
        if may_grow {
            self.end_if_excessive(now, key, out);
        }
    }

    fn handle_session_gone(&mut self, now: Now, node: &str, told: &Value, out: &mut Vec<Effect>) {
        if let Some(id) = told.as_uint() {
            // Unless it went silently, it has ceased to hold anything before.
            let (gone, held) = self.afterlife.forget_session(node, id);
            self.end_all(now, held, true, out);
            if let Some(gone) = gone.filter(|_| !self.is_told_by(node, ON_LEAVE)) {
                self.realm.bury(now, gone, out);
            }
        }
    }
}

/// What nodes tell one another is no publication; nobody looks at its ids.
fn notice(topic: &str, told: Vec<Value>) -> Message {
    let subscription = id_of(IdKind::Subscription, Match::Exact, topic, 0, |_| false);
    let (details, payload) = (Dict::new().with("topic", topic), Payload::from_values(told, Dict::new()));
    Message::Event { subscription, publication: 1, details, payload }
}
