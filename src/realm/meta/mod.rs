//! The meta API: procedures by which clients look at the realm and act on it, in one table.
//!
//! A handler answers for this node: it reads its arguments, does its work and gives the arguments of the RESULT.
//! Sending the answer, or putting it together with those of other nodes, is not its business.

mod arguments;
mod authorization;
mod registration;
mod session;
mod subscription;
mod testaments;

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
    /// The session that calls; None when it is the router itself.
    caller: Option<SessionKey>,
    /// The client of another node for which a link calls.
    on_behalf_of: Option<Box<Identity>>,
    /// Whether the caller's role discloses publishers, where the procedure publishes.
    disclosed: bool,
}

/// Who calls.
pub(super) enum Asker {
    Router,
    /// A session; of a link, also the client of its node for which it asks.
    Session(SessionKey, Option<Box<Identity>>),
}

type Handler = fn(&mut MetaCall, &Arguments) -> Answer;

/// Every procedure.
const PROCEDURES: &[(&str, Handler)] = &[
    ("wamp.session.count", session::count),
    ("wamp.session.list", session::list),
    ("wamp.session.get", session::details),
    ("wamp.session.kill", session::kill),
    ("wamp.session.kill_by_authid", session::kill_by_authid),
    ("wamp.session.kill_by_authrole", session::kill_by_authrole),
    ("wamp.session.kill_all", session::kill_all),
    (ADD_TESTAMENT, testaments::add),
    (FLUSH_TESTAMENTS, testaments::flush),
    ("wamp.authorization.forget", authorization::forget),
    ("wamp.registration.list", registration::list),
    ("wamp.registration.lookup", registration::lookup),
    ("wamp.registration.match", registration::best_match),
    ("wamp.registration.get", registration::details),
    ("wamp.registration.list_callees", registration::list_callees),
    ("wamp.registration.count_callees", registration::count_callees),
    ("wamp.registration.remove_callee", registration::remove_callee),
    ("wamp.subscription.list", subscription::list),
    ("wamp.subscription.lookup", subscription::lookup),
    ("wamp.subscription.match", subscription::matching),
    ("wamp.subscription.get", subscription::details),
    ("wamp.subscription.list_subscribers", subscription::list_subscribers),
    ("wamp.subscription.count_subscribers", subscription::count_subscribers),
    ("wamp.subscription.remove_subscriber", subscription::remove_subscriber),
    (GET_EVENTS, subscription::events),
];

const ADD_TESTAMENT: &str = "wamp.session.add_testament";
const FLUSH_TESTAMENTS: &str = "wamp.session.flush_testaments";
const GET_EVENTS: &str = "wamp.subscription.get_events";

/// Does what a call of a reserved procedure asks for. That it may be called has been checked.
pub(super) fn answer(
    desks: &mut Desks,
    cx: &mut Context,
    asker: Asker,
    procedure: &str,
    payload: &Payload,
    disclosed: bool,
) -> Answer {
    let Some((_, handler)) = PROCEDURES.iter().find(|(name, _)| *name == procedure) else {
        return Err(refusal(error::NO_SUCH_PROCEDURE, format!("no callee has registered {procedure:?}")));
    };
    let arguments = Arguments::read(payload)?;
    let (caller, on_behalf_of) = match asker {
        Asker::Router => (None, None),
        Asker::Session(key, on_behalf_of) => (Some(key), on_behalf_of),
    };
    handler(&mut MetaCall { desks, cx, caller, on_behalf_of, disclosed }, &arguments)
}

/// Whether only the caller's own node can do it.
pub(super) fn is_own_business(procedure: &str) -> bool {
    procedure == ADD_TESTAMENT || procedure == FLUSH_TESTAMENTS
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
        let own = || self.cx.members.member(self.caller?).map(|member| &member.identity);
        self.on_behalf_of.as_deref().or_else(own)
    }
}

fn refusal(error: &'static str, sentence: impl Into<String>) -> Refusal {
    Refusal { error, sentence: sentence.into() }
}

/// A list of ids as the one argument of a RESULT.
fn id_list(ids: impl IntoIterator<Item = u64>) -> Vec<Value> {
    vec![ids.into_iter().map(Value::from).collect::<Vec<_>>().into()]
}
