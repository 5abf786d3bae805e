//! The publishing loops of a session. As in the original, a loop begins a round `rate` times a second, publishes
//! `stride` messages in it (and calls those of the four procedures that exist with each), and begins the next round no
//! earlier than all of that is answered: a cluster that cannot keep up is offered less.
//!
//! The loops of all sessions are spread evenly over the time between two rounds, so that a run does not depend on how
//! their starts happen to fall together.

use super::clock::{instant_of, monotonic_ns};
use super::connection::Connection;
use super::control::Published;
use super::link::Link;
use super::stamp::Stamp;
use super::state::{Call, Pending, State};
use crate::wamp::Message;
use crate::wire::{Dict, Payload, Value};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// The original's topic.
pub(super) const TOPIC: &str = "com.example.test1.binary";
/// The original's procedures: one of each node's container.
pub(super) const PROCEDURES: [&str; 4] =
    ["node1.container1.proc1", "node2.container1.proc1", "node3.container1.proc1", "node4.container1.proc1"];

/// One publishing loop.
#[derive(Debug)]
pub(super) struct Publisher {
    /// Over all processes.
    pub id: u32,
    /// Requests that have no answer yet.
    pub outstanding: usize,
    /// What is published next.
    sequence: u32,
    /// The newest publications, with their time.
    recent: VecDeque<(u64, u32)>,
    doubtful: Vec<(u32, u32)>,
    unacknowledged: Vec<u32>,
}

impl Publisher {
    pub(super) fn new(id: u32) -> Publisher {
        Publisher {
            id,
            outstanding: 0,
            sequence: 0,
            recent: VecDeque::new(),
            doubtful: Vec::new(),
            unacknowledged: Vec::new(),
        }
    }

    /// Stamps the next publication.
    fn next(&mut self, now_ns: u64) -> u32 {
        let sequence = self.sequence;
        self.sequence += 1;
        self.recent.push_back((now_ns, sequence));
        self.forget(now_ns);
        sequence
    }

    /// The session is lost. What was published shortly before may be lost with the node, acknowledged or not.
    pub(super) fn lose(&mut self, now_ns: u64) {
        self.outstanding = 0;
        self.forget(now_ns);
        if let Some((_, first)) = self.recent.front() {
            self.doubtful.push((*first, self.sequence));
        }
        self.recent.clear();
    }

    /// This publication will not be answered any more.
    pub(super) fn give_up(&mut self, sequence: u32) {
        self.unacknowledged.push(sequence);
    }

    pub(super) fn published(&self) -> Published {
        Published {
            publisher: self.id,
            total: self.sequence,
            doubtful: self.doubtful.clone(),
            unacknowledged: self.unacknowledged.clone(),
        }
    }

    fn forget(&mut self, now_ns: u64) {
        let since = now_ns.saturating_sub(DOUBT.as_nanos() as u64);
        while self.recent.front().is_some_and(|(at, _)| *at < since) {
            self.recent.pop_front();
        }
    }
}

/// Publishes until the time is over.
pub(super) async fn publish_loop(connection: Rc<Connection>, publisher: usize) {
    let client = connection.client.clone();
    let settings = &client.settings;
    let start_ns = client.start_ns.get();
    let interval_ns = settings.interval().as_nanos() as u64;
    let end_ns = start_ns + settings.publishing_time().as_nanos() as u64;
    let id = connection.state.borrow().publishers[publisher].id;
    let mut due_ns = start_ns + offset_ns(id, interval_ns);
    for round in 0u64.. {
        tokio::select! {
            () = tokio::time::sleep_until(instant_of(due_ns.min(end_ns))) => {}
            () = client.stopped() => return,
        }
        if due_ns >= end_ns {
            return;
        }
        if !until(&connection, end_ns, State::is_open).await {
            return;
        }
        publish_round(&connection, publisher, round);
        // Answers may come after the end, and are waited for elsewhere.
        if !until(&connection, end_ns, |state| state.publishers[publisher].outstanding == 0).await {
            return;
        }
        due_ns = (due_ns + interval_ns).max(monotonic_ns());
    }
}

/// Waits for a condition of the session. False when publishing is over before.
async fn until(connection: &Connection, end_ns: u64, condition: impl Fn(&State) -> bool) -> bool {
    loop {
        let changed = connection.changed.notified();
        if condition(&connection.state.borrow()) {
            return true;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(instant_of(end_ns)) => return false,
            () = connection.client.stopped() => return false,
        }
    }
}

/// Makes the calls again that crossed the GOODBYE of the last session.
pub(super) fn make_again(state: &mut State) {
    let Some(mut link) = state.link.take() else { return };
    for call in std::mem::take(&mut state.unmade) {
        state.calls.repeated += 1;
        send_call(state, &mut link, call);
    }
    // If it cannot be written, the reader finds out.
    let _ = link.flush();
    state.link = Some(link);
}

