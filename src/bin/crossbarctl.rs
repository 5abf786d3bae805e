//! The operator's command line: parses it, calls the library, and ends with an exit code.

use clap::{CommandFactory, Parser};
use crossbar_cluster::ctl::{self, Arguments, Failure};
use crossbar_cluster::{edge, master, probe};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let programs = vec![
        edge::Arguments::command(),
        master::Arguments::command(),
        probe::Arguments::command(),
        Arguments::command(),
    ];
    match ctl::run(&arguments, programs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(mistakes)) => {
            eprintln!("{mistakes}");
            ExitCode::from(EX_CONFIG)
        }
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Other(error)) => {
            eprintln!("crossbarctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `EX_CONFIG` of sysexits.h, as the daemons end with it.
const EX_CONFIG: u8 = 78;
