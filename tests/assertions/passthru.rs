//! Payload passthru, as the specification has it and as deployed clients do it.

use crate::harness::router::{NO_FEATURES, everywhere};

const PPT: &str = r#""ppt_scheme": "x_custom", "ppt_serializer": "cbor", "ppt_cipher": "aes256gcm", "ppt_keyid": "k1""#;
/// Binary, as JSON writes it.
const BINARY: &str = r#""\u0000EOP/kFMHXFJvX8BtT+N82w==""#;

#[test]
fn what_is_passed_through_arrives_with_its_attributes() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        a.register("com.procedure", "{}", "reg");
        b.publish("com.topic", &format!("{{{PPT}}}"), &format!("[{BINARY}]"));
        a.expect(&format!("[36, $sub, $_, {{{PPT}}}, [{BINARY}]]"));
        b.send(&format!(r#"[48, #, {{{PPT}}}, "com.procedure", [{BINARY}]]"#));
        a.expect(&format!("[68, 1, $reg, {{{PPT}}}, [{BINARY}]]"));
        a.send(&format!("[70, 1, {{{PPT}}}, [{BINARY}]]"));
        b.expect(&format!("[50, #, {{{PPT}}}, [{BINARY}]]"));
        b.send(r#"[48, #, {}, "com.procedure"]"#);
        a.expect("[68, 2, $reg, {}]");
        a.send(&format!(r#"[8, 68, 2, {{{PPT}}}, "com.error", [{BINARY}]]"#));
        b.expect(&format!(r#"[8, 48, #, {{{PPT}}}, "com.error", [{BINARY}]]"#));
    });
}

#[test]
fn passing_through_has_to_be_announced() {
    everywhere(|mut router| {
        for message in [
            format!(r#"[16, 1, {{{PPT}}}, "com.topic", [{BINARY}]]"#),
            format!(r#"[48, 1, {{{PPT}}}, "com.procedure", [{BINARY}]]"#),
        ] {
            let mut a = router.join_with(NO_FEATURES, "a");
            a.send(&message);
            a.expect_violation();
        }
        let mut callee = router.join_with(NO_FEATURES, "callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(r#"[48, #, {}, "com.procedure"]"#);
        callee.expect("[68, 1, $reg, {}]");
        callee.send(&format!("[70, 1, {{{PPT}}}, [{BINARY}]]"));
        callee.expect_violation();
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.canceled", ...]"#);
    });
}

#[test]
fn who_did_not_announce_it_gets_no_such_calls_and_results() {
    everywhere(|mut router| {
        let mut callee = router.join_with(NO_FEATURES, "callee");
        let mut caller = router.join("caller");
        callee.register("com.procedure", "{}", "reg");
        caller.send(&format!(r#"[48, #, {{{PPT}}}, "com.procedure", [{BINARY}]]"#));
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.feature_not_supported", ...]"#);
        callee.expect_nothing();
        let mut callee = router.join("callee");
        let mut caller = router.join_with(NO_FEATURES, "caller");
        callee.register("com.other", "{}", "reg");
        caller.send(r#"[48, #, {}, "com.other"]"#);
        callee.expect("[68, 1, $reg, {}]");
        callee.send(&format!("[70, 1, {{{PPT}}}, [{BINARY}]]"));
        callee.expect(r#"[8, 68, 1, {...}, "wamp.error.feature_not_supported", ...]"#);
        caller.expect(r#"[8, 48, #, {...}, "wamp.error.feature_not_supported", ...]"#);
    });
}

/// Subscribers are not checked.
#[test]
fn events_are_passed_through_to_everybody() {
    everywhere(|mut router| {
        let mut a = router.join_with(NO_FEATURES, "a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        b.publish("com.topic", &format!("{{{PPT}}}"), &format!("[{BINARY}]"));
        a.expect(&format!("[36, $sub, $_, {{{PPT}}}, [{BINARY}]]"));
    });
}

/// As deployed clients do it: one binary in the place of the arguments.
#[test]
fn the_deployed_form_is_passed_through_too() {
    let enc = r#""enc_algo": "cryptobox", "enc_key": "GTtQ37XGJO2O4R8Dvx4AUo8pe61D9evIWpKGQAPdOh0=",
        "enc_serializer": "json""#;
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        a.register("com.procedure", "{}", "reg");
        b.publish("com.topic", &format!("{{{enc}}}"), BINARY);
        a.expect(&format!("[36, $sub, $_, {{{enc}}}, {BINARY}]"));
        b.send(&format!(r#"[48, #, {{{enc}}}, "com.procedure", {BINARY}]"#));
        a.expect(&format!("[68, 1, $reg, {{{enc}}}, {BINARY}]"));
        a.send(&format!("[70, 1, {{{enc}}}, {BINARY}]"));
        b.expect(&format!("[50, #, {{{enc}}}, {BINARY}]"));
    });
}

/// Attributes that no specification has, but the official vectors.
#[test]
fn transaction_hashes_are_carried() {
    everywhere(|mut router| {
        let mut a = router.join("a");
        let mut b = router.join("b");
        a.subscribe("com.topic", "{}", "sub");
        b.publish("com.topic", r#"{"transaction_hash": "0xab"}"#, "");
        a.expect(r#"[36, $sub, $_, {"transaction_hash": "0xab"}]"#);
    });
}
