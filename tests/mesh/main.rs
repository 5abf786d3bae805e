//! Several real edges that act as one router: what one node's clients do is seen by the clients of the others, and the
//! death of a node costs its clients their connection and nobody anything else.

#[path = "../harness/mod.rs"]
mod harness;

mod answers;
mod calls;
mod defects;
mod draining;
mod encrypted;
mod events;
mod failure;
mod hostile;
mod identity;
mod meta;
mod names;
mod payloads;
mod returning;
mod sizes;
mod threads;
mod trust;
