//! The session meta API.

use crate::harness::router::{ALL_ROLES, Setup, everywhere, everywhere_with};

/// Row 35.
#[test]
fn joining_and_leaving_is_told() {
    everywhere(|mut router| {
        let mut watcher = router.join("watcher");
        watcher.subscribe("wamp.session.on_join", "{}", "joined");
        watcher.subscribe("wamp.session.on_leave", "{}", "left");
        let mut alice = router.join_as("alice");
        watcher.expect(
            r#"[36, $joined, $_, {}, [{"session": $alice, "authid": "alice", "authrole": "frontend",
                "authmethod": "ticket", "authprovider": "static", "transport": {...}}]]"#,
        );
        alice.goodbye();
        watcher.expect(r#"[36, $left, $_, {}, [$alice, "alice", "frontend"]]"#);
        watcher.expect_nothing();
    });
}

#[test]
fn sessions_are_counted_listed_and_described() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.call("wamp.session.count", "", "[1]");
        a.call("wamp.session.list", "", "[[$a]]");
        let _alice = router.join_as("alice");
        let _bob = router.join_as("bob");
        a.call("wamp.session.count", "", "[3]");
        a.call("wamp.session.count", r#"[["frontend", "backend"]]"#, "[2]");
        a.call("wamp.session.count", "[[]]", "[0]");
        a.call("wamp.session.list", r#"[["frontend"]]"#, "[[$alice]]");
        a.call(
            "wamp.session.get",
            "[$bob]",
            r#"[{"session": $bob, "authid": "bob", "authrole": "backend", "authmethod": "ticket",
                 "authprovider": "static", "transport": {...}, ...}]"#,
        );
        a.call_fails("wamp.session.get", "[4711]", "wamp.error.no_such_session");
        a.call_fails("wamp.session.get", "", "wamp.error.invalid_argument");
        a.call_fails("wamp.session.get", "[\"seven\"]", "wamp.error.invalid_argument");
    });
}

