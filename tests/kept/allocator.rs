//! An allocator that counts what it gives to a thread, with the overhead of the system's.
#![allow(unsafe_code, reason = "an allocator is unsafe by its nature; this one only counts")]

use crossbar_cluster::wire::allocated;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub(crate) struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static TIMES: Cell<usize> = const { Cell::new(0) };
}

/// What is allocated by this thread now, in bytes.
pub(crate) fn bytes() -> usize {
    BYTES.get()
}

/// How many times this thread has allocated, or had more given to what it had allocated.
pub(crate) fn times() -> usize {
    TIMES.get()
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add(allocated(layout.size())));
        TIMES.set(TIMES.get() + 1);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(allocated(layout.size())));
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(place, layout) }
    }
}
