//! What happens when more is kept for clients than the node may keep: histories are trimmed, and then the sessions are
//! ended whose end frees most.

use super::connection::Ending;
use super::shard::{RealmSlot, Shard};
use crate::drop::DropReason;
use crate::kept::{Connected, Kind};
use crate::wamp::SessionKey;
use std::time::Duration;

impl Shard {
    /// Brings what is kept back within `kept_bytes_max`, as far as that depends on histories and sessions.
    pub(super) fn relieve_memory(&mut self) {
        let now = self.now();
        if self.account.excess() == 0 || now.uptime < self.relieved + PAUSE {
            return;
        }
        self.relieved = now.uptime;
        for slot in self.realms.iter_mut() {
            slot.realm.trim_history(self.account.excess());
        }
        for (bytes, key) in self.sessions_by_freed_bytes() {
            if self.account.excess() == 0 {
                break;
            }
            let kept_bytes_max = self.account.bytes_max();
            let (peer, session) =
                (self.connections.get(key.0 as usize).map(|c| c.peer.name.clone()), self.session_at(key));
            tracing::warn!(peer, session, bytes, kept_bytes_max, "a session is ended: the node keeps too much");
            self.kill(key, DropReason::MemoryFull);
        }
    }

    /// The bytes that are kept, by realm and kind, without zeros; those for connections have the empty name as realm.
    pub fn kept(&self) -> Vec<(String, &'static str, u64)> {
        let of_realm = |slot: &RealmSlot| {
            let kept = |kind: Kind| (kind, slot.realm.ledger().tally().of(kind) as u64);
            let kept: Vec<_> = Kind::ALL.iter().copied().map(kept).filter(|(_, bytes)| *bytes > 0).collect();
            let name = slot.name().to_owned();
            kept.into_iter().map(move |(kind, bytes)| (name.clone(), kind.name(), bytes))
        };
        let connected = [
            (Kind::Connections, Connected::Connection),
            (Kind::Inbound, Connected::Inbound),
            (Kind::Outboxes, Connected::Outbox),
        ];
        let connected = connected.map(|(kind, what)| (String::new(), kind.name(), self.account.connected(what) as u64));
        self.realms.iter().flat_map(of_realm).chain(connected).collect()
    }

    /// The connections of clients whose end frees memory, with about how much, the largest first.
    fn sessions_by_freed_bytes(&self) -> Vec<(usize, SessionKey)> {
        let clients = self.connections.iter().filter(|(_, c)| !c.is_link() && c.ending != Ending::Dead);
        let freed = clients.map(|(key, connection)| {
            let key = SessionKey(key as u32);
            let slot = connection.realm.and_then(|index| self.realms.get(index.0));
            let kept = slot.map_or(0, |slot| slot.realm.ledger().of_session(key));
            let of_connection = connection.own_bytes + connection.inbound_bytes;
            (connection.outbox.freed_bytes() + of_connection + kept, key)
        });
        let mut freed: Vec<(usize, SessionKey)> = freed.filter(|(bytes, _)| *bytes >= FREED_BYTES_MIN).collect();
        freed.sort_unstable_by(|a, b| b.cmp(a));
        freed
    }
}

/// A session whose end frees less than this, about what an idle session takes, is not ended.
const FREED_BYTES_MIN: usize = 4 << 10;
/// The time between two looks through all connections, in which connections are served.
const PAUSE: Duration = Duration::from_millis(10);
