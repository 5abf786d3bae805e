//! Chance: nodes, clients and faults as a seed has them, and at the end everything that must hold.

use crate::judge::{Published, WATCHED, judge};
use crate::world::World;
use crossbar_cluster::wamp::Id;
use crossbar_cluster::wire::{Dict, Value};
use rand::RngExt;

#[test]
fn random_clusters_keep_their_promises() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SIM_SEED") {
        return play(seed);
    }
    for seed in 0..number("SIM_SEEDS").unwrap_or(SEEDS) {
        if std::panic::catch_unwind(|| play(seed)).is_err() {
            panic!("seed {seed} fails: SIM_SEED={seed} SIM_TRACE=1 cargo test --test simulation random");
        }
    }
}

/// One life of one cluster.
fn play(seed: u64) {
    let n_nodes = 2 + usize::try_from(seed % 4).expect("it is small");
    let mut game = Game { world: World::new(seed, n_nodes), published: Vec::new(), n_published: 0, calls: Vec::new() };
    // Every fourth seed begins before the links are up.
    if seed % 4 != 3 {
        game.world.run(1_000);
    }
    for node in 0..n_nodes {
        let watcher = game.world.join(node);
        game.world.subscribed(watcher, WATCHED, "prefix");
    }
    for node in 0..n_nodes {
        game.world.join(node);
    }
    let has_faults = !seed.is_multiple_of(3);
    for _ in 0..game.chance(20, 80) {
        game.step();
        if has_faults && game.chance(0, 12) == 0 {
            game.fault();
        }
        let pause = if game.chance(0, 3) == 0 { game.chance(0, 300) } else { game.chance(0, 5) };
        game.world.run(pause);
    }
    game.world.heal();
    judge(&mut game.world, &game.published);
}

struct Game {
    world: World,
    published: Vec<Published>,
    n_published: u64,
    calls: Vec<(usize, Id)>,
}

impl Game {
    fn chance(&mut self, from: u64, to: u64) -> u64 {
        self.world.rng.random_range(from..to)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.world.rng.random_range(0..of.len())]
    }

    /// Something that a client does.
    fn step(&mut self) {
        let living: Vec<usize> =
            (0..self.world.clients.len()).filter(|client| !self.world.clients[*client].is_gone).collect();
        if living.len() < 2 {
            let alive = self.world.alive();
            let node = self.pick(&alive);
            self.world.join(node);
            return;
        }
        let client = self.pick(&living);
        match self.chance(0, 100) {
            0..20 => self.subscribe(client),
            20..28 => {
                let held: Vec<Id> = self.world.clients[client].subscriptions.keys().copied().collect();
                if !held.is_empty() {
                    let subscription = self.pick(&held);
                    self.world.unsubscribe(client, subscription);
                }
            }
            28..55 => self.publish(client),
            55..68 => self.register(client),
            68..73 => {
                let held: Vec<Id> = self.world.clients[client].registrations.keys().copied().collect();
                if !held.is_empty() {
                    let registration = self.pick(&held);
                    self.world.unregister(client, registration);
                }
            }
            73..90 => self.call(client),
            90..94 => {
                if let Some((caller, request)) = self.calls.pop() {
                    let mode = self.pick(&["skip", "kill", "killnowait"]);
                    self.world.cancel(caller, request, mode);
                }
            }
            94..96 => self.world.leave(client),
            96 => self.world.send_elsewhere(client),
            _ => {
                let alive = self.world.alive();
                let node = self.pick(&alive);
                self.world.join(node);
            }
        }
    }

    fn subscribe(&mut self, client: usize) {
        let (uri, policy) = self.pick(&PATTERNS);
        self.world.subscribe(client, uri, Dict::new().with("match", policy));
    }

    fn publish(&mut self, client: usize) {
        let topic = self.pick(&TOPICS);
        self.n_published += 1;
        let (publisher, number) = (client as u64, self.n_published);
        let args: Vec<Value> = vec!["event".into(), publisher.into(), number.into()];
        let mut options = Dict::new().with("acknowledge", true);
        if self.chance(0, 4) == 0 {
            options.set("retain", true);
        }
        let request = self.world.publish(client, topic, options, args);
        let at = self.world.now.uptime;
        self.published.push(Published { publisher: client, at, topic: topic.to_owned(), request });
    }

    fn register(&mut self, client: usize) {
        let (uri, policy) = self.pick(&PATTERNS);
        let invoke = self.pick(&["single", "single", "single", "roundrobin", "random", "first", "last"]);
        let mut options = Dict::new().with("match", policy).with("invoke", invoke);
        if self.chance(0, 10) == 0 {
            options.set("force_reregister", true);
        }
        if self.chance(0, 4) == 0 {
            options.set("concurrency", 1u64);
        }
        self.world.register(client, uri, options);
    }

    fn call(&mut self, client: usize) {
        let procedure = self.pick(&TOPICS);
        let word = self.pick(&["echo", "slow", "error", "progress", "long"]);
        let mut options = Dict::new();
        if word == "long" || self.chance(0, 4) == 0 {
            options.set("timeout", 1_000u64);
        }
        if word == "progress" {
            options.set("receive_progress", true);
        }
        let request = self.world.call(client, procedure, options, vec![word.into()]);
        self.calls.push((client, request));
    }

    fn fault(&mut self) {
        let n_nodes = self.world.nodes.len();
        match self.chance(0, 10) {
            0..4 => {
                let links: Vec<(usize, usize)> = self.world.links.keys().copied().collect();
                if !links.is_empty() {
                    let link = self.pick(&links);
                    let directions = self.pick(&[[true, true], [true, false], [false, true]]);
                    self.world.cut(link, directions);
                }
            }
            4..6 => {
                let node = self.pick(&(0..n_nodes).collect::<Vec<_>>());
                let others: Vec<usize> = (0..n_nodes).filter(|other| *other != node).collect();
                let ms = self.chance(0, 6_000);
                for other in others {
                    self.world.part_nodes(node, other, ms);
                }
            }
            6 => {
                let alive = self.world.alive();
                if alive.len() == n_nodes {
                    let node = self.pick(&alive);
                    self.world.kill(node);
                }
            }
            7 => {
                if let Some(dead) = (0..n_nodes).find(|node| self.world.nodes[*node].realm.is_none()) {
                    self.world.start(dead);
                }
            }
            8 if self.chance(0, 2) == 0 => {
                let alive = self.world.alive();
                let node = self.pick(&alive);
                let is_leaving = self.chance(0, 3) > 0;
                self.world.set_leaving(node, is_leaving);
            }
            8 => self.world.delay_max_ms = 400,
            _ => self.world.delay_max_ms = 20,
        }
    }
}

const PATTERNS: [(&str, &str); 7] = [
    ("com.a", "exact"),
    ("com.a.x", "exact"),
    ("com.b", "exact"),
    ("com.", "prefix"),
    ("com.a", "prefix"),
    ("com..x", "wildcard"),
    ("com.a.", "wildcard"),
];
const TOPICS: [&str; 5] = ["com.a", "com.a.x", "com.b", "com.b.x", "com.c"];
/// What a run in a debug build does in a few seconds.
const SEEDS: u64 = 200;
