//! Assembles the router daemon: start order, reload, links, drain.

mod reload;
mod run;

pub use run::{RunError, run};
