//! Whole sessions: a sequence of steps that the input says, of clients on two linked nodes, and what must hold after each
//! of them and when all sessions have ended. Used by the fuzz target and, with random inputs, by `cargo test`.

mod clients;
pub mod input;
mod links;
pub mod memory;
pub mod message;
mod setting;
pub mod world;

use input::Input;
use memory::Memory;
use world::{Cost, World};

/// One step sends at most this many messages: all that any step of these few sessions can make necessary.
const RECEIVERS_MAX: usize = 400;
/// And it asks the allocator for at most so many bytes in all, whatever it gives back.
const TAKEN_MAX: usize = 2 << 20;
/// So much memory the two nodes have at any time, retained events and history included.
const LIVE_MAX: usize = 1 << 20;
/// So much is left of tables that have grown and are empty again.
const LEFT_MAX: usize = 64 << 10;
/// And so much more when the same happens again: retained events and history differ, and tables grow in large steps.
const MORE_MAX: usize = 24 << 10;
/// What comes after so many steps says nothing new.
const STEPS_MAX: usize = 400;

/// What the costliest step of an input has cost, and what has been left at its end: to see that the bounds are not idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub receivers: usize,
    pub taken: usize,
    pub live: usize,
    pub left: usize,
}

impl Measured {
    /// The greater of each.
    pub fn max(self, other: Measured) -> Measured {
        Measured {
            receivers: self.receivers.max(other.receivers),
            taken: self.taken.max(other.taken),
            live: self.live.max(other.live),
            left: self.left.max(other.left),
        }
    }
}

/// Plays an input, and plays it again on the same nodes: what sessions leave behind does not become more. The caller's
/// program has `memory::Counting` as its allocator.
pub fn play(bytes: &[u8]) -> Measured {
    let mut world = World::new(bytes.first().copied().unwrap_or(0));
    let before = Memory::now();
    let first = play_round(&mut world, bytes, before);
    let again = play_round(&mut world, bytes, before);
    let more = again.left.saturating_sub(first.left);
    assert!(more <= MORE_MAX, "the same sessions have left {} bytes, and then {more} more", first.left);
    first.max(again)
}

fn play_round(world: &mut World, bytes: &[u8], before: Memory) -> Measured {
    let mut input = Input::new(bytes.get(1..).unwrap_or_default());
    let mut measured = Measured::default();
    world.begin(&mut input);
    for number in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let start = Memory::now();
        let cost = world.step(&mut input);
        measured = measured.max(look_at(world, cost, start, before, number));
    }
    end(world, before, measured)
}

/// The first inputs of the target: the same chance for all of them, which coverage then goes on from.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..16u8).map(|how| std::iter::once(how).chain((0..1_000).map(|_| byte())).collect()).collect()
}

/// What must hold after a step.
fn look_at(world: &World, cost: Cost, start: Memory, before: Memory, number: usize) -> Measured {
    world.check();
    let (receivers, after) = (cost.receivers, Memory::now());
    let (taken, live) = (after.taken.wrapping_sub(start.taken), after.live_since(before));
    assert!(receivers <= RECEIVERS_MAX, "step {number} ({}) sends {receivers} messages", cost.step);
    assert!(taken <= TAKEN_MAX, "step {number} ({}) asks for {taken} bytes", cost.step);
    assert!(live <= LIVE_MAX, "after step {number} ({}) the nodes have {live} bytes", cost.step);
    Measured { receivers, taken, live, left: 0 }
}

/// All sessions end, and the links come back: then nothing may be left of any session.
fn end(world: &mut World, before: Memory, measured: Measured) -> Measured {
    world.end();
    world.check();
    let left = Memory::now().live_since(before);
    world.assert_empty();
    let left_max = LEFT_MAX + world.kept_bytes_max();
    assert!(left <= left_max, "{left} bytes are left when all sessions have ended, at most {left_max} may be");
    Measured { left, ..measured }
}
