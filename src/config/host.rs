//! What a configuration may ask of the machine that it is read on. Everything else about a configuration is pure.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The environment and the files.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub environment: fn(&str) -> Option<String>,
    /// The bytes of a file.
    pub read: fn(&Path) -> io::Result<Vec<u8>>,
}

impl Host {
    /// This machine.
    pub const SYSTEM: Host = Host { environment: |name| std::env::var(name).ok(), read: read_file };

    /// A machine without environment and files.
    pub const EMPTY: Host = Host { environment: |_| None, read: |_| Err(io::ErrorKind::NotFound.into()) };
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
