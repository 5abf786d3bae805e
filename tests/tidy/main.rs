//! The house rules as a test: which room may use which, what every file starts with, how long a function may be.

mod between_files;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The layer table of `docs/architecture.md`: a room may use the rooms of lower layers, never a sibling or one above.
const LAYERS: &[(u32, &[&str])] = &[
    (0, &["limits", "drop", "time"]),
    (5, &["kept"]),
    (10, &["wire"]),
    (20, &["wamp", "auth"]),
    (30, &["session", "realm", "mesh", "cluster"]),
    (31, &["federation"]),
    (32, &["transport", "config", "metrics"]),
    (40, &["admin"]),
    (45, &["router"]),
    (50, &["edge", "master", "probe", "ctl"]),
    (60, &["bin"]),
];

/// Rooms that know no sockets, no clock and no runtime: time is passed in, effects come out.
const PURE: &[&str] =
    &["limits", "drop", "kept", "time", "wire", "wamp", "auth", "session", "realm", "mesh", "cluster", "federation"];

/// What pure rooms may not say, and why.
const IMPURE: &[(&str, &str)] = &[
    ("tokio::", "pure rooms have no runtime"),
    ("std::net::Tcp", "pure rooms have no sockets"),
    ("Instant::now", "pure rooms are told the time"),
    ("SystemTime::now", "pure rooms are told the time"),
    ("rand::rng()", "pure rooms are given their randomness"),
    ("thread_rng", "pure rooms are given their randomness"),
];

/// What may end the program. Each exception in a pure room says beside it why it does not happen.
const PANICS: &[&str] = &[
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::unreachable",
    "clippy::indexing_slicing",
    "clippy::string_slice",
];

const COLUMNS_MAX: usize = 120;
/// About what the longest function of a program has, and of a unit test. To be lowered when these become shorter, and
/// not to be raised.
const FUNCTION_LINES_MAX: usize = 65;
const TEST_FUNCTION_LINES_MAX: usize = 71;
/// About what the longest file of a program has without its unit tests, and of a test; of these the same is true.
const FILE_LINES_MAX: usize = 478;
const TEST_FILE_LINES_MAX: usize = 792;
/// Bounds of the router, other than those of a format, that are not in `limits.rs` yet. To be lowered when these become
/// fewer, and not to be raised.
const BOUNDS_ELSEWHERE_MAX: usize = 92;

#[test]
fn rooms_use_only_rooms_below_them() {
    let found = rooms_that_reach_too_high(&sources("src"));
    assert!(found.is_empty(), "rooms that reach too high:\n{}", found.join("\n"));
}

