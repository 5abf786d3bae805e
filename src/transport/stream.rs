//! An established byte stream that is read and written without waiting: TCP or a Unix socket, with or without TLS.
//!
//! Both directions work through a shared reference, because the shard writes to a connection while that connection's
//! own task waits for it to become readable.

use super::tls::TlsSession;
use crate::auth::cryptosign::{ChannelId, PublicKey};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// The plain socket under a stream.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, and TLS on it where there is any.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    tls: Option<Box<RefCell<TlsSession>>>,
}

macro_rules! on_socket {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        on_socket!(self, stream => stream.try_read(buf))
    }

    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        on_socket!(self, stream => stream.try_write(buf))
    }

    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        on_socket!(self, stream => stream.try_write_vectored(bufs))
    }
}

impl Stream {
    pub fn plain(socket: Socket) -> Stream {
        Stream { socket, tls: None }
    }

    pub fn encrypted(socket: Socket, session: TlsSession) -> Stream {
        Stream { socket, tls: Some(Box::new(RefCell::new(session))) }
    }

    /// Names the TLS channel at both of its ends, see `TlsSession::channel_id`; None without TLS.
    pub fn channel_id(&self) -> Option<ChannelId> {
        self.tls.as_ref()?.borrow().channel_id()
    }

    /// The key that the peer has shown and proved by TLS; None where there is no TLS, or the peer has shown a
    /// certificate or nothing.
    pub fn peer_key(&self) -> Option<PublicKey> {
        self.tls.as_ref()?.borrow().peer_key()
    }

    /// Reads what is there. `WouldBlock` when nothing is, 0 when the peer has closed.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.try_read(buf),
            Some(tls) => tls.borrow_mut().try_read(&self.socket, buf),
        }
    }

    /// Writes what fits. `WouldBlock` when nothing does.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.socket.try_write(buf),
            Some(tls) => tls.borrow_mut().try_write(&self.socket, buf),
        }
    }

    /// Pushes out what TLS holds back. True when nothing is held any more; always true without TLS.
    pub fn try_flush(&self) -> io::Result<bool> {
        match &self.tls {
            None => Ok(true),
            Some(tls) => tls.borrow_mut().try_flush(&self.socket),
        }
    }

    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Decrypted bytes may wait although the socket has none.
        if self.tls.as_ref().is_some_and(|tls| tls.borrow().has_plaintext()) {
            return Poll::Ready(Ok(()));
        }
        on_socket!(&self.socket, stream => stream.poll_read_ready(cx))
    }

    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(&self.socket, stream => stream.poll_write_ready(cx))
    }

    /// Says that nothing more will be written. Errors are of no interest: the connection is ending.
    pub fn shutdown(&self) {
        if let Some(tls) = &self.tls {
            tls.borrow_mut().close(&self.socket);
        }
        let _ = match &self.socket {
            Socket::Tcp(stream) => socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write),
            Socket::Unix(stream) => socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write),
        };
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_socket!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_socket!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
