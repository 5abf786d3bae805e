//! From what the file says to what it means: fills in what depends on something else, and checks what no single value
//! can know: references, duplicates, things that contradict each other.

use super::caution::cautions;
use super::host::Host;
use super::mistake::{Findings, nearest};
use super::raw;
use super::resolve_listen::listeners;
use super::resolved::{
    Address, Admin, Config, Effective, Listener, Log, Master, Mesh, Node, Peer, Purpose, Realm, SlowConsumerRule,
};
use super::table::{At, Scalar};
use super::value::{Disclose, SecretText, Text};
use crate::auth::Secret;
use crate::limits::Limits;
use crate::realm::permission::HistoryRule;
use crate::realm::{Action, Permission, RealmConfig, Role};
use crate::session::rate::Rates;
use crate::wamp::uri::{Match, UriCheck, is_reserved};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// None when something is wrong, which is then in `findings`; Some does not mean that nothing is. Fills computed
/// defaults into `file`.
pub(super) fn resolve(file: &mut raw::File, path: &Path, host: &Host, findings: &mut Findings<'_>) -> Option<Config> {
    if let Some(base) = path.parent() {
        make_absolute(file, base);
    }
    let limits = file.limits.apply(&Limits::default());
    if limits.event_delay_min > limits.event_delay_max {
        let sentence = "event_delay_min in [limits] is longer than event_delay_max, but it must not be";
        let at = file.limits.place("event_delay_min").or_else(|| file.limits.place("event_delay_max"));
        findings.add(at, sentence);
    }
    let places = ["message_bytes_max", "outbox_bytes_max"].map(|key| file.limits.place(key));
    refuse_unsendable(&limits, "[limits]", places, findings);
    let realms: Vec<Option<Realm>> = file.realm.iter().map(|raw| realm(raw, &limits, findings)).collect();
    refuse_duplicates("name", "[[realm]]", file.realm.iter().map(|realm| &realm.name), findings);
    let mesh = mesh(file, findings);
    let listeners = listeners(file, &limits, host, findings);
    if file.realm.is_empty() {
        findings.add(None, "there is no [[realm]], at least one is needed");
    }
    if let Some(master) = file.master.as_ref().filter(|master| master.url.0.starts_with("wss:")) {
        let url = master.url.literal();
        findings.add(master.url.at, format!("url = {url} in [master], but the master speaks no TLS: it must be ws://"));
    }
    let node = node(&mut file.node, host, findings);
    let listeners = listeners?;
    let realms = with_deciding(realms.into_iter().collect::<Option<_>>()?, &listeners);
    cautions(&realms, &listeners).into_iter().for_each(|caution| findings.warn(None, caution));
    Some(Config {
        path: path.to_owned(),
        node: node?,
        admin: Admin {
            listen: file.admin.listen.as_ref().map(|address| address.value.clone()),
            agent_listen: file.admin.agent_listen.as_ref().map(|address| address.value.clone()),
            allowed_hosts: file.admin.allowed_hosts.value.iter().map(|name| name.0.clone()).collect(),
        },
        log: Log { level: file.log.level.0.clone(), format: *file.log.format },
        realms,
        listeners,
        mesh,
        master: file.master.as_ref().map(|master| Master { url: master.url.0.clone(), public_key: *master.public_key }),
        limits,
        effective: Effective(file.clone(), findings.take_warnings()),
    })
}

/// A message that a listener takes has to fit into the outbox of whoever receives it. `places` are where either limit
/// is set in the table.
pub(super) fn refuse_unsendable(limits: &Limits, table: &str, places: [Option<usize>; 2], findings: &mut Findings<'_>) {
    let (message, outbox) = (limits.message_bytes_max, limits.outbox_bytes_max);
    if message > outbox {
        let sentence = format!(
            "message_bytes_max = {message} in {table} is more than outbox_bytes_max = {outbox}, but no receiver could \
             be sent such a message"
        );
        findings.add(places.into_iter().flatten().next(), sentence);
    }
}

