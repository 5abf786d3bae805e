//! Stories of a cluster as its master sees it.

use super::*;
use crate::auth::cryptosign::PublicKey;

const SECOND: Duration = Duration::from_secs(1);

/// A master and what its nodes would say.
struct World {
    now: Now,
    cluster: Cluster,
    sessions: BTreeMap<String, usize>,
    silent: Vec<String>,
    orders: Vec<(String, Order)>,
    log: Vec<String>,
    n_published: usize,
}

fn member(n: u8) -> Member {
    Member { id: format!("edge{n}"), address: format!("host:{n}"), public_key: PublicKey([n; 32]) }
}

impl World {
    fn new(n_nodes: u8) -> World {
        let now = Now::epoch();
        World {
            now,
            cluster: Cluster::new(now, (1..=n_nodes).map(member).collect(), 1),
            sessions: (1..=n_nodes).map(|n| (format!("edge{n}"), 0)).collect(),
            silent: Vec::new(),
            orders: Vec::new(),
            log: Vec::new(),
            n_published: 0,
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Cluster, Now, &mut Vec<Action>)) {
        let mut out = Vec::new();
        act(&mut self.cluster, self.now, &mut out);
        for action in out {
            match action {
                Action::Publish => self.n_published += 1,
                Action::Log { text, .. } => self.log.push(text),
                Action::Order { node, order } => self.orders.push((node, order)),
            }
        }
    }

    fn connect_all(&mut self) {
        for id in self.sessions.keys().cloned().collect::<Vec<_>>() {
            self.with(|cluster, now, out| cluster.handle_joined(now, &id, out));
        }
        self.beat();
    }

    /// One heartbeat of every node that is not silent, then a second passes.
    fn beat(&mut self) {
        for (id, sessions) in self.sessions.clone() {
            if !self.silent.contains(&id) {
                let figures = Figures { sessions, ..Figures::default() };
                self.with(|cluster, now, out| cluster.handle_heartbeat(now, &id, figures, out));
            }
        }
        self.pass(SECOND);
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.after(time);
        while let Some(due) = self.cluster.poll_timeout().filter(|due| *due <= until.uptime) {
            self.now = self.now.after(due.saturating_sub(self.now.uptime));
            self.with(|cluster, now, out| cluster.handle_timeout(now, out));
        }
        self.now = until;
    }

    fn state(&self, id: &str) -> State {
        self.cluster.node(id).unwrap().state
    }

    /// Carries out orders to shed as a balancer would: to the emptiest node.
    fn carry_out_orders(&mut self) {
        for (node, order) in std::mem::take(&mut self.orders) {
            let Order::Shed { sessions, .. } = order else { continue };
            for _ in 0..sessions {
                *self.sessions.get_mut(&node).unwrap() -= 1;
                let emptiest = self.sessions.iter().min_by_key(|(_, sessions)| **sessions).unwrap().0.clone();
                *self.sessions.get_mut(&emptiest).unwrap() += 1;
            }
        }
    }
}

#[test]
fn a_node_is_late_after_two_seconds_of_silence_and_down_after_three() {
    let mut world = World::new(2);
    assert_eq!(world.state("edge1"), State::Joining);
    world.connect_all();
    assert_eq!(world.state("edge1"), State::Up);
    world.silent.push("edge2".to_owned());
    world.pass(Duration::from_millis(999));
    assert_eq!(world.state("edge2"), State::Up);
    world.beat();
    assert_eq!((world.state("edge1"), world.state("edge2")), (State::Up, State::Late));
    world.beat();
    assert_eq!((world.state("edge1"), world.state("edge2")), (State::Up, State::Down));
    world.silent.clear();
    world.beat();
    assert_eq!(world.state("edge2"), State::Up);
    assert!(world.log.contains(&"edge2 is down: nothing was heard of it for 3 s".to_owned()), "{:?}", world.log);
}

