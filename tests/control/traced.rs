//! `trace`, while messages pass.

use crate::fixture::{Whom, command, start_cluster};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

/// A trace that has begun.
struct Tracing {
    process: Child,
    complaints: BufReader<ChildStderr>,
}

impl Tracing {
    fn start(whom: &Whom, line: &str) -> Tracing {
        let mut command = command(&whom.arguments(line));
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("crossbarctl is started");
        let mut complaints = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let mut first = String::new();
        complaints.read_line(&mut first).expect("it says that it has begun");
        assert!(first.starts_with("tracing on edge"), "{first}");
        Tracing { process, complaints }
    }

    fn interrupt(&self) {
        let status = Command::new("kill").args(["-s", "INT", &self.process.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Waits until it ends well. Returns the lines, and what else was said.
    fn end(mut self) -> (Vec<String>, String) {
        let output = BufReader::new(self.process.stdout.take().expect("stdout is piped"));
        let lines = output.lines().map(|line| line.expect("UTF-8")).collect();
        let mut told = String::new();
        self.complaints.read_to_string(&mut told).expect("UTF-8");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}: {told}");
        (lines, told)
    }
}

#[test]
fn an_event_is_seen_on_both_nodes_in_the_order_of_time() {
    let (mut cluster, whom) = start_cluster();
    let (mut alice, mut bob) = (cluster.node(1).join("alice"), cluster.node(2).join("bob"));
    bob.subscribe("com.example.topic", "{}", "sub");
    let tracing = Tracing::start(&whom, "trace --topic com.example.topic --lines 4");
    alice.publish("com.example.other", "{}", "[1]");
    alice.publish("com.example.topic", r#"{"acknowledge": false}"#, "[42]");
    bob.expect("[36, $sub, $_, {...}, [42]]");
    let (lines, _) = tracing.end();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    // From alice to the link, and from the link to bob.
    let (alice, bob) = (alice.id("alice").to_string(), bob.id("bob").to_string());
    let expected = [
        ("edge1", alice.as_str(), "->  [16,"),
        ("edge1", "", "<-  [36,"),
        ("edge2", "", "->  [36,"),
        ("edge2", &bob, "<-  [36,"),
    ];
    for (line, (node, session, message)) in lines.iter().zip(expected) {
        let passes = line.contains(&format!("  {node}  ")) && line.contains(&format!("{session}  {message}"));
        assert!(passes, "{node} {session} {message}: {lines:#?}");
    }
    assert!(lines.iter().all(|line| line.contains("42") && line.as_bytes()[8] == b'.'), "{lines:#?}");
}

#[test]
fn a_trace_of_a_session_is_ended_by_ctrl_c() {
    let (mut cluster, whom) = start_cluster();
    let mut alice = cluster.node(1).join("alice");
    let line = format!("trace --session {} --node edge1 --json", alice.id("alice"));
    let mut tracing = Tracing::start(&whom, &line);
    alice.call_fails("com.nobody", "", "wamp.error.no_such_procedure");
    let mut lines = BufReader::new(tracing.process.stdout.take().expect("stdout is piped")).lines();
    let mut next = || -> serde_json::Value {
        let line = lines.next().expect("a line").expect("UTF-8");
        serde_json::from_str(&line).expect("JSON")
    };
    let (call, error) = (next(), next());
    assert_eq!((&call["direction"], &error["direction"]), (&"in".into(), &"out".into()));
    assert!(call["message"].as_str().is_some_and(|message| message.starts_with("[48,")), "{call}");
    assert!(error["message"].as_str().is_some_and(|message| message.starts_with("[8,48,")), "{error}");
    tracing.interrupt();
    let mut told = String::new();
    tracing.complaints.read_to_string(&mut told).expect("UTF-8");
    assert!(tracing.process.wait().expect("it ends").success(), "{told}");
    // Nothing is left of it: otherwise some day there would be no room for another.
    for _ in 0..9 {
        let tracing = Tracing::start(&whom, &line);
        tracing.interrupt();
        tracing.end();
    }
}

#[test]
fn a_trace_that_ends_by_itself_says_why() {
    let (_cluster, whom) = start_cluster();
    let (lines, told) = Tracing::start(&whom, "trace --procedure com.example.add --seconds 1").end();
    assert_eq!(lines, Vec::<String>::new());
    for node in ["edge1", "edge2"] {
        assert!(told.contains(&format!("{node}: the trace has ended: its time is over")), "{told}");
    }
}
