//! The load: sessions that all listen to one topic and all publish to it, and the count of what arrives.

use crate::process::Server;
use rustix::event::epoll;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

pub(crate) const TOPIC: &str = "com.example.test1.binary";

/// How many sessions do what, for how long.
pub(crate) struct Load {
    pub(crate) sessions: usize,
    pub(crate) rate_per_second: u32,
    pub(crate) payload_bytes: usize,
    pub(crate) measure: Duration,
}

/// What came of it.
pub(crate) struct Report {
    pub(crate) events: u64,
    pub(crate) expected: u64,
    pub(crate) out_of_order: u64,
    pub(crate) server_cpu: Duration,
    pub(crate) wall: Duration,
}

impl Report {
    /// Whether everything arrived, in order.
    pub(crate) fn is_complete(&self) -> bool {
        self.events == self.expected && self.out_of_order == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9} of {:>9} events, {} out of order, {:>7.0} events/s, server {:.2} s CPU, {:.3} µs per event",
            self.events,
            self.expected,
            self.out_of_order,
            self.events as f64 / self.wall.as_secs_f64(),
            self.server_cpu.as_secs_f64(),
            self.server_cpu.as_secs_f64() * 1e6 / self.events.max(1) as f64,
        )
    }
}

/// One session of the load.
struct Session {
    stream: TcpStream,
    inbox: Vec<u8>,
    published: u32,
    /// The last counter seen of each publisher.
    seen: Vec<u32>,
}

impl Load {
    /// Runs the load against a server: first one second to warm up, then the measurement, then until everything has
    /// arrived.
    pub(crate) fn run(&self, server: &Server) -> Report {
        let mut sessions: Vec<Session> =
            (0..self.sessions).map(|_| Session::open(&server.address, self.sessions)).collect();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll can be made");
        for (index, session) in sessions.iter().enumerate() {
            session.stream.set_nonblocking(true).expect("it can be made nonblocking");
            let token = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &session.stream, token, epoll::EventFlags::IN).expect("it can be polled");
            let _ = session.stream.as_raw_fd();
        }
        let warm_up = Duration::from_secs(1);
        let gap = Duration::from_secs(1) / (self.rate_per_second * self.sessions as u32);
        let warm_up_publishes = (warm_up.as_nanos() / gap.as_nanos()) as u64;
        let measured_publishes = (self.measure.as_nanos() / gap.as_nanos()) as u64;
        let (mut published, mut events, mut out_of_order) = (0u64, 0u64, 0u64);
        let started = Instant::now();
        let mut mark = (Duration::ZERO, Instant::now(), 0u64);
        let mut measured = None;
        let total = (warm_up_publishes + measured_publishes) * self.sessions as u64;
        let mut ready = Vec::with_capacity(1024);
        let mut last_event = Instant::now();
        while events < total && last_event.elapsed() < Duration::from_secs(5) {
            while published < warm_up_publishes + measured_publishes && started.elapsed() >= gap * published as u32 {
                if published == warm_up_publishes {
                    mark = (server.cpu(), Instant::now(), events);
                }
                let index = published as usize % self.sessions;
                sessions[index].publish(index, self.payload_bytes);
                published += 1;
            }
            if published == warm_up_publishes + measured_publishes && measured.is_none() {
                measured = Some((server.cpu() - mark.0, mark.1.elapsed(), events - mark.2));
            }
            let wait = (started + gap * published as u32).saturating_duration_since(Instant::now());
            let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: wait.min(gap).as_nanos() as i64 };
            ready.clear();
            epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&wait)).expect("epoll waits");
            for event in &ready {
                let (count, wrong) = sessions[event.data.u64() as usize].read();
                events += count;
                out_of_order += wrong;
                if count > 0 {
                    last_event = Instant::now();
                }
            }
        }
        let (server_cpu, wall, measured_events) = measured.unwrap_or_default();
        // What was measured is a part of what was checked: CPU over the window, loss and order over everything.
        let scale = measured_events as f64 / events.max(1) as f64;
        let server_cpu = server_cpu.div_f64(scale.max(1e-9)).mul_f64(1.0);
        let wall = wall.div_f64(scale.max(1e-9));
        Report { events, expected: total, out_of_order, server_cpu, wall }
    }
}

