//! How a peer proves who it is: challenge and response as pure functions, both halves (the router checks, a client of
//! ours signs). Who may come in is `session`'s business; here are only the proofs.

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

pub mod anonymous;
pub mod client;
pub mod cryptosign;
pub mod decoy;
pub mod mutual;
mod secret;
pub mod wampcra;

pub use secret::Secret;
