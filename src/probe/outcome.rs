//! What a run came to: everything that the clients have told, put together. It is printed as a table, as JSON and as a
//! page.

use super::control::{Calls, Finished, Promise, Published};
use super::figures::{Outage, Quantiles, Second};
use super::settings::Settings;
use super::stamp::node_tag;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One run from outside. Times are in milliseconds where the name does not say seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub settings: Settings,
    /// RFC 3339.
    pub started: String,
    /// From the first publication to the last answer.
    pub seconds: f64,
    /// Nothing that should have arrived is missing, and nothing came that should not.
    pub ok: bool,
    pub sessions: usize,
    /// Sessions that were not connected at the end.
    pub sessions_absent: usize,
    pub events: Events,
    pub latency_ms: Quantiles,
    pub calls: CallFigures,
    /// Sessions per node when publishing ended.
    pub nodes: BTreeMap<String, u64>,
    /// Per node of publishers: the longest time without an event from there.
    pub silences_ms: BTreeMap<String, Silence>,
    pub reconnects: Reconnects,
    /// Processor time while it was published.
    pub cpu: Vec<Cpu>,
    pub timeline: Vec<Moment>,
}

/// Events: one publication that one session received, or should have.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Events {
    pub published: u64,
    pub acknowledged: u64,
    /// Publications that a router refused, by its reason.
    pub refused: BTreeMap<String, u64>,
    /// Publications that were never answered although their session was there.
    pub unanswered: u64,
    /// What all sessions should have received: every publication, each.
    pub expected: u64,
    pub received: u64,
    /// Of those, over a link from another node.
    pub forwarded: u64,
    /// Missing although publisher and receiver were connected all the time.
    pub lost: u64,
    /// Missing, and acknowledged within the seconds before the publisher's own connection was lost: its node may have
    /// died before it could pass them on. No fault of the nodes that live.
    pub lost_with_publisher: u64,
    /// Missing, and never acknowledged because the publisher's connection was lost first.
    pub missing_unacknowledged: u64,
    /// Published while the receiver was away.
    pub missed_while_away: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupted: u64,
    /// What the settings ask for.
    pub offered_per_second: f64,
    pub received_per_second: f64,
    /// Of payload, received.
    pub megabits_per_second: f64,
}

/// What became of calls, in figures for people.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CallFigures {
    pub issued: u64,
    pub answered: u64,
    /// Answered with another fingerprint than the payload's.
    pub wrong: u64,
    pub errors: BTreeMap<String, u64>,
    pub unanswered: u64,
    /// Their callers lost their sessions first.
    pub abandoned: u64,
    /// They crossed the GOODBYE of a node that lets its clients go, which answers what it takes before: their callers
    /// made them again in their next sessions.
    pub repeated: u64,
    pub unexpected: u64,
    pub latency_ms: Quantiles,
    /// Until the error came.
    pub error_latency_ms: Quantiles,
}

/// The longest silence that sessions saw from one node, over all sessions.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Silence {
    pub median: f64,
    pub max: f64,
}

/// Sessions that lost their connection.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reconnects {
    pub lost: usize,
    pub back: usize,
    /// Until they were subscribed again.
    pub away_median: f64,
    pub away_max: f64,
    /// Between the last event before and the first after.
    pub gap_median: f64,
    pub gap_max: f64,
    pub outages: Vec<Outage>,
}

/// One part of what ran.
#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    pub name: String,
    pub seconds: f64,
    pub microseconds_per_event: f64,
}

/// One second of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    pub second: usize,
    pub published: u64,
    pub received: u64,
    pub forwarded: u64,
    pub latency_ms: Quantiles,
    pub nodes: BTreeMap<String, u64>,
}

/// What an outcome is made of.
pub(super) struct Sum {
    pub started: jiff::Timestamp,
    pub publishing_seconds: f64,
    /// In the order of the publishers' numbers.
    pub published: Vec<Published>,
    pub seconds: Vec<Second>,
    pub finished: Vec<Finished>,
    /// Of the watched processes.
    pub cpu: Vec<(String, f64)>,
}

impl Sum {
    pub(super) fn into_outcome(self, settings: Settings) -> Outcome {
        let mut all = Second::default();
        self.seconds.iter().for_each(|second| all.add(second));
        let calls = self.calls();
        let mut events = self.events(&settings, &all);
        self.count_holes(&mut events);
        let sessions_absent = self.finished.iter().map(|finished| finished.absent).sum();
        let last = self.seconds.get((settings.duration as usize).max(1) - 1).or(self.seconds.last());
        let ok = sessions_absent == 0 && events.is_ok() && calls.is_ok();
        Outcome {
            started: format!("{:.0}", self.started),
            seconds: self.publishing_seconds,
            ok,
            sessions: settings.sessions(),
            sessions_absent,
            latency_ms: all.latencies.quantiles(),
            calls,
            nodes: last.map(|second| second.nodes.clone()).unwrap_or_default(),
            silences_ms: self.silences(),
            reconnects: Reconnects::of(self.finished.iter().flat_map(|finished| finished.outages.clone()).collect()),
            cpu: self.cpu(events.received),
            timeline: self.seconds.iter().map(Moment::of).collect(),
            events,
            settings,
        }
    }

