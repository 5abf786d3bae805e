//! Which URIs are taken, and which are not.

use crate::harness::router::{Setup, everywhere, everywhere_with};

const INVALID: [&str; 7] = ["", "a..b", ".a", "a.", "a b", "a#b", "com.tab\tbed"];

/// Row 12.
#[test]
fn invalid_uris_are_refused_with_an_error_and_the_session_goes_on() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        for uri in INVALID {
            for (request, code) in [
                (format!("[32, #, {{}}, {uri:?}]"), 32),
                (format!("[64, #, {{}}, {uri:?}]"), 64),
                (format!("[48, #, {{}}, {uri:?}]"), 48),
                (format!("[16, #, {{\"acknowledge\": true}}, {uri:?}]"), 16),
            ] {
                a.send(&request);
                a.expect(&format!(r#"[8, {code}, #, {{...}}, "wamp.error.invalid_uri", ...]"#));
            }
        }
        a.call("wamp.session.count", "", "[1]");
    });
}

/// Patterns may leave components out where their policy has a meaning for that.
#[test]
fn patterns_may_have_what_names_may_not() {
    everywhere(|mut router| {
        for (policy, uri, is_valid) in [
            ("prefix", "", true),
            ("prefix", "com.", true),
            ("prefix", "com.myapp.object1-my", true),
            ("prefix", "com..x", false),
            ("prefix", "com x", false),
            ("wildcard", "com..x", true),
            ("wildcard", "..", true),
            ("wildcard", ".a.", true),
            ("wildcard", "a#.b", false),
        ] {
            for (code, answer) in [(64, 65), (32, 33)] {
                // A session of its own: a subscription that covers everything covers meta events too.
                let mut a = router.join("a");
                a.send(&format!("[{code}, #, {{\"match\": \"{policy}\"}}, {uri:?}]"));
                if is_valid {
                    a.expect(&format!("[{answer}, #, $_]"));
                } else {
                    a.expect(&format!(r#"[8, {code}, #, {{...}}, "wamp.error.invalid_uri", ...]"#));
                }
            }
        }
    });
}

/// Row 12: what is loose by default is strict where the realm says so.
#[test]
fn a_strict_realm_takes_lower_case_only() {
    everywhere_with(&Setup { realm: "uri_check = \"strict\"", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        for (uri, is_valid) in [("com.topic_1", true), ("com.Topic", false), ("com.to-pic", false), ("com.ü", false)] {
            a.send(&format!("[32, #, {{}}, {uri:?}]"));
            if is_valid {
                a.expect("[33, #, $_]");
            } else {
                a.expect(r#"[8, 32, #, {...}, "wamp.error.invalid_uri", ...]"#);
            }
        }
    });
    everywhere(|mut router| {
        let mut a = router.join("a");
        for uri in ["com.Topic", "com.to-pic", "com.ü.日本"] {
            a.send(&format!("[32, #, {{}}, {uri:?}]"));
            a.expect("[33, #, $_]");
        }
    });
}

/// Row 13.
#[test]
fn the_namespace_of_the_router_is_not_for_clients_to_make() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        for uri in ["wamp", "wamp.foo", "wamp.session.on_join", "wamp.session.count"] {
            a.send(&format!("[64, #, {{}}, {uri:?}]"));
            a.expect(r#"[8, 64, #, {...}, "wamp.error.invalid_uri", ...]"#);
            a.send(&format!("[16, #, {{\"acknowledge\": true}}, {uri:?}]"));
            a.expect(r#"[8, 16, #, {...}, "wamp.error.invalid_uri", ...]"#);
        }
        a.send(r#"[64, #, {"match": "prefix"}, "wamp.session."]"#);
        a.expect(r#"[8, 64, #, {...}, "wamp.error.invalid_uri", ...]"#);
        // A longer first component is another one.
        a.send(r#"[64, #, {}, "wampum.foo"]"#);
        a.expect("[65, #, $_]");
    });
}

/// Row 13: a pattern that happens to cover the namespace does not get calls of it.
#[test]
fn a_pattern_cannot_take_calls_of_the_meta_api() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("", r#"{"match": "prefix"}"#, "all");
        a.register("..", r#"{"match": "wildcard"}"#, "three");
        b.call("wamp.session.count", "", "[2]");
        b.call_fails("wamp.session.nothing", "", "wamp.error.no_such_procedure");
        a.expect_nothing();
    });
}

/// Row 13: the namespace is for clients to listen to and to call.
#[test]
fn meta_topics_can_be_subscribed_to() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("wamp.session.on_join", "{}", "joined");
        let _b = router.join("b");
        a.expect(r#"[36, $joined, $_, {}, [{"session": $b, "authrole": "anonymous", ...}]]"#);
    });
}

#[test]
fn a_uri_may_be_as_long_as_the_limit_says() {
    everywhere_with(&Setup { limits: "uri_bytes_max = 64", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        a.send(&format!("[32, #, {{}}, \"{}\"]", "u".repeat(64)));
        a.expect("[33, #, $_]");
        a.send(&format!("[32, #, {{}}, \"{}\"]", "u".repeat(65)));
        a.expect(r#"[8, 32, #, {...}, "wamp.error.invalid_uri", ...]"#);
    });
}