#[test]
fn a_node_whose_connection_is_lost_is_late_at_once() {
    let mut world = World::new(1);
    world.connect_all();
    world.with(|cluster, now, out| cluster.handle_left(now, "edge1", out));
    assert_eq!(world.state("edge1"), State::Late);
    world.beat();
    assert_eq!(world.state("edge1"), State::Late, "what is still under way on a lost connection proves nothing");
    world.pass(3 * SECOND);
    assert_eq!(world.state("edge1"), State::Down);
}

#[test]
fn an_hour_without_the_master_leaves_right_states_within_three_seconds() {
    let mut world = World::new(3);
    world.connect_all();
    let membership = world.cluster.membership();
    // The master is cut off: it hears nothing, and then it is started anew with what it has kept.
    world.pass(3_600 * SECOND);
    assert!(world.cluster.nodes().all(|node| node.state == State::Down));
    world.cluster = Cluster::new(world.now, membership.members, membership.version);
    world.silent.push("edge3".to_owned());
    for id in ["edge1", "edge2"] {
        world.with(|cluster, now, out| cluster.handle_joined(now, id, out));
    }
    for _ in 0..3 {
        world.beat();
    }
    let states = ["edge1", "edge2", "edge3"].map(|id| world.state(id));
    assert_eq!(states, [State::Up, State::Up, State::Down]);
    assert_eq!(world.cluster.node("edge3").unwrap().reason, "has not been heard of since the master started");
}

#[test]
fn members_are_unique_by_key_and_address() {
    let mut world = World::new(2);
    let refused = |world: &mut World, member: Member| {
        let mut result = Ok(());
        world.with(|cluster, now, out| result = cluster.admit(now, member, out));
        result.unwrap_err().to_string()
    };
    let same_key = Member { public_key: PublicKey([1; 32]), ..member(3) };
    assert_eq!(refused(&mut world, same_key), "the key of edge3 is already that of edge1");
    let same_address = Member { address: "host:2".to_owned(), ..member(3) };
    assert_eq!(refused(&mut world, same_address), "host:2 is already the address of edge2");
    assert_eq!(world.n_published, 0);
    world.with(|cluster, now, out| cluster.admit(now, member(3), out).unwrap());
    world.with(|cluster, now, out| cluster.admit(now, member(3), out).unwrap());
    assert_eq!((world.n_published, world.cluster.membership().version), (1, 2), "to say it twice changes nothing");
    world.with(|cluster, _, out| cluster.remove("edge1", out).unwrap());
    assert!(world.cluster.membership().member("edge1").is_none());
    let mut refusal = String::new();
    world.with(|cluster, _, out| refusal = cluster.remove("edge9", out).unwrap_err().to_string());
    assert_eq!(refusal, "there is no node \"edge9\"; there are: edge2, edge3");
}

#[test]
fn a_rebalance_brings_every_node_within_five_percent() {
    for counts in [[0, 107, 107, 106], [0, 0, 160, 160], [3, 2, 2, 3], [0, 4_000, 3_000, 3_000]] {
        let mut world = World::new(4);
        for (sessions, count) in world.sessions.values_mut().zip(counts) {
            *sessions = count;
        }
        world.connect_all();
        world.with(|cluster, now, out| cluster.begin_rebalance(now, None, out).unwrap());
        let mut seconds = 0;
        while world.cluster.rebalance().is_some() {
            world.carry_out_orders();
            world.beat();
            seconds += 1;
            assert!(seconds < 30, "{counts:?}");
        }
        let fair = counts.iter().sum::<usize>() as f64 / 4.0;
        for sessions in world.sessions.values() {
            assert!((*sessions as f64 - fair).abs() <= (fair * 0.05).max(1.0), "{:?}", world.sessions);
        }
    }
}

