//! `wamp.registration.*`: who answers what.

use super::session::{no_such_session, visible};
use super::{Answer, Arguments, MetaCall, Refusal, id_list, refusal};
use crate::realm::dealer::Registration;
use crate::wamp::uri::Match;
use crate::wamp::{Id, error};
use crate::wire::{Dict, Value};

pub(super) fn list(call: &mut MetaCall, _: &Arguments) -> Answer {
    let mut ids = Dict::new();
    for policy in Match::ALL {
        let registrations = call.desks.dealer.registrations().filter(|r| r.policy == policy && is_visible(r));
        let mut of_policy: Vec<Id> = registrations.map(|registration| registration.id).collect();
        of_policy.sort_unstable();
        ids.set(policy.name(), of_policy.into_iter().map(Value::from).collect::<Vec<_>>());
    }
    Ok(vec![ids.into()])
}

pub(super) fn lookup(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let registration = call.desks.dealer.lookup(arguments.string(0, "uri")?, arguments.lookup_policy()?);
    Ok(vec![id_or_null(registration)])
}

pub(super) fn best_match(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let registration = call.desks.dealer.best_match(arguments.string(0, "uri")?);
    Ok(vec![id_or_null(registration)])
}

pub(super) fn details(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    Ok(vec![registration(call, arguments)?.details().into()])
}

pub(super) fn list_callees(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let callees = registration(call, arguments)?.client_callees();
    let sessions = callees.filter_map(|key| call.cx.members.member(key)).map(|member| member.identity.session);
    Ok(id_list(sessions))
}

pub(super) fn count_callees(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    Ok(vec![registration(call, arguments)?.client_callees().count().into()])
}

pub(super) fn remove_callee(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let registration = registration(call, arguments)?.id;
    let session = arguments.id(1, "callee")?;
    let reason = arguments.reason(call.cx.config.uri_check)?.unwrap_or(error::UNREGISTERED);
    let key = visible(call, session)?;
    match call.desks.dealer.revoke(call.cx, registration, key, reason) {
        true => Ok(Vec::new()),
        false => Err(no_such_session(session)),
    }
}

fn registration<'a>(call: &'a MetaCall, arguments: &Arguments) -> Result<&'a Registration, Refusal> {
    let id = arguments.id(0, "registration")?;
    let registration = call.desks.dealer.registration(id).filter(|registration| is_visible(registration));
    registration.ok_or_else(|| refusal(error::NO_SUCH_REGISTRATION, format!("no registration {id}")))
}

fn id_or_null(registration: Option<&Registration>) -> Value {
    registration.filter(|registration| is_visible(registration)).map_or(Value::Null, |found| found.id.into())
}

/// What only links have is not there for those who ask.
fn is_visible(registration: &Registration) -> bool {
    registration.client_callees().next().is_some()
}
