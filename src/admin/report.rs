//! What a node tells when it is asked, and what it tells the master every second.

use super::NodeStatus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One node, as it reports to the master.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    pub status: NodeStatus,
    pub counters: Counters,
    /// Of that part of the configuration in which nodes should be alike; 16 hex digits.
    pub config_digest: String,
    /// What has been refused since the last heartbeat, as far as it is kept. A new master is told all of it.
    pub refusals: Vec<RefusalRow>,
}

impl Heartbeat {
    /// Whether the node with this id may have said this: it speaks of itself, in words as short and numbers as small as
    /// those of any node. The error is one sentence.
    pub fn check(&self, node: &str) -> Result<(), String> {
        let status = &self.status;
        if status.node != node {
            return Err(format!("this is the session of {node}, but the heartbeat is of {:?}", status.node));
        }
        let words = [
            ("program", &status.program),
            ("version", &status.version),
            ("hostname", &status.hostname),
            ("started", &status.started),
            ("public_key", &status.public_key),
            ("state", &status.state),
            ("config_digest", &self.config_digest),
        ];
        if let Some((name, word)) = words.into_iter().find(|(_, word)| word.len() > WORD_BYTES_MAX) {
            return Err(format!("{name} has {} bytes, {WORD_BYTES_MAX} are allowed", word.len()));
        }
        let sentence = status.not_run.as_deref().unwrap_or_default();
        if sentence.len() > SENTENCE_BYTES_MAX {
            return Err(format!("not_run has {} bytes, {SENTENCE_BYTES_MAX} are allowed", sentence.len()));
        }
        if status.sessions.max(status.connections) > CONNECTIONS_MAX {
            return Err(format!("no node has more than {CONNECTIONS_MAX} sessions or connections"));
        }
        let figures = [status.event_delay_ms, self.counters.cpu_seconds];
        let times = status.mesh.links.iter().flat_map(|link| [link.seconds, link.round_trip_ms.unwrap_or_default()]);
        if !figures.into_iter().chain(times).all(|told| (0.0..f64::MAX).contains(&told)) {
            return Err("a time is no number that a node tells".to_owned());
        }
        Ok(())
    }
}

/// A host name is the longest of them.
const WORD_BYTES_MAX: usize = 255;
/// Of a sentence that a node says of itself.
pub const SENTENCE_BYTES_MAX: usize = 1_024;
/// More than any node can have, and few enough that no sum of them is too large.
const CONNECTIONS_MAX: usize = 100_000_000;

/// What has been counted since the node was started, and how full things are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    pub messages_in: u64,
    pub messages_out: u64,
    /// EVENTs to clients and peers.
    pub events_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// By `DropReason`; those that are zero are left out.
    pub drops: BTreeMap<String, u64>,
    pub publisher_stalls: u64,
    pub outbox_bytes: u64,
    pub outbox_bytes_fullest: u64,
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub open_files: u64,
    pub open_files_max: u64,
}

/// One loss or refusal, or of a flood of them what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusalRow {
    /// Grows from one to the next of a node, also over a restart.
    pub number: u64,
    /// Microseconds since the epoch.
    pub at_us: u64,
    pub node: String,
    /// The name of its `DropReason`.
    pub reason: String,
    /// Who it was, as far as that is known; the realm and the authid of who was not admitted are as they were claimed.
    pub session: Option<u64>,
    pub authid: Option<String>,
    pub authrole: Option<String>,
    pub realm: Option<String>,
    /// Where it came from, like `tcp4:192.0.2.1:51926`.
    pub peer: Option<String>,
    /// What was to be done, and the topic or procedure.
    pub action: Option<String>,
    pub uri: Option<String>,
    /// One sentence: why.
    pub text: String,
    /// How many there were: more than one of lost events, and of what was left out because there was too much of it.
    pub times: u64,
}

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionRow {
    pub node: String,
    pub realm: String,
    pub session: u64,
    pub authid: String,
    pub authrole: String,
    /// Where it comes from, like `tcp4:192.0.2.1:51926`.
    pub peer: String,
    /// What it speaks, like `wamp.2.cbor`.
    pub protocol: String,
    pub seconds: f64,
    pub subscriptions: usize,
    pub registrations: usize,
    /// Bytes that wait to be written to it.
    pub queued_bytes: usize,
}

/// One registration or subscription, as far as clients of this node have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PatternRow {
    pub node: String,
    pub realm: String,
    pub id: u64,
    pub uri: String,
    pub r#match: String,
    /// Of a registration.
    pub invoke: Option<String>,
    /// Its callees or subscribers on this node.
    pub members: usize,
}

/// A trace has begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceStarted {
    pub trace: u64,
    pub lines_max: u64,
    pub seconds: f64,
}

/// Lines of a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceLines {
    pub lines: Vec<TraceLine>,
    /// The number of the last line.
    pub last: u64,
    /// Lines that were not kept, because nobody read as fast as messages passed.
    pub lost: u64,
    /// Why it has ended, once it has.
    pub ended: Option<String>,
}

/// One message as it passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceLine {
    pub number: u64,
    /// Microseconds since the epoch.
    pub at_us: u64,
    pub node: String,
    pub session: u64,
    /// `in` from the session, or `out` to it.
    pub direction: String,
    /// The message in JSON, cut where it is long.
    pub message: String,
}
