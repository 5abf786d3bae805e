//! From an accepted socket to an established transport: PROXY header, TLS, the first byte that tells HTTP from
//! RawSocket, and the handshake of either. One port can serve all of them. The caller bounds the whole of it in time.

use super::framing::{Inbound, Outbound, rawsocket_framing};
use super::http::{self, HttpSettings};
use super::node_tls::{self, LINK_ALPN};
use super::peer::Peer;
use super::plumbing::Plumbing;
use super::rewind::Rewind;
use super::stream::{Socket, Stream};
use crate::drop::DropReason;
use crate::limits::{LINK_HANDSHAKE_BYTES_MAX, Limits, RAWSOCKET_BYTES_MAX};
use crate::wire::proxy::{self, ProxyHeader};
use crate::wire::rawsocket::Refusal;
use crate::wire::{Serializer, rawsocket};
use bytes::{BufMut, Bytes, BytesMut};
use rustls::ServerConfig;
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, server};

/// Whether connections start with a PROXY protocol header, which names the real client behind a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    Off,
    Optional,
    Required,
}

/// What a listener expects of those who connect.
pub struct Accepting {
    // Static after construction.
    pub proxy: ProxyMode,
    /// Whose headers are believed; empty: everybody's.
    pub proxies: Vec<IpAddr>,
    /// None: this port does not speak HTTP and WebSocket.
    pub http: Option<HttpSettings>,
    /// The serializers for RawSocket; empty when this port does not speak it.
    pub rawsocket: Vec<Serializer>,
    /// Who comes in is another node, and may send messages as large as RawSocket has them once it has proven that.
    pub is_mesh: bool,
    // Replaced when the configuration is read again.
    pub limits: RefCell<Limits>,
    /// None: not encrypted. On a port for the mesh, which admits the keys of peers by it, nobody comes in then.
    pub tls: RefCell<Option<Arc<ServerConfig>>>,
}

impl Accepting {
    /// Whether this is the address of one of our own load balancers, behind which there are many clients.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.contains(&address.to_canonical())
    }

    /// Whether a PROXY header from there is one.
    fn believes(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Tcp(address) => self.proxies.is_empty() || self.is_proxy(address.ip()),
            Peer::Unix => true,
        }
    }
}

/// What became of a connection.
pub enum Accepted {
    Established(Box<Established>),
    /// An HTTP request was answered; there is nothing more to do.
    Served,
    /// Whoever connected has gone without having asked for anything, as checks of load balancers do.
    Gone,
}

/// A transport on which WAMP (or echo) messages can flow.
pub struct Established {
    pub stream: Stream,
    pub peer: Peer,
    pub inbound: Inbound,
    pub outbound: Outbound,
    /// How messages are written for this peer; None on an echo endpoint.
    pub serializer: Option<Serializer>,
    /// What the peer sent right behind its handshake.
    pub leftover: Bytes,
    /// The words for this transport in `wamp.session.get`: `websocket` or `rawsocket`, and the subprotocol.
    pub kind: &'static str,
    pub protocol: String,
}

/// Why a handshake came to nothing. The peer has been told as far as its protocol allows.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HandshakeError {
    pub reason: DropReason,
    pub message: String,
}

impl HandshakeError {
    pub fn violation(message: impl Into<String>) -> HandshakeError {
        HandshakeError { reason: DropReason::TransportViolation, message: message.into() }
    }
}

impl From<io::Error> for HandshakeError {
    /// Only TLS finds fault with what it reads; any other error says that the peer has gone.
    fn from(error: io::Error) -> HandshakeError {
        let is_fault = error.kind() == io::ErrorKind::InvalidData;
        let reason = if is_fault { DropReason::TransportViolation } else { DropReason::PeerLost };
        HandshakeError { reason, message: error.to_string() }
    }
}

/// Finds out who has connected, by the PROXY header where one is expected. The socket that is returned stands behind
/// the header. None when the peer goes without a byte.
pub async fn identify(
    accepting: &Accepting,
    mut socket: Socket,
    peer: Peer,
) -> Result<Option<(Rewind<Socket>, Peer)>, HandshakeError> {
    let mode = if accepting.believes(&peer) { accepting.proxy } else { ProxyMode::Off };
    let identified = read_proxy_header(mode, &mut socket, peer).await?;
    Ok(identified.map(|(peer, head)| (Rewind { head, inner: socket }, peer)))
}

/// Takes one accepted socket, whose peer is known, through its handshakes.
pub async fn accept(accepting: &Accepting, mut plain: Rewind<Socket>, peer: Peer) -> Result<Accepted, HandshakeError> {
    let Some(first) = first_byte(&mut plain).await? else { return Ok(Accepted::Gone) };
    plain.put_back(first);
    let tls = accepting.tls.borrow().clone();
    let mut plumbing = match tls {
        None if accepting.is_mesh => return Err(HandshakeError::violation("this node has no key, so it has no links")),
        None => Plumbing::Plain(plain),
        Some(config) if accepting.is_mesh => Plumbing::Tls(Box::new(accept_node(config, plain, first).await?.into())),
        Some(config) => Plumbing::Tls(Box::new(TlsAcceptor::from(config).accept(plain).await?.into())),
    };
    let Some(first) = first_byte(&mut plumbing).await? else { return Ok(Accepted::Gone) };
    if first == rawsocket::MAGIC {
        return accept_rawsocket(accepting, plumbing, peer, first).await;
    }
    match &accepting.http {
        Some(settings) => {
            let io = Rewind { head: Bytes::copy_from_slice(&[first]), inner: plumbing };
            let limits = accepting.limits.borrow().clone();
            http::accept(settings, &limits, io, peer).await
        }
        None => Err(HandshakeError::violation(format!("the first octet is 0x{first:02x}, not RawSocket's 0x7f"))),
    }
}

