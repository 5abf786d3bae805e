//! What a peer must prove, per method, and whether it did.
//!
//! A user who does not exist is challenged like one who does and fails like one who used a wrong secret, so that nobody
//! finds out who exists. Such a challenge has no grant: whatever is proved, nothing comes of it.

use super::Context;
use super::admission::{Authenticator, Grant, Mutual, Principal, Program};
use crate::auth::cryptosign::{self, ChannelId, PublicKey};
use crate::auth::mutual::{self, Meeting, Nonce, Party, Purpose, Side};
use crate::auth::{Secret, decoy, wampcra};
use crate::wire::{Dict, Value};
use rand::CryptoRng;
use std::collections::BTreeMap;

/// A CHALLENGE that goes out, and what is to be done with its answer.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) extra: Dict,
    pub(super) proof: Proof,
    /// What the peer becomes when the proof is right. None for the unknown.
    pub(super) grant: Option<Grant>,
}

/// What makes an AUTHENTICATE right.
#[derive(Debug)]
pub(super) enum Proof {
    Ticket(Secret),
    /// This authenticator knows.
    TicketAt(Authenticator),
    Wampcra {
        key: Secret,
        text: String,
    },
    Cryptosign {
        key: PublicKey,
        challenge: cryptosign::Challenge,
        channel_id: Option<ChannelId>,
    },
    Mutual(Box<Meeting>),
}

/// The key that a peer announces in `HELLO.Details.authextra`, and the channel to which it binds its proof.
pub(super) struct Claim {
    pub(super) key: PublicKey,
    channel_id: Option<ChannelId>,
}

/// What a program says of itself in HELLO.
pub(super) struct Introduction {
    pub(super) id: String,
    pub(super) key: PublicKey,
    pub(super) purpose: Purpose,
    nonce: Nonce,
}

impl Proof {
    /// Whether an answer to this challenge can be guessed: a ticket or a secret, but not the key of a known principal.
    pub(super) fn can_be_guessed(&self, grant: Option<&Grant>) -> bool {
        match self {
            Proof::Ticket(_) | Proof::TicketAt(_) | Proof::Wampcra { .. } => true,
            Proof::Cryptosign { .. } | Proof::Mutual(_) => grant.is_none(),
        }
    }

    /// Whether `signature` is right. Tickets that an authenticator must see are not.
    pub(super) fn verify(&self, signature: &str) -> bool {
        match self {
            Proof::Ticket(ticket) => ticket.matches(signature),
            Proof::TicketAt(_) => false,
            Proof::Wampcra { key, text } => wampcra::verify(key, text, signature),
            Proof::Cryptosign { key, challenge, channel_id } => key.verify(challenge, channel_id.as_ref(), signature),
            Proof::Mutual(meeting) => meeting.verify(Side::Dialer, signature),
        }
    }
}

impl Challenge {
    pub(super) fn ticket(principals: &BTreeMap<String, Principal<Secret>>, authid: &str) -> Challenge {
        let principal = principals.get(authid);
        let ticket = principal.map_or_else(|| Secret::new(""), |principal| principal.credential.clone());
        let grant = principal.map(|principal| principal.grant.clone());
        Challenge { extra: Dict::new(), proof: Proof::Ticket(ticket), grant }
    }

    pub(super) fn ticket_at(authenticator: Authenticator) -> Challenge {
        Challenge { extra: Dict::new(), proof: Proof::TicketAt(authenticator), grant: None }
    }

    /// `principal` is challenged under the name `authid`; it has to be `known` for anything to come of it.
    pub(super) fn wampcra(
        challenge: wampcra::Challenge,
        principal: Principal<wampcra::Credential>,
        known: bool,
        rng: &mut dyn CryptoRng,
    ) -> Challenge {
        let text = challenge.to_text(rng);
        let mut extra = Dict::new().with("challenge", text.as_str());
        if let Some(salting) = principal.credential.salting {
            extra.set("salt", salting.salt);
            extra.set("iterations", salting.iterations);
            extra.set("keylen", salting.keylen);
        }
        let proof = Proof::Wampcra { key: principal.credential.key, text };
        Challenge { extra, proof, grant: known.then_some(principal.grant) }
    }

    pub(super) fn cryptosign(claim: Claim, grant: Option<Grant>, rng: &mut dyn CryptoRng) -> Challenge {
        let challenge = cryptosign::random_challenge(rng);
        let binding = claim.channel_id.map_or(Value::Null, |_| cryptosign::TLS_EXPORTER.into());
        let extra = Dict::new().with("challenge", hex::encode(challenge)).with("channel_binding", binding);
        let proof = Proof::Cryptosign { key: claim.key, challenge, channel_id: claim.channel_id };
        Challenge { extra, proof, grant }
    }

