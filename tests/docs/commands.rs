//! Every command that the documentation shows is run somewhere as it is written: `commands.toml` says where.

use crate::pages::{self, Shown};
use crate::root;
use serde::Deserialize;
use std::fs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    command: Vec<Command>,
}

/// A row of `commands.toml`, which explains the fields; `tests/docs/run` reads the rest of them, and takes no others.
#[derive(Deserialize)]
struct Command {
    text: String,
    on: String,
    reason: Option<String>,
}

const PLACES: [&str; 8] =
    ["checkout", "ci", "controller", "matterhorn", "brummer1", "brummer2", "bare host", "elsewhere"];

fn table() -> Vec<Command> {
    let text = fs::read_to_string(root().join("tests/docs/commands.toml")).expect("the table is here");
    toml::from_str::<Table>(&text).unwrap_or_else(|error| panic!("commands.toml: {error}")).command
}

/// Whether this row runs what is shown. In the running text `crossbarctl gate` may stand for the command with its
/// options.
fn covers(row: &Command, shown: &Shown) -> bool {
    row.text == shown.command || !shown.is_whole && row.text.starts_with(&format!("{} ", shown.command))
}

#[test]
fn every_command_is_run_as_it_is_written() {
    let table = table();
    let (shown, mut wrong) = pages::commands();
    assert!(shown.len() > 40, "only {} commands were found", shown.len());
    for shown in shown.iter().filter(|shown| !table.iter().any(|row| covers(row, shown))) {
        let Shown { command, place, .. } = shown;
        wrong.push(format!("{place}: `{command}` is not in tests/docs/commands.toml, so nothing runs it"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_only_commands_that_are_shown_and_says_where_they_run() {
    let (shown, _) = pages::commands();
    let ci = fs::read_to_string(root().join(".ci/run")).expect("CI has a script");
    let mut wrong = Vec::new();
    for row in table() {
        let text = &row.text;
        if !shown.iter().any(|shown| covers(&row, shown)) {
            wrong.push(format!("`{text}` is shown nowhere"));
        }
        if !PLACES.contains(&row.on.as_str()) {
            wrong.push(format!("`{text}`: there is no place '{}'", row.on));
        }
        if row.on == "ci" && !ci.lines().any(|line| line.trim().ends_with(text.as_str())) {
            wrong.push(format!("`{text}` is no line of .ci/run"));
        }
        if (row.on == "elsewhere") != row.reason.is_some() {
            wrong.push(format!("`{text}`: a reason is given where it is not run, and only there"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn commands_are_found_in_blocks_and_in_the_running_text() {
    let page = "Do `make it` or `A=1 make it so`, not `make`, `docs/make.md` or `made up`.\n```sh\nmake a  # makes a\n# nothing\n```\n\
                ```console\n$ make b | cat\nmake c\n```\n```toml\nmake d\n```\n```\nmake e\n```\n";
    let (mut shown, mut wrong) = (Vec::new(), Vec::new());
    pages::read("page", page, &mut shown, &mut wrong);
    let commands: Vec<&str> = shown.iter().map(|shown| shown.command.as_str()).collect();
    assert_eq!(commands, ["make it", "A=1 make it so", "make a", "make b | cat"]);
    assert_eq!(wrong, ["page:13: say what the block is: sh, console, toml, text"]);
}
