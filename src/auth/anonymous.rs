//! The authid of somebody who did not say who they are.

use rand::{CryptoRng, RngExt};

/// A random authid like `M9HL-79YM-QGWP-4X37-P395-Y5EW`: 24 symbols of 27, which is 114 bits.
pub fn random_authid(rng: &mut dyn CryptoRng) -> String {
    let mut authid = String::with_capacity(N_GROUPS * (GROUP_LEN + 1));
    for group in 0..N_GROUPS {
        if group > 0 {
            authid.push('-');
        }
        for _ in 0..GROUP_LEN {
            let symbol = ALPHABET.get(rng.random_range(0..ALPHABET.len()));
            authid.extend(symbol.copied().map(char::from));
        }
    }
    authid
}

const N_GROUPS: usize = 6;
const GROUP_LEN: usize = 4;
/// Digits and capitals without those that are mistaken for one another when read aloud or copied by hand.
const ALPHABET: &[u8; 27] = b"345679ACEFGHJKLMNPQRSTUVWXY";

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;

    #[test]
    fn authids_have_six_groups_of_four_and_differ() {
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        let first = random_authid(&mut rng);
        assert_ne!(first, random_authid(&mut rng));
        let groups: Vec<&str> = first.split('-').collect();
        assert_eq!(groups.len(), 6);
        for group in groups {
            assert!(group.len() == 4 && group.bytes().all(|symbol| ALPHABET.contains(&symbol)), "{first}");
        }
    }
}
