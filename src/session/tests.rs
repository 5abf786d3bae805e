//! Transcripts: each file of `testdata` is a list of cases, and each case is a new transport on the listener that it
//! names. What follows an input line is what the session wants done about it.
//!
//! ```text
//! --- NAME [LISTENER]   a new case; the listener is `default`, `all`, `dynamic` or `mesh`
//! > [1, "realm1", {}]   the peer sends a message
//! > CREDENTIAL          the peer answers the last CHALLENGE as a client with this credential
//! ! SENTENCE            the peer sends something that is no message
//! + 500ms               time passes
//! = ANSWER              the authenticator answers this value, or with `= ! URI` this error
//! end URI [MESSAGE]     the router ends the session
//! lost                  the transport is gone
//! ```
//!
//! With `UPDATE=1` in the environment the files are written anew; read the difference before it is committed.

use super::admission::*;
use super::*;
use crate::auth::client::{Client, Credential};
use crate::auth::cryptosign::SecretKey;
use crate::auth::mutual::{Meeting, Party, Purpose, Side};
use crate::auth::{Secret, wampcra};
use crate::limits::Limits;
use crate::wamp::codec;
use crate::wamp::feature::Features;
use crate::wire::{Payload, Serializer, Value};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

mod invariants;
mod penalties;
mod relay;
mod standing;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

transcripts! { opening closing request_ids options anonymous ticket wampcra cryptosign mutual authenticators }

/// Plays the inputs of one file and compares what comes out with what it says.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/session/testdata").join(name).with_extension("txt");
    let expected = std::fs::read_to_string(&path).unwrap();
    let actual = play(&expected);
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &actual).unwrap();
    }
    for (number, (expected, actual)) in (1..).zip(expected.lines().zip(actual.lines())) {
        assert_eq!(actual, expected, "{}:{number} (left: what the session does)", path.display());
    }
    assert_eq!(actual, expected, "one of the two is longer");
}

/// The same transcript with the outputs that the session has now.
fn play(transcript: &str) -> String {
    let mut case = Case::new("default");
    let mut text = String::new();
    for line in transcript.lines() {
        match line.split_once(' ') {
            Some(("---", name)) => {
                let listener = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
                case = Case::new(listener.map_or("default", |(_, listener)| listener));
            }
            Some((">" | "!" | "+" | "=" | "end", _)) => {}
            _ if line == "lost" || line.is_empty() || line.starts_with('#') => {}
            // An output; it is made anew.
            _ => continue,
        }
        text.push_str(line);
        text.push('\n');
        for step in case.input(line) {
            text.push_str(&format!("    {}\n", show(&step)));
        }
    }
    text
}

/// One transport and what is around it.
struct Case {
    session: Session,
    now: Now,
    admission: Admission,
    peer: Peer,
    penalties: RefCell<Penalties>,
    rng: ChaCha8Rng,
    challenge: Option<(String, Dict)>,
    attempt: u32,
}

impl Case {
    fn new(listener: &str) -> Case {
        let (now, admission, peer) = (Now::epoch(), admission(listener), peer(listener));
        let penalties = RefCell::default();
        let session = Session::new(&Context { now, admission: &admission, peer: &peer, penalties: &penalties });
        let rng = ChaCha8Rng::seed_from_u64(1);
        Case { session, now, admission, peer, penalties, rng, challenge: None, attempt: 0 }
    }

