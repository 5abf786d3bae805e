//! Plain, blocking connections to a listener: TCP, a socket file, TLS. Whatever does not come in time fails the test.

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Far longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a listener is, as the edge announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `host:port`
    Tcp(String),
    Unix(PathBuf),
}

/// One connection.
pub enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Endpoint {
    /// Connects without saying anything.
    pub fn connect(&self) -> Io {
        match self {
            Endpoint::Tcp(address) => Io::Tcp(connect_tcp(address)),
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
                stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
                Io::Unix(stream)
            }
        }
    }

    /// As `connect`, over TCP and from this address, of which a host has many in `127.0.0.0/8`.
    pub fn connect_from(&self, source: [u8; 4]) -> Io {
        let Endpoint::Tcp(address) = self else { panic!("addresses are of TCP") };
        let address: SocketAddr = address.parse().expect("an address and a port");
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("the address is this host's");
        socket.connect(&address.into()).unwrap_or_else(|error| panic!("{address}: {error}"));
        Io::Tcp(patient(socket.into()))
    }

    /// Connects by TLS as `localhost`, trusting just this certificate. The handshake is complete, or has failed.
    pub fn connect_tls(&self, trusted: &CertificateDer<'static>) -> io::Result<Io> {
        let Endpoint::Tcp(address) = self else { panic!("TLS is spoken over TCP here") };
        Endpoint::start_tls(connect_tcp(address), trusted)
    }

    /// Begins TLS on a connection on which something was said before, a PROXY header for example.
    pub fn start_tls(mut tcp: TcpStream, trusted: &CertificateDer<'static>) -> io::Result<Io> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).expect("the test's certificate is one");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Io::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }
}

impl Io {
    /// The bottom of the connection, for what only sockets can do.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Io::Tcp(stream) => stream,
            Io::Tls(stream) => &stream.sock,
            Io::Unix(_) => panic!("this connection is no TCP"),
        }
    }

    pub fn set_nonblocking(&self, nonblocking: bool) {
        let set = match self {
            Io::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Io::Unix(stream) => stream.set_nonblocking(nonblocking),
            Io::Tls(stream) => stream.sock.set_nonblocking(nonblocking),
        };
        set.expect("a socket can be made to wait or not");
    }

    /// Reads until the peer ends the connection, in order or by a reset.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return all,
                Ok(n) => all.extend_from_slice(&buffer[..n]),
                Err(error) if is_closed(&error) => return all,
                Err(error) => panic!("the connection was not closed: {error}, after {:?}", all.escape_ascii()),
            }
        }
    }

    /// Ends the connection by a reset, as when the client's host dies.
    pub fn reset(self) {
        socket2::SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO)).expect("linger can be set");
    }

    /// Says that nothing more will be sent.
    pub fn shutdown_write(&self) {
        self.tcp().shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }
}

/// Whether reading or writing failed because the peer has closed.
pub fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn connect_tcp(address: &str) -> TcpStream {
    patient(TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}")))
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("nodelay can be set");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

impl Read for Io {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Io::Tcp(stream) => stream.read(buffer),
                Io::Unix(stream) => stream.read(buffer),
                Io::Tls(stream) => stream.read(buffer),
            };
            // A socket with a timeout is interrupted by signals, that of a child's end for example.
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Write for Io {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Io::Tcp(stream) => stream.write(bytes),
            Io::Unix(stream) => stream.write(bytes),
            Io::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Io::Tcp(stream) => stream.flush(),
            Io::Unix(stream) => stream.flush(),
            Io::Tls(stream) => stream.flush(),
        }
    }
}
