//! One look at the cluster or at a single edge: what was answered, and what people are shown of it, alike for both.

use super::words::{self, plural};
use crate::admin::cluster_status::{ClusterStatus, NodeView};
use crate::admin::node_status::{MeshStatus, NodeStatus};
use crate::cluster::State;
use crate::ctl::links::Link;
use crate::ctl::table::{Cell, Table};
use anyhow::Context;
use serde_json::{Value, json};

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// What was answered, as it was.
    pub raw: Value,
    /// None where an edge was asked.
    pub cluster: Option<ClusterStatus>,
    pub lines: Vec<NodeLine>,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct NodeLine {
    pub id: String,
    pub state: String,
    /// How long it has been so; of an edge that was asked itself, how long it has run.
    pub seconds: f64,
    pub reason: String,
    pub address: Option<String>,
    /// What it says, unless that is out of date.
    pub status: Option<NodeStatus>,
    /// The nodes with which it should be linked, and whether it is: in both directions, for every realm.
    peers: Vec<(String, bool)>,
    pub figures: Option<Figures>,
}

/// What only the master can tell, because it compares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub events_out: f64,
    pub messages_in: f64,
    pub messages_out: f64,
    pub drops: f64,
    pub cpu: f64,
    pub outbox_bytes: u64,
    pub resident_bytes: u64,
}

impl Look {
    pub(super) fn of_master(raw: Value) -> anyhow::Result<Look> {
        let cluster: ClusterStatus = serde_json::from_value(raw.clone()).context("what the master answers")?;
        let ids: Vec<&str> = cluster.nodes.iter().map(|node| node.id.as_str()).collect();
        let lines = cluster.nodes.iter().map(|view| NodeLine::of_view(view, &ids)).collect();
        Ok(Look { raw, cluster: Some(cluster), lines })
    }

    pub(super) fn of_edge(raw: Value) -> anyhow::Result<Look> {
        let status: NodeStatus = serde_json::from_value(raw.clone()).context("what the edge answers")?;
        Ok(Look { raw, cluster: None, lines: vec![NodeLine::of_status(status)] })
    }

    pub(super) fn line(&self, id: &str) -> anyhow::Result<&NodeLine> {
        self.lines.iter().find(|line| line.id == id).with_context(|| format!("there is no node {id:?} any more"))
    }

    /// Whether every node serves, is offered clients, is linked with all others and runs its configuration file, and
    /// the master runs its own.
    pub(super) fn is_whole(&self) -> bool {
        let is_well = |line: &NodeLine| {
            line.is_up() && line.is_linked() && line.not_offered().is_none() && line.not_run().is_none()
        };
        !self.lines.is_empty() && self.lines.iter().all(is_well) && self.master_not_run().is_none()
    }

    /// One sentence.
    pub(super) fn headline(&self) -> String {
        let sessions = plural(self.lines.iter().filter_map(NodeLine::sessions).sum(), "session");
        match &self.cluster {
            Some(cluster) => {
                let (up, all) = (cluster.totals.nodes_up, plural(cluster.totals.nodes, "node"));
                let is_whole = if self.is_whole() { "is whole" } else { "is not whole" };
                format!("the cluster {is_whole}: {up} of {all} up, {sessions}")
            }
            None => {
                let line = &self.lines[0];
                let (up, all) = (line.n_linked(), line.peers.len());
                let links =
                    if all == 0 { String::new() } else { format!(", linked with {up} of {}", plural(all, "peer")) };
                format!("{} is {}{links}: {sessions}", line.id, line.state)
            }
        }
    }

