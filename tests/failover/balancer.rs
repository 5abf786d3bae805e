//! What edges tell HAProxy, with each version that the shipped configuration is for: who is nearly full gets fewer
//! clients and never none, what an operator orders in HAProxy stays, and everybody sees who is not offered clients.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::haproxy::{VERSIONS, program_of};
use crate::harness::io::Endpoint;
use crate::harness::router::{Router, Setup, endpoint_of, eventually};
use crate::stack::{ALL, Stack};
use crossbar_cluster::wire::Serializer;
use serde_json::{Value, json};

/// How many connections an edge takes.
const LIMIT: usize = 500;
/// So many sessions come through HAProxy, the rest directly.
const THROUGH_HAPROXY: usize = 1_000;

/// One stack after the other, each behind another version; those that are not there are left out.
fn behind_every_version(setup: &Setup, scene: impl Fn(Stack)) {
    for version in VERSIONS {
        let Some(program) = program_of(version) else { continue };
        println!("HAProxy {version}");
        scene(Stack::start_with_agents(&program, setup.clone()));
    }
}

#[test]
fn clients_are_served_up_to_the_edges_limit() {
    let setup = Setup { limits: "connections_max = 500\nhandshake_timeout = \"1m\"", ..Setup::default() };
    behind_every_version(&setup, |stack| {
        let door = stack.haproxy.endpoint();
        let direct: Vec<Endpoint> = stack.living().map(|router| endpoint_of(router.edge.url("ws"))).collect();
        let mut sessions: Vec<Client> = Vec::new();
        for percent in [1, 50, 99] {
            let wanted = ALL.len() * LIMIT * percent / 100;
            while sessions.len() < wanted {
                let n = sessions.len();
                let endpoint = if n < THROUGH_HAPROXY { &door } else { &direct[n % direct.len()] };
                sessions.push(open(endpoint));
            }
            let expected = if percent == 99 { "25" } else { "100" };
            for edge in ALL {
                eventually("HAProxy knows how full the edge is", || {
                    stack.haproxy.statistic(edge, "weight") == expected
                });
            }
            // More than one for each edge: nobody is turned away.
            let more: Vec<(Client, String)> = (0..6).map(|_| stack.join()).collect();
            let spread: Vec<&str> = more.iter().map(|(_, node)| node.as_str()).collect();
            println!("at {percent} % new clients come to {spread:?}");
        }
        drop(sessions);
        for edge in ALL {
            eventually("whoever is empty again has its whole weight", || {
                stack.haproxy.statistic(edge, "weight") == "100"
            });
        }
    });
}

fn open(endpoint: &Endpoint) -> Client {
    let mut client =
        Client::open(endpoint.connect(), Via::new(Carrier::WebSocket, Serializer::Cbor), Default::default());
    client.send(r#"[1, "realm1", {"roles": {"subscriber": {}}}]"#);
    client.receive();
    client
}

#[test]
fn what_an_operator_orders_in_haproxy_stays() {
    behind_every_version(&Setup::default(), |stack| {
        let say_nothing_new = || stack.living().all(|router| balancer_of(router)["answer"] == "up");
        eventually("the edges have told their news", say_nothing_new);
        for order in ["edge1 state drain", "edge2 state maint", "edge3 weight 30"] {
            let answer = stack.haproxy.command(&format!("set server crossbar_nodes/{order}"));
            assert_eq!(answer.trim(), "", "{order}");
        }
        let stays = || {
            assert!(stack.haproxy.statistic(1, "status").starts_with("DRAIN"));
            assert!(stack.haproxy.statistic(2, "status").starts_with("MAINT"));
            assert_eq!(stack.haproxy.statistic(3, "weight"), "30");
        };
        let before: Vec<u64> = stack.living().map(n_answers).collect();
        eventually("each edge has been asked often", || {
            stays();
            stack.living().zip(&before).all(|(router, before)| n_answers(router) >= before + 8)
        });
        assert!(say_nothing_new());
        // An edge that was drained by its own operator takes its place back itself.
        let master = stack.cluster.master();
        master.command("drain", &json!({"id": "edge1", "seconds": 0.1})).expect("it begins");
        eventually("it is told", || stack.only(&[1]).all(|router| balancer_of(router)["answer"] == "drain"));
        stays();
        master.command("undrain", &json!({"id": "edge1"})).expect("it is taken back");
        eventually("it gets clients again", || stack.haproxy.is_up(1));
        assert!(stack.haproxy.statistic(2, "status").starts_with("MAINT"));
    });
}

#[test]
fn everybody_sees_which_edge_is_not_offered_clients() {
    let Some(program) = VERSIONS.iter().rev().find_map(|version| program_of(version)) else { return };
    let Stack { haproxy, cluster, _alone } = Stack::start_with_agents(&program, Setup::default());
    let told = |edge: usize| {
        let status = cluster.master().status();
        let node = status["nodes"].as_array().expect("a list")[edge - 1].clone();
        node["heartbeat"]["status"]["balancer"].clone()
    };
    for edge in ALL {
        eventually("all is well", || told(edge)["answers"].as_u64() > Some(0) && told(edge)["not_offered"].is_null());
    }
    drop(haproxy);
    for edge in ALL {
        eventually("it is said", || {
            told(edge)["not_offered"].as_str().is_some_and(|why| why.starts_with("no load balancer has asked"))
        });
    }
}

/// What an edge says of its load balancer.
fn balancer_of(router: &Router) -> Value {
    let endpoint = endpoint_of(router.edge.url("http"));
    let info = crate::harness::http::fetch(&endpoint, "/info", &[("Accept", "application/json")]);
    serde_json::from_str::<Value>(info.text()).expect("/info is JSON")["balancer"].clone()
}

fn n_answers(router: &Router) -> u64 {
    balancer_of(router)["answers"].as_u64().expect("a number")
}
