//! An open session with whoever is asked, and the questions that go over it.

use super::contact::Contact;
use super::look::Look;
use crate::admin::client::{ControlClient, ControlError};
use crate::admin::command::{MASTER_PREFIX, MasterCommand, NodeCommand, node_prefix};
use crate::admin::json;
use crate::cluster::State;
use anyhow::{Context, anyhow, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The session. Questions are asked one after the other.
#[derive(Debug)]
pub(super) struct Asked {
    client: ControlClient,
    contact: Contact,
    url: String,
    /// None: the master.
    edge: Option<String>,
}

/// The nodes that can be asked, and a sentence for each that cannot.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub ids: Vec<String>,
    pub absent: Vec<String>,
}

impl Asked {
    pub(super) async fn open(contact: &Contact) -> anyhow::Result<Asked> {
        let url = contact.url.to_string();
        let client = ControlClient::open(&contact.url, contact.realm(), &contact.client).await;
        let client = client.map_err(|error| {
            // The URL names the address already.
            let (target, _) = error.split_once(": ").unwrap_or_default();
            let rest = error.strip_prefix(&format!("{target}: ")).filter(|_| url.contains(target)).unwrap_or(&error);
            anyhow!("{url}: {}", rest.trim_end())
        })?;
        let edge = match contact.is_master {
            true => None,
            false => Some(client.welcome.str("x_cb_node").context("the edge does not say who it is")?.to_owned()),
        };
        Ok(Asked { client, contact: contact.clone(), url, edge })
    }

    /// Asks anew after the session was lost. The old one is forgotten.
    pub(super) async fn reopen(&mut self) -> anyhow::Result<()> {
        *self = Asked::open(&self.contact).await?;
        Ok(())
    }

    pub(super) async fn close(self) {
        self.client.close().await;
    }

    /// The edge that is asked, None where it is the master.
    pub(super) fn edge(&self) -> Option<&str> {
        self.edge.as_deref()
    }

    /// How everything is.
    pub(super) async fn look(&mut self) -> anyhow::Result<Look> {
        match self.edge.clone() {
            None => Look::of_master(self.of_master(&MasterCommand::Status).await?),
            Some(id) => Look::of_edge(self.of_node(&id, &NodeCommand::Status).await?),
        }
    }

    /// Has the master do something.
    pub(super) async fn of_master(&mut self, command: &MasterCommand) -> anyhow::Result<Value> {
        self.ask(MASTER_PREFIX, command).await
    }

    /// Has a node do something: over the master, or directly.
    pub(super) async fn of_node<T: DeserializeOwned>(&mut self, id: &str, command: &NodeCommand) -> anyhow::Result<T> {
        self.ask(&node_prefix(id), command).await
    }

    /// All nodes, or the one of this name. The error names those that there are.
    pub(super) async fn nodes(&mut self, only: Option<&str>) -> anyhow::Result<Nodes> {
        if let Some(edge) = &self.edge {
            if only.is_some_and(|only| only != edge) {
                bail!("{} is {edge}; of another node ask it itself or the master", self.url);
            }
            return Ok(Nodes { ids: vec![edge.clone()], absent: Vec::new() });
        }
        let look = self.look().await?;
        let mut nodes = Nodes::default();
        let known: Vec<&str> = look.lines.iter().map(|line| line.id.as_str()).collect();
        if let Some(only) = only
            && !known.contains(&only)
        {
            bail!("there is no node {only:?}; there are: {}", known.join(", "));
        }
        for line in look.lines.iter().filter(|line| only.is_none_or(|only| only == line.id)) {
            let is_there = line.status.is_some() && line.state != State::Late.name();
            match is_there {
                true => nodes.ids.push(line.id.clone()),
                false => {
                    nodes.absent.push(format!("{} is {} and was not asked: {}", line.id, line.state, line.reason));
                }
            }
        }
        Ok(nodes)
    }

    async fn ask<T: DeserializeOwned>(&mut self, prefix: &str, command: &impl serde::Serialize) -> anyhow::Result<T> {
        let (name, payload) = json::from_command(command);
        let procedure = format!("{prefix}{name}");
        let payload = self.client.call(&procedure, payload).await.map_err(|error| match error {
            ControlError::Lost(sentence) => anyhow!("{}: {sentence}", self.url),
            ControlError::Refused { sentence, .. } => anyhow!(sentence),
        })?;
        json::from_payload(&payload).map_err(|error| anyhow!("{}: {procedure} answers: {error}", self.url))
    }
}
