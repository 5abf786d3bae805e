//! Whom a publication is for, and not for: the six lists of its options.

use crate::limits::Limits;
use crate::wamp::{Id, Identity};
use crate::wire::{Dict, Value};

/// The lists that a publication has. A list that is there but empty counts: `eligible: []` is for nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// All lists are sorted.
    eligible: Option<Vec<Id>>,
    eligible_authid: Option<Vec<String>>,
    eligible_authrole: Option<Vec<String>>,
    exclude: Vec<Id>,
    exclude_authid: Vec<String>,
    exclude_authrole: Vec<String>,
}

impl Filter {
    /// Reads PUBLISH.Options; `None` when there is no list, so that the common case costs nothing per receiver. The
    /// error names the list that is longer than `publish_list_max`.
    pub(super) fn from_options(options: &Dict, limits: &Limits) -> Result<Option<Box<Filter>>, String> {
        let mut filter = Filter::default();
        let mut any = false;
        for (key, value) in options.iter() {
            let Some(list) = value.as_list().filter(|_| KEYS.contains(&key)) else { continue };
            if list.len() > limits.publish_list_max {
                return Err(format!(
                    "{key} has {} entries, publish_list_max is {}",
                    list.len(),
                    limits.publish_list_max
                ));
            }
            any = true;
            match key {
                "eligible" => filter.eligible = Some(ids(list)),
                "eligible_authid" => filter.eligible_authid = Some(words(list)),
                "eligible_authrole" => filter.eligible_authrole = Some(words(list)),
                "exclude" => filter.exclude = ids(list),
                "exclude_authid" => filter.exclude_authid = words(list),
                _ => filter.exclude_authrole = words(list),
            }
        }
        Ok(any.then(|| Box::new(filter)))
    }

    /// Whether the session with this identity may have the publication.
    pub(super) fn admits(&self, identity: &Identity) -> bool {
        let eligible = |list: &Option<Vec<String>>, word| list.as_ref().is_none_or(|list| contains(list, word));
        self.eligible.as_ref().is_none_or(|list| list.binary_search(&identity.session).is_ok())
            && eligible(&self.eligible_authid, &identity.authid)
            && eligible(&self.eligible_authrole, &identity.authrole)
            && self.exclude.binary_search(&identity.session).is_err()
            && !contains(&self.exclude_authid, &identity.authid)
            && !contains(&self.exclude_authrole, &identity.authrole)
    }

    /// The only sessions that the publication can be for, if it says so.
    pub(super) fn eligible_sessions(&self) -> Option<&[Id]> {
        self.eligible.as_deref()
    }

    /// Whether it names sessions. Such a publication means nothing to those who come later.
    pub(super) fn names_sessions(&self) -> bool {
        self.eligible.is_some() || !self.exclude.is_empty()
    }
}

fn contains(list: &[String], word: &str) -> bool {
    list.binary_search_by(|entry| entry.as_str().cmp(word)).is_ok()
}

/// What is not an id is nobody's, so it can be left out.
fn ids(list: &[Value]) -> Vec<Id> {
    let mut ids: Vec<Id> = list.iter().filter_map(Value::as_uint).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn words(list: &[Value]) -> Vec<String> {
    let mut words: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    words.sort_unstable();
    words
}

const KEYS: [&str; 6] =
    ["eligible", "eligible_authid", "eligible_authrole", "exclude", "exclude_authid", "exclude_authrole"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::tests::identity;

    #[test]
    fn a_receiver_passes_all_lists() {
        let admits = |options: Dict| {
            let filter = Filter::from_options(&options, &Limits::default()).expect("short lists");
            filter.expect("there is a list").admits(&identity(7, "ada", "user"))
        };
        let list = |values: &[&str]| Value::List(values.iter().map(|word| (*word).into()).collect());
        let ids = |values: &[u64]| Value::List(values.iter().map(|id| (*id).into()).collect());
        for (key, value, expected) in [
            ("eligible", ids(&[]), false),
            ("eligible", ids(&[9, 7]), true),
            ("eligible", ids(&[9]), false),
            ("eligible_authid", list(&["bob", "ada"]), true),
            ("eligible_authid", list(&["bob"]), false),
            ("eligible_authrole", list(&[]), false),
            ("exclude", ids(&[]), true),
            ("exclude", ids(&[9, 7]), false),
            ("exclude_authid", list(&["ada"]), false),
            ("exclude_authrole", list(&["user"]), false),
            ("exclude_authrole", list(&["admin"]), true),
        ] {
            assert_eq!(admits(Dict::new().with(key, value.clone())), expected, "{key} {value:?}");
        }
        assert!(!admits(Dict::new().with("eligible", ids(&[7])).with("exclude_authrole", list(&["user"]))));
    }

    #[test]
    fn long_lists_are_refused_by_name() {
        let limits = Limits { publish_list_max: 2, ..Limits::default() };
        let options = Dict::new().with("exclude", Value::List(vec![1u64.into(); 3]));
        let sentence = Filter::from_options(&options, &limits).expect_err("the list is too long");
        assert!(sentence.contains("exclude has 3") && sentence.contains("publish_list_max is 2"), "{sentence}");
    }
}
