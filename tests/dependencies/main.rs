//! The crates that the programs are made of: under which licences they are, where they come from, which are there
//! twice, and what is known to be wrong with them. `rules.toml` says what may be, `advisories.toml` what is known.

use semver::{Version, VersionReq};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// What `rules.toml` says.
#[derive(Deserialize)]
struct Rules {
    licences: BTreeSet<String>,
    sources: BTreeSet<String>,
    /// Why a crate is there in several versions.
    duplicates: BTreeMap<String, String>,
}

/// What `advisories.toml` says, or a database.
#[derive(Deserialize)]
struct Advisories {
    advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    #[serde(rename = "crate")]
    name: String,
    id: String,
    /// The versions that are free of it.
    safe: Vec<VersionReq>,
    /// Why it does not matter here that the version is another.
    verdict: Option<String>,
}

/// One crate, as Cargo.lock or `cargo metadata` names it.
#[derive(Clone, Debug, Deserialize)]
struct Crate {
    name: String,
    version: Version,
    /// None for a package of this repository.
    source: Option<String>,
    /// An SPDX expression. Cargo.lock does not tell.
    license: Option<String>,
}

#[test]
fn crates_are_under_licences_that_the_programs_can_be_given_on_with() {
    let found = unlicensed(&rules(), &crates_of_programs());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn crates_come_from_the_registry_and_only_once() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let crates = locked(&fs::read_to_string(root().join(lock)).expect("the lock file can be read"));
        assert!(crates.len() > 100, "{lock} has more crates than {}", crates.len());
        let found = [strange_sources(&rules(), &crates), duplicates(&rules(), &crates)].concat();
        assert!(found.is_empty(), "{lock}:\n{}", found.join("\n"));
    }
    let main = locked(&fs::read_to_string(root().join("Cargo.lock")).expect("the lock file can be read"));
    let idle = rules().duplicates.into_keys().filter(|name| versions_of(name, &main).len() < 2).collect::<Vec<_>>();
    assert!(idle.is_empty(), "exceptions that are none any more: {idle:?}");
}

#[test]
fn nothing_is_known_to_be_wrong_with_the_crates() {
    let mut known = advisories().advisories;
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let crates = locked(&fs::read_to_string(root().join(lock)).expect("the lock file can be read"));
        if let Some(database) = std::env::var_os("ADVISORY_DB") {
            known.extend(advisories_in(Path::new(&database), &crates).expect("the database can be read"));
        }
        let found = vulnerable(&known, &crates);
        assert!(found.is_empty(), "{lock}:\n{}", found.join("\n"));
    }
}

/// Each rule finds what breaks it.
#[test]
fn what_breaks_a_rule_is_found() {
    let crate_of = |name: &str, version: &str| Crate {
        name: name.to_owned(),
        version: Version::parse(version).expect("a version"),
        source: rules().sources.first().cloned(),
        license: None,
    };
    for (license, is_allowed) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0/MIT", true),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("MIT AND (GPL-3.0 OR ISC) AND Zlib", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("MIT WITH something", false),
        ("(MIT", false),
        ("MIT OR", false),
        ("", false),
    ] {
        let with = Crate { license: Some(license.to_owned()), ..crate_of("made-up", "1.0.0") };
        assert_eq!(unlicensed(&rules(), &[with]).is_empty(), is_allowed, "{license:?}");
    }
    assert!(!unlicensed(&rules(), &[crate_of("made-up", "1.0.0")]).is_empty(), "it is under no licence");

    let elsewhere = |source: &str| Crate { source: Some(source.to_owned()), ..crate_of("made-up", "1.0.0") };
    assert!(!strange_sources(&rules(), &[elsewhere("git+https://example.com/made-up#1234")]).is_empty());
    assert!(!strange_sources(&rules(), &[elsewhere("registry+https://example.com/index")]).is_empty());
    assert!(!strange_sources(&rules(), &[Crate { source: None, ..crate_of("made-up", "1.0.0") }]).is_empty());

    assert!(duplicates(&rules(), &[crate_of("made-up", "1.0.0"), crate_of("other", "2.0.0")]).is_empty());
    assert!(!duplicates(&rules(), &[crate_of("made-up", "1.0.0"), crate_of("made-up", "2.0.0")]).is_empty());

    let known = |verdict: Option<&str>| {
        let safe = [">= 1.2.3", "^0.9.7"].map(|versions| VersionReq::parse(versions).expect("versions"));
        let (name, id, verdict) = ("made-up".to_owned(), "RUSTSEC-1".to_owned(), verdict.map(str::to_owned));
        [Advisory { name, id, safe: safe.to_vec(), verdict }]
    };
    for (version, is_safe) in [("1.2.3", true), ("2.0.0", true), ("0.9.8", true), ("0.9.6", false), ("1.2.2", false)] {
        assert_eq!(vulnerable(&known(None), &[crate_of("made-up", version)]).is_empty(), is_safe, "{version}");
        assert!(vulnerable(&known(Some("it is not used")), &[crate_of("made-up", version)]).is_empty());
        assert!(vulnerable(&known(None), &[crate_of("other", version)]).is_empty());
    }
}

