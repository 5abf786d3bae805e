//! Every key of the configuration, changed alone, with the listeners in the order of the file and in another one: the
//! log says what was applied and what needs a restart, and what a client, a peer or an operator sees is true to that.

use crate::harness::Edge;
use crate::harness::client::{Carrier, Client, Scope, UPGRADE, Via};
use crate::harness::http::{fetch, read_head, request};
use crate::harness::io::{Endpoint, Io};
use crate::harness::master::free_port;
use crate::harness::router::{Router, eventually};
use crossbar_cluster::auth::client::{Client as Prover, Credential};
use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::config::{self, KeyFacts, node_key};
use crossbar_cluster::limits::{Limit, Limits, Scope as LimitScope, Unit};
use crossbar_cluster::wire::{Dict, Serializer, Value};
use rustls::pki_types::CertificateDer;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn every_key_does_on_sighup_what_the_log_says() {
    change_every_key(false);
}

#[test]
fn every_key_does_so_with_the_listeners_in_another_order() {
    change_every_key(true);
}

fn change_every_key(is_reordered: bool) {
    let scene = Scene::start();
    let (cases, renamed) = (cases(&scene), realm_is_renamed());
    let covered: BTreeSet<(&str, &str)> =
        cases.iter().chain([&renamed]).map(|case| (case.table.as_str(), case.key)).collect();
    let known = config::keys();
    let known: BTreeSet<(&str, &str)> = known.iter().map(|fact| (fact.table.as_str(), fact.key)).collect();
    assert_eq!(covered, known, "each key has a case here, and each case a key");
    let before = scene.observe();
    cases.iter().for_each(|case| scene.play(case, &before, is_reordered));
    assert_eq!(scene.observe(), before, "in the end everything is as it was");
    // A realm that was opened stays open.
    scene.play(&renamed, &before, is_reordered);
}

/// A changed key, what the log is to say, and what is to be seen of it.
struct Case {
    /// As the reference calls it.
    table: String,
    key: &'static str,
    /// The part of the file in which it is changed, the key that is set there, and its new value.
    at: String,
    set: &'static str,
    value: String,
    applied: Vec<String>,
    waiting: Vec<String>,
    /// The observation that tells the new value from the old one, where one does.
    shows: Option<&'static str>,
    /// It is a mistake, and nothing is reloaded.
    is_refused: bool,
}

/// A running edge, and the file that it was started with: its parts by name, between marks.
struct Scene {
    router: Router,
    file: File,
    ports: Ports,
    certificates: [CertificateDer<'static>; 2],
    sensor: SecretKey,
}

#[derive(Clone)]
struct File {
    head: String,
    listeners: Vec<String>,
    tail: String,
}

struct Ports {
    admin: u16,
    agent: u16,
    websocket: u16,
    encrypted: u16,
    mesh: u16,
    other: u16,
}

type Observations = BTreeMap<&'static str, String>;

impl Scene {
    fn start() -> Scene {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = Ports {
            admin: free_port(),
            agent: free_port(),
            websocket: free_port(),
            encrypted: free_port(),
            mesh: free_port(),
            other: free_port(),
        };
        let certificates = certify(directory.path());
        node_key::read_or_generate(&directory.path().join("state"), &mut rand::rng()).expect("a key is made");
        let sensor = SecretKey::from_seed([7; 32]);
        let file = file(&ports, &sensor);
        let router = Router::of(Edge::start_with(directory, &file.text(false), |_| {}));
        Scene { router, file, ports, certificates, sensor }
    }

    /// Changes the key and back again.
    fn play(&self, case: &Case, before: &Observations, is_reordered: bool) {
        let name = format!("{} in {} (reordered: {is_reordered})", case.key, case.table);
        let changed = self.file.change(&case.at, case.set, &case.value).text(is_reordered);
        let said = self.reload(&changed);
        if case.is_refused {
            assert!(said.contains("was not reloaded"), "{name}: {said}");
            return;
        }
        assert!(said.ends_with(&sentence(&case.applied, &case.waiting)), "{name}: {said}");
        match case.shows {
            Some(what) => assert_ne!(self.observe()[what], before[what], "{name}: it was said to be applied"),
            None if case.applied.is_empty() => assert_eq!(&self.observe(), before, "{name}: it was said to wait"),
            None => {}
        }
        let said = self.reload(&changed);
        assert!(said.ends_with(&sentence(&[], &case.waiting)), "{name}, once more: {said}");
        self.reload(&self.file.text(false));
    }

