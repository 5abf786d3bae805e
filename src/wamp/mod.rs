//! What WAMP means, without behaviour: the message table, ids, URIs, errors, features and who a session is.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

pub mod codec;
pub mod error;
pub mod feature;
pub mod identity;
pub mod message;
pub mod options;
pub mod parts;
pub mod uri;

pub use identity::{Identity, SessionKey};
pub use message::{Code, Message};

/// A WAMP id: 1 to 2^53.
pub type Id = u64;
