//! One established connection as the shard keeps it, and the task that waits for its socket.

use super::crowd::Entry;
use super::protocol::Protocol;
use super::rounds::Share;
use super::shard::{ListenerState, RealmIndex, Shard};
use crate::kept::{Account, Connected};
use crate::limits::{LINK_EVENTS_PERCENT, STALL_PERIOD};
use crate::mesh::frames;
use crate::session::admission::Peer;
use crate::session::rate::Meter;
use crate::transport::{Class, Inbound, Outbound, Outbox, Stream};
use crate::wamp::codec::Form;
use crate::wamp::{Message, SessionKey};
use crate::wire::Serializer;
use crate::wire::batch::Batching;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// One connection, idle most of its life: everything that only a busy one needs is empty or absent.
pub struct Connection {
    // Static after construction.
    pub stream: Rc<Stream>,
    pub listener: Rc<ListenerState>,
    /// Its place among all who are connected there.
    pub entry: Entry,
    pub peer: Box<Peer>,

    // Owned by the read turn.
    /// Taken out while its bytes are being routed.
    pub inbound: Option<Inbound>,
    pub protocol: Protocol,
    /// The realm that the session has joined.
    pub realm: Option<RealmIndex>,
    /// The dynamic authenticator's call that the session waits for.
    pub authenticating: Option<u64>,
    /// An authorizer is being asked about this session's last message: route nothing more.
    pub is_suspended: bool,
    /// What has been read and not been routed yet, because the session was suspended or its slice was over: the rest
    /// of a batch, and the bytes behind it.
    pub batch: Option<Box<ParkedBatch>>,
    pub parked: Vec<u8>,
    /// What has been counted for the two above and for a message that has come in part.
    pub inbound_bytes: usize,
    /// What has been counted for the connection itself.
    pub own_bytes: usize,
    /// What it has had of the time for routing.
    pub share: Share,
    /// A receiver of this publisher is slow: read nothing more until then.
    pub stalled_until: Option<Duration>,
    pub stalls: Stalls,
    /// What its session sends is measured by this, where its role has a rate.
    pub meter: Option<Box<Meter>>,
    /// It has sent more than its role may: read nothing more until then.
    pub throttled_until: Option<Duration>,

    // Owned by the flush.
    pub outbound: Outbound,
    pub outbox: Outbox,
    pub is_touched: bool,
    pub is_held: bool,
    pub wants_write: bool,

    // Ending and liveness.
    pub ending: Ending,
    /// When it was taken in, in uptime.
    pub opened: Duration,
    pub heard: Duration,
    /// When a ping went out that nothing has been heard since.
    pub pinged: Option<Duration>,
    /// When the last ping went out, and how long the last answer took.
    pub ping_sent: Duration,
    pub round_trip: Option<Duration>,
    pub waker: Option<Waker>,
}

/// The messages of a batch that have not been routed yet.
#[derive(Debug)]
pub struct ParkedBatch {
    pub batching: Batching,
    pub bytes: Vec<u8>,
    /// Where the next message starts.
    pub at: usize,
}

/// When a publisher was last stalled, in uptime: however many of its receivers are slow, only once in a period.
#[derive(Debug, Default)]
pub struct Stalls(Option<Duration>);

impl Stalls {
    /// Whether the publisher may be stalled now; noted if so.
    pub fn begin(&mut self, uptime: Duration) -> bool {
        let may = self.0.is_none_or(|begun| begun + STALL_PERIOD <= uptime);
        if may {
            self.0 = Some(uptime);
        }
        may
    }
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not at all.
    Open,
    /// What is in the outbox is still written; then our side is shut down, and the peer may close until the deadline.
    Closing { deadline: Duration, is_shut: bool },
    /// The socket is of no more use; the connection's task removes it.
    Dead,
}

impl Connection {
    /// Whether what was read from this connection may be routed now.
    pub fn may_route(&self) -> bool {
        let is_open = self.ending == Ending::Open && !self.is_suspended;
        is_open && self.stalled_until.is_none() && self.throttled_until.is_none()
    }

