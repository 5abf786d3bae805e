//! The last hour in points of five seconds, for the charts.

use crate::admin::cluster_status::{History, NodeHistory};
use crate::time::Now;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How far apart the points are.
pub(super) const STEP: Duration = Duration::from_secs(5);
const POINTS_MAX: usize = 3_600 / 5;

/// Sessions and events per second of every node that was heard of at that moment.
type Point = BTreeMap<String, (u64, f64)>;

#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// Each with its uptime: the wall clock may jump meanwhile.
    points: VecDeque<(Duration, Point)>,
}

impl Recorder {
    pub(super) fn record(&mut self, now: Now, point: Point) {
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back((now.uptime, point));
    }

    /// Everything, node by node. The times are seconds since the epoch by the wall clock as it is now, so they rise
    /// steadily whatever the clock has done.
    pub(super) fn history<'n>(&self, now: Now, nodes: impl Iterator<Item = &'n str>) -> History {
        let of = |id: &str| NodeHistory {
            id: id.to_owned(),
            sessions: self.points.iter().map(|(_, point)| point.get(id).map(|(sessions, _)| *sessions)).collect(),
            events_out: self.points.iter().map(|(_, point)| point.get(id).map(|(_, events)| *events)).collect(),
        };
        History {
            step_seconds: STEP.as_secs(),
            times: self.points.iter().map(|(uptime, _)| wall_time_of(*uptime, now).as_secs()).collect(),
            nodes: nodes.map(of).collect(),
        }
    }
}

fn wall_time_of(uptime: Duration, now: Now) -> Duration {
    now.wall.saturating_sub(now.uptime.saturating_sub(uptime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_gaps_are_null() {
        let mut recorder = Recorder::default();
        for n in 0..POINTS_MAX as u64 + 10 {
            let sessions = Some(("edge1".to_owned(), (n, 0.5))).filter(|_| n % 2 == 0);
            recorder.record(at(n * 5, n * 5), sessions.into_iter().collect());
        }
        let history = recorder
            .history(at(POINTS_MAX as u64 * 5 + 50, POINTS_MAX as u64 * 5 + 50), ["edge1", "edge2"].into_iter());
        assert_eq!((history.times.len(), history.times[0]), (POINTS_MAX, 50));
        assert_eq!(history.nodes[0].sessions[..2], [Some(10), None]);
        assert_eq!(history.nodes[1].sessions[..2], [None, None]);
    }

    #[test]
    fn times_rise_whatever_the_clock_does() {
        let mut recorder = Recorder::default();
        for (uptime, wall) in [(5, 1_000_005), (10, 4_000_000), (15, 7), (20, 1_000_020)] {
            recorder.record(at(uptime, wall), Point::new());
        }
        let history = recorder.history(at(22, 1_000_022), std::iter::empty());
        assert_eq!(history.times, [1_000_005, 1_000_010, 1_000_015, 1_000_020]);
    }

    fn at(uptime: u64, wall: u64) -> Now {
        Now { uptime: Duration::from_secs(uptime), wall: Duration::from_secs(wall) }
    }
}
