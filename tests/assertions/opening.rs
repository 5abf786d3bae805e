//! How sessions begin and end.

use crate::harness::client::{Carrier, Via};
use crate::harness::io::Endpoint;
use crate::harness::router::{ALL_ROLES, Router, Setup, everywhere};
use crossbar_cluster::wire::{Serializer, Value};

/// Row 1.
#[test]
fn welcome_comes_after_hello_and_not_before() {
    everywhere(|mut router| {
        let mut a = router.connect();
        a.expect_nothing();
        a.hello(ALL_ROLES, "a");
        a.expect_nothing();
    });
}

/// Row 1: WELCOME announces both roles, each feature being true.
#[test]
fn welcome_announces_roles_and_features() {
    everywhere(|mut router| {
        let mut a = router.connect();
        a.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        let welcome = a.receive();
        let [Value::Uint(2), Value::Uint(_), Value::Dict(details)] = welcome.as_slice() else {
            panic!("{welcome:?} is no WELCOME")
        };
        let features = |role: &str| {
            let features =
                details.dict("roles").and_then(|roles| roles.dict(role)).and_then(|role| role.dict("features"));
            let features = features.unwrap_or_else(|| panic!("no features of {role} in {details:?}"));
            assert!(features.iter().all(|(_, value)| *value == Value::Bool(true)), "{features:?}");
            features.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        let (broker, dealer) = (features("broker"), features("dealer"));
        for (announced, wanted) in [
            (&broker, "publisher_identification publisher_exclusion subscriber_blackwhite_listing"),
            (&broker, "pattern_based_subscription subscription_meta_api session_meta_api event_retention"),
            (&broker, "subscription_revocation payload_passthru_mode event_history"),
            (&dealer, "caller_identification call_canceling call_timeout progressive_call_results"),
            (&dealer, "progressive_call_invocations pattern_based_registration shared_registration"),
            (&dealer, "registration_meta_api registration_revocation session_meta_api testament_meta_api"),
            (&dealer, "payload_passthru_mode"),
        ] {
            for feature in wanted.split(' ') {
                assert!(announced.iter().any(|name| name == feature), "{feature} is not announced: {announced:?}");
            }
        }
    });
}

/// Row 1: ids are random over the whole range, so that they say nothing about other sessions.
#[test]
fn session_ids_are_random_and_in_range() {
    everywhere(|mut router| {
        let ids: Vec<u64> = (0..16)
            .map(|_| {
                let client = router.join("a");
                client.id("a")
            })
            .collect();
        assert!(ids.iter().all(|id| (1..=1 << 53).contains(id)), "{ids:?}");
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len(), "ids are not given twice: {ids:?}");
        assert_ne!(sorted, ids, "ids do not count up (but once in 16! times)");
        // That sixteen random ids are all below 2^48 happens once in 2^80 times.
        assert!(ids.iter().any(|id| *id > 1 << 48), "{ids:?}");
    });
}

/// What WELCOME says besides the roles, as design.md §9 has it.
#[test]
fn welcome_says_who_the_peer_is_and_who_serves_it() {
    everywhere(|mut router| {
        let mut a = router.connect();
        a.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        a.expect(
            r#"[2, $a, {"realm": "realm1", "authid": $authid, "authrole": "anonymous", "authmethod": "anonymous",
                "authprovider": "static", "authextra": {"x_cb_node": "edge1", "x_cb_peer": $peer, "x_cb_pid": $pid},
                "x_cb_node": "edge1", "x_cb_peer": $peer, "x_cb_pid": $pid, "roles": {...}, ...}]"#,
        );
        assert_eq!(a.id("pid"), u64::from(router.edge.pid()));
        let bindings = router.scope.lock().expect("no test panics with it");
        let text = |name: &str| bindings[name].as_str().expect("text").to_owned();
        let port = a.io.tcp().local_addr().expect("it is connected").port();
        assert_eq!(text("peer"), format!("tcp4:127.0.0.1:{port}"));
        let groups: Vec<String> = text("authid").split('-').map(str::to_owned).collect();
        let is_group = |group: &String| {
            group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        assert!(groups.len() == 6 && groups.iter().all(is_group), "{groups:?} is not like M9HL-79YM-…");
    });
}

