//! What nodes say to one another on links, in one table from which `docs/protocol.md` is written: ordinary messages of
//! WAMP with these keys in options and details, and calls and events on URIs of their own.
//!
//! A is the node that has dialed, B the one that was dialed.

/// One message of a link, or more about the one before it, where it has no name.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As people read it: the types of WAMP, and the URI where one decides.
    pub message: &'static str,
    /// `A`, which has dialed, or `B`.
    pub from: &'static str,
    /// In Markdown: its keys, and what they mean.
    pub meaning: &'static str,
}

/// What links say to one another; unknown to clients.
pub const NAMESPACE: &str = "wamp.link.";

/// `NAME = "URI", "type", "sender", "meaning";` makes a constant and a row.
macro_rules! link_uris {
    ($($name:ident = $uri:literal, $type:literal, $from:literal, $meaning:literal;)*) => {
        $(#[doc = concat!($type, " from ", $from, ": ", $meaning)] pub const $name: &str = $uri;)*

        /// The calls and events that only links know.
        pub const OWN: &[Row] =
            &[$(Row { message: concat!($type, " `", $uri, "`"), from: $from, meaning: $meaning }),*];
    };
}

link_uris! {
    SESSIONS = "wamp.link.sessions", "CALL", "A", "`[session, serial]` → `[[entry, …], more]`: B's sessions by id, each followed by its testaments; an entry is a session (what `on_join` tells of it) or `[id, testament]`";
    HOLDINGS = "wamp.link.holdings", "CALL", "A", "`[session, kind, id]` → `[[[session, kind, details], …], more]`: what B's sessions hold, by session; `kind` is `subscription` or `registration`";
    RETAINED = "wamp.link.retained", "CALL", "A", "`[topic, published_us, publication]` → `[[[publication, details, payload], …], more]`: what B retains, by topic and time";
    DIGEST = "wamp.link.digest", "CALL", "A", "→ `[interest, retained]`: digests of what A has on B and of what B retains";
    REPLAYED = "wamp.link.replayed", "CALL", "A", "A has said all that it wants since the link came up.";
    RESET = "wamp.link.reset", "CALL", "A", "B forgets what A has on it; A says everything again";
    SESSION = "wamp.link.session", "EVENT", "B", "a session has joined: what `on_join` tells of it";
    TESTAMENT = "wamp.link.testament", "EVENT", "B", "it has added a testament: its id, the testament";
    TESTAMENTS_FLUSHED = "wamp.link.testaments_flushed", "EVENT", "B", "it has flushed those of one scope: its id, `destroyed` or `detached`";
    SESSION_GONE = "wamp.link.session_gone", "EVENT", "B", "a session has left: its id";
    HELD = "wamp.link.held", "EVENT", "B", "a session has begun to hold a subscription or registration: `session, kind, details`";
    HELD_NO_MORE = "wamp.link.held_no_more", "EVENT", "B", "it has ceased to: `session, kind, id`; with the session alone, it holds nothing any more";
    OVERRUN = "wamp.link.overrun", "EVENT", "B", "the link was too full for a notice: A fetches sessions and holdings again";
}

/// The messages of WAMP that links use.
pub const WAMP: &[Row] = &[
    Row {
        message: "SUBSCRIBE",
        from: "A",
        meaning: "`match`; `generation`, see below. A client of A listens, or a configured history does. Once per pattern, however many listen",
    },
    Row { message: "UNSUBSCRIBE", from: "A", meaning: "the last one is gone" },
    Row { message: "SUBSCRIBED, REGISTERED", from: "B", meaning: "from now on A is sent what matches" },
    Row {
        message: "REGISTER",
        from: "A",
        meaning: "`match invoke`; `weight`: how many callees A has; `since_us latest_us`: when the first and the last of them registered. Sent again when they change",
    },
    Row {
        message: "",
        from: "",
        meaning: "`leaving: true`: A is letting its clients go; calls go to other nodes where these have callees",
    },
    Row { message: "", from: "", meaning: "`generation`: which of its ids the registration has, see *Ids*" },
    Row { message: "", from: "", meaning: "`pending: true`: a client of A asks for it and has no answer yet" },
    Row {
        message: "",
        from: "",
        meaning: "`force_reregister: true`: it asks to take the procedure from whoever has it",
    },
    Row {
        message: "ERROR to REGISTER",
        from: "B",
        meaning: "`procedure_already_exists` or `procedure_exists_with_different_invocation_policy`, see below",
    },
    Row { message: "UNREGISTER", from: "A", meaning: "the last callee is gone" },
    Row {
        message: "EVENT",
        from: "B",
        meaning: "`topic`; the lists `eligible*` and `exclude*`; what is carried for the application (`ppt_*`, `enc_*`, `transaction_hash`)",
    },
    Row {
        message: "",
        from: "",
        meaning: "`forward_for: [{session, authid, authrole}]`: the publisher, where its role on B discloses it",
    },
    Row {
        message: "",
        from: "",
        meaning: "`retain`, `published_us`: to be retained, as of then. Such an event is sent to every peer, interested or not",
    },
    Row { message: "", from: "", meaning: "`testament: true`: the last will of a session of B" },
    Row {
        message: "INVOCATION",
        from: "B",
        meaning: "`procedure`; `caller caller_authid caller_authrole`; `disclosed: true`: the callee may be told who calls even if it did not ask; `timeout`, `receive_progress`, `progress`",
    },
    Row {
        message: "YIELD, ERROR",
        from: "A",
        meaning: "as of any callee. `wamp.error.unavailable`: A has no callee for it (any more), the call goes to another callee if there is one, else it ends with `wamp.error.no_such_procedure`",
    },
    Row { message: "INTERRUPT", from: "B", meaning: "`mode`, `reason`" },
    Row {
        message: "CALL `wamp.*`",
        from: "A",
        meaning: "`forward_for`: the client of A that asks, whose role on B has to permit it. B answers for its own clients only",
    },
];

/// The table as Markdown.
pub fn reference() -> String {
    let mut out = "| message | from | keys and their meaning |\n| --- | --- | --- |\n".to_owned();
    for Row { message, from, meaning } in WAMP.iter().chain(OWN) {
        let cell = |text: &str| if text.is_empty() { String::new() } else { format!(" {text}") };
        out.push_str(&format!("|{} |{} | {meaning} |\n", cell(message), cell(from)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{LinkCall, Offer, frames};
    use crate::wamp::Message;
    use crate::wire::Dict;
    use std::time::Duration;

    /// The rows of a message, as one text.
    fn meaning(message: &str) -> String {
        let from = WAMP.iter().position(|row| row.message == message).expect("a row of the table");
        let more = WAMP[from + 1..].iter().take_while(|row| row.message.is_empty());
        WAMP[from..=from].iter().chain(more).map(|row| row.meaning).collect::<Vec<_>>().join(" ")
    }

    /// The words between backticks.
    fn words(text: &str) -> Vec<&str> {
        text.split('`').skip(1).step_by(2).flat_map(|span| span.split([' ', ':', '{', '[', ','])).collect()
    }

    #[test]
    fn what_is_said_of_callees_is_in_the_table() {
        let wall = Duration::from_secs(1);
        let offer = Offer {
            invoke: "random",
            since: wall,
            latest: wall,
            weight: 2,
            leaving: true,
            pending: true,
            force: true,
            generation: 3,
        };
        let (meaning, options) = (meaning("REGISTER"), offer.options());
        for (key, _) in options.iter() {
            assert!(words(&meaning).contains(&key), "REGISTER.{key} is not in the table");
        }
    }

    #[test]
    fn what_is_read_of_events_and_invocations_is_in_the_table() {
        let written = meaning("EVENT");
        for key in ["topic", "forward_for", "retain", "published_us", "testament"] {
            assert!(words(&written).contains(&key), "EVENT.{key} is not in the table");
        }
        let hop = Dict::new().with("session", 1u64);
        let details = Dict::new().with("topic", "com.a").with("published_us", 5u64);
        let (topic, options) = frames::publish_options(details, 7, &hop);
        assert_eq!((topic.as_str(), options.uint("publication")), ("com.a", Some(7)));
        let written = meaning("INVOCATION");
        for key in ["procedure", "caller", "caller_authid", "caller_authrole", "disclosed"] {
            assert!(words(&written).contains(&key), "INVOCATION.{key} is not in the table");
        }
    }

    #[test]
    fn every_call_of_a_link_is_in_the_table_and_is_the_dialing_nodes() {
        let calls = [
            LinkCall::Sessions,
            LinkCall::Retained,
            LinkCall::Digest,
            LinkCall::Reset,
            LinkCall::Holdings,
            LinkCall::Replayed,
        ];
        for procedure in calls.map(LinkCall::procedure) {
            let name = format!("CALL `{procedure}`");
            let row = OWN.iter().find(|row| row.message == name).expect(procedure);
            let payload = crate::wire::Payload::empty();
            let call = Message::Call { request: 1, options: Dict::new(), procedure: procedure.to_owned(), payload };
            assert_eq!(row.from == "A", frames::is_of_dialer(&call), "{procedure}");
        }
        assert_eq!(OWN.iter().filter(|row| row.message.starts_with("CALL")).count(), calls.len());
        assert!(OWN.iter().all(|row| row.message.contains(NAMESPACE)));
    }
}
