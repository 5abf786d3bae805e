//! Assembles the router daemon: start order, shards, listeners, signals, drain.

pub mod clustered;
pub mod connection;
mod deliver;
mod dial;
mod faces;
mod flush;
mod housekeeping;
mod listen;
pub mod node;
mod reload;
mod route;
pub mod run;
mod service;
pub mod shard;
mod speaker;
mod turn;

pub use run::{RunError, run};

/// The authrole of links. No realm has to configure it, and no client can have it.
pub const LINK_ROLE: &str = "crossbar.link";
