//! What this node does when an operator or the master asks it.

use super::parting::Clients;
use crate::admin::command::{NODE_REALM, NodeCommand, OPERATOR_ROLE, audit, node_prefix, seconds_of};
use crate::admin::report::Heartbeat;
use crate::admin::{json, logging};
use crate::auth::cryptosign::SecretKey;
use crate::auth::mutual::Purpose;
use crate::config::Config;
use crate::config::resolved::{Realm, SlowConsumer};
use crate::drop::DropReason;
use crate::realm::{Permission, RealmConfig, Role};
use crate::router::serve::{Answer, Served, refusal};
use crate::router::shard::Shard;
use crate::session::admission::{self, Admission, Grant, Methods, Mutual, Principal, Program, RequestIds};
use crate::wamp::error;
use crate::wamp::uri::UriCheck;
use crate::wire::Payload;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What commands act on.
pub(super) struct Control {
    pub shard: Rc<RefCell<Shard>>,
    pub clients: Clients,
    /// The prefix of this node's procedures.
    pub prefix: String,
    /// Of the configuration as it is now.
    pub config_digest: RefCell<String>,
}

impl Control {
    pub(super) fn new(shard: &Rc<RefCell<Shard>>, config: &Config) -> Control {
        Control {
            shard: shard.clone(),
            clients: Clients::new(shard.clone(), config.node.drain_time),
            prefix: node_prefix(&config.node.id),
            config_digest: RefCell::new(config.digest()),
        }
    }

    /// Answers a procedure of this node.
    pub(super) fn answer(&self, procedure: &str, payload: &Payload) -> Answer {
        let Some(name) = procedure.strip_prefix(&self.prefix) else {
            let sentence = format!("this node answers {}*, not {procedure}", self.prefix);
            return Err(refusal(error::NO_SUCH_PROCEDURE, sentence));
        };
        let command = json::command(name, payload).map_err(|sentence| refusal(error::INVALID_ARGUMENT, sentence))?;
        self.carry_out(command).map_err(|sentence| refusal(error::INVALID_ARGUMENT, sentence))
    }

    /// How this node is, for the master.
    /// With what was refused since the entry with the number `told`.
    pub(super) fn heartbeat(&self, told: u64) -> Heartbeat {
        let shard = self.shard.borrow();
        let config_digest = self.config_digest.borrow().clone();
        let refusals = shard.refusals.after(told);
        Heartbeat { status: shard.status(), counters: shard.counters(), config_digest, refusals }
    }

    /// Answers what comes from the admin port, until the program ends.
    pub(super) async fn run(self: Rc<Self>, mut served: mpsc::Receiver<Served>) {
        while let Some(call) = served.recv().await {
            let answer = self.answer(&call.procedure, &call.payload);
            audit(&call.authid, &call.from, &call.procedure, &call.payload, json::refusal(&answer));
            self.shard.borrow_mut().answer(&call, answer);
        }
    }

    fn carry_out(&self, command: NodeCommand) -> Result<Payload, String> {
        let mut shard = self.shard.borrow_mut();
        let now = shard.now();
        Ok(match command {
            NodeCommand::Status => json::to_payload(&shard.status()),
            NodeCommand::Sessions(rows) => json::to_payload(&shard.session_rows(&rows)),
            NodeCommand::Registrations(rows) => json::to_payload(&shard.registration_rows(&rows)),
            NodeCommand::Subscriptions(rows) => json::to_payload(&shard.subscription_rows(&rows)),
            NodeCommand::Refusals(wanted) => json::to_payload(&shard.refusals.rows(&wanted)?),
            NodeCommand::Drain { seconds } => {
                drop(shard);
                self.clients.drain(seconds.map(seconds_of).transpose()?);
                json::nothing()
            }
            NodeCommand::Undrain => {
                drop(shard);
                self.clients.undrain();
                json::nothing()
            }
            NodeCommand::Shed { sessions, seconds } => {
                drop(shard);
                self.clients.shed(sessions, seconds_of(seconds)?);
                json::nothing()
            }
            NodeCommand::Kick { session, reason } => {
                let key = shard.client_session(session);
                let reason = reason.as_deref().unwrap_or(error::CLOSE_KILLED);
                if !UriCheck::Loose.is_name(reason) {
                    return Err(format!("reason = {reason:?}, but it must be a URI such as {:?}", error::CLOSE_KILLED));
                }
                if let Some(key) = key {
                    let message = "this session was ended by an operator";
                    shard.goodbye(key, reason, message, DropReason::Killed);
                }
                json::to_payload(&key.is_some())
            }
            NodeCommand::ForgetAnswers(which) => json::to_payload(&shard.forget_answers(&which)),
            NodeCommand::LogLevel { level } => json::to_payload(&logging::change_level(level.as_deref())?),
            NodeCommand::TraceStart(request) => json::to_payload(&shard.tracer.start(now, request)?),
            NodeCommand::TraceRead { trace, after } => json::to_payload(&shard.tracer.read(now, trace, after)?),
            NodeCommand::TraceStop { trace } => {
                shard.tracer.stop(trace)?;
                json::nothing()
            }
        })
    }
}

/// The realm of the admin port.
pub(super) fn realm(config: &Config) -> Realm {
    let everything = Permission { call: true, subscribe: true, ..Permission::none("") };
    let role = Role { name: OPERATOR_ROLE.to_owned(), permissions: vec![everything], authorizer: None };
    let core = RealmConfig {
        name: NODE_REALM.to_owned(),
        uri_check: UriCheck::Loose,
        roles: vec![role],
        history: Vec::new(),
        deciding: Vec::new(),
        local_first: false,
        limits: config.limits.clone(),
    };
    Realm {
        core: Arc::new(core),
        request_ids: RequestIds::Lenient,
        slow_consumer: SlowConsumer::Disconnect,
        slow_consumer_rules: Vec::new(),
        rates: BTreeMap::new(),
    }
}

/// Who may open a session on the admin port: whoever can read this node's key.
pub(super) fn admission(config: &Config, key: Option<SecretKey>) -> Admission {
    let roles = [OPERATOR_ROLE.to_owned()].into();
    let realm = admission::Realm { roles, request_ids: RequestIds::Lenient };
    let mutual = key.map(|key| {
        let credential = Program { keys: vec![key.public()], purpose: Purpose::Operate };
        let operator = Principal { credential, grant: Grant::role(OPERATOR_ROLE) };
        Mutual { key, principals: [(OPERATOR_ROLE.to_owned(), operator)].into() }
    });
    let methods = Methods { anonymous: None, mutual, ..Methods::default() };
    Admission {
        realms: [(NODE_REALM.to_owned(), realm)].into(),
        methods,
        limits: config.limits.clone(),
        ..config.admission(&config.listeners[0])
    }
}
