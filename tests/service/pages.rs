//! What people and monitoring see over HTTP.

use crate::harness::client::{Carrier, Client, Scope, Via};
use crate::harness::cluster::Cluster;
use crate::harness::http::{self, fetch};
use crate::harness::router::{Router, Setup, dial, endpoint_of};
use crossbar_cluster::wire::Serializer;
use std::collections::BTreeMap;
use std::io::Write;

#[test]
fn the_status_page_says_who_was_served_and_by_whom() {
    let router = Router::start(&Setup::default());
    for path in ["/", "/ws"] {
        let mut io = dial(&router.edge, "ws");
        let port = io.tcp().local_addr().expect("it is connected").port();
        http::request(&mut io, path, &[("Connection", "close")]);
        let mut page = http::read_head(&mut io).expect("a page");
        page.body.extend(io.read_to_close());
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").is_some_and(|value| value.starts_with("text/html")));
        let line = format!(
            "Served for tcp4:127.0.0.1:{port} from crossbar-edge router worker with PID {}.",
            router.edge.pid()
        );
        assert!(page.text().contains(&line), "{line} is not in {}", page.text());
    }
}

#[test]
fn info_tells_operators_all_as_people_and_as_programs() {
    let mut router = Router::start(&Setup { listeners: FULL.to_owned(), ..Setup::default() });
    let mut a = router.join("a");
    a.subscribe("com.topic", "{}", "sub");
    a.register("com.procedure", "{}", "reg");
    for endpoint in [endpoint_of(router.edge.nth_url("ws", 1)), endpoint_of(router.edge.url("http"))] {
        let page = fetch(&endpoint, "/info", FOR_PEOPLE);
        assert!(page.header("content-type").is_some_and(|value| value.starts_with("text/html")));
        assert!(page.text().contains("edge1") && page.text().contains("realm1"));
        let page = fetch(&endpoint, "/info", &[("Accept", "application/json")]);
        assert_eq!((page.status, page.header("content-type")), (200, Some("application/json")));
        let info: serde_json::Value = serde_json::from_slice(&page.body).expect("JSON");
        assert_eq!(info["node"], "edge1");
        assert_eq!(info["pid"], router.edge.pid());
        assert_eq!(info["state"], "up");
        assert_eq!(info["sessions"], 1);
        assert_eq!(info["realms"][0]["name"], "realm1");
        assert_eq!(info["realms"][0]["subscriptions"], 1);
        assert_eq!(info["realms"][0]["registrations"], 1);
        assert_eq!(info["listeners"].as_array().map(Vec::len), Some(3));
    }
}

/// A listener whose `/info` says all.
const FULL: &str = "[[listen]]\ntype = \"websocket\"\naddress = \"127.0.0.1:0\"\ninfo = \"full\"\n";
/// As a browser asks.
const FOR_PEOPLE: &[(&str, &str)] = &[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

/// What is nobody's business: the host, its processes and keys, other nodes, realms, addresses, and how many are there.
#[test]
fn info_tells_clients_that_the_node_is_there_and_no_more() {
    let mut cluster = Cluster::start(2, Setup::default());
    cluster.await_complete();
    let router = cluster.node(1);
    let endpoint = endpoint_of(router.edge.url("ws"));
    let page = fetch(&endpoint, "/info", &[("Accept", "application/json")]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("application/json")));
    let info: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&page.body).expect("JSON");
    let keys: Vec<&str> = info.keys().map(String::as_str).collect();
    assert_eq!(keys, ["node", "program", "version", "started", "uptime_seconds", "state"]);
    let told = ["node", "program", "version", "state"].map(|key| info[key].as_str().expect("a text"));
    assert_eq!(told, ["edge1", "crossbar-edge", env!("CARGO_PKG_VERSION"), "up"]);
    let all = fetch(&endpoint_of(router.edge.url("http")), "/info", &[("Accept", "application/json")]);
    let all: serde_json::Value = serde_json::from_slice(&all.body).expect("JSON");
    let hidden = [&all["public_key"], &all["mesh"]["links"][0]["peer"], &all["realms"][0]["name"]];
    for path in ["/info", "/", "/ws", "/nowhere"] {
        let page = fetch(&endpoint, path, FOR_PEOPLE);
        for secret in hidden.map(|value| value.as_str().expect("a text")) {
            assert!(!page.text().contains(secret), "{secret} is in {path}: {}", page.text());
        }
    }
    let page = fetch(&endpoint, "/info", FOR_PEOPLE);
    let rows: Vec<&str> = page.text().split("<th>").skip(1).filter_map(|row| row.split('<').next()).collect();
    assert_eq!(rows, ["Node", "State", "Program", "Started", "Up for"]);
}

