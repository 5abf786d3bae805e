//! The command line of `crossbar-master`: parsed by the program, and the source of its completions and man pages.

use crate::admin::arguments::{DaemonCommand, EXIT_CODES};
use clap::Parser;
use std::path::PathBuf;

/// The master of a cluster of WAMP routers: admits its nodes, watches over them, and steers them.
#[derive(Debug, Parser)]
#[command(name = "crossbar-master", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: DaemonCommand,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/crossbar/master.toml")]
    pub config: PathBuf,
}
