//! Notifications, signals, descriptors and exit codes.

use crate::harness::io::{Endpoint, PATIENCE};
use crate::harness::router::{ALL_ROLES, NO_FEATURES, Router, Setup, endpoint_of, eventually};
use crate::harness::{Edge, http};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What systemd would hear.
struct Supervisor {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
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
        (Supervisor { socket, directory }, router)
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

    /// The sockets that come with the next FDSTORE=1.
    fn await_sockets(&self) -> Vec<OwnedFd> {
        let mut buffer = [0; 4096];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut text = [IoSliceMut::new(&mut buffer)];
            let received = recvmsg(&self.socket, &mut text, &mut control, RecvFlags::CMSG_CLOEXEC);
            let n = received.expect("a notification in time").bytes;
            let sockets: Vec<OwnedFd> = control
                .drain()
                .filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                    _ => None,
                })
                .flatten()
                .collect();
            if buffer[..n].starts_with(b"FDSTORE=1\n") {
                return sockets;
            }
        }
    }

    /// Has a router notify this supervisor, and passes sockets to it as systemd does.
    fn pass(&self, command: &mut Command, sockets: &[OwnedFd]) {
        let redirections: String = sockets
            .iter()
            .enumerate()
            .map(|(n, socket)| {
                rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty()).expect("the flags can be set");
                format!(" {}<&{}", n + 3, socket.as_raw_fd())
            })
            .collect();
        let mut wrapped = Command::new("bash");
        wrapped.args(["-c", &format!("exec \"$0\" \"$@\"{redirections}")]).arg(command.get_program());
        wrapped.args(command.get_args()).env("LISTEN_FDS", sockets.len().to_string());
        wrapped.env("NOTIFY_SOCKET", self.directory.path().join("notify"));
        *command = wrapped;
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
    let mut first = router.join("first");
    let _second = router.join("second");
    let _third = router.join("third");
    router.edge.signal("TERM");
    first.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
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

/// What a restart is to clients: nobody is refused. The process that ends leaves its listening sockets with systemd,
/// whoever connects before the next one is there waits in them, and the next one keeps nothing there.
#[test]
fn a_restart_refuses_nobody() {
    let setup = Setup { node: "drain_time = \"1s\"", ..Setup::default() };
    let (supervisor, mut router) = Supervisor::start(&setup, |_| {});
    let Endpoint::Tcp(address) = endpoint_of(router.edge.url("ws")) else { panic!("it listens on TCP") };
    let via = router.next_via();
    let mut early = router.connect_via(via);
    early.hello(ALL_ROLES, "early");
    supervisor.await_line("READY=1");
    router.edge.signal("TERM");
    let stored = supervisor.await_sockets();
    assert_eq!(stored.len(), 2, "one of WebSocket, one of RawSocket");
    // Who comes while it drains is served, and sent away in the end.
    let mut late = router.connect_via(via);
    late.hello(ALL_ROLES, "late");
    for mut client in [early, late] {
        client.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
        client.send(r#"[6, {}, "wamp.close.goodbye_and_out"]"#);
        client.expect_closed();
    }
    assert!(router.edge.await_exit().success());
    // Nobody is there now, and still a connection is made.
    let mut waiting = Endpoint::Tcp(address.clone()).connect();
    http::request(&mut waiting, "/", &[("Connection", "close")]);
    let websocket = |address: &str| format!("type = \"websocket\"\naddress = \"{address}\"");
    let config = setup.to_text().replace(&websocket("127.0.0.1:0"), &websocket(&address));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let second = Edge::start_with(directory, &config, |command| supervisor.pass(command, &stored));
    drop(stored);
    let removed = supervisor.await_line("FDSTOREREMOVE=1");
    assert!(removed.contains(&"FDNAME=listen".to_owned()), "{removed:?}");
    assert_eq!(endpoint_of(second.url("ws")), Endpoint::Tcp(address.clone()));
    assert_eq!(http::read_head(&mut waiting).expect("an answer").status, 200);
    // Like the port of any program that is killed, its port is closed.
    second.signal("KILL");
    eventually("the port to be closed", || TcpStream::connect(&address).is_err());
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
