//! Publishing and subscribing.

use crate::harness::router::{Setup, everywhere, everywhere_with};

/// Row 14.
#[test]
fn subscribing_twice_gives_the_same_subscription_and_one_event() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        a.send(r#"[32, #, {}, "com.topic"]"#);
        a.expect("[33, #, $sub]");
        b.publish("com.topic", "{}", "[1]");
        a.expect("[36, $sub, $_, {}, [1]]");
        a.expect_nothing();
        // One UNSUBSCRIBE ends it.
        a.send("[34, #, $sub]");
        a.expect("[35, #]");
        b.publish("com.topic", "{}", "[2]");
        a.expect_nothing();
    });
}

/// Another match policy makes another subscription of the same URI.
#[test]
fn subscriptions_differ_by_their_policy() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.topic", "{}", "exact");
        a.subscribe("com.topic", r#"{"match": "prefix"}"#, "prefix");
        a.subscribe("com.topic", r#"{"match": "wildcard"}"#, "wildcard");
        assert!(a.id("exact") != a.id("prefix") && a.id("prefix") != a.id("wildcard"));
        assert_ne!(a.id("exact"), a.id("wildcard"));
    });
}

/// Row 15.
#[test]
fn unsubscribing_what_one_does_not_have_is_refused() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        b.send("[34, #, $sub]");
        b.expect(r#"[8, 34, #, {...}, "wamp.error.no_such_subscription", ...]"#);
        b.send("[34, #, 4711]");
        b.expect(r#"[8, 34, #, {...}, "wamp.error.no_such_subscription", ...]"#);
        b.publish("com.topic", "{}", "");
        a.expect("[36, $sub, $_, {}]");
        a.send("[34, #, $sub]");
        a.expect("[35, #]");
        a.send("[34, #, $sub]");
        a.expect(r#"[8, 34, #, {...}, "wamp.error.no_such_subscription", ...]"#);
    });
}

/// Row 16.
#[test]
fn a_publication_is_answered_only_when_it_asks_for_that() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut guest = router.join_as("dave");
        for options in ["{}", r#"{"acknowledge": false}"#] {
            a.publish("com.topic", options, "");
            a.publish("not a uri", options, "");
            a.publish("wamp.session.on_join", options, "");
            a.expect_nothing();
            guest.publish("com.secret", options, "");
            guest.expect_nothing();
        }
        a.send(r#"[16, #, {"acknowledge": true}, "com.topic"]"#);
        a.expect("[17, #, $_]");
        guest.send(r#"[16, #, {"acknowledge": true}, "com.secret"]"#);
        guest.expect(r#"[8, 16, #, {...}, "wamp.error.not_authorized", ...]"#);
        assert_eq!(router.drops("publish_refused"), 6, "what nobody is told is counted");
    });
}

/// Row 17.
#[test]
fn the_publisher_is_left_out_unless_it_wants_its_own_events() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        b.subscribe("com.topic", "{}", "sub");
        a.publish("com.topic", "{}", "[1]");
        b.expect("[36, $sub, $_, {}, [1]]");
        a.publish("com.topic", r#"{"exclude_me": true}"#, "[2]");
        b.expect("[36, $sub, $_, {}, [2]]");
        a.expect_nothing();
        a.publish("com.topic", r#"{"exclude_me": false}"#, "[3]");
        a.expect("[36, $sub, $publication, {}, [3]]");
        b.expect("[36, $sub, $publication, {}, [3]]");
    });
}

/// With `acknowledge` and `exclude_me: false`, both the answer and the event carry the same publication.
#[test]
fn published_names_the_publication_of_the_event() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.topic", "{}", "sub");
        a.send(r#"[16, #, {"acknowledge": true, "exclude_me": false}, "com.topic"]"#);
        a.expect_all(&["[17, #, $publication]", "[36, $sub, $publication, {}]"]);
    });
}