/// One round: `stride` publications, each with its calls, written at once.
fn publish_round(connection: &Connection, publisher: usize, round: u64) {
    let client = &connection.client;
    let mut state = connection.state.borrow_mut();
    let Some(mut link) = state.link.take() else { return };
    for counter in 0..client.settings.stride {
        let sent_ns = monotonic_ns();
        let loop_ = &mut state.publishers[publisher];
        let sequence = loop_.next(sent_ns);
        let (id, node) = (loop_.id, state.node_tag);
        let stamp = Stamp { run: client.settings.run, publisher: id, sequence, sent_ns, node };
        let payload = client.filling.payload(&stamp);
        let args = vec![
            connection.name.as_str().into(),
            connection.url.to_string().into(),
            round.into(),
            counter.into(),
            Value::Bytes(payload),
        ];
        publish(&mut state, &mut link, publisher, sequence, args.clone());
        for procedure in state.procedures.clone() {
            call(&mut state, &mut link, publisher, procedure, args.clone());
        }
    }
    // If it cannot be written, the reader finds out.
    let _ = link.flush();
    state.link = Some(link);
}

fn publish(state: &mut State, link: &mut Link, publisher: usize, sequence: u32, args: Vec<Value>) {
    let request = link.out.request();
    link.out.send(&Message::Publish {
        request,
        options: Dict::new().with("acknowledge", true).with("exclude_me", false),
        topic: TOPIC.to_owned(),
        payload: Payload::from_values(args, Dict::new()),
    });
    state.pending.insert(request, Pending::Publish { publisher, sequence });
    state.publishers[publisher].outstanding += 1;
    state.published += 1;
}

fn call(state: &mut State, link: &mut Link, publisher: usize, procedure: &'static str, args: Vec<Value>) {
    let fingerprint = fingerprint(args.last());
    let payload = Payload::from_values(args, Dict::new());
    state.publishers[publisher].outstanding += 1;
    state.calls.issued += 1;
    send_call(state, link, Call { publisher, procedure, payload, fingerprint });
}

fn send_call(state: &mut State, link: &mut Link, call: Call) {
    let request = link.out.request();
    let (procedure, payload) = (call.procedure.to_owned(), call.payload.clone());
    link.out.send(&Message::Call { request, options: Dict::new(), procedure, payload });
    state.pending.insert(request, Pending::Call { call, sent_ns: monotonic_ns() });
}

/// The first six bytes of a payload's SHA-256, which is what the original's callee returns.
pub(super) fn fingerprint(payload: Option<&Value>) -> Vec<u8> {
    let bytes = if let Some(Value::Bytes(bytes)) = payload { bytes.as_slice() } else { &[] };
    Sha256::digest(bytes)[..6].to_vec()
}

/// Where in the time between two rounds a loop begins: the golden ratio spreads any number of them evenly.
fn offset_ns(id: u32, interval_ns: u64) -> u64 {
    (interval_ns as f64 * (f64::from(id) * GOLDEN_RATIO).fract()) as u64
}

const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
/// Publications this old are with every node, or the mesh has lost them: a silent loss is noticed after 3 s.
const DOUBT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::control::Promise;

    #[test]
    fn only_what_was_published_shortly_before_a_loss_is_doubtful() {
        let second = 1_000_000_000;
        let mut publisher = Publisher::new(3);
        for at in 0..10 {
            publisher.next(at * second);
        }
        publisher.give_up(9);
        publisher.lose(10 * second);
        publisher.next(60 * second);
        publisher.lose(90 * second);
        let published = publisher.published();
        assert_eq!((published.publisher, published.total), (3, 11));
        assert_eq!(published.doubtful, [(6, 10)]);
        let promises = [5, 6, 8, 9, 10].map(|sequence| published.promise(sequence));
        assert_eq!(promises, [Promise::Firm, Promise::Doubtful, Promise::Doubtful, Promise::None, Promise::Firm]);
    }

    #[test]
    fn loops_are_spread_over_the_interval() {
        let mut offsets: Vec<u64> = (0..320).map(|id| offset_ns(id, 320_000)).collect();
        offsets.sort_unstable();
        let steps = offsets.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(offsets[0] < 2_000 && offsets[319] > 316_000 && steps.max().unwrap() < 3_000, "{offsets:?}");
    }

    #[test]
    fn fingerprints_are_those_of_the_original() {
        assert_eq!(fingerprint(Some(&Value::Bytes(b"abc".to_vec()))), hex::decode("ba7816bf8f01").unwrap());
    }
}
