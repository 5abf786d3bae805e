//! Callees that are let go by their node: calls avoid them, and wait for them when they are the last.

use super::{EVERYTHING, World, asked, invoked};
use crate::realm::MemberKind;
use crate::wamp::SessionKey;
use crate::wire::Dict;

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
fn a_caller_goes_when_its_last_call_has_its_answer() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!([call(&mut world, 1), call(&mut world, 2)], [[1], [1]]);
    assert_eq!(world.send_away(9), NOTHING);
    // It would go on for ever, so this one has never been made; nor is it cancelled.
    assert_eq!(world.send(9, "[48, 3, {}, 'com.a']"), NOTHING);
    assert_eq!(world.send(9, "[49, 3, {}]"), NOTHING);
    assert_eq!(world.send(1, "[70, 2, {}, ['two']]"), ["9 [50,2,{},['two']]"]);
    assert_eq!(world.send(1, "[70, 1, {}, ['one']]"), ["9 [50,1,{},['one']]", "9 goodbye"]);
    world.end();
}

#[test]
fn parts_of_a_call_that_is_under_way_still_go_on() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(9, "[48, 1, {'progress': true}, 'com.a', [1]]");
    assert_eq!(world.send_away(9), NOTHING);
    assert_eq!(world.send(9, "[48, 1, {}, 'com.a', [2]]"), ["1 [68,1,#com.a,{},[2]]"]);
    assert_eq!(world.send(1, "[70, 1, {}]"), ["9 [50,1,{}]", "9 goodbye"]);
    world.end();
}

#[test]
fn a_callee_gets_no_call_any_more_and_goes_when_it_has_answered() {
    let mut world = world();
    for key in [1, 2] {
        world.send(key, "[64, 1, {'invoke': 'first'}, 'com.a']");
    }
    assert_eq!(call(&mut world, 1), [1]);
    assert_eq!(world.send_away(1), NOTHING);
    assert_eq!(call(&mut world, 2), [2], "the other one takes it");
    assert_eq!(world.send(1, "[70, 1, {}, ['one']]"), ["9 [50,1,{},['one']]", "1 goodbye"]);
    world.leave(1);
    world.end();
}

#[test]
fn calls_wait_while_the_only_callee_ends_what_it_works_on() {
    let mut world = world();
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    assert_eq!(call(&mut world, 1), [1]);
    assert_eq!(call(&mut world, 2), [0; 0], "it waits in the queue of the callee");
    assert_eq!(world.send_away(1), NOTHING);
    assert_eq!(call(&mut world, 3), [0; 0]);
    // Longer than anybody is awaited: it is still there.
    assert_eq!(world.pass(10_000), NOTHING);
    assert_eq!(world.send(1, "[70, 1, {}, ['one']]"), ["9 [50,1,{},['one']]", "1 goodbye"]);
    world.leave(1);
    assert_eq!(world.pass(2_900), NOTHING);
    let lines = world.send(2, "[64, 1, {}, 'com.a']");
    assert_eq!(invoked(&lines), [2, 2], "in the order in which they were made: {lines:?}");
    assert_eq!(world.send(2, "[70, 1, {}, [2]]"), ["9 [50,2,{},[2]]"]);
    assert_eq!(world.send(2, "[70, 2, {}, [3]]"), ["9 [50,3,{},[3]]"]);
    world.end();
}

#[test]
fn a_call_that_waits_ends_when_its_own_time_is_over() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!(call(&mut world, 1), [1]);
    world.send_away(1);
    world.send(9, "[48, 2, {'timeout': 4000}, 'com.a']");
    assert_eq!(world.pass(3_900), NOTHING);
    assert_eq!(world.pass(100), ["9 [8,48,2,{},'wamp.error.timeout',['the call took too long']]"]);
    world.end();
}

#[test]
fn a_session_without_calls_goes_at_once() {
    let mut world = world();
    assert_eq!(world.send_away(1), ["1 goodbye"]);
    world.end();
}

