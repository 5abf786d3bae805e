//! Realms, roles and permissions.

use super::deciding::Deciding;
use super::decisions::{self, Difference, Rule};
use super::document::{Item, Report, Section};
use super::draft::Draft;
use crate::wamp::uri::Match;
use std::collections::BTreeSet;

/// What listeners and links have to know of the realms.
#[derive(Debug, Default)]
pub(super) struct Realms<'d> {
    pub(super) known: Vec<Realm<'d>>,
    /// The router links of all of them.
    pub(super) links: Vec<Item<'d>>,
    pub(super) draft: Draft,
    /// What the whole document says of procedures that decide about others.
    pub(super) deciding: Deciding<'d>,
}

/// A realm that is carried over.
#[derive(Debug)]
pub(super) struct Realm<'d> {
    pub(super) name: &'d str,
    pub(super) path: String,
    /// The names of its roles, and where they are.
    pub(super) roles: Vec<(&'d str, String)>,
    pub(super) is_linked: bool,
}

impl<'d> Realms<'d> {
    /// The realm, where there is but one.
    pub(super) fn only(&self) -> Option<&'d str> {
        match self.known.as_slice() {
            [realm] => Some(realm.name),
            _ => None,
        }
    }

    pub(super) fn has_role(&self, name: &str) -> bool {
        self.known.iter().any(|realm| realm.roles.iter().any(|(role, _)| *role == name))
    }

    /// Converts one realm.
    pub(super) fn add(&mut self, item: &Item<'d>, report: &mut Report) {
        let Some(mut section) = item.section(report) else { return };
        section.take("id");
        let links = section.take_list("rlinks", report);
        let Some(name) = section.need("name", report).and_then(|name| name.text(report)) else { return };
        let roles = section.take_list("roles", report);
        if roles.is_empty() {
            report.remark(&item.path, "not carried over: the realm has no roles, so nobody could join it");
            return;
        }
        self.draft.table("[[realm]]", &item.path);
        self.draft.set("name", name, &format!("{}.name", item.path));
        if let Some(mut options) = section.take("options").and_then(|options| options.section(report)) {
            if let Some(check) = options.take("uri_check")
                && let Some(word) = check.text(report)
            {
                self.draft.set("uri_check", word, &check.path);
            }
            options.leave("event_dispatching_chunk_size", "not needed: receivers are served fairly as it is", report);
            options.leave("enable_meta_api", "not carried over: the meta API is always there", report);
            options.finish(report);
        }
        let deciding = self.deciding.of_realm(name, &roles);
        let read = |role: &Item<'d>| Some((self.role(role, &deciding, report)?, role.path.clone()));
        let roles = roles.iter().filter_map(read).collect();
        self.known.push(Realm { name, path: item.path.clone(), roles, is_linked: !links.is_empty() });
        if let Some(store) = section.take("store") {
            self.history(&store, report);
        }
        self.links.extend(links);
        section.finish(report);
    }

    /// Returns the name of the role. `deciding` are the procedures of its realm that decide about others.
    fn role(&mut self, item: &Item<'d>, deciding: &BTreeSet<&str>, report: &mut Report) -> Option<&'d str> {
        let mut section = item.section(report)?;
        section.take("id");
        let name = section.need("name", report)?.text(report)?;
        self.draft.table("[[realm.role]]", &item.path);
        self.draft.set("name", name, &format!("{}.name", item.path));
        let allows_all = section.take("allow-by-default").and_then(|item| item.boolean(report)) == Some(true);
        let authorizer = section.take("authorizer");
        if let Some(procedure) = authorizer.as_ref() {
            if let Some(uri) = procedure.text(report) {
                self.draft.set("authorizer", uri, &procedure.path);
            }
            section.leave("permissions", "not carried over: the role has an authorizer, which goes before", report);
        }
        let permissions = section.take_list("permissions", report);
        if allows_all && authorizer.is_none() && permissions.is_empty() {
            self.draft.table("[[realm.role.permission]]", &item.path);
            self.draft.set("uri", "", &item.path);
            self.draft.set("match", "prefix", &item.path);
            self.draft.set("allow", ACTIONS.to_vec(), &item.path);
            self.name_reserved("", Match::Prefix, &ACTIONS, &[], &item.path);
            let all = Rule { uri: String::new(), policy: Match::Prefix, grants: ACTIONS.to_vec() };
            self.name_deciding(&[all], std::slice::from_ref(&item.path), deciding, report);
        }
        let (carried, paths) = self.permissions(&permissions, report);
        if authorizer.is_none() {
            self.name_deciding(&carried, &paths, deciding, report);
        }
        section.finish(report);
        Some(name)
    }

    /// Returns the rules that are carried over, and where each of them is.
    fn permissions(&mut self, items: &[Item<'d>], report: &mut Report) -> (Vec<Rule>, Vec<String>) {
        let read = |item: &Item<'d>, report: &mut Report| -> Option<(String, Match, Section<'d>)> {
            let mut section = item.section(report)?;
            let uri = section.need("uri", report)?.text(report)?;
            let (uri, policy) = match section.take("match") {
                Some(word) => match Match::from_name(word.text(report)?) {
                    Some(policy) => (uri.to_owned(), policy),
                    None => {
                        report.mistake(&word.path, "it must be \"exact\", \"prefix\" or \"wildcard\"");
                        return None;
                    }
                },
                None => unstarred(uri),
            };
            Some((uri, policy, section))
        };
        let rules: Vec<_> = items.iter().filter_map(|item| read(item, report)).collect();
        let same = |n: usize| rules[n + 1..].iter().any(|rule| (&rule.0, rule.1) == (&rules[n].0, rules[n].1));
        let repeated: Vec<bool> = (0..rules.len()).map(same).collect();
        let (mut carried, mut paths) = (Vec::new(), Vec::new());
        for ((uri, policy, section), is_repeated) in rules.into_iter().zip(repeated) {
            if is_repeated {
                report.remark(&section.path, "not carried over: a later rule of the role is for the same URIs");
            } else {
                paths.push(section.path.clone());
                let grants = self.permission(&uri, policy, section, report);
                carried.push(Rule { uri, policy, grants });
            }
        }
        name_differences(&carried, &paths, report);
        (carried, paths)
    }

    /// Returns what the permission allows.
    fn permission(
        &mut self,
        uri: &str,
        policy: Match,
        mut section: Section<'d>,
        report: &mut Report,
    ) -> Vec<&'static str> {
        let path = section.path.clone();
        self.draft.table("[[realm.role.permission]]", &path);
        self.draft.set("uri", uri, &format!("{path}.uri"));
        self.draft.set("match", policy.name(), &path);
        let mut sets: [Vec<&'static str>; 2] = [Vec::new(), Vec::new()];
        let keys = [("allow", ACTIONS.as_slice()), ("disclose", &["caller", "publisher"])];
        for ((key, words), set) in keys.into_iter().zip(&mut sets) {
            let Some(mut flags) = section.take(key).and_then(|item| item.section(report)) else {
                self.draft.set(key, Vec::<String>::new(), &path);
                continue;
            };
            let is_set = |word: &&&str| flags.take(word).and_then(|flag| flag.boolean(report)) == Some(true);
            *set = words.iter().filter(is_set).copied().collect();
            self.draft.set(key, set.clone(), &format!("{path}.{key}"));
            flags.finish(report);
        }
        let [allow, disclose] = &sets;
        self.name_reserved(uri, policy, allow, disclose, &path);
        section.leave("cache", "not needed: rules are looked up fast as they are", report);
        section.leave("validate", "not carried over: payloads are not looked into", report);
        section.finish(report);
        sets.concat()
    }

    /// A rule of Crossbar.io covers the router's own procedures and topics where its pattern does; here it takes a rule
    /// that names them, which is written beside it.
    fn name_reserved(&mut self, uri: &str, policy: Match, allow: &[&str], disclose: &[&str], path: &str) {
        let named = match policy {
            Match::Prefix if RESERVED.starts_with(uri) && uri != RESERVED => RESERVED.to_owned(),
            Match::Wildcard if uri.starts_with('.') => format!("wamp{uri}"),
            _ => return,
        };
        let allow: Vec<&str> = allow.iter().filter(|action| ["call", "subscribe"].contains(action)).copied().collect();
        self.draft.table("[[realm.role.permission]]", path);
        self.draft.set("uri", named, path);
        self.draft.set("match", policy.name(), path);
        self.draft.set("allow", allow, path);
        self.draft.set("disclose", disclose.to_vec(), path);
    }

    /// In Crossbar.io whoever may register a pattern's names may register an authenticator or authorizer among them;
    /// here it takes a rule of exactly its URI. That rule grants for this URI what `rules` do.
    fn name_deciding(&mut self, rules: &[Rule], paths: &[String], deciding: &BTreeSet<&str>, report: &mut Report) {
        let table = decisions::table_of(rules);
        let deciders = deciding.iter().filter_map(|uri| Some((*uri, *table.best_match(uri)?)));
        for (uri, place) in deciders.filter(|(_, place)| rules[*place].policy != Match::Exact) {
            let Rule { grants, .. } = &rules[place];
            if !grants.contains(&"register") {
                continue;
            }
            let (allow, disclose): (Vec<&str>, Vec<&str>) = grants.iter().partition(|word| ACTIONS.contains(word));
            self.draft.table("[[realm.role.permission]]", &paths[place]);
            self.draft.set("uri", uri, &paths[place]);
            self.draft.set("allow", allow, &paths[place]);
            self.draft.set("disclose", disclose, &paths[place]);
            let sentence = format!(
                "the role may register {uri:?}, which decides about others; here it may by a rule of exactly this URI, \
                 which only the role that answers it should keep"
            );
            report.remark(&paths[place], sentence);
        }
    }

    /// Event history that is kept in memory.
    fn history(&mut self, item: &Item<'d>, report: &mut Report) {
        let Some(mut store) = item.section(report) else { return };
        match store.take_text("type", report) {
            Some("memory") => {}
            _ => {
                report.remark(&item.path, "not carried over: event history is kept in memory only");
                return;
            }
        }
        let limit = store.take("limit").and_then(|limit| limit.number(report)).unwrap_or(HISTORY_LIMIT);
        for rule in store.take_list("event-history", report) {
            let Some(mut section) = rule.section(report) else { continue };
            self.draft.table("[[realm.history]]", &rule.path);
            for (from, to) in [("uri", "uri"), ("match", "match")] {
                if let Some(value) = section.take(from)
                    && let Some(text) = value.text(report)
                {
                    self.draft.set(to, text, &value.path);
                }
            }
            let own = section.take("limit").and_then(|limit| limit.number(report));
            self.draft.set("entries_max", own.unwrap_or(limit) as i64, &format!("{}.limit", rule.path));
            section.finish(report);
        }
        store.finish(report);
    }
}

