//! `crossbarctl import`: the original's four configurations become four nodes that run as one mesh; what else a
//! configuration may hold is carried over or named; and what cannot be used is refused with its place.
//!
//! The four configurations are looked for in `shared/seed` beside or above the package. Where they are absent the tests
//! say so and check nothing. With `UPDATE=1` in the environment the expected result is written anew.

mod harness;

use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::config;
use crossbar_cluster::ctl::Failure;
use crossbar_cluster::ctl::import::{self, Import};
use crossbar_cluster::wire::Serializer;
use harness::client::{Carrier, Client, Scope, Via};

use harness::router::{endpoint_of, eventually};
use harness::{Edge, http, in_package, in_target};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn crossbarctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbarctl"));
    command.current_dir(in_target("")).env_remove("CROSSBAR_MASTER").env_remove("CROSSBAR_KEY");
    command
}

/// What a command has printed; it must have succeeded.
fn succeed(command: &mut Command) -> (String, String) {
    let output = command.output().expect("the program is started");
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    (stdout, stderr)
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

fn seed() -> Option<PathBuf> {
    let found = in_package("").ancestors().map(|directory| directory.join("shared/seed")).find(|seed| seed.is_dir());
    if found.is_none() {
        println!("there is no shared/seed, so the original's configurations are not checked");
    }
    found
}

/// A port that nobody has. It lies outside the range from which the kernel gives ports away, so that no other test gets
/// it before it is bound.
fn free_port(n: u16) -> u16 {
    let start = 10_000 + (std::process::id() % 2_000) as u16 * 8 + n * 2;
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    (start..start + 2).find(is_free).expect("one of two ports is free")
}

/// The public keys that the original's configurations have, by node.
const KEYS: [&str; 4] = [
    "3a88bcd446482d38dd492b9a4b285a560659abffed3ec73920b277767e802f6c",
    "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d",
    "d7bbb7cd07b027f18674bcec8489a6618b5ace07e861c929cff0a7659f816f5f",
    "252b6adc61db6d4744b65060a81f667f5062dbf94a3fac362956cac78b878620",
];

#[test]
fn the_originals_configurations_pass_the_check_as_they_are() {
    let Some(seed) = seed() else { return };
    for node in 1..=4 {
        let file = seed.join(format!("crossbar-node{node}.config.json"));
        let (stdout, _) = succeed(crossbarctl().arg("check").arg(&file));
        assert!(stdout.ends_with(": a Crossbar.io configuration that can be imported, no mistakes\n"), "{stdout}");
        let (toml, remarks) = succeed(crossbarctl().arg("import").arg(&file));
        let parsed: toml::Table = toml.parse().expect("TOML");
        assert_eq!(parsed["node"]["id"].as_str(), Some(format!("node{node}").as_str()));
        let peers: Vec<(&str, &str, &str)> = parsed["mesh"]["peer"]
            .as_array()
            .expect("peers")
            .iter()
            .map(|peer| ["id", "address", "public_key"].map(|key| peer[key].as_str().expect("text")))
            .map(|[id, address, key]| (id, address, key))
            .collect();
        let expected: Vec<(String, String, &str)> = (1..=4)
            .filter(|peer| *peer != node)
            .map(|peer| (format!("node{peer}"), format!("localhost:{}", 5080 + peer), KEYS[peer - 1]))
            .collect();
        let expected: Vec<(&str, &str, &str)> = expected.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), *c)).collect();
        assert_eq!(peers, expected);
        for part in ["$.workers[1]: a container", "$.workers[0].transports[1].paths[\"/\"]: not carried over: static"] {
            assert!(remarks.contains(part) && toml.contains(&format!("# - {part}")), "{part} in\n{remarks}\n{toml}");
        }
        assert!(toml.contains(&format!("public_key of 'node{node}'")), "it says what to do about the key:\n{toml}");
    }
}

