//! Random histories: whatever sessions do and in whatever order, every call gets one final answer while its caller is
//! here, nothing follows the final answer, and nothing is left when all have gone.

use super::{EVERYTHING, PLAIN, World};
use crate::realm::{Effect, MemberKind};
use crate::wamp::feature::Features;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What one session does, or (with `pick`, if there is anything to pick from) whichever can.
#[derive(Clone, Debug)]
enum Deed {
    Register {
        uri: usize,
        invoke: usize,
        concurrency: u64,
        force: bool,
    },
    Unregister {
        pick: usize,
    },
    Call {
        uri: usize,
        receive_progress: bool,
        progress: bool,
        passthru: bool,
        timeout_ms: u64,
    },
    Continue {
        pick: usize,
        is_last: bool,
    },
    /// Continues what may have ended.
    ContinueLate {
        pick: usize,
    },
    Cancel {
        pick: usize,
        mode: usize,
    },
    Answer {
        pick: usize,
        answer: Reply,
    },
    /// Answers what it may never have been asked.
    Babble {
        invocation: Id,
    },
    Leave,
    Wait {
        ms: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Reply {
    Result,
    PassthruResult,
    Progress,
    Error,
    Unavailable,
}

fn deed() -> impl Strategy<Value = Deed> {
    let reply = prop_oneof![
        3 => Just(Reply::Result),
        1 => Just(Reply::PassthruResult),
        3 => Just(Reply::Progress),
        1 => Just(Reply::Error),
        2 => Just(Reply::Unavailable),
    ];
    // Mostly one policy, so that many registrations have several callees.
    let invoke = prop_oneof![3 => Just(1_usize), 1 => 0..5_usize];
    prop_oneof![
        4 => (0..2_usize, invoke, 0..3_u64, prop::bool::weighted(0.1))
            .prop_map(|(uri, invoke, concurrency, force)| Deed::Register { uri, invoke, concurrency, force }),
        1 => (0..60_usize).prop_map(|pick| Deed::Unregister { pick }),
        8 => (0..2_usize, any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.1), 0..4_u64).prop_map(
            |(uri, receive_progress, progress, passthru, timeout)| {
                Deed::Call { uri, receive_progress, progress, passthru, timeout_ms: timeout * 10 }
            }
        ),
        3 => (0..60_usize, any::<bool>()).prop_map(|(pick, is_last)| Deed::Continue { pick, is_last }),
        1 => (0..60_usize).prop_map(|pick| Deed::ContinueLate { pick }),
        1 => (0..60_usize, 0..3_usize).prop_map(|(pick, mode)| Deed::Cancel { pick, mode }),
        8 => (0..60_usize, reply).prop_map(|(pick, answer)| Deed::Answer { pick, answer }),
        1 => (0..20_u64).prop_map(|invocation| Deed::Babble { invocation }),
        1 => Just(Deed::Leave),
        1 => (1..15_u64).prop_map(|ms| Deed::Wait { ms }),
    ]
}

/// The world, and what its sessions know.
struct History {
    world: World,
    sessions: BTreeMap<u32, Session>,
    /// The last call of a caller that a callee was sent, per procedure.
    order: BTreeMap<(u32, u32, &'static str), Id>,
}

/// What one session knows. It is forgotten when it leaves.
#[derive(Default)]
struct Session {
    last_request: Id,
    /// Its calls without a final answer.
    open: BTreeMap<Id, OpenCall>,
    /// Its progressive calls that have ended.
    ended: BTreeSet<Id>,
    last_invocation: Id,
    /// Invocations that it has not given a final answer to.
    invocations: BTreeMap<Id, Received>,
}

#[derive(Default)]
struct OpenCall {
    uri: &'static str,
    receive_progress: bool,
    /// How many parts of it were sent, and whether more may follow.
    n_parts: u64,
    is_open: bool,
    /// Some callee was unavailable, so that it has lost its place in the order.
    is_rerouted: bool,
    /// Answered by a callee; no other may have it.
    progressed: bool,
}

/// What a callee has of a call.
struct Received {
    caller: u32,
    request: Id,
    n_parts: u64,
    interrupted: bool,
}

impl History {
    fn new() -> History {
        let mut world = World::new();
        world.config.limits.calls_queued_max = 3;
        world.config.limits.calls_per_session_max = 6;
        world.config.limits.registrations_per_session_max = 2;
        History { world, sessions: BTreeMap::new(), order: BTreeMap::new() }
    }

