//! What clients do: the transport and the session of each, up to its place in the realm of a node.

use super::input::Input;
use super::message::{Known, hello, message};
use super::world::{CLIENTS_MAX, DEPTH_MAX, Ending, MOTIONS_MAX, Who, World};
use crossbar_cluster::drop::DropReason;
use crossbar_cluster::realm::MemberKind;
use crossbar_cluster::session::{Context, Join, Session, Step};
use crossbar_cluster::wamp::{Id, Message, SessionKey, codec};
use crossbar_cluster::wire::Serializer;

pub(super) struct Client {
    pub(super) node: usize,
    pub(super) listener: usize,
    pub(super) serializer: Serializer,
    pub(super) session: Session,
    /// Its place, while it has joined.
    pub(super) key: Option<SessionKey>,
    pub(super) next_request: Id,
    /// An authorizer is being asked, and the session not read.
    pub(super) is_suspended: bool,
    pub(super) known: Known,
}

impl World {
    pub(super) fn connect_client(&mut self, input: &mut Input) {
        self.cost.step = "a client connects";
        let Some(free) = self.clients.iter().position(Option::is_none) else { return };
        let (node, listener) = (input.below(2), usize::from(input.once_in(8)));
        let serializer = input.pick(&Serializer::ALL).unwrap_or(Serializer::Cbor);
        let session = Session::new(&self.context(listener));
        self.clients[free] = Some(Client {
            node,
            listener,
            serializer,
            session,
            key: None,
            next_request: 1,
            is_suspended: false,
            known: Known::default(),
        });
        let hello = hello(input);
        self.receive(free, &hello);
    }

    pub(super) fn lose_client(&mut self, input: &mut Input) {
        self.cost.step = "a client is lost";
        if let Some(client) = self.any_client(input) {
            self.lose(client);
        }
    }

    pub(super) fn lose(&mut self, client: usize) {
        let mut out = Vec::new();
        if let Some(client) = &mut self.clients[client] {
            client.session.handle_transport_closed(&mut out);
        }
        self.carry_out(client, out);
    }

    pub(super) fn client_speaks(&mut self, input: &mut Input) {
        self.cost.step = "a client speaks";
        let Some(index) = self.any_client(input) else { return self.connect_client(input) };
        let Some(client) = self.clients[index].as_mut().filter(|client| !client.is_suspended) else { return };
        if input.once_in(64) {
            let count = input.byte().into();
            return self.receive_bytes(index, input.bytes(count));
        }
        let is_outside = client.key.is_none() && !input.once_in(16);
        let message = if is_outside { hello(input) } else { message(input, &client.known, client.next_request) };
        let is_counted = matches!(
            message,
            Message::Publish { .. }
                | Message::Subscribe { .. }
                | Message::Register { .. }
                | Message::Call { .. }
                | Message::Unsubscribe { .. }
                | Message::Unregister { .. }
        );
        client.next_request += u64::from(is_counted);
        if matches!(message, Message::Goodbye { .. } | Message::Hello { .. }) {
            client.next_request = 1;
        }
        self.receive(index, &message);
    }

    pub(super) fn any_client(&self, input: &mut Input) -> Option<usize> {
        let present: Vec<usize> = (0..CLIENTS_MAX).filter(|index| self.clients[*index].is_some()).collect();
        input.pick(&present)
    }

    /// A message of a client arrives as the bytes of its serializer.
    pub(super) fn receive(&mut self, client: usize, message: &Message) {
        let Some(serializer) = self.clients[client].as_ref().map(|client| client.serializer) else { return };
        if self.is_traced {
            eprintln!("client {client} > {message:?}");
        }
        let mut bytes = Vec::new();
        codec::encode(message, serializer, &mut bytes);
        self.receive_bytes(client, &bytes);
    }

