//! Logins that fail again and again, see `penalties`.

use super::*;

const JOE: &str = r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#;
const NOBODY: &str = r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"nobody"}]"#;
const WRONG: &str = "> ticket wrong";
const RIGHT: &str = "> ticket ticket123";

/// A program that has seen what this one has.
fn another(listener: &str, before: &mut Case) -> Case {
    Case { penalties: std::mem::take(&mut before.penalties), now: before.now, ..Case::new(listener) }
}

/// Logs in on a transport of its own.
fn log_in(before: &mut Case, hello: &str, ticket: &str) -> Vec<Step> {
    let mut case = another("all", before);
    let mut steps = case.input(hello);
    if matches!(steps.as_slice(), [Step::Send(Message::Challenge { .. })]) {
        steps = case.input(ticket);
    }
    before.penalties = case.penalties;
    steps
}

fn is_penalised(steps: &[Step]) -> bool {
    let is_named = steps.iter().any(|step| match step {
        Step::Send(Message::Abort { details, reason, .. }) => {
            let message = details.str("message").unwrap_or_default();
            reason == error::AUTHENTICATION_DENIED && message.starts_with("login_penalty: ")
        }
        _ => false,
    });
    let is_closed =
        steps.iter().any(|step| matches!(step, Step::CloseTransport { reason: Some(DropReason::LoginPenalty) }));
    assert_eq!(is_named, is_closed, "{steps:?}");
    is_named
}

fn is_admitted(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Join(_)))
}

#[test]
fn after_some_failures_the_next_login_waits() {
    let mut program = Case::new("all");
    for who in [JOE, NOBODY] {
        for _ in 0..4 {
            assert!(!is_penalised(&log_in(&mut program, who, WRONG)));
        }
        assert!(is_penalised(&log_in(&mut program, who, RIGHT)), "whether it exists or not");
    }
    program.input("+ 1000ms");
    assert!(is_admitted(&log_in(&mut program, JOE, RIGHT)));
    // Who got in has no failures any more.
    for _ in 0..4 {
        assert!(!is_penalised(&log_in(&mut program, JOE, WRONG)));
    }
}

/// To have very many logins under way at a time does not help.
#[test]
fn who_was_challenged_before_waits_too() {
    let mut cases: Vec<Case> = (0..20).map(|_| Case::new("all")).collect();
    let mut program = Case::new("all");
    let mut n_looked_at = 0;
    for case in &mut cases {
        case.input(JOE);
        case.penalties = std::mem::take(&mut program.penalties);
        n_looked_at += usize::from(!is_penalised(&case.input(WRONG)));
        program.penalties = std::mem::take(&mut case.penalties);
    }
    assert_eq!(n_looked_at, 4);
}

#[test]
fn nobody_else_waits() {
    let mut program = Case::new("all");
    (0..10).for_each(|_| drop(log_in(&mut program, JOE, WRONG)));
    let mut elsewhere = another("all", &mut program);
    elsewhere.peer.place = Some([127, 0, 0, 2].into());
    elsewhere.input(JOE);
    assert!(is_admitted(&elsewhere.input(RIGHT)));
    // Behind a balancer that sends no PROXY headers there are many.
    let mut behind = another("all", &mut elsewhere);
    behind.peer.place = None;
    for _ in 0..10 {
        let mut case = another("all", &mut behind);
        case.peer.place = None;
        case.input(JOE);
        assert!(!is_penalised(&case.input(WRONG)));
        behind.penalties = case.penalties;
    }
}

/// Others may claim a key as often as they like: they cannot keep its owner out.
#[test]
fn who_has_a_known_key_does_not_wait() {
    const ONE: &str = r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["cryptosign"],"authid":"one","authextra":{"pubkey":"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"}}]"#;
    let mut program = Case::new("all");
    for _ in 0..10 {
        let mut case = another("all", &mut program);
        case.input(ONE);
        assert!(!is_penalised(&case.input("> cryptosign 2")));
        program.penalties = case.penalties;
    }
    let mut owner = another("all", &mut program);
    owner.input(ONE);
    assert!(is_admitted(&owner.input("> cryptosign 1")));
    let stranger = ONE.replace("8a88", "8a89");
    let mut waits = Vec::new();
    for _ in 0..5 {
        let mut case = another("all", &mut owner);
        let mut steps = case.input(&stranger);
        if !is_penalised(&steps) {
            steps = case.input("> cryptosign 2");
        }
        waits.push(is_penalised(&steps));
        owner.penalties = case.penalties;
    }
    assert_eq!(waits, [false, false, false, false, true]);
}

/// An authenticator that denies makes a failure, one that is not there does not.
#[test]
fn outages_are_no_failures() {
    for (answer, is_failure) in [
        ("= ! wamp.error.no_such_procedure", false),
        ("= ! wamp.error.timeout", false),
        ("= ! wamp.error.not_authorized", true),
        ("= null", true),
    ] {
        let mut program = Case::new("dynamic");
        for _ in 0..4 {
            let mut case = another("dynamic", &mut program);
            case.input(JOE);
            case.input(WRONG);
            case.input(answer);
            program.penalties = case.penalties;
        }
        let mut case = another("dynamic", &mut program);
        assert_eq!(is_penalised(&case.input(JOE)), is_failure, "{answer}");
    }
}
