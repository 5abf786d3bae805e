//! Clients that have the router keep much for them.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::router::{Router, Setup};
use crate::{Neighbours, join, list};
use crossbar_cluster::wire::{Dict, Serializer, Value};

const RAWSOCKET: Via = Via::new(Carrier::RawSocket, Serializer::MsgPack);

fn publish(client: &mut Client, topic: &str, bytes: usize) {
    let request = client.next_request();
    let args = list(vec![Value::Bytes(vec![0; bytes])]);
    client.send_message(&[16u64.into(), request.into(), Dict::new().into(), topic.into(), args]);
}

/// None of these receivers has a full outbox, but all together hold more than the node may keep.
#[test]
fn a_node_that_keeps_too_much_ends_who_takes_most_of_it() {
    let router = Router::start(&Setup { limits: "kept_bytes_max = \"16MiB\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let topics: Vec<String> = (0..8).map(|n| format!("com.topic{n}")).collect();
    let _slow: Vec<Client> = topics
        .iter()
        .map(|topic| {
            let mut slow = join(&router, RAWSOCKET);
            slow.subscribe(topic, "{}", "sub");
            slow
        })
        .collect();
    let mut publisher = join(&router, RAWSOCKET);
    for _ in 0..200 {
        if router.drops("memory_full") > 0 {
            break;
        }
        topics.iter().for_each(|topic| publish(&mut publisher, topic, 64 << 10));
        publisher.sync();
    }
    router.await_drops("memory_full", 1);
    assert_eq!(router.drops("slow_consumer"), 0, "no outbox was full");
    assert!(router.drops("event_unsent") > 0, "what the ended one lost is counted");
    let kept = router.metric("crossbar_kept_bytes{realm=\"\",kind=\"outboxes\"}");
    assert!((1 << 20..16 << 20).contains(&kept), "{kept} bytes are kept for the others");
    neighbours.stop();
}

/// Each of these asks for more than its session may have kept, and is told so.
#[test]
fn who_wants_too_much_kept_is_refused_by_name() {
    let router = Router::start(&Setup { limits: "kept_bytes_per_session_max = \"64KiB\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let long = "x".repeat(900);
    let refused = "wamp.error.limit_exceeded";
    let mut client = join(&router, RAWSOCKET);
    let kept = |router: &Router| router.metric("crossbar_kept_bytes{realm=\"realm1\",kind=\"subscriptions\"}");
    let before = kept(&router);
    let refuses = |client: &mut Client, request: &str| {
        for n in 0..200 {
            client.send(&request.replace('N', &n.to_string()));
            let answer = client.receive();
            if answer[0] == Value::Uint(8) {
                assert_eq!(answer[4], refused.into(), "{answer:?}");
                let sentence = answer[5].as_list().expect("a sentence")[0].clone();
                assert!(
                    sentence.as_str().expect("text").contains("kept_bytes_per_session_max = 65536"),
                    "{sentence:?}"
                );
                return;
            }
        }
        panic!("{request} was never refused");
    };
    refuses(&mut client, &format!(r#"[32, #, {{}}, "com.N.{long}"]"#));
    assert!(kept(&router) > before + (40 << 10), "what it has is shown");
    client.goodbye();
    let mut client = join(&router, RAWSOCKET);
    refuses(&mut client, &format!(r#"[64, #, {{}}, "com.N.{long}"]"#));
    client.goodbye();
    let mut client = join(&router, RAWSOCKET);
    let args = format!(r#"["com.testament", ["{}"], {{}}]"#, "x".repeat(10_000));
    refuses(&mut client, &format!(r#"[48, #, {{}}, "wamp.session.add_testament", {args}]"#));
    client.goodbye();
    neighbours.stop();
}
