//! Transcripts: each file of `testdata` is a list of cases, and each case is a new realm with the configuration that it
//! names. What follows an input line is what the realm wants done about it.
//!
//! ```text
//! --- NAME [CONFIG]                   a new case; see `config`
//! join NAME [AUTHID] [ROLE] [WORD…]   a session joins; the words say what it announces, or that it is a link
//! NAME> [32, 1, {}, "com.topic"]      it sends a message
//! leave NAME                          it has ended
//! call TOKEN PROCEDURE [ARGS]         the router calls
//! + 500ms                             time passes
//! configure CONFIG                    the configuration is read again
//! ```
//!
//! Sessions have the ids 1, 2, 3… in the order in which they join. All other ids are large; they are written `#1`,
//! `#2`… in the order in which they first come out, and may be used so in what goes in.
//!
//! With `UPDATE=1` in the environment the files are written anew; read the difference before it is committed.

use super::identity;
use crate::limits::Limits;
use crate::realm::effect::SharedCall;
use crate::realm::permission::HistoryRule;
use crate::realm::{Effect, MemberKind, Permission, Realm, RealmConfig, Role};
use crate::time::Now;
use crate::wamp::uri::{Match, UriCheck};
use crate::wamp::{Message, SessionKey, codec};
use crate::wire::{Payload, Serializer};
use std::path::Path;
use std::time::Duration;

/// Plays the inputs of one file and compares what comes out with what it says.
pub(super) fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/realm/testdata").join(name).with_extension("txt");
    let expected = std::fs::read_to_string(&path).unwrap();
    let actual = play(&expected);
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &actual).unwrap();
    }
    for (number, (expected, actual)) in (1..).zip(expected.lines().zip(actual.lines())) {
        assert_eq!(actual, expected, "{}:{number} (left: what the realm does)", path.display());
    }
    assert_eq!(actual, expected, "one of the two is longer");
}

/// The same transcript with the outputs that the realm has now.
fn play(transcript: &str) -> String {
    let mut case = Case::new("open");
    let mut text = String::new();
    for line in transcript.lines().filter(|line| !line.starts_with("    ")) {
        text.push_str(line);
        text.push('\n');
        if let Some(name) = line.strip_prefix("--- ") {
            let config = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
            case = Case::new(config.map_or("open", |(_, config)| config));
        } else if !line.is_empty() && !line.starts_with('#') {
            for effect in case.input(line) {
                let shown = case.show(&effect);
                text.push_str(&format!("    {shown}\n"));
            }
        }
    }
    text
}

/// One realm and those who are in it.
struct Case {
    realm: Realm,
    now: Now,
    /// By the order in which they joined; the place is the session's key.
    names: Vec<String>,
    /// The ids that came out, in that order.
    ids: Vec<u64>,
}

impl Case {
    fn new(name: &str) -> Case {
        let now = Now::epoch();
        Case { realm: Realm::new(now, config(name), [1; 32]), now, names: Vec::new(), ids: Vec::new() }
    }

    fn input(&mut self, line: &str) -> Vec<Effect> {
        let line = self.with_ids(line);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let mut out = Vec::new();
        match word {
            "join" => self.join(rest, &mut out),
            "leave" => self.realm.leave(self.now, self.key(rest), &mut out),
            "call" => {
                let mut parts = rest.splitn(3, ' ');
                let token = parts.next().unwrap().parse().unwrap();
                let procedure = parts.next().expect("call TOKEN PROCEDURE");
                let payload = payload(parts.next().unwrap_or("[]"));
                self.realm.call(self.now, token, procedure, payload, Duration::from_secs(1), &mut out);
            }
            "+" => {
                let step = rest.strip_suffix("ms").expect("milliseconds").parse().unwrap();
                self.now = self.now.after(Duration::from_millis(step));
                if self.realm.poll_timeout().is_some_and(|at| at <= self.now.uptime) {
                    self.realm.handle_timeout(self.now, &mut out);
                }
            }
            "configure" => self.realm.reconfigure(self.now, config(rest)),
            _ => {
                let name = word.strip_suffix('>').unwrap_or_else(|| panic!("no such input: {line}"));
                let message = codec::decode(Serializer::Json, rest.as_bytes(), 64);
                let message = message.unwrap_or_else(|error| panic!("{line}: {error}"));
                self.realm.handle_message(self.now, self.key(name), message, &mut out);
            }
        }
        out
    }

