//! The routing truth of one realm on one shard: who is here, who listens to what, who answers what. Pure: messages and
//! the time go in, effects come out.
//!
//! `Realm` takes a session's messages apart and hands them to the `broker` (publish and subscribe) or the `dealer`
//! (call and register); both see the world through a `Context`. What happened that others may want to know (a session
//! joined, a registration was made) is noted as a `MetaEvent` and published after the message is done.

pub mod broker;
pub mod dealer;
pub mod effect;
pub mod ids;
pub mod members;
pub mod pattern;
pub mod permission;

pub use effect::{Effect, MetaEvent, Origin};
pub use members::{Member, MemberKind, Members};
pub use permission::{Action, Permission, RealmConfig, Role};

use crate::time::Now;
use rand_chacha::ChaCha8Rng;

/// What the broker and the dealer may use while they handle one message.
pub struct Context<'a> {
    pub now: Now,
    pub config: &'a RealmConfig,
    pub members: &'a mut Members,
    pub rng: &'a mut ChaCha8Rng,
    /// What has to be done, in order.
    pub out: &'a mut Vec<Effect>,
    /// What happened, to be published as meta events once the message is done.
    pub meta: &'a mut Vec<MetaEvent>,
}
