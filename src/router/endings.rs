//! How connections end, at once or in order, and sessions with them.

use super::connection::{Connection, Ending};
use super::crowd::Holder;
use super::shard::{ListenerState, Shard};
use crate::admin::command::ForgetAnswers;
use crate::drop::DropReason;
use crate::kept::Connected;
use crate::limits::SLICE_MAX;
use crate::realm::Forgetting;
use crate::realm::dealer::Farewell;
use crate::session::admission::Admission;
use crate::transport::{Class, Frame, FrameBytes};
use crate::wamp::{SessionKey, error};
use std::rc::Rc;
use std::time::Instant;

impl Shard {
    /// Ends a session in order, for a reason that its client is told.
    pub fn goodbye(&mut self, key: SessionKey, reason: &str, message: &str, drop_reason: DropReason) {
        let now = self.now();
        self.end(now, key, reason, Some(message), drop_reason);
        self.work_off(now);
        self.wake_flusher();
    }

    /// Lets a client finish what it has under way and then go, to connect again and come to another node.
    pub fn send_elsewhere(&mut self, key: SessionKey, farewell: Farewell) {
        let now = self.now();
        if let Some(index) = self.connection(key).and_then(|connection| connection.realm) {
            self.with_realm(index, |realm, effects| realm.depart(now, key, farewell, effects));
        }
        self.work_off(now);
        self.wake_flusher();
    }

    /// Forgets answers of authorizers, see `Realm::forget_answers`. Gives the number of subscriptions and
    /// registrations about which authorizers are asked again.
    pub fn forget_answers(&mut self, command: &ForgetAnswers) -> usize {
        let ForgetAnswers { realm, session, authid, authrole, uri } = command.clone();
        let which = Forgetting { session, authid, authrole, uri };
        let (now, mut n) = (self.now(), 0);
        for index in self.clustered_realms() {
            self.with_realm(index, |slot, effects| {
                if realm.as_deref().is_none_or(|realm| realm == slot.name()) {
                    n += slot.forget_answers(now, &which, effects);
                }
            });
        }
        self.work_off(now);
        self.wake_flusher();
        n
    }

    /// Replaces what a listener admits, and ends every session there that it would not admit any more: links at once,
    /// all others in order.
    pub fn set_admission(&mut self, listener: &Rc<ListenerState>, admission: Admission) {
        *listener.admission.borrow_mut() = admission;
        let keys: Vec<SessionKey> = self.connections.iter().map(|(key, _)| SessionKey(key as u32)).collect();
        for key in keys.into_iter().filter(|key| self.is_revoked(*key, listener)).collect::<Vec<_>>() {
            if listener.is_mesh {
                self.kill(key, DropReason::PeerRemoved);
            } else {
                let message = "what this session was admitted by holds no more";
                self.goodbye(key, error::NOT_AUTHORIZED, message, DropReason::Revoked);
            }
        }
    }

    /// Whether this is a session that its listener, which is this one, would not admit any more.
    fn is_revoked(&self, key: SessionKey, listener: &Rc<ListenerState>) -> bool {
        let session = || {
            let connection = self.connections.get(key.0 as usize)?;
            let slot = self.realms.get(connection.realm?.0)?;
            let identity = &slot.realm.members().member(key)?.identity;
            let is_here = Rc::ptr_eq(&connection.listener, listener);
            Some(is_here && !connection.protocol.is_covered(&listener.admission.borrow(), slot.name(), identity))
        };
        session().unwrap_or(false)
    }

    /// Ends a connection at once: nothing more is read or written.
    pub(super) fn kill(&mut self, key: SessionKey, reason: DropReason) {
        if self.bury(key).is_some() {
            self.note_reason(key, reason);
            self.leave(key);
        }
    }

    /// The same from within a delivery, which may end thousands at a time: nothing is queued for them any more, and
    /// their realms are told one after the other.
    pub(super) fn kill_later(&mut self, key: SessionKey, reason: DropReason) {
        let Some(connection) = self.connection(key).filter(|connection| connection.ending != Ending::Dead) else {
            return;
        };
        connection.ending = Ending::Dead;
        self.note_reason(key, reason);
        self.ended.push_back(key);
        self.wake_flusher();
    }

    /// Has the realms forget those who were ended from within a delivery, one after the other for a slice of time.
    pub(super) fn leave_ended(&mut self) {
        let ends = Instant::now() + SLICE_MAX;
        while let Some(key) = self.ended.pop_front() {
            // Its task may have removed it, and another connection may be at its place.
            if self.connection(key).is_some_and(|connection| connection.ending == Ending::Dead) {
                self.forget_outbox(key);
                self.leave(key);
            }
            if Instant::now() >= ends {
                return;
            }
        }
    }

    /// The peer has closed the transport, or it broke.
    pub(super) fn lose(&mut self, key: SessionKey) {
        let now = self.now();
        if self.bury(key).is_none() {
            return;
        }
        self.with_protocol(now, key, |protocol, _, _, steps| protocol.handle_transport_closed(steps));
        self.work_off(now);
        // Who was asked whether it may come in need not answer any more.
        self.leave(key);
    }

    /// Declares a connection dead; its task removes it. None when it was dead before.
    fn bury(&mut self, key: SessionKey) -> Option<&mut Connection> {
        let connection = self.connection(key).filter(|connection| connection.ending != Ending::Dead)?;
        connection.ending = Ending::Dead;
        self.forget_outbox(key)
    }

    /// Lets go of what a dead connection was to be sent, and wakes its task.
    fn forget_outbox(&mut self, key: SessionKey) -> Option<&mut Connection> {
        let n_unsent = self.connection(key)?.outbox.clear();
        self.note_events(key, DropReason::EventUnsent, n_unsent);
        let connection = self.connection(key)?;
        connection.wake();
        Some(connection)
    }

    /// Ends a connection in order: what waits is written, then our side is closed.
    pub(super) fn close(&mut self, key: SessionKey, farewell: Option<Vec<u8>>) {
        let (now, account) = (self.now(), self.account.clone());
        let Some(connection) = self.connection(key) else { return };
        if connection.ending != Ending::Open {
            return;
        }
        let deadline = now.uptime + connection.listener.limits().close_timeout;
        connection.ending = Ending::Closing { deadline, is_shut: false };
        if let Some(bytes) = farewell {
            let bytes = FrameBytes::new(bytes, &account);
            connection.outbox.push(Frame { bytes, class: Class::Reply });
        }
        connection.wake();
        self.touch(key);
        self.leave(key);
    }

    /// Makes the realm forget the session, if it had joined one.
    pub(super) fn leave(&mut self, key: SessionKey) {
        let now = self.now();
        let Some(connection) = self.connection(key) else { return };
        connection.is_suspended = false;
        (connection.meter, connection.throttled_until) = (None, None);
        connection.share.realm = None;
        let token = connection.authenticating.take();
        let realm = connection.realm.take();
        if realm.is_some() && connection.ending == Ending::Open {
            connection.entry.reopen(Holder::Connection(key));
        }
        if let Some(token) = token {
            self.questions.forget(token);
        }
        if let Some(index) = realm {
            self.with_realm(index, |realm, effects| realm.leave(now, key, effects));
            self.work_off(now);
        }
    }

    /// Forgets a dead connection. Its key may be used again at once.
    pub(super) fn remove(&mut self, key: SessionKey) {
        self.forget_outbox(key);
        self.leave(key);
        let connection = self.connections.remove(key.0 as usize);
        self.account.change_connected(Connected::Inbound, connection.inbound_bytes, 0);
        self.account.change_connected(Connected::Connection, connection.own_bytes, 0);
    }
}
