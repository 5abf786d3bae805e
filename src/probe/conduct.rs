//! The conductor: starts the client processes, relays their lines, takes them through the run in step, and adds up what
//! they tell.

use super::clock::{instant_of, monotonic_ns};
use super::control::{self, Assignment, Command, Finished, Published, Report};
use super::figures::Second;
use super::lines;
use super::outcome::{Outcome, Sum};
use super::process::cpu_seconds_of;
use super::progress::Progress;
use super::settings::Settings;
use anyhow::{Context, bail};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

/// Conducts a run. `program` is this very program, which is started with `--as-client` for each client process.
pub fn conduct(settings: Settings, program: &Path) -> anyhow::Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async { Conductor::start(settings, program).await?.run().await })
}

/// The client processes and what they have told so far.
struct Conductor {
    settings: Settings,
    clients: Vec<Performer>,
    told: mpsc::UnboundedReceiver<Told>,
    interrupt: Signal,
    progress: Progress,
    n_ready: usize,
    n_ended: usize,
    failure: Option<String>,
    seconds: Vec<Second>,
    stopped: Vec<Vec<Published>>,
    finished: Vec<Finished>,
}

/// One client process. It is killed when this is dropped.
struct Performer {
    child: Child,
    pid: u32,
    input: ChildStdin,
}

enum Told {
    Report(Report),
    /// A client process has ended.
    Ended,
}

impl Conductor {
    /// Starts the client processes.
    async fn start(settings: Settings, program: &Path) -> anyhow::Result<Conductor> {
        let progress = Progress::new(&settings);
        progress.say(&settings, lines::starting(std::process::id()));
        let (tell, told) = mpsc::unbounded_channel();
        let mut clients = Vec::with_capacity(settings.clients);
        for client in 0..settings.clients {
            let mut child = tokio::process::Command::new(program)
                .arg("--as-client")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("{}: cannot be started", program.display()))?;
            let output = child.stdout.take().context("standard output is piped")?;
            tokio::task::spawn_local(listen(output, tell.clone()));
            let mut input = child.stdin.take().context("standard input is piped")?;
            let assignment = Assignment { settings: settings.clone(), client };
            input.write_all(control::to_line(&assignment).as_bytes()).await?;
            clients.push(Performer { pid: child.id().unwrap_or(0), child, input });
        }
        let pids: Vec<u32> = clients.iter().map(|client| client.pid).collect();
        progress.say(&settings, lines::started(&pids));
        Ok(Conductor {
            settings,
            clients,
            told,
            interrupt: signal(SignalKind::interrupt())?,
            progress,
            n_ready: 0,
            n_ended: 0,
            failure: None,
            seconds: Vec::new(),
            stopped: Vec::new(),
            finished: Vec::new(),
        })
    }

    /// Takes the clients through the run.
    async fn run(mut self) -> anyhow::Result<Outcome> {
        let clients = self.clients.len();
        tokio::select! {
            gathered = self.hear_until(|all| all.n_ready == clients) => gathered?,
            () = tokio::time::sleep(GATHER_TIMEOUT) => {
                let reason = self.failure.as_deref().unwrap_or("no attempt has failed; the last is still going on");
                bail!("not all sessions could be opened within {GATHER_TIMEOUT:?}: {reason}");
            }
        }
        let started = jiff::Timestamp::now();
        let start_ns = monotonic_ns() + START_LEAD.as_nanos() as u64;
        self.tell(&Command::Start { at_ns: start_ns }).await?;
        sleep_until(instant_of(start_ns)).await;
        let before = self.cpu_seconds_of_watched();
        self.progress.start();
        self.hear_until(|all| all.stopped.len() == clients).await?;
        let after = self.cpu_seconds_of_watched();
        let publishing_seconds = (monotonic_ns() - start_ns) as f64 / 1e9;
        let published = self.published();
        let totals = published.iter().map(|publisher| publisher.total).collect();
        self.tell(&Command::Finish { totals }).await?;
        self.hear_until(|all| all.finished.len() == clients).await?;
        self.progress.end();
        for client in &mut self.clients {
            client.child.wait().await?;
        }
        let watched = self.settings.watched.iter().zip(before.iter().zip(&after));
        let cpu = watched.map(|(watched, (before, after))| (watched.name.clone(), after - before)).collect();
        Ok(Sum { started, publishing_seconds, published, seconds: self.seconds, finished: self.finished, cpu }
            .into_outcome(self.settings))
    }

    /// Hears what the clients tell until that is so. Ctrl-C ends the publishing.
    async fn hear_until(&mut self, done: impl Fn(&Conductor) -> bool) -> anyhow::Result<()> {
        while !done(self) {
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(Told::Report(report)) => self.handle_report(report),
                    // Each says that it has finished before it ends.
                    Some(Told::Ended) if self.n_ended < self.finished.len() => self.n_ended += 1,
                    Some(Told::Ended) | None => bail!("a client process has ended before its time"),
                },
                _ = self.interrupt.recv() => {
                    if self.n_ready < self.clients.len() {
                        bail!("interrupted");
                    }
                    self.tell(&Command::Stop).await?;
                }
            }
        }
        Ok(())
    }

    fn handle_report(&mut self, report: Report) {
        match report {
            Report::Line(line) => self.progress.println(&line),
            Report::Failure(failure) => self.failure = Some(failure),
            Report::Ready => self.n_ready += 1,
            Report::Second(second) => {
                let index = second.index;
                while self.seconds.len() <= index {
                    let index = self.seconds.len();
                    self.seconds.push(Second { index, ..Second::default() });
                }
                self.seconds[index].add(&second);
                self.progress.show(&self.seconds);
            }
            Report::Stopped(published) => self.stopped.push(published),
            Report::Finished(finished) => self.finished.push(*finished),
        }
    }

    async fn tell(&mut self, command: &Command) -> anyhow::Result<()> {
        let line = control::to_line(command);
        for client in &mut self.clients {
            client.input.write_all(line.as_bytes()).await.context("a client process has ended")?;
        }
        Ok(())
    }

    /// What each publisher has done, in the order of their numbers.
    fn published(&self) -> Vec<Published> {
        let mut published: Vec<Published> = self.stopped.iter().flatten().cloned().collect();
        published.sort_by_key(|publisher| publisher.publisher);
        published
    }

    /// Of a process that is gone, zero.
    fn cpu_seconds_of_watched(&self) -> Vec<f64> {
        self.settings.watched.iter().map(|watched| cpu_seconds_of(watched.pid).unwrap_or(0.0)).collect()
    }
}

/// Passes on what one client process tells.
async fn listen(output: ChildStdout, tell: mpsc::UnboundedSender<Told>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // What is no report was printed by something that the process uses; people should see it.
        let report = control::from_line(&line).unwrap_or(Report::Line(line));
        // Nobody listens any more when the run has failed.
        let _ = tell.send(Told::Report(report));
    }
    let _ = tell.send(Told::Ended);
}

/// How long all sessions together may take to be opened.
const GATHER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for the command to reach all clients before they begin.
const START_LEAD: Duration = Duration::from_millis(300);
