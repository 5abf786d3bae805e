//! The metrics of the whole cluster, in the OpenMetrics format, made of what the nodes have said last.

use crate::admin::cluster_status::{ClusterStatus, NodeView};
use crate::admin::report::{Counters, Heartbeat};
use crate::cluster::State;
use std::fmt::Write;

/// What a series is, in the words of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// The lines of one series: the values of its labels, in their order, and the value.
type Samples = Vec<(Vec<String>, f64)>;

/// One series of the master's `/metrics`.
pub struct Series {
    /// Without the suffix of its kind.
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&ClusterStatus) -> Samples,
}

const ALL: &[Series] = &[
    gauge("crossbar_cluster_nodes", &["state"], "Nodes of the cluster by state.", nodes_by_state),
    gauge("crossbar_cluster_node_up", &["node"], "Whether the node is up.", |status| {
        of_nodes(status, |node| Some(f64::from(node.state == State::Up.name())))
    }),
    gauge("crossbar_cluster_node_state", &["node", "state"], "1 for the state that the node is in.", |status| {
        let of =
            |node: &NodeView, state: State| (vec![node.id.clone(), name(state)], f64::from(node.state == state.name()));
        status.nodes.iter().flat_map(|node| State::ALL.map(|state| of(node, state))).collect()
    }),
    gauge(
        "crossbar_cluster_node_config_not_run",
        &["node"],
        "Whether the node does not run what its configuration file says.",
        |status| of_heard(status, |beat| f64::from(beat.status.not_run.is_some())),
    ),
    gauge("crossbar_cluster_node_sessions", &["node"], "Sessions of clients on the node.", |status| {
        of_heard(status, |beat| beat.status.sessions as f64)
    }),
    counter("crossbar_cluster_node_events_out", &["node"], "EVENTs sent by the node.", |status| {
        of_counters(status, |counters| counters.events_out as f64)
    }),
    counter("crossbar_cluster_node_messages_in", &["node"], "Messages that the node has received.", |status| {
        of_counters(status, |counters| counters.messages_in as f64)
    }),
    counter("crossbar_cluster_node_messages_out", &["node"], "Messages that the node has sent.", |status| {
        of_counters(status, |counters| counters.messages_out as f64)
    }),
    counter("crossbar_cluster_node_drops", &["node", "reason"], "What the node did not deliver, by reason.", drops),
    gauge("crossbar_cluster_node_outbox_bytes", &["node"], "Bytes in all outboxes of the node.", |status| {
        of_counters(status, |counters| counters.outbox_bytes as f64)
    }),
    gauge("crossbar_cluster_node_outbox_fullest_bytes", &["node"], "Bytes in the node's fullest outbox.", |status| {
        of_counters(status, |counters| counters.outbox_bytes_fullest as f64)
    }),
    counter("crossbar_cluster_node_cpu_seconds", &["node"], "Processor time of the node.", |status| {
        of_counters(status, |counters| counters.cpu_seconds)
    }),
    gauge("crossbar_cluster_node_resident_memory_bytes", &["node"], "Resident memory of the node.", |status| {
        of_counters(status, |counters| counters.resident_bytes as f64)
    }),
    gauge("crossbar_cluster_node_open_fds", &["node"], "Open descriptors of the node.", |status| {
        of_counters(status, |counters| counters.open_files as f64)
    }),
    gauge("crossbar_cluster_node_max_fds", &["node"], "Descriptors that the node may have.", |status| {
        of_counters(status, |counters| counters.open_files_max as f64)
    }),
    gauge(
        "crossbar_cluster_link_up",
        &["node", "peer", "realm"],
        "Whether the link that the node dials to the peer is up.",
        |status| links(status, |link| Some(f64::from(link.is_up))),
    ),
    gauge(
        "crossbar_cluster_link_round_trip_seconds",
        &["node", "peer", "realm"],
        "How long the last ping on the link took.",
        |status| links(status, |link| link.round_trip_ms.filter(|_| link.is_up).map(|ms| ms / 1_000.0)),
    ),
    gauge(
        "crossbar_master_config_not_run",
        &[],
        "Whether the master itself does not run what its configuration file says.",
        |status| vec![(Vec::new(), f64::from(status.master.not_run.is_some()))],
    ),
    counter(
        "crossbar_master_drops",
        &["reason"],
        "What the master itself has ended and refused, by reason.",
        |status| {
            let drops = status.master.drops.iter();
            drops.map(|(reason, count)| (vec![reason.clone()], *count as f64)).collect()
        },
    ),
    gauge("crossbar_cluster_membership_version", &[], "Version of the membership.", |status| {
        vec![(Vec::new(), status.master.membership as f64)]
    }),
    gauge("crossbar_cluster_skew", &[], "Ways in which nodes differ that should be alike.", |status| {
        vec![(Vec::new(), status.skew.len() as f64)]
    }),
    gauge("crossbar_cluster_gate_open", &[], "Whether a rolling restart may go on to the next node.", |status| {
        vec![(Vec::new(), f64::from(status.gate.is_open))]
    }),
];

