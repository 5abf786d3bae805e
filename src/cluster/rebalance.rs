//! Evens out the sessions after a failure. A session cannot be moved; it is ended, and the load balancer gives its
//! client to the emptiest node. So every node above the fair share lets some go, slowly, and what has come of it is
//! looked at before the next round.

use super::{Action, Node, Order, log};
use crate::time::Now;
use std::collections::BTreeMap;
use std::time::Duration;

/// A rebalance that is under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebalance {
    pub started: Now,
    /// Sessions a second at most; None follows from how many have to move.
    pub rate: Option<f64>,
    pub rounds: u32,
    /// Sessions that were asked to go so far.
    pub moved: usize,
    /// When the next round is due.
    pub(super) next: Duration,
}

impl Rebalance {
    pub(super) fn new(now: Now, rate: Option<f64>) -> Rebalance {
        Rebalance { started: now, rate, rounds: 0, moved: 0, next: now.uptime }
    }

    /// Looks how the sessions are spread, and asks for the next round. True when nothing more is to be done.
    pub(super) fn advance(&mut self, now: Now, nodes: &BTreeMap<String, Node>, out: &mut Vec<Action>) -> bool {
        if now.uptime < self.started.uptime + RETURN_MAX
            && let Some(node) = nodes.values().find(|node| node.is_coming())
        {
            // To be even without it would be to be uneven with it.
            if now == self.started {
                log(out, None, "rebalance", format!("waits for {}, which is {}", node.member.id, node.state.name()));
            }
            self.next = now.uptime + LOOK_AGAIN;
            return false;
        }
        let serving: Vec<&Node> = nodes.values().filter(|node| node.is_serving()).collect();
        let spread = Spread::of(&serving);
        if spread.is_even() {
            log(out, None, "rebalance", format!("is done: {} sessions moved, {spread}", self.moved));
            return true;
        }
        if self.rounds == ROUNDS_MAX {
            log(out, None, "rebalance", format!("is given up after {ROUNDS_MAX} rounds: {spread}"));
            return true;
        }
        let excess: Vec<(&Node, usize)> = serving
            .iter()
            .map(|node| (*node, node.sessions().saturating_sub(spread.fair.ceil() as usize)))
            .filter(|(_, excess)| *excess > 0)
            .collect();
        let total: usize = excess.iter().map(|(_, excess)| excess).sum();
        let rate = self.rate.unwrap_or((total as f64 / ROUND_SECONDS).max(RATE_MIN));
        // However slow, a round ends within a day.
        let over = Duration::try_from_secs_f64(total as f64 / rate).map_or(OVER_MAX, |over| over.min(OVER_MAX));
        for (node, sessions) in excess {
            let order = Order::Shed { sessions, over };
            out.push(Action::Order { node: node.member.id.clone(), order });
        }
        self.moved += total;
        self.rounds += 1;
        self.next = now.uptime + over + SETTLE;
        false
    }
}

/// How the sessions are spread over the nodes that serve.
struct Spread {
    fair: f64,
    least: usize,
    most: usize,
}

impl Spread {
    fn of(serving: &[&Node]) -> Spread {
        let sessions = || serving.iter().map(|node| node.sessions());
        Spread {
            fair: sessions().sum::<usize>() as f64 / serving.len().max(1) as f64,
            least: sessions().min().unwrap_or(0),
            most: sessions().max().unwrap_or(0),
        }
    }

    /// Whether every node is within 5 % of the fair share, or within one session.
    fn is_even(&self) -> bool {
        let tolerance = (self.fair * TOLERANCE).max(1.0);
        self.most as f64 - self.fair <= tolerance && self.fair - self.least as f64 <= tolerance
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {} sessions a node, {:.1} would be fair", self.least, self.most, self.fair)
    }
}

/// Half of the 5 % within which every node has to be, because what is heard of the nodes is a second old.
const TOLERANCE: f64 = 0.025;
/// How long a round lasts when nobody says how fast: long enough that no node feels it, short enough for two rounds
/// within 30 s.
const ROUND_SECONDS: f64 = 10.0;
/// How long a node that is on its way to serve is waited for, a restart for example.
const RETURN_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const OVER_MAX: Duration = Duration::from_secs(86_400);
/// Sessions a second at least, so that a few do not take long.
const RATE_MIN: f64 = 20.0;
/// Until those who were sent away are back, and heartbeats have told of it.
const SETTLE: Duration = Duration::from_millis(2_500);
/// What is not even by then has another cause: clients that do not come back, a balancer that spreads differently.
const ROUNDS_MAX: u32 = 6;
