//! One story per promise of the mesh, and per defect of the system that it replaces.

use crate::requests::outcome;
use crate::world::World;
use crossbar_cluster::wamp::message::code;
use crossbar_cluster::wamp::{Id, Message};
use crossbar_cluster::wire::{Dict, Value};

/// A cluster whose links are up.
pub(crate) fn world(n_nodes: usize) -> World {
    let mut world = World::new(1, n_nodes);
    world.run(1_000);
    assert!(world.is_whole());
    world
}

pub(crate) fn list(values: impl IntoIterator<Item = impl Into<Value>>) -> Value {
    Value::List(values.into_iter().map(Into::into).collect())
}

fn ack() -> Dict {
    Dict::new().with("acknowledge", true)
}

/// The first argument of each event that a client has heard.
pub(crate) fn words(world: &World, client: usize) -> Vec<String> {
    let word = |message: &&Message| match message {
        Message::Event { payload, .. } => payload.args().expect("a list").first()?.as_str().map(str::to_owned),
        _ => None,
    };
    world.clients[client].events().iter().filter_map(word).collect()
}

#[test]
fn an_event_reaches_every_node_once_with_every_match_policy() {
    let mut world = world(3);
    let (a, b, c) = (world.join(0), world.join(1), world.join(2));
    for (client, topic, policy) in [(b, "com.a", "exact"), (b, "com.", "prefix"), (c, "com..x", "wildcard")] {
        world.subscribed(client, topic, policy);
    }
    let first = world.publish(a, "com.a", ack(), vec!["one".into()]);
    world.publish(a, "com.a.x", ack(), vec!["two".into()]);
    world.run(1_000);
    // Once per subscription, and once over the link, which the world itself asserts.
    assert_eq!(words(&world, b), ["one", "one", "two"]);
    assert_eq!(words(&world, c), ["two"]);
    let Message::Published { publication: id, .. } = world.answer(a, first) else { panic!("it was accepted") };
    let ids: Vec<Id> = world.clients[b].events().iter().map(|event| publication(event)).collect();
    assert_eq!(ids[..2], [id, id], "the publication has the same id on every node");
}

#[test]
fn events_over_a_link_say_so_and_name_the_publisher_only_if_disclosed() {
    let mut world = world(2);
    let (a, open, b) = (world.join(0), world.join_as(0, "open"), world.join(1));
    world.subscribed(b, "com.a", "exact");
    world.publish(a, "com.a", Dict::new(), vec!["secret".into()]);
    world.publish(open, "com.a", Dict::new(), vec!["open".into()]);
    world.run(1_000);
    let details: Vec<&Dict> = world.clients[b].events().iter().map(|event| details(event)).collect();
    assert_eq!(details[0].get("publisher"), None);
    let node = details[0].list("forward_for").expect("the mark")[0].as_dict().expect("a hop").clone();
    assert_eq!(node.str("authid"), Some("edge1"));
    let session = world.clients[open].session;
    assert_eq!(details[1].uint("publisher"), Some(session));
    assert_eq!(details[1].str("publisher_authrole"), Some("open"));
    let hop = details[1].list("forward_for").expect("the mark")[0].as_dict().expect("a hop").clone();
    assert_eq!((hop.uint("session"), hop.str("authrole")), (Some(session), Some("open")));
}

#[test]
fn lists_hold_on_every_node() {
    let mut world = world(2);
    let (a, b, c) = (world.join(0), world.join(1), world.join_as(1, "open"));
    for client in [b, c] {
        world.subscribed(client, "com.a", "exact");
    }
    let session = world.clients[b].session;
    world.publish(a, "com.a", Dict::new().with("exclude", list([session])), vec!["not b".into()]);
    world.publish(a, "com.a", Dict::new().with("eligible", list([session])), vec!["only b".into()]);
    world.publish(a, "com.a", Dict::new().with("eligible_authrole", list(["open"])), vec!["open".into()]);
    world.publish(a, "com.a", Dict::new().with("exclude_authid", list(["client2"])), vec!["not c".into()]);
    world.run(1_000);
    assert_eq!(words(&world, b), ["only b", "not c"]);
    assert_eq!(words(&world, c), ["not b", "open"]);
}

