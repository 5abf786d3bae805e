//! The read half of a turn: bytes to messages, messages to session and realm, and the work that comes of it.

use super::clustered::ClusteredRealm;
use super::connection::{Connection, Ending};
use super::shard::{RealmIndex, Shard, Work};
use crate::drop::DropReason;
use crate::limits::TURN_READ_BYTES_MAX;
use crate::realm::{CallError, Effect, MemberKind};
use crate::session::{Context, Join, Step};
use crate::time::Now;
use crate::transport::{Broken, Incoming, Wrapping};
use crate::wamp::{Message, SessionKey, codec, error};
use crate::wire::batch::{Batch, Batching, SEPARATOR_DEPLOYED};
use crate::wire::websocket::CloseCode;
use crate::wire::{Dict, Payload, Serializer, Value};
use std::io;
use std::task::Poll;

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// The socket has nothing more.
    Drained,
    /// It may have more, but others have their turn first.
    Enough,
    /// Nothing may be read now.
    Paused,
}

impl Shard {
    /// What a connection's task does when it is woken. Ready when the connection is gone.
    pub(super) fn drive(&mut self, key: SessionKey, cx: &mut std::task::Context<'_>) -> Poll<()> {
        loop {
            let Some(connection) = self.connection(key) else { return Poll::Ready(()) };
            if connection.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                connection.waker = Some(cx.waker().clone());
            }
            if connection.ending == Ending::Dead {
                self.remove(key);
                return Poll::Ready(());
            }
            let stream = connection.stream.clone();
            if connection.wants_write && stream.poll_write_ready(cx).is_ready() {
                self.flush(key);
                continue;
            }
            if connection.has_parked() && connection.may_route() {
                self.route_parked(key);
                continue;
            }
            if !connection.may_read() || stream.poll_read_ready(cx).is_pending() {
                return Poll::Pending;
            }
            match self.read(key) {
                Read::Drained => {}
                Read::Paused => return Poll::Pending,
                Read::Enough => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads and routes what the socket has, up to the bound of one turn.
    fn read(&mut self, key: SessionKey) -> Read {
        let now = self.now();
        self.begin_turn();
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let mut read_bytes = 0;
        let outcome = loop {
            let Some(connection) = self.connection(key) else { break Read::Paused };
            if !connection.may_read() {
                break if connection.ending == Ending::Dead { Read::Drained } else { Read::Paused };
            }
            match connection.stream.try_read(&mut buffer) {
                Ok(0) => {
                    self.kill(key, DropReason::PeerLost);
                    break Read::Drained;
                }
                Ok(n) => {
                    connection.heard = now.uptime;
                    connection.pinged = None;
                    self.stats.count_read(n);
                    self.route_bytes(now, key, &mut buffer[..n]);
                    read_bytes += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Read::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.kill(key, DropReason::PeerLost);
                    break Read::Drained;
                }
            }
            if read_bytes >= TURN_READ_BYTES_MAX {
                break Read::Enough;
            }
        };
        self.read_buffer = buffer;
        outcome
    }

    /// Routes what was read before the session was suspended (or came with the handshake).
    fn route_parked(&mut self, key: SessionKey) {
        let now = self.now();
        self.begin_turn();
        while let Some(connection) = self.connection(key)
            && connection.may_route()
        {
            match connection.waiting.pop_front() {
                Some(message) => self.handle_message(now, key, message),
                None => {
                    let mut parked = std::mem::take(&mut connection.parked);
                    return self.route_bytes(now, key, &mut parked);
                }
            }
        }
    }

    /// Finds the messages in `input` and routes them, until the session may route no more; the rest is parked.
    fn route_bytes(&mut self, now: Now, key: SessionKey, mut input: &mut [u8]) {
        let Some(mut inbound) = self.connection(key).and_then(|connection| connection.inbound.take()) else { return };
        while !input.is_empty() {
            let Some(connection) = self.connection(key) else { return };
            if connection.ending != Ending::Open {
                break;
            }
            if connection.is_suspended {
                connection.parked.extend_from_slice(input);
                break;
            }
            let taken = match inbound.decode(input) {
                Ok((taken, incoming)) => {
                    if let Some(incoming) = incoming {
                        self.handle_incoming(now, key, incoming);
                    }
                    taken
                }
                Err(broken) => {
                    self.handle_broken(key, broken);
                    break;
                }
            };
            input = &mut input[taken..];
        }
        if let Some(connection) = self.connection(key) {
            connection.inbound = Some(inbound);
        }
    }

    fn handle_incoming(&mut self, now: Now, key: SessionKey, incoming: Incoming<'_>) {
        let Some(connection) = self.connection(key) else { return };
        match incoming {
            Incoming::Ping(payload) => {
                let pong = connection.outbound.pong(&payload);
                self.queue(key, pong, false);
            }
            Incoming::Pong => {}
            Incoming::Close { code } => {
                let farewell = connection.outbound.close(code, "");
                self.close(key, farewell);
            }
            Incoming::Message { bytes, is_text } => match connection.serializer {
                None => self.echo(key, &bytes, is_text == Some(true)),
                Some(serializer) if is_text.is_some_and(|is_text| is_text != (serializer == Serializer::Json)) => {
                    let expected = if serializer == Serializer::Json { "text" } else { "binary" };
                    self.handle_violation(now, key, &format!("{} needs {expected} messages", serializer.name()));
                }
                Some(serializer) => self.handle_payload(now, key, serializer, &bytes),
            },
        }
    }

    /// One transport message: a WAMP message, or a batch of them.
    fn handle_payload(&mut self, now: Now, key: SessionKey, serializer: Serializer, bytes: &[u8]) {
        let Some(connection) = self.connection(key) else { return };
        if !matches!(connection.outbound.wrapping, Wrapping::Batched | Wrapping::BatchedLegacy) {
            return self.handle_message_bytes(now, key, serializer, bytes);
        }
        let batch = match Batch::new(serializer, bytes) {
            Ok(batch) => batch,
            Err(error) => return self.handle_violation(now, key, &error.to_string()),
        };
        if batch.batching() == Batching::Separator(SEPARATOR_DEPLOYED) {
            connection.outbound.wrapping = Wrapping::BatchedLegacy;
        }
        for message in batch {
            match message {
                Ok(bytes) => self.handle_message_bytes(now, key, serializer, bytes),
                Err(error) => return self.handle_violation(now, key, &error.to_string()),
            }
        }
    }

    fn handle_message_bytes(&mut self, now: Now, key: SessionKey, serializer: Serializer, bytes: &[u8]) {
        let Some(connection) = self.connection(key) else { return };
        let depth_max = connection.listener.limits().message_depth_max;
        match codec::decode(serializer, bytes, depth_max) {
            Ok(message) => {
                self.stats.count_in(message.code());
                self.handle_message(now, key, message);
            }
            Err(error) => self.handle_violation(now, key, &error.to_string()),
        }
    }

    fn handle_message(&mut self, now: Now, key: SessionKey, message: Message) {
        if let Some(connection) = self.connection(key)
            && connection.is_suspended
        {
            // The rest of a batch whose earlier message is still being decided on.
            connection.waiting.push_back(message);
            return;
        }
        let mut steps = std::mem::take(&mut self.steps);
        if let Some(connection) = self.connections.get_mut(key.0 as usize) {
            let Connection { session, listener, peer, .. } = connection;
            let admission = listener.admission.borrow();
            session.handle_message(&Context { now, admission: &admission, peer }, message, &mut self.rng, &mut steps);
        }
        self.source = Some(key);
        self.run_steps(now, key, steps);
        self.source = None;
    }

    /// The peer sent something that is not WAMP: ABORT with the sentence, and close.
    fn handle_violation(&mut self, now: Now, key: SessionKey, sentence: &str) {
        let mut steps = std::mem::take(&mut self.steps);
        if let Some(connection) = self.connection(key) {
            connection.session.handle_violation(sentence, &mut steps);
        }
        self.run_steps(now, key, steps);
    }

    /// The peer broke the transport; there is no way to say ABORT on it.
    fn handle_broken(&mut self, key: SessionKey, broken: Broken) {
        tracing::debug!(key = key.0, reason = %broken.reason, message = broken.message, "transport violation");
        self.stats.count_drop(broken.reason);
        let farewell = (!broken.farewell.is_empty()).then(|| broken.farewell.into());
        self.close(key, farewell);
    }

    /// Carries out what a session wants done, and all that comes of it. Gives the emptied list back for the next time.
    pub(super) fn run_steps(&mut self, now: Now, key: SessionKey, mut steps: Vec<Step>) {
        self.work.extend(steps.drain(..).map(|step| Work::Step(key, step)));
        self.steps = steps;
        self.work_off(now);
    }

    /// Works until nothing is left. Effects may bring up more work; it is done in the order in which it came up.
    pub(super) fn work_off(&mut self, now: Now) {
        // Work that ends a session comes here again; the loop that is already running does what it queued.
        if std::mem::replace(&mut self.is_working, true) {
            return;
        }
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Step(key, step) => self.carry_out_step(now, key, step),
                Work::Effect(realm, effect) => self.carry_out_effect(now, realm, effect),
            }
        }
        self.is_working = false;
    }

