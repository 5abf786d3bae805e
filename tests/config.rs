//! Configuration from outside: the shipped examples load, the documentation has every key, and the commands of
//! `crossbar-edge` do what an operator expects of them.

use crossbar_cluster::config;
use crossbar_cluster::limits::Limits;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The full example with the files beside it that it names.
fn full_example() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    write("tls/cert.pem", &pair.cert.pem());
    write("tls/ca.pem", &pair.cert.pem());
    write("tls/key.pem", &pair.signing_key.serialize_pem());
    write("secrets/joe", "swordfish\n");
    write("secrets/decoy_key", "anything\n");
    let path = write("edge-full.toml", &fs::read_to_string(repository("docs/examples/edge-full.toml")).unwrap());
    (directory, path)
}

#[test]
fn check_cautions_about_what_is_easily_allowed_by_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.toml");
    let text = fs::read_to_string(repository("docs/examples/edge-minimal.toml")).unwrap();
    let rule = "[[realm.role.permission]]\nuri = \"wamp.\"\nmatch = \"prefix\"\nallow = [\"call\"]\n";
    let asked = "[[realm.role]]\nname = \"asked\"\nauthorizer = \"com.authorize\"\n";
    let errors = |text: &str| {
        fs::write(&path, text).unwrap();
        let output = edge(&["check"], &path);
        assert!(output.status.success(), "a caution is no mistake");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(errors(&text), "");
    let cautions = errors(&format!("{text}{rule}"));
    assert!(cautions.contains("warning: role 'anonymous' of realm 'realm1' may end what others have"), "{cautions}");
    // The authorizer's own role is asked by its name, so it may be the one that registers it.
    assert_eq!(errors(&format!("{text}{asked}")), "");
    let dynamic = "[listen.auth.anonymous]\nauthenticator = \"com.auth\"\nauthenticator_realm = \"realm1\"\n[[realm]]";
    let cautions = errors(&text.replacen("[[realm]]", dynamic, 1));
    assert!(cautions.contains("no role of realm 'realm1' may register \"com.auth\""), "{cautions}");
    let limits =
        "[limits]\nconnections_max = 10\nconnections_per_address_max = 11\nhandshakes_per_address_max = 20001\n";
    let cautions = errors(&format!("{text}{limits}"));
    assert!(cautions.contains("connections_per_address_max = 11 of the [[listen]] on "), "{cautions}");
    assert!(cautions.contains("is never reached: connections_max is 10"), "{cautions}");
    assert!(cautions.contains("is never reached: handshakes_max is 20000"), "{cautions}");
    assert_eq!(errors(&format!("{text}[limits]\nconnections_per_address_max = 10\n")).matches("warning").count(), 0);
}