#[test]
fn what_nobody_wants_any_more_leaves_nothing_behind() {
    let mut world = world(2);
    let (a, b) = (world.join(0), world.join(1));
    let mine = world.subscribed(a, "com.a", "exact");
    world.subscribed(b, "com.a", "exact");
    let registration = world.registered(b, "com.proc", Dict::new().with("invoke", "roundrobin"));
    world.unsubscribe(a, mine);
    world.unregister(b, registration);
    world.leave(b);
    world.run(1_000);
    for node in 0..2 {
        let realm = world.realm(node);
        let peer = realm.members().peers()[0];
        let topics: Vec<&str> = realm.broker().held_by(peer).map(|found| found.uri.as_str()).collect();
        assert_eq!(topics, ["com.history"], "only what a rule keeps");
        assert_eq!(realm.dealer().registrations().count(), 0);
    }
    assert_eq!(world.called(a, "com.proc", vec![]), Err("wamp.error.no_such_procedure".to_owned()));
}

#[test]
fn what_a_limit_refuses_leaves_nothing_on_the_peers() {
    let mut world = world(2);
    let a = world.join(0);
    // All of them are put to the peer before the first is granted; the limit is 256 shapes of as many components.
    let shape =
        |number: usize| -> String { (0..9).map(|bit| if number >> bit & 1 == 1 { ".x" } else { "." }).collect() };
    let requests: Vec<Id> =
        (0..300).map(|number| world.subscribe(a, &shape(number), Dict::new().with("match", "wildcard"))).collect();
    world.run(1_000);
    let answers = requests.iter().map(|request| world.clients[a].answers(*request)[..].len());
    assert!(answers.into_iter().all(|count| count == 1), "each is answered once");
    let is_granted = |request: &&Id| matches!(world.clients[a].answers(**request)[..], [Message::Subscribed { .. }]);
    assert_eq!(requests.iter().filter(is_granted).count(), 256);
    let peer = world.realm(1).members().peers()[0];
    let held = world.realm(1).broker().held_by(peer).filter(|found| found.policy.name() == "wildcard").count();
    assert_eq!(held, 256, "the peer keeps what was granted and no more");
}

#[test]
fn a_call_crosses_the_link_whole() {
    let mut world = world(3);
    let (caller, callee) = (world.join_as(0, "open"), world.join(2));
    world.registered(callee, "com.proc", Dict::new().with("match", "prefix"));
    let session = world.clients[callee].session;
    assert_eq!(world.called(caller, "com.proc.x", vec!["echo".into()]), Ok(vec![session.into()]));
    assert_eq!(world.called(caller, "com.proc", vec!["error".into()]), Err("com.error.mine".to_owned()));
    let invocation = world.clients[callee].inbox.iter().find_map(|(_, message)| match message {
        Message::Invocation { details, .. } => Some(details.clone()),
        _ => None,
    });
    let details = invocation.expect("the callee was invoked");
    assert_eq!(details.str("procedure"), Some("com.proc.x"));
    assert_eq!(details.uint("caller"), Some(world.clients[caller].session));
    assert_eq!(details.str("caller_authrole"), Some("open"));
}

#[test]
fn a_caller_is_named_to_a_callee_far_away_only_if_disclosed() {
    let mut world = world(2);
    let (caller, plain, asking) = (world.join(0), world.join(1), world.join(1));
    world.registered(plain, "com.plain", Dict::new());
    world.registered(asking, "com.asking", Dict::new().with("disclose_caller", true));
    for procedure in ["com.plain", "com.asking"] {
        world.called(caller, procedure, vec![]).expect("it is registered");
    }
    let named = |client: usize| {
        world.clients[client].inbox.iter().find_map(|(_, message)| match message {
            Message::Invocation { details, .. } => Some(details.uint("caller")),
            _ => None,
        })
    };
    assert_eq!(named(plain), Some(None));
    assert_eq!(named(asking), Some(Some(world.clients[caller].session)));
}

