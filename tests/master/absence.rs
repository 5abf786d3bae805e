//! The data plane never needs the master.

use crate::harness::cluster::{Cluster, is_complete};
use crate::harness::router::{Setup, eventually};
use std::time::{Duration, Instant};

/// How long there is no master: a minute, as the issue wants it.
const ABSENCE: Duration = Duration::from_secs(60);

#[test]
fn a_minute_without_the_master_changes_nothing_for_clients() {
    let mut cluster = Cluster::start_mastered(vec![0; 3], Setup::default());
    let mut publisher = cluster.node(1).join("publisher");
    let mut subscriber = cluster.node(2).join("subscriber");
    subscriber.subscribe("com.topic", "{}", "sub");
    subscriber.register("com.work", "{}", "reg");
    cluster.master.as_mut().expect("there is one").kill();
    let killed = Instant::now();
    let mut n = 0;
    let mut is_restarted = false;
    while killed.elapsed() < ABSENCE {
        n += 1;
        publisher.publish("com.topic", "{}", &format!("[{n}]"));
        subscriber.expect(&format!("[36, $sub, $_, {{...}}, [{n}]]"));
        publisher.send(r#"[48, #, {}, "com.work", [1]]"#);
        subscriber.expect(&format!("[68, {n}, $reg, {{...}}, [1]]"));
        subscriber.send(&format!("[70, {n}, {{}}, [2]]"));
        publisher.expect("[50, #, {...}, [2]]");
        if !is_restarted && killed.elapsed() > ABSENCE / 3 {
            // It finds the others by the membership that it has kept.
            is_restarted = true;
            cluster.kill(3);
            cluster.restart(3);
            let mut newcomer = cluster.node(3).join("newcomer");
            newcomer.publish("com.topic", "{}", r#"["new"]"#);
            subscriber.expect(r#"[36, $sub, $_, {...}, ["new"]]"#);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{n} events and {n} calls crossed while there was no master");
    cluster.master.as_mut().expect("there is one").start();
    let back = Instant::now();
    eventually("states are right", || {
        let status = cluster.master().status();
        status["totals"]["nodes_up"] == 3 && status["gate"]["is_open"] == true
    });
    println!("the master is back, and knows everything after {:?}", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
    assert!(cluster.routers.iter().flatten().all(is_complete));
}

#[test]
fn a_master_that_hangs_is_given_up_and_found_again() {
    let cluster = Cluster::start_mastered(vec![0; 1], Setup::default());
    eventually("it is up", || cluster.master().state("edge1") == "up");
    cluster.master().process().signal("STOP");
    let log = || cluster.routers[0].as_ref().expect("it runs").edge.log();
    eventually("the edge notices", || log().contains("the master has been silent"));
    cluster.master().process().signal("CONT");
    eventually("it is up again", || cluster.master().state("edge1") == "up");
}
