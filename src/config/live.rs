//! What a new configuration changes while the router runs, and what has to wait for a restart.

use super::resolved::{Admin, Config, Listener, Log, Mesh, Node, Realm};
use crate::limits::{Limits, Scope};
use std::fmt::Display;

/// The names of everything that differs between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Takes effect on SIGHUP: realms and their roles, limits, certificates, who comes in, peers.
    pub applied: Vec<String>,
    /// Takes effect when the router is started again: addresses, the node itself, what is spoken.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// What happens to each difference between this running configuration and `new`.
    pub fn diff_live(&self, new: &Config) -> Changes {
        let mut changes = Changes::default();
        changes.node(&self.node, &new.node);
        changes.admin(&self.admin, &new.admin);
        changes.log(&self.log, &new.log);
        changes.limits("[limits]", &self.limits, &new.limits, |_| true);
        changes.listeners(&self.listeners, &new.listeners);
        changes.realms(&self.realms, &new.realms);
        changes.mesh(&self.mesh, &new.mesh);
        changes.restart_if(self.master != new.master, "[master]");
        changes
    }

    /// Takes over what `diff_live` says is applied. The rest stays as it runs, so that the next difference names it
    /// again.
    pub fn take_live(&mut self, new: Config) {
        self.limits = new.limits;
        self.node.decoy_key = new.node.decoy_key;
        self.mesh.peers = new.mesh.peers;
        for n in 0..self.listeners.len() {
            let Some(new) = counterpart(&self.listeners, n, &new.listeners) else { continue };
            let old = &mut self.listeners[n];
            old.auth = new.auth.clone();
            old.limits = new.limits.clone();
            if let (Some(old), Some(new)) = (&mut old.tls, &new.tls) {
                old.clone_from(new);
            }
        }
        for realm in new.realms {
            match self.realms.iter_mut().find(|old| old.core.name == realm.core.name) {
                Some(old) => *old = realm,
                None => self.realms.push(realm),
            }
        }
    }
}

/// The listener of `there` that is the `n`th of `here`: the one with the same address. Ports that the kernel is to
/// choose are all written as 0, and told apart by their order.
pub fn counterpart<'l>(here: &[Listener], n: usize, there: &'l [Listener]) -> Option<&'l Listener> {
    let address = &here.get(n)?.address;
    let n_before = here.iter().take(n).filter(|listener| listener.address == *address).count();
    there.iter().filter(|listener| listener.address == *address).nth(n_before)
}

/// Each of these takes its struct apart, so that a new field cannot be forgotten.
impl Changes {
    fn apply_if(&mut self, has_changed: bool, name: impl Display) {
        if has_changed {
            self.applied.push(name.to_string());
        }
    }

    fn restart_if(&mut self, has_changed: bool, name: impl Display) {
        if has_changed {
            self.needs_restart.push(name.to_string());
        }
    }

    fn node(&mut self, old: &Node, new: &Node) {
        let Node { id, state_dir, shards, drain_time, decoy_key } = old;
        self.restart_if(*id != new.id, "[node] id");
        self.restart_if(*state_dir != new.state_dir, "[node] state_dir");
        self.restart_if(*shards != new.shards, "[node] shards");
        self.restart_if(*drain_time != new.drain_time, "[node] drain_time");
        self.apply_if(*decoy_key != new.decoy_key, "[node] decoy_key");
    }

    fn admin(&mut self, old: &Admin, new: &Admin) {
        let Admin { listen, agent_listen } = old;
        self.restart_if(*listen != new.listen, "[admin] listen");
        self.restart_if(*agent_listen != new.agent_listen, "[admin] agent_listen");
    }

    fn log(&mut self, old: &Log, new: &Log) {
        let Log { level, format } = old;
        self.restart_if(*level != new.level, "[log] level");
        self.restart_if(*format != new.format, "[log] format");
    }

