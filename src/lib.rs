//! crossbar-cluster: a cluster of WAMP v2 routers that behaves as one router.
//!
//! The rooms, in reading order. A room uses only rooms that stand on lower layers of the table in
//! `docs/architecture.md`;
//! `tests/tidy` holds it to that.

pub mod drop;
pub mod kept;
pub mod limits;
pub mod time;

pub mod wire;

pub mod auth;
pub mod wamp;

pub mod cluster;
pub mod mesh;
pub mod realm;
pub mod session;

pub mod federation;

pub mod config;
pub mod metrics;
pub mod transport;

pub mod admin;

pub mod router;

pub mod ctl;
pub mod edge;
pub mod master;
pub mod probe;
