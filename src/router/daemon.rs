//! The life of any of the daemons: a runtime of one thread, and what the service manager is told and tells by signals.

use super::node::raise_descriptors;
use super::service;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why a daemon did not start. One sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// A program that serves until it is told to stop.
pub trait Daemon {
    /// One line for `systemctl status`.
    fn status_line(&self) -> String;
    /// SIGHUP: reads its configuration again.
    fn reload(&mut self);
}

/// The signals that a daemon listens to, from before it is ready.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Gives `serve` a runtime, and the number of descriptors that the program may have.
pub fn run<W: Future<Output = Result<(), RunError>>>(serve: impl FnOnce(u64) -> W) -> Result<(), RunError> {
    let descriptors_max = raise_descriptors();
    // In the sentence too: the journal shows no fields.
    tracing::info!(descriptors_max, "up to {descriptors_max} descriptors may be open");
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| RunError(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(serve(descriptors_max))
}

impl Signals {
    pub fn new() -> Result<Signals, RunError> {
        let listen = |kind| signal(kind).map_err(|error| RunError(format!("signals cannot be handled: {error}")));
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
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
                _ = status.tick() => service::notify_status(&daemon.status_line()),
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

/// How often `systemctl status` gets a new line.
const STATUS_PERIOD: Duration = Duration::from_secs(5);