    /// A sentence for everything that is not as it should be.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for line in self.lines.iter().filter(|line| !line.is_up()) {
            found.push(format!("{} is {}: {}", line.id, line.state, line.reason));
        }
        for line in self.lines.iter().filter(|line| line.is_up()) {
            let not_offered = line.not_offered();
            found.extend(not_offered.map(|why| format!("{} is not offered clients: {why}", line.id)));
        }
        let behind = self.lines.iter().filter_map(|line| Some((line.id.as_str(), line.not_run()?)));
        for (id, why) in self.master_not_run().map(|why| ("the master", why)).into_iter().chain(behind) {
            found.push(format!("{id} does not run its configuration file: {why}"));
        }
        for line in self.lines.iter().filter(|line| line.status.is_some()) {
            for (peer, _) in line.peers.iter().filter(|(_, is_up)| !is_up) {
                found.extend(line.missing_links(peer));
            }
        }
        if let Some(cluster) = &self.cluster {
            found.extend(cluster.skew.iter().cloned());
            if let Some(reason) = &cluster.gate.waits_for {
                found.push(format!("the gate is closed: {reason}"));
            }
            if let Some(rebalance) = &cluster.rebalance {
                let moved = plural(rebalance.moved, "session");
                found.push(format!("a rebalance is under way: round {}, {moved} moved so far", rebalance.rounds));
            }
        }
        found
    }

    fn master_not_run(&self) -> Option<&str> {
        self.cluster.as_ref()?.master.not_run.as_deref()
    }

    /// What `status` shows of the nodes.
    pub(super) fn short_table(&self) -> Table {
        let mut table = Table::new(["NODE", "STATE", "FOR", "LINKS", "SESSIONS", "EVENTS/S", "HOST"]);
        for line in &self.lines {
            table.row([
                Cell::from(line.id.as_str()),
                Cell::from(line.state.as_str()),
                number(words::duration(line.seconds)),
                line.links_cell(),
                line.sessions_cell(),
                line.figure(|figures| words::rate(figures.events_out)),
                Cell::from(line.status.as_ref().map(|status| status.hostname.as_str())),
            ]);
        }
        table
    }

    /// What `nodes` shows: all there is.
    pub(super) fn long_table(&self) -> Table {
        const HEAD: [&str; 14] = [
            "NODE", "STATE", "FOR", "VERSION", "LINKS", "SESSIONS", "EVENTS/S", "IN/S", "OUT/S", "OUTBOX", "DROPS/S",
            "CPU", "MEMORY", "ADDRESS",
        ];
        let mut table = Table::new(HEAD);
        for line in &self.lines {
            table.row([
                Cell::from(line.id.as_str()),
                Cell::from(line.state.as_str()),
                number(words::duration(line.seconds)),
                Cell::from(line.status.as_ref().map(|status| status.version.as_str())),
                line.links_cell(),
                line.sessions_cell(),
                line.figure(|figures| words::rate(figures.events_out)),
                line.figure(|figures| words::rate(figures.messages_in)),
                line.figure(|figures| words::rate(figures.messages_out)),
                line.figure(|figures| words::bytes(figures.outbox_bytes)),
                line.figure(|figures| words::rate(figures.drops)),
                line.figure(|figures| format!("{:.0} %", figures.cpu * 100.0)),
                line.figure(|figures| words::bytes(figures.resident_bytes)),
                Cell::from(line.address.as_deref()),
            ]);
        }
        table
    }

    /// The links as they were answered, each with the node that dials it.
    pub(super) fn raw_links(&self) -> Value {
        let mut all = Vec::new();
        for line in &self.lines {
            for link in line.status.iter().flat_map(|status| &status.mesh.links) {
                let mut object = json!({"node": line.id});
                let fields = serde_json::to_value(link).unwrap_or_default();
                if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
                    object.extend(fields);
                }
                all.push(object);
            }
        }
        Value::Array(all)
    }

    /// The nodes of the matrix, and its links.
    pub(super) fn links(&self) -> (Vec<&str>, Vec<Link>) {
        let heard = || self.lines.iter().filter_map(|line| Some((line.id.as_str(), &line.status.as_ref()?.mesh)));
        let mut nodes: Vec<&str> = self.lines.iter().map(|line| line.id.as_str()).collect();
        for link in heard().flat_map(|(_, mesh)| &mesh.links) {
            if !nodes.contains(&link.peer.as_str()) {
                nodes.push(&link.peer);
            }
        }
        let reports: Vec<(&str, &MeshStatus)> = heard().collect();
        let speaks = |id: &str| reports.iter().any(|(node, _)| *node == id);
        let mut links = Vec::new();
        for (node, link) in reports.iter().flat_map(|(node, mesh)| mesh.links.iter().map(move |link| (*node, link))) {
            let (from, to) = (node.to_owned(), link.peer.clone());
            links.push(Link { from, to, is_up: link.is_up, round_trip_ms: link.round_trip_ms });
            // Of who says nothing the others know at least whether they are reached from there.
            if !speaks(&link.peer) {
                let (from, to) = (link.peer.clone(), node.to_owned());
                links.push(Link { from, to, is_up: link.is_up_inbound, round_trip_ms: None });
            }
        }
        (nodes, links)
    }
}

