//! The read half of a turn: from a socket that is readable to the messages in what it had.

use super::connection::Ending;
use super::shard::Shard;
use crate::drop::DropReason;
use crate::limits::TURN_READ_BYTES_MAX;
use crate::time::Now;
use crate::transport::{Broken, Class, Incoming, Wrapping};
use crate::wamp::{SessionKey, codec};
use crate::wire::Serializer;
use crate::wire::batch::{Batch, Batching, SEPARATOR_DEPLOYED};
use crate::wire::websocket::CloseCode;
use std::io;
use std::task::Poll;

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// The socket has nothing more.
    Drained,
    /// It may have more, but others have their turn first.
    Enough,
    /// Nothing may be read now.
    Paused,
}

impl Shard {
    /// What a connection's task does when it is woken. Ready when the connection is gone.
    pub(super) fn drive(&mut self, key: SessionKey, cx: &mut std::task::Context<'_>) -> Poll<()> {
        loop {
            let Some(connection) = self.connection(key) else { return Poll::Ready(()) };
            if connection.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                connection.waker = Some(cx.waker().clone());
            }
            if connection.ending == Ending::Dead {
                self.remove(key);
                return Poll::Ready(());
            }
            let stream = connection.stream.clone();
            if connection.wants_write && stream.poll_write_ready(cx).is_ready() {
                self.flush(key);
                continue;
            }
            if connection.has_parked() && connection.may_route() {
                self.route_parked(key);
                continue;
            }
            if !connection.may_read() || stream.poll_read_ready(cx).is_pending() {
                return Poll::Pending;
            }
            match self.read(key) {
                Read::Drained => {}
                Read::Paused => return Poll::Pending,
                Read::Enough => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads and routes what the socket has, up to the bound of one turn.
    fn read(&mut self, key: SessionKey) -> Read {
        let now = self.now();
        self.begin_turn();
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let mut read_bytes = 0;
        let outcome = loop {
            let Some(connection) = self.connection(key) else { break Read::Paused };
            if !connection.may_read() {
                break if connection.ending == Ending::Dead { Read::Drained } else { Read::Paused };
            }
            match connection.stream.try_read(&mut buffer) {
                Ok(0) => {
                    self.lose(key);
                    break Read::Drained;
                }
                Ok(n) => {
                    connection.heard = now.uptime;
                    connection.pinged = None;
                    self.stats.count_read(n);
                    self.route_bytes(now, key, &mut buffer[..n]);
                    read_bytes += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Read::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Only TLS finds fault with what it reads.
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.kill(key, DropReason::TransportViolation);
                    } else {
                        self.lose(key);
                    }
                    break Read::Drained;
                }
            }
            if read_bytes >= TURN_READ_BYTES_MAX {
                break Read::Enough;
            }
        };
        self.read_buffer = buffer;
        outcome
    }

    /// Routes what was read before the session was suspended (or came with the handshake).
    fn route_parked(&mut self, key: SessionKey) {
        let now = self.now();
        self.begin_turn();
        while let Some(connection) = self.connection(key)
            && connection.may_route()
        {
            match connection.waiting.pop_front() {
                Some(message) => self.handle_message(now, key, message),
                None => {
                    let mut parked = std::mem::take(&mut connection.parked);
                    return self.route_bytes(now, key, &mut parked);
                }
            }
        }
    }

    /// Finds the messages in `input` and routes them, until the session may route no more; the rest is parked.
    fn route_bytes(&mut self, now: Now, key: SessionKey, mut input: &mut [u8]) {
        let Some(mut inbound) = self.connection(key).and_then(|connection| connection.inbound.take()) else { return };
        while !input.is_empty() {
            let Some(connection) = self.connection(key) else { return };
            if connection.ending != Ending::Open {
                break;
            }
            if connection.is_suspended {
                connection.parked.extend_from_slice(input);
                break;
            }
            let taken = match inbound.decode(input) {
                Ok((taken, incoming)) => {
                    if let Some(incoming) = incoming {
                        self.handle_incoming(now, key, incoming);
                    }
                    taken
                }
                Err(broken) => {
                    self.handle_broken(key, broken);
                    break;
                }
            };
            input = &mut input[taken..];
        }
        if let Some(connection) = self.connection(key) {
            connection.inbound = Some(inbound);
        }
    }

    fn handle_incoming(&mut self, now: Now, key: SessionKey, incoming: Incoming<'_>) {
        let Some(connection) = self.connection(key) else { return };
        match incoming {
            Incoming::Ping(payload) => {
                let pong = connection.outbound.pong(&payload);
                self.queue(key, pong, Class::Reply);
            }
            Incoming::Pong => connection.round_trip = Some(now.uptime.saturating_sub(connection.ping_sent)),
            Incoming::Close { code } => {
                // A browser takes an empty answer to its empty close (its 1005) for a lost connection.
                let farewell = connection.outbound.close(code.or(Some(CloseCode::NORMAL)), "");
                self.close(key, farewell);
            }
            Incoming::Message { bytes, is_text } => match connection.serializer {
                None => self.echo(key, &bytes, is_text == Some(true)),
                Some(serializer) if is_text.is_some_and(|is_text| is_text != (serializer == Serializer::Json)) => {
                    let expected = if serializer == Serializer::Json { "text" } else { "binary" };
                    self.handle_violation(now, key, &format!("{} needs {expected} messages", serializer.name()));
                }
                Some(serializer) => self.handle_payload(now, key, serializer, &bytes),
            },
        }
    }

    /// One transport message: a WAMP message, or a batch of them.
    fn handle_payload(&mut self, now: Now, key: SessionKey, serializer: Serializer, bytes: &[u8]) {
        let Some(connection) = self.connection(key) else { return };
        if !matches!(connection.outbound.wrapping, Wrapping::Batched | Wrapping::BatchedLegacy) {
            return self.handle_message_bytes(now, key, serializer, bytes);
        }
        let batch = match Batch::new(serializer, bytes) {
            Ok(batch) => batch,
            Err(error) => return self.handle_violation(now, key, &error.to_string()),
        };
        if batch.batching() == Batching::Separator(SEPARATOR_DEPLOYED) {
            connection.outbound.wrapping = Wrapping::BatchedLegacy;
        }
        for message in batch {
            match message {
                Ok(bytes) => self.handle_message_bytes(now, key, serializer, bytes),
                Err(error) => return self.handle_violation(now, key, &error.to_string()),
            }
        }
    }

    fn handle_message_bytes(&mut self, now: Now, key: SessionKey, serializer: Serializer, bytes: &[u8]) {
        let Some(connection) = self.connection(key) else { return };
        let depth_max = connection.listener.limits().message_depth_max;
        match codec::decode(serializer, bytes, depth_max) {
            Ok(message) => {
                self.stats.count_in(message.code());
                if self.tracer.is_active() {
                    self.trace(key, true, &message);
                }
                self.handle_message(now, key, message);
            }
            Err(error) => self.handle_violation(now, key, &error.to_string()),
        }
    }

    /// The peer broke the transport; there is no way to say ABORT on it.
    fn handle_broken(&mut self, key: SessionKey, broken: Broken) {
        tracing::debug!(key = key.0, reason = %broken.reason, message = broken.message, "transport violation");
        self.stats.count_drop(broken.reason);
        let farewell = (!broken.farewell.is_empty()).then(|| broken.farewell.into());
        self.close(key, farewell);
    }
}
