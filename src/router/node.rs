//! What a node knows about itself from its start to its end.

use std::time::SystemTime;

/// Static facts of this process.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    pub id: String,
    pub hostname: String,
    pub pid: u32,
    pub started: SystemTime,
    /// 64 hex digits, empty when the node has no key yet.
    pub public_key: String,
    /// The descriptors that this process may have.
    pub descriptors_max: u64,
}

impl NodeInfo {
    /// When the node was started, RFC 3339 in UTC.
    pub fn started_text(&self) -> String {
        jiff::Timestamp::try_from(self.started).map_or_else(|_| String::new(), |at| format!("{at:.0}"))
    }
}

/// The name of this host, or `localhost` where the kernel does not tell.
pub fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Raises the descriptor limit as far as it goes and returns it.
pub fn raise_descriptors() -> u64 {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(max) => max,
        Err(error) => {
            tracing::warn!(%error, "the descriptor limit could not be raised");
            rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(0, |(soft, _)| soft)
        }
    }
}
