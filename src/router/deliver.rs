//! Messages to outboxes: encoded once per serializer and wrapping, bounded per receiver.

use super::connection::Ending;
use super::shard::{RealmIndex, Shard};
use crate::config::resolved::SlowConsumer;
use crate::drop::DropReason;
use crate::limits::{OUTBOX_STALL_PERCENT, STALL_MAX};
use crate::mesh::frames;
use crate::transport::{Class, Encoding, Frame};
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, codec, error};
use crate::wire::{Dict, Payload};
use bytes::Bytes;

impl Shard {
    /// Queues one message for one session.
    pub(super) fn deliver(&mut self, key: SessionKey, message: Message) {
        let mut buffer = std::mem::take(&mut self.encode_buffer);
        buffer.clear();
        let class = self.class_of(self.connections.get(key.0 as usize).and_then(|c| c.realm), &message);
        if self.tracer.is_active() {
            self.trace(key, false, &message);
        }
        let link_bytes_max = self.limits.link_outbox_bytes_max;
        if let Some(connection) = self.connections.get_mut(key.0 as usize)
            && let Some(serializer) = connection.serializer
        {
            codec::encode(&message, serializer, &mut buffer);
            if buffer.len() > connection.outbound.message_bytes_max {
                self.handle_oversized(key, message);
            } else if connection.is_full_link(class, buffer.len(), link_bytes_max) {
                self.handle_full_link(key, &message);
            } else {
                let frame = if connection.outbound.shares_frames(class) {
                    Encoding { serializer, wrapping: connection.outbound.wrapping }.wrap(&buffer)
                } else {
                    connection.outbound.wrap(serializer, &buffer)
                };
                self.stats.count_out(message.code());
                self.queue(key, frame, class);
            }
        }
        self.encode_buffer = buffer;
    }

    /// Queues the same event for many sessions. The bytes are made once per encoding and shared.
    pub(super) fn deliver_all(&mut self, realm: RealmIndex, keys: &[SessionKey], message: &Message) {
        let class = self.class_of(Some(realm), message);
        let link_bytes_max = self.limits.link_outbox_bytes_max;
        let mut buffer = std::mem::take(&mut self.encode_buffer);
        // By encoding: how long the message is, and its frame.
        let mut shared: [Option<(usize, Bytes)>; Encoding::COUNT] = Default::default();
        if self.tracer.is_active() {
            keys.iter().for_each(|key| self.trace(*key, false, message));
        }
        for &key in keys {
            let Some(connection) = self.connections.get_mut(key.0 as usize) else { continue };
            let Some(serializer) = connection.serializer else { continue };
            let encoding = Encoding { serializer, wrapping: connection.outbound.wrapping };
            let slot = &mut shared[encoding.index()];
            let shares = connection.outbound.shares_frames(class);
            let (message_bytes, frame) = match slot {
                Some(frame) if shares => frame.clone(),
                _ => {
                    buffer.clear();
                    codec::encode(message, serializer, &mut buffer);
                    if shares {
                        slot.insert((buffer.len(), encoding.wrap(&buffer))).clone()
                    } else {
                        (buffer.len(), connection.outbound.wrap(serializer, &buffer))
                    }
                }
            };
            if message_bytes > connection.outbound.message_bytes_max {
                self.stats.count_drop(DropReason::ReceiverLimit);
                continue;
            }
            if connection.is_full_link(class, frame.len(), link_bytes_max) {
                self.handle_full_link(key, message);
                continue;
            }
            self.stats.count_out(message.code());
            self.queue(key, frame, class);
        }
        self.encode_buffer = buffer;
    }

