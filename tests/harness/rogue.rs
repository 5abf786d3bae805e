//! A node that does not keep to the rules: it has the key of a node and says on its link whatever a test wants.

use super::cluster::{Cluster, name};
use super::pattern::show;
use crossbar_cluster::auth::client::Client;
use crossbar_cluster::auth::cryptosign::PublicKey;
use crossbar_cluster::auth::mutual::Purpose;
use crossbar_cluster::transport::Conversation;
use crossbar_cluster::transport::connect::{Target, connect_rawsocket, reach};
use crossbar_cluster::wamp::feature;
use crossbar_cluster::wamp::{Message, codec};
use crossbar_cluster::wire::{Dict, Serializer};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A link to `realm1` of an edge, dialed with the key of another node of its cluster.
pub struct Rogue {
    runtime: Runtime,
    link: Conversation,
}

impl Rogue {
    /// Dials `edge<to>` as `edge<node>`, which must not be running.
    pub fn dial(cluster: &Cluster, node: usize, to: usize) -> Rogue {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let target: Target = cluster.link_address(to).parse().expect("an address");
        let key: PublicKey = cluster.node_key(to).public();
        let client = Client::program(name(node), cluster.node_key(node), Purpose::Link);
        let client = client.expect(Some(&name(to)), Some(key));
        let link = runtime.block_on(async {
            let reached = reach(&target).await.expect("its address can be reached");
            let connected = connect_rawsocket(reached, Serializer::Cbor, 1 << 24).await.expect("it listens for links");
            let mut link = Conversation::new(connected);
            let details = Dict::new().with("roles", feature::link_roles());
            link.open("realm1", &client, details).await.expect("it is admitted");
            link
        });
        Rogue { runtime, link }
    }

    /// Sends a message, given in JSON.
    pub fn send(&mut self, json: &str) {
        let message = codec::decode(Serializer::Json, json.as_bytes(), 64).expect("a message");
        self.runtime.block_on(self.link.send(&message)).expect("the link is up");
    }

    /// Waits for the answer to the CALL with this request id: its RESULT, or the URI of its ERROR.
    pub fn answer(&mut self, request: u64) -> Result<Vec<crossbar_cluster::wire::Value>, String> {
        self.runtime.block_on(async {
            loop {
                let received = tokio::time::timeout(PATIENCE, self.link.receive()).await.expect("an answer comes");
                match received.expect("the link is up") {
                    Message::Result { request: answered, payload, .. } if answered == request => {
                        return Ok(payload.args().expect("it can be read"));
                    }
                    Message::Error { request: answered, error, .. } if answered == request => return Err(error),
                    _ => {}
                }
            }
        })
    }

    /// Calls a procedure of the meta API for a client with these words about it; see `answer`.
    pub fn call_for(&mut self, request: u64, client: &str, procedure: &str, args: &str) -> Result<String, String> {
        self.send(&format!(r#"[48,{request},{{"forward_for":[{client}]}},"{procedure}",{args}]"#));
        self.answer(request).map(|args| show(&args))
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
