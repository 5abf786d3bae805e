//! What people see while a run goes on: lines on standard output, and a bar on a terminal.

use super::figures::Second;
use super::settings::Settings;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;

/// The bar, drawn only on a terminal, and the lines that scroll above it.
pub(super) struct Progress {
    bar: ProgressBar,
    seconds: u64,
}

impl Progress {
    pub(super) fn new(settings: &Settings) -> Progress {
        let seconds = settings.duration.ceil() as u64;
        let bar = ProgressBar::with_draw_target(Some(seconds), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} s  {msg}");
        bar.set_style(style.expect("the template is well-formed"));
        bar.set_message(format!("{} sessions are being opened", settings.sessions()));
        Progress { bar, seconds }
    }

    /// A line that the run itself has to say.
    pub(super) fn say(&self, settings: &Settings, line: String) {
        if !settings.silent {
            self.println(&line);
        }
    }

    /// A line on standard output, above the bar.
    pub(super) fn println(&self, line: &str) {
        self.bar.suspend(|| {
            // Whoever reads may have gone away; the run has not.
            let _ = writeln!(std::io::stdout(), "{line}");
        });
    }

    pub(super) fn start(&self) {
        self.bar.set_position(0);
    }

    /// Shows the newest second that all clients should have told of.
    pub(super) fn show(&self, seconds: &[Second]) {
        let Some(second) = seconds.len().checked_sub(2).and_then(|index| seconds.get(index)) else { return };
        let latencies = second.latencies.quantiles();
        let sessions: u64 = second.nodes.values().sum();
        self.bar.set_position((second.index as u64 + 1).min(self.seconds));
        self.bar.set_message(format!(
            "{} events/s, p50 {:.1} ms, p99 {:.1} ms, {sessions} sessions",
            second.received, latencies.p50, latencies.p99
        ));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
