//! Reads TOML into tables of known keys and writes them out again. A table is declared once (see `raw`); what is read,
//! what is refused, what is printed and what the reference page says all follow from the declaration.
//!
//! This does the work of serde's `deny_unknown_fields`, which stops at the first mistake: here every mistake is found,
//! each with its place.

use super::live::{Changes, OnReload, Place};
use super::mistake::{Findings, nearest, one_of};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value, and the byte of the file at which it stands; None for a default.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Option<usize>,
}

/// A value that is written behind a `=`.
pub(super) trait Scalar: Clone + PartialEq {
    /// What it must be, to end a sentence: `a duration such as "10s"`.
    fn allowed() -> String;
    /// None when the value is something else.
    fn parse(value: &DeValue<'_>) -> Option<Self>;
    /// The value in TOML. Secrets are masked.
    fn literal(&self) -> String;
    /// Whether a mistake may show what was written.
    const IS_SECRET: bool = false;
}

/// A table with known keys.
pub(super) trait Table: Clone + PartialEq {
    const KEYS: &'static [Key];
    /// What tells this table from the others of its kind, where there may be several.
    fn name(&self) -> Option<String>;
    /// See [`Field::reload`].
    fn reload_table(running: &Self, new: &Self, place: &Place, changes: &mut Changes) -> Self;
    fn read_table(table: &DeTable<'_>, header: &Header, findings: &mut Findings<'_>) -> Option<Self>;
    fn write_table(&self, path: &str, out: &mut String);

    /// The default of a key in TOML.
    fn default_of(key: &str) -> Option<&'static str> {
        Self::KEYS.iter().find(|known| known.name == key).and_then(|known| known.default)
    }
}

/// What may stand at a key: a scalar, a table, several tables; needed or not.
pub(super) trait Field: Clone + PartialEq {
    const SHAPE: Shape;
    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<Self>;
    /// The key is not there, and has no default.
    fn read_absent(key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<Self>;
    /// Writes `key = value`, if that is what this is.
    fn write_value(&self, _key: &str, _out: &mut String) {}
    /// Writes the table at `path` with its header, if that is what this is.
    fn write_tables(&self, _path: &str, _out: &mut String) {}

    /// What holds after a reload that finds `new` where `running` holds: what of `new` can hold at once, and of
    /// `running` what stays until a restart. Every difference is noted in `changes`.
    fn reload(running: &Self, new: &Self, key: &Key, place: &Place, changes: &mut Changes) -> Self {
        match key.on_reload {
            _ if running == new => new.clone(),
            OnReload::Parts => Self::reload_parts(running, new, key, place, changes),
            OnReload::Live => changes.apply(place.name(key), new),
            OnReload::Restart | OnReload::Nature => changes.postpone(place.name(key), running),
        }
    }

    /// The same, each key of the table (or of each of the tables) for itself.
    fn reload_parts(running: &Self, _: &Self, key: &Key, place: &Place, changes: &mut Changes) -> Self {
        changes.postpone(place.name(key), running)
    }
}

/// One key of a table, as it is documented.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) shape: Shape,
    /// The default in TOML.
    pub(super) default: Option<&'static str>,
    pub(super) on_reload: OnReload,
}

/// What a key may hold, as it is documented.
#[derive(Debug)]
pub(super) enum Shape {
    Value {
        allowed: fn() -> String,
        is_required: bool,
    },
    /// `[key]`
    Table(&'static [Key]),
    /// `[[key]]`
    Tables(&'static [Key]),
    /// `[key.NAME]`
    Map(&'static [Key]),
    Limits(&'static [crate::limits::Scope]),
}

/// The header of a table, for sentences.
#[derive(Clone, Debug)]
pub(super) struct Header {
    path: String,
    is_array: bool,
    /// Where the table stands.
    at: Option<usize>,
}

/// A key in its table.
pub(super) struct KeyPath<'k> {
    pub(super) table: &'k Header,
    pub(super) key: &'k str,
}

impl Header {
    pub(super) fn top() -> Header {
        Header { path: String::new(), is_array: false, at: None }
    }
}

impl KeyPath<'_> {
    pub(super) fn header(&self, is_array: bool, at: Option<usize>) -> Header {
        Header { path: join(&self.table.path, self.key), is_array, at }
    }

    /// Notes that `value` is not what may stand here.
    pub(super) fn refuse(&self, value: &Spanned<DeValue<'_>>, allowed: &str, findings: &mut Findings<'_>) {
        self.refuse_shown(&show(value.get_ref()), value.span().start, allowed, findings);
    }

    fn refuse_shown(&self, shown: &str, at: usize, allowed: &str, findings: &mut Findings<'_>) {
        findings.add(Some(at), format!("{} = {shown} in {}, but it must be {allowed}", self.key, self.table));
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.is_array) {
            ("", _) => f.write_str("the file"),
            (path, true) => write!(f, "[[{path}]]"),
            (path, false) => write!(f, "[{path}]"),
        }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Where a value stands makes no difference.
impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &At<T>) -> bool {
        self.value == other.value
    }
}

impl<T: Scalar> Field for At<T> {
    const SHAPE: Shape = Shape::Value { allowed: T::allowed, is_required: true };

    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<At<T>> {
        let at = findings.place_of(value);
        match T::parse(value.get_ref()) {
            Some(value) => Some(At { value, at }),
            None => {
                let shown = if T::IS_SECRET { "***".to_owned() } else { show(value.get_ref()) };
                key.refuse_shown(&shown, value.span().start, &T::allowed(), findings);
                None
            }
        }
    }

