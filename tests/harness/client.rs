//! A raw WAMP client: it sends what a test says, legal or not, and compares what comes with what the test expects.
//!
//! Nothing waits by sleeping. `sync` is a round trip on the transport: when it is back, the router has handled all that
//! this client has sent, and all that was put into this client's outbox before has arrived. (A realm is one shard's.)

use super::http::{self, Response};
use super::io::{Io, PATIENCE, is_closed};
use super::pattern::{Bindings, Pattern, show};
use crossbar_cluster::wire::batch::{Batch, Batching};
use crossbar_cluster::wire::deflate::{self, Compressor, DeflateConfig};
use crossbar_cluster::wire::websocket::{self, FrameHead, Role};
use crossbar_cluster::wire::{Elements, Serializer, Value, Writer, rawsocket};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// How a client speaks to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    pub carrier: Carrier,
    pub serializer: Serializer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    WebSocket,
    /// WebSocket messages that hold batches of WAMP messages.
    Batched,
    RawSocket,
}

/// What the names in the messages of one test stand for.
pub type Scope = Arc<Mutex<Bindings>>;

/// One connection to the router, before, in and after sessions.
pub struct Client {
    pub io: Io,
    pub via: Via,
    scope: Scope,
    framing: Framing,
    /// Bytes that came behind the transport's handshake.
    leftover: Vec<u8>,
    inbox: VecDeque<Received>,
    /// The request id that was sent last.
    request: u64,
    pings: u64,
    ponged: Option<Vec<u8>>,
    close: Option<websocket::Close>,
    /// The largest message that a RawSocket peer said it takes.
    pub peer_bytes_max: usize,
    compressor: Option<Compressor>,
    /// How often the router has pinged.
    pinged: u64,
}

/// One WAMP message, as it came and what it says.
#[derive(Debug)]
pub struct Received {
    pub bytes: Vec<u8>,
    pub message: Vec<Value>,
}

enum Framing {
    WebSocket(websocket::Decoder),
    RawSocket(rawsocket::Decoder),
}

/// How the router ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    /// Of the WebSocket close frame; None when there was none.
    pub code: Option<u16>,
    pub reason: String,
}

impl Via {
    pub const fn new(carrier: Carrier, serializer: Serializer) -> Via {
        Via { carrier, serializer }
    }

    /// Every way to speak to the router.
    pub fn all() -> impl Iterator<Item = Via> {
        let carriers = [Carrier::WebSocket, Carrier::Batched, Carrier::RawSocket];
        carriers.into_iter().flat_map(|carrier| Serializer::ALL.map(|serializer| Via { carrier, serializer }))
    }

    /// The WebSocket subprotocol.
    pub fn subprotocol(self) -> String {
        let batched = if self.carrier == Carrier::Batched { ".batched" } else { "" };
        format!("wamp.2.{}{batched}", self.serializer.name())
    }
}

impl Client {
    /// Does the transport's handshake on a fresh connection.
    pub fn open(io: Io, via: Via, scope: Scope) -> Client {
        match via.carrier {
            Carrier::RawSocket => Client::open_rawsocket(io, via, scope, BYTES_MAX),
            Carrier::WebSocket | Carrier::Batched => Client::open_websocket(io, via, scope, "/ws", &[]),
        }
    }

    /// Opens a RawSocket, as a client that takes messages of `bytes_max` (2^9 to 2^24).
    pub fn open_rawsocket(mut io: Io, via: Via, scope: Scope, bytes_max: usize) -> Client {
        io.write_all(&rawsocket::request(via.serializer, bytes_max)).expect("the handshake can be sent");
        let mut reply = [0; 4];
        io.read_exact(&mut reply).expect("a reply to the handshake");
        let peer_bytes_max = rawsocket::read_reply(reply, via.serializer).expect("the router agrees");
        let framing = Framing::RawSocket(rawsocket::Decoder::new(bytes_max));
        Client { peer_bytes_max, ..Client::new(io, via, scope, framing) }
    }