#[test]
fn parts_of_results_cross_the_link() {
    let mut world = world(2);
    let (caller, callee) = (world.join(0), world.join(1));
    world.registered(callee, "com.proc", Dict::new());
    let request = world.call(caller, "com.proc", Dict::new().with("receive_progress", true), vec!["progress".into()]);
    world.run(1_000);
    let parts = world.clients[caller].answers(request);
    let progress = |message: &&Message| matches!(message, Message::Result { details, .. } if !details.is_empty());
    assert_eq!(parts.iter().map(progress).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn parts_of_calls_cross_the_link() {
    let mut world = world(2);
    let (caller, callee) = (world.join(0), world.join(1));
    world.registered(callee, "com.proc", Dict::new());
    let more = Dict::new().with("progress", true);
    let request = world.call(caller, "com.proc", more.clone(), vec!["echo".into()]);
    for options in [more, Dict::new()] {
        let payload = crossbar_cluster::wire::Payload::from_values(vec!["echo".into()], Dict::new());
        world.send(caller, Message::Call { request, options, procedure: "com.proc".to_owned(), payload });
    }
    assert!(outcome(world.answer(caller, request)).is_ok());
    let invocations =
        world.clients[callee].inbox.iter().filter(|(_, message)| matches!(message, Message::Invocation { .. }));
    assert_eq!(invocations.count(), 3);
}

#[test]
fn cancelling_reaches_the_callee() {
    for mode in ["skip", "kill", "killnowait"] {
        let mut world = world(2);
        let (caller, callee) = (world.join(0), world.join(1));
        world.registered(callee, "com.proc", Dict::new());
        let request = world.call(caller, "com.proc", Dict::new(), vec!["never".into()]);
        world.run(500);
        world.cancel(caller, request, mode);
        assert_eq!(outcome(world.answer(caller, request)), Err("wamp.error.canceled".to_owned()), "{mode}");
        world.run(500);
        let was_told = world.clients[callee].inbox.iter().any(|(_, m)| matches!(m, Message::Interrupt { .. }));
        assert_eq!(was_told, mode != "skip", "{mode}");
    }
}

#[test]
fn a_call_that_takes_too_long_ends_on_both_nodes() {
    let mut world = world(2);
    let (caller, callee) = (world.join(0), world.join(1));
    world.registered(callee, "com.proc", Dict::new());
    let request = world.call(caller, "com.proc", Dict::new().with("timeout", 300u64), vec!["never".into()]);
    assert_eq!(outcome(world.answer(caller, request)), Err("wamp.error.timeout".to_owned()));
    world.run(500);
    assert!(world.clients[callee].inbox.iter().any(|(_, message)| matches!(message, Message::Interrupt { .. })));
}

#[test]
fn a_lost_node_answers_its_calls() {
    let mut world = world(2);
    let (caller, callee) = (world.join(0), world.join(1));
    world.registered(callee, "com.proc", Dict::new());
    let request = world.call(caller, "com.proc", Dict::new(), vec!["never".into()]);
    world.run(500);
    world.kill(1);
    assert_eq!(outcome(world.answer(caller, request)), Err("wamp.error.network_failure".to_owned()));
    assert_eq!(world.called(caller, "com.proc", vec![]), Err("wamp.error.no_such_procedure".to_owned()));
}

#[test]
fn a_shared_registration_is_served_by_all_nodes_in_turn() {
    let mut world = world(3);
    let caller = world.join(0);
    let callees = [world.join(0), world.join(1), world.join(1), world.join(2)];
    for callee in callees {
        world.registered(callee, "com.proc", Dict::new().with("invoke", "roundrobin"));
    }
    for _ in 0..8 {
        world.called(caller, "com.proc", vec![]).expect("it is registered");
    }
    for callee in callees {
        let invocations =
            world.clients[callee].inbox.iter().filter(|(_, message)| matches!(message, Message::Invocation { .. }));
        assert_eq!(invocations.count(), 2, "callee {callee}");
    }
}

#[test]
fn first_and_last_mean_the_same_on_every_node() {
    for (invoke, chosen) in [("first", 0), ("last", 2)] {
        let mut world = world(3);
        let callees = [world.join(1), world.join(0), world.join(2)];
        for callee in callees {
            world.registered(callee, "com.proc", Dict::new().with("invoke", invoke));
        }
        let session = world.clients[callees[chosen]].session;
        for node in 0..3 {
            let caller = world.join(node);
            assert_eq!(world.called(caller, "com.proc", vec![]), Ok(vec![session.into()]), "{invoke} from {node}");
        }
    }
}

#[test]
fn of_two_that_race_for_a_procedure_one_gets_it() {
    for seed in 0..100 {
        let mut world = World::new(seed, 3);
        world.run(1_000);
        let rivals = [world.join(0), world.join(1)];
        let requests = rivals.map(|rival| world.register(rival, "com.proc", Dict::new()));
        world.run(1_000);
        let mut answers = [0, 1].map(|index| world.clients[rivals[index]].answers(requests[index])[0].name());
        answers.sort_unstable();
        assert_eq!(answers, ["ERROR", "REGISTERED"], "seed {seed}");
        let late = world.join(2);
        let request = world.register(late, "com.proc", Dict::new());
        let Message::Error { error, request_type: code::REGISTER, .. } = world.answer(late, request) else {
            panic!("it is taken");
        };
        assert_eq!(error, "wamp.error.procedure_already_exists");
    }
}

#[test]
fn another_policy_is_refused_on_another_node() {
    let mut world = world(2);
    let (a, b) = (world.join(0), world.join(1));
    world.registered(a, "com.proc", Dict::new().with("invoke", "first"));
    let request = world.register(b, "com.proc", Dict::new().with("invoke", "last"));
    let Message::Error { error, .. } = world.answer(b, request) else { panic!("the policies differ") };
    assert_eq!(error, "wamp.error.procedure_exists_with_different_invocation_policy");
}

#[test]
fn after_a_partition_the_older_registration_stays() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut world = world(3);
        let rivals = [world.join(first), world.join(second)];
        world.part_nodes(0, 1, 8_000);
        world.part_nodes(first, 2, 8_000);
        world.run(3_000);
        for rival in rivals {
            world.registered(rival, "com.proc", Dict::new());
        }
        world.run(20_000);
        assert!(world.is_whole());
        assert_eq!(world.clients[rivals[0]].registrations.len(), 1);
        assert_eq!(world.clients[rivals[1]].registrations.len(), 0, "the younger one was revoked");
        let session = world.clients[rivals[0]].session;
        for node in 0..3 {
            let caller = world.join(node);
            assert_eq!(world.called(caller, "com.proc", vec![]), Ok(vec![session.into()]), "from node {node}");
        }
    }
}

