//! By which name a browser has reached a port for operators, and from which page: a stranger's page whose name leads to
//! the port is told nothing and opens nothing.

use crate::harness::cluster::Cluster;
use crate::harness::io::Endpoint;
use crate::harness::router::{Setup, endpoint_of};
use std::io::Write;

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wamp.2.json\r\n";

/// The status of the answer to a request.
fn status(endpoint: &Endpoint, begin: &str, host: &str, rest: &str) -> u16 {
    let mut io = endpoint.connect();
    io.write_all(format!("{begin} HTTP/1.1\r\nHost: {host}\r\n{rest}\r\n").as_bytes()).expect("open");
    let head = crate::harness::http::read_head(&mut io).expect("an answer");
    head.status
}

#[test]
fn ports_for_operators_answer_to_their_own_names_and_pages() {
    let mut cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    let master = cluster.master().endpoint();
    let admin = endpoint_of(cluster.node(1).edge.url("http"));
    for (endpoint, pages) in [(&master, ["/", "/api/cluster", "/metrics"]), (&admin, ["/", "/info", "/metrics"])] {
        for page in pages {
            let get = format!("GET {page}");
            for host in ["127.0.0.1", "localhost:9000", "[::1]:1"] {
                assert_eq!(status(endpoint, &get, host, ""), 200, "{page} of {host}");
            }
            for host in ["evil.example", "evil.example:9000", "127.0.0.1.evil.example"] {
                assert_eq!(status(endpoint, &get, host, ""), 403, "{page} of {host}");
            }
            assert_eq!(status(endpoint, &get, "127.0.0.1", "Origin: http://evil.example\r\n"), 403, "{page}");
        }
        assert_eq!(status(endpoint, "GET /healthz", "any.example", ""), 200);
        assert_eq!(status(endpoint, "OPTIONS /", "127.0.0.1", ""), 204);
        // A tool may know the port by any name; it names no origin.
        assert_eq!(status(endpoint, "GET /ws", "any.example", UPGRADE), 101);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            let rest = format!("{UPGRADE}Origin: {origin}\r\n");
            assert_eq!(status(endpoint, "GET /ws", "127.0.0.1:9000", &rest), 403, "{origin}");
        }
        let rebound = format!("{UPGRADE}Origin: http://evil.example\r\n");
        assert_eq!(status(endpoint, "GET /ws", "evil.example", &rebound), 403);
    }
    let own = format!("{UPGRADE}Origin: http://127.0.0.1:9000\r\n");
    assert_eq!(status(&master, "GET /ws", "127.0.0.1:9000", &own), 101, "the dashboard");
    assert_eq!(status(&admin, "GET /ws", "127.0.0.1:9000", &own), 403, "there is no dashboard");
}
