//! The life of a master: read what it remembers, bind, serve, reload on SIGHUP, end on SIGTERM.

use super::access::Access;
use super::faces;
use super::steward::Steward;
use super::store::{Removed, Store};
use crate::admin::command::MASTER_PREFIX;
use crate::admin::logging;
use crate::cluster::{Cluster, Member, Membership};
use crate::config::resolved::Peer;
use crate::config::{Host, MasterConfig, RunningFile, node_key};
use crate::limits::Limits;
use crate::router::daemon::{self, Daemon, RunError, Signals};
use crate::router::faces::control_state;
use crate::router::flush::run_flusher;
use crate::router::housekeeping::run_housekeeping;
use crate::router::listen::{bind, run_listener};
use crate::router::node::{NodeInfo, hostname};
use crate::router::shard::Shard;
use crate::transport::askers::Names;
use crate::transport::http::{Page, Pages};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

/// Makes the master's key, and that of its own operator, where there are none. Returns the public half of the first.
pub fn keygen(file: &Path) -> Result<String, RunError> {
    let state_dir = MasterConfig::state_dir(file)?;
    let make = |path| {
        node_key::read_or_generate_file(path, &mut rand::rng()).map_err(|error| RunError::Failed(error.to_string()))
    };
    make(&node_key::operator_key_path(&state_dir))?;
    let key = node_key::read_or_generate(&state_dir, &mut rand::rng());
    Ok(key.map_err(|error| RunError::Failed(error.to_string()))?.public().to_string())
}

/// Runs a master until SIGTERM or SIGINT.
pub fn run(file: &Path) -> Result<(), RunError> {
    daemon::run(async |signals| {
        let config = MasterConfig::load_to_run(file)?;
        logging::start(&config.log);
        serve(config, signals).await
    })
}

async fn serve(config: MasterConfig, mut signals: Signals) -> Result<(), RunError> {
    let steward = start(&config, daemon::descriptors()).map_err(RunError::Failed)?;
    announce(&steward);
    signals.serve(&mut Master { steward, config }).await;
    Ok(())
}

/// A running master.
struct Master {
    steward: Rc<Steward>,
    /// As it was started with.
    config: MasterConfig,
}

impl Daemon for Master {
    fn status_line(&self) -> String {
        let totals = self.steward.status().totals;
        format!("{} of {} nodes up, {} sessions", totals.nodes_up, totals.nodes, totals.sessions)
    }

    fn reload(&mut self) {
        reload(&self.steward, &mut self.config);
    }
}

fn start(config: &MasterConfig, descriptors_max: u64) -> Result<Rc<Steward>, String> {
    let (key, local_operator) = config.keys()?;
    let node = Rc::new(NodeInfo {
        id: config.id.clone(),
        hostname: hostname(),
        pid: std::process::id(),
        started: SystemTime::now(),
        public_key: key.public().to_string(),
        descriptors_max,
    });
    let shard = Rc::new(RefCell::new(Shard::new(node, Limits::default(), Instant::now())));
    shard.borrow_mut().running_file = Some(RunningFile::new(&config.path));
    let store = Store::open(&config.state_dir.join("master.redb"))?;
    let membership = membership(&store, config)?;
    store.keep_membership(&membership)?;
    let cluster = Cluster::new(shard.borrow().now(), membership.members, membership.version);
    let access = Access {
        id: config.id.clone(),
        key,
        local_operator: local_operator.public(),
        operators: config.operators.clone(),
        limits: Limits::default(),
    };
    let listener = bind(&config.listen, BACKLOG, false)?;
    let realm = shard.borrow_mut().add_own_realm(&access.realm(&cluster.membership()));
    let admission = access.admission(&cluster.membership());
    // The pages tell of the steward, who is made of the listener that they stand on.
    let late: Rc<OnceCell<Pages>> = Rc::default();
    let pages: Pages = {
        let late = late.clone();
        Rc::new(move |request| match late.get() {
            Some(pages) => pages(request),
            None => Page { status: 503, ..Page::new("text/plain", "starting\n") },
        })
    };
    let names = Names::new(config.allowed_hosts.iter().cloned().chain([hostname()]), true);
    let state = Rc::new(control_state(&Limits::default(), admission, &listener, pages, names));
    shard.borrow_mut().admin = Some(state.name.clone());
    let served = shard.borrow_mut().serve_realm(realm, MASTER_PREFIX);
    let steward = Rc::new(Steward::new(shard.clone(), realm, state.clone(), store, access, cluster)?);
    let _ = late.set(faces::pages(steward.clone()));
    tokio::task::spawn_local(run_flusher(shard.clone()));
    tokio::task::spawn_local(run_housekeeping(shard.clone()));
    tokio::task::spawn_local(run_listener(shard, state, listener));
    tokio::task::spawn_local(steward.clone().answer_calls(served));
    tokio::task::spawn_local(steward.clone().run());
    Ok(steward)
}

