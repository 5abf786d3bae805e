//! What must hold when a cluster has been mended and has come to rest.

use crate::client::Client;
use crate::world::World;
use crossbar_cluster::mesh::{Kind, Pattern};
use crossbar_cluster::wamp::uri::Match;
use crossbar_cluster::wamp::{Id, Message};
use crossbar_cluster::wire::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An event that was acknowledged to its publisher.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) publisher: usize,
    pub(crate) at: Duration,
    pub(crate) topic: String,
    pub(crate) request: Id,
}

/// Checks everything.
pub(crate) fn judge(world: &mut World, published: &[Published]) {
    every_request_is_answered(world);
    clients_and_nodes_agree(world);
    nodes_agree_on_interest(world);
    nodes_agree_on_procedures(world);
    nodes_agree_on_what_is_retained(world);
    watchers_know_who_holds_what(world);
    watchers_know_who_is_there(world);
    nothing_is_lost(world, published);
    every_procedure_can_be_called_from_everywhere(world);
    the_meta_api_answers_alike_everywhere(world);
}

fn every_request_is_answered(world: &World) {
    for (index, client) in world.clients.iter().enumerate().filter(|(_, client)| !client.is_gone) {
        assert!(client.open.is_empty(), "client {index} still waits for answers to {:?}", client.open);
    }
}

/// What a client was told that it has is what its node's tables say.
fn clients_and_nodes_agree(world: &World) {
    for (index, client) in world.clients.iter().enumerate().filter(|(_, client)| !client.is_gone) {
        let realm = world.realm(client.node);
        let subscriptions: BTreeSet<Id> = realm.broker().held_by(client.key).map(|held| held.id).collect();
        assert_eq!(subscriptions, client.subscriptions.keys().copied().collect(), "subscriptions of client {index}");
        let registrations: BTreeSet<Id> = realm.dealer().held_by(client.key).map(|held| held.id).collect();
        assert_eq!(registrations, client.registrations.keys().copied().collect(), "registrations of client {index}");
    }
}

/// What a node has on another is what its own clients have, no more and no less.
fn nodes_agree_on_interest(world: &World) {
    for node in 0..world.nodes.len() {
        let wanted = local_patterns(world, node);
        for other in (0..world.nodes.len()).filter(|other| *other != node) {
            let realm = world.realm(other);
            let peer = realm.peer_key(&world.nodes[node].id).expect("the mesh is whole");
            let topics = realm.broker().held_by(peer).map(|held| (Kind::Topic, held.policy, held.uri.clone()));
            let procedures = realm.dealer().held_by(peer).map(|held| (Kind::Procedure, held.policy, held.uri.clone()));
            let held: BTreeSet<Pattern> =
                topics.chain(procedures).map(|(kind, policy, uri)| Pattern { kind, policy, uri }).collect();
            assert_eq!(held, wanted, "what node {node} has on node {other}");
        }
        for (_, uplink) in world.realm(node).uplinks() {
            assert!(uplink.mirror.is_quiet(), "node {node} still waits for {}", uplink.node);
        }
    }
}

fn local_patterns(world: &World, node: usize) -> BTreeSet<Pattern> {
    let realm = world.realm(node);
    let topics = realm.broker().subscriptions().map(|held| (Kind::Topic, held.policy, held.uri.clone()));
    let local = realm.dealer().registrations().filter(|held| held.local_callees().is_some());
    let procedures = local.map(|held| (Kind::Procedure, held.policy, held.uri.clone()));
    topics.chain(procedures).map(|(kind, policy, uri)| Pattern { kind, policy, uri }).collect()
}

/// A single procedure has one callee in the cluster, and a shared one is shared alike everywhere.
fn nodes_agree_on_procedures(world: &World) {
    let mut owners: BTreeMap<(Match, String), Vec<(usize, &str)>> = BTreeMap::new();
    for node in 0..world.nodes.len() {
        for held in world.realm(node).dealer().registrations() {
            if let Some(local) = held.local_callees() {
                owners.entry((held.policy, held.uri.clone())).or_default().push((node, local.invoke.name()));
            }
        }
    }
    for (pattern, owners) in owners {
        assert!(owners.iter().all(|(_, invoke)| *invoke == owners[0].1), "{pattern:?}: {owners:?}");
        assert!(owners[0].1 != "single" || owners.len() == 1, "{pattern:?}: {owners:?}");
    }
}

fn nodes_agree_on_what_is_retained(world: &World) {
    let of = |node: usize| -> Vec<Id> {
        world.realm(node).broker().retained_after(None).map(|event| event.place.publication).collect()
    };
    for node in 1..world.nodes.len() {
        assert_eq!(of(node), of(0), "what node {node} retains");
    }
}