    fn join(&mut self, key: u32) {
        if !self.sessions.contains_key(&key) {
            let (kind, features) = kind_and_features(key);
            self.world.join(key, kind, features);
            self.sessions.insert(key, Session::default());
        }
    }

    fn leave(&mut self, key: u32) {
        self.sessions.remove(&key);
        self.order.retain(|(caller, callee, _), _| *caller != key && *callee != key);
        let effects = self.world.handle_leave(key);
        self.observe(effects);
    }

    fn send(&mut self, key: u32, message: Message) {
        let effects = self.world.handle(key, message);
        self.observe(effects);
    }

    fn act(&mut self, key: u32, deed: Deed) {
        self.join(key);
        let session = self.sessions.get_mut(&key).expect("it has joined");
        let (kind, _) = kind_and_features(key);
        match deed {
            Deed::Register { uri, invoke, concurrency, force } if kind != MemberKind::Uplink => {
                let mut options = Dict::new().with("invoke", INVOKE[invoke]).with("force_reregister", force);
                if concurrency > 0 {
                    options.set("concurrency", concurrency);
                }
                self.register(key, options, URIS[uri]);
            }
            Deed::Unregister { pick } => {
                let Some(registration) = self.world.dealer.registrations().nth(pick % 3) else { return };
                let (request, registration) = (session.next_request(), registration.id);
                self.send(key, Message::Unregister { request, registration, options: Dict::new() });
            }
            Deed::Call { uri, receive_progress, progress, passthru, timeout_ms } if kind != MemberKind::Peer => {
                let progress = progress && kind_and_features(key).1.caller_progressive_invocations;
                let mut options = Dict::new().with("receive_progress", receive_progress).with("progress", progress);
                options.set("timeout", timeout_ms);
                if passthru {
                    options.set("ppt_scheme", "x_a");
                }
                let request = session.next_request();
                let call = OpenCall { uri: URIS[uri], receive_progress, is_open: progress, ..OpenCall::default() };
                session.open.insert(request, call);
                self.send_part(key, request, options);
            }
            Deed::Continue { pick, is_last } => {
                let Some((key, request)) = self.open_call(pick, |call| call.is_open) else { return };
                let session = self.sessions.get_mut(&key).expect("it has an open call");
                session.open.get_mut(&request).expect("it is open").is_open = !is_last;
                self.send_part(key, request, Dict::new().with("progress", !is_last));
            }
            Deed::ContinueLate { pick } => {
                let Some(request) = session.ended.iter().nth(pick % 3).copied() else { return };
                let (options, procedure) = (Dict::new(), URIS[0].to_owned());
                let message = Message::Call { request, options, procedure, payload: Payload::empty() };
                let effects = self.world.handle(key, message);
                assert!(effects.is_empty(), "{effects:?}");
            }
            Deed::Cancel { pick, mode } => {
                let Some((key, request)) = self.open_call(pick, |_| true) else { return };
                let options = Dict::new().with("mode", ["skip", "kill", "killnowait"][mode]);
                self.send(key, Message::Cancel { request, options });
                let open = &self.sessions[&key].open;
                assert!(mode == 1 || !open.contains_key(&request), "only kill waits for the callee");
            }
            Deed::Answer { pick, answer } => {
                let Some((key, invocation)) = self.invocation(pick) else { return };
                self.answer(key, invocation, answer);
            }
            Deed::Babble { invocation } => {
                let is_known = (1..=session.last_invocation).contains(&invocation);
                session.invocations.remove(&invocation);
                self.send(key, Message::Yield { request: invocation, options: Dict::new(), payload: Payload::empty() });
                assert_eq!(self.sessions.contains_key(&key), is_known, "who makes invocations up is aborted");
            }
            Deed::Leave => self.leave(key),
            Deed::Wait { ms } => {
                let effects = self.world.handle_pass(ms);
                self.observe(effects);
            }
            Deed::Register { .. } | Deed::Call { .. } => {}
        }
    }