/// Who belongs to the cluster at the start. Where that is as it was when the master ended, so is the version.
fn membership(store: &Store, config: &MasterConfig) -> Result<Membership, String> {
    let (added, removed) = store.nodes()?;
    let mut members: BTreeMap<String, Member> = added.into_iter().map(|member| (member.id.clone(), member)).collect();
    for member in configured(config, &removed) {
        members.insert(member.id.clone(), member);
    }
    let last = store.membership()?;
    let members: Vec<Member> = members.into_values().collect();
    let version = if members == last.members { last.version } else { last.version + 1 };
    Ok(Membership { version, members })
}

/// The nodes of the configuration, but those that were removed at run time.
fn configured(config: &MasterConfig, removed: &[Removed]) -> Vec<Member> {
    let is_removed = |node: &Peer| removed.contains(&(node.id.clone(), node.public_key.to_string()));
    for node in config.nodes.iter().filter(|node| is_removed(node)) {
        tracing::warn!(
            node = node.id,
            "was removed with `crossbarctl node remove` and stays out, though the configuration names it"
        );
    }
    let member =
        |node: &Peer| Member { id: node.id.clone(), address: node.address.to_string(), public_key: node.public_key };
    config.nodes.iter().filter(|node| !is_removed(node)).map(member).collect()
}

/// Admits what a reload has brought.
fn admit_configured(steward: &Steward, config: &MasterConfig) {
    let (_, removed) = steward.store.nodes().unwrap_or_default();
    for member in configured(config, &removed) {
        let id = member.id.clone();
        if let Err(refusal) = steward.with(|cluster, now, out| cluster.admit(now, member, out)) {
            tracing::error!("[[node]] {id}: {refusal}");
        }
    }
}

/// Takes out the nodes that the file does not name any more, but those that were added at run time as well.
fn remove_unconfigured(steward: &Steward, running: &MasterConfig, new: &MasterConfig) {
    let (added, _) = steward.store.nodes().unwrap_or_default();
    let is_kept = |node: &&Peer| {
        new.nodes.iter().any(|other| other.id == node.id) || added.iter().any(|member| member.id == node.id)
    };
    for node in running.nodes.iter().filter(|node| !is_kept(node)) {
        // It may have been removed at run time before.
        let _ = steward.dismiss_node(&node.id);
    }
}

/// SIGHUP: what can change at run time does, the log names what needs a restart. A file with mistakes changes nothing.
fn reload(steward: &Steward, running: &mut MasterConfig) {
    steward.shard.borrow_mut().note_file(RunningFile::begin);
    let read = MasterConfig::load(&running.path);
    match read.and_then(|new| running.reload(&new, &Host::SYSTEM)) {
        Ok((new, changes)) => {
            steward.access.borrow_mut().operators = new.operators.clone();
            remove_unconfigured(steward, running, &new);
            admit_configured(steward, &new);
            steward.apply_access();
            *running = new;
            changes.log();
            steward.shard.borrow_mut().note_file(|file| file.take(&changes));
        }
        Err(mistakes) => {
            tracing::error!("the configuration was not reloaded: {mistakes}");
            steward.shard.borrow_mut().note_file(|file| file.refuse(&mistakes.to_string()));
        }
    }
}

/// Says on standard output where it is found, for people and for tests.
fn announce(steward: &Steward) {
    let shard = steward.shard.borrow();
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "crossbar-master {}: listening on {}", shard.node.id, steward.listener.name);
    let _ = writeln!(out, "crossbar-master {}: ready", shard.node.id);
    let _ = out.flush();
}

const BACKLOG: u32 = 1_024;
