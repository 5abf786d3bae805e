//! From a parsed command line to whoever does what it says.

use super::commands::{Arguments, Command, Local};
use super::import::Import;
use super::{check, generate, import, remote};

/// Why a command did not do what it was asked to; decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// A configuration has mistakes: one per line.
    Configuration(String),
    /// It has been said already.
    Told,
    Other(anyhow::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Other(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}

/// Runs one command. `programs` are the command lines of all programs, this one among them, for completions and man
/// pages.
pub fn run(arguments: &Arguments, programs: Vec<clap::Command>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Remote(command) => remote::run(command, &arguments.target, arguments.json),
        Command::Local(Local::Check { file }) => check::check(file, arguments.json),
        Command::Local(Local::Import { file, output, id, state_dir, force }) => {
            let import = Import { file, id: id.as_deref(), state_dir: state_dir.as_deref() };
            import::run(&import, output.as_deref(), *force, arguments.json)
        }
        Command::Local(Local::Completions { shell, program }) => Ok(generate::completions(*shell, program, programs)?),
        Command::Local(Local::Man { directory }) => Ok(generate::man(directory.as_deref(), programs)?),
    }
}
