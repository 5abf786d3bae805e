//! Cryptosign: the peer proves that it has the private half of an ed25519 key by signing the router's challenge.
//!
//! What is signed is the challenge XOR the id of the TLS channel (when both sides bind to it), 32 bytes, and the
//! signature travels as the hex text of signature and message. Whoever challenges chooses what is signed: the signature
//! says no more than that its maker was asked by somebody. Programs of a cluster prove their keys by `mutual`.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand::CryptoRng;
use std::{fmt, str::FromStr};
use subtle::ConstantTimeEq;

/// 32 random bytes that are to be signed.
pub type Challenge = [u8; 32];
/// What names a TLS channel at both of its ends: the exporter of RFC 9266.
pub type ChannelId = [u8; 32];

/// The word for channels bound by [`ChannelId`] in `channel_binding`.
pub const TLS_EXPORTER: &str = "tls-exporter";
/// The label with which TLS exports a [`ChannelId`], with an empty context.
pub const TLS_EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The public half of a key, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// The private half of a key. Never printed; on the heap, because what is derived from it in advance is large.
#[derive(Clone)]
pub struct SecretKey(Box<SigningKey>);

/// A key that is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ed25519 key is 64 hex digits")]
pub struct InvalidKey;

impl SecretKey {
    pub fn generate(rng: &mut dyn CryptoRng) -> SecretKey {
        SecretKey::from_seed(random_challenge(rng))
    }

    /// The key of 32 secret random bytes.
    pub fn from_seed(seed: [u8; 32]) -> SecretKey {
        SecretKey(Box::new(SigningKey::from_bytes(&seed)))
    }

    /// The bytes to keep, in a file that only its owner can read.
    pub fn to_seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The `Signature` of AUTHENTICATE: 192 hex digits.
    pub fn sign(&self, challenge: &Challenge, channel_id: Option<&ChannelId>) -> String {
        let message = message(challenge, channel_id);
        let mut signature = hex::encode(self.0.sign(&message).to_bytes());
        signature.push_str(&hex::encode(message));
        signature
    }

    /// The signature of any bytes.
    pub(super) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl PublicKey {
    /// Whether `signature` (192 hex digits) is this key's over exactly the expected message: a good signature of some
    /// other message proves nothing.
    pub fn verify(&self, challenge: &Challenge, channel_id: Option<&ChannelId>, signature: &str) -> bool {
        let mut bytes = [0; 96];
        if hex::decode_to_slice(signature, &mut bytes).is_err() {
            return false;
        }
        let (signature, signed) = bytes.split_at(64);
        let expected = message(challenge, channel_id);
        bool::from(signed.ct_eq(&expected)) && self.verify_bytes(&expected, signature)
    }

    /// Whether `signature` (64 bytes) is this key's over these bytes.
    pub(super) fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        key.verify_strict(message, &signature).is_ok()
    }
}

/// A fresh challenge.
pub fn random_challenge(rng: &mut dyn CryptoRng) -> Challenge {
    let mut challenge = [0; 32];
    rng.fill_bytes(&mut challenge);
    challenge
}

/// A challenge as it travels, 64 hex digits.
pub fn parse_challenge(text: &str) -> Option<Challenge> {
    let mut challenge = [0; 32];
    hex::decode_to_slice(text, &mut challenge).ok()?;
    Some(challenge)
}

/// What is signed.
fn message(challenge: &Challenge, channel_id: Option<&ChannelId>) -> [u8; 32] {
    let mut message = *challenge;
    if let Some(channel_id) = channel_id {
        message.iter_mut().zip(channel_id).for_each(|(byte, mask)| *byte ^= mask);
    }
    message
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<PublicKey, InvalidKey> {
        parse_challenge(text).map(PublicKey).ok_or(InvalidKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &SecretKey) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(*** of {})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510";
    const CHANNEL_ID: ChannelId = [0x62; 32];

    fn key() -> SecretKey {
        SecretKey::from_seed(parse_challenge(SEED).unwrap())
    }

    #[test]
    fn signatures_agree_with_the_vector_of_the_specification() {
        let signature = "b32675b221f08593213737bef8240e7c15228b07028e19595294678c90d11c0c\
                         ae80a357331bfc5cc9fb71081464e6e75013517c2cf067ad566a6b7b728e5d03";
        let expected = format!("{signature}{}", "ff".repeat(32));
        assert_eq!(key().sign(&[0xff; 32], None), expected);
        assert!(key().public().verify(&[0xff; 32], None, &expected));
        assert!(key().public().verify(&[0xff; 32], None, &expected.to_uppercase()));
    }

    #[test]
    fn a_proof_holds_only_for_its_challenge_its_channel_and_its_key() {
        let (challenge, key) = ([7; 32], key());
        let signature = key.sign(&challenge, Some(&CHANNEL_ID));
        let public = key.public();
        assert!(public.verify(&challenge, Some(&CHANNEL_ID), &signature));
        assert!(!public.verify(&challenge, None, &signature));
        assert!(!public.verify(&[8; 32], Some(&CHANNEL_ID), &signature));
        assert!(!public.verify(&challenge, Some(&[0x63; 32]), &signature));
        assert!(!SecretKey::from_seed([1; 32]).public().verify(&challenge, Some(&CHANNEL_ID), &signature));
    }

    #[test]
    fn a_good_signature_of_another_message_proves_nothing() {
        let signature = key().sign(&[9; 32], None);
        assert!(key().public().verify(&[9; 32], None, &signature));
        assert!(!key().public().verify(&[7; 32], None, &signature));
        // Nor does putting the expected message beside it.
        let mixed = format!("{}{}", &signature[..128], "07".repeat(32));
        assert!(!key().public().verify(&[7; 32], None, &mixed));
    }

    #[test]
    fn malformed_signatures_and_keys_are_refused() {
        let signature = key().sign(&[7; 32], None);
        for malformed in ["", "zz", &signature[2..], &format!("{signature}00"), &"é".repeat(96)] {
            assert!(!key().public().verify(&[7; 32], None, malformed), "{malformed:?}");
        }
        // Not a point of the curve, and a point of small order.
        assert!(!PublicKey([2; 32]).verify(&[7; 32], None, &signature));
        assert!(!PublicKey([0; 32]).verify(&[7; 32], None, &signature));
        assert_eq!("12".parse::<PublicKey>(), Err(InvalidKey));
    }

    #[test]
    fn keys_travel_as_hex_and_private_ones_never_print() {
        let public = key().public();
        assert_eq!(public.to_string().parse::<PublicKey>(), Ok(public));
        assert_eq!(SecretKey::from_seed(key().to_seed()), key());
        assert_eq!(format!("{:?}", key()), format!("SecretKey(*** of {public})"));
    }
}
