//! Whether there is room for one more connection: on its listener, among the descriptors, and for its source.

use super::crowd::{Holder, is_over_share};
use super::rounds::Source;
use super::shard::{ListenerState, Shard};
use crate::drop::DropReason;
use crate::limits::DESCRIPTORS_RESERVED;
use crate::transport::Peer;
use std::rc::Rc;

/// Who answers for a connection: nobody where there are many clients behind one address, or none.
pub(super) fn source_of(listener: &ListenerState, peer: &Peer) -> Option<Source> {
    peer.address().filter(|address| !listener.accepting.is_proxy(*address)).map(Source::of)
}

/// What there is no room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// The listener has `handshakes_max`, or `connections_max`, some of which may be handshakes.
    Listener(DropReason),
    /// Clients have all the descriptors that they may have.
    Descriptors,
}

impl Shard {
    /// Makes room for one more connection from `source` if need be.
    ///
    /// # Errors
    /// There is no room, and no connection that has to make way for this one.
    pub(super) fn make_room(&mut self, listener: &Rc<ListenerState>, source: Option<Source>) -> Result<(), DropReason> {
        let Some(full) = self.is_full(listener) else { return Ok(()) };
        let reason = match full {
            Full::Listener(reason) => reason,
            Full::Descriptors => DropReason::TooManyConnections,
        };
        let crowded = match full {
            Full::Listener(_) => Some(listener.clone()),
            Full::Descriptors => self.client_listeners().max_by_key(|at| at.crowd.borrow().busiest()).cloned(),
        };
        let crowded = crowded.ok_or(reason)?;
        let holder = crowded.crowd.borrow_mut().crowd_out(source).ok_or(reason)?;
        match holder {
            Holder::Task(task) => {
                self.note_in(None, DropReason::CrowdedOut);
                task.abort();
            }
            Holder::Connection(key) => self.kill(key, DropReason::CrowdedOut),
        }
        Ok(())
    }

    fn is_full(&self, listener: &ListenerState) -> Option<Full> {
        let (limits, crowd) = (listener.limits(), listener.crowd.borrow());
        if crowd.n_connections() >= limits.connections_max {
            Some(Full::Listener(DropReason::TooManyConnections))
        } else if crowd.n_handshakes() >= limits.handshakes_max {
            Some(Full::Listener(DropReason::TooManyHandshakes))
        } else {
            (listener.is_for_clients() && self.n_client_connections() >= self.clients_max())
                .then_some(Full::Descriptors)
        }
    }

    /// Whether a source, with its connection that has just been taken in, has more than it may have.
    pub(super) fn has_too_many(&self, listener: &ListenerState, source: Source) -> bool {
        let (limits, crowd) = (listener.limits(), listener.crowd.borrow());
        let n_free = limits.connections_max.saturating_sub(crowd.n_connections());
        if crowd.is_over_limit(source, &limits) || is_over_share(source, crowd.n_connections_of(source), n_free) {
            return true;
        }
        let n: usize = self.client_listeners().map(|at| at.crowd.borrow().n_connections_of(source)).sum();
        listener.is_for_clients()
            && is_over_share(source, n, self.clients_max().saturating_sub(self.n_client_connections()))
    }

    /// Connections that clients may have on all listeners together, as far as the descriptors go.
    pub fn clients_max(&self) -> usize {
        let granted = usize::try_from(self.node.descriptors_max).unwrap_or(usize::MAX);
        // Each link is dialed by either node.
        let reserved = DESCRIPTORS_RESERVED + 2 * self.links.len();
        granted - reserved.min(granted / 2)
    }

    /// Connections of clients, with those that are in their handshake.
    pub fn n_client_connections(&self) -> usize {
        self.client_listeners().map(|listener| listener.crowd.borrow().n_connections()).sum()
    }

    fn client_listeners(&self) -> impl Iterator<Item = &Rc<ListenerState>> {
        self.listeners.iter().filter(|listener| !listener.is_mesh)
    }
}
