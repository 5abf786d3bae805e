//! What a RawSocket peer sends, cut anywhere, and its handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crossbar_cluster_fuzz::frames::rawsocket(bytes));
