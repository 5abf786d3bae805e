//! The procedures of the imported configuration that decide about others: dynamic authenticators and authorizers. They
//! are looked for before anything is converted, because roles come before the transports that name authenticators.

use super::document::Item;
use crate::wamp::uri::is_reserved;
use serde_json::Value;
use std::collections::BTreeSet;

/// The authenticators of all transports.
#[derive(Debug, Default)]
pub(super) struct Deciding<'d> {
    /// The realm in which each is registered, where the file says so, and its URI.
    authenticators: Vec<(Option<&'d str>, &'d str)>,
}

impl<'d> Deciding<'d> {
    /// Looks for the authenticators in all workers of a configuration.
    pub(super) fn of(tree: &'d Value) -> Deciding<'d> {
        let mut deciding = Deciding::default();
        let mut left = vec![tree];
        while let Some(value) = left.pop() {
            match value {
                Value::Object(map) => {
                    let text = |key: &str| map.get(key).and_then(Value::as_str);
                    let found = text("authenticator").map(|uri| (text("authenticator-realm"), uri));
                    deciding.authenticators.extend(found);
                    left.extend(map.values());
                }
                Value::Array(values) => left.extend(values),
                _ => {}
            }
        }
        deciding
    }

    /// The procedures that decide about others in a realm with these roles.
    pub(super) fn of_realm(&self, name: &str, roles: &[Item<'d>]) -> BTreeSet<&'d str> {
        let here = self.authenticators.iter().filter(|(realm, _)| realm.is_none_or(|realm| realm == name));
        let authorizers = roles.iter().filter_map(|role| role.value.get("authorizer")?.as_str());
        let all = here.map(|(_, uri)| *uri).chain(authorizers);
        all.filter(|uri| !is_reserved(uri)).collect()
    }
}
