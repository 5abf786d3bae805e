//! The attacks: what one anonymous client, or a crowd of them, can do with the default limits.

use crate::Force;
use crate::harness::client::{Carrier, Client, Via, encode};
use crate::harness::haproxy::Haproxy;
use crate::harness::http;
use crate::harness::io::Io;
use crate::harness::router::{ALL_ROLES, Router, endpoint_of};
use crossbar_cluster::wire::deflate::DeflateConfig;
use crossbar_cluster::wire::{Dict, Serializer, Value};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

pub(crate) const CBOR: Via = Via::new(Carrier::RawSocket, Serializer::Cbor);
const WEBSOCKET: Via = Via::new(Carrier::WebSocket, Serializer::Cbor);

/// A listener that compresses, after the two that every router has.
pub(crate) const COMPRESSED: &str =
    "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n[listen.compression]\n";

type Attack = fn(&mut Router, Force);

/// What each is called, what the realm is configured with for it, and how it is done.
pub(crate) const ATTACKS: &[(&str, &str, Attack)] = &[
    ("nobody", "", nobody),
    ("patterns of hundreds of components", "", long_patterns),
    ("very many patterns, and events that match", "", matching_patterns),
    ("testaments of a megabyte", "", large_testaments),
    ("testaments added and flushed, lists asked for", "", busy_links),
    ("all of a long history, again and again", HISTORY, history),
    ("megabytes compressed to nothing", "", inflation),
    ("pages of the client port", "", pages),
    ("retained events for long lists", "", retained_lists),
    ("calls of a megabyte that nobody answers", "", large_calls),
    ("a receiver that does not read", "", silent_receiver),
    ("half-open connections, slow readers, floods", "", crowd),
    ("another realm, flooded from many addresses", "", tenant),
    ("a thousand clients behind one address", "", one_address),
];

/// A realm of somebody else's, on the same listeners.
pub(crate) const TENANT: &str = "[[realm]]\nname = \"tenant\"\n[[realm.role]]\nname = \"anonymous\"\n\
    [[realm.role.permission]]\nuri = \"\"\nmatch = \"prefix\"\n\
    allow = [\"call\", \"register\", \"publish\", \"subscribe\"]\n";

const HISTORY: &str = "[[realm.history]]\nuri = \"com.history\"\nentries_max = 100000\n";

pub(crate) fn join(router: &Router, via: Via) -> Client {
    let mut client = router.connect_via(via);
    client.hello(ALL_ROLES, "attacker");
    client
}

/// Writes messages without waiting for anything.
fn write_all(client: &mut Client, messages: impl IntoIterator<Item = Vec<Value>>) {
    let mut bytes = Vec::new();
    for message in messages {
        let message = encode(client.via.serializer, &message);
        bytes.extend(client.frame(&message));
        if bytes.len() > 64 << 10 {
            client.write(&bytes);
            bytes.clear();
        }
    }
    client.write(&bytes);
}

/// Does something again and again for as long as the siege lasts.
fn for_a_while(force: Force, mut act: impl FnMut()) {
    let ends = Instant::now() + force.of(Duration::from_millis(300), Duration::from_secs(5));
    while Instant::now() < ends {
        act();
    }
}

/// An attacker who reads what comes, so that nothing but its own wish ends it.
fn drain(client: Client) -> std::thread::JoinHandle<()> {
    let mut io = client.into_io();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while io.read(&mut buffer).is_ok_and(|n| n > 0) {}
    })
}

pub(crate) fn request(code: u64, client: &mut Client, options: Dict, uri: &str) -> Vec<Value> {
    vec![code.into(), client.next_request().into(), options.into(), uri.into()]
}

fn nobody(_: &mut Router, force: Force) {
    for_a_while(force, || std::thread::sleep(Duration::from_millis(10)));
}

fn long_patterns(router: &mut Router, force: Force) {
    let mut attacker = join(router, CBOR);
    let wildcard = Dict::new().with("match", "wildcard");
    for n in 0..4_096 {
        let pattern = format!("n{n}{}", ".".repeat(500));
        let message = request(32, &mut attacker, wildcard.clone(), &pattern);
        write_all(&mut attacker, [message]);
    }
    attacker.sync();
    for_a_while(force, || {
        let message = request(16, &mut attacker, Dict::new(), &format!("n0{}", ".x".repeat(63)));
        write_all(&mut attacker, [message]);
        attacker.sync();
    });
}

