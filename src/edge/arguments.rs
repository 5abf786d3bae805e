//! The command line of `crossbar-edge`: parsed by the program, and the source of its completions and man pages.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A node of a cluster of WAMP routers.
#[derive(Debug, Parser)]
#[command(name = "crossbar-edge", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/crossbar/edge.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM; SIGHUP reads the configuration again.
    Run,
    /// Say everything that is wrong with the configuration.
    Check,
    /// Print the effective configuration: every default filled in, secrets masked.
    Config,
    /// Make the node key where there is none, and print its public half.
    Keygen,
}

const EXIT_CODES: &str = "Ends with 0 when all went well, 1 when something failed, 2 for a wrong command line and 78 for a \
                          wrong configuration.";
