//! Who is connected to a listener, by source: how many connections each has there, and which of them have no session
//! yet. Those cost nobody anything, so they are what a listener is filled with by whoever wants to keep others out.
//!
//! While there is room, one source may take nearly all of it. When there is none, a newcomer takes the place of the
//! longest handshake of the source that has the most of them, and among sources that have as many, of the longest of
//! all. So however many handshakes one source has under way, and from however many sources they come, the others come
//! in; and a thousand clients behind one address notice nothing while nobody else is in need.

use super::rounds::Source;
use crate::limits::{CONNECTIONS_PER_HANDSHAKE_MAX, Limits, SHARE_OF_FREE_MAX};
use crate::wamp::SessionKey;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use tokio::task::AbortHandle;

/// The connections of one listener.
#[derive(Debug, Default)]
pub struct Crowd {
    held: HashMap<Source, Held>,
    /// The sources with open handshakes, the one that makes way first last.
    by_handshakes: BTreeSet<Rank>,
    n_connections: usize,
    n_handshakes: usize,
    number_next: u64,
}

/// What one source has.
#[derive(Debug, Default)]
struct Held {
    n_connections: usize,
    /// The oldest first.
    handshakes: BTreeMap<u64, Option<Holder>>,
}

/// Which source makes way first: the one that has the most handshakes, and of those that have as many the one that has
/// the oldest.
type Rank = (usize, Reverse<u64>, Source);

/// What has to end for a connection to end.
#[derive(Clone, Debug)]
pub enum Holder {
    /// Its transport handshake.
    Task(AbortHandle),
    Connection(SessionKey),
}

impl Held {
    /// Its place among the sources with open handshakes; none where it has none.
    fn rank(&self, source: Source) -> Option<Rank> {
        let (oldest, _) = self.handshakes.first_key_value()?;
        Some((self.handshakes.len(), Reverse(*oldest), source))
    }
}

impl Crowd {
    /// Connections, with those that have no session yet.
    pub fn n_connections(&self) -> usize {
        self.n_connections
    }

    /// Connections that have no session yet.
    pub fn n_handshakes(&self) -> usize {
        self.n_handshakes
    }

    /// How many of a source's connections there are.
    pub fn n_connections_of(&self, source: Source) -> usize {
        self.held.get(&source).map_or(0, |held| held.n_connections)
    }

    /// How many of a source's connections have no session yet.
    pub fn n_handshakes_of(&self, source: Source) -> usize {
        self.held.get(&source).map_or(0, |held| held.handshakes.len())
    }

    /// The source that makes way first, with its number of open handshakes.
    pub fn busiest(&self) -> Option<(usize, Source)> {
        self.by_handshakes.last().map(|(n, _, source)| (*n, *source))
    }

    /// Takes out the longest handshake of the busiest source, for a newcomer from another one. None where that would
    /// leave the newcomer's source with more than the busiest. It is no handshake any more, and stays a connection
    /// until it has ended.
    pub fn crowd_out(&mut self, newcomer: Option<Source>) -> Option<Holder> {
        let n_own = newcomer.map_or(0, |source| self.n_handshakes_of(source));
        let (n, source) = self.busiest()?;
        let is_equal = n == n_own + 1;
        if n <= n_own || is_equal && self.n_handshakes < self.n_connections / CONNECTIONS_PER_HANDSHAKE_MAX {
            return None;
        }
        let (number, holder) = self.held.get(&source)?.handshakes.first_key_value()?;
        let (number, holder) = (*number, holder.clone()?);
        self.end_handshake(source, number);
        Some(holder)
    }

    fn enter(&mut self, source: Option<Source>, holder: Option<Holder>) -> Ticket {
        let mut ticket = Ticket { source, number: 0, is_counted: false };
        self.n_connections += 1;
        if let Some(source) = source {
            self.held.entry(source).or_default().n_connections += 1;
        }
        self.begin(&mut ticket, holder);
        ticket
    }

    /// Its handshake begins. It is younger than all others then.
    fn begin(&mut self, ticket: &mut Ticket, holder: Option<Holder>) {
        (ticket.number, ticket.is_counted) = (self.number_next, true);
        self.number_next += 1;
        self.n_handshakes += 1;
        let Some(source) = ticket.source else { return };
        let Some(held) = self.held.get_mut(&source) else { return };
        let before = held.rank(source);
        held.handshakes.insert(ticket.number, holder);
        let after = held.rank(source);
        self.rank(before, after);
    }

    fn rank(&mut self, before: Option<Rank>, after: Option<Rank>) {
        before.map(|before| self.by_handshakes.remove(&before));
        self.by_handshakes.extend(after);
    }

    fn holder(&self, ticket: &Ticket) -> Option<Holder> {
        self.held.get(&ticket.source?)?.handshakes.get(&ticket.number)?.clone()
    }