#[test]
fn an_advisory_of_the_database_is_read() {
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-1\"\npackage = \"made-up\"\n\n[versions]\npatched = [\">= 1.2.3\"]\n\
        unaffected = [\"< 1.0.0\"]\n```\n\n# Something is wrong\n";
    let found = advisory_in(text).expect("an advisory").expect("it holds");
    assert_eq!((found.name.as_str(), found.id.as_str(), found.safe.len()), ("made-up", "RUSTSEC-1", 2));
    let withdrawn = text.replace("id = ", "withdrawn = \"2026-01-01\"\nid = ");
    assert!(advisory_in(&withdrawn).expect("an advisory").is_none());
    assert!(advisory_in("no advisory").is_err());
}

fn unlicensed(rules: &Rules, crates: &[Crate]) -> Vec<String> {
    let is_allowed = |license: &String| Expression::new(license).is_allowed(&rules.licences);
    let foreign = crates.iter().filter(|it| it.source.is_some());
    let bad = foreign.filter(|it| !it.license.as_ref().is_some_and(is_allowed));
    bad.map(|it| format!("{} {} is under {:?}", it.name, it.version, it.license)).collect()
}

fn strange_sources(rules: &Rules, crates: &[Crate]) -> Vec<String> {
    let is_ours = |it: &Crate| it.source.is_none() && it.name.starts_with(env!("CARGO_PKG_NAME"));
    let is_known = |it: &Crate| it.source.as_ref().is_some_and(|source| rules.sources.contains(source));
    let bad = crates.iter().filter(|it| !is_ours(it) && !is_known(it));
    bad.map(|it| format!("{} {} comes from {:?}", it.name, it.version, it.source)).collect()
}

fn duplicates(rules: &Rules, crates: &[Crate]) -> Vec<String> {
    let names: BTreeSet<&str> = crates.iter().map(|it| it.name.as_str()).collect();
    let several = names.into_iter().map(|name| (name, versions_of(name, crates))).filter(|(_, all)| all.len() > 1);
    let bad = several.filter(|(name, _)| !rules.duplicates.contains_key(*name));
    bad.map(|(name, all)| format!("{name} is there as {}, see rules.toml", all.join(" and "))).collect()
}

fn versions_of(name: &str, crates: &[Crate]) -> Vec<String> {
    crates.iter().filter(|it| it.name == name).map(|it| it.version.to_string()).collect()
}

fn vulnerable(known: &[Advisory], crates: &[Crate]) -> Vec<String> {
    let mut found = Vec::new();
    for advisory in known.iter().filter(|advisory| advisory.verdict.is_none()) {
        let is_touched = |it: &&Crate| !advisory.safe.iter().any(|versions| versions.matches(&it.version));
        for it in crates.iter().filter(|it| it.name == advisory.name).filter(is_touched) {
            found.push(format!("{} {} has {}", it.name, it.version, advisory.id));
        }
    }
    found
}

