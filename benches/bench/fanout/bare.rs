//! The bare program: one thread, one epoll, no routing. It answers the opening messages with canned ones, and copies
//! and writes every further frame to all, one write per event, as the router does without coalescing.

use rustix::event::epoll;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A connection and how far its opening has come.
struct Client {
    stream: TcpStream,
    inbox: Vec<u8>,
    stage: Stage,
    publishes: u64,
}

#[derive(PartialEq)]
enum Stage {
    Http,
    Hello,
    Subscribe,
    Publish,
}

/// Serves until it is killed.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    println!("bare: listening on ws://{}/ws", listener.local_addr().expect("it is bound"));
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll can be made");
    let readable = epoll::EventFlags::IN;
    let token = |fd: i32| epoll::EventData::new_u64(fd as u64);
    epoll::add(&epoll, &listener, token(listener.as_raw_fd()), readable).expect("it can be polled");
    listener.set_nonblocking(true).expect("it can be made nonblocking");
    let mut clients: HashMap<u64, Client> = HashMap::new();
    let mut order: Vec<u64> = Vec::new();
    let mut events = Vec::with_capacity(1024);
    let mut buffer = vec![0; 65536];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).expect("epoll waits");
        for event in &events {
            let fd = event.data.u64();
            if fd == listener.as_raw_fd() as u64 {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).expect("it can be made nonblocking");
                    stream.set_nodelay(true).expect("TCP takes nodelay");
                    let fd = stream.as_raw_fd();
                    epoll::add(&epoll, &stream, token(fd), readable).expect("it can be polled");
                    order.push(fd as u64);
                    clients.insert(fd as u64, Client { stream, inbox: Vec::new(), stage: Stage::Http, publishes: 0 });
                }
            } else if let Some(publishes) = read(&mut clients, fd, &mut buffer) {
                for publish in publishes {
                    fan_out(&mut clients, &order, fd, &publish);
                }
            } else {
                clients.remove(&fd);
                order.retain(|other| *other != fd);
            }
        }
    }
}

/// Reads one client. Returns the payloads of its PUBLISHes, None when it has left.
fn read(clients: &mut HashMap<u64, Client>, fd: u64, buffer: &mut [u8]) -> Option<Vec<Vec<u8>>> {
    let client = clients.get_mut(&fd)?;
    match client.stream.read(buffer) {
        Ok(0) => return None,
        Ok(n) => client.inbox.extend_from_slice(&buffer[..n]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(Vec::new()),
        Err(_) => return None,
    }
    let mut payloads = Vec::new();
    loop {
        if client.stage == Stage::Http {
            let Some(end) = client.inbox.windows(4).position(|window| window == b"\r\n\r\n") else { break };
            let head = String::from_utf8_lossy(&client.inbox[..end]).into_owned();
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Protocol: wamp.2.cbor\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(key.trim().as_bytes())
            );
            client.stream.write_all(answer.as_bytes()).ok()?;
            client.inbox.drain(..end + 4);
            client.stage = Stage::Hello;
        }
        let Some((payload, taken)) = unmask(&client.inbox) else { break };
        client.inbox.drain(..taken);
        match client.stage {
            Stage::Hello => {
                write_frame(&client.stream, WELCOME)?;
                client.stage = Stage::Subscribe;
            }
            Stage::Subscribe => {
                write_frame(&client.stream, SUBSCRIBED)?;
                client.stage = Stage::Publish;
            }
            _ => payloads.push(payload),
        }
    }
    Some(payloads)
}

/// `[2, 1, {}]`, `[33, 1, 1]` in CBOR.
const WELCOME: &[u8] = &[0x83, 0x02, 0x01, 0xa0];
const SUBSCRIBED: &[u8] = &[0x83, 0x18, 0x21, 0x01, 0x01];
/// `[36, subscription, publication, {}, …` with ids of the size that real ones have.
const EVENT_HEAD: &[u8] = &[0x85, 0x18, 0x24, 0x1b, 0, 0x1f, 1, 2, 3, 4, 5, 6, 0x1b, 0, 0x1f, 1, 2, 3, 4, 5, 7, 0xa0];

/// One masked client frame from the front of `inbox`, and how long it was.
fn unmask(inbox: &[u8]) -> Option<(Vec<u8>, usize)> {
    let length = usize::from(inbox.get(1)? & 0x7f);
    let (length, start) = match length {
        126 => (usize::from(u16::from_be_bytes([*inbox.get(2)?, *inbox.get(3)?])), 4),
        length => (length, 2),
    };
    let mask = inbox.get(start..start + 4)?;
    let payload = inbox.get(start + 4..start + 4 + length)?;
    Some((payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(), start + 4 + length))
}

/// Copies the arguments of one PUBLISH into an EVENT for everybody, and acknowledges it.
fn fan_out(clients: &mut HashMap<u64, Client>, order: &[u64], publisher: u64, publish: &[u8]) {
    // Only the arguments are looked for: `args` is the last element, a list of one byte string.
    let Some(at) = publish.windows(2).rposition(|pair| pair[0] == 0x81 && pair[1] == 0x58) else { return };
    let mut event = EVENT_HEAD.to_vec();
    event.extend_from_slice(&publish[at..]);
    let mut frame = Vec::with_capacity(event.len() + 4);
    push_frame(&mut frame, &event);
    if let Some(client) = clients.get_mut(&publisher) {
        client.publishes += 1;
        let mut published = vec![0x83, 0x11, 0x19];
        published.extend_from_slice(&(client.publishes as u16 + 1).to_be_bytes());
        published.extend_from_slice(&[0x1b, 0, 0x1f, 1, 2, 3, 4, 5, 7]);
        // The acknowledgement travels with the publisher's own event, as the router's does.
        let mut both = Vec::with_capacity(frame.len() + 32);
        push_frame(&mut both, &published);
        both.extend_from_slice(&frame);
        let _ = (&client.stream).write_all(&both);
    }
    let mut copy = Vec::with_capacity(frame.len());
    for fd in order.iter().filter(|fd| **fd != publisher) {
        if let Some(client) = clients.get_mut(fd) {
            copy.clear();
            copy.extend_from_slice(&frame);
            let _ = (&client.stream).write_all(&copy);
        }
    }
}

fn push_frame(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(0x82);
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(length),
        _ => {
            out.push(126);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

fn write_frame(mut stream: &TcpStream, payload: &[u8]) -> Option<()> {
    let mut frame = Vec::new();
    push_frame(&mut frame, payload);
    stream.write_all(&frame).ok()
}
