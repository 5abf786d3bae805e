//! Why a connection was ended, a message was not delivered or a request was refused: the one closed list that code,
//! metrics, logs and `crossbarctl` share. A loss without a name does not exist.

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

macro_rules! drop_reasons {
    ($($variant:ident = $name:literal, $help:literal;)*) => {
        /// One reason for one loss. The name is the `reason` label of the metrics and the word in the logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DropReason {
            $(#[doc = $help] $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order in which they are documented and exported.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)*];

            /// The name used in metrics, logs and close frames.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)* }
            }

            /// One sentence for the operator.
            pub const fn help(self) -> &'static str {
                match self { $(DropReason::$variant => $help,)* }
            }
        }
    };
}

drop_reasons! {
    SlowConsumer = "slow_consumer", "The receiver did not read: its outbox was full, so it was disconnected.";
    OldestEvent = "oldest_event", "The receiver did not read: its oldest waiting event was dropped to make room.";
    MessageTooLarge = "message_too_large", "An inbound message exceeded message_bytes_max.";
    ReceiverLimit = "receiver_limit", "An outbound message exceeded what the receiver said it accepts.";
    HandshakeTimeout = "handshake_timeout", "The transport handshake was not completed in time.";
    HelloTimeout = "hello_timeout", "No session was opened in time after the transport was up.";
    CloseTimeout = "close_timeout", "The peer did not answer the close in time.";
    PingTimeout = "ping_timeout", "The peer did not answer a ping in time.";
    ProtocolViolation = "protocol_violation", "The peer broke the WAMP protocol.";
    TransportViolation = "transport_violation", "The peer broke the WebSocket, RawSocket, PROXY or HTTP protocol.";
    InvalidUtf8 = "invalid_utf8", "A text frame was not valid UTF-8.";
    InflateLimit = "inflate_limit", "A compressed message would inflate to more than message_bytes_max.";
    TooManyConnections = "too_many_connections", "The listener already had connections_max connections, or clients all that the descriptors allow.";
    TooManyHandshakes = "too_many_handshakes", "The listener already had handshakes_max connections without a session, none of which could make way.";
    TooManyFromAddress = "too_many_from_address", "The address had connections_per_address_max connections, handshakes_per_address_max without a session, or more than its share of what is free.";
    CrowdedOut = "crowded_out", "There was no room: of the addresses with the most connections without a session, the oldest such connection made way for a newer one.";
    TooManySessions = "too_many_sessions", "The realm already had sessions_max sessions.";
    TooManyOfAuthid = "too_many_of_authid", "The principal already had sessions_per_authid_max sessions in the realm on this node.";
    OriginRefused = "origin_refused", "The browser's origin is not in allowed_origins, or not that of the operators' port itself.";
    HostRefused = "host_refused", "A port for operators was asked by a name (Host) that is not one of its own and not in allowed_hosts.";
    HelloRefused = "hello_refused", "A HELLO named a realm, a role or a method that is not here, or was no valid one.";
    AuthenticationFailed = "authentication_failed", "The peer could not prove who it is.";
    LoginPenalty = "login_penalty", "Logins of this principal from this address had failed, and the time after which another one is looked at was not over.";
    NotAuthorized = "not_authorized", "A request was refused: the role of its sender may not do this.";
    AuthorizationFailed = "authorization_failed", "A request was refused: its authorizer did not answer as it should.";
    LimitExceeded = "limit_exceeded", "A request was refused: a limit of the session, the realm or the node was reached.";
    InvalidRequest = "invalid_request", "A request was refused: its URI or one of its options was not valid.";
    OptionNotAllowed = "option_not_allowed", "A message was refused: a client that is no link set an option of links.";
    Killed = "killed", "A session was ended through the meta API or by an operator.";
    Shutdown = "shutdown", "The node is draining or shutting down.";
    PeerLost = "peer_lost", "The peer closed or reset the transport in the middle of its handshake, or while its session was open.";
    CallerGone = "caller_gone", "A result arrived for a caller that has left or has cancelled.";
    PublishRefused = "publish_refused", "A PUBLISH without acknowledge was refused: its publisher asked not to be told.";
    PeerRemoved = "peer_removed", "The node at the other end of a link does not belong to the cluster any more.";
    Revoked = "revoked", "What a session was admitted by holds no more: its key, ticket, principal, role or realm is gone or another.";
    Rebalanced = "rebalanced", "A session was ended so that its client goes to an emptier node.";
    CalleeFull = "callee_full", "A callee did not read: an INVOCATION had no room in its outbox, so the call was refused.";
    LinkQueueFull = "link_queue_full", "The queue towards a peer node was full.";
    Forged = "forged", "A node said on its link what is not its to say, of a session that it does not have: that was not taken.";
    PeerLimit = "peer_limit", "A node told of more sessions, holdings or testaments than peer_*_max allow: its link was ended.";
    MemoryFull = "memory_full", "The node kept kept_bytes_max for its clients, and most of what could be freed for this session.";
    EventUnsent = "event_unsent", "The connection of a receiver, or the link to its node, ended while the event waited to be written.";
}

impl DropReason {
    /// Whether this is in the nature of a cluster whose clients come and go and whose nodes are drained, so that nobody
    /// has to look into it: it is counted, and told only to those who want to see everything.
    pub const fn is_ordinary(self) -> bool {
        use DropReason::*;
        matches!(self, Shutdown | Rebalanced | PeerLost | CallerGone | CloseTimeout)
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<DropReason> {
        DropReason::ALL.iter().copied().find(|reason| reason.name() == name)
    }
}

/// One loss or refusal as an operator is told of it: what happened, about what, and what the one who was refused said
/// of itself. The session, the peer and the node are added by whoever writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: DropReason,
    /// One sentence: why.
    pub sentence: String,
    /// What was to be done (`subscribe`, `call` …), and the topic or procedure.
    pub action: Option<&'static str>,
    pub uri: Option<String>,
    /// Of a peer that has not been admitted: the realm, the authid and the method that its HELLO named.
    pub realm: Option<String>,
    pub authid: Option<String>,
    pub authmethod: Option<&'static str>,
}

impl Refused {
    pub fn new(reason: DropReason, sentence: impl Into<String>) -> Refused {
        let (action, uri, realm, authid, authmethod) = (None, None, None, None, None);
        Refused { reason, sentence: sentence.into(), action, uri, realm, authid, authmethod }
    }

    /// The same about a topic or procedure.
    pub fn about(self, action: &'static str, uri: &str) -> Refused {
        Refused { action: Some(action), uri: Some(uri.to_owned()), ..self }
    }

    /// The same of a peer that is still at its handshake.
    pub fn claimed(self, realm: &str, authid: Option<&str>, authmethod: Option<&'static str>) -> Refused {
        Refused { realm: Some(realm.to_owned()), authid: authid.map(str::to_owned), authmethod, ..self }
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
