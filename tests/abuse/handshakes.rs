//! Handshakes that are none: garbage where TLS, a PROXY header, HTTP or RawSocket should be.

use crate::Neighbours;
use crate::harness::Edge;
use crate::harness::client::{Carrier, Client, Via};
use crate::harness::io::{Endpoint, Io};
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of};
use crossbar_cluster::wire::Serializer;
use rustls::pki_types::CertificateDer;
use std::io::Write;

const NOISE: [&[u8]; 7] = [
    b"\0\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"hello there, this is no protocol\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x16\x03\x01\xff\xff\x01\x00\x00\x00garbage that is no ClientHello",
    b"GET\0/ws HTTP/1.1\r\n\r\n",
    b"\x05\x01\x00",
];

fn endpoint(router: &Router, scheme: &str, n: usize) -> Endpoint {
    endpoint_of(router.edge.nth_url(scheme, n))
}

#[test]
fn noise_is_no_handshake() {
    let listeners = "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\n".to_owned();
    let setup = Setup { limits: "handshake_timeout = \"500ms\"", listeners, ..Setup::default() };
    let router = Router::start(&setup);
    let neighbours = Neighbours::start(&router);
    let mut n = 0;
    for place in [("ws", 0), ("rs", 0), ("ws", 1)] {
        for noise in NOISE {
            let mut io = endpoint(&router, place.0, place.1).connect();
            io.write_all(noise).expect("it is open");
            let answer = io.read_to_close();
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", answer.escape_ascii());
            n += 1;
            let all = || router.drops("transport_violation") + router.drops("handshake_timeout");
            crate::harness::router::eventually("a named reason", || all() == n);
        }
    }
    neighbours.stop();
}

#[test]
fn proxy_headers_that_are_broken_end_the_connection() {
    let listeners =
        "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"required\"\n".to_owned();
    let router = Router::start(&Setup { listeners, ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n";
    let too_long = [b"PROXY TCP4 ", &[b'1'; 200][..]].concat();
    let cases: [Vec<u8>; 11] = [
        b"PROXY\r\n".to_vec(),
        b"PROXY TCP4\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.256 198.51.100.2 56324 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 99999 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n\n".to_vec(),
        b"PROXY SCTP 192.0.2.1 198.51.100.2 56324 443\r\n".to_vec(),
        too_long,
        [&v2[..], b"\x31\x11\0\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"].concat(),
        [&v2[..], b"\x21\x11\0\x04\xc0\x00\x02\x01"].concat(),
        [&v2[..], b"\x21\x11\xff\xff"].concat(),
        [&v2[..], b"\x21\x99\0\0"].concat(),
    ];
    for (n, bytes) in (1..).zip(cases) {
        let mut io = endpoint(&router, "ws", 1).connect();
        io.write_all(&bytes).expect("it is open");
        assert_eq!(io.read_to_close(), b"", "{}", bytes.escape_ascii());
        router.await_drops("transport_violation", n);
    }
    neighbours.stop();
}

/// A router with a universal TLS listener, and its certificate.
fn start_tls(setup: &Setup) -> (Router, CertificateDer<'static>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.path().join("cert.pem"), certified.cert.pem()).expect("it is written");
    std::fs::write(directory.path().join("key.pem"), certified.signing_key.serialize_pem()).expect("it is written");
    let listeners = "[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\n\
                     [listen.tls]\ncertificate = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"\n";
    let setup = Setup { listeners: listeners.to_owned(), ..setup.clone() };
    let router = Router::of(Edge::start_with(directory, &setup.to_text(), |_| {}));
    (router, certified.cert.der().clone())
}

#[test]
fn garbage_is_no_tls() {
    let (router, _) = start_tls(&Setup::default());
    let neighbours = Neighbours::start(&router);
    // The first is the beginning of a record that never comes, and what is too short for one is waited for.
    let garbage = NOISE.iter().filter(|noise| noise.len() >= 5);
    for (n, noise) in (1..).zip(garbage) {
        let mut io = endpoint(&router, "wss", 0).connect();
        io.write_all(noise).expect("it is open");
        // The record that announces 65,535 bytes would be waited for.
        let _ = io.write_all(&[0; 70_000]);
        let answer = io.read_to_close();
        // At most an alert.
        assert!(answer.is_empty() || answer[0] == 0x15, "{}", answer.escape_ascii());
        router.await_drops("transport_violation", n);
    }
    neighbours.stop();
}

#[test]
fn half_a_tls_handshake_is_ended() {
    let (router, _) = start_tls(&Setup { limits: "handshake_timeout = \"300ms\"", ..Setup::default() });
    let neighbours = Neighbours::start(&router);
    let mut io = endpoint(&router, "wss", 0).connect();
    io.write_all(b"\x16\x03\x01\x02\x00").expect("it is open");
    io.read_to_close();
    router.await_drops("handshake_timeout", 1);
    neighbours.stop();
}

/// Records that cannot be decrypted, in the middle of a session.
#[test]
fn garbage_in_an_encrypted_session_ends_it() {
    let (router, certificate) = start_tls(&Setup::default());
    let neighbours = Neighbours::start(&router);
    for (n, via) in (1..).zip([Carrier::WebSocket, Carrier::RawSocket]) {
        let io = endpoint(&router, "wss", 0).connect_tls(&certificate).expect("a TLS session");
        let mut offender = Client::open(io, Via::new(via, Serializer::Json), router.scope.clone());
        offender.hello(ALL_ROLES, "offender");
        let Io::Tls(stream) = &mut offender.io else { panic!("it is TLS") };
        let record = [b"\x17\x03\x03\x00\x40", &[7; 64][..]].concat();
        stream.sock.write_all(&record).expect("it is open");
        let mut raw = Io::Tcp(stream.sock.try_clone().expect("a socket can be shared"));
        raw.read_to_close();
        router.await_drops("transport_violation", n);
    }
    neighbours.stop();
}
