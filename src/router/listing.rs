//! What is here, row by row, for operators: sessions, registrations, subscriptions, counters. Made when somebody asks.

use super::shard::{RealmSlot, Shard};
use crate::admin::command::Rows;
use crate::admin::report::{Counters, PatternRow, SessionRow};
use crate::metrics::{Process, Stats, count_open_files};
use crate::realm::MemberKind;
use crate::wamp::message::code;
use crate::wamp::{Id, SessionKey};

impl Shard {
    /// The sessions of clients.
    pub fn session_rows(&self, rows: &Rows) -> Vec<SessionRow> {
        let now = self.now();
        let row = |(key, slot): (SessionKey, &RealmSlot)| {
            let connection = self.connections.get(key.0 as usize)?;
            let identity = &slot.realm.members().member(key)?.identity;
            Some(SessionRow {
                node: self.node.id.clone(),
                realm: slot.name().to_owned(),
                session: identity.session,
                authid: identity.authid.clone(),
                authrole: identity.authrole.clone(),
                peer: connection.peer.name.clone(),
                protocol: connection.peer.transport.str("protocol").unwrap_or_default().to_owned(),
                seconds: now.uptime.saturating_sub(connection.opened).as_secs_f64(),
                subscriptions: slot.realm.broker().held_by(key).count(),
                registrations: slot.realm.dealer().held_by(key).count(),
                queued_bytes: connection.outbox.queued_bytes(),
            })
        };
        let fitting = self.client_sessions().filter(|(_, slot)| fits(rows, slot));
        page(rows, fitting).filter_map(row).collect()
    }

    /// The sessions of clients and the realms that they have joined.
    pub fn client_sessions(&self) -> impl Iterator<Item = (SessionKey, &RealmSlot)> {
        self.connections.iter().filter_map(|(key, connection)| {
            let slot = self.realms.get(connection.realm?.0).filter(|slot| slot.is_clustered)?;
            let key = SessionKey(key as u32);
            let member = slot.realm.members().member(key)?;
            (member.kind == MemberKind::Client).then_some((key, slot))
        })
    }

    /// The connection of the session with this id.
    pub fn client_session(&self, session: Id) -> Option<SessionKey> {
        let is_it = |(key, slot): &(SessionKey, &RealmSlot)| {
            slot.realm.members().member(*key).is_some_and(|member| member.identity.session == session)
        };
        self.client_sessions().find(is_it).map(|(key, _)| key)
    }

    /// What clients of this node answer.
    pub fn registration_rows(&self, rows: &Rows) -> Vec<PatternRow> {
        let slots = self.client_realms().filter(|slot| fits(rows, slot));
        let all = slots.flat_map(|slot| slot.realm.dealer().registrations().map(move |r| (slot, r)));
        let all = all.map(|(slot, registration)| PatternRow {
            node: self.node.id.clone(),
            realm: slot.name().to_owned(),
            id: registration.id,
            uri: registration.uri.clone(),
            r#match: registration.policy.name().to_owned(),
            invoke: Some(registration.invoke.name().to_owned()),
            members: registration.client_callees().count(),
        });
        page(rows, all.filter(|row| row.members > 0)).collect()
    }

    /// What clients of this node listen to.
    pub fn subscription_rows(&self, rows: &Rows) -> Vec<PatternRow> {
        let slots = self.client_realms().filter(|slot| fits(rows, slot));
        let all = slots.flat_map(|slot| slot.realm.broker().subscriptions().map(move |s| (slot, s)));
        let all = all.map(|(slot, subscription)| PatternRow {
            node: self.node.id.clone(),
            realm: slot.name().to_owned(),
            id: subscription.id,
            uri: subscription.uri.clone(),
            r#match: subscription.policy.name().to_owned(),
            invoke: None,
            members: subscription.clients().len(),
        });
        page(rows, all.filter(|row| row.members > 0)).collect()
    }

    /// The descriptors that are open. Where there are many, only the connections among them are counted again.
    fn open_files(&self) -> u64 {
        let connections = self.connections.len();
        if connections <= COUNTED_CONNECTIONS_MAX {
            self.other_files.set(count_open_files().saturating_sub(connections as u64));
        }
        self.other_files.get() + connections as u64
    }

    /// What has been counted, and how full things are.
    pub fn counters(&self) -> Counters {
        let stats: &Stats = &self.stats;
        let process = Process::read_knowing(self.open_files());
        let outboxes = || self.connections.iter().map(|(_, connection)| connection.outbox.queued_bytes() as u64);
        let sum = |of: fn(&Stats, code: crate::wamp::message::Code) -> u64| {
            crate::metrics::stats::MESSAGE_TYPES.iter().map(|(code, _)| of(stats, *code)).sum()
        };
        Counters {
            messages_in: sum(Stats::messages_in),
            messages_out: sum(Stats::messages_out),
            events_out: stats.messages_out(code::EVENT),
            bytes_in: stats.bytes_in.value(),
            bytes_out: stats.bytes_out.value(),
            drops: stats.drops_by_name(),
            publisher_stalls: stats.publisher_stalls.value(),
            outbox_bytes: outboxes().sum(),
            outbox_bytes_fullest: outboxes().max().unwrap_or(0),
            cpu_seconds: process.cpu_time.as_secs_f64(),
            resident_bytes: process.resident_bytes,
            open_files: process.open_files,
            open_files_max: process.open_files_max,
        }
    }
}

fn fits(rows: &Rows, slot: &RealmSlot) -> bool {
    rows.realm.as_deref().is_none_or(|realm| realm == slot.name())
}

fn page<T>(rows: &Rows, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    all.skip(rows.skip.unwrap_or(0)).take(rows.limit.unwrap_or(ROWS_MAX).min(ROWS_MAX))
}

/// Rows in one answer, which then weighs less than half of what a message may by default.
const ROWS_MAX: usize = 1_000;

/// To count so many descriptors takes less than a millisecond.
const COUNTED_CONNECTIONS_MAX: usize = 2_000;
