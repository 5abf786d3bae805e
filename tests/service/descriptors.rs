//! Few descriptors: clients leave enough for those who look after the edge, and who is refused is counted by name.

use crate::harness::Edge;
use crate::harness::io::Io;
use crate::harness::router::{Router, Setup, dial, eventually};
use std::os::unix::fs::PermissionsExt;

#[test]
fn health_and_metrics_answer_when_clients_have_taken_all_they_may() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("few");
    let script = format!("#!/bin/sh\nulimit -n 300\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_crossbar-edge"));
    std::fs::write(&program, script).expect("it is written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    let name = program.display().to_string();
    let mut router = Router::of(Edge::start_program(&name, directory, &Setup::default().to_text(), |_| {}));
    // Half of so few are left to others: 300 - min(128, 150).
    let told = "clients may have up to 172 connections together";
    assert!(router.edge.log().contains(told), "{}", router.edge.log());
    let clients: Vec<Io> = (0..400).map(|n| dial(&router.edge, ["ws", "rs"][n % 2])).collect();
    eventually("the rest is refused by name", || router.drops("too_many_connections") == 400 - 172);
    for path in ["/healthz", "/metrics", "/info"] {
        assert_eq!(router.admin(path).status, 200, "{path}");
    }
    let log = router.edge.log();
    assert!(!log.contains("accept failed"), "{log}");
    drop(clients);
    eventually("there is room again", || {
        router.admin("/metrics").text().contains("crossbar_sessions{realm=\"realm1\"} 0")
    });
    eventually("they are gone", || router.metric("process_open_fds") < 100);
    router.join("a").call("wamp.session.count", "", "[1]");
}
