//! The probe against real routers: it prints the original's lines, its figures add up, it notices what is lost, and its
//! exit code says so. And HAProxy takes the configuration that is shipped.

mod harness;

use harness::cluster::Cluster;
use harness::router::{Router, Setup, eventually};
use harness::{haproxy, in_target};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Everybody may do everything and is told who published.
fn router() -> Router {
    Router::start(&Setup::default())
}

fn command(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossbar-probe"));
    command.current_dir(in_target("")).args(["--url", url, "--linger", "2"]);
    command
}

/// Runs the probe; `options` are separated by spaces.
fn probe(router: &Router, options: &str) -> Output {
    command(router.edge.url("ws")).args(options.split_whitespace()).output().expect("the probe is started")
}

/// Runs the probe with `--json`, and returns its exit code and what it says.
fn outcome(router: &Router, options: &str) -> (i32, Value) {
    let output = probe(router, &format!("--json {options}"));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let complaint = String::from_utf8_lossy(&output.stderr);
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}\n{complaint}"));
    (output.status.code().expect("it ends by itself"), value)
}

/// A line with every number as 0 and its time as TIME.
fn shape(line: &str) -> String {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let is_time = first.len() == 24 && first.as_bytes()[10] == b'T';
    let line = if is_time { format!("TIME {rest}") } else { line.to_owned() };
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '0'..='9' if out.ends_with('0') => {}
            '0'..='9' => out.push('0'),
            '.' if out.ends_with('0') => {}
            _ => out.push(c),
        }
    }
    out
}

#[test]
fn the_lines_are_those_of_the_original() {
    let router = router();
    let output = probe(&router, "--duration 2 --period 1 --clients 1 --connections 1 --rate 1 --size 512");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (lines, table) = text.split_once("\n\n").expect("an empty line before the totals");
    let lines: Vec<String> = lines.lines().map(shape).collect();
    assert_eq!(
        lines[..3],
        ["Client with PID 0 starting ..", "Started clients with PIDs [0]", "Client with PID 0 starting .."]
    );
    assert!(lines[3].starts_with("TIME publisher0 connected [batch=\""), "{}", lines[3]);
    let details = lines[3].split_once("]: ").unwrap().1;
    assert!(details.starts_with("SessionDetails(realm=<realm0>, session=0, authid=<"), "{details}");
    assert!(
        details.ends_with(
            ">, authrole=<anonymous>, authmethod=anonymous, authprovider=static, authextra={'x_cb_node': 'edge0', \
             'x_cb_peer': 'tcp0:0:0', 'x_cb_pid': 0}, resumed=None, resumable=None, resume_token=None)"
        ),
        "{details}"
    );
    let load = "TIME LOAD: 0 user, 0 system, 0 mem_percent, 0 ctx";
    let events = "TIME WAMP publisher0*: 0 events received (0 forwarded), 0 events/second, 0 events published, \
                  0 events/second";
    assert_eq!(
        lines[4..],
        [
            "TIME publisher0 ready [period=0, loops=0, rate=0, stride=0, size=0, logname=publisher0]",
            load,
            events,
            load,
            events,
            "TIME publisher0 leaving: reason=\"wamp.close.goodbye_and_out\"",
            "TIME Main loop terminated.",
        ]
    );
    for row in ["received", "latency", "lost", "verdict"] {
        assert!(table.lines().any(|line| line.starts_with(row)), "no {row} in\n{table}");
    }
}

#[test]
fn silence_leaves_the_totals() {
    let router = router();
    let output = probe(&router, "--silent --duration 1 --rate 2 --size 64");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.trim_start().starts_with("published"), "{text}");
}

#[test]
fn figures_add_up_over_processes_loops_and_strides() {
    let router = router();
    let (code, outcome) =
        outcome(&router, "--clients 2 --connections 3 --loops 2 --rate 5 --stride 2 --size 128 --duration 2");
    let events = &outcome["events"];
    let number = |name: &str| events[name].as_u64().unwrap_or_else(|| panic!("{name} in {events}"));
    // Loops are late on a busy machine, and then publish less; nobody publishes more.
    let published = number("published");
    assert!(published > 0 && published <= 2 * 3 * 2 * 5 * 2 * 2, "{published}");
    assert_eq!(published % 2, 0, "a round has two publications");
    assert_eq!(number("acknowledged"), published);
    assert_eq!(number("expected"), published * 6);
    assert_eq!(number("received"), published * 6);
    for nothing in
        ["forwarded", "lost", "lost_with_publisher", "missed_while_away", "duplicated", "reordered", "corrupted"]
    {
        assert_eq!(number(nothing), 0, "{nothing}");
    }
    assert_eq!((code, &outcome["ok"]), (0, &Value::Bool(true)));
    assert_eq!(outcome["latency_ms"]["count"], published * 6);
    assert_eq!(outcome["nodes"]["edge1"], 6);
    let timeline = outcome["timeline"].as_array().unwrap();
    let sum = |name: &str| timeline.iter().map(|moment| moment[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("published"), sum("received")), (published, published * 6));
    assert!(outcome["latency_ms"]["p99"].as_f64().unwrap() >= outcome["latency_ms"]["p50"].as_f64().unwrap());
    assert!(outcome["cpu"].as_array().unwrap().iter().any(|part| part["name"] == "probe"));
}

