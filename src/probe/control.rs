//! What the conductor and its clients tell each other: one JSON document a line, over the client's standard input and
//! output.

use super::figures::{Latencies, Outage, Second};
use super::tally::Hole;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a client process is told. The first line of all is its [`Assignment`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// Publish from this `CLOCK_MONOTONIC` on.
    Start { at_ns: u64 },
    /// Publish no more, although the time is not over.
    Stop,
    /// Wait for what has been published, per publisher, and tell what did not come. Then leave.
    Finish { totals: Vec<u32> },
}

/// Who a client process is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub settings: super::Settings,
    /// Its number, from 0.
    pub client: usize,
}

/// What a client process tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// A line for people.
    Line(String),
    /// Why a session could not be opened; it is tried again.
    Failure(String),
    /// All sessions are there and subscribed.
    Ready,
    /// What happened within one second.
    Second(Second),
    /// Nothing more will be published.
    Stopped(Vec<Published>),
    Finished(Box<Finished>),
}

/// What one publisher has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Published {
    pub publisher: u32,
    /// Publications, acknowledged or not.
    pub total: u32,
    /// What it published shortly before it lost its session, as ranges: those may have been lost with its node.
    pub doubtful: Vec<(u32, u32)>,
    /// What had no answer when it lost its session: nobody has promised anything for those.
    pub unacknowledged: Vec<u32>,
}

/// All that a client process knows at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Finished {
    pub holes: Vec<Hole>,
    pub late: u64,
    pub repeated: u64,
    /// Events whose payload is not what its publisher had sent.
    pub corrupted: u64,
    /// Publications that a router refused, by its reason.
    pub refused: BTreeMap<String, u64>,
    /// Publications that were never answered although the session was there all the time.
    pub unanswered: u64,
    pub calls: Calls,
    pub outages: Vec<Outage>,
    /// Sessions that are not connected at the end.
    pub absent: usize,
    /// Per node of publishers, by its tag: the longest time without an event from there that each session saw while it
    /// was connected itself, in milliseconds.
    pub silences_ms: BTreeMap<u64, Vec<f64>>,
    /// Processor seconds of this process from start to stop.
    pub cpu_seconds: f64,
}

/// What became of calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Calls {
    pub issued: u64,
    pub answered: u64,
    /// Answered with a fingerprint that is not the payload's.
    pub wrong: u64,
    /// Answered with an error, by its URI.
    pub errors: BTreeMap<String, u64>,
    /// Never answered although the session was there all the time.
    pub unanswered: u64,
    /// Not answered when the caller lost its session, and not made again.
    pub abandoned: u64,
    /// Made again in the caller's next session, because they had crossed the GOODBYE of a node that lets its clients
    /// go.
    pub repeated: u64,
    /// Answers to no call, or to one that had its answer.
    pub unexpected: u64,
    pub latencies: Latencies,
    /// Of those that were answered with an error.
    pub error_latencies: Latencies,
}

/// What a publisher could expect of one publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Nothing: there was no answer.
    None,
    /// It was answered, by a node that may have died at once.
    Doubtful,
    /// That it arrives.
    Firm,
}

impl Published {
    pub(super) fn promise(&self, sequence: u32) -> Promise {
        if self.unacknowledged.contains(&sequence) {
            Promise::None
        } else if self.doubtful.iter().any(|(from, to)| (*from..*to).contains(&sequence)) {
            Promise::Doubtful
        } else {
            Promise::Firm
        }
    }
}

impl Calls {
    pub(super) fn add(&mut self, other: &Calls) {
        self.issued += other.issued;
        self.answered += other.answered;
        self.wrong += other.wrong;
        self.unanswered += other.unanswered;
        self.abandoned += other.abandoned;
        self.repeated += other.repeated;
        self.unexpected += other.unexpected;
        self.latencies.add(&other.latencies);
        self.error_latencies.add(&other.error_latencies);
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
    }
}

/// One line.
pub(super) fn to_line(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("strings, numbers and maps with string keys have a JSON form") + "\n"
}

pub(super) fn from_line<T: DeserializeOwned>(line: &str) -> serde_json::Result<T> {
    serde_json::from_str(line)
}
