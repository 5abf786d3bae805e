//! A socket during the handshakes, of either side, when it is still read and written in the ordinary, waiting manner.

use super::rewind::Rewind;
use super::stream::{Socket, Stream};
use super::tls::TlsSession;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

/// The socket, and TLS on it where there is any.
#[derive(Debug)]
pub enum Plumbing {
    Plain(Rewind<Socket>),
    Tls(Box<TlsStream<Rewind<Socket>>>),
}

impl Plumbing {
    /// A connected socket on which nothing was said yet.
    pub fn plain(socket: Socket) -> Plumbing {
        Plumbing::Plain(Rewind { head: Bytes::new(), inner: socket })
    }

    /// The established stream, and what was read too far.
    pub fn into_stream(self) -> (Stream, Bytes) {
        let (plain, session) = match self {
            Plumbing::Plain(plain) => return (Stream::plain(plain.inner), plain.head),
            Plumbing::Tls(tls) => match *tls {
                TlsStream::Client(tls) => {
                    let (plain, connection) = tls.into_inner();
                    (plain, TlsSession::new(connection.into()))
                }
                TlsStream::Server(tls) => {
                    let (plain, connection) = tls.into_inner();
                    (plain, TlsSession::new(connection.into()))
                }
            },
        };
        (Stream::encrypted(plain.inner, session), Bytes::new())
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
