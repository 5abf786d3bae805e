//! Who comes in, by each method, as whom, and who does not.

use crate::harness::client::Client;
use crate::harness::pattern::show;
use crate::harness::router::{ALL_ROLES, Router, Setup, endpoint_of, everywhere_with};
use crossbar_cluster::auth::client::{Client as Prover, Credential};
use crossbar_cluster::auth::cryptosign::SecretKey;
use crossbar_cluster::auth::{Secret, wampcra};
use crossbar_cluster::wire::{Dict, Value};

const KEY: [u8; 32] = [7; 32];
const OTHER_KEY: [u8; 32] = [8; 32];

/// A second WebSocket listener, for users with secrets and keys; and one whose authenticators are procedures.
fn setup() -> Setup {
    let salting = wampcra::Salting { salt: "salt123".to_owned(), iterations: 100, keylen: 32 };
    let derived = wampcra::derive_key(&Secret::new("password"), &salting).expect("little work");
    let key = SecretKey::from_seed(KEY).public();
    let listeners = format!(
        r#"
[[listen]]
type = "universal"
address = "127.0.0.1:0"
[listen.auth.wampcra.users]
joe = {{ secret = "secret2", role = "frontend" }}
salty = {{ secret = "{}", role = "backend", salt = "salt123", iterations = 100, keylen = 32 }}
[listen.auth.cryptosign.principals]
key_holder = {{ authorized_keys = ["{key}"], role = "backend" }}
[listen.auth.ticket.principals]
wanderer = {{ ticket = "ticket", role = "anonymous", realm = "realm2" }}
[[listen]]
type = "universal"
address = "127.0.0.1:0"
[listen.auth.ticket]
authenticator = "com.authenticate"
authenticator_realm = "realm1"
[listen.auth.wampcra]
authenticator = "com.authenticate"
authenticator_realm = "realm1"
[listen.auth.cryptosign]
authenticator = "com.authenticate"
authenticator_realm = "realm1"
[listen.auth.anonymous]
authenticator = "com.authenticate"
authenticator_realm = "realm1"
"#,
        derived.expose()
    );
    let realms = r#"
[[realm]]
name = "realm2"
[[realm.role]]
name = "anonymous"
[[realm.role.permission]]
uri = ""
match = "prefix"
allow = ["call", "register", "publish", "subscribe"]
[[realm.role.permission]]
uri = "wamp."
match = "prefix"
allow = ["call", "subscribe"]
"#;
    Setup { limits: "authentication_delay = \"50ms\"", listeners, realms, ..Setup::default() }
}

/// A transport to the listener of static users (1) or of authenticators (2).
fn dial(router: &mut Router, listener: usize) -> Client {
    let via = router.next_via();
    // These listeners are universal: they speak RawSocket too, at the address of their WebSocket.
    let endpoint = endpoint_of(router.edge.nth_url("ws", listener));
    Client::open(endpoint.connect(), via, router.scope.clone())
}

/// Says HELLO as this user; gives what the router answers.
fn hello(client: &mut Client, prover: &Prover) -> Vec<Value> {
    let details = prover.hello_details(Dict::new().with("roles", Dict::new().with("caller", Dict::new())));
    client.send_message(&[1u64.into(), "realm1".into(), details.into()]);
    client.receive()
}

/// Answers the CHALLENGE.
fn authenticate(client: &mut Client, prover: &Prover, challenge: &[Value]) {
    let (method, extra) = match challenge {
        [Value::Uint(4), Value::String(method), Value::Dict(extra)] => (method, extra),
        other => panic!("{} is no CHALLENGE", show(other)),
    };
    let signature = prover.answer("realm1", method, extra).expect("the challenge can be answered");
    client.send_message(&[5u64.into(), signature.into(), Dict::new().into()]);
}

fn log_in(client: &mut Client, prover: &Prover) {
    let challenge = hello(client, prover);
    authenticate(client, prover, &challenge);
}

fn prover(authid: &str, credential: Credential) -> Prover {
    Prover::new(Some(authid.to_owned()), credential)
}

fn wampcra_user(authid: &str, password: &str) -> Prover {
    prover(authid, Credential::Wampcra(Secret::new(password)))
}

fn ticket_user(authid: &str, ticket: &str) -> Prover {
    prover(authid, Credential::Ticket(Secret::new(ticket)))
}

fn key_user(authid: &str, seed: [u8; 32]) -> Prover {
    prover(authid, Credential::Cryptosign(SecretKey::from_seed(seed)))
}

