//! What is counted as kept is what the allocator gave, within a quarter: an allocator that counts stands beside the
//! ledger, in a program of its own. Two megabytes that a session sends cost no more than twenty times as much,
//! and a PUBLISH allocates no more often for many receivers than for one.

mod allocator;
mod publications;
mod realm;

use allocator::Counting;
use crossbar_cluster::kept::Kind;
use crossbar_cluster::wamp::Message;
use crossbar_cluster::wire::deflate::{Compressor, Context, DeflateParams, Inflater};
use crossbar_cluster::wire::{Dict, Payload, Value, allocated};
use realm::World;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `BYTES_SENT` may cost.
const COST_MAX: usize = 40 << 20;
const BYTES_SENT: usize = 2 << 20;

/// Sends what `message` makes of each number until 2 MB were sent or it is refused; what is then counted is what was
/// allocated.
fn check(kind: Kind, what: &str, message: impl Fn(u64) -> Message) {
    for share in [1, 7, 20] {
        let mut world = World::new();
        let (counted, allocated) = (world.kept(), allocator::bytes());
        let mut sent = 0;
        for n in 1.. {
            sent += match world.send(message(n)) {
                Ok(bytes) => bytes,
                Err(()) => break,
            };
            if sent >= BYTES_SENT / share {
                break;
            }
        }
        let (kept, got) = (world.kept() - counted, allocator::bytes() - allocated);
        assert!(world.kept_of(kind) > 0, "{what}: nothing is counted as {kind:?}");
        assert!(got < COST_MAX, "{what}: {sent} bytes sent cost {got}");
        let difference = kept.abs_diff(got);
        assert!(difference * 4 <= got, "{what}: {kept} are counted, {got} were allocated for {sent} sent");
        world.leave();
        assert_eq!(world.kept_of_session(), 0, "{what}: who has left keeps nothing");
    }
}

fn subscribe(policy: &'static str, uri: impl Fn(u64) -> String) -> impl Fn(u64) -> Message {
    let options = Dict::new().with("match", policy);
    move |request| Message::Subscribe { request, options: options.clone(), topic: uri(request) }
}

fn register(policy: &'static str, uri: impl Fn(u64) -> String) -> impl Fn(u64) -> Message {
    let options = Dict::new().with("match", policy);
    move |request| Message::Register { request, options: options.clone(), procedure: uri(request) }
}

fn short(n: u64) -> String {
    format!("a.{n}")
}

fn long(n: u64) -> String {
    format!("com.{n}.{}", "x".repeat(500))
}

fn wildcard(n: u64) -> String {
    format!("com..n{n}")
}

#[test]
fn what_is_counted_is_what_was_allocated() {
    patterns();
    testaments();
    retained();
    calls();
    compression();
}

/// What compression keeps between messages, for each size of its window.
fn compression() {
    for window_bits in 9..=15 {
        let context = Context { window_bits, takeover: true };
        let params = DeflateParams { outbound: context, inbound: context, level: 9, message_bytes_min: 0 };
        let (mut compressor, mut inflater) = (Compressor::new(&params), Inflater::new(&params));
        assert_eq!((compressor.heap_bytes(), inflater.heap_bytes()), (0, 0), "an idle one keeps nothing");
        let mut compressed = Vec::with_capacity(1 << 10);
        let before = allocator::bytes();
        assert!(compressor.compress(b"Hello, hello, hello", &mut compressed));
        let between = allocator::bytes();
        let inflated = inflater.inflate(&compressed, 1 << 10).expect("it was compressed so");
        let after = allocator::bytes() - allocated(inflated.capacity());
        for (kept, got) in [(compressor.heap_bytes(), between - before), (inflater.heap_bytes(), after - between)] {
            assert!(kept.abs_diff(got) * 4 <= got, "{kept} are counted, {got} were allocated for {window_bits} bits");
        }
    }
}

fn patterns() {
    check(Kind::Subscriptions, "short topics", subscribe("exact", short));
    check(Kind::Subscriptions, "long topics", subscribe("exact", long));
    check(Kind::Subscriptions, "short prefixes", subscribe("prefix", short));
    check(Kind::Subscriptions, "long prefixes", subscribe("prefix", long));
    check(Kind::Subscriptions, "wildcards", subscribe("wildcard", wildcard));
    check(Kind::Registrations, "short procedures", register("exact", short));
    check(Kind::Registrations, "long prefixes of procedures", register("prefix", long));
    check(Kind::Registrations, "wildcards of procedures", register("wildcard", wildcard));
}

/// Testaments with options and arguments of many small values.
fn testaments() {
    let list = || Value::List(vec![1u64.into(); 9_000]);
    let options = Dict::new().with("exclude", list());
    check(Kind::Testaments, "testaments", move |request| {
        let kwargs = Dict::new().with("publish_options", options.clone());
        let args = vec!["com.topic".into(), Value::List(vec![list()]), Dict::new().into()];
        let procedure = "wamp.session.add_testament".to_owned();
        Message::Call { request, options: Dict::new(), procedure, payload: Payload::from_values(args, kwargs) }
    });
}

/// Retained events for long lists of ids, and for one word each.
fn retained() {
    for (what, n_ids, bytes) in [("retained with lists", 5_000, 10), ("retained", 0, 100)] {
        check(Kind::Retained, what, move |n| {
            let ids = Value::List((0..n_ids).map(|id| Value::from(id as u64 + 1)).collect());
            let mut options = Dict::new().with("retain", true);
            if n_ids > 0 {
                options.set("exclude", ids);
            }
            let payload = Payload::from_values(vec![Value::String("x".repeat(bytes))], Dict::new());
            Message::Publish { request: n, options, topic: short(n), payload }
        });
    }
}

/// Calls that wait behind one that is not answered, with little and with much to carry, and with options that nobody
/// looks at.
fn calls() {
    for (what, options, bytes) in [
        ("small calls", Dict::new(), 0),
        ("calls", Dict::new(), 2_000),
        ("calls with idle options", Dict::new().with("idle", Value::List(vec![Value::Bool(false); 1_000])), 10),
    ] {
        check(Kind::Calls, what, move |request| {
            let payload = Payload::from_values(vec![Value::String("x".repeat(bytes))], Dict::new());
            Message::Call { request, options: options.clone(), procedure: "com.busy".to_owned(), payload }
        });
    }
}