    /// How a message may be treated: whether it may wait, and by the realm's policy for its topic whether it may be
    /// dropped.
    fn class_of(&self, realm: Option<RealmIndex>, message: &Message) -> Class {
        let Message::Event { subscription, details, .. } = message else { return Class::Reply };
        let Some(slot) = realm.and_then(|index| self.realms.get(index.0)?.as_ref()) else { return Class::Event };
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

    /// A full link takes no more: events are dropped and counted, calls are answered at once, and a link on which an
    /// answer or what a node has to know would be lost is given up, which answers everybody.
    fn handle_full_link(&mut self, key: SessionKey, message: &Message) {
        match message {
            Message::Event { details, .. } if !is_notice(details) => self.stats.count_drop(DropReason::LinkQueueFull),
            Message::Invocation { request, .. } => {
                self.stats.count_drop(DropReason::LinkQueueFull);
                self.refuse_invocation(key, *request, error::NETWORK_FAILURE, "the link to the callee's node is full");
            }
            _ => self.kill_later(key, DropReason::LinkQueueFull),
        }
    }

    /// Answers an INVOCATION that cannot be sent, in the callee's place.
    fn refuse_invocation(&mut self, key: SessionKey, request: Id, error: &str, sentence: &str) {
        let Some(index) = self.connection(key).and_then(|connection| connection.realm) else { return };
        let now = self.now();
        let answer = Message::error(code::INVOCATION, request, error, sentence);
        self.with_realm(index, |realm, effects| realm.handle_message(now, key, answer, effects));
    }

    /// Puts a frame into a connection's outbox, and holds the connection to its bound.
    pub(super) fn queue(&mut self, key: SessionKey, bytes: Bytes, class: Class) {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return };
        if connection.ending != Ending::Open {
            return;
        }
        let bytes_max = connection.listener.limits().outbox_bytes_max;
        connection.outbox.push(Frame { bytes, class });
        let queued = connection.outbox.queued_bytes();
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
            if connection.outbox.queued_bytes() <= bytes_max {
                return;
            }
            let dropped = connection.outbox.drop_oldest_events(bytes_max);
            for _ in 0..dropped {
                self.stats.count_drop(DropReason::OldestEvent);
            }
            let Some(connection) = self.connection(key) else { return };
            if connection.outbox.queued_bytes() > bytes_max {
                tracing::info!(key = key.0, queued, "slow consumer disconnected");
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

    /// The receiver said that it takes no message of this size. Nothing may be lost silently that somebody waits for.
    fn handle_oversized(&mut self, key: SessionKey, message: Message) {
        const SENTENCE: &str = "larger than the receiver accepts";
        if matches!(message, Message::Welcome { .. }) {
            // A session of which the peer cannot be told is none.
            return self.abort(key, error::PAYLOAD_SIZE_EXCEEDED, SENTENCE, DropReason::ReceiverLimit);
        }
        self.stats.count_drop(DropReason::ReceiverLimit);
        match message {
            Message::Result { request, .. } => {
                let refusal = Message::error(code::CALL, request, error::PAYLOAD_SIZE_EXCEEDED, SENTENCE);
                self.deliver(key, refusal);
            }
            Message::Error { request_type, request, error, details, payload } => {
                let is_bare = details.is_empty() && payload.is_empty();
                // Where even the URI alone is too large, ours is not.
                let error = if is_bare { error::PAYLOAD_SIZE_EXCEEDED.to_owned() } else { error };
                let (details, payload) = (Dict::new(), Payload::empty());
                self.deliver(key, Message::Error { request_type, request, details, error, payload });
            }
            Message::Invocation { request, .. } => {
                self.refuse_invocation(key, request, error::PAYLOAD_SIZE_EXCEEDED, SENTENCE);
            }
            Message::Goodbye { details, reason } if !details.is_empty() => {
                self.deliver(key, Message::Goodbye { details: Dict::new(), reason });
            }
            _ => {}
        }
    }

    /// An Autobahn testee sends back what it got.
    pub(super) fn echo(&mut self, key: SessionKey, bytes: &[u8], is_text: bool) {
        let Some(connection) = self.connection(key) else { return };
        let frame = connection.outbound.echo(bytes, is_text);
        self.queue(key, frame, Class::Reply);
    }
}

/// Whether an event is what nodes tell one another, rather than a publication.
fn is_notice(details: &Dict) -> bool {
    details.str("topic").is_some_and(|topic| topic.starts_with(frames::NAMESPACE))
}
