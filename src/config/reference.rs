//! The reference of all tables and keys, in Markdown, from the declarations themselves.

use super::limit_table;
use super::live::OnReload;
use super::master;
use super::raw;
use super::table::{Key, Shape, Table, join};
use crate::limits::{Limits, Scope};
use std::fmt::Write;

/// What `docs/configuration.md` has between its two marks.
pub fn reference() -> String {
    let mut out = String::new();
    tables("", raw::File::KEYS, &mut out);
    out
}

/// The same of the master's file.
pub fn master_reference() -> String {
    let mut out = String::new();
    tables("", master::File::KEYS, &mut out);
    out
}

/// A key of a configuration file, and what it takes for a new value to hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyFacts {
    /// `listen.tls`; one of many tables of any name is called `NAME`.
    pub table: String,
    pub key: &'static str,
    /// A reload is enough; otherwise it is a restart.
    pub is_live: bool,
}

/// All keys of an edge's file.
pub fn keys() -> Vec<KeyFacts> {
    let mut out = Vec::new();
    values("", raw::File::KEYS, &mut out);
    out
}

/// All keys of the master's file.
pub fn master_keys() -> Vec<KeyFacts> {
    let mut out = Vec::new();
    values("", master::File::KEYS, &mut out);
    out
}

fn values(table: &str, keys: &[Key], out: &mut Vec<KeyFacts>) {
    for key in keys {
        let path = join(table, key.name);
        match key.shape {
            Shape::Value { .. } => {
                let is_live = on_reload(key.on_reload) == RELOAD;
                out.push(KeyFacts { table: table.to_owned(), key: key.name, is_live });
            }
            Shape::Table(keys) | Shape::Tables(keys) => values(&path, keys, out),
            Shape::Map(keys) => values(&format!("{path}.NAME"), keys, out),
            Shape::Limits(scopes) => {
                let known = Limits::ALL.iter().filter(|limit| scopes.contains(&limit.scope));
                out.extend(known.map(|limit| KeyFacts { table: path.clone(), key: limit.name, is_live: true }));
            }
        }
    }
}

/// The tables that stand at `keys`, each followed by those in it.
fn tables(path: &str, keys: &[Key], out: &mut String) {
    for key in keys {
        let path = join(path, key.name);
        match key.shape {
            Shape::Value { .. } => {}
            Shape::Table(keys) => table(&path, &format!("[{path}]"), key, keys, out),
            Shape::Tables(keys) => table(&path, &format!("[[{path}]]"), key, keys, out),
            Shape::Map(keys) => {
                let path = format!("{path}.NAME");
                table(&path, &format!("[{path}]"), key, keys, out);
            }
            Shape::Limits(scopes) => limits(&path, key, scopes, out),
        }
    }
}

fn table(path: &str, header: &str, key: &Key, keys: &[Key], out: &mut String) {
    let values: Vec<&Key> = keys.iter().filter(|key| matches!(key.shape, Shape::Value { .. })).collect();
    let _ = writeln!(out, "### `{header}`\n\n{}\n", sentence(key.help));
    if !values.is_empty() {
        out.push_str(HEAD);
    }
    for value in &values {
        let Shape::Value { allowed, is_required } = value.shape else { continue };
        let default = match (value.default, is_required) {
            (Some(literal), _) => format!("`{literal}`"),
            (None, true) => "needed".to_owned(),
            (None, false) => "–".to_owned(),
        };
        let allowed = allowed().replace('|', "\\|");
        let on_reload = on_reload(value.on_reload);
        let _ = writeln!(out, "| `{}` | {allowed} | {default} | {on_reload} | {} |", value.name, sentence(value.help));
    }
    if !values.is_empty() {
        out.push('\n');
    }
    tables(path, keys, out);
}

fn limits(path: &str, key: &Key, scopes: &[Scope], out: &mut String) {
    let _ = writeln!(out, "### `[{path}]`\n\n{}\n", sentence(key.help));
    let known = || Limits::ALL.iter().filter(|limit| scopes.contains(&limit.scope));
    if scopes.len() == 1 {
        let names: Vec<String> = known().map(|limit| format!("`{}`", limit.name)).collect();
        let _ = writeln!(out, "Keys: {}.\n", names.join(", "));
        return;
    }
    out.push_str(HEAD);
    for limit in known() {
        let (allowed, default) = (limit_table::allowed(limit), limit_table::literal(limit, limit.default));
        let _ = writeln!(out, "| `{}` | {allowed} | `{default}` | {RELOAD} | {} |", limit.name, sentence(limit.help));
    }
    out.push('\n');
}

/// What it takes for a new value to hold.
fn on_reload(on_reload: OnReload) -> &'static str {
    match on_reload {
        OnReload::Live | OnReload::Parts => RELOAD,
        OnReload::Restart | OnReload::Nature => "restart",
    }
}

const RELOAD: &str = "reload";
const HEAD: &str = "| key | value | default | holds after a | |\n| --- | --- | --- | --- | --- |\n";

/// The lines of a comment as one.
fn sentence(help: &str) -> String {
    help.split_whitespace().collect::<Vec<_>>().join(" ")
}
