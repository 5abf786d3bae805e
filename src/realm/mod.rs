//! The routing truth of one realm on one shard: who is here, who listens to what, who answers what. Pure: messages and
//! the time go in, effects come out.
//!
//! `Realm` takes a session's messages apart and hands them to the `broker` (publish and subscribe) or the `dealer`
//! (call and register); both see the world through a `Context`. What happened that others may want to know (a session
//! joined, a registration was made) is noted as a `MetaEvent` and published after the message is done.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod authorize;
pub mod broker;
pub mod carriage;
pub mod dealer;
mod dispatch;
pub mod effect;
pub mod holdings;
pub mod ids;
pub mod ledger;
pub mod members;
pub mod meta;
pub mod pattern;
pub mod permission;
mod review;
mod revocation;
pub mod testament;
pub mod timestamp;

#[cfg(test)]
mod tests;

pub use effect::{CallError, Effect, MetaEvent, Origin};
pub use members::{Ending, Member, MemberKind, Members};
pub use permission::{Action, Permission, RealmConfig, Role};
pub use review::Forgetting;

use crate::drop::DropReason;
use crate::kept::Kind;
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Id, Identity, Message, SessionKey};
use crate::wire::{Dict, Payload, Value};
use authorize::Authority;
use broker::{Broker, Publisher};
use dealer::{Caller, Dealer, Farewell};
use holdings::{Holding, Holdings};
use ids::{Asked, IdKind};
use ledger::Ledger;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use testament::{Scope, SessionTestaments, Testament, TestamentChange, Testaments};

/// One realm on one shard.
#[derive(Debug)]
pub struct Realm {
    config: RealmConfig,
    members: Members,
    rng: ChaCha8Rng,
    /// What authorizers have answered to messages that are to go on; empty between two calls.
    answers: VecDeque<(u64, Result<Payload, CallError>)>,
    /// What has happened and is not published yet; empty between two calls.
    meta: Vec<MetaEvent>,
    holdings: Holdings,
    ledger: Ledger,
    desks: Desks,
}

/// Patterns with which something has happened.
#[derive(Debug, Default)]
pub struct Changes {
    pub subscriptions: BTreeSet<(Match, String)>,
    pub registrations: BTreeSet<(Match, String)>,
    /// What sessions have done with their testaments, in order.
    pub testaments: Vec<TestamentChange>,
    /// What clients have begun or ceased to hold, in order.
    pub holdings: Vec<Holding>,
}

/// Those who handle messages within a `Context`.
#[derive(Debug, Default)]
pub(crate) struct Desks {
    pub(crate) broker: Broker,
    pub(crate) dealer: Dealer,
    pub(crate) testaments: Testaments,
    pub(crate) authority: Authority,
    reviews: review::Reviews,
}

/// What the broker and the dealer may use while they handle one message.
pub struct Context<'a> {
    pub now: Now,
    pub config: &'a RealmConfig,
    pub members: &'a mut Members,
    pub rng: &'a mut ChaCha8Rng,
    /// What has to be done, in order.
    pub out: &'a mut Vec<Effect>,
    /// What authorizers have answered, by the token of `Caller::Authority`.
    pub answers: &'a mut VecDeque<(u64, Result<Payload, CallError>)>,
    /// What happened, to be published as meta events once the message is done.
    pub meta: &'a mut Vec<MetaEvent>,
    pub holdings: &'a mut Holdings,
    /// What is kept, and how much more may be.
    pub ledger: &'a mut Ledger,
}

impl Realm {
    /// An empty realm. All that it ever chooses at random comes from `seed`.
    pub fn new(now: Now, config: RealmConfig, seed: [u8; 32]) -> Realm {
        let mut realm = Realm {
            config: config.clone(),
            members: Members::default(),
            rng: ChaCha8Rng::from_seed(seed),
            answers: VecDeque::new(),
            meta: Vec::new(),
            holdings: Holdings::default(),
            ledger: Ledger::default(),
            desks: Desks::default(),
        };
        realm.reconfigure(now, config);
        realm
    }

    /// Takes over a changed configuration. What sessions do from now on is judged by the new rules; what they hold is
    /// looked at by `revoke_unpermitted`.
    pub fn reconfigure(&mut self, now: Now, config: RealmConfig) {
        self.desks.authority.configure(&config, &mut self.ledger);
        self.desks.broker.configure(now, &config, &mut self.ledger);
        self.config = config;
    }