/// An SPDX expression that is being read: words and parentheses. AND binds more than OR, for which old ones write `/`.
struct Expression {
    words: Vec<String>,
    at: usize,
}

impl Expression {
    fn new(text: &str) -> Expression {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        Expression { words: spaced.split_whitespace().map(str::to_owned).collect(), at: 0 }
    }

    /// Whether somebody who takes these licences only can take what is under this expression.
    fn is_allowed(&mut self, licences: &BTreeSet<String>) -> bool {
        let is_allowed = self.any_of(licences);
        is_allowed && self.at == self.words.len()
    }

    fn any_of(&mut self, licences: &BTreeSet<String>) -> bool {
        let mut is_allowed = self.all_of(licences);
        while self.takes("OR") {
            is_allowed |= self.all_of(licences);
        }
        is_allowed
    }

    fn all_of(&mut self, licences: &BTreeSet<String>) -> bool {
        let mut is_allowed = self.one(licences);
        while self.takes("AND") {
            is_allowed &= self.one(licences);
        }
        is_allowed
    }

    fn one(&mut self, licences: &BTreeSet<String>) -> bool {
        if self.takes("(") {
            let is_allowed = self.any_of(licences);
            return self.takes(")") && is_allowed;
        }
        let Some(mut name) = self.next() else { return false };
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.next().unwrap_or_default());
        }
        licences.contains(&name)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn next(&mut self) -> Option<String> {
        self.at += 1;
        self.words.get(self.at - 1).cloned()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> Rules {
    toml::from_str(include_str!("rules.toml")).expect("the rules can be read")
}

fn advisories() -> Advisories {
    toml::from_str(include_str!("advisories.toml")).expect("the advisories can be read")
}

/// The crates that are built for the platforms of the programs, those of tests among them.
fn crates_of_programs() -> Vec<Crate> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Crate>,
    }
    let platform = "--filter-platform=x86_64-unknown-linux-gnu";
    let arguments = ["metadata", "--format-version=1", "--locked", platform];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    assert!(metadata.packages.len() > 100, "there are more crates than {}", metadata.packages.len());
    metadata.packages
}

fn locked(text: &str) -> Vec<Crate> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Crate>,
    }
    toml::from_str::<Lock>(text).expect("a lock file").package
}

/// What a checkout of RustSec's advisory-db says of these crates.
fn advisories_in(database: &Path, crates: &[Crate]) -> io::Result<Vec<Advisory>> {
    let names: BTreeSet<&str> = crates.iter().map(|it| it.name.as_str()).collect();
    let mut found = Vec::new();
    for name in names {
        let Ok(files) = fs::read_dir(database.join("crates").join(name)) else { continue };
        for file in files {
            found.extend(advisory_in(&fs::read_to_string(file?.path())?)?);
        }
    }
    Ok(found)
}

/// An advisory as RustSec writes it: a block of TOML and then prose. None if it has been withdrawn.
fn advisory_in(text: &str) -> io::Result<Option<Advisory>> {
    #[derive(Deserialize)]
    struct File {
        advisory: Head,
        #[serde(default)]
        versions: Versions,
    }
    #[derive(Deserialize)]
    struct Head {
        id: String,
        package: String,
        withdrawn: Option<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Versions {
        patched: Vec<VersionReq>,
        unaffected: Vec<VersionReq>,
    }
    let block = text.strip_prefix("```toml\n").and_then(|rest| rest.split_once("\n```"));
    let (block, _) = block.ok_or_else(|| io::Error::other("an advisory without its block of TOML"))?;
    let File { advisory, versions } = toml::from_str(block).map_err(io::Error::other)?;
    let Head { id, package: name, withdrawn } = advisory;
    let safe = [versions.patched, versions.unaffected].concat();
    Ok(withdrawn.is_none().then_some(Advisory { name, id, safe, verdict: None }))
}
