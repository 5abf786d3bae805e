//! The subscription meta API.

use crate::harness::router::{NO_FEATURES, everywhere};

/// Row 35: on_create before on_subscribe, on_unsubscribe before on_delete, with the shapes of the specification.
#[test]
fn the_life_of_a_subscription_is_told_in_order() {
    everywhere(|mut router| {
        let mut watcher = router.join("watcher");
        for (event, name) in [
            ("on_create", "created"),
            ("on_subscribe", "subscribed"),
            ("on_unsubscribe", "unsubscribed"),
            ("on_delete", "deleted"),
        ] {
            watcher.subscribe(&format!("wamp.subscription.{event}"), "{}", name);
        }
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com..topic", r#"{"match": "wildcard"}"#, "sub");
        watcher.expect(
            r#"[36, $created, $_, {}, [$a, {"id": $sub, "created": $_, "uri": "com..topic", "match": "wildcard"}]]"#,
        );
        watcher.expect("[36, $subscribed, $_, {}, [$a, $sub]]");
        b.subscribe("com..topic", r#"{"match": "wildcard"}"#, "sub");
        watcher.expect("[36, $subscribed, $_, {}, [$b, $sub]]");
        a.send("[34, #, $sub]");
        a.expect("[35, #]");
        watcher.expect("[36, $unsubscribed, $_, {}, [$a, $sub]]");
        drop(b);
        watcher.expect("[36, $unsubscribed, $_, {}, [$b, $sub]]");
        watcher.expect("[36, $deleted, $_, {}, [$b, $sub]]");
        watcher.expect_nothing();
    });
}

#[test]
fn subscriptions_are_listed_and_described() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.a.topic", "{}", "exact");
        b.subscribe("com.a.topic", "{}", "exact");
        a.subscribe("com.", r#"{"match": "prefix"}"#, "prefix");
        a.subscribe("com..topic", r#"{"match": "wildcard"}"#, "wildcard");
        b.call("wamp.subscription.list", "", r#"[{"exact": [$exact], "prefix": [$prefix], "wildcard": [$wildcard]}]"#);
        b.call("wamp.subscription.lookup", r#"["com.a.topic"]"#, "[$exact]");
        b.call("wamp.subscription.lookup", r#"["com.", {"match": "prefix"}]"#, "[$prefix]");
        b.send(r#"[48, #, {}, "wamp.subscription.match", ["com.a.topic"]]"#);
        b.expect("[50, #, {}, [[$m1, $m2, $m3]]]");
        let mut matching = [b.id("m1"), b.id("m2"), b.id("m3")];
        let mut expected = [b.id("exact"), b.id("prefix"), b.id("wildcard")];
        matching.sort_unstable();
        expected.sort_unstable();
        assert_eq!(matching, expected);
        b.call("wamp.subscription.match", r#"["com.b"]"#, "[[$prefix]]");
        b.call(
            "wamp.subscription.get",
            "[$exact]",
            r#"[{"id": $exact, "created": $_, "uri": "com.a.topic", "match": "exact"}]"#,
        );
        b.call("wamp.subscription.count_subscribers", "[$exact]", "[2]");
        b.call("wamp.subscription.list_subscribers", "[$prefix]", "[[$a]]");
        b.send(r#"[48, #, {}, "wamp.subscription.list_subscribers", [$exact]]"#);
        b.expect("[50, #, {}, [[$s1, $s2]]]");
        let (mut subscribers, mut expected) = ([b.id("s1"), b.id("s2")], [b.id("a"), b.id("b")]);
        subscribers.sort_unstable();
        expected.sort_unstable();
        assert_eq!(subscribers, expected);
    });
}

/// Row 38.
#[test]
fn what_nobody_subscribed_to_is_null_or_an_error() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        for procedure in ["get", "list_subscribers", "count_subscribers", "get_events"] {
            let procedure = format!("wamp.subscription.{procedure}");
            a.call_fails(&procedure, "[4711]", "wamp.error.no_such_subscription");
            a.call_fails(&procedure, "", "wamp.error.invalid_argument");
        }
        a.call("wamp.subscription.lookup", r#"["com.nothing"]"#, "[null]");
        a.call("wamp.subscription.match", r#"["com.nothing"]"#, "[null]");
    });
}

/// Subscription revocation: only who announced it hears of it.
#[test]
fn a_revoked_subscription_is_announced_to_those_who_understand() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join_with(NO_FEATURES, "b");
        let mut c = router.join("c");
        a.subscribe("com.topic", "{}", "sub");
        b.subscribe("com.topic", "{}", "sub");
        c.call("wamp.subscription.remove_subscriber", r#"[$sub, $a], {"reason": "com.why"}"#, "");
        a.expect(r#"[35, 0, {"subscription": $sub, "reason": "com.why"}]"#);
        c.publish("com.topic", "{}", "");
        b.expect("[36, $sub, $_, {}]");
        c.call("wamp.subscription.remove_subscriber", "[$sub, $b]", "");
        c.publish("com.topic", "{}", "");
        b.expect_nothing();
        a.expect_nothing();
        c.call_fails("wamp.subscription.remove_subscriber", "[$sub, $a]", "wamp.error.no_such_subscription");
    });
}
