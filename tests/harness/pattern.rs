//! Messages as tests write them: JSON with variables.
//!
//! `$name` stands for what was bound to that name before, or in something expected binds it; `$_` is anything. `#` is a
//! request id: the next one in what is sent, the last one that was sent in what is expected. `...` at the end of a dict
//! or list lets it have more.

use crossbar_cluster::wire::{Dict, Elements, Serializer, Value};
use std::collections::BTreeMap;

/// What the names of a test stand for.
pub type Bindings = BTreeMap<String, Value>;

/// A message to be sent or expected, with its variables.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    elements: Vec<Value>,
}

impl Pattern {
    /// Reads a pattern. What it says is written in the test, so a mistake in it is a panic.
    pub fn parse(text: &str) -> Pattern {
        let json = to_json(text);
        let elements = match Elements::split(Serializer::Json, json.as_bytes(), DEPTH_MAX) {
            Ok(elements) => (0..elements.len()).map(|n| elements.value(n).expect("split has checked it")).collect(),
            Err(error) => panic!("the test's own {text}: {error}"),
        };
        Pattern { text: text.to_owned(), elements }
    }

    /// The message that this stands for; `next_request` is called for each `#`.
    pub fn fill(&self, bindings: &Bindings, next_request: &mut dyn FnMut() -> u64) -> Vec<Value> {
        self.elements.iter().map(|value| fill(value, bindings, next_request, &self.text)).collect()
    }

    /// Compares with a message that has arrived, and binds the names that are new. The error says what is different.
    pub fn matches(&self, message: &[Value], bindings: &mut Bindings, last_request: u64) -> Result<(), String> {
        match_list(&self.elements, message, bindings, last_request)
            .map_err(|difference| format!("expected {}\n     got {}\n ({difference})", self.text, show(message)))
    }
}

/// A message as text for people.
pub fn show(message: &[Value]) -> String {
    let mut out = Vec::new();
    let mut writer = crossbar_cluster::wire::Writer::list(Serializer::Json, message.len(), &mut out);
    for element in message {
        writer.value(element);
    }
    writer.finish();
    String::from_utf8_lossy(&out).into_owned()
}

/// Marks the strings that are variables. No test sends it.
const MARK: char = '\u{1}';
const REST: &str = "\u{1}...";
const REQUEST: &str = "\u{1}#";
const DEPTH_MAX: usize = 100;

/// Writes variables as marked strings, so that what comes out is JSON.
fn to_json(text: &str) -> String {
    let mut out = String::new();
    let mut brackets = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                taken = string_bytes(rest);
                out.push_str(&rest[..taken]);
            }
            '$' => {
                let name = rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').count();
                taken += name;
                out.push_str(&format!("\"\\u0001{}\"", &rest[1..taken]));
            }
            '#' => out.push_str("\"\\u0001#\""),
            '.' if rest.starts_with("...") => {
                taken = 3;
                let in_dict = brackets.last() == Some(&'{');
                out.push_str(if in_dict { "\"\\u0001...\":null" } else { "\"\\u0001...\"" });
            }
            _ => {
                match c {
                    '[' | '{' => brackets.push(c),
                    ']' | '}' => drop(brackets.pop()),
                    _ => {}
                }
                out.push(c);
            }
        }
        rest = &rest[taken..];
    }
    out
}

/// The length of the JSON string at the front of `text`, quotes included.
fn string_bytes(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            c => escaped = c == '\\' && !escaped,
        }
    }
    panic!("a string without its end in the test's own {text}");
}

fn fill(value: &Value, bindings: &Bindings, next_request: &mut dyn FnMut() -> u64, text: &str) -> Value {
    match value {
        Value::String(word) if word == REQUEST => next_request().into(),
        Value::String(word) => match word.strip_prefix(MARK) {
            Some(name) => bindings.get(name).unwrap_or_else(|| panic!("nothing is bound to ${name} in {text}")).clone(),
            None => value.clone(),
        },
        Value::List(items) => Value::List(items.iter().map(|item| fill(item, bindings, next_request, text)).collect()),
        Value::Dict(dict) => {
            let mut filled = Dict::new();
            for (key, value) in dict.iter() {
                filled.push(key.to_owned().into(), fill(value, bindings, next_request, text));
            }
            Value::Dict(filled)
        }
        other => other.clone(),
    }
}

fn match_value(pattern: &Value, value: &Value, bindings: &mut Bindings, last_request: u64) -> Result<(), String> {
    match (pattern, value) {
        (Value::String(word), value) if word == REQUEST => equal(&last_request.into(), value),
        (Value::String(word), value) if word.starts_with(MARK) => match &word[1..] {
            "_" => Ok(()),
            name => match bindings.get(name) {
                Some(bound) => equal(bound, value).map_err(|difference| format!("${name}: {difference}")),
                None => {
                    bindings.insert(name.to_owned(), value.clone());
                    Ok(())
                }
            },
        },
        (Value::List(patterns), Value::List(values)) => match_list(patterns, values, bindings, last_request),
        (Value::Dict(patterns), Value::Dict(values)) => {
            for (key, pattern) in patterns.iter().filter(|(key, _)| *key != REST) {
                let value = values.get(key).ok_or_else(|| format!("{key} is missing"))?;
                match_value(pattern, value, bindings, last_request)
                    .map_err(|difference| format!("{key}: {difference}"))?;
            }
            match values.iter().find(|(key, _)| patterns.get(key).is_none()) {
                Some((key, _)) if patterns.get(REST).is_none() => Err(format!("{key} is not expected")),
                _ => Ok(()),
            }
        }
        (pattern, value) => equal(pattern, value),
    }
}

fn match_list(patterns: &[Value], values: &[Value], bindings: &mut Bindings, last_request: u64) -> Result<(), String> {
    let (patterns, open) = match patterns.split_last() {
        Some((Value::String(word), fixed)) if word == REST => (fixed, true),
        _ => (patterns, false),
    };
    for (n, (pattern, value)) in patterns.iter().zip(values).enumerate() {
        match_value(pattern, value, bindings, last_request)
            .map_err(|difference| format!("element {n}: {difference}"))?;
    }
    if values.len() < patterns.len() || (values.len() > patterns.len() && !open) {
        return Err(format!("{} elements, expected {}", values.len(), patterns.len()));
    }
    Ok(())
}

fn equal(expected: &Value, value: &Value) -> Result<(), String> {
    if expected == value { Ok(()) } else { Err(format!("{value:?} is not {expected:?}")) }
}