    pub(super) fn receive_bytes(&mut self, index: usize, bytes: &[u8]) {
        let mut out = Vec::new();
        let Some(client) = &mut self.clients[index] else { return };
        let (now, admission, peer) = (self.now, &self.admissions[client.listener], &self.peer);
        let penalties = &self.penalties;
        match codec::decode(client.serializer, bytes, DEPTH_MAX) {
            Ok(message) => {
                client.session.handle_message(
                    &Context { now, admission, peer, penalties },
                    message,
                    &mut self.rng,
                    &mut out,
                );
            }
            Err(error) => client.session.handle_violation(&error.to_string(), &mut out),
        }
        self.carry_out(index, out);
    }

    pub(super) fn context(&self, listener: usize) -> Context<'_> {
        let (admission, peer) = (&self.admissions[listener], &self.peer);
        Context { now: self.now, admission, peer, penalties: &self.penalties }
    }

    /// Does what a session wants done.
    pub(super) fn carry_out(&mut self, index: usize, steps: Vec<Step>) {
        for step in steps {
            let Some((node, key)) = self.clients[index].as_ref().map(|client| (client.node, client.key)) else {
                return;
            };
            match step {
                Step::Send(message) => self.tell(index, &message),
                Step::Join(join) => {
                    let Join { identity, welcome, .. } = *join;
                    let key = self.place(node, Who::Client(index));
                    if let Some(client) = &mut self.clients[index] {
                        client.key = Some(key);
                    }
                    self.act(node, |now, realm, out| realm.join(now, key, MemberKind::Client, identity, out));
                    self.tell(index, &welcome);
                }
                Step::Route(message) => {
                    let Some(key) = key else { continue };
                    self.act(node, |now, realm, out| realm.handle_message(now, key, message, out));
                }
                Step::Leave => {
                    if let Some(client) = &mut self.clients[index] {
                        (client.key, client.is_suspended) = (None, false);
                    }
                    let Some(key) = key else { continue };
                    self.nodes[node].members.remove(&key);
                    self.act(node, |now, realm, out| realm.leave(now, key, out));
                }
                Step::CloseTransport { .. } => self.clients[index] = None,
                _ => {}
            }
        }
    }

    pub(super) fn suspend(&mut self, node: usize, key: SessionKey, is_suspended: bool) {
        if let Some(Who::Client(index)) = self.nodes[node].members.get(&key)
            && let Some(client) = &mut self.clients[*index]
        {
            client.is_suspended = is_suspended;
        }
    }

    /// A client is sent a message, which it can read.
    pub(super) fn tell(&mut self, index: usize, message: &Message) {
        let Some(client) = &mut self.clients[index] else { return };
        let mut bytes = Vec::new();
        codec::encode(message, client.serializer, &mut bytes);
        let read = codec::decode(client.serializer, &bytes, usize::MAX);
        assert!(read.is_ok(), "a client cannot read {message:?}: {read:?}");
        if self.is_traced {
            eprintln!("client {index} of node {} < {message:?}", client.node);
        }
        client.known.note(message);
    }

    /// Ends the sessions that the nodes want to end.
    pub(super) fn end_sessions(&mut self) {
        for _ in 0..MOTIONS_MAX {
            let Some((node, key, ending)) = self.endings.pop() else { return };
            match self.nodes[node].members.get(&key).copied() {
                Some(Who::Link(dialing)) => self.cut(dialing),
                Some(Who::Client(index)) => {
                    let mut out = Vec::new();
                    let Some(client) = &mut self.clients[index] else { continue };
                    let (now, admission, peer) = (self.now, &self.admissions[client.listener], &self.peer);
                    let penalties = &self.penalties;
                    let cx = Context { now, admission, peer, penalties };
                    match ending {
                        Ending::Goodbye(reason, message, drop_reason) => {
                            client.session.end(&cx, &reason, message.as_deref(), drop_reason, &mut out);
                        }
                        Ending::Abort(reason, sentence) => {
                            client.session.abort(reason, &sentence, DropReason::ProtocolViolation, &mut out);
                        }
                    }
                    self.carry_out(index, out);
                }
                None => {}
            }
        }
        assert!(self.endings.is_empty(), "ending sessions never ends");
    }
}