fn matching_patterns(router: &mut Router, force: Force) {
    let topic = "x".repeat(1_000);
    let mut receivers: Vec<Client> = (0..4).map(|_| join(router, CBOR)).collect();
    for receiver in &mut receivers {
        for length in 1..=force.of(250, 1_000) {
            let prefix = Dict::new().with("match", "prefix");
            let message = request(32, receiver, prefix, &topic[..length]);
            write_all(receiver, [message]);
        }
        receiver.sync();
    }
    let readers: Vec<_> = receivers.into_iter().map(drain).collect();
    let mut attacker = join(router, CBOR);
    for_a_while(force, || {
        for _ in 0..20 {
            let message = request(16, &mut attacker, Dict::new(), &topic);
            write_all(&mut attacker, [message]);
        }
        attacker.sync();
    });
    drop((attacker, readers));
}

fn testament(client: &mut Client, bytes: usize) -> Vec<Value> {
    let arguments = vec!["com.will".into(), Value::List(vec![Value::Bytes(vec![b'x'; bytes])]), Dict::new().into()];
    let mut call = request(48, client, Dict::new(), "wamp.session.add_testament");
    call.push(Value::List(arguments));
    call
}

fn large_testaments(router: &mut Router, force: Force) {
    for _ in 0..force.of(1, 3) {
        let mut attacker = join(router, CBOR);
        for _ in 0..40 {
            let message = testament(&mut attacker, 1_000_000);
            write_all(&mut attacker, [message]);
        }
        attacker.sync();
    }
}

fn busy_links(router: &mut Router, force: Force) {
    let mut attacker = join(router, CBOR);
    for_a_while(force, || {
        for _ in 0..100 {
            let add = testament(&mut attacker, 100);
            let flush = request(48, &mut attacker, Dict::new(), "wamp.session.flush_testaments");
            let list = request(48, &mut attacker, Dict::new(), "wamp.subscription.list");
            write_all(&mut attacker, [add, flush, list]);
        }
        attacker.sync();
        while attacker.take_received().is_some() {}
    });
}

fn history(router: &mut Router, force: Force) {
    let mut attacker = join(router, CBOR);
    attacker.subscribe("com.history", "{}", "attacked");
    let id = attacker.id("attacked");
    let payload = Value::List(vec![Value::Bytes(vec![b'x'; 10_000])]);
    for _ in 0..force.of(1_000, 10_000) {
        let mut message = request(16, &mut attacker, Dict::new(), "com.history");
        message.push(payload.clone());
        write_all(&mut attacker, [message]);
    }
    attacker.sync();
    for_a_while(force, || {
        let mut message = request(48, &mut attacker, Dict::new(), "wamp.subscription.get_events");
        message.push(Value::List(vec![id.into(), 100_000u64.into()]));
        write_all(&mut attacker, [message]);
        attacker.sync();
        while attacker.take_received().is_some() {}
    });
}

fn inflation(router: &mut Router, force: Force) {
    let config = DeflateConfig {
        server_window_bits_max: 15,
        client_window_bits_max: 15,
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        level: 9,
        message_bytes_min: 0,
    };
    let mut attackers: Vec<Client> = (0..5)
        .map(|_| {
            let io = endpoint_of(router.edge.nth_url("ws", 1)).connect();
            let mut client = Client::open_compressed(io, WEBSOCKET, router.scope.clone(), &config);
            client.hello(ALL_ROLES, "attacker");
            client
        })
        .collect();
    let payload = Value::List(vec![Value::Bytes(vec![0; 1_000_000])]);
    for_a_while(force, || {
        for attacker in &mut attackers {
            for _ in 0..20 {
                let mut message = request(16, attacker, Dict::new(), "com.zeros");
                message.push(payload.clone());
                write_all(attacker, [message]);
            }
        }
    });
    for attacker in &mut attackers {
        attacker.sync();
    }
}

fn pages(router: &mut Router, force: Force) {
    let endpoint = endpoint_of(router.edge.url("ws"));
    for_a_while(force, || {
        http::fetch(&endpoint, "/info", &[]);
    });
}

fn retained_lists(router: &mut Router, force: Force) {
    let mut attacker = join(router, CBOR);
    let list = |n: usize| Value::List((0..10_000).map(|k| Value::from(format!("{:x}", n + k).as_str())).collect());
    for n in 0..force.of(60, 600) {
        let options = Dict::new().with("retain", true).with("exclude_authid", list(n));
        let message = request(16, &mut attacker, options, &format!("com.retained.n{n}"));
        write_all(&mut attacker, [message]);
    }
    attacker.sync();
}

