//! The links that this node dials: one per peer and realm, kept up for ever. The handshake is done here, in the
//! ordinary waiting manner; an established link is a connection of the shard like any other.

use super::connection::Driver;
use super::shard::{ListenerState, RealmIndex, Shard};
use crate::auth::client::{Client, Credential};
use crate::auth::cryptosign::SecretKey;
use crate::config::resolved::{Address, Peer};
use crate::transport::connect::{Connected, Target, connect_rawsocket};
use crate::transport::{Inbound, Incoming, Outbound, Stream};
use crate::wamp::feature::{self, Features};
use crate::wamp::{Identity, Message, SessionKey, codec};
use crate::wire::{Dict, Serializer};
use rand::RngExt;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// A link to one realm of one peer, and how it stands.
#[derive(Clone, Debug)]
pub struct LinkState {
    // Static after construction.
    pub peer: Peer,
    pub realm: String,
    // Owned by the dialing task.
    /// The connection, while it is up.
    pub key: Option<SessionKey>,
    /// When the link came up or went down, in uptime.
    pub since: Duration,
    /// Why the last attempt came to nothing.
    pub last_error: Option<String>,
    pub attempts: u64,
}

impl LinkState {
    pub fn new(peer: Peer, realm: String) -> LinkState {
        LinkState { peer, realm, key: None, since: Duration::ZERO, last_error: None, attempts: 0 }
    }
}

/// Who we are towards peers.
#[derive(Clone)]
pub struct Dialer {
    pub node: String,
    pub key: SecretKey,
    /// Pings and limits of links.
    pub settings: Rc<ListenerState>,
    pub message_bytes_max: usize,
}