#[test]
fn pure_rooms_have_no_sockets_and_no_clock() {
    let found = impurities(&sources("src"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a peer or a client sends ends no node: none of these ends the program in a pure room, where clippy finds them.
#[test]
fn pure_rooms_deny_what_panics() {
    let found = rooms_that_may_panic(&sources("src"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_keep_to_their_size() {
    for (directories, lines_max) in [(&["src"][..], FILE_LINES_MAX), (&["tests", "benches"], TEST_FILE_LINES_MAX)] {
        let sources: Vec<Source> = directories.iter().copied().flat_map(sources).collect();
        let found = untidy_files(&sources, lines_max);
        assert!(found.is_empty(), "{}", found.join("\n"));
        let is_tight = !untidy_files(&sources, lines_max * 9 / 10).is_empty();
        assert!(is_tight, "the bound of {lines_max} lines can be lowered");
    }
}

#[test]
fn functions_fit_on_a_screen() {
    let sources = sources("src");
    for (is_test, lines_max) in [(false, FUNCTION_LINES_MAX), (true, TEST_FUNCTION_LINES_MAX)] {
        let found = long_functions(&sources, is_test, lines_max);
        assert!(found.is_empty(), "functions over {lines_max} lines:\n{}", found.join("\n"));
        let is_tight = !long_functions(&sources, is_test, lines_max * 9 / 10).is_empty();
        assert!(is_tight, "the bound of {lines_max} lines can be lowered");
    }
}

#[test]
fn bounds_are_in_one_place() {
    let found = bounds_elsewhere(&sources("src"));
    let n = found.len();
    assert!(n <= BOUNDS_ELSEWHERE_MAX, "{n} bounds outside of src/limits.rs:\n{}", found.join("\n"));
    assert!(n * 10 > BOUNDS_ELSEWHERE_MAX * 9, "the bound of {BOUNDS_ELSEWHERE_MAX} bounds can be lowered to {n}");
}

/// Each rule finds what breaks it, also below the unit tests of a file.
#[test]
fn what_breaks_a_rule_is_found() {
    let planted = |path: &str, line: &str| {
        let tests = "#[cfg(test)]\nmod tests;\n\n#[cfg(test)]\nmod inline {\n    use crate::edge::X;\n}\n";
        let text = format!("//! Planted.\n\n{tests}\n// use crate::edge::Comment;\n{line}\n");
        vec![Source { path: Path::new(env!("CARGO_MANIFEST_DIR")).join(path), text }]
    };
    for (path, line, is_wrong) in [
        ("src/realm/mod.rs", "use crate::wire::Dict;", false),
        ("src/realm/mod.rs", "use crate::mesh::Uplink;", true),
        ("src/realm/mod.rs", "use crate::{\n    wire::Dict,\n    transport::Outbox,\n};", true),
        ("src/realm/mod.rs", "fn f() -> crate::router::shard::Shard {}", true),
        ("src/auth/mod.rs", "use crate::wamp::Id;", true),
        ("src/federation/mod.rs", "use crate::mesh::Uplink;", false),
        ("src/federation/mod.rs", "use crate::router::shard::Shard;", true),
        ("src/federation/mod.rs", "use crate::transport::Outbox;", true),
        ("src/router/shard.rs", "use crate::federation::ClusteredRealm;", false),
        ("src/realm/tests.rs", "use crate::edge::X;", false),
        ("src/realm/dealer/tests/random.rs", "use crate::edge::X;", false),
        ("src/bin/crossbar-edge.rs", "use crossbar_cluster::edge::run;", false),
    ] {
        assert_eq!(!rooms_that_reach_too_high(&planted(path, line)).is_empty(), is_wrong, "{path}: {line}");
    }
    for (word, _) in IMPURE {
        let line = format!("use {word}X;");
        assert!(!impurities(&planted("src/session/mod.rs", &line)).is_empty(), "{word}");
        assert!(!impurities(&planted("src/federation/mod.rs", &line)).is_empty(), "{word}");
        assert!(impurities(&planted("src/router/shard.rs", &line)).is_empty(), "{word}");
    }
    let denial = format!("#![cfg_attr(not(test), deny({}))]", PANICS.join(", "));
    assert!(rooms_that_may_panic(&planted("src/realm/mod.rs", &denial)).is_empty());
    assert!(rooms_that_may_panic(&planted("src/realm/broker/mod.rs", "")).is_empty(), "its room denies it");
    assert!(rooms_that_may_panic(&planted("src/router/mod.rs", "")).is_empty(), "it is not pure");
    for lint in PANICS {
        let without = denial.replace(lint, "");
        assert!(!rooms_that_may_panic(&planted("src/federation/mod.rs", &without)).is_empty(), "{lint}");
        assert!(!rooms_that_may_panic(&planted("src/time.rs", &without)).is_empty(), "{lint}");
        let allowed = format!("#[allow({lint})]");
        assert!(!rooms_that_may_panic(&planted("src/realm/ids.rs", &allowed)).is_empty(), "{lint}");
    }
    for (path, line, n) in [
        ("src/router/shard.rs", "const PAUSE: Duration = Duration::from_secs(1);", 1),
        ("src/realm/mod.rs", "pub const CALLS_MAX: usize = 7;", 1),
        ("src/realm/mod.rs", "const PLACE_BYTES: usize = 96;", 0),
        ("src/limits.rs", "pub const CALLS_MAX: usize = 7;", 0),
        ("src/wire/json.rs", "const FLOAT_DIGITS_MAX: usize = 308;", 0),
    ] {
        assert_eq!(bounds_elsewhere(&planted(path, line)).len(), n, "{path}: {line}");
    }
    assert!(untidy_files(&planted("src/a.rs", "fn f() {}"), 1).is_empty());
    assert!(!untidy_files(&planted("src/a.rs", "fn f() {}\nfn g() {}"), 1).is_empty());
    let function = "    pub async fn f() {\n        g();\n    }";
    assert!(long_functions(&planted("src/a.rs", function), false, 3).is_empty());
    assert!(!long_functions(&planted("src/a.rs", function), false, 2).is_empty());
    assert!(long_functions(&planted("src/a.rs", function), true, 2).is_empty());
    assert!(!long_functions(&planted("src/a/tests.rs", function), true, 2).is_empty());
}

fn rooms_that_reach_too_high(sources: &[Source]) -> Vec<String> {
    let layer_of: BTreeMap<&str, u32> =
        LAYERS.iter().flat_map(|(layer, rooms)| rooms.iter().map(move |room| (*room, *layer))).collect();
    let mut found = Vec::new();
    for source in sources {
        let room = room_of(&source.path);
        let Some(layer) = layer_of.get(room.as_str()) else {
            assert_eq!(room, "lib", "{}: this room is not in the layer table", source.path.display());
            continue;
        };
        for used in rooms_named_in(&source.code()) {
            let Some(used_layer) = layer_of.get(used.as_str()) else { continue };
            if used != room && used_layer >= layer {
                found.push(format!("{}: {room} uses {used}", source.path.display()));
            }
        }
    }
    found
}

fn impurities(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| PURE.contains(&room_of(&source.path).as_str())) {
        for (number, line) in source.code_lines() {
            for (word, why) in IMPURE.iter().filter(|(word, _)| line.contains(word)) {
                found.push(format!("{}:{number}: `{word}`: {why}", source.path.display()));
            }
        }
    }
    found
}

/// The pure rooms whose first file does not deny what panics, and the exceptions without a reason.
fn rooms_that_may_panic(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| PURE.contains(&room_of(&source.path).as_str())) {
        let (name, code, room) = (source.path.display(), source.code(), room_of(&source.path));
        let is_first =
            [format!("src/{room}.rs"), format!("src/{room}/mod.rs")].iter().any(|it| source.path.ends_with(it));
        let denied = code.split_once("deny(").and_then(|(_, denied)| denied.split_once(")]")).map_or("", |it| it.0);
        for lint in PANICS {
            if is_first && !denied.contains(lint) {
                found.push(format!("{name}: does not deny {lint}"));
            }
            if code.contains(&format!("allow({lint}")) {
                found.push(format!("{name}: an exception from {lint} has to be an #[expect] with its reason"));
            }
        }
    }
    found
}

/// What is wrong with the form of files, of which none may have more than so many lines of code.
fn untidy_files(sources: &[Source], lines_max: usize) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let name = source.path.display();
        if !source.text.starts_with("//!") {
            found.push(format!("{name}: starts without a `//!` line that says what it is for"));
        }
        let lines = source.code_lines().filter(|(_, line)| !line.is_empty()).count();
        if lines > lines_max {
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
    found
}

/// The constants that bound what the router does for others: times, and whatever is called the most of something.
fn bounds_elsewhere(sources: &[Source]) -> Vec<String> {
    let is_bound = |line: &str| {
        let declared = line.trim_start().split_once("const ").and_then(|(_, declared)| declared.split_once(": "));
        declared.is_some_and(|(name, of)| {
            of.starts_with("Duration") || name.ends_with("_MAX") || name.ends_with("_AT_ONCE")
        })
    };
    let others = ["limits", "wire", "probe", "ctl", "bin"];
    let inside = sources.iter().filter(|source| !others.contains(&room_of(&source.path).as_str()));
    let found = inside.flat_map(|source| {
        let lines = source.code_lines().filter(|(_, line)| is_bound(line));
        lines.map(|(number, line)| format!("{}:{number}: {}", source.path.display(), line.trim()))
    });
    found.collect()
}

/// The functions of more than so many lines, of the program or of its unit tests.
fn long_functions(sources: &[Source], is_test: bool, lines_max: usize) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let unit_tests = source.unit_tests();
        for (name, line, length) in functions(&source.text) {
            let is_of_tests = unit_tests.iter().any(|lines| lines.contains(&(line - 1)));
            if is_of_tests == is_test && length > lines_max {
                found.push(format!("{}:{line}: {name} has {length} lines", source.path.display()));
            }
        }
    }
    found
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
    /// Numbered lines without unit tests and comments, wherever these stand.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let unit_tests = self.unit_tests();
        let numbered = self.text.lines().enumerate();
        let is_code = move |(index, line): &(usize, &str)| {
            !unit_tests.iter().any(|lines| lines.contains(index)) && !line.trim_start().starts_with("//")
        };
        numbered.filter(is_code).map(|(index, line)| (index + 1, line))
    }

    /// The same as one text.
    fn code(&self) -> String {
        self.code_lines().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// The lines of what is only there in tests: all of a file of tests, else each item after `#[cfg(test)]`.
    fn unit_tests(&self) -> Vec<Range<usize>> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_tests = |name: &str| name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs");
        let inside = self.path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&self.path);
        if inside.starts_with("src") && inside.iter().any(|name| is_tests(&name.to_string_lossy())) {
            return std::iter::once(0..lines.len()).collect();
        }
        let is_marked = |index: &usize| lines[*index].trim() == "#[cfg(test)]";
        (0..lines.len()).filter(is_marked).map(|begin| begin..end_of_item(&lines, begin)).collect()
    }
}

