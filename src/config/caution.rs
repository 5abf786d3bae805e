//! What a configuration allows that is easily allowed by mistake: no mistakes of the file, but worth a look.

use super::resolved::{Listener, Realm};
use crate::limits::Limits;
use crate::realm::{Permission, Role};
use crate::wamp::uri::{Match, is_reserved};

/// One sentence for each thing.
pub(super) fn cautions(realms: &[Realm], listeners: &[Listener]) -> Vec<String> {
    let of_realms = realms.iter().flat_map(|realm| rulers(realm).chain(unregistered(realm)).collect::<Vec<_>>());
    of_realms.chain(listeners.iter().flat_map(unreached)).collect()
}

/// The limits of a listener that another one keeps from ever being reached.
fn unreached(listener: &Listener) -> impl Iterator<Item = String> {
    let Limits { connections_max, handshakes_max, connections_per_address_max, handshakes_per_address_max, .. } =
        listener.limits;
    let address = &listener.address;
    [
        ("connections_per_address_max", connections_per_address_max, "connections_max", connections_max),
        ("handshakes_per_address_max", handshakes_per_address_max, "handshakes_max", handshakes_max),
    ]
    .into_iter()
    .filter(|(_, narrow, _, wide)| narrow > wide)
    .map(move |(name, narrow, wide_name, wide)| {
        format!("{name} = {narrow} of the [[listen]] on {address} is never reached: {wide_name} is {wide}")
    })
}

/// The roles that may end what others have.
fn rulers(realm: &Realm) -> impl Iterator<Item = String> {
    realm.core.roles.iter().filter_map(|role| {
        let may = |procedure: &&&str| role.permissions.iter().any(|rule| may_call(rule, procedure));
        let procedures: Vec<&str> = POWERS.iter().filter(may).copied().collect();
        let (name, realm) = (&role.name, &realm.core.name);
        (!procedures.is_empty())
            .then(|| format!("role '{name}' of realm '{realm}' may end what others have: {}", procedures.join(", ")))
    })
}

fn may_call(rule: &Permission, procedure: &str) -> bool {
    rule.call && is_reserved(&rule.uri) && rule.policy.covers(&rule.uri, procedure)
}

/// The authenticators and authorizers that no role may register.
fn unregistered(realm: &Realm) -> impl Iterator<Item = String> {
    let may_register = |role: &Role, procedure: &str| {
        let is_it = |rule: &Permission| rule.register && rule.policy == Match::Exact && rule.uri == procedure;
        role.authorizer.is_some() || role.permissions.iter().any(is_it)
    };
    let roles = &realm.core.roles;
    let nobody = move |procedure: &&String| !roles.iter().any(|role| may_register(role, procedure));
    realm.core.deciding.iter().filter(nobody).map(|procedure| {
        let name = &realm.core.name;
        format!(
            "no role of realm '{name}' may register {procedure:?}, which decides about others: that takes a rule of \
             exactly this URI"
        )
    })
}

/// The procedures of the meta API by which one session ends what another has.
const POWERS: [&str; 7] = [
    "wamp.session.kill",
    "wamp.session.kill_by_authid",
    "wamp.session.kill_by_authrole",
    "wamp.session.kill_all",
    "wamp.authorization.forget",
    "wamp.registration.remove_callee",
    "wamp.subscription.remove_subscriber",
];
