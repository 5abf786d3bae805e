//! Random histories: whatever sessions do and in whatever order, every call gets one final answer while its caller is
//! here, nothing follows the final answer, and nothing is left when all have gone.

use super::history::{History, OpenCall, Reply, kind_and_features};
use crate::realm::MemberKind;
use crate::wamp::{Id, Message};
use crate::wire::{Dict, Payload};
use proptest::prelude::*;

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

impl History {
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
                let is_last = pick % 2 == 0;
                if is_last {
                    session.ended.remove(&request);
                }
                let (options, procedure) = (Dict::new().with("progress", !is_last), URIS[0].to_owned());
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

    fn register(&mut self, key: u32, options: Dict, uri: &str) {
        let request = self.sessions.get_mut(&key).expect("it has joined").next_request();
        self.send(key, Message::Register { request, options, procedure: uri.to_owned() });
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
