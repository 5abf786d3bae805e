//! Who may come in at the master, and what they may do there: nodes by their keys, operators by key or ticket.

use crate::admin::command::{MASTER_PREFIX, MASTER_REALM, OPERATOR_ROLE, node_prefix};
use crate::auth::Secret;
use crate::auth::cryptosign::{PublicKey, SecretKey};
use crate::auth::mutual::Purpose;
use crate::cluster::Membership;
use crate::config::master::OperatorConfig;
use crate::config::resolved::{Realm, SlowConsumer};
use crate::limits::Limits;
use crate::realm::{Permission, RealmConfig, Role};
use crate::session::admission::{self, Admission, Grant, Methods, Mutual, Principal, Program, RequestIds, Source};
use crate::wamp::uri::UriCheck;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that decides about a session at the master.
pub(super) struct Access {
    pub id: String,
    /// Proves the master to the nodes.
    pub key: SecretKey,
    /// Of the operator on the master's own host.
    pub local_operator: PublicKey,
    pub operators: Vec<OperatorConfig>,
    pub limits: Limits,
}

/// The role of a node. Each has its own, so that none can answer for another.
pub(super) fn node_role(id: &str) -> String {
    format!("node.{id}")
}

impl Access {
    /// The realm with the roles of these nodes.
    pub(super) fn realm(&self, membership: &Membership) -> Realm {
        let nodes = membership.members.iter().map(|member| {
            let own = Permission { register: true, ..Permission::none(&node_prefix(&member.id)) };
            let master = Permission { call: true, subscribe: true, ..Permission::none(MASTER_PREFIX) };
            Role { name: node_role(&member.id), permissions: vec![own, master], authorizer: None }
        });
        // Nodes are told which operator asks, and log it.
        let everything = Permission { call: true, subscribe: true, disclose_caller: true, ..Permission::none("") };
        let operator = Role { name: OPERATOR_ROLE.to_owned(), permissions: vec![everything], authorizer: None };
        let core = RealmConfig {
            name: MASTER_REALM.to_owned(),
            uri_check: UriCheck::Loose,
            roles: nodes.chain([operator]).collect(),
            history: Vec::new(),
            deciding: Vec::new(),
            local_first: false,
            limits: self.limits.clone(),
        };
        Realm {
            core: Arc::new(core),
            request_ids: RequestIds::Lenient,
            slow_consumer: SlowConsumer::Disconnect,
            slow_consumer_rules: Vec::new(),
            rates: BTreeMap::new(),
        }
    }

    /// The keys and tickets that open a session.
    pub(super) fn admission(&self, membership: &Membership) -> Admission {
        let roles = membership.members.iter().map(|member| node_role(&member.id)).chain([OPERATOR_ROLE.to_owned()]);
        let realm = admission::Realm { roles: roles.collect(), request_ids: RequestIds::Lenient };
        let nodes = membership.members.iter().map(|member| {
            let grant = Grant::role(node_role(&member.id));
            (member.id.clone(), Principal { credential: program(member.public_key, Purpose::Report), grant })
        });
        let as_operator = || Grant::role(OPERATOR_ROLE);
        let operator = |key| Principal { credential: program(key, Purpose::Operate), grant: as_operator() };
        let local = (OPERATOR_ROLE.to_owned(), operator(self.local_operator));
        let by_key = self.operators.iter().filter_map(|named| Some((named.id.clone(), operator(named.public_key?))));
        let by_ticket = self.operators.iter().filter_map(|operator| {
            Some((operator.id.clone(), Principal { credential: operator.ticket.clone()?, grant: as_operator() }))
        });
        Admission {
            node: admission::Node { id: self.id.clone(), pid: std::process::id() },
            realms: [(MASTER_REALM.to_owned(), realm)].into(),
            methods: Methods {
                anonymous: None,
                ticket: Some(Source::Static(by_ticket.collect())),
                wampcra: None,
                cryptosign: None,
                mutual: Some(Mutual {
                    key: self.key.clone(),
                    // Nodes come last: an operator who is called like a node is that node only with its key.
                    principals: by_key.chain([local]).chain(nodes).collect(),
                }),
            },
            decoy_key: Secret::new(hex::encode(rand::random::<[u8; 32]>())),
            limits: self.limits.clone(),
        }
    }
}

fn program(key: PublicKey, purpose: Purpose) -> Program {
    Program { keys: vec![key], purpose }
}
