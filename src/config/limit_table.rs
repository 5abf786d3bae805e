//! The tables of limits: their keys are the entries of `Limits::ALL`, so that a limit can be configured as soon as it
//! exists.

use super::live::{Changes, Place};
use super::mistake::Findings;
use super::table::{At, Field, Header, Key, KeyPath, Scalar, Shape, refuse_unknown};
use super::value::{Size, Span, integer};
use crate::limits::{Limit, Limits, Scope, Unit};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `[limits]`: every limit, set or not.
pub(super) type NodeLimits = LimitTable<0>;
/// `[listen.limits]`: what differs for a listener.
pub(super) type ListenerLimits = LimitTable<1>;
/// `[realm.limits]`: what differs for a realm.
pub(super) type RealmLimits = LimitTable<2>;

/// A table of limits of the scopes `SCOPES[WHERE]`.
#[derive(Clone, Debug, Default)]
pub(super) struct LimitTable<const WHERE: usize>(Vec<(&'static Limit, At<u64>)>);

/// What can be set in each table of limits.
const SCOPES: [&[Scope]; 3] = [&[Scope::Node, Scope::Listener, Scope::Realm], &[Scope::Listener], &[Scope::Realm]];

impl<const WHERE: usize> LimitTable<WHERE> {
    /// `base` with what is set here.
    pub(super) fn apply(&self, base: &Limits) -> Limits {
        let mut limits = base.clone();
        self.0.iter().for_each(|(limit, value)| (limit.write)(&mut limits, value.value));
        limits
    }

    /// Where this limit is set.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.set(name).and_then(|value| value.at)
    }

    fn set(&self, name: &str) -> Option<&At<u64>> {
        self.0.iter().find(|(limit, _)| limit.name == name).map(|(_, value)| value)
    }

    fn known() -> impl Iterator<Item = &'static Limit> + Clone {
        Limits::ALL.iter().filter(|limit| SCOPES[WHERE].contains(&limit.scope))
    }
}

impl<const WHERE: usize> PartialEq for LimitTable<WHERE> {
    fn eq(&self, other: &LimitTable<WHERE>) -> bool {
        let values = |table: &LimitTable<WHERE>| {
            table.0.iter().map(|(limit, value)| (limit.name, value.value)).collect::<Vec<_>>()
        };
        values(self) == values(other)
    }
}

impl<const WHERE: usize> Field for LimitTable<WHERE> {
    const SHAPE: Shape = Shape::Limits(SCOPES[WHERE]);

    fn read(value: &Spanned<DeValue<'_>>, key: &KeyPath<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let header = key.header(false, findings.place_of(value));
        let Some(table) = value.get_ref().as_table() else {
            key.refuse(value, &format!("a table, written {header}"), findings);
            return None;
        };
        refuse_unknown(table, &header, Limits::ALL.iter().map(|limit| limit.name), findings);
        refuse_misplaced(table, &header, SCOPES[WHERE], findings);
        let mut is_good = true;
        let mut set = Vec::new();
        for limit in Self::known() {
            let Some(value) = table.get(limit.name) else { continue };
            match parse(limit, value.get_ref()) {
                Some(number) => set.push((limit, At { value: number, at: findings.place_of(value) })),
                None => {
                    KeyPath { table: &header, key: limit.name }.refuse(value, &allowed(limit), findings);
                    is_good = false;
                }
            }
        }
        is_good.then_some(LimitTable(set))
    }

    fn read_absent(_: &KeyPath<'_>, _: &mut Findings<'_>) -> Option<Self> {
        Some(LimitTable::default())
    }

    /// The node's table shows every limit, the others what differs.
    fn write_tables(&self, path: &str, out: &mut String) {
        let limits = self.apply(&Limits::default());
        let is_shown = |limit: &&Limit| WHERE == 0 || self.0.iter().any(|(set, _)| set.name == limit.name);
        let mut shown = Self::known().filter(is_shown).peekable();
        if shown.peek().is_some() {
            out.push_str(&format!("\n[{path}]\n"));
        }
        shown.for_each(|limit| out.push_str(&format!("{} = {}\n", limit.name, literal(limit, (limit.read)(&limits)))));
    }

    /// All limits can change at run time.
    fn reload_parts(running: &Self, new: &Self, key: &Key, place: &Place, changes: &mut Changes) -> Self {
        let set = |table: &Self, limit: &Limit| table.set(limit.name).map(|value| value.value);
        for limit in Self::known().filter(|limit| set(running, limit) != set(new, limit)) {
            changes.apply(place.limit(key, limit), &());
        }
        new.clone()
    }
}

/// Notes limits that cannot be set for this part.
fn refuse_misplaced(table: &DeTable<'_>, header: &Header, scopes: &[Scope], findings: &mut Findings<'_>) {
    for name in table.keys() {
        let Some(limit) = Limits::ALL.iter().find(|limit| limit.name == name.get_ref()) else { continue };
        let places = match limit.scope {
            _ if scopes.contains(&limit.scope) => continue,
            Scope::Node => "[limits]",
            Scope::Listener => "[limits] or [listen.limits]",
            Scope::Realm => "[limits] or [realm.limits]",
        };
        findings.add(Some(name.span().start), format!("{} cannot be set in {header}, only in {places}", limit.name));
    }
}

/// The number of a limit, in its unit; None when it is of another kind or out of range.
fn parse(limit: &Limit, value: &DeValue<'_>) -> Option<u64> {
    let number = match limit.unit {
        Unit::Bytes => Size::parse(value)?.0,
        Unit::Count => integer(value)?,
        Unit::Time => u64::try_from(Span::parse(value)?.0.as_micros()).ok()?,
    };
    (limit.min..=limit.max).contains(&number).then_some(number)
}

/// A number of this limit in TOML.
pub(super) fn literal(limit: &Limit, number: u64) -> String {
    match limit.unit {
        Unit::Bytes => Size(number).literal(),
        Unit::Count => number.to_string(),
        Unit::Time => Span(Duration::from_micros(number)).literal(),
    }
}

/// What this limit may be, to end a sentence.
pub(super) fn allowed(limit: &Limit) -> String {
    let (min, max) = (literal(limit, limit.min), literal(limit, limit.max));
    let what = match limit.unit {
        Unit::Bytes => "a size",
        Unit::Count => "a whole number",
        Unit::Time => "a duration",
    };
    format!("{what} from {min} to {max}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_reads_what_it_prints() {
        for limit in Limits::ALL {
            for number in [limit.min, limit.default, limit.max] {
                let literal = literal(limit, number);
                let value = DeValue::parse(&literal).unwrap();
                assert_eq!(parse(limit, value.get_ref()), Some(number), "{} = {literal}", limit.name);
            }
            for number in [limit.min.wrapping_sub(1), limit.max + 1] {
                let literal = literal(limit, number);
                let value = DeValue::parse(&literal).unwrap();
                assert_eq!(parse(limit, value.get_ref()), None, "{} = {literal}", limit.name);
            }
        }
    }
}