    /// Replaces the file, and returns what the log says of it.
    fn reload(&self, text: &str) -> String {
        let directory = self.router.edge.directory();
        let text = text.replace("{dir}", &directory.display().to_string());
        std::fs::write(directory.join("edge.toml"), text).expect("the configuration is written");
        let said =
            |log: &str| log.lines().filter(|line| line.contains("reloaded")).map(str::to_owned).collect::<Vec<_>>();
        let before = said(&self.router.edge.log()).len();
        self.router.edge.signal("HUP");
        let mut line = None;
        eventually("the log says what was made of it", || {
            line = said(&self.router.edge.log()).into_iter().nth(before);
            line.is_some()
        });
        line.expect("it is there")
    }

    /// What can be seen of the edge from outside.
    fn observe(&self) -> Observations {
        BTreeMap::from([
            ("info", self.info()),
            ("agent", self.agent()),
            ("hosts", self.hosts()),
            ("pages", self.pages()),
            ("client info", self.client_info()),
            ("upgrades", self.upgrades()),
            ("anonymous", self.anonymous()),
            ("tickets", self.tickets()),
            ("challenges", self.challenges()),
            ("keys", self.keys()),
            ("realms", self.realms()),
            ("tls", self.tls()),
            ("mesh", self.mesh()),
            ("socket file", self.socket_file()),
        ])
    }

    /// Whether the balancer is told that clients are welcome; with which words depends on the time since the start.
    fn agent(&self) -> String {
        let line = tcp(self.ports.agent).connect().read_to_close();
        String::from_utf8_lossy(&line).contains("up").to_string()
    }

    /// Whether the admin port answers to another name.
    fn hosts(&self) -> String {
        let mut io = tcp(self.ports.admin).connect();
        io.write_all(b"GET /info HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n").expect("open");
        String::from_utf8_lossy(&io.read_to_close()).lines().next().unwrap_or("nothing").to_owned()
    }

    fn info(&self) -> String {
        let page = fetch(&tcp(self.ports.admin), "/info", &[("Accept", "application/json")]);
        let info: serde_json::Value = serde_json::from_str(page.text()).expect("/info is JSON");
        let names = |list: &serde_json::Value, keys: &[&str]| -> BTreeSet<String> {
            let entry = |entry: &serde_json::Value| keys.iter().map(|key| entry[key].to_string()).collect();
            list.as_array().into_iter().flatten().map(entry).collect()
        };
        let (listeners, realms) = (names(&info["listeners"], &["address"]), names(&info["realms"], &["name"]));
        let links = names(&info["mesh"]["links"], &["peer", "address", "realm"]);
        format!("{} {listeners:?} {realms:?} {links:?}", info["node"])
    }

    /// What the node tells clients of itself.
    fn client_info(&self) -> String {
        let page = fetch(&tcp(self.ports.websocket), "/info", &[("Accept", "application/json")]);
        let info: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(page.text()).expect("/info is JSON");
        format!("{:?}", info.keys().collect::<Vec<_>>())
    }

    /// Plain requests, with and without a PROXY header.
    fn pages(&self) -> String {
        let mut seen = String::new();
        for header in ["", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"] {
            let mut io = tcp(self.ports.websocket).connect();
            io.write_all(header.as_bytes()).expect("open");
            request(&mut io, "/", &[("Connection", "close")]);
            let answer = String::from_utf8_lossy(&io.read_to_close()).into_owned();
            let is_believed = answer.contains("tcp4:192.0.2.1:56324");
            seen += &format!("{} {is_believed}, ", answer.lines().next().unwrap_or("nothing"));
        }
        seen
    }