    /// Opens a WebSocket with permessage-deflate, to which the router has to agree.
    pub fn open_compressed(io: Io, via: Via, scope: Scope, config: &DeflateConfig) -> Client {
        let offer = deflate::client_offer(config);
        let headers = [("Sec-WebSocket-Extensions", offer.as_str())];
        let (mut client, response) = Client::upgrade(io, via, scope, "/ws", &headers);
        let params = deflate::negotiate_client(response.header("sec-websocket-extensions"), config);
        let params = params.expect("the answer fits the offer").expect("the router agrees to compress");
        client.framing = Framing::WebSocket(websocket::Decoder::new(Role::Client, BYTES_MAX, Some(&params)));
        client.compressor = Some(Compressor::new(&params));
        client
    }

    /// Opens a WebSocket at `path`, with further header lines.
    pub fn open_websocket(io: Io, via: Via, scope: Scope, path: &str, headers: &[(&str, &str)]) -> Client {
        Client::upgrade(io, via, scope, path, headers).0
    }

    fn upgrade(mut io: Io, via: Via, scope: Scope, path: &str, headers: &[(&str, &str)]) -> (Client, Response) {
        let subprotocol = via.subprotocol();
        let own = [("Sec-WebSocket-Protocol", subprotocol.as_str())];
        http::request(&mut io, path, &[&UPGRADE[..], &own, headers].concat());
        let response = http::read_head(&mut io).expect("a response to the upgrade");
        assert_eq!(response.status, 101, "{via:?}: {}", response.text());
        assert_eq!(response.header("sec-websocket-protocol"), Some(subprotocol.as_str()));
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(KEY.as_bytes());
        assert_eq!(response.header("sec-websocket-accept"), Some(accept.as_str()));
        let framing = Framing::WebSocket(websocket::Decoder::new(Role::Client, BYTES_MAX, None));
        let leftover = response.body.clone();
        (Client { leftover, ..Client::new(io, via, scope, framing) }, response)
    }

    fn new(io: Io, via: Via, scope: Scope, framing: Framing) -> Client {
        Client {
            io,
            via,
            scope,
            framing,
            leftover: Vec::new(),
            inbox: VecDeque::new(),
            request: 0,
            pings: 0,
            ponged: None,
            close: None,
            peer_bytes_max: usize::MAX,
            compressor: None,
            pinged: 0,
        }
    }

