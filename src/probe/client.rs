//! A client process: one thread with its sessions. It is told on its standard input what to do, and tells on its
//! standard output what happened.

use super::clock::monotonic_ns;
use super::control::{self, Assignment, Command, Report};
use super::crew::Crew;
use super::figures::histogram;
use super::lines;
use super::settings::Settings;
use super::stamp::Filling;
use anyhow::Context;
use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::AsFd;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What the sessions of a process share.
pub(super) struct Client {
    // Static after construction.
    pub settings: Settings,
    pub filling: Filling,
    /// Names this run in the lines.
    pub batch: String,
    /// Turns true when nothing more is to be published.
    stop: watch::Receiver<bool>,
    // Used by whichever session reads.
    pub buffer: RefCell<Vec<u8>>,
    pub latencies: RefCell<Histogram<u64>>,
    /// When publishing began; 0 before.
    pub start_ns: Cell<u64>,
}

/// Runs a client process until it has finished, or its conductor is gone.
pub fn run_client() -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX).context("the descriptor limit")?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        // The conductor decides when a run ends; a Ctrl-C of the terminal reaches this process as well.
        let _interrupt = signal(SignalKind::interrupt())?;
        let input = pipe::Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?)
            .context("standard input is no pipe: clients are started by their conductor")?;
        let mut input = BufReader::new(input).lines();
        let line = input.next_line().await?.context("no assignment")?;
        follow(control::from_line(&line).context("the assignment")?, input).await
    })
}

/// Does as it is told, until it has finished or nobody tells any more.
async fn follow(assignment: Assignment, mut input: Lines<BufReader<pipe::Receiver>>) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let client = Rc::new(Client::new(assignment.settings, stopped));
    client.say(|| lines::starting(std::process::id()));
    let crew = Rc::new(Crew::new(&client, assignment.client)?);
    tokio::task::spawn_local(crew.clone().gather());
    while let Some(line) = input.next_line().await? {
        match control::from_line(&line).context("a command")? {
            Command::Start { at_ns } => {
                client.start_ns.set(at_ns);
                tokio::task::spawn_local(crew.clone().publish(at_ns));
            }
            Command::Stop => {
                stop.send_replace(true);
            }
            Command::Finish { totals } => {
                let finished = crew.finish(&totals).await;
                client.say(lines::terminated);
                emit(&Report::Finished(Box::new(finished)));
                return Ok(());
            }
        }
    }
    anyhow::bail!("the conductor is gone")
}

impl Client {
    fn new(settings: Settings, stop: watch::Receiver<bool>) -> Client {
        Client {
            filling: Filling::new(settings.size),
            batch: batch_id(),
            stop,
            buffer: RefCell::new(vec![0; READ_BUFFER_BYTES]),
            latencies: RefCell::new(histogram()),
            start_ns: Cell::new(0),
            settings,
        }
    }

    /// Says a line, unless the run is to be silent.
    pub(super) fn say(&self, line: impl FnOnce() -> String) {
        if !self.settings.silent {
            emit(&Report::Line(line()));
        }
    }

    /// An attempt to open a session has failed.
    pub(super) fn note_failure(&self, session: &str, reason: &str) {
        if self.settings.debug {
            emit(&Report::Line(lines::remark(session, reason)));
        }
        emit(&Report::Failure(format!("{session}: {reason}")));
    }

    /// Seconds since publishing began; 0 before.
    pub(super) fn seconds_since_start(&self) -> f64 {
        match self.start_ns.get() {
            0 => 0.0,
            start_ns => monotonic_ns().saturating_sub(start_ns) as f64 / 1e9,
        }
    }

    /// Waits until nothing more is to be published.
    pub(super) async fn stopped(&self) {
        // The sender lives as long as this process follows commands.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }
}

/// Tells the conductor. A conductor that is gone is found out by the reading half.
pub(super) fn emit(report: &Report) {
    let _ = std::io::stdout().lock().write_all(control::to_line(report).as_bytes());
}

/// A random id in the form of a UUID, as the original's lines show one.
fn batch_id() -> String {
    let hex = hex::encode(rand::random::<[u8; 16]>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Large, so that what has piled up is read at once.
const READ_BUFFER_BYTES: usize = 256 << 10;
