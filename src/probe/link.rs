//! One open WAMP session, as cheap as it can be read: bytes are decoded where they were read, and nothing is allocated
//! for a message that the caller does not want decoded.

use crate::limits::Limits;
use crate::transport::connect::{Url, connect, reach};
use crate::transport::{Inbound, Incoming, Outbound, Stream};
use crate::wamp::{Id, Message, codec, error};
use crate::wire::{Dict, Serializer, TooLarge};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The only serializer of the probe: the original's.
pub(super) const SERIALIZER: Serializer = Serializer::Cbor;

/// An open session.
pub(super) struct Link {
    stream: Stream,
    inbound: Inbound,
    leftover: Bytes,
    pub out: Outgoing,
    pub welcome: Welcome,
}

/// What the router said to the newcomer.
#[derive(Clone, Debug, Default)]
pub(super) struct Welcome {
    pub session: Id,
    pub details: Dict,
}

/// What is to be written to a session.
pub(super) struct Outgoing {
    outbound: Outbound,
    queue: Vec<u8>,
    /// Something was to be sent that the router does not take.
    refused: Option<TooLarge>,
    requests: Id,
    /// GOODBYE was sent.
    is_leaving: bool,
    /// The task that reads; it also waits for room to write.
    reader: Option<Waker>,
}

/// The session is over, and the reason as WAMP or the transport gives it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Lost {
    pub reason: String,
}

impl Lost {
    pub(super) fn new(reason: impl Into<String>) -> Lost {
        Lost { reason: reason.into() }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Lost {
        if error.kind() == io::ErrorKind::InvalidInput {
            return Lost::new(error.to_string());
        }
        // What autobahn says when a transport is gone without a word, whatever the kernel calls it.
        Lost::new("wamp.close.transport_lost")
    }
}

impl Link {
    /// Connects and joins a realm as anonymous.
    pub(super) async fn open(url: &Url, realm: &str, buffer_bytes: usize) -> anyhow::Result<Link> {
        let reached = reach(url.target()).await?;
        let opening = async {
            let bytes_max = Limits::default().message_bytes_max;
            let connected = connect(reached, url, SERIALIZER, bytes_max).await?;
            let mut link = Link {
                stream: connected.stream,
                inbound: connected.inbound,
                leftover: connected.leftover,
                out: Outgoing::new(connected.outbound),
                welcome: Welcome::default(),
            };
            link.join(realm, buffer_bytes).await?;
            anyhow::Ok(link)
        };
        tokio::time::timeout(OPEN_TIMEOUT, opening).await?
    }

    async fn join(&mut self, realm: &str, buffer_bytes: usize) -> Result<(), Lost> {
        let roles = ["publisher", "subscriber", "caller", "callee"];
        let roles = roles.iter().fold(Dict::new(), |all, role| all.with(*role, Dict::new()));
        let details = Dict::new().with("roles", roles).with("agent", "crossbar-probe");
        let details = details.with("authmethods", vec!["anonymous".into()]);
        self.out.send(&Message::Hello { realm: realm.to_owned(), details });
        let mut buffer = vec![0; buffer_bytes];
        let mut welcome = None;
        while welcome.is_none() {
            self.ready().await?;
            self.read(&mut buffer, |_, bytes| match decode(bytes)? {
                Message::Welcome { session, details } => {
                    welcome = Some(Welcome { session, details });
                    Ok(())
                }
                Message::Abort { reason, details, .. } => {
                    Err(Lost::new(format!("{reason}: {}", details.str("message").unwrap_or_default())))
                }
                other => Err(Lost::new(format!("{} instead of WELCOME", other.name()))),
            })?;
        }
        self.welcome = welcome.unwrap_or_default();
        Ok(())
    }

