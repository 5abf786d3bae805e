//! REGISTER, UNREGISTER, revocation, and which callee is chosen.

use super::{EVERYTHING, PLAIN, World, invoked};
use crate::realm::MemberKind;
use crate::realm::ids::Asked;
use crate::wamp::uri::Match;
use crate::wamp::{Id, SessionKey};
use crate::wire::Dict;
use std::collections::HashMap;

/// Calls `com.a` from session `caller` under the given request ids and tells who was invoked.
fn call(world: &mut World, caller: u32, requests: std::ops::RangeInclusive<Id>) -> Vec<u32> {
    requests.flat_map(|id| invoked(&world.send(caller, &format!("[48, {id}, {{}}, 'com.a']")))).collect()
}

fn register(world: &mut World, keys: &[u32], options: &str) {
    for key in keys {
        let lines = world.send(*key, &format!("[64, 1, {options}, 'com.a']"));
        assert_eq!(lines[0], format!("{key} [65,1,#com.a]"));
    }
}

#[test]
fn a_registration_has_one_callee_by_default() {
    let mut world = World::of(2);
    assert_eq!(world.send(1, "[64, 1, {}, 'com.a']"), ["1 [65,1,#com.a]"]);
    let already = "wamp.error.procedure_already_exists";
    let refused = format!("[8,64,1,{{}},'{already}',['com.a is already registered']]");
    assert_eq!(world.send(2, "[64, 1, {}, 'com.a']"), [format!("2 {refused}")]);
    assert_eq!(world.send(1, "[64, 1, {'invoke': 'single'}, 'com.a']"), [format!("1 {refused}")]);
    // Another match policy makes another pattern.
    assert_eq!(world.send(2, "[64, 2, {'match': 'prefix'}, 'com.a']").len(), 1);
    assert_eq!(world.dealer.registrations().count(), 2);
    world.end();
}

/// A callee that had given up a procedure took it back from one on another node; that node gave way before the first
/// had settled, and the callee got another id than the peers had been told.
#[test]
fn a_registration_gets_the_id_that_the_peers_were_told() {
    for (told, expected) in [(Some(0), 0), (None, 1), (Some(2), 2)] {
        let mut world = World::of(1);
        register(&mut world, &[1], "{}");
        let id = world.dealer.lookup("com.a", Match::Exact).expect("it is registered").id;
        world.send(1, &format!("[66, 2, {id}]"));
        world.step(|dealer, cx| {
            let asked = Asked { wall: cx.now.wall, generation: told };
            dealer.handle_register(cx, SessionKey(1), 3, Dict::new(), "com.a".to_owned(), asked);
        });
        let generation = world.dealer.lookup("com.a", Match::Exact).map(|registration| registration.generation);
        assert_eq!(generation, Some(expected), "the peers were told {told:?}");
        world.end();
    }
}

#[test]
fn callees_must_agree_on_the_invocation_policy() {
    let mut world = World::of(3);
    register(&mut world, &[1, 2], "{'invoke': 'roundrobin'}");
    for options in ["{}", "{'invoke': 'random'}"] {
        let lines = world.send(3, &format!("[64, 1, {options}, 'com.a']"));
        let error = "wamp.error.procedure_exists_with_different_invocation_policy";
        assert_eq!(lines, [format!("3 [8,64,1,{{}},'{error}',['com.a is registered with invoke roundrobin']]")]);
    }
    // Once more is no error, and no second callee.
    register(&mut world, &[1], "{'invoke': 'roundrobin'}");
    assert_eq!(world.dealer.lookup("com.a", Match::Exact).unwrap().client_callees().count(), 2);
    world.end();
}

#[test]
fn meta_events_tell_how_a_registration_comes_and_goes() {
    let mut world = World::of(2);
    world.join(3, MemberKind::Peer, EVERYTHING);
    register(&mut world, &[1, 2, 3], "{'invoke': 'first'}");
    let details = "{'id':#com.a,'created':'2026-01-01T00:00:00.000Z','uri':'com.a','match':'exact','invoke':'first'}";
    let created = format!("on_create [101,{details}]");
    assert_eq!(world.meta(), [created.as_str(), "on_register [101,#com.a]", "on_register [102,#com.a]"]);
    assert_eq!(world.send(1, "[66, 2, #com.a]"), ["1 [67,2]"]);
    assert_eq!(world.meta(), ["on_unregister [101,#com.a]"]);
    // A link comes and goes silently.
    assert_eq!(world.send(3, "[66, 2, #com.a]"), ["3 [67,2]"]);
    assert_eq!(world.meta(), [] as [&str; 0]);
    let id = world.dealer.best_match("com.a").unwrap().id;
    assert_eq!(world.leave(2), [] as [&str; 0]);
    assert_eq!(world.meta(), [format!("on_unregister [102,{id}]"), format!("on_delete [102,{id}]")]);
    world.end();
}

