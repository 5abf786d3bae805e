//! The test vectors that are conversations: several sessions, each message in order, played against the running router
//! in every serializer. The official ones are looked for as in `vectors.rs`; our own, in the same format, are in
//! `tests/vectors/multisession`.
//!
//! The client here is as plain as can be and shares no code with the router: a WebSocket and a value per message. Ids
//! in a vector are names: requests are numbered anew from 1, and an id that the router chooses is bound where it comes
//! first and must be the same wherever its name returns.

mod harness;

use harness::{Edge, in_package};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{self, Message as Frame, WebSocket};

#[test]
fn every_conversation_goes_as_written() {
    let edge = Edge::start(CONFIG);
    let mut vectors = files(&in_package("tests/vectors/multisession"));
    match official() {
        Some(directory) => vectors.extend(files(&directory.join("multisession/advanced"))),
        None => println!("no official vectors: no shared/wamp-testsuite above this package, WAMP_TESTSUITE is not set"),
    }
    assert!(vectors.len() >= OWN_VECTORS, "the vectors are found");
    for file in vectors {
        let text = std::fs::read_to_string(&file).expect("a readable vector file");
        let vector: Json = serde_json::from_str(&text).expect("a vector file is JSON");
        for serializer in [Serializer::Json, Serializer::Msgpack, Serializer::Cbor] {
            println!("{} over {serializer:?}", file.display());
            Conversation::open(edge.url("ws"), serializer, &vector).play(&vector);
        }
    }
    edge.stop();
}

const OWN_VECTORS: usize = 4;

const CONFIG: &str = r#"
[[listen]]
type = "websocket"
address = "127.0.0.1:0"

[[realm]]
name = "realm1"
[[realm.role]]
name = "anonymous"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
"#;

/// A vector being played: its sessions, and what its ids have turned out to be.
struct Conversation {
    peers: HashMap<String, Peer>,
    bound: HashMap<(String, u64), u64>,
}

impl Conversation {
    fn open(url: &str, serializer: Serializer, vector: &Json) -> Conversation {
        let mut peers = HashMap::new();
        for session in vector["sessions"].as_array().expect("a vector has sessions") {
            let mut peer = Peer::connect(url, serializer);
            let features: Map<String, Json> = FEATURES.iter().map(|name| ((*name).to_owned(), json!(true))).collect();
            let roles = session["roles"].as_array().expect("a session has roles").iter();
            let roles: Map<String, Json> = roles.map(|role| (text(role), json!({"features": features}))).collect();
            peer.send(&json!([1, session["realm"], {"roles": roles}]));
            let welcome = peer.receive();
            assert_eq!(welcome[0], 2, "the answer to HELLO is WELCOME, not {welcome}");
            peers.insert(text(&session["session_id"]), peer);
        }
        Conversation { peers, bound: HashMap::new() }
    }

    fn play(mut self, vector: &Json) {
        for step in vector["sequence"].as_array().expect("a vector has a sequence") {
            let (from, to) = (text(&step["from"]), text(&step["to"]));
            if to == "router" {
                self.send(&from, &step["message"]);
            } else {
                assert_eq!(from, "router", "a step goes to or from the router");
                self.receive(&to, step);
            }
        }
        let later = self.leave();
        self.check_outcome(vector, &later);
    }

    fn send(&mut self, session: &str, message: &Json) {
        let (_, code, fields) = row(message);
        let peer = self.peers.get_mut(session).expect("a step names a session of the vector");
        let mut elements = vec![json!(code)];
        for (field, value) in fields.iter().map_while(|field| Some((*field, present(message, field)?))) {
            elements.push(match id_name(session, message, field) {
                None => value.clone(),
                Some(name) if field == "request_id" => {
                    let id = self.bound.entry(name).or_insert_with(|| peer.next_request());
                    json!(id)
                }
                Some(name) => json!(self.bound.get(&name).unwrap_or_else(|| panic!("{name:?} was not seen before"))),
            });
        }
        peer.send(&Json::Array(elements));
    }

