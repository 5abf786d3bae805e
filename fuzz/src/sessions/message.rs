//! Messages that an input says: of every kind, from few words, so that sessions meet one another.

use super::input::Input;
use crossbar_cluster::mesh::frames;
use crossbar_cluster::wamp::message::code;
use crossbar_cluster::wamp::{Id, Message};
use crossbar_cluster::wire::{Dict, Payload, Value};

/// What a client has been told, for what it says later to be about something. The last few of each.
#[derive(Debug, Default)]
pub struct Known {
    pub subscriptions: Vec<Id>,
    pub registrations: Vec<Id>,
    pub invocations: Vec<Id>,
    pub publications: Vec<Id>,
}

/// How many of each kind are remembered.
const KNOWN_MAX: usize = 8;

impl Known {
    /// Remembers what a message tells.
    pub fn note(&mut self, message: &Message) {
        match message {
            Message::Subscribed { subscription, .. } => remember(&mut self.subscriptions, *subscription),
            Message::Registered { registration, .. } => remember(&mut self.registrations, *registration),
            Message::Invocation { request, .. } => remember(&mut self.invocations, *request),
            Message::Event { publication, .. } => remember(&mut self.publications, *publication),
            _ => {}
        }
    }
}

fn remember(ids: &mut Vec<Id>, id: Id) {
    if ids.len() >= KNOWN_MAX {
        ids.remove(0);
    }
    ids.push(id);
}

/// A message of an established session. `next` is the next request id of the session.
pub fn message(input: &mut Input, known: &Known, next: Id) -> Message {
    let request = if input.once_in(32) { input.number() >> 11 } else { next };
    let details = Dict::new();
    match input.byte() % 32 {
        0..7 => {
            Message::Publish { request, options: options(input, PUBLISH), topic: uri(input), payload: payload(input) }
        }
        7..12 => {
            let (topic, options) = pattern(input, SUBSCRIBE);
            Message::Subscribe { request, options, topic }
        }
        12..15 => {
            let (procedure, options) = pattern(input, REGISTER);
            Message::Register { request, options, procedure }
        }
        15..19 => {
            Message::Call { request, options: options(input, CALL), procedure: uri(input), payload: payload(input) }
        }
        19..22 => {
            let procedure = input.word(META).to_owned();
            Message::Call { request, options: options(input, CALL), procedure, payload: arguments(input, known) }
        }
        22..26 if !known.invocations.is_empty() => answer(input, known),
        26 => Message::Cancel { request: next.saturating_sub(input.byte().into()), options: options(input, CANCEL) },
        27 => Message::Unsubscribe { request, subscription: one_of(input, &known.subscriptions), options: details },
        28 => Message::Unregister { request, registration: one_of(input, &known.registrations), options: details },
        30 if input.once_in(4) => Message::Goodbye { details, reason: "wamp.close.close_realm".to_owned() },
        31 if input.once_in(4) => out_of_place(input, request),
        _ => Message::EventReceived { publication: one_of(input, &known.publications) },
    }
}

/// What a callee says to an invocation.
fn answer(input: &mut Input, known: &Known) -> Message {
    let request = one_of(input, &known.invocations);
    if !input.once_in(4) {
        return Message::Yield { request, options: options(input, YIELD), payload: payload(input) };
    }
    let (details, error) = (Dict::new(), input.word(ERRORS).to_owned());
    Message::Error { request_type: code::INVOCATION, request, details, error, payload: payload(input) }
}

