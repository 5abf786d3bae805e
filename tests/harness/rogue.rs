//! A node that does not keep to the rules: it has the key of a node and says on its link whatever a test wants.

use super::cluster::{Cluster, name};
use super::pattern::show;
use crossbar_cluster::auth::client::Client;
use crossbar_cluster::auth::cryptosign::{self, SecretKey};
use crossbar_cluster::auth::mutual::{METHOD, Meeting, Party, Purpose, Side};
use crossbar_cluster::transport::Conversation;
use crossbar_cluster::transport::connect::{ConnectError, Connected, Target, connect_rawsocket, reach};
use crossbar_cluster::transport::framing::rawsocket_framing;
use crossbar_cluster::transport::node_tls::{self, LINK_ALPN};
use crossbar_cluster::transport::plumbing::Plumbing;
use crossbar_cluster::transport::stream::Socket;
use crossbar_cluster::wamp::codec::Form;
use crossbar_cluster::wamp::feature;
use crossbar_cluster::wamp::{Message, codec};
use crossbar_cluster::wire::{Dict, Payload, Serializer, Value};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A link to `realm1` of an edge, held with the key of another node of its cluster.
pub struct Rogue {
    runtime: Runtime,
    link: Conversation,
}

impl Rogue {
    /// Dials `edge<to>` as `edge<node>`, which must not be running.
    pub fn dial(cluster: &Cluster, node: usize, to: usize) -> Rogue {
        let runtime = new_runtime();
        let client = Client::program(name(node), cluster.node_key(node), Purpose::Link);
        let client = client.expect(Some(&name(to)), Some(cluster.node_key(to).public()));
        let link = runtime.block_on(async {
            let secured = secured(cluster, &cluster.node_key(node), LINK_ALPN, to).await;
            let mut link = secured.expect("its key is admitted");
            let details = Dict::new().with("roles", feature::link_roles());
            link.open("realm1", &client, details).await.expect("it is admitted");
            link
        });
        Rogue { runtime, link }
    }

    /// Listens as `edge<node>`, which must not be running, until `edge<by>` has dialed it, and tells that node that it
    /// has neither sessions nor anything retained.
    pub fn listen(cluster: &Cluster, node: usize, by: usize) -> Rogue {
        let runtime = new_runtime();
        let link = runtime.block_on(async {
            let listener = bind(cluster, node);
            let mut link = accept(&listener, cluster, node, by).await;
            let Ok(Message::Hello { realm, details }) = link.receive().await else { panic!("no HELLO came") };
            admit(&mut link, cluster, node, realm, &details).await;
            link
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

pub fn new_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Dials `edge<to>` and shows this key; what comes behind TLS and RawSocket is still to be said.
pub async fn secured(cluster: &Cluster, key: &SecretKey, alpn: &[u8], to: usize) -> Result<Conversation, ConnectError> {
    let target: Target = cluster.link_address(to).parse().expect("an address");
    let tls = node_tls::client_config(key, cluster.node_key(to).public(), alpn).expect("the key is of use");
    let secured = reach(&target).await?.secure_node(tls).await?;
    let mut link = connect_rawsocket(secured, Serializer::Cbor, 1 << 24).await.map(Conversation::new)?;
    link.form = Form::Link;
    Ok(link)
}

/// Listens at the address of `edge<node>`, which must not be running.
pub fn bind(cluster: &Cluster, node: usize) -> UnixListener {
    let path = cluster.link_address(node).strip_prefix("unix:").expect("links go over socket files");
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).expect("the address is free")
}

/// Waits until `edge<by>` has dialed, and shows it the key of `edge<node>`; its HELLO comes next.
pub async fn accept(listener: &UnixListener, cluster: &Cluster, node: usize, by: usize) -> Conversation {
    let admitted = vec![cluster.node_key(by).public()];
    let tls = node_tls::server_config(&cluster.node_key(node), admitted, LINK_ALPN).expect("the key is of use");
    loop {
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it is dialed");
        let (socket, _) = accepted.expect("it is dialed");
        let Plumbing::Plain(plain) = Plumbing::plain(Socket::Unix(socket)) else { unreachable!("it is plain") };
        // Other nodes dial as well, and are sent away.
        let Ok(secured) = TlsAcceptor::from(tls.clone()).accept(plain).await else { continue };
        let mut plumbing = Plumbing::Tls(Box::new(secured.into()));
        let mut octets = [0; 4];
        plumbing.read_exact(&mut octets).await.expect("a RawSocket handshake");
        plumbing.write_all(&octets).await.expect("it is answered alike");
        plumbing.flush().await.expect("it is answered alike");
        let (inbound, outbound) = rawsocket_framing(1 << 24, 1 << 24);
        let (stream, leftover) = plumbing.into_stream();
        let serializer = Serializer::Cbor;
        let mut link = Conversation::new(Connected { stream, inbound, outbound, serializer, leftover });
        link.form = Form::Link;
        return link;
    }
}

/// Opens the session of a node that has dialed in.
async fn admit(link: &mut Conversation, cluster: &Cluster, node: usize, realm: String, details: &Dict) {
    let challenge = challenge(link, cluster, node, realm, details);
    link.send(&challenge).await.expect("the challenge is sent");
    let Ok(Message::Authenticate { .. }) = link.receive().await else { panic!("it is not believed") };
    let details = Dict::new().with("roles", Dict::new().with("broker", Dict::new()).with("dealer", Dict::new()));
    link.send(&Message::Welcome { session: 815, details }).await.expect("it is welcome");
}

/// The CHALLENGE by which `edge<node>` proves itself to whoever has said this HELLO on the link.
pub fn challenge(link: &Conversation, cluster: &Cluster, node: usize, realm: String, hello: &Dict) -> Message {
    let extra = hello.dict("authextra").expect("it introduces itself");
    let word = |key: &str| extra.str(key).expect("a word").to_owned();
    let dialer = Party {
        id: hello.str("authid").expect("an id").to_owned(),
        key: word("pubkey").parse().expect("a key"),
        nonce: cryptosign::parse_challenge(&word("nonce")).expect("a nonce"),
    };
    let key = cluster.node_key(node);
    let listener = Party { id: name(node), key: key.public(), nonce: [7; 32] };
    let meeting = Meeting { purpose: Purpose::Link, realm, dialer, listener, channel_id: link.stream.channel_id() };
    let extra = Dict::new()
        .with("node", name(node))
        .with("pubkey", key.public().to_string())
        .with("nonce", hex::encode([7; 32]))
        .with("signature", meeting.sign(Side::Listener, &key));
    Message::Challenge { method: METHOD.to_owned(), extra }
}

const PATIENCE: Duration = Duration::from_secs(30);
