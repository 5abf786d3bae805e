//! Assembles the master: the same router as an edge, with one realm and no links, in which the nodes of the cluster
//! and its operators meet. `cluster` decides; here its decisions are carried out, kept and shown.

mod access;
mod arguments;
mod commands;
pub mod dashboard;
mod faces;
mod history;
pub mod metrics;
mod run;
mod steward;
mod store;
mod view;

pub use arguments::Arguments;
pub use run::{keygen, run};
