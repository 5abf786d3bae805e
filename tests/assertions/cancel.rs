//! Cancelling calls, and calls that take too long.

use crate::harness::client::Client;
use crate::harness::router::{ALL_ROLES, NO_FEATURES, Router, Setup, everywhere, everywhere_with};

const CANCELED: &str = r#"[8, 48, 1, {...}, "wamp.error.canceled", ...]"#;

/// A callee that announced these details, with the first call of a caller.
fn scene(router: &mut Router, details: &str, options: &str) -> (Client, Client) {
    let mut callee = router.join_with(details, "callee");
    let mut caller = router.join("caller");
    callee.register("com.procedure", "{}", "reg");
    caller.send(&format!(r#"[48, 1, {options}, "com.procedure"]"#));
    callee.expect("[68, 1, $reg, {}]");
    (callee, caller)
}

fn leave(callee: &mut Client, caller: &mut Client) {
    callee.expect_nothing();
    caller.expect_nothing();
    callee.goodbye();
    caller.goodbye();
}

/// Row 29.
#[test]
fn skip_answers_the_caller_and_does_not_disturb_the_callee() {
    everywhere(|mut router| {
        let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, "{}");
        caller.send(r#"[49, 1, {"mode": "skip"}]"#);
        caller.expect(CANCELED);
        callee.expect_nothing();
        callee.send("[70, 1, {}, [1]]");
        leave(&mut callee, &mut caller);
    });
}

/// Row 29.
#[test]
fn kill_waits_for_what_the_callee_says() {
    everywhere(|mut router| {
        for (answer, arrives) in [
            (
                r#"[8, 68, 1, {}, "wamp.error.canceled", ["stopped"]]"#,
                r#"[8, 48, 1, {}, "wamp.error.canceled", ["stopped"]]"#,
            ),
            (r#"[8, 68, 1, {}, "com.error"]"#, r#"[8, 48, 1, {}, "com.error"]"#),
            ("[70, 1, {}, [\"done anyway\"]]", "[50, 1, {}, [\"done anyway\"]]"),
        ] {
            let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, "{}");
            caller.send(r#"[49, 1, {"mode": "kill"}]"#);
            callee.expect(r#"[69, 1, {"mode": "kill", ...}]"#);
            caller.expect_nothing();
            callee.send(answer);
            caller.expect(arrives);
            leave(&mut callee, &mut caller);
        }
    });
}

/// Row 29. It is also what no mode means here, as with deployed routers.
#[test]
fn killnowait_answers_the_caller_and_interrupts_the_callee() {
    everywhere(|mut router| {
        for options in [r#"{"mode": "killnowait"}"#, "{}"] {
            let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, "{}");
            caller.send(&format!("[49, 1, {options}]"));
            caller.expect(CANCELED);
            callee.expect(r#"[69, 1, {"mode": "killnowait", ...}]"#);
            callee.send(r#"[8, 68, 1, {}, "wamp.error.canceled"]"#);
            leave(&mut callee, &mut caller);
        }
    });
}

/// Row 29.
#[test]
fn a_callee_that_cannot_be_cancelled_is_not_asked_to() {
    everywhere(|mut router| {
        for mode in ["skip", "kill", "killnowait"] {
            let (mut callee, mut caller) = scene(&mut router, NO_FEATURES, "{}");
            caller.send(&format!(r#"[49, 1, {{"mode": "{mode}"}}]"#));
            caller.expect(CANCELED);
            callee.expect_nothing();
            callee.send("[70, 1, {}]");
            leave(&mut callee, &mut caller);
        }
    });
}

/// Row 29: a second CANCEL after `kill` can still give up waiting; the callee is interrupted once.
#[test]
fn cancelling_twice_interrupts_once() {
    everywhere(|mut router| {
        let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, "{}");
        caller.send(r#"[49, 1, {"mode": "kill"}]"#);
        caller.send(r#"[49, 1, {"mode": "kill"}]"#);
        callee.expect("[69, 1, {...}]");
        caller.send(r#"[49, 1, {"mode": "killnowait"}]"#);
        caller.expect(CANCELED);
        leave(&mut callee, &mut caller);
    });
}

/// Row 30.
#[test]
fn cancelling_what_is_not_open_is_ignored() {
    everywhere(|mut router| {
        let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, "{}");
        callee.send("[70, 1, {}]");
        caller.expect("[50, 1, {}]");
        caller.send("[49, 1, {}]");
        caller.send("[49, 4711, {}]");
        // Nor can one cancel the calls of others.
        let mut other = router.join("other");
        caller.send(r#"[48, 2, {}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
        other.send("[49, 2, {}]");
        other.expect_nothing();
        leave(&mut callee, &mut other);
        caller.expect(r#"[8, 48, 2, {...}, "wamp.error.canceled", ...]"#);
    });
}

/// A call that waits for a busy callee can be cancelled before anybody has seen it.
#[test]
fn a_waiting_call_can_be_cancelled() {
    everywhere(|mut router| {
        for mode in ["skip", "kill", "killnowait"] {
            let mut callee = router.join("callee");
            let mut caller = router.join("caller");
            callee.register("com.procedure", r#"{"concurrency": 1}"#, "reg");
            caller.send(r#"[48, 1, {}, "com.procedure"]"#);
            caller.send(r#"[48, 2, {}, "com.procedure"]"#);
            callee.expect("[68, 1, $reg, {}]");
            caller.send(&format!(r#"[49, 2, {{"mode": "{mode}"}}]"#));
            caller.expect(r#"[8, 48, 2, {...}, "wamp.error.canceled", ...]"#);
            callee.send("[70, 1, {}]");
            caller.expect("[50, 1, {}]");
            leave(&mut callee, &mut caller);
        }
    });
}

/// Row 31.
#[test]
fn a_call_that_takes_too_long_fails_and_interrupts() {
    everywhere(|mut router| {
        let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, r#"{"timeout": 50}"#);
        caller.expect(r#"[8, 48, 1, {...}, "wamp.error.timeout", ...]"#);
        callee.expect(r#"[69, 1, {"mode": "killnowait", ...}]"#);
        callee.send("[70, 1, {}]");
        leave(&mut callee, &mut caller);
        let (mut callee, mut caller) = scene(&mut router, NO_FEATURES, r#"{"timeout": 50}"#);
        caller.expect(r#"[8, 48, 1, {...}, "wamp.error.timeout", ...]"#);
        leave(&mut callee, &mut caller);
    });
}

/// Row 31: no timeout is none, and an answer in time is one.
#[test]
fn an_answer_in_time_ends_the_timer() {
    everywhere(|mut router| {
        let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, r#"{"timeout": 600000}"#);
        callee.send("[70, 1, {}]");
        caller.expect("[50, 1, {}]");
        leave(&mut callee, &mut caller);
        let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, r#"{"timeout": 0}"#);
        // Another call's timer runs out meanwhile.
        caller.send(r#"[48, 2, {"timeout": 50}, "com.procedure"]"#);
        callee.expect("[68, 2, $reg, {}]");
        caller.expect(r#"[8, 48, 2, {...}, "wamp.error.timeout", ...]"#);
        callee.expect("[69, 2, {...}]");
        callee.send("[70, 1, {}]");
        caller.expect("[50, 1, {}]");
    });
}

/// Row 31: a callee that announced call_timeout and registered with `forward_timeout` is told.
#[test]
fn a_timeout_is_forwarded_to_those_who_want_it() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut deaf = router.join_with(NO_FEATURES, "deaf");
        let mut caller = router.join("caller");
        callee.register("com.told", r#"{"forward_timeout": true}"#, "told");
        callee.register("com.untold", "{}", "untold");
        deaf.register("com.deaf", r#"{"forward_timeout": true}"#, "deaf_reg");
        let call = |procedure: &str| format!(r#"[48, #, {{"timeout": 60000}}, "{procedure}"]"#);
        caller.send(&call("com.told"));
        callee.expect(r#"[68, 1, $told, {"timeout": 60000}]"#);
        caller.send(&call("com.untold"));
        callee.expect("[68, 2, $untold, {}]");
        caller.send(&call("com.deaf"));
        deaf.expect("[68, 1, $deaf_reg, {}]");
    });
}

/// Row 31: with progressive results the time counts from one part to the next.
#[test]
fn progress_starts_the_timer_anew() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, 1, {"timeout": 1500, "receive_progress": true}, "com.procedure"]"#);
        callee.expect(r#"[68, 1, $reg, {"receive_progress": true}]"#);
        // Other calls' timers are the clock: three of 700 ms together are longer than the timeout.
        for n in 2..=4 {
            caller.send(&format!(r#"[48, {n}, {{"timeout": 700}}, "com.procedure"]"#));
            callee.expect(&format!("[68, {n}, $reg, {{}}]"));
            caller.expect(&format!(r#"[8, 48, {n}, {{...}}, "wamp.error.timeout", ...]"#));
            callee.expect(&format!("[69, {n}, {{...}}]"));
            callee.send(r#"[70, 1, {"progress": true}]"#);
            caller.expect(r#"[50, 1, {"progress": true}]"#);
        }
        caller.expect(r#"[8, 48, 1, {...}, "wamp.error.timeout", ...]"#);
        callee.expect("[69, 1, {...}]");
    });
}

/// The realm's own bound holds for calls that name none.
#[test]
fn call_timeout_max_bounds_every_call() {
    everywhere_with(&Setup { limits: "call_timeout_max = \"50ms\"", ..Setup::default() }, |mut router| {
        for options in ["{}", r#"{"timeout": 600000}"#] {
            let (mut callee, mut caller) = scene(&mut router, ALL_ROLES, options);
            caller.expect(r#"[8, 48, 1, {...}, "wamp.error.timeout", ...]"#);
            callee.expect("[69, 1, {...}]");
            leave(&mut callee, &mut caller);
        }
    });
}
