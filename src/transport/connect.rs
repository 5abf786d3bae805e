//! The dialing side: from an address to an established transport, over WebSocket or RawSocket. `reach` connects within
//! bounds of its own; the caller bounds in time what is said afterwards, TLS first (`Reached::secure`).

mod reach;

pub use reach::{Reached, reach};

use super::framing::{Inbound, Outbound, rawsocket_framing, websocket_client_framing};
use super::node_tls;
use super::plumbing::Plumbing;
use super::stream::Stream;
use crate::wire::{Serializer, rawsocket};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder};

/// Where to connect to. Names are resolved anew for each connection, and each of their addresses is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// What is spoken there, and where: `ws://host:port/path`, `rs://host:port`, `rs+unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    WebSocket { target: Target, path: String },
    RawSocket { target: Target },
}

/// A transport that we dialed, on which WAMP messages can flow.
#[derive(Debug)]
pub struct Connected {
    pub stream: Stream,
    pub inbound: Inbound,
    pub outbound: Outbound,
    pub serializer: Serializer,
    /// What the peer sent right behind its handshake; to be decoded before anything that is read.
    pub leftover: Bytes,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{target}: {error}")]
    Unreachable { target: Target, error: io::Error },
    #[error("{target}: TLS: {sentence}")]
    Tls { target: Target, sentence: String },
    #[error("{target}: closed during the handshake: {}", node_tls::sentence(error))]
    Lost { target: Target, error: io::Error },
    #[error("{target}: the WebSocket is refused: {error}")]
    WebSocket { target: Target, error: Box<tungstenite::Error> },
    #[error("{target}: {error}")]
    RawSocket { target: Target, error: rawsocket::HandshakeError },
}

/// Opens the transport that the URL names, at its address.
pub async fn connect(
    reached: Reached,
    url: &Url,
    serializer: Serializer,
    bytes_max: usize,
) -> Result<Connected, ConnectError> {
    match url {
        Url::WebSocket { path, .. } => connect_websocket(reached, path, serializer, bytes_max).await,
        Url::RawSocket { .. } => connect_rawsocket(reached, serializer, bytes_max).await,
    }
}

/// Opens a WebSocket with the subprotocol `wamp.2.<serializer>`; messages of more than `bytes_max` bytes are refused.
pub async fn connect_websocket(
    reached: Reached,
    path: &str,
    serializer: Serializer,
    bytes_max: usize,
) -> Result<Connected, ConnectError> {
    let Reached { plumbing, target } = reached;
    let refused = |error| ConnectError::WebSocket { target: target.clone(), error: Box::new(error) };
    let authority = match &target {
        Target::Tcp { host, port } => authority(host, *port),
        Target::Unix(_) => "localhost".to_owned(),
    };
    let uri = format!("ws://{authority}{path}").parse::<tungstenite::http::Uri>();
    let uri = uri.map_err(|error| refused(tungstenite::Error::HttpFormat(error.into())))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(format!("wamp.2.{}", serializer.name()));
    let recording = Recording { inner: plumbing, read: Vec::new() };
    let (websocket, _) = client_async(request, recording).await.map_err(refused)?;
    let Recording { inner, read } = websocket.into_inner();
    let head = memchr::memmem::find(&read, HEAD_END).map_or(read.len(), |at| at + HEAD_END.len());
    let (inbound, outbound) = websocket_client_framing(bytes_max);
    let (stream, _) = inner.into_stream();
    Ok(Connected { stream, inbound, outbound, serializer, leftover: Bytes::from(read).split_off(head) })
}

/// Opens a RawSocket; `bytes_max` is announced as the next power of two that is not above it.
pub async fn connect_rawsocket(
    reached: Reached,
    serializer: Serializer,
    bytes_max: usize,
) -> Result<Connected, ConnectError> {
    let Reached { mut plumbing, target } = reached;
    let lost = |error| ConnectError::Lost { target: target.clone(), error };
    plumbing.write_all(&rawsocket::request(serializer, bytes_max)).await.map_err(lost)?;
    plumbing.flush().await.map_err(lost)?;
    let mut reply = [0; 4];
    plumbing.read_exact(&mut reply).await.map_err(lost)?;
    let send_bytes_max = rawsocket::read_reply(reply, serializer)
        .map_err(|error| ConnectError::RawSocket { target: target.clone(), error })?;
    let (inbound, outbound) = rawsocket_framing(rawsocket::announced_bytes_max(bytes_max), send_bytes_max);
    let (stream, leftover) = plumbing.into_stream();
    Ok(Connected { stream, inbound, outbound, serializer, leftover })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp { host, port } => f.write_str(&authority(host, *port)),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `host:port`, with the brackets that an IPv6 address needs there.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What is wrong with an address or a URL of the configuration or the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub struct NotAnAddress(pub String, pub &'static str);

impl FromStr for Target {
    type Err = NotAnAddress;

    /// `host:port`, `[ipv6]:port` or `unix:/path`.
    fn from_str(text: &str) -> Result<Target, NotAnAddress> {
        let wrong = || NotAnAddress(text.to_owned(), "host:port or unix:/path");
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Target::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        if host.is_empty() || bracketed.is_none() && host.contains(':') {
            return Err(wrong());
        }
        Ok(Target::Tcp { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
    }
}

impl FromStr for Url {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Url, NotAnAddress> {
        let wrong = || NotAnAddress(text.to_owned(), "ws://host[:port][/path], rs://host:port or rs+unix:/path");
        if let Some(rest) = text.strip_prefix("ws://") {
            let slash = rest.find('/').unwrap_or(rest.len());
            let (host, path) = rest.split_at(slash);
            let path = if path.is_empty() { "/" } else { path };
            let target = host.parse().or_else(|_| format!("{host}:{HTTP_PORT}").parse()).map_err(|_| wrong())?;
            return Ok(Url::WebSocket { target, path: path.to_owned() });
        }
        let target = match text.strip_prefix("rs://") {
            Some(rest) => rest.trim_end_matches('/').parse(),
            None if text.starts_with("rs+unix:") => text.trim_start_matches("rs+").parse(),
            None => return Err(wrong()),
        };
        Ok(Url::RawSocket { target: target.map_err(|_| wrong())? })
    }
}

impl Url {
    /// The address in it.
    pub fn target(&self) -> &Target {
        match self {
            Url::WebSocket { target, .. } | Url::RawSocket { target } => target,
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Url::WebSocket { target, path } => write!(f, "ws://{target}{path}"),
            Url::RawSocket { target: target @ Target::Tcp { .. } } => write!(f, "rs://{target}"),
            Url::RawSocket { target } => write!(f, "rs+{target}"),
        }
    }
}

/// A socket that keeps what is read from it. The handshake reads whatever is there, and what it has read beyond its own
/// end is not to be lost.
struct Recording {
    inner: Plumbing,
    read: Vec<u8>,
}

impl AsyncRead for Recording {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.read.extend_from_slice(buf.filled().get(filled..).unwrap_or_default());
        polled
    }
}

impl AsyncWrite for Recording {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// What ends an HTTP response head.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Where `ws://` goes when the URL names no port.
const HTTP_PORT: u16 = 80;

#[cfg(test)]
mod tests;