    /// Joins `realm1` with these details and waits for WELCOME. The session id is bound to `name`.
    pub fn hello(&mut self, details: &str, name: &str) {
        self.send(&format!(r#"[1, "realm1", {details}]"#));
        self.welcome(name);
    }

    /// Expects WELCOME. The session id is bound to `name`.
    pub fn welcome(&mut self, name: &str) {
        self.unbind(&[name]);
        self.expect(&format!("[2, ${name}, {{...}}]"));
        self.request = 0;
    }

    /// Sends the message that a pattern describes.
    pub fn send(&mut self, text: &str) {
        let message = self.fill(text);
        self.send_message(&message);
    }

    /// The message that a pattern describes; counts its request.
    pub fn fill(&mut self, text: &str) -> Vec<Value> {
        let bindings = self.scope.lock().expect("no test panics with it");
        Pattern::parse(text).fill(&bindings, &mut || {
            self.request += 1;
            self.request
        })
    }

    pub fn send_message(&mut self, message: &[Value]) {
        self.send_bytes(&encode(self.via.serializer, message));
    }

    /// Sends these bytes as one message of the transport (in a batch of one, where there are batches).
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let framed = self.frame(bytes);
        self.write(&framed);
    }

    /// Sends several messages as one batch.
    pub fn send_batch(&mut self, texts: &[&str]) {
        let messages: Vec<Vec<Value>> = texts.iter().map(|text| self.fill(text)).collect();
        self.send_batch_of(&messages);
    }

    /// Sends several messages as one batch.
    pub fn send_batch_of(&mut self, messages: &[Vec<Value>]) {
        let mut batch = Vec::new();
        for message in messages {
            let bytes = encode(self.via.serializer, message);
            Batching::of(self.via.serializer).append(&mut batch, &bytes).expect("it is no 4 GiB");
        }
        let mut frame = Vec::new();
        websocket::write_frame(&mut frame, self.head(), &batch);
        self.write(&frame);
    }

    /// The bytes of the transport for one message.
    pub fn frame(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.via.carrier == Carrier::RawSocket {
            rawsocket::write_frame(&mut out, rawsocket::FrameKind::Message, message).expect("it fits");
            return out;
        }
        let mut payload = message.to_vec();
        if self.via.carrier == Carrier::Batched {
            payload.clear();
            Batching::of(self.via.serializer).append(&mut payload, message).expect("it is no 4 GiB");
        }
        let mut compressed = Vec::new();
        if self.compressor.as_mut().is_some_and(|compressor| compressor.compress(&payload, &mut compressed)) {
            websocket::write_frame(&mut out, self.head().compressed(), &compressed);
        } else {
            websocket::write_frame(&mut out, self.head(), &payload);
        }
        out
    }

    /// The head of a message's WebSocket frame.
    pub fn head(&self) -> FrameHead {
        let head = if self.via.serializer == Serializer::Json { FrameHead::TEXT } else { FrameHead::BINARY };
        head.masked(MASK)
    }

    /// Writes bytes as they are. That the router has closed already is for reading to find out.
    pub fn write(&mut self, bytes: &[u8]) {
        match self.io.write_all(bytes) {
            Err(error) if !is_closed(&error) => panic!("{:?}: {error}", self.via),
            _ => {}
        }
    }

    /// Waits for the next message and compares it.
    pub fn expect(&mut self, text: &str) {
        let message = self.receive();
        let scope = self.scope.clone();
        let mut bindings = scope.lock().expect("no test panics with it");
        if let Err(difference) = Pattern::parse(text).matches(&message, &mut bindings, self.request) {
            drop(bindings);
            panic!("{:?}: {difference}", self.via);
        }
    }

    /// Waits for as many messages as there are patterns, which may come in any order.
    pub fn expect_all(&mut self, texts: &[&str]) {
        let mut patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::parse(text)).collect();
        let mut received = Vec::new();
        while !patterns.is_empty() {
            let message = self.receive();
            received.push(show(&message));
            let scope = self.scope.clone();
            let mut bindings = scope.lock().expect("no test panics with it");
            let found = patterns.iter().position(|pattern| {
                let mut tried = bindings.clone();
                let matches = pattern.matches(&message, &mut tried, self.request).is_ok();
                if matches {
                    *bindings = tried;
                }
                matches
            });
            match found {
                Some(n) => drop(patterns.remove(n)),
                None => panic!("{:?}: of {texts:#?}\n{patterns:#?} did not come, but {received:#?}", self.via),
            }
        }
    }

    /// After a round trip, nothing has come that was not expected before.
    pub fn expect_nothing(&mut self) {
        self.sync();
        assert!(self.inbox.is_empty(), "{:?}: unexpected {:#?}", self.via, self.unread());
    }

    /// The router sends ABORT for a protocol violation and closes. Returns the sentence that says what was wrong.
    pub fn expect_violation(&mut self) -> String {
        let sentence = self.expect_abort("wamp.error.protocol_violation");
        self.expect_closed();
        sentence
    }

    /// ABORT with this reason; returns its sentence.
    pub fn expect_abort(&mut self, reason: &str) -> String {
        let message = self.receive();
        match message.as_slice() {
            [Value::Uint(3), Value::Dict(details), Value::String(uri), ..] if uri == reason => {
                details.str("message").expect("the router says why").to_owned()
            }
            other => panic!("{:?}: expected ABORT {reason}, got {}", self.via, show(other)),
        }
    }

    /// The router closes the transport, and sends no message before. Answers a WebSocket's close.
    pub fn expect_closed(&mut self) -> Closed {
        let started = Instant::now();
        while self.poll() {
            assert!(started.elapsed() < PATIENCE, "{:?}: not closed", self.via);
        }
        assert!(self.inbox.is_empty(), "{:?}: before the close came {:#?}", self.via, self.unread());
        match self.close.take() {
            Some(close) => Closed { code: close.code, reason: close.reason },
            None => Closed { code: None, reason: String::new() },
        }
    }

    /// The next message, whatever it is.
    pub fn receive(&mut self) -> Vec<Value> {
        self.receive_bytes().message
    }

    /// The next message with the bytes that it was.
    pub fn receive_bytes(&mut self) -> Received {
        let started = Instant::now();
        loop {
            if let Some(received) = self.inbox.pop_front() {
                return received;
            }
            if !self.poll() {
                panic!("{:?}: the router closed ({:?}) where a message was expected", self.via, self.close);
            }
            // The router's pings keep the connection from timing out.
            assert!(started.elapsed() < PATIENCE, "{:?}: no message came", self.via);
        }
    }

