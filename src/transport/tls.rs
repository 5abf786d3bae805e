//! TLS by rustls: the listener's certificates, which can be replaced while it runs, and the established session of
//! either side, driven without waiting. The handshake itself is tokio-rustls' (see `accept` and `connect`); afterwards
//! the session is taken out of it, because the shard writes through shared references.

use super::node_tls;
use super::stream::Socket;
use crate::auth::cryptosign::{ChannelId, PublicKey, TLS_EXPORTER_LABEL};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{Connection, ProtocolVersion, RootCertStore, ServerConfig};
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
    has_plaintext: bool,
}

impl TlsSession {
    pub fn new(connection: Connection) -> TlsSession {
        // The handshake may have brought application data along; one attempt to read it costs nothing.
        TlsSession { connection, has_plaintext: true }
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

    pub fn try_read(&mut self, socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.has_plaintext = false,
                // A missing close_notify is how most clients leave.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                done => {
                    self.has_plaintext = true;
                    return done;
                }
            }
            self.connection.read_tls(&mut Unblocked(socket))?;
            let processed = self.connection.process_new_packets();
            // Alerts and key updates have to go out whatever was read.
            self.try_flush(socket)?;
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
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
