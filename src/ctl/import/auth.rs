//! Who comes in: Crossbar.io's `auth` of a transport as `[listen.auth]`.

use super::document::{Item, Report, Section};
use super::draft::{Draft, quote};
use super::realms::Realms;

/// Converts the methods of a transport. None when none of them can be carried over, in which case the transport must
/// not be either: a listener without methods admits everybody.
pub(super) fn convert(item: &Item<'_>, realms: &Realms<'_>, report: &mut Report) -> Option<Draft> {
    let mut section = item.section(report)?;
    let mut draft = Draft::default();
    for method in ["anonymous", "ticket", "wampcra", "cryptosign"] {
        let Some(mut of_method) = section.take(method).and_then(|item| item.section(report)) else { continue };
        let path = of_method.path.clone();
        match of_method.take_text("type", report).unwrap_or("static") {
            "static" if method == "anonymous" => anonymous(&mut of_method, realms, &mut draft, report),
            "static" => principals(method, &mut of_method, &mut draft, report),
            "dynamic" => dynamic(method, &mut of_method, realms, &mut draft, report),
            other => {
                let sentence = format!("not carried over: of type {other:?} there is nothing here");
                report.remark(&path, sentence);
                of_method.rest();
            }
        }
        of_method.finish(report);
    }
    for (name, item) in section.rest() {
        report.remark(&item.path, format!("not carried over: there is no method '{name}' here"));
    }
    (!draft.is_empty()).then_some(draft)
}

fn anonymous(section: &mut Section<'_>, realms: &Realms<'_>, draft: &mut Draft, report: &mut Report) {
    draft.table("[listen.auth.anonymous]", &section.path);
    if let Some(role) = section.take("role")
        && let Some(name) = role.text(report)
    {
        draft.set("role", name, &role.path);
    }
    section.leave("authid", "not carried over: anonymous sessions get a name each", report);
    if let Some(realm) = section.take("realm")
        && realms.only().is_none_or(|only| realm.value != only)
    {
        report.remark(&realm.path, "not carried over: anonymous sessions may join every realm that has their role");
    }
}

/// The users of `ticket`, `wampcra` or `cryptosign`.
fn principals(method: &str, section: &mut Section<'_>, draft: &mut Draft, report: &mut Report) {
    let known_as = if method == "wampcra" { "users" } else { "principals" };
    section.leave("trustroots", "not carried over: certificates are not looked at, only keys", report);
    let Some(mut users) = section.take(known_as).and_then(|item| item.section(report)) else { return };
    for (name, item) in users.rest() {
        let Some(mut user) = item.section(report) else { continue };
        let mut lines = Draft::default();
        lines.table(&format!("[listen.auth.{method}.{known_as}.{}]", quote(name)), &item.path);
        let is_usable = match method {
            "ticket" => secret("ticket", &mut user, &mut lines, report),
            "wampcra" => secret("secret", &mut user, &mut lines, report) && salting(&mut user, &mut lines, report),
            _ => keys(&mut user, &mut lines, report),
        };
        for key in ["role", "realm"] {
            let value = if key == "role" { user.need(key, report) } else { user.take(key) };
            if let Some(value) = value
                && let Some(text) = value.text(report)
            {
                lines.set(key, text, &value.path);
            }
        }
        user.finish(report);
        if is_usable {
            draft.append(lines);
        }
    }
}

/// Whether there is a secret. `${NAME}` is a variable of the environment there as `env:NAME` is here.
fn secret(key: &str, user: &mut Section<'_>, lines: &mut Draft, report: &mut Report) -> bool {
    let Some(item) = user.need(key, report) else { return false };
    let Some(text) = item.text(report) else { return false };
    let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if variable.is_none() && (text == "***" || SOURCES.iter().any(|it| text.starts_with(it))) {
        report.mistake(&item.path, format!("a {key} that begins like this names something else here; change it first"));
        return false;
    }
    lines.set(key, variable.map_or_else(|| text.to_owned(), |name| format!("env:{name}")), &item.path);
    true
}

/// How a secret begins here that stands somewhere else.
const SOURCES: [&str; 3] = ["env:", "file:", "credential:"];

/// Salt, rounds and length go together; without a salt Crossbar.io ignores the others too.
fn salting(user: &mut Section<'_>, lines: &mut Draft, report: &mut Report) -> bool {
    let salt = user.take("salt");
    if let Some(salt) = &salt
        && let Some(text) = salt.text(report)
    {
        lines.set("salt", text, &salt.path);
    }
    for key in ["iterations", "keylen"] {
        let Some(item) = user.take(key) else { continue };
        match item.number(report) {
            Some(number) if salt.is_some() => lines.set(key, number as i64, &item.path),
            Some(_) => report.remark(&item.path, "not carried over: it has no meaning without a salt"),
            None => {}
        }
    }
    true
}

fn keys(user: &mut Section<'_>, lines: &mut Draft, report: &mut Report) -> bool {
    let Some(item) = user.need("authorized_keys", report) else { return false };
    lines.set("authorized_keys", item.texts(report), &item.path);
    true
}

fn dynamic(method: &str, section: &mut Section<'_>, realms: &Realms<'_>, draft: &mut Draft, report: &mut Report) {
    let path = section.path.clone();
    let Some(procedure) = section.need("authenticator", report) else { return };
    let Some(uri) = procedure.text(report) else { return };
    let realm = section.take("authenticator-realm");
    let name = realm.as_ref().and_then(|realm| realm.text(report)).or(realms.only());
    section.leave("authenticator-role", "not carried over: the router itself calls the authenticator", report);
    let Some(name) = name else {
        report.remark(&path, "not carried over: which realm its authenticator is registered in is not said");
        return;
    };
    draft.table(&format!("[listen.auth.{method}]"), &path);
    draft.set("authenticator", uri, &procedure.path);
    draft.set("authenticator_realm", name, &realm.map_or(path, |realm| realm.path));
}
