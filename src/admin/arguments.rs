//! What command lines have in common: the commands of every daemon, and how programs end.

use clap::Subcommand;

/// What a daemon can be told to do.
#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Serve until SIGTERM; SIGHUP reads the configuration again.
    Run,
    /// Say everything that is wrong with the configuration.
    Check,
    /// Print the effective configuration: every default filled in, secrets masked.
    Config,
    /// Make the keys that are missing, and print the public half of the one by which others know it.
    Keygen,
}

/// The end of the help of the daemons and of `crossbarctl`.
pub const EXIT_CODES: &str = "Ends with 0 when all went well, 1 when something failed, 2 for a wrong command line and 78 \
                              for a wrong configuration.";
