//! The meta API: procedures by which clients look at the realm and act on it, in one table.
//!
//! A handler answers for this node: it reads its arguments, does its work and gives the arguments of the RESULT.
//! Sending the answer, or putting it together with those of other nodes, is not its business.

mod arguments;
mod authorization;
mod merge;
mod registration;
mod session;
mod subscription;
mod testaments;

pub use merge::Merge;
pub use session::{session_details, session_summary};

use super::authorize::Demand;
use super::broker::Broker;
use super::{Action, Context, Desks};
use crate::wamp::uri::{Match, is_reserved};
use crate::wamp::{Identity, SessionKey, error};
use crate::wire::{Payload, Value};
use arguments::Arguments;

/// What a procedure answers: the arguments of its RESULT, or an ERROR.
pub type Answer = Result<Vec<Value>, Refusal>;

/// Why a procedure does not do what was asked: a URI, and one sentence for the person who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub error: &'static str,
    pub sentence: String,
}

/// One call of the meta API, and all that it may look at and act on.
struct MetaCall<'a, 'c> {
    desks: &'a mut Desks,
    cx: &'a mut Context<'c>,
    asker: Asker,
}

/// Who calls. By default it is the router itself.
#[derive(Debug, Default)]
pub(super) struct Asker {
    /// The session that calls; None when it is the router itself.
    pub(super) session: Option<SessionKey>,
    /// The client of another node for which a link calls.
    pub(super) on_behalf_of: Option<Box<Identity>>,
    /// Whether the caller's role discloses publishers, where the procedure publishes.
    pub(super) disclosed: bool,
}

type Handler = fn(&mut MetaCall, &Arguments) -> Answer;

/// Every procedure, and how the answers of nodes make one, unless it is the business of the caller's own node alone.
const PROCEDURES: &[(&str, Handler, Option<Merge>)] = &[
    ("wamp.session.count", session::count, Some(Merge::Sum)),
    ("wamp.session.list", session::list, Some(Merge::List)),
    ("wamp.session.get", session::details, Some(Merge::Any)),
    ("wamp.session.kill", session::kill, Some(Merge::Any)),
    ("wamp.session.kill_by_authid", session::kill_by_authid, Some(Merge::List)),
    ("wamp.session.kill_by_authrole", session::kill_by_authrole, Some(Merge::Sum)),
    ("wamp.session.kill_all", session::kill_all, Some(Merge::Sum)),
    (ADD_TESTAMENT, testaments::add, None),
    (FLUSH_TESTAMENTS, testaments::flush, None),
    ("wamp.authorization.forget", authorization::forget, Some(Merge::Sum)),
    ("wamp.registration.list", registration::list, Some(Merge::Policies)),
    ("wamp.registration.lookup", registration::lookup, Some(Merge::NotNull)),
    ("wamp.registration.match", registration::best_match, Some(Merge::NotNull)),
    ("wamp.registration.get", registration::details, Some(Merge::Oldest)),
    ("wamp.registration.list_callees", registration::list_callees, Some(Merge::List)),
    ("wamp.registration.count_callees", registration::count_callees, Some(Merge::Sum)),
    ("wamp.registration.remove_callee", registration::remove_callee, Some(Merge::Any)),
    ("wamp.subscription.list", subscription::list, Some(Merge::Policies)),
    ("wamp.subscription.lookup", subscription::lookup, Some(Merge::NotNull)),
    ("wamp.subscription.match", subscription::matching, Some(Merge::ListOrNull)),
    ("wamp.subscription.get", subscription::details, Some(Merge::Oldest)),
    ("wamp.subscription.list_subscribers", subscription::list_subscribers, Some(Merge::List)),
    ("wamp.subscription.count_subscribers", subscription::count_subscribers, Some(Merge::Sum)),
    ("wamp.subscription.remove_subscriber", subscription::remove_subscriber, Some(Merge::Any)),
    (GET_EVENTS, subscription::events, Some(Merge::Events)),
];

const ADD_TESTAMENT: &str = "wamp.session.add_testament";
const FLUSH_TESTAMENTS: &str = "wamp.session.flush_testaments";
const GET_EVENTS: &str = "wamp.subscription.get_events";

/// What comes of a call of a reserved procedure.
pub(super) enum Reply {
    /// This node has answered for all.
    Now(Answer),
    /// The other nodes are to be asked as well, and this node once more by `answer`.
    Later(Merge),
}

/// Begins to do what a call of a reserved procedure asks for. That it may be called has been checked. `is_shared` says
/// whether what the other nodes know has to be part of the answer.
pub(super) fn reply(
    desks: &mut Desks,
    cx: &mut Context,
    asker: Asker,
    procedure: &str,
    payload: &Payload,
    is_shared: bool,
) -> Reply {
    match merge_of(procedure) {
        Some(how) if is_shared => Reply::Later(how),
        _ => Reply::Now(answer(desks, cx, asker, procedure, payload)),
    }
}

/// What this node answers to a call of a reserved procedure.
pub(super) fn answer(desks: &mut Desks, cx: &mut Context, asker: Asker, procedure: &str, payload: &Payload) -> Answer {
    let Some((_, handler, _)) = PROCEDURES.iter().find(|(name, ..)| *name == procedure) else {
        return Err(refusal(error::NO_SUCH_PROCEDURE, format!("no callee has registered {procedure:?}")));
    };
    let arguments = Arguments::read(payload)?;
    handler(&mut MetaCall { desks, cx, asker }, &arguments)
}

/// Whether a procedure is about what the caller itself leaves behind.
pub(super) fn is_own_business(procedure: &str) -> bool {
    procedure == ADD_TESTAMENT || procedure == FLUSH_TESTAMENTS
}

/// How the answers of nodes to a procedure make one. None if other nodes have nothing to add.
fn merge_of(procedure: &str) -> Option<Merge> {
    PROCEDURES.iter().find(|(name, ..)| *name == procedure)?.2
}

/// What a caller must be allowed to do besides calling the procedure, or it could publish by testament and read by
/// history what its role keeps from it. Arguments that cannot be read demand nothing: the handler refuses them.
pub(super) fn further_demand(broker: &Broker, procedure: &str, payload: &Payload) -> Option<Demand> {
    let arguments = match procedure {
        ADD_TESTAMENT | GET_EVENTS => Arguments::read(payload).ok()?,
        _ => return None,
    };
    if procedure == ADD_TESTAMENT {
        let uri = arguments.string(0, "topic").ok().filter(|topic| !is_reserved(topic))?.to_owned();
        return Some(Demand { action: Action::Publish, uri, policy: Match::Exact });
    }
    let known = broker.subscription_of_any(arguments.id(0, "subscription").ok()?);
    let (uri, policy) = match known {
        Some(subscription) => (subscription.uri.clone(), subscription.policy),
        // What it is the history of only another node knows: whoever may subscribe to everything may read that.
        None => (String::new(), Match::Prefix),
    };
    Some(Demand { action: Action::Subscribe, uri, policy })
}

impl MetaCall<'_, '_> {
    /// Who calls, when it is a session.
    fn caller_identity(&self) -> Option<&Identity> {
        let own = || self.cx.members.member(self.asker.session?).map(|member| &member.identity);
        self.asker.on_behalf_of.as_deref().or_else(own)
    }
}

fn refusal(error: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal { error, sentence: sentence.into() }
}

/// A list of ids as the one argument of a RESULT.
fn id_list(ids: impl IntoIterator<Item = u64>) -> Vec<Value> {
    vec![ids.into_iter().map(Value::from).collect::<Vec<_>>().into()]
}