#[test]
fn the_right_proof_lets_in() {
    everywhere_with(&setup(), |mut router| {
        for (user, authid, role, method) in [
            (wampcra_user("joe", "secret2"), "joe", "frontend", "wampcra"),
            (wampcra_user("salty", "password"), "salty", "backend", "wampcra"),
            (key_user("key_holder", KEY), "key_holder", "backend", "cryptosign"),
            // The key alone says who it is.
            (
                Prover::new(None, Credential::Cryptosign(SecretKey::from_seed(KEY))),
                "key_holder",
                "backend",
                "cryptosign",
            ),
        ] {
            let mut client = dial(&mut router, 1);
            log_in(&mut client, &user);
            client.expect(&format!(
                r#"[2, $_, {{"realm": "realm1", "authid": "{authid}", "authrole": "{role}", "authmethod": "{method}",
                    "authprovider": "static", ...}}]"#
            ));
        }
        let mut wanderer = dial(&mut router, 1);
        log_in(&mut wanderer, &ticket_user("wanderer", "ticket"));
        wanderer.expect(r#"[2, $_, {"realm": "realm2", "authid": "wanderer", ...}]"#);
    });
}

/// Whoever does not exist is challenged and refused like one who used a wrong secret.
#[test]
fn a_wrong_proof_and_a_stranger_are_refused_alike() {
    everywhere_with(&setup(), |mut router| {
        for user in [
            wampcra_user("joe", "secret3"),
            wampcra_user("nobody", "secret2"),
            wampcra_user("salty", "secret2"),
            key_user("key_holder", OTHER_KEY),
            key_user("nobody", KEY),
            ticket_user("wanderer", "Ticket"),
            ticket_user("nobody", "ticket"),
            ticket_user("wanderer", ""),
        ] {
            let mut client = dial(&mut router, 1);
            log_in(&mut client, &user);
            let sentence = client.expect_abort("wamp.error.authentication_failed");
            assert_eq!(sentence, "authentication failed");
            client.expect_closed();
        }
        assert_eq!(router.drops("authentication_failed"), 8);
    });
}