    /// A session has been welcomed. `key` and its session id are not in use.
    pub fn join(&mut self, now: Now, key: SessionKey, kind: MemberKind, identity: Identity, out: &mut Vec<Effect>) {
        if kind == MemberKind::Client {
            let args = vec![meta::session_summary(&identity).into()];
            self.meta.push(MetaEvent { topic: "wamp.session.on_join", args });
        }
        self.ledger.recount(Kind::Sessions, Some(key), 0, identity.bytes());
        self.members.insert(key, kind, identity);
        self.settle(now, out);
    }

    /// A session has ended, for whatever reason: what it held is given up, what it left behind is published.
    pub fn leave(&mut self, now: Now, key: SessionKey, out: &mut Vec<Effect>) {
        let Some(member) = self.members.member(key) else { return };
        let (kind, ending, identity) = (member.kind, member.ending, member.identity.clone());
        let identity_bytes = member.identity.bytes();
        let (mut cx, desks) = self.enter(now, out);
        desks.authority.handle_leave(cx.ledger, key);
        desks.reviews.forget(key);
        desks.broker.handle_leave(&mut cx, key);
        let testaments = desks.testaments.take(cx.ledger, key);
        if ending != Some(Ending::Silent) {
            for scope in [Scope::Detached, Scope::Destroyed] {
                testaments.publish(scope, &mut cx, &mut desks.broker, &Publisher::of(&identity), Origin::Client);
            }
        }
        desks.dealer.handle_leave(&mut cx, key);
        self.members.remove(key);
        self.ledger.recount(Kind::Sessions, Some(key), identity_bytes, 0);
        if ending == Some(Ending::Silent) {
            self.meta.clear();
        } else if kind == MemberKind::Client {
            let args = vec![identity.session.into(), identity.authid.into(), identity.authrole.into()];
            self.meta.push(MetaEvent { topic: "wamp.session.on_leave", args });
        }
        self.settle(now, out);
    }

    /// A message of a session that has joined. While the session is suspended (`Effect::Suspend`) there must be none.
    pub fn handle_message(&mut self, now: Now, key: SessionKey, message: Message, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        desks.handle_message(&mut cx, key, message);
        self.settle(now, out);
    }

    /// See `Dealer::refuse_answer`.
    pub fn refuse_answer(
        &mut self,
        now: Now,
        caller: SessionKey,
        request: Id,
        error: &str,
        sentence: &str,
        out: &mut Vec<Effect>,
    ) {
        let (mut cx, desks) = self.enter(now, out);
        desks.dealer.refuse_answer(&mut cx, caller, request, error, sentence);
        self.settle(now, out);
    }

    /// See `Dealer::refuse_invocation`.
    pub fn refuse_invocation(
        &mut self,
        now: Now,
        callee: SessionKey,
        id: Id,
        error: &str,
        sentence: &str,
        out: &mut Vec<Effect>,
    ) {
        let (mut cx, desks) = self.enter(now, out);
        desks.dealer.refuse_invocation(&mut cx, callee, id, error, sentence);
        self.settle(now, out);
    }

    /// Carries out a message of `Effect::Settle`, unless its session has left or was told to go. `asked` says when
    /// and with which id the session asked for it.
    pub fn handle_settled(&mut self, now: Now, key: SessionKey, message: Message, asked: Asked, out: &mut Vec<Effect>) {
        if self.members.member(key).is_none_or(|member| member.ending.is_some()) {
            return;
        }
        let (mut cx, desks) = self.enter(now, out);
        desks.settle(&mut cx, key, message, asked);
        self.settle(now, out);
    }

    /// What this node has to say to a call of the meta API that `Effect::Gather` tells of.
    pub fn answer_meta(
        &mut self,
        now: Now,
        caller: SessionKey,
        procedure: &str,
        payload: &Payload,
        out: &mut Vec<Effect>,
    ) -> meta::Answer {
        let (mut cx, desks) = self.enter(now, out);
        let asker = meta::Asker { session: Some(caller), ..meta::Asker::default() };
        let answer = meta::answer(desks, &mut cx, asker, procedure, payload);
        self.settle(now, out);
        answer
    }

