//! Finds what the pages of the documentation tell people to type.

use crate::root;
use std::fs;
use std::path::{Path, PathBuf};

/// Programs that a command in the running text begins with. In a block of `sh` or `console` every command counts.
const PROGRAMS: [&str; 18] = [
    "ansible-playbook",
    "apt",
    "apt-get",
    "cargo",
    "cp",
    "crossbar-edge",
    "crossbar-master",
    "crossbar-probe",
    "crossbarctl",
    "curl",
    "haproxy",
    "journalctl",
    "make",
    "npm",
    "pip",
    "python3",
    "systemctl",
    "systemd-analyze",
];

/// Folders of this repository whose programs are called by their path.
const FOLDERS: [&str; 4] = ["benches/", "debian/", "fuzz/", "tests/"];

/// A command, and where it is shown, as `README.md:7`.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) place: String,
    /// Whether it stands in a block. In the running text it may be only the beginning of a command: its name.
    pub(crate) is_whole: bool,
}

/// All commands of all pages, and what is wrong with the pages themselves.
pub(crate) fn commands() -> (Vec<Shown>, Vec<String>) {
    let (mut shown, mut wrong) = (Vec::new(), Vec::new());
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).expect("a page is UTF-8");
        read(&page.display().to_string(), &text, &mut shown, &mut wrong);
    }
    (shown, wrong)
}

/// Every page, as a path in the repository.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    for folder in ["docs", "fuzz", "ansible", "haproxy", "systemd"] {
        find(Path::new(folder), &mut pages);
    }
    pages.sort();
    pages
}

fn find(folder: &Path, pages: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return };
    for entry in entries.map(|entry| entry.expect("a folder can be read")) {
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() && entry.file_name() != "target" {
            find(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

pub(crate) fn read(page: &str, text: &str, shown: &mut Vec<Shown>, wrong: &mut Vec<String>) {
    let mut block: Option<&str> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{page}:{number}");
        let mut add = |command: &str, is_whole| {
            let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
            shown.push(Shown { command, place: place.clone(), is_whole });
        };
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(language), None) => {
                if language.is_empty() {
                    wrong.push(format!("{place}: say what the block is: sh, console, toml, text"));
                }
                block = Some(language);
            }
            (Some(_), Some(_)) => block = None,
            (None, Some("sh")) if line.ends_with('\\') => wrong.push(format!("{place}: one line a command, please")),
            (None, Some("sh")) if !without_remark(line).is_empty() => add(without_remark(line), true),
            (None, Some("console")) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    add(command, true);
                }
            }
            (None, Some(_)) => {}
            (None, None) => spans(line).filter(|span| is_command(span)).for_each(|span| add(span, false)),
        }
    }
}

/// A line of shell without the remark at its end.
fn without_remark(line: &str) -> &str {
    let before = |mark| line.split_once(mark).map_or(line, |(command, _)| command);
    if line.starts_with('#') { "" } else { before(" #").trim() }
}

/// What stands between single backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a span is a command and not only the name of a program, a file or an option.
fn is_command(span: &str) -> bool {
    let is_assignment = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    let mut words = span.split_whitespace().skip_while(is_assignment);
    let Some(program) = words.next() else { return false };
    let is_path = FOLDERS.iter().any(|folder| program.starts_with(folder));
    (PROGRAMS.contains(&program) || is_path) && words.next().is_some()
}