#[test]
fn force_reregister_takes_a_procedure_from_another_node() {
    let mut world = world(3);
    let (a, b, caller) = (world.join(0), world.join(1), world.join(2));
    world.registered(a, "com.proc", Dict::new());
    world.registered(b, "com.proc", Dict::new().with("force_reregister", true));
    world.run(1_000);
    let is_revocation = |message: &Message| matches!(message, Message::Unregistered { request: 0, .. });
    assert!(world.clients[a].inbox.iter().any(|(_, message)| is_revocation(message)));
    let session = world.clients[b].session;
    assert_eq!(world.called(caller, "com.proc", vec![]), Ok(vec![session.into()]));
}

#[test]
fn force_reregister_takes_what_another_node_has_just_got() {
    for seed in 0..100 {
        let mut world = World::new(seed, 3);
        world.run(1_000);
        let (a, b) = (world.join(0), world.join(1));
        let first = world.register(a, "com.proc", Dict::new());
        while world.clients[a].answers(first).is_empty() {
            world.run(1);
        }
        world.registered(b, "com.proc", Dict::new().with("force_reregister", true));
        assert_eq!(world.clients[a].registrations.len(), 0, "seed {seed}");
        let session = world.clients[b].session;
        for node in 0..3 {
            let caller = world.join(node);
            assert_eq!(world.called(caller, "com.proc", vec![]), Ok(vec![session.into()]), "seed {seed} node {node}");
        }
    }
}

#[test]
fn the_meta_api_sees_and_acts_on_the_whole_cluster() {
    let mut world = world(3);
    let (a, b, c) = (world.join(0), world.join(1), world.join(2));
    assert_eq!(world.called(a, "wamp.session.count", vec![]), Ok(vec![3u64.into()]));
    let sessions = [a, b, c].map(|client| world.clients[client].session);
    assert_eq!(world.called(b, "wamp.session.list", vec![]), Ok(vec![list(sessions)]));
    let subscription = world.subscribed(c, "com.a", "exact");
    assert_eq!(world.called(a, "wamp.subscription.lookup", vec!["com.a".into()]), Ok(vec![subscription.into()]));
    let removed = vec![subscription.into(), sessions[2].into()];
    assert_eq!(world.called(a, "wamp.subscription.remove_subscriber", removed.clone()), Ok(vec![]));
    let again = world.called(a, "wamp.subscription.remove_subscriber", removed);
    assert!(again.is_err());
    assert_eq!(world.called(a, "wamp.session.kill", vec![sessions[1].into()]), Ok(vec![]));
    assert!(world.clients[b].is_gone);
    let again = world.called(a, "wamp.session.kill", vec![sessions[1].into()]);
    assert_eq!(again, Err("wamp.error.no_such_session".to_owned()));
    assert_eq!(world.called(c, "wamp.session.kill_all", vec![]), Ok(vec![1u64.into()]));
    assert!(world.clients[a].is_gone);
}

