//! How calls end other than by their result: cancelled, timed out, left alone, re-routed.

use super::{EVERYTHING, PLAIN, World, invoked};
use crate::realm::MemberKind;
use crate::wamp::feature::Features;
use crate::wire::Dict;
use std::time::Duration;

const CANCELED: &str = "'wamp.error.canceled',['the caller has cancelled the call']]";
const NOTHING: [&str; 0] = [];

fn interrupt(callee: u32, invocation: u32, mode: &str, reason: &str) -> String {
    format!("{callee} [69,{invocation},{{'mode':'{mode}','reason':'wamp.error.{reason}'}}]")
}

#[test]
fn cancelling_with_skip_answers_at_once_and_lets_the_callee_work() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    assert_eq!(world.send(2, "[49, 1, {'mode': 'skip'}]"), [format!("2 [8,48,1,{{}},{CANCELED}")]);
    assert_eq!(world.send(1, "[70, 1, {}, [1]]"), ["drop caller_gone"]);
    world.end();
}

#[test]
fn cancelling_with_killnowait_answers_at_once_and_stops_the_callee() {
    for options in ["{'mode': 'killnowait'}", "{}"] {
        let mut world = World::of(2);
        world.send(1, "[64, 1, {}, 'com.a']");
        world.send(2, "[48, 1, {}, 'com.a']");
        assert_eq!(
            world.send(2, &format!("[49, 1, {options}]")),
            [format!("2 [8,48,1,{{}},{CANCELED}"), interrupt(1, 1, "killnowait", "canceled")]
        );
        assert_eq!(world.send(1, "[8, 68, 1, {}, 'wamp.error.canceled']"), ["drop caller_gone"]);
        assert_eq!(world.send(2, "[49, 1, {}]"), NOTHING);
        world.end();
    }
}

#[test]
fn cancelling_with_kill_waits_for_what_the_callee_says() {
    for (answer, told) in [
        ("[8, 68, 1, {}, 'wamp.error.canceled', ['stopped']]", "2 [8,48,1,{},'wamp.error.canceled',['stopped']]"),
        ("[70, 1, {}, ['done already']]", "2 [50,1,{},['done already']]"),
        // It was asked to stop, so no other callee is asked to begin.
        ("[8, 68, 1, {}, 'wamp.error.unavailable']", "2 [8,48,1,{},'wamp.error.unavailable']"),
    ] {
        let mut world = World::of(3);
        world.send(1, "[64, 1, {'invoke': 'first'}, 'com.a']");
        world.send(3, "[64, 1, {'invoke': 'first'}, 'com.a']");
        world.send(2, "[48, 1, {}, 'com.a']");
        assert_eq!(world.send(2, "[49, 1, {'mode': 'kill'}]"), [interrupt(1, 1, "kill", "canceled")]);
        assert_eq!(world.send(2, "[49, 1, {'mode': 'kill'}]"), NOTHING);
        assert_eq!(world.send(1, answer), [told]);
        world.end();
    }
}

#[test]
fn a_caller_may_stop_waiting_for_a_kill() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {'progress': true}, 'com.a']");
    world.send(2, "[49, 1, {'mode': 'kill'}]");
    // Parts that follow are not for a callee that was asked to stop.
    assert_eq!(world.send(2, "[48, 1, {}, 'com.a']"), NOTHING);
    // One INTERRUPT is enough.
    assert_eq!(world.send(2, "[49, 1, {}]"), [format!("2 [8,48,1,{{}},{CANCELED}")]);
    world.end();
}

#[test]
fn a_callee_that_cannot_be_stopped_is_not_asked_to() {
    for mode in ["skip", "kill", "killnowait"] {
        let mut world = World::of(2);
        world.join(3, MemberKind::Client, PLAIN);
        world.send(3, "[64, 1, {}, 'com.a']");
        world.send(2, "[48, 1, {}, 'com.a']");
        assert_eq!(world.send(2, &format!("[49, 1, {{'mode': '{mode}'}}]")), [format!("2 [8,48,1,{{}},{CANCELED}")]);
        world.end();
    }
}

