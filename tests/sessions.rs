//! Whole sessions on two linked nodes, as random inputs have them, and what must hold after each step: no panic,
//! bounded work and memory, agreeing tables, and nothing left at the end. The same is fuzzed, see `fuzz/README.md`.
//!
//! An input that failed there replays with `SESSIONS_INPUT=FILE`, a seed with `SESSIONS_SEED`; `SESSIONS_SEEDS` says
//! how many are tried.

#[path = "../fuzz/src/sessions/mod.rs"]
#[allow(unsafe_code, unreachable_pub, reason = "the library of another package, with an allocator that counts")]
mod sessions;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sessions::{Measured, memory::Counting, play};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn random_sessions_stay_within_their_bounds() {
    if let Ok(path) = std::env::var("SESSIONS_INPUT") {
        println!("{:?}", play(&std::fs::read(path).expect("the input can be read")));
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SESSIONS_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SESSIONS_SEEDS").unwrap_or(SEEDS),
    };
    let mut measured = Measured::default();
    for seed in seeds {
        let input = input_of(seed);
        let Ok(played) = std::panic::catch_unwind(|| play(&input)) else {
            panic!(
                "seed {seed} fails: SESSIONS_SEED={seed} SESSIONS_TRACE=1 cargo test --test sessions -- --nocapture"
            );
        };
        measured = measured.max(played);
    }
    println!("{measured:?}");
    assert!(measured.receivers > 20, "the sessions hardly hear of one another: {measured:?}");
}

/// What the fuzzer begins with.
#[test]
fn first_inputs_of_the_fuzzer_stay_within_their_bounds() {
    for input in sessions::seeds() {
        let measured = play(&input);
        assert!(measured.live > 0, "{measured:?}");
    }
}

fn input_of(seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut input = vec![0; rng.random_range(200..BYTES_MAX)];
    rng.fill(&mut input[..]);
    input
}

/// More than the steps of one input need.
const BYTES_MAX: usize = 8_000;
/// What a debug build does in a few seconds.
const SEEDS: u64 = 100;
