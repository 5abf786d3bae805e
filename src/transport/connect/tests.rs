//! Dialing what `accept` serves, and peers that are not what they should be.

use super::*;
use crate::transport::Peer;
use crate::transport::accept::{self, Accepted, Accepting, Established, HandshakeError, ProxyMode};
use crate::transport::askers::Askers;
use crate::transport::framing::Incoming;
use crate::transport::http::{HttpSettings, Page};
use crate::transport::listener::{Endpoint, Listener};
use crate::transport::stream::Socket;
use std::cell::RefCell;
use std::rc::Rc;

const BYTES_MAX: usize = 1 << 20;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn tcp(host: &str, port: u16) -> Target {
    Target::Tcp { host: host.to_owned(), port }
}

/// A listener that speaks both, on a free port or a socket file; WebSocket at `/ws` with CBOR, RawSocket with CBOR.
fn serve(endpoint: Endpoint) -> (Listener, Accepting) {
    let listener = Listener::bind(&endpoint, 16, false).unwrap();
    let http = HttpSettings {
        websocket_path: Some("/ws".to_owned()),
        serializers: vec![Serializer::Cbor],
        batched: false,
        require_subprotocol: true,
        echo: false,
        askers: Askers::Clients(Box::new(|_| true)),
        deflate: None,
        pages: Rc::new(|_| Page { status: 404, ..Page::new("text/plain", "") }),
    };
    let accepting = Accepting {
        proxy: ProxyMode::Off,
        proxies: Vec::new(),
        http: Some(http),
        rawsocket: vec![Serializer::Cbor],
        is_mesh: false,
        limits: RefCell::default(),
        tls: RefCell::new(None),
    };
    (listener, accepting)
}

async fn take_in(accepting: &Accepting, socket: Socket, peer: Peer) -> Result<Accepted, HandshakeError> {
    let (socket, peer) = accept::identify(accepting, socket, peer).await?.expect("somebody comes");
    accept::accept(accepting, socket, peer).await
}

async fn reach_and_connect(url: &Url, serializer: Serializer) -> Result<Connected, ConnectError> {
    connect(reach(url.target()).await?, url, serializer, BYTES_MAX).await
}

/// Connects to what is served, both sides at once.
async fn meet(
    url: &Url,
    serializer: Serializer,
    listener: &Listener,
    accepting: &Accepting,
) -> (Connected, Established) {
    let (connected, accepted) = tokio::join!(reach_and_connect(url, serializer), async {
        let (socket, peer) = listener.accept().await;
        take_in(accepting, socket, peer).await
    });
    let Accepted::Established(established) = accepted.unwrap() else { panic!("a page was served") };
    (connected.unwrap(), *established)
}

/// Sends bytes one way and returns what arrives as one message.
async fn carry(bytes: &[u8], from: &Stream, to: &Stream, inbound: &mut Inbound) -> Vec<u8> {
    assert_eq!(from.try_write(bytes).unwrap(), bytes.len());
    let mut buffer = vec![0; 1 << 16];
    std::future::poll_fn(|cx| to.poll_read_ready(cx)).await.unwrap();
    let n = to.try_read(&mut buffer).unwrap();
    let (taken, incoming) = inbound.decode(&mut buffer[..n]).unwrap();
    assert_eq!(taken, n);
    match incoming {
        Some(Incoming::Message { bytes, .. }) => bytes.into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_flow_both_ways_over_every_transport() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("socket");
    let (listener, accepting) = serve(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()));
    let (local, local_accepting) = serve(Endpoint::Unix(file.clone()));
    let cases = [
        (format!("ws://{}/ws", listener.address()), &listener, &accepting),
        (format!("rs://{}", listener.address()), &listener, &accepting),
        (format!("rs+unix:{}", file.display()), &local, &local_accepting),
    ];
    for (text, listener, accepting) in cases {
        let (mut ours, mut theirs) = meet(&url(&text), Serializer::Cbor, listener, accepting).await;
        assert_eq!(theirs.serializer, Some(Serializer::Cbor), "{text}");
        for message in [&b"one"[..], &[7; 300]] {
            // A server's decoder insists on masks, and a client's on none.
            let frame = ours.outbound.wrap(Serializer::Cbor, message).expect("it is short");
            assert_eq!(carry(&frame, &ours.stream, &theirs.stream, &mut theirs.inbound).await, message, "{text}");
            let frame = theirs.outbound.wrap(Serializer::Cbor, message).expect("it is short");
            assert_eq!(carry(&frame, &theirs.stream, &ours.stream, &mut ours.inbound).await, message, "{text}");
        }
    }
}