#[test]
fn a_call_that_waits_is_cancelled_at_once() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    world.send(2, "[48, 2, {}, 'com.a']");
    assert_eq!(world.send(2, "[49, 2, {'mode': 'kill'}]"), [format!("2 [8,48,2,{{}},{CANCELED}")]);
    assert_eq!(world.send(1, "[70, 1, {}]"), ["2 [50,1,{}]"]);
    assert_eq!(world.send(2, "[49, 7, {}]"), NOTHING, "there is no such call");
    assert_eq!(world.send(1, "[49, 1, {}]"), NOTHING, "it is another session's");
    world.end();
}

#[test]
fn a_callee_is_busy_until_it_says_so_whatever_its_callers_do() {
    let mut world = World::of(3);
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    world.send(3, "[48, 1, {}, 'com.a']");
    assert_eq!(world.send(2, "[49, 1, {}]").len(), 2);
    assert_eq!(world.send(1, "[70, 1, {'progress': true}]"), ["drop caller_gone"]);
    assert_eq!(world.send(1, "[8, 68, 1, {}, 'wamp.error.canceled']"), ["1 [68,2,#com.a,{}]", "drop caller_gone"]);
    // A new registration begins with no debts.
    world.leave(3);
    world.send(1, "[66, 2, #com.a]");
    world.send(1, "[64, 3, {'concurrency': 1}, 'com.a']");
    assert_eq!(world.send(2, "[48, 2, {}, 'com.a']"), ["1 [68,3,#com.a,{}]"]);
    assert_eq!(world.send(1, "[70, 2, {}]"), ["drop caller_gone"]);
    assert_eq!(world.send(2, "[48, 3, {}, 'com.a']"), NOTHING);
    world.end();
}

#[test]
fn only_invocations_that_were_sent_can_be_answered() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    for (key, message) in [(1, "[70, 2, {}]"), (1, "[8, 68, 2, {}, 'com.e']"), (2, "[70, 1, {}]")] {
        let lines = world.send(key, message);
        assert!(lines.len() == 1 && lines[0].starts_with(&format!("{key} abort: INVOCATION")), "{lines:?}");
    }
    assert_eq!(world.send(1, "[70, 1, {}]"), ["2 [50,1,{}]"]);
    // Twice is late, not wrong.
    assert_eq!(world.send(1, "[70, 1, {}]"), ["drop caller_gone"]);
    world.end();
}

#[test]
fn a_callee_that_leaves_leaves_its_callers_an_error() {
    let mut world = World::of(3);
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    world.send(3, "[48, 1, {}, 'com.a']");
    // What it calls itself has nobody to be answered to.
    world.send(1, "[48, 2, {}, 'com.a']");
    assert_eq!(
        world.leave(1),
        [
            "2 [8,48,1,{},'wamp.error.canceled',['the callee has left']]",
            "3 [8,48,1,{},'wamp.error.canceled',['the last callee is gone']]",
        ]
    );
    world.end();
}

#[test]
fn a_call_that_waits_for_a_callee_that_leaves_goes_to_another_or_fails() {
    let mut world = World::of(4);
    for key in [1, 2] {
        world.send(key, "[64, 1, {'invoke': 'first', 'concurrency': 1}, 'com.a']");
    }
    world.send(3, "[48, 1, {}, 'com.a']");
    world.send(3, "[48, 2, {}, 'com.a']");
    world.send(4, "[48, 1, {}, 'com.a']");
    // The first callee is unavailable for call 1, which then waits for the second; call 1 of session 4 has its place.
    assert_eq!(invoked(&world.send(1, "[8, 68, 1, {}, 'wamp.error.unavailable']")), [1]);
    assert_eq!(
        world.leave(2),
        [
            "3 [8,48,2,{},'wamp.error.canceled',['the callee has left']]",
            "3 [8,48,1,{},'wamp.error.no_available_callee',['the callees that might have taken the call are gone']]",
        ]
    );
    assert_eq!(world.send(1, "[70, 2, {}]"), ["4 [50,1,{}]"]);
    world.end();
}

#[test]
fn a_caller_that_leaves_stops_the_callees_that_can_be_stopped() {
    let mut world = World::of(2);
    world.join(3, MemberKind::Client, PLAIN);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(3, "[64, 1, {}, 'com.b']");
    world.send(2, "[48, 1, {}, 'com.a']");
    world.send(2, "[48, 2, {}, 'com.b']");
    assert_eq!(world.leave(2), [interrupt(1, 1, "killnowait", "canceled")]);
    assert_eq!(world.send(1, "[8, 68, 1, {}, 'wamp.error.canceled']"), ["drop caller_gone"]);
    assert_eq!(world.send(3, "[70, 1, {'progress': true}]"), ["drop caller_gone"]);
    assert_eq!(world.send(3, "[70, 1, {}]"), ["drop caller_gone"]);
    world.end();
}

