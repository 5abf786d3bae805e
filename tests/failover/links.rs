//! A peer that is frozen, slow or floods: clients of the same edge are served as ever, and what waits for the peer is
//! bounded, with a name for what does not fit.

use crate::harness::client::{Carrier, Client, Via};
use crate::harness::cluster::{Cluster, is_complete, mesh_of};
use crate::harness::router::{ALL_ROLES, Router, Setup, eventually};
use crate::harness::signal;
use crate::stack::alone;
use crossbar_cluster::wire::{Dict, Serializer, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[test]
fn a_frozen_peer_delays_nobody_and_its_queue_is_bounded() {
    let _alone = alone();
    let mut cluster = Cluster::start(2, Setup { limits: "link_outbox_bytes_max = \"1MiB\"", ..Setup::default() });
    let mut local = join(cluster.node(1));
    let far = Listener::start(cluster.node(2));
    let flood = Flood::start(cluster.node(1), Pace::Heard);
    let before = round_trips(&mut local, "with a healthy peer", for_a_while(cluster.node(1)));
    cluster.node(2).edge.signal("STOP");
    let frozen = Instant::now();
    let one = cluster.node(1);
    let during = round_trips(&mut local, "with a frozen peer", || {
        assert!(queued(one) <= 1 << 20, "{} bytes wait for the peer", queued(one));
        is_complete(one)
    });
    let dropped = one.drops("link_queue_full");
    println!("the link is given up after {:?}; {dropped} events did not fit into its queue", frozen.elapsed());
    assert!(dropped > 0, "a link that takes nothing is full at last");
    assert!(during <= before * AT_MOST, "{during:?} with a frozen peer, {before:?} with a healthy one");
    eventually("nothing waits for a peer that is not there", || queued(one) == 0);
    cluster.node(2).edge.signal("CONT");
    cluster.await_complete();
    let heard = far.heard();
    eventually("events go to the peer again", || far.heard() > heard);
    let missed = end(&mut cluster, flood.stop(), far);
    // Apart from those, it has missed what was published while there was no link, and what was on its way.
    assert!(missed >= cluster.node(1).drops("link_queue_full"));
    assert_eq!(stalls(cluster.node(1)), 0, "no publisher has waited for the peer");
}

#[test]
fn a_slow_peer_keeps_its_link_and_delays_nobody() {
    let _alone = alone();
    let mut cluster = Cluster::start(2, Setup { limits: "link_outbox_bytes_max = \"16MiB\"", ..Setup::default() });
    let mut local = join(cluster.node(1));
    let far = Listener::start(cluster.node(2));
    let flood = Flood::start(cluster.node(1), Pace::Heard);
    let before = round_trips(&mut local, "with a healthy peer", for_a_while(cluster.node(1)));
    let slow = Slowness::start(cluster.node(2).edge.pid());
    let started = Instant::now();
    let one = cluster.node(1);
    let mut fullest = 0;
    let during = round_trips(&mut local, "with a slow peer", || {
        fullest = fullest.max(queued(one));
        assert!(is_complete(one), "a peer that is slow is there all the same");
        one.drops("link_queue_full") == 0 || started.elapsed() < LONGER_THAN_SILENCE
    });
    println!("at most {fullest} bytes wait for it; {} events did not fit", one.drops("link_queue_full"));
    assert!(fullest <= 16 << 20, "{fullest} bytes wait for the peer");
    assert!(during <= before * AT_MOST, "{during:?} with a slow peer, {before:?} with a healthy one");
    assert_eq!(one.drops("ping_timeout"), 0);
    slow.stop();
    let missed = end(&mut cluster, flood.stop(), far);
    assert_eq!(missed, cluster.node(1).drops("link_queue_full"), "what is missing was counted");
    assert_eq!(stalls(cluster.node(1)), 0, "no publisher has waited for the peer");
}

#[test]
fn a_peer_that_floods_does_not_hold_up_local_delivery() {
    let _alone = alone();
    let mut cluster = Cluster::start(2, Setup::default());
    let mut local = join(cluster.node(1));
    let listener = Listener::start(cluster.node(1));
    let flood = Flood::start(cluster.node(1), Pace::Routed);
    let before = round_trips(&mut local, "while a client floods", for_a_while(cluster.node(1)));
    let sent = flood.stop();
    let flood = Flood::start(cluster.node(2), Pace::Routed);
    let during = round_trips(&mut local, "while a peer floods", for_a_while(cluster.node(1)));
    // What a turn reads of a link is bounded as what it reads of a client.
    assert!(during <= before * AT_MOST, "{during:?} while a peer floods, {before:?} while a client does");
    let missed = end(&mut cluster, sent + flood.stop(), listener);
    assert_eq!(missed, cluster.node(2).drops("link_queue_full"), "what is missing was counted");
}

/// Ends a scene in which so many events were sent. Gives how many the listener has missed; none came twice or out of
/// order.
fn end(cluster: &mut Cluster, sent: u64, listener: Listener) -> u64 {
    eventually("the link is empty", || cluster.routers.iter().flatten().all(|router| queued(router) == 0));
    // Nothing is in its way now, so it arrives on both nodes.
    let mut last = join(cluster.node(1));
    last.send(&format!("[16, #, {{\"acknowledge\": true}}, {TOPIC:?}, [{LAST}]]"));
    last.expect("[17, #, $_]");
    let heard = listener.thread.join().expect("events come in order, and once");
    println!("the listener has heard {heard} of {sent} events");
    sent - heard
}

/// How long a session's own events take to come back, for as long as `goes_on`. Gives the time within which 99 of 100
/// have come: half of them say more of the scheduler than of the edge.
fn round_trips(client: &mut Client, what: &str, mut goes_on: impl FnMut() -> bool) -> Duration {
    client.subscribe("com.local", "{}", "local");
    let mut times = Vec::new();
    while times.len() < ROUND_TRIPS_MIN || goes_on() {
        let started = Instant::now();
        client.send(r#"[16, #, {"exclude_me": false}, "com.local", [1]]"#);
        client.expect("[36, $local, $_, {...}, [1]]");
        times.push(started.elapsed());
    }
    client.send("[34, #, $local]");
    client.expect("[35, #]");
    times.sort();
    let [median, p99, most] = [times.len() / 2, times.len() * 99 / 100, times.len() - 1].map(|at| times[at]);
    println!("{} local round trips {what}: median {median:?}, p99 {p99:?}, most {most:?}", times.len());
    p99
}

/// For as long as a peer may be silent. The node is asked for its links meanwhile, as it is in the other half of a
/// scene.
fn for_a_while(router: &Router) -> impl FnMut() -> bool {
    let started = Instant::now();
    move || is_complete(router) && started.elapsed() < LONGER_THAN_SILENCE / 2
}

/// Bytes that wait for the peer on a node with one.
fn queued(router: &Router) -> u64 {
    mesh_of(router)["links"][0]["queued_bytes"].as_u64().expect("a number")
}

/// How often a publisher was not read because a receiver was slow.
fn stalls(router: &Router) -> u64 {
    router.metric("crossbar_publisher_stalls_total")
}

fn join(router: &Router) -> Client {
    let via = Via::new(Carrier::RawSocket, Serializer::Cbor);
    let mut client = Client::open(router.endpoint(via).connect(), via, Default::default());
    client.hello(ALL_ROLES, "self");
    client
}

/// A session that publishes without a pause.
struct Flood {
    is_over: Arc<AtomicBool>,
    /// How many events it has sent.
    thread: JoinHandle<u64>,
}

/// What a flood waits for before it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// That its edge has routed what it has published.
    Routed,
    /// That it has heard its own events, every one and in order.
    Heard,
}

impl Flood {
    fn start(router: &Router, pace: Pace) -> Flood {
        let mut client = join(router);
        if pace == Pace::Heard {
            client.subscribe(TOPIC, "{}", "sub");
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let first = FIRST.fetch_add(1 << 32, Ordering::Relaxed);
        let thread = std::thread::spawn(move || {
            let mut next = first;
            while !over.load(Ordering::Relaxed) {
                for number in next..next + EVENTS_AT_ONCE {
                    let args = Value::List(vec![number.into(), Value::Bytes(vec![0; EVENT_BYTES])]);
                    let (request, options) = (client.next_request(), Dict::new().with("exclude_me", false));
                    client.send_message(&[16u64.into(), request.into(), options.into(), TOPIC.into(), args]);
                }
                match pace {
                    Pace::Routed => client.sync(),
                    Pace::Heard => (next..next + EVENTS_AT_ONCE).for_each(|number| {
                        assert_eq!(number_of(&client.receive()), number, "local delivery goes on");
                    }),
                }
                next += EVENTS_AT_ONCE;
            }
            next - first
        });
        Flood { is_over, thread }
    }

    fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("local delivery goes on")
    }
}

/// A session that takes the events of floods.
struct Listener {
    heard: Arc<AtomicU64>,
    /// How many it has heard.
    thread: JoinHandle<u64>,
}

impl Listener {
    fn start(router: &Router) -> Listener {
        let mut client = join(router);
        client.subscribe(TOPIC, "{}", "sub");
        let heard = Arc::new(AtomicU64::new(0));
        let counter = heard.clone();
        let thread = std::thread::spawn(move || {
            let mut expected = 0;
            loop {
                let number = number_of(&client.receive());
                if number == LAST {
                    return counter.load(Ordering::Relaxed);
                }
                assert!(number >= expected, "{number} comes where {expected} is expected");
                expected = number + 1;
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Listener { heard, thread }
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

/// The number of an event.
fn number_of(event: &[Value]) -> u64 {
    event[4].as_list().expect("arguments")[0].as_uint().expect("a number")
}

/// Makes a process slow: it runs for a tenth of the time.
struct Slowness {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Slowness {
    fn start(pid: u32) -> Slowness {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for (name, time) in [("STOP", Duration::from_millis(90)), ("CONT", Duration::from_millis(10))] {
                    signal(&[pid], name);
                    std::thread::sleep(time);
                }
            }
        });
        Slowness { is_over, thread }
    }

    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the process is there");
    }
}

const TOPIC: &str = "com.flood";
/// The number of the event after which listeners go; larger than any other.
const LAST: u64 = 1 << 52;
/// The number of the next flood's first event: each has a range of its own, above those before.
static FIRST: AtomicU64 = AtomicU64::new(1 << 32);
const EVENT_BYTES: usize = 8 << 10;
/// So many are on their way to the edge at most: what waits in front of it would only delay everybody.
const EVENTS_AT_ONCE: u64 = 16;
/// A silent peer is given up after 2.5 s, half of this.
const LONGER_THAN_SILENCE: Duration = Duration::from_secs(5);
const ROUND_TRIPS_MIN: usize = 50;
/// So many times longer may local round trips be with a bad peer than with a good one: they take milliseconds, and tens
/// of them where the processors are busy with something else. One that waits for the peer would take seconds.
const AT_MOST: u32 = 25;