    /// Whether a message has arrived; does not wait for one.
    pub fn has_arrived(&mut self) -> bool {
        self.io.set_nonblocking(true);
        while self.inbox.is_empty() && self.close.is_none() {
            let mut bytes = vec![0; 64 << 10];
            match self.io.read(&mut bytes) {
                Ok(n) if n > 0 => self.take(&mut bytes[..n]),
                _ => break,
            }
        }
        self.io.set_nonblocking(false);
        !self.inbox.is_empty()
    }

    /// Waits until the router pings, which is answered.
    pub fn await_ping(&mut self) {
        let before = self.pinged;
        while self.pinged == before {
            assert!(self.poll(), "{:?}: the router closed ({:?}) instead of a ping", self.via, self.close);
        }
    }

    /// How often the router has pinged so far.
    pub fn n_pinged(&self) -> u64 {
        self.pinged
    }

    /// A message that has arrived already, for example in a round trip.
    pub fn take_received(&mut self) -> Option<Vec<Value>> {
        self.inbox.pop_front().map(|received| received.message)
    }

    /// A round trip, see above.
    pub fn sync(&mut self) {
        self.pings += 1;
        let payload = self.pings.to_be_bytes();
        let mut ping = Vec::new();
        match self.framing {
            Framing::WebSocket(_) => websocket::write_frame(&mut ping, FrameHead::PING.masked(MASK), &payload),
            Framing::RawSocket(_) => {
                rawsocket::write_frame(&mut ping, rawsocket::FrameKind::Ping, &payload).expect("it is short");
            }
        }
        self.write(&ping);
        while self.ponged.as_deref() != Some(&payload[..]) {
            assert!(self.poll(), "{:?}: the router closed ({:?}) in a round trip", self.via, self.close);
        }
    }

