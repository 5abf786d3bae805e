//! Callees that are let go by their node: calls avoid them, and wait for them when they are the last.

use super::{EVERYTHING, World, invoked};
use crate::realm::MemberKind;
use crate::wamp::SessionKey;

const NOTHING: [&str; 0] = [];

fn call(world: &mut World, request: u32) -> Vec<u32> {
    invoked(&world.send(9, &format!("[48, {request}, {{}}, 'com.a']")))
}

/// Session 9 calls, 1 and 2 are clients, 3 is the link of another node.
fn world() -> World {
    let mut world = World::of(2);
    world.join(3, MemberKind::Peer, EVERYTHING);
    world.join(9, MemberKind::Client, EVERYTHING);
    world
}

#[test]
fn calls_go_to_those_who_stay() {
    let mut world = world();
    for key in [1, 3] {
        world.send(key, "[64, 1, {'invoke': 'roundrobin'}, 'com.a']");
    }
    world.dealer.set_leaving(true);
    assert_eq!([call(&mut world, 1), call(&mut world, 2)], [[3], [3]]);
    // The other node is being drained too: who is left is better than nobody.
    world.send(3, "[64, 2, {'invoke': 'roundrobin', 'leaving': true}, 'com.a']");
    let both: Vec<u32> = (3..5).flat_map(|request| call(&mut world, request)).collect();
    assert!(both.contains(&1) && both.contains(&3), "{both:?}");
    world.dealer.set_leaving(false);
    assert_eq!([call(&mut world, 5), call(&mut world, 6)], [[1], [1]]);
    world.end();
}

#[test]
fn a_call_waits_for_the_last_callee_to_come_back() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send_away(1);
    world.leave(1);
    assert_eq!(world.send(9, "[48, 1, {}, 'com.a', ['early']]"), NOTHING);
    assert!(world.dealer.is_busy(SessionKey(9)), "its caller waits for an answer");
    assert_eq!(world.pass(1_000), NOTHING);
    let lines = world.send(3, "[64, 1, {}, 'com.a']");
    assert_eq!(lines[0], "3 [65,1,#com.a]");
    assert_eq!(invoked(&lines), [3], "{lines:?}");
    assert_eq!(world.send(3, "[70, 1, {}, ['late']]"), ["9 [50,1,{},['late']]"]);
    world.end();
}

#[test]
fn who_is_sent_away_while_it_waits_has_an_answer_first() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    let lines = world.send(9, "[48, 1, {}, 'com.a']");
    assert_eq!(invoked(&lines), [1]);
    let canceled = "9 [8,48,1,{},'wamp.error.canceled',['the caller is sent to another node']]";
    let interrupt = "1 [69,1,{'mode':'killnowait','reason':'wamp.error.canceled'}]";
    assert_eq!(world.send_away(9), [canceled, interrupt]);
    assert_eq!(world.send(1, "[70, 1, {}, ['too late']]"), ["drop caller_gone"]);
    assert!(!world.dealer.is_busy(SessionKey(9)));
    world.end();
}

#[test]
fn nobody_waits_for_ever() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send_away(1);
    world.leave(1);
    for request in 1..=3 {
        assert_eq!(world.send(9, &format!("[48, {request}, {{}}, 'com.a']")), NOTHING);
    }
    let canceled = world.send(9, "[49, 2, {}]");
    assert_eq!(canceled, ["9 [8,48,2,{},'wamp.error.canceled',['the caller has cancelled the call']]"]);
    let sentence = "'wamp.error.no_such_procedure',['no callee has registered com.a again']]";
    assert_eq!(world.pass(3_000), [format!("9 [8,48,1,{{}},{sentence}"), format!("9 [8,48,3,{{}},{sentence}")]);
    let lines = world.send(9, "[48, 4, {}, 'com.a']");
    assert!(lines[0].contains("no_such_procedure"), "what was awaited for too long is not any more: {lines:?}");
    world.end();
}

#[test]
fn who_leaves_by_himself_is_not_waited_for() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    world.leave(1);
    let lines = world.send(9, "[48, 1, {}, 'com.a']");
    assert!(lines[0].contains("no_such_procedure"), "{lines:?}");
    world.end();
}

#[test]
fn a_call_that_comes_too_late_to_another_node_waits_as_well() {
    let mut world = world();
    world.send(3, "[64, 1, {'leaving': true}, 'com.a']");
    assert_eq!(call(&mut world, 1), [3]);
    assert_eq!(world.send(3, "[8, 68, 1, {}, 'wamp.error.unavailable']"), NOTHING);
    world.send(3, "[66, 2, #com.a]");
    let lines = world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!(invoked(&lines), [1], "{lines:?}");
    world.end();
}

#[test]
fn who_is_back_on_another_node_but_not_yet_ready_there_is_waited_for() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send_away(1);
    world.leave(1);
    assert_eq!(world.send(9, "[48, 1, {}, 'com.a']"), NOTHING);
    let lines = world.send(3, "[64, 1, {'pending': true}, 'com.a']");
    assert_eq!(invoked(&lines), [3], "{lines:?}");
    assert_eq!(world.send(3, "[8, 68, 1, {}, 'wamp.error.unavailable']"), NOTHING);
    let lines = world.send(3, "[64, 2, {}, 'com.a']");
    assert_eq!(invoked(&lines), [3], "{lines:?}");
    assert_eq!(world.send(3, "[70, 2, {}, ['late']]"), ["9 [50,1,{},['late']]"]);
    world.end();
}

#[test]
fn calls_of_other_nodes_wait_there() {
    let mut world = world();
    world.join(4, MemberKind::Uplink, EVERYTHING);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send_away(1);
    world.leave(1);
    let lines = world.send(4, "[48, 1, {}, 'com.a']");
    assert!(lines[0].contains("wamp.error.unavailable"), "{lines:?}");
    world.end();
}
