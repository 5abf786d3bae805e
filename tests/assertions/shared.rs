//! Shared registrations: who of several callees gets a call.

use crate::harness::client::Client;
use crate::harness::router::{Router, everywhere};
use std::collections::BTreeSet;

/// Callees `c0`, `c1` and `c2` of `com.shared`, in this order, and a caller.
fn scene(router: &mut Router, invoke: &str) -> (Vec<Client>, Client) {
    let callees = ["c0", "c1", "c2"].map(|name| {
        let mut callee = router.join(name);
        callee.register("com.shared", &format!(r#"{{"invoke": "{invoke}"}}"#), "reg");
        callee
    });
    (callees.into(), router.join("caller"))
}

/// Calls `n` times; gives the places of those that got the calls.
fn chosen(callees: &mut [Client], caller: &mut Client, n: usize) -> Vec<usize> {
    (0..n)
        .map(|_| {
            caller.send(r#"[48, #, {}, "com.shared"]"#);
            caller.sync();
            let mut place = None;
            for (index, callee) in callees.iter_mut().enumerate() {
                callee.sync();
                if let Some(invocation) = callee.take_received() {
                    assert!(place.replace(index).is_none(), "a call goes to one callee");
                    let request = invocation[1].as_uint().expect("an INVOCATION");
                    callee.send(&format!("[70, {request}, {{}}, [{index}]]"));
                    callee.sync();
                }
            }
            let place = place.expect("one of them got the call");
            caller.expect(&format!("[50, #, {{}}, [{place}]]"));
            place
        })
        .collect()
}

/// Row 22.
#[test]
fn roundrobin_takes_turns_in_the_order_of_registration() {
    everywhere(|mut router| {
        let (mut callees, mut caller) = scene(&mut router, "roundrobin");
        let turns = chosen(&mut callees, &mut caller, 7);
        let expected: Vec<usize> = (0..7).map(|n| (turns[0] + n) % 3).collect();
        assert_eq!(turns, expected);
    });
}

/// Row 22: who leaves is not asked any more, who comes (back) is.
#[test]
fn roundrobin_follows_those_who_leave_and_join() {
    everywhere(|mut router| {
        let (mut callees, mut caller) = scene(&mut router, "roundrobin");
        chosen(&mut callees, &mut caller, 2);
        callees.remove(1).goodbye();
        let turns = chosen(&mut callees, &mut caller, 4);
        assert!(turns == [0, 1, 0, 1] || turns == [1, 0, 1, 0], "{turns:?}");
        let mut back = router.join("c1");
        back.register("com.shared", r#"{"invoke": "roundrobin"}"#, "reg");
        callees.push(back);
        let turns = chosen(&mut callees, &mut caller, 6);
        for place in 0..3 {
            assert_eq!(turns.iter().filter(|chosen| **chosen == place).count(), 2, "{turns:?}");
        }
        // A callee that unregisters is out as well, and the last one takes the registration along.
        for callee in &mut callees {
            callee.send("[66, #, $reg]");
            callee.expect("[67, #]");
        }
        caller.call_fails("com.shared", "", "wamp.error.no_such_procedure");
    });
}

/// Row 22.
#[test]
fn first_and_last_are_the_oldest_and_the_youngest_callee() {
    everywhere(|mut router| {
        for (invoke, before, after) in [("first", 0, 0), ("last", 2, 1)] {
            let (mut callees, mut caller) = scene(&mut router, invoke);
            assert_eq!(chosen(&mut callees, &mut caller, 3), [before; 3]);
            callees.remove(before).goodbye();
            assert_eq!(chosen(&mut callees, &mut caller, 3), [after; 3]);
            // Who comes back comes last.
            let mut back = router.join("back");
            back.register("com.shared", &format!(r#"{{"invoke": "{invoke}"}}"#), "reg");
            callees.push(back);
            assert_eq!(chosen(&mut callees, &mut caller, 2), [if invoke == "first" { 0 } else { 2 }; 2]);
            for mut callee in callees {
                callee.goodbye();
            }
        }
    });
}

/// Row 22: that one of three gets none of sixty calls happens once in 10^10 times.
#[test]
fn random_asks_everyone_in_no_order() {
    everywhere(|mut router| {
        let (mut callees, mut caller) = scene(&mut router, "random");
        let turns = chosen(&mut callees, &mut caller, 60);
        assert_eq!(turns.iter().collect::<BTreeSet<_>>().len(), 3, "{turns:?}");
        let in_turn = turns.windows(2).all(|pair| (pair[0] + 1) % 3 == pair[1]);
        assert!(!in_turn, "{turns:?}");
    });
}

/// Re-routing: a callee that is unavailable hands the call on, by the policy.
#[test]
fn an_unavailable_callee_hands_the_call_to_the_next() {
    everywhere(|mut router| {
        for (invoke, order) in [("first", [0, 1, 2]), ("last", [2, 1, 0])] {
            let (mut callees, mut caller) = scene(&mut router, invoke);
            caller.send(r#"[48, #, {}, "com.shared", [7]]"#);
            for place in order {
                callees[place].expect("[68, 1, $reg, {}, [7]]");
                callees[place].send(r#"[8, 68, 1, {}, "wamp.error.unavailable"]"#);
            }
            caller.expect(r#"[8, 48, #, {...}, "wamp.error.no_available_callee", ...]"#);
            for mut callee in callees {
                callee.goodbye();
            }
        }
        let mut single = router.join("single");
        single.register("com.single", "{}", "reg1");
        let mut caller = router.join("caller");
        caller.send(r#"[48, #, {}, "com.single"]"#);
        single.expect("[68, 1, $reg1, {}]");
        single.send(r#"[8, 68, 1, {}, "wamp.error.unavailable"]"#);
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.no_available_callee", ...]"#);
    });
}