#[test]
fn sessions_end_in_order() {
    let router = router();
    let (code, outcome) = outcome(&router, "--clients 2 --connections 30 --loops 1 --rate 1 --size 64 --duration 1");
    assert_eq!((code, &outcome["sessions_absent"]), (0, &Value::from(0)), "{outcome}");
    eventually("they are gone", || router.metric("crossbar_sessions{realm=\"realm1\"}") == 0);
    for reason in ["protocol_violation", "peer_lost"] {
        assert_eq!(router.drops(reason), 0, "{reason}");
    }
}

#[test]
fn two_probes_on_one_topic_do_not_disturb_each_other() {
    let router = router();
    std::thread::scope(|scope| {
        let run = || outcome(&router, "--connections 2 --rate 5 --size 64 --duration 2");
        for (code, outcome) in [scope.spawn(run), scope.spawn(run)].map(|thread| thread.join().unwrap()) {
            assert_eq!(code, 0, "{outcome}");
            assert_eq!(outcome["events"]["received"], outcome["events"]["expected"]);
        }
    });
}

#[test]
fn a_nodes_events_are_counted_as_forwarded_on_the_others() {
    let cluster = Cluster::start(2, Setup::default());
    let config = tempfile::NamedTempFile::new().unwrap();
    let nodes: String = cluster
        .routers
        .iter()
        .flatten()
        .enumerate()
        .map(|(node, router)| format!("[edge{}]\nurl={}\n", node + 1, router.edge.url("ws")))
        .collect();
    std::fs::write(config.path(), nodes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crossbar-probe"))
        .current_dir(in_target(""))
        .args("--json --connections 2 --rate 5 --size 64 --duration 2 --config".split(' '))
        .arg(config.path())
        .output()
        .unwrap();
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{outcome}");
    assert_eq!(outcome["sessions"], 4);
    assert_eq!((&outcome["nodes"]["edge1"], &outcome["nodes"]["edge2"]), (&Value::from(2), &Value::from(2)));
    let received = outcome["events"]["received"].as_u64().unwrap();
    assert_eq!(outcome["events"]["expected"], received);
    assert_eq!(outcome["events"]["forwarded"], received / 2, "half of all publishers are on the other node");
}

#[test]
fn what_does_not_arrive_is_lost_and_the_exit_code_says_so() {
    // Two routers that know nothing of each other: each session misses what is published on the other.
    let (one, other) = (router(), router());
    let config = tempfile::NamedTempFile::new().unwrap();
    let urls = [&one, &other].map(|router| format!("[node]\nurl={}\n", router.edge.url("ws"))).concat();
    std::fs::write(config.path(), urls).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crossbar-probe"))
        .current_dir(in_target(""))
        .args("--json --rate 5 --size 64 --duration 1 --linger 0.3 --config".split(' '))
        .arg(config.path())
        .output()
        .unwrap();
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{outcome}");
    let events = &outcome["events"];
    assert_eq!(events["lost"], events["published"], "each event is missing in one of two sessions");
    assert_eq!(outcome["ok"], false);
}

#[test]
fn sessions_come_back_and_what_they_missed_is_not_lost() {
    let mut cluster = Cluster::start(2, Setup::default());
    let urls: Vec<String> = cluster.routers.iter().flatten().map(|router| router.edge.url("ws").to_owned()).collect();
    let door = Door::open(urls);
    let child = command(&door.url)
        .args("--json --clients 2 --connections 2 --rate 10 --size 64 --duration 5".split(' '))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // By then every session has heard events.
    eventually("events flow", || door.bytes.load(Ordering::Relaxed) > 40_000);
    cluster.kill(1);
    let output = child.wait_with_output().unwrap();
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    let again = &outcome["reconnects"];
    assert_eq!((&again["lost"], &again["back"]), (&Value::from(2), &Value::from(2)), "{outcome}");
    for outage in again["outages"].as_array().unwrap() {
        assert_eq!((&outage["from"], &outage["to"]), (&Value::from("edge1"), &Value::from("edge2")));
        assert!(outage["away_ms"].as_f64().unwrap() > 0.0 && outage["gap_ms"].as_f64().unwrap() > 0.0, "{outage}");
    }
    assert_eq!(outcome["events"]["lost"], 0, "{outcome}");
    assert_eq!(outcome["sessions_absent"], 0);
    assert_eq!(outcome["nodes"]["edge2"], 4);
}

#[test]
fn ctrl_c_ends_the_publishing_and_the_totals_are_still_told() {
    let router = router();
    let mut child = command(router.edge.url("ws"))
        .args("--connections 2 --rate 10 --size 64 --duration 600 --period 0.2".split(' '))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("events received") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it has ended before it was told to");
    }
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("Main loop terminated.") && rest.trim_end().ends_with("nothing was lost"), "{rest}");
}

