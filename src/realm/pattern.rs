//! What is known under URIs and patterns of URIs: subscriptions, registrations, permissions. Finds everything that
//! covers a URI (a publication goes to all of it) or the one best match (a call goes to it) without looking at the
//! rest.

mod prefix;
mod wildcard;

#[cfg(test)]
mod tests;

use crate::wamp::uri::{Match, n_components};
use crate::wire::allocated;
use prefix::PrefixTree;
use std::collections::HashMap;
use wildcard::WildcardTable;

/// Values by pattern; at most one per (uri, match policy).
#[derive(Debug)]
pub struct PatternTable<T> {
    exact: HashMap<String, T>,
    /// Of the texts in `exact`.
    exact_bytes: usize,
    prefix: PrefixTree<T>,
    wildcard: WildcardTable<T>,
}

impl<T> Default for PatternTable<T> {
    fn default() -> Self {
        let (prefix, wildcard) = (PrefixTree::default(), WildcardTable::default());
        PatternTable { exact: HashMap::new(), exact_bytes: 0, prefix, wildcard }
    }
}

impl<T> PatternTable<T> {
    /// Sets the value of one pattern and returns the old one.
    pub fn insert(&mut self, uri: &str, policy: Match, value: T) -> Option<T> {
        match policy {
            Match::Exact => {
                let before = self.exact.insert(uri.to_owned(), value);
                self.exact_bytes += if before.is_none() { allocated(uri.len()) } else { 0 };
                before
            }
            Match::Prefix => self.prefix.insert(uri, value),
            Match::Wildcard => self.wildcard.insert(uri, value),
        }
    }

    /// Takes the value of one pattern out.
    pub fn remove(&mut self, uri: &str, policy: Match) -> Option<T> {
        match policy {
            Match::Exact => {
                let before = self.exact.remove(uri);
                self.exact_bytes -= if before.is_some() { allocated(uri.len()) } else { 0 };
                before
            }
            Match::Prefix => self.prefix.remove(uri),
            Match::Wildcard => self.wildcard.remove(uri),
        }
    }

    /// The memory that the table takes, counted as patterns come and go.
    pub fn heap_bytes(&self) -> usize {
        let exact = self.exact.len() * hashed(size_of::<(String, T)>()) + self.exact_bytes;
        exact + self.prefix.heap_bytes() + self.wildcard.heap_bytes()
    }

    /// The memory that this pattern takes in a table of its own: what it can cost at most.
    pub fn bytes_alone(uri: &str, policy: Match) -> usize {
        match policy {
            Match::Exact => hashed(size_of::<(String, T)>()) + allocated(uri.len()),
            Match::Prefix => PrefixTree::<T>::bytes_alone(uri),
            Match::Wildcard => WildcardTable::<T>::bytes_alone(uri, n_components(uri)),
        }
    }

    /// The value of this very pattern.
    pub fn value(&self, uri: &str, policy: Match) -> Option<&T> {
        match policy {
            Match::Exact => self.exact.get(uri),
            Match::Prefix => self.prefix.value(uri),
            Match::Wildcard => self.wildcard.value(uri),
        }
    }

    /// What this pattern makes of the cost of finding URIs: with how many hash look-ups wildcard patterns are searched
    /// for a URI of as many components, once this one is in the table. Other policies cost one walk along the URI.
    pub fn probes_with(&self, uri: &str, policy: Match) -> usize {
        if policy == Match::Wildcard { self.wildcard.shapes_with(uri) } else { 0 }
    }

    /// Visits every pattern that covers `uri`: the exact one, prefixes from short to long, wildcards from more to less
    /// specific.
    pub fn for_each_match<'a>(&'a self, uri: &str, mut visit: impl FnMut(&'a T)) {
        if let Some(value) = self.exact.get(uri) {
            visit(value);
        }
        self.prefix.for_each_match(uri, &mut visit);
        self.wildcard.for_each_match(uri, &mut visit);
    }

    /// The one best match, by the specification's precedence: exact, then the longest prefix, then the wildcard pattern
    /// with the longest run of given components before its first wildcard, then before its second, and so on.
    pub fn best_match(&self, uri: &str) -> Option<&T> {
        self.exact.get(uri).or_else(|| self.prefix.longest_match(uri)).or_else(|| self.wildcard.best_match(uri))
    }
}

/// The memory that one entry of this size takes in a hash table, which is three quarters full on the way from one size
/// to the next.
pub(in crate::realm) const fn hashed(entry_bytes: usize) -> usize {
    (entry_bytes + 1) * 3 / 2
}
