//! What the master remembers over restarts, in one file: the nodes that were added and removed at run time, the
//! version of the membership, and the log of the cluster.

use crate::admin::cluster_status::LoggedEvent;
use crate::cluster::{Member, Membership};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::path::Path;

/// By id, as JSON.
const NODES: TableDefinition<&str, &str> = TableDefinition::new("nodes");
/// Nodes of the configuration that were removed at run time: their keys by id.
const REMOVED: TableDefinition<&str, &str> = TableDefinition::new("removed");
/// What every node was told last, as JSON.
const PUBLISHED: TableDefinition<(), &str> = TableDefinition::new("published");
/// By number, as JSON.
const EVENTS: TableDefinition<u64, &str> = TableDefinition::new("events");

/// The id and the key of a node that was removed.
pub(super) type Removed = (String, String);

/// The file. Its errors are sentences that name it.
pub(super) struct Store {
    database: Database,
    file: String,
}

impl Store {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Store, String> {
        let file = path.display().to_string();
        let database = Database::create(path).map_err(|error| format!("{file}: {error}"))?;
        let store = Store { database, file };
        store.write(|transaction| {
            transaction.open_table(NODES)?;
            transaction.open_table(REMOVED)?;
            transaction.open_table(PUBLISHED)?;
            transaction.open_table(EVENTS)?;
            Ok(())
        })?;
        Ok(store)
    }

    /// The nodes that were added, and those of the configuration that were removed (id and key).
    pub(super) fn nodes(&self) -> Result<(Vec<Member>, Vec<Removed>), String> {
        self.read(|transaction| {
            let mut members = Vec::new();
            for entry in transaction.open_table(NODES)?.iter()? {
                // What this program cannot read was written by another version; it is not a member for this one.
                members.extend(serde_json::from_str::<Member>(entry?.1.value()));
            }
            let mut removed = Vec::new();
            for entry in transaction.open_table(REMOVED)?.iter()? {
                let (id, key) = entry?;
                removed.push((id.value().to_owned(), key.value().to_owned()));
            }
            Ok((members, removed))
        })
    }

    /// The membership as every node was told it last.
    pub(super) fn membership(&self) -> Result<Membership, String> {
        self.read(|transaction| {
            let kept = transaction.open_table(PUBLISHED)?.get(())?;
            Ok(kept.and_then(|json| serde_json::from_str(json.value()).ok()).unwrap_or_default())
        })
    }

    pub(super) fn keep_membership(&self, membership: &Membership) -> Result<(), String> {
        let json = serde_json::to_string(membership).expect("a membership is plain strings and numbers");
        self.write(|transaction| {
            transaction.open_table(PUBLISHED)?.insert((), json.as_str())?;
            Ok(())
        })
    }

    /// A node was added at run time.
    pub(super) fn add_node(&self, member: &Member) -> Result<(), String> {
        let json = serde_json::to_string(member).expect("a member is plain strings");
        self.write(|transaction| {
            transaction.open_table(NODES)?.insert(member.id.as_str(), json.as_str())?;
            transaction.open_table(REMOVED)?.remove(member.id.as_str())?;
            Ok(())
        })
    }

    /// A node was removed at run time. Should the configuration name it with this key, it stays out.
    pub(super) fn remove_node(&self, id: &str, public_key: &str) -> Result<(), String> {
        self.write(|transaction| {
            transaction.open_table(NODES)?.remove(id)?;
            transaction.open_table(REMOVED)?.insert(id, public_key)?;
            Ok(())
        })
    }

    /// Keeps an event, and no more than `EVENTS_MAX` of them.
    pub(super) fn log(&self, event: &LoggedEvent) -> Result<(), String> {
        let json = serde_json::to_string(event).expect("an event is plain strings and numbers");
        self.write(|transaction| {
            let mut events = transaction.open_table(EVENTS)?;
            events.insert(event.number, json.as_str())?;
            while events.len()? > EVENTS_MAX {
                events.pop_first()?;
            }
            Ok(())
        })
    }

    /// The events after the one with this number, the oldest first, at most `limit`.
    pub(super) fn events_after(&self, number: u64, limit: usize) -> Result<Vec<LoggedEvent>, String> {
        self.read(|transaction| {
            let events = transaction.open_table(EVENTS)?;
            let mut found = Vec::new();
            for entry in events.range(number.saturating_add(1)..)?.take(limit) {
                found.extend(serde_json::from_str::<LoggedEvent>(entry?.1.value()));
            }
            Ok(found)
        })
    }

    /// The latest events, the oldest first.
    pub(super) fn latest_events(&self, limit: usize) -> Result<Vec<LoggedEvent>, String> {
        self.read(|transaction| {
            let events = transaction.open_table(EVENTS)?;
            let mut found = Vec::new();
            for entry in events.iter()?.rev().take(limit) {
                found.extend(serde_json::from_str::<LoggedEvent>(entry?.1.value()));
            }
            found.reverse();
            Ok(found)
        })
    }

    fn read<T>(&self, act: impl FnOnce(redb::ReadTransaction) -> Result<T, redb::Error>) -> Result<T, String> {
        let transaction = self.database.begin_read().map_err(redb::Error::from);
        transaction.and_then(act).map_err(|error| format!("{}: {error}", self.file))
    }

    fn write(&self, act: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>) -> Result<(), String> {
        let written = self.database.begin_write().map_err(redb::Error::from).and_then(|transaction| {
            act(&transaction)?;
            transaction.commit().map_err(redb::Error::from)
        });
        written.map_err(|error| format!("{}: {error}", self.file))
    }
}

/// Weeks of a cluster at rest, an hour of one in trouble.
const EVENTS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::cryptosign::PublicKey;

    fn event(number: u64) -> LoggedEvent {
        let (at, kind, text) = ("2026-01-01T00:00:00Z".to_owned(), "up".to_owned(), number.to_string());
        LoggedEvent { number, at, node: None, kind, text }
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.redb");
        let member = Member { id: "edge1".into(), address: "h:1".into(), public_key: PublicKey([1; 32]) };
        let membership = Membership { version: 7, members: vec![member.clone()] };
        {
            let store = Store::open(&path).unwrap();
            assert_eq!(store.membership().unwrap(), Membership::default());
            assert_eq!(store.nodes().unwrap(), (Vec::new(), Vec::new()));
            store.add_node(&member).unwrap();
            store.remove_node("edge2", "key2").unwrap();
            store.keep_membership(&membership).unwrap();
            (1..=5).for_each(|number| store.log(&event(number)).unwrap());
        }
        let store = Store::open(&path).unwrap();
        let removed = ("edge2".to_owned(), "key2".to_owned());
        assert_eq!(store.nodes().unwrap(), (vec![member], vec![removed]));
        assert_eq!(store.membership().unwrap(), membership);
        assert_eq!(store.latest_events(2).unwrap(), [event(4), event(5)]);
        assert_eq!(store.events_after(1, 2).unwrap(), [event(2), event(3)]);
    }

    #[test]
    fn who_is_added_again_is_removed_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("master.redb")).unwrap();
        let member = Member { id: "edge1".into(), address: "h:1".into(), public_key: PublicKey([1; 32]) };
        store.add_node(&member).unwrap();
        store.remove_node("edge1", "key").unwrap();
        assert!(store.nodes().unwrap().0.is_empty());
        store.add_node(&member).unwrap();
        assert_eq!(store.nodes().unwrap(), (vec![member], Vec::new()));
    }

    #[test]
    fn a_file_that_is_no_store_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.redb");
        std::fs::write(&path, "what is this").unwrap();
        let error = Store::open(&path).err().unwrap();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
    }
}
