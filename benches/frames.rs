//! What the frames of WebSocket cost: taking a client's frame as it lies in the read buffer, writing one, and both with
//! permessage-deflate.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbar_cluster::wire::deflate::{Compressor, Context, DeflateParams, Inflater};
use crossbar_cluster::wire::websocket::{
    Decoder, FrameHead, Incoming, Role, begin_frame, finish_frame, mask, write_compressed_frame, write_frame,
};
use std::hint::black_box;

/// A small message, as the published comparisons of routers use, and one as large as a turn reads.
const PAYLOAD_BYTES: [usize; 2] = [128, 64 << 10];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Text, so that checking it is part of the cost, and that it can be compressed as messages can.
fn payload(bytes: usize) -> Vec<u8> {
    br#"{"id": 1234567, "name": "sensor", "values": [1.25, 2.5, 3.75]}, "#.iter().copied().cycle().take(bytes).collect()
}

fn unmask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unmask");
    for bytes in PAYLOAD_BYTES {
        let mut masked = payload(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(bytes.to_string(), |bencher| bencher.iter(|| mask(black_box(&mut masked), KEY)));
    }
}

/// Reads a masked frame that has arrived as a whole, and one that has arrived in two pieces.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for bytes in PAYLOAD_BYTES {
        group.throughput(Throughput::Bytes(bytes as u64));
        for (kind, head) in [("binary", FrameHead::BINARY), ("text", FrameHead::TEXT)] {
            let mut frame = Vec::new();
            // A key of zeros costs what any key costs, and leaves the frame as it is for the next round.
            write_frame(&mut frame, head.masked([0; 4]), &payload(bytes));
            for (pieces, cut) in [("whole", frame.len()), ("in two pieces", frame.len() / 2)] {
                let mut decoder = Decoder::new(Role::Server, MESSAGE_BYTES_MAX, None);
                group.bench_function(format!("{bytes} {kind} {pieces}"), |bencher| {
                    bencher.iter(|| {
                        let (first, second) = black_box(&mut frame).split_at_mut(cut);
                        message_bytes(&mut decoder, first) + message_bytes(&mut decoder, second)
                    });
                });
            }
        }
    }
}

/// How many bytes of messages are complete with `input`.
fn message_bytes(decoder: &mut Decoder, input: &mut [u8]) -> usize {
    match decoder.decode(input).expect("the frame is valid") {
        (_, Some(Incoming::Message { payload, .. })) => black_box(&*payload).len(),
        _ => 0,
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for bytes in PAYLOAD_BYTES {
        let payload = payload(bytes);
        let mut out = Vec::with_capacity(2 * bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("{bytes} at once"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_frame(&mut out, FrameHead::BINARY, black_box(&payload));
                out.len()
            });
        });
        group.bench_function(format!("{bytes} begun in the buffer"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let start = begin_frame(&mut out);
                out.extend_from_slice(black_box(&payload));
                finish_frame(&mut out, start, FrameHead::BINARY);
                out.len()
            });
        });
        group.bench_function(format!("{bytes} masked"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_frame(&mut out, FrameHead::BINARY.masked(KEY), black_box(&payload));
                out.len()
            });
        });
    }
}

fn deflate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deflate");
    for (name, takeover) in [("with takeover", true), ("without takeover", false)] {
        let context = Context { window_bits: 15, takeover };
        let params = DeflateParams { outbound: context, inbound: context, level: 4, message_bytes_min: 0 };
        for bytes in PAYLOAD_BYTES {
            let payload = payload(bytes);
            let mut out = Vec::with_capacity(2 * bytes);
            let mut compressor = Compressor::new(&params);
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(format!("{bytes} compress {name}"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    write_compressed_frame(&mut out, FrameHead::TEXT, black_box(&payload), &mut compressor);
                    out.len()
                });
            });
            let mut compressed = Vec::new();
            Compressor::new(&params).compress(&payload, &mut compressed);
            let mut inflater = Inflater::new(&params);
            group.bench_function(format!("{bytes} inflate {name}"), |bencher| {
                bencher.iter(|| inflater.inflate(black_box(&compressed), MESSAGE_BYTES_MAX));
            });
        }
    }
}

criterion_group!(benches, unmask, decode, encode, deflate);
criterion_main!(benches);
