//! Who comes in through a listener, and whether what they are granted exists.

use super::host::Host;
use super::mistake::Findings;
use super::raw;
use super::resolve::{hint, refuse_procedure, secret};
use super::resolved::Purpose;
use super::table::{At, join};
use super::value::Text;
use crate::auth::Secret;
use crate::auth::cryptosign::PublicKey;
use crate::auth::wampcra::{Credential, Salting};
use crate::session::admission::{Anonymous, Authenticator, Grant, Methods, Principal, Source};
use std::collections::BTreeMap;

/// What grants may name: the realms and their roles.
pub(super) struct Realms<'f>(Vec<(&'f str, Vec<&'f str>)>);

impl<'f> Realms<'f> {
    pub(super) fn of(file: &'f raw::File) -> Realms<'f> {
        let roles = |realm: &'f raw::Realm| realm.role.iter().map(|role| role.name.0.as_str()).collect();
        Realms(file.realm.iter().map(|realm| (realm.value.name.0.as_str(), roles(&realm.value))).collect())
    }

    fn names(&self) -> impl Iterator<Item = &'f str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The roles of this realm, or of all.
    fn roles(&self, realm: Option<&str>) -> impl Iterator<Item = &'f str> {
        self.0
            .iter()
            .filter(move |(name, _)| realm.is_none_or(|realm| realm == *name))
            .flat_map(|(_, roles)| roles.iter().copied())
    }
}

/// The methods of one listener; None when one of them cannot be made sense of.
pub(super) fn methods(
    listen: &raw::Listen,
    realms: &Realms<'_>,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Methods> {
    if *listen.purpose == Purpose::Mesh {
        return Some(Methods { anonymous: None, ..Methods::default() });
    }
    let mut resolver = Resolver { realms, host, findings, at: listen.address.at };
    let Some(raw) = &listen.auth else {
        if !*listen.echo && !realms.roles(None).any(|role| role == "anonymous") {
            let sentence = "a [[listen]] without [listen.auth] admits the role 'anonymous', but no realm has it";
            resolver.findings.add(listen.address.at, sentence);
        }
        return Some(Methods::default());
    };
    if raw.anonymous.is_none() && raw.ticket.is_none() && raw.wampcra.is_none() && raw.cryptosign.is_none() {
        let sentence = "[listen.auth] has no method, known are 'anonymous', 'ticket', 'wampcra' and 'cryptosign'";
        resolver.findings.add(listen.address.at, sentence);
    }
    // Every method is resolved before the first that failed counts, so that the mistakes of all are found.
    let anonymous = raw.anonymous.as_ref().map(|raw| resolver.anonymous(raw));
    let ticket = raw.ticket.as_ref().map(|raw| resolver.ticket(raw));
    let wampcra = raw.wampcra.as_ref().map(|raw| resolver.wampcra(raw));
    let cryptosign = raw.cryptosign.as_ref().map(|raw| resolver.cryptosign(raw));
    Some(Methods {
        anonymous: present(anonymous)?,
        ticket: present(ticket)?,
        wampcra: present(wampcra)?,
        cryptosign: present(cryptosign)?,
        mutual: None,
    })
}

/// What resolving a listener's methods needs.
struct Resolver<'r, 'f, 't> {
    realms: &'r Realms<'f>,
    host: &'r Host,
    findings: &'r mut Findings<'t>,
    /// Where mistakes are shown that are about something missing.
    at: Option<usize>,
}