    fn join(&mut self, words: &str, out: &mut Vec<Effect>) {
        let mut words = words.split(' ');
        let name = words.next().expect("join NAME").to_owned();
        let key = SessionKey(self.names.len() as u32);
        let (mut kind, mut plain) = (MemberKind::Client, Vec::new());
        let mut who = identity(self.names.len() as u64 + 1, &name, "user");
        for word in words {
            match word {
                "peer" => kind = MemberKind::Peer,
                "uplink" => kind = MemberKind::Uplink,
                "revocation" => {
                    who.features.subscriber_subscription_revocation = true;
                    who.features.callee_registration_revocation = true;
                }
                "progressive" => who.features.caller_progressive_invocations = true,
                "callee" => {
                    who.features.callee_call_canceling = true;
                    who.features.callee_call_timeout = true;
                    who.features.callee_progressive_invocations = true;
                    who.features.callee_progressive_results = true;
                }
                word => plain.push(word),
            }
        }
        who.authid = plain.first().map_or_else(|| name.clone(), |authid| (*authid).to_owned());
        who.authrole = plain.get(1).map_or("user", |role| role).to_owned();
        self.names.push(name);
        self.realm.join(self.now, key, kind, who, out);
    }

    fn key(&self, name: &str) -> SessionKey {
        let place = self.names.iter().rposition(|known| known == name);
        SessionKey(place.unwrap_or_else(|| panic!("nobody is called {name}")) as u32)
    }

    /// Puts ids in the place of `#1`, `#2`…
    fn with_ids(&self, line: &str) -> String {
        let mut parts = line.split('#');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number = part[..digits].parse::<usize>();
            match number.ok().and_then(|number| self.ids.get(number.checked_sub(1)?)) {
                Some(id) => text.push_str(&format!("{id}{}", &part[digits..])),
                None => text.push_str(&format!("#{part}")),
            }
        }
        text
    }

    /// Puts `#1`, `#2`… in the place of ids.
    fn without_ids(&mut self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            shown.push_str(&rest[..start]);
            let digits = rest[start..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - start);
            let number = &rest[start..start + digits];
            match number.parse::<u64>() {
                Ok(id) if id > 1 << 32 => {
                    let known = self.ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                        self.ids.push(id);
                        self.ids.len() - 1
                    });
                    shown.push_str(&format!("#{}", known + 1));
                }
                _ => shown.push_str(number),
            }
            rest = &rest[start + digits..];
        }
        shown + rest
    }

    fn show(&mut self, effect: &Effect) -> String {
        let name = |key: &SessionKey| self.names[key.0 as usize].clone();
        let text = match effect {
            Effect::Send { to, message } => format!("{}< {}", name(to), json(message)),
            Effect::Fanout { to, message } => {
                let mut names: Vec<_> = to.iter().map(|key| name(&key)).collect();
                names.sort();
                format!("{}< {}", names.join(","), json(message))
            }
            Effect::Abort { session, reason, sentence } => format!("abort {}: {reason}, {sentence}", name(session)),
            Effect::Goodbye { session, reason, message, .. } => {
                format!("goodbye {}: {reason}, {message:?}", name(session))
            }
            Effect::Suspend { session } => format!("suspend {}", name(session)),
            Effect::Resume { session } => format!("resume {}", name(session)),
            Effect::Answer { token, result: Ok(payload) } => format!("answer {token}: {}", show_payload(payload)),
            Effect::Answer { token, result: Err(error) } => {
                format!("answer {token}: {} {}", error.error, show_payload(&error.payload))
            }
            Effect::Drop { reason } => format!("drop {reason}"),
            Effect::Refused { session, refused } => format!("note {}: {}", name(session), refused.reason),
            Effect::Gather(SharedCall { session, request, procedure, .. }) => {
                format!("gather {}: {request} {procedure}", name(session))
            }
            Effect::Settle { session, message } => format!("settle {}: {}", name(session), json(message)),
        };
        self.without_ids(&text)
    }
}