impl Session {
    /// Opens a WebSocket, joins realm1 and subscribes, each with an answer waited for.
    fn open(address: &str, publishers: usize) -> Session {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("TCP takes nodelay");
        let mut session = Session { stream, inbox: Vec::new(), published: 0, seen: vec![0; publishers] };
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: wamp.2.cbor\r\n\r\n"
        );
        session.stream.write_all(request.as_bytes()).expect("the server reads");
        while !session.inbox.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            session.stream.read_exact(&mut byte).expect("the server upgrades");
            session.inbox.push(byte[0]);
        }
        session.inbox.clear();
        // [1, "realm1", {"roles": {"publisher": {}, "subscriber": {}}}]
        let mut hello = vec![0x83, 0x01];
        push_text(&mut hello, "realm1");
        hello.push(0xa1);
        push_text(&mut hello, "roles");
        hello.push(0xa2);
        push_text(&mut hello, "publisher");
        hello.push(0xa0);
        push_text(&mut hello, "subscriber");
        hello.push(0xa0);
        session.request(&hello);
        // [32, 1, {}, TOPIC]
        let mut subscribe = vec![0x84, 0x18, 0x20, 0x01, 0xa0];
        push_text(&mut subscribe, TOPIC);
        session.request(&subscribe);
        session
    }

    /// Sends a message and waits for the one that answers it.
    fn request(&mut self, message: &[u8]) {
        self.stream.write_all(&masked(message)).expect("the server reads");
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).expect("the server answers");
        let length = match head[1] {
            126 => {
                let mut extended = [0; 2];
                self.stream.read_exact(&mut extended).expect("the server answers");
                usize::from(u16::from_be_bytes(extended))
            }
            length => usize::from(length),
        };
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).expect("the server answers");
    }

    /// `[16, request, {"acknowledge": true, "exclude_me": false}, TOPIC, [payload]]`
    fn publish(&mut self, index: usize, payload_bytes: usize) {
        self.published += 1;
        let mut message = vec![0x85, 0x10, 0x1a];
        message.extend_from_slice(&(self.published + 1).to_be_bytes());
        message.push(0xa2);
        push_text(&mut message, "acknowledge");
        message.push(0xf5);
        push_text(&mut message, "exclude_me");
        message.push(0xf4);
        push_text(&mut message, TOPIC);
        message.extend_from_slice(&[0x81, 0x58, payload_bytes as u8]);
        message.extend_from_slice(&(index as u32).to_be_bytes());
        message.extend_from_slice(&self.published.to_be_bytes());
        message.resize(message.len() + payload_bytes - 8, 0x55);
        self.stream.write_all(&masked(&message)).expect("the server reads");
    }

    /// Reads what has arrived: how many events, and how many of them out of order.
    fn read(&mut self) -> (u64, u64) {
        let mut buffer = [0; 16384];
        match self.stream.read(&mut buffer) {
            Ok(n) => self.inbox.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the server closed a session: {error}"),
        }
        let (mut events, mut wrong, mut at) = (0, 0, 0);
        while let Some((start, end)) = frame(&self.inbox[at..]) {
            let payload = &self.inbox[at + start..at + end];
            // An EVENT is a list of five that starts with 36; anything else is an acknowledgement.
            if payload.starts_with(&[0x85, 0x18, 0x24]) {
                events += 1;
                let counters = &payload[payload.len() - 128..];
                let number = |at: usize| u32::from_be_bytes(counters[at..at + 4].try_into().expect("four bytes"));
                let (publisher, counter) = (number(0) as usize, number(4));
                wrong += u64::from(self.seen[publisher] + 1 != counter);
                self.seen[publisher] = counter;
            }
            at += end;
        }
        self.inbox.drain(..at);
        (events, wrong)
    }
}

/// Where the payload of the first whole server frame starts and ends.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        length => (2, usize::from(length)),
    };
    (bytes.len() >= start + length).then_some((start, start + length))
}

/// A binary client frame. The mask is constant: the server has to unmask it all the same.
fn masked(payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut out = vec![0x82];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(0x80 | length),
        _ => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("texts of the load are short");
    if length < 24 {
        out.push(0x60 | length)
    } else {
        out.extend_from_slice(&[0x78, length])
    }
    out.extend_from_slice(text.as_bytes());
}
