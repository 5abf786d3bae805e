//! Notifications, signals, descriptors and exit codes.

use crate::harness::io::{Endpoint, PATIENCE};
use crate::harness::router::{ALL_ROLES, NO_FEATURES, Router, Setup, endpoint_of};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What systemd would hear.
struct Supervisor {
    socket: UnixDatagram,
    _directory: tempfile::TempDir,
}

impl Supervisor {
    /// A router that notifies this supervisor; `prepare` may add to its command.
    fn start(setup: &Setup, prepare: impl FnOnce(&mut Command)) -> (Supervisor, Router) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be bound");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let router = Router::start_with(setup, |command| {
            command.env("NOTIFY_SOCKET", &path);
            prepare(command);
        });
        (Supervisor { socket, _directory: directory }, router)
    }

    /// The next notification that says this, as its lines.
    fn await_line(&self, wanted: &str) -> Vec<String> {
        let started = Instant::now();
        let mut buffer = [0; 4096];
        let mut heard = Vec::new();
        while started.elapsed() < PATIENCE {
            let n = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error} after {heard:?}"));
            let text = std::str::from_utf8(&buffer[..n]).expect("notifications are text");
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.iter().any(|line| line == wanted) {
                return lines;
            }
            heard.extend(lines);
        }
        panic!("{wanted} did not come, but {heard:?}");
    }
}

#[test]
fn systemd_hears_of_start_reload_and_stop() {
    let (supervisor, router) = Supervisor::start(&Setup::default(), |_| {});
    let ready = supervisor.await_line("READY=1");
    assert!(ready.iter().any(|line| line.starts_with("STATUS=0 sessions")), "{ready:?}");
    router.edge.signal("HUP");
    let reloading = supervisor.await_line("RELOADING=1");
    assert!(reloading.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading:?}");
    supervisor.await_line("READY=1");
    router.edge.signal("TERM");
    supervisor.await_line("STOPPING=1");
}

/// The watchdog is fed as long as the router works, and only when systemd asks for it.
#[test]
fn the_watchdog_is_fed() {
    let (supervisor, _router) = Supervisor::start(&Setup::default(), |command| {
        command.env("WATCHDOG_USEC", "200000");
    });
    for _ in 0..5 {
        supervisor.await_line("WATCHDOG=1");
    }
    let (supervisor, router) = Supervisor::start(&Setup::default(), |command| {
        command.env_remove("WATCHDOG_USEC");
    });
    router.edge.signal("TERM");
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !heard.iter().any(|line| line == "STOPPING=1") {
        let n = supervisor.socket.recv(&mut buffer).expect("it stops");
        heard.extend(std::str::from_utf8(&buffer[..n]).expect("text").lines().map(str::to_owned));
    }
    assert!(!heard.iter().any(|line| line.contains("WATCHDOG")), "{heard:?}");
}

#[test]
fn sigterm_ends_sessions_one_after_the_other() {
    let setup = Setup { node: "drain_time = \"2s\"", ..Setup::default() };
    let mut router = Router::start(&setup);
    let mut clients: Vec<_> = (0..4).map(|_| router.join("a")).collect();
    let mut waiting = router.connect();
    assert_eq!(router.admin("/readyz").status, 200);
    router.edge.signal("TERM");
    let started = Instant::now();
    let (mut farewells, mut spread) = (0, false);
    while farewells < 4 {
        assert!(started.elapsed() < PATIENCE, "{farewells} of 4 have heard");
        // Connections are in no order, so each looks whether it is its turn.
        let Some(at) = clients.iter_mut().position(|client| client.has_arrived()) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut client = clients.remove(at);
        client.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
        client.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
        client.expect_closed();
        farewells += 1;
        // The others go on working meanwhile.
        spread |= clients.iter_mut().any(|other| {
            other.sync();
            !other.has_arrived()
        });
        if farewells == 1 {
            let draining = router.admin("/readyz");
            assert_eq!((draining.status, draining.text()), (503, "draining\n"));
            assert_eq!(router.admin("/healthz").status, 200);
            let Endpoint::Tcp(address) = endpoint_of(router.edge.url("ws")) else { panic!("it listens on TCP") };
            assert!(TcpStream::connect(address).is_err(), "nobody new is let in");
        }
    }
    assert_eq!(farewells, 4);
    assert!(spread, "some were still at work when others had gone");
    waiting.expect_abort("wamp.close.system_shutdown");
    let status = router.edge.await_exit();
    assert!(status.success(), "{status}");
}

/// Who does not answer is not waited for for ever; a second SIGTERM does not wait at all.
#[test]
fn a_drain_comes_to_an_end() {
    let mut router = Router::start(&Setup { limits: "close_timeout = \"200ms\"", ..Setup::default() });
    let _silent = router.join("silent");
    router.edge.signal("TERM");
    assert!(router.edge.await_exit().success());
    let mut router = Router::start(&Setup { node: "drain_time = \"1h\"", ..Setup::default() });
    let mut clients: Vec<_> = (0..3).map(|_| router.join("a")).collect();
    router.edge.signal("TERM");
    let started = Instant::now();
    while !clients.iter_mut().any(|client| client.has_arrived()) {
        assert!(started.elapsed() < PATIENCE, "the first of them is told to go at once");
        std::thread::sleep(Duration::from_millis(5));
    }
    router.edge.signal("TERM");
    assert!(router.edge.await_exit().success());
}

#[test]
fn descriptors_are_raised_to_the_hard_limit() {
    let mut router = Router::start_with(&Setup::default(), |command| {
        let mut wrapped = Command::new("sh");
        wrapped.args(["-c", "ulimit -Sn 300 && ulimit -Hn 4000 && exec \"$0\" \"$@\""]).arg(command.get_program());
        wrapped.args(command.get_args()).env_remove("NOTIFY_SOCKET");
        *command = wrapped;
    });
    assert_eq!(router.metric("process_max_fds"), 4000);
    let mut clients: Vec<_> = (0..400).map(|_| router.join_with(NO_FEATURES, "a")).collect();
    clients[399].call("wamp.session.count", "", "[400]");
}

fn run_edge(directory: &Path, config: &str) -> std::process::Output {
    let file = directory.join("edge.toml");
    std::fs::write(&file, config).expect("the configuration is written");
    Command::new(env!("CARGO_BIN_EXE_crossbar-edge"))
        .args(["run", "--config"])
        .arg(&file)
        .output()
        .expect("crossbar-edge runs")
}

#[test]
fn exit_codes_tell_why_it_did_not_start() {
    let router = Router::start(&Setup::default());
    let Endpoint::Tcp(taken) = endpoint_of(router.edge.url("ws")) else { panic!("it listens on TCP") };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = Setup::default().to_text().replace("{dir}", &directory.path().display().to_string());
    // The port is taken.
    let output = run_edge(
        directory.path(),
        &config.replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"{taken}\"")),
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&taken), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("ready"), "{output:?}");
    // The configuration is wrong.
    let output = run_edge(directory.path(), &config.replace("[limits]", "[limits]\nmessage_bytes_mx = 1"));
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("message_bytes_max"), "{output:?}");
    // The command line is wrong.
    let output = Command::new(env!("CARGO_BIN_EXE_crossbar-edge")).arg("walk").output().expect("crossbar-edge runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// SIGINT, as by Ctrl-C, drains too.
#[test]
fn sigint_stops_in_order() {
    let mut router = Router::start(&Setup::default());
    let mut a = router.connect();
    a.hello(ALL_ROLES, "a");
    router.edge.signal("INT");
    a.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
    a.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
    a.expect_closed();
    assert!(router.edge.await_exit().success());
}
