//! Who is asked, where that is, and by which key the operator is known there: from the command line, or else from the
//! configuration of the master or the edge on this machine.

use crate::admin::command::{MASTER_REALM, NODE_REALM, OPERATOR_ROLE};
use crate::auth::client::Client;
use crate::auth::cryptosign::{PublicKey, SecretKey};
use crate::auth::mutual::Purpose;
use crate::config::node_key::{self, NodeKeyError};
use crate::config::{self, Address, MasterConfig};
use crate::ctl::commands::Target;
use crate::ctl::run::Failure;
use crate::transport::connect::{self, Url};
use anyhow::{Context, anyhow};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The master or a single edge.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    pub url: Url,
    pub is_master: bool,
    /// What the operator says and proves there.
    pub client: Client,
}

impl Contact {
    /// Whom this command line means.
    pub(super) fn of(target: &Target) -> Result<Contact, Failure> {
        match &target.edge {
            Some(edge) if is_file(edge) => edge_of_config(target, Path::new(edge)),
            Some(edge) => edge_at(target, edge),
            None => {
                master(&with_environment(target.clone(), |name| std::env::var(name).ok()), Path::new(MASTER_CONFIG))
            }
        }
    }

    pub(super) fn realm(&self) -> &'static str {
        if self.is_master { MASTER_REALM } else { NODE_REALM }
    }
}

/// An edge on this machine, known by its own key.
fn edge_of_config(target: &Target, file: &Path) -> Result<Contact, Failure> {
    let config = config::load(file).map_err(|mistakes| Failure::Configuration(mistakes.to_string()))?;
    let listen = config.admin.listen.as_ref().with_context(|| {
        format!("{}: there is no [admin] listen, so this edge cannot be asked by itself", file.display())
    })?;
    let url = url_of(listen, file, "[admin]")?;
    let key = match &target.key {
        Some(file) => key_in(file)?,
        None => node_key::read(&config.node.state_dir).map_err(key_error)?.with_context(|| {
            let make = format!("make one with `crossbar-edge keygen --config {}`", file.display());
            format!("{}: there is no node key, {make}", config.node.state_dir.display())
        })?,
    };
    let client = client(OPERATOR_ROLE, key, None).expect(Some(&config.node.id), None);
    Ok(Contact { url, is_master: false, client })
}

/// An edge by its address.
fn edge_at(target: &Target, address: &str) -> Result<Contact, Failure> {
    let at: connect::Target = address.parse().map_err(|_| {
        anyhow!(
            "--edge {address}: there is no such file, and it is no address like 127.0.0.1:9081 or unix:/path either"
        )
    })?;
    let file = target.key.as_deref().with_context(|| {
        format!("--edge {address}: an address needs --key FILE, the node key of that edge (node.key in its state_dir)")
    })?;
    let url = Url::WebSocket { target: at, path: PATH.to_owned() };
    Ok(Contact { url, is_master: false, client: client(OPERATOR_ROLE, key_in(file)?, None) })
}

/// What the command line does not say about the master, its environment may. An edge has nothing to do with it.
fn with_environment(target: Target, variable: impl Fn(&str) -> Option<String>) -> Target {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    Target {
        master: target.master.or_else(|| variable("CROSSBAR_MASTER")),
        key: target.key.or_else(|| variable("CROSSBAR_KEY").map(PathBuf::from)),
        operator: target.operator.or_else(|| variable("CROSSBAR_OPERATOR")),
        edge: target.edge,
    }
}