/// TLS with another node, which has to name the protocol of links. Nothing else is spoken on a port for the mesh.
async fn accept_node(
    config: Arc<ServerConfig>,
    plain: Rewind<Socket>,
    first: u8,
) -> Result<server::TlsStream<Rewind<Socket>>, HandshakeError> {
    if first != TLS_HANDSHAKE {
        let message = format!("the first octet is 0x{first:02x}, not TLS's 0x16: links are encrypted, always");
        return Err(HandshakeError::violation(message));
    }
    let accepted = TlsAcceptor::from(config).accept(plain).await;
    let stream = accepted.map_err(|error| {
        let message = node_tls::sentence(&error);
        match node_tls::is_unknown_key(&error) {
            true => HandshakeError { reason: DropReason::AuthenticationFailed, message },
            false => HandshakeError { message, ..error.into() },
        }
    })?;
    match stream.get_ref().1.alpn_protocol() == Some(LINK_ALPN) {
        true => Ok(stream),
        false => Err(HandshakeError::violation("it does not name the protocol of links (ALPN)")),
    }
}

/// The first byte that the peer sends; None when the peer goes without one. A reset is as good as a close: load
/// balancers reset the connections of their checks.
async fn first_byte(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<u8>> {
    let mut byte = [0; 1];
    match stream.read(&mut byte).await {
        Ok(n) => Ok((n > 0).then_some(byte[0])),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error),
        Err(_) => Ok(None),
    }
}

/// Reads the PROXY header where one is expected. Returns the real peer, and the bytes that were read behind the header;
/// None when the peer goes without a byte.
async fn read_proxy_header(
    mode: ProxyMode,
    socket: &mut Socket,
    peer: Peer,
) -> Result<Option<(Peer, Bytes)>, HandshakeError> {
    if mode == ProxyMode::Off {
        return Ok(Some((peer, Bytes::new())));
    }
    let Some(first) = first_byte(socket).await? else { return Ok(None) };
    let mut head = BytesMut::with_capacity(PROXY_READ_BYTES);
    head.put_u8(first);
    loop {
        match proxy::parse(&head) {
            ProxyHeader::NeedMore => {}
            ProxyHeader::Done { consumed, source } => {
                let rest = head.split_off(consumed).freeze();
                return Ok(Some((source.map_or(peer, Peer::Tcp), rest)));
            }
            ProxyHeader::Absent if mode == ProxyMode::Optional => return Ok(Some((peer, head.freeze()))),
            ProxyHeader::Absent => return Err(HandshakeError::violation("the PROXY header is missing")),
            ProxyHeader::Invalid(what) => return Err(HandshakeError::violation(format!("PROXY header: {what}"))),
        }
        if socket.read_buf(&mut head).await? == 0 {
            let message = "closed inside the PROXY header".to_owned();
            return Err(HandshakeError { reason: DropReason::PeerLost, message });
        }
    }
}

/// The first octet of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// Room for one read of a PROXY header and what may follow it.
const PROXY_READ_BYTES: usize = 512;

/// The RawSocket handshake of four octets; a refusal is answered with its error nibble.
async fn accept_rawsocket(
    accepting: &Accepting,
    mut plumbing: Plumbing,
    peer: Peer,
    first: u8,
) -> Result<Accepted, HandshakeError> {
    let mut octets = [first, 0, 0, 0];
    plumbing.read_exact(&mut octets[1..]).await?;
    let request = rawsocket::read_request(octets).and_then(|request| {
        let is_served = accepting.rawsocket.contains(&request.serializer);
        if is_served { Ok(request) } else { Err(Refusal::SerializerUnsupported.into()) }
    });
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            if let rawsocket::HandshakeError::Refused(refusal) = error {
                plumbing.write_all(&rawsocket::refuse(refusal)).await?;
                let _ = plumbing.shutdown().await;
            }
            return Err(HandshakeError::violation(error.to_string()));
        }
    };
    let (announced, bytes_max) = match accepting.is_mesh {
        true => (RAWSOCKET_BYTES_MAX, LINK_HANDSHAKE_BYTES_MAX),
        false => [accepting.limits.borrow().message_bytes_max; 2].into(),
    };
    plumbing.write_all(&rawsocket::reply(request.serializer, announced)).await?;
    let (stream, leftover) = plumbing.into_stream();
    let (inbound, outbound) = rawsocket_framing(rawsocket::announced_bytes_max(bytes_max), request.bytes_max);
    Ok(Accepted::Established(Box::new(Established {
        stream,
        peer,
        inbound,
        outbound,
        serializer: Some(request.serializer),
        leftover,
        kind: "rawsocket",
        protocol: format!("wamp.2.{}", request.serializer.name()),
    })))
}
