//! Row 39: testaments.

use crate::harness::client::Client;
use crate::harness::router::{Router, Setup, everywhere, everywhere_with};

/// A session that listens to what others leave behind, and one with two testaments of each scope.
fn scene(router: &mut Router) -> (Client, Client) {
    let mut heir = router.join("heir");
    heir.subscribe("com.will.", r#"{"match": "prefix"}"#, "will");
    let mut testator = router.join("testator");
    for (topic, n, scope) in [
        ("com.will.a", 1, r#", "scope": "destroyed""#),
        ("com.will.b", 2, r#", "scope": "detached""#),
        ("com.will.b", 3, ""),
        ("com.will.a", 4, r#", "scope": "detached""#),
    ] {
        let arguments = format!(r#"[{topic:?}, [{n}], {{"n": {n}}}], {{"publish_options": {{}}{scope}}}"#);
        testator.call("wamp.session.add_testament", &arguments, "");
    }
    (heir, testator)
}

/// What the heir gets, in order: topic and number.
fn expect(heir: &mut Client, events: &[(&str, u64)]) {
    for (topic, n) in events {
        heir.expect(&format!(r#"[36, $will, $_, {{"topic": "com.will.{topic}"}}, [{n}], {{"n": {n}}}]"#));
    }
    heir.expect_nothing();
}

/// Detached before destroyed, and each in the order in which they were added.
const ALL: [(&str, u64); 4] = [("b", 2), ("a", 4), ("a", 1), ("b", 3)];

#[test]
fn testaments_are_published_when_the_transport_is_lost() {
    everywhere(|mut router| {
        for reset in [false, true] {
            let (mut heir, testator) = scene(&mut router);
            heir.expect_nothing();
            let io = testator.into_io();
            if reset {
                io.reset()
            } else {
                drop(io)
            }
            for (topic, n) in ALL {
                heir.expect(&format!(r#"[36, $will, $_, {{"topic": "com.will.{topic}"}}, [{n}], {{"n": {n}}}]"#));
            }
            heir.expect_nothing();
            heir.goodbye();
        }
    });
}

#[test]
fn testaments_are_published_when_the_session_is_killed_or_says_goodbye() {
    everywhere(|mut router| {
        let (mut heir, mut testator) = scene(&mut router);
        heir.call("wamp.session.count", "", "[2]");
        heir.send(r#"[48, #, {}, "wamp.session.kill", [$testator]]"#);
        heir.expect("[50, #, {}]");
        expect(&mut heir, &ALL);
        testator.expect(r#"[6, {}, "wamp.close.killed"]"#);
        heir.goodbye();
        let (mut heir, mut testator) = scene(&mut router);
        testator.goodbye();
        expect(&mut heir, &ALL);
    });
}

#[test]
fn testaments_can_be_flushed_by_scope() {
    everywhere(|mut router| {
        let (mut heir, mut testator) = scene(&mut router);
        testator.send(r#"[48, #, {}, "wamp.session.flush_testaments", [], {"scope": "detached"}]"#);
        testator.expect("[50, #, {}, ...]");
        testator.goodbye();
        expect(&mut heir, &[("a", 1), ("b", 3)]);
        heir.goodbye();
        // Without a scope it is that of destroyed sessions.
        let (mut heir, mut testator) = scene(&mut router);
        testator.send(r#"[48, #, {}, "wamp.session.flush_testaments"]"#);
        testator.expect("[50, #, {}, ...]");
        testator.goodbye();
        expect(&mut heir, &[("b", 2), ("a", 4)]);
    });
}

/// A testament honours publish options, and what one may not publish one cannot leave behind either.
#[test]
fn testaments_are_publications_like_others() {
    everywhere(|mut router| {
        let mut alice = router.join_as("alice");
        let mut bob = router.join_as("bob");
        alice.subscribe("com.will", "{}", "will");
        bob.subscribe("com.will", "{}", "will");
        let mut testator = router.join("testator");
        let options = r#"{"publish_options": {"eligible_authid": ["bob"], "disclose_me": true}}"#;
        testator.call("wamp.session.add_testament", &format!(r#"["com.will", ["x"], {{}}], {options}"#), "");
        testator.goodbye();
        bob.expect(r#"[36, $will, $_, {"publisher": $testator, ...}, ["x"]]"#);
        alice.expect_nothing();
        for topic in ["wamp.session.on_leave", "a..b", ""] {
            alice.call_fails("wamp.session.add_testament", &format!("[{topic:?}, [], {{}}]"), "wamp.error.invalid_uri");
        }
        alice.call_fails(
            "wamp.session.add_testament",
            r#"["com.will", [], {}], {"scope": "whenever"}"#,
            "wamp.error.invalid_argument",
        );
    });
}

/// The next session on the same transport does not inherit.
#[test]
fn testaments_are_of_one_session() {
    everywhere(|mut router| {
        let (mut heir, mut testator) = scene(&mut router);
        testator.goodbye();
        expect(&mut heir, &ALL);
        testator.hello(crate::harness::router::ALL_ROLES, "testator");
        testator.goodbye();
        heir.expect_nothing();
    });
}

#[test]
fn a_session_has_as_many_testaments_as_the_limit_says() {
    everywhere_with(&Setup { limits: "testaments_per_session_max = 2", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        a.call("wamp.session.add_testament", r#"["com.will", [], {}]"#, "");
        a.call("wamp.session.add_testament", r#"["com.will", [], {}], {"scope": "detached"}"#, "");
        a.call_fails("wamp.session.add_testament", r#"["com.will", [], {}]"#, "wamp.error.limit_exceeded");
    });
}