    /// The next message to this session must be the one of the step: ids as bound, options and details at least as
    /// written, everything else exactly.
    fn receive(&mut self, session: &str, step: &Json) {
        let expected = &step["message"];
        let (_, code, fields) = row(expected);
        let peer = self.peers.get_mut(session).expect("a step names a session of the vector");
        let message = peer.receive();
        let got = message.as_array().expect("a message is a list");
        let context = format!("step {} ({}): got {message}", step["step"], step["description"]);
        assert_eq!(got[0], *code, "{context}");
        let wanted: Vec<_> = fields.iter().map_while(|field| Some((*field, present(expected, field)?))).collect();
        // What the router says to people in an ERROR of its own is its own affair.
        if expected["any_payload"] != true {
            assert_eq!(got.len(), 1 + wanted.len(), "{context}: the number of elements");
        }
        for ((field, wanted), actual) in wanted.into_iter().zip(&got[1..]) {
            match id_name(session, expected, field) {
                Some(name) => {
                    let id = actual.as_u64().unwrap_or_else(|| panic!("{context}: {field} is no id"));
                    let bound = *self.bound.entry(name).or_insert(id);
                    assert_eq!(id, bound, "{context}: {field}");
                }
                None if field == "options" || field == "details" => assert_within(wanted, actual, &context),
                None => assert_eq!(actual, wanted, "{context}: {field}"),
            }
        }
        peer.events += u64::from(expected["type"] == "EVENT");
    }

    /// Every session says goodbye. What comes before the answer to that has come too much or was not in the vector.
    fn leave(&mut self) -> HashMap<String, Vec<Json>> {
        let mut later = HashMap::new();
        for (name, peer) in &mut self.peers {
            peer.send(&json!([6, {}, "wamp.close.normal"]));
            let messages: &mut Vec<Json> = later.entry(name.clone()).or_default();
            loop {
                let message = peer.receive();
                if message[0] == 6 {
                    break;
                }
                messages.push(message);
            }
        }
        later
    }

    fn check_outcome(&self, vector: &Json, later: &HashMap<String, Vec<Json>>) {
        for (name, messages) in later {
            assert!(messages.is_empty(), "{name} got more than the vector says: {messages:?}");
        }
        let outcome = &vector["expected_outcome"];
        let events: u64 = self.peers.values().map(|peer| peer.events).sum();
        if let Some(count) = outcome["event_count"].as_u64() {
            assert_eq!(events, count, "event_count");
        }
        if let Some(recipients) = outcome["event_recipients"].as_array() {
            let mut wanted: Vec<String> = recipients.iter().map(text).collect();
            let reached = self.peers.iter().filter(|(_, peer)| peer.events > 0);
            let mut reached: Vec<String> = reached.map(|(name, _)| name.clone()).collect();
            wanted.sort();
            reached.sort();
            assert_eq!(reached, wanted, "event_recipients");
        }
    }
}

/// What the sessions of the vectors can do; vectors do not say.
const FEATURES: [&str; 4] =
    ["call_canceling", "progressive_call_results", "pattern_based_subscription", "publisher_exclusion"];

/// How the messages of one session travel.
#[derive(Clone, Copy, Debug)]
enum Serializer {
    Json,
    Msgpack,
    Cbor,
}

/// One session's end of a WebSocket.
struct Peer {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    serializer: Serializer,
    last_request: u64,
    /// How many EVENTs came.
    events: u64,
}

impl Peer {
    fn connect(url: &str, serializer: Serializer) -> Peer {
        let mut request = url.into_client_request().expect("the harness gives valid URLs");
        let subprotocol = match serializer {
            Serializer::Json => "wamp.2.json",
            Serializer::Msgpack => "wamp.2.msgpack",
            Serializer::Cbor => "wamp.2.cbor",
        };
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(subprotocol));
        let (socket, _) = tungstenite::connect(request).expect("the router accepts the WebSocket");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        }
        Peer { socket, serializer, last_request: 0, events: 0 }
    }

    fn next_request(&mut self) -> u64 {
        self.last_request += 1;
        self.last_request
    }

    fn send(&mut self, message: &Json) {
        let frame = match self.serializer {
            Serializer::Json => Frame::text(message.to_string()),
            Serializer::Msgpack => Frame::binary(rmp_serde::to_vec(message).expect("JSON is MessagePack")),
            Serializer::Cbor => Frame::binary(serde_cbor::to_vec(message).expect("JSON is CBOR")),
        };
        self.socket.send(frame).expect("the router reads");
    }

    fn receive(&mut self) -> Json {
        loop {
            match self.socket.read().expect("a message comes") {
                Frame::Text(text) => return serde_json::from_str(&text).expect("a text frame is JSON"),
                Frame::Binary(bytes) => {
                    return match self.serializer {
                        Serializer::Cbor => serde_cbor::from_slice(&bytes).expect("the frame is CBOR"),
                        _ => rmp_serde::from_slice(&bytes).expect("the frame is MessagePack"),
                    };
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                other => panic!("the router sends {other:?}"),
            }
        }
    }
}

