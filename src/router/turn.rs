//! The read half of a turn: from a socket that is readable to the messages in what it had. Connections are served in
//! slices of time, in the order that `Rounds` gives them.

use super::connection::{Ending, ParkedBatch};
use super::rounds::Place;
use super::shard::Shard;
use crate::drop::{DropReason, Refused};
use crate::limits::{LINK_DEPTH_MAX, READ_BYTES_MIN, SLICE_MAX, TURN_MAX, TURN_READ_BYTES_MAX};
use crate::time::Now;
use crate::transport::{Broken, Class, Incoming, Wrapping};
use crate::wamp::{SessionKey, codec};
use crate::wire::Serializer;
use crate::wire::batch::{Batch, Batching, SEPARATOR_DEPLOYED};
use crate::wire::websocket::CloseCode;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

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

/// The time that one connection may take before others have theirs. A message that has been begun is finished: what it
/// costs beyond the slice is charged to its connection.
#[derive(Debug)]
pub(super) struct Slice {
    ends: Instant,
    /// What was routed since the clock was last asked, see `note`.
    weight: usize,
}

impl Slice {
    /// A slice that starts now.
    pub(super) fn new(now: Instant) -> Slice {
        Slice { ends: now + SLICE_MAX, weight: 0 }
    }

    /// A message has been routed: so many bytes, to so many receivers.
    fn note(&mut self, bytes: usize, receivers: u64) {
        self.weight += 1 + bytes / 1_024 + usize::try_from(receivers).unwrap_or(usize::MAX) / 8;
    }

    /// Whether the time is over. The clock is asked only after enough has been done for it to have moved.
    fn is_over(&mut self) -> bool {
        if self.weight < CLOCK_WEIGHT {
            return false;
        }
        self.weight = 0;
        let is_over = Instant::now() >= self.ends;
        if is_over {
            // Whoever asks again gets the same answer.
            self.weight = CLOCK_WEIGHT;
        }
        is_over
    }
}

/// About as many microseconds as small messages take; to ask the clock after each would cost a few percent of them.
const CLOCK_WEIGHT: usize = 16;

