//! `wamp.session.*`: who is here, and who has to go.

use super::{Answer, Arguments, MetaCall, Refusal, id_list, refusal};
use crate::drop::DropReason;
use crate::realm::{Effect, Ending, Member};
use crate::wamp::{Identity, SessionKey, error};
use crate::wire::{Dict, Value};

pub(super) fn count(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    Ok(vec![of_roles(call, arguments)?.len().into()])
}

pub(super) fn list(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    Ok(id_list(of_roles(call, arguments)?))
}

pub(super) fn details(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let session = arguments.id(0, "session")?;
    let member = call.cx.members.member(visible(call, session)?).ok_or_else(|| no_such_session(session))?;
    Ok(vec![session_details(&member.identity).into()])
}

pub(super) fn kill(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let order = Order::read(call, arguments, Ending::Announced)?;
    let session = arguments.id(0, "session")?;
    let key = visible(call, session)?;
    if call.asker.session == Some(key) {
        return Err(no_such_session(session));
    }
    order.carry_out(call, key);
    Ok(Vec::new())
}

pub(super) fn kill_by_authid(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let order = Order::read(call, arguments, Ending::Announced)?;
    let authid = arguments.string(0, "authid")?;
    Ok(id_list(order.carry_out_on(call, |member| member.identity.authid == authid)))
}

pub(super) fn kill_by_authrole(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let order = Order::read(call, arguments, Ending::Announced)?;
    let authrole = arguments.string(0, "authrole")?;
    Ok(vec![order.carry_out_on(call, |member| member.identity.authrole == authrole).len().into()])
}

/// Everybody but the caller goes, without testaments and meta events.
pub(super) fn kill_all(call: &mut MetaCall, arguments: &Arguments) -> Answer {
    let order = Order::read(call, arguments, Ending::Silent)?;
    Ok(vec![order.carry_out_on(call, |_| true).len().into()])
}

/// What `on_join` tells about a session.
pub fn session_summary(identity: &Identity) -> Dict {
    Dict::new()
        .with("session", identity.session)
        .with("authid", identity.authid.as_str())
        .with("authrole", identity.authrole.as_str())
        .with("authmethod", identity.authmethod.as_str())
        .with("authprovider", identity.authprovider.as_str())
        .with("transport", identity.transport.clone())
}

/// What `wamp.session.get` and the call of an authorizer tell about a session.
pub fn session_details(identity: &Identity) -> Dict {
    session_summary(identity).with("authextra", identity.authextra.clone())
}

/// How sessions are to go.
struct Order {
    reason: String,
    message: Option<String>,
    ending: Ending,
}

impl Order {
    fn read(call: &MetaCall, arguments: &Arguments, ending: Ending) -> Result<Order, Refusal> {
        let reason = arguments.reason(call.cx.config.uri_check)?.unwrap_or(error::CLOSE_KILLED).to_owned();
        let message = arguments.keyword("message", "string", Value::as_str)?.map(str::to_owned);
        Ok(Order { reason, message, ending })
    }

    fn carry_out(&self, call: &mut MetaCall, key: SessionKey) {
        let Some(member) = call.cx.members.member_mut(key) else { return };
        member.ending = Some(self.ending);
        if call.desks.authority.handle_leave(call.cx.ledger, key) {
            // What it still wanted is of no interest, but its answer to the GOODBYE has to be read.
            call.cx.out.push(Effect::Resume { session: key });
        }
        let (reason, message) = (self.reason.clone(), self.message.clone());
        call.cx.out.push(Effect::Goodbye { session: key, reason, message, drop_reason: DropReason::Killed });
    }

    /// Makes all go whom `condition` names, except the caller. Gives their session ids.
    fn carry_out_on(&self, call: &mut MetaCall, condition: impl Fn(&Member) -> bool) -> Vec<u64> {
        let visible = call.cx.members.visible();
        let named = visible.into_iter().filter(|(key, member)| call.asker.session != Some(*key) && condition(member));
        let (keys, sessions): (Vec<_>, Vec<_>) = named.map(|(key, member)| (key, member.identity.session)).unzip();
        for key in keys {
            self.carry_out(call, key);
        }
        sessions
    }
}

/// The ids of all sessions, or of those whose role is in the list that may be given.
fn of_roles(call: &MetaCall, arguments: &Arguments) -> Result<Vec<u64>, Refusal> {
    let roles = arguments.optional_list(0, "filter_authroles")?;
    let wanted = |member: &Member| {
        roles.is_none_or(|roles| roles.iter().any(|role| role.as_str() == Some(&member.identity.authrole)))
    };
    let visible = call.cx.members.visible().into_iter();
    Ok(visible.filter(|(_, member)| wanted(member)).map(|(_, member)| member.identity.session).collect())
}

/// The place of a session that others may know of.
pub(super) fn visible(call: &MetaCall, session: u64) -> Result<SessionKey, Refusal> {
    let members = &call.cx.members;
    let key = members.key_of(session).filter(|key| members.member(*key).is_some_and(Member::is_visible));
    key.ok_or_else(|| no_such_session(session))
}

pub(super) fn no_such_session(session: u64) -> Refusal {
    refusal(error::NO_SUCH_SESSION, format!("no session {session}"))
}