fn large_calls(router: &mut Router, force: Force) {
    let mut callee = join(router, CBOR);
    callee.register("com.slow", r#"{"concurrency": 1}"#, "slow");
    let payload = Value::List(vec![Value::Bytes(vec![b'x'; 1_000_000])]);
    let mut attacker = join(router, CBOR);
    for _ in 0..force.of(200, 1_000) {
        let mut message = request(48, &mut attacker, Dict::new(), "com.slow");
        message.push(payload.clone());
        write_all(&mut attacker, [message]);
    }
    attacker.sync();
}

fn silent_receiver(router: &mut Router, force: Force) {
    let receivers: Vec<Client> = (0..force.of(1, 200))
        .map(|_| {
            let mut receiver = join(router, CBOR);
            receiver.subscribe("com.flood", "{}", "flood");
            receiver
        })
        .collect();
    let mut attacker = join(router, CBOR);
    let payload = Value::List(vec![Value::Bytes(vec![b'x'; 10_000])]);
    for_a_while(force, || {
        let mut message = request(16, &mut attacker, Dict::new(), "com.flood");
        message.push(payload.clone());
        write_all(&mut attacker, [message]);
        attacker.sync();
    });
    drop(receivers);
}

fn crowd(router: &mut Router, force: Force) {
    let endpoint = endpoint_of(router.edge.url("ws"));
    let half_open: Vec<Io> = (0..force.of(200, 5_000))
        .map(|_| {
            let mut io = endpoint.connect();
            let _ = io.write_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n");
            io
        })
        .collect();
    let readers: Vec<Client> = (0..force.of(50, 2_000))
        .map(|_| {
            let mut reader = join(router, WEBSOCKET);
            reader.subscribe("com.flood", "{}", "flood");
            reader
        })
        .collect();
    let mut publishers: Vec<Client> = (0..4).map(|_| join(router, CBOR)).collect();
    for_a_while(force, || {
        for publisher in &mut publishers {
            let messages: Vec<_> = (0..50).map(|_| request(16, publisher, Dict::new(), "com.flood")).collect();
            write_all(publisher, messages);
        }
    });
    drop((half_open, readers, publishers));
}

/// The sessions of another realm publish as much as they can to one another.
fn tenant(router: &mut Router, force: Force) {
    let endpoint = endpoint_of(router.edge.url("rs"));
    let join = |n: usize| {
        let io = endpoint.connect_from([127, 0, 1, (n % 250) as u8 + 1]);
        let mut client = Client::open(io, CBOR, Default::default());
        client.send(r#"[1, "tenant", {"roles": {"publisher": {}, "subscriber": {}}}]"#);
        assert_eq!(client.receive()[0].as_uint(), Some(2));
        client
    };
    let readers: Vec<_> = (0..force.of(5, 50))
        .map(|n| {
            let mut reader = join(n);
            reader.subscribe("com.tenant", "{}", "tenant");
            drain(reader)
        })
        .collect();
    let mut publishers: Vec<Client> = (0..force.of(20, 200)).map(join).collect();
    for_a_while(force, || {
        for publisher in &mut publishers {
            let messages: Vec<_> = (0..20).map(|_| request(16, publisher, Dict::new(), "com.tenant")).collect();
            write_all(publisher, messages);
        }
    });
    drop((publishers, readers));
}

/// No attack, though it looks like one: everybody comes from the address of a load balancer that sends no PROXY
/// headers, and of which the configuration says nothing. Nobody is refused.
fn one_address(router: &mut Router, force: Force) {
    let port = router.edge.url("ws").rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
    let plain = ("default-server send-proxy-v2 check-send-proxy", "default-server check");
    // All four servers of the shipped configuration are this edge.
    let Some(haproxy) = Haproxy::start(&[port.expect("a port"); 4], &[plain]) else { return };
    let endpoint = haproxy.endpoint();
    let n = force.of(100, 1_000);
    let mut clients: Vec<Client> =
        (0..n).map(|_| Client::open(endpoint.connect(), WEBSOCKET, Default::default())).collect();
    for client in &mut clients {
        client.send(r#"[1, "realm1", {"roles": {"caller": {}}}]"#);
    }
    for client in &mut clients {
        assert_eq!(client.receive()[0].as_uint(), Some(2), "it is welcome");
    }
    for_a_while(force, || clients.iter_mut().for_each(Client::sync));
    for reason in ["too_many_from_address", "crowded_out", "too_many_connections", "too_many_handshakes"] {
        assert_eq!(router.drops(reason), 0, "{reason}");
    }
}
