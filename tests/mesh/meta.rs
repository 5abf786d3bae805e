//! The meta API sees the whole cluster, and says the same on every node.

use crate::harness::cluster::Cluster;
use crate::harness::router::Setup;

#[test]
fn meta_events_reach_every_node() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut watcher = cluster.node(1).join("watcher");
    watcher.subscribe("wamp.session.on_join", "{}", "on_join");
    watcher.subscribe("wamp.session.on_leave", "{}", "on_leave");
    let mut guest = cluster.node(2).join("guest");
    watcher.expect(r#"[36, $on_join, $_, {...}, [{"session": $guest, ...}]]"#);
    guest.goodbye();
    watcher.expect("[36, $on_leave, $_, {...}, [$guest, $_, $_]]");
}

#[test]
fn testaments_are_published_on_every_node() {
    let mut cluster = Cluster::start(2, Setup::default());
    let mut heir = cluster.node(1).join("heir");
    heir.subscribe("com.will", "{}", "sub");
    let mut testator = cluster.node(2).join("testator");
    testator.send(r#"[48, #, {}, "wamp.session.add_testament", ["com.will", ["gone"], {}]]"#);
    testator.expect("[50, #, {...}, ...]");
    drop(testator);
    heir.expect(r#"[36, $sub, $_, {...}, ["gone"]]"#);
}
