//! Names of peers whose name servers are dead, with name servers of the test's own: on addresses of this machine, on
//! port 53, which takes root.

use crate::harness::Edge;
use crate::harness::cluster::{Cluster, see_resolver};
use crate::harness::io::PATIENCE;
use crate::harness::router::Setup;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Takes questions and never answers.
const DEAD: &str = "127.0.0.177";
/// Knows one host.
const LIVING: &str = "127.0.0.178";

/// A name server that says of every name that it is this machine's, if it says anything.
struct NameServer {
    socket: UdpSocket,
}

impl NameServer {
    fn start(address: &str) -> NameServer {
        NameServer { socket: UdpSocket::bind((address, 53)).expect("port 53 of this address is free") }
    }

    /// Answers as long as the test runs.
    fn answer(self) {
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((n, asker)) = self.socket.recv_from(&mut question) {
                let _ = self.socket.send_to(&answer_to(&question[..n]), asker);
            }
        });
    }
}

/// The answer to a question for an address, of the kind of which there is one: IPv4.
fn answer_to(question: &[u8]) -> Vec<u8> {
    // Behind the head of twelve octets: the labels of the name, a zero, the type and the class.
    let end = 12 + question[12..].iter().position(|octet| *octet == 0).expect("a name ends") + 5;
    let is_ipv4 = question[end - 4..end - 2] == [0, 1];
    let mut answer =
        [&question[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0], &question[12..end]].concat();
    if is_ipv4 {
        // The name above, an address, of the internet, for a second, four octets.
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend_from_slice(&Ipv4Addr::LOCALHOST.octets());
    }
    answer
}

/// A `resolv.conf`; None where the test cannot be made.
fn resolver(directory: &tempfile::TempDir, text: &str) -> Option<PathBuf> {
    if std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() != 0) {
        let is_required = std::env::var_os("CROSSBAR_TEST_CLIENTS").is_some_and(|value| value == "required");
        assert!(!is_required, "name servers of the test take root");
        println!("skipped: name servers of the test take root");
        return None;
    }
    let file = directory.path().join("resolv.conf");
    std::fs::write(&file, text).expect("it is written");
    Some(file)
}

/// The system's resolver asks the first one for longer than a link has for its handshake.
#[test]
fn a_dead_name_server_does_not_prevent_a_link() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let servers = format!("nameserver {DEAD}\nnameserver {LIVING}\noptions timeout:4 attempts:2\n");
    let Some(file) = resolver(&directory, &servers) else { return };
    let _dead = NameServer::start(DEAD);
    NameServer::start(LIVING).answer();
    // Returns when both are linked.
    let mut cluster = Cluster::start_by_name(2, "peer.test", file);
    let mut subscriber = cluster.node(1).join("subscriber");
    let mut publisher = cluster.node(2).join("publisher");
    subscriber.subscribe("com.topic", "{}", "sub");
    publisher.send(r#"[16, #, {}, "com.topic", ["by name"]]"#);
    subscriber.expect(r#"[36, $sub, $_, {...}, ["by name"]]"#);
}

/// The look-up would go on for minutes; the edge is ready before, and ends before.
#[test]
fn an_edge_ends_while_a_look_up_hangs() {
    const HANGING: &str = "127.0.0.179";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = format!("nameserver {HANGING}\noptions timeout:30 attempts:5\n");
    let Some(file) = resolver(&directory, &server) else { return };
    let hanging = NameServer::start(HANGING);
    let state = tempfile::tempdir().expect("a temporary directory");
    let key = crossbar_cluster::config::node_key::read_or_generate(&state.path().join("state"), &mut rand::rng());
    let key = key.expect("a key is made").public();
    let listeners = "[[listen]]\ntype = \"rawsocket\"\naddress = \"127.0.0.1:0\"\npurpose = \"mesh\"\n\
                     serializers = [\"cbor\"]\n";
    let setup = Setup { listeners: listeners.to_owned(), ..Setup::default() };
    let other = crossbar_cluster::auth::cryptosign::SecretKey::from_seed([9; 32]).public();
    let peer = format!("[[mesh.peer]]\nid = \"edge2\"\naddress = \"peer.test:5082\"\npublic_key = \"{other}\"\n");
    assert_ne!(key, other);
    let edge = Edge::start_with(state, &(setup.to_text() + &peer), |command| see_resolver(command, &file));
    let mut asked = [0; 512];
    hanging.socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    hanging.socket.recv_from(&mut asked).expect("the name is looked up");
    assert!(edge.log().contains("without the whole replay of edge2"), "{}", edge.log());
    // It is waited for, but not for as long as the look-up takes.
    edge.stop();
}
