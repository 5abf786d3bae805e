//! The master: parses the command line, loads the configuration, calls the library, and ends with an exit code.

use clap::Parser;
use crossbar_cluster::admin::arguments::DaemonCommand;
use crossbar_cluster::admin::logging;
use crossbar_cluster::config::MasterConfig;
use crossbar_cluster::master::{self, Arguments};
use crossbar_cluster::router::daemon::RunError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match MasterConfig::load(&arguments.config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    let done = match arguments.command {
        DaemonCommand::Run => {
            logging::start(&config.log);
            master::run(config)
        }
        DaemonCommand::Check => say(format!("{}: no mistakes\n", arguments.config.display())),
        DaemonCommand::Config => say(config.to_toml()),
        DaemonCommand::Keygen => master::keygen(&config).and_then(|key| say(key + "\n")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crossbar-master: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: String) -> Result<(), RunError> {
    print!("{text}");
    Ok(())
}

/// `EX_CONFIG` of sysexits.h, which systemd shows as CONFIG and a unit can refuse to restart on.
const EX_CONFIG: u8 = 78;
