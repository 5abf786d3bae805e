//! The house rules as a test: which room may use which, what every file starts with, how long a function may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layer table of `docs/architecture.md`: a room may use the rooms of lower layers, never a sibling or one above.
const LAYERS: &[(u32, &[&str])] = &[
    (0, &["limits", "drop", "time"]),
    (10, &["wire"]),
    (20, &["wamp"]),
    (21, &["auth"]),
    (30, &["session", "realm", "mesh", "cluster"]),
    (31, &["transport", "config", "metrics"]),
    (40, &["admin"]),
    (45, &["router"]),
    (50, &["edge", "master", "probe", "ctl"]),
    (60, &["bin"]),
];

/// Rooms that know no sockets, no clock and no runtime: time is passed in, effects come out.
const PURE: &[&str] = &["limits", "drop", "time", "wire", "wamp", "auth", "session", "realm", "mesh", "cluster"];

/// What pure rooms may not say, and why.
const IMPURE: &[(&str, &str)] = &[
    ("tokio::", "pure rooms have no runtime"),
    ("std::net::Tcp", "pure rooms have no sockets"),
    ("Instant::now", "pure rooms are told the time"),
    ("SystemTime::now", "pure rooms are told the time"),
    ("rand::rng()", "pure rooms are given their randomness"),
    ("thread_rng", "pure rooms are given their randomness"),
];

const COLUMNS_MAX: usize = 120;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 800;

#[test]
fn rooms_use_only_rooms_below_them() {
    let layer_of: BTreeMap<&str, u32> =
        LAYERS.iter().flat_map(|(layer, rooms)| rooms.iter().map(move |room| (*room, *layer))).collect();
    let mut found = Vec::new();
    for source in sources("src") {
        let room = room_of(&source.path);
        let Some(layer) = layer_of.get(room.as_str()) else {
            assert_eq!(room, "lib", "{}: this room is not in the layer table", source.path.display());
            continue;
        };
        for (number, line) in source.code_lines() {
            for used in rooms_named_in(line) {
                let Some(used_layer) = layer_of.get(used) else { continue };
                if used != room && used_layer >= layer {
                    found.push(format!("{}:{number}: {room} uses {used}", source.path.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "rooms that reach too high:\n{}", found.join("\n"));
}

#[test]
fn pure_rooms_have_no_sockets_and_no_clock() {
    let mut found = Vec::new();
    for source in sources("src").iter().filter(|source| PURE.contains(&room_of(&source.path).as_str())) {
        for (number, line) in source.code_lines() {
            for (word, why) in IMPURE.iter().filter(|(word, _)| line.contains(word)) {
                found.push(format!("{}:{number}: `{word}`: {why}", source.path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_keep_to_their_size() {
    let mut found = Vec::new();
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        let name = source.path.display();
        if !source.text.starts_with("//!") {
            found.push(format!("{name}: starts without a `//!` line that says what it is for"));
        }
        let lines = source.code_lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{name}: {lines} lines without its tests; is it still one thing?"));
        }
        for (number, line) in source.text.lines().enumerate() {
            // A string cannot be wrapped without changing it.
            if line.chars().count() > COLUMNS_MAX && !line.contains('"') {
                found.push(format!("{name}:{}: longer than {COLUMNS_MAX} columns", number + 1));
            }
            if line.ends_with(' ') || line.contains('\t') {
                found.push(format!("{name}:{}: trailing space or tab", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn functions_fit_on_a_screen() {
    let mut found = Vec::new();
    for source in sources("src") {
        for (name, line, length) in functions(&source.text) {
            if length > FUNCTION_LINES_MAX {
                found.push(format!("{}:{line}: {name} has {length} lines", source.path.display()));
            }
        }
    }
    assert!(found.is_empty(), "functions over {FUNCTION_LINES_MAX} lines:\n{}", found.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let words =
        ["to".to_owned() + "do!(", "unimple".to_owned() + "mented!(", "FIX".to_owned() + "ME", "XX".to_owned() + "X"];
    let ignored = "#[ig".to_owned() + "nore";
    let mut found = Vec::new();
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        for (number, line) in source.text.lines().enumerate() {
            if words.iter().chain([&ignored]).any(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {}", source.path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// One Rust file.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Numbered lines before the unit tests, without comments.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_tests = self.path.file_name().is_some_and(|name| name == "tests.rs");
        self.text
            .lines()
            .take_while(move |line| !is_tests && !line.starts_with("#[cfg(test)]"))
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources(directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is UTF-8");
                found.push(Source { path, text });
            }
        }
    }
    found
}

/// `src/realm/broker.rs` and `src/realm.rs` are both in the room `realm`.
fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("it lies in src");
    let first = inside.components().next().expect("it has a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms behind each `crate::` (and, in `bin`, `crossbar_cluster::`) of a line.
fn rooms_named_in(line: &str) -> Vec<&str> {
    ["crate::", "crossbar_cluster::"]
        .iter()
        .flat_map(|prefix| line.split(prefix).skip(1))
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group.split(',').map(str::trim).collect(),
            None => vec![rest],
        })
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .collect()
}

/// Name, first line and length of each function, by rustfmt's indentation.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[index..].iter().position(|line| *line == end) {
            found.push((name, index + 1, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let only_qualifiers = before
        .split_whitespace()
        .all(|word| matches!(word, "pub" | "const" | "async" | "unsafe" | "pub(super)" | "pub(crate)" | "pub(in"));
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (only_qualifiers && !name.is_empty()).then(|| name.to_owned())
}
