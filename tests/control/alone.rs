//! A single edge that has no master, asked on its admin port.

use crate::fixture::{Whom, fails, start_alone, stdout};
use crate::harness::router::eventually;
use serde_json::{Value, json};

#[test]
fn an_edge_tells_how_it_is() {
    let mut alone = start_alone();
    let mut alice = alone.join("alice");
    alice.register("com.example.add", "{}", "reg");
    alice.subscribe("com.example.topic", "{}", "sub");
    for whom in [Whom::by_config(&alone), Whom::by_address(&alone)] {
        let text = whom.text("status");
        assert!(text.starts_with("edge1 is up: 1 session\n"), "{text}");
        let status = whom.json("status");
        assert_eq!((&status["node"], &status["sessions"]), (&json!("edge1"), &json!(1)));
        assert_eq!(whom.json("nodes").as_array().map(Vec::len), Some(1));
        assert!(whom.text("nodes").contains("\nedge1  up "));
        assert_eq!(whom.json("links"), json!([]));
        assert_eq!(whom.text("links"), "FROM \\ TO  edge1\nedge1      ·\n");
        let text = whom.text("top --iterations 1");
        assert!(text.trim_end().ends_with("edge1 is up: 1 session"), "{text}");
        let text = whom.text("top --iterations 1 --json");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON")["node"], "edge1");
    }
    let whom = Whom::by_config(&alone);
    for (list, shown) in
        [("sessions", "tcp4:"), ("registrations", "com.example.add"), ("subscriptions", "com.example.topic")]
    {
        let text = whom.text(list);
        assert!(text.contains("\nedge1  realm1 ") && text.contains(shown), "{text}");
        let n = |line: String| whom.json(&line).as_array().map(Vec::len);
        assert_eq!((n(list.to_owned()), n(format!("{list} --realm realm2"))), (Some(1), Some(0)));
    }
}

#[test]
fn an_edge_is_steered_without_a_master() {
    let mut alone = start_alone();
    let whom = Whom::by_config(&alone);
    let mut alice = alone.join("alice");
    let id = alice.id("alice");
    assert_eq!(whom.json(&format!("kick {id}")), json!({"session": id, "node": "edge1"}));
    alice.expect(r#"[6, {...}, "wamp.close.killed"]"#);
    assert_eq!(whom.text("log-level edge1 debug"), "edge1 logs debug now, until it is started again\n");
    let text = stdout(&whom.run("trace --topic com.example --seconds 1"));
    assert_eq!(text, "");

    let mut bob = alone.join("bob");
    let text = whom.text("drain edge1 --seconds 0");
    assert!(text.starts_with("edge1 is drained: 1 session gone in "), "{text}");
    bob.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
    let output = whom.run("status");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("! edge1 is draining: lets its clients go"));
    assert_eq!(whom.json("undrain edge1"), json!({"node": "edge1"}));
    eventually("clients are taken again", || whom.run("status").status.success());
    alone.join("carol");
}

#[test]
fn what_only_a_master_knows_is_not_asked_of_an_edge() {
    let alone = start_alone();
    let whom = Whom::by_address(&alone);
    for (line, name) in [("gate", "gate"), ("rebalance", "rebalance"), ("node remove edge2", "node")] {
        fails(&whom.run(line), &format!("an edge knows no `{name}`, only the master does (--master)"));
    }
    for line in ["drain edge2", "undrain edge2", "log-level edge2 debug", "trace --session 1 --node edge2"] {
        fails(&whom.run(line), " is edge1; of another node ask it itself or the master");
    }
}
