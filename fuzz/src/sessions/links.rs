//! The two links between the nodes: dialed, cut, and what is on its way on them.

use super::input::Input;
use super::message::{Known, message_of_peer};
use super::setting::identity;
use super::world::{DEPTH_MAX, MOTIONS_MAX, Who, World};
use crossbar_cluster::mesh::frames;
use crossbar_cluster::realm::MemberKind;
use crossbar_cluster::wamp::codec::Form;
use crossbar_cluster::wamp::message::code;
use crossbar_cluster::wamp::{Id, Message, SessionKey, codec};
use std::collections::VecDeque;

/// A link that is up: its ends at the dialing and the dialed node, and what is on its way from each.
pub(super) struct Link {
    pub(super) ends: [SessionKey; 2],
    pub(super) queues: [VecDeque<Vec<u8>>; 2],
    pub(super) known: [Known; 2],
    pub(super) n_requests: Id,
}

impl World {
    /// Everything that is on its way on links arrives, and what comes of it.
    pub(super) fn carry(&mut self) {
        for _ in 0..MOTIONS_MAX {
            let queued = |dialing: &usize| self.links[*dialing].as_ref().is_some_and(|link| link.is_busy());
            let Some(dialing) = (0..2).find(queued) else { return };
            self.carry_one(dialing);
        }
        panic!("links never come to rest");
    }

    pub(super) fn carry_one(&mut self, dialing: usize) {
        let Some(link) = &mut self.links[dialing] else { return };
        let from = usize::from(link.queues[0].is_empty());
        let Some(bytes) = link.queues[from].pop_front() else { return };
        let to = link.ends[1 - from];
        let node = if from == 0 { 1 - dialing } else { dialing };
        let message = codec::decode(Form::Link, &bytes, usize::MAX).expect("what a node sends can be read");
        self.cost.receivers = 0;
        self.act(node, |now, realm, out| realm.handle_message(now, to, message, out));
        self.end_sessions();
    }

    pub(super) fn cut_or_mend(&mut self, input: &mut Input) {
        self.cost.step = "a link is cut or mended";
        let dialing = input.below(2);
        match self.links[dialing] {
            Some(_) => self.cut(dialing),
            None => self.dial(dialing),
        }
    }

    pub(super) fn connect_nodes(&mut self) {
        (0..2).for_each(|dialing| self.dial(dialing));
    }

    pub(super) fn dial(&mut self, dialing: usize) {
        if self.links[dialing].is_some() {
            return;
        }
        let dialed = 1 - dialing;
        let ends = [self.place(dialing, Who::Link(dialing)), self.place(dialed, Who::Link(dialing))];
        let names = [dialing, dialed].map(|node| self.nodes[node].realm.node().to_owned());
        self.links[dialing] = Some(Link {
            ends,
            queues: [VecDeque::new(), VecDeque::new()],
            known: [Known::default(), Known::default()],
            n_requests: 0,
        });
        self.n_sessions += 1;
        let session = self.n_sessions;
        let [ours, theirs] = names.map(|name| identity(session, name));
        self.act(dialed, |now, realm, out| realm.join(now, ends[1], MemberKind::Peer, ours, out));
        self.act(dialing, |now, realm, out| realm.join(now, ends[0], MemberKind::Uplink, theirs, out));
    }

    pub(super) fn cut(&mut self, dialing: usize) {
        let Some(link) = self.links[dialing].take() else { return };
        for (node, key) in [dialing, 1 - dialing].into_iter().zip(link.ends) {
            self.nodes[node].members.remove(&key);
            self.act(node, |now, realm, out| realm.leave(now, key, out));
        }
    }

    /// A message that may be too large, or find a full link, is not delivered: does what the driver of a realm makes of
    /// that. Returns whether it was one.
    pub(super) fn lose_message(&mut self, node: usize, to: SessionKey, message: &Message) -> bool {
        let (error, sentence) = ("wamp.error.payload_size_exceeded", "it is too large");
        self.loses_next = false;
        match message {
            Message::Result { request, .. } | Message::Yield { request, .. } => {
                self.act(node, |now, realm, out| realm.refuse_answer(now, to, *request, error, sentence, out));
            }
            Message::Invocation { request, .. } => {
                self.act(node, |now, realm, out| realm.refuse_invocation(now, to, *request, error, sentence, out));
            }
            Message::Call { request, .. } => {
                let answer = Message::error(code::CALL, *request, error, sentence.to_owned());
                self.act(node, |now, realm, out| realm.handle_message(now, to, answer, out));
            }
            Message::Event { details, .. } => {
                let is_notice = details.str("topic").is_some_and(|topic| topic.starts_with(frames::NAMESPACE));
                if is_notice && self.nodes[node].realm.members().peers().contains(&to) {
                    self.act(node, |_, realm, out| realm.note_overrun(to, out));
                }
            }
            _ => {
                self.loses_next = true;
                return false;
            }
        }
        true
    }

    /// A node says something on a link that its realm has not said.
    pub(super) fn lie(&mut self, input: &mut Input) {
        self.cost.step = "a node lies";
        let (dialing, from) = (input.below(2), input.below(2));
        let Some(link) = &mut self.links[dialing] else { return };
        link.n_requests += 1;
        let message = message_of_peer(input, &link.known[1 - from], link.n_requests);
        let mut bytes = Vec::new();
        codec::encode(&message, Form::Link, &mut bytes);
        // As the other end would read it: what is no message ends the link there.
        match codec::decode(Form::Link, &bytes, DEPTH_MAX) {
            Ok(_) => link.queues[from].push_back(bytes),
            Err(_) => self.cut(dialing),
        }
    }
}

impl Link {
    fn is_busy(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }
}
