//! Receivers that stop reading, and what becomes of the publishers to their topic: however full the outboxes are, and
//! when their connections end, acknowledged publications go on at the rate that they had while everybody read.

use crate::Force;
use crate::attacks::{CBOR, join, request};
use crate::harness::client::Client;
use crate::harness::io::Io;
use crate::harness::router::{Router, Setup};
use crossbar_cluster::wire::{Dict, Value};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is left of the rate, at the least.
const RATE_MIN: f64 = 0.6;
/// The time over which a rate is taken.
const WINDOW: Duration = Duration::from_millis(500);

/// Publishes with so many receivers that stop reading, until all of them have been ended. Gives the rate in the slowest
/// window as a part of the rate before.
pub(crate) fn rate_left(n_receivers: usize, force: Force) -> f64 {
    let router = Router::start(&Setup { limits: "outbox_bytes_max = \"1MiB\"", ..Setup::default() });
    let receivers = (0..n_receivers).map(|_| {
        let mut receiver = join(&router, CBOR);
        receiver.subscribe("com.silence", "{}", "silence");
        receiver.into_io()
    });
    let readers = Readers::start(receivers.collect());
    let mut publisher = join(&router, CBOR);
    let rate = |publisher: &mut Client| {
        let (began, mut n) = (Instant::now(), 0u32);
        while began.elapsed() < force.of(WINDOW / 5, WINDOW) {
            publish(publisher);
            n += 1;
        }
        f64::from(n) / began.elapsed().as_secs_f64()
    };
    let before = [rate(&mut publisher), rate(&mut publisher), rate(&mut publisher)];
    let before = before.into_iter().fold(f64::INFINITY, f64::min);
    let silent = readers.stop();
    let mut slowest = f64::INFINITY;
    while router.drops("slow_consumer") < n_receivers as u64 {
        slowest = slowest.min(rate(&mut publisher));
    }
    slowest = slowest.min(rate(&mut publisher));
    drop(silent);
    println!(
        "{n_receivers:>5} stop reading: {before:>8.0} publications a second before, {slowest:>8.0} at the least after"
    );
    slowest / before
}

/// The part of the rate that has to be left.
pub(crate) fn is_enough(left: f64) -> bool {
    left >= RATE_MIN
}

fn publish(publisher: &mut Client) {
    let options = Dict::new().with("acknowledge", true);
    let mut message = request(16, publisher, options, "com.silence");
    message.push(Value::List(vec![Value::Bytes(vec![b'x'; 1_000])]));
    publisher.send_message(&message);
    assert_eq!(publisher.receive()[0], Value::Uint(17), "it is acknowledged");
}

/// Threads that read from all of these until they are stopped.
struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Io>>>,
}

impl Readers {
    fn start(mut receivers: Vec<Io>) -> Readers {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        while !receivers.is_empty() {
            let mut some = receivers.split_off(receivers.len().saturating_sub(RECEIVERS_PER_THREAD));
            let stopped = stop.clone();
            threads.push(std::thread::spawn(move || {
                some.iter_mut().for_each(|io| io.tcp().set_nonblocking(true).expect("a socket need not wait"));
                while !stopped.load(Ordering::Relaxed) {
                    let n_bytes: usize = some.iter_mut().map(read).sum();
                    if n_bytes == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                some
            }));
        }
        Readers { stop, threads }
    }

    /// From now on nobody reads. Gives the receivers.
    fn stop(self) -> Vec<Io> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("nothing went wrong")).collect()
    }
}

/// Reads what there is; gives how much.
fn read(io: &mut Io) -> usize {
    let mut buffer = [0; 16 << 10];
    match io.read(&mut buffer) {
        Ok(n) => n,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("a receiver that reads is not ended: {error}"),
    }
}

const RECEIVERS_PER_THREAD: usize = 500;
