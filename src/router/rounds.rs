//! Whose input is routed next. Connections with something to read wait here and are served in slices of time, by
//! start-time fair queueing (Goyal, Vin, Cheng 1996): a slice is tagged with the virtual time at which it may begin,
//! the lowest tag is served first, and what a slice really cost moves the connection's next tag. So whoever causes much
//! work with one message waits until the others have had as much, a connection that asks for little is served at once,
//! and while nobody else waits nobody waits at all.
//!
//! Realms share the time alike, in each realm its sources, and the connections from one source what that has: each is
//! charged for all that wait beside it.

use super::shard::RealmIndex;
use crate::wamp::SessionKey;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Who answers for the work that a connection causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Everybody at this address; of IPv6 addresses the first 64 bits, which are what one customer has.
    Address(IpAddr),
    /// The connection alone: a link, or a client on a Unix socket.
    Own(SessionKey),
}

impl Source {
    /// The source that an address belongs to.
    pub fn of(address: IpAddr) -> Source {
        Source::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address => address,
        })
    }

    /// The address, of IPv6 the network.
    pub fn place(&self) -> Option<IpAddr> {
        match self {
            Source::Address(address) => Some(*address),
            Source::Own(_) => None,
        }
    }

    /// Whether it is a program on this very host, as far as the address tells.
    pub fn is_this_host(&self) -> bool {
        let Source::Address(address) = self else { return false };
        *self == Source::of(Ipv4Addr::LOCALHOST.into()) || *address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

/// What a connection has had. Times are virtual, in nanoseconds.
#[derive(Debug)]
pub struct Share {
    pub source: Source,
    /// The realm of its session; all without a session are one more.
    pub realm: Option<RealmIndex>,
    /// The connection's next slice starts no earlier.
    finish: u64,
    /// Its place while it waits.
    ticket: Option<u64>,
}

impl Share {
    pub fn new(source: Source) -> Share {
        Share { source, realm: None, finish: 0, ticket: None }
    }

    pub fn is_waiting(&self) -> bool {
        self.ticket.is_some()
    }
}

/// All connections that wait for a slice.
#[derive(Debug, Default)]
pub struct Rounds {
    /// The tag of the slice that was served last.
    virtual_time: u64,
    /// The lowest tag, then the lowest ticket, on top.
    waiting: BinaryHeap<Reverse<Place>>,
    /// Connections that wait, of each source in each realm; and how many such sources each realm has.
    n_waiting: HashMap<(Option<RealmIndex>, Source), u32>,
    n_sources: HashMap<Option<RealmIndex>, u32>,
    ticket_next: u64,
}

/// One connection's place among those that wait. It may be gone when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    start: u64,
    ticket: u64,
    pub key: SessionKey,
    realm: Option<RealmIndex>,
    source: Source,
    /// With how many of its realm the connection shares the slice, if each source had as many as its own.
    n_sharing: u32,
}

impl Rounds {
    /// Has a connection wait for its next slice, unless it waits already.
    pub fn add(&mut self, key: SessionKey, share: &mut Share) {
        if share.ticket.is_some() {
            return;
        }
        share.ticket = Some(self.ticket_next);
        let start = share.finish.max(self.virtual_time);
        let (realm, source) = (share.realm, share.source);
        self.waiting.push(Reverse(Place { start, ticket: self.ticket_next, key, realm, source, n_sharing: 1 }));
        let n_waiting = self.n_waiting.entry((realm, source)).or_default();
        *n_waiting += 1;
        if *n_waiting == 1 {
            *self.n_sources.entry(realm).or_default() += 1;
        }
        self.ticket_next += 1;
    }

    /// Takes out whose slice starts first.
    pub fn take_next(&mut self) -> Option<Place> {
        let Reverse(mut place) = self.waiting.pop()?;
        self.virtual_time = self.virtual_time.max(place.start);
        let n_waiting = take_one(&mut self.n_waiting, (place.realm, place.source));
        let n_sources = match n_waiting {
            1 => take_one(&mut self.n_sources, place.realm),
            _ => self.n_sources.get(&place.realm).copied().unwrap_or(1),
        };
        place.n_sharing = n_waiting.saturating_mul(n_sources);
        Some(place)
    }

    /// How many connections wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Place {
    /// Takes the connection out of the waiting ones. False when the place was another connection's, which has gone.
    pub fn claim(&self, share: &mut Share) -> bool {
        share.ticket.take_if(|ticket| *ticket == self.ticket).is_some()
    }

    /// Charges a slice to the connection that was served.
    pub fn charge(&self, share: &mut Share, cost: Duration) {
        let cost = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        share.finish = self.start.saturating_add(cost.saturating_mul(u64::from(self.n_sharing)));
    }
}

