//! What the router counts and how Prometheus is told: each shard owns a `Stats` of plain counters, hands out a
//! `Snapshot` when asked, and `render` adds the shards up into the series of one closed list.

pub mod process;
pub mod render;
pub mod series;
pub mod stats;

pub use process::{Process, count_open_files};
pub use render::{CONTENT_TYPE, NodeFacts, Snapshot, render};
pub use series::{Series, reference};
pub use stats::Stats;
