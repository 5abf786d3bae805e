//! SIGHUP of the master and of its edges: every key of the master's file, and a membership that changes after an edge
//! has read its file again.

use crate::harness::cluster::{Cluster, mesh_of};
use crate::harness::http::fetch;
use crate::harness::io::Endpoint;
use crate::harness::master::{Master, ask, free_port};
use crate::harness::rogue::{new_runtime, secured};
use crate::harness::router::{NO_FEATURES, Setup, eventually};
use crossbar_cluster::admin::command::MASTER_REALM;
use crossbar_cluster::auth::Secret;
use crossbar_cluster::auth::client::{Client, Credential};
use crossbar_cluster::config;
use crossbar_cluster::transport::node_tls::LINK_ALPN;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEY: &str = "b45d9693346a5327f2b7f59b9fc04f2822b18c2be970938ea53564003aa2083d";
const OTHER_KEY: &str = "3a88bcd446482d38dd492b9a4b285a560659abffed3ec73920b277767e802f6c";

/// A key of the file, another value, and how the log names it.
const KEYS: [(&str, &str, &str, &str); 12] = [
    ("master", "id", "\"other\"", "[master] id"),
    ("master", "state_dir", "\"/nowhere\"", "[master] state_dir"),
    ("master", "listen", "\"127.0.0.1:1\"", "[master] listen"),
    ("master", "allowed_hosts", "[\"other.example\"]", "[master] allowed_hosts"),
    ("log", "level", "\"debug\"", "[log] level"),
    ("log", "format", "\"json\"", "[log] format"),
    ("node", "id", "\"edge8\"", "[[node]]"),
    ("node", "address", "\"127.0.0.1:2\"", "[[node]]"),
    ("node", "public_key", OTHER_KEY, "[[node]]"),
    ("operator", "id", "\"bob\"", "[[operator]]"),
    ("operator", "ticket", "\"another\"", "[[operator]]"),
    ("operator", "public_key", KEY, "[[operator]]"),
];

#[test]
fn every_key_of_the_master_does_on_sighup_what_the_log_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::prepare(directory.path(), free_port());
    master.configure_node("edge7", "127.0.0.1:1", KEY);
    master.start();
    let keys = config::master_keys();
    let known: BTreeSet<(&str, &str)> = keys.iter().map(|fact| (fact.table.as_str(), fact.key)).collect();
    let covered: BTreeSet<(&str, &str)> = KEYS.iter().map(|(table, key, ..)| (*table, *key)).collect();
    assert_eq!(covered, known, "each key has a case here, and each case a key");
    let text = std::fs::read_to_string(master.process().config_file()).expect("it is there");
    let text = text.replace("[[operator]]", "[log]\nlevel = \"info\"\nformat = \"auto\"\n[[operator]]");
    reload(&master, &text);
    let before = observe(&master);
    for (table, key, value, name) in KEYS {
        let is_live = keys.iter().any(|fact| fact.table == table && fact.key == key && fact.is_live);
        let said = reload(&master, &change(&text, table, key, value));
        let expected = match is_live {
            true => format!("configuration reloaded, applied: {name}"),
            false => format!("configuration reloaded, applied: nothing; needs a restart: {name}"),
        };
        assert!(said.ends_with(&expected), "{table} {key}: {said}");
        let shows = is_live && (table, key) != ("operator", "public_key");
        assert_eq!(observe(&master) != before, shows, "{table} {key}");
        reload(&master, &text);
        assert_eq!(observe(&master), before, "{table} {key}, taken back");
    }
    let said = reload(&master, &change(&text, "operator", "ticket", "7"));
    assert!(said.contains("the configuration was not reloaded: "), "{said}");
    assert_eq!(observe(&master), before);
}