/// Health is told where clients connect as well, to load balancers; figures are for operators only.
#[test]
fn health_is_told_on_every_http_port() {
    let router = Router::start(&Setup::default());
    for scheme in ["http", "ws"] {
        let endpoint = endpoint_of(router.edge.url(scheme));
        for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
            let page = fetch(&endpoint, path, &[]);
            assert_eq!((page.status, page.text()), (200, text), "{scheme} {path}");
        }
    }
    assert_eq!(fetch(&endpoint_of(router.edge.url("ws")), "/metrics", &[]).status, 404);
}

#[test]
fn what_is_not_there_is_not_found_and_only_get_is_answered() {
    let router = Router::start(&Setup::default());
    for scheme in ["ws", "http"] {
        let endpoint = endpoint_of(router.edge.url(scheme));
        let page = fetch(&endpoint, "/no/such&page", &[]);
        assert_eq!(page.status, 404);
        assert!(page.text().contains("/no/such&amp;page"), "what was asked for is escaped: {}", page.text());
        let mut io = endpoint.connect();
        io.write_all(b"POST /info HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
            .expect("open");
        let refusal = http::read_head(&mut io).expect("an answer");
        assert_eq!((refusal.status, refusal.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
        let mut io = endpoint.connect();
        io.write_all(b"HEAD /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("open");
        let head = http::read_head(&mut io).expect("an answer");
        assert_eq!(head.status, 200);
        assert!(head.body.is_empty() && io.read_to_close().is_empty(), "HEAD has no body");
    }
}

/// HAProxy's plain `option httpchk` asks like this.
#[test]
fn options_are_answered_on_every_face() {
    let router = Router::start(&Setup::default());
    for scheme in ["ws", "http"] {
        let endpoint = endpoint_of(router.edge.url(scheme));
        for request in ["OPTIONS / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let mut io = endpoint.connect();
            io.write_all(request.as_bytes()).expect("open");
            let answer = http::read_head(&mut io).expect("an answer");
            let (status, allow) = (answer.status, answer.header("allow"));
            assert_eq!((status, allow), (204, Some("GET, HEAD, OPTIONS")), "{scheme}: {request}");
        }
    }
}

/// Clients offer other protocols of their own accord: curl and Java's client HTTP/2, browsers nothing.
#[test]
fn offers_of_other_protocols_do_not_matter() {
    let router = Router::start(&Setup::default());
    let h2c =
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")];
    for scheme in ["ws", "http"] {
        let endpoint = endpoint_of(router.edge.url(scheme));
        for path in ["/healthz", "/readyz", "/info", "/"] {
            for offer in [&h2c[..], &[("Upgrade", "TLS/1.0")], &[("Upgrade", "websockets")], &[("Upgrade", "")]] {
                assert_eq!(fetch(&endpoint, path, offer).status, 200, "{scheme} {path} {offer:?}");
            }
        }
        assert_eq!(fetch(&endpoint, "/nowhere", &h2c).status, 404);
    }
    // A WebSocket that is offered among others is one.
    let endpoint = endpoint_of(router.edge.url("ws"));
    let mut io = endpoint.connect();
    let several = crate::harness::client::UPGRADE.map(|(name, value)| match name {
        "Upgrade" => (name, "h2c, WebSocket"),
        _ => (name, value),
    });
    http::request(&mut io, "/ws", &[&several[..], &[("Sec-WebSocket-Protocol", "wamp.2.json")]].concat());
    assert_eq!(http::read_head(&mut io).expect("an answer").status, 101);
}

/// Only whoever has the node's key opens a session on the admin port, and no browser does.
#[test]
fn the_admin_port_lets_no_stranger_in() {
    let router = Router::start(&Setup::default());
    let upgrade = [&crate::harness::client::UPGRADE[..], &[("Sec-WebSocket-Protocol", "wamp.2.json")]].concat();
    let mut io = dial(&router.edge, "http");
    http::request(&mut io, "/ws", &[&upgrade[..], &[("Origin", "http://localhost")]].concat());
    assert_eq!(http::read_head(&mut io).expect("an answer").status, 403);
    let via = Via { carrier: Carrier::WebSocket, serializer: Serializer::Json };
    for realm in ["crossbar.node", "realm1"] {
        let mut client = Client::open(dial(&router.edge, "http"), via, Scope::default());
        client.send(&format!(r#"[1, "{realm}", {{"roles": {{"caller": {{}}}}}}]"#));
        let answer = client.receive();
        assert_eq!(answer[0].as_uint(), Some(3), "{answer:?}");
    }
    let mut io = dial(&router.edge, "http");
    io.write_all(b"\x7f\xf1\0\0").expect("open");
    let answer = io.read_to_close();
    assert!(!answer.starts_with(b"\x7f\xf1") && !answer.starts_with(b"\x7f\xb1"), "{answer:?}");
}

/// One family of `/metrics`.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the OpenMetrics text format, strictly enough to notice what Prometheus would not take.
fn parse_openmetrics(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let (body, end) = text.rsplit_once("# EOF\n").expect("it ends with EOF");
    assert_eq!(end, "", "nothing comes after EOF");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (keyword, name, value) = (words.next(), words.next().expect("a name"), words.next().expect("a value"));
            if current != name {
                assert!(!families.contains_key(name), "{name} is there twice");
                current = name.to_owned();
            }
            let family = families.entry(name.to_owned()).or_default();
            match keyword {
                Some("TYPE") => family.kind = value.to_owned(),
                Some("HELP") => family.help = value.to_owned(),
                other => assert_eq!(other, Some("UNIT"), "{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end")),
            None => (series, ""),
        };
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
            let (key, value) = label.split_once('=').expect("a label has a value");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("values are quoted");
            (key.to_owned(), value.to_owned())
        });
        let suffix = name.strip_prefix(&current).unwrap_or_else(|| panic!("{name} is a sample of {current}"));
        let family = families.get_mut(&current).expect("a family comes before its samples");
        let legal: &[&str] = match family.kind.as_str() {
            "counter" => &["_total", "_created"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            other => panic!("{name} is of type {other}"),
        };
        assert!(legal.contains(&suffix), "{name} is no sample of a {}", family.kind);
        family.samples.push((suffix.to_owned(), labels.collect(), value.parse().expect("a number")));
    }
    families
}

#[test]
fn metrics_are_openmetrics() {
    let mut router = Router::start(&Setup::default());
    let mut a = router.join("a");
    a.subscribe("com.topic", "{}", "sub");
    a.publish("com.topic", r#"{"exclude_me": false}"#, "[1]");
    a.expect("[36, $sub, $_, {}, [1]]");
    let page = router.admin("/metrics");
    assert_eq!(page.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let families = parse_openmetrics(page.text());
    let value = |name: &str, label: &[(&str, &str)]| {
        let family = families.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        let fits = |labels: &BTreeMap<String, String>| {
            label.iter().all(|(key, value)| labels.get(*key).is_some_and(|found| found == value))
        };
        let mut samples = family.samples.iter().filter(|(_, labels, _)| fits(labels));
        samples.next().unwrap_or_else(|| panic!("{name} has no sample {label:?}")).2
    };
    assert_eq!(value("crossbar_sessions", &[("realm", "realm1")]), 1.0);
    assert_eq!(value("crossbar_sessions_opened", &[]), 1.0);
    for kind in ["hello", "subscribe", "publish"] {
        assert_eq!(value("crossbar_messages", &[("type", kind), ("direction", "in")]), 1.0, "{kind}");
    }
    for kind in ["welcome", "subscribed", "event"] {
        assert_eq!(value("crossbar_messages", &[("type", kind), ("direction", "out")]), 1.0, "{kind}");
    }
    assert!(value("crossbar_bytes", &[("direction", "in")]) > 50.0);
    assert!(value("crossbar_bytes", &[("direction", "out")]) > 50.0);
    assert_eq!(value("crossbar_connections", &[("listener", router.edge.url("ws"))]), 1.0);
    assert_eq!(value("crossbar_drops", &[("reason", "slow_consumer")]), 0.0);
    assert_eq!(value("crossbar_outbox_bytes", &[]), 0.0);
    assert_eq!(value("crossbar_build", &[("node", "edge1")]), 1.0);
    assert!(value("process_resident_memory_bytes", &[]) > 1e6);
    assert!(value("process_open_fds", &[]) > 3.0);
    let turns = &families["crossbar_turn_seconds"];
    assert_eq!(turns.kind, "histogram");
    let buckets: Vec<f64> =
        turns.samples.iter().filter(|(suffix, ..)| suffix == "_bucket").map(|(.., value)| *value).collect();
    assert!(buckets.is_sorted() && buckets.last().is_some_and(|all| *all > 0.0), "{buckets:?}");
    assert!(families.values().all(|family| !family.help.is_empty()));
}

/// Every listener is counted under its own name, and who is gone is not counted.
#[test]
fn connections_are_counted_by_listener() {
    let router = Router::start(&Setup::default());
    let clients: Vec<_> = Via::all().map(|via| router.connect_via(via)).collect();
    let count =
        |scheme: &str| router.metric(&format!("crossbar_connections{{listener=\"{}\"}}", router.edge.url(scheme)));
    assert_eq!((count("ws"), count("rs")), (6, 3));
    drop(clients);
    crate::harness::router::eventually("all are gone", || (count("ws"), count("rs")) == (0, 0));
}
