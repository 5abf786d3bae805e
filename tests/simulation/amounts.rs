//! Scripts about how much there is: more than a link has room for, more than a message carries, more than can be read
//! at once, more than a node may keep.

use crate::scripts::{list, words, world};
use crate::world::World;
use crossbar_cluster::wire::{Dict, Value};

#[test]
fn what_a_full_link_had_no_room_for_is_fetched() {
    let mut world = world(2);
    let (a, gone, b) = (world.join(0), world.join(0), world.join(1));
    world.subscribed(b, "com.last", "exact");
    world.subscribed(b, "wamp.subscription.on_create", "exact");
    let leave_behind = |world: &mut World, client: usize, word: &str, scope: &str| {
        let kwargs = Dict::new().with("scope", scope);
        world.call_with(
            client,
            "wamp.session.add_testament",
            Dict::new(),
            vec!["com.last".into(), list([word]), Value::Dict(Dict::new())],
            kwargs,
        );
    };
    leave_behind(&mut world, a, "flushed", "detached");
    leave_behind(&mut world, gone, "of one that left", "destroyed");
    world.run(500);
    world.links_are_full = true;
    let late = world.join(0);
    leave_behind(&mut world, late, "late", "destroyed");
    leave_behind(&mut world, a, "first", "destroyed");
    let kwargs = Dict::new().with("scope", "detached");
    world.call_with(a, "wamp.session.flush_testaments", Dict::new(), Vec::new(), kwargs);
    world.subscribed(late, "com.held", "exact");
    world.leave(gone);
    leave_behind(&mut world, a, "second", "destroyed");
    world.links_are_full = false;
    world.run(1_000);
    let created = world.clients[b].events().len();
    assert_eq!(created, 2, "the testament of the one that left, and the subscription of the late one");
    world.kill(0);
    world.run(8_000);
    let mut heard = words(&world, b);
    heard.sort();
    assert_eq!(heard, ["first", "late", "of one that left", "second"]);
}

#[test]
fn what_a_dead_node_leaves_behind_comes_at_a_pace_that_can_be_read() {
    let mut world = world(2);
    let (a, b) = (world.join(0), world.join(1));
    world.subscribed(b, "com.last", "exact");
    for _ in 0..17 {
        let args = vec!["com.last".into(), Value::List(vec![Value::Bytes(vec![0; 1_000_000])])];
        world.called(a, "wamp.session.add_testament", args).expect("it may");
    }
    world.run(500);
    world.kill(0);
    let (mut heard, mut most) = (0, 0);
    for _ in 0..100 {
        world.run(100);
        let now = world.clients[b].events().len();
        (heard, most) = (now, most.max(now - heard));
    }
    assert_eq!(heard, 17, "all of it");
    assert!(most <= 3, "{most} MB within 100 ms");
}

#[test]
fn an_answer_that_is_longer_than_any_message_of_a_link_comes_whole() {
    let mut world = world(2);
    (0..2).for_each(|node| world.kill(node));
    world.config.limits.answer_bytes_max = 64 << 20;
    (0..2).for_each(|node| world.start(node));
    world.run(1_000);
    let publisher = world.join(0);
    for number in 0..60u64 {
        let args = vec![number.into(), Value::Bytes(vec![0; 300_000])];
        world.publish(publisher, "com.history", Dict::new(), args);
    }
    // What is started anew has heard nothing of it.
    world.kill(1);
    world.run(5_000);
    world.start(1);
    world.run(5_000);
    let reader = world.join(1);
    let id = world.called(reader, "wamp.subscription.lookup", vec!["com.history".into()]).expect("a rule keeps it");
    for (kwargs, expected) in
        [(Dict::new(), (0..60).collect::<Vec<u64>>()), (Dict::new().with("reverse", true), (0..60).rev().collect())]
    {
        let events = world.called_with(reader, "wamp.subscription.get_events", id.clone(), kwargs).expect("it may");
        let number = |event: &Value| event.as_dict()?.list("args")?.first()?.as_uint();
        assert_eq!(events.iter().filter_map(number).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn what_a_node_has_no_room_to_retain_is_not_fetched_for_ever() {
    let mut world = world(2);
    for node in 0..2 {
        world.kill(node);
    }
    world.config.limits.retained_max = 4;
    for node in 0..2 {
        world.start(node);
    }
    world.run(1_000);
    world.part_nodes(0, 1, 10_000);
    for node in 0..2 {
        let client = world.join(node);
        for n in 0..3 {
            world.publish(client, &format!("com.of{node}.{n}"), Dict::new().with("retain", true), Vec::new());
        }
    }
    world.run(60_000);
    assert!(world.is_whole());
    let n_before = world.n_retained_pages;
    world.run(600_000);
    assert_eq!(world.n_retained_pages, n_before, "nothing has changed since");
}
