//! One node of the cluster, by what it says of itself and by its silence.

use super::{Action, Member, log};
use crate::time::Now;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is expected, and has not been heard of; or it has just come and has said nothing yet.
    Joining,
    Up,
    /// Nothing was heard of it for `LATE_AFTER`, or its connection is lost.
    Late,
    /// It lets its clients go, or has let them.
    Draining,
    /// Nothing was heard of it for `DOWN_AFTER`.
    Down,
}

impl State {
    /// Every state, in the order in which a node comes and goes.
    pub const ALL: [State; 5] = [State::Joining, State::Up, State::Late, State::Draining, State::Down];

    pub const fn name(self) -> &'static str {
        match self {
            State::Joining => "joining",
            State::Up => "up",
            State::Late => "late",
            State::Draining => "draining",
            State::Down => "down",
        }
    }
}

/// What a node says of itself every second, as far as decisions follow from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub sessions: usize,
    pub is_draining: bool,
    /// Its links are still coming up after its start.
    pub is_joining: bool,
    /// The nodes with which it is not linked in both directions.
    pub unlinked: Vec<String>,
    pub version: String,
    /// Of that part of the configuration in which nodes should be alike.
    pub config_digest: String,
    /// Tells one run of its program from the next.
    pub started: String,
}

/// A node as the master knows it.
#[derive(Clone, Debug)]
pub struct Node {
    pub member: Member,
    pub state: State,
    /// When the state began.
    pub since: Now,
    /// Why it is in this state, for people.
    pub reason: String,
    /// Whether it has a session with the master.
    pub is_connected: bool,
    /// When it was last heard of: its last heartbeat, or the master's own start.
    pub heard: Duration,
    /// What it said last; None when it has said nothing since the master has started.
    pub figures: Option<Figures>,
}

impl Node {
    pub(super) fn new(now: Now, member: Member) -> Node {
        let reason = "has not been heard of yet".to_owned();
        let (state, is_connected, figures) = (State::Joining, false, None);
        Node { member, state, since: now, reason, is_connected, heard: now.uptime, figures }
    }

    /// Whether it takes clients.
    pub fn is_serving(&self) -> bool {
        self.state == State::Up
    }

    /// Whether it will take clients in a moment, or is down in a moment.
    pub(super) fn is_coming(&self) -> bool {
        matches!(self.state, State::Joining | State::Late)
    }

    /// Its sessions, as it said last.
    pub fn sessions(&self) -> usize {
        self.figures.as_ref().map_or(0, |figures| figures.sessions)
    }

    pub(super) fn handle_joined(&mut self, now: Now, out: &mut Vec<Action>) {
        self.is_connected = true;
        self.heard = now.uptime;
        if !matches!(self.state, State::Up | State::Draining) {
            self.turn(now, State::Joining, "has connected", out);
        }
    }

    pub(super) fn handle_heartbeat(&mut self, now: Now, figures: Figures, out: &mut Vec<Action>) {
        self.heard = now.uptime;
        if !self.is_connected {
            return;
        }
        let (state, reason) = match (figures.is_draining, figures.is_joining) {
            (true, _) => (State::Draining, "lets its clients go"),
            (false, true) => (State::Joining, "its links are coming up"),
            (false, false) => (State::Up, "serves"),
        };
        self.turn(now, state, reason, out);
        self.log_changes(&figures, out);
        self.figures = Some(figures);
    }

    pub(super) fn handle_left(&mut self, now: Now, out: &mut Vec<Action>) {
        self.is_connected = false;
        if self.state != State::Down {
            self.turn(now, State::Late, "its connection is lost", out);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut Vec<Action>) {
        let silence = now.uptime.saturating_sub(self.heard);
        if silence >= DOWN_AFTER && self.state != State::Down {
            let reason = match self.figures {
                Some(_) => "nothing was heard of it for 3 s",
                None => "has not been heard of since the master started",
            };
            self.turn(now, State::Down, reason, out);
        } else if silence >= LATE_AFTER && matches!(self.state, State::Up | State::Draining) {
            self.turn(now, State::Late, "nothing was heard of it for 2 s", out);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match self.state {
            State::Down => None,
            State::Up | State::Draining => Some(self.heard + LATE_AFTER),
            State::Joining | State::Late => Some(self.heard + DOWN_AFTER),
        }
    }

    fn turn(&mut self, now: Now, state: State, reason: &str, out: &mut Vec<Action>) {
        if self.state == state {
            return;
        }
        (self.state, self.since, self.reason) = (state, now, reason.to_owned());
        log(out, Some(&self.member.id), state.name(), format!("{} is {}: {reason}", self.member.id, state.name()));
    }

    /// Tells what is new in what the node says: another program, another configuration, links lost and found.
    fn log_changes(&self, new: &Figures, out: &mut Vec<Action>) {
        let id = &self.member.id;
        let Some(old) = &self.figures else {
            return log(out, Some(id), "version", format!("{id} runs version {}", new.version));
        };
        if old.started != new.started {
            log(out, Some(id), "restarted", format!("{id} was started anew at {}", new.started));
        }
        if old.version != new.version {
            log(out, Some(id), "version", format!("{id} runs version {} instead of {}", new.version, old.version));
        }
        if old.config_digest != new.config_digest {
            log(out, Some(id), "config", format!("{id} has another configuration than before"));
        }
        if new.is_joining {
            return;
        }
        for peer in new.unlinked.iter().filter(|peer| !old.unlinked.contains(peer)) {
            log(out, Some(id), "link_lost", format!("{id} is not linked with {peer} any more"));
        }
        for peer in old.unlinked.iter().filter(|peer| !new.unlinked.contains(peer)) {
            log(out, Some(id), "link_up", format!("{id} is linked with {peer}"));
        }
    }
}

/// Two heartbeats have been missed.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(2);
/// As long as the mesh takes at most to answer the calls of a node that is silent.
pub(super) const DOWN_AFTER: Duration = Duration::from_secs(3);
