//! What a configuration may ask of the machine that it is read on. Everything else about a configuration is pure.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

/// The environment and the files.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub environment: fn(&str) -> Option<String>,
    /// The bytes of a file.
    pub read: fn(&Path) -> io::Result<Vec<u8>>,
    /// The mode of a file, where it is known.
    pub mode: fn(&Path) -> Option<u32>,
    /// The address that a name stands for, where it is known.
    pub address: fn(&str) -> Option<IpAddr>,
    /// Seconds since the epoch.
    pub now: fn() -> i64,
}

impl Host {
    /// This machine.
    pub const SYSTEM: Host = Host {
        environment: |name| std::env::var(name).ok(),
        read: read_file,
        mode: |path| Some(path.metadata().ok()?.permissions().mode() & 0o777),
        address: |name| Some((name, 0).to_socket_addrs().ok()?.next()?.ip().to_canonical()),
        now: || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64),
    };

    /// A machine without environment and files.
    pub const EMPTY: Host = Host {
        environment: |_| None,
        read: |_| Err(io::ErrorKind::NotFound.into()),
        mode: |_| None,
        address: |name| name.parse().map(|address: IpAddr| address.to_canonical()).ok(),
        now: || 0,
    };
}

/// Reads a file that is not unreasonably large: a configuration may name anything.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

/// Far above any certificate chain or list of realms that people write.
const FILE_BYTES_MAX: u64 = 16 << 20;
