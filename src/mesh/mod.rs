//! The mesh: what the dialing end of a link keeps, and how the messages of a link are meant. Pure: it knows nothing of
//! the realm that it is linked to, nor of sockets.
//!
//! Every node dials every other one. The dialing node is the client of its link: it mirrors the interest of its own
//! clients onto the peer, and gets on it what the peer's clients produce. `table` is the protocol, `frames` makes and
//! reads its messages, `interest` is what is mirrored, `link` the state of one dialed link.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

pub mod frames;
pub mod interest;
pub mod link;
pub mod remote_client;
pub mod table;

pub use frames::{LinkCall, Offer};
pub use interest::{Kind, Mirror, Pattern, Want};
pub use link::{CallOwner, Input, Uplink};
pub use remote_client::RemoteClient;
