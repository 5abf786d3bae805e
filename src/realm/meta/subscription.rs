//! `wamp.subscription.*`: who listens to what, and what there was to hear.

use super::session::{no_such_session, visible};
use super::{Answer, Arguments, MetaCall, Refusal, id_list, refusal};
use crate::realm::broker::{HistoryEntry, HistoryError, HistoryQuery, Subscription};
use crate::realm::timestamp;
use crate::wamp::uri::Match;
use crate::wamp::{Id, error};
use crate::wire::{Dict, Value};

pub(super) fn list(call: &mut MetaCall, _: &Arguments) -> Answer {
    let mut ids = Dict::new();
    for policy in Match::ALL {
        let subscriptions = call.desks.broker.subscriptions().filter(|subscription| subscription.policy == policy);
        let mut of_policy: Vec<Id> = subscriptions.map(|subscription| subscription.id).collect();
        of_policy.sort_unstable();
        ids.set(policy.name(), of_policy.into_iter().map(Value::from).collect::<Vec<_>>());
    }
    Ok(vec![ids.into()])
}

pub(super) fn lookup(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let subscription = call.desks.broker.lookup(arguments.string(0, "uri")?, arguments.lookup_policy()?);
    Ok(vec![subscription.map_or(Value::Null, |subscription| subscription.id.into())])
}

pub(super) fn matching(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let ids = call.desks.broker.matching(arguments.string(0, "uri")?);
    Ok(if ids.is_empty() { vec![Value::Null] } else { id_list(ids) })
}

pub(super) fn details(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    Ok(vec![subscription(call, arguments)?.details().into()])
}

pub(super) fn list_subscribers(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let clients = subscription(call, arguments)?.clients();
    let members = clients.iter().filter_map(|key| call.cx.members.member(*key));
    let mut sessions: Vec<Id> = members.map(|member| member.identity.session).collect();
    sessions.sort_unstable();
    Ok(id_list(sessions))
}

pub(super) fn count_subscribers(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    Ok(vec![subscription(call, arguments)?.clients().len().into()])
}

pub(super) fn remove_subscriber(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let subscription = subscription(call, arguments)?.id;
    let session = arguments.id(1, "subscriber")?;
    let reason = arguments.reason(call.cx.config.uri_check)?;
    let key = visible(call, session)?;
    match call.desks.broker.revoke(call.cx, subscription, key, reason) {
        true => Ok(Vec::new()),
        false => Err(no_such_session(session)),
    }
}

/// Gives one argument per event.
pub(super) fn events(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let id = arguments.id(0, "subscription")?;
    let mut query = history_query(arguments)?;
    query.requester = call.caller_identity();
    let bytes_max = call.cx.config.limits.answer_bytes_max;
    let entries = call.desks.broker.history(id, &query, bytes_max).map_err(|error| match error {
        HistoryError::NoSuchSubscription => no_such_subscription(id),
        HistoryError::Unavailable => {
            refusal(error::HISTORY_UNAVAILABLE, format!("no history is kept for subscription {id}"))
        }
        HistoryError::TooLarge => {
            let sentence =
                format!("the events have more than answer_bytes_max = {bytes_max} bytes: ask for fewer by limit");
            refusal(error::PAYLOAD_SIZE_EXCEEDED, sentence)
        }
        HistoryError::UnknownPublication(condition, publication) => {
            let sentence = format!("{condition} is {publication}, expected a publication that is in the history");
            refusal(error::INVALID_ARGUMENT, sentence)
        }
    })?;
    Ok(entries.into_iter().map(|entry| event(id, entry).into()).collect())
}

fn history_query<'a>(arguments: &Arguments) -> Result<HistoryQuery<'a>, Refusal> {
    let time = |name| arguments.keyword(name, "an RFC 3339 time", |value| timestamp::from_text(value.as_str()?));
    let id = |name| arguments.keyword(name, "integer", Value::as_uint);
    Ok(HistoryQuery {
        requester: None,
        reverse: arguments.keyword("reverse", "bool", Value::as_bool)?.unwrap_or(false),
        limit: id("limit")?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        from_time: time("from_time")?,
        after_time: time("after_time")?,
        before_time: time("before_time")?,
        until_time: time("until_time")?,
        topic: arguments.keyword("topic", "string", Value::as_str)?.map(str::to_owned),
        from_publication: id("from_publication")?,
        after_publication: id("after_publication")?,
        before_publication: id("before_publication")?,
        until_publication: id("until_publication")?,
    })
}

fn event(subscription: Id, entry: &HistoryEntry) -> Dict {
    let mut event = Dict::new()
        .with("timestamp", timestamp::to_text(entry.published))
        .with("subscription", subscription)
        .with("publication", entry.publication)
        .with("details", entry.details.clone());
    // What was checked when it arrived can be read; arguments that are absent are not told.
    if let Ok(args) = entry.payload.args_value()
        && args != Value::Null
    {
        event.set("args", args);
    }
    if let Ok(kwargs) = entry.payload.kwargs()
        && !kwargs.is_empty()
    {
        event.set("kwargs", kwargs);
    }
    event
}

fn subscription<'a>(call: &'a MetaCall, arguments: &Arguments) -> Result<&'a Subscription, Refusal> {
    let id = arguments.id(0, "subscription")?;
    call.desks.broker.subscription(id).ok_or_else(|| no_such_subscription(id))
}

fn no_such_subscription(id: Id) -> Refusal {
    refusal(error::NO_SUCH_SUBSCRIPTION, format!("no subscription {id}"))
}
