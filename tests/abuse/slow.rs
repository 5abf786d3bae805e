//! Receivers that do not read.

use crate::harness::Edge;
use crate::harness::client::{Carrier, Client, Via};
use crate::harness::io::Endpoint;
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of};
use crate::{Neighbours, join, list};
use crossbar_cluster::wire::deflate::DeflateConfig;
use crossbar_cluster::wire::{Dict, Serializer, Value};
use rand::{RngExt, SeedableRng};
use std::io::Write;

const SMALL: &str = "outbox_bytes_max = \"256KiB\"\nmessage_bytes_max = \"256KiB\"";
const WEBSOCKET: Via = Via::new(Carrier::WebSocket, Serializer::Cbor);
const RAWSOCKET: Via = Via::new(Carrier::RawSocket, Serializer::MsgPack);

/// What the n-th event says: its number, and 64 KiB.
fn payload(n: u64) -> Value {
    list(vec![n.into(), Value::Bytes(vec![n as u8; 64 << 10])])
}

fn publish(client: &mut Client, topic: &str, n: u64) {
    let request = client.next_request();
    client.send_message(&[16u64.into(), request.into(), Dict::new().into(), topic.into(), payload(n)]);
}

/// The number of an event.
fn number(event: &[Value]) -> u64 {
    assert_eq!(event[0], Value::Uint(36), "it is an event");
    event[4].as_list().expect("arguments")[0].as_uint().expect("a number")
}

/// Enough to fill every buffer on the way to one who does not read.
const N: u64 = 400;

