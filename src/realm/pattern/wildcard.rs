//! Wildcard patterns, by shape: the number of components, and which of them are given. Patterns of one shape differ in
//! the text of the given components only, so one look-up by that text finds the one that covers a URI. Finding all
//! matches costs one look-up per shape that has as many components as the URI, however many patterns there are.

use super::hashed;
use crate::wamp::uri::n_components;
use crate::wire::allocated;
use std::collections::{BTreeMap, HashMap};

/// Values by wildcard pattern.
#[derive(Debug)]
pub(super) struct WildcardTable<T> {
    /// By the number of components; each list goes from the most to the least specific shape.
    shapes: BTreeMap<usize, Vec<Shape<T>>>,
    /// What all shapes and patterns take.
    bytes: usize,
}

#[derive(Debug)]
struct Shape<T> {
    /// For each component, whether it is given; a component that is not stands for any one.
    given: Box<[bool]>,
    patterns: HashMap<Box<str>, T>,
}

impl<T> Default for WildcardTable<T> {
    fn default() -> Self {
        WildcardTable { shapes: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> WildcardTable<T> {
    pub(super) fn insert(&mut self, pattern: &str, value: T) -> Option<T> {
        let given = given_components(pattern);
        let shapes = self.shapes.entry(given.len()).or_default();
        self.bytes += Self::pattern_bytes(pattern);
        match position(shapes, &given) {
            Ok(index) => {
                let replaced = shapes.get_mut(index)?.patterns.insert(pattern.into(), value);
                self.bytes -= if replaced.is_some() { Self::pattern_bytes(pattern) } else { 0 };
                replaced
            }
            Err(index) => {
                self.bytes += Self::shape_bytes(given.len());
                let patterns = HashMap::from([(pattern.into(), value)]);
                shapes.insert(index, Shape { given, patterns });
                None
            }
        }
    }

    pub(super) fn remove(&mut self, pattern: &str) -> Option<T> {
        let given = given_components(pattern);
        let shapes = self.shapes.get_mut(&given.len())?;
        let index = position(shapes, &given).ok()?;
        let patterns = &mut shapes.get_mut(index)?.patterns;
        let removed = patterns.remove(pattern)?;
        self.bytes -= Self::pattern_bytes(pattern);
        if patterns.is_empty() {
            self.bytes -= Self::shape_bytes(given.len());
            shapes.remove(index);
        }
        if shapes.is_empty() {
            self.shapes.remove(&given.len());
        }
        Some(removed)
    }

    /// The memory that the table takes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that one pattern of so many components takes at most, with a shape of its own.
    pub(super) fn bytes_alone(pattern: &str, n_components: usize) -> usize {
        Self::pattern_bytes(pattern) + Self::shape_bytes(n_components)
    }

    fn pattern_bytes(pattern: &str) -> usize {
        hashed(size_of::<(Box<str>, T)>()) + allocated(pattern.len())
    }

    fn shape_bytes(n_components: usize) -> usize {
        // Also the smallest table of patterns, and a place among the numbers of components.
        size_of::<Shape<T>>() * 3 / 2 + allocated(n_components) + TABLE_BYTES
    }

    pub(super) fn value(&self, pattern: &str) -> Option<&T> {
        let given = given_components(pattern);
        let shapes = self.shapes.get(&given.len())?;
        shapes.get(position(shapes, &given).ok()?)?.patterns.get(pattern)
    }

    /// How many shapes with as many components as this pattern there are once it is in the table: what a look-up of
    /// such a URI costs.
    pub(super) fn shapes_with(&self, pattern: &str) -> usize {
        let given = given_components(pattern);
        let Some(shapes) = self.shapes.get(&given.len()) else { return 1 };
        shapes.len() + usize::from(position(shapes, &given).is_err())
    }

    pub(super) fn for_each_match<'a>(&'a self, uri: &str, visit: &mut impl FnMut(&'a T)) {
        self.matches(uri).for_each(visit);
    }

    pub(super) fn best_match(&self, uri: &str) -> Option<&T> {
        self.matches(uri).next()
    }

    /// All matches, from the most to the least specific.
    fn matches<'a>(&'a self, uri: &str) -> impl Iterator<Item = &'a T> {
        let mut pattern = String::new();
        self.shapes.get(&n_components(uri)).into_iter().flatten().filter_map(move |shape| {
            shape.write_pattern(uri, &mut pattern);
            shape.patterns.get(pattern.as_str())
        })
    }
}

impl<T> Shape<T> {
    /// Writes the only pattern of this shape that covers `uri`, which has as many components.
    fn write_pattern(&self, uri: &str, pattern: &mut String) {
        pattern.clear();
        for (index, (component, given)) in uri.split('.').zip(&self.given).enumerate() {
            if index > 0 {
                pattern.push('.');
            }
            if *given {
                pattern.push_str(component);
            }
        }
    }
}

/// What a hash table takes before it grows, less what its entries are counted for.
const TABLE_BYTES: usize = 96;

/// Where the shape is in a list, or would be. Of two shapes that first differ in a component, the one that gives it has
/// the longer run of given components before that wildcard, and so the specification's precedence.
fn position<T>(shapes: &[Shape<T>], given: &[bool]) -> Result<usize, usize> {
    shapes.binary_search_by(|shape| given.cmp(&shape.given))
}

fn given_components(pattern: &str) -> Box<[bool]> {
    pattern.split('.').map(|component| !component.is_empty()).collect()
}
