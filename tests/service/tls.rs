//! TLS: every transport, new certificates without a restart, and proofs that are bound to the channel.

use crate::harness::client::{Client, Via};
use crate::harness::http;
use crate::harness::io::{Endpoint, Io};
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of, eventually};
use crossbar_cluster::auth::client::{Client as Prover, Credential};
use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::wire::{Dict, Serializer, Value};
use rustls::pki_types::CertificateDer;
use std::io::Write;
use std::path::Path;

/// Makes a certificate for `localhost` and writes it and its key into the directory.
pub(crate) fn certify(directory: &Path) -> CertificateDer<'static> {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("cert.pem"), certified.cert.pem()).expect("it is written");
    std::fs::write(directory.join("key.pem"), certified.signing_key.serialize_pem()).expect("it is written");
    certified.cert.der().clone()
}

pub(crate) const TLS: &str = "[listen.tls]\ncertificate = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"\n";

/// A router with a universal TLS listener, with further lines for it; its endpoint, and its certificate.
fn start(listen: &str, tables: &str) -> (Router, Endpoint, CertificateDer<'static>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificate = certify(directory.path());
    let listeners = format!("[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:0\"\n{listen}\n{TLS}{tables}");
    let setup = Setup { listeners, ..Setup::default() };
    let router = Router::of(crate::harness::Edge::start_with(directory, &setup.to_text(), |_| {}));
    let endpoint = endpoint_of(router.edge.url("wss"));
    (router, endpoint, certificate)
}

#[test]
fn every_transport_is_spoken_over_tls() {
    let (router, endpoint, certificate) = start("", "");
    for via in Via::all() {
        let io = endpoint.connect_tls(&certificate).expect("a TLS session");
        let mut a = Client::open(io, via, router.scope.clone());
        a.hello(ALL_ROLES, "a");
        a.subscribe("com.topic", "{}", "sub");
        let long = "x".repeat(100_000);
        a.publish("com.topic", r#"{"exclude_me": false}"#, &format!("[{long:?}]"));
        a.expect(&format!("[36, $sub, $_, {{}}, [{long:?}]]"));
        a.goodbye();
    }
    let mut io = endpoint.connect_tls(&certificate).expect("a TLS session");
    http::request(&mut io, "/", &[("Connection", "close")]);
    let page = io.read_to_close();
    assert!(String::from_utf8_lossy(&page).contains("Served for tcp4:127.0.0.1:"));
}

/// What is meant for TLS gets nothing but TLS.
#[test]
fn a_tls_port_speaks_nothing_in_the_clear() {
    let (router, endpoint, _) = start("", "");
    for (n, hello) in (1..).zip([&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x7f\xf1\0\0"]) {
        let mut io = endpoint.connect();
        io.write_all(hello).expect("it is open");
        let answer = io.read_to_close();
        assert!(!answer.starts_with(b"HTTP") && !answer.starts_with(b"\x7f"), "{}", answer.escape_ascii());
        router.await_drops("transport_violation", n);
    }
}

#[test]
fn certificates_are_read_again_on_sighup() {
    let (router, endpoint, old) = start("", "");
    let via = Via::all().next().expect("there is a way");
    let mut a = Client::open(endpoint.connect_tls(&old).expect("a TLS session"), via, router.scope.clone());
    a.hello(ALL_ROLES, "a");
    let new = certify(router.edge.directory());
    // Until it is told, the router shows what it has read.
    assert!(endpoint.connect_tls(&old).is_ok());
    router.edge.signal("HUP");
    eventually("the new certificate", || endpoint.connect_tls(&new).is_ok());
    assert!(endpoint.connect_tls(&old).is_err(), "the old certificate is shown no more");
    let said = "applied: [[listen]] 127.0.0.1:0: tls (the files have changed)\n";
    eventually("the log says so", || router.edge.log().contains(said));
    // Who is in stays in.
    a.call("wamp.session.count", "", "[1]");
    // A certificate that cannot be read leaves the last one in place, and all else in the file unapplied.
    std::fs::write(router.edge.directory().join("cert.pem"), "no certificate").expect("it is written");
    let file = router.edge.config_file();
    let text = std::fs::read_to_string(&file).expect("it is there");
    let limited = text.replace("[limits]\n", "[limits]\nsubscriptions_per_session_max = 0\n");
    std::fs::write(&file, limited).expect("the configuration is written");
    let before = router.edge.log().matches("cert.pem").count();
    router.edge.signal("HUP");
    eventually("the log names the file", || router.edge.log().matches("cert.pem").count() > before);
    let log = router.edge.log();
    let is_said = |line: &str| line.contains("ERROR") && line.contains("the configuration was not reloaded: ");
    assert!(log.lines().any(is_said), "{log}");
    assert!(endpoint.connect_tls(&new).is_ok());
    a.subscribe("com.topic", "{}", "sub");
}

#[test]
fn the_proxy_header_comes_before_tls() {
    let (router, endpoint, certificate) = start("proxy_protocol = \"required\"", "");
    let io = endpoint.connect();
    let mut tcp = io.tcp().try_clone().expect("a socket can be shared");
    tcp.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n").expect("it is open");
    let io = Endpoint::start_tls(tcp, &certificate).expect("a TLS session");
    let via = Via::new(crate::harness::client::Carrier::RawSocket, Serializer::Json);
    let mut a = Client::open(io, via, router.scope.clone());
    a.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
    a.expect(r#"[2, $_, {"x_cb_peer": "tcp4:192.0.2.1:56324", ...}]"#);
}

/// cryptosign with `channel_binding: tls-exporter`: a proof for one channel is none for another.
#[test]
fn a_proof_can_be_bound_to_the_channel() {
    let key = SecretKey::from_seed([7; 32]);
    let principals = format!(
        "[listen.auth.cryptosign.principals]\nholder = {{ authorized_keys = [\"{}\"], role = \"backend\" }}\n",
        key.public()
    );
    let (router, endpoint, certificate) = start("", &principals);
    for (is_bound_to_this, is_let_in) in [(true, true), (false, false)] {
        let io = endpoint.connect_tls(&certificate).expect("a TLS session");
        let mut prover = Prover::new(Some("holder".to_owned()), Credential::Cryptosign(key.clone()));
        prover.channel_id = Some(if is_bound_to_this { channel_id(&io) } else { [1; 32] });
        let via = Via::new(crate::harness::client::Carrier::WebSocket, Serializer::Cbor);
        let mut a = Client::open(io, via, router.scope.clone());
        let details = prover.hello_details(Dict::new().with("roles", Dict::new().with("caller", Dict::new())));
        a.send_message(&[1u64.into(), "realm1".into(), details.into()]);
        let challenge = a.receive();
        let Some(Value::Dict(extra)) = challenge.get(2) else { panic!("{challenge:?} is no CHALLENGE") };
        assert_eq!(extra.str("channel_binding"), Some("tls-exporter"));
        let signature = prover.answer("realm1", "cryptosign", extra).expect("the challenge can be answered");
        a.send_message(&[5u64.into(), signature.into(), Dict::new().into()]);
        if is_let_in {
            a.expect(r#"[2, $_, {"authid": "holder", "authmethod": "cryptosign", ...}]"#);
        } else {
            a.expect_abort("wamp.error.authentication_failed");
        }
    }
}

/// RFC 9266, from the client's side.
fn channel_id(io: &Io) -> [u8; 32] {
    let Io::Tls(stream) = io else { panic!("there is no channel without TLS") };
    stream.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[])).expect("the handshake is done")
}
