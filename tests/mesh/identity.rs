//! Nobody but a link can speak for others, and nobody but a peer can be a link.

use crate::harness::cluster::{Cluster, mesh_of};
use crate::harness::router::{Setup, eventually};

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
fn who_has_the_address_of_a_peer_but_not_its_key_gets_no_link() {
    let mut cluster = Cluster::start(2, Setup::default());
    cluster.kill(2);
    // It would let the other node in, and hear of its clients whatever they subscribe and call.
    cluster.start_impostor(2);
    eventually("it is found out", || {
        let error = mesh_of(cluster.node(1))["links"][0]["last_error"].clone();
        error.as_str().is_some_and(|error| error.contains("is not the expected one"))
    });
    let link = mesh_of(cluster.node(1))["links"][0].clone();
    assert!(link["is_up"] == false && link["is_up_inbound"] == false, "{link}");
    // It dials, too, and is refused.
    eventually("it is counted", || cluster.node(1).drops("authentication_failed") > 0);
}
