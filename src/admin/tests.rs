//! What programs of neighbouring releases say to one another: recorded words of the last release are understood, and so
//! are those of a release that has left out a field or has added one.

use super::cluster_status::{ClusterStatus, History};
use super::command::{MasterCommand, NodeCommand};
use super::json;
use super::report::{Heartbeat, PatternRow, RefusalRow, SessionRow, TraceLines, TraceStarted};
use crate::cluster::Membership;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What the programs of 0.1.0 told, by the name of its type.
const TOLD: &str = include_str!("testdata/told-0.1.0.json");

/// Without these a member of the cluster cannot be reached or recognised; a membership without members would end all
/// links.
const NEEDED: [&str; 4] = ["members", "id", "address", "public_key"];

#[test]
fn what_the_last_release_tells_is_understood_with_a_field_less_and_a_field_more() {
    let told: Map<String, Value> = serde_json::from_str(TOLD).unwrap();
    for (name, value) in &told {
        match name.as_str() {
            "heartbeat" => understood::<Heartbeat>(name, value, &[]),
            "cluster_status" => understood::<ClusterStatus>(name, value, &[]),
            "membership" => understood::<Membership>(name, value, &NEEDED),
            "history" => understood::<History>(name, value, &[]),
            "refusals" => understood::<Vec<RefusalRow>>(name, value, &[]),
            "sessions" => understood::<Vec<SessionRow>>(name, value, &[]),
            "patterns" => understood::<Vec<PatternRow>>(name, value, &[]),
            "trace_started" => understood::<TraceStarted>(name, value, &[]),
            "trace_lines" => understood::<TraceLines>(name, value, &[]),
            _ => panic!("{name} is of no type that this test knows"),
        }
    }
}

#[test]
fn a_heartbeat_with_less_or_more_is_taken_from_its_own_node_alone() {
    let told: Map<String, Value> = serde_json::from_str(TOLD).unwrap();
    let mut heartbeat = told["heartbeat"].clone();
    heartbeat["counters"].as_object_mut().unwrap().remove("cpu_seconds");
    heartbeat["counters"]["frames_saved"] = 7.into();
    let heartbeat: Heartbeat = json::told(&json::to_payload(&heartbeat)).unwrap();
    assert_eq!(heartbeat.check("edge1"), Ok(()));
    assert!(heartbeat.check("edge2").is_err());
}

#[test]
fn commands_of_neighbouring_releases_are_understood() {
    let fields = |text: &str| json::to_kwargs(&serde_json::from_str::<Value>(text).unwrap());
    let add = r#"{"id": "edge5", "address": "brummer3:5085", "public_key": "ab", "rack": "r2"}"#;
    assert!(matches!(json::command("node_add", &fields(add)), Ok(MasterCommand::NodeAdd { .. })));
    assert!(json::command::<MasterCommand>("node_add", &fields(r#"{"id": "edge5"}"#)).is_err());
    for name in ["sessions", "registrations", "subscriptions", "refusals", "forget_answers", "drain", "trace_start"] {
        let command = json::command::<NodeCommand>(name, &fields(r#"{"sort": "uptime"}"#));
        assert!(command.is_ok(), "{name}: {command:?}");
    }
}

/// The value is a `T`, also when any one field of any table in it is not there, or when each table has one more.
fn understood<T: DeserializeOwned>(name: &str, value: &Value, needed: &[&str]) {
    let read = |value: Value| serde_json::from_value::<T>(value).map(drop);
    read(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut more = value.clone();
    add_everywhere(&mut more);
    read(more).unwrap_or_else(|error| panic!("{name} with a field more: {error}"));
    for path in paths(value, String::new()) {
        let (table, field) = path.rsplit_once('/').unwrap();
        if needed.contains(&field) {
            continue;
        }
        let mut less = value.clone();
        less.pointer_mut(table).and_then(Value::as_object_mut).unwrap().remove(field);
        read(less).unwrap_or_else(|error| panic!("{name} without {path}: {error}"));
    }
}

/// A field that no release knows, in every table.
fn add_everywhere(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_everywhere);
            // Maps of counters have keys of all kinds, and numbers as values.
            fields.insert("unheard_of".to_owned(), 1.into());
        }
        Value::Array(items) => items.iter_mut().for_each(add_everywhere),
        _ => {}
    }
}

/// Pointers to all fields of all tables.
fn paths(value: &Value, place: String) -> Vec<String> {
    let below = |(key, value): (String, &Value)| {
        let path = format!("{place}/{key}");
        let mut found = paths(value, path.clone());
        found.push(path);
        found
    };
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).flat_map(below).collect(),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.flat_map(|(index, item)| paths(item, format!("{place}/{index}"))).collect()
        }
        _ => Vec::new(),
    }
}