/// Who has heard all meta events from the beginning knows who holds what in the cluster, and heard of the first and the
/// last holder of each object, each time.
fn watchers_know_who_holds_what(world: &World) {
    let mut truth: BTreeSet<(String, Id, Id)> = BTreeSet::new();
    for client in world.clients.iter().filter(|client| !client.is_gone) {
        let session = client.session;
        let topics = client.subscriptions.iter().filter(|(_, held)| !held.uri.starts_with("wamp."));
        truth.extend(topics.map(|(id, _)| ("subscription".to_owned(), *id, session)));
        truth.extend(client.registrations.keys().map(|id| ("registration".to_owned(), *id, session)));
    }
    let watches = |client: &&Client| client.subscriptions.values().any(|held| held.uri == WATCHED);
    for watcher in world.clients.iter().filter(|client| !client.is_gone).filter(watches) {
        let mut known: BTreeSet<(String, Id, Id)> = BTreeSet::new();
        let mut objects: BTreeSet<(String, Id)> = BTreeSet::new();
        for event in watcher.events() {
            let Message::Event { details, payload, .. } = event else { continue };
            let topic = details.str("topic").unwrap_or_default();
            let Some((kind, what)) = topic.strip_prefix("wamp.").and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            let args = payload.args().expect("the router's arguments can be read");
            let (Some(session), Some(id)) = (args[0].as_uint(), args.get(1).and_then(id_of)) else { continue };
            let kind = kind.to_owned();
            let n_holders = known.iter().filter(|(k, i, _)| *k == kind && *i == id).count();
            let is_news = match what {
                "on_create" => n_holders == 0 && objects.insert((kind, id)),
                "on_subscribe" | "on_register" => {
                    objects.contains(&(kind.clone(), id)) && known.insert((kind, id, session))
                }
                "on_unsubscribe" | "on_unregister" => known.remove(&(kind, id, session)),
                "on_delete" => n_holders == 0 && objects.remove(&(kind, id)),
                _ => true,
            };
            assert!(is_news, "session {} of node {}: {topic} {args:?}", watcher.session, watcher.node);
        }
        assert_eq!(known, truth, "what session {} of node {} has heard", watcher.session, watcher.node);
        assert_eq!(objects, truth.iter().map(|(kind, id, _)| (kind.clone(), *id)).collect());
    }
}

/// Who has heard of all joins and leaves since some time knows who is there of those who have joined since then, on
/// whatever node and whether or not it could be reached; and has heard of each once.
fn watchers_know_who_is_there(world: &World) {
    for watcher in world.clients.iter().filter(|client| !client.is_gone) {
        let Some(watched) = watcher.subscriptions.values().find(|held| held.uri == WATCHED) else { continue };
        let mut known: BTreeSet<Id> = BTreeSet::new();
        for event in watcher.events() {
            let Message::Event { details, payload, .. } = event else { continue };
            let args = payload.args().expect("the router's arguments can be read");
            match details.str("topic") {
                Some("wamp.session.on_join") => {
                    let session = args[0].as_dict().and_then(|summary| summary.uint("session")).expect("a summary");
                    assert!(known.insert(session), "session {} hears twice that {session} joins", watcher.session);
                }
                Some("wamp.session.on_leave") => {
                    known.remove(&args[0].as_uint().expect("an id"));
                }
                _ => {}
            }
        }
        let there = |client: &&Client| !client.is_gone && client.session != watcher.session;
        let since: BTreeSet<Id> = (world.clients.iter().filter(there))
            .filter(|client| client.joined > watched.since)
            .map(|client| client.session)
            .collect();
        let missing: Vec<&Id> = since.difference(&known).collect();
        let all: BTreeSet<Id> = world.clients.iter().filter(there).map(|client| client.session).collect();
        let dead: Vec<&Id> = known.difference(&all).collect();
        let who = (watcher.session, watcher.node);
        assert!(missing.is_empty() && dead.is_empty(), "{who:?} misses {missing:?} and takes {dead:?} for living");
    }
}

/// The id in an argument of a meta event: itself, or in the details of the object.
fn id_of(value: &Value) -> Option<Id> {
    value.as_uint().or_else(|| value.as_dict()?.uint("id"))
}

