//! What was measured between nodes of the system that this one replaces, and does not happen here: one test per defect,
//! named by what holds. `ROWS` says which test is about which; those that stand elsewhere are not written twice.

mod calls;
mod events;
mod links;

use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::in_package;
use crate::harness::io::PATIENCE;
use std::collections::BTreeSet;
use std::time::Instant;

/// Each defect in a few words, and the tests that show that it is none of ours.
const ROWS: &[(&str, &[&str])] = &[
    // The headline facts.
    ("only exact patterns are forwarded", &["every_match_policy_crosses", "patterns_of_procedures_cross"]),
    ("errors of callees arrive as results", &["results_errors_and_identity_cross_unchanged"]),
    ("progress is lost, cancels and timeouts do not cross", &["progress_cancel_and_timeout_cross"]),
    ("events loop where links do not disclose", &["an_event_that_is_not_disclosed_visits_each_node_once"]),
    ("calls loop when the shared callees have left", &["calls_end_when_the_shared_callees_have_left"]),
    ("nodes keep each other's subscriptions alive", &["the_last_subscribers_of_two_nodes_leave_nothing_behind"]),
    ("any client may speak for others", &["a_client_cannot_forge_where_a_message_came_from"]),
    ("links of other versions do not come up", &["links_come_up_over_tcp"]),
    // Measured between two and three nodes.
    ("events once and in order", &["all_subscribers_of_a_node_hear_each_event_once_and_in_order"]),
    ("PUBLISHED says nothing about other nodes", &["what_is_published_reaches_every_node_under_its_id"]),
    ("exclude lists do not cross", &["every_list_holds_on_the_other_node"]),
    ("eligible lists keep the event at home", &["every_list_holds_on_the_other_node"]),
    ("retained events stay at home", &["retained_events_are_there_on_every_node_also_later_ones"]),
    ("events in payload passthru stay at home", &["payload_passthru_crosses_as_it_is"]),
    ("keyword arguments, publishing without acknowledgement", &["all_subscribers_of_a_node_hear_each_event_once"]),
    ("links disclose what roles do not", &["nobody_learns_who_published_or_called_unless_the_role_discloses_it"]),
    ("an event storm without disclosure", &["an_event_that_is_not_disclosed_visits_each_node_once"]),
    ("subscriptions of nobody stay", &["the_last_subscribers_of_two_nodes_leave_nothing_behind"]),
    ("a single procedure has two callees after a race", &["of_two_that_race_one_is_registered"]),
    ("nodes disagree on a single procedure", &["single_is_single_on_all_nodes", "a_single_procedure_is_the_same"]),
    ("force_reregister leaves both", &["who_takes_a_procedure_takes_it_on_every_node"]),
    ("the share of shared callees is skewed", &["every_shared_callee_of_the_cluster_has_its_share"]),
    ("first and last differ from node to node", &["first_and_last_are_the_same_callee_from_every_node"]),
    ("a call bounces before it lands", &["a_call_goes_straight_to_the_node_of_its_callee"]),
    ("calls of callees that have left never end", &["calls_end_when_the_shared_callees_have_left"]),
    ("a call takes a detour and loses its caller", &["a_call_goes_straight_to_the_node_of_its_callee"]),
    // There are no chains: every node is linked with every other, and what has crossed a link goes no further.
    ("in a chain events stop after one hop", &["what_is_published_reaches_every_node_under_its_id"]),
    ("a cancelled call is never answered", &["every_way_to_cancel_is_answered_and_reaches_the_callee"]),
    ("timeouts do not cross", &["progress_cancel_and_timeout_cross"]),
    ("a callee that is cut off answers null", &["a_callee_that_is_cut_off_is_an_error_to_its_callers"]),
    ("a lost link", &["a_killed_node_answers_its_calls", "after_each_return_of_a_node_events_come_once"]),
    ("a link lost in the middle of a subscription", &["a_subscription_outlives_the_link_that_was_to_confirm_it"]),
    ("a frozen peer is not noticed", &["a_frozen_node_is_noticed_and_comes_back"]),
    ("what is published for it is buffered", &["what_waits_for_a_frozen_peer_is_bounded"]),
    ("every forwarded call is logged", &["a_forwarded_call_is_not_worth_a_line_in_the_log"]),
    ("sessions are counted per node", &["sessions_are_counted_listed_and_killed_over_all_nodes"]),
    ("registrations and subscriptions too", &["registrations_and_subscriptions_have_the_same_ids_everywhere"]),
    ("testaments and history are the node's own", &["testaments_are_published", "history_is_readable_from_any_node"]),
    ("links show as sessions", &["links_are_no_sessions"]),
    ("a node and peers that are not there yet", &["a_node_serves_while_its_peer_is_away_and_links_when_it_comes"]),
    // Nothing is to be stopped by hand: links follow the configuration, and the page says how they are.
    ("links cannot be stopped and hardly be seen", &["the_page_of_a_node_tells_of_each_link"]),
];

#[test]
fn every_row_has_its_tests() {
    let sources =
        ["calls", "events", "failure", "identity", "meta", "defects/calls", "defects/events", "defects/links"];
    let read = |name: &&str| std::fs::read_to_string(in_package("tests/mesh").join(format!("{name}.rs")));
    let text: String = sources.iter().map(|name| read(name).expect("the file is there")).collect();
    let tests: BTreeSet<&str> =
        text.split("#[test]\nfn ").skip(1).filter_map(|test| test.split_once('(').map(|(name, _)| name)).collect();
    for (row, named) in ROWS {
        for name in *named {
            let n_found = tests.iter().filter(|test| test.starts_with(name)).count();
            assert_eq!(n_found, 1, "{row}: {name} names one test");
        }
    }
}

/// An event from each of the publishers has reached all subscribers of `com.fence`: so has all that they were sent
/// before over the same links.
fn fence(publishers: &mut [&mut Client], subscribers: &mut [&mut Client]) {
    for publisher in publishers {
        publisher.send(r#"[16, #, {}, "com.fence", ["fence"]]"#);
        for subscriber in subscribers.iter_mut() {
            subscriber.expect(r#"[36, $_, $_, {...}, ["fence"]]"#);
        }
    }
}

/// How many messages of a type the node has read and written so far, links included.
fn traffic(cluster: &mut Cluster, node: usize, kind: &str) -> [u64; 2] {
    ["in", "out"].map(|direction| {
        cluster.node(node).metric(&format!("crossbar_messages_total{{type=\"{kind}\",direction=\"{direction}\"}}"))
    })
}

/// One of these callees is invoked; it answers with its number, which is returned.
fn answer_next(callees: &mut [&mut Client]) -> usize {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < PATIENCE, "nobody was invoked");
        for (number, callee) in callees.iter_mut().enumerate() {
            if callee.has_arrived() {
                let message = callee.receive();
                assert_eq!(message[0].as_uint(), Some(68), "an INVOCATION");
                let request = message[1].as_uint().expect("an id");
                callee.send(&format!("[70, {request}, {{}}, [{number}]]"));
                return number;
            }
        }
        std::thread::yield_now();
    }
}