/// It only bounds a failure, so it is generous.
const PATIENCE: Duration = Duration::from_secs(30);

/// The messages of vectors: their names, codes and fields in wire order, as the vectors call them.
const MESSAGES: [(&str, u64, &[&str]); 20] = [
    ("ERROR", 8, &["request_type", "request_id", "details", "error", "args", "kwargs"]),
    ("PUBLISH", 16, &["request_id", "options", "topic", "args", "kwargs"]),
    ("PUBLISHED", 17, &["request_id", "publication_id"]),
    ("SUBSCRIBE", 32, &["request_id", "options", "topic"]),
    ("SUBSCRIBED", 33, &["request_id", "subscription_id"]),
    ("UNSUBSCRIBE", 34, &["request_id", "subscription_id"]),
    ("UNSUBSCRIBED", 35, &["request_id"]),
    ("EVENT", 36, &["subscription_id", "publication_id", "details", "args", "kwargs"]),
    ("CALL", 48, &["request_id", "options", "procedure", "args", "kwargs"]),
    ("CANCEL", 49, &["request_id", "options"]),
    ("RESULT", 50, &["request_id", "details", "args", "kwargs"]),
    ("REGISTER", 64, &["request_id", "options", "procedure"]),
    ("REGISTERED", 65, &["request_id", "registration_id"]),
    ("UNREGISTER", 66, &["request_id", "registration_id"]),
    ("UNREGISTERED", 67, &["request_id"]),
    ("INVOCATION", 68, &["request_id", "registration_id", "details", "args", "kwargs"]),
    ("INTERRUPT", 69, &["request_id", "options"]),
    ("YIELD", 70, &["request_id", "options", "args", "kwargs"]),
    ("GOODBYE", 6, &["details", "reason"]),
    ("ABORT", 3, &["details", "reason"]),
];

fn row(message: &Json) -> &'static (&'static str, u64, &'static [&'static str]) {
    let name = text(&message["type"]);
    MESSAGES.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("no message of a conversation is a {name}"))
}

/// The field, where the message has it; null means absent.
fn present<'a>(message: &'a Json, field: &str) -> Option<&'a Json> {
    message.get(field).filter(|value| !value.is_null())
}

/// What an id in a vector stands for; None for a field that is no id. Requests are named per session and direction,
/// what the router makes is named once for all sessions.
fn id_name(session: &str, message: &Json, field: &str) -> Option<(String, u64)> {
    let id = message[field].as_u64()?;
    match field {
        "subscription_id" | "publication_id" | "registration_id" => Some((field.to_owned(), id)),
        "request_id" => {
            let of_router = matches!(message["type"].as_str()?, "INVOCATION" | "INTERRUPT" | "YIELD")
                || message["request_type"] == 68;
            Some((format!("{session}'s {}", if of_router { "invocation" } else { "request" }), id))
        }
        _ => None,
    }
}

/// Every key of `wanted` must be in `actual` with the same value; the router may say more.
fn assert_within(wanted: &Json, actual: &Json, context: &str) {
    for (key, value) in wanted.as_object().expect("options and details are dicts") {
        assert_eq!(actual.get(key), Some(value), "{context}: {key}");
    }
}

fn text(value: &Json) -> String {
    value.as_str().expect("a string in a vector").to_owned()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory of vectors");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    files.sort();
    files
}

fn official() -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("WAMP_TESTSUITE") {
        return Some(directory.into());
    }
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|directory| directory.join("shared/wamp-testsuite")).find(|directory| directory.is_dir())
}
