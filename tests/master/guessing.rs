//! Guessing at the master.

use crate::harness::client::{Carrier, Client, Scope, Via};
use crate::harness::cluster::Cluster;
use crate::harness::http::fetch;
use crate::harness::router::Setup;
use crossbar_cluster::wire::Serializer;

/// Somebody who guesses an operator's ticket is answered more and more seldom, and is counted. The operator, who is
/// somewhere else, is not kept out.
#[test]
fn guessing_is_punished_where_it_comes_from() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    let master = cluster.master();
    let via = Via::new(Carrier::WebSocket, Serializer::Json);
    let log_in = |source: [u8; 4], ticket: &str| {
        let mut client = Client::open(master.endpoint().connect_from(source), via, Scope::default());
        client
            .send(r#"[1, "crossbar.master", {"roles": {"caller": {}}, "authmethods": ["ticket"], "authid": "alice"}]"#);
        let answer = client.receive();
        if answer[0].as_uint() == Some(4) {
            client.send(&format!(r#"[5, "{ticket}", {{}}]"#));
            return client.receive();
        }
        answer
    };
    // However slow this machine is: the tenth failure takes a minute of penalties before it.
    let answers: Vec<_> = (0..30).map(|_| log_in([127, 0, 0, 2], "guessed")).collect();
    let n_of = |reason: &str| answers.iter().filter(|answer| answer[2].as_str() == Some(reason)).count();
    let n_failed = n_of("wamp.error.authentication_failed");
    assert!((4..10).contains(&n_failed), "{n_failed} of 30 were looked at");
    assert_eq!(n_of("wamp.error.authentication_denied"), 30 - n_failed);
    assert_eq!(log_in([127, 0, 0, 3], "alice-ticket")[0].as_uint(), Some(2));
    let page = fetch(&master.endpoint(), "/metrics", &[]);
    for (reason, count) in [("authentication_failed", n_failed), ("login_penalty", 30 - n_failed)] {
        let line = format!("crossbar_master_drops_total{{reason=\"{reason}\"}} {count}");
        assert!(page.text().lines().any(|other| other == line), "{line} is not in\n{}", page.text());
    }
}