impl Shard {
    /// What a connection's task does when it is woken. Ready when the connection is gone.
    pub(super) fn drive(&mut self, key: SessionKey, cx: &mut Context<'_>) -> Poll<()> {
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
            self.await_slice(key, cx);
            return Poll::Pending;
        }
    }

    /// Has a connection wait for its slice if it has anything to route or to read. Otherwise its task is woken when its
    /// socket becomes readable.
    fn await_slice(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return };
        if connection.share.is_waiting() {
            return;
        }
        if connection.has_work() || (connection.may_read() && connection.stream.poll_read_ready(cx).is_ready()) {
            self.rounds.add(key, &mut connection.share);
            self.wake_flusher();
        }
    }

    /// Serves connections that wait, until none does or the turn has lasted long enough.
    pub(super) fn serve_rounds(&mut self) {
        if self.rounds.is_empty() {
            return;
        }
        self.begin_turn();
        let mut started = Instant::now();
        let ends = started + TURN_MAX;
        while let Some(place) = self.rounds.take_next() {
            let share = self.connections.get_mut(place.key.0 as usize).map(|connection| &mut connection.share);
            if !share.is_some_and(|share| place.claim(share)) {
                continue;
            }
            self.slice = Slice::new(started);
            started = self.serve(place, started);
            if started >= ends {
                return;
            }
        }
    }

    /// Serves one connection for a slice. Gives the time at which it ended.
    fn serve(&mut self, place: Place, started: Instant) -> Instant {
        let key = place.key;
        self.route_parked(key);
        let read = match self.connection(key) {
            Some(connection) if !connection.has_work() => self.read(key),
            _ => Read::Paused,
        };
        let ended = Instant::now();
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return ended };
        connection.recount_inbound(&self.account);
        connection.recount_itself(&self.account);
        place.charge(&mut connection.share, ended - started);
        if read == Read::Enough {
            self.rounds.add(key, &mut connection.share);
        } else if connection.ending != Ending::Dead
            && let Some(waker) = connection.waker.clone()
        {
            // Without a detour over the connection's task, which the socket wakes when there is more.
            self.await_slice(key, &mut Context::from_waker(&waker));
        }
        ended
    }

    /// Reads and routes what the socket has, up to the bound of one turn.
    fn read(&mut self, key: SessionKey) -> Read {
        let now = self.now();
        let mut buffer = std::mem::take(&mut self.read_buffer);
        // What a slice leaves unrouted is kept, so the more connections wait, the less is read at a time.
        let read_bytes_max = (buffer.len() / (1 + self.rounds.len() / 16)).max(READ_BYTES_MIN);
        let mut read_bytes = 0;
        let outcome = loop {
            let Some(connection) = self.connection(key) else { break Read::Paused };
            if !connection.may_read() {
                break if connection.ending == Ending::Dead { Read::Drained } else { Read::Paused };
            }
            match connection.stream.try_read(&mut buffer[..read_bytes_max]) {
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
            if read_bytes >= TURN_READ_BYTES_MAX || self.slice.is_over() {
                break Read::Enough;
            }
        };
        self.read_buffer = buffer;
        outcome
    }

    /// Routes what was read before the session was suspended or its slice was over (or came with the handshake).
    fn route_parked(&mut self, key: SessionKey) {
        let now = self.now();
        while let Some(connection) = self.connection(key)
            && connection.has_work()
            && !self.slice.is_over()
        {
            let Some(connection) = self.connection(key) else { return };
            match connection.batch.take() {
                Some(parked) => self.route_parked_batch(now, key, parked),
                None => {
                    let mut parked = std::mem::take(&mut connection.parked);
                    self.route_bytes(now, key, &mut parked);
                }
            }
        }
    }

    /// Finds the messages in `input` and routes them, until the session may route no more or its slice is over; the
    /// rest is parked.
    fn route_bytes(&mut self, now: Now, key: SessionKey, mut input: &mut [u8]) {
        let Some(connection) = self.connection(key) else { return };
        let is_linked = connection.is_link() && connection.realm.is_some();
        let Some(mut inbound) = connection.inbound.take() else { return };
        if is_linked {
            inbound.widen();
        }
        while !input.is_empty() {
            let Some(connection) = self.connection(key) else { return };
            if connection.ending != Ending::Open {
                break;
            }
            if !connection.may_route() || connection.batch.is_some() || self.slice.is_over() {
                self.park(key, input);
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
            Incoming::Ping(payload) => match connection.outbound.pong(&payload) {
                Ok(pong) => self.queue(key, pong, Class::Reply),
                Err(_) => self.note_reason(key, DropReason::ReceiverLimit),
            },
            Incoming::Pong => connection.round_trip = Some(now.uptime.saturating_sub(connection.ping_sent)),
            Incoming::Close { code } => {
                // A browser takes an empty answer to its empty close (its 1005) for a lost connection.
                let farewell = connection.outbound.close(code.or(Some(CloseCode::NORMAL)), "");
                self.close(key, farewell);
            }
            Incoming::Message { bytes, is_text } => match connection.protocol.serializer() {
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
        let mut batch = match Batch::new(serializer, bytes) {
            Ok(batch) => batch,
            Err(error) => return self.handle_violation(now, key, &error.to_string()),
        };
        if batch.batching() == Batching::Separator(SEPARATOR_DEPLOYED) {
            connection.outbound.wrapping = Wrapping::BatchedLegacy;
        }
        self.route_batch(now, key, serializer, &mut batch);
        if !batch.rest().is_empty()
            && let Some(connection) = self.connection(key)
        {
            connection.batch =
                Some(Box::new(ParkedBatch { batching: batch.batching(), bytes: batch.rest().to_vec(), at: 0 }));
        }
    }

    fn route_parked_batch(&mut self, now: Now, key: SessionKey, mut parked: Box<ParkedBatch>) {
        let Some(serializer) = self.connection(key).and_then(|connection| connection.protocol.serializer()) else {
            return;
        };
        let rest = parked.bytes.get(parked.at..).unwrap_or_default();
        let mut batch = Batch::resume(serializer, parked.batching, rest);
        self.route_batch(now, key, serializer, &mut batch);
        parked.at = parked.bytes.len() - batch.rest().len();
        if parked.at < parked.bytes.len()
            && let Some(connection) = self.connection(key)
        {
            connection.batch = Some(parked);
        }
    }

    /// Routes the messages of a batch, until the session may route no more or its slice is over.
    fn route_batch(&mut self, now: Now, key: SessionKey, serializer: Serializer, batch: &mut Batch<'_>) {
        while self.connection(key).is_some_and(|connection| connection.may_route())
            && !self.slice.is_over()
            && let Some(message) = batch.next()
        {
            match message {
                Ok(bytes) => self.handle_message_bytes(now, key, serializer, bytes),
                Err(error) => self.handle_violation(now, key, &error.to_string()),
            }
        }
    }

    fn park(&mut self, key: SessionKey, rest: &[u8]) {
        if let Some(connection) = self.connection(key) {
            connection.parked.extend_from_slice(rest);
        }
    }

    fn handle_message_bytes(&mut self, now: Now, key: SessionKey, serializer: Serializer, bytes: &[u8]) {
        let Some(connection) = self.connection(key) else { return };
        let form = connection.form(serializer);
        let depth_max = match connection.is_link() {
            true => LINK_DEPTH_MAX,
            false => connection.listener.limits().message_depth_max,
        };
        // Before it is handled: the message by which a session is let in is not charged to it.
        self.charge_rate(now, key, bytes.len());
        let queued_events = self.queued_events;
        match codec::decode(form, bytes, depth_max) {
            Ok(message) => {
                self.stats.count_in(message.code());
                if self.tracer.is_active() {
                    self.trace(key, true, &message);
                }
                self.handle_message(now, key, message);
            }
            Err(error) => self.handle_violation(now, key, &error.to_string()),
        }
        self.slice.note(bytes.len(), self.queued_events.saturating_sub(queued_events));
    }

    /// The peer broke the transport; there is no way to say ABORT on it.
    fn handle_broken(&mut self, key: SessionKey, broken: Broken) {
        self.note(key, Refused::new(broken.reason, broken.message));
        let farewell = (!broken.farewell.is_empty()).then_some(broken.farewell);
        self.close(key, farewell);
    }
}
