//! What `docs/monitoring/` gives to Prometheus and Grafana asks only for series, labels and reasons that exist; and the
//! alerts are raised by the histories of `tests/monitoring/alerts.yml`, and by no others.

use crossbar_cluster::cluster::State;
use crossbar_cluster::drop::DropReason;
use crossbar_cluster::master;
use crossbar_cluster::metrics::Series;
use crossbar_cluster::metrics::series::Kind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The labels that Prometheus adds itself.
const SCRAPED_LABELS: &[&str] = &["job", "instance", "le"];

/// What begins like a series and is the name of something else.
const NOT_SERIES: &[&str] = &["crossbar_cluster_"];

#[test]
fn the_alerts_ask_only_for_what_exists() {
    let text = read("docs/monitoring/alerts.yml");
    assert!(check_selectors(&text) > 20);
}

#[test]
fn the_histories_of_the_alerts_have_only_what_exists() {
    assert!(check_selectors(&read("tests/monitoring/alerts.yml")) > 20);
}

#[test]
fn the_grafana_dashboard_asks_only_for_what_exists() {
    let text = read("docs/monitoring/grafana-dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let mut expressions = Vec::new();
    collect_expressions(&dashboard, &mut expressions);
    let count: usize = expressions.iter().map(|expression| check_selectors(expression)).sum();
    assert!(count > 40, "only {count} selectors were found in {} expressions", expressions.len());
    let panels = dashboard["panels"].as_array().expect("the dashboard has panels");
    let mut ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().expect("a panel has an id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "two panels have the same id");
}

#[test]
fn each_alert_says_what_it_is_and_what_to_do() {
    let text = read("docs/monitoring/alerts.yml");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 20);
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        for key in ["expr:", "severity: ", "summary: ", "runbook: "] {
            assert!(alert.contains(key), "{name} has no {key}");
        }
    }
}

#[test]
fn the_alerts_are_raised_by_their_histories() {
    // Comes with Prometheus, which not every machine has.
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("skipped: promtool is not installed (Debian: prometheus)");
        return;
    }
    for arguments in
        [["check", "rules", "docs/monitoring/alerts.yml"], ["test", "rules", "tests/monitoring/alerts.yml"]]
    {
        let output = Command::new("promtool").args(arguments).current_dir(package()).output().expect("promtool runs");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "promtool {arguments:?}:\n{}", String::from_utf8_lossy(&said));
    }
}

/// Holds every selector in the text to the series that exist; answers how many there were.
fn check_selectors(text: &str) -> usize {
    let known = known_series();
    let mut count = 0;
    for (name, rest) in names(text) {
        if NOT_SERIES.contains(&name) {
            continue;
        }
        let labels = known.get(name).unwrap_or_else(|| panic!("there is no series {name}"));
        count += 1;
        for (label, value) in matchers(rest) {
            let is_known = labels.contains(&label) || SCRAPED_LABELS.contains(&label);
            assert!(is_known, "{name} has no label {label}");
            // A variable of Grafana stands for whatever there is.
            for value in value.split('|').filter(|value| !value.starts_with('$')) {
                let is_known = match label {
                    "reason" => DropReason::ALL.iter().any(|reason| reason.name() == value),
                    "state" => State::ALL.iter().any(|state| state.name() == value),
                    "direction" => ["in", "out"].contains(&value),
                    _ => true,
                };
                assert!(is_known, "{name}: there is no {label} {value}");
            }
        }
    }
    count
}

/// The names under which the series are shown, and their labels.
fn known_series() -> BTreeMap<String, Vec<&'static str>> {
    let mut known: BTreeMap<String, Vec<&str>> =
        master::metrics::series().iter().map(|series| (series.name(), series.labels().to_vec())).collect();
    for series in Series::ALL {
        let suffixes: &[&str] = match series.kind() {
            Kind::Counter => &["_total"],
            Kind::Info => &["_info"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        for suffix in suffixes {
            known.insert(format!("{}{suffix}", series.name()), series.labels().to_vec());
        }
    }
    known
}

/// Whatever begins like the name of a series, and the text behind it.
fn names(text: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(is_part).map(|at| from + at) {
        let end = text[start..].find(|c| !is_part(c)).map_or(text.len(), |length| start + length);
        let name = &text[start..end];
        if name.starts_with("crossbar_") || name.starts_with("process_") {
            found.push((name, &text[end..]));
        }
        from = end;
    }
    found
}

/// The labels and values between the braces that the text begins with.
fn matchers(text: &str) -> Vec<(&str, &str)> {
    let Some(inside) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else { return Vec::new() };
    let parts: Vec<&str> = inside.0.split('"').collect();
    parts
        .chunks_exact(2)
        .map(|pair| (pair[0].trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_'), pair[1]))
        .collect()
}

fn collect_expressions<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_expressions(item, found)),
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                match field.as_str() {
                    Some(text) if ["expr", "definition"].contains(&key.as_str()) => found.push(text),
                    _ => collect_expressions(field, found),
                }
            }
        }
        _ => {}
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(package().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