/// A pattern, mostly with the match policy that fits it.
fn pattern(input: &mut Input, of: &[(&'static str, Kind)]) -> (String, Dict) {
    let options = options(input, of);
    let Some((uri, policy)) = input.pick(PATTERNS).filter(|_| !input.once_in(8)) else { return (uri(input), options) };
    (uri.to_owned(), options.with("match", policy))
}

/// What a client does not say at this time, or never.
fn out_of_place(input: &mut Input, request: Id) -> Message {
    let details = Dict::new();
    match input.byte() % 6 {
        0 => hello(input),
        1 => Message::Abort { details, reason: "wamp.error.canceled".to_owned(), payload: Payload::empty() },
        2 => Message::Authenticate { signature: "signature".to_owned(), extra: details },
        3 => Message::Event { subscription: request, publication: request, details, payload: payload(input) },
        4 => Message::Invocation { request, registration: request, details, payload: payload(input) },
        _ => Message::Result { request, details, payload: payload(input) },
    }
}

/// A HELLO that announces some of the features.
pub fn hello(input: &mut Input) -> Message {
    let announced = input.byte() | input.byte() | input.byte();
    let features = FEATURES.iter().enumerate().filter(|(bit, _)| announced & (1 << bit) != 0);
    let features = features.fold(Dict::new(), |features, (_, name)| features.with(*name, true));
    let role = Dict::new().with("features", features);
    let roles = ["publisher", "subscriber", "caller", "callee"];
    let roles = roles.iter().fold(Dict::new(), |roles, name| roles.with(*name, role.clone()));
    let details = Dict::new().with("roles", roles);
    let details = if input.once_in(8) { details.with("authid", "somebody") } else { details };
    Message::Hello { realm: "realm1".to_owned(), details }
}

/// What the other node says on a link, be it true or not: anything that a client could say, and what only nodes tell.
pub fn message_of_peer(input: &mut Input, known: &Known, next: Id) -> Message {
    let (request, details) = (one_of(input, &[next, 1, 2]), options(input, OF_LINKS));
    match input.byte() % 8 {
        0 => {
            Message::Call { request, options: details, procedure: input.word(LINK).into(), payload: told(input, known) }
        }
        1 => {
            let details = details.with("topic", input.word(LINK));
            let (subscription, publication) = (one_of(input, &known.subscriptions), input.number() >> 11);
            Message::Event { subscription, publication, details, payload: told(input, known) }
        }
        2 => {
            let registration = one_of(input, &known.registrations);
            Message::Invocation { request, registration, details, payload: payload(input) }
        }
        3 => Message::Result { request, details, payload: told(input, known) },
        4 => Message::Subscribed { request, subscription: input.number() >> 11 },
        5 => Message::Error {
            request_type: one_of(input, &[code::REGISTER, code::SUBSCRIBE, code::CALL, code::INVOCATION]),
            request,
            details,
            error: input.word(ERRORS).to_owned(),
            payload: payload(input),
        },
        6 => Message::Register { request, options: options(input, OFFER), procedure: uri(input) },
        _ => message(input, known, next),
    }
}

fn one_of(input: &mut Input, ids: &[Id]) -> Id {
    if input.once_in(64) { input.number() >> 11 } else { input.pick(ids).unwrap_or(1) }
}

pub fn uri(input: &mut Input) -> String {
    input.word(URIS).to_owned()
}

pub fn payload(input: &mut Input) -> Payload {
    match input.byte() % 8 {
        0..3 => Payload::empty(),
        3 => Payload::from_values(vec![Value::Bytes(vec![7; usize::from(input.byte()) * 16])], Dict::new()),
        4 => Payload::from_values(vec![value(input)], Dict::new().with("key", value(input))),
        5 => {
            let granted = Dict::new().with("allow", true).with("cache", true).with("disclose", true);
            Payload::from_values(vec![granted.into()], Dict::new())
        }
        _ => Payload::from_values(vec![value(input), value(input)], Dict::new()),
    }
}

/// The arguments of a call of the meta API.
fn arguments(input: &mut Input, known: &Known) -> Payload {
    let id = |input: &mut Input| match input.byte() % 4 {
        0 => one_of(input, &known.subscriptions),
        1 => one_of(input, &known.registrations),
        _ => input.byte().into(),
    };
    let args: Vec<Value> = match input.byte() % 6 {
        0 => Vec::new(),
        1 | 2 => vec![id(input).into(), id(input).into()],
        3 => vec![uri(input).into(), Dict::new().with("match", input.word(MATCHES)).into()],
        4 => vec![uri(input).into(), Value::List(vec![value(input)]), Value::Dict(Dict::new())],
        _ => vec![value(input), value(input)],
    };
    Payload::from_values(args, options(input, KEYWORDS))
}

/// What a node tells another of its sessions.
fn told(input: &mut Input, known: &Known) -> Payload {
    let session = Dict::new().with("session", input.byte() as u64).with("authid", "a").with("authrole", "b");
    match input.byte() % 4 {
        0 => Payload::from_values(vec![session.into(), value(input)], Dict::new()),
        1 => Payload::from_values(vec![u64::from(input.byte()).into(), session.into(), value(input)], Dict::new()),
        2 => arguments(input, known),
        _ => payload(input),
    }
}

fn value(input: &mut Input) -> Value {
    match input.byte() % 12 {
        0 => Value::Null,
        1 => true.into(),
        2 => u64::from(input.byte()).into(),
        3 => input.number().into(),
        4 => Value::Int(-1),
        5 => Value::Float(f64::from_bits(input.number())),
        6 => uri(input).into(),
        7 => Value::List(vec![u64::from(input.byte()).into(), uri(input).into()]),
        8 => Value::Dict(options(input, PUBLISH)),
        9 => Value::Bytes(vec![0; input.byte().into()]),
        10 => "2026-01-01T00:00:00.000Z".into(),
        _ => Value::List(vec![Value::List(vec![Value::Dict(Dict::new())])]),
    }
}

/// What an option can be.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Small,
    Any,
    Words(&'static [&'static str]),
    Ids,
    Texts,
    ForwardFor,
}

