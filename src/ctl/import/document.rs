//! A Crossbar.io configuration as a tree whose places have names, and the list of what there is to say about them.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Something to say about one place of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The JSON path: `$.workers[0].realms[0].name`.
    pub path: String,
    pub sentence: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.sentence)
    }
}

/// What there is to say about a file.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What is not carried over.
    pub(super) remarks: Vec<Remark>,
    /// What makes the file useless.
    pub(super) mistakes: Vec<Remark>,
}

impl Report {
    pub(super) fn remark(&mut self, path: &str, sentence: impl Into<String>) {
        self.remarks.push(Remark { path: path.to_owned(), sentence: sentence.into() });
    }

    pub(super) fn mistake(&mut self, path: &str, sentence: impl Into<String>) {
        self.mistakes.push(Remark { path: path.to_owned(), sentence: sentence.into() });
    }
}

/// Reads JSON or YAML, told apart by the name of the file and else by the first character. The error is a sentence that
/// begins with line and column.
pub(super) fn parse(name: &str, text: &str) -> Result<Value, String> {
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let is_json = name.ends_with(".json") || text.trim_start().starts_with('{');
    if is_json && !is_yaml {
        return serde_json::from_str(text).map_err(|error| {
            let whole = error.to_string();
            let sentence = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(sentence, _)| sentence);
            format!("{}:{}: {sentence}", error.line(), error.column())
        });
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let whole = error.without_snippet().to_string();
        let sentence = whole.split(['\n', '\r']).next().unwrap_or_default().to_owned();
        match error.location() {
            Some(place) => format!("{}:{}: {sentence}", place.line(), place.column()),
            None => sentence,
        }
    })
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Item<'d> {
    pub(super) path: String,
    pub(super) value: &'d Value,
}

impl<'d> Item<'d> {
    pub(super) fn root(value: &'d Value) -> Item<'d> {
        Item { path: "$".to_owned(), value }
    }

    /// An object, whose keys are then taken one by one.
    pub(super) fn section(&self, report: &mut Report) -> Option<Section<'d>> {
        let found = self.value.as_object();
        self.expected("an object", found, report).map(|map| Section {
            path: self.path.clone(),
            map,
            taken: BTreeSet::new(),
        })
    }

    pub(super) fn text(&self, report: &mut Report) -> Option<&'d str> {
        self.expected("a string", self.value.as_str(), report)
    }

    pub(super) fn boolean(&self, report: &mut Report) -> Option<bool> {
        self.expected("true or false", self.value.as_bool(), report)
    }

    pub(super) fn number(&self, report: &mut Report) -> Option<u64> {
        self.expected("a whole number that is not negative", self.value.as_u64(), report)
    }

    pub(super) fn list(&self, report: &mut Report) -> Vec<Item<'d>> {
        let values = self.expected("a list", self.value.as_array(), report);
        let item = |(n, value)| Item { path: format!("{}[{n}]", self.path), value };
        values.into_iter().flatten().enumerate().map(item).collect()
    }

    /// The strings of a list.
    pub(super) fn texts(&self, report: &mut Report) -> Vec<&'d str> {
        self.list(report).iter().filter_map(|item| item.text(report)).collect()
    }

    fn expected<T>(&self, what: &str, found: Option<T>, report: &mut Report) -> Option<T> {
        if found.is_none() {
            report.mistake(&self.path, format!("it is {}, but it must be {what}", kind(self.value)));
        }
        found
    }
}

/// An object of which every key is either carried over or reported.
#[derive(Debug)]
pub(super) struct Section<'d> {
    pub(super) path: String,
    map: &'d Map<String, Value>,
    taken: BTreeSet<&'d str>,
}

