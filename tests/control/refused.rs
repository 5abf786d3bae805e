//! Whoever cannot be asked, and whoever may not ask: one sentence each.

use crate::fixture::{admin_address, crossbarctl, fails, start_alone, start_cluster, stderr, stdout};
use crate::harness::router::eventually;
use crossbar_cluster::config::node_key;

/// A key that is nobody's.
fn stranger(directory: &std::path::Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let file = directory.join("stranger.key");
    std::fs::write(&file, format!("{}\n", "42".repeat(32))).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("the mode is set");
    file.display().to_string()
}

#[test]
fn a_wrong_key_opens_nothing() {
    let (mut cluster, _) = start_cluster();
    let master = cluster.master();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = stranger(directory.path());
    let url = master.url();
    let output = crossbarctl(&["--master", &url, "--key", &key, "status"]);
    fails(&output, &format!("{url}: refused: wamp.error.authentication_"));
    // The key of the operator is not that of somebody else.
    let own = master.operator_key().display().to_string();
    fails(&crossbarctl(&["--master", &url, "--key", &own, "--as", "alice", "status"]), &format!("{url}: refused: "));
    // A master that answers in the place of another one is told nothing.
    let state_dir = &master.state_dir;
    std::fs::rename(state_dir.join("node.key"), state_dir.join("old.key")).expect("renamed");
    std::fs::rename(&key, state_dir.join("node.key")).expect("renamed");
    let config = master.process().config_file().display().to_string();
    fails(
        &crossbarctl(&["--master", &config, "status"]),
        &format!("{url}: the router did not prove that it has the expected key"),
    );
    cluster.master.as_mut().expect("it has one").kill();
    fails(&crossbarctl(&["--master", &url, "--key", &own, "status"]), &format!("{url}: Connection refused"));

    let alone = start_alone();
    let address = admin_address(&alone);
    let key = stranger(directory.path());
    fails(&crossbarctl(&["--edge", &address, "--key", &key, "status"]), "/ws: refused: wamp.error.authentication_");
}

#[test]
fn whoever_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    let key = stranger(directory.path());
    let socket = format!("unix:{}", at("admin.sock"));
    fails(&crossbarctl(&["--edge", &socket, "--key", &key, "status"]), "admin.sock/ws: No such file or directory");
    fails(&crossbarctl(&["--edge", &socket, "status"]), "an address needs --key FILE");
    fails(&crossbarctl(&["--edge", &socket, "--key", &at("none.key"), "status"]), "none.key: there is no such key");
    fails(
        &crossbarctl(&["--edge", "brummer1", "status"]),
        "--edge brummer1: there is no such file, and it is no address",
    );
    fails(&crossbarctl(&["--master", "http://brummer1", "status"]), "--master: \"http://brummer1\" is not ws://");
    let output = crossbarctl(&["--edge", &at("none.toml"), "status"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("none.toml: "), "{}", stderr(&output));
    std::fs::write(at("open.key"), "00").expect("written");
    fails(&crossbarctl(&["--edge", &socket, "--key", &at("open.key"), "status"]), "open.key: mode ");
}

#[test]
fn an_edge_without_an_admin_port_says_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = |admin: &str| {
        format!(
            "[node]\nid = \"edge1\"\nstate_dir = \"state\"\n{admin}\n[[listen]]\ntype = \"websocket\"\n\
             address = \"127.0.0.1:0\"\n[listen.auth.anonymous]\nrole = \"anonymous\"\n\
             [[realm]]\nname = \"realm1\"\n[[realm.role]]\nname = \"anonymous\"\n"
        )
    };
    let file = directory.path().join("edge.toml");
    let status = |admin: &str| {
        std::fs::write(&file, text(admin)).expect("written");
        crossbarctl(&["--edge", file.to_str().expect("UTF-8"), "status"])
    };
    fails(&status(""), "edge.toml: there is no [admin] listen, so this edge cannot be asked by itself");
    fails(&status("[admin]\nlisten = \"127.0.0.1:0\"\n"), "edge.toml: listen in [admin] is any free port");
    let output = status("[admin]\nlisten = \"unix:admin.sock\"\n");
    fails(&output, "state: there is no node key, make one with `crossbar-edge keygen --config ");
}

#[test]
fn check_takes_the_configuration_of_a_master() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("some.toml");
    let name = file.to_str().expect("UTF-8");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("written");
        crossbarctl(&["check", name])
    };
    let master = "[master]\nlisten = \"127.0.0.1:9000\"\nstate_dir = \"state\"\n";
    let output = check(master);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("there is no key, make one with `crossbar-master keygen"), "{}", stderr(&output));
    for key in ["node.key", "operator.key"] {
        let path = directory.path().join("state").join(key);
        node_key::read_or_generate_file(&path, &mut rand::rng()).expect("a key is made");
    }
    assert_eq!(stdout(&check(master)), format!("{name}: no mistakes\n"));
    let output = check("[master]\nlisten = \"127.0.0.1:9000\"\n[[node]]\nid = \"edge1\"\n");
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("key 'address' is missing in [[node]]"), "{}", stderr(&output));
    // An edge has a [master], too.
    let output = check("[node]\nid = \"edge1\"\n[master]\nurl = \"ws://matterhorn:9000/ws\"\n");
    assert!(stderr(&output).contains("key 'public_key' is missing in [master]"), "{}", stderr(&output));
}

#[test]
fn the_master_has_who_was_refused_by_all_nodes_and_by_itself() {
    let (mut cluster, whom) = start_cluster();
    for node in [1, 2] {
        let mut client = cluster.node(node).connect();
        client.send(r#"[1, "no.such.realm", {"roles": {"caller": {}}, "authid": "mallory"}]"#);
        client.expect_abort("wamp.error.no_such_realm");
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = cluster.master().url();
    let output = crossbarctl(&["--master", &url, "--key", &stranger(directory.path()), "status"]);
    fails(&output, "refused: wamp.error.authentication_");
    let found = |narrowed: &str| {
        let rows = whom.json(&format!("refusals {narrowed}"));
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let rows = rows.as_array().expect("a list").clone();
        rows.iter().map(|row| (text(row, "node"), text(row, "authid"))).collect::<Vec<_>>()
    };
    let expected = ["edge1", "edge2"].map(|node| (node.to_owned(), "mallory".to_owned()));
    eventually("the nodes have told", || {
        let mut rows = found("--reason hello_refused");
        rows.sort();
        rows == expected
    });
    assert_eq!(found("--node edge2 --realm no.such.realm --authid mallory"), expected[1..]);
    let failed = found("--reason authentication_failed");
    assert!(failed.len() == 1 && failed[0].1 == "operator", "who wants to steer is refused by the master: {failed:?}");
    let text = whom.text("refusals --node edge1");
    assert!(
        text.lines().nth(1).is_some_and(|line| line.contains("hello_refused") && line.contains("mallory")),
        "{text}"
    );
    let text = whom.text("forget-answers --realm realm1 --authid alice");
    assert_eq!(text, "answers are forgotten on edge1, edge2; reviewed: 0\n");
}
