//! Messages to outboxes: encoded once per serializer and wrapping, bounded per receiver.

use super::connection::{Connection, Ending};
use super::losses::{Loss, is_notice};
use super::shard::{RealmIndex, Shard};
use crate::config::resolved::SlowConsumer;
use crate::drop::DropReason;
use crate::kept::Account;
use crate::limits::{OUTBOX_STALL_PERCENT, STALL_MAX};
use crate::realm::effect::Receivers;
use crate::transport::{Class, Encoding, Frame, FrameBytes};
use crate::wamp::{Message, SessionKey, codec};
use crate::wire::{Serializer, TooLarge};
use std::rc::Rc;

/// One message in one encoding, as far as it has been made. The frame is that of all receivers that share frames.
#[derive(Clone, Default)]
struct Made {
    message_bytes: Option<usize>,
    frame: Option<FrameBytes>,
}

impl Made {
    /// The frame for one receiver, which is not made before its size is known to fit.
    fn frame(
        &mut self,
        connection: &mut Connection,
        serializer: Serializer,
        class: Class,
        message: &Message,
        buffer: &mut Vec<u8>,
        account: &Rc<Account>,
    ) -> Result<FrameBytes, TooLarge> {
        let bytes_max = connection.message_bytes_max();
        TooLarge::check(self.message_bytes.unwrap_or(0), bytes_max)?;
        let shares = connection.outbound.shares_frames(class);
        if let Some(frame) = self.frame.as_ref().filter(|_| shares) {
            return Ok(frame.clone());
        }
        buffer.clear();
        codec::encode(message, connection.form(serializer), buffer);
        self.message_bytes = Some(buffer.len());
        TooLarge::check(buffer.len(), bytes_max)?;
        if !shares {
            let frame = FrameBytes::new(connection.outbound.wrap(serializer, buffer)?, account);
            connection.recount_itself(account);
            return Ok(frame);
        }
        let frame = Encoding { serializer, wrapping: connection.outbound.wrapping }.wrap(buffer)?;
        Ok(self.frame.insert(FrameBytes::new(frame, account)).clone())
    }
}