    fn carry_out_step(&mut self, now: Now, key: SessionKey, step: Step) {
        match step {
            Step::Send(message) => self.deliver(key, message, false),
            Step::Route(message) => {
                let Some(index) = self.connection(key).and_then(|connection| connection.realm) else { return };
                self.with_realm(index, |realm, effects| realm.handle_message(now, key, message, effects));
            }
            Step::Join(join) => self.join(now, key, *join),
            Step::Leave => self.leave(key),
            Step::Authenticate(question) => {
                let token = self.token();
                let Some(connection) = self.connection(key) else { return };
                connection.authenticating = Some(token);
                self.authenticating.insert(token, (key, question.attempt));
                let payload = Payload::from_values(question.args(), Dict::new());
                match self.realm_names.get(&question.authenticator.realm).copied() {
                    Some(index) => self.with_realm(index, |realm, effects| {
                        let timeout = realm.config().limits.authorizer_timeout;
                        realm.call(now, token, &question.authenticator.procedure, payload, timeout, effects);
                    }),
                    None => {
                        let error = CallError { error: error::NO_SUCH_REALM.to_owned(), payload: Payload::empty() };
                        self.handle_authenticator_answer(now, token, Err(error));
                    }
                }
            }
            Step::Drop(reason) => self.stats.count_drop(reason),
            Step::CloseTransport { reason } => {
                if let Some(reason) = reason {
                    self.stats.count_drop(reason);
                }
                let code = if reason.is_some() { CloseCode::PROTOCOL_ERROR } else { CloseCode::NORMAL };
                let word = reason.map_or("", DropReason::name);
                let farewell = self.connection(key).and_then(|connection| connection.outbound.close(Some(code), word));
                self.close(key, farewell);
            }
        }
    }

