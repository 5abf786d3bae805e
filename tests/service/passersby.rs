//! Whoever connects and goes away without having asked for anything, as the checks of load balancers do, violates
//! nothing and loses nothing: on every kind of listener, in the clear and by TLS, with and without a PROXY header.

use crate::harness::Edge;
use crate::harness::http::fetch;
use crate::harness::io::{Endpoint, Io};
use crate::harness::router::{Router, Setup, endpoint_of, eventually};
use rustls::pki_types::CertificateDer;
use std::io::Write;

/// PROXY, version 2, LOCAL: what HAProxy sends ahead of its own checks.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x00";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";

/// A listener of each kind for each way to treat PROXY headers, with and without TLS, one for links, one on a socket
/// file; and the certificate of those with TLS.
fn start() -> (Router, CertificateDer<'static>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificate = super::tls::certify(directory.path());
    let mut listeners = String::from("[[listen]]\ntype = \"universal\"\naddress = \"unix:{dir}/socket\"\n");
    for mode in MODES {
        for kind in ["websocket", "rawsocket", "universal"] {
            for tls in ["", super::tls::TLS] {
                let listener = format!("type = \"{kind}\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"{mode}\"\n");
                listeners += &format!("[[listen]]\n{listener}{tls}");
            }
        }
    }
    listeners += "[[listen]]\ntype = \"rawsocket\"\npurpose = \"mesh\"\naddress = \"127.0.0.1:0\"\n\
                  serializers = [\"cbor\"]\n";
    let setup = Setup { listeners, ..Setup::default() };
    let router = Router::of(Edge::start_with(directory, &setup.to_text(), |_| {}));
    (router, certificate)
}

const MODES: [&str; 3] = ["off", "optional", "required"];

/// Every listener of `start`, with what it wants of PROXY headers, and whether it speaks TLS.
fn doors(router: &Router) -> Vec<(Endpoint, &'static str, bool)> {
    let urls = router.edge.urls();
    let modes = ["off"; 3].into_iter().chain(MODES.into_iter().flat_map(|mode| [mode; 6])).chain(["off"; 2]);
    assert_eq!(urls.len(), modes.clone().count(), "{urls:?}");
    let is_tls = |url: &str| url.starts_with("wss:") || url.starts_with("rss:");
    urls.iter().zip(modes).map(|(url, mode)| (endpoint_of(url), mode, is_tls(url))).collect()
}

#[test]
fn who_goes_without_a_byte_violates_nothing() {
    let (router, certificate) = start();
    let mut watch = Watch::new(&router);
    for (endpoint, mode, is_tls) in doors(&router) {
        let headers: &[&[u8]] = match mode {
            "off" => &[b""],
            "optional" => &[b"", LOCAL, V1],
            _ => &[LOCAL, V1],
        };
        for header in [b""].iter().map(|none| &none[..]).chain(headers.iter().copied()) {
            drop(watch.connect(&endpoint, header));
            if let Endpoint::Tcp(_) = endpoint {
                watch.connect(&endpoint, header).reset();
            }
        }
        for header in headers.iter().filter(|_| is_tls) {
            // A check of TLS, and nothing behind it.
            let Io::Tcp(tcp) = watch.connect(&endpoint, header) else { panic!("it is TCP") };
            drop(Endpoint::start_tls(tcp, &certificate).expect("a TLS session"));
        }
    }
    watch.await_end();
    for reason in ["transport_violation", "protocol_violation", "peer_lost", "handshake_timeout"] {
        assert_eq!(router.drops(reason), 0, "{reason}");
    }
    // Whoever says what is no handshake is counted all the same.
    let mut io = endpoint_of(router.edge.url("rs")).connect();
    io.write_all(b"x").expect("it is open");
    router.await_drops("transport_violation", 1);
}

/// A check that an edge could not answer in time, because it was stopped, and whose balancer has gone meanwhile.
#[test]
fn checks_that_were_given_up_violate_nothing() {
    let (router, _) = start();
    let mut watch = Watch::new(&router);
    router.edge.signal("STOP");
    for (endpoint, mode, _) in doors(&router).into_iter().filter(|(.., is_tls)| !is_tls) {
        let Endpoint::Tcp(_) = endpoint else { continue };
        let header = if mode == "off" { b"" } else { LOCAL };
        for is_reset in [false, true] {
            let mut io = watch.connect(&endpoint, header);
            if endpoint_speaks_http(&router, &endpoint) {
                io.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("the kernel takes it");
            }
            if is_reset { io.reset() } else { drop(io) }
        }
    }
    router.edge.signal("CONT");
    watch.await_end();
    assert_eq!(router.drops("transport_violation"), 0);
    assert_eq!(router.drops("peer_lost"), 0);
}

fn endpoint_speaks_http(router: &Router, endpoint: &Endpoint) -> bool {
    router.edge.urls().iter().any(|url| endpoint_of(url) == *endpoint && !url.starts_with("rs"))
}

/// Knows how many connections were made, and when all of them have come and gone.
struct Watch<'r> {
    router: &'r Router,
    accepted: u64,
}

impl Watch<'_> {
    fn new(router: &Router) -> Watch<'_> {
        Watch { router, accepted: router.metric("crossbar_connections_accepted_total") }
    }

    fn connect(&mut self, endpoint: &Endpoint, header: &[u8]) -> Io {
        self.accepted += 1;
        let mut io = endpoint.connect();
        io.write_all(header).expect("it is open");
        io
    }

    fn await_end(&mut self) {
        eventually("everybody has come and gone", || {
            // Whoever asks comes in as well.
            self.accepted += 2;
            let info = fetch(&endpoint_of(self.router.edge.url("http")), "/info", &[("Accept", "application/json")]);
            let info: serde_json::Value = serde_json::from_str(info.text()).expect("/info is JSON");
            let is_empty = |listener: &serde_json::Value| listener["handshakes"] == 0 && listener["connections"] == 0;
            let all_gone = info["listeners"].as_array().expect("a list").iter().all(is_empty);
            self.router.metric("crossbar_connections_accepted_total") == self.accepted && all_gone
        });
    }
}