/// The realms with the names of their procedures that decide about others.
fn with_deciding(mut realms: Vec<Realm>, listeners: &[Listener]) -> Vec<Realm> {
    for realm in &mut realms {
        let core = Arc::make_mut(&mut realm.core);
        let authenticators = listeners.iter().flat_map(|listener| listener.auth.authenticators());
        let authenticators = authenticators.filter(|found| found.realm == core.name).map(|found| &found.procedure);
        let authorizers = core.roles.iter().filter_map(|role| role.authorizer.as_ref());
        let deciding: BTreeSet<String> = authenticators.chain(authorizers).cloned().collect();
        core.deciding = deciding.into_iter().collect();
    }
    realms
}

/// Relative paths are relative to the configuration file.
fn make_absolute(file: &mut raw::File, base: &Path) {
    let fix = |path: &mut PathBuf| *path = base.join(&path);
    let fix_secret = |secret: &mut SecretText| {
        if let SecretText::File(path) = secret {
            fix(path);
        }
    };
    let fix_address = |address: &mut Address| {
        if let Address::Unix { path, .. } = address {
            fix(path);
        }
    };
    file.node.state_dir.iter_mut().for_each(|path| fix(&mut path.value));
    file.node.decoy_key.iter_mut().for_each(|secret| fix_secret(&mut secret.value));
    file.admin.listen.iter_mut().for_each(|address| fix_address(&mut address.value));
    file.admin.agent_listen.iter_mut().for_each(|address| fix_address(&mut address.value));
    for listen in &mut file.listen {
        fix_address(&mut listen.value.address.value);
        if let Some(tls) = &mut listen.value.tls {
            fix(&mut tls.certificate.value);
            fix(&mut tls.key.value);
            tls.client_ca.iter_mut().for_each(|path| fix(&mut path.value));
        }
        if let Some(auth) = &mut listen.value.auth {
            let tickets = auth.ticket.iter_mut().flat_map(|method| method.principals.values_mut());
            tickets.for_each(|principal| fix_secret(&mut principal.value.ticket.value));
            let users = auth.wampcra.iter_mut().flat_map(|method| method.users.values_mut());
            users.for_each(|user| fix_secret(&mut user.value.secret.value));
        }
    }
}

/// Where a node keeps its key: its default, where the file does not say.
pub(super) fn state_dir(raw: &mut raw::Node) -> &PathBuf {
    let default = || At { value: Path::new("/var/lib/crossbar").join(&raw.id.0), at: None };
    &raw.state_dir.get_or_insert_with(default).value
}

fn node(raw: &mut raw::Node, host: &Host, findings: &mut Findings<'_>) -> Option<Node> {
    let state_dir = state_dir(raw).clone();
    if raw.shards.0 != 1 {
        let sentence =
            format!("shards = {} in [node], but this version routes in one thread: it must be 1", raw.shards.0);
        findings.add(raw.shards.at, sentence);
    }
    let decoy_key = match &raw.decoy_key {
        None => None,
        Some(text) => Some(secret("decoy_key", "[node]", text, host, findings)?),
    };
    Some(Node {
        id: raw.id.0.clone(),
        state_dir,
        shards: raw.shards.0 as usize,
        drain_time: raw.drain_time.0,
        decoy_key,
    })
}

/// The secret that `text` is or names.
pub(super) fn secret(
    key: &str,
    table: &str,
    text: &At<SecretText>,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    let found = match &text.value {
        SecretText::Inline(secret) if secret.expose() == "***" => {
            Err(format!("{key} in {table} is masked, but it must be {}", SecretText::forms()))
        }
        SecretText::Inline(secret) => Ok(secret.clone()),
        SecretText::Environment(name) => match (host.environment)(name) {
            Some(value) if !value.is_empty() => Ok(Secret::new(value)),
            _ => Err(format!("{key} = \"env:{name}\" in {table}, but the environment has no such variable")),
        },
        SecretText::File(path) => {
            let refuse = |what: &str| Err(format!("{key} = \"file:{}\" in {table}: {what}", path.display()));
            match (host.read)(path).map(String::from_utf8) {
                Ok(Ok(text)) if !text.trim().is_empty() => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Ok(Ok(_)) => refuse("the file is empty"),
                Ok(Err(_)) => refuse("the file is not text"),
                Err(error) => refuse(&error.to_string()),
            }
        }
        SecretText::Credential(name) => {
            let refuse = |what: &str| Err(format!("{key} = \"credential:{name}\" in {table}{what}"));
            let directory = (host.environment)("CREDENTIALS_DIRECTORY").filter(|directory| !directory.is_empty());
            match directory.map(|directory| (host.read)(&Path::new(&directory).join(name)).map(String::from_utf8)) {
                None => refuse(", but systemd has given none: the unit needs LoadCredential="),
                Some(Ok(Ok(text))) if !text.trim().is_empty() => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Some(Ok(Ok(_))) => refuse(": the credential is empty"),
                Some(Ok(Err(_))) => refuse(": the credential is not text"),
                Some(Err(error)) => refuse(&format!(": {error}")),
            }
        }
    };
    found.map_err(|sentence| findings.add(text.at, sentence)).ok()
}

