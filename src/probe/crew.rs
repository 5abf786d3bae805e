//! The sessions of one client process, taken through a run together: gather, publish, finish.

use super::client::{Client, emit};
use super::clock::instant_of;
use super::connection::Connection;
use super::control::{Finished, Report};
use super::figures::{Latencies, Second};
use super::lines;
use super::process::Load;
use super::publishing::{Publisher, publish_loop};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The sessions of a process, each with the task that runs it.
pub(super) struct Crew {
    client: Rc<Client>,
    connections: Vec<Rc<Connection>>,
    sessions: RefCell<Vec<JoinHandle<()>>>,
    /// What all sessions together had counted when a second was last told of.
    told: RefCell<Second>,
    /// Processor seconds of this process while it published.
    cpu_seconds: Cell<f64>,
}

impl Crew {
    /// Begins to open the sessions of the client with this number.
    pub(super) fn new(client: &Rc<Client>, index: usize) -> anyhow::Result<Crew> {
        let settings = &client.settings;
        let per_client = settings.sessions_per_client();
        let mut connections = Vec::with_capacity(per_client);
        for session in 0..per_client {
            let url = &settings.urls[session % settings.urls.len()];
            let first = (index * per_client + session) * settings.loops;
            let publishers = (first..first + settings.loops).map(|id| Publisher::new(id as u32)).collect();
            let name = format!("{}.{session}", settings.client_name(index));
            connections.push(Rc::new(Connection::new(client.clone(), name, url.parse()?, publishers)));
        }
        let sessions =
            connections.iter().map(|connection| tokio::task::spawn_local(connection.clone().run())).collect();
        Ok(Crew {
            client: client.clone(),
            connections,
            sessions: RefCell::new(sessions),
            told: RefCell::default(),
            cpu_seconds: Cell::new(0.0),
        })
    }

    /// Tells when all sessions are open.
    pub(super) async fn gather(self: Rc<Crew>) {
        while !self.connections.iter().all(|connection| connection.state.borrow().is_open()) {
            sleep(LOOK_AGAIN).await;
        }
        emit(&Report::Ready);
    }

    /// Publishes from a time on, and tells what was published.
    pub(super) async fn publish(self: Rc<Crew>, start_ns: u64) {
        let loops: Vec<JoinHandle<()>> = self
            .connections
            .iter()
            .flat_map(|connection| (0..self.client.settings.loops).map(move |publisher| (connection, publisher)))
            .map(|(connection, publisher)| tokio::task::spawn_local(publish_loop(connection.clone(), publisher)))
            .collect();
        tokio::task::spawn_local(self.clone().tell_seconds(start_ns));
        if !self.client.settings.silent {
            tokio::task::spawn_local(self.clone().tell_periods(start_ns));
        }
        sleep_until(instant_of(start_ns)).await;
        let before = Load::of_self().cpu_seconds();
        for publishing in loops {
            // A loop ends by itself: it neither panics nor is it aborted.
            let _ = publishing.await;
        }
        let outstanding = || self.connections.iter().map(|c| c.state.borrow().outstanding() as u64).sum::<u64>();
        self.wait_while_moving(|| outstanding() == 0, outstanding).await;
        self.cpu_seconds.set(Load::of_self().cpu_seconds() - before);
        let states = self.connections.iter().map(|connection| connection.state.borrow());
        emit(&Report::Stopped(states.flat_map(|state| state.published()).collect()));
    }

    /// Waits for what is still to come, leaves, and says what came of it all. `totals` is what each publisher of all
    /// processes has published.
    pub(super) async fn finish(&self, totals: &[u32]) -> Finished {
        let has_all = |connection: &Rc<Connection>| {
            let state = connection.state.borrow();
            state.is_open() && state.heard.tally.has_reached(totals)
        };
        let received = || self.connections.iter().map(|connection| connection.state.borrow().heard.received).sum();
        self.wait_while_moving(|| self.connections.iter().all(has_all), received).await;
        self.tell_second();
        let mut finished = Finished { cpu_seconds: self.cpu_seconds.get(), ..Finished::default() };
        for connection in &self.connections {
            connection.state.borrow_mut().add_to(&mut finished, totals);
            connection.leave();
        }
        let mut sessions = self.sessions.take();
        // Whoever does not let us go is left.
        let _ = timeout(LEAVE_TIMEOUT, async {
            for session in &mut sessions {
                let _ = session.await;
            }
        })
        .await;
        finished
    }

    /// Waits until `done`, or until `progress` has stood still for as long as the settings say.
    async fn wait_while_moving(&self, done: impl Fn() -> bool, progress: impl Fn() -> u64) {
        let linger = Duration::from_secs_f64(self.client.settings.linger);
        let (mut last, mut since) = (progress(), Instant::now());
        while !done() && since.elapsed() < linger {
            sleep(LOOK_AGAIN).await;
            let now = progress();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Tells each second's figures, in step with all other clients.
    async fn tell_seconds(self: Rc<Crew>, start_ns: u64) {
        for n in 1.. {
            sleep_until(instant_of(start_ns + n * SECOND_NS)).await;
            self.tell_second();
        }
    }

    /// Tells what has happened since it was last told.
    fn tell_second(&self) {
        let mut told = self.told.borrow_mut();
        let mut now = Second { index: told.index + 1, ..Second::default() };
        for connection in &self.connections {
            let state = connection.state.borrow();
            let counted = state.counted();
            now.received += counted.received;
            now.forwarded += counted.forwarded;
            now.published += counted.published;
            now.acknowledged += state.acknowledged;
            if let Some(link) = &state.link {
                *now.nodes.entry(link.node().to_owned()).or_default() += 1;
            }
        }
        emit(&Report::Second(Second {
            index: told.index,
            received: now.received - told.received,
            forwarded: now.forwarded - told.forwarded,
            published: now.published - told.published,
            acknowledged: now.acknowledged - told.acknowledged,
            latencies: Latencies::take(&mut self.client.latencies.borrow_mut()),
            nodes: now.nodes.clone(),
        }));
        *told = now;
    }

    /// Says each period, for each session, what the original says.
    async fn tell_periods(self: Rc<Crew>, start_ns: u64) {
        let period = self.client.settings.period;
        let mut switches = Load::of_self().switches;
        for n in 1u64.. {
            sleep_until(instant_of(start_ns + (n as f64 * period * 1e9) as u64)).await;
            let load = Load::of_self();
            let per_second = (load.switches - switches) as f64 / period;
            switches = load.switches;
            for connection in &self.connections {
                self.client.say(|| lines::load(&load, per_second));
                for line in connection.lines_of_period(period) {
                    self.client.say(|| line);
                }
            }
        }
    }
}

const SECOND_NS: u64 = 1_000_000_000;
/// How often it is looked whether something has come to pass that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long routers have to answer GOODBYE.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
