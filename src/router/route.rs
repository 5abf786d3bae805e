//! Messages to session and realm, and the work that comes of it, carried out in order.

use super::connection::Connection;
use super::protocol::Protocol;
use super::questions::{Asked, Asking};
use super::rounds::Source;
use super::shard::{RealmIndex, Shard, Work};
use crate::drop::DropReason;
use crate::federation::ClusteredRealm;
use crate::limits::Limits;
use crate::realm::{CallError, Effect, MemberKind};
use crate::session::admission::Authenticator;
use crate::session::{Context, Join, Question, Step};
use crate::time::Now;
use crate::wamp::{Identity, Message, SessionKey, error};
use crate::wire::websocket::CloseCode;
use crate::wire::{Dict, Payload, Value};
use rand_chacha::ChaCha8Rng;

impl Shard {
    pub(super) fn handle_message(&mut self, now: Now, key: SessionKey, message: Message) {
        self.with_protocol(now, key, |protocol, cx, rng, steps| protocol.handle_message(cx, message, rng, steps));
        self.source = Some(key);
        self.work_off(now);
        self.source = None;
    }

    /// The peer sent something that is not WAMP: ABORT with the sentence, and close.
    pub(super) fn handle_violation(&mut self, now: Now, key: SessionKey, sentence: &str) {
        self.note_link_ended(key, sentence);
        self.with_protocol(now, key, |protocol, _, _, steps| protocol.handle_violation(sentence, steps));
        self.work_off(now);
    }

