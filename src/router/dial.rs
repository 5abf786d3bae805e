//! The links that this node dials: one per peer and realm, kept up as long as the peer belongs to the cluster. The
//! handshake is done here, in the ordinary waiting manner; an established link is a connection of the shard like any
//! other.

use super::connection::Driver;
use super::shard::{ListenerState, RealmIndex, Shard};
use crate::auth::client::Client;
use crate::auth::cryptosign::SecretKey;
use crate::auth::mutual::{self, Purpose};
use crate::config::resolved::{Address, Peer};
use crate::drop::DropReason;
use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::transport::Conversation;
use crate::transport::connect::{Reached, Target, connect_rawsocket, reach};
use crate::transport::node_tls::{self, LINK_ALPN};
use crate::wamp::feature::{self, Features};
use crate::wamp::{Identity, SessionKey};
use crate::wire::{Dict, Serializer};
use rand::RngExt;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// By the id of the peer and the name of the realm.
pub type LinkName = (String, String);

/// A link to one realm of one peer, and how it stands.
#[derive(Clone, Debug)]
pub struct LinkState {
    // Static after construction.
    pub peer: Peer,
    pub realm: String,
    /// False once the peer is none any more: the dialing task ends.
    is_wanted: Rc<Cell<bool>>,
    /// Ends the pause between two attempts.
    dial_now: Rc<Notify>,
    // Owned by the dialing task.
    /// The connection, while it is up.
    pub key: Option<SessionKey>,
    /// When the link came up or went down, in uptime.
    pub since: Duration,
    /// Why the last attempt came to nothing, or for what the peer has said the link was ended.
    pub last_error: Option<String>,
    pub attempts: u64,
}

/// How a link stands for a node that has just been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The peer cannot be reached, and has not come by itself.
    Away,
    /// It is being dialed for the first time.
    Dialing,
    /// One of the two links with it is up, and by that it is known to be there; it has said so many things.
    Replaying(u64),
    /// The links are up in both directions, and it has said all that its clients want.
    Whole,
}

/// Who we are towards peers.
#[derive(Clone)]
pub struct Dialer {
    pub node: String,
    pub key: SecretKey,
    /// Pings and limits of links.
    pub settings: Rc<ListenerState>,
}

/// Links with these peers, over all realms there are, and with nobody else. What stays as it is is not disturbed.
pub fn link_with(shard: &Rc<RefCell<Shard>>, dialer: &Dialer, peers: &[Peer]) {
    let mut borrowed = shard.borrow_mut();
    borrowed.unlink_others(peers);
    let realms: Vec<String> =
        borrowed.realms.iter().filter(|slot| slot.is_clustered).map(|slot| slot.name().to_owned()).collect();
    for (peer, realm) in peers.iter().flat_map(|peer| realms.iter().map(move |realm| (peer, realm))) {
        let name = (peer.id.clone(), realm.clone());
        if borrowed.links.contains_key(&name) {
            continue;
        }
        let (is_wanted, dial_now) = (Rc::new(Cell::new(true)), Rc::new(Notify::new()));
        let link = LinkState {
            peer: peer.clone(),
            realm: realm.clone(),
            is_wanted: is_wanted.clone(),
            dial_now: dial_now.clone(),
            key: None,
            since: borrowed.now().uptime,
            last_error: None,
            attempts: 0,
        };
        borrowed.links.insert(name, link);
        let wanted = Wanted { is_wanted, dial_now };
        tokio::task::spawn_local(run_link(shard.clone(), dialer.clone(), peer.clone(), realm.clone(), wanted));
    }
}

/// What the shard tells the task that keeps a link up.
struct Wanted {
    is_wanted: Rc<Cell<bool>>,
    dial_now: Rc<Notify>,
}

/// Keeps one link up: dials, serves it until it is lost, waits a little, dials again.
async fn run_link(shard: Rc<RefCell<Shard>>, dialer: Dialer, peer: Peer, realm: String, wanted: Wanted) {
    let name = (peer.id.clone(), realm.clone());
    let mut pause = RECONNECT_MIN;
    while wanted.is_wanted.get() {
        let dialed = dial(&dialer, &peer, &realm).await;
        if !wanted.is_wanted.get() {
            return;
        }
        let opened = dialed.and_then(|dialed| {
            let mut shard = shard.borrow_mut();
            let index = shard.realm_names.get(&realm).copied().ok_or("the realm is not configured here")?;
            Ok(shard.open_uplink(&name, index, dialed, dialer.settings.clone()))
        });
        match opened {
            Ok(key) => {
                pause = RECONNECT_MIN;
                tracing::info!(peer = peer.id, realm, "link up");
                Driver { shard: shard.clone(), key }.await;
                tracing::warn!(peer = peer.id, realm, "link lost");
                if wanted.is_wanted.get() && shard.borrow_mut().note_link_down(&name, None) {
                    // The peer would most likely say the same again, at once.
                    tokio::time::sleep(FAULT_PAUSE).await;
                    continue;
                }
            }
            Err(error) => {
                shard.borrow_mut().note_link_down(&name, Some(error));
            }
        }
        // Jitter, so that nodes that lost each other do not dial in step.
        let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.5));
        let _ = tokio::time::timeout(jittered, wanted.dial_now.notified()).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

/// A link whose session is open at the peer.
struct Dialed {
    link: Conversation,
    identity: Identity,
}

