//! The TOML that is being written, and where in the imported file each of its lines comes from.

use toml::Value;

/// Some lines of a configuration. Mistakes that are found in them are told with the place that they come from.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    /// A JSON path per line.
    sources: Vec<String>,
}

impl Draft {
    /// Begins a table: `[mesh]` or `[[listen]]`.
    pub(super) fn table(&mut self, header: &str, source: &str) {
        self.line("", source);
        self.line(header, source);
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>, source: &str) {
        let line = format!("{} = {}", quote(key), value.into());
        self.line(&line, source);
    }

    /// Adds the lines of another draft.
    pub(super) fn append(&mut self, other: Draft) {
        self.text.push_str(&other.text);
        self.sources.extend(other.sources);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where this line, counted from 1, comes from.
    pub(super) fn source(&self, line: usize) -> Option<&str> {
        self.sources.get(line.checked_sub(1)?).map(String::as_str)
    }

    /// A value may be written over several lines.
    fn line(&mut self, line: &str, source: &str) {
        for line in line.split('\n') {
            self.text.push_str(line);
            self.text.push('\n');
            self.sources.push(source.to_owned());
        }
    }
}

/// A key as TOML writes it, bare where it may be.
pub(super) fn quote(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_bare { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_knows_where_it_comes_from() {
        let mut draft = Draft::default();
        assert!(draft.is_empty());
        draft.table("[[listen]]", "$.a");
        draft.set("address", "unix:/tmp/\"x\"", "$.a.b");
        draft.set("john@example.com", vec!["a\nb"], "$.c");
        let read: toml::Table = draft.text().parse().unwrap();
        let listen = &read["listen"].as_array().unwrap()[0];
        assert_eq!(listen["address"].as_str(), Some("unix:/tmp/\"x\""));
        assert_eq!(listen["john@example.com"].as_array().unwrap()[0].as_str(), Some("a\nb"));
        assert_eq!((draft.source(2), draft.source(3)), (Some("$.a"), Some("$.a.b")));
        assert_eq!(draft.source(draft.text().lines().count()), Some("$.c"));
        assert_eq!((draft.source(0), draft.source(99)), (None, None));
    }
}
