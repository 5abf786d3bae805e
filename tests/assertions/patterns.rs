//! Pattern-based subscriptions and registrations.

use crate::harness::router::everywhere;

/// Row 18: what a prefix and a wildcard cover.
#[test]
fn a_prefix_is_one_of_the_string_and_a_wildcard_stands_for_one_component() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        for (policy, pattern, covered, others) in [
            ("prefix", "com.myapp.topic.emergency", "com.myapp.topic.emergency.11", "com.myapp.topic.emergenc"),
            ("prefix", "com.myapp.topic.emergency", "com.myapp.topic.emergency-low", "com.myapp.topic"),
            ("prefix", "com.myapp.topic.emergency", "com.myapp.topic.emergency", "org.com.myapp.topic.emergency"),
            ("wildcard", "com.myapp..userevent", "com.myapp.foo.userevent", "com.myapp.foo.userevent.bar"),
            ("wildcard", "com.myapp..userevent", "com.myapp.bar.userevent", "com.myapp.userevent"),
            ("wildcard", "com.myapp..userevent", "com.myapp.a12.userevent", "com.myapp.foo.user"),
            ("wildcard", ".a.", "x.a.y", "a.x"),
        ] {
            a.subscribe(pattern, &format!("{{\"match\": \"{policy}\"}}"), "sub");
            b.publish(others, "{}", "");
            b.publish(covered, "{}", "");
            a.expect(&format!(r#"[36, $sub, $_, {{"topic": "{covered}"}}]"#));
            a.send("[34, #, $sub]");
            a.expect("[35, #]");
        }
    });
}

/// Row 23: the table of the specification, but for its row that contradicts the rule.
#[test]
fn the_most_specific_registration_gets_the_call() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        for (n, policy, pattern) in [
            (1, "exact", "a1.b2.c3.d4.e55"),
            (2, "prefix", "a1.b2.c3"),
            (3, "prefix", "a1.b2.c3.d4"),
            (4, "wildcard", "a1.b2..d4.e5"),
            (5, "wildcard", "a1.b2.c33..e5"),
            (6, "wildcard", "a1.b2..d4.e5..g7"),
            (7, "wildcard", "a1.b2..d4..f6.g7"),
        ] {
            callee.register(pattern, &format!("{{\"match\": \"{policy}\"}}"), &format!("r{n}"));
        }
        for (procedure, n) in [
            ("a1.b2.c3.d4.e55", 1),
            ("a1.b2.c3.d98.e74", 2),
            ("a1.b2.c3.d4.e325", 3),
            ("a1.b2.c55.d4.e5", 4),
            ("a1.b2.c88.d4.e5.f6.g7", 6),
        ] {
            caller.send(&format!("[48, #, {{}}, {procedure:?}]"));
            callee.unbind(&["request"]);
            let details = if n == 1 { "{}".to_owned() } else { format!("{{\"procedure\": {procedure:?}}}") };
            callee.expect(&format!("[68, $request, $r{n}, {details}]"));
            callee.send("[70, $request, {}]");
            caller.expect("[50, #, {}]");
        }
        caller.call_fails("a2.b2.c2.d2.e2", "", "wamp.error.no_such_procedure");
        callee.expect_nothing();
    });
}

/// Row 23: the longest prefix wins, of strings and not of components; the empty prefix loses to every other.
#[test]
fn longer_prefixes_come_before_shorter_ones() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        for (name, pattern) in [("all", ""), ("short", "com.my"), ("long", "com.myapp.object1-my")] {
            callee.register(pattern, r#"{"match": "prefix"}"#, name);
        }
        callee.register("com..x", r#"{"match": "wildcard"}"#, "wildcard");
        for (procedure, name) in [
            ("com.myapp.object1-mysubobject1", "long"),
            ("com.myapp.object1", "short"),
            ("com.myapp.x", "short"),
            ("com.other.x", "all"),
            ("org", "all"),
        ] {
            caller.send(&format!("[48, #, {{}}, {procedure:?}]"));
            callee.unbind(&["request"]);
            callee.expect(&format!("[68, $request, ${name}, {{\"procedure\": {procedure:?}}}]"));
            callee.send("[70, $request, {}]");
            caller.expect("[50, #, {}]");
        }
    });
}

/// A call goes to one registration, and a wildcard gets what no prefix covers.
#[test]
fn wildcards_get_what_is_left() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        callee.register("com..x", r#"{"match": "wildcard"}"#, "middle");
        callee.register("..x", r#"{"match": "wildcard"}"#, "front");
        callee.register("com..", r#"{"match": "wildcard"}"#, "back");
        for (procedure, name) in [("com.a.x", "middle"), ("org.a.x", "front"), ("com.a.y", "back")] {
            caller.send(&format!("[48, #, {{}}, {procedure:?}]"));
            callee.unbind(&["request"]);
            callee.expect(&format!("[68, $request, ${name}, {{\"procedure\": {procedure:?}}}]"));
            callee.send("[70, $request, {}]");
            caller.expect("[50, #, {}]");
        }
        caller.call_fails("com.x", "", "wamp.error.no_such_procedure");
    });
}
