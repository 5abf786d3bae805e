//! Assembles the router daemon: start order, reload, who the peers are, what operators and the master ask, drain.

mod agent;
mod arguments;
mod control;
mod joining;
mod parting;
mod peers;
mod reload;
mod report;
mod run;

pub use arguments::Arguments;
pub use run::{keygen, run};
