//! Rows 41 and 42: what comes before what.

use crate::harness::client::{Client, encode};
use crate::harness::router::everywhere;
use crossbar_cluster::wire::{Dict, Value};

/// Sends many messages in one write, so that nothing but the router can keep their order.
fn burst(client: &mut Client, messages: impl IntoIterator<Item = Vec<Value>>) {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend(client.frame(&encode(client.via.serializer, &message)));
    }
    client.write(&bytes);
}

fn dict() -> Value {
    Dict::new().into()
}

const N: u64 = 500;

/// Row 41.
#[test]
fn events_of_one_publisher_arrive_in_order_over_all_topics() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        for topic in 0..3 {
            a.subscribe(&format!("com.topic{topic}"), "{}", &format!("sub{topic}"));
        }
        let subscriptions = [a.id("sub0"), a.id("sub1"), a.id("sub2")];
        let topic = |n: u64| (n * n % 3) as usize;
        burst(
            &mut b,
            (1..=N).map(|n| {
                let topic = format!("com.topic{}", topic(n));
                vec![16u64.into(), n.into(), dict(), topic.into(), vec![Value::from(n)].into()]
            }),
        );
        for n in 1..=N {
            let event = a.receive();
            assert_eq!(event[0], Value::Uint(36));
            assert_eq!(event[1], Value::Uint(subscriptions[topic(n)]));
            assert_eq!(event[4], Value::List(vec![n.into()]));
        }
    });
}

/// Row 41.
#[test]
fn calls_of_one_caller_arrive_in_order_over_all_procedures() {
    everywhere(|mut router| {
        let mut callee = router.join("callee");
        let mut caller = router.join("caller");
        for procedure in 0..3 {
            callee.register(&format!("com.procedure{procedure}"), "{}", &format!("reg{procedure}"));
        }
        burst(
            &mut caller,
            (1..=N).map(|n| {
                let procedure = format!("com.procedure{}", n * n % 3);
                vec![48u64.into(), n.into(), dict(), procedure.into(), vec![Value::from(n)].into()]
            }),
        );
        for n in 1..=N {
            let invocation = callee.receive();
            assert_eq!((&invocation[0], &invocation[1]), (&Value::Uint(68), &Value::Uint(n)));
            assert_eq!(invocation[4], Value::List(vec![n.into()]));
        }
        // Answers of one callee come in its order as well.
        burst(&mut callee, (1..=N).rev().map(|n| vec![70u64.into(), n.into(), dict(), vec![Value::from(n)].into()]));
        for n in (1..=N).rev() {
            let result = caller.receive();
            assert_eq!((&result[0], &result[1]), (&Value::Uint(50), &Value::Uint(n)));
            assert_eq!(result[3], Value::List(vec![n.into()]));
        }
    });
}

/// Row 42: under a stream of publications, SUBSCRIBED comes before the first event of the subscription, and from then
/// on nothing is missing.
#[test]
fn subscribed_comes_before_the_first_event() {
    everywhere(|mut router| {
        let mut publisher = router.join("publisher");
        let mut a = router.join("a");
        let mut other = router.join("other");
        other.subscribe("com.topic", "{}", "all");
        let publish = |n: u64| vec![16u64.into(), n.into(), dict(), "com.topic".into(), vec![Value::from(n)].into()];
        burst(&mut publisher, (1..=N).map(publish));
        for n in 0..20 {
            a.send(r#"[32, #, {}, "com.topic"]"#);
            burst(&mut publisher, (1..=20).map(|k| publish(N + n * 20 + k)));
            a.send("[34, #, $all]");
        }
        a.sync();
        publisher.sync();
        let (mut subscribed, mut last) = (false, 0);
        while let Some(message) = a.take_received() {
            match message[0] {
                Value::Uint(33) => (subscribed, last) = (true, 0),
                Value::Uint(35) => subscribed = false,
                Value::Uint(36) => {
                    assert!(subscribed, "an event outside of its subscription");
                    let n = message[4].as_list().expect("arguments")[0].as_uint().expect("a number");
                    assert!(last == 0 || n == last + 1, "{n} came after {last}");
                    last = n;
                }
                _ => panic!("unexpected {message:?}"),
            }
        }
        other.sync();
        for n in 1..=N + 400 {
            assert_eq!(other.receive()[4], Value::List(vec![n.into()]), "nobody else misses anything");
        }
    });
}

/// Row 42: the same for REGISTERED and INVOCATION.
#[test]
fn registered_comes_before_the_first_invocation() {
    everywhere(|mut router| {
        let mut caller = router.join("caller");
        let mut a = router.join("a");
        let call = |n: u64| vec![48u64.into(), n.into(), dict(), "com.procedure".into()];
        burst(&mut caller, (1..=N).map(call));
        a.send(r#"[64, 1, {}, "com.procedure"]"#);
        burst(&mut caller, (N + 1..=2 * N).map(call));
        assert_eq!(a.receive()[0], Value::Uint(65), "REGISTERED is the first to come");
        a.sync();
        caller.sync();
        a.sync();
        let mut invocations = 0;
        while let Some(message) = a.take_received() {
            invocations += 1;
            assert_eq!((&message[0], &message[1]), (&Value::Uint(68), &Value::Uint(invocations)));
        }
        let mut refused = 0;
        while let Some(message) = caller.take_received() {
            assert_eq!(message[0], Value::Uint(8));
            refused += 1;
        }
        assert_eq!(invocations + refused, 2 * N, "every call is answered or invoked");
    });
}

/// Requests of one session are handled in order, whatever they are.
#[test]
fn a_subscription_counts_for_the_publication_behind_it() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let messages = ["[32, 1, {}, \"com.topic\"]", r#"[16, 2, {"exclude_me": false}, "com.topic", [1]]"#];
        let bytes: Vec<u8> = messages
            .iter()
            .flat_map(|text| {
                let filled = crate::harness::pattern::Pattern::parse(text).fill(&Default::default(), &mut || 0);
                a.frame(&encode(a.via.serializer, &filled))
            })
            .collect();
        a.write(&bytes);
        a.expect("[33, 1, $sub]");
        a.expect("[36, $sub, $_, {}, [1]]");
    });
}

/// HELLO and what follows may come in one write.
#[test]
fn a_client_need_not_wait_for_welcome() {
    everywhere(|mut router| {
        let mut a = router.connect();
        let texts = [
            r#"[1, "realm1", {"roles": {"caller": {}}}]"#.to_owned(),
            "[48, 1, {}, \"wamp.session.count\"]".to_owned(),
        ];
        let bytes: Vec<u8> = texts
            .iter()
            .flat_map(|text| {
                let filled = crate::harness::pattern::Pattern::parse(text).fill(&Default::default(), &mut || 0);
                a.frame(&encode(a.via.serializer, &filled))
            })
            .collect();
        a.write(&bytes);
        a.expect("[2, $_, {...}]");
        a.expect("[50, 1, {}, [1]]");
    });
}
