//! Listeners of the configuration as bound sockets, and the task that takes each connection through its handshakes.

use super::LINK_ROLE;
use super::connection::Driver;
use super::crowd::{Entry, Holder};
use super::room::source_of;
use super::shard::{ListenerState, Pings, Shard};
use crate::auth::cryptosign::SecretKey;
use crate::auth::mutual;
use crate::config::Config;
use crate::config::resolved::{self, Address, Peer, ProxyProtocol, Purpose};
use crate::drop::DropReason;
use crate::session::admission::{Admission, Grant, Methods, Mutual, Principal, Program};
use crate::transport::accept::{self, Accepting, ProxyMode};
use crate::transport::askers::Askers;
use crate::transport::handover::{Handover, Inherited};
use crate::transport::http::{HttpSettings, Pages};
use crate::transport::listener::{Endpoint, Listener};
use crate::transport::node_tls::{self, LINK_ALPN};
use crate::transport::stream::Socket;
use crate::transport::{self, Accepted, HandshakeError, tls};
use crate::wire::Serializer;
use crate::wire::deflate::DeflateConfig;
use rustls::ServerConfig;
use std::cell::RefCell;
use std::net::ToSocketAddrs;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Binds an address of the configuration, or takes the socket of the process before this one that is bound to it. The
/// error names the address.
pub fn bind_or_adopt(
    address: &Address,
    backlog: u32,
    ipv6_only: bool,
    inherited: &mut Inherited,
    handover: &mut Handover,
) -> Result<Listener, String> {
    let listener = match endpoint(address)? {
        Endpoint::Tcp(socket_address) => match inherited.take(socket_address) {
            Some(socket) => Listener::adopt(socket, backlog).map_err(|error| format!("{address}: {error}"))?,
            None => bind(address, backlog, ipv6_only)?,
        },
        Endpoint::Unix(_) => bind(address, backlog, ipv6_only)?,
    };
    if let Listener::Tcp(socket) = &listener {
        handover.add(socket).map_err(|error| format!("{address}: {error}"))?;
    }
    Ok(listener)
}

fn endpoint(address: &Address) -> Result<Endpoint, String> {
    match address {
        Address::Unix { path, .. } => Ok(Endpoint::Unix(path.clone())),
        Address::Tcp { host, port } => {
            let mut resolved = (host.as_str(), *port).to_socket_addrs().map_err(|e| format!("{address}: {e}"))?;
            Ok(Endpoint::Tcp(resolved.next().ok_or_else(|| format!("{address}: the name has no address"))?))
        }
    }
}

