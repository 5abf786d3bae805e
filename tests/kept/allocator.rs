//! An allocator that counts what it gives, with the overhead of the system's.
#![allow(unsafe_code, reason = "an allocator is unsafe by its nature; this one only counts")]

use crossbar_cluster::wire::allocated;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

/// What is allocated now, in bytes.
pub(crate) fn bytes() -> usize {
    BYTES.load(Relaxed)
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(allocated(layout.size()), Relaxed);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        BYTES.fetch_sub(allocated(layout.size()), Relaxed);
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(place, layout) }
    }
}
