//! Rates of roles: a session that has sent more than its role may is not read until it has paid, see `session::rate`.
//! What it sends waits with it and in its socket, so nothing is lost.

use super::shard::{RealmIndex, Shard};
use crate::session::rate::Meter;
use crate::time::Now;
use crate::wamp::SessionKey;
use std::cmp::Reverse;
use std::time::Duration;

impl Shard {
    /// A message of so many bytes of this session is about to be routed.
    pub(super) fn charge_rate(&mut self, now: Now, key: SessionKey, bytes: usize) {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return };
        let Some(meter) = &mut connection.meter else { return };
        if let Some(resumes) = meter.charge(now.uptime, bytes) {
            connection.throttled_until = Some(resumes);
            self.throttled.push(Reverse((resumes, key)));
            self.stats.throttles.add(1);
            self.wake_flusher();
        }
    }

    /// Lets go of those who have paid.
    pub(super) fn unthrottle(&mut self, uptime: Duration) {
        while let Some(&Reverse((until, key))) = self.throttled.peek()
            && until <= uptime
        {
            self.throttled.pop();
            // Another connection may be at its place.
            let connection = self.connection(key).filter(|connection| connection.throttled_until == Some(until));
            if let Some(connection) = connection {
                connection.throttled_until = None;
                // It may have answered a ping in the meantime.
                (connection.heard, connection.pinged) = (uptime, None);
                connection.wake();
            }
        }
    }

    /// When the next one has paid.
    pub(super) fn next_unthrottled(&self) -> Option<Duration> {
        self.throttled.peek().map(|Reverse((until, _))| *until)
    }

    /// Measures what a session in this realm sends, if its role has a rate.
    pub(super) fn measure(&mut self, key: SessionKey, realm: RealmIndex, authrole: &str) {
        let slot = self.realms.get(realm.0);
        let rates = slot.and_then(|slot| slot.settings.rates.get(authrole)).copied().unwrap_or_default();
        let Some(connection) = self.connection(key) else { return };
        if connection.meter.as_ref().map(|meter| meter.rates()).unwrap_or_default() != rates {
            connection.meter = Meter::new(rates).map(Box::new);
            connection.throttled_until = None;
            connection.wake();
        }
    }

    /// Measures all sessions of a realm by the rates that its settings have now.
    pub fn measure_all(&mut self, realm: RealmIndex) {
        let Some(slot) = self.realms.get(realm.0) else { return };
        let roles = slot.realm.members().iter().map(|(key, member)| (key, member.identity.authrole.clone()));
        for (key, authrole) in roles.collect::<Vec<_>>() {
            self.measure(key, realm, &authrole);
        }
    }
}
