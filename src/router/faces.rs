//! The HTTP faces of an edge: what is answered on which path, on the ports of clients and on the admin port.

use super::dial::{LinkName, LinkState, Standing};
use super::node::NodeInfo;
use super::shard::{ListenerState, Pings, RealmSlot, Shard};
use crate::admin::report::SENTENCE_BYTES_MAX;
use crate::admin::text::on_one_line;
use crate::admin::{LinkStatus, ListenerStatus, MeshStatus, NodeBrief, NodeStatus, RealmStatus, pages};
use crate::config::RunningFile;
use crate::config::resolved::InfoPage;
use crate::limits::Limits;
use crate::metrics::{self, NodeFacts, Process, Snapshot};
use crate::session::admission::Admission;
use crate::transport::accept::{Accepting, ProxyMode};
use crate::transport::askers::{Askers, Names};
use crate::transport::http::{HttpSettings, Page, PageRequest, Pages};
use crate::transport::listener::Listener;
use crate::wamp::SessionKey;
use crate::wire::Serializer;
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const HEALTH_PATHS: [&str; 2] = ["/healthz", "/readyz"];
/// Where operators' tools speak WAMP, on the admin port of a node as on the master.
pub const CONTROL_PATH: &str = "/ws";
/// Fast enough for a master that is to know within seconds who is there.
const CONTROL_PING_INTERVAL: Duration = Duration::from_secs(2);
const CONTROL_PING_TIMEOUT: Duration = Duration::from_secs(2);
const TEXT: &str = "text/plain; charset=utf-8";

/// The pages on a port for clients: who served whom, and as much of what the node is doing as `info` says.
pub fn client_pages(shard: Rc<RefCell<Shard>>, websocket_path: String, info: InfoPage) -> Pages {
    Rc::new(move |request| {
        let shard = shard.borrow();
        match request.path {
            path if path == "/" || path == websocket_path => {
                let NodeInfo { id, pid, .. } = &*shard.node;
                html(pages::status_page(id, *pid, &request.peer.to_string(), &websocket_path))
            }
            "/info" => match info {
                InfoPage::Brief => answer(&shard.brief(), pages::brief_page, request),
                InfoPage::Full => answer(&shard.status(), pages::info_page, request),
            },
            // Here as well, so that a load balancer asks on the very port that it sends clients to.
            path if HEALTH_PATHS.contains(&path) => health(&shard, path),
            path => not_found(path),
        }
    })
}

/// The pages on the admin port.
pub fn admin_pages(shard: Rc<RefCell<Shard>>) -> Pages {
    Rc::new(move |request| {
        let shard = shard.borrow();
        match request.path {
            "/" | "/info" => answer(&shard.status(), pages::info_page, request),
            path if HEALTH_PATHS.contains(&path) => health(&shard, path),
            "/metrics" => Page::new(metrics::CONTENT_TYPE, shard.metrics()),
            path => not_found(path),
        }
    })
}

/// A port for operators and other programs of the cluster: pages, and WAMP for those whom `admission` lets in.
pub fn control_state(
    limits: &Limits,
    admission: Admission,
    bound: &Listener,
    pages: Pages,
    names: Names,
) -> ListenerState {
    let http = HttpSettings {
        websocket_path: Some(CONTROL_PATH.to_owned()),
        serializers: vec![Serializer::Cbor, Serializer::MsgPack, Serializer::Json],
        batched: false,
        require_subprotocol: true,
        echo: false,
        askers: Askers::Operators(names),
        deflate: None,
        pages,
    };
    let accepting = Accepting {
        proxy: ProxyMode::Off,
        proxies: Vec::new(),
        http: Some(http),
        rawsocket: Vec::new(),
        is_mesh: false,
        limits: RefCell::new(limits.clone()),
        tls: RefCell::new(None),
    };
    let pings = Pings { interval: CONTROL_PING_INTERVAL, timeout: CONTROL_PING_TIMEOUT, rawsocket: false };
    ListenerState::new(format!("http://{}/", bound.address()), accepting, admission, pings)
}

/// Whether the loop that routes is alive, and whether new clients are welcome.
fn health(shard: &Shard, path: &str) -> Page {
    match path {
        "/readyz" => match shard.state_name() {
            "up" => text(200, "ready\n"),
            "joining" => text(503, &format!("{}\n", shard.joining_sentence())),
            state => text(503, &format!("{state}\n")),
        },
        _ => text(200, "ok\n"),
    }
}

/// A status for programs, or for people with this page.
fn answer<S: Serialize>(status: &S, page: fn(&S) -> String, request: &PageRequest<'_>) -> Page {
    if request.wants_json {
        let body = serde_json::to_string_pretty(status).expect("a status is plain strings and numbers");
        Page::new(JSON, body + "\n")
    } else {
        html(page(status))
    }
}

fn not_found(path: &str) -> Page {
    Page { status: 404, ..html(pages::not_found_page(path)) }
}

fn html(body: String) -> Page {
    Page::new(HTML, body)
}

fn text(status: u16, body: &str) -> Page {
    Page { status, ..Page::new(TEXT, body) }
}

impl Shard {
    /// That the node is there, for those who need not know more.
    fn brief(&self) -> NodeBrief {
        NodeBrief {
            node: self.node.id.clone(),
            program: "crossbar-edge".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.node.started_text(),
            uptime_seconds: self.now().uptime.as_secs(),
            state: self.state_name().to_owned(),
        }
    }

