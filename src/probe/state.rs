//! What one session knows: what it has asked and was answered, what it has published and heard, and when it was away.

use super::control::{Calls, Finished, Published};
use super::figures::{Latencies, Outage, histogram};
use super::incoming::Heard;
use super::lines::Counted;
use super::link::{Link, Lost, Outgoing};
use super::publishing::Publisher;
use super::settings::Settings;
use super::stamp::node_tag;
use super::tally::Tally;
use crate::wamp::{Id, Message, error};
use crate::wire::{Payload, Value};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, HashMap};

pub(super) struct State {
    /// None while the session is lost.
    pub link: Option<Link>,
    /// The tag of the node that it is or was on.
    pub node_tag: u64,
    pub pending: HashMap<Id, Pending>,
    /// Those of the original's procedures that exist.
    pub procedures: Vec<&'static str>,
    pub publishers: Vec<Publisher>,
    pub heard: Heard,
    pub published: u64,
    pub acknowledged: u64,
    pub refused: BTreeMap<String, u64>,
    pub calls: Calls,
    /// Calls that crossed the GOODBYE of a node that sends its clients elsewhere. Whatever such a node takes it answers
    /// before, so they have not been made, and the next session makes them again.
    pub unmade: Vec<Call>,
    pub call_latencies: Histogram<u64>,
    pub call_error_latencies: Histogram<u64>,
    pub outages: Vec<Outage>,
    /// Requests of the opening that have no answer yet.
    opening: usize,
    /// The last loss of the session, until it is known what it cost.
    lost: Option<LostAt>,
}

/// A request that has no answer yet.
#[derive(Debug)]
pub(super) enum Pending {
    Subscribe,
    /// Whether this procedure exists.
    Lookup(&'static str),
    /// By publishing loop of the session.
    Publish {
        publisher: usize,
        sequence: u32,
    },
    Call {
        call: Call,
        sent_ns: u64,
    },
}

/// A call of a publishing loop.
#[derive(Debug)]
pub(super) struct Call {
    pub publisher: usize,
    pub procedure: &'static str,
    pub payload: Payload,
    /// What it should be answered with.
    pub fingerprint: Vec<u8>,
}

/// When a session was lost, and when it had heard its last event.
struct LostAt {
    lost_ns: u64,
    last_event_ns: u64,
}

impl State {
    pub(super) fn new(settings: &Settings, publishers: Vec<Publisher>) -> State {
        State {
            link: None,
            node_tag: 0,
            pending: HashMap::new(),
            procedures: Vec::new(),
            publishers,
            heard: Heard::new(settings.run, settings.size, settings.publishers()),
            published: 0,
            acknowledged: 0,
            refused: BTreeMap::new(),
            calls: Calls::default(),
            unmade: Vec::new(),
            call_latencies: histogram(),
            call_error_latencies: histogram(),
            outages: Vec::new(),
            opening: 0,
            lost: None,
        }
    }

    /// Whether the session is there and subscribed.
    pub(super) fn is_open(&self) -> bool {
        self.link.is_some() && self.opening == 0
    }

    /// The session is welcome; what it has asked so far has to be answered before it is open.
    pub(super) fn open(&mut self, link: Link, attempts: u32) {
        self.node_tag = node_tag(link.node());
        self.procedures.clear();
        self.opening = self.pending.len();
        if let Some(outage) = self.outages.last_mut() {
            outage.to = Some(link.node().to_owned());
            outage.attempts = attempts;
        }
        self.link = Some(link);
    }

    /// The session is subscribed, maybe again.
    fn note_subscribed(&mut self, now_ns: u64) {
        if let (Some(lost), Some(outage)) = (&self.lost, self.outages.last_mut()) {
            outage.away_ms = Some((now_ns - lost.lost_ns) as f64 / 1e6);
        }
    }

