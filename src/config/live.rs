//! What a new configuration changes while a program runs, and what has to wait for a restart. The word before each key
//! in `raw` (and `master`) says which; a file is resolved against the running configuration into the one that holds
//! from then on, so whatever waits has no effect at all before the restart.

use super::mistake::{Findings, Mistake, Mistakes};
use super::resolve::resolve;
use super::resolved::{Config, Listener};
use super::table::{Key, Shape, Table, join};
use super::{Host, raw};
use crate::limits::Limit;

/// What SIGHUP does with a key whose value has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnReload {
    /// The new value, or the new table as a whole, holds at once.
    Live,
    /// The old value, or the old table as a whole, holds until a restart.
    Restart,
    /// As `Restart`, and everything in its table waits with it: it says what the other keys mean.
    Nature,
    /// Each key of the table says it for itself. Whether there is such a table changes at a restart only.
    Parts,
}

/// The names of everything that differs between the running configuration and a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Holds from now on.
    pub applied: Vec<String>,
    /// Changes nothing until the program is started again.
    pub needs_restart: Vec<String>,
}

/// Where a table stands, for the names of changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// `listen.tls`
    path: String,
    /// `[[listen]] 127.0.0.1:8081: tls` where it is part of one of several tables.
    element: Option<String>,
}

impl Changes {
    /// Says what a reload has come to, in one line.
    pub fn log(&self) {
        let applied = match self.applied.is_empty() {
            true => "nothing".to_owned(),
            false => self.applied.join(", "),
        };
        match self.needs_restart.as_slice() {
            [] => tracing::info!("configuration reloaded, applied: {applied}"),
            waiting => {
                let waiting = waiting.join(", ");
                tracing::warn!("configuration reloaded, applied: {applied}; needs a restart: {waiting}");
            }
        }
    }

    /// The new value holds.
    pub(super) fn apply<T: Clone>(&mut self, name: String, new: &T) -> T {
        self.applied.push(name);
        new.clone()
    }

    /// The running value holds until a restart.
    pub(super) fn postpone<T: Clone>(&mut self, name: String, running: &T) -> T {
        self.needs_restart.push(name);
        running.clone()
    }

    /// Mistakes of what is neither the running configuration nor the file, so they have no place in it.
    pub(super) fn explain(&self, mistakes: Mistakes) -> Mistakes {
        let waiting = self.needs_restart.join(", ");
        let explain = |mistake: Mistake| Mistake {
            sentence: format!("{}, while this waits for a restart: {waiting}", mistake.sentence),
            place: None,
            ..mistake
        };
        Mistakes(mistakes.0.into_iter().map(explain).collect())
    }

    /// Notes what is named as before but has changed in the files that it names.
    pub(super) fn note_files(&mut self, has_changed: bool, name: &str) {
        let is_noted = |known: &String| known.starts_with(name);
        if has_changed && !self.applied.iter().any(is_noted) {
            self.applied.push(format!("{name} (the files have changed)"));
        }
    }
}

impl Place {
    /// The place of a table in this one.
    pub(super) fn table(&self, key: &Key) -> Place {
        let element = self.element.as_ref().map(|element| format!("{element} {}", key.name));
        Place { path: join(&self.path, key.name), element }
    }

    /// The place of one of several tables.
    pub(super) fn element(&self, key: &Key, name: &str) -> Place {
        let path = join(&self.path, key.name);
        let element = format!("[[{path}]] {name}:");
        Place { path, element: Some(element) }
    }

    /// How a key in this table is called: `[node] id`, `[[mesh.peer]]`, `[[listen]] 127.0.0.1:8081: path`.
    pub(super) fn name(&self, key: &Key) -> String {
        let path = || join(&self.path, key.name);
        match (&self.element, &key.shape) {
            (Some(element), _) => format!("{element} {}", key.name),
            (None, Shape::Tables(_)) => format!("[[{}]]", path()),
            (None, Shape::Value { .. }) => format!("[{}] {}", self.path, key.name),
            (None, _) => format!("[{}]", path()),
        }
    }

    /// How a limit in a table of limits is called. Connections agree on the size of messages when they begin.
    pub(super) fn limit(&self, key: &Key, limit: &Limit) -> String {
        let note = if limit.name == "message_bytes_max" { " (for new connections)" } else { "" };
        format!("{} {}{note}", self.name(key), limit.name)
    }
}

impl Config {
    /// The configuration that holds after a reload that has found `new`, and what the difference is.
    ///
    /// # Errors
    /// What is applied and what stays contradict each other; then nothing is to be applied.
    pub fn reload(&self, new: &Config, host: &Host) -> Result<(Config, Changes), Mistakes> {
        let mut changes = Changes::default();
        let (running, read) = (&self.effective.0, &new.effective.0);
        let mut file = raw::File::reload_table(running, read, &Place::default(), &mut changes);
        let mut findings = Findings::new(new.path.display().to_string(), "");
        let resolved = resolve(&mut file, &self.path, host, &mut findings);
        let mut config = findings.finish(resolved).map_err(|mistakes| changes.explain(mistakes))?;
        config.node.decoy_key = match &file.node.decoy_key {
            // Another one would tell those who have asked before who exists.
            None if running.node.decoy_key.is_none() => self.node.decoy_key.clone(),
            _ => config.node.decoy_key.or_else(|| new.node.decoy_key.clone()),
        };
        changes.note_files(self.node.decoy_key != config.node.decoy_key, "[node] decoy_key");
        for listener in &config.listeners {
            let Some(before) = self.listeners.iter().find(|before| before.id() == listener.id()) else { continue };
            changes.note_listener_files(before, listener);
        }
        Ok((config, changes))
    }
}

impl Changes {
    fn note_listener_files(&mut self, before: &Listener, after: &Listener) {
        let table = format!("[[listen]] {}:", after.address);
        self.note_files(before.tls != after.tls, &format!("{table} tls"));
        self.note_files(before.auth != after.auth, &format!("{table} auth"));
    }
}