    /// Hands an admitted session to its realm; then it is welcome.
    fn join(&mut self, now: Now, key: SessionKey, join: Join) {
        let index = self.realm_names.get(&join.realm).copied();
        let Some(index) = index.filter(|_| !self.is_draining) else {
            return self.abort(key, error::CLOSE_SYSTEM_SHUTDOWN, "this node is leaving", DropReason::Shutdown);
        };
        let slot = self.realms.get(index.0).and_then(Option::as_ref);
        let sessions_max = slot.map_or(0, |slot| slot.sessions_max);
        if self.realm_mut(index).is_some_and(|realm| realm.n_sessions() >= sessions_max) {
            let sentence = format!("the realm has sessions_max = {sessions_max} sessions");
            return self.abort(key, error::LIMIT_EXCEEDED, &sentence, DropReason::TooManySessions);
        }
        let Some(connection) = self.connection(key) else { return };
        connection.realm = Some(index);
        let kind = if join.trusted_link { MemberKind::Peer } else { MemberKind::Client };
        self.with_realm(index, |realm, effects| realm.join(now, key, kind, join.identity, effects));
        self.deliver(key, join.welcome, false);
    }

    /// Refuses a session, or ends one that broke the protocol.
    pub(super) fn abort(&mut self, key: SessionKey, reason: &str, sentence: &str, drop_reason: DropReason) {
        let mut steps = Vec::new();
        if let Some(connection) = self.connection(key) {
            connection.session.abort(reason, sentence, drop_reason, &mut steps);
        }
        self.work.extend(steps.into_iter().map(|step| Work::Step(key, step)));
    }

