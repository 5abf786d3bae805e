//! The command line of `crossbar-edge`: parsed by the program, and the source of its completions and man pages.

use crate::admin::arguments::{DaemonCommand, EXIT_CODES};
use clap::Parser;
use std::path::PathBuf;

/// A node of a cluster of WAMP routers.
#[derive(Debug, Parser)]
#[command(name = "crossbar-edge", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: DaemonCommand,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/crossbar/edge.toml")]
    pub config: PathBuf,
}
