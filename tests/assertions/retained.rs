//! Retained events.

use crate::harness::router::{Setup, everywhere, everywhere_with};

const GET: &str = r#"{"get_retained": true}"#;

/// Row 20.
#[test]
fn a_retained_event_comes_flagged_after_subscribed() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.send(r#"[16, #, {"acknowledge": true, "retain": true}, "com.topic", [1], {"k": 2}]"#);
        a.expect("[17, #, $publication]");
        // SUBSCRIBED comes first: `subscribe` expects it as the next message.
        b.subscribe("com.topic", GET, "sub");
        b.expect(r#"[36, $sub, $publication, {"retained": true}, [1], {"k": 2}]"#);
        b.expect_nothing();
    });
}

#[test]
fn who_does_not_ask_gets_no_retained_event() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.publish("com.topic", r#"{"retain": true}"#, "[1]");
        b.subscribe("com.topic", "{}", "sub");
        b.subscribe("com.other", GET, "other");
        b.expect_nothing();
        // Live events are not flagged.
        a.publish("com.topic", r#"{"retain": true}"#, "[2]");
        b.expect("[36, $sub, $_, {}, [2]]");
    });
}

#[test]
fn the_latest_retained_event_counts() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.publish("com.topic", r#"{"retain": true}"#, "[1]");
        a.publish("com.topic", r#"{"retain": true}"#, "[2]");
        a.publish("com.topic", "{}", "[3]");
        b.subscribe("com.topic", GET, "sub");
        b.expect(r#"[36, $sub, $_, {"retained": true}, [2]]"#);
        // It outlives its publisher.
        a.goodbye();
        b.subscribe("com.topic", GET, "sub");
        b.expect(r#"[36, $sub, $_, {"retained": true}, [2]]"#);
    });
}

/// Row 20.
#[test]
fn a_retained_event_is_for_the_eligible_only() {
    everywhere(|mut router| {
        let mut publisher = router.join("publisher");
        let mut alice = router.join_as("alice");
        let mut bob = router.join_as("bob");
        let retain = |lists: &str| format!(r#"{{"retain": true, {lists}}}"#);
        publisher.publish("com.by_role", &retain(r#""eligible_authrole": ["frontend"]"#), "[1]");
        publisher.publish("com.by_authid", &retain(r#""exclude_authid": ["bob"]"#), "[2]");
        publisher.publish("com.by_session", &retain(r#""eligible": [$alice]"#), "[3]");
        publisher.publish("com.for_nobody", &retain(r#""eligible": []"#), "[4]");
        for (topic, n) in [("by_role", 1), ("by_authid", 2), ("by_session", 3)] {
            alice.subscribe(&format!("com.{topic}"), GET, "sub");
            alice.expect(&format!(r#"[36, $sub, $_, {{"retained": true}}, [{n}]]"#));
            bob.subscribe(&format!("com.{topic}"), GET, "sub");
        }
        alice.subscribe("com.for_nobody", GET, "sub");
        bob.subscribe("com.for_nobody", GET, "sub");
        alice.expect_nothing();
        bob.expect_nothing();
    });
}

/// "The most recent retained event the subscriber would have been eligible for."
#[test]
fn who_may_not_have_the_latest_gets_the_one_before() {
    everywhere(|mut router| {
        let mut publisher = router.join("publisher");
        let mut alice = router.join_as("alice");
        let mut bob = router.join_as("bob");
        publisher.publish("com.topic", r#"{"retain": true}"#, "[1]");
        publisher.publish("com.topic", r#"{"retain": true, "eligible_authid": ["alice"]}"#, "[2]");
        alice.subscribe("com.topic", GET, "sub");
        alice.expect(r#"[36, $sub, $_, {"retained": true}, [2]]"#);
        bob.subscribe("com.topic", GET, "sub");
        bob.expect(r#"[36, $sub, $_, {"retained": true}, [1]]"#);
    });
}

/// Patterns are not specified here: each topic's latest event comes, with its topic.
#[test]
fn a_pattern_gets_what_is_retained_for_each_topic() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        for topic in ["com.a.x", "com.b.x", "com.b.y", "org.a.x"] {
            a.publish(topic, r#"{"retain": true}"#, &format!("[{topic:?}]"));
        }
        let event = |sub: &str, topic: &str| {
            format!(r#"[36, ${sub}, $_, {{"topic": "{topic}", "retained": true}}, ["{topic}"]]"#)
        };
        let mut b = router.join("b");
        b.subscribe("com.b", r#"{"match": "prefix", "get_retained": true}"#, "prefix");
        b.expect_all(&[&event("prefix", "com.b.x"), &event("prefix", "com.b.y")]);
        b.subscribe("com..x", r#"{"match": "wildcard", "get_retained": true}"#, "wildcard");
        b.expect_all(&[&event("wildcard", "com.a.x"), &event("wildcard", "com.b.x")]);
        b.expect_nothing();
    });
}

/// The publisher's own retained event is not kept from it.
#[test]
fn the_publisher_can_ask_for_its_own_retained_event() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.publish("com.topic", r#"{"retain": true}"#, "[1]");
        a.subscribe("com.topic", GET, "sub");
        a.expect(r#"[36, $sub, $_, {"retained": true}, [1]]"#);
    });
}

#[test]
fn a_realm_retains_as_much_as_its_limits_say() {
    let limits = "retained_max = 2\nretained_bytes_max = 4096";
    everywhere_with(&Setup { limits, ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        let retain = |topic: &str, bytes: usize| {
            format!(r#"[16, #, {{"acknowledge": true, "retain": true}}, "{topic}", ["{}"]]"#, "x".repeat(bytes))
        };
        a.send(&retain("com.topic1", 3000));
        a.expect("[17, #, $_]");
        a.send(&retain("com.topic2", 3000));
        a.expect(r#"[8, 16, #, {...}, "wamp.error.limit_exceeded", ...]"#);
        a.send(&retain("com.topic2", 10));
        a.expect("[17, #, $_]");
        a.send(&retain("com.topic3", 10));
        a.expect(r#"[8, 16, #, {...}, "wamp.error.limit_exceeded", ...]"#);
        // What takes the place of another takes no more room.
        a.send(&retain("com.topic1", 20));
        a.expect("[17, #, $_]");
    });
}