impl Shard {
    /// Queues one message for one session.
    pub(super) fn deliver(&mut self, key: SessionKey, message: Message) {
        let class = self.class_of(self.connections.get(key.0 as usize).and_then(|c| c.realm), &message);
        if self.tracer.is_active() {
            self.trace(key, false, &message);
        }
        let link_bytes_max = self.limits.link_outbox_bytes_max;
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return };
        let Some(serializer) = connection.protocol.serializer() else { return };
        let made =
            Made::default().frame(connection, serializer, class, &message, &mut self.encode_buffer, &self.account);
        match made {
            Err(error) => self.handle_loss(key, message, error.into()),
            Ok(frame) if connection.is_full_link(class, &message, frame.len(), link_bytes_max) => {
                self.handle_loss(key, message, Loss::FullLink);
            }
            Ok(frame) if matches!(message, Message::Invocation { .. }) && !self.has_room(key, frame.len()) => {
                self.handle_loss(key, message, Loss::FullCallee);
            }
            Ok(frame) => {
                self.stats.count_out(message.code());
                self.queue_frame(key, frame, class);
            }
        }
    }

    /// Whether a client's outbox takes so many bytes more. One that is empty takes any message.
    fn has_room(&mut self, key: SessionKey, bytes: usize) -> bool {
        let is_full = |shard: &mut Shard| {
            shard.connection(key).is_some_and(|connection| {
                let queued = connection.outbox.held_bytes();
                let bytes_max = connection.listener.limits().outbox_bytes_max;
                !connection.is_link() && queued > 0 && queued + bytes > bytes_max
            })
        };
        if !is_full(self) {
            return true;
        }
        // The socket may have room again by now.
        self.flush(key);
        !is_full(self)
    }

    /// Queues the same event for many sessions. The bytes are made once per encoding and shared.
    pub(super) fn deliver_all(&mut self, realm: RealmIndex, to: &Receivers, message: &Message) {
        let Message::Event { details, .. } = message else { return };
        let class = self.class_of(Some(realm), message);
        let link_bytes_max = self.limits.link_outbox_bytes_max;
        let mut made: [Made; Encoding::COUNT] = Default::default();
        let mut for_links = Made::default();
        if self.tracer.is_active() {
            to.iter().for_each(|key| self.trace(key, false, message));
        }
        for key in to.iter() {
            let Some(connection) = self.connections.get_mut(key.0 as usize) else { continue };
            let Some(serializer) = connection.protocol.serializer() else { continue };
            let encoding = Encoding { serializer, wrapping: connection.outbound.wrapping };
            // What links carry has a form of its own.
            let made = if connection.is_link() { &mut for_links } else { &mut made[encoding.index()] };
            match made.frame(connection, serializer, class, message, &mut self.encode_buffer, &self.account) {
                Err(error) => self.handle_lost_event(key, details, error.into()),
                Ok(frame) if connection.is_full_link(class, message, frame.len(), link_bytes_max) => {
                    self.handle_lost_event(key, details, Loss::FullLink);
                }
                Ok(frame) => {
                    self.stats.count_out(message.code());
                    self.queue_frame(key, frame, class);
                }
            }
        }
    }

    /// How a message may be treated: whether it may wait, and by the realm's policy for its topic whether it may be
    /// dropped. What nodes tell one another is not published, and not counted with the events.
    fn class_of(&self, realm: Option<RealmIndex>, message: &Message) -> Class {
        let Message::Event { subscription, details, .. } = message else { return Class::Reply };
        if is_notice(details) {
            return Class::Reply;
        }
        let Some(slot) = realm.and_then(|index| self.realms.get(index.0)) else { return Class::Event };
        let action = if slot.settings.slow_consumer_rules.is_empty() {
            slot.settings.slow_consumer
        } else {
            // Events of an exact subscription do not name their topic; the subscription does.
            let uri =
                || slot.realm.broker().subscription(*subscription).map_or("", |subscription| subscription.uri.as_str());
            slot.settings.slow_consumer_on(details.str("topic").unwrap_or_else(uri))
        };
        if action == SlowConsumer::DropOldest { Class::Expendable } else { Class::Event }
    }

    /// Queues a frame that is for one connection alone.
    pub(super) fn queue(&mut self, key: SessionKey, bytes: Vec<u8>, class: Class) {
        self.queue_frame(key, FrameBytes::new(bytes, &self.account), class);
    }

    /// Puts a frame into a connection's outbox, and holds the connection to its bound.
    fn queue_frame(&mut self, key: SessionKey, bytes: FrameBytes, class: Class) {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return };
        if connection.ending != Ending::Open {
            // Its realm has yet to hear of its end.
            return self.note_events(key, DropReason::EventUnsent, usize::from(class.is_event()));
        }
        let bytes_max = connection.listener.limits().outbox_bytes_max;
        connection.outbox.push(Frame { bytes, class });
        let queued = connection.outbox.held_bytes();
        let is_link = connection.is_link();
        if !connection.is_touched {
            connection.is_touched = true;
            self.touched.push(key);
            // Where no turn is under way (a deadline has come, an operator wants something), nobody else would.
            self.wake_flusher();
        }
        self.queued_events += u64::from(class.is_event());
        if queued > bytes_max / 100 * OUTBOX_STALL_PERCENT && !is_link {
            self.handle_pressure(key, class, queued, bytes_max);
        }
    }

    /// A receiver is slow: first those who feed it wait, for a bounded part of their time, then it loses events or its
    /// connection. For what may be lost nobody waits.
    fn handle_pressure(&mut self, key: SessionKey, class: Class, queued: usize, bytes_max: usize) {
        if queued > bytes_max {
            // The socket may have room again by now; a burst within one turn is not a slow consumer.
            self.flush(key);
            let Some(connection) = self.connection(key) else { return };
            if connection.outbox.held_bytes() <= bytes_max {
                return;
            }
            let dropped = connection.outbox.drop_oldest_events(bytes_max);
            self.note_events(key, DropReason::OldestEvent, dropped);
            let Some(connection) = self.connection(key) else { return };
            if connection.outbox.held_bytes() > bytes_max {
                return self.kill_later(key, DropReason::SlowConsumer);
            }
        }
        let now = self.now();
        if class != Class::Expendable
            && let Some(source) = self.source.filter(|source| *source != key)
            && let Some(publisher) = self.connection(source)
            // A link carries what all the others on this node wait for as well.
            && !publisher.is_link()
            && publisher.stalled_until.is_none()
            && publisher.stalls.begin(now.uptime)
        {
            let until = now.uptime + STALL_MAX;
            publisher.stalled_until = Some(until);
            self.stats.publisher_stalls.add(1);
            self.stalled.push_back((until, source));
            self.wake_flusher();
        }
    }

    /// An Autobahn testee sends back what it got.
    pub(super) fn echo(&mut self, key: SessionKey, bytes: &[u8], is_text: bool) {
        let Some(connection) = self.connection(key) else { return };
        let frame = connection.outbound.echo(bytes, is_text);
        self.queue(key, frame, Class::Reply);
    }
}
