//! What a configuration file may say: every table, every key, its type, its default and the sentence that explains it,
//! once, with a word before the key that says what a reload does with it (`live::OnReload`). Reading, refusing,
//! printing, reloading and the reference page follow from these declarations.

use super::limit_table::{ListenerLimits, NodeLimits, RealmLimits};
use super::origin::OriginPattern;
use super::resolved::{Address, InfoPage, LogFormat, ProxyProtocol, Purpose, SlowConsumer, Transport};
use super::table::{At, tables};
use super::value::{
    Disclose, HostName, HttpPath, Int, LogLevel, Mode, NodeId, SecretText, Size, Span, Text, WebSocketUrl,
};
use crate::auth::cryptosign::PublicKey;
use crate::realm::Action;
use crate::session::admission::RequestIds;
use crate::wamp::uri::{Match, UriCheck};
use crate::wire::Serializer;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

tables! {
    /// The whole file.
    File {
        /// Who this node is and what it runs on.
        parts node: Node;
        /// What is logged, and how it looks.
        parts log: Log;
        /// Where operators' tools and HAProxy ask.
        parts admin: Admin;
        /// The bounds of the whole node. Listeners and realms take them over where they do not set their own.
        parts limits: NodeLimits;
        /// A port (or socket file) that clients or other nodes connect to. At least one.
        parts listen: Vec<At<Listen>>;
        /// A realm that sessions can join. At least one.
        parts realm: Vec<At<Realm>>;
        /// The links to the other nodes.
        parts mesh: Mesh;
        /// The master that this node reports to and gets its membership from; without this table there is none.
        restart master: Option<Master>;
    }

    Node {
        /// The name of this node, unique in the cluster.
        restart id: At<NodeId>;
        /// Where the node key and the cached membership are kept; by default a directory of the node's name in
        /// `/var/lib/crossbar`.
        restart state_dir: Option<At<PathBuf>>;
        /// Threads that route, each with its own sessions. This version has one.
        restart shards: At<Int<1, 256>> = "1";
        /// SIGTERM spreads the GOODBYEs over this time, so that clients do not all reconnect at once.
        restart drain_time: At<Span> = "\"10s\"";
        /// Makes up what unknown users are challenged with, so that asking does not tell who exists. Nodes behind one
        /// address should share it; by default it is derived from the node key.
        live decoy_key: Option<At<SecretText>>;
    }

    Log {
        /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, or a list of `module=level`. The environment
        /// variable `RUST_LOG`, written alike, goes before it.
        restart level: At<LogLevel> = "\"info\"";
        /// How: `auto` writes to the journal when run by systemd and for people otherwise.
        restart format: At<LogFormat> = "\"auto\"";
    }

    Admin {
        /// Answers `/healthz`, `/readyz`, `/metrics` and `/info` here. Keep it private.
        restart listen: Option<At<Address>>;
        /// Answers HAProxy's agent check here.
        restart agent_listen: Option<At<Address>>;
        /// The names by which the port may be asked with a browser or for its pages, beside addresses, `localhost` and
        /// the name of this host. Another name in `Host` may be that of a stranger's page.
        restart allowed_hosts: At<Vec<HostName>> = "[]";
    }

    Listen by address {
        /// What is spoken: `websocket` serves the status page and WAMP over WebSocket, `rawsocket` WAMP over RawSocket,
        /// `universal` both on one port, told apart by the first byte of a connection.
        restart r#type: At<Transport>;
        /// Where. Port 0 takes any free port.
        restart address: At<Address>;
        /// The mode of the socket file, where the address is one.
        restart socket_mode: Option<At<Mode>>;
        /// Who it is for: `mesh` admits only the other nodes of the cluster, by their keys.
        nature purpose: At<Purpose> = "\"client\"";
        /// The path that speaks WAMP over WebSocket; `/` does too.
        restart path: At<HttpPath> = "\"/ws\"";
        /// What clients may choose from, in the order in which the router prefers.
        restart serializers: At<Vec<Serializer>> = "[\"cbor\", \"msgpack\", \"json\"]";
        /// Whether the batched subprotocols are offered too.
        restart batched: At<bool> = "true";
        /// What `/info` says here: `brief` the node's name, program, version, start and state, `full` all that the
        /// admin port says, with the name of the host, keys, links, realms and addresses.
        restart info: At<InfoPage> = "\"brief\"";
        /// Whether connections start with a PROXY protocol header (v1 or v2) that names the real client. Where it is
        /// not `off` and there are no `proxies`, only proxies may reach the port: whoever does can claim any address.
        restart proxy_protocol: At<ProxyProtocol> = "\"off\"";
        /// The IP addresses from which such a header is believed; from everywhere else a connection is taken for one
        /// without. Empty: from everywhere. There are many clients behind each of them, so what holds for one address
        /// does not hold for what they send without a header.
        restart proxies: At<Vec<IpAddr>> = "[]";
        /// How often a silent client is pinged; `"0s"` never does.
        restart ping_interval: At<Span> = "\"10s\"";
        /// How long the answer to a ping may take.
        restart ping_timeout: At<Span> = "\"5s\"";
        /// Whether RawSocket clients are pinged too. Off, because autobahn-python's asyncio client takes a ping for a
        /// fault; dead RawSocket peers are found by TCP keepalive, in about 20 s.
        restart ping_rawsocket: At<bool> = "false";
        /// Pages of these origins may open a WebSocket; `*` stands for any characters.
        restart allowed_origins: At<Vec<OriginPattern>> = "[\"*\"]";
        /// Whether pages without an origin may (files, sandboxed frames).
        restart allow_null_origin: At<bool> = "true";
        /// Whether a WebSocket that names no WAMP subprotocol is refused; otherwise it speaks JSON.
        restart require_subprotocol: At<bool> = "true";
        /// Sends every WebSocket message back instead of speaking WAMP; for the Autobahn testsuite.
        nature echo: At<bool> = "false";
        /// Connections that the kernel completes before they are accepted.
        restart backlog: At<Int<1, 65535>> = "4096";
        /// permessage-deflate; without this table it is not offered.
        restart compression: Option<Compression>;
        /// TLS; without this table connections are not encrypted.
        parts tls: Option<Tls>;
        /// Who may come in; without this table everybody, with the role `anonymous`.
        live auth: Option<Auth>;
        /// The bounds of this listener and its connections, where they differ from `[limits]`.
        parts limits: ListenerLimits;
    }

    Compression {
        /// Whether it is offered.
        restart enabled: At<bool> = "true";
        /// The window of what the router sends, in bits; memory per connection doubles with each.
        restart server_window_bits_max: At<Int<9, 15>> = "15";
        /// The window that clients are asked to send with, in bits.
        restart client_window_bits_max: At<Int<9, 15>> = "15";
        /// Whether the router forgets its window after each message: less memory, less compression.
        restart server_no_context_takeover: At<bool> = "false";
        /// Whether clients are asked to do the same.
        restart client_no_context_takeover: At<bool> = "false";
        /// How hard to try, from 1 (fast) to 9 (small).
        restart level: At<Int<1, 9>> = "4";
        /// Messages below this size go out as they are.
        restart message_bytes_min: At<Size> = "64";
    }

    Tls {
        /// The certificate and those between it and the root, PEM.
        live certificate: At<PathBuf>;
        /// Its private key, PEM.
        live key: At<PathBuf>;
        /// Clients must show a certificate signed by one of these, PEM.
        live client_ca: Option<At<PathBuf>>;
    }

    Auth {
        /// Everybody comes in.
        live anonymous: Option<Anonymous>;
        /// A ticket (a password) as it is.
        live ticket: Option<Ticket>;
        /// A shared secret that does not travel.
        live wampcra: Option<Wampcra>;
        /// An ed25519 key.
        live cryptosign: Option<Cryptosign>;
    }

    Anonymous {
        /// The role of whoever comes; by default `anonymous`.
        live role: Option<At<Text>>;
        /// A procedure that decides instead.
        live authenticator: Option<At<Text>>;
        /// The realm in which it is registered.
        live authenticator_realm: Option<At<Text>>;
    }

    Ticket {
        /// Who is known, by authid.
        live principals: BTreeMap<String, At<TicketPrincipal>>;
        /// A procedure that decides instead.
        live authenticator: Option<At<Text>>;
        /// The realm in which it is registered.
        live authenticator_realm: Option<At<Text>>;
    }

    TicketPrincipal {
        /// The ticket, or where it is: `env:NAME`, `file:/path` or
        /// `credential:NAME`.
        live ticket: At<SecretText>;
        /// The role they get.
        live role: At<Text>;
        /// The realm they get, whichever they asked for.
        live realm: Option<At<Text>>;
    }

    Wampcra {
        /// Who is known, by authid.
        live users: BTreeMap<String, At<WampcraUser>>;
        /// A procedure that decides instead.
        live authenticator: Option<At<Text>>;
        /// The realm in which it is registered.
        live authenticator_realm: Option<At<Text>>;
    }

    WampcraUser {
        /// The shared secret, or where it is: `env:NAME`, `file:/path` or
        /// `credential:NAME`. With a salt: the derived key in base64.
        live secret: At<SecretText>;
        /// The role they get.
        live role: At<Text>;
        /// The realm they get, whichever they asked for.
        live realm: Option<At<Text>>;
        /// What the client's password is salted with, so that it need not be kept here.
        live salt: Option<At<Text>>;
        /// Rounds of PBKDF2; by default 1000.
        live iterations: Option<At<Int<1, 100_000_000>>>;
        /// Length of the derived key in bytes; by default 32.
        live keylen: Option<At<Int<1, 1024>>>;
    }

    Cryptosign {
        /// Who is known, by authid.
        live principals: BTreeMap<String, At<CryptosignPrincipal>>;
        /// A procedure that decides instead.
        live authenticator: Option<At<Text>>;
        /// The realm in which it is registered.
        live authenticator_realm: Option<At<Text>>;
    }

    CryptosignPrincipal {
        /// The public keys that prove it, 64 hex digits each.
        live authorized_keys: At<Vec<PublicKey>>;
        /// The role they get.
        live role: At<Text>;
        /// The realm they get, whichever they asked for.
        live realm: Option<At<Text>>;
    }

    Realm by name {
        /// What clients ask for in HELLO.
        live name: At<Text>;
        /// Which URIs are well-formed: `strict` allows only lower-case letters, digits and `_` between the dots.
        live uri_check: At<UriCheck> = "\"loose\"";
        /// How request ids are checked: `lenient` takes every id that is not in use, in any order, as clients that send
        /// from several threads need it; `strict` ends sessions whose ids do not count up from 1, as the specification
        /// has it.
        live request_ids: At<RequestIds> = "\"lenient\"";
        /// Whether calls go to a callee on the caller's node where there is one, before the registration's policy looks
        /// at other nodes.
        live local_first: At<bool> = "false";
        /// What happens to a receiver that does not read: it is disconnected, or its oldest events are dropped.
        live slow_consumer: At<SlowConsumer> = "\"disconnect\"";
        /// The bounds of this realm, where they differ from `[limits]`.
        parts limits: RealmLimits;
        /// A role that sessions can have. At least one.
        live role: Vec<At<Role>>;
        /// Another answer to slow receivers for some topics; the first rule that covers a topic decides.
        live slow_consumer_rule: Vec<At<SlowConsumerRule>>;
        /// Topics whose events are kept for `wamp.subscription.get_events`.
        live history: Vec<At<History>>;
    }

    Role {
        /// Its name.
        live name: At<Text>;
        /// A procedure that is asked what a session may do, instead of rules.
        live authorizer: Option<At<Text>>;
        /// The messages that one session may send in a second, as many of them at once. Who sends more is read more
        /// slowly, and loses nothing. Without this, as many as it likes.
        live messages_per_second: Option<At<Int<1, 100_000_000>>>;
        /// The bytes of messages that one session may send in a second, likewise.
        live bytes_per_second: Option<At<Size>>;
        /// What it may do. The most specific rule decides; without one nothing is allowed.
        live permission: Vec<At<Permission>>;
    }

    Permission {
        /// The URI, or with `match` the prefix or pattern, that the rule covers. What is in
        /// `wamp.` it covers only if it begins so.
        live uri: At<String>;
        /// How it covers: `prefix` compares the beginning, `wildcard` takes an empty component for any.
        live r#match: At<Match> = "\"exact\"";
        /// What may be done there.
        live allow: At<Vec<Action>> = "[]";
        /// Whose identity receivers are told.
        live disclose: At<Vec<Disclose>> = "[]";
    }

    SlowConsumerRule {
        /// The topics that the rule covers.
        live uri: At<String>;
        /// How it covers them, as for permissions.
        live r#match: At<Match> = "\"exact\"";
        /// What happens.
        live action: At<SlowConsumer>;
    }

    History {
        /// The topics that the rule covers.
        live uri: At<String>;
        /// How it covers them, as for permissions.
        live r#match: At<Match> = "\"exact\"";
        /// How many events are kept.
        live entries_max: At<Int<1, 10_000_000>>;
    }

    Mesh {
        /// Where the other nodes reach this one.
        restart advertise: Option<At<Address>>;
        /// Another node. With a master the membership comes from there, and these are in addition.
        live peer: Vec<At<Peer>>;
    }

    Peer {
        /// Its name.
        live id: At<NodeId>;
        /// Where it listens for links.
        live address: At<Address>;
        /// The public half of its node key, as its `keygen` prints it.
        live public_key: At<PublicKey>;
    }

    Master {
        /// Where it is.
        restart url: At<WebSocketUrl>;
        /// The public half of its key.
        restart public_key: At<PublicKey>;
    }
}
