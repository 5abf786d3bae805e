//! The command line of `crossbar-master`: parsed by the program, and the source of its completions and man pages.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// The master of a cluster of WAMP routers: admits its nodes, watches over them, and steers them.
#[derive(Debug, Parser)]
#[command(name = "crossbar-master", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/crossbar/master.toml")]
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
    /// Make the master's key and its operator's key where there are none, and print the public half of the first.
    Keygen,
}

const EXIT_CODES: &str = "Ends with 0 when all went well, 1 when something failed, 2 for a wrong command line and 78 for a \
                          wrong configuration.";
