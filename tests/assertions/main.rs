//! What the specification demands of a router, asserted from outside on the running `crossbar-edge`. The numbers are
//! the rows of the table of black-box assertions; what has none is another MUST of the specification or a decision of
//! ours.
//!
//! Each scene is played twice, with its clients spread over the transports and serializers in two ways.

#[path = "../harness/mod.rs"]
mod harness;

mod authentication;
mod authorization;
mod calls;
mod cancel;
mod disclosure;
mod filters;
mod history;
mod ids;
mod meta_registration;
mod meta_session;
mod meta_subscription;
mod opening;
mod order;
mod passthru;
mod patterns;
mod progress;
mod publish;
mod rawsocket;
mod register;
mod retained;
mod shared;
mod testaments;
mod uris;
