//! `crossbarctl check`: says what is wrong with a configuration, whichever of the kinds it is.

use super::import::{self, Import};
use super::run::Failure;
use crate::config;
use std::path::Path;

/// Prints that there is nothing to say, or fails with all that is wrong.
pub(super) fn check(file: &Path) -> Result<(), Failure> {
    if import::is_crossbar(file) {
        let imported = import::import(&Import { file, id: None, state_dir: None })?;
        for remark in &imported.remarks {
            eprintln!("{remark}");
        }
        let n = imported.remarks.len();
        println!("{}: a Crossbar.io configuration without mistakes; {n} things are not carried over", file.display());
        return Ok(());
    }
    config::load(file).map_err(|mistakes| Failure::Configuration(mistakes.to_string()))?;
    println!("{}: no mistakes", file.display());
    Ok(())
}