    /// Writes what is queued, as far as it goes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Outgoing { queue, reader, refused, .. } = &mut self.out;
        if let Some(error) = refused.take() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let mut written = 0;
        while written < queue.len() {
            match self.stream.try_write(&queue[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The reader waits for room as well, but only once it has looked at the queue.
                    reader.take().inspect(Waker::wake_by_ref);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        queue.drain(..written);
        Ok(())
    }

    /// Waits until there is something to read, and writes meanwhile.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.leftover.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.out.queue.is_empty() && self.stream.poll_write_ready(cx)?.is_ready() {
            self.flush()?;
        }
        match &self.out.reader {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.out.reader = Some(cx.waker().clone()),
        }
        self.stream.poll_read_ready(cx)
    }

    /// Reads what is there, a few buffers at most so that other sessions have their turn, and hands each message on.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        mut handle: impl FnMut(&mut Outgoing, &[u8]) -> Result<(), Lost>,
    ) -> Result<(), Lost> {
        for _ in 0..READS_PER_TURN {
            let n = if self.leftover.is_empty() {
                match self.stream.try_read(buffer) {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    Ok(n) => n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            } else {
                let n = self.leftover.len().min(buffer.len());
                buffer[..n].copy_from_slice(&self.leftover.split_to(n));
                n
            };
            let mut input = &mut buffer[..n];
            while !input.is_empty() {
                let (taken, incoming) = self.inbound.decode(input).map_err(|broken| Lost::new(broken.message))?;
                match incoming {
                    Some(Incoming::Message { bytes, .. }) => handle(&mut self.out, &bytes)?,
                    Some(Incoming::Ping(payload)) => {
                        self.out.queue.extend(self.out.outbound.pong(&payload).into_iter().flatten());
                    }
                    Some(Incoming::Close { .. }) => return Err(Lost::new("wamp.close.transport_lost")),
                    Some(Incoming::Pong) | None => {}
                }
                input = &mut input[taken..];
            }
        }
        self.flush().map_err(Lost::from)
    }

    pub(super) fn shutdown(&self) {
        self.stream.shutdown();
    }

    /// The node that this session is on.
    pub(super) fn node(&self) -> &str {
        self.welcome.details.str("x_cb_node").unwrap_or("unknown")
    }
}

impl Outgoing {
    fn new(outbound: Outbound) -> Outgoing {
        Outgoing { outbound, queue: Vec::new(), refused: None, requests: 0, is_leaving: false, reader: None }
    }

    /// Queues a message; it is written by the next flush.
    pub(super) fn send(&mut self, message: &Message) {
        let mut encoded = Vec::new();
        codec::encode(message, SERIALIZER, &mut encoded);
        match self.outbound.wrap(SERIALIZER, &encoded) {
            Ok(frame) => self.queue.extend_from_slice(&frame),
            Err(error) => self.refused = Some(error),
        }
    }

    /// The id of the next request.
    pub(super) fn request(&mut self) -> Id {
        self.requests += 1;
        self.requests
    }

    /// Says that the session is to end; the router's GOODBYE comes back.
    pub(super) fn goodbye(&mut self) {
        self.is_leaving = true;
        self.send(&Message::Goodbye { details: Dict::new(), reason: error::CLOSE_NORMAL.to_owned() });
    }

    /// Agrees to the router's GOODBYE. Nothing is said to the one that answers our own.
    pub(super) fn agree_to_goodbye(&mut self) {
        if self.is_leaving {
            return;
        }
        self.send(&Message::Goodbye { details: Dict::new(), reason: error::CLOSE_GOODBYE_AND_OUT.to_owned() });
    }
}

/// Decodes a message as a whole.
pub(super) fn decode(bytes: &[u8]) -> Result<Message, Lost> {
    codec::decode(SERIALIZER, bytes, Limits::default().message_depth_max).map_err(|error| Lost::new(error.to_string()))
}

/// Longer than a load balancer takes to find out that a node hangs, and short enough to try again elsewhere.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Buffers that one session may read in a row.
const READS_PER_TURN: usize = 4;
