//! What was revoked opens nothing, and keeps nothing open.

use super::*;
use crate::auth::cryptosign::PublicKey;

/// How a change of what a listener admits is made.
type Change = fn(&mut Admission);

const LOGINS: [(&str, &str, &str); 3] = [
    (r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#, "> ticket ticket123", "all"),
    (
        r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["wampcra"],"authid":"peter"}]"#,
        "> wampcra secret123",
        "all",
    ),
    (CRYPTOSIGN, "> cryptosign 1", "all"),
];
const CRYPTOSIGN: &str = r#"> [1,"realm1",{"roles":{"caller":{}},"authmethods":["cryptosign"],"authid":"one","authextra":{"pubkey":"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"}}]"#;

/// Each takes away what all three logins rest on.
const REVOCATIONS: [(&str, Change); 4] = [
    ("the principals are gone", |admission| {
        admission.methods.ticket = Some(Source::Static(BTreeMap::new()));
        admission.methods.wampcra = Some(Source::Static(BTreeMap::new()));
        admission.methods.cryptosign = Some(Source::Static(BTreeMap::new()));
    }),
    ("the credentials are others", |admission| {
        for_each_principal(admission, |ticket, credential, keys, _| {
            if let Some(ticket) = ticket {
                *ticket = Secret::new("another");
            }
            if let Some(credential) = credential {
                credential.key = Secret::new("another");
            }
            if let Some(keys) = keys {
                *keys = vec![key(7).public()];
            }
        });
    }),
    ("the methods are not offered any more", |admission| admission.methods = Methods::default()),
    ("an authenticator is to decide now", |admission| admission.methods = dynamic_methods()),
];

/// These matter to who is in; who comes in after them comes in as what holds then.
const CHANGES: [(&str, Change); 4] = [
    ("the role is another", |admission| {
        for_each_principal(admission, |_, _, _, grant| grant.role = "admin".to_owned())
    }),
    ("the realm is another", |admission| {
        for_each_principal(admission, |_, _, _, grant| grant.realm = Some("closed".to_owned()));
    }),
    ("the role is gone", |admission| {
        admission.realms.get_mut("realm1").unwrap().roles.remove("user");
    }),
    ("the realm is gone", |admission| drop(admission.realms.remove("realm1"))),
];

type Visit = fn(Option<&mut Secret>, Option<&mut wampcra::Credential>, Option<&mut Vec<PublicKey>>, &mut Grant);

fn for_each_principal(admission: &mut Admission, visit: Visit) {
    let Methods { ticket, wampcra, cryptosign, .. } = &mut admission.methods;
    for_each(ticket, |credential, grant| visit(Some(credential), None, None, grant));
    for_each(wampcra, |credential, grant| visit(None, Some(credential), None, grant));
    for_each(cryptosign, |credential, grant| visit(None, None, Some(credential), grant));
}

fn for_each<C>(source: &mut Option<Source<C>>, visit: impl Fn(&mut C, &mut Grant)) {
    if let Some(Source::Static(principals)) = source {
        principals.values_mut().for_each(|principal| visit(&mut principal.credential, &mut principal.grant));
    }
}

#[test]
fn what_is_revoked_during_a_handshake_opens_nothing() {
    for (why, revoke) in REVOCATIONS {
        for (hello, authenticate, listener) in LOGINS {
            let mut case = Case::new(listener);
            case.input(hello);
            revoke(&mut case.admission);
            let steps = case.input(authenticate);
            assert!(matches!(steps.as_slice(), [Step::Refused(_)]), "{why}: {hello}: {steps:?}");
            let shown: Vec<String> = case.input("+ 500ms").iter().map(show).collect();
            assert_eq!(shown.last().unwrap(), "close authentication_failed", "{why}: {hello}");
        }
    }
}

#[test]
fn a_session_is_covered_until_what_it_was_opened_by_is_revoked() {
    for (why, change) in REVOCATIONS.into_iter().chain(CHANGES) {
        for (hello, authenticate, listener) in LOGINS {
            let mut case = Case::new(listener);
            let identity = case.join(&[hello, authenticate]);
            assert!(case.session.is_covered(&case.admission, "realm1", &identity), "nothing has changed: {hello}");
            change(&mut case.admission);
            assert!(!case.session.is_covered(&case.admission, "realm1", &identity), "{why}: {hello}");
        }
    }
}

#[test]
fn a_key_that_is_added_beside_the_old_one_ends_nothing() {
    let mut case = Case::new("all");
    let identity = case.join(&[CRYPTOSIGN, "> cryptosign 1"]);
    for_each(&mut case.admission.methods.cryptosign, |keys, _| keys.push(key(8).public()));
    assert!(case.session.is_covered(&case.admission, "realm1", &identity));
    for_each(&mut case.admission.methods.cryptosign, |keys, _| keys.retain(|known| *known == key(8).public()));
    assert!(!case.session.is_covered(&case.admission, "realm1", &identity));
}

#[test]
fn who_proved_nothing_is_covered_as_long_as_everybody_may_come_in_as_they_did() {
    let hello = r#"> [1,"realm1",{"roles":{"caller":{}}}]"#;
    for (listener, inputs) in [("default", &[hello][..]), ("dynamic", &[hello, r#"= "anonymous""#])] {
        let mut case = Case::new(listener);
        let identity = case.join(inputs);
        assert!(case.session.is_covered(&case.admission, "realm1", &identity));
        let before = std::mem::replace(&mut case.admission.methods, all_methods());
        assert!(!case.session.is_covered(&case.admission, "realm1", &identity), "{listener}: it is not offered now");
        case.admission.methods = before;
        case.admission.realms.get_mut("realm1").unwrap().roles.remove("anonymous");
        assert!(!case.session.is_covered(&case.admission, "realm1", &identity), "{listener}: the role is gone");
    }
}

impl Case {
    /// Plays these inputs, the last of which opens the session.
    fn join(&mut self, inputs: &[&str]) -> Identity {
        let steps: Vec<Step> = inputs.iter().flat_map(|input| self.input(input)).collect();
        let Some(Step::Join(join)) = steps.last() else { panic!("it is not admitted: {steps:?}") };
        join.identity.clone()
    }
}