    fn hold(&mut self, ticket: &Ticket, holder: Holder) {
        let held = ticket.source.and_then(|source| self.held.get_mut(&source));
        if let Some(place) = held.and_then(|held| held.handshakes.get_mut(&ticket.number)) {
            *place = Some(holder);
        }
    }

    fn leave(&mut self, ticket: &mut Ticket) {
        self.finish(ticket);
        self.n_connections -= 1;
        let Some(source) = ticket.source else { return };
        let Some(held) = self.held.get_mut(&source) else { return };
        held.n_connections -= 1;
        if held.n_connections == 0 {
            self.held.remove(&source);
        }
    }

    /// Its handshake is over. One that was crowded out is counted no more before this.
    fn finish(&mut self, ticket: &mut Ticket) {
        if std::mem::take(&mut ticket.is_counted) {
            match ticket.source {
                Some(source) => self.end_handshake(source, ticket.number),
                None => self.n_handshakes -= 1,
            }
        }
    }

    fn end_handshake(&mut self, source: Source, number: u64) {
        let Some(held) = self.held.get_mut(&source) else { return };
        let before = held.rank(source);
        if held.handshakes.remove(&number).is_none() {
            return;
        }
        let after = held.rank(source);
        self.n_handshakes -= 1;
        self.rank(before, after);
    }

    /// Whether a source has more than the configuration allows it.
    pub fn is_over_limit(&self, source: Source, limits: &Limits) -> bool {
        let is_over = |n: usize, max: usize| max > 0 && n > max;
        is_over(self.n_connections_of(source), limits.connections_per_address_max)
            || is_over(self.n_handshakes_of(source), limits.handshakes_per_address_max)
    }
}

/// Whether a source with `n` connections has more than its share of a room in which so many more are free. This host is
/// where a balancer may stand of which nothing was said.
pub fn is_over_share(source: Source, n: usize, n_free: usize) -> bool {
    n > n_free.saturating_mul(SHARE_OF_FREE_MAX).saturating_add(1) && !source.is_this_host()
}

/// A connection's place in its crowd.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    source: Option<Source>,
    number: u64,
    /// It is in its handshake, unless it has been crowded out.
    is_counted: bool,
}

/// A connection's place in its crowd, from accept on, given back when it is dropped. It is in its handshake until
/// `open` says otherwise.
#[derive(Debug)]
pub struct Entry {
    crowd: Rc<RefCell<Crowd>>,
    ticket: Ticket,
}

impl Entry {
    /// Takes a place for a connection that has been accepted. What has to end for it to end is told by `hold`.
    pub fn new(crowd: &Rc<RefCell<Crowd>>, source: Option<Source>) -> Entry {
        Entry { ticket: crowd.borrow_mut().enter(source, None), crowd: crowd.clone() }
    }

    /// Whose connection it is; None where there are many clients behind one address.
    pub fn source(&self) -> Option<Source> {
        self.ticket.source
    }

    /// The connection turns out to be of this source.
    pub fn identify(&mut self, source: Option<Source>) {
        if source != self.ticket.source {
            let mut crowd = self.crowd.borrow_mut();
            let holder = crowd.holder(&self.ticket);
            crowd.leave(&mut self.ticket);
            self.ticket = crowd.enter(source, holder);
        }
    }

    /// What has to end for this connection to end.
    pub fn hold(&self, holder: Holder) {
        self.holding()(holder);
    }

    /// As `hold`, for when the connection has been handed on.
    pub fn holding(&self) -> impl FnOnce(Holder) + use<> {
        let (crowd, ticket) = (self.crowd.clone(), self.ticket);
        move |holder| crowd.borrow_mut().hold(&ticket, holder)
    }

    /// The session is open.
    pub fn open(&mut self) {
        self.crowd.borrow_mut().finish(&mut self.ticket);
    }