#[test]
fn a_call_ends_when_its_time_is_over() {
    let mut world = World::of(2);
    world.join(3, MemberKind::Client, PLAIN);
    let timeout = "{},'wamp.error.timeout',['the call took too long']]";
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(3, "[64, 1, {}, 'com.b']");
    world.send(2, "[48, 1, {'timeout': 100}, 'com.a']");
    world.send(2, "[48, 2, {'timeout': 50}, 'com.b']");
    world.send(2, "[48, 3, {'timeout': 0}, 'com.b']");
    assert_eq!(world.dealer.poll_timeout(), Some(Duration::from_millis(50)));
    assert_eq!(world.pass(49), NOTHING);
    assert_eq!(world.pass(1), [format!("2 [8,48,2,{timeout}")]);
    assert_eq!(world.pass(50), [format!("2 [8,48,1,{timeout}"), interrupt(1, 1, "killnowait", "timeout")]);
    assert_eq!(world.pass(1_000_000), NOTHING);
    assert_eq!(world.send(1, "[70, 1, {}]"), ["drop caller_gone"]);
    // A result in time stops the clock.
    world.send(2, "[48, 4, {'timeout': 100}, 'com.a']");
    world.send(1, "[70, 2, {}]");
    assert_eq!(world.dealer.poll_timeout(), None);
    world.end();
}

#[test]
fn a_call_that_waits_runs_out_of_time_too() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    world.send(2, "[48, 2, {'timeout': 10}, 'com.a']");
    assert_eq!(world.pass(10), ["2 [8,48,2,{},'wamp.error.timeout',['the call took too long']]"]);
    assert_eq!(world.send(1, "[70, 1, {}]"), ["2 [50,1,{}]"]);
    world.end();
}

#[test]
fn every_part_of_a_result_starts_the_time_anew() {
    let mut world = World::of(2);
    world.config.limits.call_timeout_max = Duration::from_millis(200);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {'timeout': 100, 'receive_progress': true}, 'com.a']");
    for _ in 0..2 {
        assert_eq!(world.pass(80), NOTHING);
        assert_eq!(world.send(1, "[70, 1, {'progress': true}]"), ["2 [50,1,{'progress':true}]"]);
    }
    // But not beyond what the realm gives to any call.
    assert_eq!(world.dealer.poll_timeout(), Some(Duration::from_millis(200)));
    assert_eq!(world.pass(40).len(), 2);
    world.send(2, "[48, 2, {}, 'com.a']");
    assert_eq!(world.dealer.poll_timeout(), Some(Duration::from_millis(400)));
    world.end();
}

#[test]
fn a_callee_that_minds_the_time_itself_is_told_and_given_more() {
    let unaware = Features { callee_call_timeout: false, ..EVERYTHING };
    for (features, options, details, deadline_ms) in [
        (EVERYTHING, "{'forward_timeout': true}", "{'timeout':100}", 200),
        (EVERYTHING, "{}", "{}", 100),
        (unaware, "{'forward_timeout': true}", "{}", 100),
    ] {
        let mut world = World::of(2);
        world.join(3, MemberKind::Client, features);
        world.send(3, &format!("[64, 1, {options}, 'com.a']"));
        assert_eq!(world.send(2, "[48, 1, {'timeout': 100}, 'com.a']"), [format!("3 [68,1,#com.a,{details}]")]);
        assert_eq!(world.dealer.poll_timeout(), Some(Duration::from_millis(deadline_ms)));
        world.end();
    }
}

