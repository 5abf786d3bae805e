//! What the nodes are configured to be, and who is who.

use super::world::{HISTORY_BYTES_MAX, RETAINED_BYTES_MAX};
use crossbar_cluster::auth::Secret;
use crossbar_cluster::limits::Limits;
use crossbar_cluster::realm::permission::HistoryRule;
use crossbar_cluster::realm::{Permission, RealmConfig, Role};
use crossbar_cluster::session::admission::{self, Admission, Anonymous, Grant, Methods, RequestIds};
use crossbar_cluster::wamp::feature::Features;
use crossbar_cluster::wamp::uri::{Match, UriCheck};
use crossbar_cluster::wamp::{Id, Identity};
use crossbar_cluster::wire::Dict;
use std::collections::HashMap;
use std::time::Duration;

pub(super) fn identity(session: Id, authid: String) -> Identity {
    Identity {
        session,
        authid,
        authrole: "node".to_owned(),
        authmethod: "mutual".to_owned(),
        authprovider: "static".to_owned(),
        authextra: Dict::new(),
        transport: Dict::new(),
        features: Features::EVERYTHING,
    }
}

pub(super) fn admission(role: &str) -> Admission {
    let roles = ["anonymous", "asked"].map(str::to_owned).into();
    let methods = Methods { anonymous: Some(Anonymous::Static(Grant::role(role))), ..Methods::default() };
    Admission {
        node: admission::Node { id: "edge1".to_owned(), pid: 1 },
        realms: HashMap::from([("realm1".to_owned(), admission::Realm { roles, request_ids: RequestIds::Strict })]),
        methods,
        decoy_key: Secret::new("decoy"),
        limits: Limits::default(),
    }
}

pub(super) fn config() -> RealmConfig {
    let everything = Permission { call: true, register: true, publish: true, subscribe: true, ..Permission::none("") };
    let meta = Permission { uri: "wamp.".to_owned(), ..everything.clone() };
    let role = |name: &str, authorizer: Option<&str>| Role {
        name: name.to_owned(),
        permissions: vec![everything.clone(), meta.clone()],
        authorizer: authorizer.map(str::to_owned),
    };
    RealmConfig {
        name: "realm1".to_owned(),
        uri_check: UriCheck::Loose,
        roles: vec![role("anonymous", None), role("asked", Some("com.authorize"))],
        history: vec![HistoryRule { uri: "com.history".to_owned(), policy: Match::Exact, entries_max: 4 }],
        deciding: Vec::new(),
        local_first: false,
        limits: limits(),
    }
}

/// Small ones, to come to their ends.
fn limits() -> Limits {
    Limits {
        subscriptions_per_session_max: 8,
        registrations_per_session_max: 8,
        calls_per_session_max: 8,
        calls_queued_max: 4,
        wildcard_shapes_max: 3,
        publish_list_max: 2,
        retained_max: 8,
        retained_bytes_max: RETAINED_BYTES_MAX,
        history_bytes_max: HISTORY_BYTES_MAX,
        testaments_per_session_max: 3,
        authorizer_cache_max: 4,
        authorizer_timeout: Duration::from_secs(1),
        ..Limits::default()
    }
}
