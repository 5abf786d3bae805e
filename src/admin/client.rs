//! A WAMP client for operators' tools: one session on which procedures are called, one after the other.

use super::json;
use crate::auth::client::Client;
use crate::limits::Limits;
use crate::transport::Conversation;
use crate::transport::connect::{Url, connect, reach};
use crate::wamp::message::code;
use crate::wamp::{Id, Message, error};
use crate::wire::{Dict, Payload, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// An open session.
#[derive(Debug)]
pub struct ControlClient {
    conversation: Conversation,
    requests: Id,
    /// What WELCOME said.
    pub welcome: Dict,
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// One sentence: nothing more can be asked on this session.
    #[error("{0}")]
    Lost(String),
    #[error("{sentence}")]
    Refused { error: String, sentence: String },
}

impl ControlClient {
    /// Connects and joins a realm. The error is one sentence that names the URL.
    pub async fn open(url: &Url, realm: &str, client: &Client) -> Result<ControlClient, String> {
        let reached = reach(url.target()).await.map_err(|error| error.to_string())?;
        let opening = async {
            let connected = connect(reached, url, Serializer::Cbor, Limits::default().message_bytes_max).await;
            let mut conversation = Conversation::new(connected.map_err(|error| error.to_string())?);
            let roles = ["caller", "callee", "publisher", "subscriber"];
            let roles = roles.iter().fold(Dict::new(), |all, role| all.with(*role, Dict::new()));
            let details = Dict::new().with("roles", roles).with("agent", AGENT);
            let (_, welcome) = conversation.open(realm, client, details).await?;
            Ok(ControlClient { conversation, requests: 0, welcome })
        };
        tokio::time::timeout(OPEN_TIMEOUT, opening)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {OPEN_TIMEOUT:?}")))
    }

    /// Calls a procedure with keyword arguments, and reads the first argument of its result.
    pub async fn ask<T: DeserializeOwned>(
        &mut self,
        procedure: &str,
        kwargs: &impl Serialize,
    ) -> Result<T, ControlError> {
        let payload = self.call(procedure, json::to_kwargs(kwargs)).await?;
        json::from_payload(&payload).map_err(|error| ControlError::Lost(format!("{procedure} answers: {error}")))
    }

    /// Calls a procedure.
    pub async fn call(&mut self, procedure: &str, payload: Payload) -> Result<Payload, ControlError> {
        tokio::time::timeout(CALL_TIMEOUT, self.call_and_wait(procedure, payload))
            .await
            .unwrap_or_else(|_| Err(ControlError::Lost(format!("{procedure} gives no answer within {CALL_TIMEOUT:?}"))))
    }

    async fn call_and_wait(&mut self, procedure: &str, payload: Payload) -> Result<Payload, ControlError> {
        self.requests += 1;
        let request = self.requests;
        let (options, procedure) = (Dict::new(), procedure.to_owned());
        self.conversation
            .send(&Message::Call { request, options, procedure, payload })
            .await
            .map_err(ControlError::Lost)?;
        loop {
            match self.conversation.receive().await.map_err(ControlError::Lost)? {
                Message::Result { request: answered, payload, .. } if answered == request => return Ok(payload),
                Message::Error { request_type: code::CALL, request: answered, error, payload, .. }
                    if answered == request =>
                {
                    let sentence = json::sentence(&error, &payload);
                    return Err(ControlError::Refused { error, sentence });
                }
                Message::Goodbye { reason, .. } | Message::Abort { reason, .. } => {
                    return Err(ControlError::Lost(format!("the session was ended: {reason}")));
                }
                _ => {}
            }
        }
    }

    /// Ends the session in order.
    pub async fn close(mut self) {
        let goodbye = Message::Goodbye { details: Dict::new(), reason: error::CLOSE_NORMAL.to_owned() };
        // Whether it arrives makes no difference any more.
        let _ = self.conversation.send(&goodbye).await;
    }
}

const AGENT: &str = concat!("crossbar-cluster/", env!("CARGO_PKG_VERSION"));
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// The master asks a node in turn.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
