//! What each payload begins with, so that a receiver knows who published it, when, and which one it is.
//!
//! ```text
//! 0     4         8          12     16      24      32
//! | run | publisher | sequence | zero | sent  | node  | filling ...
//! ```
//!
//! All of it little-endian. The filling is a piece of a table that every process makes alike, so that a byte that was
//! changed on the way is noticed without a hash.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// The least that a payload can have.
pub const STAMP_BYTES: usize = 32;

/// The beginning of one payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Tells the events of this run from those of another probe on the same topic.
    pub run: u32,
    /// Index of the publishing loop, over all processes.
    pub publisher: u32,
    /// Counts what this publisher has published, from 0.
    pub sequence: u32,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub sent_ns: u64,
    /// See [`node_tag`].
    pub node: u64,
}

/// What payloads are filled with behind their stamp.
pub(super) struct Filling {
    bytes: Vec<u8>,
}

impl Stamp {
    /// Reads the stamp of a payload that is long enough to have one.
    pub(super) fn read(payload: &[u8]) -> Option<Stamp> {
        let (stamp, _) = payload.split_first_chunk::<STAMP_BYTES>()?;
        let (words, _) = stamp.as_chunks::<4>();
        let [run, publisher, sequence, _, sent_low, sent_high, node_low, node_high] = words else { return None };
        let long = |low: &[u8; 4], high: &[u8; 4]| {
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32
        };
        Some(Stamp {
            run: u32::from_le_bytes(*run),
            publisher: u32::from_le_bytes(*publisher),
            sequence: u32::from_le_bytes(*sequence),
            sent_ns: long(sent_low, sent_high),
            node: long(node_low, node_high),
        })
    }

    fn write(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[0..4].copy_from_slice(&self.run.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.publisher.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sent_ns.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.node.to_le_bytes());
        bytes
    }
}

impl Filling {
    /// A table for payloads of `size` bytes.
    pub(super) fn new(size: usize) -> Filling {
        let mut bytes = vec![0; size.saturating_sub(STAMP_BYTES) + OFFSETS];
        ChaCha8Rng::seed_from_u64(FILLING_SEED).fill_bytes(&mut bytes);
        Filling { bytes }
    }

    /// A payload of the size that the table was made for.
    pub(super) fn payload(&self, stamp: &Stamp) -> Vec<u8> {
        [&stamp.write(), self.of(stamp)].concat()
    }

    /// Whether a payload has, behind its stamp, what its publisher put there.
    pub(super) fn is_intact(&self, stamp: &Stamp, payload: &[u8]) -> bool {
        payload.get(STAMP_BYTES..) == Some(self.of(stamp))
    }

    fn of(&self, stamp: &Stamp) -> &[u8] {
        let offset = (stamp.publisher.wrapping_mul(31).wrapping_add(stamp.sequence)) as usize % OFFSETS;
        &self.bytes[offset..offset + self.bytes.len() - OFFSETS]
    }
}

/// A number for a node's name, the same in all processes.
pub(super) fn node_tag(node: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(node)
}

/// How many different pieces of the table payloads are filled with.
const OFFSETS: usize = 1_024;
const FILLING_SEED: u64 = 8080;

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 7, publisher: 319, sequence: 41, sent_ns: u64::MAX - 5, node: 1 << 40 };

    #[test]
    fn what_was_stamped_is_read_again() {
        for size in [STAMP_BYTES, 128, 4_096] {
            let payload = Filling::new(size).payload(&STAMP);
            assert_eq!(payload.len(), size);
            assert_eq!(Stamp::read(&payload), Some(STAMP));
        }
        assert_eq!(Stamp::read(&[0; STAMP_BYTES - 1]), None);
    }

    #[test]
    fn every_changed_byte_of_the_filling_is_noticed() {
        let filling = Filling::new(128);
        let payload = filling.payload(&STAMP);
        assert!(filling.is_intact(&STAMP, &payload));
        for index in STAMP_BYTES..payload.len() {
            let mut changed = payload.clone();
            changed[index] ^= 1;
            assert!(!filling.is_intact(&STAMP, &changed), "{index}");
        }
        assert!(!filling.is_intact(&STAMP, &payload[..127]));
        let other = Stamp { sequence: 42, ..STAMP };
        assert_ne!(filling.payload(&other)[STAMP_BYTES..], payload[STAMP_BYTES..]);
    }
}
