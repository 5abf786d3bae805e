//! What a proxy says first: once there is a verdict, more bytes do not change it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crossbar_cluster_fuzz::frames::proxy(bytes));