    fn read_absent(key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<At<T>> {
        let sentence = format!("key '{}' is missing in {}, it must be {}", key.key, key.table, T::allowed());
        findings.add(key.table.at, sentence);
        None
    }

    fn write_value(&self, key: &str, out: &mut String) {
        out.push_str(&format!("{} = {}\n", quote_key(key), self.value.literal()));
    }
}

impl<T: Scalar> Field for Option<At<T>> {
    const SHAPE: Shape = Shape::Value { allowed: T::allowed, is_required: false };

    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<Option<At<T>>> {
        At::read(value, key, findings).map(Some)
    }

    fn read_absent(_: &KeyPath<'_>, _: &mut Findings<'_>) -> Option<Option<At<T>>> {
        Some(None)
    }

    fn write_value(&self, key: &str, out: &mut String) {
        if let Some(value) = self {
            value.write_value(key, out);
        }
    }
}

impl<T: Table> Field for T {
    const SHAPE: Shape = Shape::Table(T::KEYS);

    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<T> {
        let header = key.header(false, findings.place_of(value));
        match value.get_ref() {
            DeValue::Table(table) => T::read_table(table, &header, findings),
            DeValue::Array(_) => {
                let sentence = format!("[[{0}]] must be written [{0}], there is only one", header.path);
                findings.add(Some(value.span().start), sentence);
                None
            }
            _ => {
                key.refuse(value, &format!("a table, written {header}"), findings);
                None
            }
        }
    }

    fn read_absent(key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<T> {
        T::read_table(&DeTable::new(), &key.header(false, None), findings)
    }

    fn write_tables(&self, path: &str, out: &mut String) {
        out.push_str(&format!("\n[{path}]\n"));
        self.write_table(path, out);
    }

    fn reload_parts(running: &T, new: &T, key: &Key, place: &Place, changes: &mut Changes) -> T {
        T::reload_table(running, new, &place.table(key), changes)
    }
}

impl<T: Table> Field for Option<T> {
    const SHAPE: Shape = Shape::Table(T::KEYS);

    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<Option<T>> {
        T::read(value, key, findings).map(Some)
    }

    fn read_absent(_: &KeyPath<'_>, _: &mut Findings<'_>) -> Option<Option<T>> {
        Some(None)
    }

    fn write_tables(&self, path: &str, out: &mut String) {
        if let Some(table) = self {
            table.write_tables(path, out);
        }
    }

    /// Whether there is such a table at all does not change at run time.
    fn reload_parts(running: &Self, new: &Self, key: &Key, place: &Place, changes: &mut Changes) -> Self {
        match (running, new) {
            (Some(running), Some(new)) => Some(T::reload_parts(running, new, key, place, changes)),
            (Some(_), None) => changes.postpone(format!("{} (removed)", place.name(key)), running),
            (None, _) => changes.postpone(format!("{} (added)", place.name(key)), running),
        }
    }
}

/// `[[key]]`, any number of them.
impl<T: Table> Field for Vec<At<T>> {
    const SHAPE: Shape = Shape::Tables(T::KEYS);

    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<Vec<At<T>>> {
        let header = key.header(true, None);
        let tables = match value.get_ref() {
            DeValue::Array(array) => array,
            DeValue::Table(_) => {
                let sentence = format!("[{0}] must be written [[{0}]], there may be several", header.path);
                findings.add(Some(value.span().start), sentence);
                return None;
            }
            _ => {
                key.refuse(value, &format!("tables, each written {header}"), findings);
                return None;
            }
        };
        // All are read before the first that failed counts, so that the mistakes of all are found.
        let read: Vec<Option<At<T>>> = tables
            .iter()
            .map(|value| match value.get_ref() {
                DeValue::Table(table) => {
                    let at = findings.place_of(value);
                    T::read_table(table, &key.header(true, at), findings).map(|value| At { value, at })
                }
                _ => {
                    key.refuse(value, &format!("a table, written {header}"), findings);
                    None
                }
            })
            .collect();
        read.into_iter().collect()
    }

