//! Messages as they pass, for an operator who looks at one session, topic or procedure. Bounded in lines and time, and
//! off by itself; while nobody looks it costs one comparison per message.

use super::shard::Shard;
use crate::admin::command::TraceRequest;
use crate::admin::report::{TraceLine, TraceLines, TraceStarted};
use crate::federation::ClusteredRealm;
use crate::time::Now;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, codec};
use crate::wire::Serializer;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// All traces that somebody looks at.
#[derive(Debug, Default)]
pub struct Tracer {
    traces: Vec<Trace>,
    n_begun: u64,
}

#[derive(Debug)]
struct Trace {
    id: u64,
    request: TraceRequest,
    lines: VecDeque<TraceLine>,
    n_lines: u64,
    lines_max: u64,
    lost: u64,
    ends: Duration,
    /// When somebody has last asked for lines.
    read: Duration,
    /// Requests that were about what is looked at, so that their answers, which do not say so, are shown as well.
    requests: HashSet<(SessionKey, bool, Id)>,
}

/// A message in the moment in which it passes.
struct Passing<'m> {
    key: SessionKey,
    session: Id,
    is_in: bool,
    message: &'m Message,
    /// The topic or procedure that it is about, as far as it or the realm's tables say.
    uri: Option<String>,
}

impl Tracer {
    /// Whether somebody looks.
    pub fn is_active(&self) -> bool {
        !self.traces.is_empty()
    }

    /// Begins a trace. The error is one sentence.
    pub fn start(&mut self, now: Now, request: TraceRequest) -> Result<TraceStarted, String> {
        if request.session.is_none() && request.topic.is_none() && request.procedure.is_none() {
            return Err("a trace needs a session, a topic or a procedure".to_owned());
        }
        if self.traces.len() >= TRACES_MAX {
            return Err(format!("{TRACES_MAX} traces are under way on this node already"));
        }
        self.n_begun += 1;
        let lines_max = request.lines.unwrap_or(LINES_MAX).clamp(1, LINES_MAX);
        let seconds = request.seconds.filter(|seconds| seconds.is_finite()).unwrap_or(SECONDS).clamp(0.1, SECONDS_MAX);
        self.traces.push(Trace {
            id: self.n_begun,
            request,
            lines: VecDeque::new(),
            n_lines: 0,
            lines_max,
            lost: 0,
            ends: now.uptime + Duration::from_secs_f64(seconds),
            read: now.uptime,
            requests: HashSet::new(),
        });
        Ok(TraceStarted { trace: self.n_begun, lines_max, seconds })
    }

    /// The lines after the one with this number. Once a trace has ended, whoever reads its last lines ends it.
    pub fn read(&mut self, now: Now, id: u64, after: u64) -> Result<TraceLines, String> {
        let at = self.position(id)?;
        let trace = &mut self.traces[at];
        trace.read = now.uptime;
        while trace.lines.front().is_some_and(|line| line.number <= after) {
            trace.lines.pop_front();
        }
        let ended = trace.ending(now);
        let lines = trace.lines.iter().cloned().collect();
        let (last, lost) = (trace.n_lines, trace.lost);
        if ended.is_some() {
            self.traces.remove(at);
        }
        Ok(TraceLines { lines, last, lost, ended })
    }

    pub fn stop(&mut self, id: u64) -> Result<(), String> {
        let at = self.position(id)?;
        self.traces.remove(at);
        Ok(())
    }

    /// Ends what nobody reads any more.
    pub fn handle_tick(&mut self, now: Now) {
        self.traces.retain(|trace| now.uptime < trace.read + UNREAD_MAX);
    }

    fn position(&self, id: u64) -> Result<usize, String> {
        self.traces.iter().position(|trace| trace.id == id).ok_or_else(|| format!("there is no trace {id} (any more)"))
    }
}

impl Trace {
    fn ending(&self, now: Now) -> Option<String> {
        if self.n_lines >= self.lines_max {
            return Some(format!("it has shown {} lines", self.lines_max));
        }
        (now.uptime >= self.ends).then(|| "its time is over".to_owned())
    }

    fn handle(&mut self, now: Now, node: &str, passing: &Passing) {
        if self.ending(now).is_some() || !self.fits(passing) {
            return;
        }
        self.n_lines += 1;
        if self.lines.len() >= WAITING_MAX {
            self.lines.pop_front();
            self.lost += 1;
        }
        self.lines.push_back(TraceLine {
            number: self.n_lines,
            at_us: u64::try_from(now.wall.as_micros()).unwrap_or(u64::MAX),
            node: node.to_owned(),
            session: passing.session,
            direction: if passing.is_in { "in" } else { "out" }.to_owned(),
            message: text_of(passing.message),
        });
    }