#[test]
fn meta_events_reach_every_node() {
    let mut world = world(2);
    let a = world.join(0);
    world.subscribed(a, "wamp.", "prefix");
    let b = world.join(1);
    world.subscribed(b, "com.a", "exact");
    let c = world.join(0);
    world.subscribed(c, "com.a", "exact");
    world.leave(b);
    world.leave(c);
    world.run(500);
    let topic = |event: &&Message| details(event).str("topic").expect("a pattern is told the topic").to_owned();
    let topics: Vec<String> = world.clients[a].events().iter().map(topic).collect();
    let expected = [
        "session.on_join",
        "subscription.on_create",
        "subscription.on_subscribe",
        "session.on_join",
        "subscription.on_subscribe",
        "subscription.on_unsubscribe",
        "subscription.on_unsubscribe",
        "session.on_leave",
        "subscription.on_delete",
        "session.on_leave",
    ];
    let mut sorted = topics.clone();
    sorted.sort();
    let mut expected = expected.map(|topic| format!("wamp.{topic}"));
    expected.sort();
    assert_eq!(sorted, expected);
}

/// The meta events of subscriptions and registrations that a client has heard, without their arguments.
fn told(world: &World, client: usize) -> Vec<String> {
    let events = world.clients[client].events().into_iter();
    let topics = events.filter_map(|event| details(event).str("topic")?.strip_prefix("wamp."));
    let topics = topics.filter(|topic| !topic.starts_with("session."));
    topics.map(str::to_owned).collect()
}

#[test]
fn the_death_of_a_node_is_told_like_the_leaving_of_its_sessions() {
    for dies in [true, false] {
        let mut world = world(3);
        let (victim, other) = (world.join(0), world.join(1));
        let watchers = [world.join(1), world.join(2)];
        for watcher in watchers {
            world.subscribed(watcher, "wamp.", "prefix");
        }
        world.subscribed(other, "com.both", "exact");
        for topic in ["com.both", "com.mine"] {
            world.subscribed(victim, topic, "exact");
        }
        world.registered(victim, "com.proc", Dict::new());
        let before = watchers.map(|watcher| told(&world, watcher).len());
        match dies {
            true => world.kill(0),
            false => world.leave(victim),
        }
        world.run(8_000);
        for (watcher, before) in watchers.into_iter().zip(before) {
            let mut after = told(&world, watcher).split_off(before);
            after.sort();
            let expected = [
                "registration.on_delete",
                "registration.on_unregister",
                "subscription.on_delete",
                "subscription.on_unsubscribe",
                "subscription.on_unsubscribe",
            ];
            assert_eq!(after, expected, "dies: {dies}");
        }
        if dies {
            world.start(0);
            world.run(10_000);
            assert_eq!(told(&world, watchers[1]).len(), before[1] + 5, "nothing is told again");
        }
    }
}

#[test]
fn of_two_that_subscribe_or_leave_at_the_same_moment_one_is_the_first_and_one_the_last() {
    let mut world = world(3);
    let watchers = [world.join(0), world.join(1), world.join(2)];
    for watcher in watchers {
        world.subscribed(watcher, "wamp.", "prefix");
    }
    let rivals = [world.join(0), world.join(1)];
    for rival in rivals {
        world.subscribe(rival, "com.a", Dict::new());
        world.register(rival, "com.proc", Dict::new().with("invoke", "random"));
    }
    world.run(1_000);
    for rival in rivals {
        world.leave(rival);
    }
    world.run(1_000);
    for watcher in watchers {
        let mut told = told(&world, watcher);
        told.sort();
        let expected = [
            "registration.on_create",
            "registration.on_delete",
            "registration.on_register",
            "registration.on_register",
            "registration.on_unregister",
            "registration.on_unregister",
            "subscription.on_create",
            "subscription.on_delete",
            "subscription.on_subscribe",
            "subscription.on_subscribe",
            "subscription.on_unsubscribe",
            "subscription.on_unsubscribe",
        ];
        assert_eq!(told, expected, "watcher {watcher}");
    }
}