    /// Some call, of whomever.
    fn open_call(&self, pick: usize, is_wanted: impl Fn(&OpenCall) -> bool) -> Option<(u32, Id)> {
        let of_session = |(key, session): (&u32, &Session)| {
            let wanted = session.open.iter().filter(|(_, call)| is_wanted(call));
            wanted.map(|(request, _)| (*key, *request)).collect::<Vec<_>>()
        };
        let calls: Vec<(u32, Id)> = self.sessions.iter().flat_map(of_session).collect();
        calls.get(pick % calls.len().max(1)).copied()
    }

    /// Some invocation, at whomever.
    fn invocation(&self, pick: usize) -> Option<(u32, Id)> {
        let of_session = |(key, session): (&u32, &Session)| {
            session.invocations.keys().map(|invocation| (*key, *invocation)).collect::<Vec<_>>()
        };
        let invocations: Vec<(u32, Id)> = self.sessions.iter().flat_map(of_session).collect();
        invocations.get(pick % invocations.len().max(1)).copied()
    }

    fn register(&mut self, key: u32, options: Dict, uri: &str) {
        let request = self.sessions.get_mut(&key).expect("it has joined").next_request();
        self.send(key, Message::Register { request, options, procedure: uri.to_owned() });
    }

    /// Sends one part of a call; its arguments say what it is.
    fn send_part(&mut self, key: u32, request: Id, options: Dict) {
        let call = self.sessions.get_mut(&key).and_then(|session| session.open.get_mut(&request)).expect("it is open");
        call.n_parts += 1;
        let args = vec![Value::from(key), Value::from(request), Value::from(call.n_parts)];
        let procedure = call.uri.to_owned();
        self.send(key, Message::Call { request, options, procedure, payload: Payload::from_values(args, Dict::new()) });
    }

    fn answer(&mut self, key: u32, invocation: Id, answer: Reply) {
        let session = self.sessions.get_mut(&key).expect("it has joined");
        let passthru = kind_and_features(key).1.callee_passthru;
        let options = match answer {
            Reply::Progress => Dict::new().with("progress", true),
            Reply::PassthruResult if passthru => Dict::new().with("ppt_scheme", "x_a"),
            _ => Dict::new(),
        };
        if !matches!(answer, Reply::Progress) {
            let received = session.invocations.remove(&invocation).expect("it was received");
            let is_unavailable = matches!(answer, Reply::Unavailable);
            if let Some(call) = self.sessions.get_mut(&received.caller).and_then(|s| s.open.get_mut(&received.request))
            {
                call.is_rerouted |= is_unavailable;
            }
        }
        let (request, payload) = (invocation, Payload::empty());
        let error = |error: &str| {
            let (details, error) = (Dict::new(), error.to_owned());
            Message::Error { request_type: code::INVOCATION, request, details, error, payload: Payload::empty() }
        };
        self.send(
            key,
            match answer {
                Reply::Error => error("com.error"),
                Reply::Unavailable => error(error::UNAVAILABLE),
                _ => Message::Yield { request, options, payload },
            },
        );
    }