#[tokio::test]
async fn what_follows_the_handshake_in_the_same_segment_is_kept() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = tcp("127.0.0.1", listener.local_addr().unwrap().port());
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while memchr::memmem::find(&head, HEAD_END).is_none() {
            socket.read_buf(&mut head).await.unwrap();
        }
        let text = String::from_utf8(head).unwrap();
        let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: {accept}\r\nsec-websocket-protocol: wamp.2.cbor\r\n\r\nleft over"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket
    };
    let connecting = async { connect_websocket(reach(&target).await?, "/", Serializer::Cbor, BYTES_MAX).await };
    let (connected, _socket) = tokio::join!(connecting, server);
    assert_eq!(connected.unwrap().leftover, &b"left over"[..]);
}

#[tokio::test]
async fn refusals_name_the_target_and_the_reason() {
    let (listener, accepting) = serve(Endpoint::Tcp("127.0.0.1:0".parse().unwrap()));
    let address = listener.address();
    for (text, serializer, expected) in [
        (format!("ws://{address}/nowhere"), Serializer::Cbor, "404"),
        (format!("ws://{address}/ws"), Serializer::Json, "400"),
        (format!("rs://{address}"), Serializer::Json, "serializer"),
    ] {
        let url = url(&text);
        let (connected, _) = tokio::join!(reach_and_connect(&url, serializer), async {
            let (socket, peer) = listener.accept().await;
            take_in(&accepting, socket, peer).await
        });
        let sentence = connected.unwrap_err().to_string();
        assert!(sentence.starts_with(&address) && sentence.contains(expected), "{sentence}");
    }
    drop(listener);
    let error = reach_and_connect(&url(&format!("rs://{address}")), Serializer::Cbor).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[test]
fn urls_are_read_and_written_alike() {
    let cases = [
        ("ws://localhost:8080/ws", Url::WebSocket { target: tcp("localhost", 8080), path: "/ws".to_owned() }),
        ("ws://[::1]:8080/", Url::WebSocket { target: tcp("::1", 8080), path: "/".to_owned() }),
        ("rs://10.0.0.1:5081", Url::RawSocket { target: tcp("10.0.0.1", 5081) }),
        ("rs+unix:/run/edge.sock", Url::RawSocket { target: Target::Unix("/run/edge.sock".into()) }),
    ];
    for (text, expected) in cases {
        assert_eq!(url(text), expected);
        assert_eq!(expected.to_string(), text);
    }
    assert_eq!(url("ws://host").to_string(), "ws://host:80/");
    for wrong in
        ["", "host:1", "http://host/", "ws://", "ws://host:99999/", "ws://::1/", "rs://host", "rs+unix:", "rs+host:1"]
    {
        assert!(wrong.parse::<Url>().is_err(), "{wrong}");
    }
}

/// An address whose packets nobody answers: the listener's queue is full, and stays so as long as this is kept.
async fn dead_address() -> (std::net::SocketAddr, Vec<std::net::TcpStream>, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(100)) {
        queue.push(stream);
        assert!(queue.len() < 100, "the queue never fills");
    }
    (address, queue, socket)
}

#[tokio::test]
async fn dead_addresses_do_not_keep_a_living_one_from_being_reached() {
    let (dead, _queue, _socket) = dead_address().await;
    let living = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap()
    };
    let address = living.local_addr().unwrap();
    // Each of the dead ones alone would use up the time that a link has for its handshake.
    let reached = reach::connect_first(vec![dead, refusing, dead, dead, address, dead]).await.unwrap();
    assert_eq!(reached.peer_addr().unwrap(), address);
    let error = reach::connect_first(vec![refusing, dead]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "the first failure is told");
    assert!(reach::connect_first(Vec::new()).await.is_err());
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_all_who_ask_at_the_same_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = tcp("localhost", listener.local_addr().unwrap().port());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let target = target.clone();
        all.spawn(async move { reach(&target).await.is_ok() });
    }
    assert!(all.join_all().await.into_iter().all(|is_reached| is_reached));
    let error = reach(&tcp("no-such-name.invalid", 1)).await.unwrap_err().to_string();
    assert!(error.starts_with("no-such-name.invalid:1: "), "{error}");
}