    fn input(&mut self, line: &str) -> Vec<Step> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "+" {
            self.now = self.now.after(duration(rest));
        }
        let mut out = Vec::new();
        let cx = Context { now: self.now, admission: &self.admission, peer: &self.peer, penalties: &self.penalties };
        match word {
            ">" if rest.starts_with('[') => return self.handle(message(rest)),
            ">" => return self.handle(self.authenticate(rest)),
            "!" => self.session.handle_violation(rest, &mut out),
            "+" => self.session.handle_timeout(&cx, &mut out),
            "=" => {
                let answer = rest.strip_prefix("! ").map_or_else(|| Ok(value(rest)), |uri| Err(uri.to_owned()));
                self.session.handle_authenticator_answer(&cx, self.attempt, answer, &mut self.rng, &mut out);
            }
            "end" => {
                let (reason, message) = rest.split_once(' ').map_or((rest, None), |(uri, text)| (uri, Some(text)));
                let shutdown = reason == error::CLOSE_SYSTEM_SHUTDOWN;
                let drop_reason = if shutdown { DropReason::Shutdown } else { DropReason::Killed };
                self.session.end(&cx, reason, message, drop_reason, &mut out);
            }
            "lost" => self.session.handle_transport_closed(&mut out),
            _ => {}
        }
        self.note(&out);
        out
    }

    fn handle(&mut self, message: Message) -> Vec<Step> {
        let mut out = Vec::new();
        let cx = Context { now: self.now, admission: &self.admission, peer: &self.peer, penalties: &self.penalties };
        self.session.handle_message(&cx, message, &mut self.rng, &mut out);
        self.note(&out);
        out
    }

    /// Remembers what later inputs answer.
    fn note(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Send(Message::Challenge { method, extra }) => {
                    self.challenge = Some((method.clone(), extra.clone()));
                }
                Step::Authenticate(question) => self.attempt = question.attempt,
                _ => {}
            }
        }
    }

    /// The AUTHENTICATE of a client with this credential, like `ticket secret123` or `cryptosign 1` (a key's seed).
    fn authenticate(&self, credential: &str) -> Message {
        let (method, secret) = credential.split_once(' ').unwrap();
        let credential = match method {
            "ticket" => Credential::Ticket(Secret::new(secret)),
            "wampcra" => Credential::Wampcra(Secret::new(secret)),
            "cryptosign" => Credential::Cryptosign(key(secret.parse().unwrap())),
            "mutual" => return self.meet(secret),
            _ => panic!("no credential of a client: {credential}"),
        };
        let (method, extra) = self.challenge.as_ref().expect("a CHALLENGE came before");
        let mut client = Client::new(None, credential);
        client.channel_id = extra.str("channel_binding").and(self.peer.channel_id);
        Message::Authenticate { signature: client.answer("realm1", method, extra).unwrap(), extra: Dict::new() }
    }
}

impl Case {
    /// The AUTHENTICATE of a program like `edge2 1 link realm1`: its id, the seed of its key and what it thinks that it
    /// signs. Its nonce is zeros.
    fn meet(&self, words: &str) -> Message {
        let words: Vec<&str> = words.split(' ').collect();
        let [id, seed, purpose, realm] = words[..] else { panic!("four words: {words:?}") };
        let (method, extra) = self.challenge.as_ref().expect("a CHALLENGE came before");
        let client = Client::program(id, key(seed.parse().unwrap()), Purpose::from_name(purpose).unwrap());
        // What does not belong to its own session, it refuses to sign; whoever is after the signature does not mind.
        let signature = client.answer(realm, method, extra).unwrap_or_else(|error| error.to_string());
        Message::Authenticate { signature, extra: Dict::new() }
    }
}

/// The listeners of the transcripts. All have the same realms.
fn admission(listener: &str) -> Admission {
    let realm = |roles: &[&str], request_ids| Realm {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        request_ids,
    };
    let methods = match listener {
        "default" => Methods::default(),
        "all" => all_methods(),
        "dynamic" => dynamic_methods(),
        "mesh" => mesh_methods(),
        _ => panic!("no such listener: {listener}"),
    };
    Admission {
        node: Node { id: "edge1".to_owned(), pid: 1978 },
        realms: HashMap::from([
            ("realm1".to_owned(), realm(&["anonymous", "user", "admin", "node"], RequestIds::Strict)),
            ("lenient".to_owned(), realm(&["anonymous"], RequestIds::Lenient)),
            ("closed".to_owned(), realm(&["admin"], RequestIds::Strict)),
        ]),
        methods,
        decoy_key: Secret::new("decoy"),
        limits: Limits::default(),
    }
}

fn all_methods() -> Methods {
    let user = Grant::role("user");
    let boss = Grant { realm: Some("closed".to_owned()), ..Grant::role("admin") };
    let lost = Grant::role("nowhere");
    let salting = wampcra::Salting { salt: "salt123".to_owned(), iterations: 1000, keylen: 32 };
    let derived = wampcra::derive_key(&Secret::new("secret123"), &salting).unwrap();
    Methods {
        anonymous: None,
        ticket: Some(source([
            ("joe", Secret::new("ticket123"), user.clone()),
            ("boss", Secret::new("bossy"), boss.clone()),
            ("lost", Secret::new("roleless"), lost),
        ])),
        wampcra: Some(source([("peter", wampcra::Credential { key: derived, salting: Some(salting) }, user.clone())])),
        cryptosign: Some(source([
            ("one", vec![key(1).public()], user.clone()),
            ("two", vec![key(2).public(), key(3).public()], user.clone()),
            ("three", vec![key(3).public()], user),
        ])),
        mutual: None,
    }
}