    /// What becomes of upgrades to other paths, subprotocols, origins and extensions.
    fn upgrades(&self) -> String {
        let json = ("Sec-WebSocket-Protocol", "wamp.2.json");
        let deflate = "permessage-deflate; client_max_window_bits; server_no_context_takeover";
        let mut seen = String::new();
        for (path, headers) in [
            ("/ws", &[json][..]),
            ("/wamp", &[json]),
            ("/ws", &[("Sec-WebSocket-Protocol", "wamp.2.json, wamp.2.cbor")]),
            ("/ws", &[("Sec-WebSocket-Protocol", "wamp.2.msgpack")]),
            ("/ws", &[("Sec-WebSocket-Protocol", "wamp.2.cbor.batched")]),
            ("/ws", &[]),
            ("/ws", &[json, ("Origin", "http://other.example")]),
            ("/ws", &[json, ("Origin", "null")]),
            ("/ws", &[json, ("Sec-WebSocket-Extensions", deflate)]),
        ] {
            let mut io = tcp(self.ports.websocket).connect();
            request(&mut io, path, &[&UPGRADE[..], headers].concat());
            let head = read_head(&mut io).expect("an answer");
            let chosen = (head.header("sec-websocket-protocol"), head.header("sec-websocket-extensions"));
            seen += &format!("{} {chosen:?}, ", head.status);
        }
        seen
    }

    fn websocket(&self) -> Client {
        let via = Via::new(Carrier::WebSocket, Serializer::Json);
        Client::open(tcp(self.ports.websocket).connect(), via, Scope::default())
    }