/// The master: what is not said is taken from its configuration, where that is here.
fn master(target: &Target, usual: &Path) -> Result<Contact, Failure> {
    let named = target.master.as_deref();
    let (url, config) = match named {
        Some(url) if !is_file(url) => {
            let url: Url = url.parse().map_err(|error| anyhow!("--master: {error}"))?;
            (Some(url), None)
        }
        Some(file) => (None, Some(load_master(Path::new(file))?)),
        None => (None, usual_master(usual)?),
    };
    let config = match config {
        None if url.is_some() && target.key.is_none() => usual_master(usual)?,
        config => config,
    };
    let Some(config) = config else {
        return match (url, &target.key) {
            (Some(url), Some(file)) => {
                let client = client(operator(target), key_in(file)?, None);
                Ok(Contact { url, is_master: true, client })
            }
            (Some(url), None) => Err(anyhow!("{url}: give --key FILE, the key that the master knows you by").into()),
            (None, _) => Err(anyhow!(
                "there is nobody to ask: {} is not there; give --master URL and --key FILE, or --edge CONFIG_OR_ADDRESS",
                usual.display()
            )
            .into()),
        };
    };
    let key = match &target.key {
        Some(file) => key_in(file)?,
        None => key_in(&node_key::operator_key_path(&config.state_dir))?,
    };
    // Only a master that was found by its own configuration has to have the key that is beside it.
    let (url, expected) = match url {
        Some(url) => (url, None),
        None => {
            let expected = node_key::public_key(&config.state_dir).ok().flatten();
            (url_of(&config.listen, &config.path, "[master]")?, expected)
        }
    };
    Ok(Contact { url, is_master: true, client: client(operator(target), key, expected) })
}

fn load_master(file: &Path) -> Result<MasterConfig, Failure> {
    MasterConfig::load(file).map_err(|mistakes| Failure::Configuration(mistakes.to_string()))
}

/// The configuration at its usual place, None where there is none.
fn usual_master(usual: &Path) -> Result<Option<MasterConfig>, Failure> {
    match File::open(usual) {
        Ok(_) => load_master(usual).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let usual = usual.display();
            Err(anyhow!("{usual}: {error}; it takes root or the user crossbar, or --master URL and --key FILE").into())
        }
    }
}

fn operator(target: &Target) -> &str {
    target.operator.as_deref().unwrap_or(OPERATOR_ROLE)
}

fn client(authid: &str, key: SecretKey, expected: Option<PublicKey>) -> Client {
    Client::program(authid, key, Purpose::Operate).expect(None, expected)
}

fn key_in(file: &Path) -> Result<SecretKey, Failure> {
    let key = node_key::read_file(file).map_err(key_error)?;
    Ok(key.with_context(|| format!("{}: there is no such key", file.display()))?)
}

fn key_error(error: NodeKeyError) -> Failure {
    match error {
        NodeKeyError::Io { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            let path = path.display();
            anyhow!("{path}: you may not read this key; it takes root or the user that the program runs as (crossbar)")
        }
        error => anyhow!("{error}"),
    }
    .into()
}

/// Where to ask whoever listens here. Who listens on every address is asked on the loopback one.
fn url_of(listen: &Address, file: &Path, table: &str) -> anyhow::Result<Url> {
    let target = match listen {
        Address::Unix { path, .. } => connect::Target::Unix(path.clone()),
        Address::Tcp { port: 0, .. } => {
            let file = file.display();
            return Err(anyhow!("{file}: listen in {table} is any free port; say which with --edge or --master"));
        }
        Address::Tcp { host, port } => {
            let host = match host.as_str() {
                "0.0.0.0" => "127.0.0.1",
                "::" => "::1",
                host => host,
            };
            connect::Target::Tcp { host: host.to_owned(), port: *port }
        }
    };
    Ok(Url::WebSocket { target, path: PATH.to_owned() })
}

/// Whether this is meant as a file rather than an address or a URL.
fn is_file(text: &str) -> bool {
    let path = PathBuf::from(text);
    path.is_file() || path.is_absolute() || path.extension().is_some_and(|extension| extension == "toml")
}

/// Where the master's own packages put its configuration.
const MASTER_CONFIG: &str = "/etc/crossbar/master.toml";
/// Where operators' tools are answered, at a node as at the master.
const PATH: &str = "/ws";

#[cfg(test)]
mod tests {
    use super::*;