    /// Takes in what comes out, and judges it.
    fn observe(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to: SessionKey(to), message } => self.observe_message(to, message),
                Effect::Abort { session, .. } => self.leave(session.0),
                Effect::Drop { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn observe_message(&mut self, to: u32, message: Message) {
        let session = self.sessions.get_mut(&to).unwrap_or_else(|| panic!("{message:?} for {to}, which has left"));
        match message {
            Message::Result { request, details, .. } => {
                let call = session.open.get_mut(&request).expect("a RESULT is for an open call");
                if details.bool("progress") == Some(true) {
                    assert!(call.receive_progress, "progress that nobody asked for");
                    call.progressed = true;
                } else {
                    session.end(request);
                }
            }
            Message::Error { request_type: code::CALL, request, .. } => session.end(request),
            Message::Invocation { request, details, payload, .. } => {
                self.observe_invocation(to, request, &details, &payload);
            }
            Message::Interrupt { request, .. } => {
                assert!(kind_and_features(to).1.callee_call_canceling);
                if let Some(received) = session.invocations.get_mut(&request) {
                    assert!(!std::mem::replace(&mut received.interrupted, true), "one INTERRUPT is enough");
                }
            }
            Message::Unregistered { request: 0, .. } => {
                assert!(kind_and_features(to).1.callee_registration_revocation);
            }
            Message::Registered { .. } | Message::Unregistered { .. } | Message::Error { .. } => {}
            other => panic!("{other:?} is not from a dealer"),
        }
    }

    fn observe_invocation(&mut self, to: u32, invocation: Id, details: &Dict, payload: &Payload) {
        let args: Vec<u64> = payload.args().expect("a list").iter().filter_map(Value::as_uint).collect();
        let [caller, request, part] = args[..] else { panic!("the payload has changed: {args:?}") };
        let caller = u32::try_from(caller).expect("a key");
        let (caller_kind, _) = kind_and_features(caller);
        let (kind, features) = kind_and_features(to);
        assert!(kind == MemberKind::Client || caller_kind == MemberKind::Client, "from node to node");
        assert!(features.callee_passthru || details.get("ppt_scheme").is_none());
        let call = self.sessions.get(&caller).and_then(|session| session.open.get(&request)).expect("the call is open");
        let (uri, is_rerouted, progressed) = (call.uri, call.is_rerouted, call.progressed);
        let session = self.sessions.get_mut(&to).expect("it was sent to a session");
        if part > 1 {
            let received = session.invocations.get_mut(&invocation).expect("parts go to the callee of the first one");
            assert_eq!((received.caller, received.request, received.n_parts + 1), (caller, request, part));
            received.n_parts = part;
            return;
        }
        assert_eq!(invocation, session.last_invocation + 1, "invocations of a callee are numbered from 1");
        session.last_invocation = invocation;
        assert!(!progressed, "a call with a part of its result goes to no other callee");
        session.invocations.insert(invocation, Received { caller, request, n_parts: 1, interrupted: false });
        if !is_rerouted {
            let last = self.order.insert((caller, to, uri), request);
            assert!(last.is_none_or(|last| last < request), "calls of {caller} to {to} are out of order");
        }
    }

    /// Everybody answers what there is to be answered, until there is nothing.
    fn finish(mut self) {
        while let Some((key, invocation)) = self.invocation(0) {
            self.answer(key, invocation, Reply::Result);
        }
        for (key, session) in &self.sessions {
            let open: BTreeSet<&Id> = session.open.keys().collect();
            assert!(open.is_empty(), "calls {open:?} of {key} were never answered");
        }
        self.world.end();
    }
}

impl Session {
    fn next_request(&mut self) -> Id {
        self.last_request += 1;
        self.last_request
    }

    fn end(&mut self, request: Id) {
        let call = self.open.remove(&request).expect("a final answer is for an open call");
        if call.is_open {
            self.ended.insert(request);
        }
    }
}

/// Sessions 1 to 7 are of different kinds.
fn kind_and_features(key: u32) -> (MemberKind, Features) {
    match key {
        1 | 2 => (MemberKind::Client, EVERYTHING),
        3 => (MemberKind::Client, PLAIN),
        4 => (MemberKind::Client, Features { callee_progressive_results: false, caller_passthru: false, ..EVERYTHING }),
        5 => (MemberKind::Client, Features { callee_call_canceling: false, callee_passthru: false, ..EVERYTHING }),
        6 => (MemberKind::Peer, EVERYTHING),
        _ => (MemberKind::Uplink, EVERYTHING),
    }
}

const URIS: [&str; 2] = ["com.a", "com.b"];
const INVOKE: [&str; 5] = ["single", "roundrobin", "random", "first", "last"];

proptest! {
    #[test]
    fn every_call_is_answered_once(deeds in prop::collection::vec((1..8_u32, deed()), 1..150)) {
        let mut history = History::new();
        for (key, deed) in deeds {
            history.act(key, deed);
        }
        history.finish();
    }
}
