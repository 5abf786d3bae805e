//! `wamp.session.{add,flush}_testament(s)`: what the caller wants published when it is gone.

use super::{Answer, Arguments, MetaCall, Refusal, refusal};
use crate::realm::carriage;
use crate::realm::testament::{Scope, Testament};
use crate::wamp::message::code;
use crate::wamp::uri::{is_reserved, n_components};
use crate::wamp::{SessionKey, error, options};
use crate::wire::{Payload, Value};

/// That the caller may publish to the topic has been checked.
pub(super) fn add(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let key = caller(call)?;
    let topic = arguments.string(0, "topic")?.to_owned();
    let limits = &call.cx.config.limits;
    let fits = topic.len() <= limits.uri_bytes_max && n_components(&topic) <= limits.uri_components_max;
    if !fits || !call.cx.config.uri_check.is_name(&topic) || is_reserved(&topic) {
        return Err(refusal(error::INVALID_URI, format!("topic is {topic:?}, expected a URI outside of \"wamp\"")));
    }
    let args = arguments.optional_list(1, "args")?.unwrap_or_default().to_vec();
    let kwargs = arguments.optional_dict(2, "kwargs")?.cloned().unwrap_or_default();
    let options = arguments.keyword("publish_options", "dict", Value::as_dict)?.cloned().unwrap_or_default();
    if let Err(wrong) = options::check(code::PUBLISH, &options) {
        return Err(refusal(error::INVALID_ARGUMENT, format!("in publish_options, {wrong}")));
    }
    if options.get("forward_for").is_some() {
        return Err(refusal(error::OPTION_NOT_ALLOWED, "forward_for is for links between routers"));
    }
    let scope = scope(arguments)?;
    let payload = Payload::from_values(args, kwargs);
    if !carriage::is_carried(&options, &payload) {
        // Nobody could publish it if this node died.
        return Err(refusal(error::PAYLOAD_SIZE_EXCEEDED, carriage::sentence()));
    }
    let session = call.cx.members.member(key).map_or(1, |member| member.identity.session);
    let options = Payload::from_values(Vec::new(), options);
    let testament =
        Testament { publication: 1, serial: 0, scope, topic, options, payload, disclosed: call.asker.disclosed };
    match call.desks.testaments.add(call.cx.ledger, limits, key, session, testament) {
        Ok(()) => Ok(Vec::new()),
        Err(sentence) => Err(refusal(error::LIMIT_EXCEEDED, sentence)),
    }
}

/// Forgets the testaments of one scope. Gives how many there were.
pub(super) fn flush(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let key = caller(call)?;
    let scope = scope(arguments)?;
    Ok(vec![call.desks.testaments.flush(call.cx.ledger, key, scope).into()])
}

fn caller(call: &MetaCall) -> Result<SessionKey, Refusal> {
    call.asker.session.ok_or_else(|| refusal(error::NO_SUCH_SESSION, "the router has no testaments"))
}

fn scope(arguments: &Arguments) -> Result<Scope, Refusal> {
    let read = |value: &Value| value.as_str().and_then(Scope::from_name);
    Ok(arguments.keyword("scope", "destroyed or detached", read)?.unwrap_or_default())
}
