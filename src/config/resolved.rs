//! The configuration as the program uses it: every address parsed, every duration and size a number, every default
//! filled in, every reference checked. `raw` is what the file says; this is what it means.

use super::mistake::Mistake;
use super::origin::Origins;
use super::raw;
use crate::auth::Secret;
use crate::auth::cryptosign::PublicKey;
use crate::limits::Limits;
use crate::realm::RealmConfig;
use crate::session::admission::{Methods, RequestIds};
use crate::session::rate::Rates;
use crate::wamp::uri::Match;
use crate::wire::Serializer;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The effective configuration of one node. Built by `config::load` only, so whoever holds one may rely on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that this was read from.
    pub path: PathBuf,
    pub node: Node,
    pub admin: Admin,
    pub log: Log,
    /// At least one; no two on the same address.
    pub listeners: Vec<Listener>,
    /// At least one; no two with the same name.
    pub realms: Vec<Realm>,
    pub mesh: Mesh,
    pub master: Option<Master>,
    /// What `[limits]` says; listeners and realms carry their own, with their overrides applied.
    pub limits: Limits,
    /// The file with all defaults filled in, for printing.
    pub(super) effective: Effective,
}

/// How a configuration is spelled, and what there is to say about it. Two that mean the same are equal, however they
/// are spelled.
#[derive(Clone)]
pub(super) struct Effective(pub(super) raw::File, pub(super) Vec<Mistake>);

/// `[node]`: who this node is and what it runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub id: String,
    /// Holds the node key and the cached membership.
    pub state_dir: PathBuf,
    /// At least 1.
    pub shards: usize,
    /// SIGTERM spreads the GOODBYEs over this time.
    pub drain_time: Duration,
    /// See `session::admission::Admission`; None takes a random one at each start.
    pub decoy_key: Option<Secret>,
}

/// `[admin]`: where the operator's tools and HAProxy ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    pub listen: Option<Address>,
    pub agent_listen: Option<Address>,
    /// See `transport::askers::Names`.
    pub allowed_hosts: Vec<String>,
}

/// `[log]`: what is logged, and how it looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// A filter in the syntax of `RUST_LOG`, which goes before it: `info`, or `info,crossbar_cluster::session=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal where stderr is the journal, else as for people.
    Auto,
    Human,
    Json,
    Journal,
}

/// One `[[listen]]`: a socket that clients or other nodes connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    pub address: Address,
    /// How many listeners before it in the file have the same address, which is zero unless they take any free port.
    pub number: usize,
    pub transport: Transport,
    pub purpose: Purpose,
    /// The HTTP path that speaks WAMP when upgraded; `/` does too.
    pub path: String,
    /// What clients may choose from, in the order in which the router prefers.
    pub serializers: Vec<Serializer>,
    /// Whether `wamp.2.<serializer>.batched` is offered too.
    pub batched: bool,
    /// How much `/info` tells whoever reaches the port.
    pub info: InfoPage,
    pub proxy_protocol: ProxyProtocol,
    /// Whose PROXY headers are believed; empty: everybody's.
    pub proxies: Vec<IpAddr>,
    /// Zero sends no pings.
    pub ping_interval: Duration,
    /// Whether RawSocket clients are pinged too.
    pub ping_rawsocket: bool,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    pub allowed_origins: Origins,
    /// None when permessage-deflate is not offered.
    pub compression: Option<Compression>,
    pub tls: Option<Arc<Tls>>,
    /// Refuses a WebSocket that names no WAMP subprotocol; otherwise it speaks JSON.
    pub require_subprotocol: bool,
    /// Speaks no WAMP: every WebSocket message is sent back as it came (for the Autobahn testsuite).
    pub echo: bool,
    /// Connections that the kernel completes before they are accepted.
    pub backlog: u32,
    /// Who may come in. Of no meaning where the purpose is the mesh.
    pub auth: Methods,
    pub limits: Limits,
}

/// What a listener is known by, whatever else of it changes and wherever it stands in the file: its address, and its
/// number among those that take any free port there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerId {
    address: Address,
    number: usize,
}

/// Where to listen or to connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A name or an IP address (IPv6 without its brackets) and a port. Listening on port 0 takes a free one.
    Tcp { host: String, port: u16 },
    /// A socket file, and its mode when it is made.
    Unix { path: PathBuf, mode: u32 },
}

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP, and WAMP over WebSocket.
    WebSocket,
    /// WAMP over RawSocket.
    RawSocket,
    /// Both: the first byte of a connection says which.
    Universal,
}

/// Who a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Client,
    /// Admits only the node keys of the membership.
    Mesh,
}

