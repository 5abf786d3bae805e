//! Registering procedures, and losing them again.

use crate::harness::router::{NO_FEATURES, Setup, everywhere, everywhere_with};

/// Row 21.
#[test]
fn a_procedure_is_registered_once() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.procedure", "{}", "reg");
        for client in [&mut a, &mut b] {
            client.send(r#"[64, #, {}, "com.procedure"]"#);
            client.expect(r#"[8, 64, #, {...}, "wamp.error.procedure_already_exists", ...]"#);
        }
        // The same URI as a pattern is another registration.
        b.register("com.procedure", r#"{"match": "prefix"}"#, "prefix");
        a.send("[66, #, $reg]");
        a.expect("[67, #]");
        b.register("com.procedure", "{}", "exact");
    });
}

/// Row 21.
#[test]
fn shared_registrations_agree_on_their_policy() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.shared", r#"{"invoke": "roundrobin"}"#, "reg");
        for invoke in ["single", "first", "last", "random"] {
            b.send(&format!(r#"[64, #, {{"invoke": "{invoke}"}}, "com.shared"]"#));
            b.expect(r#"[8, 64, #, {...}, "wamp.error.procedure_exists_with_different_invocation_policy", ...]"#);
        }
        b.register("com.shared", r#"{"invoke": "roundrobin"}"#, "reg_b");
        assert_eq!(a.id("reg"), b.id("reg_b"), "all callees share one registration");
        a.register("com.single", "{}", "single");
        b.send(r#"[64, #, {"invoke": "roundrobin"}, "com.single"]"#);
        b.expect(r#"[8, 64, #, {...}, "wamp.error.procedure_exists_with_different_invocation_policy", ...]"#);
    });
}

/// Row 15.
#[test]
fn unregistering_what_one_does_not_have_is_refused() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.procedure", "{}", "reg");
        for id in ["$reg", "4711"] {
            b.send(&format!("[66, #, {id}]"));
            b.expect(r#"[8, 66, #, {...}, "wamp.error.no_such_registration", ...]"#);
        }
        b.send(r#"[48, #, {}, "com.procedure"]"#);
        a.expect("[68, 1, $reg, {}]");
        a.send("[66, #, $reg]");
        a.expect("[67, #]");
        a.send("[66, #, $reg]");
        a.expect(r#"[8, 66, #, {...}, "wamp.error.no_such_registration", ...]"#);
        // What the callee works on already it may still answer.
        a.send("[70, 1, {}, [1]]");
        b.expect("[50, #, {}, [1]]");
    });
}

/// Row 24.
#[test]
fn a_call_of_what_nobody_registered_is_refused() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.call_fails("com.nothing", "[1]", "wamp.error.no_such_procedure");
        a.register("com.procedure", "{}", "reg");
        a.send("[66, #, $reg]");
        a.expect("[67, #]");
        a.call_fails("com.procedure", "", "wamp.error.no_such_procedure");
    });
}

/// Registration revocation: only who announced it hears of it.
#[test]
fn a_revoked_registration_is_announced_to_those_who_understand() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join_with(NO_FEATURES, "b");
        let mut c = router.join("c");
        a.register("com.a", "{}", "reg_a");
        b.register("com.b", "{}", "reg_b");
        c.call("wamp.registration.remove_callee", r#"[$reg_a, $a], {"reason": "com.why"}"#, "");
        a.expect(r#"[67, 0, {"registration": $reg_a, "reason": "com.why"}]"#);
        c.call("wamp.registration.remove_callee", "[$reg_b, $b]", "");
        b.expect_nothing();
        c.call_fails("com.a", "", "wamp.error.no_such_procedure");
        c.call_fails("com.b", "", "wamp.error.no_such_procedure");
        c.call_fails("wamp.registration.remove_callee", "[$reg_a, $a]", "wamp.error.no_such_registration");
    });
}

/// `force_reregister`: the last one to come has the procedure.
#[test]
fn a_registration_can_be_taken_over_by_force() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        let mut c = router.join("c");
        a.register("com.procedure", "{}", "old");
        b.register("com.procedure", r#"{"force_reregister": true}"#, "new");
        a.expect(r#"[67, 0, {"registration": $old, ...}]"#);
        c.send(r#"[48, #, {}, "com.procedure"]"#);
        b.expect("[68, 1, $new, {}]");
        a.expect_nothing();
    });
}

/// `concurrency`: calls wait until the callee is free.
#[test]
fn a_callee_gets_as_many_calls_at_once_as_it_wants() {
    everywhere_with(&Setup { limits: "calls_queued_max = 1", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.procedure", r#"{"concurrency": 1}"#, "reg");
        b.send(r#"[48, 1, {}, "com.procedure", [1]]"#);
        b.send(r#"[48, 2, {}, "com.procedure", [2]]"#);
        b.send(r#"[48, 3, {}, "com.procedure", [3]]"#);
        b.expect(r#"[8, 48, 3, {...}, "wamp.error.limit_exceeded", ...]"#);
        a.expect("[68, 1, $reg, {}, [1]]");
        a.expect_nothing();
        a.send("[70, 1, {}]");
        b.expect("[50, 1, {}]");
        a.expect("[68, 2, $reg, {}, [2]]");
        a.send("[8, 68, 2, {}, \"com.error\"]");
        b.expect(r#"[8, 48, 2, {}, "com.error"]"#);
    });
}

#[test]
fn a_session_has_as_many_registrations_as_the_limit_says() {
    everywhere_with(&Setup { limits: "registrations_per_session_max = 1", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        a.register("com.one", "{}", "reg");
        a.send(r#"[64, #, {}, "com.two"]"#);
        a.expect(r#"[8, 64, #, {...}, "wamp.error.limit_exceeded", ...]"#);
        a.send("[66, #, $reg]");
        a.expect("[67, #]");
        a.register("com.two", "{}", "reg2");
    });
}
