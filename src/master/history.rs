//! The last hour in points of five seconds, for the charts.

use crate::admin::cluster_status::{History, NodeHistory};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How far apart the points are.
pub(super) const STEP: Duration = Duration::from_secs(5);
const POINTS_MAX: usize = 3_600 / 5;

/// Sessions and events per second of every node that was heard of at that moment.
type Point = BTreeMap<String, (u64, f64)>;

#[derive(Debug, Default)]
pub(super) struct Recorder {
    points: VecDeque<(Duration, Point)>,
}

impl Recorder {
    /// Adds a point; `wall` is the time since the epoch.
    pub(super) fn record(&mut self, wall: Duration, point: Point) {
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back((wall, point));
    }

    /// Everything, node by node.
    pub(super) fn history<'n>(&self, nodes: impl Iterator<Item = &'n str>) -> History {
        let of = |id: &str| NodeHistory {
            id: id.to_owned(),
            sessions: self.points.iter().map(|(_, point)| point.get(id).map(|(sessions, _)| *sessions)).collect(),
            events_out: self.points.iter().map(|(_, point)| point.get(id).map(|(_, events)| *events)).collect(),
        };
        History {
            step_seconds: STEP.as_secs(),
            times: self.points.iter().map(|(wall, _)| wall.as_secs()).collect(),
            nodes: nodes.map(of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_gaps_are_null() {
        let mut recorder = Recorder::default();
        for n in 0..POINTS_MAX as u64 + 10 {
            let sessions = Some(("edge1".to_owned(), (n, 0.5))).filter(|_| n % 2 == 0);
            recorder.record(Duration::from_secs(n * 5), sessions.into_iter().collect());
        }
        let history = recorder.history(["edge1", "edge2"].into_iter());
        assert_eq!((history.times.len(), history.times[0]), (POINTS_MAX, 50));
        assert_eq!(history.nodes[0].sessions[..2], [Some(10), None]);
        assert_eq!(history.nodes[1].sessions[..2], [None, None]);
    }
}
