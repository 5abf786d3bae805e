//! A running router with the realm, the roles and the listeners that most tests want, and clients of it.

use super::Edge;
use super::client::{Carrier, Client, Scope, Via};
use super::http::{self, Response};
use super::io::{Endpoint, Io, PATIENCE};
use crossbar_cluster::wire::Serializer;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Details of a HELLO that announces every role and feature.
pub const ALL_ROLES: &str = r#"{"roles": {
    "publisher": {"features": {"publisher_identification": true, "publisher_exclusion": true,
        "subscriber_blackwhite_listing": true, "payload_passthru_mode": true}},
    "subscriber": {"features": {"publisher_identification": true, "pattern_based_subscription": true,
        "subscription_revocation": true, "payload_passthru_mode": true}},
    "caller": {"features": {"caller_identification": true, "call_canceling": true, "call_timeout": true,
        "progressive_call_results": true, "progressive_call_invocations": true, "payload_passthru_mode": true}},
    "callee": {"features": {"caller_identification": true, "call_canceling": true, "call_timeout": true,
        "progressive_call_results": true, "progressive_call_invocations": true, "pattern_based_registration": true,
        "shared_registration": true, "registration_revocation": true, "payload_passthru_mode": true}}
}}"#;

/// Details of a HELLO that announces every role and no feature.
pub const NO_FEATURES: &str = r#"{"roles": {"publisher": {}, "subscriber": {}, "caller": {}, "callee": {}}}"#;

/// The users that `join_as` knows, and their roles. All of them but `guest` may do everything.
const USERS: [(&str, &str); 4] = [("alice", "frontend"), ("bob", "backend"), ("carol", "known"), ("dave", "guest")];

/// Lines that a test adds to the tables of the configuration.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its default lets the router stop without a drain.
    pub node: &'static str,
    /// Its default is any free port.
    pub admin: &'static str,
    pub limits: &'static str,
    /// Of the WebSocket and the RawSocket listener, before their authentication.
    pub listen: &'static str,
    /// Whole `[[listen]]` tables after those two.
    pub listeners: String,
    pub realm: &'static str,
    /// `[[realm.…]]` tables of `realm1`.
    pub rules: &'static str,
    /// Whole `[[realm]]` tables.
    pub realms: &'static str,
    /// All `[[listen]]` and `[[realm]]` tables, instead of those that most tests want.
    pub served: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            node: "drain_time = \"0s\"",
            admin: "listen = \"127.0.0.1:0\"",
            limits: "",
            listen: "",
            listeners: String::new(),
            realm: "",
            rules: "",
            realms: "",
            served: None,
        }
    }
}

impl Setup {
    /// The configuration file.
    pub fn to_text(&self) -> String {
        let Setup { node, admin, limits, listeners, .. } = self;
        let served = self.served.map_or_else(|| self.usually_served(), str::to_owned);
        format!(
            "[node]\nid = \"edge1\"\nstate_dir = \"{{dir}}/state\"\nshards = 1\n{node}\n\
             [admin]\n{admin}\n\
             [limits]\n{limits}\n\
             {served}\n\
             {listeners}\n"
        )
    }

    /// A WebSocket and a RawSocket listener and `realm1`, whose roles may do everything.
    fn usually_served(&self) -> String {
        let Setup { listen, realm, rules, realms, .. } = self;
        let users: String = USERS
            .map(|(name, role)| format!("{name} = {{ ticket = \"{name}-ticket\", role = \"{role}\" }}\n"))
            .concat();
        let auth = format!("[listen.auth.anonymous]\nrole = \"anonymous\"\n[listen.auth.ticket.principals]\n{users}");
        let everything = ["anonymous", "frontend", "backend"].map(|role| role_that_may(role, "")).concat();
        let known = role_that_may("known", "disclose = [\"caller\", \"publisher\"]");
        format!(
            "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n{listen}\n{auth}\n\
             [[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:0\"\n{listen}\n{auth}\n\
             [[realm]]\nname = \"realm1\"\n{realm}\n{everything}{known}{GUEST}\n{rules}\n\
             {realms}\n"
        )
    }
}

/// A role that may do everything, with further lines for its permission.
fn role_that_may(role: &str, more: &str) -> String {
    format!(
        "[[realm.role]]\nname = \"{role}\"\n[[realm.role.permission]]\nuri = \"\"\nmatch = \"prefix\"\n\
         allow = [\"call\", \"register\", \"publish\", \"subscribe\"]\n{more}\n{NAMED}"
    )
}

/// What takes a rule that names it: the router's own procedures and topics, and those that decide about others.
const NAMED: &str = r#"
[[realm.role.permission]]
uri = "wamp."
match = "prefix"
allow = ["call", "subscribe"]
[[realm.role.permission]]
uri = "com.authenticate"
allow = ["call", "register", "publish", "subscribe"]
[[realm.role.permission]]
uri = "com.authorize"
allow = ["call", "register", "publish", "subscribe"]
"#;

/// May call and subscribe in `com.open.` and look at the session meta API.
const GUEST: &str = r#"
[[realm.role]]
name = "guest"
[[realm.role.permission]]
uri = "com.open."
match = "prefix"
allow = ["call", "subscribe"]
"#;

/// A router and the names that its clients share.
pub struct Router {
    pub edge: Edge,
    pub scope: Scope,
    rotation: &'static [Via],
    n_joined: usize,
}