/// One of the original's configurations as it would lie in a Crossbar.io node's directory, with fresh keys and ports.
fn prepare(seed: &Path, directory: &Path, node: usize, keys: &[SecretKey], ports: &[u16]) -> PathBuf {
    let mut text = fs::read_to_string(seed.join(format!("crossbar-node{node}.config.json"))).expect("a configuration");
    for (n, (key, port)) in keys.iter().zip(ports).enumerate() {
        assert!(text.contains(KEYS[n]), "the original's key of node{}", n + 1);
        text = text.replace(KEYS[n], &key.public().to_string()).replace(&(5081 + n).to_string(), &port.to_string());
    }
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    config["workers"][0]["transports"][1]["endpoint"] = json!({"type": "tcp", "interface": "127.0.0.1", "port": 0});
    let directory = directory.join(format!("node{node}/.crossbar"));
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("config.json"), config.to_string()).expect("written");
    let key = &keys[node - 1];
    let (public, private) = (key.public(), hex::encode(key.to_seed()));
    let text = format!(
        "Crossbar.io node private key - KEEP THIS SAFE!\n\ncreator: somebody@somewhere\ncreated-at: 2019-03-05T19:57:09.000Z\n\
         machine-id: 0123\npublic-key-ed25519: {public}\nprivate-key-ed25519: {private}\n"
    );
    fs::write(directory.join("key.priv"), text).expect("written");
    directory.join("config.json")
}

#[test]
fn the_originals_four_nodes_run_as_one_mesh_on_which_the_probe_passes() {
    let Some(seed) = seed() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys: Vec<SecretKey> = (0..4).map(|_| SecretKey::generate(&mut rand::rng())).collect();
    let ports: Vec<u16> = (0..4).map(free_port).collect();
    let edges: Vec<Edge> = (1..=4)
        .map(|node| {
            let file = prepare(&seed, directory.path(), node, &keys, &ports);
            let output = directory.path().join("etc");
            let state = directory.path().join(format!("state{node}"));
            let mut command = crossbarctl();
            command.arg("import").arg(&file).arg("--output").arg(&output).arg("--state-dir").arg(&state);
            let (stdout, _) = succeed(&mut command);
            let result = output.join(format!("node{node}.toml"));
            assert_eq!(stdout, format!("{}\n{}/node.key\n", result.display(), state.display()));
            // Nobody waits for links to be drained one after the other.
            let text = fs::read_to_string(&result).expect("the result");
            let text = text.replacen("[node]\n", "[node]\ndrain_time = \"0s\"\n", 1);
            let text = text + "[admin]\nlisten = \"127.0.0.1:0\"\n";
            Edge::start_with(tempfile::tempdir().expect("a temporary directory"), &text, |_| {})
        })
        .collect();
    for edge in &edges {
        eventually("every link is up", || {
            let page = http::fetch(&endpoint_of(edge.url("http")), "/info", &[("Accept", "application/json")]);
            let info: Value = serde_json::from_str(page.text()).expect("/info is JSON");
            let links = info["mesh"]["links"].as_array().map_or(0, Vec::len);
            info["mesh"]["is_complete"] == true && links == 3
        });
    }
    let nodes = edges.iter().enumerate().map(|(n, edge)| format!("[node{}]\nurl={}\n", n + 1, edge.url("ws")));
    let client = directory.path().join("client.ini");
    fs::write(&client, nodes.collect::<String>()).expect("written");
    let mut probe = Command::new(env!("CARGO_BIN_EXE_crossbar-probe"));
    probe.current_dir(in_target("")).arg("--config").arg(&client).arg("--json");
    probe.args("--duration 2 --connections 2 --rate 5 --size 128".split(' '));
    let (stdout, _) = succeed(&mut probe);
    let outcome: Value = serde_json::from_str(&stdout).expect("JSON");
    let received = outcome["events"]["received"].as_u64().expect("a number");
    assert!(outcome["ok"] == true && received >= 8 * 8, "each of 8 sessions hears all: {outcome:#}");
    edges.into_iter().for_each(Edge::stop);
}

#[test]
fn what_a_configuration_may_hold_is_carried_over_or_named() {
    let fixtures = in_package("tests/import");
    let (toml, remarks) = succeed(crossbarctl().current_dir(&fixtures).args(["import", "full.yaml"]));
    let expected = fixtures.join("full.toml");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&expected, &toml).expect("written");
    }
    assert_eq!(toml, fs::read_to_string(&expected).expect("the expected result"), "UPDATE=1 writes it anew");
    let named: Vec<&str> = toml.lines().filter_map(|line| line.strip_prefix("# - $")).collect();
    let said: Vec<&str> = remarks.lines().filter_map(|line| line.strip_prefix("full.yaml: $")).collect();
    assert_eq!(named, said, "the file and stderr say the same");
    let json = succeed(crossbarctl().current_dir(&fixtures).args(["import", "full.yaml", "--json"])).0;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((json["id"].as_str(), json["toml"].as_str()), (Some("berlin"), Some(toml.as_str())));
    assert_eq!(json["remarks"].as_array().map(Vec::len), Some(said.len()));
}

