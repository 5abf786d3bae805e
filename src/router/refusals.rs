//! Losses and refusals where they happen: each is counted by its reason, and told to the operator with all that is
//! known of who it was.

use super::rounds::Source;
use super::shard::{RealmIndex, RealmSlot, Shard};
use crate::admin::refusals::Cause;
use crate::admin::report::RefusalRow;
use crate::drop::{DropReason, Refused};
use crate::transport::Peer;
use crate::wamp::{Identity, SessionKey};
use std::time::Duration;

impl Shard {
    /// A connection, or something of its session, was refused or lost.
    pub(super) fn note(&mut self, key: SessionKey, refused: Refused) {
        self.note_losses(key, refused.reason, 1, || refused);
    }

    /// The same where there is nothing to say but the reason.
    pub(super) fn note_reason(&mut self, key: SessionKey, reason: DropReason) {
        self.note_losses(key, reason, 1, || Refused::new(reason, reason.help()));
    }

    /// So many messages to a session were lost for the same reason.
    pub(super) fn note_events(&mut self, key: SessionKey, reason: DropReason, n: usize) {
        self.note_losses(key, reason, n, || {
            let sentence = format!("{n} {}: {}", if n == 1 { "event" } else { "events" }, reason.help());
            Refused::new(reason, sentence)
        });
    }

    fn note_losses(&mut self, key: SessionKey, reason: DropReason, n: usize, refused: impl FnOnce() -> Refused) {
        if n == 0 {
            return;
        }
        self.stats.count_drops(reason, n);
        let now = self.now();
        let Shard { refusals, connections, realms, node, .. } = self;
        let connection = connections.get(key.0 as usize);
        let slot = connection.and_then(|connection| realms.get(connection.realm?.0));
        let identity = slot.and_then(|slot| Some(&slot.realm.members().member(key)?.identity));
        let peer = connection.map(|connection| connection.peer.name.as_str()).filter(|name| !name.is_empty());
        let describe = || {
            let row = row_of(refused(), &node.id, now.wall);
            RefusalRow { times: n as u64, ..with_identity(row, slot, identity, peer) }
        };
        if reason.is_ordinary() {
            if tracing::enabled!(tracing::Level::DEBUG) {
                let RefusalRow { session, realm, peer, text, .. } = describe();
                tracing::debug!(reason = reason.name(), session, realm, peer, "ended: {text}");
            }
            return;
        }
        let session = identity.map(|identity| Cause::Session(identity.session));
        let address = connection.and_then(|connection| match connection.share.source {
            Source::Address(address) => Some(Cause::Address(address)),
            Source::Own(_) => None,
        });
        let causes: Vec<Cause> = session.into_iter().chain(address).collect();
        refusals.note(now.uptime, &causes, describe);
    }

    /// Something was lost of which only the realm is known.
    pub(super) fn note_in(&mut self, realm: Option<RealmIndex>, reason: DropReason) {
        self.stats.count_drop(reason);
        if reason.is_ordinary() {
            return;
        }
        let now = self.now();
        let slot = realm.and_then(|index| self.realms.get(index.0));
        let row = row_of(Refused::new(reason, reason.help()), &self.node.id, now.wall);
        let row = with_identity(row, slot, None, None);
        self.refusals.note(now.uptime, &[], || row);
    }

    /// Somebody was refused before there was a connection to speak of.
    pub(super) fn note_peer(&mut self, peer: &Peer, reason: DropReason, sentence: &str) {
        self.stats.count_drop(reason);
        if reason.is_ordinary() {
            return;
        }
        let now = self.now();
        let address = peer.address().map(|address| match Source::of(address) {
            Source::Address(address) => Cause::Address(address),
            Source::Own(_) => Cause::Others,
        });
        let describe = || {
            let row = row_of(Refused::new(reason, sentence), &self.node.id, now.wall);
            RefusalRow { peer: Some(peer.to_string()), ..row }
        };
        self.refusals.note(now.uptime, address.as_slice(), describe);
    }
}

fn row_of(refused: Refused, node: &str, wall: Duration) -> RefusalRow {
    let Refused { reason, sentence, action, uri, realm, authid, authmethod } = refused;
    let text = match authmethod {
        Some(method) if !sentence.contains(method) => format!("{sentence} ({method})"),
        _ => sentence,
    };
    RefusalRow {
        at_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        node: node.to_owned(),
        reason: reason.name().to_owned(),
        authid,
        realm,
        action: action.map(str::to_owned),
        uri,
        text,
        times: 1,
        ..RefusalRow::default()
    }
}

/// The same with who it was: a session is more than what its HELLO claimed.
fn with_identity(
    row: RefusalRow,
    slot: Option<&RealmSlot>,
    identity: Option<&Identity>,
    peer: Option<&str>,
) -> RefusalRow {
    RefusalRow {
        session: identity.map(|identity| identity.session),
        authid: identity.map(|identity| identity.authid.clone()).or(row.authid),
        authrole: identity.map(|identity| identity.authrole.clone()),
        realm: slot.map(|slot| slot.name().to_owned()).or(row.realm),
        peer: peer.map(str::to_owned),
        ..row
    }
}