fn edge(arguments: &[&str], config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"));
    command.args(arguments).arg("--config").arg(config).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_minimal_example_loads() {
    let config = config::load(&repository("docs/examples/edge-minimal.toml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.limits, Limits::default());
    assert!(config.realms[0].core.roles[0].permissions[0].publish);
}

#[test]
fn the_full_example_loads_and_shows_the_default_limits() {
    let (_directory, path) = full_example();
    let config = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.listeners.len(), 3);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (directory, path) = full_example();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(directory.path().join("tls/key.pem"), other.signing_key.serialize_pem()).unwrap();
    let mistakes = config::load(&path).err().unwrap().to_string();
    assert!(mistakes.contains("it does not go with the certificate"), "{mistakes}");
}

/// The keys of each table of the reference, by the table's path.
fn documented_keys() -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    let mut path = String::new();
    for line in config::reference().lines() {
        if let Some(header) = line.strip_prefix("### `") {
            path = header.trim_matches(['[', ']', '`']).to_owned();
        } else if let Some(row) = line.strip_prefix("| `") {
            let key = row.split('`').next().unwrap().to_owned();
            tables.entry(path.clone()).or_insert_with(Vec::new).push(key);
        }
    }
    tables
}

/// The values at `path` in `value`, through all tables of an array; `NAME` stands for any key.
fn find<'v>(value: &'v toml::Value, path: &[&str]) -> Vec<&'v toml::Value> {
    let Some((first, rest)) = path.split_first() else { return vec![value] };
    match value {
        toml::Value::Table(table) if *first == "NAME" => table.values().flat_map(|value| find(value, rest)).collect(),
        toml::Value::Table(table) => table.get(*first).map_or_else(Vec::new, |value| find(value, rest)),
        toml::Value::Array(array) => array.iter().flat_map(|value| find(value, path)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_full_example_has_every_key() {
    let text = fs::read_to_string(repository("docs/examples/edge-full.toml")).unwrap();
    let example = toml::Value::Table(text.parse().unwrap());
    let tables = documented_keys();
    assert!(tables.len() > 20, "{tables:?}");
    for (table, keys) in &tables {
        for key in keys {
            let path: Vec<&str> = table.split('.').chain([key.as_str()]).collect();
            assert!(!find(&example, &path).is_empty(), "{key} of {table} is not in edge-full.toml");
        }
    }
}

#[test]
fn check_says_what_is_wrong_and_ends_with_the_code_for_it() {
    let good = edge(&["check"], &repository("docs/examples/edge-minimal.toml"));
    assert_eq!((good.status.code(), stderr(&good)), (Some(0), String::new()));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.toml");
    fs::write(&path, "[node]\nid = \"edge1\"\nstate_dri = \"/tmp\"\n").unwrap();
    let bad = edge(&["check"], &path);
    let sentence = format!("{}:3:1: unknown key 'state_dri' in [node], did you mean 'state_dir'?\n", path.display());
    assert_eq!(bad.status.code(), Some(78));
    assert!(stderr(&bad).starts_with(&sentence), "{}", stderr(&bad));
    let absent = edge(&["check"], Path::new("/nonexistent.toml"));
    assert_eq!(absent.status.code(), Some(78));
    assert_eq!(stderr(&absent), "/nonexistent.toml: No such file or directory (os error 2)\n");
    assert_eq!(edge(&["chekc"], &path).status.code(), Some(2));
}

#[test]
fn the_printed_configuration_loads_again_but_for_secrets() {
    let (directory, path) = full_example();
    let printed = edge(&["config"], &path);
    assert_eq!(printed.status.code(), Some(0));
    let text = stdout(&printed);
    let secret = "Eu7CQLfR+/Ffb+275A4s9/6H/RGKYxM4s6IMrsNKzC8=";
    assert!(!text.contains(secret) && !text.contains("swordfish"), "{text}");
    let again = directory.path().join("again.toml");
    fs::write(&again, text.replace("secret = \"***\"", &format!("secret = \"{secret}\""))).unwrap();
    let mut reloaded = config::load(&again).unwrap_or_else(|error| panic!("{error}"));
    reloaded.path = path.clone();
    assert!(reloaded == config::load(&path).unwrap(), "{text}");
}

#[test]
fn keygen_makes_a_key_once_and_refuses_one_that_others_can_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.toml");
    let minimal = fs::read_to_string(repository("docs/examples/edge-minimal.toml")).unwrap();
    fs::write(&path, minimal.replace("[node]\n", "[node]\nstate_dir = \"state\"\n")).unwrap();
    let first = edge(&["keygen"], &path);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let public_key = stdout(&first).trim_end().to_owned();
    assert!(public_key.len() == 64 && public_key.bytes().all(|b| b.is_ascii_hexdigit()), "{public_key}");
    assert_eq!(stdout(&edge(&["keygen"], &path)).trim_end(), public_key);
    // The rest of the file may still be missing, or wrong.
    for rest in ["", "[[listen]]\naddress = 7\n", "[master]\npublic_key = \"…\"\n"] {
        fs::write(&path, format!("[node]\nid = \"edge1\"\nstate_dir = \"state\"\n{rest}")).unwrap();
        assert_eq!(stdout(&edge(&["keygen"], &path)).trim_end(), public_key, "{rest}");
    }
    fs::write(&path, "[node]\nstate_dir = \"state\"\n").unwrap();
    let nameless = edge(&["keygen"], &path);
    assert!(stderr(&nameless).contains("'id' is missing in [node]"), "{}", stderr(&nameless));
    fs::write(&path, "[node]\nid = \"edge1\"\nstate_dir = \"state\"\n").unwrap();
    let key = directory.path().join("state/node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = edge(&["keygen"], &path);
    assert_eq!(refused.status.code(), Some(1));
    let mode = "mode 0644 lets others read the node key, it must be 0600 (chmod 600)";
    let sentence = format!("crossbar-edge: {}: {mode}\n", key.display());
    assert_eq!(stderr(&refused), sentence);
}

/// The smallest configuration, with these lines in `[node]`, further ones for its listener, and tables after it.
fn configuration(directory: &Path, listen: &str, tables: &str) -> PathBuf {
    let path = directory.join("edge.toml");
    let text = format!(
        "[node]\nid = \"edge1\"\nstate_dir = \"state\"\n[[listen]]\ntype = \"rawsocket\"\n{listen}\n\
         [[realm]]\nname = \"realm1\"\n[[realm.role]]\nname = \"anonymous\"\n{tables}\n"
    );
    fs::write(&path, text).unwrap();
    path
}

const KEY: &str = "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d";

/// What would end the program at its start is found by `check`, and ends it with the code on which its unit does not
/// start it again.
#[test]
fn check_finds_what_run_would() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let refuse = |listen: &str, tables: &str, sentence: &str| {
        let path = configuration(at, listen, tables);
        for command in ["check", "run"] {
            let output = edge(&[command], &path);
            assert_eq!(output.status.code(), Some(78), "{command}: {}", stderr(&output));
            assert!(stderr(&output).contains(sentence), "{command}: {sentence} is not in {}", stderr(&output));
        }
    };
    let address = "address = \"127.0.0.1:0\"";
    let mesh = "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:0\"\npurpose = \"mesh\"\n";
    let peer =
        |key: &str| format!("{mesh}[[mesh.peer]]\nid = \"edge2\"\naddress = \"127.0.0.1:1\"\npublic_key = \"{key}\"\n");
    let master =
        |url: &str| format!("[mesh]\nadvertise = \"127.0.0.1:1\"\n[master]\nurl = \"{url}\"\npublic_key = \"{KEY}\"\n");
    refuse(address, &peer(KEY), "there is no node key, but [[mesh.peer]] or [master] need one");
    refuse(address, &master("ws://127.0.0.1:1/ws"), "there is no node key");
    refuse(address, &master("wss://127.0.0.1:1/ws"), "but the master speaks no TLS: it must be ws://");
    refuse("address = \"no-such-host.invalid:0\"", "", "cannot listen on no-such-host.invalid:0: ");
    fs::write(at.join("plain"), "not a socket").unwrap();
    refuse("address = \"unix:plain\"", "", "there is a file that is no socket");
    assert_eq!(fs::read_to_string(at.join("plain")).unwrap(), "not a socket");
    let made = edge(&["keygen"], &configuration(at, address, &peer(KEY)));
    assert_eq!(made.status.code(), Some(0), "a key is made before the configuration is whole: {}", stderr(&made));
    refuse(address, &peer(stdout(&made).trim()), "public_key of [[mesh.peer]] 'edge2' is that of this node itself");
    let key = at.join("state/node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refuse(address, &peer(KEY), "mode 0644 lets others read the node key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "not a key").unwrap();
    refuse(address, &peer(KEY), "a node key is 64 hex digits");
}

/// Addresses that overlap are mistakes; IPv4 and IPv6 may share a port.
#[test]
fn a_port_can_be_shared_by_both_kinds_of_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let also = |address: &str| format!("[[listen]]\ntype = \"rawsocket\"\naddress = \"{address}\"\n");
    for (one, other) in [
        ("0.0.0.0:7000", "127.0.0.1:7000"),
        ("[::]:7000", "[::1]:7000"),
        ("127.0.0.1:7000", "[::ffff:127.0.0.1]:7000"),
        ("0.0.0.0:7000", "localhost.:7000"),
    ] {
        let output = edge(&["check"], &configuration(directory.path(), &format!("address = \"{one}\""), &also(other)));
        // Whether a name is known is the machine's affair.
        let is_unknown = stderr(&output).contains("cannot listen on localhost.");
        assert!(is_unknown || stderr(&output).contains("is taken by"), "{one} {other}: {}", stderr(&output));
    }
    let path = configuration(directory.path(), "address = \"[::]:PORT\"", &also("0.0.0.0:PORT"));
    let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let text = fs::read_to_string(&path).unwrap().replace("PORT", &port.to_string());
    fs::write(&path, &text).unwrap();
    assert_eq!(edge(&["check"], &path).status.code(), Some(0));
    let dual = run(&path);
    assert!(announced_bytes_max(&format!("127.0.0.1:{port}")) > 0 && announced_bytes_max(&format!("[::1]:{port}")) > 0);
    drop(dual);
    // Alone it takes both.
    let alone = text.split("[[listen]]\n").enumerate().filter(|(n, _)| *n < 2).map(|(_, part)| part);
    fs::write(&path, alone.collect::<Vec<_>>().join("[[listen]]\n")).unwrap();
    let _alone = run(&path);
    assert!(announced_bytes_max(&format!("127.0.0.1:{port}")) > 0 && announced_bytes_max(&format!("[::1]:{port}")) > 0);
}

