//! The cluster as it is shown: what was decided, put together with what the nodes have said.

use super::steward::Steward;
use crate::admin::cluster_status::{ClusterStatus, GateStatus, MasterStatus, NodeView, Rates, RebalanceStatus, Totals};
use crate::admin::report::{Counters, Heartbeat};
use crate::cluster::{Gate, Node, State};
use crate::time::Now;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a node has said last, and how that compares with what it said before.
#[derive(Debug)]
pub(super) struct Known {
    pub heartbeat: Heartbeat,
    pub rates: Rates,
    at: Duration,
}

impl Known {
    pub(super) fn new(now: Now, heartbeat: Heartbeat) -> Known {
        Known { heartbeat, rates: Rates::default(), at: now.uptime }
    }

    pub(super) fn take(&mut self, now: Now, heartbeat: Heartbeat) {
        let seconds = now.uptime.saturating_sub(self.at).as_secs_f64();
        let is_same_run = self.heartbeat.status.started == heartbeat.status.started;
        self.rates = if is_same_run && seconds > 0.0 {
            rates(&self.heartbeat.counters, &heartbeat.counters, seconds)
        } else {
            Rates::default()
        };
        (self.heartbeat, self.at) = (heartbeat, now.uptime);
    }
}

fn rates(before: &Counters, after: &Counters, seconds: f64) -> Rates {
    let per_second = |of: fn(&Counters) -> u64| of(after).saturating_sub(of(before)) as f64 / seconds;
    Rates {
        events_out: per_second(|counters| counters.events_out),
        messages_in: per_second(|counters| counters.messages_in),
        messages_out: per_second(|counters| counters.messages_out),
        bytes_in: per_second(|counters| counters.bytes_in),
        bytes_out: per_second(|counters| counters.bytes_out),
        drops: per_second(|counters| counters.drops.values().fold(0, |sum, n| sum.saturating_add(*n))),
        cpu: (after.cpu_seconds - before.cpu_seconds).max(0.0) / seconds,
    }
}

impl Steward {
    /// Everything, as of now.
    pub(super) fn status(&self) -> ClusterStatus {
        let (now, cluster, known) = (self.now(), self.cluster.borrow(), self.known.borrow());
        let nodes: Vec<NodeView> =
            cluster.nodes().map(|node| node_view(now, node, known.get(&node.member.id))).collect();
        let shard = self.shard.borrow();
        let master = MasterStatus {
            id: shard.node.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: shard.node.hostname.clone(),
            pid: shard.node.pid,
            public_key: shard.node.public_key.clone(),
            started: shard.node.started_text(),
            uptime_seconds: now.uptime.as_secs(),
            membership: cluster.membership().version,
            now: time_text(now.wall),
            not_run: shard.not_run(),
            drops: shard.stats.drops_by_name(),
        };
        let gate = match cluster.gate() {
            Gate::Open => GateStatus { is_open: true, waits_for: None },
            Gate::Closed(reason) => GateStatus { is_open: false, waits_for: Some(reason) },
        };
        let rebalance = cluster.rebalance().map(|rebalance| RebalanceStatus {
            started: time_text(rebalance.started.wall),
            rounds: rebalance.rounds,
            moved: rebalance.moved,
        });
        let (totals, skew) = (totals(&nodes), skew(&nodes));
        let events = self.events.borrow().iter().rev().cloned().collect();
        ClusterStatus { master, nodes, totals, gate, rebalance, skew, events }
    }
}

fn node_view(now: Now, node: &Node, known: Option<&Known>) -> NodeView {
    let silent = now.uptime.saturating_sub(node.heard);
    NodeView {
        id: node.member.id.clone(),
        address: node.member.address.clone(),
        public_key: node.member.public_key.to_string(),
        state: node.state.name().to_owned(),
        since: time_text(node.since.wall),
        state_seconds: now.uptime.saturating_sub(node.since.uptime).as_secs_f64(),
        reason: node.reason.clone(),
        silent_seconds: silent.as_secs_f64(),
        // Of a node that says nothing nobody knows how fast it is.
        rates: known.filter(|_| node.is_connected).map(|known| known.rates).unwrap_or_default(),
        heartbeat: known.map(|known| known.heartbeat.clone()),
    }
}

fn totals(nodes: &[NodeView]) -> Totals {
    let is_heard = |node: &&NodeView| !matches!(node.state.as_str(), "down" | "joining");
    let heard = || nodes.iter().filter(is_heard);
    let beats = || heard().filter_map(|node| node.heartbeat.as_ref());
    Totals {
        nodes: nodes.len(),
        nodes_up: nodes.iter().filter(|node| node.state == State::Up.name()).count(),
        sessions: beats().map(|beat| beat.status.sessions).sum(),
        events_out: heard().map(|node| node.rates.events_out).sum::<f64>() + 0.0,
        messages_in: heard().map(|node| node.rates.messages_in).sum::<f64>() + 0.0,
        outbox_bytes: beats().map(|beat| beat.counters.outbox_bytes).fold(0, u64::saturating_add),
    }
}

/// Where nodes differ that should be alike.
fn skew(nodes: &[NodeView]) -> Vec<String> {
    let heard = || nodes.iter().filter_map(|node| Some((node.id.as_str(), node.heartbeat.as_ref()?)));
    let versions = by_value(heard().map(|(id, beat)| (beat.status.version.as_str(), id)));
    let digests = by_value(heard().map(|(id, beat)| (beat.config_digest.as_str(), id)));
    let mut found = Vec::new();
    for (what, groups) in [("versions", versions), ("configurations", digests)] {
        if groups.len() > 1 {
            let groups: Vec<String> =
                groups.into_iter().map(|(value, nodes)| format!("{value} on {}", nodes.join(", "))).collect();
            found.push(format!("nodes have different {what}: {}", groups.join("; ")));
        }
    }
    found
}

fn by_value<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (value, node) in pairs {
        groups.entry(value).or_default().push(node);
    }
    groups
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn time_text(wall: Duration) -> String {
    let at = i64::try_from(wall.as_millis()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| format!("{at:.3}"))
}