#[test]
fn unregister_takes_only_what_is_ones_own() {
    let mut world = World::of(2);
    register(&mut world, &[1], "{}");
    let id = world.dealer.best_match("com.a").unwrap().id;
    for (key, registration) in [(2, id), (1, id + 1), (2, 1)] {
        let lines = world.send(key, &format!("[66, 9, {registration}]"));
        let sentence =
            format!("registration {registration} is none of this session's").replace(&id.to_string(), "#com.a");
        assert_eq!(lines, [format!("{key} [8,66,9,{{}},'wamp.error.no_such_registration',['{sentence}']]")]);
    }
    assert_eq!(world.send(1, "[66, 9, #com.a]"), ["1 [67,9]"]);
    assert!(world.dealer.best_match("com.a").is_none());
    world.end();
}

#[test]
fn the_number_of_registrations_is_limited_for_clients() {
    let mut world = World::of(1);
    world.join(2, MemberKind::Peer, EVERYTHING);
    world.config.limits.registrations_per_session_max = 2;
    for (request, uri) in [(1, "com.a"), (2, "com.b")] {
        assert_eq!(world.send(1, &format!("[64, {request}, {{}}, '{uri}']")).len(), 1);
    }
    let refused = "[8,64,3,{},'wamp.error.limit_exceeded',['registrations_per_session_max is 2']]";
    let expected = ["1 note: limit_exceeded".to_owned(), format!("1 {refused}")];
    assert_eq!(world.send(1, "[64, 3, {}, 'com.c']"), expected);
    for uri in ["com.c", "com.d", "com.e"] {
        assert_eq!(world.send(2, &format!("[64, 1, {{}}, '{uri}']")), [format!("2 [65,1,#{uri}]")]);
    }
    world.end();
}

#[test]
fn force_reregister_takes_the_procedure_over() {
    let mut world = World::of(3);
    world.join(4, MemberKind::Client, PLAIN);
    register(&mut world, &[1, 2, 4], "{'invoke': 'roundrobin', 'concurrency': 1}");
    call(&mut world, 3, 1..=5);
    world.meta();
    let lines = world.send(2, "[64, 2, {'force_reregister': true}, 'com.a']");
    // Only who announced registration_revocation hears of it, and the calls that waited go to the new callee.
    let reason = "wamp.error.unregistered";
    assert_eq!(
        lines,
        [
            format!("1 [67,0,{{'registration':#com.a,'reason':'{reason}'}}]"),
            "2 [65,2,#com.a]".to_owned(),
            "2 [68,2,#com.a,{}]".to_owned(),
            "2 [68,3,#com.a,{}]".to_owned(),
        ]
    );
    let events: Vec<String> =
        world.meta().iter().map(|line| line.split(['{', '#']).next().unwrap().to_owned()).collect();
    let expected = [
        "on_unregister [101,",
        "on_unregister [102,",
        "on_unregister [104,",
        "on_delete [104,",
        "on_create [102,",
        "on_register [102,",
    ];
    assert_eq!(events, expected);
    // What the old callee works on it still answers.
    assert_eq!(world.send(1, "[70, 1, {}, [1]]"), ["3 [50,1,{},[1]]"]);
    world.end();
}

#[test]
fn a_revoked_callee_is_told_if_it_understands() {
    let mut world = World::of(1);
    world.join(2, MemberKind::Client, PLAIN);
    register(&mut world, &[1, 2], "{'invoke': 'first'}");
    let id = world.dealer.best_match("com.a").unwrap().id;
    let mut revoke = |key| {
        let mut done = false;
        let effects = world.step(|dealer, cx| done = dealer.revoke(cx, id, SessionKey(key), "enough"));
        (done, world.tell(effects))
    };
    assert_eq!(revoke(1), (true, vec!["1 [67,0,{'registration':#com.a,'reason':'enough'}]".to_owned()]));
    assert_eq!(revoke(1), (false, vec![]));
    assert_eq!(revoke(2), (true, vec![]));
    assert!(world.meta().last().unwrap().starts_with("on_delete [102,"));
    world.end();
}

