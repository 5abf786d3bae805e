//! TLS by rustls: the listener's certificates, which can be replaced while it runs, and the established session of
//! either side, driven without waiting. The handshake itself is tokio-rustls' (see `accept` and `connect`); afterwards
//! the session is taken out of it, because the shard writes through shared references.

use super::node_tls;
use super::stream::Socket;
use crate::auth::cryptosign::{ChannelId, PublicKey, TLS_EXPORTER_LABEL};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{Connection, ProtocolVersion, RootCertStore, ServerConfig};
use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// What a listener that shows this certificate chain needs; unless `client_ca` is empty, clients must show a
/// certificate that one of those has signed.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca: &[CertificateDer<'static>],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        [] => builder.with_no_client_auth(),
        authorities => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(authority.clone())?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
        }
    };
    builder.with_single_cert(chain, key).map(Arc::new)
}

/// An established TLS session, apart from its socket.
#[derive(Debug)]
pub struct TlsSession {
    connection: Connection,
    /// There may be something to read, whatever the socket has.
    has_plaintext: bool,
    /// What was read from the socket, and not decrypted yet because there was no room for it.
    ciphertext: Vec<u8>,
}

thread_local! {
    /// Into this the sockets of a thread are read. The buffer of rustls takes 4 KiB at a time, which would cost many
    /// more system calls, and as much memory for each connection if it took more.
    static CIPHERTEXT: RefCell<Box<[u8]>> = RefCell::new(vec![0; CIPHERTEXT_BYTES].into());
}

/// Four records of TLS.
const CIPHERTEXT_BYTES: usize = 64 * 1024;

impl TlsSession {
    pub fn new(connection: Connection) -> TlsSession {
        // The handshake may have brought application data along; one attempt to read it costs nothing.
        TlsSession { connection, has_plaintext: true, ciphertext: Vec::new() }
    }

    pub fn has_plaintext(&self) -> bool {
        self.has_plaintext
    }

    /// RFC 9266 `tls-exporter` channel binding, 32 bytes. Only of TLS 1.3: in TLS 1.2 without the extended master
    /// secret two channels can be made to have the same.
    pub fn channel_id(&self) -> Option<ChannelId> {
        if self.connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        self.connection.export_keying_material([0; 32], TLS_EXPORTER_LABEL, Some(&[])).ok()
    }

    /// The key that the peer has shown and proved instead of a certificate, see `node_tls`.
    pub fn peer_key(&self) -> Option<PublicKey> {
        self.connection.peer_certificates()?.first().and_then(node_tls::shown_key)
    }

    /// Reads what is there, decrypted. `WouldBlock` when nothing is, 0 when the peer has closed.
    pub fn try_read(&mut self, socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.take_plaintext(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            let n = match std::mem::take(&mut self.ciphertext) {
                kept if !kept.is_empty() => self.decrypt(socket, &kept, buf)?,
                _ => CIPHERTEXT.with_borrow_mut(|scratch| {
                    let n = socket.try_read(scratch)?;
                    if n == 0 {
                        self.connection.read_tls(&mut io::empty())?;
                    }
                    self.decrypt(socket, &scratch[..n], buf)
                })?,
            };
            if n > 0 {
                return Ok(n);
            }
        }
    }