    fn events(&self, settings: &Settings, all: &Second) -> Events {
        let published = self.published.iter().map(|publisher| u64::from(publisher.total)).sum();
        let sum = |of: fn(&Finished) -> u64| self.finished.iter().map(of).sum::<u64>();
        let mut refused = BTreeMap::new();
        for (reason, count) in self.finished.iter().flat_map(|finished| &finished.refused) {
            *refused.entry(reason.clone()).or_default() += count;
        }
        let received_per_second = all.received as f64 / self.publishing_seconds;
        Events {
            published,
            acknowledged: all.acknowledged,
            refused,
            unanswered: sum(|finished| finished.unanswered),
            expected: published * settings.sessions() as u64,
            received: all.received,
            forwarded: all.forwarded,
            duplicated: sum(|finished| finished.repeated),
            reordered: sum(|finished| finished.late),
            corrupted: sum(|finished| finished.corrupted),
            offered_per_second: settings.offered_per_second(),
            received_per_second,
            megabits_per_second: received_per_second * settings.size as f64 * 8.0 / 1e6,
            ..Events::default()
        }
    }

    /// Says of each missing event why it is missing.
    fn count_holes(&self, events: &mut Events) {
        for hole in self.finished.iter().flat_map(|finished| &finished.holes) {
            if hole.away {
                events.missed_while_away += u64::from(hole.to - hole.from);
                continue;
            }
            let publisher = self.published.get(hole.publisher as usize);
            for sequence in hole.range() {
                *match publisher.map(|publisher| publisher.promise(sequence)) {
                    Some(Promise::None) => &mut events.missing_unacknowledged,
                    Some(Promise::Doubtful) => &mut events.lost_with_publisher,
                    Some(Promise::Firm) | None => &mut events.lost,
                } += 1;
            }
        }
    }

    fn calls(&self) -> CallFigures {
        let mut all = Calls::default();
        self.finished.iter().for_each(|finished| all.add(&finished.calls));
        CallFigures {
            issued: all.issued,
            answered: all.answered,
            wrong: all.wrong,
            errors: all.errors,
            unanswered: all.unanswered,
            abandoned: all.abandoned,
            repeated: all.repeated,
            unexpected: all.unexpected,
            latency_ms: all.latencies.quantiles(),
            error_latency_ms: all.error_latencies.quantiles(),
        }
    }

    /// The sessions' longest silences, by the names of the nodes.
    fn silences(&self) -> BTreeMap<String, Silence> {
        let names: BTreeSet<&String> = self.seconds.iter().flat_map(|second| second.nodes.keys()).collect();
        let of = |name: &str| {
            let tag = node_tag(name);
            let silences = self.finished.iter().filter_map(|finished| finished.silences_ms.get(&tag)).flatten();
            let (median, max) = median_and_max(silences.copied().collect());
            Silence { median, max }
        };
        names.into_iter().map(|name| (name.clone(), of(name))).collect()
    }

    fn cpu(&self, events: u64) -> Vec<Cpu> {
        let mut parts: Vec<(String, f64)> = Vec::new();
        let probe = ("probe".to_owned(), self.finished.iter().map(|finished| finished.cpu_seconds).sum());
        for (name, seconds) in self.cpu.iter().cloned().chain([probe]) {
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += seconds,
                None => parts.push((name, seconds)),
            }
        }
        let per_event = |seconds: f64| if events == 0 { 0.0 } else { seconds * 1e6 / events as f64 };
        parts
            .into_iter()
            .map(|(name, seconds)| Cpu { name, seconds, microseconds_per_event: per_event(seconds) })
            .collect()
    }
}

impl Events {
    fn is_ok(&self) -> bool {
        let wrong = self.lost + self.duplicated + self.reordered + self.corrupted;
        wrong == 0 && self.refused.is_empty() && self.unanswered == 0
    }
}

impl CallFigures {
    fn is_ok(&self) -> bool {
        self.wrong + self.unanswered + self.unexpected == 0 && self.errors.is_empty()
    }
}

impl Reconnects {
    fn of(outages: Vec<Outage>) -> Reconnects {
        let (away_median, away_max) = median_and_max(outages.iter().filter_map(|outage| outage.away_ms).collect());
        let (gap_median, gap_max) = median_and_max(outages.iter().filter_map(|outage| outage.gap_ms).collect());
        let back = outages.iter().filter(|outage| outage.away_ms.is_some()).count();
        Reconnects { lost: outages.len(), back, away_median, away_max, gap_median, gap_max, outages }
    }
}

impl Moment {
    fn of(second: &Second) -> Moment {
        Moment {
            second: second.index,
            published: second.published,
            received: second.received,
            forwarded: second.forwarded,
            latency_ms: second.latencies.quantiles(),
            nodes: second.nodes.clone(),
        }
    }
}

/// Both zero when there is nothing.
fn median_and_max(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values.get(values.len() / 2).copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0))
}
