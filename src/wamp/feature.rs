//! The features that the two sides announce. The router's own list is what WELCOME says, and each entry is true.

use crate::wire::Dict;

/// What the router announces as a broker.
pub const BROKER: &[&str] = &[
    "event_history",
    "event_retention",
    "pattern_based_subscription",
    "payload_passthru_mode",
    "payload_transparency",
    "publisher_exclusion",
    "publisher_identification",
    "session_meta_api",
    "subscriber_blackwhite_listing",
    "subscription_meta_api",
    "subscription_revocation",
];

/// What the router announces as a dealer.
pub const DEALER: &[&str] = &[
    "call_canceling",
    "call_timeout",
    "caller_identification",
    "pattern_based_registration",
    "payload_passthru_mode",
    "payload_transparency",
    "progressive_call_invocations",
    "progressive_call_results",
    "registration_meta_api",
    "registration_revocation",
    "session_meta_api",
    "shared_registration",
    "testament_meta_api",
];

/// What a node announces towards its peers: every role, with all that the router itself can do.
pub fn link_roles() -> Dict {
    let features = BROKER.iter().chain(DEALER).fold(Dict::new(), |dict, name| dict.with(*name, true));
    let role = Dict::new().with("features", features);
    ["publisher", "subscriber", "caller", "callee"]
        .iter()
        .fold(Dict::new(), |dict, name| dict.with(*name, role.clone()))
}

/// What a client announced and the router acts on. Everything else that it announced is of no consequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub publisher: bool,
    pub subscriber: bool,
    pub caller: bool,
    pub callee: bool,
    /// As a caller: may start progressive invocations, is sent progressive results, may cancel.
    pub caller_progressive_invocations: bool,
    pub caller_progressive_results: bool,
    /// As a callee.
    pub callee_call_canceling: bool,
    pub callee_call_timeout: bool,
    pub callee_progressive_invocations: bool,
    pub callee_progressive_results: bool,
    pub callee_registration_revocation: bool,
    pub subscriber_subscription_revocation: bool,
    /// `payload_passthru_mode` per role.
    pub publisher_passthru: bool,
    pub caller_passthru: bool,
    pub callee_passthru: bool,
}

impl Features {
    /// What nodes announce to one another.
    pub const EVERYTHING: Features = Features {
        publisher: true,
        subscriber: true,
        caller: true,
        callee: true,
        caller_progressive_invocations: true,
        caller_progressive_results: true,
        callee_call_canceling: true,
        callee_call_timeout: true,
        callee_progressive_invocations: true,
        callee_progressive_results: true,
        callee_registration_revocation: true,
        subscriber_subscription_revocation: true,
        publisher_passthru: true,
        caller_passthru: true,
        callee_passthru: true,
    };

    /// Reads `HELLO.Details.roles`. Both spellings of call_canceling that the specification uses are taken.
    pub fn from_roles(roles: &Dict) -> Features {
        let role = |name: &str| roles.dict(name);
        let has = |role_name: &str, names: &[&'static str]| {
            role(role_name)
                .and_then(|role| role.dict("features"))
                .is_some_and(|features| names.iter().any(|name| features.bool(name) == Some(true)))
        };
        const PASSTHRU: &[&str] = &["payload_passthru_mode", "payload_transparency"];
        const CANCELING: &[&str] = &["call_canceling", "call_cancelling"];
        Features {
            publisher: role("publisher").is_some(),
            subscriber: role("subscriber").is_some(),
            caller: role("caller").is_some(),
            callee: role("callee").is_some(),
            caller_progressive_invocations: has("caller", &["progressive_call_invocations"]),
            caller_progressive_results: has("caller", &["progressive_call_results"]),
            callee_call_canceling: has("callee", CANCELING),
            callee_call_timeout: has("callee", &["call_timeout"]),
            callee_progressive_invocations: has("callee", &["progressive_call_invocations"]),
            callee_progressive_results: has("callee", &["progressive_call_results"]),
            callee_registration_revocation: has("callee", &["registration_revocation"]),
            subscriber_subscription_revocation: has("subscriber", &["subscription_revocation"]),
            publisher_passthru: has("publisher", PASSTHRU),
            caller_passthru: has("caller", PASSTHRU),
            callee_passthru: has("callee", PASSTHRU),
        }
    }

    /// The `roles` dict that WELCOME carries.
    pub fn router_roles() -> Dict {
        let features = |names: &[&'static str]| names.iter().fold(Dict::new(), |dict, name| dict.with(*name, true));
        Dict::new()
            .with("broker", Dict::new().with("features", features(BROKER)))
            .with("dealer", Dict::new().with("features", features(DEALER)))
    }
}
