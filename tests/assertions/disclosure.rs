//! Row 34: who is told who calls and who publishes.

use crate::harness::router::everywhere;

#[test]
fn a_caller_is_disclosed_when_it_wants_to_be() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut alice = router.join_as("alice");
        callee.register("com.procedure", "{}", "reg");
        alice.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 1, $reg, {}]");
        alice.send(r#"[48, #, {"disclose_me": false}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
        alice.send(r#"[48, #, {"disclose_me": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 3, $reg, {"caller": $alice, "caller_authid": "alice", "caller_authrole": "frontend"}]"#);
    });
}

#[test]
fn a_caller_is_disclosed_when_the_callee_registered_so() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut bob = router.join_as("bob");
        callee.register("com.procedure", r#"{"disclose_caller": true}"#, "reg");
        bob.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"caller": $bob, "caller_authid": "bob", "caller_authrole": "backend"}]"#);
    });
}

#[test]
fn a_caller_is_disclosed_when_its_role_says_so() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut carol = router.join_as("carol");
        callee.register("com.procedure", "{}", "reg");
        carol.send(r#"[48, #, {"disclose_me": false}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"caller": $carol, "caller_authid": "carol", "caller_authrole": "known"}]"#);
    });
}

#[test]
fn a_publisher_is_disclosed_when_it_wants_to_be() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut alice = router.join_as("alice");
        a.subscribe("com.topic", "{}", "sub");
        alice.publish("com.topic", "{}", "");
        a.expect("[36, $sub, $_, {}]");
        alice.publish("com.topic", r#"{"disclose_me": true}"#, "");
        a.expect(
            r#"[36, $sub, $_, {"publisher": $alice, "publisher_authid": "alice", "publisher_authrole": "frontend"}]"#,
        );
    });
}

#[test]
fn a_publisher_is_disclosed_when_its_role_says_so() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut carol = router.join_as("carol");
        a.subscribe("com.", r#"{"match": "prefix"}"#, "sub");
        carol.publish("com.topic", "{}", "");
        a.expect(
            r#"[36, $sub, $_, {"publisher": $carol, "publisher_authid": "carol", "publisher_authrole": "known",
                "topic": "com.topic"}]"#,
        );
    });
}

/// A retained event goes on saying who published it.
#[test]
fn a_retained_event_keeps_its_publisher() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut alice = router.join_as("alice");
        alice.publish("com.topic", r#"{"retain": true, "disclose_me": true}"#, "");
        a.subscribe("com.topic", r#"{"get_retained": true}"#, "sub");
        a.expect(r#"[36, $sub, $_, {"publisher": $alice, "retained": true, ...}]"#);
    });
}
