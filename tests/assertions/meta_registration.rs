//! The registration meta API.

use crate::harness::router::everywhere;

/// Row 35: on_create before on_register, on_unregister before on_delete, with the shapes of the specification.
#[test]
fn the_life_of_a_registration_is_told_in_order() {
    everywhere(|mut router| {
        let mut watcher = router.join("watcher");
        for (event, name) in [
            ("on_create", "created"),
            ("on_register", "registered"),
            ("on_unregister", "unregistered"),
            ("on_delete", "deleted"),
        ] {
            watcher.subscribe(&format!("wamp.registration.{event}"), "{}", name);
        }
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.shared", r#"{"invoke": "random", "match": "prefix"}"#, "reg");
        watcher.expect(
            r#"[36, $created, $_, {}, [$a, {"id": $reg, "created": $time, "uri": "com.shared", "match": "prefix",
                "invoke": "random"}]]"#,
        );
        watcher.expect("[36, $registered, $_, {}, [$a, $reg]]");
        b.register("com.shared", r#"{"invoke": "random", "match": "prefix"}"#, "reg");
        watcher.expect("[36, $registered, $_, {}, [$b, $reg]]");
        a.send("[66, #, $reg]");
        a.expect("[67, #]");
        watcher.expect("[36, $unregistered, $_, {}, [$a, $reg]]");
        drop(b);
        watcher.expect("[36, $unregistered, $_, {}, [$b, $reg]]");
        watcher.expect("[36, $deleted, $_, {}, [$b, $reg]]");
        watcher.expect_nothing();
    });
}

#[test]
fn registrations_are_listed_and_described() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.register("com.exact", "{}", "exact");
        a.register("com.prefix", r#"{"match": "prefix"}"#, "prefix");
        a.register("com..wild", r#"{"match": "wildcard"}"#, "wildcard");
        a.register("com.shared", r#"{"invoke": "first"}"#, "shared");
        b.register("com.shared", r#"{"invoke": "first"}"#, "shared");
        b.send(r#"[48, #, {}, "wamp.registration.list"]"#);
        b.expect(r#"[50, #, {}, [{"exact": $exact_ids, "prefix": [$prefix], "wildcard": [$wildcard]}]]"#);
        b.call("wamp.registration.lookup", r#"["com.exact"]"#, "[$exact]");
        b.call("wamp.registration.lookup", r#"["com.prefix", {"match": "prefix"}]"#, "[$prefix]");
        b.call("wamp.registration.match", r#"["com.prefix.more"]"#, "[$prefix]");
        b.call("wamp.registration.match", r#"["com.so.wild"]"#, "[$wildcard]");
        b.call("wamp.registration.match", r#"["com.exact"]"#, "[$exact]");
        b.call(
            "wamp.registration.get",
            "[$shared]",
            r#"[{"id": $shared, "created": $_, "uri": "com.shared", "match": "exact", "invoke": "first"}]"#,
        );
        b.call("wamp.registration.list_callees", "[$shared]", "[[$a, $b]]");
        b.call("wamp.registration.count_callees", "[$shared]", "[2]");
        b.call("wamp.registration.count_callees", "[$exact]", "[1]");
    });
}

/// Row 38.
#[test]
fn what_is_not_registered_is_null_or_an_error() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.register("com.prefix", r#"{"match": "prefix"}"#, "prefix");
        for procedure in ["get", "list_callees", "count_callees"] {
            let procedure = format!("wamp.registration.{procedure}");
            a.call_fails(&procedure, "[4711]", "wamp.error.no_such_registration");
            a.call_fails(&procedure, "", "wamp.error.invalid_argument");
        }
        a.call("wamp.registration.lookup", r#"["com.nothing"]"#, "[null]");
        a.call("wamp.registration.lookup", r#"["com.prefix"]"#, "[null]");
        a.call("wamp.registration.lookup", r#"["com.prefix.x", {"match": "prefix"}]"#, "[null]");
        a.call("wamp.registration.match", r#"["org.nothing"]"#, "[null]");
    });
}