impl NodeLine {
    fn of_view(view: &NodeView, members: &[&str]) -> NodeLine {
        // What a node said before it went down is not how it is.
        let heartbeat = view.heartbeat.as_ref().filter(|_| view.state != State::Down.name());
        NodeLine {
            id: view.id.clone(),
            state: view.state.clone(),
            seconds: view.state_seconds,
            reason: view.reason.clone(),
            address: Some(view.address.clone()),
            peers: peers(&view.id, heartbeat.map(|heartbeat| &heartbeat.status.mesh), members),
            status: heartbeat.map(|heartbeat| heartbeat.status.clone()),
            figures: heartbeat.map(|heartbeat| Figures {
                events_out: view.rates.events_out,
                messages_in: view.rates.messages_in,
                messages_out: view.rates.messages_out,
                drops: view.rates.drops,
                cpu: view.rates.cpu,
                outbox_bytes: heartbeat.counters.outbox_bytes,
                resident_bytes: heartbeat.counters.resident_bytes,
            }),
        }
    }

    fn of_status(status: NodeStatus) -> NodeLine {
        NodeLine {
            id: status.node.clone(),
            state: status.state.clone(),
            seconds: status.uptime_seconds as f64,
            reason: if status.state == State::Draining.name() { "lets its clients go" } else { "is not ready" }
                .to_owned(),
            address: None,
            peers: peers(&status.node, Some(&status.mesh), &[]),
            status: Some(status),
            figures: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up.name()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state == State::Draining.name()
    }

    /// Why its load balancer sends nobody to it, if it does not.
    /// Why it does not run what its configuration file says.
    fn not_run(&self) -> Option<&str> {
        self.status.as_ref()?.not_run.as_deref()
    }

    fn not_offered(&self) -> Option<&str> {
        self.status.as_ref()?.balancer.as_ref()?.not_offered.as_deref()
    }

    fn is_linked(&self) -> bool {
        self.n_linked() == self.peers.len()
    }

    /// A sentence for every link with this peer that is not there.
    fn missing_links(&self, peer: &str) -> Vec<String> {
        let id = &self.id;
        let links = self.status.iter().flat_map(|status| &status.mesh.links).filter(|link| link.peer == peer);
        let mut found = Vec::new();
        for link in links.filter(|link| !link.is_up) {
            let why = link.last_error.as_ref().map_or(String::new(), |error| format!(": {error}"));
            found.push(format!("the link from {id} to {peer} for {} is down{why}", link.realm));
        }
        if found.is_empty() {
            found.push(format!("{id} is not linked with {peer} in both directions"));
        }
        found
    }

    pub(super) fn sessions(&self) -> Option<usize> {
        Some(self.status.as_ref()?.sessions)
    }

    /// With how many of its peers it is linked.
    fn n_linked(&self) -> usize {
        self.peers.iter().filter(|(_, is_up)| *is_up).count()
    }

    fn links_cell(&self) -> Cell {
        let up = self.n_linked();
        self.status.as_ref().map_or(Cell::Absent, |_| number(format!("{up}/{}", self.peers.len())))
    }

    fn sessions_cell(&self) -> Cell {
        self.sessions().map_or(Cell::Absent, |sessions| number(words::count(sessions as u64)))
    }

    fn figure(&self, show: fn(&Figures) -> String) -> Cell {
        self.figures.as_ref().map_or(Cell::Absent, |figures| number(show(figures)))
    }
}

/// Those that a node names as its peers, and the other members: with one that it does not know yet it is not linked.
fn peers(node: &str, mesh: Option<&MeshStatus>, members: &[&str]) -> Vec<(String, bool)> {
    let mut peers: Vec<(String, bool)> = Vec::new();
    for link in mesh.into_iter().flat_map(|mesh| &mesh.links) {
        let is_up = link.is_up && link.is_up_inbound;
        match peers.iter_mut().find(|(peer, _)| *peer == link.peer) {
            Some((_, all_up)) => *all_up &= is_up,
            None => peers.push((link.peer.clone(), is_up)),
        }
    }
    for id in members.iter().filter(|id| **id != node) {
        if !peers.iter().any(|(peer, _)| peer == id) {
            peers.push(((*id).to_owned(), false));
        }
    }
    peers
}

pub(super) fn number(text: String) -> Cell {
    Cell::Number(text)
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
