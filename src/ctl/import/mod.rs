//! `crossbarctl import`: a Crossbar.io configuration becomes one of ours.
//!
//! `document` reads it as a tree in which every key is either carried over or reported; `realms`, `links`, `listeners`
//! (with `auth` and `options`) convert its parts into a `draft`, which knows for each line where it comes from; the
//! result is checked as any configuration is, and mistakes are told with their place in the file that was imported.

mod auth;
mod deciding;
mod decisions;
mod document;
mod draft;
mod key;
mod links;
mod listeners;
mod options;
mod realms;
mod write;

pub use document::Remark;
pub(super) use write::run;

use super::run::Failure;
use crate::auth::cryptosign::SecretKey;
use crate::config::{self, Host, Mistakes};
use deciding::Deciding;
use document::{Item, Report};
use draft::Draft;
use links::{Mesh, Own};
use listeners::Context;
use realms::Realms;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What is to be imported, and what the operator says about it.
#[derive(Clone, Copy, Debug)]
pub struct Import<'i> {
    pub file: &'i Path,
    /// The name of the node; by default what the file tells.
    pub id: Option<&'i str>,
    /// The state directory of the node; by default the one that all nodes have.
    pub state_dir: Option<&'i Path>,
}

/// A configuration that was imported and has no mistakes.
pub struct Imported {
    pub id: String,
    pub state_dir: PathBuf,
    /// The whole file, with what is to be said about it as comments.
    pub toml: String,
    /// What is not carried over.
    pub remarks: Vec<Remark>,
    /// Whether secrets stand in it as they are.
    pub(super) has_secrets: bool,
    /// The node key that lies beside the imported file.
    pub(super) key: Option<SecretKey>,
}

/// Whether this file is a configuration of Crossbar.io, by its name or else by what is in it.
pub fn is_crossbar(file: &Path) -> bool {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "yaml" | "yml") => true,
        Some("toml") => false,
        _ => {
            let bytes = (Host::SYSTEM.read)(file).unwrap_or_default();
            let tree = document::parse(&file.display().to_string(), &String::from_utf8_lossy(&bytes));
            tree.is_ok_and(|tree| ["workers", "controller"].iter().any(|key| tree.get(key).is_some()))
        }
    }
}

/// Converts and checks.
pub fn import(import: &Import<'_>) -> Result<Imported, Failure> {
    let name = import.file.display().to_string();
    let fail = |sentence: String| Failure::Configuration(format!("{name}: {sentence}"));
    let bytes = (Host::SYSTEM.read)(import.file).map_err(|error| fail(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| fail("the file is not UTF-8 text".to_owned()))?;
    let tree = document::parse(&name, &text).map_err(|place| Failure::Configuration(format!("{name}:{place}")))?;
    let key = key::beside(import.file, Host::SYSTEM.read).map_err(Failure::Configuration)?;
    let mut report = Report::default();
    let converted = convert(&tree, import, key.as_ref(), &mut report);
    let refuse = |mistakes: &[Remark]| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{name}: {mistake}")).collect();
        Err(Failure::Configuration(lines.join("\n")))
    };
    let Some((id, draft)) = converted.filter(|_| report.mistakes.is_empty()) else { return refuse(&report.mistakes) };
    // The variables that it names are those of the machine where the node will run.
    let host = Host { environment: |_| Some("set".to_owned()), ..Host::SYSTEM };
    let config = match config::parse(draft.text(), &import.file.with_file_name("edge.toml"), &host) {
        Ok(config) => config,
        Err(mistakes) => return refuse(&traced(&mistakes, &draft)),
    };
    let state_dir = config.node.state_dir.clone();
    let toml = write::document(&name, &config, &draft, &report.remarks, key.as_ref());
    let has_secrets = draft.text().lines().any(|line| line.starts_with("ticket = ") || line.starts_with("secret = "));
    Ok(Imported { id, state_dir, toml, remarks: report.remarks, has_secrets, key })
}

/// The mistakes of the result with their place in what was imported.
fn traced(mistakes: &Mistakes, draft: &Draft) -> Vec<Remark> {
    let traced = mistakes.0.iter().map(|mistake| {
        let source = mistake.place.and_then(|(line, _)| draft.source(line));
        Remark { path: source.unwrap_or("$").to_owned(), sentence: mistake.sentence.clone() }
    });
    traced.collect()
}