/// Row 36.
#[test]
fn a_killed_session_gets_goodbye() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("wamp.session.on_leave", "{}", "left");
        for (arguments, goodbye) in [
            ("[$b]", r#"[6, {}, "wamp.close.killed"]"#),
            (r#"[$b], {"reason": "com.why", "message": "because"}"#, r#"[6, {"message": "because"}, "com.why"]"#),
        ] {
            let mut b = router.join("b");
            b.subscribe("com.topic", "{}", "sub");
            a.send(&format!(r#"[48, #, {{}}, "wamp.session.kill", {arguments}]"#));
            a.expect_all(&["[50, #, {}]", "[36, $left, $_, {}, [$b, $_, $_]]"]);
            b.expect(goodbye);
            a.call_fails("wamp.session.get", "[$b]", "wamp.error.no_such_session");
            // After its GOODBYE the router listens to nothing but the echo; then it closes.
            b.send(r#"[16, 2, {"acknowledge": true}, "com.topic"]"#);
            b.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
            b.expect_closed();
        }
    });
}

/// Row 36.
#[test]
fn one_cannot_kill_oneself_nor_a_stranger_nor_without_a_reason() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.call_fails("wamp.session.kill", "[$a]", "wamp.error.no_such_session");
        a.call_fails("wamp.session.kill", "[4711]", "wamp.error.no_such_session");
        a.call_fails("wamp.session.kill", r#"[$b], {"reason": "not a uri"}"#, "wamp.error.invalid_uri");
        a.call_fails("wamp.session.kill_by_authid", r#"["x"], {"reason": "a..b"}"#, "wamp.error.invalid_uri");
        a.call_fails("wamp.session.kill_by_authrole", r#"["x"], {"reason": ""}"#, "wamp.error.invalid_uri");
        a.call_fails("wamp.session.kill_all", r#"[], {"reason": "a#b"}"#, "wamp.error.invalid_uri");
        b.expect_nothing();
    });
}

/// Row 36.
#[test]
fn killing_by_authid_or_role_spares_the_caller() {
    everywhere(|mut router| {
        let mut alice = router.join_as("alice");
        let mut bob = router.join_as("bob");
        // A second session of alice, which kills the first.
        alice.unbind(&["other"]);
        let mut other = router.connect();
        let roles = ALL_ROLES.strip_suffix('}').expect("a dict");
        other.send(&format!(r#"[1, "realm1", {roles}, "authmethods": ["ticket"], "authid": "alice"}}]"#));
        other.expect(r#"[4, "ticket", {}]"#);
        other.send(r#"[5, "alice-ticket", {}]"#);
        other.welcome("other");
        other.call("wamp.session.kill_by_authid", r#"["alice"]"#, "[[$alice]]");
        alice.expect(r#"[6, {}, "wamp.close.killed"]"#);
        other.call("wamp.session.kill_by_authid", r#"["alice"]"#, "[[]]");
        // By role a number is told.
        let _third = router.join_as("alice");
        other.call("wamp.session.kill_by_authrole", r#"["frontend"], {"reason": "com.out"}"#, "[1]");
        other.call("wamp.session.kill_by_authrole", r#"["backend"]"#, "[1]");
        bob.expect(r#"[6, {}, "wamp.close.killed"]"#);
        other.call("wamp.session.count", "", "[1]");
    });
}

/// Row 37.
#[test]
fn kill_all_spares_the_caller_and_is_silent() {
    everywhere(|mut router| {
        let mut watched = router.join("watched");
        watched.subscribe("wamp.session.on_leave", "{}", "left");
        watched.subscribe("com.will", "{}", "will");
        let mut b = router.join("b");
        b.call("wamp.session.add_testament", r#"["com.will", [], {}]"#, "");
        let mut a = router.join("a");
        a.subscribe("wamp.session.on_leave", "{}", "left");
        a.subscribe("com.will", "{}", "will");
        a.call("wamp.session.kill_all", r#"[], {"reason": "com.reason", "message": "all out"}"#, "[2]");
        for client in [&mut watched, &mut b] {
            client.expect(r#"[6, {"message": "all out"}, "com.reason"]"#);
            client.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
            client.expect_closed();
        }
        a.call("wamp.session.count", "", "[1]");
        a.expect_nothing();
    });
}

/// A peer that does not answer our GOODBYE is not waited for longer than configured.
#[test]
fn a_killed_session_that_does_not_answer_is_closed() {
    everywhere_with(&Setup { limits: "close_timeout = \"200ms\"", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.call("wamp.session.kill", "[$b]", "");
        b.expect(r#"[6, {}, "wamp.close.killed"]"#);
        b.expect_closed();
        router.await_drops("close_timeout", 1);
    });
}

/// The meta API is of one realm.
#[test]
fn other_realms_are_out_of_sight() {
    let realms = r#"
[[realm]]
name = "realm2"
[[realm.role]]
name = "anonymous"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
[[realm.role.permission]]
uri = "wamp."
match = "prefix"
allow = ["call", "subscribe"]
"#;
    everywhere_with(&Setup { realms, ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        let mut b = router.connect();
        a.subscribe("com.topic", "{}", "sub");
        a.subscribe("wamp.session.on_join", "{}", "joined");
        a.register("com.procedure", "{}", "reg");
        b.send(&format!(r#"[1, "realm2", {ALL_ROLES}]"#));
        b.welcome("b");
        b.call("wamp.session.count", "", "[1]");
        b.call_fails("wamp.session.get", "[$a]", "wamp.error.no_such_session");
        b.call_fails("wamp.session.kill", "[$a]", "wamp.error.no_such_session");
        b.call_fails("com.procedure", "", "wamp.error.no_such_procedure");
        b.publish("com.topic", "{}", "");
        b.call("wamp.registration.list", "", r#"[{"exact": [], "prefix": [], "wildcard": []}]"#);
        a.expect_nothing();
    });
}
