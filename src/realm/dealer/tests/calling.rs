//! CALL: what the callee is told, who waits for whom, and calls and results in parts.

use super::{EVERYTHING, PLAIN, World, invoked};
use crate::realm::MemberKind;
use crate::wamp::feature::Features;

#[test]
fn a_call_and_its_result() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!(world.send(2, "[48, 1, {'x': 1}, 'com.a', [1], {'k':2}]"), ["1 [68,1,#com.a,{},[1],{'k':2}]"]);
    // Invocations are numbered per callee session, whoever calls.
    assert_eq!(world.send(1, "[48, 2, {}, 'com.a']"), ["1 [68,2,#com.a,{}]"]);
    assert_eq!(world.send(1, "[70, 2, {}]"), ["1 [50,2,{}]"]);
    assert_eq!(world.send(1, "[70, 1, {'x': 1}, [3]]"), ["2 [50,1,{},[3]]"]);
    assert_eq!(
        world.send(2, "[48, 2, {}, 'com.b']"),
        ["2 [8,48,2,{},'wamp.error.no_such_procedure',['no callee has registered com.b']]"]
    );
    world.end();
}

#[test]
fn an_error_of_the_callee_goes_to_the_caller() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    assert_eq!(
        world.send(1, "[8, 68, 1, {'x': 1}, 'com.error', [1], {'k':2}]"),
        ["2 [8,48,1,{},'com.error',[1],{'k':2}]"]
    );
    world.end();
}

#[test]
fn pattern_registrations_hear_the_procedure() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {'match': 'prefix'}, 'com.p']");
    world.send(1, "[64, 2, {'match': 'wildcard'}, 'org..w']");
    assert_eq!(world.send(2, "[48, 1, {}, 'com.pq']"), ["1 [68,1,#com.p,{'procedure':'com.pq'}]"]);
    assert_eq!(world.send(2, "[48, 2, {}, 'org.a.w']"), ["1 [68,2,#org..w,{'procedure':'org.a.w'}]"]);
    world.end();
}

#[test]
fn callers_are_disclosed_when_anybody_who_may_says_so() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(1, "[64, 2, {'disclose_caller': true}, 'com.b']");
    let caller = "{'caller':102,'caller_authid':'user2','caller_authrole':'role2'}";
    assert_eq!(world.send(2, "[48, 1, {}, 'com.a']"), ["1 [68,1,#com.a,{}]"]);
    assert_eq!(world.send(2, "[48, 2, {'disclose_me': true}, 'com.a']"), [format!("1 [68,2,#com.a,{caller}]")]);
    assert_eq!(world.send(2, "[48, 3, {}, 'com.b']"), [format!("1 [68,3,#com.b,{caller}]")]);
    let effects = world.step(|dealer, cx| {
        use crate::wire::{Dict, Payload};
        let caller = super::Caller::Session(crate::wamp::SessionKey(2));
        dealer.handle_call(cx, caller, 4, Dict::new(), "com.a".to_owned(), Payload::empty(), true);
    });
    assert_eq!(world.tell(effects), [format!("1 [68,4,#com.a,{caller}]")]);
    // A link speaks for whom its CALL names.
    world.join(3, MemberKind::Uplink, EVERYTHING);
    let named = "{'caller':77,'caller_authid':'u','caller_authrole':'r'}";
    assert_eq!(world.send(3, &format!("[48, 1, {named}, 'com.b']")), [format!("1 [68,5,#com.b,{named}]")]);
    assert_eq!(world.send(2, &format!("[48, 5, {named}, 'com.b']")), [format!("1 [68,6,#com.b,{caller}]")]);
    world.end();
}

#[test]
fn parts_of_a_result_go_to_a_caller_that_asked() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!(
        world.send(2, "[48, 1, {'receive_progress': true}, 'com.a']"),
        ["1 [68,1,#com.a,{'receive_progress':true}]"]
    );
    assert_eq!(world.send(1, "[70, 1, {'progress': true}, [1]]"), ["2 [50,1,{'progress':true},[1]]"]);
    assert_eq!(world.send(1, "[70, 1, {'progress': true}, [2]]"), ["2 [50,1,{'progress':true},[2]]"]);
    assert_eq!(world.send(1, "[70, 1, {}, [3]]"), ["2 [50,1,{},[3]]"]);
    // Who did not ask gets only the end.
    world.send(2, "[48, 2, {}, 'com.a']");
    assert_eq!(world.send(1, "[70, 2, {'progress': true}, [1]]"), [] as [&str; 0]);
    assert_eq!(world.send(1, "[70, 2, {}, [2]]"), ["2 [50,2,{},[2]]"]);
    world.end();
}

