//! A real master and real edges: who belongs to the cluster, how its nodes stand, and what operators can ask.

#[path = "../harness/mod.rs"]
mod harness;

mod absence;
mod admission;
mod control;
mod dashboard;
mod guessing;
mod hostile;
mod names;
mod reload;
mod revocation;
mod states;
