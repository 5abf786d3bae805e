//! What configurations mean, and what is said about those that mean nothing.

use super::live::OnReload;
use super::resolved::{Compression, Node, Purpose, SlowConsumer, Transport};
use super::*;
use crate::limits::Limits;
use crate::session::admission::{Anonymous, Grant, Methods, Source};
use crate::wire::Serializer;
use std::io;
use std::time::Duration;

const MINIMAL: &str = r#"
[node]
id = "edge1"

[[listen]]
type = "websocket"
address = "127.0.0.1:8081"

[[realm]]
name = "realm1"
[[realm.role]]
name = "anonymous"
"#;

/// A certificate and its key.
static PAIR: LazyLock<rcgen::CertifiedKey<rcgen::KeyPair>> =
    LazyLock::new(|| rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap());

/// A machine with one variable and a few files.
const HOST: Host = Host {
    environment: |name| (name == "TICKET").then(|| "from the environment".to_owned()),
    read: |path| match path.to_str() {
        Some("/secrets/joe") => Ok(b"from a file\n".to_vec()),
        Some("/etc/crossbar/relative") => Ok(b"beside the configuration".to_vec()),
        Some("/secrets/empty") => Ok(Vec::new()),
        Some("/tls/text.pem") => Ok(b"no PEM".to_vec()),
        Some("/tls/good.pem") => Ok(PAIR.cert.pem().into_bytes()),
        Some("/tls/good.key") => Ok(PAIR.signing_key.serialize_pem().into_bytes()),
        _ => Err(io::Error::other("no such file")),
    },
    ..Host::EMPTY
};

fn parse(text: &str) -> Result<Config, Mistakes> {
    super::parse(text, Path::new("/etc/crossbar/edge-1.toml"), &HOST)
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

/// Each case of the file is a configuration and what is said about it; one that starts with `minimal +` is added to the
/// minimal one. With `UPDATE=1` in the environment the file is written anew; read the difference before it is
/// committed.
#[test]
fn every_mistake_is_one_sentence() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/testdata/mistakes.txt");
    let written = std::fs::read_to_string(&path).unwrap();
    let mut said = String::new();
    for case in written.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (input, _) = rest.split_once("---\n").unwrap();
        let text = match input.strip_prefix("minimal +\n") {
            Some(added) => format!("{MINIMAL}{added}"),
            None => input.to_owned(),
        };
        let mistakes = match parse(&text) {
            Ok(_) => "no mistake".to_owned(),
            Err(mistakes) => mistakes.to_string(),
        };
        said.push_str(&format!("=== {title}\n{input}---\n{mistakes}\n\n"));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    assert!(written == said, "what is said has changed, see {} after UPDATE=1:\n{said}", path.display());
}

#[test]
fn little_is_needed() {
    let config = good(MINIMAL);
    assert_eq!(config.node.id, "edge1");
    assert_eq!(config.node.state_dir, Path::new("/var/lib/crossbar/edge1"));
    assert_eq!(config.limits, Limits::default());
    let listener = &config.listeners[0];
    assert_eq!(listener.address.to_string(), "127.0.0.1:8081");
    assert_eq!((listener.transport, listener.purpose), (Transport::WebSocket, Purpose::Client));
    assert_eq!(listener.serializers, Serializer::ALL);
    assert_eq!(listener.auth, Methods::default());
    assert_eq!(config.realm("realm1").unwrap().core.roles[0].name, "anonymous");
}