/// Who had SUBSCRIBED before a publication, and has kept it, got it, if the link from there was whole all the time.
fn nothing_is_lost(world: &World, published: &[Published]) {
    for event in published {
        let publisher = &world.clients[event.publisher];
        let Some(id) = publisher.published(event.request) else { continue };
        for (index, client) in world.clients.iter().enumerate().filter(|(_, client)| !client.is_gone) {
            if index == event.publisher || !reaches(world, client.node, publisher.node, event.at) {
                continue;
            }
            for (subscription, held) in &client.subscriptions {
                let policy = Match::from_name(&held.policy).expect("a policy");
                let is_due = held.since < event.at
                    && policy.covers(&held.uri, &event.topic)
                    && (client.node == publisher.node
                        || settled(world, client.node, publisher.node, held.asked, event.at));
                assert!(
                    !is_due || client.has_heard(*subscription, id),
                    "client {index} of node {} misses {event:?} of node {}, which it has had since {:?}",
                    client.node,
                    publisher.node,
                    held.since
                );
            }
        }
    }
}

/// Whether the link on which `node` gets what is published on `origin` was whole then and for long enough after.
fn reaches(world: &World, node: usize, origin: usize, at: Duration) -> bool {
    node == origin || uptime(world, node, origin, at).is_some_and(|(_, end)| end > at + SLOW)
}

/// Whether the link was up when the subscriber asked, or has been up for long enough to have been told.
fn settled(world: &World, node: usize, origin: usize, asked: Duration, at: Duration) -> bool {
    uptime(world, node, origin, at).is_some_and(|(start, _)| start <= asked || start + SLOW < at)
}

fn uptime(world: &World, node: usize, origin: usize, at: Duration) -> Option<(Duration, Duration)> {
    let of_link = world.uptimes.iter().filter(|(link, ..)| *link == (node, origin));
    // The first cut is what counts, if it was cut again.
    of_link
        .map(|(_, start, end)| (*start, *end))
        .filter(|(start, end)| *start <= at && at < *end)
        .min_by_key(|(_, end)| *end)
}

fn every_procedure_can_be_called_from_everywhere(world: &mut World) {
    let nodes = world.nodes.len();
    let mut procedures = BTreeSet::new();
    for node in 0..nodes {
        for held in world.realm(node).dealer().registrations() {
            assert!(held.policy != Match::Exact || held.uri.starts_with("com."));
            procedures.insert((held.policy, held.uri.clone()));
        }
    }
    for node in 0..nodes {
        let caller = world.join(node);
        for (policy, uri) in &procedures {
            let procedure = match policy {
                Match::Exact => uri.clone(),
                Match::Prefix => format!("{uri}zzz"),
                Match::Wildcard => {
                    let components =
                        uri.split('.').map(|component| if component.is_empty() { "zzz" } else { component });
                    components.collect::<Vec<_>>().join(".")
                }
            };
            let answer = world.called(caller, &procedure, vec!["echo".into()]);
            assert!(answer.is_ok(), "a call of {procedure} from node {node}: {answer:?}");
        }
    }
}

fn the_meta_api_answers_alike_everywhere(world: &mut World) {
    let callers: Vec<usize> = (0..world.nodes.len()).map(|node| world.join(node)).collect();
    let mut ask = |procedure: &str, args: Vec<Value>| -> Vec<Value> {
        let answers: Vec<_> = callers.iter().map(|caller| world.called(*caller, procedure, args.clone())).collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{procedure} {args:?}: {answers:?}");
        answers.into_iter().next().and_then(Result::ok).unwrap_or_default()
    };
    ask("wamp.session.count", vec![]);
    for session in ids(ask("wamp.session.list", vec![]).first()) {
        ask("wamp.session.get", vec![session.into()]);
    }
    for (kind, member) in [("subscription", "subscriber"), ("registration", "callee")] {
        let lists = ask(&format!("wamp.{kind}.list"), vec![]);
        for (_, list) in lists[0].as_dict().expect("lists by policy").iter() {
            for id in ids(Some(list)) {
                ask(&format!("wamp.{kind}.get"), vec![id.into()]);
                let members = ids(ask(&format!("wamp.{kind}.list_{member}s"), vec![id.into()]).first());
                let count = ask(&format!("wamp.{kind}.count_{member}s"), vec![id.into()]);
                assert_eq!(count, [members.len().into()], "{member}s of {kind} {id}");
            }
        }
        for uri in ["com.a", "com.b", "com.nobody"] {
            ask(&format!("wamp.{kind}.lookup"), vec![uri.into()]);
            ask(&format!("wamp.{kind}.match"), vec![uri.into()]);
        }
    }
}

fn ids(list: Option<&Value>) -> Vec<Id> {
    list.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_uint).collect()
}

/// What those subscribe to, as a prefix, who watch from the beginning.
pub(crate) const WATCHED: &str = "wamp.";
/// Longer than anything takes on a link that is whole, spikes of delay included.
const SLOW: Duration = Duration::from_secs(2);
