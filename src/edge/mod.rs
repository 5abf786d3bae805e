//! Assembles the router daemon: start order, reload, links, drain.

mod arguments;
mod reload;
mod run;

pub use arguments::{Arguments, Command};
pub use run::{RunError, run};
