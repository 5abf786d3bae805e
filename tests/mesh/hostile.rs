//! What a node that has been taken over says on its links beyond what is its own: it is left out and counted, and costs
//! nobody else.

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, mesh_of};
use crate::harness::rogue::Rogue;
use crate::harness::router::{Setup, eventually};
use crossbar_cluster::wamp::Message;

/// A cluster whose second node has been taken over, which has told of one client of its own, session 4711.
fn infiltrated(n: usize, setup: Setup, prepare: impl FnOnce(&mut Cluster)) -> (Cluster, Rogue) {
    let mut cluster = Cluster::start(n, setup);
    prepare(&mut cluster);
    cluster.kill(2);
    let mut rogue = Rogue::listen(&cluster, 2, 1);
    rogue.send(&session(4711));
    (cluster, rogue)
}

/// The notice of a session.
fn session(id: u64) -> String {
    notice("wamp.link.session", &format!(r#"[{{"session":{id},"authid":"own","authrole":"frontend"}}]"#))
}

fn notice(topic: &str, args: &str) -> String {
    format!(r#"[36,1,1,{{"topic":"{topic}"}},{args}]"#)
}

/// An event of a client of the node, and these details.
fn event(publication: u64, client: u64, more: &str) -> String {
    let hop = format!(r#"{{"session":{client},"authid":"own","authrole":"frontend"}}"#);
    format!(r#"[36,1,{publication},{{"topic":"com.topic","forward_for":[{hop}]{more}}},[{publication}]]"#)
}

#[test]
fn what_nodes_say_to_one_another_no_client_can_say() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut publisher = cluster.node(1).join("publisher");
    cluster.kill(2);
    let mut rogue = Rogue::dial(&cluster, 2, 1);
    rogue.send(r#"[32,1,{},"com.topic"]"#);
    while !matches!(rogue.receive(), Message::Subscribed { .. }) {}
    let words = r#"{"testament": true, "publication": 7, "publisher": 8, "published_us": 9, "disclosed": true}"#;
    publisher.publish("com.topic", words, "[1]");
    let add = "wamp.session.add_testament";
    publisher.send(&format!(r#"[48, #, {{}}, "{add}", ["com.topic", [2], {{}}], {{"publish_options": {words}}}]"#));
    publisher.expect("[50, #, {}]");
    publisher.goodbye();
    let details = [(1u64, r#"{"topic":"com.topic"}"#), (2, r#"{"topic":"com.topic","testament":true}"#)];
    for (number, expected) in details {
        let (publication, details, payload) = loop {
            if let Message::Event { publication, details, payload, .. } = rogue.receive()
                && details.str("topic") == Some("com.topic")
            {
                break (publication, details, payload);
            }
        };
        assert_eq!(payload.args().expect("arguments"), [number.into()]);
        assert_ne!(publication, 7);
        assert_eq!(crate::harness::pattern::show(&[details.into()]), format!("[{expected}]"));
    }
}

#[test]
fn who_dials_neither_publishes_nor_calls_on_its_link() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut listener = cluster.node(1).join("listener");
    listener.subscribe("com.topic", "{}", "sub");
    listener.register("com.procedure", "{}", "reg");
    cluster.kill(2);
    let said = [
        r#"[16,1,{"publication":1,"publisher":7},"com.topic",["forged"]]"#,
        r#"[48,1,{"caller":7},"com.procedure"]"#,
        r#"[49,1,{}]"#,
        r#"[36,1,1,{"topic":"com.topic"},["forged"]]"#,
        r#"[68,1,1,{"procedure":"com.procedure"}]"#,
        r#"[64,1,{},"wamp.session.count"]"#,
    ];
    for said in said {
        let mut rogue = Rogue::dial(&cluster, 2, 1);
        rogue.send(said);
        assert_eq!(rogue.expect_end(), "wamp.error.protocol_violation", "{said}");
    }
    // The other two no session sends, whosever it is.
    cluster.node(1).await_drops("forged", 4);
    let log = cluster.node(1).edge.log();
    assert!(log.contains("refusal: forged: ") && log.contains("is not for the dialing node"), "{log}");
    listener.expect_nothing();
}

#[test]
fn a_link_publishes_and_calls_for_its_own_clients_only() {
    let (mut cluster, mut rogue) = infiltrated(3, Setup::default(), |_| {});
    let mut here = cluster.node(1).join("here");
    here.subscribe("com.topic", "{}", "sub");
    here.register("com.procedure", r#"{"disclose_caller":true}"#, "reg");
    let elsewhere = cluster.node(3).join("elsewhere");
    let mut watch = cluster.node(1).join("watch");
    watch.call("wamp.session.count", "[]", "[3]");
    let strangers = [here.id("here"), elsewhere.id("elsewhere"), 4712];
    for (n, stranger) in strangers.iter().enumerate() {
        rogue.send(&event(n as u64 + 1, *stranger, ""));
    }
    // It is called otherwise than it was told.
    rogue.send(&event(4, 4711, "").replace("own", "root"));
    // Nobody but `forward_for` tells of a publisher.
    rogue.send(&format!(r#"[36,1,5,{{"topic":"com.topic","publisher":{}}},[5]]"#, strangers[0]));
    here.expect(r#"[36, $sub, 5, {"forward_for": [{"authid": "edge2", ...}]}, [5]]"#);
    rogue.send(&event(6, 4711, ""));
    here.expect(r#"[36, $sub, 6, {"publisher": 4711, ...}, [6]]"#);
    cluster.node(1).await_drops("forged", 4);

    let call = |request: u64, caller: &str| {
        format!(r#"[68,{request},1,{{"procedure":"com.procedure"{caller}}},["of {request}"]]"#)
    };
    let named = |id: u64| format!(r#","caller":{id},"caller_authid":"own","caller_authrole":"frontend""#);
    for (n, caller) in strangers.iter().map(|id| named(*id)).chain([r#","caller":4711"#.to_owned()]).enumerate() {
        rogue.send(&call(n as u64 + 1, &caller));
    }
    rogue.send(r#"[68,5,1,{"procedure":"wamp.session.kill_all"}]"#);
    let mut refused = Vec::new();
    while refused.len() < 5 {
        if let Message::Error { request, error, .. } = rogue.receive() {
            assert_eq!(error, "wamp.error.not_authorized");
            refused.push(request);
        }
    }
    assert_eq!(refused, [1, 2, 3, 4, 5]);
    rogue.send(&call(6, &named(4711)));
    here.expect(r#"[68, $i, $reg, {"caller": 4711, ...}, ["of 6"]]"#);
    cluster.node(1).await_drops("forged", 9);
}

#[test]
fn a_link_tells_of_its_own_sessions_only() {
    let (mut cluster, mut rogue) = infiltrated(3, Setup::default(), |_| {});
    let mut watch = cluster.node(1).join("watch");
    for (topic, name) in [
        ("wamp.session.on_join", "joins"),
        ("wamp.session.on_leave", "leaves"),
        ("com.last_will", "wills"),
        ("wamp.subscription.on_create", "creates"),
    ] {
        watch.subscribe(topic, "{}", name);
    }
    let here = cluster.node(1).join("here");
    watch.expect(r#"[36, $joins, $_, {...}, [{"session": $here, ...}]]"#);
    let elsewhere = cluster.node(3).join("elsewhere");
    watch.expect(r#"[36, $joins, $_, {...}, [{"session": $elsewhere, ...}]]"#);
    let before = cluster.node(1).drops("forged");
    for stranger in [here.id("here"), elsewhere.id("elsewhere")] {
        let meta = |topic: &str, args: &str| notice(topic, args);
        let summary = format!(r#"[{{"session":{stranger},"authid":"root","authrole":"root"}}]"#);
        rogue.send(&session(stranger));
        rogue.send(&meta("wamp.session.on_join", &summary));
        rogue.send(&meta("wamp.session.on_leave", &format!(r#"[{stranger},"own","frontend"]"#)));
        let details = r#"{"id":77,"uri":"com.x","match":"exact","created":"2026-01-01T00:00:00.000Z"}"#;
        rogue.send(&notice("wamp.link.held", &format!(r#"[{stranger},"subscription",{details}]"#)));
        let will = concat!(
            r#"{"publication":9,"scope":"destroyed","topic":"com.last_will","options":{},"disclosed":true,"#,
            r#""payload":[3,"\u0000gA=="]}"#
        );
        rogue.send(&notice("wamp.link.testament", &format!("[{stranger},{will}]")));
        rogue.send(&notice("wamp.link.testaments_flushed", &format!(r#"[{stranger},"destroyed"]"#)));
        rogue.send(&notice("wamp.link.held_no_more", &format!("[{stranger}]")));
        rogue.send(&notice("wamp.link.session_gone", &format!("[{stranger}]")));
        rogue.send(&meta("wamp.registration.on_create", &format!(r#"[{stranger},{details}]"#)));
    }
    // A session, two meta events of it, a holding, and a meta event that no link brings, of each.
    cluster.node(1).await_drops("forged", before + 2 * 5);
    watch.expect_nothing();
    drop(rogue);
    watch.expect(r#"[36, $leaves, $_, {...}, [4711, "own", "frontend"]]"#);
    watch.expect_nothing();
    watch.call("wamp.session.count", "[]", "[3]");
}

#[test]
fn what_is_asked_about_a_session_its_own_node_answers() {
    let (mut cluster, mut rogue) = infiltrated(3, Setup::default(), |_| {});
    let stranger = cluster.node(3).join("elsewhere");
    let elsewhere = stranger.id("elsewhere");
    let mut client = cluster.node(1).join("client");
    eventually("the first node knows it", || {
        client.send(&format!(r#"[48, #, {{}}, "wamp.session.get", [{elsewhere}]]"#));
        let Message::Call { request, .. } = (loop {
            let message = rogue.receive();
            if matches!(&message, Message::Call { procedure, .. } if procedure == "wamp.session.get") {
                break message;
            }
        }) else {
            unreachable!("it is a CALL");
        };
        rogue.send(&format!(r#"[50,{request},{{}},[{{"session":{elsewhere},"authid":"forged","authrole":"root"}}]]"#));
        let answer = client.receive();
        !format!("{answer:?}").contains("forged") && answer[0] == 50u64.into()
    });
}

#[test]
fn an_event_of_the_future_does_not_stay_retained() {
    let (mut cluster, mut rogue) = infiltrated(2, Setup::default(), |_| {});
    let mut client = cluster.node(1).join("client");
    client.subscribe("com.topic", "{}", "sub");
    // The years 2100 and 287396, and half a second ahead.
    let soon = jiff::Timestamp::now().as_microsecond() + 500_000;
    for (publication, published_us) in [(1, 4_102_444_800_000_000), (2, i64::MAX - 1), (3, soon)] {
        rogue.send(&event(publication, 4711, &format!(r#","retain":true,"published_us":{published_us}"#)));
        client.expect(&format!("[36, $sub, {publication}, {{...}}, [{publication}]]"));
        client.send(r#"[16, #, {"acknowledge": true, "retain": true}, "com.topic", ["right"]]"#);
        client.expect("[17, #, $right]");
        let mut late = cluster.node(1).join("late");
        late.subscribe("com.topic", r#"{"get_retained":true}"#, "late_sub");
        late.expect(r#"[36, $late_sub, $right, {...}, ["right"]]"#);
        late.goodbye();
        client.unbind(&["right", "late", "late_sub"]);
    }
}

#[test]
fn a_node_that_tells_of_too_much_loses_its_link_and_what_it_has_told_is_forgotten() {
    let limits = "limits = { peer_sessions_max = 3, peer_holdings_max = 4, peer_testaments_bytes_max = \"16KiB\" }";
    let setup = Setup { realm: limits, ..Setup::default() };
    let will = |n: u64| {
        let payload = format!(
            r#"{{"publication":{n},"scope":"destroyed","topic":"com.will","options":{{"x":"{}"}},"disclosed":true"#,
            "x".repeat(9_000)
        );
        payload
    };
    let excesses: [Vec<String>; 3] = [
        (1..=3).map(session).collect(),
        (1..=5)
            .map(|n| notice("wamp.link.held", &format!(r#"[4711,"registration",{{"id":{n},"uri":"com.x{n}"}}]"#)))
            .collect(),
        (1..=2)
            .map(|n| notice("wamp.link.testament", &format!(r#"[4711,{},"payload":[3,"\u0000gA=="]}}]"#, will(n))))
            .collect(),
    ];
    let mut cluster = Cluster::start(2, setup);
    let mut watch = cluster.node(1).join("watch");
    watch.subscribe("wamp.session.on_leave", "{}", "leaves");
    cluster.kill(2);
    for (n, excess) in excesses.iter().enumerate() {
        let mut rogue = Rogue::listen(&cluster, 2, 1);
        rogue.send(&session(4711));
        excess.iter().for_each(|said| rogue.send(said));
        assert_eq!(rogue.expect_end(), "wamp.error.limit_exceeded", "{}", excess[0]);
        cluster.node(1).await_drops("peer_limit", n as u64 + 1);
        let mut why = || mesh_of(cluster.node(1)).to_string();
        eventually("the reason is shown", || why().contains("edge2 has told of more"));
        watch.expect_all(
            &match n {
                0 => [1, 2, 3, 4711].map(left).to_vec(),
                _ => vec![left(4711)],
            }
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
        watch.call("wamp.session.count", "[]", "[1]");
    }
    watch.expect_nothing();
}

fn left(session: u64) -> String {
    format!("[36, $leaves, $_, {{...}}, [{session}, ...]]")
}

#[test]
fn who_has_more_patterns_than_a_link_may_have_loses_it() {
    let setup = Setup { realm: "limits = { peer_holdings_max = 4 }", ..Setup::default() };
    let mut cluster = Cluster::start(2, setup);
    cluster.kill(2);
    let mut rogue = Rogue::dial(&cluster, 2, 1);
    for n in 1..=5 {
        rogue.send(&format!(r#"[32,{n},{{}},"com.topic{n}"]"#));
    }
    assert_eq!(rogue.expect_end(), "wamp.error.limit_exceeded");
    cluster.node(1).await_drops("peer_limit", 1);
}

#[test]
fn a_node_that_has_agreed_to_a_registration_has_none_that_is_older() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut callee: Client = cluster.node(1).join("callee");
    callee.register("com.procedure", "{}", "reg");
    cluster.kill(2);
    let mut rogue = Rogue::dial(&cluster, 2, 1);
    rogue.send(r#"[64,1,{"invoke":"single","since_us":1,"latest_us":1,"weight":1},"com.procedure"]"#);
    let Message::Error { error, .. } = rogue.receive() else { panic!("it is refused") };
    assert_eq!(error, "wamp.error.procedure_already_exists");
    callee.expect_nothing();
    let mut caller = cluster.node(1).join("caller");
    caller.send(r#"[48, #, {}, "com.procedure", ["still"]]"#);
    callee.expect(r#"[68, $i, $reg, {...}, ["still"]]"#);
}

#[test]
fn odd_numbers_and_kinds_do_no_harm() {
    let (mut cluster, mut rogue) = infiltrated(2, Setup::default(), |_| {});
    let mut client = cluster.node(1).join("client");
    client.subscribe("com.topic", "{}", "sub");
    client.register("com.shared", r#"{"invoke":"roundrobin"}"#, "reg");
    let huge = u64::MAX >> 11;
    let mut dialed = Rogue::dial(&cluster, 2, 1);
    for (n, said) in [
        format!(r#"{{"generation":{huge}}},"com.topic""#),
        format!(r#"{{"generation":{}}},"com.other""#, u32::MAX),
        r#"{"generation":-1,"match":"exact"},"com.third""#.to_owned(),
    ]
    .iter()
    .enumerate()
    {
        dialed.send(&format!("[32,{},{said}]", n + 1));
    }
    for (n, invoke) in ["random", "roundrobin", "first", "last", "single"].iter().enumerate() {
        let options = format!(
            r#"{{"invoke":"{invoke}","weight":{huge},"since_us":0,"latest_us":{huge},"generation":{}}}"#,
            u32::MAX
        );
        dialed.send(&format!(r#"[64,{},{options},"com.odd{n}"]"#, n + 10));
        if *invoke == "roundrobin" {
            dialed.send(&format!(r#"[64,20,{options},"com.shared"]"#));
        }
    }
    // Answers to calls that it never got.
    dialed.send(r#"[70,99,{},["forged"]]"#);
    dialed.send(r#"[8,68,99,{},"wamp.error.unavailable"]"#);
    for topic in ["session", "session_gone", "testament", "testaments_flushed", "held", "held_no_more", "overrun"] {
        for args in [
            "[]",
            "[null]",
            "[[],[]]",
            r#"[-1,"subscription",{}]"#,
            r#"[4711,"other",7]"#,
            r#"[4711,"subscription",{"id":-1}]"#,
        ] {
            rogue.send(&notice(&format!("wamp.link.{topic}"), args));
        }
    }
    rogue.send(r#"[69,12345,{"mode":"kill"}]"#);
    rogue.send(&event(7, 4711, ""));
    client.expect(r#"[36, $sub, 7, {...}, [7]]"#);
    client.call("wamp.session.count", "[]", "$_");
    client.publish("com.topic", r#"{"exclude_me":false}"#, r#"["own"]"#);
    client.expect(r#"[36, $sub, $_, {...}, ["own"]]"#);
}
