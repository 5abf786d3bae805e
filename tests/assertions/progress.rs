//! Progressive call results and progressive call invocations.

use crate::harness::router::{ALL_ROLES, NO_FEATURES, everywhere};

/// Details of a callee with these features only.
fn callee_with(features: &str) -> String {
    format!(r#"{{"roles": {{"callee": {{"features": {{{features}}}}}}}}}"#)
}

/// Row 32.
#[test]
fn parts_of_a_result_arrive_at_once_and_one_ends_the_call() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {"receive_progress": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"receive_progress": true}]"#);
        for n in 1..=3 {
            callee.send(&format!(r#"[70, 1, {{"progress": true}}, [{n}]]"#));
            caller.expect(&format!(r#"[50, #, {{"progress": true}}, [{n}]]"#));
        }
        callee.send("[70, 1, {}, [4]]");
        caller.expect("[50, #, {}, [4]]");
        caller.send(r#"[48, #, {"receive_progress": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 2, $reg, {"receive_progress": true}]"#);
        callee.send(r#"[70, 2, {"progress": true}, [1]]"#);
        callee.send(r#"[8, 68, 2, {}, "com.error"]"#);
        caller.expect(r#"[50, #, {"progress": true}, [1]]"#);
        caller.expect(r#"[8, 48, #, {}, "com.error"]"#);
        // What comes after the end is discarded.
        callee.send(r#"[70, 2, {"progress": true}, [2]]"#);
        callee.expect_nothing();
        caller.expect_nothing();
    });
}

/// Row 32.
#[test]
fn progress_is_asked_of_those_only_who_have_it() {
    everywhere(|mut router| {
        for (features, details) in [
            (r#""progressive_call_results": true, "call_canceling": true"#, r#"{"receive_progress": true}"#),
            (r#""progressive_call_results": true"#, r#"{"receive_progress": true}"#),
            (r#""call_canceling": true"#, "{}"),
            ("", "{}"),
        ] {
            let mut callee = router.join_with(&callee_with(features), "callee");
            let mut caller = router.join("caller");
            callee.register("com.procedure", "{}", "reg");
            caller.send(r#"[48, #, {"receive_progress": true}, "com.procedure"]"#);
            callee.expect(&format!("[68, 1, $reg, {details}]"));
            callee.send("[70, 1, {}]");
            caller.expect("[50, #, {}]");
            callee.goodbye();
            caller.goodbye();
        }
    });
}

/// Row 32: a part for a caller that did not ask for parts must not look like the result.
#[test]
fn who_did_not_ask_for_progress_gets_none() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 1, $reg, {}]");
        callee.send(r#"[70, 1, {"progress": true}, [1]]"#);
        callee.sync();
        caller.expect_nothing();
        callee.send("[70, 1, {}, [2]]");
        caller.expect("[50, #, {}, [2]]");
    });
}

/// A caller in the middle of a progressive call can cancel it.
#[test]
fn a_progressive_call_can_be_cancelled() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {"receive_progress": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"receive_progress": true}]"#);
        callee.send(r#"[70, 1, {"progress": true}, [1]]"#);
        caller.expect(r#"[50, #, {"progress": true}, [1]]"#);
        caller.send(r#"[49, 1, {"mode": "killnowait"}]"#);
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.canceled", ...]"#);
        callee.expect("[69, 1, {...}]");
        callee.send(r#"[70, 1, {"progress": true}, [2]]"#);
        callee.sync();
        caller.expect_nothing();
    });
}

/// Row 33: one call in parts is one invocation in parts, of one callee, and only `progress` of its options counts.
#[test]
fn parts_of_a_call_go_to_the_same_invocation() {
    everywhere(|mut router| {
        let mut first = router.join("first");
        let mut second = router.join("second");
        let mut caller = router.join("caller");
        for callee in [&mut first, &mut second] {
            callee.register("com.procedure", r#"{"invoke": "roundrobin"}"#, "reg");
        }
        caller.send(r#"[48, 1, {"progress": true, "receive_progress": true}, "com.procedure", [1]]"#);
        first.expect(r#"[68, 1, $reg, {"progress": true, "receive_progress": true}, [1]]"#);
        // Options are those of the first part: that the second one wants to be disclosed and no progress is ignored.
        caller.send(r#"[48, 1, {"progress": true, "disclose_me": true}, "com.procedure", [2]]"#);
        first.expect(r#"[68, 1, $reg, {"progress": true, "receive_progress": true}, [2]]"#);
        first.send(r#"[70, 1, {"progress": true}, ["so far"]]"#);
        caller.expect(r#"[50, 1, {"progress": true}, ["so far"]]"#);
        // Another call in between goes to the next callee; the parts do not.
        caller.send(r#"[48, 2, {}, "com.procedure"]"#);
        second.expect("[68, 1, $reg, {}]");
        caller.send(r#"[48, 1, {}, "com.procedure", [3]]"#);
        first.expect(r#"[68, 1, $reg, {"receive_progress": true}, [3]]"#);
        first.send("[70, 1, {}, [6]]");
        caller.expect("[50, 1, {}, [6]]");
        second.expect_nothing();
    });
}

/// Row 33: the id rules.
#[test]
fn a_part_for_a_finished_call_is_ignored() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, 1, {"progress": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"progress": true}]"#);
        callee.send(r#"[8, 68, 1, {}, "com.enough"]"#);
        caller.expect(r#"[8, 48, 1, {}, "com.enough"]"#);
        caller.send(r#"[48, 1, {"progress": true}, "com.procedure"]"#);
        caller.send(r#"[48, 1, {}, "com.procedure"]"#);
        caller.expect_nothing();
        callee.expect_nothing();
        caller.send(r#"[48, 2, {}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
    });
}

/// Row 33.
#[test]
fn repeating_the_id_of_an_open_call_is_a_violation() {
    everywhere(|mut router| {
        for (first, second) in [
            // Not progressive.
            (r#"[48, 1, {}, "com.procedure"]"#, r#"[48, 1, {}, "com.procedure"]"#),
            // The last part was sent.
            (r#"[48, 1, {"progress": true}, "com.procedure"]"#, r#"[48, 1, {"progress": true}, "com.other"]"#),
        ] {
            let mut callee = router.join("callee");
            let mut caller = router.join("caller");
            callee.register("com.procedure", "{}", "reg");
            caller.send(first);
            callee.expect("[68, 1, $reg, {...}]");
            caller.send(second);
            caller.expect_violation();
            callee.expect(r#"[69, 1, {"mode": "killnowait", ...}]"#);
            callee.goodbye();
        }
    });
}

/// Row 33: all three have to announce it.
#[test]
fn progressive_calls_need_a_caller_and_a_callee_that_announced_them() {
    everywhere(|mut router| {
        let mut without = router.join_with(NO_FEATURES, "caller");
        without.send(r#"[48, 1, {"progress": true}, "com.procedure"]"#);
        without.expect_violation();
        let mut caller = router.join("caller");
        for features in ["", r#""call_canceling": true"#, r#""progressive_call_invocations": true"#] {
            let mut callee = router.join_with(&callee_with(features), "callee");
            callee.register("com.procedure", "{}", "reg");
            caller.send(r#"[48, #, {"progress": true}, "com.procedure"]"#);
            caller.expect(r#"[8, 48, #, {...}, "wamp.error.feature_not_supported", ...]"#);
            callee.expect_nothing();
            callee.goodbye();
        }
        // Both spellings of the feature in the specification are understood.
        let both = r#""call_cancelling": true, "progressive_call_invocations": true"#;
        let mut callee = router.join_with(&callee_with(both), "callee");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {"progress": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"progress": true}]"#);
    });
}

/// A callee that is shared with others which understand: the call finds the one that does.
#[test]
fn a_progressive_call_finds_the_callee_that_understands() {
    everywhere(|mut router| {
        let mut without = router.join_with(NO_FEATURES, "without");
        let mut with = router.join_with(ALL_ROLES, "with");
        let mut caller = router.join("caller");
        for callee in [&mut without, &mut with] {
            callee.register("com.procedure", r#"{"invoke": "first"}"#, "reg");
        }
        caller.send(r#"[48, #, {"progress": true}, "com.procedure"]"#);
        with.expect(r#"[68, 1, $reg, {"progress": true}]"#);
        without.expect_nothing();
    });
}
