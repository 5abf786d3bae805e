//! A cluster under attack: hostile clients of real edges, and beside them a pair of sessions that behaves well, which
//! is not to notice. After each attack: how long the pair's calls took, what memory the edges took, whether the links
//! are up, and whether the pages answered.
//!
//! The short form is part of the tests and asserts what does not depend on the machine: every call answered, links up,
//! memory bounded, every loss counted. `make siege` (`SIEGE=full`) attacks the release build for longer,
//! gives the attacked edge one core of its own, and holds the times, too; with `SIEGE_ONLY` only the attacks whose
//! names have this part.

#[path = "../harness/mod.rs"]
mod harness;

mod attacks;
mod silence;
mod watch;

use attacks::ATTACKS;
use harness::cluster::{Cluster, is_complete};
use harness::router::{Setup, eventually};
use std::process::Command;
use std::time::Duration;
use watch::{Pages, Pair, resident_kib};

/// What the pair's calls may take while the full siege goes on: the 99th percentile, and the longest.
const P99_MAX: Duration = Duration::from_millis(20);
const LONGEST_MAX: Duration = Duration::from_millis(250);
/// What an attack may add to the resident memory of any edge, in KiB. None sends more than a few MiB that are kept.
const GROWTH_MAX_KIB: u64 = 320 << 10;

/// How hard it is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    Short,
    Full,
}

impl Force {
    /// So many in the short form, and in the full one.
    pub(crate) fn of<T>(self, short: T, full: T) -> T {
        if self == Force::Short { short } else { full }
    }
}

/// As hard as the environment says.
fn force() -> Force {
    if std::env::var_os("SIEGE").is_some_and(|value| value == "full") { Force::Full } else { Force::Short }
}

#[test]
fn publishers_keep_their_rate_when_receivers_stop_reading() {
    let force = force();
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    for n_receivers in [1, force.of(50, 2_000)] {
        let left = silence::rate_left(n_receivers, force);
        // Times are for a machine that has nothing else to do.
        assert!(force == Force::Short || silence::is_enough(left), "{n_receivers} stop reading: {left:.2} of the rate");
    }
}

#[test]
fn nothing_that_a_client_does_hurts_the_others() {
    let force = force();
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut failures = Vec::new();
    println!("{:<44} {:>6} {:>9} {:>9} {:>9} {:>9}", "attack", "calls", "p50 ms", "p99 ms", "max ms", "MiB more");
    for (name, rules, attack) in ATTACKS {
        if std::env::var("SIEGE_ONLY").is_ok_and(|only| !name.contains(&only)) {
            continue;
        }
        let listeners = attacks::COMPRESSED.to_owned();
        let mut cluster = Cluster::start(2, Setup { rules, listeners, realms: attacks::TENANT, ..Setup::default() });
        if force == Force::Full {
            pin(cluster.node(1).edge.pid());
        }
        let pids = [cluster.node(1).edge.pid(), cluster.node(2).edge.pid()];
        let before = pids.map(resident_kib);
        let pair = Pair::start(&mut cluster);
        let pages = Pages::start(cluster.node(1));
        let router = cluster.node(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                yield_to_others();
                attack(router, force);
            });
        });
        let (times, pages) = (pair.stop(), pages.stop());
        let growth = (0..2).map(|n| resident_kib(pids[n]).saturating_sub(before[n])).max().unwrap_or_default();
        println!(
            "{name:<44} {:>6} {:>9.2} {:>9.2} {:>9.2} {:>9}",
            times.len(),
            ms(times[times.len() / 2]),
            ms(times[times.len() * 99 / 100]),
            ms(times[times.len() - 1]),
            growth >> 10
        );
        let mut expect = |holds: bool, what: String| {
            if !holds {
                failures.push(format!("{name}: {what}"));
            }
        };
        expect(growth < GROWTH_MAX_KIB, format!("an edge has taken {growth} KiB more"));
        expect(!cluster.node(1).edge.log().contains("link lost"), "a link was lost".to_owned());
        if force == Force::Full {
            let (p99, longest) = (times[times.len() * 99 / 100], times[times.len() - 1]);
            expect(p99 <= P99_MAX && longest <= LONGEST_MAX, format!("p99 {p99:?}, longest {longest:?}"));
            expect(pages <= Duration::from_secs(1), format!("a page took {pages:?}"));
        }
        for node in 1..=2 {
            eventually("all links are up after the attack", || is_complete(cluster.node(node)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Gives this thread, and those that it starts, a lower priority: where attackers and edges share the cores, the times
/// are those of the edges.
fn yield_to_others() {
    let thread = std::fs::read_link("/proc/thread-self").expect("the kernel knows the thread");
    let number = thread.file_name().and_then(|name| name.to_str()).expect("a number").to_owned();
    let output = Command::new("renice").args(["-n", "10", "-p", &number]).output();
    assert!(output.is_ok_and(|output| output.status.success()), "attackers have a lower priority");
}

/// Has a process run on the first core only.
fn pin(pid: u32) {
    let status = Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", "0", &pid.to_string()]).output();
    assert!(status.is_ok_and(|output| output.status.success()), "the edge is given one core");
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
