//! A realm with a session whose messages are looked at, and a callee that answers nothing.

use crossbar_cluster::kept::Kind;
use crossbar_cluster::limits::Limits;
use crossbar_cluster::realm::{Effect, MemberKind, Permission, Realm, RealmConfig, Role};
use crossbar_cluster::time::Now;
use crossbar_cluster::wamp::feature::Features;
use crossbar_cluster::wamp::uri::UriCheck;
use crossbar_cluster::wamp::{Identity, Message, SessionKey, codec};
use crossbar_cluster::wire::{Dict, Serializer};

const CLIENT: SessionKey = SessionKey(1);
const CALLEE: SessionKey = SessionKey(2);

pub(crate) struct World {
    realm: Realm,
    out: Vec<Effect>,
}

impl World {
    pub(crate) fn new() -> World {
        let mut world = World { realm: Realm::new(Now::epoch(), config(), [1; 32]), out: Vec::new() };
        for (key, authid) in [(CLIENT, "client"), (CALLEE, "callee")] {
            world.realm.join(Now::epoch(), key, MemberKind::Client, identity(key, authid), &mut world.out);
        }
        let options = Dict::new().with("concurrency", 1u64);
        let register = Message::Register { request: 1, options, procedure: "com.busy".to_owned() };
        world.realm.handle_message(Now::epoch(), CALLEE, register, &mut world.out);
        world.out = Vec::new();
        world.realm.take_changes();
        world
    }

    /// The bytes of a message that was taken; an error when it was refused.
    pub(crate) fn send(&mut self, message: Message) -> Result<usize, ()> {
        let mut bytes = Vec::new();
        codec::encode(&message, Serializer::Cbor, &mut bytes);
        let message = codec::decode(Serializer::Cbor, &bytes, 64).expect("it is well-formed");
        self.realm.handle_message(Now::epoch(), CLIENT, message, &mut self.out);
        let is_error = |effect: &Effect| matches!(effect, Effect::Send { message: Message::Error { .. }, .. });
        let is_dropped = |effect: &Effect| matches!(effect, Effect::Drop { .. });
        let is_refused = self.out.iter().any(|effect| is_error(effect) || is_dropped(effect));
        // What goes out is written and forgotten, and what has changed is told.
        self.out = Vec::new();
        self.realm.take_changes();
        if is_refused { Err(()) } else { Ok(bytes.len()) }
    }

    pub(crate) fn leave(&mut self) {
        self.realm.leave(Now::epoch(), CLIENT, &mut self.out);
        self.realm.check_kept();
    }

    pub(crate) fn kept(&self) -> usize {
        self.realm.ledger().tally().total()
    }

    pub(crate) fn kept_of(&self, kind: Kind) -> usize {
        self.realm.ledger().tally().of(kind)
    }

    pub(crate) fn kept_of_session(&self) -> usize {
        self.realm.ledger().of_session(CLIENT)
    }
}

pub(crate) fn identity(key: SessionKey, authid: &str) -> Identity {
    Identity {
        session: u64::from(key.0) + 100,
        authid: authid.to_owned(),
        authrole: "user".to_owned(),
        authmethod: "anonymous".to_owned(),
        authprovider: "static".to_owned(),
        authextra: Dict::new(),
        transport: Dict::new(),
        features: Features::EVERYTHING,
    }
}

pub(crate) fn config() -> RealmConfig {
    let permissions = ["", "wamp."].map(|prefix| Permission {
        call: true,
        register: true,
        publish: true,
        subscribe: true,
        ..Permission::none(prefix)
    });
    let permissions = permissions.to_vec();
    RealmConfig {
        name: "realm1".to_owned(),
        uri_check: UriCheck::Loose,
        roles: vec![Role { name: "user".to_owned(), permissions, authorizer: None }],
        history: Vec::new(),
        deciding: Vec::new(),
        local_first: true,
        limits: Limits::default(),
    }
}
