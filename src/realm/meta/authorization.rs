//! `wamp.authorization.forget`: answers of authorizers are not to be used any more.

use super::{Answer, Arguments, MetaCall};
use crate::realm::Forgetting;
use crate::wire::Value;

/// Answers the number of subscriptions and registrations about which authorizers are asked again.
pub(super) fn forget(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let text = |name: &str| arguments.keyword(name, "string", Value::as_str).map(|text| text.map(str::to_owned));
    let which = Forgetting {
        session: arguments.keyword("session", "integer", Value::as_uint)?,
        authid: text("authid")?,
        authrole: text("authrole")?,
        uri: text("uri")?,
    };
    let n = call.desks.forget_answers(call.cx, &which);
    Ok(vec![Value::from(n as u64)])
}
