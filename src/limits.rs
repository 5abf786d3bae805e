//! Every bound of the router, in one place. Each can be set in the `[limits]` table of the configuration under the same
//! name; the values here are the defaults, each with the reason for its size.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

use std::time::Duration;

/// The largest message that any RawSocket peer may announce: 2^24 bytes, the end of its 24-bit length.
pub const RAWSOCKET_BYTES_MAX: usize = 1 << 24;
/// WAMP ids are integers from 1 to 2^53, so that a double holds every one of them.
pub const ID_MAX: u64 = 1 << 53;
/// The most elements that any WAMP message has (ERROR with both kinds of arguments), and so the most that are looked
/// at.
pub const MESSAGE_ELEMENTS_MAX: usize = 7;
/// What `message_depth_max` may be set to. The serializer crates give up at 127 levels of their own accord, and what
/// has passed the router's own check must never fail there.
pub const MESSAGE_DEPTH_CEILING: usize = 100;
/// How deep the messages of links may be nested: nodes wrap what a client has sent in a few more lists and dicts.
pub const LINK_DEPTH_MAX: usize = MESSAGE_DEPTH_CEILING + 10;
/// The longest message that a node takes from another before the two have proven who they are.
pub const LINK_HANDSHAKE_BYTES_MAX: usize = 64 << 10;
/// The most that `authid` and `authextra` of a HELLO may take, because they are echoed and kept. Certificates still
/// fit.
pub const AUTHEXTRA_BYTES_MAX: usize = 16 << 10;
/// The memory that `authextra` may take once it is read: lists of small values take many times their bytes.
pub const AUTHEXTRA_MEMORY_MAX: usize = 4 * AUTHEXTRA_BYTES_MAX;
/// How long peers may take to answer a call of the meta API. What needs longer is not answered by a healthy node.
pub const GATHER_TIMEOUT: Duration = Duration::from_secs(1);
/// What all nodes together may answer to one call of the meta API. A list of the sessions of a large cluster has a few
/// MiB.
pub const ANSWERS_BYTES_MAX: usize = 64 << 20;
/// How many calls of the meta API a session may have open before its next messages wait.
pub const GATHERS_PER_SESSION_MAX: usize = 16;
/// How far apart nodes may have kept the same event: their clocks differ, and links are slow or were down.
pub const HISTORY_SKEW_MAX: Duration = Duration::from_secs(10);
/// How long the link to a node may be down before the node counts as dead.
pub const NODE_GRACE: Duration = Duration::from_secs(3);
/// How many published testaments are remembered, and how many sessions that were buried. Only a node that comes back
/// from a partition could repeat the one and bring back the other.
pub const BURIED_MAX: usize = 10_000;
/// How much is published at once of the testaments of a dead node, in bytes of payload, and how long those who get it
/// then have to read it. Both together are 10 MB/s; a client with the default outbox may fall behind by several parts.
pub const BURIAL_BYTES: usize = 512 << 10;
pub const BURIAL_PAUSE: Duration = Duration::from_millis(50);
/// How often both ends of a link compare what is mirrored.
pub const DIGEST_PERIOD: Duration = Duration::from_secs(10);
/// Requests that a peer may have to answer before a link that has come up says more of what is wanted.
pub const REPLAY_PORTION: usize = 1_000;
/// How long one part of an answer of the meta API may be on a link, in bytes.
pub const PART_BYTES: usize = 1 << 20;
/// More subscriptions and registrations than this fill a page of them.
pub const HOLDINGS_AT_ONCE: usize = 2_000;
/// What a page that links fetch from one another holds in bytes, unless a single entry has more.
pub const PAGE_BYTES: usize = 256 << 10;
/// How many entries such a page holds at most.
pub const PAGE_ENTRIES: usize = 1_000;
/// How long calls wait for callees that were sent away: clients connect again within a second or two.
pub const CALLEE_RETURN_MAX: Duration = Duration::from_secs(3);
/// About so many subscriptions and registrations of a realm its authorizers are asked again at a time.
pub const REVIEWS_AT_ONCE: usize = 64;
/// How many audiences (of eligible and exclude lists) one topic keeps an event for. It bounds the work of a PUBLISH.
pub const AUDIENCES_PER_TOPIC_MAX: usize = 16;
/// How far the clock of another node may be ahead of ours. An event that comes from further ahead is of now.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(2);
/// How many progressive calls of one session may wait for their next part; those of a link are of all clients of its
/// node. An id is kept for each.
pub const OPEN_INPUTS_MAX: usize = 4_096;
/// As how many callees of a procedure another node counts at most, whatever it says: it gets calls in proportion.
pub const LINK_WEIGHT_MAX: u32 = 4_096;
/// How many subscriptions and registrations that a session has given up are kept, so that their ids do not come
/// again: a few bytes each.
pub const GIVEN_UP_MAX: usize = 1_000;

