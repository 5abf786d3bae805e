//! A bound on log lines that others can cause, by the place in the source that writes them: what a client does a
//! million times fills no disk, and how often it was is said all the same.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, callsite};
use tracing_subscriber::layer::{Context, Filter};

/// Lets through what is within the bound.
#[derive(Debug)]
pub(super) struct RateLimit;

impl<S> Filter<S> for RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if !can_be_caused(metadata.target()) {
            return true;
        }
        let Ok(mut counts) = COUNTS.lock() else { return true };
        let count = counts.entry(metadata.callsite()).or_default();
        let is_within = count.admit(Instant::now(), lines_max(metadata.level()));
        if !is_within && count.example.is_empty() {
            event.record(&mut Example(&mut count.example));
        }
        is_within
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// Says how many lines were left out since it was last called, one line for each place that writes them.
pub fn tell_suppressed() {
    let suppressed: Vec<(u64, String)> = match COUNTS.lock() {
        Ok(mut counts) => counts.values_mut().filter_map(Count::take_suppressed).collect(),
        Err(_) => return,
    };
    for (lines, example) in suppressed {
        tracing::warn!(lines, "{lines} more lines were left out like this one: {example}");
    }
}

/// Whether clients or peers cause the lines of this module; those of the others an operator causes.
fn can_be_caused(target: &str) -> bool {
    let room = target.strip_prefix("crossbar_cluster::").unwrap_or(target).split("::").next().unwrap_or_default();
    !["admin", "config", "edge", "master", "probe", "ctl"].contains(&room)
}

/// Lines that one place may write in a `WINDOW`. Whoever looks at debug lines wants to see more of them.
fn lines_max(level: &Level) -> u64 {
    if *level > Level::INFO { 1_000 } else { 60 }
}

const WINDOW: Duration = Duration::from_secs(60);

/// The lines of one place in the source.
#[derive(Debug, Default)]
struct Count {
    window: Option<Instant>,
    lines: u64,
    suppressed: u64,
    /// The first of the suppressed lines.
    example: String,
}

impl Count {
    fn admit(&mut self, now: Instant, lines_max: u64) -> bool {
        if self.window.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            (self.window, self.lines) = (Some(now), 0);
        }
        self.lines += 1;
        let is_within = self.lines <= lines_max;
        self.suppressed += u64::from(!is_within);
        is_within
    }

    fn take_suppressed(&mut self) -> Option<(u64, String)> {
        let lines = std::mem::take(&mut self.suppressed);
        (lines > 0).then(|| (lines, std::mem::take(&mut self.example)))
    }
}

static COUNTS: LazyLock<Mutex<HashMap<callsite::Identifier, Count>>> = LazyLock::new(Mutex::default);

/// Writes a line as text: its message, and then its fields.
struct Example<'e>(&'e mut String);

impl Visit for Example<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_writes_so_many_lines_in_a_window_and_the_rest_is_counted() {
        let (mut count, start) = (Count::default(), Instant::now());
        let admitted = (0..100).filter(|_| count.admit(start, 60)).count();
        assert_eq!((admitted, count.take_suppressed()), (60, Some((40, String::new()))));
        assert_eq!(count.take_suppressed(), None);
        assert!(!count.admit(start + WINDOW / 2, 60));
        assert!(count.admit(start + WINDOW, 60));
        assert_eq!(count.take_suppressed().map(|(lines, _)| lines), Some(1));
    }

    #[test]
    fn lines_that_operators_cause_are_not_bounded() {
        assert!(can_be_caused("crossbar_cluster::router::listen") && can_be_caused("rustls::conn"));
        assert!(!can_be_caused("crossbar_cluster::config::live") && !can_be_caused("crossbar_cluster::edge::reload"));
    }
}
