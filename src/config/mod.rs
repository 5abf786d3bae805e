//! The configuration file: read, checked and explained. `raw` is what the file says, `resolved` is what it means; every
//! mistake on the way is one sentence for the operator.

mod caution;
pub mod host;
mod limit_table;
pub mod live;
pub mod master;
mod mistake;
pub mod node_key;
pub mod origin;
mod raw;
mod reference;
mod resolve;
mod resolve_auth;
mod resolve_listen;
mod resolve_tls;
pub mod resolved;
mod running;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use host::Host;
pub use live::Changes;
pub use master::MasterConfig;
pub use mistake::{Mistake, Mistakes};
pub use reference::{KeyFacts, keys, master_keys, master_reference, reference};
pub use resolved::{Address, Config, Listener, ListenerId, Realm};
pub use running::RunningFile;
pub use value::check_log_filter;

use crate::auth::Secret;
use crate::session::admission::{self, Admission};
use mistake::Findings;
use sha2::{Digest, Sha256};
use std::net::ToSocketAddrs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use table::{Header, Table};
use toml::de::DeTable;

/// Reads, checks and resolves a configuration file on this machine.
pub fn load(path: &Path) -> Result<Config, Mistakes> {
    load_with(path, |name, text, path| {
        let mut config = parse_named(name, text, path, &Host::SYSTEM)?;
        // A key that cannot be used is the business of whoever needs it; unknown users then get other decoys.
        if let (None, Ok(Some(key))) = (&config.node.decoy_key, node_key::read(&config.node.state_dir)) {
            config.node.decoy_key = Some(node_key::decoy_key(&key));
        }
        Ok(config)
    })
}

/// Where the node of a file keeps its key. `[node]` alone is read, since the key may be wanted before the rest is
/// written.
pub fn state_dir(path: &Path) -> Result<PathBuf, Mistakes> {
    load_with(path, |name, text, path| {
        read_some_tables(name, text, "node", |mut file: raw::File, _| {
            let state_dir = resolve::state_dir(&mut file.node).clone();
            Some(path.parent().map_or(state_dir.clone(), |base| base.join(&state_dir)))
        })
    })
}

/// As [`load`], for a program that is to run: what it finds wrong at its start, beside the file, is a mistake too.
pub fn load_to_run(path: &Path) -> Result<Config, Mistakes> {
    let config = load(path)?;
    let mut sentences = Vec::new();
    if let Err(sentence) = config.usable_key() {
        sentences.push(sentence);
    }
    sentences.extend(config.listens_on().filter_map(|address| unusable(address).err()));
    if sentences.is_empty() { Ok(config) } else { Err(mistakes_of_machine(path, sentences)) }
}

/// Whether a socket can be bound there, as far as it does not depend on what else is running. The error is one
/// sentence.
fn unusable(address: &Address) -> Result<(), String> {
    match address {
        Address::Tcp { host, port } => match (host.as_str(), *port).to_socket_addrs() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot listen on {address}: {error}")),
        },
        Address::Unix { path, .. } => match path.symlink_metadata() {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                Err(format!("cannot listen on {address}: there is a file that is no socket"))
            }
            _ => Ok(()),
        },
    }
}

fn mistakes_of_machine(path: &Path, sentences: Vec<String>) -> Mistakes {
    let file = path.display().to_string();
    let mistake = |sentence| Mistake { file: file.clone(), place: None, sentence };
    Mistakes(sentences.into_iter().map(mistake).collect())
}

/// Checks and resolves `text` as if it were the file `path` of `host`.
pub fn parse(text: &str, path: &Path, host: &Host) -> Result<Config, Mistakes> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string());
    parse_named(&name, text, path, host)
}

fn parse_named(name: &str, text: &str, path: &Path, host: &Host) -> Result<Config, Mistakes> {
    read_tables(name, text, |mut file: raw::File, findings| resolve::resolve(&mut file, path, host, findings))
}

/// Reads a file, and has `parse` make of it what it is, by the name that was given, its text and its absolute path.
fn load_with<T>(path: &Path, parse: impl FnOnce(&str, &str, &Path) -> Result<T, Mistakes>) -> Result<T, Mistakes> {
    let name = path.display().to_string();
    let read = |path: &Path| -> Result<(String, PathBuf), String> {
        let bytes = host::read_file(path).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())?;
        Ok((text, std::path::absolute(path).map_err(|error| error.to_string())?))
    };
    match read(path) {
        Ok((text, path)) => parse(&name, &text, &path),
        Err(sentence) => Err(Mistakes(vec![Mistake { file: name, place: None, sentence }])),
    }
}

