//! The text of `/metrics`: the shards' snapshots added up, series by series, in the OpenMetrics format.

use super::Process;
use super::series::{Kind, Series};
use super::stats::{Counter, MESSAGE_TYPES, Stats, TURN_BUCKETS_US};
use crate::drop::DropReason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::{MetricType, exemplar::Exemplar};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The `Content-Type` of what `render` returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What one shard tells when it is asked: its counters, and how things stand.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub stats: Stats,
    /// Open sessions by realm.
    pub sessions: Vec<(String, u64)>,
    /// Open connections by listener.
    pub connections: Vec<(String, u64)>,
    /// Bytes in all outboxes together, and in the fullest.
    pub outbox_bytes: u64,
    pub outbox_bytes_fullest: u64,
    /// What is kept for clients, by realm and kind.
    pub kept: Vec<(String, &'static str, u64)>,
    pub kept_bytes_max: u64,
    /// How long events wait for company at present.
    pub event_delay: Duration,
}

/// What is true of the node and not of one shard.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    pub node: String,
    pub version: &'static str,
    pub uptime: Duration,
    /// It does not run what its configuration file says.
    pub is_config_not_run: bool,
    pub process: Process,
}

/// The exposition of a node with these shards.
pub fn render(node: &NodeFacts, shards: &[Snapshot]) -> String {
    let families = Series::ALL.iter().map(|series| (*series, samples(*series, node, shards))).collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a string succeeds");
    out
}

/// One line, or for a histogram one group of lines: the values of the series' labels in their order, and the value.
#[derive(Debug, PartialEq)]
struct Sample {
    labels: Vec<String>,
    value: Value,
}

#[derive(Debug, PartialEq)]
enum Value {
    Integer(u64),
    Float(f64),
    Histogram { sum: f64, buckets: Vec<(f64, u64)> },
    Info,
}

fn samples(series: Series, node: &NodeFacts, shards: &[Snapshot]) -> Vec<Sample> {
    let one = |value| vec![Sample { labels: Vec::new(), value }];
    let integer = |value: u64| one(Value::Integer(value));
    let seconds = |time: Duration| one(Value::Float(time.as_secs_f64()));
    let sum = |counter: fn(&Stats) -> &Counter| shards.iter().map(|shard| counter(&shard.stats).value()).sum::<u64>();
    match series {
        Series::Build => vec![Sample { labels: vec![node.version.to_owned(), node.node.clone()], value: Value::Info }],
        Series::Uptime => seconds(node.uptime),
        Series::ConfigNotRun => integer(u64::from(node.is_config_not_run)),
        Series::Sessions => by_name(shards, |shard| &shard.sessions),
        Series::SessionsOpened => integer(sum(|stats| &stats.sessions_opened)),
        Series::Connections => by_name(shards, |shard| &shard.connections),
        Series::ConnectionsAccepted => integer(sum(|stats| &stats.connections_accepted)),
        Series::Handshakes => integer(sum(|stats| &stats.handshakes)),
        Series::Messages => messages(shards),
        Series::Bytes => {
            vec![labelled(&["in"], sum(|stats| &stats.bytes_in)), labelled(&["out"], sum(|stats| &stats.bytes_out))]
        }
        Series::Reads => integer(sum(|stats| &stats.reads)),
        Series::Writes => integer(sum(|stats| &stats.writes)),
        Series::OutboxBytes => integer(shards.iter().map(|shard| shard.outbox_bytes).sum()),
        Series::OutboxBytesFullest => {
            integer(shards.iter().map(|shard| shard.outbox_bytes_fullest).max().unwrap_or_default())
        }
        Series::KeptBytes => {
            let kept = shards.iter().flat_map(|shard| &shard.kept);
            kept.map(|(realm, kind, bytes)| labelled(&[realm, kind], *bytes)).collect()
        }
        Series::KeptBytesMax => integer(shards.iter().map(|shard| shard.kept_bytes_max).sum()),
        Series::PublisherStalls => integer(sum(|stats| &stats.publisher_stalls)),
        Series::Throttles => integer(sum(|stats| &stats.throttles)),
        Series::Drops => DropReason::ALL
            .iter()
            .map(|reason| labelled(&[reason.name()], shards.iter().map(|shard| shard.stats.drops(*reason)).sum()))
            .collect(),
        Series::Turns => one(turns(shards)),
        Series::EventDelay => {
            let delay = |(n, shard): (usize, &Snapshot)| Sample {
                labels: vec![n.to_string()],
                value: Value::Float(shard.event_delay.as_secs_f64()),
            };
            shards.iter().enumerate().map(delay).collect()
        }
        Series::CpuTime => seconds(node.process.cpu_time),
        Series::ResidentMemory => integer(node.process.resident_bytes),
        Series::OpenFiles => integer(node.process.open_files),
        Series::OpenFilesMax => integer(node.process.open_files_max),
    }
}

/// The shards' gauges added up by name.
fn by_name(shards: &[Snapshot], gauges: fn(&Snapshot) -> &Vec<(String, u64)>) -> Vec<Sample> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, value) in shards.iter().flat_map(gauges) {
        *sums.entry(name).or_default() += value;
    }
    sums.into_iter().map(|(name, value)| labelled(&[name], value)).collect()
}

