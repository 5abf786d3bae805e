//! The configuration of the master: what its file may say, and what it means.

use super::host::Host;
use super::live::{Changes, Place};
use super::mistake::{Findings, Mistakes};
use super::node_key;
use super::raw::Log;
use super::resolve::{refuse_duplicates, secret};
use super::resolved::{self, Address};
use super::table::{At, Table, tables};
use super::value::{HostName, Name, NodeId, SecretText};
use crate::auth::Secret;
use crate::auth::cryptosign::{PublicKey, SecretKey};
use std::path::{Path, PathBuf};

tables! {
    /// The whole file.
    File {
        /// Who the master is, and where it is found.
        parts master: Settings;
        /// What is logged, and how it looks.
        parts log: Log;
        /// A node that belongs to the cluster. More are added, and these removed, with `crossbarctl node`.
        live node: Vec<At<Node>>;
        /// Somebody who may steer the cluster, besides whoever can read the operator's key in `state_dir`.
        live operator: Vec<At<Operator>>;
    }

    Settings {
        /// Its name; by default that of its host.
        restart id: Option<At<Name>>;
        /// Where its keys and what it remembers are kept.
        restart state_dir: At<PathBuf> = "\"/var/lib/crossbar/master\"";
        /// Where the dashboard, the API, the metrics, and WAMP at `/ws` are found.
        restart listen: At<Address> = "\"0.0.0.0:9000\"";
        /// The names by which the dashboard and the other pages may be asked for, beside addresses, `localhost` and the
        /// name of this host. Another name in `Host` may be that of a stranger's page.
        restart allowed_hosts: At<Vec<HostName>> = "[]";
    }

    Node {
        /// Its name.
        live id: At<NodeId>;
        /// Where the other nodes reach it.
        live address: At<Address>;
        /// The public half of its node key, as its `keygen` prints it.
        live public_key: At<PublicKey>;
    }

    Operator {
        /// Their name.
        live id: At<Name>;
        /// The public half of the key with which they use `crossbarctl`.
        live public_key: Option<At<PublicKey>>;
        /// The ticket (a password) with which they log in at the dashboard, or where it is: `env:NAME`, `file:/path` or
        /// `credential:NAME`.
        live ticket: Option<At<SecretText>>;
    }
}

/// The effective configuration of a master.
#[derive(Clone, Debug)]
pub struct MasterConfig {
    /// The file that this was read from.
    pub path: PathBuf,
    pub id: String,
    pub state_dir: PathBuf,
    pub listen: Address,
    /// See `transport::askers::Names`.
    pub allowed_hosts: Vec<String>,
    pub log: resolved::Log,
    pub nodes: Vec<resolved::Peer>,
    pub operators: Vec<OperatorConfig>,
    effective: File,
}

/// Somebody who may steer the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorConfig {
    pub id: String,
    pub public_key: Option<PublicKey>,
    pub ticket: Option<Secret>,
}

impl MasterConfig {
    /// Reads, checks and resolves a master's configuration file on this machine.
    pub fn load(path: &Path) -> Result<MasterConfig, Mistakes> {
        super::load_with(path, |name, text, path| parse_named(name, text, path, &Host::SYSTEM))
    }

    /// As `load`, for a program that is to run: what it finds wrong at its start, beside the file, is a mistake too.
    pub fn load_to_run(path: &Path) -> Result<MasterConfig, Mistakes> {
        let config = MasterConfig::load(path)?;
        let mut sentences = Vec::new();
        sentences.extend(config.keys().err());
        sentences.extend(super::unusable(&config.listen).err());
        if sentences.is_empty() { Ok(config) } else { Err(super::mistakes_of_machine(path, sentences)) }
    }

    /// The master's key, and that of its own operator. The error is one sentence.
    pub fn keys(&self) -> Result<(SecretKey, SecretKey), String> {
        let missing = || {
            let (state, file) = (self.state_dir.display(), self.path.display());
            format!("{state}: there is no key, make one with `crossbar-master keygen --config {file}`")
        };
        let key = node_key::read(&self.state_dir).map_err(|error| error.to_string())?.ok_or_else(missing)?;
        let operator = node_key::read_file(&node_key::operator_key_path(&self.state_dir));
        Ok((key, operator.map_err(|error| error.to_string())?.ok_or_else(missing)?))
    }

    /// Where the master of a file keeps its keys. `[master]` alone is read, since they may be wanted before the rest is
    /// written.
    pub fn state_dir(path: &Path) -> Result<PathBuf, Mistakes> {
        super::load_with(path, |name, text, path| {
            super::read_some_tables(name, text, "master", |mut file: File, _| {
                path.parent().into_iter().for_each(|base| make_absolute(&mut file, base));
                Some(file.master.state_dir.value)
            })
        })
    }

    /// Checks and resolves `text` as if it were the file `path` of `host`.
    pub fn parse(text: &str, path: &Path, host: &Host) -> Result<MasterConfig, Mistakes> {
        parse_named(&path.display().to_string(), text, path, host)
    }

    /// The configuration that holds after a reload that has found `new`, and what the difference is.
    ///
    /// # Errors
    /// What is applied and what stays contradict each other; then nothing is to be applied.
    pub fn reload(&self, new: &MasterConfig, host: &Host) -> Result<(MasterConfig, Changes), Mistakes> {
        let mut changes = Changes::default();
        let mut file = File::reload_table(&self.effective, &new.effective, &Place::default(), &mut changes);
        let mut findings = Findings::new(new.path.display().to_string(), "");
        let resolved = resolve(&mut file, &self.path, host, &mut findings);
        let config = findings.finish(resolved).map_err(|mistakes| changes.explain(mistakes))?;
        changes.note_files(self.operators != config.operators, "[[operator]]");
        Ok((config, changes))
    }

