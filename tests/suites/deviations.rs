//! What came of a suite, held against the cases that are known to fail and are not the router's to mend.

use serde::Deserialize;

const KNOWN: &str = include_str!("deviations.toml");

#[derive(Deserialize)]
struct Known {
    #[serde(default)]
    deviation: Vec<Deviation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    suite: String,
    /// The name of the case as the suite prints it, or what it begins with before a `*`.
    case: String,
    /// `one` or `four`; without it the case fails on both.
    place: Option<String>,
    reason: String,
}

impl Deviation {
    fn is_about(&self, case: &str) -> bool {
        match self.case.strip_suffix('*') {
            Some(beginning) => case.starts_with(beginning),
            None => self.case == case,
        }
    }
}

/// Reads the lines `ok CASE` and `FAIL CASE: why`, and says what is wrong: a case that fails and is not known, one that
/// is known and does not fail, or that nothing was played.
pub(crate) fn judge(suite: &str, place: &str, printed: &str) -> Result<(), String> {
    let known: Known = toml::from_str(KNOWN).map_err(|error| format!("deviations.toml: {error}"))?;
    let is_here = |one: &&Deviation| one.suite == suite && one.place.as_ref().is_none_or(|its| its == place);
    let known: Vec<&Deviation> = known.deviation.iter().filter(is_here).collect();
    assert!(known.iter().all(|one| !one.reason.is_empty()), "deviations.toml: each has a reason");

    let failed: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("FAIL ")).collect();
    let name_of = |line: &str| line.split_once(": ").map_or(line, |(name, _)| name).to_owned();
    let is_known = |line: &str| known.iter().any(|one| one.is_about(&name_of(line)));
    let new: Vec<&str> = failed.iter().copied().filter(|line| !is_known(line)).collect();
    let mended: Vec<&str> = known
        .iter()
        .filter(|one| printed.lines().any(|line| line.strip_prefix("ok ").is_some_and(|case| one.is_about(case))))
        .map(|one| one.case.as_str())
        .collect();
    let passed = printed.lines().filter(|line| line.starts_with("ok ")).count();
    println!("{suite} on {place}: {passed} passed, {} failed", failed.len());
    match (passed, new.as_slice(), mended.as_slice()) {
        (0, ..) => Err("nothing has passed".to_owned()),
        (_, [], []) => Ok(()),
        (_, [], mended) => Err(format!("deviates no longer, remove it from deviations.toml: {}", mended.join(", "))),
        (_, new, _) => Err(format!("{} cases fail:\n{}", new.len(), new.join("\n"))),
    }
}

#[test]
fn a_case_that_fails_has_to_be_known() {
    let complaint = judge("any", "one", "ok a\nFAIL b: because\n").unwrap_err();
    assert!(complaint.contains("1 cases fail:\nb: because"), "{complaint}");
    assert_eq!(judge("any", "one", "ok a\nok b\n"), Ok(()));
    assert_eq!(judge("any", "one", ""), Err("nothing has passed".to_owned()));
}
