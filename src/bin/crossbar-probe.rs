//! The load and failover test: parses the command line, calls the library, prints what came of it, and ends with an
//! exit code that says whether something was lost.

use anyhow::Context;
use clap::Parser;
use crossbar_cluster::admin::stdout::print;
use crossbar_cluster::probe::{self, Arguments};
use std::fs;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("crossbar-probe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.as_client {
        return probe::run_client().map(|()| ExitCode::SUCCESS);
    }
    let settings = arguments.settings()?;
    if arguments.backend {
        let all = (1..=4).map(|node| format!("node{node}.container1")).collect();
        let containers = arguments.logname.map_or(all, |container| vec![container]);
        return probe::run_backend(&settings, &containers).map(|()| ExitCode::SUCCESS);
    }
    let program = std::env::current_exe().context("the path of this program")?;
    let outcome = probe::conduct(settings, &program)?;
    if let Some(path) = &arguments.report {
        fs::write(path, probe::html(&outcome)).with_context(|| path.display().to_string())?;
    }
    if arguments.json {
        print(serde_json::to_string_pretty(&outcome)? + "\n")?;
    } else {
        print(format!("\n{}\n", probe::table(&outcome).trim_end()))?;
    }
    Ok(if outcome.ok { ExitCode::SUCCESS } else { ExitCode::from(LOST) })
}

/// The exit code when something was lost, came twice, came late or came changed.
const LOST: u8 = 3;
