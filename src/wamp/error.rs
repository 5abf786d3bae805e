//! The URIs of errors and closings, once. Where the specification contradicts itself, the choice is noted.

macro_rules! uris {
    ($($(#[$doc:meta])* $name:ident = $uri:literal;)*) => { $($(#[$doc])* pub const $name: &str = $uri;)* };
}

uris! {
    INVALID_URI = "wamp.error.invalid_uri";
    NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure";
    PROCEDURE_ALREADY_EXISTS = "wamp.error.procedure_already_exists";
    /// Not in the specification; what deployed routers answer when a shared registration disagrees on `invoke`.
    INVOCATION_POLICY_MISMATCH = "wamp.error.procedure_exists_with_different_invocation_policy";
    NO_SUCH_REGISTRATION = "wamp.error.no_such_registration";
    NO_SUCH_SUBSCRIPTION = "wamp.error.no_such_subscription";
    NO_SUCH_SESSION = "wamp.error.no_such_session";
    INVALID_ARGUMENT = "wamp.error.invalid_argument";
    /// The specification also spells it `cancelled`; its URI table and deployed routers say this.
    CANCELED = "wamp.error.canceled";
    TIMEOUT = "wamp.error.timeout";
    PAYLOAD_SIZE_EXCEEDED = "wamp.error.payload_size_exceeded";
    PROTOCOL_VIOLATION = "wamp.error.protocol_violation";
    /// The answer to every action that a role may not do; `authorization_denied` is the specification's other word.
    NOT_AUTHORIZED = "wamp.error.not_authorized";
    AUTHORIZATION_FAILED = "wamp.error.authorization_failed";
    AUTHENTICATION_FAILED = "wamp.error.authentication_failed";
    AUTHENTICATION_DENIED = "wamp.error.authentication_denied";
    NO_MATCHING_AUTH_METHOD = "wamp.error.no_matching_auth_method";
    NO_SUCH_REALM = "wamp.error.no_such_realm";
    NO_SUCH_ROLE = "wamp.error.no_such_role";
    NO_SUCH_PRINCIPAL = "wamp.error.no_such_principal";
    OPTION_NOT_ALLOWED = "wamp.error.option_not_allowed";
    DISCLOSE_ME_DISALLOWED = "wamp.error.option_disallowed.disclose_me";
    NETWORK_FAILURE = "wamp.error.network_failure";
    UNAVAILABLE = "wamp.error.unavailable";
    NO_AVAILABLE_CALLEE = "wamp.error.no_available_callee";
    FEATURE_NOT_SUPPORTED = "wamp.error.feature_not_supported";
    /// A bound of `limits` was reached; the arguments name it.
    LIMIT_EXCEEDED = "wamp.error.limit_exceeded";
    /// Not in the specification: what a callee hears when nobody says why it is one no more; the word of deployed
    /// routers.
    UNREGISTERED = "wamp.error.unregistered";
    HISTORY_UNAVAILABLE = "wamp.error.history_unavailable";

    CLOSE_NORMAL = "wamp.close.normal";
    CLOSE_GOODBYE_AND_OUT = "wamp.close.goodbye_and_out";
    CLOSE_SYSTEM_SHUTDOWN = "wamp.close.system_shutdown";
    CLOSE_REALM = "wamp.close.close_realm";
    CLOSE_KILLED = "wamp.close.killed";
}
