//! The state of one node, as `/info` tells it in JSON and HTML: all to operators, little to clients. Only for looking:
//! nothing is decided by it.

use serde::{Deserialize, Serialize};

/// What anybody may know who reaches a port for clients.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeBrief {
    pub node: String,
    pub program: String,
    pub version: String,
    /// RFC 3339, UTC.
    pub started: String,
    pub uptime_seconds: u64,
    /// `joining` while its links come up after its start, `up` or `draining`.
    pub state: String,
}

/// One node at one moment, for operators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    pub node: String,
    pub program: String,
    pub version: String,
    pub hostname: String,
    pub pid: u32,
    /// RFC 3339, UTC.
    pub started: String,
    pub uptime_seconds: u64,
    /// The node's ed25519 key, 64 hex digits; empty when it has none.
    pub public_key: String,
    /// `joining` while its links come up after its start, `up` or `draining`.
    pub state: String,
    /// Why it does not run what its configuration file says; None where it does. Nodes of earlier versions do not tell
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    pub descriptors_max: u64,
    pub connections: usize,
    pub sessions: usize,
    /// Memory that is kept for clients, outboxes included, and `kept_bytes_max`. Nodes of earlier versions do not tell
    /// either.
    pub kept_bytes: u64,
    pub kept_bytes_max: u64,
    pub event_delay_ms: f64,
    pub listeners: Vec<ListenerStatus>,
    pub realms: Vec<RealmStatus>,
    pub mesh: MeshStatus,
    /// Of an edge that has an agent port. Nodes of earlier versions do not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balancer: Option<BalancerStatus>,
}

/// How an edge stands with the load balancers that ask its agent port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BalancerStatus {
    /// How many questions were answered.
    pub answers: u64,
    /// The last answer; None where nobody has asked yet.
    pub answer: Option<String>,
    /// How long ago that was.
    pub answered_seconds: Option<f64>,
    /// Why no clients are sent to this edge, as far as it can know; None where they are.
    pub not_offered: Option<String>,
}

/// The links of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeshStatus {
    /// Whether every configured peer is linked in both directions, for every realm.
    pub is_complete: bool,
    pub links: Vec<LinkStatus>,
}

/// The two links between this node and a peer, for one realm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStatus {
    pub peer: String,
    pub address: String,
    pub realm: String,
    /// Whether the link that this node dials is up, and whether the one that the peer dials is.
    pub is_up: bool,
    pub is_up_inbound: bool,
    /// How long the outbound link has been as it is.
    pub seconds: f64,
    pub round_trip_ms: Option<f64>,
    /// Bytes that wait to be written to the peer, in both links.
    pub queued_bytes: usize,
    pub attempts: u64,
    pub last_error: Option<String>,
}

/// One listener of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerStatus {
    pub address: String,
    pub connections: usize,
    pub handshakes: usize,
}

/// One realm, as this node sees its own sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RealmStatus {
    pub name: String,
    pub sessions: usize,
    pub subscriptions: usize,
    pub registrations: usize,
    /// Memory that is kept for its clients.
    pub kept_bytes: u64,
}