/// Keeps one link up for ever: dials, serves it until it is lost, waits a little, dials again.
pub async fn run_link(shard: Rc<RefCell<Shard>>, dialer: Dialer, index: usize) {
    let mut pause = RECONNECT_MIN;
    loop {
        let (peer, realm) = {
            let shard = shard.borrow();
            (shard.links[index].peer.clone(), shard.links[index].realm.clone())
        };
        let dialed = tokio::time::timeout(HANDSHAKE_MAX, dial(&dialer, &peer, &realm)).await;
        let dialed = dialed.unwrap_or_else(|_| Err(format!("no link within {HANDSHAKE_MAX:?}")));
        let opened = dialed.and_then(|dialed| {
            let mut shard = shard.borrow_mut();
            let realm = shard.realm_names.get(&realm).copied().ok_or("the realm is not configured here")?;
            Ok(shard.open_uplink(index, realm, dialed, dialer.settings.clone()))
        });
        match opened {
            Ok(key) => {
                pause = RECONNECT_MIN;
                tracing::info!(peer = peer.id, realm, "link up");
                Driver { shard: shard.clone(), key }.await;
                tracing::warn!(peer = peer.id, realm, "link lost");
                shard.borrow_mut().note_link_down(index, None);
            }
            Err(error) => {
                tracing::debug!(peer = peer.id, realm, error, "no link");
                shard.borrow_mut().note_link_down(index, Some(error));
            }
        }
        // Jitter, so that nodes that lost each other do not dial in step.
        tokio::time::sleep(pause.mul_f64(rand::rng().random_range(0.5..1.5))).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

/// A link whose session is open at the peer.
struct Dialed {
    link: Transport,
    identity: Identity,
}

/// Connects, proves who we are, and waits for WELCOME.
async fn dial(dialer: &Dialer, peer: &Peer, realm: &str) -> Result<Dialed, String> {
    let target = match &peer.address {
        Address::Tcp { host, port } => Target::Tcp { host: host.clone(), port: *port },
        Address::Unix { path, .. } => Target::Unix(path.clone()),
    };
    let connected = connect_rawsocket(&target, Serializer::Cbor, dialer.message_bytes_max).await;
    let mut link = Transport::new(connected.map_err(|error| error.to_string())?);
    let client = Client::new(Some(dialer.node.clone()), Credential::Cryptosign(dialer.key.clone()));
    let details = client.hello_details(Dict::new().with("roles", feature::link_roles()));
    link.send(&Message::Hello { realm: realm.to_owned(), details }).await?;
    loop {
        match link.receive().await? {
            Message::Challenge { method, extra } => {
                let signature = client.answer(&method, &extra).map_err(|error| error.to_string())?;
                link.send(&Message::Authenticate { signature, extra: Dict::new() }).await?;
            }
            Message::Welcome { session, .. } => {
                let identity = Identity {
                    session,
                    authid: peer.id.clone(),
                    authrole: super::LINK_ROLE.to_owned(),
                    authmethod: "cryptosign".to_owned(),
                    authprovider: "static".to_owned(),
                    authextra: Dict::new(),
                    transport: Dict::new(),
                    features: Features::from_roles(&feature::link_roles()),
                };
                return Ok(Dialed { link, identity });
            }
            Message::Abort { details, reason, .. } => {
                return Err(format!("{} refuses the link: {reason} {}", peer.id, details.str("message").unwrap_or("")));
            }
            other => return Err(format!("{} sent {} instead of WELCOME", peer.id, other.name())),
        }
    }
}

/// A dialed transport during the handshake.
struct Transport {
    stream: Stream,
    inbound: Inbound,
    outbound: Outbound,
    /// What has been read and not decoded.
    read: Vec<u8>,
}

impl Transport {
    fn new(connected: Connected) -> Transport {
        let Connected { stream, inbound, outbound, leftover, .. } = connected;
        Transport { stream, inbound, outbound, read: leftover.to_vec() }
    }

    async fn send(&mut self, message: &Message) -> Result<(), String> {
        let mut encoded = Vec::new();
        codec::encode(message, Serializer::Cbor, &mut encoded);
        let mut frame = self.outbound.wrap(Serializer::Cbor, &encoded);
        while !frame.is_empty() {
            poll_fn(|cx| self.stream.poll_write_ready(cx)).await.map_err(|error| error.to_string())?;
            match self.stream.try_write(&frame) {
                Ok(n) => drop(frame.split_to(n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<Message, String> {
        loop {
            while !self.read.is_empty() {
                let (taken, incoming) = self.inbound.decode(&mut self.read).map_err(|broken| broken.message)?;
                let message = match incoming {
                    Some(Incoming::Message { bytes, .. }) => Some(codec::decode(Serializer::Cbor, &bytes, DEPTH_MAX)),
                    _ => None,
                };
                self.read.drain(..taken);
                if let Some(message) = message {
                    return message.map_err(|error| error.to_string());
                }
            }
            poll_fn(|cx| self.stream.poll_read_ready(cx)).await.map_err(|error| error.to_string())?;
            let mut buffer = [0; 4096];
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err("the peer closed the connection".to_owned()),
                Ok(n) => self.read.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Shard {
    /// Takes in a link that is up; the realm begins to mirror our interest onto it.
    fn open_uplink(
        &mut self,
        index: usize,
        realm: RealmIndex,
        dialed: Dialed,
        settings: Rc<ListenerState>,
    ) -> SessionKey {
        let now = self.now();
        let Dialed { link, identity } = dialed;
        let key = self.open_link(now, link.stream, link.inbound, link.outbound, link.read, settings);
        let state = &mut self.links[index];
        (state.key, state.since, state.last_error) = (Some(key), now.uptime, None);
        self.join_uplink(now, key, realm, identity);
        key
    }

    fn note_link_down(&mut self, index: usize, error: Option<String>) {
        let now = self.now();
        let state = &mut self.links[index];
        if state.key.take().is_some() {
            state.since = now.uptime;
        }
        state.attempts += 1;
        state.last_error = error;
    }
}

/// A peer that is there answers within milliseconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(3);
const RECONNECT_MIN: Duration = Duration::from_millis(100);
/// A node that returns is linked within this, whatever the length of its absence.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// WELCOME and CHALLENGE are shallow.
const DEPTH_MAX: usize = 32;
