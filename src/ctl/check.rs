//! `crossbarctl check`: says what is wrong with a configuration, whichever of the kinds it is.

use super::import::{self, Import};
use super::run::Failure;
use crate::config;
use serde_json::json;
use std::path::Path;

/// Prints that there is nothing to say, or fails with all that is wrong.
pub(super) fn check(file: &Path, is_json: bool) -> Result<(), Failure> {
    let is_crossbar = import::is_crossbar(file);
    let remarks = match is_crossbar {
        true => import::import(&Import { file, id: None, state_dir: None })?.remarks,
        false => {
            config::load(file).map_err(|mistakes| Failure::Configuration(mistakes.to_string()))?;
            Vec::new()
        }
    };
    let name = file.display().to_string();
    if is_json {
        println!("{:#}", json!({"file": name, "is_crossbar": is_crossbar, "remarks": remarks}));
        return Ok(());
    }
    remarks.iter().for_each(|remark| eprintln!("{name}: {remark}"));
    let kind = if is_crossbar { "a Crossbar.io configuration that can be imported, " } else { "" };
    println!("{name}: {kind}no mistakes");
    Ok(())
}