    /// The session has ended, and another may follow on this connection.
    pub fn reopen(&mut self, holder: Holder) {
        if !self.ticket.is_counted {
            self.crowd.borrow_mut().begin(&mut self.ticket, Some(holder));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.crowd.borrow_mut().leave(&mut self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Option<Source> {
        Some(Source::of([10, 0, 0, n].into()))
    }

    /// Connections from these addresses, each held by its number.
    fn enter(crowd: &Rc<RefCell<Crowd>>, addresses: &[u8]) -> Vec<Entry> {
        let enter = |(n, address_of): (usize, &u8)| {
            let entry = Entry::new(crowd, address(*address_of));
            entry.hold(Holder::Connection(SessionKey(n as u32)));
            entry
        };
        addresses.iter().enumerate().map(enter).collect()
    }

    /// Whose place a newcomer from this address takes.
    fn crowd_out(crowd: &Rc<RefCell<Crowd>>, newcomer: u8) -> Option<u32> {
        match crowd.borrow_mut().crowd_out(address(newcomer))? {
            Holder::Connection(key) => Some(key.0),
            Holder::Task(_) => None,
        }
    }

    #[test]
    fn the_oldest_of_the_busiest_makes_way() {
        let crowd = Rc::default();
        let mut entries = enter(&crowd, &[1, 2, 2, 2, 1, 3]);
        assert_eq!(crowd.borrow().busiest(), Some((3, address(2).unwrap())));
        assert_eq!(crowd_out(&crowd, 9), Some(1));
        // Two addresses have two each now, and the first of them is there for longer.
        assert_eq!(crowd_out(&crowd, 3), Some(0));
        assert_eq!(crowd_out(&crowd, 2), None, "no address has more than its own");
        assert_eq!(crowd_out(&crowd, 9), Some(2));
        assert_eq!((crowd.borrow().n_connections(), crowd.borrow().n_handshakes()), (6, 3));
        // Whose session is open does not make way.
        entries[3].open();
        assert_eq!(crowd_out(&crowd, 9), Some(4));
        entries[3].reopen(Holder::Connection(SessionKey(3)));
        assert_eq!(crowd_out(&crowd, 9), Some(5));
        assert_eq!(crowd_out(&crowd, 9), Some(3), "one that waits for another HELLO is younger");
        assert_eq!(crowd_out(&crowd, 9), None, "there is none any more");
        drop(entries);
        assert_eq!((crowd.borrow().n_connections(), crowd.borrow().n_handshakes()), (0, 0));
        assert!(crowd.borrow().held.is_empty() && crowd.borrow().by_handshakes.is_empty());
    }

    /// Of a crowd that comes from very many addresses, the oldest makes way, and no newcomer is refused.
    #[test]
    fn the_oldest_of_all_makes_way_where_each_address_has_one() {
        let crowd = Rc::default();
        let mut entries = enter(&crowd, &[5, 4, 3, 2]);
        for n in 0..4 {
            assert_eq!(crowd_out(&crowd, 9), Some(n));
            entries.extend(enter(&crowd, &[10 + n as u8]));
        }
        assert_eq!(crowd.borrow().n_handshakes(), 4);
    }

    /// Where nearly all connections have their session, the last places are for those who are about to have it.
    #[test]
    fn the_last_places_are_not_taken_from_one_another() {
        let crowd = Rc::default();
        let mut entries = enter(&crowd, &[1; 30]);
        entries.iter_mut().for_each(Entry::open);
        entries.extend(enter(&crowd, &[2, 3]));
        assert_eq!(crowd_out(&crowd, 9), None);
        entries.extend(enter(&crowd, &[4]));
        assert_eq!(crowd_out(&crowd, 9), Some(0));
    }

    #[test]
    fn a_connection_counts_for_whom_it_is_of() {
        let crowd = Rc::default();
        let mut entries = enter(&crowd, &[1, 1, 1]);
        entries[1].identify(address(2));
        entries[2].identify(None);
        let of = |n| crowd.borrow().n_connections_of(address(n).unwrap());
        assert_eq!((of(1), of(2), crowd.borrow().n_handshakes()), (1, 1, 3));
        entries[2].open();
        entries[2].open();
        assert_eq!((crowd.borrow().n_connections(), crowd.borrow().n_handshakes()), (3, 2));
        drop(entries);
        assert!(crowd.borrow().held.is_empty() && crowd.borrow().by_handshakes.is_empty());
    }

    /// Whatever is done in whatever order, everything that is counted is given back.
    #[test]
    fn nothing_is_counted_twice() {
        let crowd = Rc::default();
        let mut entries = enter(&crowd, &[1, 2, 1, 2, 1, 1, 1]);
        assert_eq!(crowd_out(&crowd, 9), Some(0));
        entries[0].open();
        entries[0].reopen(Holder::Connection(SessionKey(0)));
        entries[0].identify(address(2));
        entries[2].reopen(Holder::Connection(SessionKey(2)));
        assert_eq!(crowd.borrow().n_handshakes(), 7);
        assert_eq!(crowd.borrow().n_handshakes_of(address(1).unwrap()), 4);
        while !entries.is_empty() {
            entries.remove(entries.len() / 2);
            assert_eq!(crowd.borrow().n_connections(), entries.len());
            assert_eq!(crowd.borrow().n_handshakes(), entries.len());
        }
        assert!(crowd.borrow().held.is_empty() && crowd.borrow().by_handshakes.is_empty());
    }

    #[test]
    fn one_address_leaves_a_tenth() {
        let far = address(1).unwrap();
        let taken = (1..=100).take_while(|n| !is_over_share(far, *n, 100 - n)).count();
        assert_eq!(taken, 90);
        assert!(!is_over_share(Source::of([127, 0, 0, 1].into()), 100, 0));
    }
}
