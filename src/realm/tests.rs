//! What the tests of this room share, and the transcripts.

mod random;
mod transcript;

use crate::wamp::{Identity, feature::Features};
use crate::wire::Dict;

/// Somebody who announced nothing.
pub(crate) fn identity(session: u64, authid: &str, authrole: &str) -> Identity {
    Identity {
        session,
        authid: authid.to_owned(),
        authrole: authrole.to_owned(),
        authmethod: "anonymous".to_owned(),
        authprovider: "static".to_owned(),
        authextra: Dict::new(),
        transport: Dict::new(),
        features: Features::default(),
    }
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            transcript::check(stringify!($name));
        })*
    };
}

transcripts! {
    subscribing publishing lists retained history links
    permissions authorizers uris
    meta_sessions meta_subscriptions meta_registrations meta_events testaments limits
    dealer_registering dealer_calling dealer_ending
}