/// Binds an address of the configuration. The error names it.
pub fn bind(address: &Address, backlog: u32, ipv6_only: bool) -> Result<Listener, String> {
    let endpoint = endpoint(address)?;
    let listener = Listener::bind(&endpoint, backlog, ipv6_only)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    if let Address::Unix { path, mode } = address {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(*mode);
        std::fs::set_permissions(path, permissions).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(listener)
}

/// What a listener needs to speak TLS, where it does. The error names the listener.
pub fn tls_config(settings: &resolved::Listener) -> Result<Option<Arc<ServerConfig>>, String> {
    let Some(tls) = &settings.tls else { return Ok(None) };
    let config = tls::server_config(tls.chain.clone(), tls.key.clone_key(), &tls.client_ca);
    config.map(Some).map_err(|error| format!("[listen.tls] of {}: {error}", settings.address))
}

/// What a listener for the mesh needs: it admits these peers by their keys. None where this node has no key; nobody
/// comes in then.
pub fn link_tls(peers: &[Peer], key: Option<&SecretKey>) -> Option<Arc<ServerConfig>> {
    let keys = peers.iter().map(|peer| peer.public_key).collect();
    let config = node_tls::server_config(key?, keys, LINK_ALPN);
    config.inspect_err(|error| tracing::error!(%error, "this node's key is of no use for TLS")).ok()
}

/// What the connections of one listener share.
pub fn listener_state(
    settings: &resolved::Listener,
    admission: Admission,
    bound: &Listener,
    pages: Pages,
) -> Result<ListenerState, String> {
    let accepting = Accepting {
        proxy: match settings.proxy_protocol {
            ProxyProtocol::Off => ProxyMode::Off,
            ProxyProtocol::Optional => ProxyMode::Optional,
            ProxyProtocol::Required => ProxyMode::Required,
        },
        proxies: settings.proxies.clone(),
        http: settings.transport.speaks_http().then(|| http_settings(settings, pages)),
        rawsocket: match settings.purpose {
            // Links have a form of their own, whose envelope is CBOR.
            Purpose::Mesh => vec![Serializer::Cbor],
            Purpose::Client if settings.transport.speaks_rawsocket() => settings.serializers.clone(),
            Purpose::Client => Vec::new(),
        },
        is_mesh: settings.purpose == Purpose::Mesh,
        limits: RefCell::new(settings.limits.clone()),
        tls: RefCell::new(tls_config(settings)?),
    };
    let id = Some(settings.id());
    if settings.purpose == Purpose::Mesh {
        let state = ListenerState::new(url(settings, bound), accepting, admission, LINK_PINGS);
        return Ok(ListenerState { id, is_mesh: true, ..state });
    }
    let resolved::Listener { ping_interval: interval, ping_timeout: timeout, ping_rawsocket: rawsocket, .. } =
        *settings;
    let pings = Pings { interval, timeout, rawsocket };
    Ok(ListenerState { id, ..ListenerState::new(url(settings, bound), accepting, admission, pings) })
}

/// What holds for the links that this node dials. Nobody comes in through it.
pub fn link_settings(config: &Config) -> ListenerState {
    let accepting = Accepting {
        proxy: ProxyMode::Off,
        proxies: Vec::new(),
        http: None,
        rawsocket: Vec::new(),
        is_mesh: true,
        limits: RefCell::new(config.limits.clone()),
        tls: RefCell::new(None),
    };
    let admission = config.admission(&config.listeners[0]);
    let state = ListenerState::new("links".to_owned(), accepting, admission, LINK_PINGS);
    ListenerState { is_mesh: true, ..state }
}

/// A silent link is asked after a second, and lost when it is silent for as long again and a half: a call whose
/// callee's node has vanished is answered within three seconds.
const LINK_PINGS: Pings =
    Pings { interval: Duration::from_millis(1_000), timeout: Duration::from_millis(1_500), rawsocket: true };

fn http_settings(settings: &resolved::Listener, pages: Pages) -> HttpSettings {
    let origins = settings.allowed_origins.clone();
    HttpSettings {
        websocket_path: Some(settings.path.clone()),
        serializers: settings.serializers.clone(),
        batched: settings.batched,
        require_subprotocol: settings.require_subprotocol,
        echo: settings.echo,
        askers: Askers::Clients(Box::new(move |origin| origins.allows(origin))),
        deflate: settings.compression.as_ref().map(|compression| DeflateConfig {
            server_window_bits_max: compression.server_window_bits_max,
            client_window_bits_max: compression.client_window_bits_max,
            server_no_context_takeover: compression.server_no_context_takeover,
            client_no_context_takeover: compression.client_no_context_takeover,
            level: compression.level,
            message_bytes_min: compression.message_bytes_min,
        }),
        pages,
    }
}

/// How clients name this listener; printed at start and shown in the status.
fn url(settings: &resolved::Listener, bound: &Listener) -> String {
    let secure = if settings.tls.is_some() { "s" } else { "" };
    let address = bound.address();
    match (&settings.address, settings.transport.speaks_http()) {
        (Address::Tcp { .. }, true) => format!("ws{secure}://{address}{}", settings.path),
        (Address::Tcp { .. }, false) => format!("rs{secure}://{address}"),
        (Address::Unix { .. }, true) => format!("ws{secure}+unix:{address}"),
        (Address::Unix { .. }, false) => format!("rs{secure}+unix:{address}"),
    }
}

/// Accepts for ever. Ends only by being dropped, which closes the socket.
pub async fn run_listener(shard: Rc<RefCell<Shard>>, state: Rc<ListenerState>, listener: Listener) {
    loop {
        let (socket, peer) = listener.accept().await;
        shard.borrow().stats.connections_accepted.add(1);
        let room = shard.borrow_mut().make_room(&state, source_of(&state, &peer));
        match room {
            Err(reason) => {
                shard.borrow_mut().note_peer(&peer, reason, reason.help());
            }
            Ok(()) => take_in(&shard, &state, socket, peer),
        }
    }
}

/// Takes in a connection for which there is room.
fn take_in(shard: &Rc<RefCell<Shard>>, state: &Rc<ListenerState>, socket: Socket, peer: transport::Peer) {
    let entry = Entry::new(&state.crowd, source_of(state, &peer));
    let hold = entry.holding();
    let task = tokio::task::spawn_local(handle_connection(shard.clone(), state.clone(), entry, socket, peer));
    hold(Holder::Task(task.abort_handle()));
}

/// One connection from accept to its end. The handshake's large state is gone once it is done.
async fn handle_connection(
    shard: Rc<RefCell<Shard>>,
    state: Rc<ListenerState>,
    mut entry: Entry,
    socket: Socket,
    mut peer: transport::Peer,
) {
    let accepted = Box::pin(shake_hands(&shard, &state, &mut entry, socket, &mut peer)).await;
    match accepted {
        Ok(Accepted::Established(established)) => {
            shard.borrow().stats.handshakes.add(1);
            let key = shard.borrow_mut().open(*established, state, entry);
            // A task of its own: this one is as large as the handshake was.
            tokio::task::spawn_local(Driver { shard, key });
        }
        Ok(Accepted::Served | Accepted::Gone) => {}
        Err(error) => shard.borrow_mut().note_peer(&peer, error.reason, &error.message),
    }
}

/// The handshakes, bounded in time.
async fn shake_hands(
    shard: &RefCell<Shard>,
    state: &ListenerState,
    entry: &mut Entry,
    socket: Socket,
    peer: &mut transport::Peer,
) -> Result<Accepted, HandshakeError> {
    let within = state.limits().handshake_timeout;
    let accepted = tokio::time::timeout(within, accept_from(shard, state, entry, socket, peer)).await;
    accepted.unwrap_or_else(|_| {
        let message = format!("no handshake within {within:?}");
        Err(HandshakeError { reason: DropReason::HandshakeTimeout, message })
    })
}

/// Finds out who it is, which is told in `peer`, and takes the connection through its handshakes unless there are too
/// many from there.
async fn accept_from(
    shard: &RefCell<Shard>,
    state: &ListenerState,
    entry: &mut Entry,
    socket: Socket,
    peer: &mut transport::Peer,
) -> Result<Accepted, HandshakeError> {
    let identified = accept::identify(&state.accepting, socket, peer.clone()).await?;
    let Some((socket, found)) = identified else { return Ok(Accepted::Gone) };
    *peer = found;
    entry.identify(source_of(state, peer));
    if entry.source().is_some_and(|source| shard.borrow().has_too_many(state, source)) {
        let message = format!("{peer} has too many connections");
        return Err(HandshakeError { reason: DropReason::TooManyFromAddress, message });
    }
    accept::accept(&state.accepting, socket, peer.clone()).await
}

/// Who may come in through a listener, and as what. A listener for the mesh admits the keys of these peers, and nobody
/// else, and proves to them that this node has its key.
pub fn admission(config: &Config, listener: &resolved::Listener, peers: &[Peer], key: Option<&SecretKey>) -> Admission {
    let admission = config.admission(listener);
    if listener.purpose != Purpose::Mesh {
        return admission;
    }
    let principals = peers.iter().map(|peer| {
        let grant = Grant { trusted_link: true, ..Grant::role(LINK_ROLE) };
        let credential = Program { keys: vec![peer.public_key], purpose: mutual::Purpose::Link };
        (peer.id.clone(), Principal { credential, grant })
    });
    let mutual = key.map(|key| Mutual { key: key.clone(), principals: principals.collect() });
    let methods = Methods { anonymous: None, mutual, ..Methods::default() };
    let mut realms = admission.realms;
    for realm in realms.values_mut() {
        realm.roles.insert(LINK_ROLE.to_owned());
    }
    Admission { realms, methods, ..admission }
}