impl Resolver<'_, '_, '_> {
    fn anonymous(&mut self, raw: &raw::Anonymous) -> Option<Anonymous> {
        let table = "[listen.auth.anonymous]";
        let has_role = raw.role.is_some();
        if let Some(dynamic) =
            self.authenticator(table, "a role", has_role, &raw.authenticator, &raw.authenticator_realm)
        {
            return dynamic.map(Anonymous::Dynamic);
        }
        let default = At { value: Text("anonymous".to_owned()), at: self.at };
        self.grant(table, raw.role.as_ref().unwrap_or(&default), None).map(Anonymous::Static)
    }

    fn ticket(&mut self, raw: &raw::Ticket) -> Option<Source<Secret>> {
        self.source(
            "ticket",
            "principals",
            &raw.principals,
            (&raw.authenticator, &raw.authenticator_realm),
            |this, table, raw| {
                let credential = secret("ticket", table, &raw.ticket, this.host, this.findings);
                let grant = this.grant(table, &raw.role, raw.realm.as_ref());
                Some(Principal { credential: credential?, grant: grant? })
            },
        )
    }

    fn wampcra(&mut self, raw: &raw::Wampcra) -> Option<Source<Credential>> {
        self.source(
            "wampcra",
            "users",
            &raw.users,
            (&raw.authenticator, &raw.authenticator_realm),
            |this, table, raw| {
                let key = secret("secret", table, &raw.secret, this.host, this.findings);
                let grant = this.grant(table, &raw.role, raw.realm.as_ref());
                let salting = raw.salt.as_ref().map(|salt| Salting {
                    salt: salt.0.clone(),
                    iterations: raw.iterations.as_ref().map_or(ITERATIONS, |n| n.0 as u32),
                    keylen: raw.keylen.as_ref().map_or(KEYLEN, |n| n.0 as usize),
                });
                let parameters = [
                    ("iterations", raw.iterations.as_ref().map(|n| n.at)),
                    ("keylen", raw.keylen.as_ref().map(|n| n.at)),
                ];
                for (key, at) in parameters.into_iter().filter(|_| salting.is_none()) {
                    at.into_iter().for_each(|at| {
                        this.findings.add(at, format!("{key} in {table} has no meaning without a salt"))
                    });
                }
                Some(Principal { credential: Credential { key: key?, salting }, grant: grant? })
            },
        )
    }

    fn cryptosign(&mut self, raw: &raw::Cryptosign) -> Option<Source<Vec<PublicKey>>> {
        self.source(
            "cryptosign",
            "principals",
            &raw.principals,
            (&raw.authenticator, &raw.authenticator_realm),
            |this, table, raw| {
                let keys = &raw.authorized_keys;
                if keys.is_empty() {
                    this.findings.add(keys.at, format!("authorized_keys in {table} is empty, at least one is needed"));
                }
                let grant = this.grant(table, &raw.role, raw.realm.as_ref())?;
                Some(Principal { credential: keys.value.clone(), grant })
            },
        )
    }

    /// The principals of a method, or the authenticator that knows them.
    fn source<R, C>(
        &mut self,
        method: &str,
        known_as: &str,
        known: &BTreeMap<String, At<R>>,
        (procedure, realm): (&Option<At<Text>>, &Option<At<Text>>),
        principal: impl Fn(&mut Self, &str, &R) -> Option<Principal<C>>,
    ) -> Option<Source<C>> {
        let table = &format!("[listen.auth.{method}]");
        if let Some(dynamic) = self.authenticator(table, known_as, !known.is_empty(), procedure, realm) {
            return dynamic.map(Source::Dynamic);
        }
        if known.is_empty() {
            self.findings.add(self.at, format!("{table} has neither {known_as} nor an authenticator"));
        }
        let mut resolve = |(name, raw): (&String, &At<R>)| {
            let table = format!("[{}]", join(&format!("listen.auth.{method}.{known_as}"), name));
            principal(self, &table, &raw.value).map(|known| (name.clone(), known))
        };
        let resolved: Vec<Option<(String, Principal<C>)>> = known.iter().map(&mut resolve).collect();
        resolved.into_iter().collect::<Option<_>>().map(Source::Static)
    }

    /// None when no authenticator is named; Some(None) when what is named is wrong.
    fn authenticator(
        &mut self,
        table: &str,
        alternative: &str,
        has_alternative: bool,
        procedure: &Option<At<Text>>,
        realm: &Option<At<Text>>,
    ) -> Option<Option<Authenticator>> {
        let (procedure, realm) = match (procedure, realm) {
            (None, None) => return None,
            (None, Some(realm)) => {
                self.findings
                    .add(realm.at, format!("authenticator_realm in {table} has no meaning without authenticator"));
                return None;
            }
            (Some(procedure), None) => {
                let sentence =
                    format!("key 'authenticator_realm' is missing in {table}, the authenticator is registered there");
                self.findings.add(procedure.at, sentence);
                return Some(None);
            }
            (Some(procedure), Some(realm)) => (procedure, realm),
        };
        if has_alternative {
            let sentence = format!("{table} has {alternative} and an authenticator, but it must have one of the two");
            self.findings.add(procedure.at, sentence);
        }
        refuse_procedure("authenticator", table, procedure, self.findings);
        self.refuse_unknown_realm("authenticator_realm", table, realm);
        Some(Some(Authenticator { procedure: procedure.0.clone(), realm: realm.0.clone() }))
    }

    fn grant(&mut self, table: &str, role: &At<Text>, realm: Option<&At<Text>>) -> Option<Grant> {
        if let Some(realm) = realm
            && !self.refuse_unknown_realm("realm", table, realm)
        {
            return None;
        }
        let in_realm = realm.map(|realm| realm.0.as_str());
        if !self.realms.roles(in_realm).any(|known| known == role.0) {
            let hint = hint(&role.0, self.realms.roles(in_realm));
            let nobody =
                in_realm.map_or_else(|| "no realm has".to_owned(), |realm| format!("realm '{realm}' does not have"));
            self.findings.add(role.at, format!("role = {:?} in {table}, but {nobody} such a role{hint}", role.0));
        }
        Some(Grant { realm: in_realm.map(str::to_owned), ..Grant::role(&role.0) })
    }

    /// Whether the realm is known.
    fn refuse_unknown_realm(&mut self, key: &str, table: &str, realm: &At<Text>) -> bool {
        let is_known = self.realms.names().any(|known| known == realm.0);
        if !is_known {
            let hint = hint(&realm.0, self.realms.names());
            self.findings
                .add(realm.at, format!("{key} = {:?} in {table}, but there is no such [[realm]]{hint}", realm.0));
        }
        is_known
    }
}

/// What was asked for, if it was and could be made sense of.
fn present<T>(asked: Option<Option<T>>) -> Option<Option<T>> {
    match asked {
        None => Some(None),
        Some(resolved) => resolved.map(Some),
    }
}

/// What Crossbar.io takes where a salted user names neither.
const ITERATIONS: u32 = 1_000;
const KEYLEN: usize = 32;
