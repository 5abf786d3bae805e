//! What a session may do: the rules of its role, or a procedure that is asked.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of, everywhere, everywhere_with};
use crossbar_cluster::wire::Serializer;

/// A role whose authorizer is a procedure, on a RawSocket listener of its own; and one with rules of all kinds.
fn setup() -> Setup {
    let listeners = ["asked", "ruled", "everybody"]
        .map(|role| {
            format!(
                "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:0\"\n\
                 [listen.auth.anonymous]\nrole = \"{role}\"\n"
            )
        })
        .concat();
    let rules = r#"
[[realm.role]]
name = "asked"
authorizer = "com.authorize"
[[realm.role]]
name = "ruled"
[[realm.role.permission]]
uri = "com.app."
match = "prefix"
allow = ["publish", "subscribe"]
[[realm.role.permission]]
uri = "com.app.secret"
allow = []
[[realm.role.permission]]
uri = "com.app.secret.open."
match = "prefix"
allow = ["subscribe"]
[[realm.role.permission]]
uri = "org..call"
match = "wildcard"
allow = ["call"]
[[realm.role.permission]]
uri = "org.mine"
allow = ["register"]
[[realm.role]]
name = "everybody"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
"#;
    Setup { listeners, rules, ..Setup::default() }
}

/// Who may do everything by a rule for the empty prefix rules neither over the router nor over who comes in.
#[test]
fn a_rule_for_everything_is_none_for_the_router() {
    let mut router = Router::start(&setup());
    let mut named = router.join("named");
    let mut client = join(&router, 3, "everybody");
    for procedure in ["session.kill_all", "session.list", "session.count", "registration.list", "subscription.get"] {
        client.call_fails(&format!("wamp.{procedure}"), "", "wamp.error.not_authorized");
    }
    client.send(r#"[32, #, {}, "wamp.session.on_join"]"#);
    client.expect(r#"[8, 32, #, {...}, "wamp.error.not_authorized", ...]"#);
    client.subscribe("", r#"{"match": "prefix"}"#, "all");
    named.subscribe("wamp.session.on_join", "{}", "joined");
    let _other = router.join("other");
    named.expect("[36, $joined, $_, {...}, [{...}]]");
    client.expect_nothing();
    // What it leaves behind is its own business.
    client.call("wamp.session.add_testament", r#"["com.bye", [], {}]"#, "");
    client.call("wamp.session.flush_testaments", "", "[1]");
}

/// Procedures that decide about others are registered by those only who are named for it.
#[test]
fn who_may_register_everything_may_not_decide_about_others() {
    let mut router = Router::start(&setup());
    let mut client = join(&router, 3, "everybody");
    let refused = r#"[8, 64, #, {...}, "wamp.error.not_authorized", ...]"#;
    for options in [r#"{}"#, r#"{"force_reregister": true}"#] {
        client.send(&format!(r#"[64, #, {options}, "com.authorize"]"#));
        client.expect(refused);
    }
    for (policy, uri) in [("prefix", ""), ("prefix", "com.auth"), ("wildcard", "com."), ("wildcard", ".authorize")] {
        client.send(&format!(r#"[64, #, {{"match": "{policy}"}}, "{uri}"]"#));
        client.expect(refused);
    }
    client.register("com.authorizer", "{}", "free");
    router.join("named").register("com.authorize", "{}", "reg");
}

fn join(router: &Router, listener: usize, name: &str) -> Client {
    let endpoint = endpoint_of(router.edge.nth_url("rs", listener));
    let mut client =
        Client::open(endpoint.connect(), Via::new(Carrier::RawSocket, Serializer::Cbor), router.scope.clone());
    client.hello(ALL_ROLES, name);
    client
}

#[test]
fn a_role_may_do_what_its_most_specific_rule_allows() {
    let router = Router::start(&setup());
    let mut a = join(&router, 2, "a");
    for (code, options, uri, is_allowed) in [
        (32, "{}", "com.app.topic", true),
        (16, r#"{"acknowledge": true}"#, "com.app.topic", true),
        (48, "{}", "com.app.topic", false),
        (64, "{}", "com.app.topic", false),
        (32, "{}", "com.app.secret", false),
        (16, r#"{"acknowledge": true}"#, "com.app.secret", false),
        (32, "{}", "com.app.secret.open.topic", true),
        (16, r#"{"acknowledge": true}"#, "com.app.secret.open.topic", false),
        (32, "{}", "com.app.secrets", true),
        (32, "{}", "com.other", false),
        (64, "{}", "org.mine", true),
        (64, "{}", "org.yours", false),
        (32, "{}", "wamp.session.on_join", false),
        (48, "{}", "wamp.session.count", false),
    ] {
        a.send(&format!(r#"[{code}, #, {options}, "{uri}"]"#));
        match is_allowed {
            true => a.expect(&format!("[{}, #, $_]", code + 1)),
            false => a.expect(&format!(r#"[8, {code}, #, {{...}}, "wamp.error.not_authorized", ...]"#)),
        }
    }
    a.call_fails("org.some.call", "", "wamp.error.no_such_procedure");
    a.call_fails("org.some.other.call", "", "wamp.error.not_authorized");
}

/// A pattern may be subscribed to only where all that it covers may be.
#[test]
fn a_pattern_needs_a_rule_that_covers_it_all() {
    let router = Router::start(&setup());
    let mut a = join(&router, 2, "a");
    for (policy, uri) in [("prefix", ""), ("prefix", "com."), ("wildcard", "com..topic"), ("prefix", "com.ap")] {
        a.send(&format!(r#"[32, #, {{"match": "{policy}"}}, "{uri}"]"#));
        a.expect(r#"[8, 32, #, {...}, "wamp.error.not_authorized", ...]"#);
    }
    a.subscribe("com.app.x", r#"{"match": "prefix"}"#, "sub");
}

#[test]
fn what_no_rule_allows_is_refused() {
    everywhere(|mut router| {
        let mut guest = router.join_as("dave");
        let mut a = router.join("a");
        guest.subscribe("com.open.topic", "{}", "sub");
        guest.send(r#"[32, #, {}, "com.topic"]"#);
        guest.expect(r#"[8, 32, #, {...}, "wamp.error.not_authorized", ...]"#);
        guest.send(r#"[64, #, {}, "com.open.procedure"]"#);
        guest.expect(r#"[8, 64, #, {...}, "wamp.error.not_authorized", ...]"#);
        guest.call_fails("com.procedure", "", "wamp.error.not_authorized");
        // It is not told either whether there is something.
        a.register("com.procedure", "{}", "reg");
        guest.call_fails("com.procedure", "", "wamp.error.not_authorized");
        guest.call_fails("com.open.procedure", "", "wamp.error.no_such_procedure");
        a.publish("com.open.topic", "{}", "[1]");
        guest.expect("[36, $sub, $_, {}, [1]]");
    });
}

/// A dynamic authorizer is asked `[session, uri, action, options]`; messages wait for it, in order.
#[test]
fn a_procedure_can_decide_what_may_be_done() {
    let router = Router::start(&setup());
    let mut authorizer = join(&router, 0, "authorizer");
    authorizer.register("com.authorize", "{}", "reg");
    let mut a = join(&router, 1, "a");
    a.send(r#"[32, 1, {"match": "prefix"}, "com.topic"]"#);
    a.send(r#"[16, 2, {"acknowledge": true, "exclude_me": false}, "com.topic", [1]]"#);
    a.send(r#"[48, 3, {}, "wamp.session.count"]"#);
    authorizer.expect(
        r#"[68, 1, $reg, {...}, [{"session": $a, "authrole": "asked", ...}, "com.topic", "subscribe",
            {"match": "prefix"}]]"#,
    );
    authorizer.send("[70, 1, {}, [true]]");
    a.expect("[33, 1, $sub]");
    authorizer.expect(r#"[68, 2, $reg, {...}, [$_, "com.topic", "publish", {...}]]"#);
    authorizer.send(r#"[70, 2, {}, [{"allow": true, "disclose": true}]]"#);
    a.expect_all(&["[17, 2, $_]", r#"[36, $sub, $_, {"publisher": $a, "topic": "com.topic", ...}, [1]]"#]);
    authorizer.expect(r#"[68, 3, $reg, {...}, [$_, "wamp.session.count", "call", {}]]"#);
    authorizer.send(r#"[70, 3, {}, [{"allow": false}]]"#);
    a.expect(r#"[8, 48, 3, {...}, "wamp.error.not_authorized", ...]"#);
}

#[test]
fn an_answer_that_may_be_kept_is_asked_for_once() {
    let router = Router::start(&Setup { limits: "authorizer_cache_ttl = \"10m\"", ..setup() });
    let mut authorizer = join(&router, 0, "authorizer");
    authorizer.register("com.authorize", "{}", "reg");
    let mut a = join(&router, 1, "a");
    a.send(r#"[16, 1, {"acknowledge": true}, "com.topic"]"#);
    authorizer.expect("[68, 1, $reg, {...}, [...]]");
    authorizer.send(r#"[70, 1, {}, [{"allow": true, "cache": true}]]"#);
    a.expect("[17, 1, $_]");
    a.send(r#"[16, 2, {"acknowledge": true}, "com.topic"]"#);
    a.expect("[17, 2, $_]");
    authorizer.expect_nothing();
    // Another URI is another question.
    a.send(r#"[16, 3, {"acknowledge": true}, "com.other"]"#);
    authorizer.expect("[68, 2, $reg, {...}, [...]]");
    authorizer.send("[70, 2, {}, [false]]");
    a.expect(r#"[8, 16, 3, {...}, "wamp.error.not_authorized", ...]"#);
    a.send(r#"[16, 4, {"acknowledge": true}, "com.other"]"#);
    authorizer.expect("[68, 3, $reg, {...}, [...]]");
}

#[test]
fn without_a_good_answer_nothing_may_be_done() {
    let router = Router::start(&Setup { limits: "authorizer_timeout = \"200ms\"", ..setup() });
    let mut a = join(&router, 1, "a");
    let failed = r#"[8, 48, #, {...}, "wamp.error.authorization_failed", ...]"#;
    let call = r#"[48, #, {}, "wamp.session.count"]"#;
    a.send(call);
    a.expect(failed);
    let mut authorizer = join(&router, 0, "authorizer");
    authorizer.register("com.authorize", "{}", "reg");
    for answer in ["[70, $request, {}]", "[70, $request, {}, [1]]", r#"[8, 68, $request, {}, "com.broken"]"#] {
        a.send(call);
        authorizer.unbind(&["request"]);
        authorizer.expect("[68, $request, $reg, {...}, [...]]");
        authorizer.send(answer);
        a.expect(failed);
    }
    a.send(call);
    authorizer.expect("[68, 4, $reg, {...}, [...]]");
    a.expect(failed);
}

/// A session that waits for an authorizer can leave, and so can the authorizer.
#[test]
fn those_who_wait_for_an_authorizer_can_leave() {
    let router = Router::start(&setup());
    let mut authorizer = join(&router, 0, "authorizer");
    authorizer.register("com.authorize", "{}", "reg");
    let mut a = join(&router, 1, "a");
    a.send(r#"[32, #, {}, "com.topic"]"#);
    authorizer.expect("[68, 1, $reg, {...}, [...]]");
    drop(a);
    let mut b = join(&router, 1, "b");
    b.send(r#"[32, #, {}, "com.topic"]"#);
    authorizer.send("[70, 1, {}, [true]]");
    authorizer.expect_all(&["[68, 2, $reg, {...}, [...]]"]);
    authorizer.goodbye();
    b.expect(r#"[8, 32, #, {...}, "wamp.error.authorization_failed", ...]"#);
}

/// A realm has as many sessions as its limit says; the one too many is told, and room is made by who leaves.
#[test]
fn a_realm_has_as_many_sessions_as_the_limit_says() {
    let realm = "limits = { sessions_max = 2 }";
    everywhere_with(&Setup { limits: "sessions_max = 1", realm, ..Setup::default() }, |mut router| {
        let mut a = router.join("a");
        let _b = router.join("b");
        let mut c = router.connect();
        c.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        c.expect_abort("wamp.error.limit_exceeded");
        c.expect_closed();
        assert_eq!(router.drops("too_many_sessions"), 1);
        a.goodbye();
        let mut d = router.join("d");
        d.call("wamp.session.count", "", "[2]");
    });
}