/// A directory with a file in it.
fn with_file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(name);
    fs::write(&path, text).expect("written");
    (directory, path)
}

/// A router with one realm, whose role is `anonymous`, and these transports.
fn router(transports: Value) -> Value {
    let permission = json!({"uri": "", "match": "prefix", "allow": {"call": true}});
    let realm = json!({"name": "realm1", "roles": [{"name": "anonymous", "permissions": [permission]}]});
    json!({"version": 2, "workers": [{"type": "router", "realms": [realm], "transports": transports}]})
}

#[test]
fn tls_is_carried_over_with_the_files_where_they_were() {
    let endpoint = json!({"type": "tcp", "port": 8443, "tls": {
        "certificate": "cert.pem", "key": "key.pem", "ca_certificates": ["cert.pem"], "chain_certificates": ["x.pem"],
        "ciphers": "HIGH"}});
    let config = router(json!([{"type": "websocket", "endpoint": endpoint}]));
    let (directory, file) = with_file("config.json", &config.to_string());
    let absent = crossbarctl().arg("check").arg(&file).output().expect("the program is started");
    let stderr = texts(&absent).1;
    let place = "$.workers[0].transports[0].endpoint.tls.certificate: certificate = ";
    assert!(absent.status.code() == Some(78) && stderr.contains(place), "{stderr}");
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    fs::write(directory.path().join("cert.pem"), pair.cert.pem()).expect("written");
    fs::write(directory.path().join("key.pem"), pair.signing_key.serialize_pem()).expect("written");
    let output = directory.path().join("etc");
    let mut command = crossbarctl();
    command.arg("import").arg(&file).arg("--output").arg(&output).args(["--id", "edge9"]);
    let (_, stderr) = succeed(&mut command);
    for key in ["chain_certificates", "ciphers"] {
        assert!(stderr.contains(&format!("tls.{key}: ")), "{key} in {stderr}");
    }
    let loaded = config::load(&output.join("edge9.toml")).expect("what was written loads");
    let tls = loaded.listeners[0].tls.as_ref().expect("TLS");
    assert!(tls.chain.len() == 1 && tls.client_ca == tls.chain);
    let path = directory.path().join("cert.pem").display().to_string();
    let printed = loaded.to_toml();
    for key in ["certificate", "client_ca"] {
        assert!(printed.contains(&format!("\n{key} = \"{path}\"\n")), "{key} in\n{printed}");
    }
}

