//! A running router: one shard's event loop with its connections, realms, links and pages. What a program makes of it
//! (an edge, a master) is assembled one layer above.

pub mod balancer;
pub mod connection;
pub mod crowd;
pub mod daemon;
mod deliver;
pub mod dial;
mod endings;
pub mod faces;
pub mod flush;
pub mod housekeeping;
pub mod listen;
mod listing;
mod losses;
mod memory;
pub mod node;
mod protocol;
mod questions;
mod refusals;
mod room;
pub mod rounds;
mod route;
pub mod serve;
pub mod service;
pub mod shard;
mod throttle;
pub mod trace;
mod turn;

/// The authrole of links. No realm has to configure it, and no client can have it.
pub const LINK_ROLE: &str = "crossbar.link";
