//! One established connection as the shard keeps it, and the task that waits for its socket.

use super::shard::{ListenerState, RealmIndex, Shard};
use super::speaker::Speaker;
use crate::limits::LINK_EVENTS_PERCENT;
use crate::session::admission::Peer;
use crate::transport::{Class, Inbound, Outbound, Outbox, Stream};
use crate::wamp::{Message, SessionKey};
use crate::wire::Serializer;
use std::cell::RefCell;
use std::collections::VecDeque;
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
    /// None on an echo endpoint, which has no WAMP session.
    pub serializer: Option<Serializer>,
    pub peer: Box<Peer>,

    // Owned by the read turn.
    /// Taken out while its bytes are being routed.
    pub inbound: Option<Inbound>,
    pub speaker: Speaker,
    /// The realm that the session has joined.
    pub realm: Option<RealmIndex>,
    /// The dynamic authenticator's call that the session waits for.
    pub authenticating: Option<u64>,
    /// An authorizer is being asked about this session's last message: route nothing more.
    pub is_suspended: bool,
    /// Messages of a batch, and bytes behind them, that were read before the session was suspended.
    pub waiting: VecDeque<Message>,
    pub parked: Vec<u8>,
    /// A receiver of this publisher is slow: read nothing more until then.
    pub stalled_until: Option<Duration>,

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
    /// Whether bytes of this connection may be routed now.
    pub fn may_route(&self) -> bool {
        self.ending == Ending::Open && !self.is_suspended
    }

    /// Whether the socket may be read now. A closing connection is read to see the peer's end.
    pub fn may_read(&self) -> bool {
        match self.ending {
            Ending::Open => !self.is_suspended && self.stalled_until.is_none(),
            Ending::Closing { .. } => true,
            Ending::Dead => false,
        }
    }

    /// Whether this is a link between nodes, in either direction.
    pub fn is_link(&self) -> bool {
        self.listener.is_mesh
    }

    /// Whether this is a link that has no room for a message of this size. Events leave room for what somebody waits
    /// for, so that a flood of them ends neither calls nor the link; a message that is alone always fits.
    pub fn is_full_link(&self, class: Class, bytes: usize, bytes_max: usize) -> bool {
        let bytes_max = if class.is_event() { bytes_max / 100 * LINK_EVENTS_PERCENT } else { bytes_max };
        let queued = self.outbox.queued_bytes();
        self.is_link() && queued > 0 && queued + bytes > bytes_max
    }

    /// Whether something that was read has not been routed yet.
    pub fn has_parked(&self) -> bool {
        !self.waiting.is_empty() || !self.parked.is_empty()
    }

    /// Lets the connection's own task look at what has changed.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

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