/// A running edge that is ready.
fn run(path: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"));
    command.arg("run").arg("--config").arg(path).env_remove("NOTIFY_SOCKET");
    let mut edge = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    wait_for("ready", &mut BufReader::new(edge.0.stdout.take().unwrap()).lines());
    edge
}

/// Each file that is no good certificate or key is told what it is.
#[test]
fn wrong_certificates_and_keys_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (good, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    fs::write(at.join("cert.pem"), &good).unwrap();
    fs::write(at.join("key.pem"), &key).unwrap();
    fs::set_permissions(at.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let tls = "address = \"127.0.0.1:0\"\n[listen.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    let path = configuration(at, tls, "");
    let checked = edge(&["check"], &path);
    assert_eq!((checked.status.code(), stderr(&checked)), (Some(0), String::new()));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let half = |pem: &str| pem[..pem.len() / 2].to_owned();
    // ECDSA on secp256k1.
    let unsupported = "-----BEGIN EC PRIVATE KEY-----\nMHQCAQEEIFqJnSxQ1rB9hEr4sGEpIyFJ9zVYw6wYV2sBIKvQxn8VoAcGBSuBBAAK\noUQDQgAEJfE0tJxkGqD1yR8bQ0h0m3x3mYk6S4bYdW1Jv7y7n4Qn2m0Xv2t1o5pX\n2b7Yb0h1o1m8b3YQm1n0tq3tYw3f5Q==\n-----END EC PRIVATE KEY-----\n";
    for (file, text, sentence) in [
        ("key.pem", encrypted.as_str(), "the private key is encrypted, but it must be plain"),
        ("key.pem", "Proc-Type: 4,ENCRYPTED\n", "the private key is encrypted"),
        ("key.pem", "garbage", "there is no private key in it, it is no PEM"),
        ("key.pem", "", "the file is empty"),
        ("key.pem", &good, "there is no private key in it, but a CERTIFICATE"),
        ("key.pem", &half(&key), "the PEM is cut off"),
        ("key.pem", unsupported, "is damaged or of an unsupported kind"),
        ("cert.pem", "garbage", "there is no certificate in it, it is no PEM"),
        ("cert.pem", &key, "there is no certificate in it, but a PRIVATE KEY"),
        ("cert.pem", &half(&good), "the PEM is cut off"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\nMA?A\n-----END CERTIFICATE-----\n", "the PEM is damaged"),
    ] {
        let before = fs::read_to_string(at.join(file)).unwrap();
        fs::write(at.join(file), text).unwrap();
        let output = edge(&["check"], &path);
        assert_eq!(output.status.code(), Some(78), "{file} {text}");
        assert!(stderr(&output).contains(sentence), "{sentence} is not in {}", stderr(&output));
        fs::write(at.join(file), before).unwrap();
    }
    // What works, but not as it should.
    fs::set_permissions(at.join("key.pem"), fs::Permissions::from_mode(0o666)).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2001, 2, 3);
    fs::write(at.join("cert.pem"), parameters.self_signed(&pair.signing_key).unwrap().pem()).unwrap();
    let output = edge(&["check"], &path);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for sentence in
        ["edge.toml:8:15: warning: certificate = ", "has expired, on Feb", "warning: key = ", "mode 0666 lets others"]
    {
        assert!(stderr(&output).contains(sentence), "{sentence} is not in {}", stderr(&output));
    }
}

/// Standard output that takes nothing is a failure that is said, not a panic.
#[test]
fn a_full_device_is_no_panic() {
    let minimal = repository("docs/examples/edge-minimal.toml");
    let master = repository("docs/examples/master.toml");
    let (minimal, master) = (minimal.to_str().unwrap(), master.to_str().unwrap());
    for (program, arguments) in [
        (env!("CARGO_BIN_EXE_crossbar-edge"), &["check", "--config", minimal][..]),
        (env!("CARGO_BIN_EXE_crossbar-edge"), &["config", "--config", minimal]),
        (env!("CARGO_BIN_EXE_crossbar-master"), &["config", "--config", master]),
        (env!("CARGO_BIN_EXE_crossbarctl"), &["check", minimal]),
        (env!("CARGO_BIN_EXE_crossbarctl"), &["--json", "check", minimal]),
        (env!("CARGO_BIN_EXE_crossbarctl"), &["completions", "bash"]),
        (env!("CARGO_BIN_EXE_crossbarctl"), &["man"]),
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(program).args(arguments).stdout(full).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{program} {arguments:?}: {said}");
        assert!(said.contains("standard output: No space left on device") && !said.contains("panicked"), "{said}");
        // Whoever has read enough closes the other end.
        let mut child =
            Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{program} {arguments:?}");
    }
}

/// From before it reads its configuration, a daemon hears its signals.
#[test]
fn signals_that_come_early_are_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(configuration(directory.path(), "address = \"127.0.0.1:0\"", "")).unwrap();
    let fifo = directory.path().join("fifo.toml");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let start = |signals: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"));
        command.arg("run").arg("--config").arg(&fifo).env_remove("NOTIFY_SOCKET");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Opening waits until the edge has opened it for reading.
        let mut writer = fs::File::options().write(true).open(&fifo).unwrap();
        for signal in signals {
            assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        }
        writer.write_all(text.as_bytes()).unwrap();
        drop(writer);
        Running(child)
    };
    let mut hung_up = start(&["HUP", "HUP"]);
    wait_for("ready", &mut BufReader::new(hung_up.0.stdout.take().unwrap()).lines());
    // The reload waits for what the file is then.
    let mut writer = fs::File::options().write(true).open(&fifo).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    drop(writer);
    wait_for("configuration reloaded, applied: nothing", &mut BufReader::new(hung_up.0.stderr.take().unwrap()).lines());
    let mut terminated = start(&["TERM"]);
    assert_eq!(terminated.0.wait().unwrap().code(), Some(0));
}

