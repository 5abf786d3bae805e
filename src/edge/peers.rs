//! Who the other nodes are: those of the configuration, and those of the membership that the master has handed out. The
//! last membership is kept on disk, so that a node that starts while there is no master finds the others all the same.

use crate::auth::cryptosign::SecretKey;
use crate::cluster::Membership;
use crate::config::resolved::{Address, Listener, Peer};
use crate::config::{Config, node_key};
use crate::router::dial::{Dialer, link_with};
use crate::router::listen::{admission, link_settings, link_tls};
use crate::router::shard::Shard;
use crate::session::admission::Admission;
use crate::transport::connect::Target;
use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The peers, and who dials them.
pub(super) struct Peers {
    // Static after construction.
    shard: Rc<RefCell<Shard>>,
    /// None where the node has no key: it has no links then.
    dialer: Option<Dialer>,
    cache: PathBuf,
    own_id: String,
    // Replaced by a reload, or by the master.
    config: RefCell<Config>,
    membership: RefCell<Membership>,
}

impl Peers {
    /// Those of the configuration and of the last membership. The error is one sentence.
    pub(super) fn new(shard: &Rc<RefCell<Shard>>, config: &Config) -> Result<Peers, String> {
        let key = node_key::read(&config.node.state_dir).map_err(|error| error.to_string())?;
        if key.is_none() && (!config.mesh.peers.is_empty() || config.master.is_some()) {
            return Err(format!(
                "{}: there is no node key, but [[mesh.peer]] or [master] need one; make one with `crossbar-edge keygen \
                 --config {}`",
                config.node.state_dir.display(),
                config.path.display(),
            ));
        }
        let dialer =
            key.map(|key| Dialer { node: config.node.id.clone(), key, settings: Rc::new(link_settings(config)) });
        let cache = config.node.state_dir.join("membership.json");
        // Without a master a membership of earlier times means nothing.
        let membership = if config.master.is_some() { read_cache(&cache) } else { Membership::default() };
        Ok(Peers {
            shard: shard.clone(),
            dialer,
            cache,
            own_id: config.node.id.clone(),
            config: RefCell::new(config.clone()),
            membership: RefCell::new(membership),
        })
    }

    /// All other nodes, each once. What the configuration says goes before what the master says.
    pub(super) fn current(&self) -> Vec<Peer> {
        let mut peers = self.config.borrow().mesh.peers.clone();
        for member in &self.membership.borrow().members {
            let is_known = peers.iter().any(|peer| peer.id == member.id || peer.public_key == member.public_key);
            if member.id == self.own_id || is_known {
                continue;
            }
            match to_address(&member.address) {
                Some(address) => {
                    peers.push(Peer { id: member.id.clone(), address, public_key: member.public_key });
                }
                None => tracing::error!(node = member.id, address = member.address, "the master tells no address"),
            }
        }
        peers
    }

    /// Whether it is known who belongs to the cluster: not before the master has told it for the first time.
    pub(super) fn are_known(&self) -> bool {
        self.config.borrow().master.is_none() || !self.membership.borrow().members.is_empty()
    }

    /// Who may come in through a listener: for links, those who are peers now.
    pub(super) fn admission(&self, config: &Config, listener: &Listener) -> Admission {
        admission(config, listener, &self.current(), self.key())
    }

    fn key(&self) -> Option<&SecretKey> {
        self.dialer.as_ref().map(|dialer| &dialer.key)
    }

    /// Links with those who are peers now, and admits their keys and no others.
    pub(super) fn apply(&self) {
        let peers = self.current();
        let config = self.config.borrow();
        let listeners = self.shard.borrow().listeners.clone();
        for state in listeners.iter().filter(|state| state.is_mesh) {
            *state.accepting.tls.borrow_mut() = link_tls(&peers, self.key());
            if let Some(settings) = state.id.as_ref().and_then(|id| config.listener(id)) {
                self.shard.borrow_mut().set_admission(state, self.admission(&config, settings));
            }
        }
        if let Some(dialer) = &self.dialer {
            link_with(&self.shard, dialer, &peers);
        }
    }

    /// The configuration has been read again, and this is what holds now.
    pub(super) fn reconfigure(&self, config: &Config) {
        if let Some(dialer) = &self.dialer {
            dialer.settings.set_limits(&config.limits);
        }
        *self.config.borrow_mut() = config.clone();
        self.apply();
    }

    /// The master has told the membership. False when this node is no part of it.
    pub(super) fn take_membership(&self, membership: Membership) -> bool {
        let is_member = membership.member(&self.own_id).is_some();
        if *self.membership.borrow() != membership {
            tracing::info!(version = membership.version, members = membership.members.len(), "membership");
            if let Err(error) = write_cache(&self.cache, &membership) {
                tracing::error!(%error, file = %self.cache.display(), "the membership cannot be kept");
            }
            // Whoever does not belong to it any more trusts nobody in it.
            let membership = if is_member { membership } else { Membership::default() };
            self.membership.replace(membership);
            self.apply();
        }
        is_member
    }
}

fn to_address(text: &str) -> Option<Address> {
    Some(match text.parse().ok()? {
        Target::Tcp { host, port } => Address::Tcp { host, port },
        Target::Unix(path) => Address::Unix { path, mode: 0 },
    })
}

/// The last membership; none where there is no file, or one that is no membership.
fn read_cache(path: &Path) -> Membership {
    let read = fs::read(path).map(|bytes| serde_json::from_slice(&bytes));
    match read {
        Ok(Ok(membership)) => membership,
        Ok(Err(error)) => {
            tracing::error!(%error, file = %path.display(), "the kept membership is not used");
            Membership::default()
        }
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(%error, file = %path.display(), "the kept membership cannot be read");
            }
            Membership::default()
        }
    }
}

/// Whole or not at all, so that losing power leaves the old one.
fn write_cache(path: &Path, membership: &Membership) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    let mut file = fs::File::create(&draft)?;
    serde_json::to_writer_pretty(&mut file, membership)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::cryptosign::PublicKey;
    use crate::cluster::Member;

    #[test]
    fn a_kept_membership_is_read_again_and_a_broken_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("membership.json");
        assert_eq!(read_cache(&path), Membership::default());
        let member = Member { id: "edge2".into(), address: "unix:/run/x".into(), public_key: PublicKey([1; 32]) };
        let membership = Membership { version: 7, members: vec![member] };
        write_cache(&path, &membership).unwrap();
        assert_eq!(read_cache(&path), membership);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
        fs::write(&path, "{").unwrap();
        assert_eq!(read_cache(&path), Membership::default());
    }

    #[test]
    fn addresses_are_those_of_the_configuration() {
        let tcp = Address::Tcp { host: "brummer1".into(), port: 5081 };
        assert_eq!(to_address("brummer1:5081"), Some(tcp));
        assert!(matches!(to_address("unix:/run/x"), Some(Address::Unix { .. })));
        assert_eq!(to_address("brummer1"), None);
    }
}
