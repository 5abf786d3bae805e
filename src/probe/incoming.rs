//! What a session hears: each EVENT is checked and counted without being decoded as a whole.

use super::clock::monotonic_ns;
use super::link::{Lost, SERIALIZER};
use super::stamp::{Filling, Stamp};
use super::tally::Tally;
use crate::limits::Limits;
use crate::wamp::message::code;
use crate::wire::Elements;
use hdrhistogram::Histogram;
use memchr::memmem;

/// All that one session has heard.
pub(super) struct Heard {
    run: u32,
    size: usize,
    pub tally: Tally,
    pub received: u64,
    pub forwarded: u64,
    pub corrupted: u64,
    /// When the newest event came; 0 before the first.
    pub last_ns: u64,
    /// When the first event came after the session was opened anew, if it was.
    pub first_after_ns: Option<u64>,
    nodes: Vec<HeardNode>,
}

/// What was heard from the publishers on one node.
struct HeardNode {
    tag: u64,
    /// When the newest event came; 0 when this session was away since.
    last_ns: u64,
    silence_ns: u64,
}

/// What the sessions of a process share while they listen.
pub(super) struct Listening<'c> {
    pub now_ns: u64,
    pub filling: &'c Filling,
    pub latencies: &'c mut Histogram<u64>,
}

impl Heard {
    pub(super) fn new(run: u32, size: usize, publishers: usize) -> Heard {
        Heard {
            run,
            size,
            tally: Tally::new(publishers),
            received: 0,
            forwarded: 0,
            corrupted: 0,
            last_ns: 0,
            first_after_ns: None,
            nodes: Vec::new(),
        }
    }

    /// Takes a message if it is an EVENT. False when it is something else.
    ///
    /// Every byte of the message has been checked when this returns true; what is read of it are the details, for where
    /// it came from, and the payload, which is the last of its arguments and so the end of the message.
    pub(super) fn hear(&mut self, cx: &mut Listening<'_>, message: &[u8]) -> Result<bool, Lost> {
        let elements = Elements::split(SERIALIZER, message, Limits::default().message_depth_max)
            .map_err(|error| Lost::new(error.to_string()))?;
        if elements.uint(0) != Ok(code::EVENT) {
            return Ok(false);
        }
        let payload = message.len().checked_sub(self.size).and_then(|at| message.get(at..)).unwrap_or_default();
        let Some(stamp) = Stamp::read(payload) else {
            self.corrupted += 1;
            return Ok(true);
        };
        if stamp.run != self.run {
            // Somebody else's event on the same topic, or one that was damaged beyond recognition and will be missing.
            return Ok(true);
        }
        if !cx.filling.is_intact(&stamp, payload) || !self.tally.see(stamp.publisher, stamp.sequence) {
            self.corrupted += 1;
            return Ok(true);
        }
        let details = elements.raw(3).unwrap_or_default();
        self.received += 1;
        self.forwarded += u64::from(memmem::find(details, FORWARD_FOR).is_some());
        cx.latencies.saturating_record(cx.now_ns.saturating_sub(stamp.sent_ns) / 1_000);
        self.last_ns = cx.now_ns;
        self.first_after_ns.get_or_insert(cx.now_ns);
        self.note_node(stamp.node, cx.now_ns);
        Ok(true)
    }

    /// The session was lost: the silence that follows is its own.
    pub(super) fn go_away(&mut self) {
        self.tally.go_away();
        self.first_after_ns = None;
        for node in &mut self.nodes {
            node.last_ns = 0;
        }
    }

    /// The longest time without an event from publishers on each node, by the node's tag.
    pub(super) fn silences_ns(&self) -> impl Iterator<Item = (u64, u64)> {
        self.nodes.iter().map(|node| (node.tag, node.silence_ns))
    }

