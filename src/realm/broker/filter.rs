//! Whom a publication is for, and not for: the six lists of its options.

use crate::limits::Limits;
use crate::wamp::{Id, Identity};
use crate::wire::{Dict, Value};
use std::cmp::Ordering;
use std::sync::Arc;

/// The lists that a publication has. A list that is there but empty counts: `eligible: []` is for nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// All lists are sorted.
    eligible: Option<Box<[Id]>>,
    eligible_authid: Option<Words>,
    eligible_authrole: Option<Words>,
    exclude: Box<[Id]>,
    exclude_authid: Words,
    exclude_authrole: Words,
}

/// Sorted words in one piece: kept with a retained event or a history, a list of words takes about the memory that its
/// message took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Words {
    text: Box<str>,
    /// Where each word ends in the text.
    ends: Box<[u32]>,
}

impl Words {
    /// What is not a word is nobody's, so it can be left out.
    fn of(list: &[Value]) -> Words {
        let mut words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        words.sort_unstable();
        words.dedup();
        let mut end = 0;
        let ends = words.iter().map(|word| {
            end += word.len();
            // Messages are shorter than 2^30 bytes.
            u32::try_from(end).unwrap_or(u32::MAX)
        });
        let ends = ends.collect();
        Words { text: words.concat().into(), ends }
    }

    fn contains(&self, word: &str) -> bool {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.word(middle).cmp(word) {
                Ordering::Equal => return true,
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        false
    }

    fn word(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.text.get(start..end(index)).unwrap_or_default()
    }

    fn heap_bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }
}

impl Filter {
    /// Reads PUBLISH.Options; `None` when there is no list, so that the common case costs nothing per receiver. The
    /// error names the list that is longer than `publish_list_max`.
    pub(super) fn from_options(options: &Dict, limits: &Limits) -> Result<Option<Arc<Filter>>, String> {
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
                "eligible_authid" => filter.eligible_authid = Some(Words::of(list)),
                "eligible_authrole" => filter.eligible_authrole = Some(Words::of(list)),
                "exclude" => filter.exclude = ids(list),
                "exclude_authid" => filter.exclude_authid = Words::of(list),
                _ => filter.exclude_authrole = Words::of(list),
            }
        }
        Ok(any.then(|| Arc::new(filter)))
    }

    /// Whether the session with this identity may have the publication.
    pub(super) fn admits(&self, identity: &Identity) -> bool {
        let eligible = |list: &Option<Words>, word| list.as_ref().is_none_or(|list| list.contains(word));
        self.eligible.as_ref().is_none_or(|list| list.binary_search(&identity.session).is_ok())
            && eligible(&self.eligible_authid, &identity.authid)
            && eligible(&self.eligible_authrole, &identity.authrole)
            && self.exclude.binary_search(&identity.session).is_err()
            && !self.exclude_authid.contains(&identity.authid)
            && !self.exclude_authrole.contains(&identity.authrole)
    }

    /// The only sessions that the publication can be for, if it says so.
    pub(super) fn eligible_sessions(&self) -> Option<&[Id]> {
        self.eligible.as_deref()
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let words = [&self.exclude_authid, &self.exclude_authrole].into_iter();
        let words =
            words.chain(&self.eligible_authid).chain(&self.eligible_authrole).map(Words::heap_bytes).sum::<usize>();
        let ids = self.exclude.len() + self.eligible.as_ref().map_or(0, |list| list.len());
        size_of::<Filter>() + words + ids * size_of::<Id>()
    }

    /// Whether it names sessions. Such a publication means nothing to those who come later.
    pub(super) fn names_sessions(&self) -> bool {
        self.eligible.is_some() || !self.exclude.is_empty()
    }
}

/// What is not an id is nobody's, so it can be left out.
fn ids(list: &[Value]) -> Box<[Id]> {
    let mut ids: Vec<Id> = list.iter().filter_map(Value::as_uint).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into()
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
    fn words_are_found_in_any_list() {
        for n in 0..20 {
            let list: Vec<Value> = (0..n).rev().map(|k| Value::from("ab".repeat(k * 7 % 20).as_str())).collect();
            let words = Words::of(&list);
            for k in 0..25 {
                let word = "ab".repeat(k);
                assert_eq!(words.contains(&word), list.contains(&word.as_str().into()), "{word:?} in {list:?}");
            }
        }
    }

    #[test]
    fn a_kept_list_takes_about_the_memory_of_its_message() {
        let list = Value::List((0..10_000).map(|n| format!("user{n}").into()).collect());
        let sent: usize = list.as_list().unwrap().iter().map(|word| word.as_str().unwrap().len() + 1).sum();
        let filter = Filter::from_options(&Dict::new().with("exclude_authid", list), &Limits::default());
        let kept = filter.unwrap().unwrap().bytes();
        assert!(kept < sent * 2, "{kept} bytes kept of {sent} sent");
    }

    #[test]
    fn long_lists_are_refused_by_name() {
        let limits = Limits { publish_list_max: 2, ..Limits::default() };
        let options = Dict::new().with("exclude", Value::List(vec![1u64.into(); 3]));
        let sentence = Filter::from_options(&options, &limits).expect_err("the list is too long");
        assert!(sentence.contains("exclude has 3") && sentence.contains("publish_list_max is 2"), "{sentence}");
    }
}
