//! How many allocations a PUBLISH costs, from its bytes to the frames in the outboxes of all who get the event.

use crate::allocator;
use crossbar_cluster::federation::ClusteredRealm;
use crossbar_cluster::kept::Account;
use crossbar_cluster::realm::{Effect, MemberKind};
use crossbar_cluster::time::Now;
use crossbar_cluster::transport::{Class, Encoding, Frame, FrameBytes, Outbox, Wrapping};
use crossbar_cluster::wamp::{Message, SessionKey, codec};
use crossbar_cluster::wire::{Dict, Payload, Serializer};
use std::rc::Rc;

/// A realm with subscribers, and their outboxes.
struct World {
    realm: ClusteredRealm,
    outboxes: Vec<Outbox>,
    account: Rc<Account>,
    effects: Vec<Effect>,
    buffer: Vec<u8>,
}

impl World {
    /// The first session publishes; it and all others subscribe.
    fn new(n_sessions: u32, discloses: bool) -> World {
        let account = Rc::new(Account::default());
        let outboxes = (0..n_sessions).map(|_| Outbox::new(account.clone())).collect();
        let mut config = crate::realm::config();
        for role in &mut config.roles {
            role.permissions.iter_mut().for_each(|permission| permission.disclose_publisher = discloses);
        }
        let realm = ClusteredRealm::new(Now::epoch(), "node", config, [1; 32]);
        let mut world = World { realm, outboxes, account, effects: Vec::new(), buffer: Vec::new() };
        for key in 0..n_sessions {
            let (key, authid) = (SessionKey(key), format!("client {key}"));
            let identity = crate::realm::identity(key, &authid);
            world.realm.join(Now::epoch(), key, MemberKind::Client, identity, &mut world.effects);
            let subscribe = Message::Subscribe { request: 1, options: Dict::new(), topic: "com.topic".to_owned() };
            world.realm.handle_message(Now::epoch(), key, subscribe, &mut world.effects);
        }
        world.effects.clear();
        world
    }

    /// Does what a turn of the router does with a message of the first session. Gives the number of frames.
    fn route(&mut self, bytes: &[u8]) -> usize {
        let message = codec::decode(Serializer::Cbor, bytes, 64).expect("it is well-formed");
        self.realm.handle_message(Now::epoch(), SessionKey(0), message, &mut self.effects);
        let mut n_frames = 0;
        for effect in std::mem::take(&mut self.effects).drain(..) {
            match effect {
                Effect::Send { to, message } => n_frames += self.queue(&[to], &message, Class::Reply),
                Effect::Fanout { to, message } => {
                    let frame = self.frame(&message);
                    to.iter().for_each(|to| self.push(to, frame.clone(), Class::Event));
                    n_frames += to.iter().count();
                }
                other => panic!("a PUBLISH that is in order comes to nothing else: {other:?}"),
            }
        }
        n_frames
    }

    fn queue(&mut self, to: &[SessionKey], message: &Message, class: Class) -> usize {
        let frame = self.frame(message);
        to.iter().for_each(|to| self.push(*to, frame.clone(), class));
        to.len()
    }

    fn push(&mut self, to: SessionKey, bytes: FrameBytes, class: Class) {
        self.outboxes[to.0 as usize].push(Frame { bytes, class });
    }

    fn frame(&mut self, message: &Message) -> FrameBytes {
        self.buffer.clear();
        codec::encode(message, Serializer::Cbor, &mut self.buffer);
        let encoding = Encoding { serializer: Serializer::Cbor, wrapping: Wrapping::WebSocket };
        FrameBytes::new(encoding.wrap(&self.buffer).expect("it is short"), &self.account)
    }

    /// All that waits has been written.
    fn write(&mut self) {
        for outbox in &mut self.outboxes {
            outbox.advance(outbox.queued_bytes());
        }
    }
}

/// The allocations of one PUBLISH in a realm that has routed some before, so that all places are there.
fn allocations(n_sessions: u32, discloses: bool, options: &Dict) -> usize {
    let mut world = World::new(n_sessions, discloses);
    let mut n_allocations = 0;
    for request in 1..10 {
        let payload = Payload::from_values(vec!["an argument of some length".into()], Dict::new());
        let publish = Message::Publish { request, options: options.clone(), topic: "com.topic".to_owned(), payload };
        let mut bytes = Vec::new();
        codec::encode(&publish, Serializer::Cbor, &mut bytes);
        world.effects.reserve(8);
        let before = allocator::times();
        let n_frames = world.route(&bytes);
        n_allocations = allocator::times() - before;
        let n_replies = usize::from(options.bool("acknowledge") == Some(true));
        let n_receivers = n_sessions as usize - usize::from(options.bool("exclude_me") != Some(false));
        assert_eq!(n_frames, n_receivers + n_replies);
        world.write();
    }
    n_allocations
}

#[test]
fn a_publish_allocates_as_often_for_one_receiver_as_for_a_thousand() {
    let acknowledged = Dict::new().with("acknowledge", true).with("exclude_me", false);
    for n_sessions in [2, 10, 1_000] {
        // The topic, the payload, and the frame with its place.
        assert_eq!(allocations(n_sessions, false, &Dict::new()), 4, "without options, {n_sessions} sessions");
        // Also the options, the details with authid and authrole, and the frame of PUBLISHED with its place.
        assert_eq!(allocations(n_sessions, true, &acknowledged), 10, "disclosed, {n_sessions} sessions");
    }
}
