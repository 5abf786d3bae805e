//! Assembles the router daemon: start order, shards, listeners, signals, drain.

pub mod clustered;
pub mod connection;
mod deliver;
mod faces;
mod flush;
mod housekeeping;
mod listen;
pub mod node;
mod reload;
pub mod run;
mod service;
pub mod shard;
mod turn;

pub use run::{RunError, run};
