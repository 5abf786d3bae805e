//! Every bound of the router, in one place. Each can be set in the `[limits]` table of the configuration under the same
//! name; the values here are the defaults, each with the reason for its size.

use std::time::Duration;

/// The largest message that any RawSocket peer may announce: 2^24 bytes, the end of its 24-bit length.
pub const RAWSOCKET_BYTES_MAX: usize = 1 << 24;
/// WAMP ids are integers from 1 to 2^53, so that a double holds every one of them.
pub const ID_MAX: u64 = 1 << 53;
/// The most elements that any WAMP message has (ERROR with both kinds of arguments), and so the most that are looked at.
pub const MESSAGE_ELEMENTS_MAX: usize = 7;
/// The most that the `authextra` of a HELLO may take, because an anonymous session keeps it. Certificates still fit.
pub const AUTHEXTRA_BYTES_MAX: usize = 16 << 10;

/// The bounds that hold for one listener, one realm and one connection. Sizes are bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest inbound message after reassembly and inflation. The original's nodes were set to 1 MiB.
    pub message_bytes_max: usize,
    /// Deepest nesting of lists and dicts in a message; serializers recurse, so this also bounds the stack.
    pub message_depth_max: usize,
    /// Most bytes waiting to be written to one connection before it counts as a slow consumer.
    pub outbox_bytes_max: usize,
    /// Longest time that an EVENT may wait for company before it is written; zero writes at the end of every turn.
    pub event_delay_max: Duration,
    /// Shortest time that an EVENT waits for company, whatever the load; zero leaves idle shards free to write at once.
    pub event_delay_min: Duration,
    /// Open connections per listener.
    pub connections_max: usize,
    /// Connections per listener that have not finished their transport handshake and HELLO.
    pub handshakes_max: usize,
    /// Time from accept to the end of the transport handshake (TLS, PROXY, HTTP upgrade, RawSocket).
    pub handshake_timeout: Duration,
    /// Time from the transport being up to WELCOME, authentication included.
    pub hello_timeout: Duration,
    /// Time that a peer has to answer our GOODBYE, ABORT or close frame before the socket is dropped.
    pub close_timeout: Duration,
    /// How long a refused authentication waits for its ABORT, so that guessing is slow.
    pub authentication_delay: Duration,
    /// Largest HTTP request head.
    pub http_head_bytes_max: usize,
    /// Sessions per realm.
    pub sessions_max: usize,
    /// Subscriptions held by one session.
    pub subscriptions_per_session_max: usize,
    /// Registrations held by one session.
    pub registrations_per_session_max: usize,
    /// Calls that one session may have open as a caller.
    pub calls_per_session_max: usize,
    /// Calls queued for a registration whose callees are all at their concurrency limit.
    pub calls_queued_max: usize,
    /// Longest URI.
    pub uri_bytes_max: usize,
    /// Longest time that any call may run, zero for no bound but the caller's own.
    pub call_timeout_max: Duration,
    /// Entries of each eligible/exclude list of a PUBLISH.
    pub publish_list_max: usize,
    /// Retained events per realm.
    pub retained_max: usize,
    /// Bytes of payload that all retained events of a realm may hold.
    pub retained_bytes_max: usize,
    /// Bytes of payload that all event history of a realm may hold.
    pub history_bytes_max: usize,
    /// Testaments per session, both scopes together.
    pub testaments_per_session_max: usize,
    /// Answers of dynamic authorizers kept per realm.
    pub authorizer_cache_max: usize,
    /// How long an answer of a dynamic authorizer may be kept.
    pub authorizer_cache_ttl: Duration,
    /// How long a dynamic authorizer or authenticator may take to answer.
    pub authorizer_timeout: Duration,
    /// How long SUBSCRIBED and REGISTERED wait for the confirmation of all peers.
    pub settle_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes_max: 1 << 20,
            message_depth_max: 64,
            outbox_bytes_max: 4 << 20,
            event_delay_max: Duration::from_millis(5),
            event_delay_min: Duration::ZERO,
            connections_max: 100_000,
            handshakes_max: 20_000,
            handshake_timeout: Duration::from_millis(5_000),
            hello_timeout: Duration::from_millis(10_000),
            close_timeout: Duration::from_millis(1_000),
            authentication_delay: Duration::from_millis(500),
            http_head_bytes_max: 16 << 10,
            sessions_max: 1_000_000,
            subscriptions_per_session_max: 10_000,
            registrations_per_session_max: 10_000,
            calls_per_session_max: 10_000,
            calls_queued_max: 10_000,
            uri_bytes_max: 1_024,
            call_timeout_max: Duration::ZERO,
            publish_list_max: 10_000,
            retained_max: 100_000,
            retained_bytes_max: 256 << 20,
            history_bytes_max: 256 << 20,
            testaments_per_session_max: 100,
            authorizer_cache_max: 100_000,
            authorizer_cache_ttl: Duration::from_secs(60),
            authorizer_timeout: Duration::from_secs(5),
            settle_max: Duration::from_millis(250),
        }
    }
}

/// A receiver stalls those who feed it when its outbox is this full, in percent of `outbox_bytes_max`.
pub const OUTBOX_STALL_PERCENT: usize = 75;
/// The longest that a stalled publisher's socket is left unread at a time.
pub const STALL_MAX: Duration = Duration::from_millis(10);
/// Bytes that one turn reads from one connection before the others have their turn.
pub const TURN_READ_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(OUTBOX_STALL_PERCENT < 100);
const _: () = assert!(ID_MAX < i64::MAX as u64);
