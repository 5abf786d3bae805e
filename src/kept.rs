//! What memory is kept for clients, by kind, summed over a node. Everything that is kept for longer than it takes to
//! handle one message is counted where it is kept, with its overhead as allocated; nothing is ever counted anew by
//! looking at what there is.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

use std::cell::Cell;

macro_rules! kinds {
    ($($variant:ident = $name:literal, $help:literal;)*) => {
        /// What memory is kept for. The name is the `kind` label of the metrics and the word in `status`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $help] $variant,)*
        }

        impl Kind {
            /// Every kind, in the order in which they are documented and exported.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The name used in metrics and in `status`.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            /// One sentence for the operator.
            pub const fn help(self) -> &'static str {
                match self { $(Kind::$variant => $help,)* }
            }
        }
    };
}

kinds! {
    Sessions = "sessions", "Who the sessions are: what they said of themselves and what authentication added.";
    Subscriptions = "subscriptions", "Subscriptions and the tables in which publications find them.";
    Registrations = "registrations", "Registrations and the tables in which calls find them.";
    Testaments = "testaments", "What sessions want published when they are gone.";
    Retained = "retained", "Retained events.";
    History = "history", "The events that histories keep.";
    Calls = "calls", "Calls that are queued or wait for their answer.";
    Questions = "questions", "Messages that wait for a dynamic authorizer, and the answers of such that are kept.";
    Requests = "requests", "Subscriptions, registrations and calls of the meta API that wait for peers.";
    Elsewhere = "elsewhere", "What peers have told of their clients, and what they were told of those of this node.";
    Connections = "connections", "The connections themselves, and what compression keeps for each between messages.";
    Inbound = "inbound", "Messages that have come in part, or that wait to be routed.";
    Outboxes = "outboxes", "What waits to be written; a frame for many receivers counts once.";
}

const N_KINDS: usize = Kind::ALL.len();

/// Bytes by kind, with their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    of: [usize; N_KINDS],
    total: usize,
}

impl Tally {
    pub fn of(&self, kind: Kind) -> usize {
        self.of.get(kind as usize).copied().unwrap_or(0)
    }

    pub fn total(&self) -> usize {
        self.total
    }

    /// Sets what is kept of one kind.
    pub fn set(&mut self, kind: Kind, bytes: usize) {
        if let Some(of_kind) = self.of.get_mut(kind as usize) {
            self.total = self.total.saturating_sub(*of_kind).saturating_add(bytes);
            *of_kind = bytes;
        }
    }
}

/// The account of a node, which all of its realms and connections share.
#[derive(Debug, Default)]
pub struct Account {
    total: Cell<usize>,
    /// What is kept for connections rather than by a realm.
    connections: [Cell<usize>; 3],
    /// `kept_bytes_max`; 0 before it is set, for no bound.
    bytes_max: Cell<usize>,
}

/// What is kept for a connection rather than by its realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connected {
    Connection,
    Inbound,
    Outbox,
}

impl Account {
    /// All that the node keeps, in bytes.
    pub fn total(&self) -> usize {
        self.total.get()
    }

    /// What is kept for connections.
    pub fn connected(&self, what: Connected) -> usize {
        self.cell(what).get()
    }

    /// Sets the bound for all that the node keeps.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max.get()
    }

    /// By how much the node keeps more than it may.
    pub fn excess(&self) -> usize {
        if self.bytes_max() == 0 { 0 } else { self.total().saturating_sub(self.bytes_max()) }
    }

    /// How much more realms may keep. What waits to be written counts elsewhere: who does not read is not to have the
    /// calls of others refused.
    pub fn room(&self) -> usize {
        if self.bytes_max() == 0 {
            return usize::MAX;
        }
        let connected = self.connections.iter().map(Cell::get).sum();
        let by_realms = self.total().saturating_sub(connected);
        (self.bytes_max() / 100).saturating_mul(crate::limits::KEPT_BY_REALMS_PERCENT).saturating_sub(by_realms)
    }

    /// What a realm keeps has changed.
    pub fn change(&self, before: usize, after: usize) {
        self.total.set(self.total.get().saturating_sub(before).saturating_add(after));
    }

    /// What is kept for connections has changed.
    pub fn change_connected(&self, what: Connected, before: usize, after: usize) {
        self.change(before, after);
        let cell = self.cell(what);
        cell.set(cell.get().saturating_sub(before).saturating_add(after));
    }

    fn cell(&self, what: Connected) -> &Cell<usize> {
        let [connection, inbound, outbox] = &self.connections;
        match what {
            Connected::Connection => connection,
            Connected::Inbound => inbound,
            Connected::Outbox => outbox,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_the_sum_of_its_kinds() {
        let mut tally = Tally::default();
        for (index, kind) in Kind::ALL.iter().enumerate() {
            tally.set(*kind, 100);
            tally.set(*kind, index);
        }
        assert_eq!(tally.total(), (0..N_KINDS).sum::<usize>());
        assert_eq!(tally.of(Kind::Outboxes), N_KINDS - 1);
    }

    #[test]
    fn a_node_leaves_room_for_what_waits_to_be_written() {
        let account = Account::default();
        account.change(0, 50);
        assert_eq!((account.room(), account.excess()), (usize::MAX, 0), "no bound is set");
        account.set_bytes_max(100);
        assert_eq!((account.room(), account.excess()), (25, 0));
        account.change_connected(Connected::Outbox, 0, 60);
        assert_eq!((account.room(), account.excess(), account.connected(Connected::Outbox)), (25, 10, 60));
        account.change(50, 80);
        assert_eq!((account.room(), account.excess()), (0, 40));
        account.change(80, 50);
        account.change_connected(Connected::Outbox, 60, 0);
        assert_eq!(account.total(), 50);
    }
}
