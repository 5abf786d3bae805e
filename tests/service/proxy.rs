//! The PROXY protocol: who the router takes its clients for.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::http;
use crate::harness::io::Io;
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of};
use crossbar_cluster::wire::Serializer;
use std::io::Write;

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n";
/// PROXY, TCP over IPv4, twelve bytes of addresses.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb";
/// LOCAL: the proxy speaks for itself.
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x00";

/// A router with universal listeners that require a header (0), take one (1), and know of none (2).
fn start() -> Router {
    let listeners = ["required", "optional", "off"]
        .map(|mode| {
            format!("[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"{mode}\"\n")
        })
        .concat();
    Router::start(&Setup { listeners, ..Setup::default() })
}

fn dial(router: &Router, listener: usize, header: &[u8]) -> Io {
    let mut io = endpoint_of(router.edge.nth_url("ws", listener + 1)).connect();
    io.write_all(header).expect("it is open");
    io
}

#[test]
fn the_client_that_the_header_names_is_the_peer() {
    let router = start();
    for listener in [0, 1] {
        for (header, peer) in
            [(V1, "tcp4:192.0.2.1:56324"), (V2, "tcp4:192.0.2.1:56324"), (V1_IPV6, "tcp6:[2001:db8::1]:56324")]
        {
            for carrier in [Carrier::WebSocket, Carrier::RawSocket] {
                let io = dial(&router, listener, header);
                let mut client = Client::open(io, Via::new(carrier, Serializer::Json), router.scope.clone());
                client.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
                client.expect(&format!(r#"[2, $_, {{"x_cb_peer": "{peer}", ...}}]"#));
            }
            let mut io = dial(&router, listener, header);
            http::request(&mut io, "/", &[("Connection", "close")]);
            let page = io.read_to_close();
            let line = format!("Served for {peer} from crossbar-edge router worker");
            assert!(String::from_utf8_lossy(&page).contains(&line), "{line}");
        }
    }
}

/// Header and handshake may come in one packet, or byte by byte.
#[test]
fn the_header_may_come_in_any_pieces() {
    let router = start();
    let mut io = dial(&router, 0, &[V1, b"\x7f\xf1\0\0"].concat());
    let mut answer = [0; 4];
    std::io::Read::read_exact(&mut io, &mut answer).expect("an answer");
    assert_eq!(answer[1] & 0x0f, 1);
    for header in [V1, V2] {
        let mut io = dial(&router, 0, b"");
        for byte in [header, b"\x7f\xf1\0\0"].concat() {
            io.write_all(&[byte]).expect("it is open");
        }
        std::io::Read::read_exact(&mut io, &mut answer).expect("an answer");
        assert_eq!(answer[1] & 0x0f, 1);
    }
}

/// A health check of the proxy itself, or no header where none is needed: the peer is the socket's.
#[test]
fn without_a_client_the_peer_is_the_proxy() {
    let router = start();
    for (listener, header) in [(0, V2_LOCAL), (1, V2_LOCAL), (1, b""), (2, b""), (0, b"PROXY UNKNOWN\r\n")] {
        let io = dial(&router, listener, header);
        let port = io.tcp().local_addr().expect("it is connected").port();
        let via = Via::new(Carrier::WebSocket, Serializer::Json);
        let mut client = Client::open(io, via, router.scope.clone());
        client.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
        client.expect(&format!(r#"[2, $_, {{"x_cb_peer": "tcp4:127.0.0.1:{port}", ...}}]"#));
    }
}

/// Where a header is required nobody comes in without one; where none is read, it is no HTTP.
#[test]
fn a_header_that_is_missing_or_out_of_place_is_refused() {
    let router = start();
    let mut io = dial(&router, 0, b"\x7f\xf1\0\0");
    assert_eq!(io.read_to_close(), b"");
    router.await_drops("transport_violation", 1);
    let mut io = dial(&router, 0, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(io.read_to_close(), b"");
    router.await_drops("transport_violation", 2);
    let mut io = dial(&router, 2, V1);
    http::request(&mut io, "/", &[]);
    let answer = io.read_to_close();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    router.await_drops("transport_violation", 3);
}

/// Whoever is no proxy cannot say who he is: his header is no header.
#[test]
fn only_the_headers_of_known_proxies_are_believed() {
    let listeners = "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"optional\"\n\
                     proxies = [\"192.0.2.7\"]\n"
        .to_owned();
    let router = Router::start(&Setup { listeners, ..Setup::default() });
    let mut io = dial(&router, 0, V1);
    http::request(&mut io, "/", &[("Connection", "close")]);
    assert!(
        !String::from_utf8_lossy(&io.read_to_close()).contains("192.0.2.1"),
        "what is no header is not HTTP either"
    );
    let io = dial(&router, 0, b"");
    let mut client = Client::open(io, Via::new(Carrier::WebSocket, Serializer::Json), router.scope.clone());
    client.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
    client.expect("[2, $_, {...}]");
}
