//! A node that does not keep to the rules: it has the key of a node and says on its link whatever a test wants.

use super::cluster::{Cluster, name};
use super::pattern::show;
use crossbar_cluster::auth::client::Client;
use crossbar_cluster::auth::cryptosign;
use crossbar_cluster::auth::cryptosign::PublicKey;
use crossbar_cluster::auth::mutual::{METHOD, Meeting, Party, Purpose, Side};
use crossbar_cluster::transport::connect::{Connected, Target, connect_rawsocket, reach};
use crossbar_cluster::transport::framing::rawsocket_framing;
use crossbar_cluster::transport::stream::Socket;
use crossbar_cluster::transport::{Conversation, Stream};
use crossbar_cluster::wamp::codec::Form;
use crossbar_cluster::wamp::feature;
use crossbar_cluster::wamp::{Message, codec};
use crossbar_cluster::wire::{Dict, Payload, Serializer, Value};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// A link to `realm1` of an edge, held with the key of another node of its cluster.
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
            link.form = Form::Link;
            let details = Dict::new().with("roles", feature::link_roles());
            link.open("realm1", &client, details).await.expect("it is admitted");
            link
        });
        Rogue { runtime, link }
    }

    /// Listens as `edge<node>`, which must not be running, until `edge<by>` has dialed it, and tells that node that it
    /// has neither sessions nor anything retained.
    pub fn listen(cluster: &Cluster, node: usize, by: usize) -> Rogue {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let path = cluster.link_address(node).strip_prefix("unix:").expect("links go over socket files");
        let _ = std::fs::remove_file(path);
        let link = runtime.block_on(async {
            let listener = UnixListener::bind(path).expect("the address is free");
            loop {
                let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it is dialed");
                let (mut socket, _) = accepted.expect("it is dialed");
                let mut octets = [0; 4];
                socket.read_exact(&mut octets).await.expect("a RawSocket handshake");
                socket.write_all(&octets).await.expect("it is answered alike");
                let (inbound, outbound) = rawsocket_framing(1 << 24, 1 << 24);
                let stream = Stream::plain(Socket::Unix(socket));
                let (serializer, leftover) = (Serializer::Cbor, Default::default());
                let mut link = Conversation::new(Connected { stream, inbound, outbound, serializer, leftover });
                link.form = Form::Link;
                let Ok(Message::Hello { realm, details }) = link.receive().await else { panic!("no HELLO came") };
                if details.str("authid") == Some(name(by).as_str()) {
                    admit(&mut link, cluster, node, realm, &details).await;
                    return link;
                }
            }
        });
        let mut rogue = Rogue { runtime, link };
        while rogue.answer_one() != "wamp.link.replayed" {}
        rogue
    }

    /// Answers the next message that wants an answer as a node would that has nothing; gives the procedure of a CALL.
    pub fn answer_one(&mut self) -> String {
        match self.receive() {
            Message::Call { request, procedure, .. } => {
                let args = match procedure.as_str() {
                    "wamp.link.digest" => vec![0u64.into(), 0u64.into()],
                    _ => vec![Value::List(Vec::new()), Value::Null],
                };
                let payload = Payload::from_values(args, Dict::new());
                self.send_message(&Message::Result { request, details: Dict::new(), payload });
                return procedure;
            }
            Message::Subscribe { request, .. } => self.send_message(&Message::Subscribed { request, subscription: 1 }),
            Message::Register { request, .. } => self.send_message(&Message::Registered { request, registration: 1 }),
            _ => {}
        }
        String::new()
    }

    /// The next message that is sent to it.
    pub fn receive(&mut self) -> Message {
        self.runtime.block_on(async {
            let received = tokio::time::timeout(PATIENCE, self.link.receive()).await;
            received.expect("a message comes").expect("the link is up")
        })
    }

    /// Waits until the other side has ended the link; gives the reason of its GOODBYE or ABORT.
    pub fn expect_end(&mut self) -> String {
        self.runtime.block_on(async {
            let mut reason = String::new();
            loop {
                let received = tokio::time::timeout(PATIENCE, self.link.receive()).await.expect("the link ends");
                match received {
                    Ok(Message::Goodbye { reason: told, .. } | Message::Abort { reason: told, .. }) => reason = told,
                    Ok(_) => {}
                    Err(_) => return reason,
                }
            }
        })
    }

    fn send_message(&mut self, message: &Message) {
        self.runtime.block_on(self.link.send(message)).expect("the link is up");
    }

    /// Sends a message, given in JSON.
    pub fn send(&mut self, json: &str) {
        let message = codec::decode(Serializer::Json, json.as_bytes(), 64).expect("a message");
        self.runtime.block_on(self.link.send(&message)).expect("the link is up");
    }

    /// Waits for the answer to the CALL with this request id: its RESULT, or the URI of its ERROR.
    pub fn answer(&mut self, request: u64) -> Result<Vec<Value>, String> {
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

/// Opens the session of a node that has dialed in.
async fn admit(link: &mut Conversation, cluster: &Cluster, node: usize, realm: String, details: &Dict) {
    let extra = details.dict("authextra").expect("it introduces itself");
    let word = |key: &str| extra.str(key).expect("a word").to_owned();
    let dialer = Party {
        id: details.str("authid").expect("an id").to_owned(),
        key: word("pubkey").parse().expect("a key"),
        nonce: cryptosign::parse_challenge(&word("nonce")).expect("a nonce"),
    };
    let key = cluster.node_key(node);
    let listener = Party { id: name(node), key: key.public(), nonce: [7; 32] };
    let meeting = Meeting { purpose: Purpose::Link, realm, dialer, listener, channel_id: None };
    let extra = Dict::new()
        .with("node", name(node))
        .with("pubkey", key.public().to_string())
        .with("nonce", hex::encode([7; 32]))
        .with("signature", meeting.sign(Side::Listener, &key));
    link.send(&Message::Challenge { method: METHOD.to_owned(), extra }).await.expect("the challenge is sent");
    let Ok(Message::Authenticate { .. }) = link.receive().await else { panic!("it is not believed") };
    let details = Dict::new().with("roles", Dict::new().with("broker", Dict::new()).with("dealer", Dict::new()));
    link.send(&Message::Welcome { session: 815, details }).await.expect("it is welcome");
}

const PATIENCE: Duration = Duration::from_secs(30);