fn messages(shards: &[Snapshot]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (code, name) in MESSAGE_TYPES {
        let messages_in = shards.iter().map(|shard| shard.stats.messages_in(*code)).sum();
        let messages_out = shards.iter().map(|shard| shard.stats.messages_out(*code)).sum();
        samples.push(labelled(&[name, "in"], messages_in));
        samples.push(labelled(&[name, "out"], messages_out));
    }
    samples
}

fn turns(shards: &[Snapshot]) -> Value {
    let bounds = TURN_BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
    let mut buckets: Vec<(f64, u64)> = bounds.map(|bound| (bound, 0)).collect();
    for shard in shards {
        buckets.iter_mut().zip(shard.stats.turns()).for_each(|(bucket, turns)| bucket.1 += turns);
    }
    let sum = shards.iter().map(|shard| shard.stats.turn_time().as_secs_f64()).sum();
    Value::Histogram { sum, buckets }
}

fn labelled(labels: &[&str], value: u64) -> Sample {
    Sample { labels: labels.iter().map(|label| label.to_string()).collect(), value: Value::Integer(value) }
}

/// What the registry asks for its text.
#[derive(Debug)]
struct Families(Vec<(Series, Vec<Sample>)>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (series, samples) in &self.0 {
            let metric_type = match series.kind() {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let mut family = encoder.encode_descriptor(series.name(), series.help(), None, metric_type)?;
            for sample in samples {
                let labels: Vec<(&str, &str)> =
                    series.labels().iter().copied().zip(sample.labels.iter().map(String::as_str)).collect();
                match (&sample.value, labels.as_slice()) {
                    (Value::Info, labels) => family.encode_info(&labels)?,
                    (value, []) => encode(value, series.kind(), &mut family)?,
                    (value, labels) => encode(value, series.kind(), &mut family.encode_family(&labels)?)?,
                }
            }
        }
        Ok(())
    }
}

fn encode(value: &Value, kind: Kind, encoder: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
    const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;
    match (value, kind) {
        (Value::Integer(n), Kind::Counter) => encoder.encode_counter(n, NO_EXEMPLAR),
        (Value::Float(x), Kind::Counter) => encoder.encode_counter(x, NO_EXEMPLAR),
        (Value::Integer(n), _) => encoder.encode_gauge(n),
        (Value::Float(x), _) => encoder.encode_gauge(x),
        (Value::Histogram { sum, buckets }, _) => {
            let count = buckets.iter().map(|bucket| bucket.1).sum();
            encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        }
        (Value::Info, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wamp::message::code;

    fn facts() -> NodeFacts {
        NodeFacts {
            node: "edge\"1".to_owned(),
            version: "0.1.0",
            uptime: Duration::from_millis(1_500),
            is_config_not_run: true,
            process: Process { open_files: 7, open_files_max: 1_024, ..Process::default() },
        }
    }

    #[test]
    fn shards_are_added_up() {
        let shard = |sessions: u64, fullest: u64| {
            let shard = Snapshot {
                sessions: vec![("realm1".to_owned(), sessions)],
                outbox_bytes: fullest,
                outbox_bytes_fullest: fullest,
                event_delay: Duration::from_millis(5),
                ..Snapshot::default()
            };
            shard.stats.count_in(code::PUBLISH);
            shard.stats.count_out_many(code::EVENT, 3);
            shard.stats.count_write(100);
            shard.stats.count_drop(DropReason::SlowConsumer);
            shard.stats.count_turn(Duration::from_micros(20));
            shard
        };
        let text = render(&facts(), &[shard(2, 10), shard(3, 40)]);
        for line in [
            "crossbar_build_info{version=\"0.1.0\",node=\"edge\\\"1\"} 1",
            "crossbar_uptime_seconds 1.5",
            "crossbar_config_not_run 1",
            "# TYPE crossbar_sessions gauge",
            "crossbar_sessions{realm=\"realm1\"} 5",
            "crossbar_messages_total{type=\"publish\",direction=\"in\"} 2",
            "crossbar_messages_total{type=\"event\",direction=\"out\"} 6",
            "crossbar_bytes_total{direction=\"out\"} 200",
            "crossbar_writes_total 2",
            "crossbar_outbox_bytes 50",
            "crossbar_outbox_fullest_bytes 40",
            "crossbar_drops_total{reason=\"slow_consumer\"} 2",
            "crossbar_drops_total{reason=\"killed\"} 0",
            "crossbar_turn_seconds_count 2",
            "crossbar_turn_seconds_bucket{le=\"0.00001\"} 0",
            "crossbar_turn_seconds_bucket{le=\"0.000025\"} 2",
            "crossbar_turn_seconds_bucket{le=\"+Inf\"} 2",
            "crossbar_event_delay_seconds{shard=\"1\"} 0.005",
            "process_open_fds 7",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n is not in\n{text}");
        }
    }

    #[test]
    fn every_series_is_there_from_the_start() {
        let text = render(&facts(), &[Snapshot::default()]);
        for series in Series::ALL {
            assert!(text.contains(&format!("# HELP {} {}\n", series.name(), series.help())), "{series:?}");
        }
    }
}
