//! Calls, and what becomes of them when somebody leaves.

use crate::harness::router::{ALL_ROLES, NO_FEATURES, Setup, everywhere, everywhere_with};

#[test]
fn a_call_is_answered_by_its_callee() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {}, "com.procedure", [1, "two"], {"three": [4]}]"#);
        callee.expect(r#"[68, 1, $reg, {}, [1, "two"], {"three": [4]}]"#);
        callee.send(r#"[70, 1, {}, [], {"result": {"deep": [null]}}]"#);
        caller.expect(r#"[50, #, {}, [], {"result": {"deep": [null]}}]"#);
        caller.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
        callee.send("[70, 2, {}]");
        caller.expect("[50, #, {}]");
    });
}

#[test]
fn an_error_of_the_callee_reaches_the_caller() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        for (n, rest) in [(1, ""), (2, r#", ["why"]"#), (3, r#", [], {"code": 7}"#)] {
            caller.send(r#"[48, #, {}, "com.procedure"]"#);
            callee.expect(&format!("[68, {n}, $reg, {{}}]"));
            callee.send(&format!(r#"[8, 68, {n}, {{}}, "com.error.mine"{rest}]"#));
            caller.expect(&format!(r#"[8, 48, #, {{}}, "com.error.mine"{rest}]"#));
        }
    });
}

/// A session may call what it has registered itself.
#[test]
fn a_session_can_call_itself() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.register("com.procedure", "{}", "reg");
        a.send(r#"[48, #, {}, "com.procedure", [1]]"#);
        a.expect("[68, 1, $reg, {}, [1]]");
        a.send("[70, 1, {}, [2]]");
        a.expect("[50, #, {}, [2]]");
    });
}

/// Results come in the order in which callees answer.
#[test]
fn calls_do_not_wait_for_one_another() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        for n in 1..=3 {
            caller.send(&format!(r#"[48, #, {{}}, "com.procedure", [{n}]]"#));
            callee.expect(&format!("[68, {n}, $reg, {{}}, [{n}]]"));
        }
        for n in [2, 3, 1] {
            callee.send(&format!("[70, {n}, {{}}, [{n}]]"));
            caller.expect(&format!("[50, {n}, {{}}, [{n}]]"));
        }
    });
}

/// Row 25.
#[test]
fn answers_to_invocations_that_never_were_are_violations() {
    everywhere(|mut router| {
        for answer in ["[70, 1, {}]", r#"[8, 68, 1, {}, "com.error"]"#, "[70, 9007199254740992, {}]"] {
            let mut a = router.join("a");
            a.send(answer);
            a.expect_violation();
        }
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 1, $reg, {}]");
        callee.send("[70, 2, {}]");
        callee.expect_violation();
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.canceled", ...]"#);
    });
}

/// Row 25.
#[test]
fn answers_to_calls_that_are_over_are_discarded() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        // Answered twice.
        caller.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 1, $reg, {}]");
        callee.send("[70, 1, {}]");
        callee.send("[70, 1, {}]");
        callee.send(r#"[8, 68, 1, {}, "com.error"]"#);
        caller.expect("[50, #, {}]");
        // The caller has left.
        caller.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
        caller.goodbye();
        callee.expect("[69, 2, {...}]");
        callee.send("[70, 2, {}]");
        callee.expect_nothing();
        caller.expect_nothing();
        assert_eq!(router.drops("caller_gone"), 3);
    });
}

/// Row 26.
#[test]
fn an_error_that_answers_no_invocation_is_a_violation() {
    everywhere(|mut router| {
        for request_type in [16, 32, 34, 48, 64, 66, 70, 0, 4711] {
            let mut a = router.join("a");
            a.send(&format!(r#"[8, {request_type}, 1, {{}}, "com.error"]"#));
            a.expect_violation();
        }
    });
}

/// Row 27.
#[test]
fn a_callee_that_leaves_cancels_its_calls() {
    everywhere(|mut router| {
        for way in ["goodbye", "abort", "transport", "violation", "kill"] {
            let mut callee = router.join("callee");
            let mut caller = router.join("caller");
            callee.register("com.procedure", "{}", "reg");
            for n in 1..=2 {
                caller.send(r#"[48, #, {}, "com.procedure"]"#);
                callee.expect(&format!("[68, {n}, $reg, {{}}]"));
            }
            let canceled = |n: u64| format!(r#"[8, 48, {n}, {{...}}, "wamp.error.canceled", ...]"#);
            let mut expected = vec![canceled(1), canceled(2)];
            match way {
                "goodbye" => callee.goodbye(),
                "abort" => callee.send(r#"[3, {}, "com.nevermind"]"#),
                "transport" => drop(callee),
                "violation" => callee.send("[2, 1, {}]"),
                _ => {
                    caller.send(r#"[48, #, {}, "wamp.session.kill", [$callee]]"#);
                    expected.push("[50, 3, {}]".to_owned());
                }
            }
            caller.expect_all(&expected.iter().map(String::as_str).collect::<Vec<_>>());
            caller.goodbye();
        }
    });
}

/// Row 28.
#[test]
fn a_caller_that_leaves_interrupts_those_who_can_be() {
    everywhere(|mut router| {
        let mut with = router.join("with");
        let mut without = router.join_with(NO_FEATURES, "without");
        with.register("com.with", "{}", "reg_with");
        without.register("com.without", "{}", "reg_without");
        for (n, transport_is_lost) in [(1, false), (2, true)] {
            let mut caller = router.join("caller");
            caller.send(r#"[48, #, {}, "com.with"]"#);
            caller.send(r#"[48, #, {}, "com.without"]"#);
            with.expect(&format!("[68, {n}, $reg_with, {{}}]"));
            without.expect(&format!("[68, {n}, $reg_without, {{}}]"));
            if !transport_is_lost {
                caller.goodbye();
            }
            drop(caller);
            with.expect(&format!(r#"[69, {n}, {{"mode": "killnowait", ...}}]"#));
            without.expect_nothing();
            for callee in [&mut with, &mut without] {
                callee.send(&format!("[70, {n}, {{}}]"));
                callee.expect_nothing();
            }
        }
    });
}

/// A caller that is a callee too does not get in its own way when it leaves.
#[test]
fn who_calls_itself_can_leave() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.procedure", "{}", "reg");
        a.send(r#"[48, #, {}, "com.procedure"]"#);
        a.expect("[68, 1, $reg, {}]");
        a.goodbye();
        b.call("wamp.session.count", "", "[1]");
        a.hello(ALL_ROLES, "a");
        a.expect_nothing();
    });
}

#[test]
fn a_session_has_as_many_calls_open_as_the_limit_says() {
    everywhere_with(&Setup { limits: "calls_per_session_max = 1", ..Setup::default() }, |mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, 1, {}, "com.procedure"]"#);
        callee.expect("[68, 1, $reg, {}]");
        caller.send(r#"[48, 2, {}, "com.procedure"]"#);
        caller.expect(r#"[8, 48, 2, {...}, "wamp.error.limit_exceeded", ...]"#);
        callee.send("[70, 1, {}]");
        caller.expect("[50, 1, {}]");
        caller.send(r#"[48, 3, {}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
    });
}