#[test]
fn receive_progress_is_for_callees_that_announced_it() {
    // autobahn-js announces progressive results, but not that its calls can be cancelled.
    let mut world = World::of(2);
    world.join(3, MemberKind::Client, Features { callee_call_canceling: false, ..EVERYTHING });
    world.send(3, "[64, 1, {}, 'com.a']");
    let lines = world.send(2, "[48, 1, {'receive_progress': true}, 'com.a']");
    assert_eq!(lines, ["3 [68,1,#com.a,{'receive_progress':true}]"]);
    assert_eq!(world.send(3, "[70, 1, {'progress': true}, [1]]"), ["2 [50,1,{'progress':true},[1]]"]);
    assert_eq!(world.send(3, "[70, 1, {}, [2]]"), ["2 [50,1,{},[2]]"]);
    world.end();

    let without_cancelling = Features { callee_call_canceling: false, ..EVERYTHING };
    for features in [EVERYTHING, without_cancelling] {
        let features = Features { callee_progressive_results: false, ..features };
        let mut world = World::of(2);
        world.join(3, MemberKind::Client, features);
        world.send(3, "[64, 1, {}, 'com.a']");
        assert_eq!(world.send(2, "[48, 1, {'receive_progress': true}, 'com.a']"), ["3 [68,1,#com.a,{}]"]);
        // It progresses all the same; the caller asked for it and can take it.
        assert_eq!(world.send(3, "[70, 1, {'progress': true}, [1]]"), ["2 [50,1,{'progress':true},[1]]"]);
        assert_eq!(world.send(3, "[70, 1, {}, [2]]"), ["2 [50,1,{},[2]]"]);
        assert_eq!(world.send(2, "[48, 2, {}, 'com.a']"), ["3 [68,2,#com.a,{}]"]);
        assert_eq!(world.send(3, "[70, 2, {'progress': true}, [1]]"), [] as [&str; 0]);
        assert_eq!(world.send(3, "[70, 2, {}, [2]]"), ["2 [50,2,{},[2]]"]);
        world.end();
    }
}

#[test]
fn the_parts_of_a_call_go_to_one_callee_as_one_invocation() {
    let mut world = World::of(3);
    for key in [1, 2] {
        world.send(key, "[64, 1, {'invoke': 'roundrobin'}, 'com.a']");
    }
    let caller = "'caller':103,'caller_authid':'user3','caller_authrole':'role3'";
    assert_eq!(
        world.send(3, "[48, 1, {'progress': true, 'disclose_me': true, 'ppt_scheme': 'x_a'}, 'com.a', [1]]"),
        [format!("1 [68,1,#com.a,{{'progress':true,{caller},'ppt_scheme':'x_a'}},[1]]")]
    );
    // Another call has the next turn.
    assert_eq!(invoked(&world.send(3, "[48, 2, {}, 'com.a']")), [2]);
    // Only `progress` of later options counts.
    assert_eq!(
        world.send(3, "[48, 1, {'progress': true, 'disclose_me': false, 'ppt_scheme': 'x_b'}, 'com.a', [2]]"),
        [format!("1 [68,1,#com.a,{{'progress':true,{caller},'ppt_scheme':'x_a'}},[2]]")]
    );
    // A callee that has unregistered stays with what it has.
    let id = world.dealer.best_match("com.a").unwrap().id;
    world.send(1, "[66, 2, #com.a]");
    world.send(2, "[66, 2, #com.a]");
    assert_eq!(
        world.send(3, "[48, 1, {}, 'com.a', [3]]"),
        [format!("1 [68,1,{id},{{{caller},'ppt_scheme':'x_a'}},[3]]")]
    );
    assert_eq!(world.send(1, "[70, 1, {}, ['all']]"), ["3 [50,1,{},['all']]"]);
    world.end();
}

#[test]
fn a_part_that_comes_after_the_answer_is_ignored() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {'progress': true}, 'com.a', [1]]");
    assert_eq!(world.send(1, "[8, 68, 1, {}, 'com.enough']"), ["2 [8,48,1,{},'com.enough']"]);
    assert_eq!(world.send(2, "[48, 1, {'progress': true}, 'com.a', [2]]"), [] as [&str; 0]);
    assert_eq!(world.send(2, "[48, 1, {}, 'com.a', [3]]"), [] as [&str; 0]);
    assert_eq!(invoked(&world.send(2, "[48, 2, {}, 'com.a']")), [1]);
    world.end();
}

