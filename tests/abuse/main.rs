//! What clients do to a router by mistake or on purpose: the one that does it is ended with a named reason, and its
//! neighbours, who go on exchanging messages all the while, see nothing of it.

#[path = "../harness/mod.rs"]
mod harness;

mod crowds;
mod floods;
mod handshakes;
mod lengths;
mod memory;
mod nesting;
mod rates;
mod refused;
mod silence;
mod slow;
mod sources;
mod text;

use crossbar_cluster::wire::{Serializer, Value};
use harness::client::{Carrier, Client, Via};
use harness::router::{ALL_ROLES, Router};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Two sessions that exchange events and calls in a thread of their own, one after the other, and miss none.
struct Neighbours {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Neighbours {
    fn start(router: &Router) -> Neighbours {
        let mut a = router.connect_via(Via::new(Carrier::WebSocket, Serializer::Cbor));
        let mut b = router.connect_via(Via::new(Carrier::RawSocket, Serializer::Json));
        a.hello(ALL_ROLES, "neighbour_a");
        b.hello(ALL_ROLES, "neighbour_b");
        b.subscribe("com.neighbours", "{}", "neighbours");
        b.register("com.neighbour", "{}", "neighbour");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || exchange(&mut a, &mut b, &stopped));
        Neighbours { stop, thread }
    }

    /// Ends the exchange. Its thread has asserted that nothing was missed, out of order, or refused.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let n = self.thread.join().expect("the neighbours are undisturbed");
        assert!(n > 0, "the neighbours have exchanged something");
    }
}

fn exchange(a: &mut Client, b: &mut Client, stop: &AtomicBool) -> u64 {
    let mut n = 0;
    // At least once after it was told to stop, so that the abuse is over by then.
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        n += 1;
        a.send(&format!(r#"[16, #, {{"acknowledge": true}}, "com.neighbours", [{n}]]"#));
        a.expect("[17, #, $_]");
        b.expect(&format!("[36, $neighbours, $_, {{}}, [{n}]]"));
        a.send(&format!(r#"[48, #, {{}}, "com.neighbour", [{n}]]"#));
        b.expect(&format!("[68, {n}, $neighbour, {{}}, [{n}]]"));
        b.send(&format!("[70, {n}, {{}}, [{n}]]"));
        a.expect(&format!("[50, #, {{}}, [{n}]]"));
        if is_last {
            return n;
        }
    }
}

/// A session that speaks so.
fn join(router: &Router, via: Via) -> Client {
    let mut client = router.connect_via(via);
    client.hello(ALL_ROLES, "offender");
    client
}

/// PUBLISH with this id and these arguments, encoded by hand, for arguments that no encoder writes.
fn publish(serializer: Serializer, request: u8, arguments: &[u8]) -> Vec<u8> {
    match serializer {
        Serializer::Json => [format!(r#"[16,{request},{{}},"com.topic","#).as_bytes(), arguments, b"]"].concat(),
        Serializer::Cbor => [&[0x85, 0x10, request, 0xa0, 0x69], &b"com.topic"[..], arguments].concat(),
        Serializer::MsgPack => [&[0x95, 0x10, request, 0x80, 0xa9], &b"com.topic"[..], arguments].concat(),
    }
}

/// Resident memory of the router in bytes.
fn resident_bytes(router: &Router) -> u64 {
    router.metric("process_resident_memory_bytes")
}

fn list(items: Vec<Value>) -> Value {
    Value::List(items)
}
