//! What load balancers that ask are told, in the words of HAProxy's agent check, and whether any asks. Pure.
//!
//! `ready` takes back a drain or a maintenance, and a percentage replaces a weight, whoever ordered them: so both are
//! said only while they are news. What an operator has ordered in the balancer itself stays.

use crate::admin::BalancerStatus;
use std::time::Duration;

/// What was said last, and when.
#[derive(Debug, Default)]
pub struct Balancer {
    /// None: clients are not wanted, or nobody has asked since they are.
    welcome: Option<Welcome>,
    n_answers: u64,
    /// The last answer, and when it was given, in uptime.
    last: Option<(Duration, String)>,
}

/// That clients are wanted, since somebody was told so for the first time.
#[derive(Debug)]
struct Welcome {
    since: Duration,
    n_told: u32,
    percent: u32,
    percent_since: Duration,
}

impl Balancer {
    /// The line for whoever asks now. `room` is how much of what this node can take is free, in percent; None: nobody
    /// is to be sent here.
    pub fn answer(&mut self, uptime: Duration, room: Option<u32>) -> String {
        let line = match room.map(weight) {
            None => {
                self.welcome = None;
                "drain\n".to_owned()
            }
            Some(percent) => {
                let new = || Welcome { since: uptime, n_told: 0, percent, percent_since: uptime };
                self.welcome.get_or_insert_with(new).answer(uptime, percent)
            }
        };
        self.n_answers += 1;
        self.last = Some((uptime, line.clone()));
        line
    }

    /// How this node stands with its load balancers.
    pub fn status(&self, uptime: Duration) -> BalancerStatus {
        let silence = uptime.saturating_sub(self.last.as_ref().map_or(Duration::ZERO, |(at, _)| *at));
        let not_offered = match &self.last {
            None if silence >= FIRST_QUESTION_MAX => {
                Some("no load balancer has asked its agent port since it was started".to_owned())
            }
            Some(_) if silence >= QUESTION_MAX => {
                Some(format!("no load balancer has asked its agent port for {} s", silence.as_secs()))
            }
            Some((_, line)) if self.welcome.is_none() => {
                Some(format!("it told the load balancer to send nobody: {}", line.trim_end()))
            }
            _ => None,
        };
        BalancerStatus {
            answers: self.n_answers,
            answer: self.last.as_ref().map(|(_, line)| line.trim_end().to_owned()),
            answered_seconds: self.last.as_ref().map(|_| silence.as_secs_f64()),
            not_offered,
        }
    }
}

impl Welcome {
    fn answer(&mut self, uptime: Duration, percent: u32) -> String {
        self.n_told += 1;
        if self.percent != percent {
            (self.percent, self.percent_since) = (percent, uptime);
        }
        let is_news = |since: Duration| uptime < since + NEWS_TIME;
        let ready = if is_news(self.since) || self.n_told <= NEWS_MIN { "ready " } else { "" };
        if percent < 100 || is_news(self.percent_since) {
            format!("{ready}up {percent}%\n")
        } else {
            format!("{ready}up\n")
        }
    }
}

/// The weight of a node with so much room. A node has nothing to say until it is nearly full: the balancer counts
/// connections itself. The weight is never zero, which would be a drain.
fn weight(room: u32) -> u32 {
    match room {
        10.. => 100,
        5.. => 50,
        1.. => 25,
        0 => 1,
    }
}

/// News are told for so long, and so often: several balancers may ask, each every half second as they are shipped.
const NEWS_TIME: Duration = Duration::from_secs(3);
const NEWS_MIN: u32 = 3;
/// A balancer that has not asked for so long is gone, or cannot reach the agent port.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// A balancer may be started after the node.
const FIRST_QUESTION_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Asks every half second from this second on, and returns the answers.
    fn ask(balancer: &mut Balancer, from: u32, times: u32, room: Option<u32>) -> Vec<String> {
        (0..times).map(|n| balancer.answer(SECOND * from + SECOND / 2 * n, room)).collect()
    }

    #[test]
    fn what_is_no_news_is_not_said() {
        let mut balancer = Balancer::default();
        let answers = ask(&mut balancer, 100, 8, Some(90));
        assert_eq!(answers[..6], vec!["ready up 100%\n"; 6]);
        assert_eq!(answers[6..], vec!["up\n"; 2]);
        // The weight falls, and is back.
        assert_eq!(ask(&mut balancer, 110, 2, Some(7)), vec!["up 50%\n"; 2]);
        let answers = ask(&mut balancer, 120, 8, Some(100));
        assert_eq!(answers[..6], vec!["up 100%\n"; 6]);
        assert_eq!(answers[6..], vec!["up\n"; 2]);
        // A drain, and its end.
        assert_eq!(ask(&mut balancer, 130, 2, None), vec!["drain\n"; 2]);
        assert_eq!(ask(&mut balancer, 140, 8, Some(100)), [vec!["ready up 100%\n"; 6], vec!["up\n"; 2]].concat());
    }

    /// Who asks seldom is told as well.
    #[test]
    fn news_are_told_several_times() {
        let mut balancer = Balancer::default();
        let answers: Vec<String> = (0..4).map(|n| balancer.answer(SECOND * 10 * n, Some(100))).collect();
        assert!(answers[..3].iter().all(|answer| answer.starts_with("ready up")), "{answers:?}");
        assert_eq!(answers[3], "up\n");
    }

    #[test]
    fn the_weight_follows_the_room_that_is_left() {
        for (room, expected) in [(100, 100), (10, 100), (9, 50), (5, 50), (4, 25), (1, 25), (0, 1)] {
            assert_eq!(weight(room), expected, "{room} % of room");
        }
    }

    #[test]
    fn who_is_not_offered_clients_says_why() {
        let mut balancer = Balancer::default();
        assert_eq!(balancer.status(SECOND * 29).not_offered, None, "a balancer may be started later");
        let never = balancer.status(SECOND * 30).not_offered;
        assert_eq!(never.as_deref(), Some("no load balancer has asked its agent port since it was started"));
        balancer.answer(SECOND * 40, Some(100));
        let status = balancer.status(SECOND * 42);
        assert_eq!((status.answer.as_deref(), status.answered_seconds), (Some("ready up 100%"), Some(2.0)));
        assert_eq!(status.not_offered, None);
        let silent = balancer.status(SECOND * 45).not_offered;
        assert_eq!(silent.as_deref(), Some("no load balancer has asked its agent port for 5 s"));
        balancer.answer(SECOND * 50, None);
        let drained = balancer.status(SECOND * 51).not_offered;
        assert_eq!(drained.as_deref(), Some("it told the load balancer to send nobody: drain"));
    }
}