fn options(input: &mut Input, of: &[(&'static str, Kind)]) -> Dict {
    let mut options = Dict::new();
    for _ in 0..input.byte() % 4 {
        let Some((key, kind)) = input.pick(of) else { break };
        let value = match kind {
            Kind::Bool => (!input.once_in(4)).into(),
            Kind::Small => u64::from(input.byte() % 4).into(),
            Kind::Any => input.number().into(),
            Kind::Words(words) => input.word(words).into(),
            Kind::Ids => Value::List((0..input.byte() % 4).map(|_| u64::from(input.byte()).into()).collect()),
            Kind::Texts => Value::List((0..input.byte() % 4).map(|_| input.word(TEXTS).into()).collect()),
            Kind::ForwardFor => {
                let hop = Dict::new().with("session", u64::from(input.byte())).with("authid", "a");
                Value::List(vec![hop.with("authrole", input.word(TEXTS)).into()])
            }
        };
        // A wrong kind ends the session.
        options.set(key, if input.once_in(255) { Value::Null } else { value });
    }
    options
}

const URIS: &[&str] = &[
    "com.a",
    "com.a",
    "com.a.x",
    "com.b",
    "com.",
    "com..x",
    "com.a.",
    "",
    ".",
    "com.history",
    "com.authorize",
    "wamp.session.on_join",
    "wamp.session.",
    "wamp.subscription.",
    "wamp.registration.",
    "not a uri",
];
const PATTERNS: &[(&str, &str)] = &[
    ("com.a", "exact"),
    ("com.b", "exact"),
    ("com.a.x", "exact"),
    ("com.history", "exact"),
    ("com.authorize", "exact"),
    ("com.", "prefix"),
    ("com.a", "prefix"),
    ("", "prefix"),
    ("wamp.", "prefix"),
    ("com..x", "wildcard"),
    ("..", "wildcard"),
    ("com.", "wildcard"),
    (".a", "wildcard"),
    ("wamp.session.", "wildcard"),
    ("wamp..", "wildcard"),
    ("wamp.session.on_join", "exact"),
];
const MATCHES: &[&str] = &["exact", "prefix", "wildcard"];
const TEXTS: &[&str] = &["a", "somebody", "anonymous", "asked", "edge1"];
const ERRORS: &[&str] = &["com.error", "wamp.error.canceled", "wamp.error.unavailable", "wamp.error.no_such_procedure"];
const PUBLISH: &[(&str, Kind)] = &[
    ("acknowledge", Kind::Bool),
    ("exclude_me", Kind::Bool),
    ("disclose_me", Kind::Bool),
    ("retain", Kind::Bool),
    ("eligible", Kind::Ids),
    ("exclude", Kind::Ids),
    ("eligible_authid", Kind::Texts),
    ("exclude_authrole", Kind::Texts),
];
const SUBSCRIBE: &[(&str, Kind)] = &[("match", Kind::Words(MATCHES)), ("get_retained", Kind::Bool)];
const REGISTER: &[(&str, Kind)] = &[
    ("match", Kind::Words(MATCHES)),
    ("invoke", Kind::Words(&["single", "roundrobin", "random", "first", "last"])),
    ("concurrency", Kind::Small),
    ("force_reregister", Kind::Bool),
    ("disclose_caller", Kind::Bool),
    ("forward_timeout", Kind::Bool),
];
const CALL: &[(&str, Kind)] = &[
    ("timeout", Kind::Small),
    ("timeout", Kind::Any),
    ("progress", Kind::Bool),
    ("receive_progress", Kind::Bool),
    ("disclose_me", Kind::Bool),
];
const YIELD: &[(&str, Kind)] = &[("progress", Kind::Bool)];
const CANCEL: &[(&str, Kind)] = &[("mode", Kind::Words(&["skip", "kill", "killnowait"]))];
const KEYWORDS: &[(&str, Kind)] = &[
    ("scope", Kind::Words(&["destroyed", "detached"])),
    ("publish_options", Kind::Bool),
    ("reason", Kind::Words(&["com.reason", "wamp.close.killed"])),
    ("limit", Kind::Any),
    ("reverse", Kind::Bool),
    ("from_time", Kind::Words(&["2026-01-01T00:00:00.000Z"])),
    ("after_publication", Kind::Any),
];
const OFFER: &[(&str, Kind)] = &[
    ("match", Kind::Words(MATCHES)),
    ("invoke", Kind::Words(&["single", "roundrobin"])),
    ("pending", Kind::Bool),
    ("force_reregister", Kind::Bool),
    ("since_us", Kind::Any),
    ("weight", Kind::Any),
    ("generation", Kind::Any),
    ("leaving", Kind::Bool),
];
const OF_LINKS: &[(&str, Kind)] = &[
    ("publication", Kind::Any),
    ("published_us", Kind::Any),
    ("retain", Kind::Bool),
    ("forward_for", Kind::ForwardFor),
    ("progress", Kind::Bool),
    ("timeout", Kind::Any),
    ("procedure", Kind::Words(URIS)),
    ("registration", Kind::Any),
    ("testament", Kind::Bool),
    ("eligible", Kind::Ids),
];
/// By their bits in a HELLO.
const FEATURES: &[&str] = &[
    "progressive_call_invocations",
    "progressive_call_results",
    "call_canceling",
    "call_timeout",
    "registration_revocation",
    "subscription_revocation",
    "payload_passthru_mode",
];
const META: &[&str] = &[
    "wamp.session.count",
    "wamp.session.list",
    "wamp.session.get",
    "wamp.session.kill",
    "wamp.session.kill_by_authid",
    "wamp.session.kill_by_authrole",
    "wamp.session.kill_all",
    "wamp.session.add_testament",
    "wamp.session.add_testament",
    "wamp.session.flush_testaments",
    "wamp.registration.list",
    "wamp.registration.lookup",
    "wamp.registration.match",
    "wamp.registration.get",
    "wamp.registration.list_callees",
    "wamp.registration.remove_callee",
    "wamp.subscription.list",
    "wamp.subscription.lookup",
    "wamp.subscription.match",
    "wamp.subscription.get",
    "wamp.subscription.list_subscribers",
    "wamp.subscription.remove_subscriber",
    "wamp.subscription.get_events",
    "wamp.no_such_procedure",
];
const LINK: &[&str] = &[
    frames::SESSION,
    frames::TESTAMENT,
    frames::TESTAMENTS_FLUSHED,
    frames::SESSION_GONE,
    frames::HELD,
    frames::HELD_NO_MORE,
    frames::OVERRUN,
    frames::HOLDINGS,
    frames::SESSIONS,
    frames::RETAINED,
    frames::DIGEST,
    frames::REPLAYED,
    frames::RESET,
    "wamp.session.on_join",
    "wamp.session.on_leave",
    "com.a",
];
