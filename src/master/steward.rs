//! Drives the cluster's state machine: tells it who is here and what time it is, and carries out what it decides.

use super::access::Access;
use super::history::{Recorder, STEP};
use super::store::Store;
use super::view::Known;
use crate::admin::cluster_status::LoggedEvent;
use crate::admin::command::{NodeCommand, ON_EVENT, ON_MEMBERSHIP, node_prefix};
use crate::admin::json;
use crate::admin::report::Heartbeat;
use crate::cluster::{Action, Cluster, Figures, Member, Membership, Order};
use crate::router::shard::{ListenerState, RealmIndex, Shard};
use crate::time::Now;
use crate::wamp::{Id, SessionKey};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// The master while it runs.
pub(super) struct Steward {
    // Static after construction.
    pub shard: Rc<RefCell<Shard>>,
    pub realm: RealmIndex,
    pub listener: Rc<ListenerState>,
    pub store: Store,
    // Replaced by a reload.
    pub access: RefCell<Access>,
    // Owned by whatever happens.
    pub cluster: RefCell<Cluster>,
    /// What each node has said last.
    pub known: RefCell<BTreeMap<String, Known>>,
    pub events: RefCell<VecDeque<LoggedEvent>>,
    pub recorder: RefCell<Recorder>,
    /// The session of each node that has one.
    connected: RefCell<HashMap<String, Id>>,
}

impl Steward {
    pub(super) fn new(
        shard: Rc<RefCell<Shard>>,
        realm: RealmIndex,
        listener: Rc<ListenerState>,
        store: Store,
        access: Access,
        cluster: Cluster,
    ) -> Result<Steward, String> {
        let events = store.latest_events(EVENTS_SHOWN)?.into();
        Ok(Steward {
            shard,
            realm,
            listener,
            store,
            access: RefCell::new(access),
            cluster: RefCell::new(cluster),
            known: RefCell::default(),
            events: RefCell::new(events),
            recorder: RefCell::default(),
            connected: RefCell::default(),
        })
    }

    pub(super) fn now(&self) -> Now {
        self.shard.borrow().now()
    }

