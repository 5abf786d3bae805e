//! `crossbarctl` against running programs: every command against a master with two edges, and against a single edge
//! that has no master; for people and for programs.

#[path = "../harness/mod.rs"]
mod harness;

mod alone;
mod fixture;
mod refused;
mod shown;
mod steered;
mod terminal;
mod traced;