    /// The testaments of a session.
    pub fn testaments(&self, key: SessionKey) -> &[Testament] {
        self.desks.testaments.of(key)
    }

    /// Publishes, to our own clients, what a session of another node has left behind that is gone together with its
    /// node.
    pub fn publish_testament(&mut self, now: Now, session: &Publisher, testament: Testament, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        let scope = testament.scope;
        SessionTestaments(vec![testament]).publish(scope, &mut cx, &mut desks.broker, session, Origin::Node);
        self.settle(now, out);
    }

    /// A session of another node is gone together with its node: our own clients are told that it has left. What it
    /// held has been told to `handle_elsewhere`, what it left behind to `publish_testament`.
    pub fn bury(&mut self, now: Now, session: Publisher, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        let args = vec![session.session.into(), session.authid.into(), session.authrole.into()];
        desks.broker.publish_meta(&mut cx, MetaEvent { topic: "wamp.session.on_leave", args }, Origin::Node);
        self.settle(now, out);
    }

    /// A session of another node that our clients do not know of, or take for gone, is there: it is what `summary`
    /// says.
    pub fn welcome_back(&mut self, now: Now, summary: Dict, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        let event = MetaEvent { topic: "wamp.session.on_join", args: vec![summary.into()] };
        desks.broker.publish_meta(&mut cx, event, Origin::Node);
    }

    /// A client of another node has begun or ceased to hold something, of which our own clients are told unless the
    /// session went silently.
    pub fn handle_elsewhere(&mut self, now: Now, holding: &Holding, is_silent: bool, out: &mut Vec<Effect>) {
        let is_only = !self.is_held(holding.kind, holding.id);
        if holding.details.is_none() {
            self.holdings.count(holding);
        }
        if !is_silent {
            self.enter(now, out).0.note_holding(holding, is_only);
        }
        if holding.details.is_some() {
            self.holdings.count(holding);
        }
        self.settle(now, out);
    }

    /// How many clients of other nodes hold a subscription or registration, as far as is known here.
    pub fn n_elsewhere(&self, kind: IdKind, id: Id) -> usize {
        self.holdings.n_elsewhere(kind, id)
    }

    /// Whether a dynamic authorizer is being asked about a message of this session, which is suspended meanwhile.
    pub fn is_asking(&self, session: SessionKey) -> bool {
        self.desks.authority.is_asking(session)
    }

    /// Whether a client of this node (or a history) holds it.
    fn is_held(&self, kind: IdKind, id: Id) -> bool {
        match kind {
            IdKind::Subscription => self.desks.broker.subscription(id).is_some(),
            IdKind::Registration => {
                self.desks.dealer.registration(id).is_some_and(|found| found.client_callees().next().is_some())
            }
        }
    }

    /// Keeps an event that another node has retained, unless there is a newer one here.
    pub fn merge_retained(&mut self, now: Now, topic: &str, options: &Dict, payload: Payload, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        if desks.broker.merge_retained(&mut cx, topic, options, payload).is_err() {
            out.push(Effect::Drop { reason: DropReason::PublishRefused });
        }
    }

    /// Forgets all that a link has here, but not the link.
    pub fn reset_link(&mut self, now: Now, key: SessionKey, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        desks.broker.handle_leave(&mut cx, key);
        desks.dealer.remove_callees_of(&mut cx, key);
        self.settle(now, out);
    }

    /// Takes a registration away from all of its clients, because it is another node's.
    pub fn revoke_registration(&mut self, now: Now, registration: Id, reason: &str, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        desks.dealer.revoke_all(&mut cx, registration, reason);
        self.settle(now, out);
    }

