//! The master: parses the command line, calls the library, and ends with an exit code.

use clap::Parser;
use crossbar_cluster::admin::arguments::DaemonCommand;
use crossbar_cluster::admin::stdout::print;
use crossbar_cluster::config::MasterConfig;
use crossbar_cluster::master::{self, Arguments};
use crossbar_cluster::router::daemon::RunError;
use std::process::ExitCode;

fn main() -> ExitCode {
    match obey(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report("crossbar-master"),
    }
}

fn obey(arguments: &Arguments) -> Result<(), RunError> {
    let file = &arguments.config;
    match arguments.command {
        DaemonCommand::Run => master::run(file)?,
        DaemonCommand::Check => {
            MasterConfig::load_to_run(file)?;
            print(format!("{}: no mistakes\n", file.display()))?;
        }
        DaemonCommand::Config => print(MasterConfig::load(file)?.to_toml())?,
        DaemonCommand::Keygen => print(master::keygen(file)? + "\n")?,
    }
    Ok(())
}
