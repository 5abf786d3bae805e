//! Whether what a peer was admitted by still holds. This is asked when a handshake ends, because a handshake takes its
//! time, and of every open session whenever what its listener admits has changed.
//!
//! A session is covered as long as a new one could be opened by the same credential with the same role in the same
//! realm. So a key that is replaced, a ticket that is changed and a principal who is given another role end the
//! sessions that were opened before; what is to overlap is given two keys for a time.

use super::Context;
use super::admission::{Admission, Anonymous, Grant, Methods, Principal, Source};
use super::challenge::Proof;
use super::handshake::{Handshake, Method};
use crate::auth::Secret;
use crate::auth::cryptosign::PublicKey;
use crate::wamp::Identity;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The SHA-256 of the credential by which a session was opened: small enough to be kept for every session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(method: Method, credential: &[u8]) -> Fingerprint {
        let hash = Sha256::new().chain_update(method.name()).chain_update([0]).chain_update(credential);
        Fingerprint(hash.finalize().into())
    }

    fn of_secret(method: Method, secret: &Secret) -> Fingerprint {
        Fingerprint::of(method, secret.expose().as_bytes())
    }

    fn of_key(method: Method, key: &PublicKey) -> Fingerprint {
        Fingerprint::of(method, &key.0)
    }

    /// Of what was to be proved; none where an authenticator decides.
    pub(super) fn of_proof(proof: &Proof) -> Option<Fingerprint> {
        match proof {
            Proof::Ticket(ticket) => Some(Fingerprint::of_secret(Method::Ticket, ticket)),
            Proof::Wampcra { key, .. } => Some(Fingerprint::of_secret(Method::Wampcra, key)),
            Proof::Cryptosign { key, .. } => Some(Fingerprint::of_key(Method::Cryptosign, key)),
            Proof::Mutual(meeting) => Some(Fingerprint::of_key(Method::Mutual, &meeting.dialer.key)),
            Proof::TicketAt(_) => None,
        }
    }
}

impl Methods {
    /// What the principal of this name is granted now, if it has this credential.
    pub(super) fn grant_of(&self, method: Method, name: &str, proved: &Fingerprint) -> Option<&Grant> {
        match method {
            Method::Anonymous => None,
            Method::Ticket => {
                granted(self.ticket.as_ref()?, name, |ticket| Fingerprint::of_secret(Method::Ticket, ticket) == *proved)
            }
            Method::Wampcra => granted(self.wampcra.as_ref()?, name, |credential| {
                Fingerprint::of_secret(Method::Wampcra, &credential.key) == *proved
            }),
            Method::Cryptosign => granted(self.cryptosign.as_ref()?, name, |keys| {
                keys.iter().any(|key| Fingerprint::of_key(Method::Cryptosign, key) == *proved)
            }),
            Method::Mutual => {
                let principal = self.mutual.as_ref()?.principals.get(name)?;
                let is_it = |key: &PublicKey| Fingerprint::of_key(Method::Mutual, key) == *proved;
                principal.credential.keys.iter().any(is_it).then_some(&principal.grant)
            }
        }
    }

    /// Whether an authenticator decides about those who come by this method.
    pub(super) fn is_dynamic(&self, method: Method) -> bool {
        match method {
            Method::Anonymous => matches!(self.anonymous, Some(Anonymous::Dynamic(_))),
            Method::Ticket => matches!(self.ticket, Some(Source::Dynamic(_))),
            Method::Wampcra => matches!(self.wampcra, Some(Source::Dynamic(_))),
            Method::Cryptosign => matches!(self.cryptosign, Some(Source::Dynamic(_))),
            Method::Mutual => false,
        }
    }
}

impl Handshake {
    /// What the peer, which has proved itself, is granted now: the principal may have been taken away since its HELLO.
    pub(super) fn confirm(&mut self, cx: &Context, proof: &Proof, promised: Grant) -> Option<Grant> {
        if self.authprovider == DYNAMIC {
            return Some(promised).filter(|_| self.is_still_dynamic(cx));
        }
        let proved = Fingerprint::of_proof(proof)?;
        let grant = cx.admission.methods.grant_of(self.method, self.authid.as_deref()?, &proved)?.clone();
        self.proved = Some(Box::new(proved));
        Some(grant)
    }

    pub(super) fn is_still_dynamic(&self, cx: &Context) -> bool {
        cx.admission.methods.is_dynamic(self.method)
    }
}

impl Admission {
    /// Whether a session in this realm would be opened again as it is. `proved` is what it was opened by.
    pub(super) fn covers(&self, realm: &str, identity: &Identity, proved: Option<&Fingerprint>) -> bool {
        let has_role = self.realms.get(realm).is_some_and(|realm| realm.roles.contains(&identity.authrole));
        let Some(method) = Method::from_name(&identity.authmethod).filter(|_| has_role) else { return false };
        if identity.authprovider == DYNAMIC {
            return self.methods.is_dynamic(method);
        }
        let grant = match (&self.methods.anonymous, proved) {
            (Some(Anonymous::Static(grant)), None) if method == Method::Anonymous => Some(grant),
            (_, Some(proved)) => self.methods.grant_of(method, &identity.authid, proved),
            _ => None,
        };
        grant.is_some_and(|grant| {
            grant.role == identity.authrole && grant.realm.as_deref().is_none_or(|granted| granted == realm)
        })
    }
}

fn granted<'a, C>(source: &'a Source<C>, name: &str, is_it: impl Fn(&C) -> bool) -> Option<&'a Grant> {
    let Source::Static(principals) = source else { return None };
    let principals: &BTreeMap<String, Principal<C>> = principals;
    principals.get(name).filter(|principal| is_it(&principal.credential)).map(|principal| &principal.grant)
}

/// The `authprovider` of whoever was admitted by a principal of the configuration, and by an authenticator.
pub(super) const STATIC: &str = "static";
pub(super) const DYNAMIC: &str = "dynamic";
