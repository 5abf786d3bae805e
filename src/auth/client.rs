//! The client's half of all methods: what HELLO says, and the answer to a CHALLENGE. Links, tools and tests dial so.

use super::cryptosign::{self, ChannelId, PublicKey, SecretKey, TLS_EXPORTER};
use super::mutual::{self, Meeting, Nonce, Party, Purpose, Side};
use super::{Secret, wampcra};
use crate::wire::{Dict, Value};
use rand::CryptoRng;

/// What a client says and proves about itself.
#[derive(Clone, Debug)]
pub struct Client {
    pub authid: Option<String>,
    pub credential: Credential,
    /// The TLS channel to the router, to which the proof of a key is then bound.
    pub channel_id: Option<ChannelId>,
}

/// What a program of a cluster proves, and who has to prove what in return.
#[derive(Clone, Debug)]
pub struct Program {
    key: SecretKey,
    purpose: Purpose,
    nonce: Nonce,
    /// The id and the key of the other side, as far as they are known.
    expected_id: Option<String>,
    expected_key: Option<PublicKey>,
}

/// What a client proves itself with.
#[derive(Clone, Debug)]
pub enum Credential {
    Anonymous,
    Ticket(Secret),
    /// The password, also where the router salts.
    Wampcra(Secret),
    Cryptosign(SecretKey),
    /// Of programs among each other, see `auth::mutual`.
    Mutual(Box<Program>),
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
        Client { authid, credential, channel_id: None }
    }

    /// A program of a cluster. It answers nobody who does not prove to have the key that it says it has; see `expect`.
    pub fn program(id: impl Into<String>, key: SecretKey, purpose: Purpose) -> Client {
        let program = Program { key, purpose, nonce: Nonce::default(), expected_id: None, expected_key: None };
        Client::new(Some(id.into()), Credential::Mutual(Box::new(program)))
    }

    /// Answers nobody but the one with this id (if it is known) and this key (likewise). Only programs can do that.
    pub fn expect(mut self, id: Option<&str>, key: Option<PublicKey>) -> Client {
        if let Credential::Mutual(program) = &mut self.credential {
            (program.expected_id, program.expected_key) = (id.map(str::to_owned), key);
        }
        self
    }

    /// For one session: a program gets a nonce of its own, and binds its proof to the TLS channel if there is one. What
    /// anybody else binds to is left as it is, because there may be a proxy before a router that speaks TLS for it.
    pub fn renewed(&self, channel_id: Option<ChannelId>, rng: &mut dyn CryptoRng) -> Client {
        let mut client = self.clone();
        if let Credential::Mutual(program) = &mut client.credential {
            program.nonce = mutual::random_nonce(rng);
            client.channel_id = channel_id;
        }
        client
    }

    /// HELLO.Details with `authmethods`, `authid` and `authextra` set.
    pub fn hello_details(&self, details: Dict) -> Dict {
        let mut details = details.with("authmethods", vec![self.credential.method().into()]);
        if let Some(authid) = &self.authid {
            details.set("authid", authid.as_str());
        }
        let proving = |key: &SecretKey| Dict::new().with("pubkey", key.public().to_string());
        match &self.credential {
            Credential::Cryptosign(key) => {
                let binding = self.channel_id.map_or(Value::Null, |_| TLS_EXPORTER.into());
                details.set("authextra", proving(key).with("channel_binding", binding));
            }
            Credential::Mutual(program) => {
                let authextra = proving(&program.key).with("purpose", program.purpose.name());
                details.set("authextra", authextra.with("nonce", hex::encode(program.nonce)));
            }
            Credential::Anonymous | Credential::Ticket(_) | Credential::Wampcra(_) => {}
        }
        details
    }

    /// The `Signature` of AUTHENTICATE that answers a CHALLENGE. `realm` is that of HELLO.
    pub fn answer(&self, realm: &str, method: &str, extra: &Dict) -> Result<String, ChallengeError> {
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
                Ok(key.sign(&challenge, self.channel_id.as_ref()))
            }
            Credential::Mutual(program) => self.meet(program, realm, extra),
        }
    }

    /// The proof of a program, once the other side has given its own.
    fn meet(&self, program: &Program, realm: &str, extra: &Dict) -> Result<String, ChallengeError> {
        let lacks = ChallengeError::Lacks;
        let listener = Party {
            id: extra.str("node").ok_or(lacks("node"))?.to_owned(),
            key: extra.str("pubkey").and_then(|text| text.parse().ok()).ok_or(lacks("pubkey"))?,
            nonce: extra.str("nonce").and_then(cryptosign::parse_challenge).ok_or(lacks("nonce"))?,
        };
        if program.expected_id.as_ref().is_some_and(|id| *id != listener.id)
            || program.expected_key.is_some_and(|key| key != listener.key)
        {
            return Err(ChallengeError::OtherRouter);
        }
        let id = self.authid.clone().unwrap_or_default();
        let dialer = Party { id, key: program.key.public(), nonce: program.nonce };
        let (purpose, realm, channel_id) = (program.purpose, realm.to_owned(), self.channel_id);
        let meeting = Meeting { purpose, realm, dialer, listener, channel_id };
        match meeting.verify(Side::Listener, extra.str("signature").unwrap_or_default()) {
            true => Ok(meeting.sign(Side::Dialer, &program.key)),
            false => Err(ChallengeError::OtherRouter),
        }
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
            Credential::Mutual(_) => mutual::METHOD,
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
        assert_eq!(client.answer("realm1", "ticket", &Dict::new()).as_deref(), Ok("secret123"));
        assert_eq!(client.answer("realm1", "wampcra", &Dict::new()), Err(ChallengeError::OtherMethod));
    }

    #[test]
    fn wampcra_answers_with_the_password_or_the_key_derived_from_it() {
        let client = client(Credential::Wampcra(Secret::new("secret123")));
        let plain = Dict::new().with("challenge", "{}");
        let salted = plain.clone().with("salt", "salt123").with("iterations", 1000_u32).with("keylen", 32_u32);
        let derived = Secret::new("Eu7CQLfR+/Ffb+275A4s9/6H/RGKYxM4s6IMrsNKzC8=");
        assert!(wampcra::verify(&Secret::new("secret123"), "{}", &client.answer("realm1", "wampcra", &plain).unwrap()));
        assert!(wampcra::verify(&derived, "{}", &client.answer("realm1", "wampcra", &salted).unwrap()));
        let greedy = salted.clone().with("iterations", u64::MAX);
        assert_eq!(client.answer("realm1", "wampcra", &greedy), Err(ChallengeError::TooMuchWork));
        let vague = plain.with("salt", "salt123");
        assert_eq!(client.answer("realm1", "wampcra", &vague), Err(ChallengeError::Lacks("iterations")));
    }

    #[test]
    fn cryptosign_answers_are_bound_to_the_channel_when_there_is_one() {
        let key = SecretKey::from_seed([1; 32]);
        let mut client = client(Credential::Cryptosign(key.clone()));
        let unbound = Dict::new().with("challenge", hex::encode([7; 32])).with("channel_binding", Value::Null);
        assert!(key.public().verify(&[7; 32], None, &client.answer("realm1", "cryptosign", &unbound).unwrap()));
        client.channel_id = Some(CHANNEL_ID);
        assert_eq!(client.answer("realm1", "cryptosign", &unbound), Err(ChallengeError::NotBound));
        let bound = unbound.with("channel_binding", TLS_EXPORTER);
        let signature = client.answer("realm1", "cryptosign", &bound).unwrap();
        assert!(key.public().verify(&[7; 32], Some(&CHANNEL_ID), &signature));
    }

    #[test]
    fn who_cannot_prove_to_be_the_one_that_is_expected_gets_no_answer() {
        let (own, listener) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let client = Client::program("edge1", own.clone(), Purpose::Link);
        let client =
            client.expect(Some("edge2"), Some(listener.public())).renewed(None, &mut ChaCha8Rng::seed_from_u64(1));
        let details = client.hello_details(Dict::new());
        let nonce = details.dict("authextra").and_then(|extra| extra.str("nonce")).unwrap();
        let meeting = |id: &str, key: &SecretKey| Meeting {
            purpose: Purpose::Link,
            realm: "realm1".to_owned(),
            dialer: Party {
                id: "edge1".to_owned(),
                key: own.public(),
                nonce: cryptosign::parse_challenge(nonce).unwrap(),
            },
            listener: Party { id: id.to_owned(), key: key.public(), nonce: [7; 32] },
            channel_id: None,
        };
        let answer = |meeting: &Meeting, key: &SecretKey| {
            let Party { id, key: public, nonce } = &meeting.listener;
            let extra = Dict::new().with("node", id.as_str()).with("pubkey", public.to_string());
            let extra = extra.with("nonce", hex::encode(nonce)).with("signature", meeting.sign(Side::Listener, key));
            client.answer("realm1", "mutual", &extra)
        };
        let other = SecretKey::from_seed([3; 32]);
        let refused = Err(ChallengeError::OtherRouter);
        assert_eq!(answer(&meeting("edge2", &listener), &other), refused, "it only says that it has the key");
        assert_eq!(answer(&meeting("edge2", &other), &other), refused, "it proves another key");
        assert_eq!(answer(&meeting("edge3", &listener), &listener), refused, "it is another node");
        let elsewhere = Meeting { realm: "realm2".to_owned(), ..meeting("edge2", &listener) };
        assert_eq!(answer(&elsewhere, &listener), refused, "it was asked for another realm");
        let meeting = meeting("edge2", &listener);
        assert!(meeting.verify(Side::Dialer, &answer(&meeting, &listener).unwrap()));
        assert_eq!(client.answer("realm1", "cryptosign", &Dict::new()), Err(ChallengeError::OtherMethod));
        let again = client.renewed(None, &mut ChaCha8Rng::seed_from_u64(2)).hello_details(Dict::new());
        assert_ne!(again, details, "every session has a nonce of its own");
    }
}