/// Reads text as the tables of `F`, and resolves them.
fn read_tables<F: Table, T>(
    name: &str,
    text: &str,
    resolve: impl FnOnce(F, &mut Findings<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    read_document(name, text, |_| true, resolve)
}

/// As `read_tables`, of the table with this name alone. The rest need not be right, but it must be TOML.
fn read_some_tables<F: Table, T>(
    name: &str,
    text: &str,
    table: &str,
    resolve: impl FnOnce(F, &mut Findings<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    read_document(name, text, |name| name == table, resolve)
}

fn read_document<F: Table, T>(
    name: &str,
    text: &str,
    is_wanted: impl Fn(&str) -> bool,
    resolve: impl FnOnce(F, &mut Findings<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let mut findings = Findings::new(name, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        findings.add(error.span().map(|span| span.start), error.message().lines().collect::<Vec<_>>().join(", "));
    }
    // What follows a syntax error would be a mistake only because of it.
    if !errors.is_empty() {
        return findings.finish(None);
    }
    let wanted: DeTable<'_> = document.into_inner().into_iter().filter(|(name, _)| is_wanted(name.get_ref())).collect();
    let file = F::read_table(&wanted, &Header::top(), &mut findings);
    let resolved = file.and_then(|file| resolve(file, &mut findings));
    findings.finish(resolved)
}

impl Config {
    /// The configuration in force as a file: every default filled in, secrets masked. It loads again, unless secrets
    /// were written into the file, which then have to be filled in.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.effective.0.write_table("", &mut out);
        out.trim_start().to_owned()
    }

    /// The node's key, which links and the master need. The error is one sentence.
    fn usable_key(&self) -> Result<(), String> {
        let state_dir = &self.node.state_dir;
        let key = node_key::read(state_dir).map_err(|error| error.to_string())?;
        let Some(key) = key else {
            return match self.mesh.peers.is_empty() && self.master.is_none() {
                true => Ok(()),
                false => Err(format!(
                    "{}: there is no node key, but [[mesh.peer]] or [master] need one; make one with `crossbar-edge \
                     keygen --config {}`",
                    state_dir.display(),
                    self.path.display(),
                )),
            };
        };
        match self.mesh.peers.iter().find(|peer| peer.public_key == key.public()) {
            Some(peer) => Err(format!("public_key of [[mesh.peer]] '{}' is that of this node itself", peer.id)),
            None => Ok(()),
        }
    }

    /// Of that part of the configuration in which the nodes of a cluster should be alike: 16 hex digits.
    pub fn digest(&self) -> String {
        const OWN: [&str; 6] = ["[node]", "[log]", "[admin]", "[mesh]", "[[mesh.peer]]", "[master]"];
        let mut hash = Sha256::new();
        let mut is_own = false;
        for line in self.to_toml().lines() {
            if line.starts_with('[') {
                is_own = OWN.contains(&line);
            }
            if !is_own && !line.starts_with("address = ") {
                hash.update(line.as_bytes());
                hash.update(b"\n");
            }
        }
        hex::encode(&hash.finalize()[..8])
    }

    /// What `session` needs to decide who comes in through `listener`.
    pub fn admission(&self, listener: &Listener) -> Admission {
        let realm = |realm: &Realm| {
            let roles = realm.core.roles.iter().map(|role| role.name.clone()).collect();
            (realm.core.name.clone(), admission::Realm { roles, request_ids: realm.request_ids })
        };
        Admission {
            node: admission::Node { id: self.node.id.clone(), pid: std::process::id() },
            realms: self.realms.iter().map(realm).collect(),
            methods: listener.auth.clone(),
            decoy_key: self.node.decoy_key.clone().unwrap_or_else(|| DECOY_KEY.clone()),
            limits: listener.limits.clone(),
        }
    }
}

/// Takes the place of a decoy key where there is neither one nor a node key: another one at each start, but the same
/// on all listeners and after each reload, so that asking twice tells nothing.
static DECOY_KEY: LazyLock<Secret> = LazyLock::new(|| Secret::new(hex::encode(rand::random::<[u8; 32]>())));