#[test]
fn policies_choose_among_those_that_are_there() {
    for (policy, expected, without_2) in [
        ("first", [1, 1, 1, 1, 1], [1, 1, 1]),
        ("last", [3, 3, 3, 3, 3], [3, 3, 3]),
        ("roundrobin", [1, 2, 3, 1, 2], [3, 1, 3]),
    ] {
        let mut world = World::of(4);
        register(&mut world, &[1, 2, 3], &format!("{{'invoke': '{policy}'}}"));
        assert_eq!(call(&mut world, 4, 1..=5), expected, "{policy}");
        world.leave(2);
        assert_eq!(call(&mut world, 4, 6..=8), without_2, "{policy}");
        world.end();
    }
}

#[test]
fn a_callee_that_leaves_takes_nobody_elses_turn() {
    for (leaver, next) in [(1, [4, 2, 3]), (3, [4, 1, 2]), (4, [1, 2, 3])] {
        let mut world = World::of(5);
        register(&mut world, &[1, 2, 3, 4], "{'invoke': 'roundrobin'}");
        assert_eq!(call(&mut world, 5, 1..=3), [1, 2, 3]);
        world.leave(leaver);
        assert_eq!(call(&mut world, 5, 4..=6), next, "without {leaver}");
        world.end();
    }
}

#[test]
fn random_spreads_by_weight() {
    let mut world = World::of(3);
    world.join(4, MemberKind::Peer, EVERYTHING);
    // What a client says of its weight does not count.
    register(&mut world, &[1, 2, 4], "{'invoke': 'random', 'weight': 4}");
    let mut counts = HashMap::new();
    for key in call(&mut world, 3, 1..=600) {
        *counts.entry(key).or_insert(0) += 1;
    }
    // 100, 100 and 400 are due; a standard deviation is about 10, and the seed is fixed.
    assert!((60..140).contains(&counts[&1]) && (60..140).contains(&counts[&2]), "{counts:?}");
    assert!((340..460).contains(&counts[&4]), "{counts:?}");
    world.end();
}

#[test]
fn roundrobin_gives_a_link_the_turns_of_all_its_callees() {
    let mut world = World::of(3);
    world.join(4, MemberKind::Peer, EVERYTHING);
    register(&mut world, &[1], "{'invoke': 'roundrobin'}");
    register(&mut world, &[4], "{'invoke': 'roundrobin', 'weight': 2}");
    register(&mut world, &[2], "{'invoke': 'roundrobin'}");
    assert_eq!(call(&mut world, 3, 1..=8), [1, 4, 4, 2, 1, 4, 4, 2]);
    // The link has one more callee now.
    register(&mut world, &[4], "{'invoke': 'roundrobin', 'weight': 3}");
    assert_eq!(call(&mut world, 3, 9..=13), [1, 4, 4, 4, 2]);
    world.end();
}

#[test]
fn a_link_counts_as_a_bounded_number_of_callees() {
    let mut world = World::of(2);
    world.join(3, MemberKind::Peer, EVERYTHING);
    register(&mut world, &[3], "{'invoke': 'roundrobin', 'weight': 4294967295}");
    register(&mut world, &[1], "{'invoke': 'roundrobin'}");
    let called = call(&mut world, 2, 1..=4_097);
    assert_eq!(called.iter().position(|callee| *callee == 1), Some(4_096));
    world.end();
}

#[test]
fn local_first_asks_links_only_when_no_client_is_free() {
    let mut world = World::of(2);
    world.join(3, MemberKind::Peer, EVERYTHING);
    world.config.local_first = true;
    register(&mut world, &[3, 1], "{'invoke': 'first', 'concurrency': 2}");
    assert_eq!(call(&mut world, 2, 1..=5), [1, 1, 3, 3]);
    world.end();
}

#[test]
fn a_call_from_another_node_stays_with_the_clients_of_this_one() {
    let mut world = World::of(1);
    world.join(2, MemberKind::Peer, EVERYTHING);
    world.join(3, MemberKind::Uplink, EVERYTHING);
    register(&mut world, &[2], "{'invoke': 'first'}");
    assert_eq!(
        world.send(3, "[48, 1, {}, 'com.a']"),
        ["3 [8,48,1,{},'wamp.error.unavailable',['no callee has registered com.a']]"]
    );
    register(&mut world, &[1], "{'invoke': 'first'}");
    assert_eq!(call(&mut world, 3, 2..=3), [1, 1]);
    assert_eq!(call(&mut world, 1, 1..=1), [2]);
    world.end();
}