    /// The session is lost: `at` seconds after the start, on `node`.
    pub(super) fn lose(&mut self, session: &str, at: f64, node: &str, reason: &str, now_ns: u64) {
        self.note_gap();
        self.lost = Some(LostAt { lost_ns: now_ns, last_event_ns: self.heard.last_ns });
        self.heard.go_away();
        for (_, pending) in self.pending.drain() {
            match pending {
                Pending::Publish { publisher, sequence } => self.publishers[publisher].give_up(sequence),
                Pending::Call { call, .. } if reason == error::CLOSE_SYSTEM_SHUTDOWN => self.unmade.push(call),
                Pending::Call { .. } => self.calls.abandoned += 1,
                Pending::Subscribe | Pending::Lookup(_) => {}
            }
        }
        for publisher in &mut self.publishers {
            publisher.lose(now_ns);
        }
        for call in &self.unmade {
            self.publishers[call.publisher].outstanding += 1;
        }
        self.outages.push(Outage {
            session: session.to_owned(),
            at,
            from: node.to_owned(),
            to: None,
            away_ms: None,
            gap_ms: None,
            attempts: 0,
            reason: reason.to_owned(),
        });
    }

    /// Writes down the gap in events that the last outage has cost, once it is over.
    pub(super) fn note_gap(&mut self) {
        if let Some(first_ns) = self.heard.first_after_ns
            && let Some(lost) = self.lost.take_if(|lost| lost.last_event_ns > 0)
            && let Some(outage) = self.outages.last_mut()
        {
            outage.gap_ms = Some(first_ns.saturating_sub(lost.last_event_ns) as f64 / 1e6);
        }
    }

    /// Takes anything but an EVENT.
    pub(super) fn handle_message(&mut self, out: &mut Outgoing, message: Message, now_ns: u64) -> Result<(), Lost> {
        match message {
            Message::Published { request, .. } => {
                if let Some(Pending::Publish { publisher, .. }) = self.pending.remove(&request) {
                    self.acknowledged += 1;
                    self.answer(publisher);
                }
            }
            Message::Subscribed { request, .. } => {
                self.pending.remove(&request);
                self.opening -= 1;
                self.note_subscribed(now_ns);
            }
            Message::Result { request, payload, .. } => self.handle_result(request, &payload, now_ns),
            Message::Error { request, error, .. } => self.handle_error(request, error, now_ns)?,
            Message::Goodbye { reason, .. } => {
                out.agree_to_goodbye();
                return Err(Lost::new(reason));
            }
            Message::Abort { reason, .. } => return Err(Lost::new(reason)),
            // Nothing else was asked for.
            other => return Err(Lost::new(format!("{} is not expected", other.name()))),
        }
        Ok(())
    }

    fn handle_result(&mut self, request: Id, payload: &Payload, now_ns: u64) {
        // A result that cannot be read is one without arguments, and so a wrong one.
        let results = payload.args().unwrap_or_default();
        match self.pending.remove(&request) {
            Some(Pending::Lookup(procedure)) => {
                self.opening -= 1;
                if results.first().is_some_and(|registration| *registration != Value::Null) {
                    self.procedures.push(procedure);
                }
            }
            Some(Pending::Call { call: Call { publisher, fingerprint, .. }, sent_ns }) => {
                self.call_latencies.saturating_record(now_ns.saturating_sub(sent_ns) / 1_000);
                self.calls.answered += 1;
                let returned = results.first().and_then(Value::as_list).and_then(<[Value]>::first);
                self.calls.wrong += u64::from(returned != Some(&Value::Bytes(fingerprint)));
                self.answer(publisher);
            }
            _ => self.calls.unexpected += 1,
        }
    }

    fn handle_error(&mut self, request: Id, error: String, now_ns: u64) -> Result<(), Lost> {
        match self.pending.remove(&request) {
            Some(Pending::Subscribe) => return Err(Lost::new(error)),
            // A router without this procedure, or one that does not let us ask.
            Some(Pending::Lookup(_)) => self.opening -= 1,
            Some(Pending::Publish { publisher, .. }) => {
                *self.refused.entry(error).or_default() += 1;
                self.answer(publisher);
            }
            Some(Pending::Call { call: Call { publisher, .. }, sent_ns }) => {
                self.call_error_latencies.saturating_record(now_ns.saturating_sub(sent_ns) / 1_000);
                *self.calls.errors.entry(error).or_default() += 1;
                self.answer(publisher);
            }
            None => self.calls.unexpected += 1,
        }
        Ok(())
    }