/// What a limit is measured in, and so how the configuration spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
    /// As a number: microseconds.
    Time,
}

/// Where a limit can be set for a part, apart from `[limits]`, which sets it for the whole node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It bounds a connection or a port: `[listen.limits]`.
    Listener,
    /// It bounds what sessions may have and do: `[realm.limits]`.
    Realm,
    /// It bounds what a shard does for all of its connections at once, so there is no part to set it for.
    Node,
}

/// One entry of the table of limits. All numbers are in its unit.
#[derive(Debug)]
pub struct Limit {
    pub name: &'static str,
    pub help: &'static str,
    pub scope: Scope,
    pub unit: Unit,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    pub read: fn(&Limits) -> u64,
    pub write: fn(&mut Limits, u64),
}

/// `name: Scope Unit = default, least, most;` makes a field of `Limits` and an entry of `Limits::ALL`.
macro_rules! limits {
    ($($(#[doc = $help:literal])* $name:ident: $scope:ident $unit:ident = $default:expr, $min:expr, $max:expr;)*) => {
        /// The bounds that hold for one listener, one realm and one connection. Sizes are bytes.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Limits {
            $($(#[doc = $help])* pub $name: limits!(@type $unit),)*
        }

        impl Limits {
            /// Every limit, in the order in which they are documented and printed.
            pub const ALL: &'static [Limit] = &[$(Limit {
                name: stringify!($name),
                help: concat!($($help,)*),
                scope: Scope::$scope,
                unit: Unit::$unit,
                default: $default,
                min: $min,
                max: $max,
                read: |limits| limits!(@read $unit, limits.$name),
                write: |limits, value| limits.$name = limits!(@write $unit, value),
            },)*];
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: limits!(@write $unit, $default),)* }
            }
        }
    };
    (@type Time) => { Duration };
    (@type $unit:ident) => { usize };
    (@read Time, $value:expr) => { $value.as_micros() as u64 };
    (@read $unit:ident, $value:expr) => { $value as u64 };
    (@write Time, $value:expr) => { Duration::from_micros($value) };
    (@write $unit:ident, $value:expr) => { $value as usize };
}

