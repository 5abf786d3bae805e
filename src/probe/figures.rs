//! Figures that are counted in one process and added up in another.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the sessions of one process, or of all, did within one second of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Second {
    /// Counted from the start of publishing.
    pub index: usize,
    pub received: u64,
    /// Received from a publisher on another node.
    pub forwarded: u64,
    pub published: u64,
    pub acknowledged: u64,
    pub latencies: Latencies,
    /// Connected sessions per node at the end of the second.
    pub nodes: BTreeMap<String, u64>,
}

impl Second {
    pub(super) fn add(&mut self, other: &Second) {
        self.received += other.received;
        self.forwarded += other.forwarded;
        self.published += other.published;
        self.acknowledged += other.acknowledged;
        self.latencies.add(&other.latencies);
        for (node, connections) in &other.nodes {
            *self.nodes.entry(node.clone()).or_default() += connections;
        }
    }
}

/// A session that lost its connection and came back, or did not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outage {
    pub session: String,
    /// Seconds since the start of publishing.
    pub at: f64,
    /// The node that it was on, and the one that it came back on.
    pub from: String,
    pub to: Option<String>,
    /// From the loss of the connection until it was subscribed again, in milliseconds.
    pub away_ms: Option<f64>,
    /// From the last event before until the first event after, in milliseconds.
    pub gap_ms: Option<f64>,
    /// Attempts to connect that it took.
    pub attempts: u32,
    pub reason: String,
}

/// Latencies in microseconds with an error of at most 1 %, as pairs of (latency, count): what a histogram is between
/// two processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Latencies(Vec<(u64, u64)>);

/// A histogram for latencies up to ten minutes, in microseconds.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 2).expect("the bounds are in order and two digits are allowed")
}

impl Latencies {
    /// Takes what a histogram has counted, and empties it.
    pub(super) fn take(histogram: &mut Histogram<u64>) -> Latencies {
        let counted = histogram.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect();
        histogram.reset();
        Latencies(counted)
    }

    pub(super) fn add(&mut self, other: &Latencies) {
        let mut sum: BTreeMap<u64, u64> = self.0.iter().copied().collect();
        for (latency, count) in &other.0 {
            *sum.entry(*latency).or_default() += count;
        }
        self.0 = sum.into_iter().collect();
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        let mut all = histogram();
        for (latency, count) in &self.0 {
            all.saturating_record_n(*latency, *count);
        }
        let ms = |quantile| all.value_at_quantile(quantile) as f64 / 1_000.0;
        Quantiles {
            count: all.len(),
            mean: all.mean() / 1_000.0,
            p50: ms(0.5),
            p90: ms(0.9),
            p99: ms(0.99),
            p99_9: ms(0.999),
            max: ms(1.0),
        }
    }
}

/// How late events were, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_keep_their_quantiles_on_the_way() {
        let mut one = histogram();
        (1..=900).for_each(|us| one.record(us * 10).unwrap());
        let mut other = histogram();
        (901..=1_000).for_each(|us| other.record(us * 10).unwrap());
        let mut sum = Latencies::take(&mut one);
        assert_eq!(one.len(), 0);
        sum.add(&Latencies::take(&mut other));
        let sum: Latencies = serde_json::from_str(&serde_json::to_string(&sum).unwrap()).unwrap();
        let Quantiles { count, p50, p90, p99, max, .. } = sum.quantiles();
        assert_eq!(count, 1_000);
        for (found, expected) in [(p50, 5.0), (p90, 9.0), (p99, 9.9), (max, 10.0)] {
            assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
        }
    }

    #[test]
    fn no_latencies_have_no_quantiles() {
        assert_eq!(Latencies::default().quantiles(), Quantiles::default());
    }
}