    /// Lets the cluster decide, and carries out what it has decided.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Cluster, Now, &mut Vec<Action>) -> T) -> T {
        let (now, mut out) = (self.now(), Vec::new());
        let result = act(&mut self.cluster.borrow_mut(), now, &mut out);
        for action in out {
            self.carry_out(now, action);
        }
        result
    }

    /// Looks after the clock and after who is here, until the program ends.
    pub(super) async fn run(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut recorded = Duration::ZERO;
        loop {
            ticks.tick().await;
            self.notice_sessions();
            self.with(|cluster, now, out| cluster.handle_timeout(now, out));
            let now = self.now();
            if now.uptime >= recorded + STEP {
                recorded = now.uptime;
                self.record(now);
            }
        }
    }

    /// A node has told how it is.
    pub(super) fn handle_heartbeat(&self, id: &str, mut heartbeat: Heartbeat) {
        self.shard.borrow_mut().refusals.take_in(id, std::mem::take(&mut heartbeat.refusals));
        let figures = figures(&heartbeat, &self.cluster.borrow().membership());
        let now = self.now();
        self.notice_sessions();
        let mut known = self.known.borrow_mut();
        match known.get_mut(id) {
            Some(known) => known.take(now, heartbeat),
            None => drop(known.insert(id.to_owned(), Known::new(now, heartbeat))),
        }
        drop(known);
        self.with(|cluster, now, out| cluster.handle_heartbeat(now, id, figures, out));
    }

    /// Admits a node at run time. The error is one sentence.
    pub(super) fn add_node(&self, member: Member) -> Result<(), String> {
        self.with(|cluster, now, out| cluster.admit(now, member.clone(), out))
            .map_err(|refusal| refusal.to_string())?;
        self.store.add_node(&member)
    }

    /// Takes a node out at run time. The error is one sentence.
    pub(super) fn remove_node(&self, id: &str) -> Result<(), String> {
        let key = self.cluster.borrow().node(id).map(|node| node.member.public_key.to_string());
        self.dismiss_node(id)?;
        self.store.remove_node(id, &key.unwrap_or_default())
    }

    /// Takes a node out, of which nothing has to be remembered. The error is one sentence.
    pub(super) fn dismiss_node(&self, id: &str) -> Result<(), String> {
        self.with(|cluster, _, out| cluster.remove(id, out)).map_err(|refusal| refusal.to_string())?;
        self.known.borrow_mut().remove(id);
        self.shard.borrow_mut().refusals.forget(id);
        Ok(())
    }

    /// Lets in who belongs to the cluster now, and nobody else.
    pub(super) fn apply_access(&self) {
        let membership = self.cluster.borrow().membership();
        let access = self.access.borrow();
        let settings = access.realm(&membership);
        let mut shard = self.shard.borrow_mut();
        shard.set_admission(&self.listener, access.admission(&membership));
        let (now, core) = (shard.now(), (*settings.core).clone());
        shard.with_realm(self.realm, |realm, effects| realm.reconfigure(now, core, effects));
        shard.work_off(now);
    }

    fn carry_out(&self, now: Now, action: Action) {
        match action {
            Action::Publish => {
                let membership = self.cluster.borrow().membership();
                self.keep(self.store.keep_membership(&membership));
                // Who is removed is told before its session ends.
                self.shard.borrow_mut().publish(self.realm, ON_MEMBERSHIP, json::to_args(&membership));
                self.apply_access();
            }
            Action::Log { node, kind, text } => self.log(now, node, kind, text),
            Action::Order { node, order } => self.order(node, order),
        }
    }

    fn log(&self, now: Now, node: Option<String>, kind: &str, text: String) {
        tracing::info!(node, kind, "{text}");
        let mut events = self.events.borrow_mut();
        let number = events.back().map_or(0, |event| event.number) + 1;
        let event = LoggedEvent { number, at: super::view::time_text(now.wall), node, kind: kind.to_owned(), text };
        self.keep(self.store.log(&event));
        self.shard.borrow_mut().publish(self.realm, ON_EVENT, json::to_args(&event));
        if events.len() == EVENTS_SHOWN {
            events.pop_front();
        }
        events.push_back(event);
    }

    fn order(&self, node: String, order: Order) {
        let command = match order {
            Order::Drain { over } => NodeCommand::Drain { seconds: over.map(|over| over.as_secs_f64()) },
            Order::Undrain => NodeCommand::Undrain,
            Order::Shed { sessions, over } => NodeCommand::Shed { sessions, seconds: over.as_secs_f64() },
        };
        let (name, payload) = json::from_command(&command);
        let procedure = format!("{}{name}", node_prefix(&node));
        let answer = self.shard.borrow_mut().call(self.realm, &procedure, payload, ORDER_TIMEOUT);
        tokio::task::spawn_local(async move {
            if let Ok(Err(refused)) = answer.await {
                let sentence = json::sentence(&refused.error, &refused.payload);
                tracing::error!(node, order = name, "the node does not do it: {sentence}");
            }
        });
    }

    /// Finds out who has come and who has gone.
    fn notice_sessions(&self) {
        let here: HashMap<String, Id> =
            self.node_sessions().into_iter().map(|(node, _, session)| (node, session)).collect();
        let before = self.connected.replace(here.clone());
        for (node, session) in &before {
            if here.get(node) != Some(session) {
                self.with(|cluster, now, out| cluster.handle_left(now, node, out));
            }
        }
        for (node, session) in &here {
            if before.get(node) != Some(session) {
                self.with(|cluster, now, out| cluster.handle_joined(now, node, out));
            }
        }
    }

    /// The nodes that are here: id, place and session. Of two sessions of one node the later one counts; the earlier is
    /// one that the node has lost.
    fn node_sessions(&self) -> Vec<(String, SessionKey, Id)> {
        let shard = self.shard.borrow();
        let Some(slot) = shard.realms.get(self.realm.0) else { return Vec::new() };
        let mut found: Vec<(Duration, String, SessionKey, Id)> = Vec::new();
        for (place, connection) in shard.connections.iter() {
            let key = SessionKey(place as u32);
            if let Some(member) = slot.realm.members().member(key).filter(|member| member.is_visible())
                && member.identity.authrole == super::access::node_role(&member.identity.authid)
            {
                found.push((connection.opened, member.identity.authid.clone(), key, member.identity.session));
            }
        }
        found.sort();
        found.into_iter().map(|(_, node, key, session)| (node, key, session)).collect()
    }

    fn record(&self, now: Now) {
        let known = self.known.borrow();
        let heard = self.cluster.borrow();
        let point = heard.nodes().filter(|node| node.is_connected).filter_map(|node| {
            let known = known.get(&node.member.id)?;
            Some((node.member.id.clone(), (known.heartbeat.status.sessions as u64, known.rates.events_out)))
        });
        self.recorder.borrow_mut().record(now, point.collect());
    }

    /// What cannot be kept is forgotten at the next start; now it changes nothing.
    fn keep(&self, kept: Result<(), String>) {
        if let Err(error) = kept {
            tracing::error!("the state could not be kept: {error}");
        }
    }
}

