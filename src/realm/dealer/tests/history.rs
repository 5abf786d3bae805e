//! What the sessions of a random history know, and whether what they are sent agrees with it.

use super::{EVERYTHING, PLAIN, World};
use crate::realm::{Effect, MemberKind};
use crate::wamp::feature::Features;
use crate::wamp::message::code;
use crate::wamp::{Id, Message, SessionKey, error};
use crate::wire::{Dict, Payload, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The world, and what its sessions know.
pub(super) struct History {
    pub(super) world: World,
    pub(super) sessions: BTreeMap<u32, Session>,
    /// The last call of a caller that a callee was sent, per procedure.
    pub(super) order: BTreeMap<(u32, u32, &'static str), Id>,
}

/// What one session knows. It is forgotten when it leaves.
#[derive(Default)]
pub(super) struct Session {
    pub(super) last_request: Id,
    /// Its calls without a final answer.
    pub(super) open: BTreeMap<Id, OpenCall>,
    /// Its calls that have ended before it has sent their last part.
    pub(super) ended: BTreeSet<Id>,
    pub(super) last_invocation: Id,
    /// Invocations that it has not given a final answer to.
    pub(super) invocations: BTreeMap<Id, Received>,
}

#[derive(Default)]
pub(super) struct OpenCall {
    pub(super) uri: &'static str,
    pub(super) receive_progress: bool,
    /// How many parts of it were sent, and whether more may follow.
    pub(super) n_parts: u64,
    pub(super) is_open: bool,
    /// Some callee was unavailable, so that it has lost its place in the order.
    pub(super) is_rerouted: bool,
    /// Answered by a callee; no other may have it.
    pub(super) progressed: bool,
}

/// What a callee has of a call.
pub(super) struct Received {
    pub(super) caller: u32,
    pub(super) request: Id,
    pub(super) n_parts: u64,
    pub(super) interrupted: bool,
}

impl History {
    pub(super) fn new() -> History {
        let mut world = World::new();
        world.config.limits.calls_queued_max = 3;
        world.config.limits.calls_per_session_max = 6;
        world.config.limits.registrations_per_session_max = 2;
        History { world, sessions: BTreeMap::new(), order: BTreeMap::new() }
    }

    pub(super) fn join(&mut self, key: u32) {
        if !self.sessions.contains_key(&key) {
            let (kind, features) = kind_and_features(key);
            self.world.join(key, kind, features);
            self.sessions.insert(key, Session::default());
        }
    }

    pub(super) fn leave(&mut self, key: u32) {
        self.sessions.remove(&key);
        self.order.retain(|(caller, callee, _), _| *caller != key && *callee != key);
        let effects = self.world.handle_leave(key);
        self.observe(effects);
    }

    pub(super) fn send(&mut self, key: u32, message: Message) {
        let effects = self.world.handle(key, message);
        self.observe(effects);
    }

    /// Some call, of whomever.
    pub(super) fn open_call(&self, pick: usize, is_wanted: impl Fn(&OpenCall) -> bool) -> Option<(u32, Id)> {
        let of_session = |(key, session): (&u32, &Session)| {
            let wanted = session.open.iter().filter(|(_, call)| is_wanted(call));
            wanted.map(|(request, _)| (*key, *request)).collect::<Vec<_>>()
        };
        let calls: Vec<(u32, Id)> = self.sessions.iter().flat_map(of_session).collect();
        calls.get(pick % calls.len().max(1)).copied()
    }

    /// Some invocation, at whomever.
    pub(super) fn invocation(&self, pick: usize) -> Option<(u32, Id)> {
        let of_session = |(key, session): (&u32, &Session)| {
            session.invocations.keys().map(|invocation| (*key, *invocation)).collect::<Vec<_>>()
        };
        let invocations: Vec<(u32, Id)> = self.sessions.iter().flat_map(of_session).collect();
        invocations.get(pick % invocations.len().max(1)).copied()
    }

    /// Sends one part of a call; its arguments say what it is.
    pub(super) fn send_part(&mut self, key: u32, request: Id, options: Dict) {
        let call = self.sessions.get_mut(&key).and_then(|session| session.open.get_mut(&request)).expect("it is open");
        call.n_parts += 1;
        let args = vec![Value::from(key), Value::from(request), Value::from(call.n_parts)];
        let procedure = call.uri.to_owned();
        self.send(key, Message::Call { request, options, procedure, payload: Payload::from_values(args, Dict::new()) });
    }

    pub(super) fn answer(&mut self, key: u32, invocation: Id, answer: Reply) {
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
    pub(super) fn observe(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to: SessionKey(to), message } => self.observe_message(to, message),
                Effect::Abort { session, .. } => self.leave(session.0),
                Effect::Drop { .. } | Effect::Refused { .. } => {}
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
    pub(super) fn finish(mut self) {
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
    pub(super) fn next_request(&mut self) -> Id {
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
pub(super) fn kind_and_features(key: u32) -> (MemberKind, Features) {
    match key {
        1 | 2 => (MemberKind::Client, EVERYTHING),
        3 => (MemberKind::Client, PLAIN),
        4 => (MemberKind::Client, Features { callee_progressive_results: false, caller_passthru: false, ..EVERYTHING }),
        5 => (MemberKind::Client, Features { callee_call_canceling: false, callee_passthru: false, ..EVERYTHING }),
        6 => (MemberKind::Peer, EVERYTHING),
        _ => (MemberKind::Uplink, EVERYTHING),
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Result,
    PassthruResult,
    Progress,
    Error,
    Unavailable,
}
