//! The client's half of all methods: what HELLO says, and the answer to a CHALLENGE. Links, tools and tests dial so.

use super::cryptosign::{self, Challenge, ChannelId, PublicKey, SecretKey, TLS_EXPORTER};
use super::{Secret, wampcra};
use crate::wire::{Dict, Value};
use rand::CryptoRng;

/// What a client says and proves about itself.
#[derive(Clone, Debug)]
pub struct Client {
    pub authid: Option<String>,
    pub credential: Credential,
    /// The TLS channel to the router, to which a cryptosign proof is then bound.
    pub channel_id: Option<ChannelId>,
    /// Set by `expect_router` and `expect_node`.
    expected: Option<Expected>,
}

/// The key that the other side must prove to have, and what it must sign.
#[derive(Clone, Copy, Debug)]
struct Expected {
    key: PublicKey,
    challenge: Challenge,
    /// Whether it is a node, whose key signs as a client, too.
    is_node: bool,
}

/// What a client proves itself with.
#[derive(Clone, Debug)]
pub enum Credential {
    Anonymous,
    Ticket(Secret),
    /// The password, also where the router salts.
    Wampcra(Secret),
    Cryptosign(SecretKey),
}

/// Why a CHALLENGE cannot be answered. The session has to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    #[error("the router challenges by a method that was not offered")]
    OtherMethod,
    #[error("CHALLENGE.Extra lacks a valid {0:?}")]
    Lacks(&'static str),
    #[error("the router asks for more key derivation work than any honest one would")]
    TooMuchWork,
    #[error("the router does not bind to the TLS channel as asked")]
    NotBound,
    #[error("the router did not prove that it has the expected key")]
    OtherRouter,
}

impl Client {
    pub fn new(authid: Option<String>, credential: Credential) -> Client {
        Client { authid, credential, channel_id: None, expected: None }
    }

    /// Answers no router that does not prove to have this key. Only cryptosign can do that.
    pub fn expect_router(mut self, key: PublicKey, rng: &mut dyn CryptoRng) -> Client {
        self.expected = Some(Expected { key, challenge: cryptosign::random_challenge(rng), is_node: false });
        self
    }

    /// Answers no node of a cluster that does not prove to have this key. Only cryptosign can do that.
    pub fn expect_node(mut self, key: PublicKey, rng: &mut dyn CryptoRng) -> Client {
        self.expected = Some(Expected { key, challenge: cryptosign::random_challenge(rng), is_node: true });
        self
    }

    /// HELLO.Details with `authmethods`, `authid` and `authextra` set.
    pub fn hello_details(&self, details: Dict) -> Dict {
        let mut details = details.with("authmethods", vec![self.credential.method().into()]);
        if let Some(authid) = &self.authid {
            details.set("authid", authid.as_str());
        }
        if let Credential::Cryptosign(key) = &self.credential {
            let binding = self.channel_id.map_or(Value::Null, |_| TLS_EXPORTER.into());
            let mut authextra = Dict::new().with("pubkey", key.public().to_string()).with("channel_binding", binding);
            if let Some(Expected { challenge, is_node, .. }) = &self.expected {
                authextra.set(if *is_node { "node_challenge" } else { "challenge" }, hex::encode(challenge));
            }
            details.set("authextra", authextra);
        }
        details
    }

    /// The `Signature` of AUTHENTICATE that answers a CHALLENGE.
    pub fn answer(&self, method: &str, extra: &Dict) -> Result<String, ChallengeError> {
        if method != self.credential.method() {
            return Err(ChallengeError::OtherMethod);
        }
        match &self.credential {
            Credential::Anonymous => Err(ChallengeError::OtherMethod),
            Credential::Ticket(ticket) => Ok(ticket.expose().to_owned()),
            Credential::Wampcra(password) => {
                let text = extra.str("challenge").ok_or(ChallengeError::Lacks("challenge"))?;
                Ok(match salting(extra)? {
                    None => wampcra::sign(password, text),
                    Some(salting) => {
                        let key = wampcra::derive_key(password, &salting).ok_or(ChallengeError::TooMuchWork)?;
                        wampcra::sign(&key, text)
                    }
                })
            }
            Credential::Cryptosign(key) => {
                let challenge = extra.str("challenge").and_then(cryptosign::parse_challenge);
                let challenge = challenge.ok_or(ChallengeError::Lacks("challenge"))?;
                if self.channel_id.is_some() && extra.str("channel_binding") != Some(TLS_EXPORTER) {
                    return Err(ChallengeError::NotBound);
                }
                self.check_router(extra)?;
                Ok(key.sign(&challenge, self.channel_id.as_ref()))
            }
        }
    }

    fn check_router(&self, extra: &Dict) -> Result<(), ChallengeError> {
        let Some(Expected { key, challenge, is_node }) = &self.expected else { return Ok(()) };
        let channel_id = self.channel_id.as_ref();
        let is_proved = if *is_node {
            key.verify_node(challenge, channel_id, extra.str("node_signature").unwrap_or_default())
        } else {
            key.verify(challenge, channel_id, extra.str("signature").unwrap_or_default())
        };
        if is_proved { Ok(()) } else { Err(ChallengeError::OtherRouter) }
    }
}