    fn fits(&mut self, passing: &Passing) -> bool {
        if self.request.session.is_some_and(|session| session != passing.session) {
            return false;
        }
        let wanted = match subject(passing.message) {
            Subject::Topic => &self.request.topic,
            Subject::Procedure => &self.request.procedure,
            Subject::Answer { to_request, request } => {
                // An answer goes the other way than its request came.
                let name = (passing.key, passing.is_in != to_request, request);
                return self.is_by_session_alone() || self.requests.contains(&name);
            }
            Subject::Other => return self.is_by_session_alone(),
        };
        let fits = self.is_by_session_alone() || wanted.is_some() && *wanted == passing.uri;
        if fits
            && !self.is_by_session_alone()
            && self.requests.len() < REQUESTS_MAX
            && let Some(request) = request_of(passing.message)
        {
            self.requests.insert((passing.key, passing.is_in, request));
        }
        fits
    }

    fn is_by_session_alone(&self) -> bool {
        self.request.topic.is_none() && self.request.procedure.is_none()
    }
}

impl Shard {
    /// Shows a message to whoever looks. Only of open sessions, so that nothing of a handshake is ever shown.
    pub(super) fn trace(&mut self, key: SessionKey, is_in: bool, message: &Message) {
        let mut tracer = std::mem::take(&mut self.tracer);
        let index = self.connection(key).and_then(|connection| connection.realm);
        if let Some(slot) = index.and_then(|index| self.realms.get(index.0))
            && let Some(member) = slot.realm.members().member(key)
        {
            let (session, uri) = (member.identity.session, uri_of(&slot.realm, message));
            let passing = Passing { key, session, is_in, message, uri };
            let now = self.now();
            for trace in &mut tracer.traces {
                trace.handle(now, &self.node.id, &passing);
            }
        }
        self.tracer = tracer;
    }
}

/// What a message is about.
enum Subject {
    Topic,
    Procedure,
    /// The final or a further word about an earlier message; `to_request` where it answers in the other direction.
    Answer {
        to_request: bool,
        request: Id,
    },
    Other,
}

fn subject(message: &Message) -> Subject {
    let answer = |request: &Id| Subject::Answer { to_request: true, request: *request };
    match message {
        Message::Publish { .. } | Message::Subscribe { .. } | Message::Event { .. } => Subject::Topic,
        Message::Call { .. } | Message::Register { .. } | Message::Invocation { .. } => Subject::Procedure,
        Message::Published { request, .. }
        | Message::Subscribed { request, .. }
        | Message::Registered { request, .. }
        | Message::Result { request, .. }
        | Message::Yield { request, .. }
        | Message::Error { request, .. } => answer(request),
        Message::Cancel { request, .. } | Message::Interrupt { request, .. } => {
            Subject::Answer { to_request: false, request: *request }
        }
        _ => Subject::Other,
    }
}

fn request_of(message: &Message) -> Option<Id> {
    match message {
        Message::Publish { request, .. }
        | Message::Subscribe { request, .. }
        | Message::Call { request, .. }
        | Message::Register { request, .. }
        | Message::Invocation { request, .. } => Some(*request),
        _ => None,
    }
}

fn uri_of(realm: &ClusteredRealm, message: &Message) -> Option<String> {
    match message {
        Message::Publish { topic, .. } | Message::Subscribe { topic, .. } => Some(topic.clone()),
        Message::Call { procedure, .. } | Message::Register { procedure, .. } => Some(procedure.clone()),
        Message::Event { subscription, details, .. } => details
            .str("topic")
            .map(str::to_owned)
            .or_else(|| realm.broker().subscription(*subscription).map(|subscription| subscription.uri.clone())),
        Message::Invocation { registration, details, .. } => details
            .str("procedure")
            .map(str::to_owned)
            .or_else(|| realm.dealer().registration(*registration).map(|registration| registration.uri.clone())),
        _ => None,
    }
}

/// A message as JSON, cut where it is long.
fn text_of(message: &Message) -> String {
    let mut bytes = Vec::new();
    codec::encode(message, Serializer::Json, &mut bytes);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    debug_assert!(message.code() != code::AUTHENTICATE, "nothing of a handshake is shown");
    if text.len() > TEXT_BYTES_MAX {
        let cut = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// At the same time, on one node.
const TRACES_MAX: usize = 8;
const LINES_MAX: u64 = 1_000;
/// Lines that wait for their reader.
const WAITING_MAX: usize = 1_000;
/// Requests whose answers are waited for.
const REQUESTS_MAX: usize = 4_096;
const SECONDS: f64 = 60.0;
const SECONDS_MAX: f64 = 600.0;
/// A trace that nobody reads for this long has been forgotten.
const UNREAD_MAX: Duration = Duration::from_secs(10);
const TEXT_BYTES_MAX: usize = 400;
