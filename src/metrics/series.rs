//! The series that `/metrics` shows: the one closed list, from which the exposition and its documentation are made.

use crate::drop::DropReason;

/// What a series is, in the words of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

macro_rules! series {
    ($($variant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// One series of `/metrics`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Series {
            $(#[doc = $help] $variant,)*
        }

        impl Series {
            /// Every series, in the order in which they are shown.
            pub const ALL: &'static [Series] = &[$(Series::$variant,)*];

            /// The name without the suffix that its kind adds (`_total`, `_bucket`, `_info`).
            pub const fn name(self) -> &'static str {
                match self { $(Series::$variant => $name,)* }
            }

            pub const fn kind(self) -> Kind {
                match self { $(Series::$variant => Kind::$kind,)* }
            }

            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Series::$variant => &[$($label),*],)* }
            }

            /// One sentence for the operator.
            pub const fn help(self) -> &'static str {
                match self { $(Series::$variant => $help,)* }
            }
        }
    };
}

series! {
    Build = Info "crossbar_build" ["version", "node"] "The program that answers.";
    Uptime = Gauge "crossbar_uptime_seconds" [] "Time since the program started.";
    ConfigNotRun = Gauge "crossbar_config_not_run" [] "1 while the program does not run what its configuration file says; `/info` says why.";
    Sessions = Gauge "crossbar_sessions" ["realm"] "Open sessions.";
    SessionsOpened = Counter "crossbar_sessions_opened" [] "Sessions that got their WELCOME.";
    Connections = Gauge "crossbar_connections" ["listener"] "Open connections, handshakes included.";
    ConnectionsAccepted = Counter "crossbar_connections_accepted" [] "Connections that were accepted.";
    Handshakes = Counter "crossbar_handshakes" [] "Transport handshakes that came to an end in good order.";
    Messages = Counter "crossbar_messages" ["type", "direction"] "WAMP messages by type, in from and out to peers.";
    Bytes = Counter "crossbar_bytes" ["direction"] "Bytes read from and written to sockets.";
    Reads = Counter "crossbar_reads" [] "Reads from sockets.";
    Writes = Counter "crossbar_writes" [] "Writes to sockets; many messages leave in one.";
    OutboxBytes = Gauge "crossbar_outbox_bytes" [] "Bytes that wait to be written, all connections together.";
    OutboxBytesFullest = Gauge "crossbar_outbox_fullest_bytes" [] "Bytes that wait in the fullest outbox.";
    KeptBytes = Gauge "crossbar_kept_bytes" ["realm", "kind"] "Memory that is kept for clients; of connections, which no realm keeps, the realm is empty.";
    KeptBytesMax = Gauge "crossbar_kept_bytes_max" [] "Memory that may be kept for clients, `kept_bytes_max`.";
    PublisherStalls = Counter "crossbar_publisher_stalls" [] "Times that a publisher was not read for a slow receiver.";
    Throttles = Counter "crossbar_throttles" [] "Times that a session was not read because it had sent more than its role may.";
    Drops = Counter "crossbar_drops" ["reason"] "Connections ended, messages not delivered and requests refused, by reason.";
    Turns = Histogram "crossbar_turn_seconds" [] "Turns of the shard loops: from waking to the last flush.";
    EventDelay = Gauge "crossbar_event_delay_seconds" ["shard"] "How long events wait for company at present.";
    CpuTime = Counter "process_cpu_seconds" [] "Processor time used, user and system.";
    ResidentMemory = Gauge "process_resident_memory_bytes" [] "Resident memory.";
    OpenFiles = Gauge "process_open_fds" [] "Open file descriptors.";
    OpenFilesMax = Gauge "process_max_fds" [] "The most file descriptors that may be open.";
}

impl Series {
    /// The name of its lines in the exposition.
    fn exposed_name(self) -> String {
        let suffix = match self.kind() {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{suffix}", self.name())
    }
}

/// What `docs/operations.md` says of the series, and of the reasons that some are labelled with.
pub fn reference() -> String {
    let mut out = "| series | kind | labels | |\n| --- | --- | --- | --- |\n".to_owned();
    for series in Series::ALL {
        let kind = format!("{:?}", series.kind()).to_lowercase();
        let labels: Vec<String> = series.labels().iter().map(|label| format!("`{label}`")).collect();
        let (name, labels) = (series.exposed_name(), labels.join(", "));
        out.push_str(&format!("| `{name}` | {kind} | {labels} | {} |\n", series.help()));
    }
    out.push_str("\n### Reasons\n\nEvery loss and refusal has a name, alike in metrics, logs, `crossbarctl refusals` and close frames.\n\n");
    out.push_str("| `reason` | |\n| --- | --- |\n");
    for reason in DropReason::ALL {
        out.push_str(&format!("| `{}` | {} |\n", reason.name(), reason.help()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        for (n, series) in Series::ALL.iter().enumerate() {
            let name = series.name();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(!Series::ALL[..n].iter().any(|other| other.name() == name), "{name} is there twice");
            assert!(!name.ends_with("_total"), "{name}: the exposition adds the suffix");
        }
    }
}
