//! Proofs that are passed on: an attacker to whom a program proves itself tries to come in somewhere else by that
//! proof. The attacker is a node that was taken over, or sits at the address of one without its key.

use super::*;
use crate::auth::cryptosign::ChannelId;

const REALM: &str = "realm1";

/// Somewhere to come in, as `id`.
struct Door {
    id: &'static str,
    key: SecretKey,
    /// Who is admitted.
    knows: (&'static str, SecretKey, Purpose),
}

impl Door {
    fn admission(&self) -> Admission {
        let (name, key, purpose) = &self.knows;
        let credential = Program { keys: vec![key.public()], purpose: *purpose };
        let principals = [((*name).to_owned(), Principal { credential, grant: Grant::role("node") })].into();
        let mutual = Some(Mutual { key: self.key.clone(), principals });
        Admission {
            node: Node { id: self.id.to_owned(), pid: 1 },
            methods: Methods { anonymous: None, mutual, ..Methods::default() },
            ..admission("mesh")
        }
    }

    /// Says HELLO as the one who is admitted here, with this nonce, and gives what CHALLENGE says.
    fn knock(&self, nonce: &str) -> (Case, Dict) {
        self.knock_over(nonce, Peer::default())
    }

    /// As `knock`, over a transport of which this is known.
    fn knock_over(&self, nonce: &str, peer: Peer) -> (Case, Dict) {
        let mut case = Case { admission: self.admission(), peer, ..Case::new("mesh") };
        let (name, key, purpose) = &self.knows;
        let hello = format!(
            r#"> [1,"{REALM}",{{"roles":{{"caller":{{}}}},"authmethods":["mutual"],"authid":"{name}","authextra":{{"pubkey":"{}","purpose":"{}","nonce":"{nonce}"}}}}]"#,
            key.public(),
            purpose.name()
        );
        case.input(&hello);
        let (_, extra) = case.challenge.clone().expect("it is challenged");
        (case, extra)
    }
}

/// The program `victim`, which says HELLO to the attacker, is made to prove itself; with what it says the attacker
/// knocks at `door`. Every mixture of what the door and the attacker (by `own_key`, as `own_id`) can say is tried.
/// Gives how many signatures the victim has made.
fn relay(victim: &Client, own_id: &str, own_key: &SecretKey, door: &Door) -> usize {
    let victim = victim.renewed(None, &mut ChaCha8Rng::seed_from_u64(7));
    let hello = victim.hello_details(Dict::new());
    let nonce = hello.dict("authextra").unwrap().str("nonce").unwrap();
    let mut n_signatures = 0;
    for mixture in 0..16 {
        let (mut case, told) = door.knock(nonce);
        let from_door = |bit: usize| mixture & (1 << bit) != 0;
        let pick = |bit, key: &str, own: String| if from_door(bit) { told.str(key).unwrap().to_owned() } else { own };
        let node = pick(0, "node", own_id.to_owned());
        let pubkey = pick(1, "pubkey", own_key.public().to_string());
        let listener_nonce = pick(2, "nonce", "05".repeat(32));
        let signature =
            pick(3, "signature", own_signature(&victim, &hello, own_key, (&node, &pubkey, &listener_nonce)));
        let extra = Dict::new()
            .with("node", node)
            .with("pubkey", pubkey)
            .with("nonce", listener_nonce)
            .with("challenge", told.str("nonce").unwrap())
            .with("signature", signature);
        for method in ["mutual", "cryptosign"] {
            let Ok(signature) = victim.answer(REALM, method, &extra) else { continue };
            n_signatures += 1;
            let steps = case.handle(Message::Authenticate { signature, extra: Dict::new() });
            assert!(!is_in(&steps), "mixture {mixture} opens the door");
        }
    }
    n_signatures
}

/// What the attacker signs as the listener whom it says to be.
fn own_signature(victim: &Client, hello: &Dict, own_key: &SecretKey, said: (&str, &str, &str)) -> String {
    let authextra = hello.dict("authextra").unwrap();
    let meeting = Meeting {
        purpose: Purpose::from_name(authextra.str("purpose").unwrap()).unwrap(),
        realm: REALM.to_owned(),
        dialer: Party {
            id: victim.authid.clone().unwrap(),
            key: authextra.str("pubkey").unwrap().parse().unwrap(),
            nonce: parse(authextra.str("nonce").unwrap()),
        },
        listener: Party { id: said.0.to_owned(), key: said.1.parse().unwrap(), nonce: parse(said.2) },
        channel_id: None,
    };
    meeting.sign(Side::Listener, own_key)
}

/// A node that dials another one.
fn dialing(id: &str, seed: u8, to: (&str, u8)) -> Client {
    Client::program(id, key(seed), Purpose::Link).expect(Some(to.0), Some(key(to.1).public()))
}

#[test]
fn a_node_that_links_with_a_hostile_one_makes_it_no_operator_on_its_own_admin_port() {
    let admin = Door { id: "victim", key: key(1), knows: ("operator", key(1), Purpose::Operate) };
    assert!(relay(&dialing("victim", 1, ("hostile", 6)), "hostile", &key(6), &admin) > 0);
}

#[test]
fn a_node_that_links_with_a_hostile_one_makes_it_no_link_of_a_third() {
    let third = Door { id: "third", key: key(3), knows: ("victim", key(1), Purpose::Link) };
    assert!(relay(&dialing("victim", 1, ("hostile", 6)), "hostile", &key(6), &third) > 0);
}

#[test]
fn a_node_that_links_with_a_hostile_one_makes_it_no_edge_at_the_master() {
    let master = Door { id: "master", key: key(9), knows: ("victim", key(1), Purpose::Report) };
    assert!(relay(&dialing("victim", 1, ("hostile", 6)), "hostile", &key(6), &master) > 0);
}

#[test]
fn who_sits_at_the_address_of_a_node_without_its_key_is_told_nothing() {
    let victim = dialing("victim", 1, ("absent", 2));
    let master = Door { id: "master", key: key(9), knows: ("victim", key(1), Purpose::Report) };
    let third = Door { id: "third", key: key(3), knows: ("victim", key(1), Purpose::Link) };
    let admin = Door { id: "victim", key: key(1), knows: ("operator", key(1), Purpose::Operate) };
    for door in [master, third, admin] {
        assert_eq!(relay(&victim, "absent", &key(6), &door), 0, "it signs for {}", door.id);
    }
}

#[test]
fn an_operator_who_asks_a_hostile_program_is_nobody_at_another_one() {
    let operator = Client::program("operator", key(4), Purpose::Operate).expect(None, Some(key(6).public()));
    let master = Door { id: "master", key: key(9), knows: ("operator", key(4), Purpose::Operate) };
    let as_node = Door { id: "master", key: key(9), knows: ("operator", key(4), Purpose::Report) };
    for door in [master, as_node] {
        assert!(relay(&operator, "master", &key(6), &door) > 0);
    }
}

/// The node `edge1` with a session that it opens on this channel to `edge2`, and its nonce.
fn opening(channel_id: Option<ChannelId>) -> (Client, String) {
    let victim = dialing("edge1", 1, ("edge2", 2)).renewed(channel_id, &mut ChaCha8Rng::seed_from_u64(7));
    let hello = victim.hello_details(Dict::new());
    let nonce = hello.dict("authextra").unwrap().str("nonce").unwrap().to_owned();
    (victim, nonce)
}

fn linked_with_edge1() -> Door {
    Door { id: "edge2", key: key(2), knows: ("edge1", key(1), Purpose::Link) }
}

#[test]
fn who_passes_everything_on_between_two_channels_gets_nothing() {
    let door = linked_with_edge1();
    let channels = [None, Some([1; 32]), Some([2; 32])];
    for (of_victim, of_door) in channels.iter().flat_map(|one| channels.iter().map(move |other| (*one, *other))) {
        let (victim, nonce) = opening(of_victim);
        let (mut case, extra) = door.knock_over(&nonce, Peer { channel_id: of_door, ..Peer::default() });
        let answer = victim.answer(REALM, "mutual", &extra);
        assert_eq!(answer.is_ok(), of_victim == of_door, "{of_victim:?} {of_door:?}: {answer:?}");
        // What it would have signed without looking at the proof of the other side is worth nothing either.
        let meeting = Meeting {
            purpose: Purpose::Link,
            realm: REALM.to_owned(),
            dialer: Party { id: "edge1".into(), key: key(1).public(), nonce: parse(&nonce) },
            listener: Party { id: "edge2".into(), key: key(2).public(), nonce: parse(extra.str("nonce").unwrap()) },
            channel_id: of_victim,
        };
        let signature = meeting.sign(Side::Dialer, &key(1));
        assert_eq!(is_in(&case.handle(Message::Authenticate { signature, extra: Dict::new() })), of_victim == of_door);
    }
}

#[test]
fn who_has_proved_a_key_by_tls_speaks_for_no_other() {
    for (shown, expected) in [(key(1), true), (key(3), false)] {
        let (victim, nonce) = opening(Some([1; 32]));
        let peer = Peer { channel_id: Some([1; 32]), key: Some(shown.public()), ..Peer::default() };
        let (mut case, extra) = linked_with_edge1().knock_over(&nonce, peer);
        let signature = victim.answer(REALM, "mutual", &extra).unwrap();
        assert_eq!(is_in(&case.handle(Message::Authenticate { signature, extra: Dict::new() })), expected);
    }
}

fn is_in(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Join(_)))
}

fn parse(nonce: &str) -> [u8; 32] {
    crate::auth::cryptosign::parse_challenge(nonce).unwrap()
}

#[test]
fn a_signature_holds_once() {
    let door = linked_with_edge1();
    let (victim, nonce) = opening(None);
    let (mut case, extra) = door.knock(&nonce);
    let signature = victim.answer(REALM, "mutual", &extra).unwrap();
    let authenticate = || Message::Authenticate { signature: signature.clone(), extra: Dict::new() };
    assert!(is_in(&case.handle(authenticate())), "the right one opens the door");
    let mut later = Case { admission: door.admission(), rng: ChaCha8Rng::seed_from_u64(2), ..Case::new("mesh") };
    later.input(&format!(
        r#"> [1,"{REALM}",{{"roles":{{"caller":{{}}}},"authmethods":["mutual"],"authid":"edge1","authextra":{{"pubkey":"{}","purpose":"link","nonce":"{nonce}"}}}}]"#,
        key(1).public()
    ));
    assert!(!is_in(&later.handle(authenticate())), "and is of no use to who has recorded it");
}
