//! How much links carry: all that clients may send by default, whatever becomes of it in the serializer of links; what
//! no link can carry is refused to whoever sends it, and what a client causes costs no link.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::Cluster;
use crate::harness::router::{ALL_ROLES, Setup, eventually};
use crossbar_cluster::wire::{Dict, Serializer, Value};

const JSON: Via = Via::new(Carrier::WebSocket, Serializer::Json);
const CBOR: Via = Via::new(Carrier::WebSocket, Serializer::Cbor);
/// Messages of clients may be larger than any link carries.
const LARGE: &str = "message_bytes_max = \"64MiB\"\noutbox_bytes_max = \"256MiB\"\nlink_outbox_bytes_max = \"256MiB\"";
const MIB: usize = 1 << 20;

fn join(cluster: &mut Cluster, node: usize, via: Via, name: &str) -> Client {
    let mut client = cluster.node(node).connect_via(via);
    client.hello(ALL_ROLES, name);
    client
}

/// A list of numbers that has so many bytes in JSON, and more than twice as many in CBOR.
fn floats(bytes: usize) -> String {
    format!("[{}0.1]", "0.1,".repeat(bytes / 4 - 2))
}

/// Sends a message as it is written, but for the request id.
fn send_text(client: &mut Client, text: &str) {
    let request = client.next_request();
    client.send_bytes(text.replacen('#', &request.to_string(), 1).as_bytes());
}

/// Sends a message with these arguments, which would be long as text.
fn send_with(client: &mut Client, text: &str, args: Vec<Value>) {
    let mut message = client.fill(text);
    message.push(Value::List(args));
    client.send_message(&message);
}

/// More than a link carries, in any serializer.
fn huge() -> Value {
    Value::Bytes(vec![0; 17_000_000])
}

fn n_floats(value: &Value) -> usize {
    value.as_list().map_or(0, <[Value]>::len)
}

/// Every link is what it was: nothing that was said on it has ended it.
fn assert_links_have_held(cluster: &mut Cluster, nodes: &[usize]) {
    for node in nodes {
        let router = cluster.node(*node);
        let log = router.edge.log();
        assert!(!log.contains("link lost"), "node {node} has lost a link:\n{log}");
    }
}