#[test]
fn the_example_of_the_design_means_what_it_says() {
    let config = good(
        r#"
[node]
id = "edge1"
state_dir = "/var/lib/crossbar/edge-1"
shards = 1
[admin]
listen = "127.0.0.1:9081"
agent_listen = "127.0.0.1:9181"
[[listen]]
type = "websocket"
address = "0.0.0.0:8081"
path = "/ws"
serializers = ["cbor", "msgpack", "json"]
proxy_protocol = "off"
ping_interval = "10s"
ping_timeout = "5s"
[[listen]]
type = "rawsocket"
address = "0.0.0.0:5081"
purpose = "mesh"
[[realm]]
name = "realm1"
[[realm.role]]
name = "anonymous"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
disclose = ["caller", "publisher"]
[mesh]
advertise = "brummer1:5081"
[[mesh.peer]]
id = "edge2"
address = "brummer1:5082"
public_key = "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d"
[master]
url = "ws://matterhorn:9000/ws"
public_key = "3a88bcd446482d38dd492b9a4b285a560659abffed3ec73920b277767e802f6c"
[limits]
message_bytes_max = "1MiB"
outbox_bytes_max = "8MiB"
event_delay_max = "0ms"
"#,
    );
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.listeners[1].auth.anonymous, None);
    assert_eq!(config.mesh.peers[0].address.to_string(), "brummer1:5082");
    assert_eq!(config.master.as_ref().unwrap().url, "ws://matterhorn:9000/ws");
    assert_eq!((config.limits.outbox_bytes_max, config.limits.event_delay_max), (8 << 20, Duration::ZERO));
    let permission = &config.realms[0].core.roles[0].permissions[0];
    assert!(permission.call && permission.subscribe && permission.disclose_publisher);
    assert_eq!(good(&config.to_toml()), config);
}

#[test]
fn limits_hold_for_the_part_that_sets_them() {
    let config = good(
        &(MINIMAL.replace("[[realm]]", "[listen.limits]\nconnections_max = 7\n[[realm]]")
            + "[realm.limits]\nsessions_max = 3\n[limits]\nconnections_max = 9\nhello_timeout = \"1s\"\n"),
    );
    let listener = &config.listeners[0].limits;
    assert_eq!((listener.connections_max, listener.hello_timeout), (7, Duration::from_secs(1)));
    let realm = &config.realms[0].core.limits;
    assert_eq!((realm.sessions_max, realm.connections_max), (3, 9));
    assert_eq!(config.limits.sessions_max, Limits::default().sessions_max);
    assert_eq!(good(&config.to_toml()), config);
}

#[test]
fn principals_get_what_they_are_configured_to_be() {
    let auth = r#"
[listen.auth.anonymous]
[listen.auth.ticket.principals.joe]
ticket = "file:/secrets/joe"
role = "user"
realm = "realm2"
[listen.auth.ticket.principals."jane doe"]
ticket = "env:TICKET"
role = "anonymous"
[listen.auth.wampcra.users.peter]
secret = "file:relative"
role = "user"
salt = "salt123"
[listen.auth.cryptosign]
authenticator = "com.example.authenticate"
authenticator_realm = "realm1"
[[realm]]
name = "realm2"
[[realm.role]]
name = "user"
[[realm]]"#;
    let config = good(&MINIMAL.replace("[[realm]]", auth));
    let methods = &config.listeners[0].auth;
    assert_eq!(methods.anonymous, Some(Anonymous::Static(Grant::role("anonymous"))));
    let Some(Source::Static(tickets)) = &methods.ticket else { panic!("{:?}", methods.ticket) };
    assert!(tickets["joe"].credential.matches("from a file"));
    assert_eq!(tickets["joe"].grant, Grant { realm: Some("realm2".to_owned()), ..Grant::role("user") });
    assert!(tickets["jane doe"].credential.matches("from the environment"));
    let Some(Source::Static(users)) = &methods.wampcra else { panic!("{:?}", methods.wampcra) };
    assert!(users["peter"].credential.key.matches("beside the configuration"));
    assert_eq!(users["peter"].credential.salting.as_ref().unwrap().iterations, 1_000);
    let Some(Source::Dynamic(authenticator)) = &methods.cryptosign else { panic!("{:?}", methods.cryptosign) };
    assert_eq!(authenticator.procedure, "com.example.authenticate");
    assert_eq!(good(&config.to_toml()), config);
    let admission = config.admission(&config.listeners[0]);
    assert!(admission.realms["realm2"].roles.contains("user"));
}

