//! What waits to be written to one connection: frames that are shared with other receivers, in order, bounded in bytes
//! by whoever fills it.

use super::frames::Frames;
use crate::kept::{Account, Connected};
use crate::wire::allocated;
use std::rc::Rc;

/// One encoded and framed message.
#[derive(Clone, Debug)]
pub struct Frame {
    pub bytes: FrameBytes,
    pub class: Class,
}

/// What many outboxes may have in common. The node's account counts it once, until the last lets it go.
#[derive(Clone, Debug)]
pub struct FrameBytes(Rc<Counted>);

#[derive(Debug)]
struct Counted {
    bytes: Vec<u8>,
    account: Rc<Account>,
}

impl FrameBytes {
    pub fn new(bytes: Vec<u8>, account: &Rc<Account>) -> FrameBytes {
        let counted = Counted { bytes, account: account.clone() };
        account.change_connected(Connected::Outbox, 0, counted.heap_bytes());
        FrameBytes(Rc::new(counted))
    }

    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    /// The part of its memory that falls to each outbox that has it.
    fn share_bytes(&self) -> usize {
        self.0.heap_bytes() / Rc::strong_count(&self.0).max(1)
    }
}

impl Counted {
    fn heap_bytes(&self) -> usize {
        // The bytes, and their place with what counts their owners.
        allocated(self.bytes.capacity()) + allocated(size_of::<Counted>() + 16)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.account.change_connected(Connected::Outbox, self.heap_bytes(), 0);
    }
}

/// How a frame may be treated on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody waits for it: it is written at the end of the turn and never dropped.
    Reply,
    /// It may wait for company.
    Event,
    /// An event that may also be dropped, the oldest first, when the receiver is slow.
    Expendable,
    /// A ping. It overtakes all that waits: a receiver that is slow must not be taken for one that is gone.
    Ping,
}

impl Class {
    pub fn is_event(self) -> bool {
        matches!(self, Class::Event | Class::Expendable)
    }
}

/// Frames in the order in which they must be written.
#[derive(Debug, Default)]
pub struct Outbox {
    frames: Frames,
    /// How much of the first frame has been written.
    written: usize,
    queued_bytes: usize,
    /// Frames that are not events.
    replies: usize,
    /// Where the places of the frames are counted, and for how much.
    account: Rc<Account>,
    counted: usize,
}

impl Outbox {
    /// An empty outbox, of which the memory is counted there.
    pub fn new(account: Rc<Account>) -> Outbox {
        let mut outbox = Outbox::default();
        outbox.account = account;
        outbox
    }

    /// What is held for the receiver against its bound: bytes that have to be written, with the places of all frames
    /// but one, so that a frame that is alone takes its length.
    pub fn held_bytes(&self) -> usize {
        self.queued_bytes + self.frames.len().saturating_sub(1) * size_of::<Frame>()
    }

    /// About what is freed when the receiver is gone: of a long queue, a few frames stand for the others.
    pub fn freed_bytes(&self) -> usize {
        if self.frames.len() <= LOOKED_AT_MAX {
            return self.counted + self.frames.iter().map(|frame| frame.bytes.share_bytes()).sum::<usize>();
        }
        let ends = self.frames.blocks().flat_map(|block| [block.front(), block.back()]).flatten();
        let (n, bytes) = ends.fold((0, 0), |(n, bytes), frame| (n + 1, bytes + frame.bytes.share_bytes()));
        self.counted + bytes / n.max(1) * self.frames.len()
    }

