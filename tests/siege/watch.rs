//! What is looked at during an attack: a pair of sessions, pages, memory.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::Cluster;
use crate::harness::http;
use crate::harness::router::{ALL_ROLES, Router, endpoint_of};
use crossbar_cluster::wire::Serializer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A thread that does something again and again until it is stopped, and gives how long each time took.
struct Repeated {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Repeated {
    fn start(pause: Duration, mut act: impl FnMut(u64) + Send + 'static) -> Repeated {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) || times.is_empty() {
                let began = Instant::now();
                act(times.len() as u64);
                times.push(began.elapsed());
                std::thread::sleep(pause);
            }
            times
        });
        Repeated { stop, thread }
    }

    fn stop(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().expect("nothing went wrong");
        times.sort_unstable();
        times
    }
}

/// A caller on the attacked edge, and callees there and on the other one, in turn.
pub(crate) struct Pair(Repeated);

impl Pair {
    pub(crate) fn start(cluster: &mut Cluster) -> Pair {
        let via = Via::new(Carrier::RawSocket, Serializer::Cbor);
        let join = |router: &Router, name: &str| {
            let mut client = router.connect_via(via);
            client.hello(ALL_ROLES, name);
            client
        };
        let mut near = join(cluster.node(1), "near");
        near.register("com.siege.near", "{}", "near_registration");
        let mut far = join(cluster.node(2), "far");
        far.register("com.siege.far", "{}", "far_registration");
        let mut caller = join(cluster.node(1), "caller");
        Pair(Repeated::start(Duration::from_millis(2), move |n| match n % 2 {
            0 => call(&mut caller, &mut near, "near", n),
            _ => call(&mut caller, &mut far, "far", n),
        }))
    }

    /// How long its calls took, the longest last. Every one was answered.
    pub(crate) fn stop(self) -> Vec<Duration> {
        self.0.stop()
    }
}

fn call(caller: &mut Client, callee: &mut Client, place: &str, n: u64) {
    caller.send(&format!(r#"[48, #, {{}}, "com.siege.{place}", [{n}]]"#));
    let invocation = callee.receive();
    callee.send_message(&[
        70u64.into(),
        invocation[1].clone(),
        crossbar_cluster::wire::Dict::new().into(),
        invocation[4].clone(),
    ]);
    caller.expect(&format!("[50, #, {{}}, [{n}]]"));
}

/// The pages that operators and balancers look at.
pub(crate) struct Pages(Repeated);

impl Pages {
    pub(crate) fn start(router: &Router) -> Pages {
        let admin = endpoint_of(router.edge.url("http"));
        Pages(Repeated::start(Duration::from_millis(100), move |n| {
            let path = if n % 2 == 0 { "/healthz" } else { "/metrics" };
            assert_eq!(http::fetch(&admin, path, &[]).status, 200);
        }))
    }

    /// How long the slowest took.
    pub(crate) fn stop(self) -> Duration {
        self.0.stop().pop().unwrap_or_default()
    }
}

/// The resident memory of a process.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel knows its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
