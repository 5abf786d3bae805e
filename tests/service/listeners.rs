//! Socket files, and ports that speak everything.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::http::fetch;
use crate::harness::io::Endpoint;
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of};
use crossbar_cluster::wire::Serializer;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

#[test]
fn socket_files_serve_every_transport() {
    let listeners = r#"
[[listen]]
type = "rawsocket"
address = "unix:{dir}/raw.sock"
socket_mode = "0600"
[[listen]]
type = "universal"
address = "unix:{dir}/all.sock"
"#;
    let router = Router::start(&Setup { listeners: listeners.to_owned(), ..Setup::default() });
    let raw = router.edge.directory().join("raw.sock");
    let all = router.edge.directory().join("all.sock");
    assert_eq!(router.edge.url("rs+unix"), format!("rs+unix:{}", raw.display()));
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&raw), mode(&all)), (0o600, 0o660));
    let endpoint = Endpoint::Unix(all.clone());
    for via in Via::all() {
        let mut client = Client::open(endpoint.connect(), via, router.scope.clone());
        client.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        client.expect(r#"[2, $_, {"x_cb_peer": "unix", ...}]"#);
    }
    let via = Via::new(Carrier::RawSocket, Serializer::Cbor);
    let mut client = Client::open(Endpoint::Unix(raw.clone()).connect(), via, router.scope.clone());
    client.hello(ALL_ROLES, "a");
    client.call("wamp.session.count", "", "[$_]");
    let page = fetch(&endpoint, "/", &[]);
    assert!(page.text().contains("Served for unix from crossbar-edge"), "{}", page.text());
}

/// A file that a dead router left behind is replaced, one in use is not.
#[test]
fn stale_socket_files_are_replaced() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("edge.sock");
    drop(UnixListener::bind(&path).expect("a socket can be bound"));
    assert!(path.exists(), "the file outlives its listener");
    let listeners = format!("[[listen]]\ntype = \"rawsocket\"\naddress = \"unix:{}\"\n", path.display());
    let setup = Setup { listeners, ..Setup::default() };
    let mut router = Router::start(&setup);
    let via = Via::new(Carrier::RawSocket, Serializer::Cbor);
    let mut client = Client::open(Endpoint::Unix(path.clone()).connect(), via, router.scope.clone());
    client.hello(ALL_ROLES, "a");
    // A second router does not get it.
    let other = tempfile::tempdir().expect("a temporary directory");
    let file = other.path().join("edge.toml");
    let text = setup.to_text().replace("{dir}", &other.path().display().to_string());
    std::fs::write(&file, text).expect("the configuration is written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_crossbar-edge"))
        .args(["run", "--config"])
        .arg(&file)
        .output()
        .expect("crossbar-edge runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    client.call("wamp.session.count", "", "[1]");
    // It is gone with the router.
    drop(client);
    router.edge.signal("TERM");
    assert!(router.edge.await_exit().success());
    assert!(!path.exists());
}

#[test]
fn one_port_speaks_http_websocket_and_rawsocket() {
    let listeners = "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\n".to_owned();
    let router = Router::start(&Setup { listeners, ..Setup::default() });
    let endpoint = endpoint_of(router.edge.nth_url("ws", 1));
    for via in Via::all() {
        let mut client = Client::open(endpoint.connect(), via, router.scope.clone());
        client.hello(ALL_ROLES, "a");
        client.call("wamp.session.count", "", "[$_]");
    }
    assert_eq!(fetch(&endpoint, "/", &[]).status, 200);
    assert_eq!(fetch(&endpoint, "/info", &[]).status, 200);
}

/// A WebSocket port does not speak RawSocket and the other way round.
#[test]
fn other_ports_speak_what_they_are_for() {
    use std::io::Write;
    let router = Router::start(&Setup::default());
    let mut io = endpoint_of(router.edge.url("ws")).connect();
    io.write_all(b"\x7f\xf1\0\0").expect("it is open");
    let answer = io.read_to_close();
    assert!(answer.is_empty() || answer[1] & 0x0f == 0, "no session is agreed to: {answer:?}");
    router.await_drops("transport_violation", 1);
    let mut io = endpoint_of(router.edge.url("rs")).connect();
    io.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it is open");
    assert_eq!(io.read_to_close(), b"");
    router.await_drops("transport_violation", 2);
}

#[test]
fn serializers_are_those_that_the_listener_offers() {
    let router = Router::start(&Setup { listen: "serializers = [\"cbor\"]", ..Setup::default() });
    for carrier in [Carrier::WebSocket, Carrier::Batched, Carrier::RawSocket] {
        let mut client = router.connect_via(Via::new(carrier, Serializer::Cbor));
        client.hello(ALL_ROLES, "a");
    }
    use std::io::{Read, Write};
    let mut io = endpoint_of(router.edge.url("rs")).connect();
    io.write_all(b"\x7f\xf1\0\0").expect("it is open");
    let mut answer = [0; 4];
    io.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, [0x7f, 0x10, 0, 0]);
}
