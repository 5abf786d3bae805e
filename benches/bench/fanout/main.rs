//! What routing costs over the bare minimum: CPU per delivered event of the router, against a single-threaded epoll
//! program that only copies and writes the same frames, in one run on one machine.
//!
//! `cargo bench --bench fanout` runs the first load of the original test (320 sessions, all subscribed to one topic,
//! each publishing 128 bytes twice a second, acknowledged and not excluded: 204,800 events/s) against the bare program,
//! the edge writing every event at once, and the edge with events waiting 10 ms for company. `cargo bench --bench
//! fanout -- idle` measures the resident memory per idle session.

mod bare;
mod idle;
mod load;
mod process;

use load::{Load, Report};
use process::Server;
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("bare") => bare::serve(),
        Some("idle") => idle::run(),
        Some("fanout") | None => compare(),
        Some(other) => {
            eprintln!("fanout: unknown mode {other:?}; there are `fanout`, `idle` and `bare`");
            std::process::exit(2);
        }
    }
}

/// The three servers under the same load, one after the other.
fn compare() {
    let load = Load { sessions: 320, rate_per_second: 2, payload_bytes: 128, measure: Duration::from_secs(10) };
    let runs = [
        ("bare epoll program", Server::bare()),
        ("edge, every event at once", Server::edge("0ms", "0ms")),
        ("edge, events wait 10 ms", Server::edge("10ms", "10ms")),
    ];
    let reports = runs.map(|(name, server)| {
        let report = load.run(&server);
        println!("{name:28} {report}");
        (name, report)
    });
    let bare = &reports[0].1;
    for (name, report) in &reports[1..] {
        println!("{name:28} {:.2} times the bare program's CPU per event", report.cost() / bare.cost());
    }
    let failed = reports.iter().any(|(_, report)| !report.is_complete());
    std::process::exit(i32::from(failed));
}

impl Report {
    /// CPU microseconds of the server per delivered event.
    fn cost(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.events as f64
    }
}