#[test]
fn a_method_that_is_not_offered_is_refused() {
    everywhere_with(&setup(), |mut router| {
        for details in [
            r#"{"roles": {"caller": {}}}"#,
            r#"{"roles": {"caller": {}}, "authmethods": ["anonymous"]}"#,
            r#"{"roles": {"caller": {}}, "authmethods": ["scram", "tls"], "authid": "joe"}"#,
            // Without a name nobody can be found.
            r#"{"roles": {"caller": {}}, "authmethods": ["wampcra"]}"#,
        ] {
            let mut client = dial(&mut router, 1);
            client.send(&format!(r#"[1, "realm1", {details}]"#));
            client.expect_abort("wamp.error.no_matching_auth_method");
        }
        // The first of the client's methods that is offered counts.
        let mut client = dial(&mut router, 1);
        let methods = r#""authmethods": ["scram", "ticket", "wampcra"]"#;
        client.send(&format!(r#"[1, "realm1", {{"roles": {{"caller": {{}}}}, {methods}, "authid": "joe"}}]"#));
        client.expect(r#"[4, "ticket", {}]"#);
    });
}

/// Between CHALLENGE and WELCOME nothing but AUTHENTICATE and ABORT may come.
#[test]
fn other_messages_in_the_challenge_are_violations() {
    everywhere_with(&setup(), |mut router| {
        for message in [
            r#"[32, 1, {}, "com.topic"]"#.to_owned(),
            r#"[6, {}, "wamp.close.normal"]"#.to_owned(),
            format!(r#"[1, "realm1", {ALL_ROLES}]"#),
        ] {
            let mut client = dial(&mut router, 1);
            hello(&mut client, &wampcra_user("joe", "secret2"));
            client.send(&message);
            client.expect_violation();
        }
        let mut client = dial(&mut router, 1);
        hello(&mut client, &wampcra_user("joe", "secret2"));
        client.send(r#"[3, {}, "com.nevermind"]"#);
        client.expect_closed();
    });
}

/// A signature is of use once.
#[test]
fn a_proof_cannot_be_replayed() {
    everywhere_with(&setup(), |mut router| {
        let user = wampcra_user("joe", "secret2");
        let (mut first, mut second) = (dial(&mut router, 1), dial(&mut router, 1));
        let challenge = hello(&mut first, &user);
        assert_ne!(challenge, hello(&mut second, &user), "no two challenges are the same");
        authenticate(&mut first, &user, &challenge);
        first.expect("[2, $_, {...}]");
        authenticate(&mut second, &user, &challenge);
        second.expect_abort("wamp.error.authentication_failed");
    });
}

/// A dynamic authenticator is asked with `[realm, authid, details]`, and its answer decides.
#[test]
fn a_procedure_can_decide_who_comes_in() {
    everywhere_with(&setup(), |mut router| {
        let mut authenticator = router.join("authenticator");
        authenticator.register("com.authenticate", "{}", "reg");
        // By ticket: the authenticator sees it.
        let mut client = dial(&mut router, 2);
        log_in(&mut client, &ticket_user("joe", "let me in"));
        authenticator.expect(
            r#"[68, 1, $reg, {...}, ["realm1", "joe", {"ticket": "let me in", "authmethod": "ticket", "session": $_,
                "transport": {...}, ...}]]"#,
        );
        authenticator.send(r#"[70, 1, {}, [{"role": "frontend", "authid": "joseph", "extra": {"x": 1}}]]"#);
        client.expect(
            r#"[2, $_, {"authid": "joseph", "authrole": "frontend", "authprovider": "dynamic",
                "authextra": {"x": 1, ...}, ...}]"#,
        );
        // By secret and key: the authenticator knows them, and the router compares.
        for (user, answer, is_let_in) in [
            (wampcra_user("joe", "s"), r#"{"role": "frontend", "secret": "s"}"#.to_owned(), true),
            (wampcra_user("joe", "t"), r#"{"role": "frontend", "secret": "s"}"#.to_owned(), false),
            (
                key_user("joe", KEY),
                format!(r#"{{"role": "backend", "pubkey": "{}"}}"#, SecretKey::from_seed(KEY).public()),
                true,
            ),
            (
                key_user("joe", OTHER_KEY),
                format!(r#"{{"role": "backend", "pubkey": "{}"}}"#, SecretKey::from_seed(KEY).public()),
                false,
            ),
        ] {
            let mut client = dial(&mut router, 2);
            let details = user.hello_details(Dict::new().with("roles", Dict::new().with("caller", Dict::new())));
            client.send_message(&[1u64.into(), "realm1".into(), details.into()]);
            authenticator.unbind(&["request"]);
            authenticator.expect(r#"[68, $request, $reg, {...}, ["realm1", "joe", {...}]]"#);
            authenticator.send(&format!("[70, $request, {{}}, [{answer}]]"));
            let challenge = client.receive();
            authenticate(&mut client, &user, &challenge);
            if is_let_in {
                client.expect(r#"[2, $_, {"authid": "joe", "authprovider": "dynamic", ...}]"#);
            } else {
                client.expect_abort("wamp.error.authentication_failed");
            }
        }
        // Anonymous: a role is an answer too.
        let mut client = dial(&mut router, 2);
        client.send(r#"[1, "realm1", {"roles": {"caller": {}}}]"#);
        authenticator.unbind(&["request"]);
        authenticator.expect(r#"[68, $request, $reg, {...}, ["realm1", null, {"authmethod": "anonymous", ...}]]"#);
        authenticator.send(r#"[70, $request, {}, ["backend"]]"#);
        client.expect(r#"[2, $_, {"authrole": "backend", ...}]"#);
    });
}

/// What the authenticator does not answer well keeps out, and so does its absence.
#[test]
fn without_a_good_answer_nobody_comes_in() {
    let setup = Setup { limits: "authentication_delay = \"0ms\"\nauthorizer_timeout = \"200ms\"", ..setup() };
    everywhere_with(&setup, |mut router| {
        let ask = |router: &mut Router| {
            let mut client = dial(router, 2);
            client.send(r#"[1, "realm1", {"roles": {"caller": {}}}]"#);
            client
        };
        ask(&mut router).expect_abort("wamp.error.authentication_denied");
        let mut authenticator = router.join("authenticator");
        authenticator.register("com.authenticate", "{}", "reg");
        for answer in [
            "[70, $request, {}]",
            "[70, $request, {}, [null]]",
            "[70, $request, {}, [7]]",
            "[70, $request, {}, [{\"realm\": \"realm1\"}]]",
            r#"[8, 68, $request, {}, "com.go_away"]"#,
        ] {
            let mut client = ask(&mut router);
            authenticator.unbind(&["request"]);
            authenticator.expect("[68, $request, $reg, {...}, ...]");
            authenticator.send(answer);
            client.expect_abort("wamp.error.authentication_denied");
            client.expect_closed();
        }
        let mut client = ask(&mut router);
        authenticator.unbind(&["request"]);
        authenticator.expect("[68, $request, $reg, {...}, ...]");
        authenticator.send(r#"[70, $request, {}, ["no_such_role"]]"#);
        client.expect_abort("wamp.error.no_such_role");
        // Silence is a no as well.
        let mut client = ask(&mut router);
        client.expect_abort("wamp.error.authentication_denied");
    });
}