/// Arguments arrive as they were sent; empty ones are left out.
#[test]
fn payloads_arrive_whole_and_empty_ones_do_not_travel() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        for (sent, arrived) in [
            ("[]", ""),
            ("[], {}", ""),
            ("[1, \"two\", [3], {\"four\": null}]", ", [1, \"two\", [3], {\"four\": null}]"),
            ("[], {\"key\": [true, -1, 1.5]}", ", [], {\"key\": [true, -1, 1.5]}"),
            ("[1], {\"key\": \"value\"}", ", [1], {\"key\": \"value\"}"),
            ("[1], {}", ", [1]"),
        ] {
            b.publish("com.topic", "{}", sent);
            a.expect(&format!("[36, $sub, $_, {{}}{arrived}]"));
        }
    });
}

/// Row 18.
#[test]
fn every_matching_subscription_gets_an_event_of_the_same_publication() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.myapp.topic", "{}", "exact");
        a.subscribe("com.my", r#"{"match": "prefix"}"#, "prefix");
        a.subscribe("com..topic", r#"{"match": "wildcard"}"#, "wildcard");
        b.publish("com.myapp.topic", "{}", "[1]");
        a.expect_all(&[
            "[36, $exact, $publication, {}, [1]]",
            r#"[36, $prefix, $publication, {"topic": "com.myapp.topic"}, [1]]"#,
            r#"[36, $wildcard, $publication, {"topic": "com.myapp.topic"}, [1]]"#,
        ]);
        a.expect_nothing();
    });
}

/// Row 43.
#[test]
fn unknown_options_are_ignored() {
    let more = r#""_mine": {"a": [1]}, "_x_trace": "7f", "unheard_of": 42"#;
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", &format!("{{{more}}}"), "sub");
        a.register("com.procedure", &format!("{{{more}}}"), "reg");
        b.send(&format!(r#"[16, #, {{"acknowledge": true, {more}}}, "com.topic", [1]]"#));
        b.expect("[17, #, $_]");
        a.expect("[36, $sub, $_, {}, [1]]");
        b.send(&format!(r#"[48, #, {{{more}}}, "com.procedure", [2]]"#));
        a.expect("[68, 1, $reg, {}, [2]]");
        a.send(&format!("[70, 1, {{{more}}}, [3]]"));
        b.expect("[50, #, {}, [3]]");
        b.send(&format!("[49, 1, {{{more}}}]"));
        b.expect_nothing();
    });
}

/// Identity of other routers is not for clients to claim.
#[test]
fn forward_for_is_for_links_only() {
    let forward_for = r#""forward_for": [{"session": 7, "authid": "x", "authrole": "y"}]"#;
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.topic", "{}", "sub");
        for (code, uri) in [(32, "com.topic"), (64, "com.procedure"), (48, "com.procedure")] {
            a.send(&format!(r#"[{code}, #, {{{forward_for}}}, "{uri}"]"#));
            a.expect(&format!(r#"[8, {code}, #, {{...}}, "wamp.error.option_not_allowed", ...]"#));
        }
        a.send(&format!(r#"[16, #, {{{forward_for}, "acknowledge": true, "exclude_me": false}}, "com.topic"]"#));
        a.expect(r#"[8, 16, #, {...}, "wamp.error.option_not_allowed", ...]"#);
        a.publish("com.topic", &format!(r#"{{{forward_for}, "exclude_me": false}}"#), "");
        a.expect_nothing();
        assert_eq!(router.drops("option_not_allowed"), 5);
    });
}

/// Deployed clients acknowledge events; that is of no consequence.
#[test]
fn event_received_is_tolerated() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.send("[337, 4711]");
        a.expect_nothing();
    });
}

#[test]
fn a_session_has_as_many_subscriptions_as_the_limit_says() {
    everywhere_with(&Setup { limits: "subscriptions_per_session_max = 2", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        a.subscribe("com.topic1", "{}", "sub1");
        a.subscribe("com.topic2", "{}", "sub2");
        a.send(r#"[32, #, {}, "com.topic3"]"#);
        a.expect(r#"[8, 32, #, {...}, "wamp.error.limit_exceeded", [$why]]"#);
        // To subscribe again takes no room, and what is given up makes some.
        a.subscribe("com.topic2", "{}", "sub2");
        a.send("[34, #, $sub1]");
        a.expect("[35, #]");
        a.subscribe("com.topic3", "{}", "sub3");
    });
}
