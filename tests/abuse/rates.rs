//! What one session may send in a second, and how many one principal may have.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::router::{Router, Setup, eventually};
use crossbar_cluster::wire::Serializer;
use std::time::{Duration, Instant};

/// Two roles that have rates: of alice and of bob.
const RATES: &str = r#"
[[listen]]
type = "universal"
address = "127.0.0.1:0"
ping_interval = "200ms"
ping_timeout = "200ms"
[listen.auth.ticket.principals]
alice = { ticket = "alice-ticket", role = "messages" }
bob = { ticket = "bob-ticket", role = "bytes" }
carol = { ticket = "carol-ticket", role = "free" }
[[realm]]
name = "realm1"
[[realm.role]]
name = "messages"
messages_per_second = 50
[[realm.role.permission]]
uri = "com."
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
[[realm.role]]
name = "bytes"
bytes_per_second = "10KiB"
[[realm.role.permission]]
uri = "com."
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
[[realm.role]]
name = "free"
[[realm.role.permission]]
uri = "com."
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
"#;

const THROTTLES: &str = "crossbar_throttles_total";

fn start() -> Router {
    Router::start(&Setup { served: Some(RATES), ..Setup::default() })
}

fn join_as(router: &Router, user: &str, carrier: Carrier) -> Client {
    let mut client = router.connect_via(Via::new(carrier, Serializer::Json));
    log_in(&mut client, user);
    client.welcome(user);
    client
}

fn log_in(client: &mut Client, user: &str) {
    client.send(&format!(
        r#"[1, "realm1", {{"roles": {{"publisher": {{}}}}, "authmethods": ["ticket"], "authid": "{user}"}}]"#
    ));
    client.expect(r#"[4, "ticket", {}]"#);
    client.send(&format!(r#"[5, "{user}-ticket", {{}}]"#));
}

/// Sends so many acknowledged events at once, gets all answers, and says how long that took.
fn publish(client: &mut Client, n: usize, bytes: usize) -> Duration {
    let began = Instant::now();
    let payload = "x".repeat(bytes);
    for _ in 0..n {
        client.send(&format!(r#"[16, #, {{"acknowledge": true}}, "com.topic", ["{payload}"]]"#));
    }
    for _ in 0..n {
        assert_eq!(client.receive()[0].as_uint(), Some(17));
    }
    began.elapsed()
}

/// What is too much is read later, and all of it; the others are not concerned. Pings of the router, which the client
/// answers behind what is not read yet, are not taken for missed.
#[test]
fn a_session_sends_no_more_messages_than_its_role_may() {
    let router = start();
    for carrier in [Carrier::WebSocket, Carrier::Batched] {
        let mut alice = join_as(&router, "alice", carrier);
        let before = router.metric(THROTTLES);
        let took = publish(&mut alice, 150, 1);
        assert!(took >= Duration::from_millis(1_900), "150 messages at 50 a second, after 50 at once: {took:?}");
        let throttles = router.metric(THROTTLES) - before;
        assert!((90..=101).contains(&throttles), "{throttles}");
        let mut carol = join_as(&router, "carol", carrier);
        publish(&mut carol, 1_000, 1);
        assert_eq!(router.metric(THROTTLES) - before, throttles);
        alice.sync();
    }
}

#[test]
fn a_session_sends_no_more_bytes_than_its_role_may() {
    let router = start();
    let mut bob = join_as(&router, "bob", Carrier::WebSocket);
    publish(&mut bob, 10, 500);
    assert_eq!(router.metric(THROTTLES), 0, "half of what it may");
    let took = publish(&mut bob, 3, 10_000);
    assert!(took >= Duration::from_millis(1_400), "{took:?}");
    bob.sync();
}

#[test]
fn rates_change_while_sessions_are_open() {
    let router = start();
    let mut alice = join_as(&router, "alice", Carrier::WebSocket);
    let mut carol = join_as(&router, "carol", Carrier::WebSocket);
    publish(&mut alice, 60, 1);
    let throttles = router.metric(THROTTLES);
    assert!(throttles > 0);
    let file = router.edge.config_file();
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let text =
        text.replace("messages_per_second = 50\n", "").replace("\"free\"\n", "\"free\"\nmessages_per_second = 20\n");
    std::fs::write(&file, text).expect("written");
    router.edge.signal("HUP");
    eventually("it is reloaded", || router.edge.log().contains("configuration reloaded"));
    publish(&mut alice, 500, 1);
    assert_eq!(router.metric(THROTTLES), throttles);
    publish(&mut carol, 30, 1);
    assert!(router.metric(THROTTLES) > throttles);
}

#[test]
fn one_principal_has_as_many_sessions_as_the_limit_says() {
    let router = Router::start(&Setup { limits: "sessions_per_authid_max = 2", ..Setup::default() });
    let join = || {
        let mut client = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Json));
        log_in(&mut client, "alice");
        client
    };
    let mut sessions = [join(), join()];
    sessions.iter_mut().for_each(|client| client.welcome("alice"));
    let sentence = join().expect_abort("wamp.error.limit_exceeded");
    assert!(sentence.contains("sessions_per_authid_max = 2"), "{sentence}");
    router.await_drops("too_many_of_authid", 1);
    // Who proves nothing is somebody else each time.
    let anonymous: Vec<Client> = (0..5)
        .map(|_| {
            let mut client = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Json));
            client.hello(crate::harness::router::ALL_ROLES, "anonymous");
            client
        })
        .collect();
    sessions[0].goodbye();
    join().welcome("alice_again");
    drop(anonymous);
}