/// The line after the item to which the attribute in line `begin` belongs, by rustfmt's indentation.
fn end_of_item(lines: &[&str], begin: usize) -> usize {
    let indent = &lines[begin][..lines[begin].len() - lines[begin].trim_start().len()];
    let end = format!("{indent}}}");
    let ends = |line: &&str| {
        **line == *end || line.starts_with(indent) && line.ends_with(';') && !line[indent.len()..].starts_with(' ')
    };
    lines[begin..].iter().position(ends).map_or(lines.len(), |offset| begin + offset + 1)
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

/// The rooms behind each `crate::` (and, in `bin`, `crossbar_cluster::`) of a file, also in a group.
fn rooms_named_in(code: &str) -> Vec<String> {
    let room = |path: &str| {
        let path = path.trim_start();
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
        path[..end].to_owned()
    };
    let rooms = |rest: &str| match rest.strip_prefix('{') {
        Some(group) => first_names(group).into_iter().map(room).collect(),
        None => vec![room(rest)],
    };
    let named = |prefix: &str| code.split(prefix).skip(1).flat_map(rooms).collect::<Vec<_>>();
    ["crate::", "crossbar_cluster::"].into_iter().flat_map(named).collect()
}

/// The parts of a group of names, between commas, up to its closing brace.
fn first_names(group: &str) -> Vec<&str> {
    let (mut names, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (index, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(&group[begin..index]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(&group[begin..index]);
                begin = index + 1;
            }
            _ => {}
        }
    }
    names
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
