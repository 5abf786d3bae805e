//! Row 40: event history.

use crate::harness::client::Client;
use crate::harness::router::{Router, Setup, everywhere_with};
use crossbar_cluster::wire::{Dict, Value};
use std::time::Duration;

const RULES: &str = r#"
[[realm.history]]
uri = "com.kept"
entries_max = 5
[[realm.history]]
uri = "com.all."
match = "prefix"
entries_max = 100
[[realm.history]]
uri = "com.secret"
entries_max = 10
"#;

fn everywhere(scene: impl Fn(Router)) {
    everywhere_with(&Setup { rules: RULES, ..Setup::default() }, scene);
}

/// The events that the history of `$sub` gives for these conditions.
fn events(client: &mut Client, conditions: &str) -> Vec<Dict> {
    client.send(&format!(r#"[48, #, {{}}, "wamp.subscription.get_events", [$sub], {{{conditions}}}]"#));
    let result = client.receive();
    assert_eq!(result[0], Value::Uint(50), "{conditions}: {}", crate::harness::pattern::show(&result));
    let arguments = result.get(3).and_then(Value::as_list).unwrap_or_default();
    arguments.iter().map(|event| event.as_dict().expect("each event is a dict").clone()).collect()
}

/// The numbers that the events were published with.
fn numbers(client: &mut Client, conditions: &str) -> Vec<u64> {
    let events = events(client, conditions);
    events.iter().map(|event| event.list("args").expect("arguments")[0].as_uint().expect("a number")).collect()
}

#[test]
fn the_history_of_a_subscription_tells_what_was_published() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.send(r#"[16, #, {"acknowledge": true}, "com.kept", [1], {"k": "v"}]"#);
        a.expect("[17, #, $publication]");
        a.publish("com.kept", "{}", "");
        a.subscribe("com.kept", "{}", "sub");
        let told = events(&mut a, "");
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].uint("publication"), Some(a.id("publication")));
        assert_eq!(told[0].uint("subscription"), Some(a.id("sub")));
        assert_eq!(told[0].list("args"), Some(&[Value::Uint(1)][..]));
        assert_eq!(told[0].dict("kwargs"), Some(&Dict::new().with("k", "v")));
        assert!(told[0].dict("details").is_some() && told[0].str("timestamp").is_some_and(|time| time.ends_with('Z')));
        assert!(told[1].get("args").is_none() && told[1].get("kwargs").is_none());
    });
}