fn dynamic_methods() -> Methods {
    let ask = |procedure: &str| Authenticator { procedure: procedure.to_owned(), realm: "auth".to_owned() };
    Methods {
        anonymous: Some(Anonymous::Dynamic(ask("ask.anonymous"))),
        ticket: Some(Source::Dynamic(ask("ask.ticket"))),
        wampcra: Some(Source::Dynamic(ask("ask.wampcra"))),
        cryptosign: Some(Source::Dynamic(ask("ask.cryptosign"))),
        mutual: None,
    }
}

fn mesh_methods() -> Methods {
    let node = Grant { trusted_link: true, ..Grant::role("node") };
    let program = |seed, purpose| Program { keys: vec![key(seed).public()], purpose };
    let principal = |seed, purpose, grant| Principal { credential: program(seed, purpose), grant };
    let principals = [
        ("edge2".to_owned(), principal(1, Purpose::Link, node)),
        ("operator".to_owned(), principal(9, Purpose::Operate, Grant::role("admin"))),
    ];
    Methods {
        anonymous: None,
        mutual: Some(Mutual { key: key(9), principals: principals.into() }),
        ..Methods::default()
    }
}

fn source<C, const N: usize>(principals: [(&str, C, Grant); N]) -> Source<C> {
    let principal =
        |(authid, credential, grant): (&str, C, Grant)| (authid.to_owned(), Principal { credential, grant });
    Source::Static(principals.into_iter().map(principal).collect::<BTreeMap<_, _>>())
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// Peers of the listener `all` come by TLS.
fn peer(listener: &str) -> Peer {
    Peer {
        name: "tcp4:127.0.0.1:62132".to_owned(),
        transport: Dict::new().with("type", "websocket"),
        place: Some([127, 0, 0, 1].into()),
        channel_id: (listener == "all").then_some([0x62; 32]),
        key: None,
    }
}

fn show_refused(refused: &Refused) -> String {
    let Refused { reason, sentence, action, uri, realm, authid, authmethod } = refused;
    let claims = [("realm", realm.as_deref()), ("authid", authid.as_deref()), ("authmethod", *authmethod)];
    let about = [("action", *action), ("uri", uri.as_deref())].into_iter().chain(claims);
    let about: String = about.filter_map(|(name, value)| Some(format!(" {name} {:?}", value?))).collect();
    format!("note {reason}: {sentence}{about}")
}

fn show(step: &Step) -> String {
    match step {
        Step::Send(message) => format!("< {}", json(message)),
        Step::Route(message) => format!("route {}", json(message)),
        Step::Join(join) => show_join(join),
        Step::Authenticate(question) => {
            let Authenticator { procedure, realm } = &question.authenticator;
            format!("ask {procedure} in {realm}: {}", json_list(question.args()))
        }
        Step::Refused(refused) => show_refused(refused),
        Step::Leave => "leave".to_owned(),
        Step::CloseTransport { reason: None } => "close".to_owned(),
        Step::CloseTransport { reason: Some(reason) } => format!("close {reason}"),
    }
}

/// WELCOME repeats the identity; the transcript shows it once, and what came to `authextra` beside the node.
fn show_join(join: &Join) -> String {
    let Join { realm, identity, trusted_link, welcome } = join;
    let Identity { session, authid, authrole, authmethod, authprovider, authextra, transport, .. } = identity;
    let node = |dict: Dict| {
        dict.with("x_cb_node", "edge1").with("x_cb_peer", "tcp4:127.0.0.1:62132").with("x_cb_pid", 1978_u32)
    };
    let details = node(Dict::new())
        .with("realm", realm.as_str())
        .with("authid", authid.as_str())
        .with("authrole", authrole.as_str())
        .with("authmethod", authmethod.as_str())
        .with("authprovider", authprovider.as_str())
        .with("authextra", authextra.clone())
        .with("roles", Features::router_roles());
    assert_eq!(*welcome, Message::Welcome { session: *session, details });
    assert_eq!(*transport, Dict::new().with("type", "websocket"));
    assert_eq!(*authextra, node(authextra.clone()));
    let mut extra = authextra.clone();
    for key in ["x_cb_node", "x_cb_peer", "x_cb_pid"] {
        extra.remove(key);
    }
    let link = if *trusted_link { ", a link" } else { "" };
    let extra = json_list(vec![extra.into()]);
    let extra = extra.trim_start_matches('[').trim_end_matches(']');
    format!("join {realm}: session {session}, {authid}, {authrole}, {authmethod}, {authprovider}{link}, {extra}")
}

fn json(message: &Message) -> String {
    let mut out = Vec::new();
    codec::encode(message, Serializer::Json, &mut out);
    String::from_utf8(out).unwrap()
}

fn json_list(values: Vec<Value>) -> String {
    let (args, _) = Payload::from_values(values, Dict::new()).elements_in(Serializer::Json);
    String::from_utf8(args.to_vec()).unwrap()
}

fn message(text: &str) -> Message {
    codec::decode(Serializer::Json, text.as_bytes(), 64).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Any value, read as the first argument of a message.
fn value(text: &str) -> Value {
    match message(&format!("[50,1,{{}},[{text}]]")) {
        Message::Result { payload, .. } => payload.args().unwrap().remove(0),
        other => panic!("RESULT, not {other:?}"),
    }
}

fn duration(text: &str) -> Duration {
    Duration::from_millis(text.strip_suffix("ms").expect("milliseconds").parse().unwrap())
}

#[test]
fn a_hello_that_would_be_kept_is_bounded() {
    let hello = |authextra: Dict, authid: String| Message::Hello {
        realm: "realm1".to_owned(),
        details: Dict::new()
            .with("roles", Dict::new().with("caller", Dict::new()))
            .with("authid", authid)
            .with("authextra", authextra),
    };
    let long = || "x".repeat(20_000);
    let many = Dict::new().with("list", vec![Value::Null; 1000]);
    for (authextra, authid, fits) in [
        (Dict::new(), String::new(), true),
        (Dict::new().with("short", "x".repeat(10_000)), String::new(), true),
        (Dict::new().with("long", long()), String::new(), false),
        (Dict::new().with(long(), 1_u32), String::new(), false),
        (Dict::new().with("deep", Dict::new().with("deeper", long())), String::new(), false),
        (Dict::new().with("bytes", Value::Bytes(vec![0; 20_000])), String::new(), false),
        (many, String::new(), false),
        (Dict::new(), long(), false),
    ] {
        let mut case = Case::new("default");
        let steps = case.handle(hello(authextra.clone(), authid));
        match steps.as_slice() {
            [Step::Join(_)] => assert!(fits, "{authextra:?}"),
            [Step::Refused(_), Step::Send(Message::Abort { reason, .. })] if reason == error::LIMIT_EXCEEDED => {
                assert!(!fits)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_answer_to_an_earlier_question_is_not_taken_for_a_later_one() {
    let hello = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["anonymous"]}]"#;
    let mut case = Case::new("dynamic");
    case.handle(message(hello));
    let first = case.attempt;
    assert!(matches!(case.input("= \"user\"").as_slice(), [Step::Join(_)]));
    case.input(r#"> [6,{},"wamp.close.close_realm"]"#);
    case.input(&format!("> {hello}"));
    assert_ne!(case.attempt, first);
    let second = std::mem::replace(&mut case.attempt, first);
    assert_eq!(case.input("= \"admin\""), []);
    case.attempt = second;
    assert!(matches!(case.input("= \"user\"").as_slice(), [Step::Join(join)] if join.identity.authrole == "user"));
}

#[test]
fn the_realm_can_abort_a_session_and_refuse_one() {
    let mut case = Case::new("default");
    case.input(r#"> [1,"realm1",{"roles":{"caller":{}}}]"#);
    assert!(case.session.id().is_some());
    let mut out = Vec::new();
    case.session.abort(error::LIMIT_EXCEEDED, "the realm is full", DropReason::TooManySessions, &mut out);
    let abort = Message::abort(error::LIMIT_EXCEEDED, "the realm is full");
    let close = Step::CloseTransport { reason: Some(DropReason::TooManySessions) };
    let refused = Refused::new(DropReason::TooManySessions, "the realm is full");
    assert_eq!(out, [Step::Refused(Box::new(refused)), Step::Leave, Step::Send(abort), close]);
    assert_eq!((case.session.id(), case.session.poll_timeout()), (None, None));
    out.clear();
    case.session.abort(error::PROTOCOL_VIOLATION, "again", DropReason::ProtocolViolation, &mut out);
    assert_eq!(out, []);
}

#[test]
fn secrets_do_not_print() {
    let admission = format!("{:?}", admission("all"));
    assert!(admission.contains("***"));
    for secret in ["ticket123", "Eu7CQLfR", "decoy\"", &hex::encode([9; 32])] {
        assert!(!admission.contains(secret), "{secret} in {admission}");
    }
    let mut case = Case::new("dynamic");
    case.input(r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#);
    let steps = case.input("> ticket ticket123");
    assert!(matches!(steps.as_slice(), [Step::Authenticate(_)]));
    for printed in [format!("{steps:?}"), format!("{:?}", case.session)] {
        assert!(printed.contains("***") && !printed.contains("ticket123"), "{printed}");
    }
}