#[test]
fn only_an_open_progressive_call_can_be_continued() {
    for (first, again) in [
        ("[48, 1, {}, 'com.a']", "[48, 1, {}, 'com.a']"),
        ("[48, 1, {}, 'com.a']", "[48, 1, {'progress': true}, 'com.a']"),
        ("[48, 1, {'progress': true}, 'com.a']", "[48, 1, {}, 'com.b']"),
    ] {
        let mut world = World::of(2);
        world.send(1, "[64, 1, {}, 'com.a']");
        world.send(2, first);
        let lines = world.send(2, again);
        assert!(lines.len() == 1 && lines[0].starts_with("2 abort: CALL 1 is still open"), "{lines:?}");
        world.end();
    }
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    world.send(2, "[48, 1, {'progress': true}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    assert!(world.send(2, "[48, 1, {}, 'com.a']")[0].starts_with("2 abort:"), "its last part has been sent");
    world.end();
}

#[test]
fn callers_without_progressive_invocations_may_number_their_calls_as_they_like() {
    let mut world = World::of(1);
    world.join(2, MemberKind::Client, PLAIN);
    world.send(1, "[64, 1, {}, 'com.a']");
    for request in [900, 5, 77] {
        assert_eq!(invoked(&world.send(2, &format!("[48, {request}, {{}}, 'com.a']"))), [1]);
    }
    assert!(world.send(2, "[48, 5, {}, 'com.a']")[0].starts_with("2 abort:"), "it is still open");
    world.end();
}

#[test]
fn what_a_call_cannot_do_without_is_only_for_callees_that_announced_it() {
    let without_input = Features { callee_progressive_invocations: false, ..EVERYTHING };
    let without_stop = Features { callee_call_canceling: false, ..EVERYTHING };
    let without_passthru = Features { callee_passthru: false, ..EVERYTHING };
    for (features, options, feature) in [
        (without_input, "{'progress': true}", "progressive_call_invocations"),
        (without_stop, "{'progress': true}", "progressive_call_invocations"),
        (without_passthru, "{'ppt_scheme': 'x_a'}", "payload_passthru_mode"),
        (without_passthru, "{'enc_algo': 'cryptobox'}", "payload_passthru_mode"),
    ] {
        let mut world = World::of(2);
        world.join(3, MemberKind::Client, features);
        world.send(3, "[64, 1, {'invoke': 'first'}, 'com.a']");
        let sentence = format!("no callee of com.a announced {feature}");
        assert_eq!(
            world.send(2, &format!("[48, 1, {options}, 'com.a', ['x']]")),
            [format!("2 [8,48,1,{{}},'wamp.error.feature_not_supported',['{sentence}']]")]
        );
        // Among several, it goes to one that did.
        world.send(1, "[64, 1, {'invoke': 'first'}, 'com.a']");
        assert_eq!(invoked(&world.send(2, &format!("[48, 2, {options}, 'com.a', ['x']]"))), [1]);
        world.end();
    }
}

#[test]
fn passthru_attributes_are_carried_both_ways() {
    let mut world = World::of(2);
    world.send(1, "[64, 1, {}, 'com.a']");
    let ppt = "{'ppt_scheme':'x_a','ppt_serializer':'cbor','ppt_cipher':'c','ppt_keyid':'k'}";
    let enc = "{'enc_algo':'cryptobox','enc_key':'k','enc_serializer':'json'}";
    for (request, attributes) in [(1, ppt), (2, enc)] {
        assert_eq!(
            world.send(2, &format!("[48, {request}, {attributes}, 'com.a', ['\\u0000AA==']]")),
            [format!("1 [68,{request},#com.a,{attributes},['\\u0000AA==']]")]
        );
    }
    assert_eq!(world.send(1, &format!("[70, 1, {ppt}, ['r']]")), [format!("2 [50,1,{ppt},['r']]")]);
    assert_eq!(
        world.send(1, &format!("[8, 68, 2, {ppt}, 'com.e', ['r']]")),
        [format!("2 [8,48,2,{ppt},'com.e',['r']]")]
    );
    world.end();
}

#[test]
fn a_passthru_result_that_the_caller_cannot_read_is_refused_on_both_sides() {
    let mut world = World::of(1);
    world.join(2, MemberKind::Client, PLAIN);
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    let sentence = "the result is in payload_passthru_mode, which the caller did not announce";
    let refused = format!("{{}},'wamp.error.feature_not_supported',['{sentence}']]");
    world.send(2, "[48, 1, {}, 'com.a']");
    assert_eq!(
        world.send(1, "[70, 1, {'ppt_scheme': 'x_a'}, ['r']]"),
        [format!("1 [8,68,1,{refused}"), format!("2 [8,48,1,{refused}")]
    );
    world.send(2, "[48, 2, {'receive_progress': true}, 'com.a']");
    let interrupt = "1 [69,2,{'mode':'killnowait','reason':'wamp.error.feature_not_supported'}]";
    assert_eq!(
        world.send(1, "[70, 2, {'ppt_scheme': 'x_a', 'progress': true}, ['r']]"),
        [format!("1 [8,68,2,{refused}"), format!("2 [8,48,2,{refused}"), interrupt.to_owned()]
    );
    world.end();
}

#[test]
fn calls_wait_in_order_for_a_callee_below_its_concurrency() {
    let mut world = World::of(3);
    world.send(1, "[64, 1, {'concurrency': 2}, 'com.a']");
    for request in 1..=3 {
        world.send(2, &format!("[48, {request}, {{}}, 'com.a', [2,{request}]]"));
    }
    assert_eq!(world.send(3, "[48, 1, {}, 'com.a', [3,1]]"), [] as [&str; 0]);
    assert_eq!(world.send(1, "[70, 2, {}]"), ["2 [50,2,{}]", "1 [68,3,#com.a,{},[2,3]]"]);
    assert_eq!(world.send(1, "[8, 68, 1, {}, 'com.e']"), ["2 [8,48,1,{},'com.e']", "1 [68,4,#com.a,{},[3,1]]"]);
    assert_eq!(world.send(1, "[70, 3, {}]"), ["2 [50,3,{}]"]);
    world.end();
}

#[test]
fn a_new_callee_takes_calls_that_wait() {
    let mut world = World::of(3);
    world.send(1, "[64, 1, {'invoke': 'random', 'concurrency': 1}, 'com.a']");
    world.send(3, "[48, 1, {}, 'com.a']");
    assert_eq!(world.send(3, "[48, 2, {}, 'com.a', [2]]"), [] as [&str; 0]);
    assert_eq!(world.send(2, "[64, 1, {'invoke': 'random'}, 'com.a']"), ["2 [65,1,#com.a]", "2 [68,1,#com.a,{},[2]]"]);
    world.end();
}

#[test]
fn waiting_is_bounded() {
    let mut world = World::of(2);
    world.config.limits.calls_queued_max = 1;
    world.send(1, "[64, 1, {'concurrency': 1}, 'com.a']");
    world.send(2, "[48, 1, {}, 'com.a']");
    assert_eq!(world.send(2, "[48, 2, {}, 'com.a']"), [] as [&str; 0]);
    assert_eq!(
        world.send(2, "[48, 3, {}, 'com.a']"),
        ["2 note: limit_exceeded", "2 [8,48,3,{},'wamp.error.limit_exceeded',['calls_queued_max is 1']]"]
    );
    // A progressive call cannot wait at all.
    world.config.limits.calls_queued_max = 10;
    let lines = world.send(2, "[48, 4, {'progress': true}, 'com.a']");
    assert!(lines[0].starts_with("2 [8,48,4,{},'wamp.error.no_available_callee'"), "{lines:?}");
    world.end();
}

#[test]
fn open_calls_are_limited_for_clients() {
    let mut world = World::of(2);
    world.join(3, MemberKind::Uplink, EVERYTHING);
    world.config.limits.calls_per_session_max = 1;
    world.send(1, "[64, 1, {}, 'com.a']");
    assert_eq!(invoked(&world.send(2, "[48, 1, {}, 'com.a']")), [1]);
    assert_eq!(
        world.send(2, "[48, 2, {}, 'com.a']"),
        ["2 note: limit_exceeded", "2 [8,48,2,{},'wamp.error.limit_exceeded',['calls_per_session_max is 1']]"]
    );
    for request in 1..=3 {
        assert_eq!(invoked(&world.send(3, &format!("[48, {request}, {{}}, 'com.a']"))), [1]);
    }
    world.end();
}