/// Names the rules by which a name is decided about otherwise than in Crossbar.io. `paths` says where each rule is.
fn name_differences(rules: &[Rule], paths: &[String], report: &mut Report) {
    for (rule, path) in rules.iter().zip(paths).filter(|(rule, _)| rule.uri.contains('<')) {
        report.remark(path, format!("{:?} is no pattern here: a wildcard is an empty component", rule.uri));
    }
    let Some(differences) = decisions::differences(rules) else {
        if let Some(path) = paths.first() {
            let sentence = "the role has too many wildcard rules to compare what they decide here and in Crossbar.io";
            report.remark(path, sentence);
        }
        return;
    };
    for (Difference { here, there }, name) in differences {
        let decides = |rule: Option<usize>| match rule {
            Some(index) if rules[index].grants.is_empty() => format!("{} denies it", paths[index]),
            Some(index) => format!("{} allows {}", paths[index], rules[index].grants.join(", ")),
            None => "no rule decides, so it is denied".to_owned(),
        };
        let Some(path) = here.or(there).map(|index| &paths[index]) else { continue };
        let sentence =
            format!("decides otherwise: of {name:?}, here {}, in Crossbar.io {}", decides(here), decides(there));
        report.remark(path, sentence);
    }
}

/// The URI and the policy that Crossbar.io takes a URI for that may have stars and comes without a policy.
fn unstarred(uri: &str) -> (String, Match) {
    match uri.matches('*').count() {
        0 => (uri.to_owned(), Match::Exact),
        1 if uri.ends_with('*') => (uri[..uri.len() - 1].to_owned(), Match::Prefix),
        _ => (uri.replace('*', ""), Match::Wildcard),
    }
}

/// The namespace of the router.
const RESERVED: &str = "wamp.";
const ACTIONS: [&str; 4] = ["call", "register", "publish", "subscribe"];
/// What Crossbar.io keeps where the rule does not say.
const HISTORY_LIMIT: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_say_how_a_uri_matches() {
        for (starred, uri, policy) in [
            ("com.example.topic1", "com.example.topic1", Match::Exact),
            ("com.example.*", "com.example.", Match::Prefix),
            ("*", "", Match::Prefix),
            ("com.*.delete", "com..delete", Match::Wildcard),
            ("com.*.delete.*", "com..delete.", Match::Wildcard),
        ] {
            assert_eq!(unstarred(starred), (uri.to_owned(), policy), "{starred}");
        }
    }
}
