//! What a run is to be: the original's options, and ours.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One run. The conductor passes it on to each client process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Where to connect to; each connection of a client opens one session per URL.
    pub urls: Vec<String>,
    pub realm: String,
    /// Client processes.
    pub clients: usize,
    /// Connections of each client, per URL.
    pub connections: usize,
    /// How long is published, in seconds.
    pub duration: f64,
    /// How often each session writes what it has received, in seconds.
    pub period: f64,
    /// Publishing loops of each session.
    pub loops: usize,
    /// Rounds per second of each loop.
    pub rate: f64,
    /// Publications of each round.
    pub stride: usize,
    /// Bytes of each payload.
    pub size: usize,
    /// Only totals, no lines of single sessions.
    pub silent: bool,
    /// The name of a client, with `{}` for its number.
    pub logname: String,
    /// Also what is not worth a line otherwise: failed attempts to connect, errors.
    pub debug: bool,
    /// How long after the last publication its events are waited for, as long as none arrives, in seconds.
    pub linger: f64,
    /// Tells the events of this run from those of others.
    pub run: u32,
    /// Processes whose processor time is measured along.
    pub watched: Vec<Watched>,
}

/// A process that takes part in what is measured, and the name of the part that it plays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    pub name: String,
    pub pid: u32,
}

impl Settings {
    /// The name of a client: `publisher0`.
    pub fn client_name(&self, client: usize) -> String {
        self.logname.replace("{}", &client.to_string())
    }

    /// Sessions of one client process.
    pub fn sessions_per_client(&self) -> usize {
        self.connections * self.urls.len()
    }

    /// Sessions of all client processes.
    pub fn sessions(&self) -> usize {
        self.clients * self.sessions_per_client()
    }

    /// Publishing loops of all client processes.
    pub fn publishers(&self) -> usize {
        self.sessions() * self.loops
    }

    /// The rate of events that all sessions together are to receive: everybody receives everything.
    pub fn offered_per_second(&self) -> f64 {
        self.publishers() as f64 * self.rate * self.stride as f64 * self.sessions() as f64
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    pub(super) fn publishing_time(&self) -> Duration {
        Duration::from_secs_f64(self.duration)
    }
}

/// The URLs of the original's `client.ini`: a section per node, each with a line `url=ws://...`.
pub fn urls_of_config(text: &str) -> Vec<String> {
    let keys = text.lines().filter_map(|line| line.split_once('='));
    keys.filter(|(key, _)| key.trim() == "url").map(|(_, value)| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_file_is_read() {
        let text = "[edge1]\nurl=ws://localhost:8081\n\n# a remark\n[edge2]\n url = ws://localhost:8082/ws \nother=1\n";
        assert_eq!(urls_of_config(text), ["ws://localhost:8081", "ws://localhost:8082/ws"]);
    }
}
