//! Clients on two linked nodes, who say and do anything, with the work and the memory that it costs.
#![no_main]

use crossbar_cluster_fuzz::sessions::{memory::Counting, play};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    play(bytes);
});