    /// Whether the socket may be read now. A closing connection is read to see the peer's end.
    pub fn may_read(&self) -> bool {
        match self.ending {
            Ending::Open => self.may_route(),
            Ending::Closing { .. } => true,
            Ending::Dead => false,
        }
    }

    /// Whether this is a link between nodes, in either direction.
    pub fn is_link(&self) -> bool {
        self.listener.is_mesh
    }

    /// How messages are written on a connection with this serializer.
    pub fn form(&self, serializer: Serializer) -> Form {
        if self.is_link() { Form::Link } else { Form::Client(serializer) }
    }

    /// The largest message, in bytes and without its frame, that may be sent to this peer: what the peer said that it
    /// takes, and of a client no more than may wait for it.
    pub fn message_bytes_max(&self) -> usize {
        let outbox_bytes_max = if self.is_link() { usize::MAX } else { self.listener.limits().outbox_bytes_max };
        self.outbound.message_bytes_max.min(outbox_bytes_max)
    }

    /// Whether this is a link that has no room for a message whose frame has this size. Events leave room for what
    /// somebody waits for, so that a flood of them ends no calls; a message that is alone always fits.
    pub fn is_full_link(&self, class: Class, message: &Message, bytes: usize, bytes_max: usize) -> bool {
        let bytes_max = if class.is_event() { bytes_max / 100 * LINK_EVENTS_PERCENT } else { bytes_max };
        let queued = self.outbox.queued_bytes();
        self.is_link() && queued > 0 && queued + bytes > bytes_max && !is_always_queued(message, bytes)
    }

    /// Whether something that was read can be routed now.
    pub fn has_work(&self) -> bool {
        self.may_route() && (self.batch.is_some() || !self.parked.is_empty())
    }

    /// Counts what has come and is not routed yet, if it has become more or less.
    pub fn recount_inbound(&mut self, account: &Account) {
        let batch = self.batch.as_ref().map_or(0, |batch| batch.bytes.capacity());
        let partial = self.inbound.as_ref().map_or(0, Inbound::partial_bytes);
        let bytes = self.parked.capacity() + batch + partial;
        if bytes != self.inbound_bytes {
            account.change_connected(Connected::Inbound, self.inbound_bytes, bytes);
            self.inbound_bytes = bytes;
        }
    }

    /// Counts the connection itself with what compression keeps, if that has become more or less.
    pub fn recount_itself(&mut self, account: &Account) {
        let inflater = self.inbound.as_ref().map_or(0, Inbound::inflater_bytes);
        let bytes = size_of::<Connection>() + self.outbound.compressor_bytes() + inflater;
        if bytes != self.own_bytes {
            account.change_connected(Connected::Connection, self.own_bytes, bytes);
            self.own_bytes = bytes;
        }
    }

    /// Lets the connection's own task look at what has changed.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// What is queued for a link however much waits there. Small answers are as few as the calls that they answer, and what
/// nodes say of patterns is as little as they keep of them; whoever had to do without would have to give the link up.
fn is_always_queued(message: &Message, bytes: usize) -> bool {
    match message {
        Message::Event { details, .. } => details.str("topic") == Some(frames::OVERRUN),
        Message::Invocation { .. } | Message::Call { .. } => false,
        Message::Result { .. } | Message::Yield { .. } | Message::Error { .. } => bytes <= SMALL_ANSWER_BYTES,
        _ => true,
    }
}

/// An answer that is no larger needs no room to be set aside for it. An ERROR of the router's own fits.
const SMALL_ANSWER_BYTES: usize = 1 << 10;

/// The task of one connection: waits until its socket is ready, and lets the shard do the rest.
pub struct Driver {
    pub shard: Rc<RefCell<Shard>>,
    pub key: SessionKey,
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shard.borrow_mut().drive(self.key, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_is_stalled_once_in_a_period() {
        let mut stalls = Stalls::default();
        let begun: Vec<u64> = (0..450).filter(|ms| stalls.begin(Duration::from_millis(*ms))).collect();
        assert_eq!(begun, [0, 100, 200, 300, 400]);
    }
}