/// Connects, and has the session opened within a time in which looking up the peer's name does not count.
async fn dial(dialer: &Dialer, peer: &Peer, realm: &str) -> Result<Dialed, String> {
    let target = match &peer.address {
        Address::Tcp { host, port } => Target::Tcp { host: host.clone(), port: *port },
        Address::Unix { path, .. } => Target::Unix(path.clone()),
    };
    let reached = reach(&target).await.map_err(|error| error.to_string())?;
    let opened = tokio::time::timeout(HANDSHAKE_MAX, open_session(reached, dialer, peer, realm)).await;
    opened.unwrap_or_else(|_| Err(format!("{target}: no link within {HANDSHAKE_MAX:?}")))
}

/// Has the peer prove who it is, proves who we are, by TLS and once more within it, and waits for WELCOME.
async fn open_session(reached: Reached, dialer: &Dialer, peer: &Peer, realm: &str) -> Result<Dialed, String> {
    let tls = node_tls::client_config(&dialer.key, peer.public_key, LINK_ALPN).map_err(|error| error.to_string())?;
    let secured = reached.secure_node(tls).await.map_err(|error| error.to_string())?;
    let connected = connect_rawsocket(secured, Serializer::Cbor, RAWSOCKET_BYTES_MAX).await;
    let mut link = Conversation::new(connected.map_err(|error| error.to_string())?);
    let client = Client::program(dialer.node.as_str(), dialer.key.clone(), Purpose::Link);
    let client = client.expect(Some(&peer.id), Some(peer.public_key));
    let details = Dict::new().with("roles", feature::link_roles());
    let (session, _) = link.open(realm, &client, details).await.map_err(|error| format!("{}: {error}", peer.id))?;
    let identity = Identity {
        session,
        authid: peer.id.clone(),
        authrole: super::LINK_ROLE.to_owned(),
        authmethod: mutual::METHOD.to_owned(),
        authprovider: "static".to_owned(),
        authextra: Dict::new(),
        transport: Dict::new(),
        features: Features::from_roles(&feature::link_roles()),
    };
    Ok(Dialed { link, identity })
}

impl Shard {
    /// Ends every link that was dialed to a node that is none of these. Those that have dialed in are ended by
    /// `set_admission`.
    fn unlink_others(&mut self, peers: &[Peer]) {
        let is_peer = |peer: &Peer| peers.contains(peer);
        let gone: Vec<LinkName> =
            self.links.iter().filter(|(_, link)| !is_peer(&link.peer)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            let Some(link) = self.links.remove(&name) else { continue };
            link.is_wanted.set(false);
            tracing::info!(peer = name.0, realm = name.1, "unlinked: it is not a peer any more");
            if let Some(key) = link.key {
                self.kill(key, DropReason::PeerRemoved);
            }
        }
    }

    /// Takes in a link that is up; the realm begins to mirror our interest onto it.
    fn open_uplink(
        &mut self,
        name: &LinkName,
        realm: RealmIndex,
        dialed: Dialed,
        settings: Rc<ListenerState>,
    ) -> SessionKey {
        let now = self.now();
        let Dialed { link, identity } = dialed;
        let key = self.open_link(now, link.stream, link.inbound, link.outbound, link.read, settings);
        if let Some(state) = self.links.get_mut(name) {
            (state.key, state.since, state.last_error) = (Some(key), now.uptime, None);
        }
        self.join_uplink(now, key, realm, identity);
        key
    }

    /// A node that has dialed in is there: it is dialed without waiting for the end of a pause.
    pub(super) fn dial_now(&self, peer: &str, realm: RealmIndex) {
        let realm = self.realms.get(realm.0).map(|slot| slot.name().to_owned());
        if let Some(link) = realm.and_then(|realm| self.links.get(&(peer.to_owned(), realm))) {
            link.dial_now.notify_waiters();
        }
    }

    /// This node ends a link for what its peer has said.
    pub(super) fn note_link_ended(&mut self, key: SessionKey, sentence: &str) {
        if self.connection(key).is_some_and(|connection| connection.is_link())
            && let Some(state) = self.links.values_mut().find(|state| state.key == Some(key))
        {
            state.last_error = Some(shown(sentence));
        }
    }

    /// A link is down, or has not come up: why, unless that has been noted. Gives whether there is a reason.
    fn note_link_down(&mut self, name: &LinkName, error: Option<String>) -> bool {
        let now = self.now();
        let Some(state) = self.links.get_mut(name) else { return false };
        if state.key.take().is_some() {
            state.since = now.uptime;
        }
        state.attempts += 1;
        if let Some(error) = error.map(|error| shown(&error)) {
            // What stays as it is, is worth one line and not one per attempt.
            if state.last_error.as_ref() != Some(&error) {
                tracing::warn!(peer = name.0, realm = name.1, error, "no link");
            }
            state.last_error = Some(error);
        }
        state.last_error.is_some()
    }
}

/// A sentence of which the peer may have written a part, as operators see it.
fn shown(sentence: &str) -> String {
    sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_CHARS_MAX).collect()
}

/// A peer that is there answers within milliseconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(3);
/// What is kept of the sentence that says why a link is down.
const ERROR_CHARS_MAX: usize = 250;
/// How long a link stays down that was ended for what its peer has said.
const FAULT_PAUSE: Duration = Duration::from_secs(5);
const RECONNECT_MIN: Duration = Duration::from_millis(100);
/// A node that returns is linked within this, whatever the length of its absence.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
