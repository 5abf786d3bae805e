//! What holds whatever comes in, and in whatever order.

use super::*;
use proptest::prelude::*;

/// Inputs as the transcripts write them.
const INPUTS: &[&str] = &[
    r#"> [1,"realm1",{"roles":{"caller":{},"publisher":{}}}]"#,
    r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#,
    r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["wampcra"],"authid":"peter"}]"#,
    r#"> [1,"closed",{"roles":{"caller":{}}}]"#,
    r#"> [1,"norealm",{"roles":{"caller":{}}}]"#,
    r#"> [1,"realm1",{"roles":{}}]"#,
    r#"> [5,"ticket123",{}]"#,
    r#"> [3,{},"wamp.error.canceled"]"#,
    r#"> [6,{},"wamp.close.close_realm"]"#,
    r#"> [16,1,{},"com.topic"]"#,
    r#"> [16,2,{"forward_for":[]},"com.topic"]"#,
    r#"> [48,2,{},"com.procedure"]"#,
    r#"> [70,1,{}]"#,
    r#"> [36,1,2,{}]"#,
    "! not a message",
    "+ 500ms",
    "+ 1000ms",
    "+ 10000ms",
    r#"= "user""#,
    r#"= {"role":"user","secret":"ticket123"}"#,
    "= 17",
    "= ! com.error.no",
    "end wamp.close.killed",
    "end wamp.close.system_shutdown",
    "lost",
];

/// What the driver and the realm may rely on.
#[derive(Default)]
struct Observer {
    is_joined: bool,
    is_closed: bool,
}

impl Observer {
    fn observe(&mut self, steps: &[Step]) {
        let mut farewells_left = None;
        for step in steps {
            assert!(!self.is_closed, "after CloseTransport came {step:?}");
            match step {
                Step::Join(_) => {
                    assert!(!self.is_joined, "joined twice");
                    self.is_joined = true;
                }
                Step::Leave => {
                    assert!(self.is_joined, "left without having joined");
                    self.is_joined = false;
                    farewells_left = Some(1);
                }
                Step::Route(_) => assert!(self.is_joined, "{step:?} without a session"),
                Step::Refused(_) => assert!(farewells_left.is_none(), "who it was is not known any more: {step:?}"),
                Step::Authenticate(_) => assert!(!self.is_joined, "who has joined is known"),
                Step::Send(_) => {
                    if let Some(left) = &mut farewells_left {
                        assert_eq!(*left, 1, "more than one message after Leave");
                        *left -= 1;
                    }
                }
                Step::CloseTransport { .. } => {
                    assert!(!self.is_joined, "closed without Leave");
                    self.is_closed = true;
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn sessions_join_leave_and_close_in_order(
        listener in prop::sample::select(vec!["default", "all", "dynamic"]),
        inputs in prop::collection::vec(prop::sample::select(INPUTS), 0..40),
    ) {
        let mut case = Case::new(listener);
        let mut observer = Observer::default();
        for input in inputs {
            let was_closed = observer.is_closed;
            let steps = case.input(input);
            observer.observe(&steps);
            if input == "lost" {
                prop_assert_eq!(steps.is_empty(), was_closed);
                prop_assert!(observer.is_closed);
            }
            prop_assert_eq!(case.session.id().is_some(), observer.is_joined);
            // Whoever has no session has a deadline, so that nobody stays for ever.
            let waits = !observer.is_joined && !observer.is_closed;
            prop_assert_eq!(case.session.poll_timeout().is_some(), waits, "after {}", input);
        }
    }
}