    fn limits(&mut self, table: &str, old: &Limits, new: &Limits, is_shown: fn(Scope) -> bool) {
        for limit in Limits::ALL.iter().filter(|limit| is_shown(limit.scope)) {
            self.apply_if((limit.read)(old) != (limit.read)(new), format!("{table} {}", limit.name));
        }
    }

    fn listeners(&mut self, old: &[Listener], new: &[Listener]) {
        for (n, listener) in old.iter().enumerate() {
            match counterpart(old, n, new) {
                Some(new) => self.listener(listener, new),
                None => self.restart_if(true, format!("[[listen]] {} (removed)", listener.address)),
            }
        }
        for (n, listener) in new.iter().enumerate() {
            let is_added = counterpart(new, n, old).is_none();
            self.restart_if(is_added, format!("[[listen]] {} (added)", listener.address));
        }
    }

    fn listener(&mut self, old: &Listener, new: &Listener) {
        let Listener {
            address,
            transport,
            purpose,
            path,
            serializers,
            batched,
            proxy_protocol,
            proxies,
            ping_interval,
            ping_rawsocket,
            ping_timeout,
            allowed_origins,
            compression,
            tls,
            require_subprotocol,
            echo,
            backlog,
            auth,
            limits,
        } = old;
        let table = format!("[[listen]] {address}:");
        self.restart_if(*transport != new.transport, format!("{table} type"));
        self.restart_if(*purpose != new.purpose, format!("{table} purpose"));
        self.restart_if(*path != new.path, format!("{table} path"));
        self.restart_if(*serializers != new.serializers, format!("{table} serializers"));
        self.restart_if(*batched != new.batched, format!("{table} batched"));
        self.restart_if(*proxy_protocol != new.proxy_protocol, format!("{table} proxy_protocol"));
        self.restart_if(*proxies != new.proxies, format!("{table} proxies"));
        self.restart_if(*ping_rawsocket != new.ping_rawsocket, format!("{table} ping_rawsocket"));
        self.restart_if(*ping_interval != new.ping_interval, format!("{table} ping_interval"));
        self.restart_if(*ping_timeout != new.ping_timeout, format!("{table} ping_timeout"));
        self.restart_if(*allowed_origins != new.allowed_origins, format!("{table} allowed_origins"));
        self.restart_if(*compression != new.compression, format!("{table} compression"));
        self.restart_if(*require_subprotocol != new.require_subprotocol, format!("{table} require_subprotocol"));
        self.restart_if(*echo != new.echo, format!("{table} echo"));
        self.restart_if(*backlog != new.backlog, format!("{table} backlog"));
        // The certificates in the files may be new ones; encryption itself does not come and go.
        match (tls, &new.tls) {
            (Some(old), Some(new)) => self.apply_if(old != new, format!("{table} tls")),
            (old, new) => self.restart_if(old != new, format!("{table} tls")),
        }
        self.apply_if(*auth != new.auth, format!("{table} auth"));
        self.limits(&format!("{table} limits"), limits, &new.limits, |scope| scope == Scope::Listener);
    }

    fn realms(&mut self, old: &[Realm], new: &[Realm]) {
        for old in old {
            let name = &old.core.name;
            match new.iter().find(|new| new.core.name == *name) {
                Some(new) => self.apply_if(old != new, format!("[[realm]] {name}")),
                None => self.restart_if(true, format!("[[realm]] {name} (removed)")),
            }
        }
        for new in new {
            let is_added = !old.iter().any(|old| old.core.name == new.core.name);
            self.apply_if(is_added, format!("[[realm]] {} (added)", new.core.name));
        }
    }

    fn mesh(&mut self, old: &Mesh, new: &Mesh) {
        let Mesh { advertise, peers } = old;
        self.restart_if(*advertise != new.advertise, "[mesh] advertise");
        self.apply_if(*peers != new.peers, "[[mesh.peer]]");
    }
}
