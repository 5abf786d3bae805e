//! Two house rules that look at more than one file at a time: no two modules of a room use each other, however long the
//! way round, unless one contains the other; and no two places say the same.

use crate::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Modules that are in a circle still. To be lowered when these become fewer, and not to be raised.
const CIRCULAR_MODULES_MAX: usize = 58;
/// Lines that two places may have in common, without imports, comments and lines of attributes.
const COMMON_LINES_MAX: usize = 12;

#[test]
fn modules_of_a_room_do_not_run_in_circles() {
    let found = circular_modules(&sources("src"));
    let shown = found.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(found.len() <= CIRCULAR_MODULES_MAX, "modules in a circle, {} of them:\n{shown}", found.len());
}

#[test]
fn no_two_places_say_the_same() {
    let found = common_places(&sources("src"), COMMON_LINES_MAX);
    assert!(found.is_empty(), "more than {COMMON_LINES_MAX} lines in common:\n{}", found.join("\n"));
}

/// Each rule finds what breaks it.
#[test]
fn what_breaks_a_rule_between_files_is_found() {
    let planted = |files: &[(&str, &str)]| -> Vec<Source> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        files.iter().map(|(path, text)| Source { path: root.join(path), text: (*text).to_owned() }).collect()
    };
    let circle =
        |uses: &str| circular_modules(&planted(&[("src/room/a.rs", uses), ("src/room/b.rs", "use super::a;")]));
    for uses in ["use super::b::X;", "use super::{c, b::X};", "use crate::room::{\n    b,\n    c,\n};"] {
        assert_eq!(circle(uses), BTreeSet::from(["room::a".to_owned(), "room::b".to_owned()]), "{uses}");
    }
    assert!(circle("use super::c;").is_empty());
    assert!(circle("// use super::b;").is_empty());
    assert!(circle("#[cfg(test)]\nmod tests {\n    use super::b;\n}").is_empty());
    let parent = planted(&[("src/room/mod.rs", "use a::X;"), ("src/room/a.rs", "use super::Y;")]);
    assert!(circular_modules(&parent).is_empty(), "a parent and its child may use each other");

    let lines: Vec<String> = (0..5).map(|n| format!("    line({n});")).collect();
    let text = format!("fn f() {{\n{}\n}}\n", lines.join("\n"));
    let other = text.replace("fn f", "use x::Y;\n\n// Another one.\nfn g").replace("line(2);", "line(2);\n");
    let both = planted(&[("src/a.rs", &text), ("src/b.rs", &other)]);
    assert!(!common_places(&both, 5).is_empty());
    assert!(common_places(&both, 6).is_empty(), "they begin differently");
}

/// The modules of all rooms that can be reached from themselves through other modules.
fn circular_modules(sources: &[Source]) -> BTreeSet<String> {
    let programs = sources.iter().filter(|source| source.code_lines().next().is_some());
    let modules: BTreeMap<String, &Source> = programs.map(|source| (module_of(&source.path), source)).collect();
    let contains = |one: &str, other: &str| other.strip_prefix(one).is_some_and(|rest| rest.starts_with("::"));
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (module, source) in &modules {
        let paths = imports(&source.code()).into_iter().map(|path| resolve(module, &path));
        let found = paths.filter_map(|path| {
            let mut prefixes = (1..=path.len()).rev().map(|length| path[..length].join("::"));
            prefixes.find(|prefix| modules.contains_key(prefix))
        });
        let siblings = found.filter(|other| {
            other != module && room(other) == room(module) && !contains(other, module) && !contains(module, other)
        });
        used.insert(module, siblings.collect());
    }
    let is_circular = |module: &str| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![module.to_owned()]);
        while let Some(next) = open.pop() {
            for other in used.get(next.as_str()).into_iter().flatten() {
                if reached.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
        reached.contains(module)
    };
    modules.keys().filter(|module| is_circular(module)).cloned().collect()
}

/// `src/realm/dealer/mod.rs` is `realm::dealer`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("it lies in src");
    let names = inside.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>();
    names.iter().filter(|name| *name != "mod").cloned().collect::<Vec<_>>().join("::")
}

/// The paths that a file imports, one by one.
fn imports(code: &str) -> Vec<String> {
    let begins = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub").map_or(line, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
        line.starts_with("use ")
    };
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(line) = rest.lines().next() {
        let after = rest.get(line.len() + 1..).unwrap_or_default();
        if begins(line) {
            let statement = rest.split(';').next().unwrap_or_default();
            let tree = statement.split_once("use ").map_or("", |(_, tree)| tree);
            paths.extend(expand(&tree.split_whitespace().collect::<String>()));
        }
        rest = after;
    }
    paths
}

/// The paths of one tree of imports, such as `a::{b, c::{d, e}}`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, inner)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut branches) = (0, vec![String::new()]);
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match branches.last_mut() {
            _ if c == ',' && depth == 0 => branches.push(String::new()),
            Some(branch) => branch.push(c),
            None => {}
        }
    }
    branches.iter().flat_map(|branch| expand(branch)).map(|path| format!("{prefix}{path}")).collect()
}

/// The names of a path from the root of the crate on.
fn resolve(module: &str, path: &str) -> Vec<String> {
    let mut from: Vec<String> = module.split("::").map(str::to_owned).collect();
    let mut names = path.split("::").peekable();
    while let Some(name) = names.next_if(|name| ["crate", "self", "super"].contains(name)) {
        match name {
            "crate" => from.clear(),
            "super" => drop(from.pop()),
            _ => {}
        }
    }
    from.into_iter().chain(names.map(str::to_owned)).collect()
}

/// The places that have more than so many lines in common, one after the other.
fn common_places(sources: &[Source], lines_max: usize) -> Vec<String> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for source in sources {
        let is_said = |line: &str| !line.is_empty() && !line.starts_with("use ") && !line.starts_with("#");
        let lines: Vec<(usize, &str)> =
            source.code_lines().map(|(number, line)| (number, line.trim())).filter(|(_, line)| is_said(line)).collect();
        for window in lines.windows(lines_max + 1) {
            let text: Vec<&str> = window.iter().map(|(_, line)| *line).collect();
            let place = format!("{}:{}", source.path.display(), window[0].0);
            if let Some(earlier) = first.get(&text.join("\n")) {
                found.entry(source.path.clone()).or_insert(format!("{place} and {earlier}"));
            } else {
                first.insert(text.join("\n"), place);
            }
        }
    }
    found.into_values().collect()
}
