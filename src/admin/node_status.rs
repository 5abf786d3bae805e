//! The state of one node, as `/info` tells it in JSON and HTML. Only for looking: nothing is decided by it.

use serde::Serialize;

/// One node at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    pub node: String,
    pub program: &'static str,
    pub version: &'static str,
    pub hostname: String,
    pub pid: u32,
    /// RFC 3339, UTC.
    pub started: String,
    pub uptime_seconds: u64,
    /// The node's ed25519 key, 64 hex digits; empty when it has none.
    pub public_key: String,
    /// `up` or `draining`.
    pub state: &'static str,
    pub descriptors_max: u64,
    pub connections: usize,
    pub sessions: usize,
    pub event_delay_ms: f64,
    pub listeners: Vec<ListenerStatus>,
    pub realms: Vec<RealmStatus>,
}

/// One listener of the node.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerStatus {
    pub address: String,
    pub connections: usize,
    pub handshakes: usize,
}

/// One realm, as this node sees its own sessions.
#[derive(Clone, Debug, Serialize)]
pub struct RealmStatus {
    pub name: String,
    pub sessions: usize,
    pub subscriptions: usize,
    pub registrations: usize,
}
