//! The life of an edge: bind, serve, reload on SIGHUP, drain on SIGTERM.

use super::reload;
use crate::config::{Config, node_key};
use crate::router::dial::{Dialer, LinkState, run_link};
use crate::router::flush::run_flusher;
use crate::router::housekeeping::run_housekeeping;
use crate::router::listen::{self, admission, bind, bind_or_adopt, listener_state, run_listener};
use crate::router::node::{NodeInfo, hostname, raise_descriptors};
use crate::router::shard::{ListenerState, Shard};
use crate::router::{faces, service};
use crate::transport::handover::{Handover, Inherited};
use crate::transport::listener::Listener;
use crate::wamp::SessionKey;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Why an edge did not start. One sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// Runs an edge until SIGTERM or SIGINT has drained it.
pub fn run(config: Config) -> Result<(), RunError> {
    let descriptors_max = raise_descriptors();
    // In the sentence too: the journal shows no fields.
    tracing::info!(descriptors_max, "up to {descriptors_max} descriptors may be open");
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| RunError(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(serve(config, descriptors_max))
}

async fn serve(config: Config, descriptors_max: u64) -> Result<(), RunError> {
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hangup = signals(SignalKind::hangup())?;
    let mut edge = Edge::start(config, descriptors_max).map_err(RunError)?;
    edge.await_links().await;
    edge.open();
    edge.announce();
    service::notify_ready(&edge.status_line());
    tokio::task::spawn_local(service::run_watchdog());
    let mut status = tokio::time::interval(STATUS_PERIOD);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                service::notify_reloading();
                reload::reload(&mut edge);
                service::notify_ready(&edge.status_line());
            }
            _ = status.tick() => service::notify_status(&edge.status_line()),
        }
    }
    service::notify_stopping("draining");
    tokio::select! {
        () = edge.drain() => {}
        _ = terminate.recv() => tracing::warn!("told twice to stop: not waiting for the drain"),
        _ = interrupt.recv() => tracing::warn!("told twice to stop: not waiting for the drain"),
    }
    Ok(())
}

fn signals(kind: SignalKind) -> Result<tokio::signal::unix::Signal, RunError> {
    signal(kind).map_err(|error| RunError(format!("signals cannot be handled: {error}")))
}

/// A running edge.
pub(super) struct Edge {
    pub config: Config,
    pub shard: Rc<RefCell<Shard>>,
    /// Those for clients, until they are opened.
    closed: Vec<(Rc<ListenerState>, Listener)>,
    acceptors: Vec<JoinHandle<()>>,
    handover: Handover,
}

impl Edge {
    /// Binds every socket before anything is served, so that a mistake has no consequence.
    fn start(config: Config, descriptors_max: u64) -> Result<Edge, String> {
        let public_key = node_key::public_key(&config.node.state_dir).map_err(|error| error.to_string())?;
        let public_key = public_key.map(|key| key.to_string()).unwrap_or_default();
        let node = Rc::new(NodeInfo {
            id: config.node.id.clone(),
            hostname: hostname(),
            pid: std::process::id(),
            started: SystemTime::now(),
            public_key,
            descriptors_max,
        });
        let shard = Rc::new(RefCell::new(Shard::new(node, config.limits.clone(), Instant::now())));
        for settings in &config.realms {
            shard.borrow_mut().add_realm(settings);
        }
        let (mut inherited, mut handover) = (Inherited::take_all(), Handover::default());
        let mut bound = Vec::new();
        for settings in &config.listeners {
            let listener = bind_or_adopt(&settings.address, settings.backlog, &mut inherited, &mut handover)?;
            let admission = admission(&config, settings);
            let pages = faces::client_pages(shard.clone(), settings.path.clone());
            let state = Rc::new(listener_state(settings, admission, &listener, pages)?);
            shard.borrow_mut().listeners.push(state.clone());
            bound.push((state, listener));
        }
        let admin = match &config.admin.listen {
            Some(address) => Some(bind(address, ADMIN_BACKLOG)?),
            None => None,
        };
        tokio::task::spawn_local(run_flusher(shard.clone()));
        tokio::task::spawn_local(run_housekeeping(shard.clone()));
        let (mesh, closed): (Vec<_>, Vec<_>) = bound.into_iter().partition(|(state, _)| state.is_mesh);
        spawn_links(&shard, &config)?;
        if let Some(listener) = admin {
            // Nobody can open a session there; the admission is only there to say so.
            let admission = admission(&config, &config.listeners[0]);
            let state = Rc::new(faces::admin_state(&shard, &config, admission, &listener));
            shard.borrow_mut().admin = Some(state.name.clone());
            tokio::task::spawn_local(run_listener(shard.clone(), state, listener));
        }
        inherited.finish();
        let mut edge = Edge { config, shard, closed: mesh, acceptors: Vec::new(), handover };
        edge.open();
        Ok(Edge { closed, ..edge })
    }