    /// Sends GOODBYE and waits for its echo.
    pub fn goodbye(&mut self) {
        self.send(r#"[6, {}, "wamp.close.close_realm"]"#);
        self.expect(r#"[6, {...}, "wamp.close.goodbye_and_out"]"#);
    }

    /// SUBSCRIBE with these options; the subscription is bound to `name`.
    pub fn subscribe(&mut self, topic: &str, options: &str, name: &str) {
        self.unbind(&[name]);
        self.send(&format!("[32, #, {options}, {topic:?}]"));
        self.expect(&format!("[33, #, ${name}]"));
    }

    /// REGISTER with these options; the registration is bound to `name`.
    pub fn register(&mut self, procedure: &str, options: &str, name: &str) {
        self.unbind(&[name]);
        self.send(&format!("[64, #, {options}, {procedure:?}]"));
        self.expect(&format!("[65, #, ${name}]"));
    }

    /// CALL; expects its RESULT to have these elements after the details, `["one"]` or `[], {"key": 1}` for example.
    pub fn call(&mut self, procedure: &str, arguments: &str, result: &str) {
        let arguments = if arguments.is_empty() { String::new() } else { format!(", {arguments}") };
        let result = if result.is_empty() { String::new() } else { format!(", {result}") };
        self.send(&format!("[48, #, {{}}, {procedure:?}{arguments}]"));
        self.expect(&format!("[50, #, {{}}{result}]"));
    }

    /// CALL; expects it to fail with this URI.
    pub fn call_fails(&mut self, procedure: &str, arguments: &str, error: &str) {
        let arguments = if arguments.is_empty() { String::new() } else { format!(", {arguments}") };
        self.send(&format!("[48, #, {{}}, {procedure:?}{arguments}]"));
        self.expect(&format!("[8, 48, #, {{...}}, {error:?}, ...]"));
    }

    /// PUBLISH, and waits until it is routed.
    pub fn publish(&mut self, topic: &str, options: &str, arguments: &str) {
        let arguments = if arguments.is_empty() { String::new() } else { format!(", {arguments}") };
        self.send(&format!("[16, #, {options}, {topic:?}{arguments}]"));
        self.sync();
    }

    /// The number that a name is bound to.
    pub fn id(&self, name: &str) -> u64 {
        let bindings = self.scope.lock().expect("no test panics with it");
        bindings.get(name).and_then(Value::as_uint).unwrap_or_else(|| panic!("${name} is not bound to a number"))
    }

    /// Lets names be bound anew.
    pub fn unbind(&self, names: &[&str]) {
        let mut bindings = self.scope.lock().expect("no test panics with it");
        for name in names {
            bindings.remove(*name);
        }
    }

    /// Counts a request that is sent by `send_message`; gives its id.
    pub fn next_request(&mut self) -> u64 {
        self.request += 1;
        self.request
    }

    /// Answers no WebSocket close and no ping any more: takes the bare connection out.
    pub fn into_io(self) -> Io {
        self.io
    }

    fn unread(&self) -> Vec<String> {
        self.inbox.iter().map(|received| show(&received.message)).collect()
    }

    /// Reads once. False when the router has closed.
    fn poll(&mut self) -> bool {
        let mut bytes = std::mem::take(&mut self.leftover);
        if bytes.is_empty() {
            bytes.resize(64 << 10, 0);
            match self.io.read(&mut bytes) {
                Ok(0) => return false,
                Ok(n) => bytes.truncate(n),
                Err(error) if is_closed(&error) => return false,
                Err(error) => panic!("{:?}: nothing came: {error}", self.via),
            }
        }
        self.take(&mut bytes);
        true
    }

    fn take(&mut self, mut input: &mut [u8]) {
        let mut answers = Vec::new();
        while !input.is_empty() {
            let taken = match &mut self.framing {
                Framing::WebSocket(decoder) => {
                    let (taken, incoming) = decoder.decode(input).expect("the router writes legal frames");
                    match incoming {
                        Some(websocket::Incoming::Message { text, payload }) => {
                            assert_eq!(text, self.via.serializer == Serializer::Json, "the kind of {:?}", self.via);
                            self.inbox.extend(decode(self.via, &payload));
                        }
                        Some(websocket::Incoming::Ping(payload)) => {
                            self.pinged += 1;
                            websocket::write_frame(&mut answers, FrameHead::PONG.masked(MASK), &payload);
                        }
                        Some(websocket::Incoming::Pong(payload)) => self.ponged = Some(payload.into_owned()),
                        Some(websocket::Incoming::Close(close)) => {
                            websocket::write_close(&mut answers, close.code, "", Some(MASK));
                            self.close = Some(close);
                        }
                        None => {}
                    }
                    taken
                }
                Framing::RawSocket(decoder) => {
                    let (taken, incoming) = decoder.decode(input).expect("the router writes legal frames");
                    match incoming {
                        Some(rawsocket::Incoming::Message(payload)) => self.inbox.extend(decode(self.via, &payload)),
                        Some(rawsocket::Incoming::Ping(payload)) => {
                            self.pinged += 1;
                            rawsocket::write_frame(&mut answers, rawsocket::FrameKind::Pong, &payload)
                                .expect("it fits");
                        }
                        Some(rawsocket::Incoming::Pong(payload)) => self.ponged = Some(payload.into_owned()),
                        None => {}
                    }
                    taken
                }
            };
            input = &mut input[taken..];
        }
        self.write(&answers);
    }
}

/// One message as bytes.
pub fn encode(serializer: Serializer, message: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::list(serializer, message.len(), &mut bytes);
    for element in message {
        writer.value(element);
    }
    writer.finish();
    bytes
}

/// The messages in one message of the transport.
fn decode(via: Via, payload: &[u8]) -> Vec<Received> {
    let split = |bytes: &[u8]| {
        let elements = Elements::split(via.serializer, bytes, 100).expect("the router writes legal messages");
        let message = (0..elements.len()).map(|n| elements.value(n).expect("split has checked it")).collect();
        Received { bytes: bytes.to_vec(), message }
    };
    match via.carrier {
        Carrier::WebSocket | Carrier::RawSocket => vec![split(payload)],
        Carrier::Batched => {
            let batch = Batch::new(via.serializer, payload).expect("the router writes legal batches");
            batch.map(|message| split(message.expect("the router writes legal batches"))).collect()
        }
    }
}

/// The headers of a WebSocket upgrade, but for the subprotocol.
pub const UPGRADE: [(&str, &str); 4] =
    [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)];

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Clients are to choose a new mask for each frame, so that proxies cannot be tricked; there are none here.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The largest message that these clients take.
const BYTES_MAX: usize = 1 << 24;