    fn read_absent(_: &KeyPath<'_>, _: &mut Findings<'_>) -> Option<Vec<At<T>>> {
        Some(Vec::new())
    }

    fn write_tables(&self, path: &str, out: &mut String) {
        for table in self {
            out.push_str(&format!("\n[[{path}]]\n"));
            table.value.write_table(path, out);
        }
    }

    /// Tables are the same when they have the same name, wherever they stand in the file. One that is gone stays until
    /// a restart, and so does one that comes wait for it, unless everything in it can change at run time.
    fn reload_parts(running: &Self, new: &Self, key: &Key, place: &Place, changes: &mut Changes) -> Self {
        let (running, new) = (named(running), named(new));
        let mut reloaded = Vec::new();
        for (name, table) in &running {
            let shown = || format!("{} {}", place.name(key), name.0);
            reloaded.push(match new.iter().find(|(other, _)| other == name) {
                Some((_, other)) => {
                    let place = place.element(key, &name.0);
                    At { value: T::reload_table(&table.value, &other.value, &place, changes), at: other.at }
                }
                None => changes.postpone(format!("{} (removed)", shown()), *table),
            });
        }
        for (name, table) in new.iter().filter(|(name, _)| !running.iter().any(|(other, _)| other == name)) {
            let shown = format!("{} {} (added)", place.name(key), name.0);
            if may_come(T::KEYS) {
                reloaded.push(changes.apply(shown, *table));
            } else {
                changes.postpone(shown, &());
            }
        }
        reloaded
    }
}

/// Each table with its name, and its number among those of the same name: ports that the kernel is to choose are all
/// written as 0.
fn named<T: Table>(tables: &[At<T>]) -> Vec<((String, usize), &At<T>)> {
    let mut named: Vec<((String, usize), &At<T>)> = Vec::new();
    for table in tables {
        let name = table.value.name().unwrap_or_default();
        let number = named.iter().filter(|((other, _), _)| *other == name).count();
        named.push(((name, number), table));
    }
    named
}

/// Whether a table with these keys can come at run time.
fn may_come(keys: &[Key]) -> bool {
    keys.iter().all(|key| match (key.on_reload, &key.shape) {
        (OnReload::Live, _) | (OnReload::Parts, Shape::Limits(_)) => true,
        (OnReload::Parts, Shape::Table(keys) | Shape::Tables(keys) | Shape::Map(keys)) => may_come(keys),
        _ => false,
    })
}

/// `[key.NAME]`, any number of them.
impl<T: Table> Field for BTreeMap<String, At<T>> {
    const SHAPE: Shape = Shape::Map(T::KEYS);

    fn read(
        value: &Spanned<DeValue<'_>>,
        key: &KeyPath<'_>,
        findings: &mut Findings<'_>,
    ) -> Option<BTreeMap<String, At<T>>> {
        let header = key.header(false, None);
        let DeValue::Table(table) = value.get_ref() else {
            key.refuse(value, &format!("tables, each written [{}.NAME]", header.path), findings);
            return None;
        };
        let read: Vec<Option<(String, At<T>)>> = table
            .iter()
            .map(|(name, value)| {
                let key = KeyPath { table: &header, key: name.get_ref() };
                let at = Some(name.span().start);
                T::read(value, &key, findings).map(|value| (name.get_ref().to_string(), At { value, at }))
            })
            .collect();
        read.into_iter().collect()
    }

    fn read_absent(_: &KeyPath<'_>, _: &mut Findings<'_>) -> Option<BTreeMap<String, At<T>>> {
        Some(BTreeMap::new())
    }

    fn write_tables(&self, path: &str, out: &mut String) {
        for (name, table) in self {
            table.value.write_tables(&join(path, name), out);
        }
    }
}

/// Notes every key of `table` that is not known.
pub(super) fn refuse_unknown<'k>(
    table: &DeTable<'_>,
    header: &Header,
    known: impl Iterator<Item = &'k str> + Clone,
    findings: &mut Findings<'_>,
) {
    for name in table.keys().filter(|name| !known.clone().any(|known| known == name.get_ref())) {
        let hint = match nearest(name.get_ref(), known.clone()) {
            Some(nearest) => format!(", did you mean '{nearest}'?"),
            None => format!(", known are {}", one_of(known.clone()).replace(" or ", " and ")),
        };
        findings.add(Some(name.span().start), format!("unknown key '{}' in {header}{hint}", shorten(name.get_ref())));
    }
}

/// Reads one key of `table`: what is there, or else its default, or else whatever stands for nothing.
pub(super) fn read_key<F: Field>(
    table: &DeTable<'_>,
    header: &Header,
    key: &Key,
    findings: &mut Findings<'_>,
) -> Option<F> {
    let path = KeyPath { table: header, key: key.name };
    match (table.get(key.name), key.default) {
        (Some(value), _) => F::read(value, &path, findings),
        (None, None) => F::read_absent(&path, findings),
        (None, Some(literal)) => {
            let value = DeValue::parse(literal).expect("defaults are TOML");
            findings.in_default(|findings| F::read(&value, &path, findings))
        }
    }
}

/// `a.b`, with quotes around what needs them.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { quote_key(key) } else { format!("{path}.{}", quote_key(key)) }
}

fn quote_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { string_literal(key) }
}

