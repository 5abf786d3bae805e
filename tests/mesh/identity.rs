//! Nobody but a link can speak for others, and nobody but a peer can be a link.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::Cluster;
use crate::harness::io::Endpoint;
use crate::harness::router::{ALL_ROLES, Setup};
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
