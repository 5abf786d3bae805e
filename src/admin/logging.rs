//! Where the programs' log lines go: to the journal where systemd listens, else to standard error for people or
//! machines; and what is logged, which an operator can change while a program runs.

use crate::config::resolved::{Log, LogFormat};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Starts logging, once per process. `RUST_LOG` goes before the configured level.
pub fn start(log: &Log) {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) if std::env::var_os("RUST_LOG").is_some_and(|value| !value.is_empty()) => filter,
        _ => EnvFilter::new(&log.level),
    };
    let to_journal = match log.format {
        LogFormat::Journal => true,
        LogFormat::Auto => stderr_is_journal(),
        LogFormat::Human | LogFormat::Json => false,
    };
    let journal = to_journal.then(tracing_journald::layer);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let (layer, complaint): (Box<dyn Layer<Registry> + Send + Sync>, Option<io::Error>) = match (journal, log.format) {
        (Some(Ok(journal)), _) => (journal.boxed(), None),
        (None, LogFormat::Json) => (lines.json().boxed(), None),
        (None, _) => (lines.boxed(), None),
        (Some(Err(error)), _) => (lines.boxed(), Some(error)),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let _ = FILTER.set(handle);
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    if let Some(error) = complaint {
        tracing::warn!(%error, "the journal cannot be reached, logging to standard error");
    }
}

/// Changes what is logged until the program ends, in the words of `[log] level`. Returns what is logged now; the error
/// is one sentence.
pub fn change_level(level: Option<&str>) -> Result<String, String> {
    let handle = FILTER.get().ok_or("this program does not log")?;
    if let Some(level) = level {
        let filter = EnvFilter::try_new(level).map_err(|error| format!("{level:?} is no log level: {error}"))?;
        handle.reload(filter).map_err(|error| error.to_string())?;
        tracing::info!(level, "the log level was changed by an operator");
    }
    handle.with_current(EnvFilter::to_string).map_err(|error| error.to_string())
}

/// The filter in force.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Whether standard error is the journal's own stream: systemd names its device and inode in `JOURNAL_STREAM`. The
/// variable alone proves nothing, because programs inherit it and redirect.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let metadata = io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
    metadata.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}
