//! Real WAMP clients against the running router: autobahn-python (also with a mesh of edges), autobahn-js in Node and
//! in Chromium, wampy.js. What they do is in `tests/clients/`; `tests/clients/setup` installs what they need.

mod harness;

use harness::cluster::Cluster;
use harness::router::Setup;
use harness::{Edge, clients, in_package, run};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longer than any of the scripts takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(400);

#[test]
fn python_publishes_and_subscribes() {
    let Some(clients) = clients() else { return };
    let edge = Edge::start(&config());
    python(&clients, &edge, "pubsub.py", &["--serializer", EVERY_SERIALIZER]);
    edge.stop();
}

#[test]
fn python_calls_and_is_called() {
    let Some(clients) = clients() else { return };
    let edge = Edge::start(&config());
    python(&clients, &edge, "rpc.py", &["--serializer", EVERY_SERIALIZER]);
    edge.stop();
}

#[test]
fn python_asks_the_meta_api() {
    let Some(clients) = clients() else { return };
    let edge = Edge::start(&config());
    python(&clients, &edge, "meta.py", &[]);
    edge.stop();
}

#[test]
fn python_comes_in_by_every_method() {
    let Some(clients) = clients() else { return };
    let edge = Edge::start(&config());
    let mut script = script(&clients, "auth.py");
    script.args(["--url", edge.url("ws"), "--dynamic-url", edge.nth_url("ws", 1)]);
    run(&mut script, LIMIT);
    edge.stop();
}

#[test]
fn payloads_cross_serializers_and_languages_unchanged() {
    let Some(clients) = clients() else { return };
    let edge = Edge::start(&config());
    python(&clients, &edge, "payload.py", &["--node"]);
    edge.stop();
}

#[test]
fn python_uses_tls_and_socket_files() {
    let Some(clients) = clients() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.path().join("certificate.pem"), certified.cert.pem()).expect("the certificate is written");
    std::fs::write(directory.path().join("key.pem"), certified.signing_key.serialize_pem())
        .expect("the key is written");
    let edge = Edge::start_in(directory, &(SECURE_LISTENERS.to_owned() + REALM));
    for name in ["pubsub.py", "rpc.py"] {
        let mut script = script(&clients, name);
        script.args(["--serializer", "cbor"]);
        for scheme in ["wss", "rss", "rs+unix"] {
            script.args(["--url", edge.url(scheme)]);
        }
        run(&mut script, LIMIT);
    }
    edge.stop();
}

/// Issue 3: every feature that is announced, between two components on different edges. The third edge is killed.
#[test]
fn python_components_on_different_edges_use_every_feature() {
    let Some(clients) = clients() else { return };
    let rules = "[[realm.history]]\nuri = \"com.history.\"\nmatch = \"prefix\"\nentries_max = 100";
    for (scheme, serializer) in [("ws", "cbor"), ("rs", "msgpack")] {
        // On a busy machine an edge may take longer to confirm than it is given.
        let limits = "settle_max = \"5s\"";
        let mut cluster = Cluster::start(3, Setup { rules, limits, ..Setup::default() });
        let mut script = script(&clients, "mesh.py");
        for node in 1..=3 {
            script.args(["--edge", cluster.node(node).edge.url(scheme)]);
        }
        script.args(["--doomed-pid", &cluster.node(3).edge.pid().to_string(), "--serializer", serializer]);
        let printed = run(&mut script, LIMIT);
        for feature in MESH_FEATURES {
            let line = format!("ok {feature}");
            assert!(
                printed.lines().any(|printed| printed == line),
                "{feature} was not shown over {scheme}:\n{printed}"
            );
        }
    }
}

/// The scenarios of `mesh.py`, by what they show.
const MESH_FEATURES: [&str; 38] = [
    "eligible_sessions",
    "eligible_authids",
    "eligible_authroles",
    "exclude_sessions",
    "exclude_authids",
    "exclude_authroles",
    "exclude_me",
    "publisher_disclosure",
    "caller_disclosure",
    "retained_events",
    "event_history",
    "testaments",
    "testaments_and_meta_events_of_a_dead_node",
    "meta_api_of_sessions",
    "meta_api_of_subscriptions",
    "meta_api_of_registrations",
    "meta_events_of_sessions",
    "meta_events_of_subscriptions",
    "meta_events_of_registrations",
    "session_kill",
    "shared_single",
    "shared_first",
    "shared_last",
    "shared_roundrobin",
    "shared_random",
    "cancel_kill",
    "cancel_killnowait",
    "cancel_skip",
    "call_timeout",
    "call_results",
    "call_errors",
    "progressive_results",
    "pattern_subscriptions",
    "pattern_registrations",
    "registration_revocation",
    "subscription_revocation",
    "force_reregister",
    "payload_passthru",
];

#[test]
fn autobahn_js_in_node() {
    node("tests/clients/node/autobahn.mjs");
}

#[test]
fn wampy_in_node() {
    node("tests/clients/node/wampy.mjs");
}

#[test]
fn autobahn_js_in_chromium() {
    node("tests/clients/browser/run.mjs");
}

const EVERY_SERIALIZER: &str = "cbor,msgpack,json,cbor.batched,msgpack.batched,json.batched";

/// A script for autobahn-python, with WebSocket and RawSocket to try.
fn python(clients: &Path, edge: &Edge, name: &str, arguments: &[&str]) {
    let mut script = script(clients, name);
    script.args(["--url", edge.url("ws"), "--url", edge.url("rs")]).args(arguments);
    run(&mut script, LIMIT);
}

fn script(clients: &Path, name: &str) -> Command {
    let mut script = Command::new(clients.join("python/bin/python"));
    script.arg(in_package("tests/clients/python").join(name));
    script.env("TEST_CLIENTS", clients).env("PYTHONDONTWRITEBYTECODE", "1");
    script
}

fn node(name: &str) {
    let Some(clients) = clients() else { return };
    let edge = Edge::start(&config());
    let mut script = Command::new("node");
    script.arg(in_package(name)).args(["--url", edge.url("ws")]).env("TEST_CLIENTS", &clients);
    run(&mut script, LIMIT);
    edge.stop();
}

fn config() -> String {
    format!("{LISTENERS}{REALM}")
}

const LISTENERS: &str = include_str!("clients/listeners.toml");
const REALM: &str = include_str!("clients/realm.toml");

const SECURE_LISTENERS: &str = r#"
[[listen]]
type = "websocket"
address = "127.0.0.1:0"
tls = { certificate = "{dir}/certificate.pem", key = "{dir}/key.pem" }
compression = {}

[[listen]]
type = "rawsocket"
address = "127.0.0.1:0"
tls = { certificate = "{dir}/certificate.pem", key = "{dir}/key.pem" }

[[listen]]
type = "rawsocket"
address = "unix:{dir}/edge.sock"
"#;
