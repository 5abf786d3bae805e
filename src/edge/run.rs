//! The life of an edge: bind, serve, reload on SIGHUP, drain on SIGTERM.

use super::agent::run_agent;
use super::control::{self, Control};
use super::joining::Joining;
use super::peers::Peers;
use super::reload;
use super::report::Reporter;
use crate::admin::logging;
use crate::auth::cryptosign::SecretKey;
use crate::config::{self, Address, Config, RunningFile, node_key};
use crate::drop::DropReason;
use crate::router::balancer::Balancer;
use crate::router::daemon::{self, Daemon, RunError, Signals};
use crate::router::faces;
use crate::router::flush::run_flusher;
use crate::router::housekeeping::run_housekeeping;
use crate::router::listen::{bind, bind_or_adopt, listener_state, run_listener};
use crate::router::node::{NodeInfo, hostname};
use crate::router::service;
use crate::router::shard::{ListenerState, Shard};
use crate::transport::askers::Names;
use crate::transport::handover::{Handover, Inherited};
use crate::transport::listener::Listener;
use crate::wamp::{SessionKey, error};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinHandle;

/// Makes the key of the node of this configuration file where there is none. Returns its public half.
pub fn keygen(file: &Path) -> Result<String, RunError> {
    let key = node_key::read_or_generate(&config::state_dir(file)?, &mut rand::rng());
    Ok(key.map_err(|error| RunError::Failed(error.to_string()))?.public().to_string())
}

/// Runs an edge until SIGTERM or SIGINT has drained it.
pub fn run(file: &Path) -> Result<(), RunError> {
    daemon::run(async |signals| {
        let config = config::load_to_run(file)?;
        logging::start(&config.log);
        config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        serve(config, signals).await
    })
}

async fn serve(config: Config, mut signals: Signals) -> Result<(), RunError> {
    let mut edge = Edge::start(config, daemon::descriptors()).map_err(RunError::Failed)?;
    let clients_max = edge.shard.borrow().clients_max();
    tracing::info!("clients may have up to {clients_max} connections together, as far as the descriptors go");
    if signals.unless_stopped(edge.join()).await {
        edge.open();
        edge.announce();
        signals.serve(&mut edge).await;
    }
    signals.stop(edge.drain()).await;
    Ok(())
}

impl Daemon for Edge {
    fn status_line(&self) -> String {
        let shard = self.shard.borrow();
        format!("{} sessions, {} connections", shard.n_sessions(), shard.connections.len())
    }

    fn reload(&mut self) {
        reload::reload(self);
    }
}

/// A running edge.
pub(super) struct Edge {
    pub config: Config,
    pub shard: Rc<RefCell<Shard>>,
    pub control: Rc<Control>,
    pub peers: Rc<Peers>,
    /// The admin port.
    pub operators: Option<Rc<ListenerState>>,
    /// Those for clients, until they are opened.
    closed: Vec<(Rc<ListenerState>, Listener)>,
    acceptors: Vec<JoinHandle<()>>,
    handover: Handover,
}

impl Edge {
    /// Binds every socket before anything is served, so that a mistake has no consequence.
    fn start(config: Config, descriptors_max: u64) -> Result<Edge, String> {
        let key = node_key::read(&config.node.state_dir).map_err(|error| error.to_string())?;
        let node = Rc::new(NodeInfo {
            id: config.node.id.clone(),
            hostname: hostname(),
            pid: std::process::id(),
            started: SystemTime::now(),
            public_key: key.as_ref().map(|key| key.public().to_string()).unwrap_or_default(),
            descriptors_max,
        });
        let shard = Rc::new(RefCell::new(Shard::new(node, config.limits.clone(), Instant::now())));
        shard.borrow_mut().running_file = Some(RunningFile::new(&config.path));
        for settings in &config.realms {
            shard.borrow_mut().add_realm(settings);
        }
        let peers = Rc::new(Peers::new(&shard, &config)?);
        let (mut inherited, mut handover) = (Inherited::take_all(), Handover::default());
        let mut bound = Vec::new();
        for settings in &config.listeners {
            let ipv6_only = config.is_ipv6_only(&settings.address);
            let listener =
                bind_or_adopt(&settings.address, settings.backlog, ipv6_only, &mut inherited, &mut handover)?;
            let admission = peers.admission(&config, settings);
            let pages = faces::client_pages(shard.clone(), settings.path.clone(), settings.info);
            let state = Rc::new(listener_state(settings, admission, &listener, pages)?);
            shard.borrow_mut().listeners.push(state.clone());
            bound.push((state, listener));
        }
        let bind_admin = |address: &Option<Address>| {
            address.as_ref().map(|address| bind(address, ADMIN_BACKLOG, config.is_ipv6_only(address)))
        };
        let admin = bind_admin(&config.admin.listen).transpose()?;
        let agent = bind_admin(&config.admin.agent_listen).transpose()?;
        let control = Rc::new(Control::new(&shard, &config));
        let reporter = reporter(&config, &control, &peers)?;

        tokio::task::spawn_local(run_flusher(shard.clone()));
        tokio::task::spawn_local(run_housekeeping(shard.clone()));
        let (mesh, closed): (Vec<_>, Vec<_>) = bound.into_iter().partition(|(state, _)| state.is_mesh);
        peers.apply();
        shard.borrow_mut().is_joining = true;
        let operators = admin.map(|listener| serve_operators(&shard, &config, &control, key, listener));
        if let Some(listener) = agent {
            shard.borrow_mut().balancer = Some(Balancer::default());
            tokio::task::spawn_local(run_agent(shard.clone(), listener));
        }
        if let Some(reporter) = reporter {
            tokio::task::spawn_local(reporter.run());
        }
        inherited.finish();
        // Peers come in at once; clients later, see `join`.
        let mut edge = Edge { config, shard, control, peers, operators, closed: mesh, acceptors: Vec::new(), handover };
        edge.open();
        Ok(Edge { closed, ..edge })
    }

