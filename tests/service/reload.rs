//! SIGHUP: what changes live, and what does not.

use crate::harness::router::{NO_FEATURES, Router, Setup, eventually};

/// Replaces the configuration and waits until the log says what was made of it.
fn reload(router: &Router, setup: &Setup, what: &str) {
    let directory = router.edge.directory();
    let text = setup.to_text().replace("{dir}", &directory.display().to_string());
    reload_text(router, &text, what);
}

fn reload_text(router: &Router, text: &str, what: &str) {
    std::fs::write(router.edge.directory().join("edge.toml"), text).expect("the configuration is written");
    let before = router.edge.log().matches(what).count();
    router.edge.signal("HUP");
    eventually(what, || router.edge.log().matches(what).count() > before);
}

const RELOADED: &str = "configuration reloaded";

#[test]
fn permissions_change_live() {
    let mut router = Router::start(&Setup::default());
    let mut guest = router.join_as("dave");
    let mut a = router.join("a");
    a.subscribe("com.topic", "{}", "sub");
    guest.send(r#"[16, #, {"acknowledge": true}, "com.topic"]"#);
    guest.expect(r#"[8, 16, #, {...}, "wamp.error.not_authorized", ...]"#);
    let allowed = Setup::default().to_text().replace(
        "uri = \"com.open.\"\nmatch = \"prefix\"\nallow = [\"call\", \"subscribe\"]",
        "uri = \"com.\"\nmatch = \"prefix\"\nallow = [\"publish\"]",
    );
    let directory = router.edge.directory().display().to_string();
    reload_text(&router, &allowed.replace("{dir}", &directory), RELOADED);
    // Sessions, subscriptions and all else stay as they were.
    guest.send(r#"[16, #, {"acknowledge": true}, "com.topic", [1]]"#);
    guest.expect("[17, #, $_]");
    a.expect("[36, $sub, $_, {}, [1]]");
    reload(&router, &Setup::default(), RELOADED);
    guest.send(r#"[16, #, {"acknowledge": true}, "com.topic"]"#);
    guest.expect(r#"[8, 16, #, {...}, "wamp.error.not_authorized", ...]"#);
}

#[test]
fn what_is_taken_away_ends_what_rests_on_it() {
    let mut router = Router::start(&Setup::default());
    let mut alice = router.join_as("alice");
    let mut bob = router.join_as("bob");
    let mut guest = router.join_as("dave");
    guest.subscribe("com.open.topic", "{}", "open");
    bob.subscribe("com.open.topic", "{}", "other");
    bob.register("com.procedure", "{}", "reg");
    let text = Setup::default().to_text().replace("{dir}", &router.edge.directory().display().to_string());
    let without_alice = text.replace("alice = { ticket = \"alice-ticket\", role = \"frontend\" }\n", "");
    assert_ne!(text, without_alice);
    let narrowed = without_alice.replace("allow = [\"call\", \"subscribe\"]", "allow = [\"call\"]");
    assert_ne!(narrowed, without_alice);
    reload_text(&router, &narrowed, RELOADED);
    alice.expect(r#"[6, {...}, "wamp.error.not_authorized"]"#);
    alice.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
    guest.expect(r#"[35, 0, {"subscription": $open, "reason": "wamp.error.not_authorized"}]"#);
    bob.publish("com.open.topic", r#"{"exclude_me": false}"#, "[1]");
    bob.expect("[36, $other, $_, {...}, [1]]");
    guest.expect_nothing();
    router.await_drops("revoked", 1);
}

#[test]
fn realms_and_users_can_be_added_live() {
    let mut router = Router::start(&Setup::default());
    let mut a = router.join("a");
    let mut b = router.connect();
    b.send(&format!(r#"[1, "realm2", {NO_FEATURES}]"#));
    b.expect_abort("wamp.error.no_such_realm");
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
uri = "wamp.session.count"
allow = ["call"]
"#;
    reload(&router, &Setup { realms, ..Setup::default() }, RELOADED);
    let mut b = router.connect();
    b.send(&format!(r#"[1, "realm2", {NO_FEATURES}]"#));
    b.welcome("b");
    b.call("wamp.session.count", "", "[1]");
    a.call("wamp.session.count", "", "[1]");
    // A user with another ticket.
    let text = Setup { realms, ..Setup::default() }.to_text().replace("\"alice-ticket\"", "\"other-ticket\"");
    reload_text(&router, &text.replace("{dir}", &router.edge.directory().display().to_string()), RELOADED);
    let mut alice = router.connect();
    alice.send(r#"[1, "realm1", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "alice"}]"#);
    alice.expect(r#"[4, "ticket", {}]"#);
    alice.send(r#"[5, "other-ticket", {}]"#);
    alice.welcome("alice");
}

#[test]
fn limits_change_live() {
    let mut router = Router::start(&Setup::default());
    let mut a = router.join("a");
    a.subscribe("com.one", "{}", "one");
    let limits = "subscriptions_per_session_max = 1\nsessions_max = 1\nmessage_bytes_max = 2048";
    reload(&router, &Setup { limits, ..Setup::default() }, RELOADED);
    a.send(r#"[32, #, {}, "com.two"]"#);
    a.expect(r#"[8, 32, #, {...}, "wamp.error.limit_exceeded", ...]"#);
    let mut b = router.connect();
    b.send(&format!(r#"[1, "realm1", {NO_FEATURES}]"#));
    b.expect_abort("wamp.error.limit_exceeded");
    // The largest message is agreed on when a connection begins.
    a.goodbye();
    drop(a);
    eventually("room for another", || {
        let mut c = router.connect_via(crate::harness::client::Via::new(
            crate::harness::client::Carrier::RawSocket,
            crossbar_cluster::wire::Serializer::Json,
        ));
        assert_eq!(c.peer_bytes_max, 2048);
        c.send(&format!(r#"[1, "realm1", {NO_FEATURES}]"#));
        c.receive()[0] == 2u64.into()
    });
}

#[test]
fn a_file_with_mistakes_changes_nothing() {
    let mut router = Router::start(&Setup::default());
    let mut a = router.join("a");
    let setup = Setup { limits: "subscriptions_per_session_max = 0\nno_such_limit = 1", ..Setup::default() };
    reload(&router, &setup, "the configuration was not reloaded");
    assert!(router.edge.log().contains("no_such_limit"), "{}", router.edge.log());
    a.subscribe("com.topic", "{}", "sub");
    // And it can be mended.
    reload(&router, &Setup { limits: "subscriptions_per_session_max = 1", ..Setup::default() }, RELOADED);
    a.send(r#"[32, #, {}, "com.other"]"#);
    a.expect(r#"[8, 32, #, {...}, "wamp.error.limit_exceeded", ...]"#);
}
