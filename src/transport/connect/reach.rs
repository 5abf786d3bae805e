//! From an address of the configuration to a connected socket. Looking up a name, and each of the addresses that it
//! has, have a time of their own: neither a dead name server nor a dead address keeps a living one from being reached.

use super::{ConnectError, Target};
use crate::transport::node_tls;
use crate::transport::plumbing::Plumbing;
use crate::transport::stream::Socket;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// A connected socket, with small writes sent at once, on which nothing was said yet.
#[derive(Debug)]
pub struct Reached {
    pub(super) plumbing: Plumbing,
    pub(super) target: Target,
}

impl Reached {
    /// Has TLS spoken on it. The name is that of the certificate that is expected, if one is.
    pub async fn secure(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Reached, ConnectError> {
        let Reached { plumbing, target } = self;
        let failed =
            |error: io::Error| ConnectError::Tls { target: target.clone(), sentence: node_tls::sentence(&error) };
        let Plumbing::Plain(plain) = plumbing else { return Err(failed(io::Error::other("TLS is spoken already"))) };
        let stream = TlsConnector::from(config).connect(name, plain).await.map_err(failed)?;
        Ok(Reached { plumbing: Plumbing::Tls(Box::new(stream.into())), target })
    }

    /// Has TLS spoken on it as nodes do it, see `node_tls`.
    pub async fn secure_node(self, config: Arc<ClientConfig>) -> Result<Reached, ConnectError> {
        // An address is no name: nothing is said of it.
        self.secure(config, ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())).await
    }
}

/// Connects to an address. A name is looked up anew each time. It takes as long as the bounds below allow; what is said
/// on the connection afterwards is for the caller to bound.
pub async fn reach(target: &Target) -> Result<Reached, ConnectError> {
    let reached = match target {
        Target::Tcp { host, port } => match look_up(host, *port).await {
            Ok(addresses) => connect_first(addresses).await.map(Socket::Tcp),
            Err(error) => Err(error),
        },
        Target::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
    };
    let socket = reached.map_err(|error| ConnectError::Unreachable { target: target.clone(), error })?;
    Ok(Reached { plumbing: Plumbing::plain(socket), target: target.clone() })
}

/// The first connection that comes about. The addresses are tried in their order, each as soon as the one before has
/// failed or has been tried for a moment, and none of them for long.
pub(super) async fn connect_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter().take(ADDRESSES_MAX);
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(connect(address))),
            None if attempts.is_empty() => return Err(failure.unwrap_or_else(no_address)),
            None => {}
        }
        tokio::select! {
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = Some(failure.unwrap_or(error)),
                Err(_) => {}
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connecting = timeout(CONNECT_MAX, TcpStream::connect(address));
    let stream = connecting.await.unwrap_or_else(|_| Err(late(format!("no connection within {CONNECT_MAX:?}"))))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses of a name, or the one that is meant by a literal.
async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let answer = timeout(LOOK_UP_MAX, ask_resolver(host)?).await;
    let found = match answer {
        Ok(Ok(found)) => found.map_err(io::Error::other)?,
        Ok(Err(_)) | Err(_) => return Err(late(format!("the name was not looked up within {LOOK_UP_MAX:?}"))),
    };
    Ok(found.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
}

/// What a look-up comes to; the error is a sentence.
type Answer = Result<Vec<SocketAddr>, String>;

/// Who waits for the look-up of each name that is under way.
static WAITING: Mutex<BTreeMap<String, Vec<oneshot::Sender<Answer>>>> = Mutex::new(BTreeMap::new());

/// Has the system's resolver look up a name. It blocks, for long where a name server is dead, and cannot be
/// interrupted: so it does that in a thread that nobody waits for at the end of the program. Whoever asks for the same
/// name meanwhile shares the answer, so that there are never more threads than names.
fn ask_resolver(host: &str) -> io::Result<oneshot::Receiver<Answer>> {
    let (sender, receiver) = oneshot::channel();
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(senders) = waiting.get_mut(host) {
        senders.push(sender);
        return Ok(receiver);
    }
    let name = host.to_owned();
    std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        let answer = found.map(Iterator::collect::<Vec<_>>).map_err(|error| error.to_string());
        let senders = WAITING.lock().unwrap_or_else(PoisonError::into_inner).remove(&name).unwrap_or_default();
        for sender in senders {
            // Whoever does not wait any more has no use for it.
            let _ = sender.send(answer.clone());
        }
    })?;
    waiting.insert(host.to_owned(), vec![sender]);
    Ok(receiver)
}

fn late(sentence: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, sentence)
}

fn no_address() -> io::Error {
    io::Error::other("the name has no address")
}

/// Longer than the system's resolver takes to go on from dead name servers (5 s each) to one that answers.
const LOOK_UP_MAX: Duration = Duration::from_secs(30);
/// An address that answers does so at once; a lost first packet is repeated after a second.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long an address is tried alone.
const STAGGER: Duration = Duration::from_millis(250);
/// More addresses of one name are not tried.
const ADDRESSES_MAX: usize = 16;
