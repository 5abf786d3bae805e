//! What operators can ask of nodes and of the cluster, and who may.

use crate::harness::client::{Carrier, Via};
use crate::harness::cluster::Cluster;
use crate::harness::master::ask;
use crate::harness::router::{ALL_ROLES, Router, Setup, eventually};
use crossbar_cluster::admin::command::{MASTER_REALM, NODE_REALM, OPERATOR_ROLE};
use crossbar_cluster::auth::Secret;
use crossbar_cluster::auth::client::{Client, Credential};
use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::auth::mutual::Purpose;
use crossbar_cluster::wire::Serializer;
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn sessions_registrations_and_subscriptions_are_listed_through_the_master() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    let mut client = cluster.node(2).join("client");
    client.register("com.work", r#"{"invoke": "random"}"#, "reg");
    client.subscribe("com.topic", r#"{"match": "prefix"}"#, "sub");
    eventually("edge2 is there", || cluster.master().state("edge2") == "up");
    let on = |node: &str, command: &str| {
        cluster.master().ask(&format!("crossbar.node.{node}.{command}"), &json!({})).expect("it is told")
    };
    let sessions = on("edge2", "sessions");
    assert_eq!(sessions[0]["session"], client.id("client"), "{sessions}");
    assert_eq!((&sessions[0]["subscriptions"], &sessions[0]["registrations"]), (&json!(1), &json!(1)));
    assert_eq!(on("edge1", "sessions"), json!([]));
    let registrations = on("edge2", "registrations");
    assert_eq!(registrations[0]["uri"], "com.work");
    assert_eq!((&registrations[0]["invoke"], &registrations[0]["members"]), (&json!("random"), &json!(1)));
    let subscriptions = on("edge2", "subscriptions");
    assert_eq!((&subscriptions[0]["uri"], &subscriptions[0]["match"]), (&json!("com.topic"), &json!("prefix")));
    let kick = json!({"session": client.id("client")});
    assert_eq!(cluster.master().ask("crossbar.node.edge2.kick", &kick), Ok(json!(true)));
    client.expect(r#"[6, {...}, "wamp.close.killed"]"#);
    let nobody = json!({"session": 1});
    assert_eq!(cluster.master().ask("crossbar.node.edge2.kick", &nobody), Ok(json!(false)));
}

#[test]
fn a_trace_shows_what_passes_and_ends_by_itself() {
    let mut cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    let mut subscriber = cluster.node(2).join("subscriber");
    subscriber.subscribe("com.topic", "{}", "sub");
    subscriber.register("com.work", "{}", "reg");
    let mut publisher = cluster.node(2).join("publisher");
    eventually("edge2 is there", || cluster.master().state("edge2") == "up");
    let on = |command: &str, kwargs: &Value| cluster.master().ask(&format!("crossbar.node.edge2.{command}"), kwargs);
    let refusal = on("trace_start", &json!({})).expect_err("it is refused");
    assert!(refusal.contains("a trace needs a session, a topic or a procedure"), "{refusal}");
    let topic = on("trace_start", &json!({"topic": "com.topic", "lines": 3})).expect("it begins")["trace"].clone();
    let procedure = on("trace_start", &json!({"procedure": "com.work"})).expect("it begins")["trace"].clone();
    for _ in 0..2 {
        publisher.publish("com.topic", "{}", r#"["seen"]"#);
        publisher.publish("com.other", "{}", r#"["unseen"]"#);
        subscriber.expect(r#"[36, $sub, $_, {...}, ["seen"]]"#);
    }
    publisher.send(r#"[48, #, {}, "com.work", ["asked"]]"#);
    subscriber.expect(r#"[68, 1, $reg, {...}, ["asked"]]"#);
    subscriber.send(r#"[70, 1, {}, ["answered"]]"#);
    publisher.expect(r#"[50, #, {...}, ["answered"]]"#);

    let shown = on("trace_read", &json!({"trace": topic, "after": 0})).expect("it is read");
    let lines = shown["lines"].as_array().expect("a list");
    let passed: Vec<(&str, bool)> = lines
        .iter()
        .map(|line| (line["direction"].as_str().unwrap(), line["message"].as_str().unwrap().contains("seen")))
        .collect();
    assert_eq!(passed, [("in", true), ("out", true), ("in", true)], "{shown}");
    assert!(lines.iter().all(|line| !line["message"].as_str().unwrap().contains("unseen")));
    assert_eq!(shown["ended"], "it has shown 3 lines");
    let gone = on("trace_read", &json!({"trace": topic, "after": 0})).expect_err("it has ended");
    assert!(gone.contains("there is no trace"), "{gone}");

    let shown = on("trace_read", &json!({"trace": procedure, "after": 0})).expect("it is read");
    let codes: Vec<&str> =
        shown["lines"].as_array().unwrap().iter().map(|line| &line["message"].as_str().unwrap()[1..3]).collect();
    assert_eq!(codes, ["48", "68", "70", "50"], "a call is followed to its answer: {shown}");
    on("trace_stop", &json!({"trace": procedure})).expect("it is stopped");
}

#[test]
fn the_log_level_changes_while_it_runs() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    eventually("it is there", || cluster.master().state("edge1") == "up");
    let on = |kwargs: Value| cluster.master().ask("crossbar.node.edge1.log_level", &kwargs);
    assert_eq!(on(json!({})), Ok(json!("info")));
    assert_eq!(on(json!({"level": "debug"})), Ok(json!("debug")));
    let log = || cluster.routers[0].as_ref().expect("it runs").edge.log();
    assert_eq!(on(json!({})), Ok(json!("debug")));
    // A client that just goes is worth a line at this level.
    let router = cluster.routers[0].as_ref().expect("it runs");
    let mut client = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Json));
    client.hello(ALL_ROLES, "client");
    drop(client);
    eventually("it says more", || log().contains("DEBUG"));
    let refusal = on(json!({"level": "crossbar_cluster=loud"})).expect_err("it is refused");
    assert!(refusal.contains("is no log level"), "{refusal}");
}

#[test]
fn a_drained_node_lets_its_clients_go_one_by_one_and_can_be_taken_back() {
    let mut cluster = Cluster::start_with_agents(vec![0; 2], Setup::default());
    let mut callee = cluster.node(1).join("callee");
    callee.register("com.shared", r#"{"invoke": "roundrobin"}"#, "one");
    let mut other = cluster.node(2).join("other");
    other.register("com.shared", r#"{"invoke": "roundrobin"}"#, "two");
    let mut caller = cluster.node(2).join("caller");
    eventually("both are there", || cluster.master().status()["totals"]["nodes_up"] == 2);
    // A call is under way when the drain begins.
    while !callee.has_arrived() {
        caller.send(r#"[48, #, {}, "com.shared"]"#);
        if !callee.has_arrived() {
            caller.sync();
        }
        if other.has_arrived() {
            let invocation = other.receive();
            let request = invocation[1].as_uint().expect("an id");
            other.send(&format!("[70, {request}, {{}}, [2]]"));
            caller.expect("[50, #, {...}, [2]]");
        }
    }
    assert_eq!(agent(&cluster, 0), "ready up 100%\n");
    cluster.master().command("drain", &json!({"id": "edge1", "seconds": 1.0})).expect("it begins");
    eventually("the balancer is told", || agent(&cluster, 0) == "drain\n");
    eventually("the master sees it", || cluster.master().state("edge1") == "draining");
    assert_eq!(cluster.node(1).admin("/readyz").status, 503);
    // The callee stays as long as it owes an answer.
    callee.expect("[68, 1, $one, {...}]");
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!callee.has_arrived(), "it was sent away in the middle of a call");
    callee.send("[70, 1, {}, [1]]");
    caller.expect("[50, $_, {...}, [1]]");
    callee.expect(r#"[6, {...}, "wamp.close.system_shutdown"]"#);
    for _ in 0..4 {
        // Every call goes to the node that stays.
        caller.send(r#"[48, #, {}, "com.shared"]"#);
        let invocation = other.receive();
        other.send(&format!("[70, {}, {{}}, [2]]", invocation[1].as_uint().expect("an id")));
        caller.expect("[50, #, {...}, [2]]");
    }
    let mut refused = cluster.node(1).connect();
    refused.send(r#"[1, "realm1", {"roles": {"caller": {}}}]"#);
    refused.expect_abort("wamp.close.system_shutdown");

    cluster.master().command("undrain", &json!({"id": "edge1"})).expect("it is taken back");
    eventually("the balancer is told", || agent(&cluster, 0).starts_with("ready up"));
    eventually("the master sees it", || cluster.master().state("edge1") == "up");
    let mut back = cluster.node(1).join("back");
    back.register("com.back", "{}", "back_reg");
    caller.send(r#"[48, #, {}, "com.back"]"#);
    back.expect("[68, 1, $back_reg, {...}]");
}

fn agent(cluster: &Cluster, node: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", cluster.agents[node])).expect("the agent listens");
    let mut line = String::new();
    stream.read_to_string(&mut line).expect("it answers one line");
    line
}

#[test]
fn only_operators_are_let_in_and_nodes_may_not_steer() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    let url = cluster.master().url();
    let as_who = |authid: &str, credential| Client::new(Some(authid.to_owned()), credential);
    let status = |client: &Client| ask(&url, MASTER_REALM, client, "crossbar.master.status", &json!({}));
    let ticket = |ticket: &str| Credential::Ticket(Secret::new(ticket));
    assert!(status(&as_who("alice", ticket("alice-ticket"))).is_ok());
    for stranger in [
        as_who("alice", ticket("guessed")),
        as_who("operator", Credential::Cryptosign(SecretKey::from_seed([9; 32]))),
        Client::program("operator", SecretKey::from_seed([9; 32]), Purpose::Operate),
        Client::program("edge1", SecretKey::from_seed([9; 32]), Purpose::Report),
        Client::new(None, Credential::Anonymous),
    ] {
        let refusal = status(&stranger).expect_err("it is refused");
        assert!(refusal.contains("refused: wamp.error."), "{refusal}");
    }
    let key = cluster.node_key(1);
    let node = Client::program("edge1", key, Purpose::Report);
    let refusal = ask(&url, MASTER_REALM, &node, "crossbar.master.drain", &json!({"id": "edge1"}));
    let refusal = refusal.expect_err("a node does not steer");
    assert!(refusal.contains("crossbar.master.drain is not for node.edge1"), "{refusal}");
}

/// What an operator or a node tells is bounded like what a client sends.
#[test]
fn numbers_and_texts_out_of_range_are_refused() {
    let cluster = Cluster::start_mastered(vec![0; 2], Setup::default());
    eventually("both are there", || cluster.master().status()["totals"]["nodes_up"] == 2);
    let refusal = |procedure: &str, kwargs: Value| {
        cluster.master().ask(procedure, &kwargs).expect_err(&format!("{procedure} with {kwargs}"))
    };
    for rate in [1e-300, 0.0, -1.0, 1e300] {
        let refusal = refusal("crossbar.master.rebalance", json!({"rate": rate}));
        assert!(refusal.contains("it must be between 0.1 and 100000"), "{refusal}");
    }
    for seconds in [-1.0, 1e300, 86_401.0] {
        for procedure in ["crossbar.master.drain", "crossbar.node.edge1.shed", "crossbar.node.edge1.drain"] {
            let kwargs = match procedure {
                "crossbar.master.drain" => json!({"id": "edge1", "seconds": seconds}),
                "crossbar.node.edge1.shed" => json!({"sessions": 1, "seconds": seconds}),
                _ => json!({"seconds": seconds}),
            };
            let refusal = refusal(procedure, kwargs);
            assert!(refusal.contains("it must be between 0 and 86400"), "{procedure}: {refusal}");
        }
    }
    let long = "x".repeat(300_000);
    for (procedure, kwargs) in [
        ("crossbar.node.edge1.log_level", json!({"level": long})),
        ("crossbar.node.edge1.trace_start", json!({"topic": long})),
        ("crossbar.node.edge1.kick", json!({"session": 1, "reason": long})),
        ("crossbar.master.node_remove", json!({"id": long})),
    ] {
        let refusal = refusal(procedure, kwargs);
        assert!(refusal.contains("has 300000 bytes, 1024 are allowed"), "{procedure}: {}", &refusal[..200]);
    }
    let kick = refusal("crossbar.node.edge1.kick", json!({"session": 1, "reason": "not a uri"}));
    assert!(kick.contains("it must be a URI"), "{kick}");
}

#[test]
fn who_steers_is_in_the_log_with_what_came_of_it() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    eventually("it is there", || cluster.master().state("edge1") == "up");
    cluster.master().ask("crossbar.node.edge1.kick", &json!({"session": 4711})).expect("nobody is ended");
    cluster.master().command("drain", &json!({"id": "edge9"})).expect_err("there is no such node");
    cluster.master().command("status", &json!({})).expect("it is told");
    cluster.master().ask("crossbar.node.edge1.log_level", &json!({"level": null})).expect("it is told");
    cluster
        .master()
        .ask("crossbar.node.edge1.shed", &json!({"sessions": 1, "seconds": -1}))
        .expect_err("it is refused");
    let log = cluster.master().process().log();
    let line = log.lines().find(|line| line.contains("asked for crossbar.master.drain")).expect("it is logged");
    for part in ["operator at tcp4:127.0.0.1:", "edge9", "there is no node"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!log.contains("asked for crossbar.master.status"), "who only looks is not logged");
    let log = cluster.routers[0].as_ref().expect("it runs").edge.log();
    let line = log.lines().find(|line| line.contains("asked for crossbar.node.edge1.kick")).expect("it is logged");
    assert!(line.contains("operator at the master") && line.contains("4711"), "{line}");
    assert!(!log.contains("asked for crossbar.node.edge1.log_level"), "who only asks what is logged is not logged");
    let line = log.lines().find(|line| line.contains("asked for crossbar.node.edge1.shed")).expect("it is logged");
    assert!(line.contains("seconds = -1"), "it was refused: {line}");
}

#[test]
fn a_node_without_a_master_is_asked_on_its_admin_port_by_who_has_its_key() {
    let mut cluster = Cluster::start(1, Setup::default());
    let _client = cluster.node(1).join("client");
    let key = cluster.node_key(1);
    let router: &Router = cluster.node(1);
    let url = router.edge.url("http").replace("http", "ws") + "ws";
    let operator = Client::program(OPERATOR_ROLE, key, Purpose::Operate);
    let on = |procedure: &str| ask(&url, NODE_REALM, &operator, procedure, &json!({}));
    assert_eq!(on("crossbar.node.edge1.status").expect("it is told")["sessions"], 1);
    let refusal = on("crossbar.node.edge2.status").expect_err("it is another node");
    assert!(refusal.contains("this node answers crossbar.node.edge1.*"), "{refusal}");
    let stranger = Client::program(OPERATOR_ROLE, SecretKey::from_seed([9; 32]), Purpose::Operate);
    let refusal = ask(&url, NODE_REALM, &stranger, "crossbar.node.edge1.status", &json!({}));
    assert!(refusal.expect_err("it is refused").contains("wamp.error."), "whoever has no key is refused");
    let started = Instant::now();
    on("crossbar.node.edge1.drain").expect("it begins");
    eventually("its clients go", || on("crossbar.node.edge1.status").expect("it is told")["sessions"] == 0);
    println!("drained after {:?}", started.elapsed());
}