    /// Waits until it is known who the peers are and what their clients want, so that whoever is let in is heard
    /// everywhere from the beginning: see `Joining`. From then on no peer makes this node wait again.
    async fn join(&self) {
        let started = self.shard.borrow().now().uptime;
        let mut joining = Joining::default();
        while self.is_waiting(&mut joining, started) {
            tokio::time::sleep(LINKS_POLL).await;
        }
    }

    fn is_waiting(&self, joining: &mut Joining, started: Duration) -> bool {
        let mut shard = self.shard.borrow_mut();
        let uptime = shard.now().uptime;
        let waits_for = joining.waits_for(uptime, started, shard.standings());
        let is_known = self.peers.are_known() || uptime >= started + MEMBERSHIP_MAX;
        if is_known && waits_for.is_empty() {
            shard.is_joining = false;
            let seconds = uptime.saturating_sub(started).as_secs_f64();
            tracing::info!(seconds, "joined: clients are let in");
        } else if shard.waits_for != waits_for {
            shard.waits_for = waits_for;
            service::notify_status(&shard.joining_sentence());
        }
        shard.is_joining
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

    /// Lets the clients go over the drain time, then everything else: the links are up until nobody needs them.
    ///
    /// Without a service manager the ports are closed first, so that a load balancer that is refused tries the next
    /// node at once. With one it may be a restart, in which the ports stay open: load balancers are told that the node
    /// is leaving, whoever comes all the same is served to the end, and who comes after that waits in the socket for
    /// the next process.
    async fn drain(&mut self) {
        let is_handed_over = self.handover.leave();
        self.control.clients.announce_the_end(!is_handed_over).await;
        if !is_handed_over {
            self.stop_accepting();
        }
        self.control.clients.let_all_go().await;
        self.stop_accepting();
        // Whoever has come meanwhile, and then the links, which all of them needed.
        self.say_goodbye(|listener| !listener.is_mesh);
        self.say_goodbye(|_| true);
        let patience = self.config.limits.close_timeout * 2;
        let deadline = tokio::time::Instant::now() + patience;
        while !self.shard.borrow().connections.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Ends all connections of these listeners.
    fn say_goodbye(&self, of: impl Fn(&ListenerState) -> bool) {
        let mut shard = self.shard.borrow_mut();
        let connections = shard.connections.iter().filter(|(_, connection)| of(&connection.listener));
        let keys: Vec<SessionKey> = connections.map(|(key, _)| SessionKey(key as u32)).collect();
        for key in keys {
            let message = "this node is shutting down";
            shard.goodbye(key, error::CLOSE_SYSTEM_SHUTDOWN, message, DropReason::Shutdown);
        }
    }

    fn stop_accepting(&mut self) {
        for acceptor in self.acceptors.drain(..) {
            acceptor.abort();
        }
    }
}

/// Opens the admin port.
fn serve_operators(
    shard: &Rc<RefCell<Shard>>,
    config: &Config,
    control: &Rc<Control>,
    key: Option<SecretKey>,
    listener: Listener,
) -> Rc<ListenerState> {
    let served = {
        let mut shard = shard.borrow_mut();
        let realm = shard.add_own_realm(&control::realm(config));
        shard.serve_realm(realm, "crossbar.")
    };
    tokio::task::spawn_local(control.clone().run(served));
    // No page is served here that would open a WebSocket.
    let names = Names::new(config.admin.allowed_hosts.iter().cloned().chain([hostname()]), false);
    let admission = control::admission(config, key);
    let pages = faces::admin_pages(shard.clone());
    let state = Rc::new(faces::control_state(&config.limits, admission, &listener, pages, names));
    shard.borrow_mut().admin = Some(state.name.clone());
    tokio::task::spawn_local(run_listener(shard.clone(), state.clone(), listener));
    state
}

/// Who reports to the master, where there is one. The error is one sentence.
fn reporter(config: &Config, control: &Rc<Control>, peers: &Rc<Peers>) -> Result<Option<Reporter>, String> {
    let Some(master) = &config.master else { return Ok(None) };
    let key = node_key::read(&config.node.state_dir).map_err(|error| error.to_string())?;
    let url = master.url.parse().map_err(|error| format!("url in [master]: {error}"))?;
    Ok(key.map(|key| Reporter {
        node: config.node.id.clone(),
        key,
        url,
        master: master.public_key,
        control: control.clone(),
        peers: peers.clone(),
        was_out: Cell::new(false),
    }))
}

/// How often a drain looks whether everybody has left.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long a node without a kept membership waits for a master that has yet to tell who the peers are.
const MEMBERSHIP_MAX: Duration = Duration::from_millis(1_500);
const LINKS_POLL: Duration = Duration::from_millis(5);
const ADMIN_BACKLOG: u32 = 128;
