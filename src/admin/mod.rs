//! What an operator sees and asks: the state of a node as a serializable counterpart of what the router knows, and the
//! pages made of it.

pub mod node_status;
pub mod pages;

pub use node_status::{LinkStatus, ListenerStatus, MeshStatus, NodeStatus, RealmStatus};