fn figures(heartbeat: &Heartbeat, membership: &Membership) -> Figures {
    let status = &heartbeat.status;
    let links = || status.mesh.links.iter();
    let down = links().filter(|link| !(link.is_up && link.is_up_inbound)).map(|link| link.peer.clone());
    // A node that has just come does not know all others yet.
    let others = membership.members.iter().map(|member| &member.id).filter(|id| **id != status.node);
    let unknown = others.filter(|id| !links().any(|link| link.peer == **id)).cloned();
    let mut unlinked: Vec<String> = down.chain(unknown).collect();
    unlinked.sort();
    unlinked.dedup();
    Figures {
        sessions: status.sessions,
        is_draining: status.state == "draining",
        is_joining: status.state == "joining",
        unlinked,
        version: status.version.clone(),
        config_digest: heartbeat.config_digest.clone(),
        started: status.started.clone(),
    }
}

const TICK: Duration = Duration::from_millis(100);
/// What the dashboard shows of the log.
const EVENTS_SHOWN: usize = 200;
/// A node answers within milliseconds.
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::report::Counters;
    use crate::auth::cryptosign::PublicKey;
    use serde_json::json;

    #[test]
    fn a_node_is_not_linked_with_those_that_it_does_not_know_yet() {
        let member =
            |id: &str| Member { id: id.to_owned(), address: format!("{id}:1"), public_key: PublicKey([1; 32]) };
        let membership = Membership { version: 1, members: ["edge1", "edge2", "edge3", "edge4"].map(member).to_vec() };
        let link = |peer: &str, is_up: bool| {
            json!({"peer": peer, "address": "h:1", "realm": "realm1", "is_up": true, "is_up_inbound": is_up,
                   "seconds": 0.0, "round_trip_ms": null, "queued_bytes": 0, "attempts": 0, "last_error": null})
        };
        let heartbeat = json!({
            "status": {"node": "edge1", "program": "", "version": "", "hostname": "", "pid": 1, "started": "",
                       "uptime_seconds": 0, "public_key": "", "state": "up", "descriptors_max": 1, "connections": 0,
                       "sessions": 0, "event_delay_ms": 0.0, "listeners": [], "realms": [],
                       "mesh": {"is_complete": false, "links": [link("edge2", true), link("edge3", false)]}},
            "counters": Counters::default(),
            "config_digest": "",
        });
        let heartbeat = serde_json::from_value(heartbeat).unwrap();
        assert_eq!(figures(&heartbeat, &membership).unlinked, ["edge3", "edge4"]);
    }
}
