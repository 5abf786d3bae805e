//! The dealer as its sessions see it: messages in and out as JSON, written with ' for ", and the id of a registration
//! as `#uri`. The tables are checked after every step.

mod calling;
mod ending;
mod history;
mod leaving;
mod random;
mod registering;

use super::{Caller, Dealer, Farewell};
use crate::drop::DropReason;
use crate::realm::holdings::Holdings;
use crate::realm::ids::Asked;
use crate::realm::ledger::Ledger;
use crate::realm::{Context, Effect, MemberKind, Members, MetaEvent, RealmConfig};
use crate::time::Now;
use crate::wamp::feature::Features;
use crate::wamp::uri::UriCheck;
use crate::wamp::{Id, Identity, Message, SessionKey, codec};
use crate::wire::{Dict, Payload, Serializer, Value};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::VecDeque;
use std::time::Duration;

/// A client asks now.
fn asked(cx: &Context) -> Asked {
    Asked { wall: cx.now.wall, generation: None }
}

/// A dealer with everything that its realm would have around it.
struct World {
    dealer: Dealer,
    config: RealmConfig,
    members: Members,
    rng: ChaCha8Rng,
    now: Now,
    meta: Vec<MetaEvent>,
    holdings: Holdings,
    ledger: Ledger,
}

impl World {
    fn new() -> World {
        let config = RealmConfig {
            name: "realm1".to_owned(),
            uri_check: UriCheck::Loose,
            roles: Vec::new(),
            history: Vec::new(),
            deciding: Vec::new(),
            local_first: false,
            limits: crate::limits::Limits::default(),
        };
        let (dealer, members) = (Dealer::default(), Members::default());
        let (rng, now, meta) = (ChaCha8Rng::seed_from_u64(7), Now::epoch(), Vec::new());
        World { dealer, config, members, rng, now, meta, holdings: Holdings::default(), ledger: Ledger::default() }
    }

    /// A world of sessions 1 to `n` that announced everything.
    fn of(n: u32) -> World {
        let mut world = World::new();
        (1..=n).for_each(|key| world.join(key, MemberKind::Client, Features { callee: true, ..EVERYTHING }));
        world
    }

    /// Session `key` has the id 100 + key, authid `user<key>` and authrole `role<key>`.
    fn join(&mut self, key: u32, kind: MemberKind, features: Features) {
        let identity = Identity {
            session: 100 + Id::from(key),
            authid: format!("user{key}"),
            authrole: format!("role{key}"),
            authmethod: "anonymous".to_owned(),
            authprovider: "static".to_owned(),
            authextra: Dict::new(),
            transport: Dict::new(),
            features,
        };
        self.members.insert(SessionKey(key), kind, identity);
    }

    /// Runs `step`, checks the tables and tells the effects.
    fn step(&mut self, step: impl FnOnce(&mut Dealer, &mut Context)) -> Vec<Effect> {
        let effects = self.step_unchecked(step);
        self.dealer.check();
        self.dealer.check_kept(&self.ledger);
        effects
    }

