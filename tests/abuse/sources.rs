//! What one address may have of what all share, and what the others still get.

use crate::Neighbours;
use crate::harness::Edge;
use crate::harness::client::{Carrier, Client, Via};
use crate::harness::io::Io;
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of, eventually};
use crossbar_cluster::config::node_key;
use crossbar_cluster::limits::QUESTIONS_MAX;
use crossbar_cluster::wire::{Serializer, Value};
use std::io::{Read, Write};

const WEBSOCKET: Via = Via::new(Carrier::WebSocket, Serializer::Json);
const RAWSOCKET: Via = Via::new(Carrier::RawSocket, Serializer::Cbor);

/// The addresses of this host from which the offenders come, and the others.
const OFFENDER: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

fn dial_from(router: &Router, source: [u8; 4], scheme: &str) -> Io {
    endpoint_of(router.edge.url(scheme)).connect_from(source)
}

/// A transport without a session.
fn connect_from(router: &Router, source: [u8; 4], via: Via) -> Client {
    let scheme = if via.carrier == Carrier::RawSocket { "rs" } else { "ws" };
    Client::open(dial_from(router, source, scheme), via, router.scope.clone())
}

fn join_from(router: &Router, source: [u8; 4], via: Via) -> Client {
    let mut client = connect_from(router, source, via);
    client.hello(ALL_ROLES, "honest");
    client
}

