//! The life of any of the daemons: a runtime of one thread, and what the service manager is told and tells by signals.

use super::node::raise_descriptors;
use super::service;
use crate::admin::log_rate::tell_suppressed;
use crate::config::Mistakes;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another start would find the same mistakes: one per line, each with its file.
    #[error("{0}")]
    Configuration(String),
    /// Another start may do better. One sentence for the operator.
    #[error("{0}")]
    Failed(String),
}

impl RunError {
    /// Says it on standard error.
    ///
    /// The exit code for a configuration with mistakes is `EX_CONFIG` of sysexits.h, on which the units do not restart.
    pub fn report(&self, program: &str) -> ExitCode {
        match self {
            RunError::Configuration(mistakes) => {
                eprintln!("{mistakes}");
                ExitCode::from(EX_CONFIG)
            }
            RunError::Failed(sentence) => {
                eprintln!("{program}: {sentence}");
                ExitCode::FAILURE
            }
        }
    }
}

impl From<Mistakes> for RunError {
    fn from(mistakes: Mistakes) -> RunError {
        RunError::Configuration(mistakes.to_string())
    }
}

impl From<std::io::Error> for RunError {
    fn from(error: std::io::Error) -> RunError {
        RunError::Failed(error.to_string())
    }
}

/// A program that serves until it is told to stop.
pub trait Daemon {
    /// One line for `systemctl status`.
    fn status_line(&self) -> String;
    /// SIGHUP: reads its configuration again.
    fn reload(&mut self);
}

/// The signals that a daemon listens to, from before it reads its configuration: none ends it by chance, and each is
/// answered when the daemon is as far.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Gives `serve` a runtime, and the signals, which are heard from now on.
pub fn run(serve: impl AsyncFnOnce(Signals) -> Result<(), RunError>) -> Result<(), RunError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| RunError::Failed(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async { serve(Signals::new()?).await })
}

/// The number of descriptors that the program may have, which is raised as far as it goes.
pub fn descriptors() -> u64 {
    let descriptors_max = raise_descriptors();
    // In the sentence too: the journal shows no fields.
    tracing::info!(descriptors_max, "up to {descriptors_max} descriptors may be open");
    descriptors_max
}

impl Signals {
    fn new() -> Result<Signals, RunError> {
        let listen =
            |kind| signal(kind).map_err(|error| RunError::Failed(format!("signals cannot be handled: {error}")));
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Whether `work` came to its end before the daemon was told to stop.
    pub async fn unless_stopped(&mut self, work: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = work => true,
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
        }
    }

    /// Says that the daemon is ready, and looks after it until it is told to stop.
    pub async fn serve(&mut self, daemon: &mut impl Daemon) {
        service::notify_ready(&daemon.status_line());
        tokio::task::spawn_local(service::run_watchdog());
        let mut status = tokio::time::interval(STATUS_PERIOD);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => {
                    service::notify_reloading();
                    daemon.reload();
                    service::notify_ready(&daemon.status_line());
                }
                _ = status.tick() => {
                    service::notify_status(&daemon.status_line());
                    tell_suppressed();
                }
            }
        }
    }

    /// Waits for the end of a drain, unless the daemon is told to stop once more.
    pub async fn stop(&mut self, drain: impl Future<Output = ()>) {
        service::notify_stopping("draining");
        tokio::select! {
            () = drain => {}
            _ = self.terminate.recv() => tracing::warn!("told twice to stop: not waiting for the drain"),
            _ = self.interrupt.recv() => tracing::warn!("told twice to stop: not waiting for the drain"),
        }
    }
}

const EX_CONFIG: u8 = 78;

/// How often `systemctl status` gets a new line.
const STATUS_PERIOD: Duration = Duration::from_secs(5);