impl Credential {
    /// The name of its `authmethod`.
    pub const fn method(&self) -> &'static str {
        match self {
            Credential::Anonymous => "anonymous",
            Credential::Ticket(_) => "ticket",
            Credential::Wampcra(_) => "wampcra",
            Credential::Cryptosign(_) => "cryptosign",
        }
    }
}

fn salting(extra: &Dict) -> Result<Option<wampcra::Salting>, ChallengeError> {
    let Some(salt) = extra.str("salt") else { return Ok(None) };
    let number = |key: &'static str| extra.uint(key).ok_or(ChallengeError::Lacks(key));
    Ok(Some(wampcra::Salting {
        salt: salt.to_owned(),
        iterations: u32::try_from(number("iterations")?).map_err(|_| ChallengeError::TooMuchWork)?,
        keylen: usize::try_from(number("keylen")?).map_err(|_| ChallengeError::TooMuchWork)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const CHANNEL_ID: ChannelId = [0x62; 32];

    fn client(credential: Credential) -> Client {
        Client::new(Some("peter".to_owned()), credential)
    }

    #[test]
    fn a_ticket_is_told_only_to_who_asks_for_tickets() {
        let client = client(Credential::Ticket(Secret::new("secret123")));
        assert_eq!(client.answer("ticket", &Dict::new()).as_deref(), Ok("secret123"));
        assert_eq!(client.answer("wampcra", &Dict::new()), Err(ChallengeError::OtherMethod));
    }

    #[test]
    fn wampcra_answers_with_the_password_or_the_key_derived_from_it() {
        let client = client(Credential::Wampcra(Secret::new("secret123")));
        let plain = Dict::new().with("challenge", "{}");
        let salted = plain.clone().with("salt", "salt123").with("iterations", 1000_u32).with("keylen", 32_u32);
        let derived = Secret::new("Eu7CQLfR+/Ffb+275A4s9/6H/RGKYxM4s6IMrsNKzC8=");
        assert!(wampcra::verify(&Secret::new("secret123"), "{}", &client.answer("wampcra", &plain).unwrap()));
        assert!(wampcra::verify(&derived, "{}", &client.answer("wampcra", &salted).unwrap()));
        let greedy = salted.clone().with("iterations", u64::MAX);
        assert_eq!(client.answer("wampcra", &greedy), Err(ChallengeError::TooMuchWork));
        let vague = plain.with("salt", "salt123");
        assert_eq!(client.answer("wampcra", &vague), Err(ChallengeError::Lacks("iterations")));
    }

    #[test]
    fn cryptosign_answers_are_bound_to_the_channel_when_there_is_one() {
        let key = SecretKey::from_seed([1; 32]);
        let mut client = client(Credential::Cryptosign(key.clone()));
        let unbound = Dict::new().with("challenge", hex::encode([7; 32])).with("channel_binding", Value::Null);
        assert!(key.public().verify(&[7; 32], None, &client.answer("cryptosign", &unbound).unwrap()));
        client.channel_id = Some(CHANNEL_ID);
        assert_eq!(client.answer("cryptosign", &unbound), Err(ChallengeError::NotBound));
        let bound = unbound.with("channel_binding", TLS_EXPORTER);
        let signature = client.answer("cryptosign", &bound).unwrap();
        assert!(key.public().verify(&[7; 32], Some(&CHANNEL_ID), &signature));
    }

    #[test]
    fn a_router_that_cannot_prove_itself_gets_no_answer() {
        let router_key = SecretKey::from_seed([2; 32]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let client = client(Credential::Cryptosign(SecretKey::from_seed([1; 32])));
        let client = client.expect_router(router_key.public(), &mut rng);
        let details = client.hello_details(Dict::new());
        let asked = details.dict("authextra").and_then(|extra| extra.str("challenge")).unwrap();
        let asked = cryptosign::parse_challenge(asked).unwrap();

        let extra = Dict::new().with("challenge", hex::encode([7; 32]));
        assert_eq!(client.answer("cryptosign", &extra), Err(ChallengeError::OtherRouter));
        let false_proof = extra.clone().with("signature", SecretKey::from_seed([3; 32]).sign(&asked, None));
        assert_eq!(client.answer("cryptosign", &false_proof), Err(ChallengeError::OtherRouter));
        let proof = extra.with("signature", router_key.sign(&asked, None));
        assert!(client.answer("cryptosign", &proof).is_ok());
    }

    #[test]
    fn neither_does_another_node() {
        let node_key = SecretKey::from_seed([2; 32]);
        let client = client(Credential::Cryptosign(SecretKey::from_seed([1; 32])));
        let client = client.expect_node(node_key.public(), &mut ChaCha8Rng::seed_from_u64(1));
        let details = client.hello_details(Dict::new());
        let asked = details.dict("authextra").and_then(|extra| extra.str("node_challenge")).unwrap();
        let asked = cryptosign::parse_challenge(asked).unwrap();

        let extra = Dict::new().with("challenge", hex::encode([7; 32]));
        let as_router = extra.clone().with("node_signature", node_key.sign(&asked, None));
        let other = extra.clone().with("node_signature", SecretKey::from_seed([3; 32]).sign_as_node(&asked, None));
        for extra in [&extra, &as_router, &other] {
            assert_eq!(client.answer("cryptosign", extra), Err(ChallengeError::OtherRouter));
        }
        let proof = extra.with("node_signature", node_key.sign_as_node(&asked, None));
        assert!(client.answer("cryptosign", &proof).is_ok());
    }
}
