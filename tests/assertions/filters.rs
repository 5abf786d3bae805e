//! Whom a publication is for: the six lists of its options.

use crate::harness::client::Client;
use crate::harness::router::{Router, Setup, everywhere, everywhere_with};

/// Alice, Bob and an anonymous session listen; the publisher is another one.
fn scene(router: &mut Router) -> (Client, [(&'static str, Client); 3]) {
    let mut listeners =
        [("alice", router.join_as("alice")), ("bob", router.join_as("bob")), ("nobody", router.join("nobody"))];
    for (_, client) in &mut listeners {
        client.subscribe("com.topic", "{}", "sub");
    }
    (router.join("publisher"), listeners)
}

/// Row 19.
#[test]
fn an_event_reaches_those_who_pass_every_list() {
    let cases = [
        ("{}", "alice bob nobody"),
        (r#"{"eligible": []}"#, ""),
        (r#"{"eligible": [$alice, $nobody]}"#, "alice nobody"),
        (r#"{"eligible": [4711]}"#, ""),
        (r#"{"eligible_authid": []}"#, ""),
        (r#"{"eligible_authid": ["bob", "nobody"]}"#, "bob"),
        (r#"{"eligible_authrole": []}"#, ""),
        (r#"{"eligible_authrole": ["frontend", "anonymous"]}"#, "alice nobody"),
        (r#"{"exclude": []}"#, "alice bob nobody"),
        (r#"{"exclude": [$bob]}"#, "alice nobody"),
        (r#"{"exclude_authid": []}"#, "alice bob nobody"),
        (r#"{"exclude_authid": ["alice", "bob"]}"#, "nobody"),
        (r#"{"exclude_authrole": []}"#, "alice bob nobody"),
        (r#"{"exclude_authrole": ["backend"]}"#, "alice nobody"),
        (r#"{"eligible": [$alice, $bob], "exclude": [$bob]}"#, "alice"),
        (r#"{"eligible": [$alice], "eligible_authrole": ["backend"]}"#, ""),
        (r#"{"eligible": [$alice, $bob], "eligible_authid": ["alice"], "eligible_authrole": ["frontend"]}"#, "alice"),
        (r#"{"eligible_authrole": ["frontend", "backend"], "exclude_authid": ["alice"]}"#, "bob"),
        (r#"{"eligible_authid": ["alice", "bob"], "exclude_authrole": ["frontend", "backend"]}"#, ""),
        (r#"{"exclude": [$nobody], "exclude_authid": ["alice"], "exclude_authrole": ["backend"]}"#, ""),
    ];
    everywhere(|mut router| {
        let (mut publisher, mut listeners) = scene(&mut router);
        for (n, (options, reached)) in cases.iter().enumerate() {
            publisher.publish("com.topic", options, &format!("[{n}]"));
            for (name, client) in &mut listeners {
                if reached.split(' ').any(|reached| reached == *name) {
                    client.expect(&format!("[36, $sub, $_, {{}}, [{n}]]"));
                }
            }
        }
        for (_, client) in &mut listeners {
            client.expect_nothing();
        }
    });
}

/// Row 19: the lists do not bring the publisher in, and `exclude_me: false` does not go round them.
#[test]
fn lists_hold_for_the_publisher_too() {
    everywhere(|mut router| {
        let mut alice = router.join_as("alice");
        alice.subscribe("com.topic", "{}", "sub");
        alice.publish("com.topic", r#"{"eligible": [$alice]}"#, "");
        alice.publish("com.topic", r#"{"exclude_me": false, "exclude_authid": ["alice"]}"#, "");
        alice.expect_nothing();
        alice.publish("com.topic", r#"{"exclude_me": false, "eligible": [$alice]}"#, "");
        alice.expect("[36, $sub, $_, {}]");
    });
}

/// Row 19: the lists hold for each matching subscription.
#[test]
fn lists_hold_for_patterns() {
    everywhere(|mut router| {
        let mut alice = router.join_as("alice");
        let mut bob = router.join_as("bob");
        for client in [&mut alice, &mut bob] {
            client.subscribe("com.", r#"{"match": "prefix"}"#, "prefix");
            client.subscribe(".topic", r#"{"match": "wildcard"}"#, "wildcard");
        }
        let mut publisher = router.join("publisher");
        publisher.publish("com.topic", r#"{"exclude_authrole": ["frontend"]}"#, "");
        bob.expect_all(&["[36, $prefix, $publication, {...}]", "[36, $wildcard, $publication, {...}]"]);
        alice.expect_nothing();
    });
}

#[test]
fn a_list_is_as_long_as_the_limit_says() {
    everywhere_with(&Setup { limits: "publish_list_max = 2", ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        a.send(r#"[16, #, {"acknowledge": true, "exclude": [1, 2]}, "com.topic"]"#);
        a.expect("[17, #, $_]");
        a.send(r#"[16, #, {"acknowledge": true, "exclude": [1, 2, 3]}, "com.topic"]"#);
        a.expect(r#"[8, 16, #, {...}, "wamp.error.limit_exceeded", ...]"#);
    });
}
