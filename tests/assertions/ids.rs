//! Request ids, and the ids that the router chooses.

use crate::harness::client::{Carrier, Via};
use crate::harness::router::{ALL_ROLES, NO_FEATURES, Router, Setup, everywhere, everywhere_with};
use crossbar_cluster::wire::Serializer;

/// Row 9.
#[test]
fn request_ids_count_up_from_one_over_all_requests() {
    everywhere_with(&strict(), |mut router| {
        let mut a = router.join("a");
        a.send(r#"[32, 1, {}, "com.topic"]"#);
        a.expect("[33, 1, $sub]");
        a.send(r#"[16, 2, {"acknowledge": true}, "com.topic"]"#);
        a.expect("[17, 2, $_]");
        a.send(r#"[48, 3, {}, "wamp.session.count"]"#);
        a.expect("[50, 3, {}, [1]]");
        a.send(r#"[64, 4, {}, "com.procedure"]"#);
        a.expect("[65, 4, $reg]");
        a.send("[66, 5, $reg]");
        a.expect("[67, 5]");
        a.send("[34, 6, $sub]");
        a.expect("[35, 6]");
    });
}

/// Row 9.
#[test]
fn a_gap_or_a_repetition_of_request_ids_is_a_violation_in_a_strict_realm() {
    everywhere_with(&strict(), |mut router| {
        for (first, second) in [(2, None), (1, Some(3)), (1, Some(1)), (1_u64 << 53, None)] {
            let mut a = router.join_with(NO_FEATURES, "a");
            a.send(&format!(r#"[32, {first}, {{}}, "com.topic"]"#));
            if let Some(second) = second {
                a.expect("[33, 1, $_]");
                a.send(&format!(r#"[48, {second}, {{}}, "wamp.session.count"]"#));
            }
            let sentence = a.expect_violation();
            assert!(sentence.contains("request id"), "{sentence}");
        }
    });
}

/// Without a word in the configuration.
#[test]
fn every_request_id_that_is_not_in_use_is_answered() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        for id in [123, 789, 1_u64 << 53, 5] {
            a.send(&format!(r#"[32, {id}, {{}}, "com.topic"]"#));
            a.expect(&format!("[33, {id}, $sub]"));
            a.send(&format!(r#"[16, {id}, {{"acknowledge": true}}, "com.other"]"#));
            a.expect(&format!("[17, {id}, $_]"));
            a.send(&format!(r#"[64, {id}, {{}}, "com.procedure"]"#));
            a.expect(&format!("[65, {id}, $reg]"));
            a.send(&format!("[66, {id}, $reg]"));
            a.expect(&format!("[67, {id}]"));
            a.unbind(&["reg"]);
        }
        let mut b = router.join_with(NO_FEATURES, "b");
        for session in [&mut a, &mut b] {
            for id in [500, 2, 2, 499] {
                session.send(&format!(r#"[48, {id}, {{}}, "wamp.session.count"]"#));
                session.expect(&format!("[50, {id}, {{}}, [2]]"));
            }
        }
    });
}

/// As callers that can send parts of calls do it on several threads: the callee answers in its own order, too.
#[test]
fn calls_whose_ids_come_out_of_order_are_all_answered() {
    everywhere(|mut router| {
        let (mut caller, mut callee) = (router.join("caller"), router.join("callee"));
        callee.register("com.procedure", "{}", "reg");
        let calls = [(1, 7), (2, 3), (3, 9), (4, 1), (5, 8), (6, 2)];
        for (_, id) in calls {
            caller.send(&format!(r#"[48, {id}, {{}}, "com.procedure", [{id}]]"#));
        }
        for (n, id) in calls {
            callee.expect(&format!("[68, {n}, $reg, {{}}, [{id}]]"));
        }
        for (n, id) in calls.into_iter().rev() {
            callee.send(&format!("[70, {n}, {{}}, [{id}]]"));
            caller.expect(&format!("[50, {id}, {{}}, [{id}]]"));
        }
    });
}

/// An id that is in use is taken for a part of its call only if that has more parts to come.
#[test]
fn a_part_continues_an_open_call_and_nothing_else() {
    everywhere(|mut router| {
        let (mut caller, mut callee) = (router.join("caller"), router.join("callee"));
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, 9, {"progress": true}, "com.procedure", [1]]"#);
        callee.expect(r#"[68, 1, $reg, {"progress": true}, [1]]"#);
        caller.send(r#"[48, 4, {}, "com.procedure", [2]]"#);
        callee.expect("[68, 2, $reg, {}, [2]]");
        callee.send(r#"[8, 68, 1, {}, "com.error"]"#);
        caller.expect(r#"[8, 48, 9, {}, "com.error"]"#);
        // These were on their way while the call ended; they have their answer.
        caller.send(r#"[48, 9, {"progress": true}, "com.procedure", [3]]"#);
        caller.send(r#"[48, 9, {}, "com.procedure", [4]]"#);
        callee.expect_nothing();
        caller.expect_nothing();
        // So the id is free again.
        caller.send(r#"[48, 9, {}, "com.procedure", [5]]"#);
        callee.expect("[68, 3, $reg, {}, [5]]");
        caller.send(r#"[48, 4, {}, "com.procedure", [6]]"#);
        assert!(caller.expect_violation().contains("CALL 4 is still open"));
    });
}

/// Row 10.
#[test]
fn request_ids_that_are_none_are_violations() {
    let router = Router::start(&Setup::default());
    for via in [
        Via::new(Carrier::WebSocket, Serializer::Json),
        Via::new(Carrier::RawSocket, Serializer::Cbor),
        Via::new(Carrier::WebSocket, Serializer::MsgPack),
    ] {
        for id in ["0", "-1", "9007199254740993", "18446744073709551615", "1.5", "1.0", "true", "null", "\"1\""] {
            let mut a = router.connect_via(via);
            a.hello(ALL_ROLES, "a");
            a.send(&format!(r#"[32, {id}, {{}}, "com.topic"]"#));
            a.expect_violation();
        }
    }
}

/// Row 11.
#[test]
fn invocations_count_from_one_for_each_callee() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        let mut c = router.join("c");
        a.register("com.a1", "{}", "a1");
        a.register("com.a2", "{}", "a2");
        b.register("com.b", "{}", "b1");
        for (n, procedure) in [(1, "a1"), (2, "a2"), (3, "a1")] {
            c.send(&format!(r#"[48, #, {{}}, "com.{procedure}"]"#));
            a.expect(&format!("[68, {n}, ${procedure}, {{}}]"));
            a.send(&format!("[70, {n}, {{}}, [{n}]]"));
            c.expect(&format!("[50, #, {{}}, [{n}]]"));
        }
        c.send(r#"[48, #, {}, "com.b"]"#);
        b.expect("[68, 1, $b1, {}]");
    });
}

/// The router's own ids are random (publications) or in range (all of them).
#[test]
fn the_routers_ids_are_in_range() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        a.subscribe("com.topic", "{}", "sub");
        a.register("com.procedure", "{}", "reg");
        let mut ids = vec![a.id("sub"), a.id("reg")];
        for _ in 0..8 {
            a.unbind(&["publication"]);
            a.send(r#"[16, #, {"acknowledge": true}, "com.other"]"#);
            a.expect("[17, #, $publication]");
            ids.push(a.id("publication"));
        }
        assert!(ids.iter().all(|id| (1..=1 << 53).contains(id)), "{ids:?}");
        let publications = &ids[2..];
        assert!(publications.iter().any(|id| *id > 1 << 45), "publication ids are random: {publications:?}");
    });
}

fn strict() -> Setup {
    Setup { realm: "request_ids = \"strict\"", ..Setup::default() }
}

/// An old handle must not end what the session has registered or subscribed to since.
#[test]
fn an_id_that_was_given_up_does_not_come_again() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        for round in ["one", "two", "three"] {
            a.register("com.procedure", "{}", &format!("reg_{round}"));
            a.subscribe("com.topic", "{}", &format!("sub_{round}"));
            a.send(&format!("[66, #, $reg_{round}]"));
            a.expect("[67, #]");
            a.send(&format!("[34, #, $sub_{round}]"));
            a.expect("[35, #]");
        }
        a.register("com.procedure", "{}", "reg");
        a.subscribe("com.topic", "{}", "sub");
        for old in ["one", "two", "three"] {
            a.send(&format!("[66, #, $reg_{old}]"));
            a.expect(r#"[8, 66, #, {}, "wamp.error.no_such_registration", ...]"#);
            a.send(&format!("[34, #, $sub_{old}]"));
            a.expect(r#"[8, 34, #, {}, "wamp.error.no_such_subscription", ...]"#);
        }
        b.send(r#"[48, #, {}, "com.procedure"]"#);
        a.expect("[68, 1, $reg, {}]");
        a.send("[70, 1, {}]");
        b.expect("[50, #, {}]");
        b.publish("com.topic", "{}", "");
        a.expect("[36, $sub, $_, {}]");
        // For others it is the first time.
        a.send("[66, #, $reg]");
        a.expect("[67, #]");
        b.register("com.procedure", "{}", "reg_one");
    });
}
