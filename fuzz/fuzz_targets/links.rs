//! Messages of links: an envelope in CBOR around a payload in any serializer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crossbar_cluster_fuzz::link_message(bytes));
