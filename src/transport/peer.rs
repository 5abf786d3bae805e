//! Who is at the other end of a transport, as logs, WELCOME (`x_cb_peer`) and the status page tell it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end: the real client when a PROXY header named it, else the socket's own peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    Unix,
}

impl Peer {
    /// The peer's address; None on a Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(SocketAddr::V4(address)) => write!(f, "tcp4:{address}"),
            Peer::Tcp(SocketAddr::V6(address)) => match address.ip().to_ipv4_mapped() {
                Some(ip) => write!(f, "tcp4:{ip}:{}", address.port()),
                None => write!(f, "tcp6:{address}"),
            },
            Peer::Unix => f.write_str("unix"),
        }
    }
}
