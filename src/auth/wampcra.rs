//! WAMP-CRA: the client proves that it has a shared secret by signing the router's challenge with HMAC-SHA256.
//!
//! The specification leaves the salted form open; deployed clients derive the key with PBKDF2-HMAC-SHA256 and use the
//! base64 *text* of the derived bytes as the HMAC key, and so does this.

use super::Secret;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How a client turns its password into the key. All three are public: CHALLENGE tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salting {
    pub salt: String,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// Length of the derived key in bytes, before base64.
    pub keylen: usize,
}

/// What the router keeps about one user. With `salting`, `key` is the derived key in base64, so that the password
/// itself need not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub key: Secret,
    pub salting: Option<Salting>,
}

/// Who is challenged. All of it is public and part of the text to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    pub authid: &'a str,
    pub authrole: &'a str,
    pub authprovider: &'a str,
    /// The session id that WELCOME will tell.
    pub session: u64,
    /// Time since the Unix epoch.
    pub wall: Duration,
}

impl Challenge<'_> {
    /// The JSON text to be signed, with a fresh nonce.
    pub fn to_text(self, rng: &mut dyn CryptoRng) -> String {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        serde_json::json!({
            "authid": self.authid,
            "authrole": self.authrole,
            "authmethod": "wampcra",
            "authprovider": self.authprovider,
            "nonce": BASE64.encode(nonce),
            "timestamp": timestamp(self.wall),
            "session": self.session,
        })
        .to_string()
    }
}

/// The client's half: the key from a password. `None` when the router asks for more work than any honest one would.
pub fn derive_key(password: &Secret, salting: &Salting) -> Option<Secret> {
    if salting.iterations == 0 || salting.iterations > ITERATIONS_MAX || salting.keylen > KEYLEN_MAX {
        return None;
    }
    let mut derived = vec![0; salting.keylen];
    let (password, salt) = (password.expose().as_bytes(), salting.salt.as_bytes());
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, salting.iterations, &mut derived);
    Some(Secret::new(BASE64.encode(derived)))
}

/// The signature of a challenge text in base64: the client's half, and what the router compares with.
pub fn sign(key: &Secret, challenge: &str) -> String {
    BASE64.encode(hmac(key, challenge.as_bytes()))
}

/// Whether `signature` was made with `key`, in constant time.
pub fn verify(key: &Secret, challenge: &str, signature: &str) -> bool {
    sign(key, challenge).as_bytes().ct_eq(signature.as_bytes()).into()
}

/// HMAC-SHA256 with the secret's text as the key.
pub(super) fn hmac(key: &Secret, text: &[u8]) -> [u8; 32] {
    #[expect(
        clippy::expect_used,
        reason = "HMAC hashes or pads a key to the length of its block, so that every key fits"
    )]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("every key fits");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(wall: Duration) -> String {
    let instant = jiff::Timestamp::UNIX_EPOCH.saturating_add(wall).unwrap_or(jiff::Timestamp::MAX);
    format!("{instant:.3}")
}

/// Ten times what is recommended for PBKDF2-HMAC-SHA256 today; some seconds of work.
const ITERATIONS_MAX: u32 = 6_000_000;
/// Derived keys are 32 bytes; each further 32 cost all iterations again.
const KEYLEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;

    /// The challenge of the specification's example; the keys and results were computed independently.
    const CHALLENGE: &str = "{ \"nonce\": \"LHRTC9zeOIrt_9U3\", \"authprovider\": \"userdb\", \"authid\": \"peter\", \
                             \"timestamp\": \"2014-06-22T16:36:25.448Z\", \"authrole\": \"user\", \
                             \"authmethod\": \"wampcra\", \"session\": 3251278072152162}";

    #[test]
    fn a_password_and_a_salt_give_the_key_that_deployed_clients_use() {
        let salting = Salting { salt: "salt123".into(), iterations: 1000, keylen: 32 };
        let key = derive_key(&Secret::new("secret123"), &salting).unwrap();
        assert_eq!(key.expose(), "Eu7CQLfR+/Ffb+275A4s9/6H/RGKYxM4s6IMrsNKzC8=");
    }

    #[test]
    fn unreasonable_work_is_refused() {
        let honest = Salting { salt: "salt123".into(), iterations: 1, keylen: 32 };
        let password = Secret::new("secret123");
        assert!(derive_key(&password, &honest).is_some());
        assert!(derive_key(&password, &Salting { iterations: u32::MAX, ..honest.clone() }).is_none());
        assert!(derive_key(&password, &Salting { iterations: 0, ..honest.clone() }).is_none());
        assert!(derive_key(&password, &Salting { keylen: 1 << 30, ..honest }).is_none());
    }

    #[test]
    fn signatures_agree_with_the_computed_vector() {
        let key = Secret::new("secret123");
        let signature = "nebG34h0FTFarzopdi/mmsn+hb5MLa8E34Dos01EFgk=";
        assert_eq!(sign(&key, CHALLENGE), signature);
        assert!(verify(&key, CHALLENGE, signature));
        assert!(!verify(&Secret::new("secret124"), CHALLENGE, signature));
        assert!(!verify(&key, &CHALLENGE.replace("peter", "paula"), signature));
        assert!(!verify(&key, CHALLENGE, ""));
        assert!(!verify(&key, CHALLENGE, &signature[..20]));
    }

    #[test]
    fn a_challenge_is_json_with_every_key_and_a_new_nonce() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let challenge = Challenge {
            authid: "pe\"ter",
            authrole: "user",
            authprovider: "static",
            session: 9_007_199_254_740_992,
            wall: Duration::from_millis(1_403_454_985_448),
        };
        let text = challenge.to_text(&mut rng);
        assert_ne!(text, challenge.to_text(&mut rng));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["authid"], "pe\"ter");
        assert_eq!(json["authrole"], "user");
        assert_eq!(json["authmethod"], "wampcra");
        assert_eq!(json["authprovider"], "static");
        assert_eq!(json["session"], 9_007_199_254_740_992_u64);
        assert_eq!(json["timestamp"], "2014-06-22T16:36:25.448Z");
        assert_eq!(json["nonce"].as_str().unwrap().len(), 24);
    }
}