/// Row 2.
#[test]
fn any_message_before_hello_is_a_violation() {
    let messages = [
        r#"[5, "signature", {}]"#,
        r#"[6, {}, "wamp.close.normal"]"#,
        r#"[8, 68, 1, {}, "com.error"]"#,
        r#"[16, 1, {}, "com.topic"]"#,
        r#"[32, 1, {}, "com.topic"]"#,
        "[34, 1, 1]",
        r#"[48, 1, {}, "com.procedure"]"#,
        "[49, 1, {}]",
        r#"[64, 1, {}, "com.procedure"]"#,
        "[66, 1, 1]",
        "[70, 1, {}]",
        r#"[2, 1, {"roles": {}}]"#,
    ];
    everywhere(|mut router| {
        for message in messages {
            let mut a = router.connect();
            a.send(message);
            a.expect_violation();
        }
    });
}

/// Row 3.
#[test]
fn a_second_hello_is_a_violation_and_ends_the_session() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        a.register("com.procedure", "{}", "reg");
        a.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        a.expect_violation();
        b.call_fails("wamp.session.get", "[$a]", "wamp.error.no_such_session");
        b.call_fails("wamp.subscription.get", "[$sub]", "wamp.error.no_such_subscription");
        b.call_fails("com.procedure", "", "wamp.error.no_such_procedure");
    });
}

/// Messages for routers to send, and AUTHENTICATE without a CHALLENGE.
#[test]
fn messages_for_others_to_send_are_violations_in_a_session() {
    let messages = [
        r#"[2, 1, {"roles": {}}]"#,
        r#"[4, "ticket", {}]"#,
        r#"[5, "signature", {}]"#,
        "[17, 1, 1]",
        "[33, 1, 1]",
        "[35, 1]",
        "[36, 1, 1, {}]",
        "[50, 1, {}]",
        "[65, 1, 1]",
        "[67, 1]",
        "[68, 1, 1, {}]",
        "[69, 1, {}]",
    ];
    everywhere(|mut router| {
        for message in messages {
            let mut a = router.join("a");
            a.send(message);
            a.expect_violation();
        }
    });
}

/// Row 4: what is no message at all, in each serializer on each transport.
#[test]
fn what_is_no_message_is_a_violation() {
    let router = Router::start(&Setup::default());
    for via in Via::all() {
        let bytes: &[&[u8]] = match via.serializer {
            Serializer::Json => {
                &[b"[", b"{}", b"[]", b"[32,1,{},\"com.x\"] ]", b"[9,1]", b"\"text\"", b"[\"32\",1,{}]"]
            }
            Serializer::Cbor => &[b"\x82\x18", b"\xa0", b"\x80", b"\x82\x09\x01", b"\xff", b"\x61a", b"\x81\x09\x00"],
            Serializer::MsgPack => {
                &[b"\x92\x20", b"\x80", b"\x90", b"\x92\x09\x01", b"\xc1", b"\xa1a", b"\x91\x09\x00"]
            }
        };
        for bytes in bytes {
            let mut a = router.connect_via(via);
            a.hello(ALL_ROLES, "a");
            a.send_bytes(bytes);
            let sentence = a.expect_violation();
            assert!(!sentence.is_empty(), "{bytes:?}");
        }
    }
}