#[test]
fn what_takes_too_long_is_answered_before_its_caller_goes() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!(call(&mut world, 1), [1]);
    assert_eq!([world.send_away(9), world.pass(59_999)].concat(), NOTHING);
    let canceled = "9 [8,48,1,{},'wamp.error.canceled',['the caller is sent to another node']]";
    let interrupt = "1 [69,1,{'mode':'killnowait','reason':'wamp.error.canceled'}]";
    assert_eq!(world.pass(1), [canceled, interrupt, "9 goodbye"]);
    assert_eq!(world.send(1, "[70, 1, {}, ['too late']]"), ["drop caller_gone"]);
    world.end();
}

#[test]
fn an_authorizer_that_goes_is_waited_for() {
    let mut world = world();
    world.send(1, "[64, 1, {}, 'com.authorize']");
    assert_eq!(world.call_by_router(1, "com.authorize", Dict::new()), ["1 [68,1,#com.authorize,{},['a']]"]);
    world.send_away(1);
    assert_eq!(world.call_by_router(2, "com.authorize", Dict::new()), NOTHING);
    assert_eq!(world.send(1, "[70, 1, {}, [true]]"), ["router 1 Ok([Bool(true)])", "1 goodbye"]);
    world.leave(1);
    let lines = world.send(2, "[64, 1, {}, 'com.authorize']");
    assert_eq!(invoked(&lines), [2], "{lines:?}");
    world.end();
}

/// Drained by the thousand, procedures neither slow down calls nor stay for ever.
#[test]
fn procedures_are_awaited_for_their_time_and_then_forgotten() {
    const COUNT: usize = 30_000;
    let mut world = world();
    world.config.limits.registrations_per_session_max = COUNT;
    world.send(2, "[64, 1, {}, 'com.other']");
    for n in 0..COUNT {
        let (key, procedure) = (SessionKey(1), format!("com.a{n}"));
        world.step_unchecked(|dealer, cx| dealer.handle_register(cx, key, 1, Dict::new(), procedure, asked(cx)));
    }
    world.send_away(1);
    world.leave(1);
    assert_eq!(world.dealer.awaited.n_patterns(), COUNT);
    assert_eq!(world.send(9, "[48, 1, {}, 'com.a7']"), NOTHING, "it waits");
    assert_eq!(invoked(&world.send(9, "[48, 2, {}, 'com.other']")), [2]);
    // Nothing but the time is needed for it: no call, no other drain.
    assert!(world.dealer.poll_timeout().is_some());
    world.pass(3_000);
    assert_eq!(world.dealer.awaited.n_patterns(), 0);
    assert_eq!(world.dealer.poll_timeout(), None);
    world.end();
}

/// Right after UNREGISTERED, before the other node has heard of it.
#[test]
fn a_call_that_comes_to_another_node_too_late_finds_nobody_or_somebody_else() {
    let mut world = world();
    world.send(3, "[64, 1, {}, 'com.a']");
    for progress in ["{}", "{'progress': true}"] {
        let lines = world.send(9, &format!("[48, 1, {progress}, 'com.a']"));
        assert_eq!(invoked(&lines), [3]);
        let invocation = if progress == "{}" { 1 } else { 2 };
        let lines = world.send(3, &format!("[8, 68, {invocation}, {{}}, 'wamp.error.unavailable']"));
        assert_eq!(lines, ["9 [8,48,1,{},'wamp.error.no_such_procedure',['no callee has registered com.a']]"]);
    }
    world.send(9, "[48, 1, {}, 'com.a']");
    // The other node takes the procedure back, and a pattern covers it.
    assert_eq!(invoked(&world.send(9, "[48, 2, {}, 'com.a', ['kept']]")), [3]);
    world.send(3, "[66, 2, #com.a]");
    world.send(2, "[64, 1, {'match': 'prefix'}, 'com.']");
    let lines = world.send(3, "[8, 68, 3, {}, 'wamp.error.unavailable']");
    assert_eq!(lines, ["2 [68,1,#com.,{'procedure':'com.a'},['kept']]"]);
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