limits! {
    /// Largest inbound message after reassembly and inflation, for connections that begin after it was set. The
    /// original's nodes were set to 1 MiB.
    message_bytes_max: Listener Bytes = 1 << 20, 512, 1 << 30;
    /// Deepest nesting of lists and dicts in a message; serializers recurse, so this also bounds the stack.
    message_depth_max: Listener Count = 64, 1, MESSAGE_DEPTH_CEILING as u64;
    /// Most bytes waiting to be written to one connection before it counts as a slow consumer.
    outbox_bytes_max: Listener Bytes = 4 << 20, 64 << 10, 1 << 32;
    /// Most bytes waiting to be written to one link: what local clients produce in the seconds until a dead peer is
    /// noticed.
    link_outbox_bytes_max: Node Bytes = 64 << 20, 1 << 20, 1 << 32;
    /// Longest time that an EVENT may wait for company before it is written; zero writes at the end of every turn.
    event_delay_max: Node Time = 5 * MS, 0, SECOND;
    /// Shortest time that an EVENT waits for company, whatever the load; zero leaves idle shards free to write at once.
    event_delay_min: Node Time = 0, 0, SECOND;
    /// Open connections per listener.
    connections_max: Listener Count = 100_000, 1, 10_000_000;
    /// Connections per listener that have no session yet, from accept to WELCOME. When there are so many, a newcomer
    /// takes the place of the longest handshake of the address that has the most of them, or of all that have as many.
    handshakes_max: Listener Count = 20_000, 1, 10_000_000;
    /// Open connections of one address (IPv6: of one /64) per listener, zero for no such bound: one address then has at
    /// most nine times what it leaves free. Does not hold for `proxies`.
    connections_per_address_max: Listener Count = 0, 0, 10_000_000;
    /// Connections of one address (IPv6: of one /64) per listener that have no session yet, zero for no such bound.
    /// Does not hold for `proxies`.
    handshakes_per_address_max: Listener Count = 0, 0, 10_000_000;
    /// Time from accept to the end of the transport handshake (TLS, PROXY, HTTP upgrade, RawSocket).
    handshake_timeout: Listener Time = 5 * SECOND, 100 * MS, HOUR;
    /// Time from the transport being up to WELCOME, authentication included.
    hello_timeout: Listener Time = 10 * SECOND, 100 * MS, HOUR;
    /// Time that a peer has to answer our GOODBYE, ABORT or close frame before the socket is dropped.
    close_timeout: Listener Time = SECOND, 100 * MS, MINUTE;
    /// How long a refused authentication waits for its ABORT, so that guessing is slow.
    authentication_delay: Listener Time = 500 * MS, 0, MINUTE;
    /// Largest HTTP request head.
    http_head_bytes_max: Listener Bytes = 16 << 10, 1 << 10, 1 << 20;
    /// Sessions per realm.
    sessions_max: Realm Count = 1_000_000, 1, 100_000_000;
    /// Sessions of one authid per realm and node, zero for no bound. Does not hold for anonymous sessions.
    sessions_per_authid_max: Realm Count = 0, 0, 100_000_000;
    /// Subscriptions held by one session.
    subscriptions_per_session_max: Realm Count = 10_000, 0, 10_000_000;
    /// Registrations held by one session.
    registrations_per_session_max: Realm Count = 10_000, 0, 10_000_000;
    /// Calls that one session may have open as a caller.
    calls_per_session_max: Realm Count = 10_000, 0, 10_000_000;
    /// Calls queued for a registration whose callees are all at their concurrency limit.
    calls_queued_max: Realm Count = 10_000, 0, 10_000_000;
    /// Longest URI.
    uri_bytes_max: Realm Bytes = 1_024, 64, 64 << 10;
    /// Components of a URI or a pattern.
    uri_components_max: Realm Count = 64, 8, 1_024;
    /// Different shapes (which components are given) of the wildcard patterns with the same number of components that
    /// subscriptions may have, and registrations: a publication or a call is looked up once per shape.
    wildcard_shapes_max: Realm Count = 256, 1, 100_000;
    /// Longest time that any call may run, zero for no bound but the caller's own.
    call_timeout_max: Realm Time = 0, 0, 24 * HOUR;
    /// Entries of each eligible/exclude list of a PUBLISH.
    publish_list_max: Realm Count = 10_000, 0, 10_000_000;
    /// Retained events per realm.
    retained_max: Realm Count = 100_000, 0, 100_000_000;
    /// Memory that all retained events of a realm may take.
    retained_bytes_max: Realm Bytes = 256 << 20, 0, 1 << 40;
    /// Memory that all event history of a realm may take.
    history_bytes_max: Realm Bytes = 256 << 20, 0, 1 << 40;
    /// Bytes of topics and arguments that one `wamp.subscription.get_events` answers with; more has to be asked for in
    /// parts.
    answer_bytes_max: Realm Bytes = 4 << 20, 1 << 10, 8 << 20;
    /// Memory that may be kept for one session: its subscriptions and registrations with their patterns, its
    /// testaments, its calls that wait and its messages that wait for an authorizer. What waits to be written to it
    /// has a bound of its own, `outbox_bytes_max`.
    kept_bytes_per_session_max: Realm Bytes = 32 << 20, 64 << 10, 1 << 40;
    /// Memory that may be kept for a realm: the same for all of its sessions, retained events, history, and what is
    /// known of the sessions of other nodes.
    kept_bytes_per_realm_max: Realm Bytes = 1 << 30, 1 << 20, 1 << 40;
    /// Memory that may be kept for all clients of the node, outboxes included. Realms may have three quarters of it;
    /// when it is full, histories are trimmed, and then the sessions are ended that take most of it.
    kept_bytes_max: Node Bytes = 4_u64 << 30, 16 << 20, 1 << 42;
    /// Testaments per session, both scopes together.
    testaments_per_session_max: Realm Count = 100, 0, 1_000_000;
    /// Answers of dynamic authorizers kept per realm.
    authorizer_cache_max: Realm Count = 100_000, 0, 10_000_000;
    /// How long an answer of a dynamic authorizer may be kept.
    authorizer_cache_ttl: Realm Time = MINUTE, 0, 24 * HOUR;
    /// How long a dynamic authorizer or authenticator may take to answer.
    authorizer_timeout: Realm Time = 5 * SECOND, 100 * MS, 10 * MINUTE;
    /// Sessions that one other node may tell of. A link on which there are more is ended.
    peer_sessions_max: Realm Count = 1_000_000, 1, 100_000_000;
    /// Subscriptions and registrations of sessions that one other node may tell of, and patterns that its link may have
    /// here. A link on which there are more is ended.
    peer_holdings_max: Realm Count = 10_000_000, 1, 1_000_000_000;
    /// Bytes of the testaments that one other node may tell of. A link on which there are more is ended.
    peer_testaments_bytes_max: Realm Bytes = 256 << 20, 0, 1 << 40;
    /// How long SUBSCRIBED and REGISTERED wait for the confirmation of all peers.
    settle_max: Realm Time = 250 * MS, 0, MINUTE;
}

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Descriptors that clients leave free: for the admin port with health and metrics, for the balancer's checks, for
/// files, and for those who are just being refused. Links come on top. Where few are granted, clients leave half.
pub const DESCRIPTORS_RESERVED: usize = 128;
/// How many questions an authenticator is asked at a time. The others wait, and their sources take turns.
pub const QUESTIONS_MAX: usize = 128;
/// How many logins of a principal from an address may fail before the next has to wait.
pub const UNPUNISHED_FAILURES: u32 = 3;
/// The longest wait after a failed login.
pub const PENALTY_MAX: Duration = Duration::from_secs(60);
/// After so long without a failure, all before it are forgotten.
pub const PENALTY_MEMORY: Duration = Duration::from_secs(600);
/// Principals and addresses of failed logins that are kept, in about 3 MiB.
pub const PENALTIES_MAX: usize = 16_384;
/// What one address may hold, as a multiple of what it leaves free: of room for a hundred connections it gets ninety.
pub const SHARE_OF_FREE_MAX: usize = 9;
/// Where every address has as few handshakes as the newcomer's would have, the oldest of all makes way, unless there
/// are more connections than so many for each handshake: then it is not handshakes that take up the room.
pub const CONNECTIONS_PER_HANDSHAKE_MAX: usize = 10;
/// How much of `kept_bytes_max` realms may keep, in percent. The rest is for what waits to be written and to be routed.
pub const KEPT_BY_REALMS_PERCENT: usize = 75;
/// A receiver stalls those who feed it when its outbox is this full, in percent of `outbox_bytes_max`.
pub const OUTBOX_STALL_PERCENT: usize = 75;
/// Events may fill a link's outbox this far, in percent of `link_outbox_bytes_max`; the rest is for calls and answers.
pub const LINK_EVENTS_PERCENT: usize = 75;
/// The longest that a stalled publisher's socket is left unread at a time.
pub const STALL_MAX: Duration = Duration::from_millis(10);
/// How long it takes at least from one stall of a publisher to the next, whoever of its receivers is slow: it loses a
/// tenth of its time, evenly.
pub const STALL_PERIOD: Duration = Duration::from_millis(100);
/// How long one connection is served before the others have their turn. A message that has been begun is finished.
pub const SLICE_MAX: Duration = Duration::from_millis(1);
/// How long connections are served before what they queued is written, and new connections, timers and pages are seen
/// to.
pub const TURN_MAX: Duration = Duration::from_millis(5);
/// How long what was queued is written before connections are served again: what still waits then is written next.
pub const WRITE_MAX: Duration = Duration::from_millis(3);
/// Bytes that are read at a time when very many connections wait to be read.
pub const READ_BYTES_MIN: usize = 4 << 10;
/// Bytes that one turn reads from one connection before the others have their turn.
pub const TURN_READ_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(OUTBOX_STALL_PERCENT < 100);
const _: () = assert!(LINK_EVENTS_PERCENT < 100);
const _: () = assert!(KEPT_BY_REALMS_PERCENT < 100);
const _: () = assert!(ID_MAX < i64::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_reads_back_what_was_written_and_only_that() {
        for limit in Limits::ALL {
            assert!(limit.min <= limit.default && limit.default <= limit.max, "{}", limit.name);
            let mut limits = Limits::default();
            assert_eq!((limit.read)(&limits), limit.default, "{}", limit.name);
            (limit.write)(&mut limits, limit.max);
            assert_eq!((limit.read)(&limits), limit.max, "{}", limit.name);
            (limit.write)(&mut limits, limit.default);
            assert_eq!(limits, Limits::default(), "{}", limit.name);
        }
    }
}
