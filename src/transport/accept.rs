//! From an accepted socket to an established transport: PROXY header, TLS, the first byte that tells HTTP from
//! RawSocket, and the handshake of either. One port can serve all of them. The caller bounds the whole of it in time.

use super::framing::{Inbound, Outbound, rawsocket_framing};
use super::http::{self, HttpSettings};
use super::peer::Peer;
use super::rewind::Rewind;
use super::stream::{Socket, Stream};
use super::tls::TlsSession;
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
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

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
    /// The TLS channel id (`tls-exporter`) that cryptosign can be bound to.
    pub channel_id: Option<[u8; 32]>,
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
    let tls = accepting.tls.borrow().clone();
    let mut plumbing = match tls {
        None => Plumbing::Plain(plain),
        Some(config) => {
            let Some(first) = first_byte(&mut plain).await? else { return Ok(Accepted::Gone) };
            plain.put_back(first);
            Plumbing::Tls(Box::new(TlsAcceptor::from(config).accept(plain).await?))
        }
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
    let (stream, leftover, channel_id) = plumbing.into_stream();
    let (inbound, outbound) = rawsocket_framing(rawsocket::announced_bytes_max(bytes_max), request.bytes_max);
    Ok(Accepted::Established(Box::new(Established {
        stream,
        peer,
        inbound,
        outbound,
        serializer: Some(request.serializer),
        leftover,
        channel_id,
        kind: "rawsocket",
        protocol: format!("wamp.2.{}", request.serializer.name()),
    })))
}

/// A socket during the handshakes, when it is still read and written in the ordinary, waiting manner.
pub enum Plumbing {
    Plain(Rewind<Socket>),
    Tls(Box<TlsStream<Rewind<Socket>>>),
}

impl Plumbing {
    /// The established stream, what was read too far, and the TLS channel id.
    pub fn into_stream(self) -> (Stream, Bytes, Option<[u8; 32]>) {
        match self {
            Plumbing::Plain(plain) => (Stream::plain(plain.inner), plain.head, None),
            Plumbing::Tls(tls) => {
                let (plain, connection) = tls.into_inner();
                let session = TlsSession::new(connection);
                let channel_id = session.channel_id();
                (Stream::encrypted(plain.inner, session), Bytes::new(), channel_id)
            }
        }
    }
}

macro_rules! on_plumbing {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Plumbing::Plain($stream) => $call,
            Plumbing::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Plumbing {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_plumbing!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Plumbing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_plumbing!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_plumbing!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_plumbing!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
