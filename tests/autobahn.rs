//! The Autobahn WebSocket testsuite against an echo listener, which is the same WebSocket code that carries WAMP. Every
//! case has to be OK (or INFORMATIONAL, where the suite has no opinion); NON-STRICT is not enough.
//! `tests/autobahn/setup` installs the suite.

mod harness;

use harness::{Edge, in_target, run};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[test]
fn quick_cases() {
    let Some(wstest) = wstest() else { return };
    let edge = Edge::start(CONFIG);
    // Without the large messages (9) and compression (12, 13).
    let part = Part { name: "quick", cases: &["*"], excluded: &["9.*", "12.*", "13.*"], limit: QUICK_LIMIT };
    assert_eq!(
        run_part(&wstest, edge.url("ws"), &part),
        247,
        "the suite has as many quick cases as when this was written"
    );
    edge.stop();
}

/// All of them, which takes some ten minutes, so only where `AUTOBAHN_FULL` says so.
#[test]
fn all_cases() {
    if std::env::var_os("AUTOBAHN_FULL").is_none_or(|value| value != "1") {
        println!("skipped: AUTOBAHN_FULL=1 runs all cases");
        return;
    }
    let Some(wstest) = wstest() else { return };
    let edge = Edge::start(CONFIG);
    let parts = [
        Part { name: "plain", cases: &["*"], excluded: &["12.*", "13.*"], limit: FULL_LIMIT },
        Part { name: "deflate", cases: &["12.*"], excluded: &[], limit: FULL_LIMIT },
        Part { name: "deflate-parameters", cases: &["13.*"], excluded: &[], limit: FULL_LIMIT },
    ];
    let url = edge.url("ws");
    let counts = std::thread::scope(|scope| {
        let running = parts.each_ref().map(|part| scope.spawn(|| run_part(&wstest, url, part)));
        running.map(|part| part.join().expect("the part passed"))
    });
    assert_eq!(counts, [301, 90, 126], "the suite has as many cases as when this was written");
    edge.stop();
}

/// Some of the cases, run by one process of the suite.
struct Part {
    name: &'static str,
    cases: &'static [&'static str],
    excluded: &'static [&'static str],
    limit: Duration,
}

/// The quick cases take 7 s. The suite waits for ever for a server that does not close a connection.
const QUICK_LIMIT: Duration = Duration::from_secs(180);
/// All take about ten minutes on an idle machine, most of it in the suite.
const FULL_LIMIT: Duration = Duration::from_secs(3600);

/// The suite sends messages of up to 16 MiB, and expects compression to be agreed to with any parameters.
const CONFIG: &str = r#"
[[listen]]
type = "websocket"
address = "127.0.0.1:0"
echo = true
compression = {}
limits = { message_bytes_max = "32MiB", outbox_bytes_max = "64MiB" }

[[realm]]
name = "realm1"
[[realm.role]]
name = "anonymous"
"#;

/// Runs the part, asserts that its cases passed, and returns how many they were.
fn run_part(wstest: &Path, url: &str, part: &Part) -> usize {
    let directory = in_target("autobahn").join(part.name);
    // A report of an earlier run must not be taken for this one's.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a folder for the reports");
    let specification = json!({
        "outdir": "reports",
        "servers": [{"agent": "edge", "url": url}],
        "cases": part.cases,
        "exclude-cases": part.excluded,
        "exclude-agent-cases": {},
    });
    std::fs::write(directory.join("fuzzingclient.json"), specification.to_string())
        .expect("the specification is written");
    let mut suite = Command::new(wstest);
    suite.args(["--mode", "fuzzingclient", "--spec", "fuzzingclient.json"]).current_dir(&directory);
    run(&mut suite, part.limit);
    // It ends with 0 whatever happened, also when it could not connect.
    let index = std::fs::read(directory.join("reports/index.json")).expect("the suite writes an index");
    let index: Json = serde_json::from_slice(&index).expect("the index is JSON");
    let cases = index["edge"].as_object().expect("the suite connected and ran cases");
    let failures: Vec<String> = cases.iter().filter_map(|(case, result)| failure(case, result)).collect();
    assert!(failures.is_empty(), "see {}/reports:\n{}", directory.display(), failures.join("\n"));
    cases.len()
}

/// None when the case passed.
fn failure(case: &str, result: &Json) -> Option<String> {
    let verdicts = [&result["behavior"], &result["behaviorClose"]];
    let passed = verdicts.iter().all(|verdict| **verdict == "OK" || **verdict == "INFORMATIONAL");
    (!passed).then(|| format!("case {case}: behavior {}, close {}", verdicts[0], verdicts[1]))
}

/// The program of the suite; None, with a word on it, where it is not installed.
fn wstest() -> Option<PathBuf> {
    let suite = in_target("wst27");
    if suite.join("stamp").exists() {
        return Some(suite.join("bin/wstest"));
    }
    println!("skipped: the Autobahn testsuite is not installed (tests/autobahn/setup does it, with Python 2.7)");
    None
}
