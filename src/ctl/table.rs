//! Tables for people: aligned columns, numbers to the right, nothing drawn.

use serde_json::Value;
use std::fmt;

/// Rows below a head. Prints with two spaces between columns and no space at the end of a line.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// What stands in one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    Number(String),
    /// Nothing is known.
    Absent,
}

impl Table {
    pub fn new<'h>(head: impl IntoIterator<Item = &'h str>) -> Table {
        Table { head: head.into_iter().map(clean).collect(), rows: Vec::new() }
    }

    /// A row per object, with a column for each of these titles and the member that it shows; `a.b` is the member `b`
    /// of the member `a`.
    pub fn of_objects(columns: &[(&str, &str)], objects: &[Value]) -> Table {
        let mut table = Table::new(columns.iter().map(|(title, _)| *title));
        for object in objects {
            let member = |path: &str| path.split('.').try_fold(object, |value, key| value.get(key));
            table.row(columns.iter().map(|(_, path)| member(path).map_or(Cell::Absent, Cell::from)));
        }
        table
    }

    /// Adds a row; what is missing at its end is absent.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = cells.into_iter().collect();
        row.resize(self.head.len(), Cell::Absent);
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A column is one of numbers when it has one and no text.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[column]);
        cells.clone().any(|cell| matches!(cell, Cell::Number(_))) && !cells.any(|cell| matches!(cell, Cell::Text(_)))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = 0..self.head.len();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].text());
            cells.chain([self.head[column].as_str()]).map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let shape: Vec<(usize, bool)> = columns.map(|column| (width(column), self.is_numeric(column))).collect();
        let mut line = |texts: &mut dyn Iterator<Item = (&str, bool)>| {
            let mut out = String::new();
            for ((text, is_number), (width, is_numeric)) in texts.zip(&shape) {
                let space = " ".repeat(width - text.chars().count());
                match *is_numeric || is_number {
                    true => out.extend([space.as_str(), text]),
                    false => out.extend([text, space.as_str()]),
                }
                out.push_str("  ");
            }
            writeln!(f, "{}", out.trim_end())
        };
        line(&mut self.head.iter().map(|title| (title.as_str(), false)))?;
        for row in &self.rows {
            line(&mut row.iter().map(|cell| (cell.text(), matches!(cell, Cell::Number(_)))))?;
        }
        Ok(())
    }
}

impl Cell {
    fn text(&self) -> &str {
        match self {
            Cell::Text(text) | Cell::Number(text) => text,
            Cell::Absent => "–",
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(clean(text))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::from(text.as_str())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Cell {
        Cell::Number(number.to_string())
    }
}

impl From<&Value> for Cell {
    fn from(value: &Value) -> Cell {
        match value {
            Value::Null => Cell::Absent,
            Value::Bool(is_so) => Cell::from(if *is_so { "yes" } else { "no" }),
            Value::Number(number) => Cell::Number(match number.as_f64() {
                Some(float) if number.is_f64() => format!("{float:.2}"),
                _ => number.to_string(),
            }),
            Value::String(text) => Cell::from(text.as_str()),
            Value::Array(values) => {
                let texts: Vec<String> = values.iter().map(|value| Cell::from(value).text().to_owned()).collect();
                Cell::from(texts.join(", "))
            }
            Value::Object(_) => Cell::from(value.to_string()),
        }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Absent, Into::into)
    }
}

/// What clients may have named must not steer the operator's terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let nodes = [
            json!({"id": "edge1", "state": "up", "sessions": 1200, "link": {"round_trip_ms": 0.251}}),
            json!({"id": "brummer2", "state": "draining", "sessions": 7, "link": {"round_trip_ms": null}}),
        ];
        let columns = [("NODE", "id"), ("STATE", "state"), ("SESSIONS", "sessions"), ("RTT", "link.round_trip_ms")];
        let expected = "\
NODE      STATE     SESSIONS   RTT
edge1     up            1200  0.25
brummer2  draining         7     –
";
        assert_eq!(Table::of_objects(&columns, &nodes).to_string(), expected);
    }

    #[test]
    fn what_is_missing_is_shown_as_missing() {
        let mut table = Table::new(["A", "B", "C"]);
        assert!(table.is_empty());
        table.row([Cell::from(&json!([1, "x", true])), Cell::from(None::<u64>)]);
        assert_eq!(table.to_string(), "A          B  C\n1, x, yes  –  –\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(["NAME"]);
        table.row([Cell::from("a\u{1b}[31mred\r\n")]);
        assert_eq!(table.to_string(), "NAME\na\u{fffd}[31mred\u{fffd}\u{fffd}\n");
    }
}
