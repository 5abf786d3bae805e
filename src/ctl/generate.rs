//! Completions and man pages of all programs, from the tables that parse their command lines.

use crate::admin::stdout::print;
use anyhow::{Context, bail};
use clap::Command;
use clap_complete::Shell;
use std::fs;
use std::path::Path;

/// Prints what makes `shell` complete the command line of `program`.
pub(super) fn completions(shell: Shell, program: &str, programs: Vec<Command>) -> anyhow::Result<()> {
    let names: Vec<String> = programs.iter().map(|known| known.get_name().to_owned()).collect();
    let Some(mut command) = programs.into_iter().find(|known| known.get_name() == program) else {
        bail!("there is no program '{program}', known are {}", names.join(", "));
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command, program, &mut out);
    Ok(print(out)?)
}

/// Writes a page per program and command into `directory`, or prints that of `crossbarctl`.
pub(super) fn man(directory: Option<&Path>, programs: Vec<Command>) -> anyhow::Result<()> {
    let Some(directory) = directory else {
        let own = programs.into_iter().find(|known| known.get_name() == "crossbarctl");
        let page = clap_mangen::Man::new(own.context("crossbarctl is not among its own programs")?);
        let mut out = Vec::new();
        page.render(&mut out)?;
        return Ok(print(out)?);
    };
    let within = || directory.display().to_string();
    fs::create_dir_all(directory).with_context(within)?;
    for program in programs {
        clap_mangen::generate_to(program, directory).with_context(within)?;
    }
    Ok(())
}
