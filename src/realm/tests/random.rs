//! Random subscribers and publishers against a list that is searched.

use super::identity;
use crate::limits::Limits;
use crate::realm::{Effect, MemberKind, Permission, Realm, RealmConfig, Role};
use crate::time::Now;
use crate::wamp::uri::{Match, UriCheck};
use crate::wamp::{Id, Message, SessionKey};
use crate::wire::{Dict, Payload, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SESSIONS: u32 = 6;

#[derive(Clone, Debug)]
enum Step {
    Subscribe(u32, String, Match),
    Unsubscribe(u32, String, Match),
    Publish { session: u32, topic: String, exclude_me: bool, eligible: Option<Vec<u32>>, exclude: Vec<u32> },
    Rejoin(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS;
    let uri = "(a|b)(\\.(a|b)){0,2}";
    let policy = prop_oneof![Just(Match::Exact), Just(Match::Prefix), Just(Match::Wildcard)];
    let list = prop::collection::vec(0..SESSIONS + 1, 0..4);
    prop_oneof![
        4 => (session.clone(), uri, policy.clone()).prop_map(|(s, uri, policy)| Step::Subscribe(s, uri, policy)),
        2 => (session.clone(), uri, policy).prop_map(|(s, uri, policy)| Step::Unsubscribe(s, uri, policy)),
        4 => (session.clone(), uri, any::<bool>(), prop::option::of(list.clone()), list).prop_map(
            |(session, topic, exclude_me, eligible, exclude)| {
                Step::Publish { session, topic, exclude_me, eligible, exclude }
            }
        ),
        1 => session.prop_map(Step::Rejoin),
    ]
}

/// The realm, and what should be in it: the id of each session's subscriptions.
struct World {
    realm: Realm,
    held: BTreeMap<(u32, String, Match), Id>,
}

impl World {
    fn new() -> World {
        let everything =
            Permission { call: true, register: true, publish: true, subscribe: true, ..Permission::none("") };
        let meta = Permission { uri: "wamp.".to_owned(), ..everything.clone() };
        let config = RealmConfig {
            name: "realm1".to_owned(),
            uri_check: UriCheck::Loose,
            roles: vec![Role { name: "user".to_owned(), permissions: vec![everything, meta], authorizer: None }],
            history: Vec::new(),
            deciding: Vec::new(),
            local_first: true,
            limits: Limits::default(),
        };
        let mut world = World { realm: Realm::new(Now::epoch(), config, [7; 32]), held: BTreeMap::new() };
        for session in 0..SESSIONS {
            world.join(session);
        }
        world
    }

    fn join(&mut self, session: u32) {
        let who = identity(u64::from(session) + 1, "anybody", "user");
        self.realm.join(Now::epoch(), SessionKey(session), MemberKind::Client, who, &mut Vec::new());
    }

    fn send(&mut self, session: u32, message: Message) -> Vec<Effect> {
        let mut out = Vec::new();
        self.realm.handle_message(Now::epoch(), SessionKey(session), message, &mut out);
        out
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Subscribe(session, topic, policy) => {
                let options = Dict::new().with("match", policy.name());
                let message = Message::Subscribe { request: 1, options, topic: topic.clone() };
                match self.send(session, message).as_slice() {
                    [Effect::Send { message: Message::Subscribed { subscription, .. }, .. }] => {
                        let old = self.held.insert((session, topic, policy), *subscription);
                        assert!(old.is_none_or(|old| old == *subscription), "the same subscription has the same id");
                    }
                    other => panic!("SUBSCRIBED, not {other:?}"),
                }
            }
            Step::Unsubscribe(session, topic, policy) => {
                let known = self.held.remove(&(session, topic, policy));
                let subscription = known.unwrap_or(1);
                let message = Message::Unsubscribe { request: 1, subscription, options: Dict::new() };
                match self.send(session, message).as_slice() {
                    [Effect::Send { message: Message::Unsubscribed { .. }, .. }] => assert!(known.is_some()),
                    [Effect::Send { message: Message::Error { .. }, .. }] => assert!(known.is_none()),
                    other => panic!("an answer, not {other:?}"),
                }
            }
            Step::Publish { session, topic, exclude_me, eligible, exclude } => {
                let ids = |list: &[u32]| Value::List(list.iter().map(|n| (n + 1).into()).collect());
                let mut options = Dict::new().with("exclude_me", exclude_me).with("exclude", ids(&exclude));
                if let Some(eligible) = &eligible {
                    options.set("eligible", ids(eligible));
                }
                let payload = Payload::empty();
                let message = Message::Publish { request: 1, options, topic: topic.clone(), payload };
                let received = received(&self.send(session, message));
                let admitted = |receiver: &u32| {
                    !(exclude_me && *receiver == session)
                        && eligible.as_ref().is_none_or(|list| list.contains(receiver))
                        && !exclude.contains(receiver)
                };
                let covering = self.held.iter().filter(|((_, pattern, policy), _)| policy.covers(pattern, &topic));
                let mut expected: Vec<(u32, Id)> = covering.map(|((receiver, ..), id)| (*receiver, *id)).collect();
                expected.retain(|(receiver, _)| admitted(receiver));
                expected.sort_unstable();
                assert_eq!(received, expected);
            }
            Step::Rejoin(session) => {
                self.realm.leave(Now::epoch(), SessionKey(session), &mut Vec::new());
                self.held.retain(|(holder, ..), _| *holder != session);
                self.join(session);
            }
        }
        let mut ids: Vec<Id> = self.held.values().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(self.realm.n_subscriptions(), ids.len());
    }
}

/// Who received an event, and for which subscription. All events must be of one publication.
fn received(effects: &[Effect]) -> Vec<(u32, Id)> {
    let mut received = Vec::new();
    let mut publications = Vec::new();
    for effect in effects {
        match effect {
            Effect::Fanout { to, message: Message::Event { subscription, publication, .. } } => {
                received.extend(to.iter().map(|key| (key.0, *subscription)));
                publications.push(*publication);
            }
            other => panic!("EVENT, not {other:?}"),
        }
    }
    publications.dedup();
    assert!(publications.len() <= 1, "one publication has one id");
    received.sort_unstable();
    received
}

proptest! {
    #[test]
    fn events_go_to_all_subscribers_and_nobody_else(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        for session in 0..SESSIONS {
            world.step(Step::Rejoin(session));
        }
        prop_assert_eq!(world.realm.n_subscriptions(), 0);
    }
}
