//! How long a node that has just been started keeps its clients waiting: until every peer that is there has said what
//! its clients want, so that nothing is lost of what is published here from the first moment on. Pure.
//!
//! A peer that cannot be reached is not waited for, and none that is stuck: no peer keeps a node out for long.

use crate::router::dial::{LinkName, Standing};
use std::collections::BTreeMap;
use std::time::Duration;

/// The peers of a node that is joining.
#[derive(Debug, Default)]
pub(super) struct Joining {
    by_peer: BTreeMap<String, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// What it has done so far, and since when it has done nothing more. Uptime.
    progress: u64,
    since: Duration,
    is_given_up: bool,
}

impl Joining {
    /// Looks at all links, and returns the peers that are waited for. `started` is when the waiting began; both times
    /// are uptimes. Those that are given up now are named in the log.
    pub(super) fn waits_for(
        &mut self,
        uptime: Duration,
        started: Duration,
        links: impl IntoIterator<Item = (LinkName, Standing)>,
    ) -> Vec<String> {
        let mut pending: BTreeMap<String, (bool, u64)> = BTreeMap::new();
        for ((peer, _), standing) in links {
            let (is_pending, progress) = pending.entry(peer).or_default();
            *is_pending |= !matches!(standing, Standing::Away | Standing::Whole);
            *progress += match standing {
                Standing::Away | Standing::Dialing => 0,
                // The end of it is progress as well.
                Standing::Whole => 1 << 40,
                Standing::Replaying(n_messages) => 1 + n_messages,
            };
        }
        let is_late = uptime >= started + JOINING_MAX;
        let pending = pending.into_iter().filter(|(_, (is_pending, _))| *is_pending);
        pending
            .filter_map(|(name, (_, progress))| self.is_waited_for(uptime, is_late, &name, progress).then_some(name))
            .collect()
    }

    fn is_waited_for(&mut self, uptime: Duration, is_late: bool, name: &str, progress: u64) -> bool {
        let peer = self.by_peer.entry(name.to_owned()).or_insert(Peer { progress, since: uptime, is_given_up: false });
        if peer.progress != progress {
            (peer.progress, peer.since) = (progress, uptime);
        }
        let is_stuck = uptime >= peer.since + STUCK_MAX;
        if (is_stuck || is_late) && !peer.is_given_up {
            peer.is_given_up = true;
            let why =
                if is_stuck { format!("stuck for {STUCK_MAX:?}") } else { format!("not done within {JOINING_MAX:?}") };
            tracing::warn!(peer = name, "clients are let in without the whole replay of {name}: it is {why}");
        }
        !peer.is_given_up
    }
}

/// A peer that does and says nothing for so long is not waited for.
const STUCK_MAX: Duration = Duration::from_secs(2);
/// Nobody is waited for longer.
const JOINING_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn link(peer: &str, realm: &str, standing: Standing) -> (LinkName, Standing) {
        ((peer.to_owned(), realm.to_owned()), standing)
    }

    #[test]
    fn every_peer_that_is_there_is_waited_for_in_all_realms() {
        let mut joining = Joining::default();
        let mut at = |a, b, c| {
            let links = [link("edge2", "realm1", a), link("edge2", "realm2", b), link("edge3", "realm1", c)];
            joining.waits_for(SECOND, SECOND, links)
        };
        assert_eq!(at(Standing::Dialing, Standing::Dialing, Standing::Dialing), ["edge2", "edge3"]);
        assert_eq!(at(Standing::Replaying(7), Standing::Dialing, Standing::Away), ["edge2"]);
        assert_eq!(at(Standing::Whole, Standing::Replaying(0), Standing::Away), ["edge2"]);
        assert!(at(Standing::Whole, Standing::Whole, Standing::Away).is_empty());
    }

    #[test]
    fn who_is_stuck_or_has_no_end_is_given_up() {
        let mut joining = Joining::default();
        let mut at = |seconds: u32, n_messages| {
            let links = [link("edge2", "realm1", Standing::Replaying(n_messages))];
            !joining.waits_for(SECOND * seconds, SECOND, links).is_empty()
        };
        assert!((1..=5).all(|second| at(second, u64::from(second))));
        assert!(at(6, 5));
        assert!(!at(7, 5), "two seconds without a word");
        assert!(!at(8, 9), "once given up, it is not waited for again");
        let mut joining = Joining::default();
        let mut at = |seconds: u32| {
            let links = [link("edge2", "realm1", Standing::Replaying(seconds.into()))];
            !joining.waits_for(SECOND * seconds, SECOND, links).is_empty()
        };
        assert!((1..=10).all(&mut at));
        assert!(!at(11), "it goes on without end");
    }
}