/// One address has all the handshakes that a listener may have: silent ones, such that have not said HELLO, and such
/// that have not proved anything. All who come from elsewhere get in, and it loses as many as it has too many.
#[test]
fn one_address_that_says_nothing_keeps_nobody_out() {
    let limits = "handshakes_max = 60\nhandshake_timeout = \"1m\"\nhello_timeout = \"1m\"";
    let router = Router::start(&Setup { limits, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let silent: Vec<Io> = (0..20).map(|_| dial_from(&router, OFFENDER, "ws")).collect();
    let unopened: Vec<Client> = (0..20).map(|_| connect_from(&router, OFFENDER, WEBSOCKET)).collect();
    let unproven: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = connect_from(&router, OFFENDER, WEBSOCKET);
            client.send(r#"[1, "realm1", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "alice"}]"#);
            client.expect(r#"[4, "ticket", {}]"#);
            client
        })
        .collect();
    let more = dial_from(&router, OFFENDER, "ws");
    router.await_drops("too_many_handshakes", 1);
    // These are there at once, without a session first.
    let mut honest: Vec<Client> = (0..25).map(|_| connect_from(&router, OTHER, WEBSOCKET)).collect();
    for client in &mut honest {
        client.hello(ALL_ROLES, "honest");
    }
    for _ in 0..25 {
        honest.push(join_from(&router, OTHER, WEBSOCKET));
    }
    assert_eq!(router.drops("crowded_out"), 25, "of 85 there were room for 60");
    assert_eq!(router.drops("too_many_handshakes"), 1);
    // The oldest have made way.
    for mut io in silent {
        io.read_to_close();
    }
    for client in &mut honest {
        client.sync();
    }
    drop((unopened, unproven, more));
    neighbours.stop();
}

/// The same crowd, each from an address of its own: more than there is room for, and all who say HELLO get in.
#[test]
fn very_many_addresses_that_say_nothing_keep_nobody_out() {
    let limits = "handshakes_max = 200\nhandshake_timeout = \"1m\"\nhello_timeout = \"1m\"";
    let router = Router::start(&Setup { limits, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let silent: Vec<Io> = (0..300u16)
        .map(|n| {
            let [high, low] = n.to_be_bytes();
            dial_from(&router, [127, 1, high, low], "ws")
        })
        .collect();
    router.await_drops("crowded_out", 100);
    let mut honest: Vec<Client> = (0..100).map(|n| connect_from(&router, [127, 2, 0, n + 1], WEBSOCKET)).collect();
    honest.iter_mut().for_each(|client| client.hello(ALL_ROLES, "honest"));
    honest.iter_mut().for_each(Client::sync);
    assert_eq!((router.drops("too_many_handshakes"), router.drops("crowded_out")), (0, 200));
    drop(silent);
    neighbours.stop();
}

/// A connection counts as a handshake until WELCOME, and again after GOODBYE.
#[test]
fn a_handshake_lasts_until_welcome() {
    let router = Router::start(&Setup { limits: "handshakes_per_address_max = 3", ..Setup::default() });
    let mut clients: Vec<Client> =
        [WEBSOCKET, RAWSOCKET, WEBSOCKET].map(|via| connect_from(&router, OFFENDER, via)).into();
    let mut ws = connect_from(&router, OFFENDER, WEBSOCKET);
    for n in 1..=3 {
        dial_from(&router, OFFENDER, "ws").read_to_close();
        router.await_drops("too_many_from_address", n);
    }
    // The other listener has one of three.
    let mut rs = connect_from(&router, OFFENDER, RAWSOCKET);
    // Nobody else is concerned.
    join_from(&router, OTHER, WEBSOCKET).sync();
    for client in &mut clients {
        client.hello(ALL_ROLES, "offender");
    }
    let more = [connect_from(&router, OFFENDER, WEBSOCKET), connect_from(&router, OFFENDER, WEBSOCKET)];
    for client in clients.iter_mut().chain([&mut rs, &mut ws]) {
        client.sync();
    }
    clients[0].goodbye();
    dial_from(&router, OFFENDER, "ws").read_to_close();
    router.await_drops("too_many_from_address", 4);
    drop(more);
}

#[test]
fn one_address_has_as_many_connections_as_the_limit_says() {
    let router = Router::start(&Setup { limits: "connections_per_address_max = 3", ..Setup::default() });
    let mut clients: Vec<Client> = (0..3).map(|_| join_from(&router, OFFENDER, WEBSOCKET)).collect();
    dial_from(&router, OFFENDER, "ws").read_to_close();
    router.await_drops("too_many_from_address", 1);
    join_from(&router, OTHER, WEBSOCKET).sync();
    clients.pop();
    eventually("there is room", || {
        let mut io = dial_from(&router, OFFENDER, "ws");
        let _ = io.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = [0; 12];
        io.read_exact(&mut answer).is_ok() && &answer == b"HTTP/1.1 200"
    });
    for client in &mut clients {
        client.sync();
    }
}

/// Without a limit of its own, one address leaves a tenth of the room to the others.
#[test]
fn one_address_does_not_take_the_last_places() {
    let router = Router::start(&Setup { limits: "connections_max = 20", ..Setup::default() });
    let offenders: Vec<Client> = (0..18).map(|_| join_from(&router, OFFENDER, WEBSOCKET)).collect();
    for n in 1..=3 {
        dial_from(&router, OFFENDER, "ws").read_to_close();
        router.await_drops("too_many_from_address", n);
    }
    join_from(&router, OTHER, WEBSOCKET).sync();
    drop(offenders);
}

/// A balancer without PROXY headers, of which the configuration says that it is one, may have all there is.
#[test]
fn proxies_are_exempt() {
    let limits = "connections_max = 20\nconnections_per_address_max = 3\nhandshakes_per_address_max = 3";
    let setup = Setup { limits, listen: "proxies = [\"127.0.0.2\"]", ..Setup::default() };
    let router = Router::start(&setup);
    let mut clients: Vec<Client> = (0..20).map(|_| connect_from(&router, OFFENDER, WEBSOCKET)).collect();
    for client in &mut clients {
        client.hello(ALL_ROLES, "behind_the_balancer");
    }
    dial_from(&router, OFFENDER, "ws").read_to_close();
    router.await_drops("too_many_connections", 1);
    assert_eq!(router.drops("too_many_from_address"), 0);
}

/// With PROXY headers the client's own address counts; of IPv6 addresses the first 64 bits.
#[test]
fn a_customer_has_one_network() {
    let limits = "connections_per_address_max = 2";
    let router = Router::start(&Setup { limits, listen: "proxy_protocol = \"required\"", ..Setup::default() });
    let open = |address: &str| {
        let mut io = dial_from(&router, OTHER, "ws");
        write!(io, "PROXY TCP6 {address} 2001:db8::1 56324 443\r\n").expect("the connection is open");
        io
    };
    let join = |address: &str| {
        let mut client = Client::open(open(address), WEBSOCKET, router.scope.clone());
        client.hello(ALL_ROLES, "customer");
        client
    };
    let mut clients = vec![join("2001:db8:1:2::1"), join("2001:db8:1:2:ffff::2")];
    open("2001:db8:1:2:3:4:5:6").read_to_close();
    router.await_drops("too_many_from_address", 1);
    clients.extend([
        join("2001:db8:1:3::1"),
        join("2001:db8:1:3::2"),
        join("::ffff:10.0.0.1"),
        join("::ffff:10.0.0.2"),
    ]);
    for client in &mut clients {
        client.sync();
    }
}

const ALICE: &str = r#"[1, "realm1", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "alice"}]"#;

/// Guessing becomes slower and slower, however many connections it is done with. It is the guesser who waits.
#[test]
fn guessing_is_punished_where_it_comes_from() {
    let router = Router::start(&Setup::default());
    let say_hello = |source: [u8; 4]| {
        let mut client = connect_from(&router, source, WEBSOCKET);
        client.send(ALICE);
        client
    };
    let mut guesses: Vec<Client> = (0..40).map(|_| say_hello(OFFENDER)).collect();
    for client in &mut guesses {
        client.expect(r#"[4, "ticket", {}]"#);
    }
    for client in &mut guesses {
        client.send(r#"[5, "guessed", {}]"#);
    }
    let is_penalised = |client: &mut Client| match client.receive().as_slice() {
        [_, Value::Dict(details), reason] => {
            let sentence = details.str("message").unwrap_or_default();
            let is_named = sentence.starts_with("login_penalty: ");
            assert_eq!(is_named, reason.as_str() == Some("wamp.error.authentication_denied"), "{sentence}");
            is_named
        }
        other => panic!("{other:?}"),
    };
    let n_waiting = guesses.iter_mut().map(is_penalised).filter(|is_penalised| *is_penalised).count();
    // However slow this machine is: the tenth failure takes a minute of penalties before it.
    assert!((31..=36).contains(&n_waiting), "{n_waiting} of 40 were not looked at");
    router.await_drops("login_penalty", n_waiting as u64);
    // Alice herself comes from elsewhere.
    let mut alice = say_hello(OTHER);
    alice.expect(r#"[4, "ticket", {}]"#);
    alice.send(r#"[5, "alice-ticket", {}]"#);
    alice.welcome("alice");
}

/// The same holds for the admin port, where only keys open anything. Who has the key is not kept out by those who claim
/// to be the operator.
#[test]
fn guessing_is_punished_on_the_admin_port() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = node_key::read_or_generate(&directory.path().join("state"), &mut rand::rng()).expect("it has a key");
    let router = Router::of(Edge::start_with(directory, &Setup::default().to_text(), |_| {}));
    let endpoint = endpoint_of(router.edge.url("http"));
    let hello = |key: &str| {
        let mut client = Client::open(endpoint.connect_from(OFFENDER), WEBSOCKET, router.scope.clone());
        client.send(&format!(
            r#"[1, "crossbar.node", {{"roles": {{"caller": {{}}}}, "authmethods": ["mutual"], "authid": "operator",
                "authextra": {{"pubkey": "{key}", "purpose": "operate", "nonce": "{}"}}}}]"#,
            "00".repeat(32)
        ));
        client
    };
    let stranger = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    let wrong = format!(r#"[5, "{}", {{}}]"#, "00".repeat(64));
    let mut n_failed = 0;
    for _ in 0..20 {
        let mut client = hello(stranger);
        if client.receive()[0].as_uint() == Some(4) {
            n_failed += 1;
            client.send(&wrong);
            client.expect_abort("wamp.error.authentication_failed");
        }
    }
    assert!((4..10).contains(&n_failed), "{n_failed} of 20 were looked at");
    assert!(router.drops("login_penalty") >= 10);
    hello(&key.public().to_string()).expect(r#"[4, "mutual", {...}]"#);
}

/// As long as an authenticator has very many to decide about, whoever comes from another address has every other turn.
#[test]
fn a_crowd_at_an_authenticator_keeps_nobody_waiting() {
    let listeners = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n[listen.auth.ticket]\n\
                     authenticator = \"com.authenticate\"\nauthenticator_realm = \"realm1\"\n";
    let router = Router::start(&Setup { listeners: listeners.to_owned(), ..Setup::default() });
    let endpoint = endpoint_of(router.edge.nth_url("ws", 1));
    let ask = |source, authid: &str| {
        let mut client = Client::open(endpoint.connect_from(source), WEBSOCKET, router.scope.clone());
        client.send(&format!(
            r#"[1, "realm1", {{"roles": {{"caller": {{}}}}, "authmethods": ["ticket"], "authid": "{authid}"}}]"#
        ));
        client.expect(r#"[4, "ticket", {}]"#);
        client.send(r#"[5, "ticket", {}]"#);
        client
    };
    let mut authenticator = join_from(&router, OTHER, WEBSOCKET);
    authenticator.register("com.authenticate", "{}", "authenticate");
    let crowd: Vec<Client> = (0..QUESTIONS_MAX + 50).map(|n| ask(OFFENDER, &format!("guest{n}"))).collect();
    for _ in 0..QUESTIONS_MAX {
        assert_eq!(authenticator.receive()[0].as_uint(), Some(68));
    }
    let mut honest = ask(OTHER, "honest");
    honest.sync();
    // The crowd's turn was before there was anybody else.
    for invocation in 1..=2 {
        authenticator.send(&format!(r#"[70, {invocation}, {{}}, ["anonymous"]]"#));
        let question = authenticator.receive();
        if question[4].as_list().and_then(|args| args.get(1)?.as_str()) == Some("honest") {
            authenticator.send(&format!(r#"[70, {}, {{}}, ["anonymous"]]"#, question[1].as_uint().expect("an id")));
            honest.welcome("honest");
            drop(crowd);
            return;
        }
    }
    panic!("honest has waited for two others");
}
