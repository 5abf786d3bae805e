//! The configuration file: read, checked and explained. `raw` is what the file says, `resolved` is what it means; every
//! mistake on the way is one sentence for the operator.

pub mod origin;
pub mod resolved;

pub use resolved::{Address, Config, Listener, Realm};