#[test]
fn who_does_not_read_is_disconnected_and_nobody_else_misses_anything() {
    let router = Router::start(&Setup { limits: SMALL, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut n_unsent = 0;
    for (n_slow, via) in (1..).zip([RAWSOCKET, Via::new(Carrier::WebSocket, Serializer::Json)]) {
        let mut slow = join(&router, via);
        slow.subscribe("com.topic", "{}", "sub");
        let slow_id = slow.id("offender");
        let mut publisher = join(&router, RAWSOCKET);
        let mut others: Vec<Client> = Via::all().step_by(4).map(|via| join(&router, via)).collect();
        for other in &mut others {
            other.subscribe("com.topic", "{}", "sub");
        }
        others[0].subscribe("wamp.session.on_leave", "{}", "left");
        for n in 1..=N {
            publish(&mut publisher, "com.topic", n);
            for other in &mut others {
                let mut event = other.receive();
                if event[1] == other.id("left").into() {
                    assert_eq!(event[4].as_list().expect("arguments")[0], slow_id.into());
                    event = other.receive();
                }
                assert_eq!(number(&event), n, "{:?} gets every event in order", other.via);
            }
        }
        router.await_drops("slow_consumer", n_slow);
        let n_lost = router.drops("event_unsent") - n_unsent;
        assert!((1..N).contains(&n_lost), "{n_lost} events waited for it");
        n_unsent += n_lost;
        publisher.call_fails("wamp.session.get", &format!("[{slow_id}]"), "wamp.error.no_such_session");
        // What it gets when it reads after all is a beginning without gaps, and then the end.
        slow.into_io().read_to_close();
        assert_eq!(router.drops("oldest_event"), 0);
        drop(others);
        publisher.goodbye();
    }
    neighbours.stop();
}

/// The policy by which a receiver stays and loses its oldest events, which are counted.
#[test]
fn the_oldest_events_are_dropped_where_that_is_the_policy() {
    let setup = Setup { limits: SMALL, realm: "slow_consumer = \"drop_oldest\"", ..Setup::default() };
    let router = Router::start(&setup);
    let neighbours = Neighbours::start(&router);
    drops_oldest(&router, "com.topic");
    neighbours.stop();
}

/// The same for some topics only.
#[test]
fn the_policy_can_be_one_of_topics() {
    let rules = "[[realm.slow_consumer_rule]]\nuri = \"com.lossy.\"\nmatch = \"prefix\"\naction = \"drop_oldest\"\n";
    let router = Router::start(&Setup { limits: SMALL, rules, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    drops_oldest(&router, "com.lossy.topic");
    // Events of another topic disconnect.
    let mut slow = join(&router, RAWSOCKET);
    slow.subscribe("com.topic", "{}", "sub");
    let mut publisher = join(&router, RAWSOCKET);
    for n in 1..=N {
        publish(&mut publisher, "com.topic", n);
    }
    router.await_drops("slow_consumer", 1);
    neighbours.stop();
}

fn drops_oldest(router: &Router, topic: &str) {
    for (via, options, uri) in
        [(RAWSOCKET, "{}", topic), (WEBSOCKET, r#"{"match": "prefix"}"#, &topic[..topic.len() - 1])]
    {
        let before = router.drops("oldest_event");
        let mut slow = join(router, via);
        slow.subscribe(uri, options, "sub");
        let mut publisher = join(router, RAWSOCKET);
        for n in 1..=N {
            publish(&mut publisher, topic, n);
        }
        publisher.sync();
        let dropped = router.drops("oldest_event") - before;
        assert!(dropped > 0, "{via:?}: events were dropped");
        // For what may be lost nobody is kept waiting.
        assert_eq!(router.metric("crossbar_publisher_stalls_total"), 0);
        assert_eq!(router.drops("slow_consumer"), 0);
        // It reads again: what was dropped is missing in the middle, and all else comes in order.
        let mut numbers = vec![number(&slow.receive())];
        while *numbers.last().expect("there is one") < N {
            numbers.push(number(&slow.receive()));
        }
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert_eq!(numbers.len() as u64 + dropped, N, "{via:?}: what is missing was counted");
        slow.call("wamp.session.count", "", "[$_]");
        slow.goodbye();
        publisher.goodbye();
    }
}

/// A compressed stream stays whole when events are dropped out of it: none that is sent refers to one that is not.
#[test]
fn compressed_receivers_lose_events_and_not_their_stream() {
    let listeners = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n[listen.compression]\n".to_owned();
    let realm = "slow_consumer = \"drop_oldest\"";
    let router = Router::start(&Setup { limits: SMALL, realm, listeners, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    for no_takeover in [false, true] {
        let config = DeflateConfig {
            server_window_bits_max: 15,
            client_window_bits_max: 15,
            server_no_context_takeover: no_takeover,
            client_no_context_takeover: false,
            level: 1,
            message_bytes_min: 0,
        };
        let before = router.drops("oldest_event");
        let io = endpoint_of(router.edge.nth_url("ws", 1)).connect();
        let mut slow = Client::open_compressed(io, WEBSOCKET, router.scope.clone(), &config);
        slow.hello(ALL_ROLES, "slow");
        slow.subscribe("com.topic", "{}", "sub");
        let mut publisher = join(&router, RAWSOCKET);
        // What cannot be made smaller fills the outbox, and each event begins as the one before ends.
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut noise = |bytes: usize| (0..bytes).map(|_| rng.random()).collect::<Vec<u8>>();
        let (mut old, mut sent) = (noise(24 << 10), Vec::new());
        for n in 1..=N {
            let new = noise(24 << 10);
            let payload = list(vec![n.into(), Value::Bytes([old, new.clone()].concat())]);
            let request = publisher.next_request();
            publisher.send_message(&[
                16u64.into(),
                request.into(),
                Dict::new().into(),
                "com.topic".into(),
                payload.clone(),
            ]);
            sent.push(payload);
            old = new;
        }
        publisher.sync();
        let dropped = router.drops("oldest_event") - before;
        assert!(dropped > 0, "events were dropped");
        let mut received = 0;
        loop {
            let event = slow.receive();
            received += 1;
            let n = number(&event);
            assert!(event[4] == sent[n as usize - 1], "event {n} arrives as it was published");
            if n == N {
                break;
            }
        }
        assert_eq!(received + dropped, N);
        slow.call("wamp.session.count", "", "[$_]");
        slow.goodbye();
    }
    neighbours.stop();
}

/// Replies are never dropped: who does not read them is disconnected, whatever the policy.
#[test]
fn who_does_not_read_its_replies_is_disconnected() {
    let setup = Setup { limits: SMALL, realm: "slow_consumer = \"drop_oldest\"", ..Setup::default() };
    let router = Router::start(&setup);
    let neighbours = Neighbours::start(&router);
    let mut callee = join(&router, RAWSOCKET);
    callee.register("com.procedure", "{}", "reg");
    let mut slow = join(&router, Via::new(Carrier::RawSocket, Serializer::Cbor));
    for n in 1..=N {
        slow.send(r#"[48, #, {}, "com.procedure"]"#);
        let invocation = callee.receive();
        if invocation[0] != Value::Uint(68) {
            // The caller has been disconnected meanwhile.
            break;
        }
        callee.send_message(&[70u64.into(), invocation[1].clone(), Dict::new().into(), payload(n)]);
        callee.sync();
        if router.drops("slow_consumer") > 0 {
            break;
        }
    }
    router.await_drops("slow_consumer", 1);
    neighbours.stop();
}

/// Floods that make the router answer: pings, and requests that fail.
#[test]
fn who_floods_without_reading_is_disconnected() {
    let router = Router::start(&Setup { limits: SMALL, realm: "request_ids = \"lenient\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    for (n, flood) in (1..).zip(["pings", "requests"]) {
        let mut slow = join(&router, Via::new(Carrier::RawSocket, Serializer::Json));
        let piece = match flood {
            "pings" => [&[1, 0, 0xff, 0xff][..], &[b'x'; 0xffff]].concat(),
            _ => {
                // In this realm a request may have any id, so that one can be sent again and again.
                slow.frame(br#"[32,1,{},"a..b"]"#).repeat(1_000)
            }
        };
        let mut io = slow.into_io();
        let mut sender = io.tcp().try_clone().expect("a socket can be shared");
        // Sends until the router ends it.
        let flooding = std::thread::spawn(move || while sender.write_all(&piece).is_ok() {});
        router.await_drops("slow_consumer", n);
        io.read_to_close();
        flooding.join().expect("writing fails at last");
    }
    neighbours.stop();
}

/// Who pauses and goes on reading gets everything, over whatever it is connected: partial writes lose and repeat
/// nothing.
#[test]
fn who_pauses_gets_everything() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.path().join("cert.pem"), certified.cert.pem()).expect("it is written");
    std::fs::write(directory.path().join("key.pem"), certified.signing_key.serialize_pem()).expect("it is written");
    let listeners = "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\n\
                     [listen.tls]\ncertificate = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"\n\
                     [[listen]]\ntype = \"universal\"\naddress = \"unix:{dir}/edge.sock\"\n";
    let limits = "outbox_bytes_max = \"64MiB\"";
    let setup = Setup { limits, listeners: listeners.to_owned(), ..Setup::default() };
    let router = Router::of(Edge::start_with(directory, &setup.to_text(), |_| {}));
    let neighbours = Neighbours::start(&router);
    let encrypted = endpoint_of(router.edge.url("wss"));
    let file = Endpoint::Unix(router.edge.directory().join("edge.sock"));
    let connect = || {
        let tls = || encrypted.connect_tls(certified.cert.der()).expect("a TLS session");
        [
            (tls(), WEBSOCKET),
            (tls(), RAWSOCKET),
            (file.connect(), WEBSOCKET),
            (file.connect(), RAWSOCKET),
            (router.endpoint(WEBSOCKET).connect(), WEBSOCKET),
        ]
    };
    let mut slow = connect().map(|(io, via)| Client::open(io, via, router.scope.clone()));
    for client in &mut slow {
        client.hello(ALL_ROLES, "slow");
        client.subscribe("com.topic", "{}", "sub");
    }
    let mut publisher = join(&router, RAWSOCKET);
    for n in 1..=N / 4 {
        publish(&mut publisher, "com.topic", n);
    }
    publisher.sync();
    for client in &mut slow {
        for n in 1..=N / 4 {
            let event = client.receive();
            assert_eq!(number(&event), n, "{:?}", client.via);
            assert!(event[4] == payload(n), "{:?}: event {n} is whole", client.via);
        }
        client.sync();
    }
    neighbours.stop();
}

/// A receiver that does not read holds up those who feed it for a tenth of their time at most, whatever they publish to
/// it: acknowledged publications go on while its outbox fills, and after it is gone.
#[test]
fn a_receiver_that_does_not_read_holds_its_publishers_up_for_a_bounded_time() {
    let router = Router::start(&Setup { limits: "outbox_bytes_max = \"4MiB\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut slow = join(&router, RAWSOCKET);
    slow.subscribe("com.topic", "{}", "sub");
    let mut publisher = join(&router, RAWSOCKET);
    let stalls = || router.metric("crossbar_publisher_stalls_total");
    // Until the outbox is so full that publishers are stalled: the kernel's buffers are full then.
    let mut n = 0;
    while stalls() == 0 {
        n += 1;
        publish(&mut publisher, "com.topic", n);
        publisher.sync();
    }
    let (began, before) = (std::time::Instant::now(), stalls());
    for n in 0..2_000 {
        publisher.send(&format!(r#"[16, #, {{"acknowledge": true}}, "com.topic", [{n}]]"#));
        publisher.expect("[17, #, $_]");
    }
    let seconds = began.elapsed().as_secs();
    let n_stalls = stalls() - before;
    assert!(n_stalls <= 10 * (seconds + 2), "{n_stalls} stalls in {seconds} seconds");
    drop(slow);
    neighbours.stop();
}

/// A call for which its callee has no room is refused to its caller, or goes to a callee that has; the callee stays,
/// and gets the calls before it.
#[test]
fn a_callee_that_does_not_read_is_sent_no_more_calls_and_stays() {
    let router = Router::start(&Setup { limits: SMALL, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut callee = join(&router, RAWSOCKET);
    callee.register("com.procedure", r#"{"invoke": "first"}"#, "reg");
    let mut caller = join(&router, Via::new(Carrier::RawSocket, Serializer::Cbor));
    let mut refused = 0;
    for n in 1..=N {
        let request = caller.next_request();
        let call = [48u64.into(), request.into(), Dict::new().into(), "com.procedure".into(), payload(n)];
        caller.send_message(&call);
    }
    caller.sync();
    while let Some(answer) = caller.take_received() {
        assert_eq!((&answer[0], &answer[4]), (&8u64.into(), &"wamp.error.no_available_callee".into()));
        refused += 1;
    }
    assert!(refused > 0, "some had no room");
    assert_eq!(router.drops("callee_full"), refused);
    assert_eq!(router.drops("slow_consumer"), 0);
    // Another callee that reads takes what the first has no room for.
    let mut other = join(&router, RAWSOCKET);
    other.register("com.procedure", r#"{"invoke": "first"}"#, "reg");
    let request = caller.next_request();
    caller.send_message(&[48u64.into(), request.into(), Dict::new().into(), "com.procedure".into(), payload(N + 1)]);
    let invocation = other.receive();
    assert_eq!(invocation[4], payload(N + 1));
    other.send_message(&[70u64.into(), invocation[1].clone(), Dict::new().into()]);
    caller.expect("[50, #, {}]");
    // The first reads again: all that was not refused is there, in order.
    for n in 1..=N - refused {
        let invocation = callee.receive();
        assert_eq!(invocation[4], payload(n));
        callee.send_message(&[70u64.into(), invocation[1].clone(), Dict::new().into()]);
        assert_eq!(caller.receive()[0], Value::Uint(50));
    }
    callee.sync();
    neighbours.stop();
}