/// Row 4: elements that are missing, too many or of another type; and options that the router knows.
#[test]
fn mistyped_messages_are_violations_that_name_what_is_wrong() {
    let messages = [
        ("[32, 1, {}]", "Topic"),
        (r#"[32, 1, [], "com.x"]"#, "Options"),
        ("[32, 1, {}, 7]", "Topic"),
        (r#"[32, "1", {}, "com.x"]"#, "Request"),
        (r#"[32, 1, {}, "com.x", []]"#, "elements"),
        (r#"[32, true, {}, "com.x"]"#, "Request"),
        (r#"[16, 1, {}, "com.x", {}]"#, "Arguments"),
        (r#"[16, 1, {}, "com.x", [], []]"#, "ArgumentsKw"),
        (r#"[16, 1, {"acknowledge": 1}, "com.x"]"#, "acknowledge"),
        (r#"[16, 1, {"exclude_me": "no"}, "com.x"]"#, "exclude_me"),
        (r#"[16, 1, {"eligible": 7}, "com.x"]"#, "eligible"),
        (r#"[16, 1, {"exclude_authid": [7]}, "com.x"]"#, "exclude_authid"),
        (r#"[32, 1, {"match": "regex"}, "com.x"]"#, "match"),
        (r#"[64, 1, {"invoke": "all"}, "com.x"]"#, "invoke"),
        (r#"[64, 1, {"concurrency": 0}, "com.x"]"#, "concurrency"),
        (r#"[48, 1, {"timeout": -1}, "com.x"]"#, "timeout"),
        (r#"[48, 1, {"receive_progress": 1}, "com.x"]"#, "receive_progress"),
        (r#"[49, 1, {"mode": "softly"}]"#, "mode"),
    ];
    everywhere(|mut router| {
        for (message, named) in messages {
            let mut a = router.join("a");
            a.send(message);
            let sentence = a.expect_violation();
            assert!(sentence.contains(named), "{message}: {sentence:?} does not name {named}");
        }
    });
}

/// Keys of options and details are unique.
#[test]
fn a_key_that_is_there_twice_is_a_violation() {
    let router = Router::start(&Setup::default());
    for (serializer, bytes) in [
        (Serializer::Json, &br#"[32,1,{"match":"exact","match":"prefix"},"com.x"]"#[..]),
        (Serializer::Cbor, b"\x84\x18\x20\x01\xa2\x61a\x01\x61a\x02\x65com.x"),
        (Serializer::MsgPack, b"\x94\x20\x01\x82\xa1a\x01\xa1a\x02\xa5com.x"),
    ] {
        let mut a = router.connect_via(Via::new(Carrier::WebSocket, serializer));
        a.hello(ALL_ROLES, "a");
        a.send_bytes(bytes);
        a.expect_violation();
    }
}

/// JSON is sent as text, the others as binary.
#[test]
fn the_wrong_kind_of_websocket_message_is_a_violation() {
    use crossbar_cluster::wire::websocket::{FrameHead, write_frame};
    let router = Router::start(&Setup::default());
    for (serializer, head) in [
        (Serializer::Json, FrameHead::BINARY),
        (Serializer::Cbor, FrameHead::TEXT),
        (Serializer::MsgPack, FrameHead::TEXT),
    ] {
        let mut a = router.connect_via(Via::new(Carrier::WebSocket, serializer));
        a.hello(ALL_ROLES, "a");
        let mut frame = Vec::new();
        write_frame(&mut frame, head.masked([1, 2, 3, 4]), b"[1]");
        a.write(&frame);
        a.expect_violation();
    }
}

/// What follows a violation is not looked at, and what a client had is gone at once.
#[test]
fn nothing_is_done_after_a_violation() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        b.subscribe("com.topic", "{}", "sub");
        a.register("com.procedure", "{}", "reg");
        let violation = a.frame(b"x");
        let publish = crate::harness::client::encode(
            a.via.serializer,
            &[16u64.into(), 2u64.into(), Value::Dict(Default::default()), "com.topic".into()],
        );
        let publish = a.frame(&publish);
        a.write(&[violation, publish.clone(), publish].concat());
        a.expect_violation();
        b.expect_nothing();
        b.call_fails("com.procedure", "", "wamp.error.no_such_procedure");
        assert_eq!(router.drops("protocol_violation"), 1);
    });
}

/// Row 5.
#[test]
fn hello_without_a_role_is_a_violation() {
    everywhere(|mut router| {
        for details in ["{}", r#"{"roles": {}}"#, r#"{"roles": {"broker": {}}}"#, r#"{"roles": 1}"#, r#"{"roles": []}"#]
        {
            let mut a = router.connect();
            a.send(&format!(r#"[1, "realm1", {details}]"#));
            a.expect_violation();
        }
        for role in ["publisher", "subscriber", "caller", "callee"] {
            let mut a = router.connect();
            a.hello(&format!(r#"{{"roles": {{"{role}": {{}}}}}}"#), "a");
        }
    });
}

/// Row 6.
#[test]
fn an_unknown_realm_is_refused_by_name() {
    everywhere(|mut router| {
        let mut a = router.connect();
        a.send(&format!(r#"[1, "realm2", {ALL_ROLES}]"#));
        let sentence = a.expect_abort("wamp.error.no_such_realm");
        assert!(sentence.contains("realm2"), "{sentence}");
        let mut b = router.connect();
        b.send(&format!(r#"[1, "not a realm", {ALL_ROLES}]"#));
        b.expect_abort("wamp.error.invalid_uri");
    });
}

/// Row 7.
#[test]
fn goodbye_is_echoed_and_the_transport_can_be_used_again() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        a.send(r#"[6, {"message": "that was all"}, "wamp.close.close_realm"]"#);
        a.expect(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
        b.call_fails("wamp.session.get", "[$a]", "wamp.error.no_such_session");
        b.publish("com.topic", "{}", "");
        a.expect_nothing();
        a.hello(ALL_ROLES, "again");
        assert_ne!(a.id("again"), a.id("a"));
        // Request ids begin at 1 again, and nothing is left of the first session.
        a.call_fails("wamp.subscription.get", "[$sub]", "wamp.error.no_such_subscription");
        b.publish("com.topic", "{}", "");
        a.expect_nothing();
        b.call("wamp.session.get", "[$again]", r#"[{"session": $again, ...}]"#);
    });
}

/// Row 8.
#[test]
fn abort_is_not_answered_and_frees_everything() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        a.register("com.procedure", "{}", "reg");
        b.call("wamp.session.count", "", "[2]");
        a.send(r#"[3, {}, "wamp.error.protocol_violation"]"#);
        a.expect_closed();
        b.call("wamp.session.count", "", "[1]");
        b.call_fails("wamp.subscription.get", "[$sub]", "wamp.error.no_such_subscription");
        b.call_fails("com.procedure", "", "wamp.error.no_such_procedure");
    });
}

/// ABORT is not answered before a session either.
#[test]
fn abort_instead_of_hello_is_not_answered() {
    everywhere(|mut router| {
        let mut a = router.connect();
        a.send(r#"[3, {}, "com.nevermind"]"#);
        a.expect_closed();
    });
}

/// A peer that is gone without a word is gone for the others too.
#[test]
fn a_lost_transport_ends_the_session() {
    everywhere(|mut router| {
        for reset in [false, true] {
            let mut a = router.join("a");
            let mut b = router.join("b");
            b.subscribe("wamp.session.on_leave", "{}", "left");
            a.register("com.procedure", "{}", "reg");
            let io = a.into_io();
            if reset {
                io.reset()
            } else {
                drop(io)
            }
            b.expect("[36, $left, $_, {}, [$a, $_, \"anonymous\"]]");
            b.call_fails("com.procedure", "", "wamp.error.no_such_procedure");
            b.goodbye();
        }
    });
}

/// Optional keys and keys that nobody knows do no harm.
#[test]
fn hello_may_say_more() {
    everywhere(|mut router| {
        let mut a = router.connect();
        let roles = ALL_ROLES.strip_suffix('}').expect("a dict");
        a.send(&format!(
            r#"[1, "realm1", {roles}, "agent": "test/1", "authextra": {{"x": [1, 2]}}, "_mine": {{}},
                "resumable": true}}]"#
        ));
        a.expect(r#"[2, $_, {"authextra": {"x": [1, 2], ...}, ...}]"#);
    });
}

/// The endpoints of a router are what it announces.
#[test]
fn listeners_are_announced() {
    let router = Router::start(&Setup::default());
    for via in [Via::new(Carrier::WebSocket, Serializer::Json), Via::new(Carrier::RawSocket, Serializer::Json)] {
        assert!(matches!(router.endpoint(via), Endpoint::Tcp(address) if address.starts_with("127.0.0.1:")));
    }
}
