//! A cluster without sockets: several nodes with their clients in one thread, in virtual time, from one seed.
//!
//! `scripts` tell one story each; `random` lets chance play and checks what must hold. A seed that fails is printed and
//! replays exactly: `SIM_SEED=… cargo test --test simulation random`, with `SIM_TRACE=1` to see every message;
//! `SIM_SEEDS` says how many seeds are tried.

mod amounts;
mod client;
mod judge;
mod random;
mod requests;
mod scripts;
mod world;