/// A string in TOML.
pub(super) fn string_literal(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A value as a mistake shows it: in TOML, on one line, not too long.
pub(super) fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => string_literal(&shorten(text)).replace('\n', "\\n"),
        DeValue::Integer(number) => shorten(number.as_str()),
        DeValue::Float(number) => shorten(number.as_str()),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(array) => {
            let shown: Vec<String> = array.iter().take(8).map(|value| show(value.get_ref())).collect();
            let more = if array.len() > shown.len() { ", …" } else { "" };
            shorten(&format!("[{}{more}]", shown.join(", ")))
        }
        DeValue::Table(_) => "{…}".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Enough to recognize a value by.
const SHOWN_CHARS_MAX: usize = 80;

/// The name of a field as a key: fields like `r#type` are named by Rust's keywords.
pub(super) const fn key_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Declares tables: `/// help`, then `field: type;` or `field: type = "default in TOML";`, after a word that says what
/// a reload does with it (see `OnReload`). Of tables of which there may be several, `by key` names the key that tells
/// them apart.
macro_rules! tables {
    ($($(#[doc = $doc:literal])* $table:ident $(by $name:ident)? {
        $($(#[doc = $help:literal])* $on_reload:ident $field:ident: $type:ty $(= $default:literal)?;)*
    })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(super) struct $table {
            $(pub(super) $field: $type,)*
        }

        impl crate::config::table::Table for $table {
            const KEYS: &'static [crate::config::table::Key] = &[$(crate::config::table::Key {
                name: crate::config::table::key_name(stringify!($field)),
                help: concat!($($help,)*),
                shape: <$type as crate::config::table::Field>::SHAPE,
                default: crate::config::table::tables!(@default $($default)?),
                on_reload: crate::config::table::tables!(@on_reload $on_reload),
            },)*];

            fn name(&self) -> Option<String> {
                crate::config::table::tables!(@name self $($name)?)
            }

            fn reload_table(
                running: &Self,
                new: &Self,
                place: &crate::config::live::Place,
                changes: &mut crate::config::live::Changes,
            ) -> Self {
                use crate::config::live::OnReload;
                use crate::config::table::Field;
                let differs = [$(running.$field != new.$field,)*];
                let different = || Self::KEYS.iter().zip(differs).filter(|(_, differs)| *differs).map(|(key, _)| key);
                if different().any(|key| key.on_reload == OnReload::Nature) {
                    different().for_each(|key| changes.postpone(place.name(key), &()));
                    return running.clone();
                }
                let mut keys = Self::KEYS.iter();
                let mut key = || keys.next().expect("there is an entry for each field");
                Self { $($field: Field::reload(&running.$field, &new.$field, key(), place, changes),)* }
            }

            fn read_table(
                table: &toml::de::DeTable<'_>,
                header: &crate::config::table::Header,
                findings: &mut crate::config::mistake::Findings<'_>,
            ) -> Option<Self> {
                let known = Self::KEYS.iter().map(|key| key.name);
                crate::config::table::refuse_unknown(table, header, known, findings);
                let mut keys = Self::KEYS.iter();
                $(let $field = crate::config::table::read_key::<$type>(table, header, keys.next()?, findings);)*
                Some(Self { $($field: $field?,)* })
            }

            fn write_table(&self, path: &str, out: &mut String) {
                use crate::config::table::{Field, join, key_name};
                // TOML wants the values of a table before the tables in it.
                $(Field::write_value(&self.$field, key_name(stringify!($field)), out);)*
                $(Field::write_tables(&self.$field, &join(path, key_name(stringify!($field))), out);)*
            }
        }
    )*};
    (@on_reload live) => { crate::config::live::OnReload::Live };
    (@on_reload restart) => { crate::config::live::OnReload::Restart };
    (@on_reload nature) => { crate::config::live::OnReload::Nature };
    (@on_reload parts) => { crate::config::live::OnReload::Parts };
    (@name $self:ident) => { None };
    (@name $self:ident $name:ident) => {
        Some(crate::config::table::Scalar::literal(&$self.$name.value).trim_matches('"').to_owned())
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(super) use tables;
