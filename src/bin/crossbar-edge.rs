//! The router node: parses the command line, loads the configuration, calls the library, and ends with an exit code.

use clap::Parser;
use crossbar_cluster::admin::arguments::DaemonCommand;
use crossbar_cluster::admin::logging;
use crossbar_cluster::config::{self, Config, node_key};
use crossbar_cluster::edge::{self, Arguments};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match config::load(&arguments.config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    match arguments.command {
        DaemonCommand::Run => run(config),
        DaemonCommand::Check => {
            println!("{}: no mistakes", arguments.config.display());
            ExitCode::SUCCESS
        }
        DaemonCommand::Config => {
            print!("{}", config.to_toml());
            ExitCode::SUCCESS
        }
        DaemonCommand::Keygen => keygen(&config),
    }
}

fn run(config: Config) -> ExitCode {
    logging::start(&config.log);
    match edge::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crossbar-edge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keygen(config: &Config) -> ExitCode {
    match node_key::read_or_generate(&config.node.state_dir, &mut rand::rng()) {
        Ok(key) => {
            println!("{}", key.public());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `EX_CONFIG` of sysexits.h, which systemd shows as CONFIG and a unit can refuse to restart on.
const EX_CONFIG: u8 = 78;
