//! How a peer proves who it is: challenge and response as pure functions, both halves (the router checks, a client of
//! ours signs). Who may come in is `session`'s business; here are only the proofs.

pub mod anonymous;
pub mod client;
pub mod cryptosign;
pub mod decoy;
pub mod mutual;
mod secret;
pub mod wampcra;

pub use secret::Secret;
