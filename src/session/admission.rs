//! What one listener admits: its realms, its authentication methods and who is known to them. Plain data that the
//! configuration builds. A reload replaces it; sessions that the new one would not admit are ended, see `standing`.

use crate::auth::{
    Secret,
    cryptosign::{ChannelId, PublicKey, SecretKey},
    mutual::Purpose,
    wampcra,
};
use crate::limits::Limits;
use crate::wire::Dict;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// Everything that is needed to decide about a HELLO on one listener.
#[derive(Clone, Debug)]
pub struct Admission {
    pub node: Node,
    /// The realms that can be joined here, by name.
    pub realms: HashMap<String, Realm>,
    pub methods: Methods,
    /// Random and kept secret; makes the salts that unknown users are told. Nodes behind one address should share it.
    pub decoy_key: Secret,
    pub limits: Limits,
}

/// What WELCOME tells about the node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `x_cb_node`
    pub id: String,
    /// `x_cb_pid`
    pub pid: u32,
}

/// What a session needs to know of a realm.
#[derive(Clone, Debug, PartialEq)]
pub struct Realm {
    /// The names of the roles that exist.
    pub roles: HashSet<String>,
    pub request_ids: RequestIds,
}

/// How a realm takes the request ids of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestIds {
    /// As specified: 1, 2, 3, … over all requests of a session; anything else ends the session.
    Strict,
    /// Any id in range that is not in use, in any order: clients that send from several threads have it so.
    Lenient,
}

/// The methods of a listener. `None` is not offered; a listener whose methods are all `None` admits nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Methods {
    pub anonymous: Option<Anonymous>,
    pub ticket: Option<Source<Secret>>,
    pub wampcra: Option<Source<wampcra::Credential>>,
    /// The credential is the list of the principal's `authorized_keys`.
    pub cryptosign: Option<Source<Vec<PublicKey>>>,
    /// For the programs of a cluster among each other.
    pub mutual: Option<Mutual>,
}

impl Methods {
    /// The procedures that decide about those who come in.
    pub fn authenticators(&self) -> impl Iterator<Item = &Authenticator> {
        fn of<C>(source: &Option<Source<C>>) -> Option<&Authenticator> {
            if let Some(Source::Dynamic(authenticator)) = source { Some(authenticator) } else { None }
        }
        let anonymous = match &self.anonymous {
            Some(Anonymous::Dynamic(authenticator)) => Some(authenticator),
            _ => None,
        };
        [anonymous, of(&self.ticket), of(&self.wampcra), of(&self.cryptosign)].into_iter().flatten()
    }
}

/// The programs that are known, and what proves this one to them, see `auth::mutual`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutual {
    pub key: SecretKey,
    pub principals: BTreeMap<String, Principal<Program>>,
}

/// What a program proves.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub keys: Vec<PublicKey>,
    /// For nothing else it is admitted.
    pub purpose: Purpose,
}

/// What holds where nothing is configured: everybody is `anonymous`, if the realm has such a role.
impl Default for Methods {
    fn default() -> Methods {
        Methods {
            anonymous: Some(Anonymous::Static(Grant::role("anonymous"))),
            ticket: None,
            wampcra: None,
            cryptosign: None,
            mutual: None,
        }
    }
}

/// How somebody comes in who proves nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Anonymous {
    Static(Grant),
    Dynamic(Authenticator),
}

/// Where a method looks for principals.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<C> {
    /// By authid. Sorted, so that decoys for unknown users are the same ones after a restart.
    Static(BTreeMap<String, Principal<C>>),
    Dynamic(Authenticator),
}

/// Somebody who is known, how they prove it (`C`), and what they are then.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal<C> {
    pub credential: C,
    pub grant: Grant,
}

/// A procedure that decides who comes in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authenticator {
    pub procedure: String,
    /// The realm in which it is registered.
    pub realm: String,
}

/// What somebody is once they have proved who they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    pub role: String,
    /// Takes the place of the realm that HELLO named.
    pub realm: Option<String>,
    /// Takes the place of the authid that HELLO named.
    pub authid: Option<String>,
    /// Told in `WELCOME.Details.authextra`.
    pub authextra: Dict,
    /// A router of this cluster: its `forward_for` is believed.
    pub trusted_link: bool,
}

impl Grant {
    /// A grant of just this role.
    pub fn role(role: impl Into<String>) -> Grant {
        Grant { role: role.into(), ..Grant::default() }
    }
}

/// What the transport knows about the peer at its other end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peer {
    /// `x_cb_peer`, like `tcp4:127.0.0.1:51926`.
    pub name: String,
    /// `transport` in meta events and towards authenticators.
    pub transport: Dict,
    /// Its address, of IPv6 the network. None where nobody is to answer for what comes from there: on socket files, and
    /// for balancers behind which there are many clients.
    pub place: Option<IpAddr>,
    /// Names the TLS channel, for peers that bind their proof to it.
    pub channel_id: Option<ChannelId>,
    /// Proved by TLS, where keys are shown instead of certificates.
    pub key: Option<PublicKey>,
}