    /// Ends a session with GOODBYE.
    pub(super) fn end(&mut self, now: Now, key: SessionKey, reason: &str, message: Option<&str>, drop: DropReason) {
        let mut steps = Vec::new();
        if let Some(connection) = self.connection(key) {
            let Connection { session, listener, peer, .. } = connection;
            let admission = listener.admission.borrow();
            session.end(&Context { now, admission: &admission, peer }, reason, message, drop, &mut steps);
        }
        self.work.extend(steps.into_iter().map(|step| Work::Step(key, step)));
    }

    /// Lets a realm act, and queues what it wants done.
    pub(super) fn with_realm(&mut self, index: RealmIndex, act: impl FnOnce(&mut ClusteredRealm, &mut Vec<Effect>)) {
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(realm) = self.realm_mut(index) {
            act(realm, &mut effects);
        }
        self.work.extend(effects.drain(..).map(|effect| Work::Effect(index, effect)));
        self.effects = effects;
    }

    fn carry_out_effect(&mut self, now: Now, realm: RealmIndex, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                let is_event = matches!(message, Message::Event { .. });
                self.deliver(to, message, is_event);
            }
            Effect::Fanout { to, message } => self.deliver_all(realm, &to, &message),
            Effect::Abort { session, reason, sentence } => {
                self.abort(session, reason, &sentence, DropReason::ProtocolViolation);
            }
            Effect::Goodbye { session, reason, message } => {
                self.end(now, session, &reason, message.as_deref(), DropReason::Killed);
            }
            Effect::Suspend { session } => {
                if let Some(connection) = self.connection(session) {
                    connection.is_suspended = true;
                }
            }
            Effect::Resume { session } => {
                if let Some(connection) = self.connection(session) {
                    connection.is_suspended = false;
                    connection.wake();
                }
            }
            Effect::Answer { token, result } => {
                self.handle_authenticator_answer(now, token, result);
            }
            Effect::Drop { reason } => self.stats.count_drop(reason),
        }
    }

    fn handle_authenticator_answer(&mut self, now: Now, token: u64, result: Result<Payload, CallError>) {
        let Some((key, attempt)) = self.authenticating.remove(&token) else { return };
        let mut steps = Vec::new();
        if let Some(connection) = self.connections.get_mut(key.0 as usize)
            && connection.authenticating.take_if(|waiting| *waiting == token).is_some()
        {
            let Connection { session, listener, peer, .. } = connection;
            let admission = listener.admission.borrow();
            let cx = Context { now, admission: &admission, peer };
            // Authenticators answer with one value, a role or a dict.
            let answer = result.map_err(|error| error.error).and_then(|payload| {
                let args = payload.args().map_err(|error| error.to_string())?;
                Ok(args.into_iter().next().unwrap_or(Value::Null))
            });
            session.handle_authenticator_answer(&cx, attempt, answer, &mut self.rng, &mut steps);
        }
        self.work.extend(steps.into_iter().map(|step| Work::Step(key, step)));
    }
}
