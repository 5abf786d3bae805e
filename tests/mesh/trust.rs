//! How far a node trusts another one, which may have been taken over: not beyond what is the other's own.

use crate::harness::cluster::Cluster;
use crate::harness::rogue::Rogue;
use crate::harness::router::Setup;

const HISTORY: &str = r#"
[[realm.history]]
uri = "com.secret"
entries_max = 10
[[realm.role]]
name = "judged"
authorizer = "com.authorize"
"#;

#[test]
fn the_node_that_answers_permits_by_its_own_configuration() {
    let mut cluster = Cluster::start(2, Setup { rules: HISTORY, ..Setup::default() });
    let mut publisher = cluster.node(1).join("publisher");
    publisher.send(r#"[16, #, {"acknowledge": true}, "com.secret", ["told"]]"#);
    publisher.expect("[17, #, $pub]");
    publisher.call("wamp.subscription.lookup", r#"["com.secret"]"#, "[$sub]");
    let events = format!("[{}]", publisher.id("sub"));
    cluster.kill(2);

    let mut rogue = Rogue::dial(&cluster, 2, 1);
    let client = |role: &str| format!(r#"{{"session":4711,"authid":"who","authrole":"{role}"}}"#);
    let get_events = "wamp.subscription.get_events";
    let told = rogue.call_for(1, &client("frontend"), get_events, &events).expect("this role may read it");
    assert!(told.contains("told"), "{told}");
    let refused = Err("wamp.error.not_authorized".to_owned());
    assert_eq!(rogue.call_for(2, &client("guest"), get_events, &events), refused);
    assert_eq!(rogue.call_for(3, &client("known_elsewhere"), get_events, &events), refused);
    assert_eq!(rogue.call_for(4, &client("guest"), "wamp.session.kill_all", "[]"), refused);
    rogue.send(r#"[48,5,{},"wamp.session.kill_all"]"#);
    assert_eq!(rogue.answer(5).expect_err("nobody asks"), "wamp.error.not_authorized");
    publisher.expect_nothing();
}

#[test]
fn the_node_that_answers_asks_the_authorizer_of_the_role_itself() {
    let mut cluster = Cluster::start(2, Setup { rules: HISTORY, ..Setup::default() });
    let mut judge = cluster.node(1).join("judge");
    judge.register("com.authorize", "{}", "judge_reg");
    judge.call("wamp.subscription.lookup", r#"["com.secret"]"#, "[$sub]");
    let events = judge.id("sub");
    cluster.kill(2);
    let mut rogue = Rogue::dial(&cluster, 2, 1);
    let client = r#"{"session":4711,"authid":"who","authrole":"judged"}"#;
    for (request, allows, answer) in [(1, true, "[50,1]"), (2, false, "wamp.error.not_authorized")] {
        rogue
            .send(&format!(r#"[48,{request},{{"forward_for":[{client}]}},"wamp.subscription.get_events",[{events}]]"#));
        judge.expect(
            r#"[68, $i1, $judge_reg, {...}, [{"authid": "who", ...}, "wamp.subscription.get_events", "call", {...}]]"#,
        );
        judge.send("[70, $i1, {}, [true]]");
        judge.expect(r#"[68, $i2, $judge_reg, {...}, [{"authid": "who", ...}, "com.secret", "subscribe", {...}]]"#);
        judge.send(&format!("[70, $i2, {{}}, [{allows}]]"));
        judge.unbind(&["i1", "i2"]);
        match rogue.answer(request) {
            Ok(_) => assert!(allows, "it was refused by the authorizer: {answer}"),
            Err(error) => assert_eq!((allows, error.as_str()), (false, answer)),
        }
    }
}
