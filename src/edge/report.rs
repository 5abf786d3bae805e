//! The session with the master: this node tells how it is, is told who belongs to the cluster, and does what it is
//! asked. While there is no master everything goes on as it is.

use super::control::Control;
use super::peers::Peers;
use crate::admin::command::{MASTER_PREFIX, MASTER_REALM, ON_MEMBERSHIP, audit};
use crate::admin::json;
use crate::auth::client::Client;
use crate::auth::cryptosign::{PublicKey, SecretKey};
use crate::auth::mutual::Purpose;
use crate::cluster::Membership;
use crate::limits::Limits;
use crate::transport::Conversation;
use crate::transport::connect::{Reached, Url, connect, reach};
use crate::wamp::message::code;
use crate::wamp::{Id, Message};
use crate::wire::{Dict, Payload, Serializer};
use rand::RngExt;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// A node that has a master.
pub(super) struct Reporter {
    pub node: String,
    pub key: SecretKey,
    pub url: Url,
    pub master: PublicKey,
    pub control: Rc<Control>,
    pub peers: Rc<Peers>,
    /// It did not belong to the cluster when the master last told who does.
    pub was_out: Cell<bool>,
}

/// One session with the master.
struct Report<'r> {
    reporter: &'r Reporter,
    conversation: Conversation,
    requests: Id,
    membership: Id,
    heard: Instant,
    /// The number of the last refusal that this master was told of.
    told: u64,
}

impl Reporter {
    /// Keeps a session with the master for ever.
    pub(super) async fn run(self) {
        let mut pause = RECONNECT_MIN;
        let mut last_error = String::new();
        loop {
            let error = match self.open().await {
                Ok(mut report) => {
                    tracing::info!("the master is there");
                    pause = RECONNECT_MIN;
                    match report.go_on().await {
                        Ok(never) => match never {},
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if error != last_error {
                tracing::warn!(error, "there is no master; everything goes on without it");
                last_error = error;
            }
            // Jitter, so that the nodes do not all come back in the same moment.
            tokio::time::sleep(pause.mul_f64(rand::rng().random_range(0.5..1.5))).await;
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    async fn open(&self) -> Result<Report<'_>, String> {
        let reached = reach(self.url.target()).await.map_err(|error| error.to_string())?;
        let opened = tokio::time::timeout(OPEN_MAX, self.open_session(reached)).await;
        opened.unwrap_or_else(|_| Err(format!("no answer within {OPEN_MAX:?}")))
    }

    async fn open_session(&self, reached: Reached) -> Result<Report<'_>, String> {
        let connected = connect(reached, &self.url, Serializer::Cbor, Limits::default().message_bytes_max).await;
        let mut conversation = Conversation::new(connected.map_err(|error| error.to_string())?);
        let client = Client::program(self.node.as_str(), self.key.clone(), Purpose::Report);
        let client = client.expect(None, Some(self.master));
        let features = Dict::new().with("pattern_based_registration", true);
        let roles = Dict::new()
            .with("caller", Dict::new())
            .with("callee", Dict::new().with("features", features))
            .with("subscriber", Dict::new());
        conversation.open(MASTER_REALM, &client, Dict::new().with("roles", roles)).await?;
        let mut report =
            Report { reporter: self, conversation, requests: 0, membership: 0, heard: Instant::now(), told: 0 };
        report.introduce().await?;
        Ok(report)
    }
}

impl Report<'_> {
    /// Says what this node answers, and asks who belongs to the cluster.
    async fn introduce(&mut self) -> Result<(), String> {
        let (request, topic) = (self.next_request(), ON_MEMBERSHIP.to_owned());
        self.send(Message::Subscribe { request, options: Dict::new(), topic }).await?;
        let (request, procedure) = (self.next_request(), self.reporter.control.prefix.clone());
        // An earlier session of this node that the master has not given up yet answers nothing any more.
        let options = Dict::new().with("match", "prefix").with("force_reregister", true);
        self.send(Message::Register { request, options, procedure }).await?;
        self.membership = self.call("membership", json::nothing()).await?;
        self.beat().await
    }

    /// Reports until the session is lost; the error says why.
    async fn go_on(&mut self) -> Result<std::convert::Infallible, String> {
        let mut ticks = tokio::time::interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.conversation.receive() => {
                    self.heard = Instant::now();
                    self.handle(message?).await?;
                }
                _ = ticks.tick() => {
                    if self.heard.elapsed() > SILENCE_MAX {
                        return Err(format!("the master has been silent for {SILENCE_MAX:?}"));
                    }
                    self.beat().await?;
                }
            }
        }
    }

    async fn handle(&mut self, message: Message) -> Result<(), String> {
        match message {
            Message::Invocation { request, details, payload, .. } => {
                let procedure = details.str("procedure").unwrap_or_default();
                let answer = self.reporter.control.answer(procedure, &payload);
                // Of the master itself where it does not name an operator.
                let who = details.str("caller_authid").unwrap_or("the master");
                audit(who, "the master", procedure, &payload, json::refusal(&answer));
                let answer = match answer {
                    Ok(payload) => Message::Yield { request, options: Dict::new(), payload },
                    Err(error) => Message::Error {
                        request_type: code::INVOCATION,
                        request,
                        details: Dict::new(),
                        error: error.error,
                        payload: error.payload,
                    },
                };
                self.send(answer).await?;
            }
            Message::Event { payload, .. } => self.take_membership(&payload),
            Message::Result { request, payload, .. } if request == self.membership => self.take_membership(&payload),
            Message::Error { error, payload, .. } => {
                return Err(format!("the master refuses: {}", json::sentence(&error, &payload)));
            }
            Message::Goodbye { reason, .. } | Message::Abort { reason, .. } => {
                return Err(format!("the master has ended the session: {reason}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn take_membership(&self, payload: &Payload) {
        match json::from_payload::<Membership>(payload) {
            Ok(membership) => {
                let is_out = !self.reporter.peers.take_membership(membership);
                match (self.reporter.was_out.replace(is_out), is_out) {
                    (false, true) => {
                        tracing::error!("this node does not belong to the cluster any more: it lets its clients go");
                        self.reporter.control.clients.drain(None);
                    }
                    (true, false) => self.reporter.control.clients.undrain(),
                    _ => {}
                }
            }
            Err(error) => tracing::error!(error, "the master tells no membership"),
        }
    }

    async fn beat(&mut self) -> Result<(), String> {
        let heartbeat = self.reporter.control.heartbeat(self.told);
        self.told = heartbeat.refusals.last().map_or(self.told, |last| last.number);
        self.call("heartbeat", json::to_payload(&heartbeat)).await.map(drop)
    }

    async fn call(&mut self, command: &str, payload: Payload) -> Result<Id, String> {
        let (request, procedure) = (self.next_request(), format!("{MASTER_PREFIX}{command}"));
        self.send(Message::Call { request, options: Dict::new(), procedure, payload }).await?;
        Ok(request)
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        self.conversation.send(&message).await
    }

    fn next_request(&mut self) -> Id {
        self.requests += 1;
        self.requests
    }
}

const HEARTBEAT: Duration = Duration::from_secs(1);
const OPEN_MAX: Duration = Duration::from_secs(3);
/// Every heartbeat is answered; a master that answers none for so long is another one by now, or none.
const SILENCE_MAX: Duration = Duration::from_secs(4);
const RECONNECT_MIN: Duration = Duration::from_millis(100);
/// A master that returns knows how things are within three seconds.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