#[test]
fn what_grows_in_the_serializer_of_links_arrives() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut here = join(&mut cluster, 1, JSON, "here");
    let mut there = join(&mut cluster, 2, JSON, "there");
    for bytes in [520_000, MIB - 1_000] {
        let floats = floats(bytes);
        let n = floats.split(',').count();
        there.subscribe("com.topic", "{}", "sub");
        send_text(&mut here, &format!(r#"[16, #, {{"acknowledge": true}}, "com.topic", {floats}]"#));
        here.expect("[17, #, $_]");
        assert_eq!(n_floats(&there.receive()[4]), n, "EVENT");
        there.register("com.work", "{}", "reg");
        send_text(&mut here, &format!(r#"[48, #, {{"receive_progress": true}}, "com.work", {floats}]"#));
        let invocation = there.receive();
        assert_eq!(n_floats(&invocation[4]), n, "INVOCATION");
        let request = invocation[1].as_uint().expect("an id");
        for options in [r#"{"progress": true}"#, r#"{"progress": true}"#, "{}"] {
            there.send_bytes(format!("[70, {request}, {options}, {floats}]").as_bytes());
            assert_eq!(n_floats(&here.receive()[3]), n, "RESULT {options}");
        }
        send_text(&mut here, r#"[48, #, {}, "com.work"]"#);
        let request = there.receive()[1].as_uint().expect("an id");
        there.send_bytes(format!(r#"[8, 68, {request}, {{}}, "com.error.mine", {floats}]"#).as_bytes());
        let error = here.receive();
        assert_eq!((error[4].as_str(), n_floats(&error[5])), (Some("com.error.mine"), n), "ERROR");
        send_text(&mut here, r#"[48, #, {}, "com.work"]"#);
        there.expect("[68, $_, $reg, {...}]");
        here.send(r#"[49, 4, {"mode": "killnowait"}]"#);
        here.expect(r#"[8, 48, $_, {...}, "wamp.error.canceled", ...]"#);
        there.expect("[69, $_, {...}]");
        (here, there) = (join(&mut cluster, 1, JSON, "here"), join(&mut cluster, 2, JSON, "there"));
    }
    assert_links_have_held(&mut cluster, &[1, 2]);
}

#[test]
fn what_no_link_carries_is_refused_to_its_sender_and_reaches_nobody() {
    let mut cluster = Cluster::start(2, Setup { limits: LARGE, ..Setup::default() });
    let mut sender = join(&mut cluster, 1, CBOR, "sender");
    let mut near = join(&mut cluster, 1, CBOR, "near");
    let mut far = join(&mut cluster, 2, CBOR, "far");
    near.subscribe("com.topic", "{}", "sub");
    far.subscribe("com.topic", "{}", "sub2");
    far.register("com.work", "{}", "reg");
    for text in [
        r#"[16, #, {"acknowledge": true}, "com.topic"]"#,
        r#"[16, #, {"acknowledge": true, "retain": true}, "com.state"]"#,
        r#"[48, #, {}, "com.work"]"#,
        r#"[48, #, {}, "wamp.session.add_testament"]"#,
    ] {
        let args = match text.contains("testament") {
            true => vec!["com.last".into(), Value::List(vec![huge()]), Value::Dict(Dict::new())],
            false => vec![huge()],
        };
        send_with(&mut sender, text, args);
        sender.expect(r#"[8, $_, #, {...}, "wamp.error.payload_size_exceeded", [$_]]"#);
        sender.unbind(&["_"]);
    }
    send_with(&mut sender, r#"[16, #, {}, "com.topic"]"#, vec![huge()]);
    cluster.node(1).await_drops("publish_refused", 1);
    // A topic that only this node's clients hear has no links in its way.
    send_with(&mut sender, r#"[16, #, {"acknowledge": true}, "com.elsewhere"]"#, vec![huge()]);
    sender.expect("[17, #, $_]");
    sender.send(r#"[16, #, {}, "com.topic", ["fence"]]"#);
    near.expect(r#"[36, $sub, $_, {...}, ["fence"]]"#);
    far.expect(r#"[36, $sub2, $_, {...}, ["fence"]]"#);
    assert_links_have_held(&mut cluster, &[1, 2]);
}

#[test]
fn an_answer_that_no_link_carries_is_a_small_error_to_its_caller() {
    let mut cluster = Cluster::start(2, Setup { limits: LARGE, ..Setup::default() });
    let mut caller = join(&mut cluster, 1, JSON, "caller");
    let mut callee = join(&mut cluster, 2, CBOR, "callee");
    callee.register("com.work", "{}", "reg");
    for (answer, error) in [
        ("[70, $call, {}]", "wamp.error.payload_size_exceeded"),
        (r#"[8, 68, $call, {}, "com.error.mine"]"#, "com.error.mine"),
    ] {
        caller.send(r#"[48, #, {}, "com.work"]"#);
        callee.expect("[68, $call, $reg, {...}]");
        send_with(&mut callee, answer, vec![huge()]);
        caller.expect(&format!("[8, 48, #, {{...}}, {error:?}, [$_]]"));
        caller.unbind(&["_", "call"]);
    }
    // A part of a result ends the call: the callee is told to stop, and what it says then is for nobody.
    caller.send(r#"[48, #, {"receive_progress": true}, "com.work"]"#);
    callee.expect("[68, $call, $reg, {...}]");
    callee.send(r#"[70, $call, {"progress": true}, ["one"]]"#);
    caller.expect(r#"[50, #, {"progress": true}, ["one"]]"#);
    send_with(&mut callee, r#"[70, $call, {"progress": true}]"#, vec![huge()]);
    caller.expect(r#"[8, 48, #, {...}, "wamp.error.payload_size_exceeded", [$_]]"#);
    callee.expect("[69, $call, {...}]");
    callee.send(r#"[70, $call, {}, ["late"]]"#);
    caller.unbind(&["call"]);
    caller.send(r#"[48, #, {}, "com.work"]"#);
    callee.expect("[68, $call, $reg, {...}]");
    callee.send(r#"[70, $call, {}, ["next"]]"#);
    caller.expect(r#"[50, #, {}, ["next"]]"#);
    assert_links_have_held(&mut cluster, &[1, 2]);
}

#[test]
fn retained_events_of_all_sizes_reach_a_node_that_comes_back() {
    let mut cluster = Cluster::start(2, Setup { limits: LARGE, ..Setup::default() });
    cluster.kill(2);
    let mut json = join(&mut cluster, 1, JSON, "json");
    let retain = r#"{"acknowledge": true, "retain": true}"#;
    for n in 0..250 {
        send_text(&mut json, &format!(r#"[16, #, {retain}, "com.state.{n:03}", {}]"#, floats(4_000)));
        json.expect("[17, #, $_]");
    }
    send_text(&mut json, &format!(r#"[16, #, {retain}, "com.state.large", {}]"#, floats(MIB)));
    json.expect("[17, #, $_]");
    let mut publisher = join(&mut cluster, 1, CBOR, "publisher");
    // One topic for many audiences, which are more together than a message carries; the last is for everybody here.
    for n in 0..16u64 {
        let audience = format!(r#""eligible_authrole": ["anonymous", "r{n}"], "retain""#);
        let options = retain.replacen("\"retain\"", &audience, 1);
        let args = vec![n.into(), Value::Bytes(vec![0; 5 * MIB / 4])];
        send_with(&mut publisher, &format!(r#"[16, #, {options}, "com.state.many"]"#), args);
        publisher.expect("[17, #, $_]");
    }
    // No other node is there to whom it would have to go.
    send_with(&mut publisher, &format!(r#"[16, #, {retain}, "com.state.huge"]"#), vec![huge()]);
    publisher.expect("[17, #, $_]");
    cluster.restart(2);
    eventually("all retained events are there", || {
        let mut late = join(&mut cluster, 2, CBOR, "late");
        late.subscribe("com.state.", r#"{"match": "prefix", "get_retained": true}"#, "sub");
        late.sync();
        let mut topics = Vec::new();
        while let Some(event) = late.take_received() {
            let topic = event[3].as_dict().and_then(|details| details.str("topic")).expect("it was a pattern");
            let first = event[4].as_list().map(|args| args[0].clone());
            topics.push((topic.to_owned(), first));
        }
        let is_last =
            |(topic, first): &(String, Option<Value>)| topic.ends_with("many") && *first == Some(15u64.into());
        topics.len() == 252 && topics.iter().any(is_last) && !topics.iter().any(|(topic, _)| topic.ends_with("huge"))
    });
    cluster.node(1).await_drops("receiver_limit", 1);
    assert_links_have_held(&mut cluster, &[2]);
}

#[test]
fn testaments_of_all_sizes_reach_a_node_that_comes_back_and_outlive_their_own() {
    let limits = "outbox_bytes_max = \"64MiB\"";
    let mut cluster = Cluster::start(2, Setup { limits, ..Setup::default() });
    cluster.kill(2);
    // So many sessions, each with so many testaments of so many bytes.
    let scenes = [(120, 1, 12_000), (1, 3, 400_000), (1, 17, 1_000_000)];
    let mut clients = Vec::new();
    for (n_sessions, n, bytes) in scenes {
        let last =
            format!(r#"[48, #, {{}}, "wamp.session.add_testament", ["com.last", ["{}"], {{}}]]"#, "x".repeat(bytes));
        for _ in 0..n_sessions {
            let mut client = join(&mut cluster, 1, JSON, "client");
            for _ in 0..n {
                send_text(&mut client, &last);
                client.expect("[50, #, {}]");
            }
            clients.push(client);
        }
    }
    let n_bytes: usize = scenes.iter().map(|(n_sessions, n, bytes)| n_sessions * n * bytes).sum();
    cluster.restart(2);
    let bytes_in = "crossbar_bytes_total{direction=\"in\"}";
    eventually("all testaments are fetched", || cluster.node(2).metric(bytes_in) >= n_bytes as u64);
    let mut survivor = join(&mut cluster, 2, CBOR, "survivor");
    survivor.subscribe("com.last", "{}", "sub");
    // Its answer comes on the link behind what was fetched.
    survivor.call("wamp.session.count", "", "[$_]");
    cluster.kill(1);
    let mut heard = std::collections::BTreeMap::new();
    for _ in 0..120 + 3 + 17 {
        let event = survivor.receive();
        let text = event[4].as_list().and_then(|args| args[0].as_str()).expect("a text");
        *heard.entry(text.len()).or_insert(0) += 1;
    }
    assert_eq!(heard, [(12_000, 120), (400_000, 3), (1_000_000, 17)].into());
    survivor.expect_nothing();
}

#[test]
fn testaments_of_a_session_that_is_told_of_by_notices_outlive_their_node() {
    let limits = "outbox_bytes_max = \"64MiB\"\nmessage_depth_max = 100";
    let mut cluster = Cluster::start(2, Setup { limits, ..Setup::default() });
    let mut survivor = join(&mut cluster, 2, CBOR, "survivor");
    survivor.subscribe("com.last", "{}", "sub");
    let mut client = join(&mut cluster, 1, JSON, "client");
    for n in 0..17 {
        let text = "x".repeat(1_000_000);
        send_text(
            &mut client,
            &format!(r#"[48, #, {{}}, "wamp.session.add_testament", ["com.last", [{n}, "{text}"], {{}}]]"#),
        );
        client.expect("[50, #, {}]");
    }
    // Links nest what a client has sent a little deeper than the client may.
    let nested = format!("{}{}", "[".repeat(97), "]".repeat(97));
    let options = format!(r#"{{"scope": "detached", "publish_options": {{"x": {nested}}}}}"#);
    client
        .send(&format!(r#"[48, #, {{}}, "wamp.session.add_testament", ["com.last", ["detached"], {{}}], {options}]"#));
    client.expect("[50, #, {}]");
    client.send(r#"[48, #, {}, "wamp.session.flush_testaments", [], {"scope": "detached"}]"#);
    client.expect("[50, #, {}, [1]]");
    // Its answer comes on the link behind the notices.
    survivor.call("wamp.session.count", "", "[$_]");
    assert_links_have_held(&mut cluster, &[1, 2]);
    cluster.kill(1);
    for n in 0..17 {
        survivor.expect(&format!("[36, $sub, $_, {{...}}, [{n}, $_]]"));
        survivor.unbind(&["_"]);
    }
    survivor.expect_nothing();
}

#[test]
fn what_one_client_says_often_costs_no_link_and_is_answered() {
    // Much less than all answers together.
    let limits = "link_outbox_bytes_max = \"4MiB\"";
    let mut cluster = Cluster::start(2, Setup { limits, ..Setup::default() });
    let mut far = join(&mut cluster, 2, CBOR, "far");
    for n in 0..5_000 {
        far.send(&format!(r#"[32, #, {{}}, "com.topic.{n}"]"#));
    }
    for _ in 0..5_000 {
        far.expect("[33, $_, $_]");
        far.unbind(&["_"]);
    }
    for carrier in [Carrier::Batched, Carrier::RawSocket] {
        let mut client = join(&mut cluster, 1, Via::new(carrier, Serializer::Cbor), "client");
        let testament = "x".repeat(500_000);
        for _ in 0..20 {
            client
                .send(&format!(r#"[48, #, {{}}, "wamp.session.add_testament", ["com.last", ["{testament}"], {{}}]]"#));
            client.expect("[50, #, {}]");
        }
        let add = r#"[48, #, {}, "wamp.session.add_testament", ["com.last", [], {}], {"scope": "detached"}]"#;
        let flush = r#"[48, #, {}, "wamp.session.flush_testaments", [], {"scope": "detached"}]"#;
        let list = r#"[48, #, {}, "wamp.subscription.list"]"#;
        let texts: Vec<&str> = [add, flush].repeat(150).into_iter().chain([list].repeat(1_000)).collect();
        if carrier == Carrier::Batched {
            client.send_batch(&texts);
        } else {
            let bytes: Vec<u8> = texts
                .iter()
                .flat_map(|text| {
                    let message = client.fill(text);
                    client.frame(&crate::harness::client::encode(Serializer::Cbor, &message))
                })
                .collect();
            client.write(&bytes);
        }
        for _ in 0..texts.len() {
            let answer = client.receive();
            assert_eq!(answer[0].as_uint(), Some(50), "a RESULT, not {answer:?}");
        }
    }
    for node in [1, 2] {
        assert_eq!(cluster.node(node).drops("link_queue_full"), 0, "node {node}");
    }
    assert_links_have_held(&mut cluster, &[1, 2]);
}

#[test]
fn events_that_wait_for_a_node_that_is_lost_are_counted_one_by_one() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut far = join(&mut cluster, 2, CBOR, "far");
    far.subscribe("com.topic", "{}", "sub");
    let mut publisher = join(&mut cluster, 1, CBOR, "publisher");
    cluster.node(2).edge.signal("STOP");
    // What the kernel takes for a frozen peer is a small part of this.
    let arguments = Value::List(vec![Value::Bytes(vec![b'x'; 10_000])]);
    for _ in 0..1_000 {
        let request = publisher.next_request();
        let options = Dict::new().into();
        publisher.send_message(&[16u64.into(), request.into(), options, "com.topic".into(), arguments.clone()]);
    }
    publisher.sync();
    eventually("the link is given up", || cluster.node(1).drops("ping_timeout") > 0);
    let n_unsent = cluster.node(1).drops("event_unsent");
    assert!((900..=1_000).contains(&n_unsent), "{n_unsent} of 1,000 events");
    cluster.node(2).edge.signal("CONT");
}
