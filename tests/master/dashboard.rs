//! The dashboard in Chromium, against a real cluster: what it shows, that it shows the loss of an edge and of the
//! master within three seconds, and that it steers.

use crate::harness::cluster::{Cluster, name};
use crate::harness::router::{Setup, eventually};
use crate::harness::{clients, in_package, run};
use std::process::Command;
use std::time::Duration;

#[test]
fn an_operator_sees_and_steers_the_cluster_in_a_browser() {
    let Some(clients) = clients() else { return };
    let setup = Setup { node: "drain_time = \"1s\"", ..Setup::default() };
    let mut cluster = Cluster::start_mastered(vec![0; 4], setup);
    let _sessions: Vec<_> = (0..12).map(|n| cluster.node(n % 4 + 1).join("a")).collect();
    eventually("all are up", || cluster.master().status()["totals"]["nodes_up"] == 4);
    let screenshots = tempfile::tempdir().expect("a temporary directory");
    let folder = std::env::var_os("DASHBOARD_SCREENSHOTS").map_or(screenshots.path().to_owned(), Into::into);
    let kill = |pid: u32| format!("kill -9 {pid}");
    let victim = kill(cluster.node(3).edge.pid());
    let mut script = Command::new("node");
    script.arg(in_package("tests/dashboard/run.mjs")).env("TEST_CLIENTS", &clients).arg("--screenshots").arg(&folder);
    script.args(["--url", &format!("http://127.0.0.1:{}", cluster.master().port)]);
    script.args(["--nodes", &[1, 2, 3, 4].map(name).join(",")]).args(["--authid", "alice", "--ticket", "alice-ticket"]);
    script.args(["--drain", &name(2), "--victim", &name(3), "--kill", &victim]);
    script.args(["--kill-master", &kill(cluster.master().process().pid())]);
    println!("{}", run(&mut script, Duration::from_secs(200)));
    let pictures = std::fs::read_dir(&folder).expect("the folder").count();
    assert!(pictures >= 6, "only {pictures} screenshots");
}
