//! Bound sockets and the accept loop. An accept error is logged and waited out; it never ends the listener.

use super::peer::Peer;
use super::stream::Socket;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A bound socket. A Unix socket's file is removed when it is dropped.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds. A Unix socket file that nobody listens on any more is replaced. A socket on `[::]` takes IPv4 too, unless
    /// `ipv6_only`.
    pub fn bind(endpoint: &Endpoint, backlog: u32, ipv6_only: bool) -> io::Result<Listener> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let domain = if address.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
                let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
                socket.set_reuse_address(true)?;
                if address.is_ipv6() {
                    socket.set_only_v6(ipv6_only)?;
                }
                socket.set_nonblocking(true)?;
                socket.bind(&(*address).into())?;
                socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
                Ok(Listener::Tcp(TcpListener::from_std(socket.into())?))
            }
            Endpoint::Unix(path) => {
                // A file of any other kind is not ours to remove; binding fails then.
                let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
                if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
                    std::fs::remove_file(path)?;
                }
                Ok(Listener::Unix(UnixListener::bind(path)?, path.clone()))
            }
        }
    }

    /// A socket that was bound before, with the backlog that is wanted now.
    pub fn adopt(socket: std::net::TcpListener, backlog: u32) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let socket = socket2::Socket::from(socket);
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Listener::Tcp(TcpListener::from_std(socket.into())?))
    }

    /// The address that clients can reach, with the port that was really bound.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string()),
            Listener::Unix(_, path) => path.display().to_string(),
        }
    }

    /// The next connection, with small writes sent at once.
    pub async fn accept(&self) -> (Socket, Peer) {
        loop {
            let accepted = match self {
                Listener::Tcp(listener) => listener.accept().await.map(|(stream, address)| {
                    // Latency is the router's business; its own batching is what fills segments.
                    let _ = stream.set_nodelay(true);
                    // Finds peers that have vanished without a word where nothing is sent to them.
                    let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
                    (Socket::Tcp(stream), Peer::Tcp(address))
                }),
                Listener::Unix(listener, _) => {
                    listener.accept().await.map(|(stream, _)| (Socket::Unix(stream), Peer::Unix))
                }
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(error) => {
                    // Out of descriptors, mostly: it passes when connections end.
                    tracing::warn!(address = self.address(), %error, "accept failed");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A peer that answers nothing for 10 s and then two probes is gone.
const KEEPALIVE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(10))
    .with_interval(Duration::from_secs(5))
    .with_retries(2);

/// Long enough not to spin on EMFILE, short enough not to be noticed.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
