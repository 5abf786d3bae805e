//! The metrics of the whole cluster, in the OpenMetrics format, made of what the nodes have said last.

use crate::admin::cluster_status::{ClusterStatus, NodeView};
use crate::admin::report::{Counters, Heartbeat};
use std::fmt::Write;

/// What a series is, in the words of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// The lines of one series: labels and value.
type Samples = Vec<(Vec<(&'static str, String)>, f64)>;

struct Series {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: fn(&ClusterStatus) -> Samples,
}

/// Every series, in the order in which they are shown.
const ALL: &[Series] = &[
    gauge("crossbar_cluster_nodes", "Nodes of the cluster by state.", nodes_by_state),
    gauge("crossbar_cluster_node_up", "Whether the node is up.", |status| {
        of_nodes(status, |node| Some(f64::from(node.state.name() == "up")))
    }),
    gauge("crossbar_cluster_node_state", "1 for the state that the node is in.", |status| {
        let states = |node: &NodeView| STATES.map(|state| (node.id.clone(), state, node.state.name() == state));
        let samples = status.nodes.iter().flat_map(states);
        samples.map(|(id, state, is_in)| (vec![("node", id), ("state", state.to_owned())], f64::from(is_in))).collect()
    }),
    gauge("crossbar_cluster_node_sessions", "Sessions of clients on the node.", |status| {
        of_heard(status, |beat| beat.status.sessions as f64)
    }),
    counter("crossbar_cluster_node_events_out", "EVENTs sent by the node.", |status| {
        of_counters(status, |counters| counters.events_out as f64)
    }),
    counter("crossbar_cluster_node_messages_in", "Messages that the node has received.", |status| {
        of_counters(status, |counters| counters.messages_in as f64)
    }),
    counter("crossbar_cluster_node_messages_out", "Messages that the node has sent.", |status| {
        of_counters(status, |counters| counters.messages_out as f64)
    }),
    counter("crossbar_cluster_node_drops", "What the node did not deliver, by reason.", drops),
    gauge("crossbar_cluster_node_outbox_bytes", "Bytes in all outboxes of the node.", |status| {
        of_counters(status, |counters| counters.outbox_bytes as f64)
    }),
    gauge("crossbar_cluster_node_outbox_fullest_bytes", "Bytes in the node's fullest outbox.", |status| {
        of_counters(status, |counters| counters.outbox_bytes_fullest as f64)
    }),
    counter("crossbar_cluster_node_cpu_seconds", "Processor time of the node.", |status| {
        of_counters(status, |counters| counters.cpu_seconds)
    }),
    gauge("crossbar_cluster_node_resident_memory_bytes", "Resident memory of the node.", |status| {
        of_counters(status, |counters| counters.resident_bytes as f64)
    }),
    gauge("crossbar_cluster_node_open_fds", "Open descriptors of the node.", |status| {
        of_counters(status, |counters| counters.open_files as f64)
    }),
    gauge("crossbar_cluster_node_max_fds", "Descriptors that the node may have.", |status| {
        of_counters(status, |counters| counters.open_files_max as f64)
    }),
    gauge("crossbar_cluster_link_up", "Whether the link that the node dials to the peer is up.", |status| {
        links(status, |link| Some(f64::from(link.is_up)))
    }),
    gauge("crossbar_cluster_link_round_trip_seconds", "How long the last ping on the link took.", |status| {
        links(status, |link| link.round_trip_ms.filter(|_| link.is_up).map(|ms| ms / 1_000.0))
    }),
    gauge("crossbar_cluster_membership_version", "Version of the membership.", |status| {
        vec![(Vec::new(), status.master.membership as f64)]
    }),
    gauge("crossbar_cluster_skew", "Ways in which nodes differ that should be alike.", |status| {
        vec![(Vec::new(), status.skew.len() as f64)]
    }),
    gauge("crossbar_cluster_gate_open", "Whether a rolling restart may go on to the next node.", |status| {
        vec![(Vec::new(), f64::from(status.gate.is_open))]
    }),
];

const STATES: [&str; 5] = ["joining", "up", "late", "draining", "down"];

/// The names of all series, as they are queried.
pub fn names() -> impl Iterator<Item = String> {
    ALL.iter().map(|series| match series.kind {
        Kind::Counter => format!("{}_total", series.name),
        Kind::Gauge => series.name.to_owned(),
    })
}

/// The exposition.
pub(super) fn render(status: &ClusterStatus) -> String {
    let mut out = String::new();
    for Series { name, kind, help, samples } in ALL {
        let (word, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
        };
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {word}");
        for (labels, value) in samples(status) {
            let labels: Vec<String> =
                labels.into_iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(&value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{name}{suffix}{labels} {value}");
        }
    }
    out.push_str("# EOF\n");
    out
}

const fn gauge(name: &'static str, help: &'static str, samples: fn(&ClusterStatus) -> Samples) -> Series {
    Series { name, kind: Kind::Gauge, help, samples }
}

const fn counter(name: &'static str, help: &'static str, samples: fn(&ClusterStatus) -> Samples) -> Series {
    Series { name, kind: Kind::Counter, help, samples }
}

fn nodes_by_state(status: &ClusterStatus) -> Samples {
    let count = |state| status.nodes.iter().filter(|node| node.state.name() == state).count();
    STATES.iter().map(|state| (vec![("state", (*state).to_owned())], count(*state) as f64)).collect()
}

fn of_nodes(status: &ClusterStatus, value: impl Fn(&NodeView) -> Option<f64>) -> Samples {
    let sample = |node: &NodeView| Some((vec![("node", node.id.clone())], value(node)?));
    status.nodes.iter().filter_map(sample).collect()
}

/// Of nodes that are heard of.
fn of_heard(status: &ClusterStatus, value: impl Fn(&Heartbeat) -> f64) -> Samples {
    of_nodes(status, |node| node.heartbeat.as_ref().filter(|_| node.state.name() != "down").map(&value))
}

fn of_counters(status: &ClusterStatus, value: impl Fn(&Counters) -> f64) -> Samples {
    of_heard(status, |beat| value(&beat.counters))
}

fn drops(status: &ClusterStatus) -> Samples {
    let of = |node: &NodeView| {
        let drops = node.heartbeat.iter().flat_map(|beat| beat.counters.drops.clone());
        let id = node.id.clone();
        drops
            .map(move |(reason, count)| (vec![("node", id.clone()), ("reason", reason)], count as f64))
            .collect::<Samples>()
    };
    status.nodes.iter().filter(|node| node.state.name() != "down").flat_map(of).collect()
}

fn links(status: &ClusterStatus, value: impl Fn(&crate::admin::LinkStatus) -> Option<f64>) -> Samples {
    let mut samples = Vec::new();
    for node in status.nodes.iter().filter(|node| node.state.name() != "down") {
        for link in node.heartbeat.iter().flat_map(|beat| &beat.status.mesh.links) {
            let labels = vec![("node", node.id.clone()), ("peer", link.peer.clone()), ("realm", link.realm.clone())];
            samples.extend(value(link).map(|value| (labels, value)));
        }
    }
    samples
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