fn realm(raw: &raw::Realm, node_limits: &Limits, findings: &mut Findings<'_>) -> Option<Realm> {
    let name = &raw.name.0;
    if !UriCheck::Loose.is_name(name) {
        let sentence = format!("name = {name:?} in [[realm]], but it must be a URI such as \"com.example.realm1\"");
        findings.add(raw.name.at, sentence);
    } else if is_reserved(name) {
        findings.add(raw.name.at, format!("name = {name:?} in [[realm]], but names in \"wamp.\" are reserved"));
    }
    if raw.role.is_empty() {
        findings.add(raw.name.at, format!("realm '{name}' has no [[realm.role]], so nobody could join it"));
    }
    refuse_duplicates("name", "[[realm.role]]", raw.role.iter().map(|role| &role.name), findings);
    let uri_check = *raw.uri_check;
    let roles = raw.role.iter().map(|raw| role(raw, uri_check, findings)).collect();
    let check = |table, uri: &At<String>, policy: &At<Match>, findings: &mut Findings<'_>| {
        refuse_pattern(table, uri, policy, uri_check, findings);
        (uri.value.clone(), policy.value)
    };
    let mut history = Vec::new();
    for raw in &raw.history {
        let (uri, policy) = check("[[realm.history]]", &raw.uri, &raw.r#match, findings);
        history.push(HistoryRule { uri, policy, entries_max: raw.entries_max.0 as usize });
    }
    let mut slow_consumer_rules = Vec::new();
    for raw in &raw.slow_consumer_rule {
        let (uri, policy) = check("[[realm.slow_consumer_rule]]", &raw.uri, &raw.r#match, findings);
        slow_consumer_rules.push(SlowConsumerRule { uri, policy, action: *raw.action });
    }
    let core = RealmConfig {
        name: name.clone(),
        uri_check,
        roles,
        history,
        // Known when the listeners are.
        deciding: Vec::new(),
        local_first: *raw.local_first,
        limits: raw.limits.apply(node_limits),
    };
    Some(Realm {
        rates: raw.role.iter().map(|raw| (raw.name.0.clone(), rates(raw, findings))).collect(),
        core: Arc::new(core),
        request_ids: *raw.request_ids,
        slow_consumer: *raw.slow_consumer,
        slow_consumer_rules,
    })
}

fn rates(raw: &raw::Role, findings: &mut Findings<'_>) -> Rates {
    if let Some(bytes) = raw.bytes_per_second.as_ref().filter(|bytes| bytes.0 == 0) {
        findings.add(bytes.at, "bytes_per_second = 0 in [[realm.role]], but it must be at least 1");
    }
    Rates {
        messages_per_second: raw.messages_per_second.as_ref().map(|rate| rate.0),
        bytes_per_second: raw.bytes_per_second.as_ref().map(|rate| rate.0),
    }
}

fn role(raw: &raw::Role, uri_check: UriCheck, findings: &mut Findings<'_>) -> Role {
    if let (Some(authorizer), Some(_)) = (&raw.authorizer, raw.permission.first()) {
        let sentence =
            format!("role '{}' has an authorizer and permissions, but it must have one of the two", raw.name.0);
        findings.add(authorizer.at, sentence);
    }
    raw.authorizer.iter().for_each(|uri| refuse_procedure("authorizer", "[[realm.role]]", uri, findings));
    let mut permissions: Vec<Permission> = Vec::new();
    for raw in &raw.permission {
        refuse_pattern("[[realm.role.permission]]", &raw.uri, &raw.r#match, uri_check, findings);
        if permissions.iter().any(|other| other.uri == *raw.uri && other.policy == *raw.r#match) {
            let sentence = format!("uri = {:?} has two rules of match {:?} in one role", *raw.uri, raw.r#match.name());
            findings.add(raw.uri.at, sentence);
        }
        let allows = |action| raw.allow.contains(&action);
        permissions.push(Permission {
            uri: raw.uri.value.clone(),
            policy: *raw.r#match,
            call: allows(Action::Call),
            register: allows(Action::Register),
            publish: allows(Action::Publish),
            subscribe: allows(Action::Subscribe),
            disclose_caller: raw.disclose.contains(&Disclose::Caller),
            disclose_publisher: raw.disclose.contains(&Disclose::Publisher),
        });
    }
    Role { name: raw.name.0.clone(), permissions, authorizer: raw.authorizer.as_ref().map(|uri| uri.0.clone()) }
}

fn refuse_pattern(table: &str, uri: &At<String>, policy: &At<Match>, uri_check: UriCheck, findings: &mut Findings<'_>) {
    if !uri_check.is_pattern(uri, **policy) {
        let kind = match uri_check {
            UriCheck::Strict => "a strict",
            UriCheck::Loose => "a",
        };
        let sentence = format!("uri = {:?} in {table}, but it must be {kind} URI of match {:?}", **uri, policy.name());
        findings.add(uri.at, sentence);
    }
}

/// Notes a procedure of the configuration that could never be registered.
pub(super) fn refuse_procedure(key: &str, table: &str, uri: &At<Text>, findings: &mut Findings<'_>) {
    if !UriCheck::Loose.is_name(&uri.0) || is_reserved(&uri.0) {
        let sentence = format!("{key} = {:?} in {table}, but it must be the URI of a procedure", uri.0);
        findings.add(uri.at, sentence);
    }
}

fn mesh(file: &raw::File, findings: &mut Findings<'_>) -> Mesh {
    let raw = &file.mesh;
    refuse_duplicates("id", "[[mesh.peer]]", raw.peer.iter().map(|peer| &peer.id), findings);
    refuse_duplicates("public_key", "[[mesh.peer]]", raw.peer.iter().map(|peer| &peer.public_key), findings);
    for peer in raw.peer.iter().filter(|peer| peer.id.value == file.node.id.value) {
        findings.add(peer.id.at, format!("id = {:?} in [[mesh.peer]] is this node itself", peer.id.0));
    }
    for peer in &raw.peer {
        if matches!(peer.address.value, Address::Tcp { port: 0, .. }) {
            findings.add(peer.address.at, "address in [[mesh.peer]] has port 0, but it must say where the node is");
        }
    }
    let has_mesh_listener = file.listen.iter().any(|listen| *listen.purpose == Purpose::Mesh);
    if !raw.peer.is_empty() && !has_mesh_listener {
        findings.add(None, "there are [[mesh.peer]], but no [[listen]] with purpose = \"mesh\" for their links");
    }
    if file.master.is_some() && raw.advertise.is_none() {
        findings.add(None, "key 'advertise' is missing in [mesh], the master has to tell it to the other nodes");
    }
    Mesh {
        advertise: raw.advertise.as_ref().map(|address| address.value.clone()),
        peers: raw
            .peer
            .iter()
            .map(|peer| Peer {
                id: peer.id.0.clone(),
                address: peer.address.value.clone(),
                public_key: *peer.public_key,
            })
            .collect(),
    }
}

/// Notes every value that has been there before.
pub(super) fn refuse_duplicates<'a, T: Scalar + 'a>(
    key: &str,
    table: &str,
    values: impl Iterator<Item = &'a At<T>>,
    findings: &mut Findings<'_>,
) {
    let mut seen: Vec<&At<T>> = Vec::new();
    for value in values {
        if seen.contains(&value) {
            findings.add(value.at, format!("{key} = {} is there twice in {table}", value.literal()));
        }
        seen.push(value);
    }
}

/// `, did you mean 'x'?` when something is near.
pub(super) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    nearest(word, known).map_or_else(String::new, |nearest| format!(", did you mean '{nearest}'?"))
}
