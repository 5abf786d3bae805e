//! Who may do what: the rules of a role, or the answers of its dynamic authorizer.
//!
//! A dynamic authorizer is a procedure that the router calls with `[session, uri, action, options]` before the action
//! takes place. It answers a bool, or a dict of `allow`, `disclose` and `cache`. Only an answer that says `cache: true`
//! is kept, for `authorizer_cache_ttl`: what an authorizer decides by the hour or by quota must not be decided for it.

mod cache;
mod question;
mod rules;

pub use question::Question;

use super::ledger::Ledger;
use super::{Action, CallError, Context, Forgetting, RealmConfig, meta};
use crate::kept::Kind;
use crate::limits::Limits;
use crate::time::Now;
use crate::wamp::uri::Match;
use crate::wamp::{Identity, SessionKey, error};
use crate::wire::Payload;
use cache::{AnswerCache, CacheKey};
use question::Questions;
use rules::Rules;
use std::collections::HashMap;

/// The authority of one realm.
#[derive(Debug, Default)]
pub struct Authority {
    /// The procedures that decide about others, see `RealmConfig::deciding`.
    deciding: Vec<String>,
    roles: HashMap<String, RoleAuthority>,
    cache: AnswerCache,
    questions: Questions,
}

#[derive(Debug)]
enum RoleAuthority {
    Rules(Box<Rules>),
    /// The procedure of the authorizer.
    Authorizer(String),
}

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Demand {
    pub action: Action,
    pub uri: String,
    pub policy: Match,
}

/// What an authority says to a demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done; `disclosed` says whether the receivers are told who does it.
    Granted { disclosed: bool },
    /// It may not be done, for this reason.
    Refused { error: &'static str, sentence: String },
    /// This procedure has to be asked.
    Ask { procedure: String, demand: Demand },
}

impl Authority {
    /// Takes over the roles of the configuration. Answers that were kept under the old one are forgotten.
    pub fn configure(&mut self, config: &RealmConfig, ledger: &mut Ledger) {
        self.cache.clear(ledger);
        self.roles.clear();
        self.deciding = config.deciding.clone();
        for role in &config.roles {
            let authority = match &role.authorizer {
                Some(procedure) => RoleAuthority::Authorizer(procedure.clone()),
                None => RoleAuthority::Rules(Box::new(Rules::new(&role.permissions))),
            };
            self.roles.insert(role.name.clone(), authority);
        }
    }

    /// Whether somebody may do `action` to `uri`, which is a pattern when `policy` says so. Without a rule that says
    /// yes the answer is no.
    pub fn judge(
        &mut self,
        now: Now,
        ledger: &mut Ledger,
        asker: Option<&Identity>,
        action: Action,
        uri: &str,
        policy: Match,
    ) -> Verdict {
        let Some(asker) = asker else { return refused(action, uri) };
        let role = self.roles.get(&asker.authrole);
        let covered = || self.deciding.iter().filter(|deciding| policy.covers(uri, deciding));
        if action == Action::Register && !covered().all(|deciding| may_decide(role, deciding, policy)) {
            return refused(action, uri);
        }
        match role {
            None => refused(action, uri),
            // What is published when they are gone, they may say; that they may publish it is asked next.
            Some(RoleAuthority::Rules(_)) if action == Action::Call && meta::is_own_business(uri) => {
                Verdict::Granted { disclosed: false }
            }
            Some(RoleAuthority::Rules(rules)) => match rules.grant(action, uri, policy) {
                Some(disclosed) => Verdict::Granted { disclosed },
                None => refused(action, uri),
            },
            Some(RoleAuthority::Authorizer(procedure)) => {
                let demand = Demand { action, uri: uri.to_owned(), policy };
                match self.cache.answer(&CacheKey::of(asker, &demand), now, ledger) {
                    Some(answer) => answer.verdict(&demand),
                    None => Verdict::Ask { procedure: procedure.clone(), demand },
                }
            }
        }
    }

    /// Keeps the message of a session until its authorizer has answered. Gives the token of the call.
    pub fn ask(&mut self, ledger: &mut Ledger, question: Question) -> u64 {
        ledger.recount(Kind::Questions, question.payer(), 0, question.bytes());
        self.questions.ask(question)
    }

    /// The token of a call to an authorizer about something that is under review.
    pub(super) fn token(&mut self) -> u64 {
        self.questions.token()
    }

    /// Whether an authorizer decides about those of this role.
    pub(super) fn has_authorizer(&self, role: &str) -> bool {
        matches!(self.roles.get(role), Some(RoleAuthority::Authorizer(_)))
    }

    /// Forgets answers that have been given. What has been asked is asked once more, because its answer may be one of
    /// these.
    pub(super) fn forget(&mut self, ledger: &mut Ledger, which: &Forgetting) {
        self.cache.forget(which, ledger);
        self.questions.doubt();
    }

    /// Whether a message of this session waits for an answer.
    pub fn is_asking(&self, session: SessionKey) -> bool {
        self.questions.is_asking(session)
    }

    /// Takes the answer to a question and gives what was waiting for it, unless its session has left.
    pub fn handle_answer(
        &mut self,
        cx: &mut Context,
        token: u64,
        result: Result<Payload, CallError>,
    ) -> Option<(Question, Verdict)> {
        let (question, is_doubtful) = self.questions.take(token)?;
        cx.ledger.recount(Kind::Questions, question.payer(), question.bytes(), 0);
        let own = &cx.members.member(question.session)?.identity;
        let identity = question.asker.as_deref().unwrap_or(own);
        let demand = &question.demand;
        let verdict = match is_doubtful {
            true => self.judge(cx.now, cx.ledger, Some(identity), demand.action, &demand.uri, demand.policy),
            false => self.take_answer((cx.now, &cx.config.limits), cx.ledger, identity, demand, result),
        };
        Some((question, verdict))
    }

    /// What an authorizer says to a demand of somebody; kept if it may be.
    pub(super) fn take_answer(
        &mut self,
        (now, limits): (Now, &Limits),
        ledger: &mut Ledger,
        identity: &Identity,
        demand: &Demand,
        result: Result<Payload, CallError>,
    ) -> Verdict {
        match question::Answer::from_result(result) {
            Ok(answer) => {
                if answer.cache {
                    self.cache.insert(CacheKey::of(identity, demand), answer, now, limits, ledger);
                }
                answer.verdict(demand)
            }
            Err(sentence) => Verdict::Refused { error: error::AUTHORIZATION_FAILED, sentence },
        }
    }

    /// Forgets what a session was waiting for. `false` when it was waiting for nothing.
    pub fn handle_leave(&mut self, ledger: &mut Ledger, session: SessionKey) -> bool {
        let forgotten = self.questions.forget(session);
        for question in &forgotten {
            ledger.recount(Kind::Questions, question.payer(), question.bytes(), 0);
        }
        !forgotten.is_empty()
    }
}

/// Whether a role may register a pattern that covers a procedure that decides about others: only if a rule, or its
/// authorizer, is asked about that procedure by its name.
fn may_decide(role: Option<&RoleAuthority>, deciding: &str, policy: Match) -> bool {
    match role {
        None => false,
        Some(RoleAuthority::Rules(rules)) => rules.names(Action::Register, deciding),
        Some(RoleAuthority::Authorizer(_)) => policy == Match::Exact,
    }
}

fn refused(action: Action, uri: &str) -> Verdict {
    let sentence = format!("not authorized to {} {uri:?}", action.name());
    Verdict::Refused { error: error::NOT_AUTHORIZED, sentence }
}