#[test]
fn an_unavailable_callee_hands_the_call_on() {
    for (policy, order) in [("roundrobin", [1, 2, 3]), ("first", [1, 2, 3]), ("last", [3, 2, 1])] {
        let mut world = World::of(4);
        for key in [1, 2, 3] {
            world.send(key, &format!("[64, 1, {{'invoke': '{policy}'}}, 'com.a']"));
        }
        assert_eq!(invoked(&world.send(4, "[48, 1, {}, 'com.a', ['x']]")), [order[0]]);
        for pair in order.windows(2) {
            let lines = world.send(pair[0], "[8, 68, 1, {}, 'wamp.error.unavailable']");
            assert_eq!(lines, [format!("{} [68,1,#com.a,{{}},['x']]", pair[1])], "{policy}");
        }
        assert_eq!(
            world.send(order[2], "[8, 68, 1, {}, 'wamp.error.unavailable']"),
            ["4 [8,48,1,{},'wamp.error.no_available_callee',['every callee of com.a is unavailable']]"]
        );
        world.end();
    }
}

#[test]
fn random_hands_the_call_on_to_each_callee_once() {
    let mut world = World::of(4);
    for key in [1, 2, 3] {
        world.send(key, "[64, 1, {'invoke': 'random'}, 'com.a']");
    }
    let mut lines = world.send(4, "[48, 1, {}, 'com.a']");
    let mut asked = Vec::new();
    while let [callee] = invoked(&lines)[..] {
        asked.push(callee);
        lines = world.send(callee, "[8, 68, 1, {}, 'wamp.error.unavailable']");
    }
    asked.sort_unstable();
    assert_eq!(asked, [1, 2, 3]);
    assert!(lines[0].starts_with("4 [8,48,1,{},'wamp.error.no_available_callee'"), "{lines:?}");
    world.end();
}

#[test]
fn a_call_that_has_begun_is_not_handed_on() {
    let mut world = World::of(3);
    world.send(1, "[64, 1, {}, 'com.single']");
    world.send(3, "[48, 1, {}, 'com.single']");
    let none = "'wamp.error.no_available_callee',['the callee is unavailable, and there is no other']]";
    assert_eq!(world.send(1, "[8, 68, 1, {}, 'wamp.error.unavailable']"), [format!("3 [8,48,1,{{}},{none}")]);
    for key in [1, 2] {
        world.send(key, "[64, 2, {'invoke': 'first'}, 'com.a']");
    }
    // Its second part is at the callee.
    world.send(3, "[48, 2, {'progress': true}, 'com.a']");
    world.send(3, "[48, 2, {'progress': true}, 'com.a']");
    assert_eq!(world.send(1, "[8, 68, 2, {}, 'wamp.error.unavailable']"), [format!("3 [8,48,2,{{}},{none}")]);
    assert!(world.send(3, "[48, 2, {}, 'com.a']").is_empty(), "the last part comes too late");
    // The first part of the result is at the caller.
    world.send(3, "[48, 3, {'receive_progress': true}, 'com.a']");
    world.send(1, "[70, 3, {'progress': true}]");
    assert_eq!(world.send(1, "[8, 68, 3, {}, 'wamp.error.unavailable']"), ["3 [8,48,3,{},'wamp.error.unavailable']"]);
    world.end();
}

#[test]
fn the_router_is_a_caller_too() {
    let mut world = World::of(1);
    assert_eq!(world.call_by_router(7, "com.a", Dict::new()), ["router 7 wamp.error.no_such_procedure"]);
    world.send(1, "[64, 1, {'disclose_caller': true}, 'com.a']");
    assert_eq!(world.call_by_router(7, "com.a", Dict::new()), ["1 [68,1,#com.a,{},['a']]"]);
    assert_eq!(world.send(1, "[70, 1, {}, [true]]"), ["router 7 Ok([Bool(true)])"]);
    world.call_by_router(8, "com.a", Dict::new());
    assert_eq!(world.send(1, "[8, 68, 2, {}, 'com.e']"), ["router 8 com.e"]);
    world.call_by_router(9, "com.a", Dict::new().with("timeout", 10_u64));
    assert_eq!(world.pass(10), ["router 9 wamp.error.timeout".to_owned(), interrupt(1, 3, "killnowait", "timeout")]);
    world.send(1, "[64, 1, {'forward_timeout': true}, 'com.b']");
    assert_eq!(world.call_by_router(10, "com.b", Dict::new().with("timeout", 10_u64)), ["1 [68,4,#com.b,{},['a']]"]);
    assert_eq!(world.pass(10).len(), 2);
    world.call_by_router(10, "com.a", Dict::new());
    assert_eq!(world.leave(1), ["router 10 wamp.error.canceled"]);
    world.end();
}