#[test]
fn a_rebalance_waits_for_a_node_that_is_joining() {
    let mut world = World::new(2);
    world.sessions.insert("edge1".to_owned(), 100);
    world.connect_all();
    world.silent.push("edge2".to_owned());
    let join = |cluster: &mut Cluster, now, is_joining, out: &mut Vec<Action>| {
        cluster.handle_heartbeat(now, "edge2", Figures { is_joining, ..Figures::default() }, out);
    };
    world.with(|cluster, now, out| join(cluster, now, true, out));
    world.with(|cluster, now, out| cluster.begin_rebalance(now, Some(50.0), out).unwrap());
    world.beat();
    assert_eq!(world.orders, [], "edge1 alone would be even");
    assert_eq!(world.log.last().unwrap(), "waits for edge2, which is joining");
    world.with(|cluster, now, out| join(cluster, now, false, out));
    world.beat();
    assert_eq!(world.orders, [("edge1".to_owned(), Order::Shed { sessions: 50, over: SECOND })]);

    // But not for ever.
    world.silent.clear();
    for _ in 0..60 {
        world.beat();
    }
    world.silent.push("edge2".to_owned());
    world.with(|cluster, now, out| join(cluster, now, true, out));
    world.with(|cluster, now, out| cluster.begin_rebalance(now, None, out).unwrap());
    for _ in 0..11 {
        world.with(|cluster, now, out| join(cluster, now, true, out));
        world.beat();
    }
    assert!(world.cluster.rebalance().is_none(), "{:?}", world.log);
}

#[test]
fn a_rebalance_that_nobody_follows_is_given_up() {
    let mut world = World::new(2);
    world.sessions.insert("edge1".to_owned(), 100);
    world.connect_all();
    world.with(|cluster, now, out| cluster.begin_rebalance(now, Some(50.0), out).unwrap());
    let order = Order::Shed { sessions: 50, over: SECOND };
    assert_eq!(world.orders, [("edge1".to_owned(), order)]);
    let mut second = String::new();
    world.with(|cluster, now, out| second = cluster.begin_rebalance(now, None, out).unwrap_err().to_string());
    assert_eq!(second, "a rebalance is already under way");
    for _ in 0..60 {
        world.beat();
    }
    assert!(world.cluster.rebalance().is_none());
    assert!(world.log.iter().any(|line| line.starts_with("is given up after 6 rounds")), "{:?}", world.log);
}

#[test]
fn the_gate_opens_when_all_are_back_linked_and_carry_load() {
    let mut world = World::new(2);
    assert!(matches!(world.cluster.gate(), Gate::Closed(why) if why.starts_with("edge1 is joining")));
    world.sessions = [("edge1".to_owned(), 30), ("edge2".to_owned(), 2)].into();
    world.connect_all();
    let closed = Gate::Closed("edge2 carries 2 sessions, its fair share is 16 (rebalance)".to_owned());
    assert_eq!(world.cluster.gate(), closed);
    world.sessions.insert("edge2".to_owned(), 15);
    world.beat();
    assert_eq!(world.cluster.gate(), Gate::Open);
    let figures = Figures { sessions: 15, unlinked: vec!["edge1".to_owned()], ..Figures::default() };
    world.with(|cluster, now, out| cluster.handle_heartbeat(now, "edge2", figures, out));
    assert_eq!(world.cluster.gate(), Gate::Closed("edge2 is not linked with edge1".to_owned()));
    assert!(world.log.contains(&"edge2 is not linked with edge1 any more".to_owned()));
}

#[test]
fn who_cannot_be_reached_cannot_be_drained() {
    let mut world = World::new(1);
    let mut refusal = String::new();
    world.with(|cluster, _, out| refusal = cluster.drain("edge1", None, out).unwrap_err().to_string());
    assert_eq!(refusal, "edge1 is joining and cannot be asked");
    world.connect_all();
    world.with(|cluster, _, out| cluster.drain("edge1", Some(SECOND), out).unwrap());
    assert_eq!(world.orders, [("edge1".to_owned(), Order::Drain { over: Some(SECOND) })]);
    let figures = Figures { is_draining: true, ..Figures::default() };
    world.with(|cluster, now, out| cluster.handle_heartbeat(now, "edge1", figures, out));
    assert_eq!(world.state("edge1"), State::Draining);
}