#[test]
fn calls_go_to_the_callees_that_exist_and_their_fingerprints_are_checked() {
    let router = router();
    let backend = |logname: &str| {
        let child =
            command(router.edge.url("ws")).args(["--backend", "--logname", logname]).stdout(Stdio::piped()).spawn();
        let mut backend = Backend(child.unwrap());
        let mut line = String::new();
        BufReader::new(backend.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.trim_end().ends_with(&format!("Backend procedure registered at {logname}.proc1")), "{line}");
        backend
    };
    // Two callees share the first procedure, and nobody has the third and fourth.
    let _backends = ["node1.container1", "node1.container1", "node2.container1"].map(backend);
    let (code, outcome) = outcome(&router, "--connections 2 --rate 5 --size 64 --duration 2");
    let calls = &outcome["calls"];
    assert_eq!(code, 0, "{outcome}");
    let published = outcome["events"]["published"].as_u64().unwrap();
    assert_eq!((&calls["issued"], &calls["answered"]), (&Value::from(published * 2), &Value::from(published * 2)));
    assert_eq!(calls["latency_ms"]["count"], published * 2);
    assert_eq!(calls["wrong"], 0);
}

#[test]
fn the_report_is_one_file_that_needs_nothing_else() {
    let router = router();
    let report = in_target("tmp").join("probe-report.html");
    let output = probe(&router, &format!("--silent --rate 5 --duration 2 --report {}", report.display()));
    assert_eq!(output.status.code(), Some(0));
    let page = std::fs::read_to_string(&report).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert_eq!(page.matches("<svg").count(), 3, "throughput, latency, sessions per edge");
    for outside in ["src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("edge1") && page.contains("nothing was lost"));
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    let output = command("ws://127.0.0.1:1/ws").arg("--backend").arg("--config").arg("x").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "--url and --config together");
    for (option, value) in [("--size", "31"), ("--rate", "0"), ("--clients", "0"), ("--watch", "edge1")] {
        let output = command("ws://127.0.0.1:1/ws").args([option, value]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{option} {value}");
    }
    let output = command("http://127.0.0.1:1/").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("\"http://127.0.0.1:1/\" is not ws://"), "{complaint}");
}

#[test]
fn haproxy_takes_the_shipped_configuration_without_a_warning() {
    let programs: Vec<PathBuf> = haproxy::VERSIONS.iter().filter_map(|version| haproxy::program_of(version)).collect();
    let hosts = [("BRUMMER1", "127.0.0.1"), ("BRUMMER2", "127.0.0.1")];
    let environments = [&[("CROSSBAR_LOCAL", "1")][..], &hosts];
    for (program, environment) in programs.iter().flat_map(|program| environments.map(|these| (program, these))) {
        let output = Command::new(program)
            .args(["-c", "-f", "haproxy/haproxy.cfg"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        assert!(output.status.success() && !said.contains("warning") && !said.contains("alert"), "{said}");
    }
}

/// A callee that ends with the test.
struct Backend(Child);

impl Drop for Backend {
    fn drop(&mut self) {
        // It has ended by itself if this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What HAProxy does, as far as these tests need it: each connection goes to the router that has the fewest, and ends
/// with that router.
struct Door {
    url: String,
    /// What has gone to clients.
    bytes: Arc<AtomicU64>,
}

impl Door {
    fn open(urls: Vec<String>) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = bytes.clone();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            let routers: Vec<_> = urls.into_iter().map(|url| (url, Arc::new(AtomicUsize::new(0)))).collect();
            for client in listener.incoming().map_while(Result::ok) {
                let mut by_load: Vec<_> = routers.iter().collect();
                by_load.sort_by_key(|(_, connections)| connections.load(Ordering::Relaxed));
                let living = by_load.into_iter().find_map(|(url, connections)| {
                    let address = url.trim_start_matches("ws://").trim_end_matches("/ws");
                    Some((TcpStream::connect(address).ok()?, connections.clone()))
                });
                if let Some((router, connections)) = living {
                    connections.fetch_add(1, Ordering::Relaxed);
                    connect(client, router, counter.clone(), connections);
                }
            }
        });
        Door { url, bytes }
    }
}

/// Carries bytes both ways until one side ends.
fn connect(client: TcpStream, router: TcpStream, bytes: Arc<AtomicU64>, connections: Arc<AtomicUsize>) {
    let (mut from_client, mut to_router) = (client.try_clone().unwrap(), router.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_router);
        let _ = to_router.shutdown(Shutdown::Both);
    });
    let (mut router, mut client) = (router, client);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = router.read(&mut buffer) {
            bytes.fetch_add(n as u64, Ordering::Relaxed);
            if client.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        connections.fetch_sub(1, Ordering::Relaxed);
    });
}
