//! The counters of one shard. Counting is an addition to a plain integer: no lock, no atomic, no allocation.

use crate::drop::DropReason;
use crate::wamp::message::{Code, code};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

/// Owned by one shard, which counts through shared references because its connections do too. Cloning takes a snapshot.
#[derive(Clone, Debug)]
pub struct Stats {
    messages_in: [Cell<u64>; N_SLOTS],
    messages_out: [Cell<u64>; N_SLOTS],
    drops: [Cell<u64>; DropReason::ALL.len()],
    turns: [Cell<u64>; TURN_BUCKETS_US.len() + 1],
    turn_time_us: Cell<u64>,
    /// Bytes read from and written to sockets, as they were on the wire (TLS aside).
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub reads: Counter,
    pub writes: Counter,
    pub connections_accepted: Counter,
    /// Transport handshakes that came to an end in good order.
    pub handshakes: Counter,
    /// Sessions that got their WELCOME.
    pub sessions_opened: Counter,
    /// Times that a publisher's socket was left unread because a receiver was slow.
    pub publisher_stalls: Counter,
    /// Times that a session's socket was left unread because it had sent more than its role may.
    pub throttles: Counter,
}

/// One number that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }

    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

impl Stats {
    /// A message of this type was received from a client or peer.
    pub fn count_in(&self, code: Code) {
        bump(&self.messages_in, slot(code));
    }

    /// A message of this type was put into an outbox.
    pub fn count_out(&self, code: Code) {
        bump(&self.messages_out, slot(code));
    }

    /// The same message was put into `n` outboxes.
    pub fn count_out_many(&self, code: Code, n: usize) {
        if let Some(cell) = self.messages_out.get(slot(code)) {
            cell.set(cell.get() + n as u64);
        }
    }

    pub fn count_read(&self, bytes: usize) {
        self.reads.add(1);
        self.bytes_in.add(bytes as u64);
    }

    pub fn count_write(&self, bytes: usize) {
        self.writes.add(1);
        self.bytes_out.add(bytes as u64);
    }

    pub fn count_drop(&self, reason: DropReason) {
        self.count_drops(reason, 1);
    }

    /// So many messages were lost for the same reason.
    pub fn count_drops(&self, reason: DropReason, n: usize) {
        if let Some(cell) = self.drops.get(reason as usize) {
            cell.set(cell.get() + n as u64);
        }
    }

    /// One turn of the loop took this long, from waking to the last flush.
    pub fn count_turn(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        bump(&self.turns, TURN_BUCKETS_US.partition_point(|bound| *bound < us));
        self.turn_time_us.set(self.turn_time_us.get().saturating_add(us));
    }

    pub fn messages_in(&self, code: Code) -> u64 {
        self.messages_in[slot(code)].get()
    }

    pub fn messages_out(&self, code: Code) -> u64 {
        self.messages_out[slot(code)].get()
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize].get()
    }

    /// All drops that there were, by the names of their reasons.
    pub fn drops_by_name(&self) -> BTreeMap<String, u64> {
        let all = DropReason::ALL.iter().map(|reason| (reason.name().to_owned(), self.drops(*reason)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Turns in each bucket of `TURN_BUCKETS_US`, then those above all of them.
    pub fn turns(&self) -> impl Iterator<Item = u64> {
        self.turns.iter().map(Cell::get)
    }

    /// The time that all turns took together.
    pub fn turn_time(&self) -> Duration {
        Duration::from_micros(self.turn_time_us.get())
    }
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            messages_in: [const { Cell::new(0) }; N_SLOTS],
            messages_out: [const { Cell::new(0) }; N_SLOTS],
            drops: [const { Cell::new(0) }; DropReason::ALL.len()],
            turns: [const { Cell::new(0) }; TURN_BUCKETS_US.len() + 1],
            turn_time_us: Cell::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            connections_accepted: Counter::default(),
            handshakes: Counter::default(),
            sessions_opened: Counter::default(),
            publisher_stalls: Counter::default(),
            throttles: Counter::default(),
        }
    }
}

fn bump(cells: &[Cell<u64>], at: usize) {
    if let Some(cell) = cells.get(at) {
        cell.set(cell.get() + 1);
    }
}

/// Where a message type is counted: at its code, and the one code that is far off at the end.
const fn slot(code: Code) -> usize {
    if code == code::EVENT_RECEIVED {
        N_SLOTS - 1
    } else if code <= code::YIELD {
        code as usize
    } else {
        // No message has code 0, so what no code counts disturbs nobody.
        0
    }
}

const N_SLOTS: usize = code::YIELD as usize + 2;

/// Upper bounds of the turn histogram: around the 5 ms that events wait at most, with room for what must not happen.
pub const TURN_BUCKETS_US: [u64; 14] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// The `type` label of each message type.
pub const MESSAGE_TYPES: &[(Code, &str)] = &[
    (code::HELLO, "hello"),
    (code::WELCOME, "welcome"),
    (code::ABORT, "abort"),
    (code::CHALLENGE, "challenge"),
    (code::AUTHENTICATE, "authenticate"),
    (code::GOODBYE, "goodbye"),
    (code::ERROR, "error"),
    (code::PUBLISH, "publish"),
    (code::PUBLISHED, "published"),
    (code::SUBSCRIBE, "subscribe"),
    (code::SUBSCRIBED, "subscribed"),
    (code::UNSUBSCRIBE, "unsubscribe"),
    (code::UNSUBSCRIBED, "unsubscribed"),
    (code::EVENT, "event"),
    (code::CALL, "call"),
    (code::CANCEL, "cancel"),
    (code::RESULT, "result"),
    (code::REGISTER, "register"),
    (code::REGISTERED, "registered"),
    (code::UNREGISTER, "unregister"),
    (code::UNREGISTERED, "unregistered"),
    (code::INVOCATION, "invocation"),
    (code::INTERRUPT, "interrupt"),
    (code::YIELD, "yield"),
    (code::EVENT_RECEIVED, "event_received"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_type_has_its_own_counter() {
        let stats = Stats::default();
        for (n, (code, _)) in MESSAGE_TYPES.iter().enumerate() {
            stats.count_out_many(*code, n + 1);
        }
        stats.count_out(9_999);
        for (n, (code, name)) in MESSAGE_TYPES.iter().enumerate() {
            assert_eq!(stats.messages_out(*code), n as u64 + 1, "{name}");
        }
    }

    #[test]
    fn turns_fall_into_the_bucket_that_bounds_them() {
        let stats = Stats::default();
        for us in [0, 10, 11, 1_000_000, 1_000_001, u64::MAX] {
            stats.count_turn(Duration::from_micros(us));
        }
        let turns: Vec<u64> = stats.turns().collect();
        assert_eq!((turns[0], turns[1], turns[13], turns[14]), (2, 1, 1, 2));
        assert_eq!(turns.iter().sum::<u64>(), 6);
    }
}
