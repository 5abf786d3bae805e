//! What an idle session costs in resident memory, over many sessions.

use crate::process::Server;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Two descriptors per session (one here, one in the server) stay below the 20,000 that a process often gets.
const SESSIONS: usize = 15_000;

/// Opens the sessions, and prints the server's resident memory per session.
pub(crate) fn run() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let server = Server::edge("0ms", "5ms");
    // A first session brings up what exists once, such as the realm and the allocator's arenas.
    let _first = open(&server.address);
    let before = server.resident_kib();
    let sessions: Vec<TcpStream> = (0..SESSIONS).map(|_| open(&server.address)).collect();
    let after = server.resident_kib();
    let per_session = (after - before) as f64 / sessions.len() as f64;
    println!("{SESSIONS} idle sessions: {before} KiB before, {after} KiB with them, {per_session:.2} KiB per session");
}

/// A joined session over RawSocket or WebSocket, whichever the server's port speaks: here WebSocket with CBOR.
fn open(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: wamp.2.cbor\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("the server upgrades");
        head.push(byte[0]);
    }
    // [1, "realm1", {"roles": {"subscriber": {}}}], masked with zeros.
    let hello = b"\x83\x01\x66realm1\xa1\x65roles\xa1\x6asubscriber\xa0";
    let mut frame = vec![0x82, 0x80 | hello.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(hello);
    stream.write_all(&frame).expect("the server reads");
    stream.read_exact(&mut byte).expect("the server welcomes");
    stream
}
