//! Where the ids of a realm come from. Subscriptions and registrations get theirs from what they are, so that every
//! node of a cluster gives the same object the same id without asking; publications and sessions are random.

use crate::limits::{GIVEN_UP_MAX, ID_MAX};
use crate::wamp::{Id, uri::Match};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// What an id is for. A subscription and a registration of the same URI have different ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdKind {
    Subscription,
    Registration,
}

impl IdKind {
    pub const fn name(self) -> &'static str {
        match self {
            IdKind::Subscription => "subscription",
            IdKind::Registration => "registration",
        }
    }

    pub fn from_name(name: &str) -> Option<IdKind> {
        [IdKind::Subscription, IdKind::Registration].into_iter().find(|kind| kind.name() == name)
    }
}

/// The id of the subscription or registration of `uri` with `policy`: the same on every node. There is one for each
/// generation, so that who has given up one of them gets another one the next time; most objects have generation 0.
///
/// SHA-256 makes it infeasible to look for two URIs that share an id with less than 2^26 tries; where that happens all
/// the same, `taken` says that another living object has the id, and the next free one is given.
pub fn id_of(kind: IdKind, policy: Match, uri: &str, generation: u32, taken: impl Fn(Id) -> bool) -> Id {
    let mut hash = Sha256::new();
    hash.update(kind.name().as_bytes());
    if generation > 0 {
        hash.update(generation.to_be_bytes());
    }
    // The policy's name holds no NUL and stands before the URI: no two triples give the same bytes.
    hash.update([0]);
    hash.update(policy.name().as_bytes());
    hash.update([0]);
    hash.update(uri.as_bytes());
    let mut id = id_from_digest(hash);
    while taken(id) {
        id = if id == ID_MAX { 1 } else { id + 1 };
    }
    id
}

/// When a client asked for a subscription or registration, and with which id.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Wall time.
    pub wall: Duration,
    /// The generation of the id that the peers were told, in a realm that is linked to other nodes. It holds although
    /// the object of that id may have gone meanwhile: the peers have made it anew with the same id.
    pub generation: Option<u32>,
}

/// The subscriptions and registrations that a session has given up, by the id of their generation 0, with the
/// generation that each had: their ids are not to name what the session gets later.
#[derive(Clone, Debug, Default)]
pub struct GivenUp {
    generations: BTreeMap<Id, u32>,
}

impl GivenUp {
    /// Beyond `GIVEN_UP_MAX` another one is forgotten.
    pub fn note(&mut self, kind: IdKind, policy: Match, uri: &str, generation: u32) {
        self.generations.insert(id_of(kind, policy, uri, 0, |_| false), generation);
        if self.generations.len() > GIVEN_UP_MAX {
            self.generations.pop_first();
        }
    }

    /// The first generation whose id the session has not given up.
    pub fn next_generation(&self, kind: IdKind, policy: Match, uri: &str) -> u32 {
        if self.generations.is_empty() {
            return 0;
        }
        let given_up = self.generations.get(&id_of(kind, policy, uri, 0, |_| false));
        given_up.map_or(0, |generation| generation.saturating_add(1))
    }
}

/// The id of the publication of the testament with this number of a session, whichever node publishes it.
pub fn id_of_testament(session: Id, number: u64) -> Id {
    let mut hash = Sha256::new();
    hash.update(b"testament");
    hash.update(session.to_be_bytes());
    hash.update(number.to_be_bytes());
    id_from_digest(hash)
}

/// The id that the first bytes of a digest give.
fn id_from_digest(hash: Sha256) -> Id {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
    id_from_bits(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// An id of global scope: uniform over 1 to 2^53.
pub fn random_id(rng: &mut ChaCha8Rng) -> Id {
    id_from_bits(rng.next_u64())
}

/// Maps the upper 53 bits to 1..=2^53, each exactly once.
const fn id_from_bits(bits: u64) -> Id {
    (bits >> 11) + 1
}

const _: () = assert!(id_from_bits(0) == 1 && id_from_bits(u64::MAX) == ID_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn ids_depend_on_kind_policy_and_uri_only() {
        let id = |kind, policy, uri| id_of(kind, policy, uri, 0, |_| false);
        let base = id(IdKind::Subscription, Match::Exact, "com.a");
        // Fixed for ever: nodes of different versions must agree.
        assert_eq!(base, 321_572_037_323_513);
        assert_ne!(base, id(IdKind::Registration, Match::Exact, "com.a"));
        assert_ne!(base, id(IdKind::Subscription, Match::Prefix, "com.a"));
        assert_ne!(base, id(IdKind::Subscription, Match::Exact, "com.b"));
        assert_ne!(base, id_of(IdKind::Subscription, Match::Exact, "com.a", 1, |_| false));
    }

    #[test]
    fn a_taken_id_gives_way_to_the_next() {
        let first = id_of(IdKind::Subscription, Match::Exact, "com.a", 0, |_| false);
        assert_eq!(id_of(IdKind::Subscription, Match::Exact, "com.a", 0, |id| id == first), first % ID_MAX + 1);
    }

    #[test]
    fn what_was_given_up_has_another_generation_the_next_time() {
        let (kind, policy) = (IdKind::Registration, Match::Exact);
        let mut given_up = GivenUp::default();
        for generation in 0..3 {
            assert_eq!(given_up.next_generation(kind, policy, "com.a"), generation);
            given_up.note(kind, policy, "com.a", generation);
        }
        assert_eq!(given_up.next_generation(IdKind::Subscription, policy, "com.a"), 0);
        (0..2 * GIVEN_UP_MAX).for_each(|n| given_up.note(kind, policy, &format!("com.b{n}"), 0));
        assert_eq!(given_up.generations.len(), GIVEN_UP_MAX);
    }

    #[test]
    fn random_ids_stay_in_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..10_000 {
            assert!((1..=ID_MAX).contains(&random_id(&mut rng)));
        }
    }
}
