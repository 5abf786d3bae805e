//! The load and failover test. It opens many sessions from real client processes, has all of them publish to one topic
//! and receive what all publish, and says afterwards what arrived, how late, and what did not.
//!
//! One process conducts (`conduct`): it starts the clients, relays their lines, and adds up what they tell. Each
//! client process (`client`) has one thread, its sessions (`connection`) and their publishing loops
//! (`publishing`). What a session makes of an event it has received is in `tally` (order, loss, repetition) and
//! `stamp` (who published it, and when).

mod arguments;
mod backend;
mod client;
mod clock;
mod conduct;
mod connection;
mod control;
mod crew;
mod figures;
mod incoming;
mod lines;
mod link;
mod outcome;
mod process;
mod progress;
mod publishing;
mod report;
mod settings;
mod stamp;
mod state;
mod summary;
mod tally;

pub use arguments::Arguments;
pub use backend::run_backend;
pub use client::run_client;
pub use conduct::conduct;
pub use outcome::Outcome;
pub use report::html;
pub use settings::{Settings, Watched, urls_of_config};
pub use stamp::STAMP_BYTES;
pub use summary::table;