    /// Lets what is spoken on a connection act, and queues what it wants done. Without the connection nothing is done.
    pub(super) fn with_protocol<T: Default>(
        &mut self,
        now: Now,
        key: SessionKey,
        act: impl FnOnce(&mut Protocol, &Context, &mut ChaCha8Rng, &mut Vec<Step>) -> T,
    ) -> T {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return T::default() };
        let Connection { protocol, listener, peer, .. } = connection;
        let admission = listener.admission.borrow();
        let cx = Context { now, admission: &admission, peer, penalties: &self.penalties };
        let given = act(protocol, &cx, &mut self.rng, &mut self.steps);
        self.work.extend(self.steps.drain(..).map(|step| Work::Step(key, step)));
        given
    }

    /// Works until nothing is left. Effects may bring up more work; it is done in the order in which it came up.
    pub fn work_off(&mut self, now: Now) {
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
            Step::Send(message) => self.deliver(key, message),
            Step::Route(message) => {
                let Some(index) = self.connection(key).and_then(|connection| connection.realm) else { return };
                let Some(message) = self.take_served(key, index, message) else { return };
                self.with_realm(index, |realm, effects| realm.handle_message(now, key, message, effects));
            }
            Step::Join(join) => self.join(now, key, *join),
            Step::Leave => self.leave(key),
            Step::Authenticate(question) => self.ask(now, key, question),
            Step::Refused(refused) => self.note(key, *refused),
            Step::CloseTransport { reason } => {
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
        let slot = index.and_then(|index| self.realms.get(index.0));
        // Links and operators are welcome to the end.
        let is_refused = self.is_closed && !join.trusted_link && slot.is_some_and(|slot| slot.is_clustered);
        let Some(index) = index.filter(|_| !is_refused) else {
            return self.abort(key, error::CLOSE_SYSTEM_SHUTDOWN, "this node is leaving", DropReason::Shutdown);
        };
        if let Some((reason, sentence)) = self.excess(index, &join) {
            return self.abort(key, error::LIMIT_EXCEEDED, &sentence, reason);
        }
        let Some(connection) = self.connection(key) else { return };
        connection.realm = Some(index);
        connection.share.realm = Some(index);
        connection.entry.open();
        if join.trusted_link {
            // It carries what all clients of its node send.
            connection.share.source = Source::Own(key);
        }
        let kind = if join.trusted_link { MemberKind::Peer } else { MemberKind::Client };
        if kind == MemberKind::Client {
            self.measure(key, index, &join.identity.authrole);
        }
        if kind == MemberKind::Peer {
            self.dial_now(&join.identity.authid, index);
        }
        self.with_realm(index, |realm, effects| realm.join(now, key, kind, join.identity, effects));
        self.stats.sessions_opened.add(1);
        self.deliver(key, join.welcome);
    }

    /// Why the realm has no room for a session, if it has none: the name and the sentence.
    fn excess(&mut self, index: RealmIndex, join: &Join) -> Option<(DropReason, String)> {
        let slot = self.realms.get(index.0)?;
        let Limits { sessions_max, sessions_per_authid_max, .. } = slot.settings.core.limits;
        if slot.realm.n_sessions() >= sessions_max {
            let sentence = format!("the realm has sessions_max = {sessions_max} sessions");
            return Some((DropReason::TooManySessions, sentence));
        }
        // Who proves nothing has a random authid, and a link is of all clients of its node.
        let is_bounded = sessions_per_authid_max > 0 && !join.trusted_link && join.identity.authmethod != "anonymous";
        let has_too_many = || slot.realm.members().n_clients_of(&join.identity.authid) >= sessions_per_authid_max;
        (is_bounded && has_too_many()).then(|| {
            let sentence = format!("this authid has sessions_per_authid_max = {sessions_per_authid_max} sessions here");
            (DropReason::TooManyOfAuthid, sentence)
        })
    }

    /// Makes a dialed link a member of its realm.
    pub(super) fn join_uplink(&mut self, now: Now, key: SessionKey, index: RealmIndex, identity: Identity) {
        if let Some(connection) = self.connection(key) {
            connection.realm = Some(index);
            connection.share.realm = Some(index);
        }
        self.with_realm(index, |realm, effects| realm.join(now, key, MemberKind::Uplink, identity, effects));
        self.work_off(now);
        self.wake_flusher();
    }

    /// Refuses a session, or ends one that broke the protocol.
    pub(super) fn abort(&mut self, key: SessionKey, reason: &str, sentence: &str, drop_reason: DropReason) {
        let now = self.now();
        self.with_protocol(now, key, |protocol, _, _, steps| protocol.abort(reason, sentence, drop_reason, steps));
    }

    /// Ends a session with GOODBYE.
    pub fn end(&mut self, now: Now, key: SessionKey, reason: &str, message: Option<&str>, drop: DropReason) {
        self.with_protocol(now, key, |protocol, cx, _, steps| protocol.end(cx, reason, message, drop, steps));
    }

    /// Lets a realm act, and queues what it wants done.
    pub fn with_realm(&mut self, index: RealmIndex, act: impl FnOnce(&mut ClusteredRealm, &mut Vec<Effect>)) {
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
                self.deliver(to, message);
            }
            Effect::Fanout { to, message } => self.deliver_all(realm, &to, &message),
            Effect::Abort { session, reason, sentence } => {
                self.note_link_ended(session, &sentence);
                self.abort(session, reason, &sentence, DropReason::ProtocolViolation);
            }
            Effect::Goodbye { session, reason, message, drop_reason } => {
                self.note_link_ended(session, message.as_deref().unwrap_or(&reason));
                self.end(now, session, &reason, message.as_deref(), drop_reason);
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
                self.handle_own_answer(now, token, result);
            }
            Effect::Drop { reason } => self.note_in(Some(realm), reason),
            Effect::Refused { session, refused } => self.note(session, *refused),
            Effect::Settle { .. } | Effect::Gather(_) => {
                debug_assert!(false, "the clustered realm asks its peers itself");
            }
        }
    }

    /// Has an authenticator asked about a session, as soon as it is its turn.
    fn ask(&mut self, now: Now, key: SessionKey, question: Box<Question>) {
        let token = self.token();
        let Some(connection) = self.connection(key) else { return };
        connection.authenticating = Some(token);
        let source = connection.share.source;
        if let Some(asking) = self.questions.add(source, Asking { token, key, question }) {
            self.put_question(now, asking);
        }
    }

    /// Asks what waits for this authenticator, as far as it is not asked enough already.
    fn ask_next(&mut self, now: Now, authenticator: &Authenticator) {
        while let Some(asking) = self.questions.take_next(authenticator) {
            if self.may_ask(now, asking.key) {
                self.put_question(now, asking);
            } else {
                self.questions.take_asked(asking.token);
            }
        }
    }

    /// Whether a login is still to be looked at: others of the same principal may have failed while it waited.
    fn may_ask(&mut self, now: Now, key: SessionKey) -> bool {
        self.with_protocol(now, key, |protocol, cx, _, steps| protocol.may_ask(cx, steps))
    }

    fn put_question(&mut self, now: Now, Asking { token, question, .. }: Asking) {
        let payload = Payload::from_values(question.args(), Dict::new());
        match self.realm_names.get(&question.authenticator.realm).copied() {
            Some(index) => self.with_realm(index, |realm, effects| {
                let timeout = realm.config().limits.authorizer_timeout;
                realm.call(now, token, &question.authenticator.procedure, payload, timeout, effects);
            }),
            None => {
                let result = Err(CallError { error: error::NO_SUCH_REALM.to_owned(), payload: Payload::empty() });
                // An answer is of no realm. It comes later, as any other would, and not from within this question.
                self.work.push_back(Work::Effect(RealmIndex(0), Effect::Answer { token, result }));
            }
        }
    }

    /// A call that the router made is answered: an authenticator's, or one of the program itself.
    fn handle_own_answer(&mut self, now: Now, token: u64, result: Result<Payload, CallError>) {
        if let Some(asker) = self.own_calls.remove(&token) {
            // Whoever asked may have stopped waiting.
            let _ = asker.send(result);
            return;
        }
        let Some(Asked { key, attempt, authenticator }) = self.questions.take_asked(token) else { return };
        if let Some(connection) = self.connection(key)
            && connection.authenticating.take_if(|waiting| *waiting == token).is_some()
        {
            // Authenticators answer with one value, a role or a dict.
            let answer = result.map_err(|error| error.error).and_then(|payload| {
                let args = payload.args().map_err(|error| error.to_string())?;
                Ok(args.into_iter().next().unwrap_or(Value::Null))
            });
            self.with_protocol(now, key, |protocol, cx, rng, steps| {
                protocol.handle_authenticator_answer(cx, attempt, answer, rng, steps);
            });
        }
        self.ask_next(now, &authenticator);
    }
}