#[test]
fn secrets_are_written_for_the_owner_alone_and_nothing_is_overwritten() {
    let auth =
        json!({"ticket": {"type": "static", "principals": {"joe": {"ticket": "swordfish", "role": "anonymous"}}}});
    let config = router(json!([{"type": "rawsocket", "endpoint": {"type": "unix", "path": "s"}, "auth": auth}]));
    let (directory, file) = with_file("config.json", &config.to_string());
    let import = |more: &[&str]| {
        let mut command = crossbarctl();
        command.arg("import").arg(&file).arg("--output").arg(directory.path()).args(["--id", "edge1"]).args(more);
        command.output().expect("the program is started")
    };
    assert!(import(&[]).status.success());
    let written = directory.path().join("edge1.toml");
    assert_eq!(fs::metadata(&written).expect("it is there").permissions().mode() & 0o777, 0o600);
    let again = import(&[]);
    let sentence = format!("crossbarctl: {} is there already; --force replaces it\n", written.display());
    assert_eq!((again.status.code(), texts(&again).1), (Some(1), sentence));
    assert!(import(&["--force"]).status.success());
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let tcp = json!({"type": "tcp", "port": 8080});
    let with_option = |options: Value| router(json!([{"type": "websocket", "endpoint": tcp, "options": options}]));
    let rule = |rule: Value| {
        let mut config = router(json!([{"type": "websocket", "endpoint": tcp}]));
        config["workers"][0]["realms"][0]["roles"][0]["permissions"][0] = rule;
        config
    };
    let with_user = |user: Value| {
        let auth = json!({"ticket": {"type": "static", "principals": {"joe": user}}});
        router(json!([{"type": "websocket", "endpoint": tcp, "auth": auth}]))
    };
    let in_rule = "$.workers[0].realms[0].roles[0].permissions[0]";
    let in_transport = "$.workers[0].transports[0]";
    for (config, expected) in [
        (json!([1]), "$: it is a list, but it must be an object".to_owned()),
        (json!({"version": 1, "workers": []}), "$.version: only version 2 is read".to_owned()),
        (json!({"version": 2}), "$: key 'workers' is missing".to_owned()),
        (json!({"version": 2, "workers": []}), "$.workers: no router worker has a realm".to_owned()),
        (json!({"version": 2, "workers": {}}), "$.workers: it is an object, but it must be a list".to_owned()),
        (
            with_option(json!({"max_message_size": 1})),
            format!("{in_transport}.options.max_message_size: message_bytes_max"),
        ),
        (
            with_option(json!({"compression": {"deflate": {"max_window_bits": 8}}})),
            format!("{in_transport}.options.compression.deflate.max_window_bits: server_window_bits_max = 8"),
        ),
        (
            with_option(json!({"allow_null_origin": "yes"})),
            format!("{in_transport}.options.allow_null_origin: it is a string, but it must be true or false"),
        ),
        (rule(json!({"allow": {}})), format!("{in_rule}: key 'uri' is missing")),
        (rule(json!({"uri": "a b"})), format!("{in_rule}.uri: uri = \"a b\"")),
        (rule(json!({"uri": "a", "match": "regex"})), format!("{in_rule}.match: it must be \"exact\"")),
        (
            with_user(json!({"ticket": "x", "role": "nobody"})),
            format!("{in_transport}.auth.ticket.principals.joe.role: role = \"nobody\""),
        ),
        (
            with_user(json!({"ticket": "file:/etc/passwd", "role": "anonymous"})),
            format!("{in_transport}.auth.ticket.principals.joe.ticket: a ticket that begins like this"),
        ),
        (
            router(json!([{"type": "websocket", "endpoint": {"type": "tcp", "port": "$CROSSBAR_TEST_NO_PORT"}}])),
            format!(
                "{in_transport}.endpoint.port: the environment has no number as the variable CROSSBAR_TEST_NO_PORT"
            ),
        ),
        (
            router(json!([{"type": "websocket", "endpoint": tcp, "serializers": ["ubjson"]}])),
            format!("{in_transport}.serializers: none of its serializers exists here"),
        ),
    ] {
        let (_directory, file) = with_file("config.json", &config.to_string());
        let output = crossbarctl().arg("import").arg(&file).output().expect("the program is started");
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(78), ""), "{stderr}");
        assert!(stderr.starts_with(&format!("{}: {expected}", file.display())), "{expected:?} in {stderr}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_line() {
    for (name, text, expected) in [
        ("config.json", "{\n  \"version\" 2\n}", ":2:13: expected `:`"),
        ("config.yaml", "version: 2\nworkers: [\n", ":"),
        ("config", "version: 2\nworkers: []\n", ": $.workers: no router worker"),
    ] {
        let (_directory, file) = with_file(name, text);
        let output = crossbarctl().arg("check").arg(&file).output().expect("the program is started");
        let stderr = texts(&output).1;
        assert_eq!(output.status.code(), Some(78), "{stderr}");
        let rest = stderr.strip_prefix(&file.display().to_string()).expect("the file is named");
        assert!(rest.starts_with(expected) && rest.lines().count() == 1, "{rest}");
    }
    let absent = crossbarctl().args(["import", "/nonexistent.json"]).output().expect("the program is started");
    assert_eq!(texts(&absent).1, "/nonexistent.json: No such file or directory (os error 2)\n");
}