    /// Waits until the links are up, so that whoever is let in is heard everywhere from the beginning. Peers that
    /// cannot be reached are not waited for, and those that do not answer, or a master that has yet to tell who they
    /// are, not for long.
    async fn await_links(&self) {
        let deadline = tokio::time::Instant::now() + LINKS_MAX;
        while !self.shard.borrow().has_settled_links() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LINKS_POLL).await;
        }
    }

    /// Accepts connections on the listeners that are still closed.
    fn open(&mut self) {
        for (state, listener) in self.closed.drain(..) {
            self.acceptors.push(tokio::task::spawn_local(run_listener(self.shard.clone(), state, listener)));
        }
    }

    /// Says on standard output where clients can connect, for people and for tests.
    fn announce(&self) {
        let shard = self.shard.borrow();
        let mut out = std::io::stdout().lock();
        let names = shard.listeners.iter().map(|listener| &listener.name).chain(&shard.admin);
        for name in names {
            let _ = writeln!(out, "crossbar-edge {}: listening on {name}", shard.node.id);
        }
        let _ = writeln!(out, "crossbar-edge {}: ready", shard.node.id);
        let _ = out.flush();
    }

    fn status_line(&self) -> String {
        let shard = self.shard.borrow();
        format!("{} sessions, {} connections", shard.n_sessions(), shard.connections.len())
    }

    /// Ends the sessions one after the other over the drain time.
    ///
    /// Without a service manager the ports are closed first, so that a load balancer that is refused tries the next
    /// node at once. With one it may be a restart, in which the ports stay open: load balancers are told that the node
    /// is leaving, whoever comes all the same is served to the end, and who comes after that waits in the socket for
    /// the next process.
    async fn drain(&mut self) {
        let is_handed_over = self.handover.leave();
        {
            let mut shard = self.shard.borrow_mut();
            shard.is_draining = true;
            shard.turns_away = !is_handed_over;
        }
        if !is_handed_over {
            self.stop_accepting();
        }
        let clients = self.connections(|listener| !listener.is_mesh);
        tracing::info!(connections = clients.len(), "draining");
        self.say_goodbye(clients, self.config.node.drain_time).await;
        self.stop_accepting();
        // Whoever has come meanwhile, and then the links, which all of them needed.
        self.say_goodbye(self.connections(|listener| !listener.is_mesh), Duration::ZERO).await;
        self.say_goodbye(self.connections(|_| true), Duration::ZERO).await;
        let patience = self.config.limits.close_timeout * 2;
        let deadline = tokio::time::Instant::now() + patience;
        while !self.shard.borrow().connections.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    fn stop_accepting(&mut self) {
        for acceptor in self.acceptors.drain(..) {
            acceptor.abort();
        }
    }

    /// The connections that are there now, of some of the listeners.
    fn connections(&self, of: impl Fn(&ListenerState) -> bool) -> Vec<SessionKey> {
        let shard = self.shard.borrow();
        let connections = shard.connections.iter().filter(|(_, connection)| of(&connection.listener));
        connections.map(|(key, _)| SessionKey(key as u32)).collect()
    }

    /// Ends these sessions, spread over this time.
    async fn say_goodbye(&self, keys: Vec<SessionKey>, over: Duration) {
        let step = over / u32::try_from(keys.len()).unwrap_or(u32::MAX).max(1);
        let started = tokio::time::Instant::now();
        for (n, key) in keys.into_iter().enumerate() {
            tokio::time::sleep_until(started + step * n as u32).await;
            self.shard.borrow_mut().goodbye(key);
        }
    }
}

/// Starts one task per peer and realm, each of which keeps a link up.
fn spawn_links(shard: &Rc<RefCell<Shard>>, config: &Config) -> Result<(), String> {
    if config.mesh.peers.is_empty() {
        return Ok(());
    }
    let key = node_key::read(&config.node.state_dir).map_err(|error| error.to_string())?.ok_or_else(|| {
        format!(
            "{}: there is no node key, but [[mesh.peer]] wants links; make one with `crossbar-edge keygen --config {}`",
            config.node.state_dir.display(),
            config.path.display(),
        )
    })?;
    let settings = Rc::new(listen::link_settings(config));
    let message_bytes_max = config.limits.message_bytes_max + LINK_OVERHEAD_BYTES;
    let dialer = Dialer { node: config.node.id.clone(), key, settings, message_bytes_max };
    for peer in &config.mesh.peers {
        for realm in &config.realms {
            let index = shard.borrow().links.len();
            shard.borrow_mut().links.push(LinkState::new(peer.clone(), realm.core.name.clone()));
            tokio::task::spawn_local(run_link(shard.clone(), dialer.clone(), index));
        }
    }
    Ok(())
}

/// How often `systemctl status` gets a new line.
const STATUS_PERIOD: Duration = Duration::from_secs(5);
/// How often a drain looks whether everybody has left.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long clients wait in front of a starting edge for links to peers that do not answer: less than it takes a load
/// balancer to call the edge dead.
const LINKS_MAX: Duration = Duration::from_millis(1_500);
const LINKS_POLL: Duration = Duration::from_millis(5);
const ADMIN_BACKLOG: u32 = 128;
/// What a message may grow by on a link, which tells the other node for whom it is.
const LINK_OVERHEAD_BYTES: usize = 64 << 10;
