//! Configuration files: whatever they say, they are refused in sentences or print and read as themselves.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| crossbar_cluster_fuzz::config::file(text));