#[test]
fn what_is_told_of_sessions_beyond_a_partition_fits_together() {
    let mut world = world(2);
    let (holder, leaver, watcher) = (world.join(0), world.join(0), world.join(1));
    world.subscribed(watcher, "wamp.", "prefix");
    world.subscribed(holder, "com.a", "exact");
    world.subscribed(leaver, "com.b", "exact");
    // Shorter than it takes to count as dead: only what has changed is told.
    world.part_nodes(0, 1, 100);
    world.leave(leaver);
    world.run(8_000);
    let created = ["subscription.on_create", "subscription.on_subscribe"];
    let deleted = ["subscription.on_unsubscribe", "subscription.on_delete"];
    assert_eq!(told(&world, watcher), [created, created, deleted].concat());
    world.part_nodes(0, 1, 10_000);
    world.run(30_000);
    assert!(world.is_whole());
    assert_eq!(told(&world, watcher), [created, created, deleted, deleted, created].concat());
    world.leave(holder);
    world.run(1_000);
    let session = world.clients[holder].session;
    let about_holder = |event: &&&Message| match event {
        Message::Event { payload, .. } => match &payload.args().expect("a list")[0] {
            Value::Dict(summary) => summary.uint("session") == Some(session),
            other => other.as_uint() == Some(session),
        },
        _ => false,
    };
    let events = world.clients[watcher].events();
    let topics = events.iter().filter(about_holder).filter_map(|event| details(event).str("topic"));
    let sessions: Vec<&str> = topics.filter_map(|topic| topic.strip_prefix("wamp.session.")).collect();
    // It joined before the watcher listened.
    assert_eq!(sessions, ["on_leave", "on_join", "on_leave"]);
}

#[test]
fn who_kills_all_is_told_of_none_on_whatever_node() {
    let mut world = world(2);
    let killer = world.join(0);
    world.subscribed(killer, "wamp.", "prefix");
    let victims = [world.join(0), world.join(1)];
    for victim in victims {
        world.subscribed(victim, "com.a", "exact");
    }
    let before = told(&world, killer).len();
    assert_eq!(world.called(killer, "wamp.session.kill_all", vec![]), Ok(vec![2u64.into()]));
    world.run(5_000);
    assert!(victims.iter().all(|victim| world.clients[*victim].is_gone));
    assert_eq!(told(&world, killer).len(), before);
    // And who comes after them is the first again.
    let next = world.join(1);
    world.subscribed(next, "com.a", "exact");
    assert_eq!(told(&world, killer)[before..], ["subscription.on_create", "subscription.on_subscribe"]);
}

#[test]
fn no_callee_works_on_more_than_its_concurrency_whoever_calls() {
    let mut world = world(3);
    let callees = [world.join(0), world.join(1)];
    for callee in callees {
        world.registered(callee, "com.proc", Dict::new().with("invoke", "random").with("concurrency", 2u64));
    }
    let callers = [world.join(0), world.join(1), world.join(2)];
    let mut requests = Vec::new();
    for _ in 0..8 {
        for caller in callers {
            requests.push((caller, world.call(caller, "com.proc", Dict::new(), vec!["slow".into()])));
        }
    }
    // Steps shorter than any of the callees takes.
    for _ in 0..1_000 {
        world.run(5);
        for callee in callees {
            assert!(world.clients[callee].n_working() <= 2, "callee {callee}");
        }
    }
    for (caller, request) in requests {
        assert!(outcome(world.answer(caller, request)).is_ok());
    }
}

