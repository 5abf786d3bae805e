//! The operator's command line: the table of its commands, what it prints for people, and the import of Crossbar.io
//! configurations. `remote` is all that talks to a running cluster.

mod check;
mod commands;
mod generate;
pub mod import;
pub mod links;
mod remote;
mod run;
pub mod table;

pub use commands::{Arguments, Command, Local, NodeCommand, OfRealm, Remote, Subject, Target, Trace};
pub use run::{Failure, run};
