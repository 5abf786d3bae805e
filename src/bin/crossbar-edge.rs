//! The router node: parses the command line, calls the library, and ends with an exit code.

use clap::Parser;
use crossbar_cluster::admin::arguments::DaemonCommand;
use crossbar_cluster::admin::stdout::print;
use crossbar_cluster::config;
use crossbar_cluster::edge::{self, Arguments};
use crossbar_cluster::router::daemon::RunError;
use std::process::ExitCode;

fn main() -> ExitCode {
    match obey(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report("crossbar-edge"),
    }
}

fn obey(arguments: &Arguments) -> Result<(), RunError> {
    let file = &arguments.config;
    match arguments.command {
        DaemonCommand::Run => edge::run(file)?,
        DaemonCommand::Check => {
            let config = config::load_to_run(file)?;
            config.warnings().iter().for_each(|warning| eprintln!("{warning}"));
            print(format!("{}: no mistakes\n", file.display()))?;
        }
        DaemonCommand::Config => print(config::load(file)?.to_toml())?,
        DaemonCommand::Keygen => print(edge::keygen(file)? + "\n")?,
    }
    Ok(())
}
