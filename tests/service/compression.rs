//! permessage-deflate: compressed and other clients get the same events.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of};
use crossbar_cluster::wire::Serializer;
use crossbar_cluster::wire::deflate::DeflateConfig;

fn config(window_bits_max: u8, no_takeover: bool) -> DeflateConfig {
    DeflateConfig {
        server_window_bits_max: window_bits_max,
        client_window_bits_max: window_bits_max,
        server_no_context_takeover: no_takeover,
        client_no_context_takeover: no_takeover,
        level: 6,
        message_bytes_min: 0,
    }
}

fn start() -> Router {
    let listeners = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n[listen.compression]\n".to_owned();
    Router::start(&Setup { listeners, ..Setup::default() })
}

fn join(router: &Router, via: Via, config: &DeflateConfig) -> Client {
    let endpoint = endpoint_of(router.edge.nth_url("ws", 1));
    let mut client = Client::open_compressed(endpoint.connect(), via, router.scope.clone(), config);
    client.hello(ALL_ROLES, "compressed");
    client
}

#[test]
fn compressed_and_plain_clients_get_the_same_events_in_order() {
    let router = start();
    let configs = [config(15, false), config(9, false), config(12, true)];
    for serializer in Serializer::ALL {
        for carrier in [Carrier::WebSocket, Carrier::Batched] {
            let via = Via::new(carrier, serializer);
            let mut clients: Vec<Client> = configs.iter().map(|config| join(&router, via, config)).collect();
            let mut plain = router.connect_via(via);
            plain.hello(ALL_ROLES, "plain");
            clients.push(plain);
            for client in &mut clients {
                client.subscribe("com.topic", "{}", "sub");
            }
            // Each of them publishes in turn, what repeats itself and what does not.
            for n in 0..12_usize {
                let text = format!("{n} {}", ["abc ".repeat(n * 500), format!("{:x?}", n * 7_919)].concat());
                let sender = n % clients.len();
                clients[sender].publish("com.topic", r#"{"exclude_me": false}"#, &format!("[{n}, {text:?}]"));
                for client in &mut clients {
                    client.expect(&format!("[36, $sub, $_, {{}}, [{n}, {text:?}]]"));
                }
            }
            for client in &mut clients {
                client.goodbye();
            }
        }
    }
}

/// Much that is alike takes few bytes on the wire.
#[test]
fn compression_saves_bytes() {
    let router = start();
    let via = Via::new(Carrier::WebSocket, Serializer::Json);
    let mut a = join(&router, via, &config(15, false));
    a.subscribe("com.topic", "{}", "sub");
    let before = router.metric("crossbar_bytes_total{direction=\"out\"}");
    let text = "all the same ".repeat(5_000);
    a.publish("com.topic", r#"{"exclude_me": false}"#, &format!("[{text:?}]"));
    a.expect(&format!("[36, $sub, $_, {{}}, [{text:?}]]"));
    let sent = router.metric("crossbar_bytes_total{direction=\"out\"}") - before;
    assert!(sent < text.len() as u64 / 2, "{sent} bytes for {}", text.len());
}

/// Without the table it is not offered.
#[test]
fn compression_is_agreed_on_only_where_it_is_configured() {
    let router = start();
    for (listener, is_agreed) in [(0, false), (1, true)] {
        let mut io = endpoint_of(router.edge.nth_url("ws", listener)).connect();
        let headers = [
            &crate::harness::client::UPGRADE[..],
            &[("Sec-WebSocket-Protocol", "wamp.2.json"), ("Sec-WebSocket-Extensions", "permessage-deflate")],
        ];
        crate::harness::http::request(&mut io, "/ws", &headers.concat());
        let response = crate::harness::http::read_head(&mut io).expect("an answer");
        assert_eq!(response.status, 101);
        assert_eq!(response.header("sec-websocket-extensions").is_some(), is_agreed);
    }
}
