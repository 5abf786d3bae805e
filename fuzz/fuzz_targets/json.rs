//! Messages in JSON: what is accepted can be decoded, written again and carried into the other serializers.
#![no_main]

use crossbar_cluster::wire::Serializer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crossbar_cluster_fuzz::message(Serializer::Json, bytes));