#[test]
fn the_oldest_entries_go_first() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.kept", "{}", "sub");
        assert_eq!(numbers(&mut a, ""), [0; 0]);
        for n in 1..=7 {
            a.publish("com.kept", "{}", &format!("[{n}]"));
        }
        assert_eq!(numbers(&mut a, ""), [3, 4, 5, 6, 7]);
        assert_eq!(numbers(&mut a, r#""reverse": true"#), [7, 6, 5, 4, 3]);
        assert_eq!(numbers(&mut a, r#""limit": 2"#), [3, 4]);
        assert_eq!(numbers(&mut a, r#""limit": 2, "reverse": true"#), [7, 6]);
        assert_eq!(numbers(&mut a, r#""limit": 0"#), [0; 0]);
    });
}

#[test]
fn publications_bound_what_is_told() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.kept", "{}", "sub");
        for n in 1..=5 {
            a.send(&format!(r#"[16, #, {{"acknowledge": true}}, "com.kept", [{n}]]"#));
            a.unbind(&[&format!("p{n}")]);
            a.expect(&format!("[17, #, $p{n}]"));
        }
        for (conditions, expected) in [
            (r#""from_publication": $p2"#, &[2, 3, 4, 5][..]),
            (r#""after_publication": $p2"#, &[3, 4, 5]),
            (r#""before_publication": $p4"#, &[1, 2, 3]),
            (r#""until_publication": $p4"#, &[1, 2, 3, 4]),
            (r#""after_publication": $p1, "before_publication": $p5"#, &[2, 3, 4]),
            (r#""from_publication": $p2, "until_publication": $p4, "reverse": true, "limit": 2"#, &[4, 3]),
            (r#""after_publication": $p5"#, &[]),
            (r#""from_publication": $p4, "until_publication": $p2"#, &[]),
        ] {
            assert_eq!(numbers(&mut a, conditions), expected, "{conditions}");
        }
    });
}

#[test]
fn times_bound_what_is_told() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.kept", "{}", "sub");
        for n in 1..=3 {
            a.publish("com.kept", "{}", &format!("[{n}]"));
            // What the clock shows is what is tested here, so it has to go on.
            std::thread::sleep(Duration::from_millis(3));
        }
        let times: Vec<String> =
            events(&mut a, "").iter().map(|event| event.str("timestamp").expect("a time").to_owned()).collect();
        let second = &times[1];
        for (condition, expected) in
            [("from_time", &[2, 3][..]), ("after_time", &[3]), ("before_time", &[1]), ("until_time", &[1, 2])]
        {
            assert_eq!(numbers(&mut a, &format!("{condition:?}: {second:?}")), expected, "{condition} {second}");
        }
        let both = format!(r#""after_time": {:?}, "until_time": {:?}"#, times[0], times[1]);
        assert_eq!(numbers(&mut a, &both), [2]);
        assert_eq!(numbers(&mut a, r#""after_time": "2999-01-01T00:00:00+01:00""#), [0; 0]);
        a.call_fails(
            "wamp.subscription.get_events",
            r#"[$sub], {"from_time": "yesterday"}"#,
            "wamp.error.invalid_argument",
        );
    });
}

#[test]
fn a_pattern_keeps_all_its_topics() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.all.", r#"{"match": "prefix"}"#, "sub");
        for (topic, n) in [("com.all.x", 1), ("com.all.y", 2), ("com.all.x", 3), ("com.other", 4)] {
            a.publish(topic, "{}", &format!("[{n}]"));
        }
        assert_eq!(numbers(&mut a, ""), [1, 2, 3]);
        assert_eq!(numbers(&mut a, r#""topic": "com.all.x""#), [1, 3]);
        let told = events(&mut a, r#""topic": "com.all.y""#);
        assert_eq!(told[0].dict("details").and_then(|details| details.str("topic")), Some("com.all.y"));
    });
}

#[test]
fn a_subscription_without_a_rule_has_no_history() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.other", "{}", "sub");
        a.call_fails("wamp.subscription.get_events", "[$sub]", "wamp.error.history_unavailable");
        a.call_fails("wamp.subscription.get_events", "[4711]", "wamp.error.no_such_subscription");
    });
}

/// Nobody reads by history what they would not have got.
#[test]
fn the_history_honours_the_lists_of_a_publication() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut alice = router.join_as("alice");
        let mut bob = router.join_as("bob");
        a.subscribe("com.kept", "{}", "sub");
        a.publish("com.kept", r#"{"eligible_authrole": ["frontend"]}"#, "[1]");
        a.publish("com.kept", r#"{"exclude_authid": ["alice"]}"#, "[2]");
        a.publish("com.kept", r#"{"eligible": [$alice]}"#, "[3]");
        a.publish("com.kept", r#"{"exclude": [$bob]}"#, "[4]");
        a.publish("com.kept", "{}", "[5]");
        // Those that name sessions are not kept at all.
        assert_eq!(numbers(&mut alice, ""), [1, 5]);
        assert_eq!(numbers(&mut bob, ""), [2, 5]);
    });
}

/// Who may not subscribe may not read the history either.
#[test]
fn the_history_is_for_those_who_may_subscribe() {
    let rules = r#"
[[realm.history]]
uri = "com.secret"
entries_max = 10
[[realm.role]]
name = "reader"
[[realm.role.permission]]
uri = "wamp."
match = "prefix"
allow = ["call"]
"#;
    let listeners = r#"
[[listen]]
type = "rawsocket"
address = "127.0.0.1:0"
[listen.auth.anonymous]
role = "reader"
"#;
    let setup = Setup { rules, listeners: listeners.to_owned(), ..Setup::default() };
    everywhere_with(&setup, |mut router| {
        let mut a = router.join("a");
        a.subscribe("com.secret", "{}", "sub");
        a.publish("com.secret", "{}", "[1]");
        assert_eq!(numbers(&mut a, ""), [1]);
        let endpoint = crate::harness::router::endpoint_of(router.edge.nth_url("rs", 1));
        let via = crate::harness::client::Via::new(
            crate::harness::client::Carrier::RawSocket,
            crossbar_cluster::wire::Serializer::Cbor,
        );
        let mut reader = Client::open(endpoint.connect(), via, router.scope.clone());
        reader.hello(crate::harness::router::ALL_ROLES, "reader");
        reader.call_fails("wamp.subscription.get_events", "[$sub]", "wamp.error.not_authorized");
        // Nor is it told what only another node could know.
        reader.call_fails("wamp.subscription.get_events", "[4711]", "wamp.error.not_authorized");
        reader.call("wamp.session.count", "", "[2]");
    });
}