    /// The same where there is so much in the tables that checking them takes long.
    fn step_unchecked(&mut self, step: impl FnOnce(&mut Dealer, &mut Context)) -> Vec<Effect> {
        let mut out = Vec::new();
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            members: &mut self.members,
            rng: &mut self.rng,
            out: &mut out,
            answers: &mut VecDeque::new(),
            meta: &mut self.meta,
            holdings: &mut self.holdings,
            ledger: &mut self.ledger,
        };
        step(&mut self.dealer, &mut cx);
        self.dealer.let_go(&mut cx);
        out
    }

    fn handle(&mut self, key: u32, message: Message) -> Vec<Effect> {
        let key = SessionKey(key);
        self.step(|dealer, cx| match message {
            Message::Register { request, options, procedure } => {
                dealer.handle_register(cx, key, request, options, procedure, asked(cx));
            }
            Message::Unregister { request, registration, .. } => {
                dealer.handle_unregister(cx, key, request, registration);
            }
            Message::Call { request, options, procedure, payload } => {
                // As `Desks` does it.
                if dealer.begins_call(key, request, &options) {
                    if dealer.is_departing(key) {
                        return;
                    }
                    dealer.handle_call(cx, Caller::Session(key), request, options, procedure, payload, false);
                } else {
                    dealer.handle_continuation(cx, key, request, options, procedure, payload);
                }
            }
            Message::Cancel { request, options } => dealer.handle_cancel(cx, key, request, options),
            Message::Yield { request, options, payload } => dealer.handle_yield(cx, key, request, options, payload),
            Message::Error { request, details, error, payload, .. } => {
                dealer.handle_error(cx, key, request, details, error, payload);
            }
            other => panic!("{other:?} is not for the dealer"),
        })
    }

    /// What comes out when session `key` sends `text`.
    fn send(&mut self, key: u32, text: &str) -> Vec<String> {
        let mut text = text.replace('\'', "\"");
        for registration in self.dealer.registrations() {
            text = text.replace(&format!("#{}", registration.uri), &registration.id.to_string());
        }
        let message = codec::decode(Serializer::Json, text.as_bytes(), 16).expect(&text);
        let effects = self.handle(key, message);
        self.tell(effects)
    }

    /// What the router's own call gives.
    fn call_by_router(&mut self, token: u64, procedure: &str, options: Dict) -> Vec<String> {
        let effects = self.step(|dealer, cx| {
            let payload = Payload::from_values(vec![Value::from("a")], Dict::new());
            dealer.handle_call(cx, Caller::Program(token), 0, options, procedure.to_owned(), payload, false);
        });
        self.tell(effects)
    }

    /// The turn of session `key` to leave has come; it has `DRAIN_TIME` for it.
    fn send_away(&mut self, key: u32) -> Vec<String> {
        let until = self.now.uptime + DRAIN_TIME;
        let farewell = Farewell { message: "away", reason: DropReason::Shutdown, until };
        let effects = self.step(|dealer, cx| dealer.depart(cx, SessionKey(key), farewell));
        self.tell(effects)
    }

    fn leave(&mut self, key: u32) -> Vec<String> {
        let effects = self.handle_leave(key);
        self.tell(effects)
    }

    fn handle_leave(&mut self, key: u32) -> Vec<Effect> {
        let effects = self.step(|dealer, cx| dealer.handle_leave(cx, SessionKey(key)));
        self.members.remove(SessionKey(key));
        effects
    }

    /// What happens in the next `ms` milliseconds.
    fn pass(&mut self, ms: u64) -> Vec<String> {
        let effects = self.handle_pass(ms);
        self.tell(effects)
    }

    fn handle_pass(&mut self, ms: u64) -> Vec<Effect> {
        self.now = self.now.after(Duration::from_millis(ms));
        let effects = self.step(|dealer, cx| dealer.handle_timeout(cx));
        assert!(self.dealer.poll_timeout().is_none_or(|deadline| deadline > self.now.uptime));
        effects
    }

    fn tell(&self, effects: Vec<Effect>) -> Vec<String> {
        effects.into_iter().map(|effect| self.line(effect)).collect()
    }

    fn line(&self, effect: Effect) -> String {
        let line = match effect {
            Effect::Send { to, message } => format!("{} {}", to.0, json(&message)),
            Effect::Abort { session, sentence, .. } => format!("{} abort: {sentence}", session.0),
            Effect::Answer { token, result: Ok(payload) } => format!("router {token} {:?}", payload.args()),
            Effect::Answer { token, result: Err(error) } => format!("router {token} {}", error.error),
            Effect::Drop { reason } => format!("drop {reason}"),
            Effect::Refused { session, refused } => format!("{} note: {}", session.0, refused.reason),
            Effect::Goodbye { session, .. } => format!("{} goodbye", session.0),
            other => format!("{other:?}"),
        };
        self.with_names(line)
    }

    /// The meta events since the last look, as `topic args`.
    fn meta(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.meta);
        let topic = |event: &MetaEvent| event.topic.trim_start_matches("wamp.registration.").to_owned();
        let args = |event: MetaEvent| {
            String::from_utf8(Payload::from_values(event.args, Dict::new()).elements_in(Serializer::Json).0.to_vec())
        };
        let line = |event: MetaEvent| format!("{} {}", topic(&event), args(event).expect("JSON is text"));
        events.into_iter().map(|event| self.with_names(line(event).replace('"', "'"))).collect()
    }

    fn with_names(&self, mut line: String) -> String {
        for registration in self.dealer.registrations() {
            line = line.replace(&registration.id.to_string(), &format!("#{}", registration.uri));
        }
        line
    }

    /// Everybody leaves; nothing may be left behind.
    fn end(mut self) {
        let keys: Vec<SessionKey> = self.members.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.leave(key.0);
        }
        // Nobody is awaited any more.
        self.pass(3_000);
        assert!(self.dealer.is_empty(), "{:?}", self.dealer);
        assert_eq!(self.dealer.poll_timeout(), None);
    }
}

fn json(message: &Message) -> String {
    let mut bytes = Vec::new();
    codec::encode(message, Serializer::Json, &mut bytes);
    String::from_utf8(bytes).expect("JSON is text").replace('"', "'")
}

/// The session's key of every line that `send` gave and that has an INVOCATION, in order.
fn invoked(lines: &[String]) -> Vec<u32> {
    let key = |line: &String| line.split_once(" [68,").map(|(key, _)| key.parse().expect("a key"));
    lines.iter().filter_map(key).collect()
}

const DRAIN_TIME: Duration = Duration::from_secs(60);

const EVERYTHING: Features = Features::EVERYTHING;

/// Every role, and nothing advanced.
const PLAIN: Features = Features {
    publisher: true,
    subscriber: true,
    caller: true,
    callee: true,
    caller_progressive_invocations: false,
    caller_progressive_results: false,
    callee_call_canceling: false,
    callee_call_timeout: false,
    callee_progressive_invocations: false,
    callee_progressive_results: false,
    callee_registration_revocation: false,
    subscriber_subscription_revocation: false,
    publisher_passthru: false,
    caller_passthru: false,
    callee_passthru: false,
};