#[test]
fn history_can_be_read_from_every_node() {
    let mut world = World::new(1, 2);
    world.run(1_000);
    let (a, b) = (world.join(0), world.join(1));
    world.publish(a, "com.history", Dict::new(), vec!["one".into()]);
    world.run(100);
    for link in [(0, 1), (1, 0)] {
        world.cut(link, [true, true]);
    }
    // Each is kept by one node only.
    world.publish(b, "com.history", Dict::new(), vec!["two".into()]);
    world.run(10);
    world.publish(a, "com.history", Dict::new(), vec!["three".into()]);
    world.run(10_000);
    let id = world.called(a, "wamp.subscription.lookup", vec!["com.history".into()]).expect("a rule keeps it");
    for (client, kwargs, expected) in [
        (a, Dict::new(), vec!["one", "two", "three"]),
        (b, Dict::new(), vec!["one", "two", "three"]),
        (b, Dict::new().with("reverse", true).with("limit", 2u64), vec!["three", "two"]),
    ] {
        let events = world.called_with(client, "wamp.subscription.get_events", id.clone(), kwargs).expect("it may");
        let word = |event: &Value| Some(event.as_dict()?.list("args")?.first()?.as_str()?.to_owned());
        assert_eq!(events.iter().filter_map(word).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn history_keeps_the_order_of_a_publisher_within_a_millisecond() {
    let mut world = world(3);
    let publisher = world.join(2);
    for number in 0..50u64 {
        world.publish(publisher, "com.history", Dict::new(), vec![number.into()]);
    }
    world.run(1_000);
    let id = world.called(publisher, "wamp.subscription.lookup", vec!["com.history".into()]).expect("a rule keeps it");
    for node in 0..3 {
        let reader = world.join(node);
        for (kwargs, expected) in [
            (Dict::new(), (0..50).collect::<Vec<u64>>()),
            (Dict::new().with("reverse", true).with("limit", 3u64), vec![49, 48, 47]),
        ] {
            let events = world.called_with(reader, "wamp.subscription.get_events", id.clone(), kwargs).expect("it may");
            let number = |event: &Value| event.as_dict()?.list("args")?.first()?.as_uint();
            assert_eq!(events.iter().filter_map(number).collect::<Vec<_>>(), expected, "node {node}");
        }
    }
}

#[test]
fn what_is_retained_is_retained_on_every_node() {
    let mut world = world(2);
    let (a, b) = (world.join(0), world.join(1));
    let retain = Dict::new().with("retain", true);
    world.publish(a, "com.a", retain.clone(), vec!["old".into()]);
    world.run(500);
    for link in [(0, 1), (1, 0)] {
        world.cut(link, [true, true]);
    }
    world.publish(b, "com.a", retain.clone(), vec!["new".into()]);
    world.publish(a, "com.b", retain, vec!["other".into()]);
    world.run(10_000);
    for node in 0..2 {
        let late = world.join(node);
        world.subscribe(late, "com.", Dict::new().with("match", "prefix").with("get_retained", true));
        world.run(500);
        assert_eq!(words(&world, late), ["new", "other"], "node {node}");
    }
}

#[test]
fn the_testaments_of_a_dead_node_are_published_once_by_each_survivor() {
    let mut world = world(3);
    let (a, b, c) = (world.join(0), world.join(1), world.join(2));
    let before = world.join(0);
    for client in [b, c] {
        world.subscribed(client, "com.last", "exact");
    }
    world.subscribed(b, "wamp.session.on_leave", "exact");
    for client in [a, before] {
        let args = vec!["com.last".into(), list([format!("of {client}")])];
        world.called(client, "wamp.session.add_testament", args).expect("it may");
    }
    world.leave(before);
    world.run(500);
    assert_eq!(words(&world, b), [format!("of {before}")]);
    world.kill(0);
    world.run(8_000);
    for client in [b, c] {
        assert_eq!(words(&world, client), [format!("of {before}"), format!("of {a}")]);
    }
    let left = |event: &&Message| match event {
        Message::Event { payload, .. } => payload.args().ok()?.first()?.as_uint(),
        _ => None,
    };
    let left: Vec<Id> = world.clients[b].events().iter().filter_map(left).collect();
    assert_eq!(left, [before, a].map(|client| world.clients[client].session));
    world.start(0);
    world.run(10_000);
    assert_eq!(words(&world, c).len(), 2, "nothing is published again");
}

#[test]
fn the_testament_of_a_session_beyond_a_partition_is_published_once() {
    let mut world = world(2);
    let (a, b) = (world.join(0), world.join(1));
    world.subscribed(b, "com.last", "exact");
    world.called(a, "wamp.session.add_testament", vec!["com.last".into(), list(["mine"])]).expect("it may");
    world.run(500);
    world.part_nodes(0, 1, 10_000);
    world.run(9_000);
    assert_eq!(words(&world, b), ["mine"], "the node counts as dead");
    world.run(20_000);
    assert!(world.is_whole());
    world.leave(a);
    world.run(1_000);
    assert_eq!(words(&world, b).len(), 1);
}

#[test]
fn a_lost_update_is_noticed_and_mended() {
    let mut world = world(2);
    let (a, b) = (world.join(0), world.join(1));
    let subscription = world.subscribed(a, "com.a", "exact");
    // As if node 1 had never heard of it.
    let peer = world.realm(1).peer_key("edge1").expect("the link is up");
    let message = Message::Unsubscribe { request: 1, subscription, options: Dict::new() };
    world.act(1, |now, realm, _| realm.handle_message(now, peer, message, &mut Vec::new()));
    world.publish(b, "com.a", Dict::new(), vec!["lost".into()]);
    world.run(25_000);
    world.publish(b, "com.a", Dict::new(), vec!["heard".into()]);
    world.run(500);
    assert_eq!(words(&world, a), ["heard"]);
}

fn details(event: &Message) -> &Dict {
    let Message::Event { details, .. } = event else { panic!("{event:?} is not an EVENT") };
    details
}

fn publication(event: &Message) -> Id {
    let Message::Event { publication, .. } = event else { panic!("{event:?} is not an EVENT") };
    *publication
}

/// The data plane has no master that it could miss; what is left to hold is that time alone changes nothing, and that
/// nodes that are started again meanwhile find the others.
#[test]
fn an_hour_by_themselves_changes_nothing_for_clients() {
    let mut world = world(4);
    let (publisher, subscriber) = (world.join(0), world.join(1));
    world.subscribed(subscriber, "com.a", "exact");
    world.registered(subscriber, "com.proc", Dict::new());
    for minute in 0..60 {
        world.publish(publisher, "com.a", ack(), vec![format!("minute {minute}").into()]);
        assert!(world.called(publisher, "com.proc", vec!["echo".into()]).is_ok(), "minute {minute}");
        match minute {
            20 => world.kill(3),
            40 => world.start(3),
            _ => {}
        }
        world.run(60_000);
    }
    let heard = words(&world, subscriber);
    assert_eq!(heard, (0..60).map(|minute| format!("minute {minute}")).collect::<Vec<_>>());
    assert!(world.is_whole(), "the node that came back is linked with all others");
    let newcomer = world.join(3);
    assert!(world.called(newcomer, "com.proc", vec!["echo".into()]).is_ok());
}

/// The sessions of which a client has heard that they joined, in this order.
fn joined(world: &World, client: usize) -> Vec<Id> {
    let summary = |event: &&Message| match event {
        Message::Event { payload, .. } => payload.args().expect("a list").first()?.as_dict()?.uint("session"),
        _ => None,
    };
    world.clients[client].events().iter().filter_map(summary).collect()
}

#[test]
fn who_joins_while_a_link_is_down_is_told_of_once_when_it_is_up_again() {
    let mut world = world(2);
    let watcher = world.join(0);
    world.subscribed(watcher, "wamp.session.on_join", "exact");
    let early = world.join(1);
    world.run(1_000);
    for away_ms in [1_500, 8_000] {
        world.part_nodes(0, 1, away_ms);
        world.run(200);
        let during = world.join(1);
        world.run(away_ms + 6_000);
        assert!(world.is_whole());
        let heard = joined(&world, watcher);
        assert_eq!(heard.last(), Some(&world.clients[during].session), "away for {away_ms} ms: {heard:?}");
        let n_early = heard.iter().filter(|session| **session == world.clients[early].session).count();
        // Where the node counted as dead, its sessions were said to have left, and are back.
        assert_eq!(n_early, if away_ms < 3_000 { 1 } else { 2 }, "away for {away_ms} ms: {heard:?}");
    }
}

#[test]
fn a_node_that_has_just_started_tells_its_clients_of_nobody_who_was_there_before() {
    let mut world = world(2);
    for _ in 0..3 {
        world.join(1);
    }
    world.kill(0);
    world.run(5_000);
    world.start(0);
    world.run(1_000);
    assert!(world.is_whole());
    let watcher = world.join(0);
    world.subscribed(watcher, "wamp.session.on_join", "exact");
    world.run(20_000);
    assert!(joined(&world, watcher).is_empty());
    let late = world.join(1);
    world.run(1_000);
    assert_eq!(joined(&world, watcher), [world.clients[late].session]);
}