    /// Who is anonymous, and what that may do.
    fn anonymous(&self) -> String {
        let mut client = self.websocket();
        client.send(r#"[1, "realm1", {"roles": {"publisher": {}, "caller": {}}}]"#);
        let welcome = outcome(&client.receive());
        client.send(r#"[16, 1, {"acknowledge": true}, "com.open.Topic"]"#);
        welcome + &outcome(&client.receive())
    }

    fn tickets(&self) -> String {
        let mut client = self.websocket();
        client.send(r#"[1, "realm1", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "joe"}]"#);
        let challenge = outcome(&client.receive());
        client.send(r#"[5, "joe-ticket", {}]"#);
        challenge + &outcome(&client.receive())
    }

    /// What a known and an unknown user are asked.
    fn challenges(&self) -> String {
        ["peter", "nobody"]
            .map(|authid| {
                let mut client = self.websocket();
                let details =
                    format!(r#"{{"roles": {{"caller": {{}}}}, "authmethods": ["wampcra"], "authid": "{authid}"}}"#);
                client.send(&format!(r#"[1, "realm1", {details}]"#));
                outcome(&client.receive())
            })
            .concat()
    }

    fn keys(&self) -> String {
        let prover = Prover::new(Some("sensor".to_owned()), Credential::Cryptosign(self.sensor.clone()));
        let mut client = self.websocket();
        let details = prover.hello_details(Dict::new().with("roles", Dict::new().with("caller", Dict::new())));
        client.send_message(&[1u64.into(), "realm1".into(), details.into()]);
        let challenge = client.receive();
        let Some(Value::Dict(extra)) = challenge.get(2).filter(|_| challenge[0] == 4u64.into()) else {
            return outcome(&challenge);
        };
        let signature = prover.answer("realm1", "cryptosign", extra).expect("the challenge can be answered");
        client.send_message(&[5u64.into(), signature.into(), Dict::new().into()]);
        outcome(&client.receive())
    }

    fn realms(&self) -> String {
        ["realm1", "realm2", "realm3"]
            .map(|realm| {
                let mut client = self.websocket();
                client.send(&format!(r#"[1, "{realm}", {{"roles": {{"caller": {{}}}}}}]"#));
                outcome(&client.receive())
            })
            .concat()
    }

    /// Which certificate is shown, whether one is demanded, and what is said in the clear.
    fn tls(&self) -> String {
        let endpoint = tcp(self.ports.encrypted);
        let mut seen = String::new();
        for certificate in &self.certificates {
            let page = endpoint.connect_tls(certificate).map(|mut io| {
                request(&mut io, "/healthz", &[("Connection", "close")]);
                let mut answer = Vec::new();
                // Whoever is refused for want of a certificate is told so with an alert.
                let _ = io.read_to_end(&mut answer);
                answer.starts_with(b"HTTP/1.1 200")
            });
            seen += &format!("{:?} ", page.ok());
        }
        let mut io = endpoint.connect();
        io.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("open");
        let answer = io.read_to_close();
        seen + &format!("in the clear: {}", answer.starts_with(b"HTTP"))
    }

    /// What somebody who is no node gets where nodes come in.
    fn mesh(&self) -> String {
        let mut io = tcp(self.ports.mesh).connect();
        io.write_all(b"\x7f\xf1\0\0").expect("open");
        format!("{:?}", io.read_to_close())
    }

    fn socket_file(&self) -> String {
        let path = self.router.edge.directory().join("edge.sock");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
        format!("{mode:o} {}", self.rawsocket(Endpoint::Unix(path).connect()))
    }

    fn rawsocket(&self, mut io: Io) -> String {
        io.write_all(b"\x7f\xf1\0\0").expect("open");
        let mut answer = [0; 4];
        io.read_exact(&mut answer).expect("an answer");
        if answer[1] & 0x0f == 0 {
            return format!("{answer:?}: JSON is refused");
        }
        let hello = br#"[1, "realm1", {"roles": {"caller": {}}}]"#;
        io.write_all(&(hello.len() as u32).to_be_bytes()).expect("open");
        io.write_all(hello).expect("open");
        let mut head = [0; 4];
        io.read_exact(&mut head).expect("an answer");
        let mut message = vec![0; u32::from_be_bytes(head) as usize];
        io.read_exact(&mut message).expect("an answer");
        let message: serde_json::Value = serde_json::from_slice(&message).expect("JSON");
        format!("{answer:?} {} {}", message[0], message[2])
    }
}

/// The kind of a message, and what of it does not change from time to time.
fn outcome(message: &[Value]) -> String {
    let code = message[0].as_uint().expect("a message has a code");
    let told = match (code, message) {
        // WELCOME
        (2, [_, _, Value::Dict(details)]) => {
            let told = ["realm", "authid", "authrole", "x_cb_node"].map(|key| details.str(key).unwrap_or_default());
            // An anonymous authid is another one each time.
            format!("{:?}", [told[0], told[2], told[3]])
        }
        (3, [_, _, reason]) => format!("{reason:?}"),
        (4, [_, method, Value::Dict(extra)]) => {
            let number = |key: &str| extra.get(key).and_then(Value::as_uint);
            format!("{method:?} {:?} {:?} {:?}", extra.str("salt"), number("iterations"), number("keylen"))
        }
        (8, [_, _, _, _, error, ..]) => format!("{error:?}"),
        _ => String::new(),
    };
    format!("{code} {told}, ")
}

fn tcp(port: u16) -> Endpoint {
    Endpoint::Tcp(format!("127.0.0.1:{port}"))
}

/// Two certificates of one key, which is there under two names, and an authority.
fn certify(directory: &Path) -> [CertificateDer<'static>; 2] {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificates = ["cert", "cert2"].map(|name| {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).expect("it is written");
        certificate.der().clone()
    });
    for name in ["key.pem", "key2.pem"] {
        std::fs::write(directory.join(name), key.serialize_pem()).expect("it is written");
    }
    certificates
}

/// What the log says at the end of its line.
fn sentence(applied: &[String], waiting: &[String]) -> String {
    let applied = if applied.is_empty() { "nothing".to_owned() } else { applied.join(", ") };
    match waiting {
        [] => format!("configuration reloaded, applied: {applied}"),
        waiting => format!("configuration reloaded, applied: {applied}; needs a restart: {}", waiting.join(", ")),
    }
}

impl File {
    fn text(&self, is_reordered: bool) -> String {
        let mut listeners = self.listeners.clone();
        if is_reordered {
            listeners.reverse();
        }
        format!("{}{}{}", self.head, listeners.concat(), self.tail)
    }

    /// The same with another value of a key: its line behind the mark is replaced, or one is added behind the header.
    fn change(&self, at: &str, key: &str, value: &str) -> File {
        let mut file = self.clone();
        let mark = format!("# {at}\n");
        let parts = [&mut file.head, &mut file.tail].into_iter().chain(&mut file.listeners);
        let part = parts.into_iter().find(|part| part.contains(&mark)).unwrap_or_else(|| panic!("no part {at}"));
        let (before, rest) = part.split_once(&mark).expect("it was found");
        let (table, after) =
            rest.split_once("\n# ").map_or((rest, String::new()), |(table, after)| (table, format!("\n# {after}")));
        let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
        let line = format!("{key} = {value}");
        match lines.iter().position(|known| known.starts_with(&format!("{key} = "))) {
            Some(known) => lines[known] = line,
            None => lines.insert(1, line),
        }
        *part = format!("{before}{mark}{}\n{after}", lines.join("\n"));
        file
    }
}

/// The configuration, with every table and, but for what would hide others, every key.
fn file(ports: &Ports, sensor: &SecretKey) -> File {
    let Ports { admin, agent, websocket, encrypted, mesh, .. } = ports;
    let limits = |scope: &dyn Fn(LimitScope) -> bool| -> String {
        let limits = Limits::ALL.iter().filter(|limit| scope(limit.scope));
        limits.map(|limit| format!("{} = {}\n", limit.name, literal(limit, initial(limit)))).collect()
    };
    let head = format!(
        "# node\n[node]\nid = \"edge1\"\nstate_dir = \"{{dir}}/state\"\nshards = 1\ndrain_time = \"0s\"\n\
         decoy_key = \"one\"\n\
         # log\n[log]\nlevel = \"info\"\nformat = \"human\"\n\
         # admin\n[admin]\nlisten = \"127.0.0.1:{admin}\"\nagent_listen = \"127.0.0.1:{agent}\"\n\
         # limits\n[limits]\n{}",
        limits(&|_| true)
    );
    let main = format!(
        "# listen\n[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:{websocket}\"\npath = \"/ws\"\n\
         proxy_protocol = \"optional\"\nallowed_origins = [\"http://good.example\"]\nallow_null_origin = false\n\
         # listen.compression\n[listen.compression]\n\
         # listen.auth.anonymous\n[listen.auth.anonymous]\nrole = \"anonymous\"\n\
         # listen.auth.ticket.principals.NAME\n[listen.auth.ticket.principals.joe]\nticket = \"joe-ticket\"\n\
         role = \"user\"\nrealm = \"realm1\"\n\
         # listen.auth.wampcra.users.NAME\n[listen.auth.wampcra.users.peter]\nsecret = \"secret\"\nrole = \"user\"\n\
         salt = \"salt123\"\niterations = 10\nkeylen = 32\n\
         # listen.auth.cryptosign.principals.NAME\n[listen.auth.cryptosign.principals.sensor]\n\
         authorized_keys = [\"{}\"]\nrole = \"user\"\nrealm = \"realm1\"\n\
         # listen.limits\n[listen.limits]\n{}",
        sensor.public(),
        limits(&|scope| scope == LimitScope::Listener),
    );
    let encrypted = format!(
        "# encrypted\n[[listen]]\ntype = \"universal\"\naddress = \"127.0.0.1:{encrypted}\"\n\
         # listen.tls\n[listen.tls]\ncertificate = \"{{dir}}/cert.pem\"\nkey = \"{{dir}}/key.pem\"\n# end\n"
    );
    let mesh = format!(
        "# mesh listener\n[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:{mesh}\"\npurpose = \"mesh\"\n\
         # second mesh listener\n[[listen]]\ntype = \"rawsocket\"\naddress = \"unix:{{dir}}/mesh.sock\"\n\
         purpose = \"mesh\"\n# end\n"
    );
    let authenticator = "authenticator = \"com.auth\"\nauthenticator_realm = \"realm1\"\n";
    let dynamic = ["anonymous", "ticket", "wampcra", "cryptosign"]
        .map(|method| format!("# dynamic {method}\n[listen.auth.{method}]\n{authenticator}"))
        .concat();
    let socket = format!(
        "# socket file\n[[listen]]\ntype = \"rawsocket\"\naddress = \"unix:{{dir}}/edge.sock\"\n\
         socket_mode = \"0600\"\n{dynamic}# end\n"
    );
    let tail = format!(
        "# realm\n[[realm]]\nname = \"realm1\"\nuri_check = \"loose\"\n\
         # realm.limits\n[realm.limits]\n{}\
         # realm.role\n[[realm.role]]\nname = \"anonymous\"\n\
         # realm.role.permission\n[[realm.role.permission]]\nuri = \"com.open\"\nmatch = \"prefix\"\n\
         allow = [\"publish\"]\n\
         # others\n[[realm.role]]\nname = \"user\"\n\
         # realm.slow_consumer_rule\n[[realm.slow_consumer_rule]]\nuri = \"com.fast.\"\nmatch = \"prefix\"\n\
         action = \"drop_oldest\"\n\
         # realm.history\n[[realm.history]]\nuri = \"com.kept\"\nmatch = \"exact\"\nentries_max = 10\n\
         # realm2\n[[realm]]\nname = \"realm2\"\n# realm2 role\n[[realm.role]]\nname = \"anonymous\"\n\
         # realm2 user\n[[realm.role]]\nname = \"user\"\n\
         # mesh\n[mesh]\nadvertise = \"127.0.0.1:1\"\n\
         # mesh.peer\n[[mesh.peer]]\nid = \"edge2\"\naddress = \"127.0.0.1:1\"\npublic_key = \"{KEY}\"\n# end\n",
        limits(&|scope| scope == LimitScope::Realm),
    );
    File { head, listeners: vec![main, encrypted, mesh, socket], tail }
}

/// Keys that nobody has.
const KEY: &str = "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d";
const OTHER_KEY: &str = "3a88bcd446482d38dd492b9a4b285a560659abffed3ec73920b277767e802f6c";

/// What a limit is to begin with: that nobody waits for a refusal, else its default.
fn initial(limit: &Limit) -> u64 {
    if limit.name == "authentication_delay" { 0 } else { limit.default }
}

fn other(limit: &Limit) -> u64 {
    match initial(limit) {
        0 => 1_000,
        initial if initial * 2 <= limit.max => initial * 2,
        initial => initial / 2,
    }
}

fn literal(limit: &Limit, number: u64) -> String {
    if limit.unit == Unit::Time { format!("\"{number}us\"") } else { number.to_string() }
}

/// Makes the case of a key of this table: in which part of the file it is changed, to which value, how the log names it
/// (names are separated by `|`), and what shows it.
type Maker<'m> = &'m dyn Fn(&str, &str, &str, &str, &str, Option<&'static str>) -> Case;

fn cases(scene: &Scene) -> Vec<Case> {
    let facts = config::keys();
    let find = |table: &str, key: &str| -> KeyFacts {
        let found = facts.iter().find(|fact| fact.table == table && fact.key == key);
        found.unwrap_or_else(|| panic!("there is no key {key} in {table}")).clone()
    };
    let case = |table: &str, at: &str, key: &str, value: &str, said: &str, shows: Option<&'static str>| {
        let KeyFacts { table, key, is_live } = find(table, key);
        let said: Vec<String> = said.split('|').map(str::to_owned).collect();
        let (applied, waiting) = if is_live { (said, Vec::new()) } else { (Vec::new(), said) };
        let (at, value) = (at.to_owned(), value.to_owned());
        Case { table, key, at, set: key, value, applied, waiting, shows, is_refused: false }
    };
    let mut cases = Vec::new();
    for (key, value) in [("id", "\"edge9\""), ("drain_time", "\"1s\""), ("state_dir", "\"{dir}/other\"")] {
        cases.push(case("node", "node", key, value, &format!("[node] {key}"), None));
    }
    cases.push(Case { is_refused: true, ..case("node", "node", "shards", "2", "", None) });
    cases.push(case("node", "node", "decoy_key", "\"two\"", "[node] decoy_key", Some("challenges")));
    for (table, key, value) in [
        ("log", "level", "\"info,hyper=off\""),
        ("log", "format", "\"json\""),
        ("admin", "listen", "\"127.0.0.1:OTHER\""),
        ("admin", "agent_listen", "\"127.0.0.1:OTHER\""),
        ("admin", "allowed_hosts", "[\"other.example\"]"),
        ("mesh", "advertise", "\"127.0.0.1:2\""),
    ] {
        let value = value.replace("OTHER", &scene.ports.other.to_string());
        cases.push(case(table, table, key, &value, &format!("[{table}] {key}"), None));
    }
    for (key, value) in [
        ("id", "\"edge3\"".to_owned()),
        ("address", "\"127.0.0.1:3\"".to_owned()),
        ("public_key", format!("{OTHER_KEY:?}")),
    ] {
        let shows = (key != "public_key").then_some("info");
        cases.push(case("mesh.peer", "mesh.peer", key, &value, "[[mesh.peer]]", shows));
    }
    for key in ["url", "public_key"] {
        let table = format!("\"127.0.0.1:1\"\n[master]\nurl = \"ws://127.0.0.1:1/ws\"\npublic_key = {KEY:?}");
        cases.push(Case { set: "advertise", ..case("master", "mesh", key, &table, "[master]", None) });
    }
    cases.extend(listener_cases(scene, &case));
    cases.extend(auth_cases(scene, &case));
    cases.extend(realm_cases(&case));
    cases.extend(limit_cases(scene, &case));
    cases
}

fn listener_cases(scene: &Scene, case: Maker<'_>) -> Vec<Case> {
    let Ports { websocket, encrypted, mesh, other, .. } = scene.ports;
    let (main, encrypted) = (format!("[[listen]] 127.0.0.1:{websocket}"), format!("[[listen]] 127.0.0.1:{encrypted}"));
    let mesh = format!("[[listen]] 127.0.0.1:{mesh}");
    let socket = format!("[[listen]] unix:{}", scene.router.edge.directory().join("edge.sock").display());
    let mut cases = Vec::new();
    for (key, value) in [
        ("type", "\"universal\""),
        ("path", "\"/wamp\""),
        ("serializers", "[\"json\", \"cbor\"]"),
        ("batched", "false"),
        ("info", "\"full\""),
        ("proxy_protocol", "\"off\""),
        ("proxies", "[\"192.0.2.9\"]"),
        ("ping_interval", "\"1s\""),
        ("ping_timeout", "\"1s\""),
        ("ping_rawsocket", "true"),
        ("allowed_origins", "[\"http://other.example\"]"),
        ("allow_null_origin", "true"),
        ("require_subprotocol", "false"),
        ("backlog", "5"),
    ] {
        cases.push(case("listen", "listen", key, value, &format!("{main}: {key}"), None));
    }
    let moved = format!("{main} (removed)|[[listen]] 127.0.0.1:{other} (added)");
    cases.push(case("listen", "listen", "address", &format!("\"127.0.0.1:{other}\""), &moved, None));
    cases.push(case("listen", "socket file", "socket_mode", "\"0666\"", &format!("{socket}: socket_mode"), None));
    let opened = format!("{mesh}: purpose|{mesh}: auth");
    cases.push(case("listen", "mesh listener", "purpose", "\"client\"", &opened, None));
    let echoing = format!("{encrypted}: echo|{encrypted}: auth");
    cases.push(case("listen", "encrypted", "echo", "true", &echoing, None));
    for (key, value) in [
        ("enabled", "false"),
        ("server_window_bits_max", "9"),
        ("client_window_bits_max", "9"),
        ("server_no_context_takeover", "true"),
        ("client_no_context_takeover", "true"),
        ("level", "9"),
        ("message_bytes_min", "1"),
    ] {
        let at = "listen.compression";
        cases.push(case(at, at, key, value, &format!("{main}: compression"), None));
    }
    for (key, file, shows) in
        [("certificate", "cert2.pem", Some("tls")), ("key", "key2.pem", None), ("client_ca", "cert.pem", Some("tls"))]
    {
        let value = format!("\"{{dir}}/{file}\"");
        cases.push(case("listen.tls", "listen.tls", key, &value, &format!("{encrypted}: tls {key}"), shows));
    }
    cases
}

fn auth_cases(scene: &Scene, case: Maker<'_>) -> Vec<Case> {
    let main = format!("[[listen]] 127.0.0.1:{}: auth", scene.ports.websocket);
    let socket = format!("[[listen]] unix:{}: auth", scene.router.edge.directory().join("edge.sock").display());
    let mut cases = Vec::new();
    for (table, key, value, shows) in [
        ("anonymous", "role", "\"user\"", Some("anonymous")),
        ("ticket.principals.NAME", "ticket", "\"other\"", Some("tickets")),
        ("ticket.principals.NAME", "role", "\"anonymous\"", Some("tickets")),
        ("ticket.principals.NAME", "realm", "\"realm2\"", Some("tickets")),
        ("wampcra.users.NAME", "secret", "\"other\"", None),
        ("wampcra.users.NAME", "role", "\"anonymous\"", None),
        ("wampcra.users.NAME", "realm", "\"realm1\"", None),
        ("wampcra.users.NAME", "salt", "\"other12\"", Some("challenges")),
        ("wampcra.users.NAME", "iterations", "11", Some("challenges")),
        ("wampcra.users.NAME", "keylen", "16", Some("challenges")),
        ("cryptosign.principals.NAME", "role", "\"anonymous\"", Some("keys")),
        ("cryptosign.principals.NAME", "realm", "\"realm2\"", Some("keys")),
    ] {
        let table = format!("listen.auth.{table}");
        cases.push(case(&table, &table, key, value, &main, shows));
    }
    let table = "listen.auth.cryptosign.principals.NAME";
    cases.push(case(table, table, "authorized_keys", &format!("[{OTHER_KEY:?}]"), &main, Some("keys")));
    for method in ["anonymous", "ticket", "wampcra", "cryptosign"] {
        let (table, at) = (format!("listen.auth.{method}"), format!("dynamic {method}"));
        cases.push(case(&table, &at, "authenticator", "\"com.other\"", &socket, None));
        cases.push(case(&table, &at, "authenticator_realm", "\"realm2\"", &socket, None));
    }
    cases
}

fn realm_cases(case: Maker<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (table, key, value, said, shows) in [
        ("realm", "uri_check", "\"strict\"", "uri_check", Some("anonymous")),
        ("realm", "request_ids", "\"strict\"", "request_ids", None),
        ("realm", "local_first", "true", "local_first", None),
        ("realm", "slow_consumer", "\"drop_oldest\"", "slow_consumer", None),
        ("realm.role.permission", "uri", "\"com.shut\"", "role", Some("anonymous")),
        ("realm.role.permission", "match", "\"exact\"", "role", Some("anonymous")),
        ("realm.role.permission", "allow", "[\"call\"]", "role", Some("anonymous")),
        ("realm.role.permission", "disclose", "[\"publisher\"]", "role", None),
        ("realm.slow_consumer_rule", "uri", "\"com.slow.\"", "slow_consumer_rule", None),
        ("realm.slow_consumer_rule", "match", "\"wildcard\"", "slow_consumer_rule", None),
        ("realm.slow_consumer_rule", "action", "\"disconnect\"", "slow_consumer_rule", None),
        ("realm.history", "uri", "\"com.other\"", "history", None),
        ("realm.history", "match", "\"prefix\"", "history", None),
        ("realm.history", "entries_max", "11", "history", None),
    ] {
        cases.push(case(table, table, key, value, &format!("[[realm]] realm1: {said}"), shows));
    }
    let realm2 =
        |key: &str, value: &str, shows| case("realm.role", "realm2 role", key, value, "[[realm]] realm2: role", shows);
    cases.push(realm2("name", "\"somebody\"", Some("realms")));
    cases.push(realm2("authorizer", "\"com.authorize\"", None));
    cases.push(realm2("messages_per_second", "1000", None));
    cases.push(realm2("bytes_per_second", "\"1MiB\"", None));
    cases
}

fn realm_is_renamed() -> Case {
    Case {
        table: "realm".to_owned(),
        key: "name",
        at: "realm2".to_owned(),
        set: "name",
        value: "\"realm3\"".to_owned(),
        applied: vec!["[[realm]] realm3 (added)".to_owned()],
        waiting: vec!["[[realm]] realm2 (removed)".to_owned()],
        shows: Some("realms"),
        is_refused: false,
    }
}

fn limit_cases(scene: &Scene, case: Maker<'_>) -> Vec<Case> {
    let main = format!("[[listen]] 127.0.0.1:{}: limits", scene.ports.websocket);
    let mut cases = Vec::new();
    for limit in Limits::ALL {
        let note = if limit.name == "message_bytes_max" { " (for new connections)" } else { "" };
        let name = format!("{}{note}", limit.name);
        let shows = (limit.name == "message_bytes_max").then_some("socket file");
        let value = literal(limit, other(limit));
        cases.push(case("limits", "limits", limit.name, &value, &format!("[limits] {name}"), shows));
        match limit.scope {
            LimitScope::Listener => {
                let at = "listen.limits";
                cases.push(case(at, at, limit.name, &value, &format!("{main} {name}"), None));
            }
            LimitScope::Realm => {
                let (at, said) = ("realm.limits", format!("[[realm]] realm1: limits {name}"));
                cases.push(case(at, at, limit.name, &value, &said, None));
            }
            LimitScope::Node => {}
        }
    }
    cases
}
