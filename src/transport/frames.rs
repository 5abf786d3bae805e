//! A queue of frames that grows in blocks: when thousands of receivers do not read, their queues become longer at the
//! same time, and none of them has to be copied for that.

use super::outbox::Frame;
use crate::wire::allocated;
use std::collections::VecDeque;

/// Frames, the first in front.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The only block of a short queue. It is empty only if all of them are.
    first: VecDeque<Frame>,
    /// Each made for `BLOCK_FRAMES`.
    more: VecDeque<VecDeque<Frame>>,
    len: usize,
}

impl Frames {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn front(&self) -> Option<&Frame> {
        self.first.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.blocks().flatten()
    }

    /// The blocks, none of which is empty.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &VecDeque<Frame>> {
        std::iter::once(&self.first).chain(&self.more).filter(|block| !block.is_empty())
    }

    /// The memory of the places, without that of the frames.
    pub(super) fn heap_bytes(&self) -> usize {
        let places = |n: usize| allocated(n * size_of::<Frame>());
        let blocks = allocated(self.more.capacity() * size_of::<VecDeque<Frame>>());
        places(self.first.capacity()) + self.more.len() * places(BLOCK_FRAMES) + blocks
    }

    pub(super) fn push_back(&mut self, frame: Frame) {
        self.len += 1;
        if self.more.is_empty() && self.first.len() < BLOCK_FRAMES {
            return self.first.push_back(frame);
        }
        match self.more.back_mut().filter(|block| block.len() < BLOCK_FRAMES) {
            Some(block) => block.push_back(frame),
            None => {
                let mut block = VecDeque::with_capacity(BLOCK_FRAMES);
                block.push_back(frame);
                self.more.push_back(block);
            }
        }
    }

    /// Puts a frame in front of all others, or, with `is_begun`, of all but the first.
    pub(super) fn overtake(&mut self, frame: Frame, is_begun: bool) {
        self.len += 1;
        self.first.insert(usize::from(is_begun), frame);
    }

    pub(super) fn pop_front(&mut self) -> Option<Frame> {
        let frame = self.first.pop_front()?;
        self.len -= 1;
        self.close_up();
        Some(frame)
    }

    /// Takes out the frames of which `goes` says so, the first ones first, until it says nothing. Gives how many.
    pub(super) fn remove(&mut self, mut goes: impl FnMut(&Frame) -> Option<bool>) -> usize {
        let before = self.len;
        for block in std::iter::once(&mut self.first).chain(&mut self.more) {
            let (n, mut is_done) = (block.len(), false);
            block.retain(|frame| {
                let goes = goes(frame);
                is_done |= goes.is_none();
                goes != Some(true)
            });
            self.len -= n - block.len();
            if is_done {
                break;
            }
        }
        if before > self.len {
            self.more.retain(|block| !block.is_empty());
            self.close_up();
        }
        before - self.len
    }

    /// Has the next block be the first one when that has become empty.
    fn close_up(&mut self) {
        if self.first.is_empty()
            && let Some(block) = self.more.pop_front()
        {
            self.first = block;
        }
    }
}

/// 4 KiB of places.
const BLOCK_FRAMES: usize = 256;
