//! What the codec costs per message: reading a small PUBLISH as it arrives, writing the EVENT that leaves, and carrying
//! a payload into another serializer.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbar_cluster::limits::Limits;
use crossbar_cluster::wamp::{Message, codec};
use crossbar_cluster::wire::{Dict, Elements, Payload, Serializer, Value};
use std::hint::black_box;

/// The size that the published comparisons of routers use.
const PAYLOAD_BYTES: usize = 128;

fn publish(serializer: Serializer) -> Vec<u8> {
    let message = Message::Publish {
        request: 239_714_735,
        options: Dict::new().with("acknowledge", true).with("exclude_me", false),
        topic: "com.example.test1.binary".to_owned(),
        payload: payload(),
    };
    let mut bytes = Vec::new();
    codec::encode(&message, serializer, &mut bytes);
    bytes
}

fn payload() -> Payload {
    Payload::from_values(vec![Value::Bytes(vec![0xa5; PAYLOAD_BYTES])], Dict::new())
}

fn decode_publish(criterion: &mut Criterion) {
    let depth_max = Limits::default().message_depth_max;
    let mut group = criterion.benchmark_group("decode PUBLISH");
    for serializer in Serializer::ALL {
        let bytes = publish(serializer);
        group.throughput(Throughput::Elements(1));
        group.bench_function(serializer.name(), |bencher| {
            bencher.iter(|| codec::decode(serializer, black_box(&bytes), depth_max));
        });
        group.bench_function(format!("{} split only", serializer.name()), |bencher| {
            bencher.iter(|| Elements::split(serializer, black_box(&bytes), depth_max).map(|elements| elements.len()));
        });
    }
}

fn encode_event(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode EVENT");
    for serializer in Serializer::ALL {
        let (args, kwargs) = payload().elements_in(serializer);
        let message = Message::Event {
            subscription: 5_512_315_355,
            publication: 4_429_313_566,
            details: Dict::new(),
            payload: Payload::from_raw(serializer, &args, &kwargs),
        };
        let mut out = Vec::with_capacity(1024);
        group.throughput(Throughput::Elements(1));
        group.bench_function(serializer.name(), |bencher| {
            bencher.iter(|| {
                out.clear();
                codec::encode(black_box(&message), serializer, &mut out);
                out.len()
            });
        });
    }
}

fn transcode_payload(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transcode payload");
    for (from, to) in [(Serializer::Cbor, Serializer::Json), (Serializer::Json, Serializer::Cbor)] {
        let (args, kwargs) = payload().elements_in(from);
        let payload = Payload::from_raw(from, &args, &kwargs);
        group.bench_function(format!("{} to {}", from.name(), to.name()), |bencher| {
            bencher.iter(|| black_box(&payload).elements_in(to));
        });
    }
}

criterion_group!(benches, decode_publish, encode_event, transcode_payload);
criterion_main!(benches);