/// The text with another value of the first key of this name in the first table of that name.
fn change(text: &str, table: &str, key: &str, value: &str) -> String {
    let at = [format!("[{table}]\n"), format!("[[{table}]]\n")]
        .iter()
        .find_map(|header| Some(text.find(header)? + header.len()));
    let (before, rest) = text.split_at(at.unwrap_or_else(|| panic!("there is no {table}")));
    let value = if value.len() == 64 { format!("{value:?}") } else { value.to_owned() };
    let line =
        rest.split('[').next().and_then(|lines| lines.lines().find(|line| line.starts_with(&format!("{key} ="))));
    match line {
        Some(line) => format!("{before}{}", rest.replacen(line, &format!("{key} = {value}"), 1)),
        None => format!("{before}{key} = {value}\n{rest}"),
    }
}

/// Replaces the file, and returns what the log says of it.
fn reload(master: &Master, text: &str) -> String {
    let process = master.process();
    std::fs::write(process.config_file(), text).expect("the configuration is written");
    let said = || process.log().lines().filter(|line| line.contains("reloaded")).map(str::to_owned).collect::<Vec<_>>();
    let before = said().len();
    process.signal("HUP");
    eventually("the log says what was made of it", || said().len() > before);
    said().swap_remove(before)
}

/// Who belongs to the cluster, what the master is called, and whether an operator with a ticket is let in.
fn observe(master: &Master) -> (Value, Value, bool) {
    let alice = Client::new(Some("alice".to_owned()), Credential::Ticket(Secret::new("alice-ticket")));
    let answer = ask(&master.url(), MASTER_REALM, &alice, "crossbar.master.membership", &json!({}));
    let membership = master.command("membership", &json!({})).expect("its own operator may ask");
    let page = fetch(&Endpoint::Tcp(format!("127.0.0.1:{}", master.port)), "/api/cluster", &[]);
    let status: Value = serde_json::from_str(page.text()).expect("the API speaks JSON");
    (membership["members"].clone(), status["master"]["id"].clone(), answer.is_ok())
}

/// The listeners of an edge change places in its file, and another comes before them; then a node is removed.
#[test]
fn a_membership_that_changes_after_a_reload_reaches_the_listeners_that_it_is_for() {
    let mut cluster = Cluster::start_mastered(vec![free_port(), 0, 0], Setup::default());
    let file = cluster.node(1).edge.config_file();
    let text = std::fs::read_to_string(&file).expect("it is there");
    let (head, rest) = text.split_once("[[listen]]").expect("it has listeners");
    let (listeners, tail) = rest.split_once("[[realm]]").expect("it has realms");
    let mut listeners: Vec<&str> = listeners.split("[[listen]]").collect();
    listeners.reverse();
    let another = format!("\ntype = \"websocket\"\naddress = \"127.0.0.1:{}\"\n", free_port());
    listeners.insert(0, &another);
    let swapped = format!("{head}[[listen]]{}[[realm]]{tail}", listeners.join("[[listen]]"));
    std::fs::write(&file, swapped).expect("the configuration is written");
    cluster.node(1).edge.signal("HUP");
    let router = cluster.node(1);
    eventually("it is reloaded", || router.edge.log().contains("configuration reloaded, applied: nothing; needs"));
    cluster.master().command("node_remove", &json!({"id": "edge3"})).expect("it is removed");
    let links = |cluster: &mut Cluster| -> Vec<String> {
        let mesh = mesh_of(cluster.node(1));
        let links = mesh["links"].as_array().cloned().unwrap_or_default();
        links.iter().map(|link| format!("{} {} {}", link["peer"], link["is_up"], link["is_up_inbound"])).collect()
    };
    eventually("it has heard of it", || links(&mut cluster) == ["\"edge2\" true true"]);
    // Clients come in as before, and the key of the removed node does not.
    let mut client = cluster.node(1).connect();
    client.send(&format!(r#"[1, "realm1", {NO_FEATURES}]"#));
    client.welcome("client");
    let removed = new_runtime().block_on(secured(&cluster, &cluster.node_key(3), LINK_ALPN, 1));
    assert!(removed.is_err(), "it comes in");
    let line = format!("its key {} is not the expected one", cluster.node_key(3).public());
    eventually("the log says so", || cluster.node(1).edge.log().contains(&line));
}