/// Two ways to give the clients of one test to transports and serializers, so that each scene is played across them.
const ROTATIONS: [&[Via]; 2] = [
    &[
        Via::new(Carrier::WebSocket, Serializer::Json),
        Via::new(Carrier::RawSocket, Serializer::Cbor),
        Via::new(Carrier::Batched, Serializer::MsgPack),
    ],
    &[
        Via::new(Carrier::RawSocket, Serializer::MsgPack),
        Via::new(Carrier::WebSocket, Serializer::Cbor),
        Via::new(Carrier::RawSocket, Serializer::Json),
    ],
];

/// Plays a scene with a router of its own, once for each rotation of transports.
pub fn everywhere(scene: impl Fn(Router)) {
    everywhere_with(&Setup::default(), scene);
}

/// As `everywhere`, with a configuration.
pub fn everywhere_with(setup: &Setup, scene: impl Fn(Router)) {
    for rotation in ROTATIONS {
        println!("clients come by {rotation:?}");
        let mut router = Router::start(setup);
        router.rotation = rotation;
        scene(router);
    }
}

impl Router {
    pub fn start(setup: &Setup) -> Router {
        Router::start_with(setup, |_| {})
    }

    /// `prepare` may add to the command, to its environment for example.
    pub fn start_with(setup: &Setup, prepare: impl FnOnce(&mut Command)) -> Router {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Router::of(Edge::start_with(directory, &setup.to_text(), prepare))
    }

    /// A router that was started with a configuration of the test's own.
    pub fn of(edge: Edge) -> Router {
        Router { edge, scope: Scope::default(), rotation: ROTATIONS[0], n_joined: 0 }
    }

    /// The listener that a client of this kind connects to.
    pub fn endpoint(&self, via: Via) -> Endpoint {
        endpoint_of(match via.carrier {
            Carrier::RawSocket => self.edge.url("rs"),
            Carrier::WebSocket | Carrier::Batched => self.edge.url("ws"),
        })
    }

    /// A transport without a session.
    pub fn connect_via(&self, via: Via) -> Client {
        Client::open(self.endpoint(via).connect(), via, self.scope.clone())
    }

    /// As `connect_via`, the next of this rotation.
    pub fn connect(&mut self) -> Client {
        let via = self.next_via();
        self.connect_via(via)
    }

    /// How the next client of this rotation speaks.
    pub fn next_via(&mut self) -> Via {
        self.n_joined += 1;
        self.rotation[(self.n_joined - 1) % self.rotation.len()]
    }

    /// An anonymous session with all features; its id is bound to `name`.
    pub fn join(&mut self, name: &str) -> Client {
        self.join_with(ALL_ROLES, name)
    }

    /// An anonymous session with these details in its HELLO.
    pub fn join_with(&mut self, details: &str, name: &str) -> Client {
        let mut client = self.connect();
        client.hello(details, name);
        client
    }

    /// A session of a user, by ticket; its id is bound to the user's name.
    pub fn join_as(&mut self, user: &str) -> Client {
        let mut client = self.connect();
        let roles = ALL_ROLES.strip_suffix('}').expect("a dict");
        client.send(&format!(r#"[1, "realm1", {roles}, "authmethods": ["ticket"], "authid": "{user}"}}]"#));
        client.expect(r#"[4, "ticket", {}]"#);
        client.send(&format!(r#"[5, "{user}-ticket", {{}}]"#));
        client.welcome(user);
        client
    }

    /// A page of the admin port.
    pub fn admin(&self, path: &str) -> Response {
        http::fetch(&endpoint_of(self.edge.url("http")), path, &[])
    }

    /// How often this was counted under `crossbar_drops`.
    pub fn drops(&self, reason: &str) -> u64 {
        self.metric(&format!("crossbar_drops_total{{reason=\"{reason}\"}}"))
    }

    /// The value of the line of `/metrics` that begins like this.
    pub fn metric(&self, series: &str) -> u64 {
        let page = self.admin("/metrics");
        let line = page.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value: f64 = line.unwrap_or_else(|| panic!("no {series} in\n{}", page.text())).parse().expect("a number");
        value as u64
    }

    /// Waits until `reason` was counted `n` times.
    pub fn await_drops(&self, reason: &str, n: u64) {
        eventually(&format!("{n} drops for {reason}"), || {
            let drops = self.drops(reason);
            assert!(drops <= n, "{drops} drops for {reason}, expected {n}");
            drops == n
        });
    }
}

impl Drop for Router {
    /// Whatever a test was about: nothing that clients do may make the router panic.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let log = self.edge.log();
            assert!(!log.contains("panicked at"), "the router panicked:\n{log}");
        }
    }
}

/// Waits until a condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        // To ask without a pause would take the processor from the router that is asked.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Where an announced URL leads to.
pub fn endpoint_of(url: &str) -> Endpoint {
    if let Some(path) = url.strip_prefix("rs+unix:").or_else(|| url.strip_prefix("ws+unix:")) {
        return Endpoint::Unix(PathBuf::from(path));
    }
    let (_, rest) = url.split_once("://").unwrap_or_else(|| panic!("{url} is no URL"));
    Endpoint::Tcp(rest.split('/').next().expect("split gives at least one").to_owned())
}

/// A connection to a listener with this scheme, when nothing has been said yet.
pub fn dial(edge: &Edge, scheme: &str) -> Io {
    endpoint_of(edge.url(scheme)).connect()
}