    /// Counts the places of the frames, if there have become more or fewer.
    fn recount(&mut self) {
        let bytes = self.frames.heap_bytes();
        if bytes != self.counted {
            self.account.change_connected(Connected::Outbox, self.counted, bytes);
            self.counted = bytes;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that still have to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Whether nothing but events waits, so that they may go on waiting for company.
    pub fn holds_only_events(&self) -> bool {
        self.replies == 0
    }

    pub fn push(&mut self, frame: Frame) {
        self.queued_bytes += frame.bytes.len();
        self.replies += usize::from(!frame.class.is_event());
        match frame.class {
            // Nothing can come before the rest of a frame that has begun to be written.
            Class::Ping => self.frames.overtake(frame, self.written > 0),
            _ => self.frames.push_back(frame),
        }
        self.recount();
    }

    /// The bytes to write next: the first frame where it is alone or large, else as many frames as fit, gathered in
    /// `scratch`, so that one write carries many small frames.
    pub fn next_chunk<'a>(&'a self, scratch: &'a mut Vec<u8>, chunk_bytes_max: usize) -> &'a [u8] {
        let Some(first) = self.frames.front() else { return &[] };
        let rest = &first.bytes.0.bytes[self.written..];
        if self.frames.len() == 1 || rest.len() >= chunk_bytes_max / 2 {
            return rest;
        }
        scratch.clear();
        scratch.extend_from_slice(rest);
        for frame in self.frames.iter().skip(1) {
            if scratch.len() + frame.bytes.len() > chunk_bytes_max {
                break;
            }
            scratch.extend_from_slice(&frame.bytes.0.bytes);
        }
        scratch
    }

    /// Forgets `n` bytes that have been written.
    pub fn advance(&mut self, mut n: usize) {
        self.queued_bytes -= n;
        while let Some(first) = self.frames.front() {
            let rest = first.bytes.len() - self.written;
            if n < rest {
                self.written += n;
                return;
            }
            n -= rest;
            self.written = 0;
            self.replies -= usize::from(!first.class.is_event());
            self.frames.pop_front();
        }
        // An idle connection keeps no queue, only the few that are busy do.
        if self.frames.heap_bytes() > KEPT_BYTES {
            self.frames = Frames::default();
        }
        self.recount();
    }

    /// Drops the oldest expendable events that have not begun to be written until at most `bytes_max` remain. Returns
    /// how many.
    pub fn drop_oldest_events(&mut self, bytes_max: usize) -> usize {
        let mut may_go = self.written == 0;
        let (mut excess, queued_bytes) = (self.held_bytes().saturating_sub(bytes_max), &mut self.queued_bytes);
        let dropped = self.frames.remove(|frame| {
            let goes = std::mem::replace(&mut may_go, true) && frame.class == Class::Expendable;
            if excess == 0 {
                return None;
            }
            if goes {
                *queued_bytes -= frame.bytes.len();
                excess = excess.saturating_sub(frame.bytes.len() + size_of::<Frame>());
            }
            Some(goes)
        });
        self.recount();
        dropped
    }

    /// Forgets everything; the connection is lost. Returns how many events have not been written to their end.
    pub fn clear(&mut self) -> usize {
        let empty = Outbox::new(self.account.clone());
        let lost = std::mem::replace(self, empty);
        lost.frames.len() - lost.replies
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.account.change_connected(Connected::Outbox, self.counted, 0);
    }
}

/// Room for frames that an empty outbox keeps: enough that a quiet session does not allocate per message.
const KEPT_BYTES: usize = allocated(4 * size_of::<Frame>());
/// How many frames are looked at one by one.
const LOOKED_AT_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str, class: Class) -> Frame {
        let bytes = FrameBytes::new(text.into(), &Rc::default());
        Frame { bytes, class }
    }

    #[test]
    fn small_frames_are_gathered_and_partial_writes_are_continued() {
        let mut outbox = Outbox::default();
        let mut scratch = Vec::new();
        for text in ["one", "two", "three"] {
            outbox.push(frame(text, Class::Event));
        }
        assert_eq!(outbox.next_chunk(&mut scratch, 64), b"onetwothree");
        outbox.advance(5);
        assert_eq!(outbox.next_chunk(&mut scratch, 64), b"othree");
        assert_eq!(outbox.queued_bytes(), 6);
        outbox.advance(6);
        assert!(outbox.is_empty());
        assert_eq!(outbox.next_chunk(&mut scratch, 64), b"");
    }

