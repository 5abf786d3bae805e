//! What can be asked of a node and of the master: one table, from which procedures, the command line and the
//! documentation follow. A command is the last component of a procedure's URI, its fields are keyword arguments.
//!
//! | procedure | where |
//! | --- | --- |
//! | `crossbar.node.<id>.<command>` | on the admin port of that node, and on the master, which passes it on |
//! | `crossbar.master.<command>` | on the master |

use super::text::on_one_line;
use crate::wire::{Payload, Serializer};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The realm of a node's admin port.
pub const NODE_REALM: &str = "crossbar.node";
/// The realm of the master.
pub const MASTER_REALM: &str = "crossbar.master";
/// Procedures of the master.
pub const MASTER_PREFIX: &str = "crossbar.master.";
/// Event of the master: the membership has changed; its argument is the new one.
pub const ON_MEMBERSHIP: &str = "crossbar.master.on_membership";
/// Event of the master: something was written into the log of the cluster.
pub const ON_EVENT: &str = "crossbar.master.on_event";
/// May ask anything of a node or of the master.
pub const OPERATOR_ROLE: &str = "operator";

/// The time that a command gives in seconds: a day at most. The error is one sentence.
pub fn seconds_of(seconds: f64) -> Result<Duration, String> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time <= TIME_MAX => Ok(time),
        _ => Err(format!("seconds = {seconds}, but it must be between 0 and {}", TIME_MAX.as_secs())),
    }
}

const TIME_MAX: Duration = Duration::from_secs(86_400);

/// One line of the log about a command that steers: who asked for it, from where, what exactly, and what came of it.
/// What only looks is not worth a line.
pub fn audit(who: &str, from: &str, procedure: &str, payload: &Payload, refusal: Option<String>) {
    let name = procedure.rsplit('.').next().unwrap_or_default();
    let (_, kwargs) = payload.elements_in(Serializer::Json);
    if LOOKS.contains(&name) || name == "log_level" && asks_for_level(&kwargs) {
        return;
    }
    let with = on_one_line(&String::from_utf8_lossy(&kwargs), AUDIT_BYTES_MAX);
    let refusal = refusal.map(|sentence| on_one_line(&sentence, AUDIT_BYTES_MAX));
    let procedure = on_one_line(procedure, AUDIT_BYTES_MAX);
    let result = refusal.as_deref().unwrap_or("done");
    tracing::info!(who, from, procedure, with, result, "{who} at {from} asked for {procedure} {with}: {result}");
}

/// The commands that change nothing.
const LOOKS: [&str; 10] = [
    "status",
    "sessions",
    "registrations",
    "subscriptions",
    "membership",
    "events",
    "refusals",
    "heartbeat",
    "trace_read",
    "trace_stop",
];
/// What is shown of the arguments of a command, which are bounded, but not short.
const AUDIT_BYTES_MAX: usize = 500;

/// Whether `log_level` only asks what is logged.
fn asks_for_level(kwargs: &[u8]) -> bool {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(kwargs).unwrap_or_default();
    fields.get("level").is_none_or(serde_json::Value::is_null)
}

/// The prefix of a node's procedures.
pub fn node_prefix(node: &str) -> String {
    format!("crossbar.node.{node}.")
}

/// What a node does when it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum NodeCommand {
    /// Answers its `NodeStatus`.
    Status,
    /// Answers a list of `SessionRow`.
    Sessions(Rows),
    /// Answers a list of `PatternRow`.
    Registrations(Rows),
    /// Answers a list of `PatternRow`.
    Subscriptions(Rows),
    /// Answers a list of `RefusalRow`: who was refused lately, and why.
    Refusals(RefusalsWanted),
    /// Lets its clients go over this time (its own drain time), and takes no new ones.
    Drain { seconds: Option<f64> },
    /// Takes clients again.
    Undrain,
    /// Lets some clients go, so that the load balancer gives them to other nodes.
    Shed { sessions: usize, seconds: f64 },
    /// Ends a session. Answers whether there was one.
    Kick { session: u64, reason: Option<String> },
    /// Forgets answers of authorizers that are kept, and asks them again about the subscriptions and registrations that
    /// rest on these. Answers the number of those.
    ForgetAnswers(ForgetAnswers),
    /// Changes what is logged, until the next start. Answers what is logged now.
    LogLevel { level: Option<String> },
    /// Begins to show messages as they pass. Answers a `TraceStarted`.
    TraceStart(TraceRequest),
    /// Answers a `TraceLines`: those after the line with this number. Who does not ask for 10 s ends the trace.
    TraceRead { trace: u64, after: u64 },
    /// Ends a trace.
    TraceStop { trace: u64 },
}

/// Which rows of a list are answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rows {
    /// Only of this realm.
    pub realm: Option<String>,
    /// Not the first so many, which have been answered before.
    pub skip: Option<usize>,
    /// At most so many (1,000, and never more, so that an answer stays below what a message may weigh).
    pub limit: Option<usize>,
}

/// Which refusals are asked for: those that fit all that is given, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusalsWanted {
    /// Of this node.
    pub node: Option<String>,
    pub realm: Option<String>,
    pub authid: Option<String>,
    /// A `DropReason`.
    pub reason: Option<String>,
    /// The latest so many (100; at most 1,000).
    pub limit: Option<usize>,
}

/// Which answers of authorizers are forgotten: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForgetAnswers {
    /// Only in this realm.
    pub realm: Option<String>,
    /// About the principal of this session, if it is here.
    pub session: Option<u64>,
    pub authid: Option<String>,
    pub authrole: Option<String>,
    /// About this topic, procedure or pattern, or a pattern that covers it.
    pub uri: Option<String>,
}

/// Which messages a trace shows: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceRequest {
    /// Messages from and to this session.
    pub session: Option<u64>,
    /// Messages about this topic.
    pub topic: Option<String>,
    /// Messages about this procedure.
    pub procedure: Option<String>,
    /// Ends by itself after so many lines (1,000 at most) or so many seconds (600 at most).
    pub lines: Option<u64>,
    pub seconds: Option<f64>,
}

/// What the master does when it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum MasterCommand {
    /// Answers its `ClusterStatus`.
    Status,
    /// Answers the `Membership`.
    Membership,
    /// Admits a node, or changes its address or key.
    NodeAdd { id: String, address: String, public_key: String },
    /// Takes a node out of the cluster.
    NodeRemove { id: String },
    /// Has a node let its clients go.
    Drain { id: String, seconds: Option<f64> },
    /// Has a node take clients again.
    Undrain { id: String },
    /// Evens out the sessions; at most `rate` of them move per second.
    Rebalance { rate: Option<f64> },
    /// Answers the events of the log after the one with this number, at most `limit` (1,000).
    Events { after: u64, limit: Option<usize> },
    /// Answers a list of `RefusalRow`: who was refused lately by the nodes or by the master itself, and why.
    Refusals(RefusalsWanted),
    /// Only of nodes: how they are. Takes a `Heartbeat` as its argument.
    Heartbeat,
}