    /// What the node is doing right now.
    pub fn status(&self) -> NodeStatus {
        let now = self.now();
        let NodeBrief { node, program, version, started, uptime_seconds, state } = self.brief();
        NodeStatus {
            node,
            program,
            version,
            hostname: self.node.hostname.clone(),
            pid: self.node.pid,
            started,
            uptime_seconds,
            public_key: self.node.public_key.clone(),
            state,
            not_run: self.not_run(),
            descriptors_max: self.node.descriptors_max,
            connections: self.connections.len(),
            sessions: self.n_sessions(),
            kept_bytes: self.account.total() as u64,
            kept_bytes_max: self.account.bytes_max() as u64,
            event_delay_ms: self.event_delay.as_secs_f64() * 1_000.0,
            listeners: self
                .listeners
                .iter()
                .map(|listener| ListenerStatus {
                    address: listener.name.clone(),
                    connections: listener.crowd.borrow().n_connections(),
                    handshakes: listener.crowd.borrow().n_handshakes(),
                })
                .collect(),
            realms: self
                .client_realms()
                .map(|slot| RealmStatus {
                    name: slot.realm.name().to_owned(),
                    sessions: slot.realm.n_sessions(),
                    subscriptions: slot.realm.n_subscriptions(),
                    registrations: slot.realm.n_registrations(),
                    kept_bytes: slot.realm.ledger().tally().total() as u64,
                })
                .collect(),
            mesh: self.mesh_status(now.uptime),
            balancer: self.balancer.as_ref().map(|balancer| balancer.status(now.uptime)),
        }
    }

    /// Notes what came of reading the configuration file, where the program has one.
    pub fn note_file(&mut self, note: impl FnOnce(&mut RunningFile)) {
        self.running_file.as_mut().map(note);
    }

    /// Why the program does not run what its configuration file says; None where it does.
    pub fn not_run(&self) -> Option<String> {
        let why = self.running_file.as_ref()?.not_run()?;
        Some(on_one_line(&why, SENTENCE_BYTES_MAX))
    }

    /// What a node that is joining waits for.
    pub fn joining_sentence(&self) -> String {
        match self.waits_for.as_slice() {
            [] => "joining".to_owned(),
            peers => format!("joining: waits for the replay of {}", peers.join(", ")),
        }
    }

    fn state_name(&self) -> &'static str {
        match (self.is_draining, self.is_joining) {
            (true, _) => "draining",
            (false, true) => "joining",
            (false, false) => "up",
        }
    }

    fn mesh_status(&self, uptime: Duration) -> MeshStatus {
        let links: Vec<LinkStatus> = self.links.values().map(|link| self.link_status(link, uptime)).collect();
        MeshStatus { is_complete: links.iter().all(|link| link.is_up && link.is_up_inbound), links }
    }

    /// How each link stands for a node that has just been started.
    pub fn standings(&self) -> impl Iterator<Item = (LinkName, Standing)> {
        self.links.iter().map(|(name, link)| (name.clone(), self.standing(link)))
    }

    fn standing(&self, link: &LinkState) -> Standing {
        let heard = self.realm_named(&link.realm).and_then(|slot| slot.realm.heard_of(&link.peer.id));
        match (link.key.is_some(), heard) {
            (true, Some(heard)) if heard.is_all => Standing::Whole,
            (_, Some(heard)) => Standing::Replaying(heard.n_messages),
            (true, None) => Standing::Replaying(0),
            (false, None) if link.last_error.is_some() => Standing::Away,
            (false, None) => Standing::Dialing,
        }
    }

    fn realm_named(&self, name: &str) -> Option<&RealmSlot> {
        self.realms.get(self.realm_names.get(name)?.0)
    }

    fn link_status(&self, link: &LinkState, uptime: Duration) -> LinkStatus {
        let inbound = self.realm_named(&link.realm).and_then(|slot| slot.realm.peer_key(&link.peer.id));
        let of = |key: Option<SessionKey>| key.and_then(|key| self.connections.get(key.0 as usize));
        let queued_bytes = [of(link.key), of(inbound)].iter().flatten().map(|c| c.outbox.queued_bytes()).sum();
        LinkStatus {
            peer: link.peer.id.clone(),
            address: link.peer.address.to_string(),
            realm: link.realm.clone(),
            is_up: link.key.is_some(),
            is_up_inbound: inbound.is_some(),
            seconds: uptime.saturating_sub(link.since).as_secs_f64(),
            round_trip_ms: of(link.key).and_then(|c| c.round_trip).map(|time| time.as_secs_f64() * 1_000.0),
            queued_bytes,
            attempts: link.attempts,
            last_error: link.last_error.clone(),
        }
    }

    /// What Prometheus is told.
    fn metrics(&self) -> String {
        let outboxes = || self.connections.iter().map(|(_, connection)| connection.outbox.queued_bytes() as u64);
        let snapshot = Snapshot {
            stats: self.stats.clone(),
            sessions: self
                .client_realms()
                .map(|slot| (slot.realm.name().to_owned(), slot.realm.n_sessions() as u64))
                .collect(),
            connections: self
                .listeners
                .iter()
                .map(|listener| (listener.name.clone(), listener.crowd.borrow().n_connections() as u64))
                .collect(),
            outbox_bytes: outboxes().sum(),
            outbox_bytes_fullest: outboxes().max().unwrap_or(0),
            kept: self.kept(),
            kept_bytes_max: self.account.bytes_max() as u64,
            event_delay: self.event_delay,
        };
        let facts = NodeFacts {
            node: self.node.id.clone(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: self.now().uptime,
            is_config_not_run: self.not_run().is_some(),
            process: Process::read(),
        };
        metrics::render(&facts, &[snapshot])
    }
}