#[test]
fn a_credential_is_what_systemd_hands_to_the_unit() {
    let host = Host {
        environment: |name| (name == "CREDENTIALS_DIRECTORY").then(|| "/run/credentials/edge".to_owned()),
        read: |path| match path.to_str() {
            Some("/run/credentials/edge/joe") => Ok(b"swordfish\n".to_vec()),
            _ => Err(io::Error::other("no such file")),
        },
        ..Host::EMPTY
    };
    let text = |name: &str| {
        let ticket =
            format!("[listen.auth.ticket.principals.joe]\nticket = \"credential:{name}\"\nrole = \"anonymous\"\n");
        MINIMAL.replace("[[realm]]", &(ticket + "[[realm]]"))
    };
    let parse = |name: &str| super::parse(&text(name), Path::new("/etc/crossbar/edge-1.toml"), &host);
    let config = parse("joe").expect("it is there");
    let admission = config.admission(&config.listeners[0]);
    let Some(Source::Static(principals)) = &admission.methods.ticket else { panic!("there are tickets") };
    assert_eq!(principals["joe"].credential.expose(), "swordfish");
    assert!(config.to_toml().contains("ticket = \"credential:joe\"\n"));
    let refusal = parse("ann").unwrap_err().to_string();
    let expected = "ticket = \"credential:ann\" in [listen.auth.ticket.principals.joe]: no such file";
    assert!(refusal.ends_with(expected), "{refusal}");
}

#[test]
fn secrets_are_masked_and_a_mask_is_no_secret() {
    let ticket = "[listen.auth.ticket.principals.joe]\nticket = \"swordfish\"\nrole = \"anonymous\"\n[[realm]]";
    let config = good(&MINIMAL.replace("[[realm]]", ticket));
    let printed = config.to_toml();
    assert!(printed.contains("ticket = \"***\"\n") && !printed.contains("swordfish"), "{printed}");
    assert!(!format!("{config:?}").contains("swordfish"));
    let refusal = parse(&printed).unwrap_err().to_string();
    let expected = "ticket in [listen.auth.ticket.principals.joe] is masked, but it must be the secret itself, \
                    \"env:NAME\", \"file:/path\" or \"credential:NAME\"";
    assert!(refusal.ends_with(expected), "{refusal}");
}

#[test]
fn everything_that_is_set_is_printed_and_reads_back() {
    let text = r#"
[node]
id = "edge1"
[[listen]]
type = "universal"
address = "unix:edge.sock"
socket_mode = "0600"
path = "/wamp"
serializers = ["json"]
batched = false
proxy_protocol = "required"
ping_interval = "0s"
allowed_origins = ["https://*.example.com", "http://localhost:*"]
allow_null_origin = false
require_subprotocol = false
backlog = 16
[listen.compression]
server_window_bits_max = 9
client_no_context_takeover = true
message_bytes_min = "1KiB"
[[realm]]
name = "realm.two"
uri_check = "strict"
request_ids = "lenient"
local_first = true
slow_consumer = "drop_oldest"
[[realm.role]]
name = "anonymous"
authorizer = "com.example.authorize"
[[realm.slow_consumer_rule]]
uri = "com..prices"
match = "wildcard"
action = "disconnect"
[[realm.history]]
uri = "com.example."
match = "prefix"
entries_max = 100
"#;
    let config = good(text);
    assert_eq!(good(&config.to_toml()), config);
    let listener = &config.listeners[0];
    let Address::Unix { path, mode } = &listener.address else { panic!("{}", listener.address) };
    assert_eq!((path.as_path(), *mode), (Path::new("/etc/crossbar/edge.sock"), 0o600));
    assert!(listener.allowed_origins.allows(Some("http://localhost:3000")));
    assert!(!listener.allowed_origins.allows(Some("null")));
    let compression = Compression {
        server_window_bits_max: 9,
        client_window_bits_max: 15,
        server_no_context_takeover: false,
        client_no_context_takeover: true,
        level: 4,
        message_bytes_min: 1024,
    };
    assert_eq!(listener.compression, Some(compression));
    let realm = &config.realms[0];
    assert_eq!(realm.slow_consumer_on("com.a.prices"), SlowConsumer::Disconnect);
    assert_eq!(realm.slow_consumer_on("com.a.other"), SlowConsumer::DropOldest);
    assert_eq!(realm.core.history[0].entries_max, 100);
    assert_eq!(realm.core.roles[0].authorizer.as_deref(), Some("com.example.authorize"));
}

