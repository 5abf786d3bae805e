//! Nobody but a link can speak for others, and nobody but a peer can be a link.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::{Cluster, mesh_of};
use crate::harness::io::Endpoint;
use crate::harness::router::{ALL_ROLES, Setup, eventually};
use crossbar_cluster::wire::Serializer;
use std::path::PathBuf;

#[test]
fn a_client_cannot_forge_where_a_message_came_from() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut client = cluster.node(1).join("client");
    let forged = r#""forward_for": [{"session": 7, "authid": "root", "authrole": "admin"}]"#;
    client.send(&format!(r#"[16, #, {{"acknowledge": true, {forged}}}, "com.topic", [1]]"#));
    client.expect(r#"[8, 16, #, {...}, "wamp.error.option_not_allowed", ...]"#);
    client.send(&format!(r#"[48, #, {{{forged}}}, "com.procedure"]"#));
    client.expect(r#"[8, 48, #, {...}, "wamp.error.option_not_allowed", ...]"#);
}

#[test]
fn the_port_of_the_mesh_admits_no_client() {
    let mut cluster = Cluster::start(2, Setup::default());
    let url = cluster.node(1).edge.url("rs+unix").to_owned();
    let path = url.strip_prefix("rs+unix:").expect("a socket file");
    let io = Endpoint::Unix(PathBuf::from(path)).connect();
    let via = Via { carrier: Carrier::RawSocket, serializer: Serializer::Cbor };
    let mut client = Client::open(io, via, cluster.node(1).scope.clone());
    client.send(&format!(r#"[1, "realm1", {ALL_ROLES}]"#));
    client.expect("[3, {...}, $_, ...]");
}

#[test]
fn who_has_the_address_of_a_peer_but_not_its_key_gets_no_link() {
    let mut cluster = Cluster::start(2, Setup::default());
    cluster.kill(2);
    // It would let the other node in, and hear of its clients whatever they subscribe and call.
    cluster.start_impostor(2);
    eventually("it is found out", || {
        let error = mesh_of(cluster.node(1))["links"][0]["last_error"].clone();
        error.as_str().is_some_and(|error| error.contains("did not prove that it has the expected key"))
    });
    let link = mesh_of(cluster.node(1))["links"][0].clone();
    assert!(link["is_up"] == false && link["is_up_inbound"] == false, "{link}");
}
