//! Other people's programs against the router: libraries that are not the ones it was built with, each against one
//! edge, and through HAProxy against four linked edges, where every connection comes to another one.
//!
//! The programs print a line per case. A case that fails has to be in `deviations.toml` with the reason why it is not
//! the router that has to change, and a case that is there has to fail. `tests/suites/setup` installs what they need.

#[path = "../harness/mod.rs"]
mod harness;

mod deviations;

use harness::cluster::Cluster;
use harness::haproxy::{Haproxy, free_ports};
use harness::router::Setup;
use harness::{Edge, clients, in_package, in_target, output_of};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longer than any of the programs takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(280);

/// Where the clients come in, and what they may do, behind a balancer or not.
const SERVED: &str = concat!(include_str!("../clients/listeners.toml"), include_str!("../clients/realm.toml"));

#[test]
fn autobahn_python_publishes_through_four_edges() {
    four_edges("autobahn-python", |command, url| autobahn_python(command, "pubsub.py", url));
}

#[test]
fn autobahn_python_calls_through_four_edges() {
    four_edges("autobahn-python", |command, url| autobahn_python(command, "rpc.py", url));
}

#[test]
fn autobahn_python_asks_the_meta_api_of_four_edges() {
    four_edges("autobahn-python", |command, url| autobahn_python(command, "meta.py", url));
}

#[test]
fn autobahn_python_exchanges_payloads_with_node_through_four_edges() {
    four_edges("autobahn-python", |command, url| {
        let mut command = autobahn_python(command, "payload.py", url);
        command.arg("--node");
        command
    });
}

#[test]
fn autobahn_js_through_four_edges() {
    four_edges("autobahn-js", |command, url| node(command, "tests/clients/node/autobahn.mjs", &["--url", url]));
}

#[test]
fn wampy_through_four_edges() {
    four_edges("wampy", |command, url| node(command, "tests/clients/node/wampy.mjs", &["--url", url]));
}

#[test]
fn xconn_python_on_one_edge() {
    one_edge("xconn-python", |_, url, rawsocket| {
        let mut command = python("xconn_client.py", url);
        command.arg(rawsocket);
        command
    });
}

#[test]
fn xconn_python_through_four_edges() {
    four_edges("xconn-python", |_, url| python("xconn_client.py", url));
}

#[test]
fn tests_of_crossbars_dealer_on_one_edge() {
    one_edge("crossbar-dealer", |_, url, _| python("crossbar_dealer.py", url));
}

#[test]
fn tests_of_crossbars_dealer_through_four_edges() {
    four_edges("crossbar-dealer", |_, url| python("crossbar_dealer.py", url));
}

#[test]
fn six_python_libraries_compress_on_one_edge() {
    one_edge("deflate-python", |_, url, _| python("deflate.py", url));
}

#[test]
fn six_python_libraries_compress_through_four_edges() {
    four_edges("deflate-python", |_, url| python("deflate.py", url));
}

#[test]
fn ws_of_node_compresses_on_one_edge() {
    one_edge("deflate-node", |command, url, _| node(command, "tests/suites/node/deflate.mjs", &[url]));
}

#[test]
fn ws_of_node_compresses_through_four_edges() {
    four_edges("deflate-node", |command, url| node(command, "tests/suites/node/deflate.mjs", &[url]));
}

/// Plays a suite with an edge of its own. `program` is given the folder of the clients, and where the edge is by
/// WebSocket and by RawSocket.
fn one_edge(suite: &str, program: impl Fn(&Path, &str, &str) -> Command) {
    let Some(clients) = installed() else { return };
    let edge = Edge::start(SERVED);
    play(suite, "one", &mut program(&clients, edge.url("ws"), edge.url("rs")));
    edge.stop();
}

/// Plays a suite with four linked edges behind HAProxy.
fn four_edges(suite: &str, program: impl Fn(&Path, &str) -> Command) {
    let Some(clients) = installed() else { return };
    let ports: [u16; 4] = free_ports();
    let _cluster = Cluster::start_on(ports.to_vec(), Setup { served: Some(behind_haproxy()), ..Setup::default() });
    let Some(haproxy) = Haproxy::start(&ports, &[]) else { return };
    play(suite, "four", &mut program(&clients, &haproxy.url()));
}

/// The listeners as they are behind HAProxy, which says with each connection whose it is.
fn behind_haproxy() -> &'static str {
    let websocket = "type = \"websocket\"\naddress = \"127.0.0.1:0\"\n";
    let proxied = format!("{websocket}proxy_protocol = \"optional\"\nproxies = [\"127.0.0.1\"]\n");
    SERVED.replacen(websocket, &proxied, 1).leak()
}

fn play(suite: &str, place: &str, command: &mut Command) {
    let (status, stdout, stderr) = output_of(command, LIMIT);
    let judged = match status.code() {
        Some(0 | 1) => deviations::judge(suite, place, &stdout),
        _ => Err("it did not come to its end".to_owned()),
    };
    if let Err(complaint) = judged {
        panic!(
            "{suite} on {place}: {complaint}\n{command:?} ended with {status}; it printed:\n{stdout}\nand:\n{stderr}"
        );
    }
}

/// The folder of the clients, when all that suites need is installed.
fn installed() -> Option<std::path::PathBuf> {
    let clients = clients()?;
    if in_target("suites/stamp").exists() {
        return Some(clients);
    }
    let is_required = std::env::var_os("CROSSBAR_TEST_CLIENTS").is_some_and(|value| value == "required");
    assert!(!is_required, "what the suites need is not installed: run tests/suites/setup");
    println!("skipped: what the suites need is not installed (tests/suites/setup does it)");
    None
}

/// A script of this folder, in the Python that has the libraries.
fn python(script: &str, url: &str) -> Command {
    let mut command = Command::new(in_target("suites/python/bin/python"));
    command.arg(in_package("tests/suites/python").join(script)).arg(url).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A script of `tests/clients/python`.
fn autobahn_python(clients: &Path, script: &str, url: &str) -> Command {
    let mut command = Command::new(clients.join("python/bin/python"));
    command.arg(in_package("tests/clients/python").join(script)).args(["--url", url]);
    command.env("TEST_CLIENTS", clients).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn node(clients: &Path, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.arg(in_package(script)).args(arguments).env("TEST_CLIENTS", clients);
    command
}
