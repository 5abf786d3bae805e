//! The gate of a rolling restart: open when every node is back, linked with all others, and carries its part of the
//! load.

use super::Node;
use std::collections::BTreeMap;

/// Whether the next node may be restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// What is missing, in one sentence.
    Closed(String),
}

pub(super) fn judge(nodes: &BTreeMap<String, Node>) -> Gate {
    if nodes.is_empty() {
        return Gate::Closed("there are no nodes".to_owned());
    }
    // A node that is not there is why others are not linked with it.
    if let Some(node) = nodes.values().find(|node| !node.is_serving()) {
        return Gate::Closed(format!("{} is {}: {}", node.member.id, node.state.name(), node.reason));
    }
    for node in nodes.values() {
        let id = &node.member.id;
        if let Some(peer) = node.figures.as_ref().and_then(|figures| figures.unlinked.first()) {
            return Gate::Closed(format!("{id} is not linked with {peer}"));
        }
    }
    let fair = nodes.values().map(Node::sessions).sum::<usize>() as f64 / nodes.len() as f64;
    if fair >= LOAD_MIN
        && let Some(node) = nodes.values().find(|node| (node.sessions() as f64) < fair * SHARE_MIN)
    {
        let (id, sessions) = (&node.member.id, node.sessions());
        return Gate::Closed(format!("{id} carries {sessions} sessions, its fair share is {fair:.0} (rebalance)"));
    }
    Gate::Open
}

/// With fewer sessions a node there is no load to speak of.
const LOAD_MIN: f64 = 4.0;
/// Who has half of what is fair carries load.
const SHARE_MIN: f64 = 0.5;