    /// Decrypts what was read from the socket. What `buf` has no room for is kept.
    fn decrypt(&mut self, socket: &Socket, mut ciphertext: &[u8], buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while !ciphertext.is_empty() && n < buf.len() {
            // It takes some KiB at a time, and nothing after the peer has said that it closes.
            if self.connection.read_tls(&mut ciphertext)? == 0 {
                break;
            }
            let processed = self.connection.process_new_packets();
            // Alerts and key updates have to go out whatever was read.
            self.try_flush(socket)?;
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match self.take_plaintext(&mut buf[n..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => n += taken?,
            }
        }
        if n == buf.len() && !ciphertext.is_empty() {
            self.ciphertext.extend_from_slice(ciphertext);
            self.has_plaintext = true;
        }
        Ok(n)
    }

    /// Takes what is decrypted, as `try_read` does.
    fn take_plaintext(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        self.has_plaintext = true;
        while n < buf.len() {
            match self.connection.reader().read(&mut buf[n..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_plaintext = false;
                    return if n == 0 { Err(error) } else { Ok(n) };
                }
                // A missing close_notify is how most clients leave.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(n),
                Ok(0) => return Ok(n),
                taken => n += taken?,
            }
        }
        Ok(n)
    }

    pub fn try_write(&mut self, socket: &Socket, buf: &[u8]) -> io::Result<usize> {
        if !self.try_flush(socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.connection.writer().write(buf)?;
        self.try_flush(socket)?;
        if n == 0 && !buf.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(n) }
    }

    pub fn try_flush(&mut self, socket: &Socket) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Unblocked(socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(true)
    }

    pub fn close(&mut self, socket: &Socket) {
        self.connection.send_close_notify();
        let _ = self.try_flush(socket);
    }
}

/// A socket as `Read` and `Write`, which answer `WouldBlock` instead of waiting.
struct Unblocked<'s>(&'s Socket);

impl Read for Unblocked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

impl Write for Unblocked<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    /// All records that wait, by one system call.
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::cryptosign::SecretKey;
    use rustls::{ClientConnection, ServerConnection};
    use tokio::net::UnixStream;

    const N_BYTES: usize = 1_000_000;

    /// Two ends of one channel, before the handshake.
    fn ends() -> [(TlsSession, Socket); 2] {
        let (dialer, listener) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let server = node_tls::server_config(&listener, vec![dialer.public()], b"test").unwrap();
        let client = node_tls::client_config(&dialer, listener.public(), b"test").unwrap();
        let name = std::net::Ipv4Addr::UNSPECIFIED.into();
        let client = ClientConnection::new(client, rustls::pki_types::ServerName::IpAddress(name)).unwrap();
        let (a, b) = UnixStream::pair().unwrap();
        let server = ServerConnection::new(server).unwrap();
        [(TlsSession::new(client.into()), Socket::Unix(a)), (TlsSession::new(server.into()), Socket::Unix(b))]
    }

    fn is_blocked<T>(result: &io::Result<T>) -> bool {
        result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// What is sent in pieces of one size and read in pieces of another.
    async fn passed_on(write_bytes: usize, read_bytes: usize) -> Vec<u8> {
        let [(mut client, near), (mut server, far)] = ends();
        let sent: Vec<u8> = (0..N_BYTES).map(|i| (i % 251) as u8).collect();
        let (mut n_sent, mut got, mut buf) = (0, Vec::new(), vec![0; read_bytes]);
        while got.len() < N_BYTES {
            client.try_flush(&near).unwrap();
            if !client.connection.is_handshaking() && n_sent < N_BYTES {
                match client.try_write(&near, &sent[n_sent..N_BYTES.min(n_sent + write_bytes)]) {
                    blocked if is_blocked(&blocked) => {}
                    written => n_sent += written.unwrap(),
                }
            }
            match server.try_read(&far, &mut buf) {
                blocked if is_blocked(&blocked) => assert!(!server.has_plaintext()),
                read => got.extend_from_slice(&buf[..read.unwrap()]),
            }
            if client.connection.is_handshaking() {
                assert!(is_blocked(&client.try_read(&near, &mut [0; 100])));
            }
            tokio::task::yield_now().await;
        }
        client.close(&near);
        drop(near);
        loop {
            match server.try_read(&far, &mut buf) {
                blocked if is_blocked(&blocked) => tokio::task::yield_now().await,
                closed => {
                    assert_eq!(closed.unwrap(), 0);
                    assert_eq!(server.try_read(&far, &mut buf).unwrap(), 0, "it stays closed");
                    return got;
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_read_does_not_depend_on_how_much_is_read_at_once() {
        for (write_bytes, read_bytes) in [(200_000, 1_000), (200_000, 300_000), (100, 20_000), (16_384, 17)] {
            let got = passed_on(write_bytes, read_bytes).await;
            assert_eq!(got.len(), N_BYTES);
            assert!(got.iter().enumerate().all(|(i, byte)| *byte == (i % 251) as u8), "{write_bytes} {read_bytes}");
        }
    }
}