    /// The program that has dialed is challenged, and this one proves itself.
    pub(super) fn mutual(
        cx: &Context,
        mutual: &Mutual,
        realm: &str,
        introduction: Introduction,
        rng: &mut dyn CryptoRng,
    ) -> Challenge {
        let Introduction { id, key, purpose, nonce } = introduction;
        // Who has proved a key by TLS speaks for no other key.
        let is_shown = cx.peer.key.is_none_or(|shown| shown == key);
        let is_it = |principal: &&Principal<Program>| is_shown && is_program(principal, &key, purpose);
        let grant = mutual.principals.get(&id).filter(is_it).map(|principal| principal.grant.clone());
        let (node, own_key) = (cx.admission.node.id.clone(), mutual.key.public());
        let meeting = Box::new(Meeting {
            purpose,
            realm: realm.to_owned(),
            dialer: Party { id, key, nonce },
            listener: Party { id: node, key: own_key, nonce: mutual::random_nonce(rng) },
            channel_id: cx.peer.channel_id,
        });
        let extra = Dict::new()
            .with("node", meeting.listener.id.as_str())
            .with("pubkey", own_key.to_string())
            .with("nonce", hex::encode(meeting.listener.nonce))
            .with("signature", meeting.sign(Side::Listener, &mutual.key));
        Challenge { extra, proof: Proof::Mutual(meeting), grant }
    }
}

impl Claim {
    /// Reads `authextra`. The error says what HELLO lacks.
    pub(super) fn read(cx: &Context, authextra: &Dict) -> Result<Claim, &'static str> {
        let key = announced_key(authextra)?;
        let channel_id = match authextra.get("channel_binding") {
            None | Some(Value::Null) => None,
            Some(Value::String(binding)) if binding == cryptosign::TLS_EXPORTER => {
                Some(cx.peer.channel_id.ok_or("a TLS connection to this node for channel_binding tls-exporter")?)
            }
            // To go on without the binding that the peer relies on would be to cheat it.
            Some(_) => return Err("a channel_binding that is null or tls-exporter"),
        };
        Ok(Claim { key, channel_id })
    }
}

impl Introduction {
    /// Reads `authextra` of the program that calls itself `id`. The error says what HELLO lacks.
    pub(super) fn read(id: &str, authextra: &Dict) -> Result<Introduction, &'static str> {
        let purpose = authextra.str("purpose").and_then(Purpose::from_name);
        let nonce = authextra.str("nonce").and_then(cryptosign::parse_challenge);
        Ok(Introduction {
            id: id.to_owned(),
            key: announced_key(authextra)?,
            purpose: purpose.ok_or("an authextra.purpose that is link, report or operate")?,
            nonce: nonce.ok_or("an authextra.nonce of 64 hex digits")?,
        })
    }
}

fn announced_key(authextra: &Dict) -> Result<PublicKey, &'static str> {
    let key = authextra.str("pubkey").and_then(|text| text.parse().ok());
    key.ok_or("an authextra.pubkey of 64 hex digits")
}

/// Whether a program with this key that comes for this purpose is the principal.
pub(super) fn is_program(principal: &Principal<Program>, key: &PublicKey, purpose: Purpose) -> bool {
    principal.credential.purpose == purpose && principal.credential.keys.contains(key)
}

/// The user with this name, and true; or else one who looks like a user and is not.
pub(super) fn wampcra_principal(
    decoy_key: &Secret,
    principals: &BTreeMap<String, Principal<wampcra::Credential>>,
    authid: &str,
) -> (Principal<wampcra::Credential>, bool) {
    // Made in either case, so that both take the same time.
    let template = principals.values().nth(decoy::index(decoy_key, authid, principals.len()));
    let salting = template.and_then(|template| template.credential.salting.clone());
    let salting =
        salting.map(|salting| wampcra::Salting { salt: decoy::salt(decoy_key, authid, salting.salt.len()), ..salting });
    let role = template.map_or("user", |template| &template.grant.role);
    let decoy = Principal {
        credential: wampcra::Credential { key: Secret::new("no signature is right"), salting },
        grant: Grant::role(role),
    };
    match principals.get(authid) {
        Some(principal) => (principal.clone(), true),
        None => (decoy, false),
    }
}

/// Who has this key: the principal with this name, or without a name the only one with it.
pub(super) fn cryptosign_principal<'a>(
    principals: &'a BTreeMap<String, Principal<Vec<PublicKey>>>,
    authid: Option<&str>,
    key: PublicKey,
) -> Option<(&'a String, &'a Principal<Vec<PublicKey>>)> {
    let mut holders = principals
        .iter()
        .filter(|(name, principal)| authid.is_none_or(|authid| authid == *name) && principal.credential.contains(&key));
    holders.next().filter(|_| holders.next().is_none())
}