#[test]
fn a_transport_whose_auth_is_not_carried_over_does_not_become_open_to_all() {
    let tcp = json!({"type": "tcp", "port": 0});
    let config = router(json!([
        {"type": "websocket", "endpoint": tcp},
        {"type": "rawsocket", "endpoint": tcp, "auth": {"scram": {"type": "static", "principals": {}}}},
        {"type": "rawsocket", "endpoint": tcp, "auth": {}},
        {"type": "rawsocket", "endpoint": tcp, "auth": {"ticket": {"type": "function", "create": "a.b"}}},
        {"type": "universal", "endpoint": tcp, "rawsocket": {"auth": {"scram": {}}},
            "websocket": {"ws": {"type": "websocket"}}},
    ]));
    let (directory, file) = with_file("config.json", &config.to_string());
    let (_, stderr) = succeed(crossbarctl().arg("import").arg(&file).arg("--output").arg(directory.path()));
    let loaded = config::load(&directory.path().join("edge1.toml")).expect("what was written loads");
    assert_eq!(loaded.listeners.len(), 2, "{stderr}");
    for n in 1..=3 {
        let sentence = format!("$.workers[0].transports[{n}]: not carried over: none of its ways to come in is");
        assert!(stderr.contains(&sentence), "{sentence} in {stderr}");
    }
    assert!(stderr.contains("$.workers[0].transports[4].rawsocket: not carried over: its auth is not"), "{stderr}");
}

