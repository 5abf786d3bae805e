//! Answers of authorizers that are not to be used any more: they are forgotten, and about the subscriptions and
//! registrations that rest on such answers the authorizers are asked again. What they refuse now is taken away, and so
//! is what they do not answer about: who forgets answers wants rights to end.

use super::authorize::{Demand, Verdict};
use super::dealer::Caller;
use super::effect::CallError;
use super::{Action, Context, Desks, Effect, Member, MemberKind, Realm, meta};
use crate::limits::REVIEWS_AT_ONCE;
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Id, SessionKey};
use crate::wire::{Dict, Payload};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Which answers are forgotten: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgetting {
    /// Of the principal that this session is of, and for this session only.
    pub session: Option<Id>,
    pub authid: Option<String>,
    pub authrole: Option<String>,
    /// About this topic, procedure or pattern, or a pattern that covers it.
    pub uri: Option<String>,
}

/// A subscription or registration of a session about which its authorizer is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Review {
    pub(super) session: SessionKey,
    pub(super) is_registration: bool,
    pub(super) id: Id,
}

/// What is under review: few are asked about at a time, so that authorizers are not flooded.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    waiting: BTreeSet<Review>,
    /// By the token of the call; with what the authorizer is asked about.
    asked: HashMap<u64, (Review, Demand)>,
    /// The wall time at which answers were last forgotten.
    forgotten: Option<Duration>,
}

impl Forgetting {
    /// Whether it is about what this principal has been told.
    pub(super) fn fits(&self, authid: &str, authrole: &str, uri: &str, policy: Match) -> bool {
        self.authid.as_deref().is_none_or(|wanted| wanted == authid)
            && self.authrole.as_deref().is_none_or(|wanted| wanted == authrole)
            && self.uri.as_deref().is_none_or(|wanted| wanted == uri || policy.covers(uri, wanted))
    }
}

impl Reviews {
    /// What was under way is asked about again, because it may be answered by what is to be forgotten.
    fn begin_again(&mut self, wall: Duration) {
        self.forgotten = Some(wall);
        self.waiting.extend(self.asked.values().map(|(review, _)| *review));
    }

    /// Whether something that was asked for at this wall time may rest on an answer that has been forgotten since.
    pub(super) fn concern(&self, asked: Duration) -> bool {
        self.forgotten.is_some_and(|forgotten| asked <= forgotten)
    }

    pub(super) fn forget(&mut self, session: SessionKey) {
        self.waiting.retain(|review| review.session != session);
        self.asked.retain(|_, (review, _)| review.session != session);
    }
}

impl Realm {
    /// Forgets answers of authorizers, and asks them again about what rests on these. Gives how many subscriptions and
    /// registrations of clients that is.
    pub fn forget_answers(&mut self, now: Now, which: &Forgetting, out: &mut Vec<Effect>) -> usize {
        let (mut cx, desks) = self.enter(now, out);
        let n = desks.forget_answers(&mut cx, which);
        self.settle(now, out);
        n
    }
}

impl Desks {
    /// See `Realm::forget_answers`.
    pub(super) fn forget_answers(&mut self, cx: &mut Context, which: &Forgetting) -> usize {
        let mut which = which.clone();
        let session = which.session.map(|session| cx.members.key_of(session));
        if let Some(key) = session {
            let member = key.and_then(|key| cx.members.member(key)).filter(|member| member.kind == MemberKind::Client);
            let Some(member) = member else { return 0 };
            which.authid.get_or_insert_with(|| member.identity.authid.clone());
            which.authrole.get_or_insert_with(|| member.identity.authrole.clone());
        }
        self.authority.forget(cx.ledger, &which);
        self.reviews.begin_again(cx.now.wall);
        let clients = cx.members.visible().into_iter();
        let clients = clients.filter(|(key, _)| session.is_none_or(|session| session == Some(*key)));
        let held: Vec<Review> = clients.flat_map(|(key, member)| self.resting(key, member, &which)).collect();
        let n = held.len();
        self.reviews.waiting.extend(held);
        self.go_on_reviewing(cx);
        n
    }

