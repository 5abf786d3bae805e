//! The command line of `crossbar-probe`: parsed by the program, and the source of its completions and man pages.

use super::{STAMP_BYTES, Settings, Watched, urls_of_config};
use crate::transport::connect::Url;
use anyhow::{Context, ensure};
use clap::Parser;
use std::fs;
use std::path::PathBuf;

/// Opens many sessions from several processes, has each publish to all, and checks what arrives.
#[derive(Debug, Parser)]
#[command(name = "crossbar-probe", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Where to connect to: ws://host:port/path, rs://host:port or rs+unix:/path.
    #[arg(long)]
    url: Option<String>,
    /// A file with a section per node and a line `url=` in each, as the original's client.ini: each connection then
    /// opens a session per node. Without it and --url, ws://localhost:8080/ws.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// The realm to join.
    #[arg(long, default_value = "realm1")]
    realm: String,
    /// Client processes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    clients: u16,
    /// Connections of each client process.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=50_000))]
    connections: u16,
    /// How long is published, in seconds.
    #[arg(long, default_value_t = 60.0, value_parser = positive)]
    duration: f64,
    /// How often each session says what it has received, in seconds.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    period: f64,
    /// Publishing loops per connection.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    loops: u16,
    /// Rounds per second of each loop; a round begins no earlier than the one before it is acknowledged.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    rate: f64,
    /// Messages published in each round.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    stride: u16,
    /// Bytes of each payload; at least 32, which say who published it and when.
    #[arg(long, default_value_t = 256, value_parser = payload_bytes)]
    size: usize,
    /// Print the totals only.
    #[arg(long, short)]
    silent: bool,
    /// The name of a client in the lines, {} being its number; with --backend, the container to be.
    #[arg(long)]
    pub logname: Option<String>,
    /// Print failed attempts to connect as well.
    #[arg(long, short)]
    debug: bool,
    /// How long missing events are waited for when none arrives any more, in seconds.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    linger: f64,
    /// Print the outcome as JSON and nothing else.
    #[arg(long)]
    pub json: bool,
    /// Write the outcome as a page with charts.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// A process whose processor time is shown in the totals; may be repeated, also with the same name.
    #[arg(long, value_name = "NAME=PID", value_parser = watched)]
    watch: Vec<Watched>,
    /// Be the callee of node1.container1.proc1 to node4.container1.proc1, or of the one that --logname names.
    #[arg(long)]
    pub backend: bool,
    /// Be a client process. The conductor starts these.
    #[arg(long, hide = true, exclusive = true)]
    pub as_client: bool,
}

impl Arguments {
    /// The run that is asked for.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let urls = match (&self.url, &self.config) {
            (Some(url), _) => vec![url.clone()],
            (None, None) => vec![DEFAULT_URL.to_owned()],
            (None, Some(path)) => {
                let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
                urls_of_config(&text)
            }
        };
        ensure!(!urls.is_empty(), "the configuration has no line with url=");
        for url in &urls {
            url.parse::<Url>()?;
        }
        Ok(Settings {
            urls,
            realm: self.realm.clone(),
            clients: self.clients.into(),
            connections: self.connections.into(),
            duration: self.duration,
            period: self.period,
            loops: self.loops.into(),
            rate: self.rate,
            stride: self.stride.into(),
            size: self.size,
            silent: self.silent || self.json,
            logname: self.logname.clone().unwrap_or_else(|| "publisher{}".to_owned()),
            debug: self.debug,
            linger: self.linger,
            run: rand::random(),
            watched: self.watch.clone(),
        })
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("a number above 0 and up to a million".to_owned()),
    }
}

fn payload_bytes(text: &str) -> Result<usize, String> {
    let range = STAMP_BYTES..=PAYLOAD_BYTES_MAX;
    match text.parse() {
        Ok(bytes) if range.contains(&bytes) => Ok(bytes),
        _ => Err(format!("a number of bytes from {STAMP_BYTES} to {PAYLOAD_BYTES_MAX}")),
    }
}

fn watched(text: &str) -> Result<Watched, String> {
    let (name, pid) = text.split_once('=').ok_or("NAME=PID")?;
    Ok(Watched { name: name.to_owned(), pid: pid.parse().map_err(|_| "NAME=PID")? })
}

const DEFAULT_URL: &str = "ws://localhost:8080/ws";
/// Leaves room for the other arguments in a message of 1 MiB, the most that nodes take by default.
const PAYLOAD_BYTES_MAX: usize = (1 << 20) - 1_024;

const EXIT_CODES: &str = "Ends with 0 when everything arrived once, in order and unchanged, 1 when there was no run, 2 \
                          for a wrong command line, and 3 when something was lost.";