/// What a reload of `text` makes of a running configuration.
fn reloaded(running: &Config, text: &str) -> (Config, Changes) {
    running.reload(&good(text), &HOST).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn changes(applied: &[&str], needs_restart: &[&str]) -> Changes {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Changes { applied: owned(applied), needs_restart: owned(needs_restart) }
}

#[test]
fn a_reload_applies_what_can_change_live() {
    let old = good(MINIMAL);
    assert_eq!(reloaded(&old, MINIMAL), (old.clone(), Changes::default()));
    let live = MINIMAL.replace("[[realm]]", "[listen.auth.anonymous]\nrole = \"user\"\n[[realm]]")
        + "[[realm.role]]\nname = \"user\"\n[[realm]]\nname = \"realm2\"\n[[realm.role]]\nname = \"user\"\n\
           [limits]\nsessions_max = 5\nmessage_bytes_max = \"2MiB\"\n";
    let (config, said) = reloaded(&old, &live);
    let applied = [
        "[limits] message_bytes_max (for new connections)",
        "[limits] sessions_max",
        "[[listen]] 127.0.0.1:8081: auth",
        "[[realm]] realm1: role",
        "[[realm]] realm2 (added)",
    ];
    assert_eq!(said, changes(&applied, &[]));
    assert_eq!(config, good(&live));
    assert_eq!(reloaded(&config, &live), (config.clone(), Changes::default()));
}

#[test]
fn what_needs_a_restart_changes_nothing() {
    let old = good(MINIMAL);
    let restart = MINIMAL.replace("edge1", "edge2").replace("\n\n[[realm]]", "\npath = \"/wamp\"\n[[realm]]")
        + "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:8082\"\n";
    let waiting =
        ["[node] id", "[node] state_dir", "[[listen]] 127.0.0.1:8081: path", "[[listen]] 127.0.0.1:8082 (added)"];
    let expected = (old.clone(), changes(&[], &waiting));
    assert_eq!(reloaded(&old, &restart), expected);
    // What waits is named again at each reload.
    assert_eq!(reloaded(&reloaded(&old, &restart).0, &restart), expected);
    let moved = MINIMAL.replace("8081", "8083").replace("realm1", "realm2");
    let (config, said) = reloaded(&old, &moved);
    let waiting =
        ["[[listen]] 127.0.0.1:8081 (removed)", "[[listen]] 127.0.0.1:8083 (added)", "[[realm]] realm1 (removed)"];
    assert_eq!(said, changes(&["[[realm]] realm2 (added)"], &waiting));
    assert_eq!(config.listeners, old.listeners);
    assert_eq!(config.realms.iter().map(|realm| &realm.core.name).collect::<Vec<_>>(), ["realm1", "realm2"]);
}

/// A listener is the one with its address, wherever it stands; without its purpose its other keys mean nothing.
#[test]
fn listeners_are_known_by_their_addresses() {
    let mesh = "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:5081\"\npurpose = \"mesh\"\n";
    let client = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:8081\"\n";
    let head = "[node]\nid = \"edge1\"\n";
    let realm = "[[realm]]\nname = \"realm1\"\n[[realm.role]]\nname = \"anonymous\"\n";
    let running = good(&format!("{head}{client}{mesh}{realm}"));
    let swapped = format!("{head}{mesh}{client}{realm}");
    assert_eq!(reloaded(&running, &swapped), (running.clone(), Changes::default()));
    let inserted = swapped.replacen("[[listen]]", &format!("{}[[listen]]", client.replace("8081", "8080")), 1);
    let (config, said) = reloaded(&running, &inserted);
    assert_eq!((&config, said), (&running, changes(&[], &["[[listen]] 127.0.0.1:8080 (added)"])));
    // Its auth would admit everybody.
    let opened = swapped.replace("purpose = \"mesh\"\n", "");
    let waiting = ["[[listen]] 127.0.0.1:5081: purpose", "[[listen]] 127.0.0.1:5081: auth"];
    assert_eq!(reloaded(&running, &opened), (running.clone(), changes(&[], &waiting)));
    // Of those that take any free port, the first is the first.
    let any = format!("{head}{client}{client}{realm}").replace("8081", "0");
    let running = good(&any);
    assert_ne!(running.listeners[0].id(), running.listeners[1].id());
    let (config, said) = reloaded(&running, &any.replacen(client, &format!("{client}[listen.limits]\n"), 1));
    assert_eq!((config, said), (running, Changes::default()));
}

#[test]
fn tls_does_not_come_or_go_at_run_time() {
    let tls = "[listen.tls]\ncertificate = \"/tls/good.pem\"\nkey = \"/tls/good.key\"\n[[realm]]";
    let (plain, encrypted) = (MINIMAL.to_owned(), MINIMAL.replace("[[realm]]", tls));
    for (running, text, what) in [(&plain, &encrypted, "added"), (&encrypted, &plain, "removed")] {
        let running = good(running);
        let waiting = format!("[[listen]] 127.0.0.1:8081: tls ({what})");
        assert_eq!(reloaded(&running, text), (running.clone(), changes(&[], &[&waiting])));
    }
}

/// What is applied is applied as a whole or not at all.
#[test]
fn a_reload_whose_parts_contradict_each_other_is_refused() {
    let running = MINIMAL.replace("[[realm]]", "[listen.auth.anonymous]\nrole = \"user\"\n[[realm]]")
        + "[[realm.role]]\nname = \"user\"\n";
    let moved = MINIMAL.replace("8081", "8082");
    let refusal = good(&running).reload(&good(&moved), &HOST).unwrap_err().to_string();
    let expected = "/etc/crossbar/edge-1.toml: role = \"user\" in [listen.auth.anonymous], but no realm has such a role, \
                    while this waits for a restart: [[listen]] 127.0.0.1:8081 (removed), \
                    [[listen]] 127.0.0.1:8082 (added)";
    assert_eq!(refusal, expected);
}

/// Unknown users are made up anew only when the key that they are made of is changed.
#[test]
fn decoys_stay_the_same_over_reloads() {
    let admission = |config: &Config| config.admission(&config.listeners[0]).decoy_key;
    let running = good(MINIMAL);
    let (again, _) = reloaded(&running, &MINIMAL.replace("realm1", "realm2"));
    assert!(admission(&again) == admission(&running));
    // A node key that has come meanwhile is not used before the restart.
    let read =
        Config { node: Node { decoy_key: Some(Secret::new("derived")), ..running.node.clone() }, ..running.clone() };
    let (again, said) = running.reload(&read, &HOST).unwrap();
    assert!(admission(&again) == admission(&running) && said == Changes::default());
    let (changed, said) = reloaded(&running, &MINIMAL.replace("[[listen]]", "decoy_key = \"new\"\n[[listen]]"));
    assert!(admission(&changed).matches("new") && said == changes(&["[node] decoy_key"], &[]));
}

/// Within what is applied (or waits) as a whole, every key is applied (or waits); so the reference page says of each
/// key what is true.
#[test]
fn the_keys_of_a_table_are_reloaded_like_the_table() {
    fn check(path: &str, keys: &[table::Key], whole: Option<OnReload>) {
        for key in keys {
            let path = table::join(path, key.name);
            assert!(whole.is_none_or(|whole| whole == key.on_reload), "{path} is not reloaded as its table is");
            let whole = whole.or((key.on_reload != OnReload::Parts).then_some(key.on_reload));
            match key.shape {
                table::Shape::Value { .. } => assert!(key.on_reload != OnReload::Parts, "{path} has no parts"),
                table::Shape::Limits(_) => assert!(key.on_reload == OnReload::Parts, "{path} is reloaded by its keys"),
                table::Shape::Table(keys) | table::Shape::Tables(keys) | table::Shape::Map(keys) => {
                    check(&path, keys, whole)
                }
            }
        }
    }
    check("", raw::File::KEYS, None);
    check("", master::File::KEYS, None);
}

/// Keys without meaning are told from defaults by their text, and the reference page shows it.
#[test]
fn defaults_are_written_as_they_are_printed() {
    let text = MINIMAL.replace("[[realm]]", "[listen.compression]\n[[realm]]");
    let config = good(&(text + "[[realm.role.permission]]\nuri = \"a\"\n"));
    let printed = config.to_toml();
    for keys in [
        raw::Node::KEYS,
        raw::Log::KEYS,
        raw::Listen::KEYS,
        raw::Compression::KEYS,
        raw::Realm::KEYS,
        raw::Permission::KEYS,
    ] {
        for (key, default) in keys.iter().filter_map(|key| Some((key, key.default?))) {
            let line = format!("\n{} = {default}\n", key.name);
            assert!(printed.contains(&line), "{line} is not in\n{printed}");
        }
    }
}
