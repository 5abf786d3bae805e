//! What a WebSocket peer sends, cut anywhere, with and without permessage-deflate.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crossbar_cluster_fuzz::frames::websocket(bytes));