    fn url(address: Address) -> String {
        url_of(&address, Path::new("edge.toml"), "[admin]")
            .map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_the_loopback_address() {
        let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
        assert_eq!(url(tcp("0.0.0.0", 9000)), "ws://127.0.0.1:9000/ws");
        assert_eq!(url(tcp("::", 9000)), "ws://[::1]:9000/ws");
        assert_eq!(url(tcp("brummer1", 9081)), "ws://brummer1:9081/ws");
        assert_eq!(url(Address::Unix { path: "/run/x".into(), mode: 0o600 }), "ws://unix:/run/x/ws");
        assert!(url(tcp("127.0.0.1", 0)).contains("edge.toml: listen in [admin] is any free port"));
    }

    #[test]
    fn the_environment_speaks_of_the_master_where_the_command_line_does_not() {
        let variable = |name: &str| Some(if name == "CROSSBAR_OPERATOR" { String::new() } else { name.to_lowercase() });
        let said = Target { master: Some("ws://a/ws".to_owned()), key: None, operator: None, edge: None };
        let target = with_environment(said, variable);
        assert_eq!(target.master.as_deref(), Some("ws://a/ws"));
        assert_eq!(target.key.as_deref(), Some(Path::new("crossbar_key")));
        assert_eq!(target.operator, None);
    }

    #[test]
    fn a_master_on_this_machine_is_found_by_its_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let (usual, state) = (directory.path().join("master.toml"), directory.path().join("master"));
        let ask = |url: Option<&str>, key: Option<PathBuf>| {
            let target = Target { master: url.map(str::to_owned), key, operator: None, edge: None };
            master(&target, &usual).map_err(|failure| match failure {
                Failure::Other(error) => error.to_string(),
                other => format!("{other:?}"),
            })
        };
        let sentence = ask(None, None).unwrap_err();
        assert!(sentence.contains("there is nobody to ask: ") && sentence.contains("--edge"), "{sentence}");
        let sentence = ask(Some("ws://matterhorn:9000/ws"), None).unwrap_err();
        assert!(sentence.starts_with("ws://matterhorn:9000/ws: give --key FILE"), "{sentence}");

        std::fs::write(&usual, "[master]\nstate_dir = \"master\"\n").unwrap();
        let operator = node_key::operator_key_path(&state);
        let sentence = ask(None, None).unwrap_err();
        assert_eq!(sentence, format!("{}: there is no such key", operator.display()));
        node_key::read_or_generate_file(&operator, &mut rand::rng()).unwrap();
        assert_eq!(ask(None, None).unwrap().url.to_string(), "ws://127.0.0.1:9000/ws");
        // The key of this machine's operator, for a master that is named otherwise.
        let contact = ask(Some("ws://matterhorn:9000/ws"), None).unwrap();
        assert_eq!((contact.url.to_string().as_str(), contact.is_master), ("ws://matterhorn:9000/ws", true));
        assert_eq!(contact.client.authid.as_deref(), Some("operator"));
        // Who says all needs nothing of this machine.
        std::fs::remove_file(&usual).unwrap();
        assert!(ask(Some("ws://matterhorn:9000/ws"), Some(operator)).is_ok());
    }

    #[test]
    fn a_key_that_may_not_be_read_says_who_may() {
        let denied = NodeKeyError::Io { path: "node.key".into(), source: io::ErrorKind::PermissionDenied.into() };
        let Failure::Other(error) = key_error(denied) else { panic!("it is no mistake in a configuration") };
        assert!(error.to_string().starts_with("node.key: you may not read this key; it takes root"), "{error}");
    }

    #[test]
    fn a_file_is_told_from_an_address() {
        for file in ["/etc/crossbar/edge-1.toml", "edge-1.toml", "/run/there-is-none"] {
            assert!(is_file(file), "{file}");
        }
        for address in ["127.0.0.1:9081", "unix:/run/crossbar/edge1.sock", "ws://matterhorn:9000/ws", "brummer1:9081"] {
            assert!(!is_file(address), "{address}");
        }
    }
}
