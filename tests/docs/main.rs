//! The documentation is true: what is written from tables of the source is up to date (with `UPDATE=1` in the
//! environment it is written anew), and every command that is shown is run somewhere.

mod commands;
mod pages;

use crossbar_cluster::{config, mesh, metrics};
use std::fs;
use std::path::Path;

const BEGIN: &str = "by `UPDATE=1 cargo test --test docs`. -->\n";
const END: &str = "<!-- end -->";

/// The folder of this package.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Holds what stands between the marks of a page to be `expected`.
fn check(page: &str, expected: &str) {
    let path = root().join("docs").join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let expected = format!("{head}{BEGIN}\n{expected}\n{END}{tail}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/{page} is not up to date: UPDATE=1 cargo test --test docs");
}

#[test]
fn every_key_of_the_configuration_is_documented() {
    check("configuration.md", config::reference().trim_end());
}

#[test]
fn every_key_of_the_master_is_documented() {
    check("master.md", config::master_reference().trim_end());
}

#[test]
fn every_metric_is_documented() {
    check("operations.md", metrics::reference().trim_end());
}

#[test]
fn every_message_of_links_is_documented() {
    check("protocol.md", mesh::table::reference().trim_end());
}