    fn answer(&mut self, publisher: usize) {
        if let Some(publisher) = self.publishers.get_mut(publisher) {
            publisher.outstanding -= 1;
        }
    }

    /// All that this session has counted so far.
    pub(super) fn counted(&self) -> Counted {
        Counted {
            received: self.heard.received,
            forwarded: self.heard.forwarded,
            published: self.published,
            calls_answered: self.calls.answered,
            calls_issued: self.calls.issued,
        }
    }

    /// What the publishing loops of this session have done.
    pub(super) fn published(&self) -> Vec<Published> {
        self.publishers.iter().map(Publisher::published).collect()
    }

    /// Requests of the publishing loops that have no answer yet.
    pub(super) fn outstanding(&self) -> usize {
        self.publishers.iter().map(|publisher| publisher.outstanding).sum()
    }

    /// Ends the count, and adds it to that of the process.
    pub(super) fn add_to(&mut self, sum: &mut Finished, totals: &[u32]) {
        self.note_gap();
        let tally = std::mem::replace(&mut self.heard.tally, Tally::new(0));
        sum.late += tally.late;
        sum.repeated += tally.repeated;
        sum.holes.extend(tally.into_holes(totals));
        sum.corrupted += self.heard.corrupted;
        sum.absent += usize::from(!self.is_open());
        sum.outages.append(&mut self.outages);
        for (reason, count) in &self.refused {
            *sum.refused.entry(reason.clone()).or_default() += count;
        }
        for pending in self.pending.values() {
            match pending {
                Pending::Publish { .. } => sum.unanswered += 1,
                Pending::Call { .. } => sum.calls.unanswered += 1,
                Pending::Subscribe | Pending::Lookup(_) => {}
            }
        }
        self.calls.abandoned += self.unmade.len() as u64;
        self.calls.latencies = Latencies::take(&mut self.call_latencies);
        self.calls.error_latencies = Latencies::take(&mut self.call_error_latencies);
        sum.calls.add(&self.calls);
        for (tag, silence_ns) in self.heard.silences_ns() {
            sum.silences_ms.entry(tag).or_default().push(silence_ns as f64 / 1e6);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state() -> State {
        let settings: Settings = serde_json::from_value(json!({
            "urls": ["ws://localhost:8080/ws"], "realm": "realm1", "clients": 1, "connections": 1, "duration": 1.0, "period": 1.0,
            "loops": 1, "rate": 1.0, "stride": 1, "size": 64, "silent": true, "logname": "publisher{}", "debug": false,
            "linger": 1.0, "run": 1, "watched": [],
        }))
        .unwrap();
        State::new(&settings, vec![Publisher::new(0)])
    }

    fn lose_with_a_call(state: &mut State, reason: &str) {
        let (procedure, payload) = ("node1.container1.proc1", Payload::empty());
        let call = Call { publisher: 0, procedure, payload, fingerprint: Vec::new() };
        state.pending.insert(1, Pending::Call { call, sent_ns: 0 });
        state.publishers[0].outstanding = 1;
        state.lose("publisher0.0", 1.0, "edge1", reason, 1);
    }

    #[test]
    fn only_calls_that_cross_the_goodbye_of_a_parting_node_are_made_again() {
        let mut state = state();
        lose_with_a_call(&mut state, "wamp.close.transport_lost");
        assert_eq!((state.outstanding(), state.unmade.len(), state.calls.abandoned), (0, 0, 1));
        lose_with_a_call(&mut state, error::CLOSE_SYSTEM_SHUTDOWN);
        assert_eq!((state.outstanding(), state.unmade.len(), state.calls.abandoned), (1, 1, 1));
        // The next session is lost as well, before it could make the call.
        state.lose("publisher0.0", 2.0, "edge2", "wamp.close.transport_lost", 2);
        assert_eq!((state.outstanding(), state.unmade.len()), (1, 1));
        let mut sum = Finished::default();
        state.add_to(&mut sum, &[0]);
        assert_eq!(sum.calls.abandoned, 2, "what was never made again is counted");
    }
}