    /// What has changed since this was last asked: the patterns that clients listen to or answer, and what they hold.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            subscriptions: std::mem::take(&mut self.desks.broker.changed),
            registrations: std::mem::take(&mut self.desks.dealer.changed),
            testaments: std::mem::take(&mut self.desks.testaments.changed),
            holdings: std::mem::take(&mut self.holdings.changed),
        }
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        desks.dealer.handle_timeout(&mut cx);
        self.settle(now, out);
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.desks.dealer.poll_timeout()
    }

    /// A call that the router itself makes, without any check. It is answered by exactly one `Effect::Answer` with
    /// `token`, after `timeout` at the latest.
    pub fn call(
        &mut self,
        now: Now,
        token: u64,
        procedure: &str,
        payload: Payload,
        timeout: Duration,
        out: &mut Vec<Effect>,
    ) {
        let (mut cx, desks) = self.enter(now, out);
        desks.handle_router_call(&mut cx, Caller::Program(token), procedure, payload, timeout);
        self.settle(now, out);
    }

    /// See `Dealer::set_leaving`.
    pub fn set_leaving(&mut self, is_leaving: bool) {
        self.desks.dealer.set_leaving(is_leaving);
    }

    /// See `Dealer::depart`.
    pub fn depart(&mut self, now: Now, key: SessionKey, farewell: Farewell, out: &mut Vec<Effect>) {
        let (mut cx, desks) = self.enter(now, out);
        desks.dealer.depart(&mut cx, key, farewell);
        self.settle(now, out);
    }

    /// Publishes an event of the router itself to all who listen.
    pub fn publish(&mut self, now: Now, topic: &'static str, args: Vec<Value>, out: &mut Vec<Effect>) {
        self.meta.push(MetaEvent { topic, args });
        self.settle(now, out);
    }

    /// Lets the oldest events of all histories go, so many bytes of them.
    pub fn trim_history(&mut self, bytes: usize) {
        self.desks.broker.trim_history(bytes, &mut self.ledger);
    }

    /// What is kept for the clients of this realm.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Asserts that the ledger has what there is. For tests and simulations.
    pub fn check_kept(&self) {
        self.desks.dealer.check_kept(&self.ledger);
        let kept = Kind::ALL.iter().map(|kind| self.ledger.tally().of(*kind)).sum::<usize>();
        assert_eq!(kept, self.ledger.tally().total());
        if self.members.is_empty() {
            for kind in [Kind::Sessions, Kind::Registrations, Kind::Testaments] {
                assert_eq!(self.ledger.tally().of(kind), 0, "{kind:?} of nobody");
            }
            assert!(!self.config.history.is_empty() || self.ledger.tally().of(Kind::Subscriptions) == 0);
        }
    }

    /// What is kept of what the clients of other nodes hold.
    pub(crate) fn elsewhere_bytes(&self) -> usize {
        self.holdings.bytes()
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    pub fn name(&self) -> &str {
        &self.config.name
    }

    pub fn config(&self) -> &RealmConfig {
        &self.config
    }

    pub fn members(&self) -> &Members {
        &self.members
    }

    pub fn broker(&self) -> &Broker {
        &self.desks.broker
    }

    pub fn dealer(&self) -> &Dealer {
        &self.desks.dealer
    }

    /// How many clients have joined. Links to other nodes are not counted.
    pub fn n_sessions(&self) -> usize {
        self.members.n_clients()
    }

    /// How many subscriptions clients have (or a history keeps). Counted on demand: for pages, not for the message
    /// path.
    pub fn n_subscriptions(&self) -> usize {
        self.desks.broker.subscriptions().count()
    }

    /// How many registrations clients have. Counted on demand, as above.
    pub fn n_registrations(&self) -> usize {
        self.desks.dealer.registrations().filter(|registration| registration.client_callees().next().is_some()).count()
    }

    fn enter<'a>(&'a mut self, now: Now, out: &'a mut Vec<Effect>) -> (Context<'a>, &'a mut Desks) {
        let Realm { config, members, rng, answers, meta, holdings, ledger, desks } = self;
        (Context { now, config, members, rng, out, answers, meta, holdings, ledger }, desks)
    }

    /// Completes what has begun: messages that waited for an authorizer go on, sessions whose last call has ended are
    /// let go, and what has happened is published.
    fn settle(&mut self, now: Now, out: &mut Vec<Effect>) {
        while let Some((token, result)) = self.answers.pop_front() {
            let (mut cx, desks) = self.enter(now, out);
            desks.handle_authorizer_answer(&mut cx, token, result);
        }
        let (mut cx, desks) = self.enter(now, out);
        desks.dealer.let_go(&mut cx);
        if !self.meta.is_empty() {
            let events = std::mem::take(&mut self.meta);
            let (mut cx, desks) = self.enter(now, out);
            for event in events {
                let origin = event.origin();
                desks.broker.publish_meta(&mut cx, event, origin);
            }
        }
    }
}
