//! What the master decides: who belongs to the cluster, how every node stands, and what the slow jobs (drain,
//! rebalance, rolling restart) do next. Pure: heartbeats, orders and the time go in, [`Action`]s come out.
//!
//! Nothing here is needed by a message on its way. A node that the master has not heard of for an hour goes on
//! routing; here it is `down`.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod gate;
pub mod membership;
mod node;
mod rebalance;
#[cfg(test)]
mod tests;

pub use gate::Gate;
pub use membership::{Member, Membership, is_node_id};
pub use node::{Figures, Node, State};
pub use rebalance::Rebalance;

use crate::time::Now;
use std::collections::BTreeMap;
use std::time::Duration;

/// The whole cluster as the master knows it.
#[derive(Debug)]
pub struct Cluster {
    nodes: BTreeMap<String, Node>,
    /// Counts the changes of the membership, over restarts of the master too.
    version: u64,
    rebalance: Option<Rebalance>,
}

/// What has to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The membership has changed: tell it to every node, and keep its version.
    Publish,
    /// Something has happened that an operator may want to read later.
    Log { node: Option<String>, kind: &'static str, text: String },
    /// The node is to do this.
    Order { node: String, order: Order },
}

/// What the master asks of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Ends its sessions one after the other over this time, and takes no new ones. None: over its own drain time.
    Drain { over: Option<Duration> },
    /// Takes sessions again.
    Undrain,
    /// Ends this many sessions over this time, so that they go to other nodes.
    Shed { sessions: usize, over: Duration },
}

/// Why an order of the operator is not carried out: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Cluster {
    /// A cluster of these members, of whom nothing has been heard yet. `version` is that of the membership.
    pub fn new(now: Now, members: Vec<Member>, version: u64) -> Cluster {
        let nodes = members.into_iter().map(|member| (member.id.clone(), Node::new(now, member))).collect();
        Cluster { nodes, version, rebalance: None }
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The rebalance that is under way.
    pub fn rebalance(&self) -> Option<&Rebalance> {
        self.rebalance.as_ref()
    }

    /// What every node is told about all of them.
    pub fn membership(&self) -> Membership {
        Membership { version: self.version, members: self.nodes.values().map(|node| node.member.clone()).collect() }
    }

    /// Adds a node, or changes the address or key of one.
    pub fn admit(&mut self, now: Now, member: Member, out: &mut Vec<Action>) -> Result<(), Refusal> {
        let others = || self.nodes.values().filter(|node| node.member.id != member.id).map(|node| &node.member);
        if let Some(other) = others().find(|other| other.public_key == member.public_key) {
            return Err(Refusal(format!("the key of {} is already that of {}", member.id, other.id)));
        }
        if let Some(other) = others().find(|other| other.address == member.address) {
            return Err(Refusal(format!("{} is already the address of {}", member.address, other.id)));
        }
        if self.nodes.get(&member.id).is_some_and(|node| node.member == member) {
            return Ok(());
        }
        log(out, Some(&member.id), "admitted", format!("{} at {}", member.id, member.address));
        match self.nodes.get_mut(&member.id) {
            Some(node) => node.member = member,
            None => {
                self.nodes.insert(member.id.clone(), Node::new(now, member));
            }
        }
        self.publish(out);
        Ok(())
    }

    /// Takes a node out: its key opens nothing any more.
    pub fn remove(&mut self, id: &str, out: &mut Vec<Action>) -> Result<(), Refusal> {
        if self.nodes.remove(id).is_none() {
            return Err(self.no_such_node(id));
        }
        log(out, Some(id), "removed", format!("{id} does not belong to the cluster any more"));
        self.publish(out);
        Ok(())
    }

    /// A node has opened its session with the master.
    pub fn handle_joined(&mut self, now: Now, id: &str, out: &mut Vec<Action>) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.handle_joined(now, out);
        }
    }

    /// A node has told its figures.
    pub fn handle_heartbeat(&mut self, now: Now, id: &str, figures: Figures, out: &mut Vec<Action>) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.handle_heartbeat(now, figures, out);
        }
    }

    /// A node's session with the master has ended.
    pub fn handle_left(&mut self, now: Now, id: &str, out: &mut Vec<Action>) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.handle_left(now, out);
        }
    }

    /// Asks a node to let its clients go; `over` None takes the node's own drain time.
    pub fn drain(&mut self, id: &str, over: Option<Duration>, out: &mut Vec<Action>) -> Result<(), Refusal> {
        self.reachable(id)?;
        log(out, Some(id), "drain", format!("{id} is asked to let its clients go"));
        out.push(Action::Order { node: id.to_owned(), order: Order::Drain { over } });
        Ok(())
    }

    /// Asks a node to take clients again.
    pub fn undrain(&mut self, id: &str, out: &mut Vec<Action>) -> Result<(), Refusal> {
        self.reachable(id)?;
        log(out, Some(id), "undrain", format!("{id} is asked to take clients again"));
        out.push(Action::Order { node: id.to_owned(), order: Order::Undrain });
        Ok(())
    }

    /// Begins to even out the sessions: `rate` of them a second move at most, over the whole cluster.
    pub fn begin_rebalance(&mut self, now: Now, rate: Option<f64>, out: &mut Vec<Action>) -> Result<(), Refusal> {
        if self.rebalance.is_some() {
            return Err(Refusal("a rebalance is already under way".to_owned()));
        }
        let serving = self.nodes.values().filter(|node| node.is_serving()).count();
        let coming = self.nodes.values().filter(|node| node.is_coming()).count();
        if serving + coming < 2 {
            return Err(Refusal(format!("a rebalance needs two nodes that are up, there are {serving}")));
        }
        let mut rebalance = Rebalance::new(now, rate);
        log(out, None, "rebalance", "begins".to_owned());
        if !rebalance.advance(now, &self.nodes, out) {
            self.rebalance = Some(rebalance);
        }
        Ok(())
    }

    /// Whether a rolling restart may go on to the next node.
    pub fn gate(&self) -> Gate {
        gate::judge(&self.nodes)
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Vec<Action>) {
        for node in self.nodes.values_mut() {
            node.handle_timeout(now, out);
        }
        if let Some(rebalance) = &mut self.rebalance
            && rebalance.next <= now.uptime
            && rebalance.advance(now, &self.nodes, out)
        {
            self.rebalance = None;
        }
    }

    /// The uptime at which `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let nodes = self.nodes.values().filter_map(Node::poll_timeout);
        nodes.chain(self.rebalance.as_ref().map(|rebalance| rebalance.next)).min()
    }

    fn publish(&mut self, out: &mut Vec<Action>) {
        self.version += 1;
        out.push(Action::Publish);
    }

    fn reachable(&self, id: &str) -> Result<&Node, Refusal> {
        let node = self.nodes.get(id).ok_or_else(|| self.no_such_node(id))?;
        match node.is_connected {
            true => Ok(node),
            false => Err(Refusal(format!("{id} is {} and cannot be asked", node.state.name()))),
        }
    }

    fn no_such_node(&self, id: &str) -> Refusal {
        let known: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
        Refusal(format!("there is no node {id:?}; there are: {}", known.join(", ")))
    }
}

pub(crate) fn log(out: &mut Vec<Action>, node: Option<&str>, kind: &'static str, text: String) {
    out.push(Action::Log { node: node.map(str::to_owned), kind, text });
}
