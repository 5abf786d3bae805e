//! A dialed transport as WAMP messages that are sent and awaited one by one: for handshakes and for operators' tools,
//! where a message costs what it costs. What is hot reads frames itself.

use super::connect::Connected;
use super::{Inbound, Incoming, Outbound, Stream};
use crate::auth::client::Client;
use crate::wamp::codec::Form;
use crate::wamp::{Id, Message, codec};
use crate::wire::Dict;
use std::future::poll_fn;
use std::io;

/// One end of a transport during a conversation.
#[derive(Debug)]
pub struct Conversation {
    pub stream: Stream,
    pub inbound: Inbound,
    pub outbound: Outbound,
    pub form: Form,
    /// What has been read and not decoded.
    pub read: Vec<u8>,
    /// What is to be sent and has not been written.
    unsent: Vec<u8>,
}

impl Conversation {
    pub fn new(connected: Connected) -> Conversation {
        let Connected { stream, inbound, outbound, serializer, leftover } = connected;
        let form = serializer.into();
        Conversation { stream, inbound, outbound, form, read: leftover.to_vec(), unsent: Vec::new() }
    }

    /// Opens a session: HELLO, the answer to a CHALLENGE, WELCOME. Returns what WELCOME said.
    pub async fn open(&mut self, realm: &str, client: &Client, details: Dict) -> Result<(Id, Dict), String> {
        let client = client.renewed(self.stream.channel_id(), &mut rand::rng());
        self.send(&Message::Hello { realm: realm.to_owned(), details: client.hello_details(details) }).await?;
        loop {
            match self.receive().await? {
                Message::Challenge { method, extra } => {
                    let signature = client.answer(realm, &method, &extra).map_err(|error| error.to_string())?;
                    self.send(&Message::Authenticate { signature, extra: Dict::new() }).await?;
                }
                Message::Welcome { session, details } => return Ok((session, details)),
                Message::Abort { details, reason, .. } => {
                    return Err(format!("refused: {reason} {}", details.str("message").unwrap_or("")));
                }
                other => return Err(format!("{} came instead of WELCOME", other.name())),
            }
        }
    }

    /// Writes one message, waiting for room.
    pub async fn send(&mut self, message: &Message) -> Result<(), String> {
        let mut encoded = Vec::new();
        codec::encode(message, self.form, &mut encoded);
        let frame = self.outbound.wrap(self.form.serializer(), &encoded).map_err(|error| error.to_string())?;
        self.unsent.extend_from_slice(&frame);
        self.flush().await
    }

    /// Awaits the next message, answering pings meanwhile. May be dropped while it waits: nothing is lost.
    pub async fn receive(&mut self) -> Result<Message, String> {
        loop {
            while !self.read.is_empty() {
                let (taken, incoming) = self.inbound.decode(&mut self.read).map_err(|broken| broken.message)?;
                let (message, pong) = match incoming {
                    Some(Incoming::Message { bytes, .. }) => (Some(codec::decode(self.form, &bytes, DEPTH_MAX)), None),
                    Some(Incoming::Ping(payload)) => (None, self.outbound.pong(&payload).ok()),
                    Some(Incoming::Close { .. }) => return Err(CLOSED.to_owned()),
                    Some(Incoming::Pong) | None => (None, None),
                };
                self.read.drain(..taken);
                self.unsent.extend(pong.into_iter().flatten());
                if let Some(message) = message {
                    return message.map_err(|error| error.to_string());
                }
            }
            self.flush().await?;
            poll_fn(|cx| self.stream.poll_read_ready(cx)).await.map_err(|error| error.to_string())?;
            let mut buffer = [0; 4096];
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(CLOSED.to_owned()),
                Ok(n) => self.read.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Writes what waits. What has been written is forgotten as it is, so that this may be dropped at any time.
    async fn flush(&mut self) -> Result<(), String> {
        while !self.unsent.is_empty() {
            poll_fn(|cx| self.stream.poll_write_ready(cx)).await.map_err(|error| error.to_string())?;
            match self.stream.try_write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
}

const CLOSED: &str = "the peer closed the connection";
/// Deeper than anything that handshakes and operators' tools say.
const DEPTH_MAX: usize = 32;
