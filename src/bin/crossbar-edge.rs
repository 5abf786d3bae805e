//! The router node: parses the command line, loads the configuration, calls the library, and ends with an exit code.

mod logging;

use clap::{Parser, Subcommand};
use crossbar_cluster::config::{self, Config, node_key};
use crossbar_cluster::edge;
use std::path::PathBuf;
use std::process::ExitCode;

/// A node of a cluster of WAMP routers.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/crossbar/edge.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM; SIGHUP reads the configuration again.
    Run,
    /// Say everything that is wrong with the configuration.
    Check,
    /// Print the effective configuration: every default filled in, secrets masked.
    Config,
    /// Make the node key where there is none, and print its public half.
    Keygen,
}

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
        Command::Run => run(config),
        Command::Check => {
            println!("{}: no mistakes", arguments.config.display());
            ExitCode::SUCCESS
        }
        Command::Config => {
            print!("{}", config.to_toml());
            ExitCode::SUCCESS
        }
        Command::Keygen => keygen(&config),
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

const EXIT_CODES: &str = "Ends with 0 when all went well, 1 when something failed, 2 for a wrong command line and 78 for a \
                          wrong configuration.";
