//! Who is refused is told to the operator: one line of the log and one entry of `crossbarctl refusals` for each, with
//! who it was, from where, what was wanted and why; and few of them for very many.

use crate::harness::Edge;
use crate::harness::client::{Carrier, Client, Via};
use crate::harness::http;
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of, eventually};
use crate::join;
use crossbar_cluster::config::node_key;
use crossbar_cluster::wire::Serializer;
use serde_json::Value;
use std::process::Command;

const WEBSOCKET: Via = Via::new(Carrier::WebSocket, Serializer::Json);

const LIMITS: &str = "subscriptions_per_session_max = 1\nauthentication_delay = \"0ms\"\ncalls_per_session_max = 1";

/// What a client does, and what the operator reads of it. A word that begins with `$` stands for what the client's
/// session has bound to it.
struct Case {
    reason: &'static str,
    act: fn(&mut Router),
    /// The parts of the line and the fields of the entry: those that are there, and what they say.
    line: &'static str,
    entry: &'static [(&'static str, &'static str)],
}

const CASES: [Case; 13] = [
    Case {
        reason: "hello_refused",
        act: |router| {
            let mut client = router.connect_via(WEBSOCKET);
            client.send(r#"[1, "no.such.realm", {"roles": {"caller": {}}, "authid": "mallory"}]"#);
            client.expect_abort("wamp.error.no_such_realm");
        },
        line: "authid mallory at tcp4:127.0.0.1:",
        entry: &[("realm", "no.such.realm"), ("authid", "mallory")],
    },
    Case {
        reason: "authentication_failed",
        act: |router| {
            let mut client = router.connect_via(WEBSOCKET);
            client.send(r#"[1, "realm1", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "alice"}]"#);
            client.expect(r#"[4, "ticket", {}]"#);
            client.send(r#"[5, "wrong", {}]"#);
            client.expect_abort("wamp.error.authentication_failed");
        },
        line: "authid alice at tcp4:127.0.0.1:",
        entry: &[("realm", "realm1"), ("authid", "alice"), ("text", "it did not prove by ticket who it is")],
    },
    Case {
        reason: "not_authorized",
        act: |router| {
            let mut dave = router.join_as("dave");
            dave.send(r#"[32, #, {}, "com.secret"]"#);
            dave.expect(r#"[8, 32, #, {}, "wamp.error.not_authorized", [$_]]"#);
        },
        line: "authid dave role guest at tcp4:127.0.0.1:",
        entry: &[("realm", "realm1"), ("authid", "dave"), ("action", "subscribe"), ("uri", "com.secret")],
    },
    Case {
        reason: "not_authorized",
        act: |router| {
            let mut dave = router.join_as("dave");
            dave.send(r#"[64, #, {}, "com.open.procedure"]"#);
            dave.expect(r#"[8, 64, #, {}, "wamp.error.not_authorized", [$_]]"#);
        },
        line: ": register com.open.procedure: ",
        entry: &[("action", "register"), ("uri", "com.open.procedure"), ("authrole", "guest")],
    },
    Case {
        reason: "not_authorized",
        act: |router| router.join_as("dave").call_fails("com.secret", "", "wamp.error.not_authorized"),
        line: ": call com.secret: not authorized to call",
        entry: &[("action", "call"), ("uri", "com.secret")],
    },
    Case {
        reason: "publish_refused",
        act: |router| router.join_as("dave").send(r#"[16, #, {}, "com.secret.topic"]"#),
        line: ": publish com.secret.topic: not authorized to publish",
        entry: &[("action", "publish"), ("uri", "com.secret.topic"), ("authid", "dave")],
    },
    Case {
        reason: "invalid_request",
        act: |router| {
            let mut client = router.join("client");
            client.send(r#"[32, #, {}, "com.x\nrefusal: killed: nobody\u001b[2J"]"#);
            client.expect(r#"[8, 32, #, {}, "wamp.error.invalid_uri", [$_]]"#);
        },
        line: r": subscribe com.x\nrefusal: killed: nobody\u{1b}[2J: ",
        entry: &[("uri", r"com.x\nrefusal: killed: nobody\u{1b}[2J")],
    },
    Case {
        reason: "limit_exceeded",
        act: |router| {
            let mut client = router.join("client");
            client.subscribe("com.first", "{}", "first");
            client.send(r#"[32, #, {}, "com.second"]"#);
            client.expect(r#"[8, 32, #, {}, "wamp.error.limit_exceeded", [$_]]"#);
        },
        line: ": subscribe com.second: the session has subscriptions_per_session_max = 1",
        entry: &[("uri", "com.second"), ("authrole", "anonymous")],
    },
    Case {
        reason: "option_not_allowed",
        act: |router| {
            let mut client = router.join("client");
            client.send(r#"[48, #, {"forward_for": []}, "com.procedure"]"#);
            client.expect(r#"[8, 48, #, {}, "wamp.error.option_not_allowed", [$_]]"#);
        },
        line: ": call com.procedure: forward_for is for links",
        entry: &[("uri", "com.procedure"), ("action", "call")],
    },
    Case {
        reason: "protocol_violation",
        act: |router| {
            let mut client = router.join_as("bob");
            client.send("[2, 1, {}]");
            client.expect_violation();
        },
        line: "authid bob role backend at tcp4:",
        entry: &[("authid", "bob"), ("realm", "realm1")],
    },
    Case {
        reason: "transport_violation",
        act: |router| {
            let mut client = join(router, WEBSOCKET);
            client.write(&[0x8b, 0x80, 0, 0, 0, 0]);
            client.expect_closed();
        },
        line: "role anonymous at tcp4:127.0.0.1:",
        entry: &[("authrole", "anonymous"), ("realm", "realm1")],
    },
    Case {
        reason: "origin_refused",
        act: |router| {
            let endpoint = endpoint_of(router.edge.nth_url("ws", 1));
            let mut io = endpoint.connect();
            let upgrade = [
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
                ("Origin", "https://evil.example.com"),
            ];
            http::request(&mut io, "/ws", &upgrade);
            assert_eq!(http::read_head(&mut io).expect("an answer").status, 403);
        },
        line: "at tcp4:127.0.0.1:",
        entry: &[],
    },
    Case {
        reason: "killed",
        act: |router| {
            let mut victim = router.join_as("carol");
            let mut alice = router.join_as("alice");
            let id = victim.id("carol");
            alice.call("wamp.session.kill", &format!("[{id}]"), "");
            victim.expect(r#"[6, {}, "wamp.close.killed"]"#);
        },
        line: "authid carol role known at tcp4:127.0.0.1:",
        entry: &[("authid", "carol"), ("realm", "realm1")],
    },
];

#[test]
fn each_refusal_is_one_line_and_one_entry_that_say_who_and_why() {
    let router = &mut start();
    let before = router.edge.log().matches(MARK).count();
    assert_eq!(before, 0, "nobody has been refused yet");
    for (n, Case { reason, act, line, entry }) in (1..).zip(CASES) {
        act(router);
        eventually(&format!("{n} lines, the last for {reason}"), || lines(router).len() == n);
        let found = lines(router).pop().expect("it is there");
        assert!(found.contains(&format!("{MARK}{reason}: ")), "{reason}: {found}");
        assert!(found.contains(line), "{line:?} is not in {found}");
        assert!(!found.contains("SessionKey"), "{found}");
        let rows = rows(router, "--limit 1000");
        assert_eq!(rows.len(), n, "{reason}: {rows:#?}");
        let row = &rows[n - 1];
        assert_eq!((row["reason"].as_str(), row["times"].as_u64()), (Some(reason), Some(1)), "{row:#}");
        for (name, value) in entry {
            assert_eq!(row[name].as_str(), Some(*value), "{name} of {row:#}");
        }
        let n_of_reason = rows.iter().filter(|row| row["reason"] == reason).count();
        assert_eq!(router.drops(reason), n_of_reason as u64, "{reason} is counted");
    }
    assert_eq!(rows(router, "--authid dave --reason not_authorized").len(), 3);
    assert_eq!(rows(router, "--realm realm1 --limit 2").len(), 2);
    assert_eq!(rows(router, "--node edge9").len(), 0);
}

/// The reasons, and what brings them about.
type Loss = (&'static [&'static str], fn(&mut Router));

/// What happens to a client that does not read, does not answer or takes no long messages, and what the operator reads
/// of it: a line and an entry of each reason.
const LOSSES: [Loss; 6] = [
    (&["slow_consumer", "event_unsent"], |router| {
        let mut slow = router.join_as("bob");
        slow.subscribe("com.topic", "{}", "sub");
        flood(router, "com.topic", "slow_consumer");
        slow.into_io().read_to_close();
    }),
    (&["oldest_event"], |router| {
        let mut slow = router.join_as("bob");
        slow.subscribe("com.lossy.topic", "{}", "sub");
        flood(router, "com.lossy.topic", "oldest_event");
    }),
    (&["callee_full"], |router| {
        let mut callee = router.join_as("bob");
        callee.register("com.procedure", "{}", "reg");
        let mut caller = router.join_as("alice");
        let padding = "x".repeat(30_000);
        while router.drops("callee_full") == 0 {
            caller.send(&format!(r#"[48, #, {{}}, "com.procedure", ["{padding}"]]"#));
            caller.sync();
        }
    }),
    (&["receiver_limit"], |router| {
        let mut small = Client::open_rawsocket(router.endpoint(SMALL).connect(), SMALL, router.scope.clone(), 1 << 12);
        small.hello(ALL_ROLES, "small");
        small.subscribe("com.topic", "{}", "sub");
        let mut publisher = router.join_as("alice");
        publisher.send(&format!(r#"[16, #, {{}}, "com.topic", ["{}"]]"#, "x".repeat(5_000)));
        router.await_drops("receiver_limit", 1);
    }),
    (&["hello_timeout"], |router| {
        let io = endpoint_of(router.edge.nth_url("ws", 1)).connect();
        Client::open_websocket(io, WEBSOCKET, router.scope.clone(), "/ws", &[]).expect_closed();
    }),
    (&["ping_timeout"], |router| {
        let io = endpoint_of(router.edge.nth_url("ws", 1)).connect();
        let mut silent = Client::open_websocket(io, WEBSOCKET, router.scope.clone(), "/ws", &[]);
        silent.hello(ALL_ROLES, "silent");
        router.await_drops("ping_timeout", 1);
    }),
];

#[test]
fn each_loss_is_a_line_and_an_entry_that_say_whose_and_why() {
    let rules = "[[realm.slow_consumer_rule]]\nuri = \"com.lossy.\"\nmatch = \"prefix\"\naction = \"drop_oldest\"\n";
    let listeners = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\nping_interval = \"200ms\"\n\
                     ping_timeout = \"200ms\"\n[listen.limits]\nhello_timeout = \"1s\"\n\
                     [listen.auth.anonymous]\nrole = \"anonymous\"\n";
    let limits = "outbox_bytes_max = \"128KiB\"\nmessage_bytes_max = \"64KiB\"";
    let router = &mut start_with(Setup { limits, rules, listeners: listeners.to_owned(), ..Setup::default() });
    for (reasons, act) in LOSSES {
        act(router);
        for reason in reasons {
            let mark = format!("{MARK}{reason}: ");
            eventually(reason, || lines(router).iter().any(|line| line.contains(&mark)));
            let found = lines(router).into_iter().find(|line| line.contains(&mark)).expect("it is there");
            assert!(found.contains("at tcp4:127.0.0.1:"), "{reason} says whose it was: {found}");
            let rows = rows(router, &format!("--reason {reason}"));
            assert!(rows.iter().all(|row| row["peer"].is_string() && row["text"].is_string()), "{rows:#?}");
            let is_session = *reason != "hello_timeout";
            assert!(rows.iter().all(|row| row["session"].is_u64() == is_session), "{rows:#?}");
            assert!(!rows.is_empty() && router.drops(reason) > 0, "{reason} is an entry, and counted");
        }
    }
}

/// Has events published until one who does not read has lost something for this reason.
fn flood(router: &mut Router, topic: &str, reason: &str) {
    let mut publisher = router.join_as("alice");
    let padding = "x".repeat(30_000);
    while router.drops(reason) == 0 {
        publisher.send(&format!(r#"[16, #, {{}}, "{topic}", ["{padding}"]]"#));
        publisher.sync();
    }
}

/// How one speaks that takes no long messages.
const SMALL: Via = Via::new(Carrier::RawSocket, Serializer::Json);

#[test]
fn very_many_refusals_are_few_lines_that_say_how_many_there_were() {
    let router = &mut start();
    let mut dave = router.join_as("dave");
    let batch = 1_000;
    for _ in 0..100 {
        for _ in 0..batch {
            dave.send(r#"[48, #, {}, "com.secret"]"#);
        }
        for _ in 0..batch {
            dave.expect(r#"[8, 48, $_, {}, "wamp.error.not_authorized", [$_]]"#);
        }
    }
    assert_eq!(router.drops("not_authorized"), 100_000);
    // What is left out in a window is said at its end.
    let told =
        |router: &Router| rows(router, "--limit 1000").iter().filter_map(|row| row["times"].as_u64()).sum::<u64>();
    eventually("all are accounted for", || told(router) == 100_000);
    let lines = lines(router);
    assert!(lines.iter().any(|line| line.contains(" more by the same were left out, the first: not authorized")));
    // Of a session ten lines in ten seconds, and one that counts the rest.
    let windows_max = 1 + 60 / 10;
    assert!(lines.len() <= 11 * windows_max, "{} lines", lines.len());
}

const MARK: &str = " refusal: ";

/// A router that can be asked with its own key, with a second listener for pages of one origin.
fn start() -> Router {
    let listener = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n\
                    allowed_origins = [\"https://example.com\"]\n[listen.auth.anonymous]\nrole = \"anonymous\"\n";
    start_with(Setup { limits: LIMITS, listeners: listener.to_owned(), ..Setup::default() })
}

/// A router that can be asked with its own key.
fn start_with(setup: Setup) -> Router {
    let directory = tempfile::tempdir().expect("a temporary directory");
    node_key::read_or_generate(&directory.path().join("state"), &mut rand::rng()).expect("it has a key");
    Router::of(Edge::start_with(directory, &setup.to_text(), |_| {}))
}

fn lines(router: &Router) -> Vec<String> {
    router.edge.log().lines().filter(|line| line.contains(MARK)).map(str::to_owned).collect()
}

/// What `crossbarctl refusals` prints for programs.
fn rows(router: &Router, narrowed: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbarctl"));
    let address = router.edge.url("http").strip_prefix("http://").expect("a URL").trim_end_matches('/');
    command.args(["--edge", address, "--key"]).arg(router.edge.directory().join("state/node.key"));
    command.args(["refusals", "--json"]).args(narrowed.split_whitespace());
    let output = command.output().expect("crossbarctl is started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}
