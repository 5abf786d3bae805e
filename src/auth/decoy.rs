//! What unknown users are told, so that asking does not tell them from known ones. All of it is derived from a secret
//! key and the authid: who asks twice is told the same twice.

use super::{Secret, wampcra::hmac};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};

/// A salt of `len` characters.
pub fn salt(decoy_key: &Secret, authid: &str, len: usize) -> String {
    let mut salt = String::new();
    for block in 0.. {
        if salt.len() >= len {
            break;
        }
        salt.push_str(&BASE64.encode(derive(decoy_key, b's', block, authid)));
    }
    salt.truncate(len);
    salt
}

/// Which one of `n` known users the unknown one is to look like; 0 when there are none.
pub fn index(decoy_key: &Secret, authid: &str, n: usize) -> usize {
    let [a, b, c, d, ..] = derive(decoy_key, b'i', 0, authid);
    usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0).checked_rem(n).unwrap_or(0)
}

fn derive(decoy_key: &Secret, purpose: u8, block: u32, authid: &str) -> [u8; 32] {
    let mut input = vec![purpose];
    input.extend_from_slice(&block.to_be_bytes());
    input.extend_from_slice(authid.as_bytes());
    hmac(decoy_key, &input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_stable_per_authid_and_as_long_as_asked() {
        let key = Secret::new("per process");
        for len in [0, 1, 16, 43, 44, 100] {
            assert_eq!(salt(&key, "nobody", len).len(), len);
        }
        assert_eq!(salt(&key, "nobody", 16), salt(&key, "nobody", 16));
        assert_ne!(salt(&key, "nobody", 16), salt(&key, "somebody", 16));
        assert_ne!(salt(&key, "nobody", 16), salt(&Secret::new("another"), "nobody", 16));
    }

    #[test]
    fn unknown_users_look_like_every_known_one() {
        let key = Secret::new("per process");
        let mut hit = [false; 3];
        for user in 0..100 {
            hit[index(&key, &format!("user{user}"), 3)] = true;
        }
        assert_eq!(hit, [true; 3]);
        assert_eq!(index(&key, "nobody", 0), 0);
    }
}
