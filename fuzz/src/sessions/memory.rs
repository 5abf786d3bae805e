//! An allocator that counts, for each thread by itself: tests run beside one another.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// To be the allocator of the program: `#[global_allocator] static ALLOCATOR: Counting = Counting;`
pub struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// What a thread has asked the allocator for. Both wrap around; only differences mean something.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes that have not been given back.
    live: usize,
    /// All bytes that were ever asked for.
    pub taken: usize,
}

impl Memory {
    pub fn now() -> Memory {
        Memory { live: LIVE.get(), taken: TAKEN.get() }
    }

    /// How many bytes more than `before` have not been given back; zero where it is less.
    pub fn live_since(self, before: Memory) -> usize {
        usize::try_from(self.live.wrapping_sub(before.live).cast_signed()).unwrap_or(0)
    }
}

fn note(taken: usize, given: usize) {
    // A thread that is ending counts no more.
    let _ = LIVE.try_with(|live| live.set(live.get().wrapping_add(taken).wrapping_sub(given)));
    let _ = TAKEN.try_with(|all| all.set(all.get().wrapping_add(taken)));
}

// SAFETY: every request goes to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, layout.size());
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        unsafe { System.realloc(place, layout, size) }
    }
}
