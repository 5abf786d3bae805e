//! What an operator sees and asks: the state of a node and of the cluster as serializable counterparts of what router
//! and master know, the commands they take, the pages made of it, and the client by which tools ask.

pub mod arguments;
pub mod client;
pub mod cluster_status;
pub mod command;
pub mod json;
pub mod log_rate;
pub mod logging;
pub mod node_status;
pub mod pages;
pub mod refusals;
pub mod report;
pub mod stdout;
#[cfg(test)]
mod tests;
pub mod text;

pub use node_status::{BalancerStatus, LinkStatus, ListenerStatus, MeshStatus, NodeBrief, NodeStatus, RealmStatus};