/// A running edge, killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads lines until one has `word` in it, and returns that one.
fn wait_for(word: &str, lines: &mut impl Iterator<Item = std::io::Result<String>>) -> String {
    let found = lines.map(Result::unwrap).find(|line| line.contains(word));
    found.unwrap_or_else(|| panic!("the edge ended without saying {word:?}"))
}

/// The largest message that a RawSocket listener says it takes.
fn announced_bytes_max(address: &str) -> usize {
    let mut socket = TcpStream::connect(address).unwrap();
    // The largest messages for us, in CBOR.
    socket.write_all(&[0x7f, 0xf3, 0, 0]).unwrap();
    let mut reply = [0; 4];
    socket.read_exact(&mut reply).unwrap();
    1 << (9 + (reply[1] >> 4))
}

#[test]
fn sighup_applies_limits_and_names_what_has_to_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.toml");
    let minimal = fs::read_to_string(repository("docs/examples/edge-minimal.toml")).unwrap();
    let text = minimal.replace("websocket", "rawsocket").replace(":8080", ":0");
    fs::write(&path, &text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-edge"));
    command.arg("run").arg("--config").arg(&path).env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let mut edge = Running(child);
    let mut stdout = BufReader::new(edge.0.stdout.take().unwrap()).lines();
    let mut stderr = BufReader::new(edge.0.stderr.take().unwrap()).lines();
    let listening = wait_for("listening on rs://", &mut stdout);
    let address = listening.split("rs://").nth(1).unwrap();
    assert_eq!(announced_bytes_max(address), 1 << 20);
    let reload = |text: &str| {
        fs::write(&path, text).unwrap();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    };
    reload(&(text.replace("edge1", "edge2") + "[limits]\nmessage_bytes_max = \"64KiB\"\n"));
    let said = wait_for("configuration reloaded", &mut stderr);
    let expected =
        "applied: [limits] message_bytes_max (for new connections); needs a restart: [node] id, [node] state_dir";
    assert!(said.ends_with(expected), "{said}");
    assert_eq!(announced_bytes_max(address), 1 << 16);
    reload("nonsense");
    let refused = wait_for("the configuration was not reloaded", &mut stderr);
    assert!(refused.contains("edge.toml:1:9"), "{refused}");
    assert_eq!(announced_bytes_max(address), 1 << 16);
}

#[test]
fn the_masters_example_loads_and_has_every_key() {
    let path = repository("docs/examples/master.toml");
    let text = fs::read_to_string(&path).unwrap().replace("a long password, env:NAME or file:/path", "a long password");
    let config = config::MasterConfig::parse(&text, &path, &config::Host::EMPTY).unwrap();
    assert_eq!((config.nodes.len(), config.operators.len()), (2, 1));
    let keys = |text: &str| -> std::collections::BTreeSet<String> {
        text.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.to_owned()).collect()
    };
    assert_eq!(keys(&text), keys(&config.to_toml()), "what is printed is what can be set");
}