#[test]
fn who_could_register_an_authenticator_or_authorizer_still_can() {
    let all = json!({"call": true, "register": true, "publish": true, "subscribe": true});
    let tcp = json!({"type": "tcp", "interface": "127.0.0.1", "port": 0});
    let mut config = router(json!([
        {"type": "rawsocket", "endpoint": tcp, "auth": {"ticket": {"type": "static", "principals": {
            "judge": {"ticket": "secret", "role": "backend"}}}}},
        {"type": "rawsocket", "endpoint": tcp, "auth": {"ticket": {"type": "dynamic", "authenticator": "com.app.login"}}},
    ]));
    config["workers"][0]["realms"][0]["roles"] = json!([
        {"name": "anonymous", "permissions": [{"uri": "com.", "match": "prefix", "allow": {"call": true}}]},
        {"name": "backend", "permissions": [
            {"uri": "com.app.", "match": "prefix", "allow": all},
            {"uri": "com.app.authorize", "match": "exact", "allow": {"call": true}}]},
        {"name": "admin", "allow-by-default": true},
        {"name": "judged", "authorizer": "com.app.authorize"},
    ]);
    let (directory, file) = with_file("config.json", &config.to_string());
    let (_, stderr) = succeed(crossbarctl().arg("import").arg(&file).arg("--output").arg(directory.path()));
    let role = |n: usize| format!("$.workers[0].realms[0].roles[{n}]");
    let says = |place: &str, uri: &str| stderr.contains(&format!("{place}: the role may register {uri:?}"));
    assert!(says(&format!("{}.permissions[0]", role(1)), "com.app.login"), "{stderr}");
    assert!(says(&role(2), "com.app.login") && says(&role(2), "com.app.authorize"), "{stderr}");
    assert_eq!(stderr.matches("the role may register").count(), 3, "nobody gets more than he had:\n{stderr}");

    let written = directory.path().join("edge1.toml");
    let (stdout, warnings) = succeed(crossbarctl().arg("check").arg(&written));
    assert!(!(stdout + &warnings).contains("which decides about others"), "{warnings}");
    let text =
        fs::read_to_string(&written).expect("the result").replacen("[node]\n", "[node]\ndrain_time = \"0s\"\n", 1);
    let text = text.replacen("id = \"edge1\"\n", "id = \"edge1\"\nstate_dir = \"{dir}/state\"\n", 1);
    let edge = Edge::start_with(tempfile::tempdir().expect("a temporary directory"), &text, |_| {});
    let via = Via { carrier: Carrier::RawSocket, serializer: Serializer::Json };
    let join = |listener: usize, user: &str| {
        let endpoint = endpoint_of(edge.nth_url("rs", listener));
        let mut client = Client::open(endpoint.connect(), via, Scope::default());
        client.send(&format!(
            r#"[1, "realm1", {{"roles": {{"callee": {{}}}}, "authid": "{user}", "authmethods": ["ticket"]}}]"#
        ));
        client.expect(r#"[4, "ticket", {...}]"#);
        client.send(r#"[5, "secret", {}]"#);
        client
    };
    let mut judge = join(0, "judge");
    judge.welcome("judge");
    judge.register("com.app.login", "{}", "login");
    let mut user = join(1, "user");
    judge.expect(r#"[68, $i, $login, {...}, ["realm1", "user", {"ticket": "secret", ...}], ...]"#);
    judge.send(r#"[70, $i, {}, ["anonymous"]]"#);
    user.expect(r#"[2, $_, {"authrole": "anonymous", ...}]"#);
    edge.stop();
}

#[test]
fn rules_that_decide_otherwise_than_in_crossbar_are_named() {
    let allow = json!({"call": true, "publish": true});
    let mut config = router(json!([{"type": "websocket", "endpoint": {"type": "tcp", "port": 0}}]));
    config["workers"][0]["realms"][0]["roles"][0]["permissions"] = json!([
        {"uri": "", "match": "prefix", "allow": allow},
        {"uri": "com..private", "match": "wildcard", "allow": {}},
        {"uri": "com.add", "match": "exact", "allow": allow},
    ]);
    let (_directory, file) = with_file("config.json", &config.to_string());
    let (toml, stderr) = succeed(crossbarctl().arg("import").arg(&file));
    let rule = |n: usize| format!("$.workers[0].realms[0].roles[0].permissions[{n}]");
    for sentence in [
        format!(
            "{}: decides otherwise: of \"com.add.private\", here {} allows call, publish, in Crossbar.io {} denies it",
            rule(0),
            rule(0),
            rule(1)
        ),
        format!(
            "{}: decides otherwise: of \"com.addzz9\", here {} allows call, publish, in Crossbar.io no rule decides, so it is denied",
            rule(0),
            rule(0)
        ),
    ] {
        assert!(stderr.contains(&sentence), "{sentence} in {stderr}");
        assert!(toml.contains(&sentence), "{sentence} in {toml}");
    }
    assert_eq!(stderr.matches("decides otherwise").count(), 2, "{stderr}");
}

#[test]
fn links_become_a_mesh_whatever_else_they_were() {
    let mut config = router(json!([
        {"type": "websocket", "endpoint": {"type": "tcp", "port": 0}},
        {"type": "rawsocket", "endpoint": {"type": "tcp", "port": 5081, "tls": {"certificate": "c", "key": "k"}},
            "auth": {"cryptosign": {"type": "static", "principals": {
                "berlin": {"realm": "realm1", "role": "rlink", "authorized_keys": [KEYS[0]]},
                "paris": {"realm": "realm1", "role": "rlink", "authorized_keys": [KEYS[1], KEYS[2]]},
                "rome": {"realm": "realm1", "role": "rlink", "authorized_keys": [KEYS[3]]}}}}},
    ]));
    let realms = config["workers"][0]["realms"].as_array_mut().expect("realms");
    let mut private = realms[0].clone();
    private["name"] = json!("private");
    realms[0]["roles"].as_array_mut().expect("roles").push(json!({"name": "rlink", "allow-by-default": true}));
    realms[0]["rlinks"] = json!([{"id": "link", "realm": "realm1", "authid": "berlin",
        "transport": {"type": "rawsocket", "url": "rss://paris.example.com:5081"}}]);
    realms.push(private);
    let (directory, file) = with_file("config.json", &config.to_string());
    let (_, stderr) = succeed(crossbarctl().arg("import").arg(&file).arg("--output").arg(directory.path()));
    let loaded = config::load(&directory.path().join("berlin.toml")).expect("what was written loads");
    let peers: Vec<(&str, String)> =
        loaded.mesh.peers.iter().map(|peer| (peer.id.as_str(), peer.public_key.to_string())).collect();
    assert_eq!(peers, [("paris", KEYS[1].to_owned())]);
    assert_eq!(loaded.listeners[1].tls, None);
    let principals = "$.workers[0].transports[1].auth.cryptosign.principals";
    for remark in [
        format!("{principals}.paris.authorized_keys: only the first key"),
        format!("{principals}.rome: not carried over: no router link leads to this node"),
        "$.workers[0].transports[1].endpoint: its tls is not carried over".to_owned(),
        "$.workers[0].realms[1]: it was not linked".to_owned(),
        "$.workers[0].realms[0].roles[1]: links need no role here".to_owned(),
    ] {
        assert!(stderr.contains(&remark), "{remark} in {stderr}");
    }
    let (_, stderr) = succeed(crossbarctl().arg("import").arg(&file).args(["--id", "node7"]));
    assert!(stderr.contains("name this one 'berlin' and not 'node7'"), "{stderr}");
}

/// Every place in a tree, as keys and indices.
fn places(value: &Value, at: &[Value], out: &mut Vec<Vec<Value>>) {
    out.push(at.to_vec());
    let mut inside = |key: Value, value: &Value| places(value, &[at, &[key]].concat(), out);
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inside(json!(key), value)),
        Value::Array(values) => values.iter().enumerate().for_each(|(n, value)| inside(json!(n), value)),
        _ => {}
    }
}

/// The tree with another value at this place; None takes it away.
fn with(tree: &Value, place: &[Value], new: Option<&Value>) -> Value {
    let Some((first, rest)) = place.split_first() else { return new.cloned().unwrap_or(Value::Null) };
    let mut tree = tree.clone();
    match (&mut tree, first.as_str(), first.as_u64().map(|n| n as usize)) {
        (Value::Object(map), Some(key), _) if rest.is_empty() && new.is_none() => drop(map.shift_remove(key)),
        (Value::Array(values), _, Some(n)) if rest.is_empty() && new.is_none() => drop(values.remove(n)),
        (Value::Object(map), Some(key), _) => map[key] = with(&map[key], rest, new),
        (Value::Array(values), _, Some(n)) => values[n] = with(&values[n], rest, new),
        _ => unreachable!("the place was found in this tree"),
    }
    tree
}

#[test]
fn whatever_stands_anywhere_is_imported_or_refused_with_its_place() {
    let text = fs::read_to_string(in_package("tests/import/full.yaml")).expect("the fixture");
    let mut tree: Value = serde_saphyr::from_str(&text).expect("YAML");
    // The mesh is not in the fixture, whose transports are for clients.
    let links = json!([{"id": "link2", "realm": "realm1", "transport": {"type": "rawsocket", "serializer": "cbor",
        "endpoint": {"type": "tcp", "host": "localhost", "port": 5082}}, "forward_local_events": false}]);
    let node = |key: &str| json!({"realm": "realm1", "role": "user", "authorized_keys": [key]});
    let mesh = json!({"type": "rawsocket", "endpoint": {"type": "tcp", "port": 5081}, "auth": {"cryptosign":
        {"type": "static", "principals": {"node1": node(KEYS[0]), "node2": node(KEYS[1])}}}});
    tree["workers"][0]["realms"][0]["rlinks"] = links;
    tree["workers"][0]["transports"].as_array_mut().expect("transports").push(mesh);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("config.json");
    let (mut n_imported, mut n_refused) = (0, 0);
    let odd = [json!(null), json!(true), json!(0), json!("a b\n\u{7}"), json!([]), json!({})];
    let mut all = Vec::new();
    places(&tree, &[], &mut all);
    for place in &all {
        for new in odd.iter().map(Some).chain([None]) {
            fs::write(&file, with(&tree, place, new).to_string()).expect("written");
            match import::import(&Import { file: &file, id: None, state_dir: None }) {
                Ok(imported) => {
                    n_imported += 1;
                    let table: toml::Table = imported.toml.parse().expect("TOML");
                    let listeners = table["listen"].as_array().expect("listeners");
                    let is_open = |listen: &&toml::Value| {
                        listen.get("auth").is_none()
                            && listen.get("purpose").is_none_or(|it| it.as_str() != Some("mesh"))
                    };
                    // One transport has no auth. Only taking another's away opens that too.
                    let is_auth_gone = new.is_none() && place.last() == Some(&json!("auth"));
                    let n_open = listeners.iter().filter(is_open).count();
                    assert!(n_open <= 1 || is_auth_gone, "{place:?} {new:?}\n{}", imported.toml);
                }
                Err(Failure::Configuration(mistakes)) => {
                    n_refused += 1;
                    let start = format!("{}: $", file.display());
                    let is_placed = mistakes.lines().all(|line| line.starts_with(&start));
                    assert!(is_placed && !mistakes.is_empty(), "{place:?} {new:?}: {mistakes:?}");
                }
                Err(Failure::Other(error)) => panic!("{place:?} {new:?}: {error:#}"),
                Err(Failure::Told) => panic!("{place:?} {new:?}: it fails without a word"),
            }
        }
    }
    assert!(n_imported > all.len() && n_refused > all.len(), "{n_imported} imported, {n_refused} refused");
}