/// The name of the node, and all tables. None when something is wrong, which is then reported.
fn convert(tree: &Value, import: &Import<'_>, key: Option<&SecretKey>, report: &mut Report) -> Option<(String, Draft)> {
    let mut root = Item::root(tree).section(report)?;
    root.take("$schema");
    let version = root.need("version", report)?;
    if version.value != &Value::from(2) {
        report.mistake(&version.path, "only version 2 is read; `crossbar upgrade` makes it of older ones");
        return None;
    }
    let named = controller(root.take("controller"), report);
    let mut realms = Realms { deciding: Deciding::of(tree), ..Realms::default() };
    let mut transports = Vec::new();
    for worker in root.need("workers", report)?.list(report) {
        transports.extend(router(&worker, &mut realms, report));
    }
    root.finish(report);
    if realms.known.is_empty() && report.mistakes.is_empty() {
        report.mistake("$.workers", "no router worker has a realm that can be carried over");
        return None;
    }
    let public_key = key.map(|key| key.public().to_string());
    let own = Own { name: import.id.or(named.as_deref()), public_key: public_key.as_deref() };
    let links = std::mem::take(&mut realms.links);
    let mesh = Mesh::plan(&links, &transports, own, report);
    mesh.compare(&realms, report);
    if let (Some(id), Some(own)) = (import.id, mesh.own.as_deref().filter(|own| import.id != Some(own))) {
        report.remark(
            "$",
            format!("the files of the other nodes name this one '{own}' and not '{id}', which should agree"),
        );
    }
    let base = std::path::absolute(import.file).ok()?.parent()?.to_owned();
    let context = Context {
        realms: &realms,
        mesh_transport: mesh.transport.as_deref(),
        base: &base,
        environment: Host::SYSTEM.environment,
    };
    let listeners: Vec<Draft> =
        transports.iter().filter_map(|item| listeners::convert(item, &context, report)).collect();
    let id = [import.id.map(str::to_owned), mesh.own, named].into_iter().flatten().next().unwrap_or_else(|| {
        report.remark("$.controller", "the file does not tell a name for the node, which must be unique (--id)");
        "edge1".to_owned()
    });
    let mut draft = Draft::default();
    draft.table("[node]", "$");
    draft.set("id", id.as_str(), "$.controller.id");
    if let Some(state_dir) = import.state_dir {
        draft.set("state_dir", std::path::absolute(state_dir).ok()?.display().to_string(), "$");
    }
    listeners.into_iter().for_each(|listener| draft.append(listener));
    draft.append(realms.draft);
    draft.append(mesh.draft);
    Some((id, draft))
}

/// The name that the controller has.
fn controller(item: Option<Item<'_>>, report: &mut Report) -> Option<String> {
    let mut section = item?.section(report)?;
    let id = section.take_text("id", report).map(str::to_owned);
    for (key, sentence) in [
        ("title", "not carried over: a node has an id and no title"),
        ("options", "not carried over: the node is one process, which systemd watches"),
        ("fabric", "not carried over: [master] says where the master is"),
    ] {
        section.leave(key, sentence, report);
    }
    section.finish(report);
    id
}

/// Takes over the realms of a router worker; returns its transports.
fn router<'d>(item: &Item<'d>, realms: &mut Realms<'d>, report: &mut Report) -> Vec<Item<'d>> {
    let Some(mut section) = item.section(report) else { return Vec::new() };
    section.take("id");
    match section.take_text("type", report) {
        Some("router") => {}
        kind => {
            let kind = kind.unwrap_or("worker");
            let components = section.take_list("components", report);
            let names = components.iter().filter_map(|item| item.value.get("classname").or(item.value.get("callback")));
            let names: Vec<&str> = names.filter_map(Value::as_str).collect();
            let what = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
            let sentence = format!("a {kind} is not carried over: run what it runs{what} as a service of its own");
            report.remark(&item.path, sentence);
            return Vec::new();
        }
    }
    if !realms.known.is_empty() {
        let sentence = "a node is one router here: the transports of all router workers lead to the realms of all";
        report.remark(&item.path, sentence);
    }
    for realm in section.take_list("realms", report) {
        realms.add(&realm, report);
    }
    section.leave("options", "not carried over: there is no Python here to be told how to run", report);
    section.leave("components", "not carried over: run components as services of their own", report);
    let transports = section.take_list("transports", report);
    section.finish(report);
    transports
}
