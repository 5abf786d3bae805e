//! `crossbarctl check`: says what is wrong with a configuration, whichever of the kinds it is.

use super::import::{self, Import};
use super::run::Failure;
use crate::admin::stdout::print;
use crate::config::{self, Host, MasterConfig, Mistake, Mistakes};
use serde_json::json;
use std::path::Path;
use toml::de::DeTable;

/// Prints that there is nothing to say, or fails with all that is wrong.
pub(super) fn check(file: &Path, is_json: bool) -> Result<(), Failure> {
    let is_crossbar = import::is_crossbar(file);
    let (remarks, warnings): (_, Vec<String>) = match is_crossbar {
        true => (import::import(&Import { file, id: None, state_dir: None })?.remarks, Vec::new()),
        false => {
            let loaded = load(file).map_err(|mistakes| Failure::Configuration(mistakes.to_string()));
            (Vec::new(), loaded?.iter().map(ToString::to_string).collect())
        }
    };
    let name = file.display().to_string();
    if is_json {
        let answer = json!({"file": name, "is_crossbar": is_crossbar, "remarks": remarks, "warnings": warnings});
        print(format!("{answer:#}\n"))?;
        return Ok(());
    }
    remarks.iter().for_each(|remark| eprintln!("{name}: {remark}"));
    warnings.iter().for_each(|warning| eprintln!("{warning}"));
    let kind = if is_crossbar { "a Crossbar.io configuration that can be imported, " } else { "" };
    print(format!("{name}: {kind}no mistakes\n"))?;
    Ok(())
}

/// Loads a configuration of ours. The warnings are one sentence each.
fn load(file: &Path) -> Result<Vec<Mistake>, Mistakes> {
    match is_of_master(file) {
        true => MasterConfig::load_to_run(file).map(|_| Vec::new()),
        false => config::load_to_run(file).map(|config| config.warnings().to_vec()),
    }
}

/// Whether this is the configuration of a master: it says who the master is, and nothing of a node of its own. An edge
/// has a `[master]` as well, and many a `[[node]]` is in that of a master.
fn is_of_master(file: &Path) -> bool {
    let text = String::from_utf8((Host::SYSTEM.read)(file).unwrap_or_default()).unwrap_or_default();
    // Wherever else it has mistakes, they are told by whoever reads it.
    let (document, _) = DeTable::parse_recoverable(&text);
    let table = document.get_ref();
    let is_table = |key: &str| table.get(key).is_some_and(|value| value.get_ref().is_table());
    let of_edge = ["listen", "realm", "mesh", "admin"].iter().any(|key| table.contains_key(*key));
    is_table("master") && !is_table("node") && !of_edge
}
