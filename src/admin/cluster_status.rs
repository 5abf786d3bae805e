//! The whole cluster at one moment, as the master tells it: what `/api/cluster` says, and what the dashboard and
//! `crossbarctl` are made of.

use super::report::Heartbeat;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The cluster. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterStatus {
    pub master: MasterStatus,
    pub nodes: Vec<NodeView>,
    pub totals: Totals,
    pub gate: GateStatus,
    pub rebalance: Option<RebalanceStatus>,
    /// Where nodes that should be alike are not: one sentence each.
    pub skew: Vec<String>,
    /// The latest events of the log, the newest first.
    pub events: Vec<LoggedEvent>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MasterStatus {
    pub id: String,
    pub version: String,
    pub hostname: String,
    pub pid: u32,
    pub public_key: String,
    pub started: String,
    pub uptime_seconds: u64,
    /// The version of the membership.
    pub membership: u64,
    pub now: String,
    /// Why it does not run what its configuration file says; None where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// Of its own: what it has ended and refused, by reason.
    pub drops: BTreeMap<String, u64>,
}

/// One node, as the master sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeView {
    pub id: String,
    pub address: String,
    pub public_key: String,
    /// The name of its `cluster::State`.
    pub state: String,
    pub since: String,
    pub state_seconds: f64,
    pub reason: String,
    /// Since it was last heard of.
    pub silent_seconds: f64,
    /// Between the last two heartbeats.
    pub rates: Rates,
    /// The last thing it said; None when it has said nothing since the master was started.
    pub heartbeat: Option<Heartbeat>,
}

/// Per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    pub events_out: f64,
    pub messages_in: f64,
    pub messages_out: f64,
    pub bytes_in: f64,
    pub bytes_out: f64,
    pub drops: f64,
    /// Cores that are busy.
    pub cpu: f64,
}

/// Over all nodes that are heard of.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    pub nodes: usize,
    pub nodes_up: usize,
    pub sessions: usize,
    pub events_out: f64,
    pub messages_in: f64,
    pub outbox_bytes: u64,
}

/// Whether a rolling restart may go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GateStatus {
    pub is_open: bool,
    /// What is missing.
    pub waits_for: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RebalanceStatus {
    pub started: String,
    pub rounds: u32,
    pub moved: usize,
}

/// One line of the cluster's log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggedEvent {
    /// Counts from 1, over restarts too.
    pub number: u64,
    pub at: String,
    /// The node that it is about.
    pub node: Option<String>,
    /// One word: a state, or `admitted`, `link_lost`, `rebalance`, …
    pub kind: String,
    pub text: String,
}

/// The last hour: one point every `step_seconds`, the oldest first. What is not known is null.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    pub step_seconds: u64,
    /// Unix time of each point, in seconds.
    pub times: Vec<u64>,
    pub nodes: Vec<NodeHistory>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeHistory {
    pub id: String,
    pub sessions: Vec<Option<u64>>,
    pub events_out: Vec<Option<f64>>,
}