fn json(message: &Message) -> String {
    let mut bytes = Vec::new();
    codec::encode(message, Serializer::Json, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Positional and keyword arguments, as JSON.
fn show_payload(payload: &Payload) -> String {
    let (args, kwargs) = payload.elements_in(Serializer::Json);
    format!("{}{}", String::from_utf8_lossy(&args), String::from_utf8_lossy(&kwargs))
}

fn payload(args: &str) -> Payload {
    Payload::from_raw(Serializer::Json, args.as_bytes(), &[])
}

/// The configurations of the transcripts.
fn config(name: &str) -> RealmConfig {
    let everything = vec![
        rule("", Match::Prefix, "call register publish subscribe"),
        rule("wamp.", Match::Prefix, "call subscribe"),
    ];
    let mut config = RealmConfig {
        name: "realm1".to_owned(),
        uri_check: UriCheck::Loose,
        roles: vec![role("user", everything.clone()), role("admin", everything)],
        history: Vec::new(),
        deciding: Vec::new(),
        local_first: true,
        limits: Limits::default(),
    };
    match name {
        "open" => {}
        "strict" => config.uri_check = UriCheck::Strict,
        "disclosing" => {
            config.roles[0].permissions[0].disclose_publisher = true;
            config.roles[0].permissions[0].disclose_caller = true;
        }
        "ruled" => {
            config.roles[0].permissions = vec![
                rule("com.app.", Match::Prefix, "publish subscribe"),
                rule("com.app.secret.", Match::Prefix, ""),
                rule("com.proc", Match::Exact, "call register"),
                rule("wamp.session.", Match::Prefix, "call"),
                rule("wamp.subscription.", Match::Prefix, "call"),
            ];
        }
        "authorizer" => config.roles[0].authorizer = Some("com.authorize".to_owned()),
        "authorizer for all" => {
            for role in &mut config.roles {
                role.authorizer = Some("com.authorize".to_owned());
            }
        }
        "history" | "history of one topic" | "history in little memory" | "history with short answers" => {
            config.history = vec![HistoryRule { uri: "com.a".to_owned(), policy: Match::Exact, entries_max: 2 }];
            if name != "history of one topic" {
                config.history.push(HistoryRule { uri: "com.".to_owned(), policy: Match::Prefix, entries_max: 5 });
            }
            if name == "history with short answers" {
                config.limits.answer_bytes_max = 20;
            }
            if name == "history in little memory" {
                config.limits.history_bytes_max = 1_500;
            }
        }
        "limits" => {
            config.limits.subscriptions_per_session_max = 2;
            config.limits.publish_list_max = 2;
            config.limits.retained_max = 2;
            config.limits.retained_bytes_max = 1_200;
            config.limits.testaments_per_session_max = 1;
            config.limits.uri_bytes_max = 40;
            config.limits.uri_components_max = 8;
            config.limits.wildcard_shapes_max = 2;
        }
        _ => panic!("no such configuration: {name}"),
    }
    config
}

fn role(name: &str, permissions: Vec<Permission>) -> Role {
    Role { name: name.to_owned(), permissions, authorizer: None }
}

fn rule(uri: &str, policy: Match, actions: &str) -> Permission {
    let allows = |action| actions.split(' ').any(|word| word == action);
    Permission {
        uri: uri.to_owned(),
        policy,
        call: allows("call"),
        register: allows("register"),
        publish: allows("publish"),
        subscribe: allows("subscribe"),
        disclose_caller: false,
        disclose_publisher: false,
    }
}
