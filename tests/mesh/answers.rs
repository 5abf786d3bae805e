//! Answers of authorizers that are kept can be taken back, on all nodes at once, and what rests on them with them.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::Cluster;
use crate::harness::router::{ALL_ROLES, Setup, endpoint_of};
use crossbar_cluster::wire::{Dict, Serializer, Value};

const WEBSOCKET: Via = Via::new(Carrier::WebSocket, Serializer::Json);
const JUDGED: &str = "[[realm.role]]\nname = \"judged\"\nauthorizer = \"com.authorize\"\n";

/// A client of the role about which the authorizer decides.
fn judged(cluster: &mut Cluster, node: usize, name: &str) -> Client {
    let router = cluster.node(node);
    let endpoint = endpoint_of(router.edge.nth_url("ws", 1));
    let mut client = Client::open(endpoint.connect(), WEBSOCKET, router.scope.clone());
    client.hello(ALL_ROLES, name);
    client
}

fn start() -> Cluster {
    let listeners =
        "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\n[listen.auth.anonymous]\nrole = \"judged\"\n";
    let setup = Setup {
        listeners: listeners.to_owned(),
        rules: JUDGED,
        limits: "authorizer_cache_ttl = \"10m\"",
        ..Setup::default()
    };
    Cluster::start(2, setup)
}

/// Answers what the authorizer is asked, to be kept, until it has been asked `n` times and has got its RESULT if it
/// waits for one. Gives that, and who wanted what.
fn answer(
    judge: &mut Client,
    n: usize,
    is_called: bool,
    may: impl Fn(u64, &str) -> bool,
) -> (Option<Value>, Vec<String>) {
    let (mut result, mut asked) = (None, Vec::new());
    while asked.len() < n || is_called && result.is_none() {
        let message = judge.receive();
        if message[0] == Value::Uint(50) {
            result = Some(message[3].clone());
            continue;
        }
        assert_eq!(message[0], Value::Uint(68), "{message:?}");
        let args = message[4].as_list().expect("arguments");
        let session = args[0].as_dict().and_then(|details| details.uint("session")).expect("a session");
        let (uri, action) = (args[1].as_str().expect("a URI"), args[2].as_str().expect("an action"));
        asked.push(format!("{action} {uri}"));
        let allow = may(session, action);
        let verdict = Dict::new().with("allow", allow).with("cache", true);
        judge.send_message(&[70u64.into(), message[1].clone(), Dict::new().into(), Value::List(vec![verdict.into()])]);
    }
    asked.sort();
    (result, asked)
}

#[test]
fn what_rests_on_answers_that_are_forgotten_is_asked_about_again_on_every_node() {
    let mut cluster = start();
    let mut judge = cluster.node(1).join("judge");
    judge.register("com.authorize", "{}", "judge_reg");
    let (mut a, mut b) = (judged(&mut cluster, 1, "a"), judged(&mut cluster, 2, "b"));
    for (client, name) in [(&mut a, "a_sub"), (&mut b, "b_sub")] {
        client.send(r#"[32, #, {}, "com.topic"]"#);
        assert_eq!(answer(&mut judge, 1, false, |_, _| true).1, ["subscribe com.topic"]);
        client.expect(&format!("[33, #, ${name}]"));
    }
    b.send(r#"[64, #, {}, "com.procedure"]"#);
    answer(&mut judge, 1, false, |_, _| true);
    b.expect("[65, #, $b_reg]");
    // What is kept is not asked about again.
    b.send(r#"[32, #, {}, "com.topic"]"#);
    b.expect("[33, #, $b_sub]");

    let b_session = b.id("b");
    judge.send(r#"[48, #, {}, "wamp.authorization.forget", [], {"authrole": "judged"}]"#);
    let (result, asked) = answer(&mut judge, 3, true, |session, action| session != b_session || action == "register");
    assert_eq!(asked, ["register com.procedure", "subscribe com.topic", "subscribe com.topic"]);
    assert_eq!(result, Some(Value::List(vec![3u64.into()])), "so much rested on them");
    b.expect(r#"[35, 0, {"subscription": $b_sub, "reason": "wamp.error.not_authorized"}]"#);
    judge.send(r#"[16, #, {"acknowledge": true}, "com.topic", ["still"]]"#);
    judge.expect("[17, #, $_]");
    a.expect(r#"[36, $a_sub, $_, {}, ["still"]]"#);
    b.expect_nothing();

    // Of one session, about one URI: the new answers are kept, and all others stay.
    judge.send(&format!(
        r#"[48, #, {{}}, "wamp.authorization.forget", [], {{"session": {b_session}, "uri": "com.procedure"}}]"#
    ));
    let (result, asked) = answer(&mut judge, 1, true, |_, _| false);
    assert_eq!((result, asked), (Some(Value::List(vec![1u64.into()])), vec!["register com.procedure".to_owned()]));
    b.expect(r#"[67, 0, {"registration": $b_reg, "reason": "wamp.error.not_authorized"}]"#);
    b.send(r#"[64, #, {}, "com.procedure"]"#);
    b.expect(r#"[8, 64, #, {...}, "wamp.error.not_authorized", ...]"#);
    a.send(r#"[32, #, {}, "com.topic"]"#);
    a.expect("[33, #, $a_sub]");
    judge.expect_nothing();
}

#[test]
fn what_the_authorizer_does_not_answer_about_ends() {
    let mut cluster = start();
    let mut judge = cluster.node(1).join("judge");
    judge.register("com.authorize", "{}", "judge_reg");
    let mut b = judged(&mut cluster, 2, "b");
    b.send(r#"[32, #, {}, "com.topic"]"#);
    answer(&mut judge, 1, false, |_, _| true);
    b.expect("[33, #, $b_sub]");
    let mut other = cluster.node(1).join("other");
    judge.goodbye();
    other.call("wamp.authorization.forget", "", "[1]");
    b.expect(r#"[35, 0, {"subscription": $b_sub, "reason": "wamp.error.authorization_failed"}]"#);
}