/// Counts one down, and gives how many there were, at least one.
fn take_one<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) -> u32 {
    let Some(count) = counts.get_mut(&key) else { return 1 };
    let n = *count;
    *count = n.saturating_sub(1);
    if n <= 1 {
        counts.remove(&key);
    }
    n.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Connections that always have more to read; how much each has had after so many slices, when its slices cost
    /// this.
    fn served(sources: &[Source], costs: &[Duration], n_slices: usize) -> Vec<Duration> {
        serve(sources.iter().map(|source| Share::new(*source)).collect(), costs, n_slices)
    }

    fn serve(mut shares: Vec<Share>, costs: &[Duration], n_slices: usize) -> Vec<Duration> {
        let mut rounds = Rounds::default();
        for (index, share) in shares.iter_mut().enumerate() {
            rounds.add(SessionKey(index as u32), share);
        }
        let mut had = vec![Duration::ZERO; shares.len()];
        for _ in 0..n_slices {
            let place = rounds.take_next().expect("all have more to read");
            let index = place.key.0 as usize;
            assert!(place.claim(&mut shares[index]));
            place.charge(&mut shares[index], costs[index]);
            had[index] += costs[index];
            rounds.add(place.key, &mut shares[index]);
        }
        had
    }

    fn own(n: u32) -> Source {
        Source::Own(SessionKey(n))
    }

    #[test]
    fn whoever_costs_much_has_no_more_than_the_others() {
        let had = served(&[own(0), own(1), own(2)], &[MS, MS, MS * 50], 1_050);
        for time in &had {
            assert!(time.as_millis().abs_diff(500) <= 50, "each has a third: {had:?}");
        }
    }

    #[test]
    fn many_connections_of_one_source_have_what_one_has() {
        let crowd = Source::of([10, 0, 0, 1].into());
        let mut sources = vec![own(0)];
        sources.resize(101, crowd);
        let had = served(&sources, &[MS; 101], 10_000);
        let all: Duration = had[1..].iter().sum();
        assert!(had[0].as_millis().abs_diff(5_000) < 300, "half of the time: {:?} beside {all:?}", had[0]);
    }

    /// A crowd from very many addresses in one realm has no more than the one session of another, and in the crowd's
    /// realm each address has as much as another.
    #[test]
    fn realms_have_equal_shares() {
        let of = |realm, source| Share { realm: Some(RealmIndex(realm)), ..Share::new(source) };
        let mut shares = vec![of(0, own(0))];
        shares.extend((0..50).map(|n| of(1, Source::of([10, 0, 0, n].into()))));
        shares.extend((0..50).map(|_| of(1, Source::of([10, 0, 0, 50].into()))));
        let had = serve(shares, &[MS; 101], 20_000);
        let of_crowd: Duration = had[1..].iter().sum();
        assert!(had[0].as_millis().abs_diff(10_000) < 600, "half of the time: {:?} beside {of_crowd:?}", had[0]);
        let of_last: Duration = had[51..].iter().sum();
        assert!(of_last.as_millis().abs_diff(had[1].as_millis()) < 60, "{of_last:?} and {:?}", had[1]);
    }

    #[test]
    fn who_was_idle_is_next_and_has_saved_nothing() {
        let mut rounds = Rounds::default();
        let (mut busy, mut idle) = (Share::new(own(0)), Share::new(own(1)));
        for _ in 0..100 {
            rounds.add(SessionKey(0), &mut busy);
            let place = rounds.take_next().unwrap();
            assert!(place.claim(&mut busy));
            place.charge(&mut busy, MS);
        }
        rounds.add(SessionKey(0), &mut busy);
        rounds.add(SessionKey(1), &mut idle);
        let place = rounds.take_next().unwrap();
        assert_eq!(place.key, SessionKey(1));
        assert!(place.claim(&mut idle));
        place.charge(&mut idle, MS * 3);
        rounds.add(SessionKey(1), &mut idle);
        assert_eq!(rounds.take_next().unwrap().key, SessionKey(0), "its idle time is not credited");
    }

    #[test]
    fn the_place_of_a_connection_that_has_gone_serves_nobody() {
        let mut rounds = Rounds::default();
        let mut gone = Share::new(own(0));
        rounds.add(SessionKey(0), &mut gone);
        let mut successor = Share::new(own(0));
        assert!(!rounds.take_next().unwrap().claim(&mut successor), "another connection with the same key");
        rounds.add(SessionKey(0), &mut successor);
        assert!(rounds.take_next().unwrap().claim(&mut successor));
        assert!(rounds.is_empty() && rounds.n_waiting.is_empty() && rounds.n_sources.is_empty());
    }

    #[test]
    fn addresses_of_one_customer_are_one_source() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert!(source("::1").is_this_host() && source("127.0.0.1").is_this_host());
        assert!(!source("127.0.0.2").is_this_host() && !source("2001:db8:1:2::1").is_this_host());
    }
}