/// How much `/info` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoPage {
    /// That the node is there: its name, version, age and state.
    Brief,
    /// All that operators see.
    Full,
}

/// Whether connections start with a PROXY protocol header that names the real client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    Off,
    Optional,
    Required,
}

/// permessage-deflate, as far as the router agrees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Window of what the router sends, 9 to 15 bits.
    pub server_window_bits_max: u8,
    /// Window of what clients send, 9 to 15 bits; asked of those that let themselves be asked.
    pub client_window_bits_max: u8,
    /// The router forgets its window after each message: less memory, less compression.
    pub server_no_context_takeover: bool,
    /// Asks the same of clients.
    pub client_no_context_takeover: bool,
    /// zlib's level, 1 to 9.
    pub level: u8,
    /// Messages below this size go out as they are.
    pub message_bytes_min: usize,
}

/// What a listener shows and demands of certificates: the contents of the files that the configuration names. They are
/// read again on SIGHUP.
#[derive(Debug, PartialEq, Eq)]
pub struct Tls {
    /// The listener's certificate and those between it and the root. It belongs to the key.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// Clients must show a certificate that one of these has signed. Empty: they need none.
    pub client_ca: Vec<CertificateDer<'static>>,
}

/// One `[[realm]]`: what its router core needs, and what its sessions and outboxes need.
#[derive(Clone, Debug, PartialEq)]
pub struct Realm {
    pub core: Arc<RealmConfig>,
    pub request_ids: RequestIds,
    /// What happens when a receiver does not read, unless a rule says otherwise.
    pub slow_consumer: SlowConsumer,
    /// The first rule that covers an event's topic decides.
    pub slow_consumer_rules: Vec<SlowConsumerRule>,
    /// What one session may send, by its role.
    pub rates: BTreeMap<String, Rates>,
}

/// What happens to a receiver whose outbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowConsumer {
    Disconnect,
    DropOldest,
}

/// A slow consumer policy for some topics.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowConsumerRule {
    pub uri: String,
    pub policy: Match,
    pub action: SlowConsumer,
}

/// `[mesh]`: the other nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mesh {
    /// Where peers reach this node.
    pub advertise: Option<Address>,
    /// Fixed peers; no two with the same id or key, and never this node.
    pub peers: Vec<Peer>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    pub id: String,
    pub address: Address,
    pub public_key: PublicKey,
}

/// `[master]`: where the membership comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Master {
    /// `ws://host:port/path` or `wss://…`.
    pub url: String,
    pub public_key: PublicKey,
}

impl Config {
    /// What works, but not as it should: one sentence each.
    pub fn warnings(&self) -> &[Mistake] {
        &self.effective.1
    }

    /// Everything that this node listens on.
    pub fn listens_on(&self) -> impl Iterator<Item = &Address> {
        let admin = [&self.admin.listen, &self.admin.agent_listen];
        self.listeners.iter().map(|listener| &listener.address).chain(admin.into_iter().flatten())
    }

    /// Whether a socket on this address leaves IPv4 alone, because there is one of its own for it. Otherwise one on
    /// `[::]` takes both.
    pub fn is_ipv6_only(&self, address: &Address) -> bool {
        let Address::Tcp { port, .. } = address else { return false };
        self.listens_on()
            .any(|other| matches!(other, Address::Tcp { host, port: its } if its == port && !host.contains(':')))
    }

    /// The listener that is known by this.
    pub fn listener(&self, id: &ListenerId) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.id() == *id)
    }

    /// The realm with this name.
    pub fn realm(&self, name: &str) -> Option<&Realm> {
        self.realms.iter().find(|realm| realm.core.name == name)
    }
}

impl Listener {
    pub fn id(&self) -> ListenerId {
        ListenerId { address: self.address.clone(), number: self.number }
    }
}

impl PartialEq for Effective {
    fn eq(&self, _: &Effective) -> bool {
        true
    }
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Realm {
    /// What happens to an event on `topic` that a full outbox has no room for.
    pub fn slow_consumer_on(&self, topic: &str) -> SlowConsumer {
        self.slow_consumer_rules
            .iter()
            .find(|rule| rule.policy.covers(&rule.uri, topic))
            .map_or(self.slow_consumer, |rule| rule.action)
    }
}

impl Transport {
    pub const fn speaks_http(self) -> bool {
        matches!(self, Transport::WebSocket | Transport::Universal)
    }

    pub const fn speaks_rawsocket(self) -> bool {
        matches!(self, Transport::RawSocket | Transport::Universal)
    }
}

/// As the configuration spells it, without the mode of a socket file.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}