    /// The configuration in force as a file: every default filled in, secrets masked.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        self.effective.write_table("", &mut out);
        out.trim_start().to_owned()
    }
}

fn parse_named(name: &str, text: &str, path: &Path, host: &Host) -> Result<MasterConfig, Mistakes> {
    super::read_tables(name, text, |mut file: File, findings| resolve(&mut file, path, host, findings))
}

fn resolve(file: &mut File, path: &Path, host: &Host, findings: &mut Findings<'_>) -> Option<MasterConfig> {
    if let Some(base) = path.parent() {
        make_absolute(file, base);
    }
    refuse_duplicates("id", "[[node]]", file.node.iter().map(|node| &node.id), findings);
    refuse_duplicates("public_key", "[[node]]", file.node.iter().map(|node| &node.public_key), findings);
    refuse_duplicates("address", "[[node]]", file.node.iter().map(|node| &node.address), findings);
    refuse_duplicates("id", "[[operator]]", file.operator.iter().map(|operator| &operator.id), findings);
    for node in file.node.iter().filter(|node| matches!(*node.address, Address::Tcp { port: 0, .. })) {
        findings.add(node.address.at, "address in [[node]] has port 0, but it must say where the node is");
    }
    let operators = file.operator.iter().map(|raw| operator(raw, host, findings)).collect::<Option<_>>()?;
    let id = file.master.id.get_or_insert_with(|| At { value: Name(own_hostname(host)), at: None });
    Some(MasterConfig {
        path: path.to_owned(),
        id: id.value.0.clone(),
        state_dir: file.master.state_dir.value.clone(),
        listen: file.master.listen.value.clone(),
        allowed_hosts: file.master.allowed_hosts.value.iter().map(|name| name.0.clone()).collect(),
        log: resolved::Log { level: file.log.level.0.clone(), format: *file.log.format },
        nodes: file
            .node
            .iter()
            .map(|node| resolved::Peer {
                id: node.id.0.clone(),
                address: node.address.value.clone(),
                public_key: *node.public_key,
            })
            .collect(),
        operators,
        effective: file.clone(),
    })
}

fn operator(raw: &At<Operator>, host: &Host, findings: &mut Findings<'_>) -> Option<OperatorConfig> {
    if raw.public_key.is_none() && raw.ticket.is_none() {
        let sentence = format!("[[operator]] '{}' has no public_key and no ticket, it needs one of them", raw.id.0);
        findings.add(raw.id.at, sentence);
        return None;
    }
    let ticket = match &raw.ticket {
        None => None,
        Some(text) => Some(secret("ticket", "[[operator]]", text, host, findings)?),
    };
    let public_key = raw.public_key.as_ref().map(|key| key.value);
    Some(OperatorConfig { id: raw.id.0.clone(), public_key, ticket })
}

/// Relative paths are relative to the configuration file.
fn make_absolute(file: &mut File, base: &Path) {
    let fix = |path: &mut PathBuf| *path = base.join(&path);
    fix(&mut file.master.state_dir.value);
    if let Address::Unix { path, .. } = &mut file.master.listen.value {
        fix(path);
    }
    for operator in &mut file.operator {
        if let Some(SecretText::File(path)) = operator.value.ticket.as_mut().map(|ticket| &mut ticket.value) {
            fix(path);
        }
    }
}

fn own_hostname(host: &Host) -> String {
    let name = (host.read)(Path::new("/proc/sys/kernel/hostname")).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "master".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

    fn mistakes(text: &str) -> String {
        MasterConfig::parse(text, Path::new("/etc/crossbar/master.toml"), &Host::EMPTY).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_nothing_but_its_table_has_all_defaults() {
        let config = MasterConfig::parse("[master]\n", Path::new("/etc/crossbar/master.toml"), &Host::EMPTY).unwrap();
        assert_eq!(config.id, "master");
        assert_eq!(config.listen.to_string(), "0.0.0.0:9000");
        assert_eq!(config.state_dir, Path::new("/var/lib/crossbar/master"));
        let again = MasterConfig::parse(&config.to_toml(), Path::new("/etc/crossbar/master.toml"), &Host::EMPTY);
        assert_eq!(again.unwrap().to_toml(), config.to_toml());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let text = mistakes("[master]\nlisten = \"here\"\n");
        assert!(text.contains("master.toml:2") && text.contains("listen = \"here\" in [master]"), "{text}");
        let node = format!("[[node]]\nid = \"edge1\"\naddress = \"h:1\"\npublic_key = \"{KEY}\"\n");
        let text = mistakes(&format!("[master]\n{node}{node}"));
        for expected in ["id = \"edge1\" is there twice in [[node]]", "public_key", "address"] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
        let text = mistakes("[master]\n[[operator]]\nid = \"alice\"\n");
        assert!(text.contains("[[operator]] 'alice' has no public_key and no ticket"), "{text}");
        let text = mistakes("[master]\n[[operator]]\nid = \"alice\"\nticket = \"file:secret\"\n");
        assert!(text.contains("ticket = \"file:/etc/crossbar/secret\" in [[operator]]"), "{text}");
    }
}
