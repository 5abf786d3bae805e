//! Every input and every timer has an entry in `costs.toml` that says what it may cost and what bounds it. They are
//! found in the source, so a new one without an entry fails here.

use crossbar_cluster::limits::Limits;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Costs {
    messages: BTreeMap<String, Kept>,
    notices: BTreeMap<String, Kept>,
    meta: BTreeMap<String, Cost>,
    node_commands: BTreeMap<String, Cost>,
    master_commands: BTreeMap<String, Cost>,
    pages: BTreeMap<String, Cost>,
    timers: BTreeMap<String, Cost>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    work: String,
    bounds: Vec<String>,
}

/// The cost of an input that may leave something behind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    work: String,
    keeps: String,
    bounds: Vec<String>,
}

fn costs() -> Costs {
    toml::from_str(include_str!("costs.toml")).expect("costs.toml is a table of costs")
}

#[test]
fn every_message_has_a_cost() {
    agree("messages", &costs().messages, variants("wamp/message.rs", "pub enum Message {"));
}

#[test]
fn every_notice_of_a_link_has_a_cost() {
    let said = quoted(&source("mesh/table.rs"), "wamp.link.");
    agree("notices", &costs().notices, said);
}

#[test]
fn every_procedure_of_the_router_has_a_cost() {
    let text = source("realm/meta/mod.rs");
    let said: BTreeSet<String> = ["session", "authorization", "registration", "subscription"]
        .iter()
        .flat_map(|part| quoted(&text, &format!("wamp.{part}.")).into_iter().map(move |rest| format!("{part}.{rest}")))
        .collect();
    agree("meta", &costs().meta, said);
}

#[test]
fn every_command_has_a_cost() {
    let costs = costs();
    agree("node_commands", &costs.node_commands, variants("admin/command.rs", "pub enum NodeCommand {"));
    agree("master_commands", &costs.master_commands, variants("admin/command.rs", "pub enum MasterCommand {"));
}

#[test]
fn every_page_has_a_cost() {
    let said = ["router/faces.rs", "master/faces.rs"].iter().flat_map(|file| quoted(&source(file), "/"));
    let said = said.map(|rest| format!("/{rest}")).filter(|path| path != "/ws").collect();
    agree("pages", &costs().pages, said);
}

#[test]
fn every_timer_has_a_cost() {
    let has_timer = |text: &str| TIMERS.iter().any(|timer| text.contains(timer));
    let files = sources().into_iter().filter(|(_, text)| has_timer(text)).map(|(file, _)| file);
    // The probe and the operator's tool run for themselves.
    let ours = files.filter(|file| !file.starts_with("probe/") && !file.starts_with("ctl/")).collect();
    agree("timers", &costs().timers, ours);
}

#[test]
fn every_bound_is_known() {
    let limits = Limits::ALL.iter().map(|limit| limit.name.to_owned());
    let known: BTreeSet<String> = limits.chain(sources().values().flat_map(|text| constants(text))).collect();
    let costs = costs();
    let kept = costs.messages.iter().chain(&costs.notices).map(|(name, cost)| {
        assert!(!cost.keeps.is_empty(), "{name} says what it keeps");
        (name, &cost.work, &cost.bounds)
    });
    let tables = [&costs.meta, &costs.node_commands, &costs.master_commands, &costs.pages, &costs.timers];
    let others = tables.into_iter().flatten().map(|(name, cost)| (name, &cost.work, &cost.bounds));
    let mut unknown = BTreeSet::new();
    for (name, work, bounds) in kept.chain(others) {
        assert!(!work.is_empty() && !bounds.is_empty(), "{name} says what it costs, and what bounds that");
        unknown.extend(bounds.iter().filter(|bound| !known.contains(*bound)));
    }
    assert!(unknown.is_empty(), "these bounds are neither limits nor constants: {unknown:?}");
}

/// How the source says that something is to happen at a time.
const TIMERS: &[&str] =
    &["fn handle_timeout(", "fn poll_timeout(", "time::interval(", "time::sleep(", "time::timeout(", "sleep_until("];

/// Asserts that a table has an entry for each of these, and no other.
fn agree<T>(table: &str, entries: &BTreeMap<String, T>, found: BTreeSet<String>) {
    assert!(!found.is_empty(), "the source has something for [{table}]");
    let known: BTreeSet<String> = entries.keys().cloned().collect();
    let missing: Vec<&String> = found.difference(&known).collect();
    let gone: Vec<&String> = known.difference(&found).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "tests/costs/costs.toml, [{table}]: no entry for {missing:?}, and {gone:?} is not there any more"
    );
}

/// The variants of an enum, by the line that begins it.
fn variants(file: &str, begin: &str) -> BTreeSet<String> {
    let text = source(file);
    let (_, body) = text.split_once(begin).expect("the enum is there");
    let (body, _) = body.split_once("\n}").expect("the enum ends");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with([' ', '/']));
    let name = |line: &str| line.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    lines.map(name).filter(|name| !name.is_empty()).collect()
}

/// What stands behind `prefix` in the strings of a text that begin with it.
fn quoted(text: &str, prefix: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let begin = format!("\"{prefix}");
    let strings = text.match_indices(&begin).map(|(at, _)| &text[at + begin.len()..]);
    let is_name = |rest: &&str| prefix == "/" || !rest.is_empty();
    strings.filter_map(|rest| rest.split('"').next()).filter(is_name).map(str::to_owned).collect()
}

/// The names of the constants of a file.
fn constants(text: &str) -> Vec<String> {
    let names = text.match_indices("const ").map(|(at, word)| &text[at + word.len()..]);
    names.filter_map(|rest| rest.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

fn source(file: &str) -> String {
    fs::read_to_string(folder().join(file)).expect("the file is there")
}

/// The files of the program, by their paths below `src`.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).expect("the source is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder()).expect("it is below").display().to_string();
                let text = fs::read_to_string(&path).expect("it is text");
                found.insert(name, text);
            }
        }
    }
    found
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