    fn note_node(&mut self, tag: u64, now_ns: u64) {
        match self.nodes.iter_mut().find(|node| node.tag == tag) {
            Some(node) => {
                if node.last_ns > 0 {
                    node.silence_ns = node.silence_ns.max(now_ns - node.last_ns);
                }
                node.last_ns = now_ns;
            }
            None => self.nodes.push(HeardNode { tag, last_ns: now_ns, silence_ns: 0 }),
        }
    }
}

impl<'c> Listening<'c> {
    /// As of now; one look at the clock serves all that was read at once.
    pub(super) fn now(filling: &'c Filling, latencies: &'c mut Histogram<u64>) -> Listening<'c> {
        Listening { now_ns: monotonic_ns(), filling, latencies }
    }
}

/// The key of the details that says that an event came over a link, as CBOR writes it.
const FORWARD_FOR: &[u8] = b"\x6bforward_for";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::figures::histogram;
    use crate::wamp::{Message, codec};
    use crate::wire::{Dict, Payload, Value};

    const SIZE: usize = 128;

    fn event(stamp: &Stamp, details: Dict) -> Vec<u8> {
        let payload = Value::Bytes(Filling::new(SIZE).payload(stamp));
        let args = vec!["publisher0.0".into(), "ws://localhost/".into(), 0u64.into(), 0u64.into(), payload];
        let message = Message::Event {
            subscription: 1,
            publication: 2,
            details,
            payload: Payload::from_values(args, Dict::new()),
        };
        let mut bytes = Vec::new();
        codec::encode(&message, SERIALIZER, &mut bytes);
        bytes
    }

    /// Hears messages at given times, and returns what came of it with the number of latencies.
    fn heard(messages: &[(u64, Vec<u8>)]) -> (Heard, u64) {
        let (filling, mut latencies) = (Filling::new(SIZE), histogram());
        let mut heard = Heard::new(7, SIZE, 2);
        for (now_ns, message) in messages {
            let mut cx = Listening { now_ns: *now_ns, filling: &filling, latencies: &mut latencies };
            assert!(heard.hear(&mut cx, message).unwrap());
        }
        (heard, latencies.len())
    }

    const STAMP: Stamp = Stamp { run: 7, publisher: 1, sequence: 0, sent_ns: 1_000, node: 5 };

    #[test]
    fn events_are_counted_by_where_they_came_from() {
        let forwarded = Dict::new().with("forward_for", vec![Dict::new().with("session", 1u64).into()]);
        let messages = [
            (2_000, event(&STAMP, Dict::new())),
            (5_000, event(&Stamp { sequence: 1, ..STAMP }, forwarded)),
            (9_000, event(&Stamp { publisher: 0, node: 6, ..STAMP }, Dict::new())),
        ];
        let (heard, latencies) = heard(&messages);
        assert_eq!((heard.received, heard.forwarded, heard.corrupted, latencies), (3, 1, 0, 3));
        assert_eq!(heard.silences_ns().collect::<Vec<_>>(), [(5, 3_000), (6, 0)]);
        assert!(heard.tally.has_reached(&[1, 2]));
    }

    #[test]
    fn damage_and_strangers_are_told_apart() {
        let mut damaged = event(&STAMP, Dict::new());
        *damaged.last_mut().unwrap() ^= 1;
        let unknown = event(&Stamp { publisher: 2, ..STAMP }, Dict::new());
        let stranger = event(&Stamp { run: 8, ..STAMP }, Dict::new());
        let (heard, _) = heard(&[(1, damaged), (2, unknown), (3, stranger)]);
        assert_eq!((heard.received, heard.corrupted), (0, 2));
    }

    #[test]
    fn other_messages_are_left_alone_and_nonsense_is_refused() {
        let (filling, mut latencies) = (Filling::new(SIZE), histogram());
        let mut cx = Listening { now_ns: 1, filling: &filling, latencies: &mut latencies };
        let mut heard = Heard::new(7, SIZE, 2);
        assert!(!heard.hear(&mut cx, &[0x83, 17, 1, 2]).unwrap());
        assert!(heard.hear(&mut cx, &[0x83, 17, 1]).is_err());
    }
}