    /// What a client holds by answers that are forgotten.
    fn resting(&self, session: SessionKey, member: &Member, which: &Forgetting) -> Vec<Review> {
        let identity = &member.identity;
        if !self.authority.has_authorizer(&identity.authrole) {
            return Vec::new();
        }
        let fits = |uri: &str, policy| which.fits(&identity.authid, &identity.authrole, uri, policy);
        let subscriptions = self.broker.held_by(session).filter(|held| fits(&held.uri, held.policy));
        let registrations = self.dealer.held_by(session).filter(|held| fits(&held.uri, held.policy));
        let subscriptions = subscriptions.map(|held| Review { session, is_registration: false, id: held.id });
        let registrations = registrations.map(|held| Review { session, is_registration: true, id: held.id });
        subscriptions.chain(registrations).collect()
    }

    /// A client has got what it asked for before answers were last forgotten, while the peers agreed to it: it may rest
    /// on one of these.
    pub(super) fn review_late(&mut self, cx: &mut Context, session: SessionKey, demand: &Demand) {
        let Some(member) = cx.members.member(session).filter(|member| member.kind == MemberKind::Client) else {
            return;
        };
        if !self.authority.has_authorizer(&member.identity.authrole) {
            return;
        }
        let is_registration = demand.action == Action::Register;
        let found = match is_registration {
            true => self.dealer.lookup(&demand.uri, demand.policy).map(|found| found.id),
            false => self.broker.lookup(&demand.uri, demand.policy).map(|found| found.id),
        };
        self.reviews.waiting.extend(found.map(|id| Review { session, is_registration, id }));
        self.go_on_reviewing(cx);
    }

    /// Asks about what waits, as far as not too much has been asked already.
    fn go_on_reviewing(&mut self, cx: &mut Context) {
        while self.reviews.asked.len() < REVIEWS_AT_ONCE
            && let Some(review) = self.reviews.waiting.pop_first()
        {
            let Some(demand) = self.demand_of_review(cx, review) else { continue };
            match self.judge(cx, review.session, None, demand.action, &demand.uri, demand.policy) {
                Verdict::Granted { .. } => {}
                Verdict::Refused { error, .. } => self.take_away(cx, review, error),
                Verdict::Ask { procedure, demand } => self.ask_again(cx, review, &procedure, demand),
            }
        }
    }

    /// What a session would have to ask for to get what is under review; None if one of them is gone.
    fn demand_of_review(&self, cx: &Context, Review { session, is_registration, id }: Review) -> Option<Demand> {
        let demand = |action, uri: &str, policy| Demand { action, uri: uri.to_owned(), policy };
        cx.members.member(session)?;
        match is_registration {
            true => self.dealer.registration(id).map(|found| demand(Action::Register, &found.uri, found.policy)),
            false => self.broker.subscription(id).map(|found| demand(Action::Subscribe, &found.uri, found.policy)),
        }
    }

    fn ask_again(&mut self, cx: &mut Context, review: Review, procedure: &str, demand: Demand) {
        let Some(member) = cx.members.member(review.session) else { return };
        let options = match demand.policy {
            Match::Exact => Dict::new(),
            policy => Dict::new().with("match", policy.name()),
        };
        let args = vec![
            meta::session_details(&member.identity).into(),
            demand.uri.as_str().into(),
            demand.action.name().into(),
            options.into(),
        ];
        let token = self.authority.token();
        self.reviews.asked.insert(token, (review, demand));
        let timeout = cx.config.limits.authorizer_timeout;
        let payload = Payload::from_values(args, Dict::new());
        self.handle_router_call(cx, Caller::Authority(token), procedure, payload, timeout);
    }

    /// Takes the answer about what is under review. Gives it back where it is about something else.
    pub(super) fn handle_reviewed(
        &mut self,
        cx: &mut Context,
        token: u64,
        result: Result<Payload, CallError>,
    ) -> Option<Result<Payload, CallError>> {
        let Some((review, demand)) = self.reviews.asked.remove(&token) else { return Some(result) };
        let member = cx.members.member(review.session);
        // What waits again was asked about before answers were forgotten once more.
        if let Some(member) = member.filter(|_| !self.reviews.waiting.contains(&review)) {
            let now = (cx.now, &cx.config.limits);
            let verdict = self.authority.take_answer(now, cx.ledger, &member.identity, &demand, result);
            if let Verdict::Refused { error, .. } = verdict {
                self.take_away(cx, review, error);
            }
        }
        self.go_on_reviewing(cx);
        None
    }

    fn take_away(&mut self, cx: &mut Context, Review { session, is_registration, id }: Review, error: &str) {
        match is_registration {
            true => self.dealer.revoke(cx, id, session, error),
            false => self.broker.revoke(cx, id, session, Some(error)),
        };
    }
}
