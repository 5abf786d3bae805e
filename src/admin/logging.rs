//! Where the programs' log lines go: to the journal where systemd listens, else to standard error for people or
//! machines; and what is logged, which an operator can change while a program runs.

use super::log_rate::RateLimit;
use crate::config::check_log_filter;
use crate::config::resolved::{Log, LogFormat};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Starts logging, once per process. `RUST_LOG` goes before the configured level.
pub fn start(log: &Log) {
    let (level, refused) = level_of(std::env::var_os("RUST_LOG"), &log.level);
    let filter = EnvFilter::new(level);
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
    tracing_subscriber::registry().with(layer.with_filter(filter.and(RateLimit))).init();
    if let Some(error) = complaint {
        tracing::warn!(%error, "the journal cannot be reached, logging to standard error");
    }
    if let Some(sentence) = refused {
        tracing::warn!("RUST_LOG is not used: {sentence}");
    }
}

/// What is logged: as the environment says, else as configured; and why what the environment says is not used.
fn level_of(environment: Option<OsString>, configured: &str) -> (String, Option<String>) {
    let Some(asked) = environment.filter(|value| !value.is_empty()) else { return (configured.to_owned(), None) };
    let asked = asked.to_string_lossy().into_owned();
    match check_log_filter(&asked) {
        Ok(()) => (asked, None),
        Err(sentence) => (configured.to_owned(), Some(sentence)),
    }
}

/// Changes what is logged until the program ends, in the words of `[log] level`. Returns what is logged now; the error
/// is one sentence.
pub fn change_level(level: Option<&str>) -> Result<String, String> {
    let handle = FILTER.get().ok_or("this program does not log")?;
    if let Some(level) = level {
        check_log_filter(level)?;
        handle.reload(EnvFilter::new(level)).map_err(|error| error.to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_configuration_unless_it_makes_no_sense() {
        let level_of = |asked: &str| level_of(Some(asked.into()), "warn");
        assert_eq!(level_of("debug"), ("debug".to_owned(), None));
        assert_eq!(level_of("INFO,hyper=off"), ("INFO,hyper=off".to_owned(), None));
        assert_eq!(level_of(""), ("warn".to_owned(), None));
        let (level, refused) = level_of("degub");
        assert_eq!(level, "warn");
        let expected = "\"degub\" is no log level, it must be 'off', 'error', 'warn', 'info', \
                        'debug' or 'trace', or a list of module=level";
        assert_eq!(refused.unwrap(), expected);
    }
}