/// Every series, in the order in which they are shown.
pub const fn series() -> &'static [Series] {
    ALL
}

impl Series {
    /// Its name, as it is queried.
    pub fn name(&self) -> String {
        format!("{}{}", self.name, self.kind.suffix())
    }

    pub const fn labels(&self) -> &'static [&'static str] {
        self.labels
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }

    /// What it adds to the name of a series.
    const fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Gauge => "",
        }
    }
}

/// The exposition.
pub(super) fn render(status: &ClusterStatus) -> String {
    let mut out = String::new();
    for series in series() {
        let Series { name, kind, labels, help, samples } = series;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        for (values, value) in samples(status) {
            debug_assert_eq!(values.len(), labels.len(), "{name}: every label has a value");
            let labels: Vec<String> =
                labels.iter().zip(&values).map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{}{labels} {value}", series.name());
        }
    }
    out.push_str("# EOF\n");
    out
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&ClusterStatus) -> Samples,
) -> Series {
    Series { name, kind: Kind::Gauge, labels, help, samples }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&ClusterStatus) -> Samples,
) -> Series {
    Series { name, kind: Kind::Counter, labels, help, samples }
}

fn nodes_by_state(status: &ClusterStatus) -> Samples {
    let count = |state: State| status.nodes.iter().filter(|node| node.state == state.name()).count();
    State::ALL.map(|state| (vec![name(state)], count(state) as f64)).to_vec()
}

fn of_nodes(status: &ClusterStatus, value: impl Fn(&NodeView) -> Option<f64>) -> Samples {
    let sample = |node: &NodeView| Some((vec![node.id.clone()], value(node)?));
    status.nodes.iter().filter_map(sample).collect()
}

/// Of nodes that are heard of.
fn of_heard(status: &ClusterStatus, value: impl Fn(&Heartbeat) -> f64) -> Samples {
    of_nodes(status, |node| node.heartbeat.as_ref().filter(|_| node.state != State::Down.name()).map(&value))
}

fn of_counters(status: &ClusterStatus, value: impl Fn(&Counters) -> f64) -> Samples {
    of_heard(status, |beat| value(&beat.counters))
}

fn drops(status: &ClusterStatus) -> Samples {
    let of = |node: &NodeView| {
        let drops = node.heartbeat.iter().flat_map(|beat| beat.counters.drops.clone());
        let id = node.id.clone();
        drops.map(move |(reason, count)| (vec![id.clone(), reason], count as f64)).collect::<Samples>()
    };
    status.nodes.iter().filter(|node| node.state != State::Down.name()).flat_map(of).collect()
}

fn links(status: &ClusterStatus, value: impl Fn(&crate::admin::LinkStatus) -> Option<f64>) -> Samples {
    let mut samples = Vec::new();
    for node in status.nodes.iter().filter(|node| node.state != State::Down.name()) {
        for link in node.heartbeat.iter().flat_map(|beat| &beat.status.mesh.links) {
            let values = vec![node.id.clone(), link.peer.clone(), link.realm.clone()];
            samples.extend(value(link).map(|value| (values, value)));
        }
    }
    samples
}

fn name(state: State) -> String {
    state.name().to_owned()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