    #[test]
    fn a_chunk_never_exceeds_its_bound_unless_one_frame_does() {
        let mut outbox = Outbox::default();
        let mut scratch = Vec::new();
        outbox.push(frame("abcd", Class::Event));
        outbox.push(frame("efghijkl", Class::Event));
        assert_eq!(outbox.next_chunk(&mut scratch, 10), b"abcd");
        outbox.advance(4);
        assert_eq!(outbox.next_chunk(&mut scratch, 4), b"efghijkl");
    }

    #[test]
    fn a_ping_overtakes_what_waits_but_not_the_frame_that_is_half_written() {
        let mut outbox = Outbox::default();
        let mut scratch = Vec::new();
        outbox.push(frame("half", Class::Event));
        outbox.push(frame("reply", Class::Reply));
        outbox.advance(2);
        outbox.push(frame("ping", Class::Ping));
        assert_eq!(outbox.next_chunk(&mut scratch, 64), b"lfpingreply");
        outbox.advance(11);
        outbox.push(frame("event", Class::Event));
        outbox.push(frame("ping", Class::Ping));
        assert!(!outbox.holds_only_events());
        assert_eq!(outbox.next_chunk(&mut scratch, 64), b"pingevent");
        outbox.advance(4);
        assert!(outbox.holds_only_events());
    }

    #[test]
    fn what_is_lost_with_a_connection_is_counted_by_events() {
        let mut outbox = Outbox::default();
        for (text, class) in [("gone", Class::Event), ("half", Class::Event), ("reply", Class::Reply)] {
            outbox.push(frame(text, class));
        }
        outbox.push(frame("waits", Class::Expendable));
        outbox.advance(6);
        assert_eq!(outbox.clear(), 2, "the one that is half written, and the one that waits");
        assert!(outbox.is_empty() && outbox.queued_bytes() == 0);
    }

    #[test]
    fn dropping_spares_replies_and_the_frame_that_is_half_written() {
        let mut outbox = Outbox::default();
        let expendable = Class::Expendable;
        for (text, class) in [("half", expendable), ("reply", Class::Reply), ("old", expendable), ("new", expendable)] {
            outbox.push(frame(text, class));
        }
        outbox.advance(2);
        // Three places beside that of the first.
        assert_eq!(outbox.drop_oldest_events(10 + 3 * size_of::<Frame>()), 1);
        let mut scratch = Vec::new();
        assert_eq!(outbox.next_chunk(&mut scratch, 64), b"lfreplynew");
        assert!(!outbox.holds_only_events());
        assert_eq!(outbox.drop_oldest_events(0), 1);
        assert_eq!(outbox.queued_bytes(), 7);
    }

    #[test]
    fn a_frame_counts_once_for_the_node_and_in_full_for_each_receiver() {
        let account = Rc::new(Account::default());
        let counted = || account.connected(Connected::Outbox);
        let mut outboxes: Vec<Outbox> = (0..10).map(|_| Outbox::new(account.clone())).collect();
        let bytes = FrameBytes::new(vec![0; 10_000], &account);
        for outbox in &mut outboxes {
            outbox.push(Frame { bytes: bytes.clone(), class: Class::Event });
        }
        drop(bytes);
        assert!((10_000..11_000).contains(&counted()), "{} for ten outboxes", counted());
        assert!(outboxes.iter().all(|outbox| outbox.held_bytes() == 10_000 && outbox.freed_bytes() < 1_100));
        outboxes[0].advance(10_000);
        outboxes[1].clear();
        outboxes.truncate(3);
        assert!((10_000..11_000).contains(&counted()), "one has it still");
        drop(outboxes);
        assert_eq!((counted(), account.total()), (0, 0));
    }
}