impl<'d> Section<'d> {
    /// The value of a key that is carried over. A null is not as good as nothing: of `auth` it would open the port.
    pub(super) fn take(&mut self, key: &str) -> Option<Item<'d>> {
        let (key, value) = self.map.get_key_value(key)?;
        self.taken.insert(key);
        Some(Item { path: join(&self.path, key), value })
    }

    /// As `take`, of a key that must be there.
    pub(super) fn need(&mut self, key: &str, report: &mut Report) -> Option<Item<'d>> {
        let item = self.take(key);
        if item.is_none() {
            report.mistake(&self.path, format!("key '{key}' is missing"));
        }
        item
    }

    /// As `take`, for a list that may be missing.
    pub(super) fn take_list(&mut self, key: &str, report: &mut Report) -> Vec<Item<'d>> {
        self.take(key).map_or_else(Vec::new, |item| item.list(report))
    }

    /// The text of a key that may be missing.
    pub(super) fn take_text(&mut self, key: &str, report: &mut Report) -> Option<&'d str> {
        self.take(key)?.text(report)
    }

    /// Reports a key that is not carried over, with the reason.
    pub(super) fn leave(&mut self, key: &str, sentence: &str, report: &mut Report) {
        if let Some(item) = self.take(key) {
            report.remark(&item.path, sentence);
        }
    }

    /// The keys that nobody has taken yet.
    pub(super) fn rest(&mut self) -> Vec<(&'d str, Item<'d>)> {
        let open = self.map.keys().filter(|key| !self.taken.contains(key.as_str()));
        let keys: Vec<&'d str> = open.map(String::as_str).collect();
        keys.into_iter().filter_map(|key| Some((key, self.take(key)?))).collect()
    }

    /// Reports every key that nobody has taken.
    pub(super) fn finish(mut self, report: &mut Report) {
        for (_, item) in self.rest() {
            report.remark(&item.path, "not carried over: there is no such setting here");
        }
    }
}

/// `$.paths["/"]`, `$.workers`
fn join(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$'));
    if is_plain { format!("{path}.{key}") } else { format!("{path}[{}]", Value::from(key)) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_and_yaml_say_the_same() {
        let yaml = "version: 2\nworkers:\n- &w\n  type: router\n  realms: [{name: realm1}]\n- *w\n";
        let json = json!({"version": 2, "workers": [
            {"type": "router", "realms": [{"name": "realm1"}]}, {"type": "router", "realms": [{"name": "realm1"}]}
        ]});
        assert_eq!(parse("config.yaml", yaml).unwrap(), json);
        assert_eq!(parse("config.json", &json.to_string()).unwrap(), json);
        assert_eq!(parse("config", &json.to_string()).unwrap(), json);
        assert_eq!(parse("config", yaml).unwrap(), json);
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        let json = parse("config.json", "{\n  \"a\": 1,\n  \"b\" 2\n}").unwrap_err();
        assert_eq!(json, "3:7: expected `:`");
        let yaml = parse("config.yaml", "a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(yaml.starts_with("3:") && !yaml.contains('\n'), "{yaml}");
        assert!(parse("config.yaml", "a: 1\na: 2\n").unwrap_err().starts_with("2:"), "a key that is there twice");
    }

    #[test]
    fn every_key_is_taken_or_reported() {
        let value = json!({"name": "realm1", "$schema": "x", "odd key": 1, "none": null, "old": true});
        let mut report = Report::default();
        let mut section = Item::root(&value).section(&mut report).unwrap();
        assert_eq!(section.take_text("name", &mut report), Some("realm1"));
        assert_eq!(section.take_text("none", &mut report), None);
        assert!(section.need("roles", &mut report).is_none());
        section.leave("old", "it is old", &mut report);
        section.finish(&mut report);
        let said = |remarks: &[Remark]| remarks.iter().map(Remark::to_string).collect::<Vec<_>>();
        assert_eq!(
            said(&report.mistakes),
            ["$.none: it is null, but it must be a string", "$: key 'roles' is missing"]
        );
        assert_eq!(
            said(&report.remarks),
            [
                "$.old: it is old",
                "$.$schema: not carried over: there is no such setting here",
                "$[\"odd key\"]: not carried over: there is no such setting here",
            ]
        );
        assert_eq!(Item::root(&value).text(&mut report), None);
        assert_eq!(report.mistakes[2].to_string(), "$: it is an object, but it must be a string");
    }
}
