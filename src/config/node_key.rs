//! The key by which a node is known: `node.key` in its state directory, an ed25519 seed as 64 hex digits that only the
//! node's own user may read.

use crate::auth::Secret;
use crate::auth::cryptosign::{PublicKey, SecretKey, parse_challenge};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Why there is no key to use. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: mode {mode:04o} lets others read the node key, it must be 0600 (chmod 600)", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("{}: a node key is 64 hex digits", path.display())]
    Malformed { path: PathBuf },
    #[error("{}: the node has another key already", path.display())]
    Taken { path: PathBuf },
}

/// The key of the node with this state directory, None where `keygen` has not been run.
pub fn read(state_dir: &Path) -> Result<Option<SecretKey>, NodeKeyError> {
    read_file(&key_path(state_dir))
}

/// The key in a file, None where there is none.
pub fn read_file(path: &Path) -> Result<Option<SecretKey>, NodeKeyError> {
    let path = path.to_owned();
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(NodeKeyError::Io { path, source }),
    };
    if mode & 0o077 != 0 {
        return Err(NodeKeyError::Mode { path, mode });
    }
    let text = match super::host::read_file(&path) {
        Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
        Err(source) => return Err(NodeKeyError::Io { path, source }),
    };
    match parse_challenge(text.trim()) {
        Some(seed) => Ok(Some(SecretKey::from_seed(seed))),
        None => Err(NodeKeyError::Malformed { path }),
    }
}

/// The public half of the key, None where there is none.
pub fn public_key(state_dir: &Path) -> Result<Option<PublicKey>, NodeKeyError> {
    Ok(read(state_dir)?.map(|key| key.public()))
}

/// The key that is there, or else a new one. The directory is made, for its owner alone, where it is missing.
pub fn read_or_generate(state_dir: &Path, rng: &mut dyn CryptoRng) -> Result<SecretKey, NodeKeyError> {
    read_or_generate_file(&key_path(state_dir), rng)
}

/// The same for a key in a file of any name.
pub fn read_or_generate_file(path: &Path, rng: &mut dyn CryptoRng) -> Result<SecretKey, NodeKeyError> {
    if let Some(key) = read_file(path)? {
        return Ok(key);
    }
    let key = SecretKey::generate(rng);
    match write(path, &key) {
        Ok(true) => Ok(key),
        // Somebody else has just made one.
        Ok(false) => read_file(path)?.ok_or_else(|| NodeKeyError::Malformed { path: path.to_owned() }),
        Err(source) => Err(NodeKeyError::Io { path: path.to_owned(), source }),
    }
}

/// Where a master keeps the key with which its own operator uses `crossbarctl`.
pub fn operator_key_path(state_dir: &Path) -> PathBuf {
    state_dir.join("operator.key")
}

/// Makes this key that of the node, where it has none or this one already. Returns where it is.
pub fn install(state_dir: &Path, key: &SecretKey) -> Result<PathBuf, NodeKeyError> {
    let path = key_path(state_dir);
    match write(&path, key) {
        Ok(true) => Ok(path),
        Ok(false) => match read(state_dir)? {
            Some(known) if known.public() == key.public() => Ok(path),
            _ => Err(NodeKeyError::Taken { path }),
        },
        Err(source) => Err(NodeKeyError::Io { path, source }),
    }
}

/// The secret that decoys for unknown users are made with: it stays the same over restarts, and tells nothing of the
/// key.
pub(super) fn decoy_key(key: &SecretKey) -> Secret {
    let digest = Sha256::new().chain_update(b"crossbar decoy key").chain_update(key.to_seed()).finalize();
    Secret::new(hex::encode(digest))
}

/// Whether this key is now the node's: false when the node has one already. A key appears whole or not at all, so that
/// losing power leaves no half of one.
fn write(path: &Path, key: &SecretKey) -> io::Result<bool> {
    let directory = directory_of(path);
    make_directory(directory)?;
    let draft = path.with_extension(format!("key.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = writeln!(file, "{}", hex::encode(key.to_seed())).and_then(|()| file.sync_all());
    let written = written.and_then(|()| give_to_owner_of(directory, &file));
    // A hard link, unlike a rename, never replaces a key that is there.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directory that something is in, which has a name for a relative path as well.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a directory where there is none, and those above it, for its owner alone.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory_of(directory);
    make_directory(above)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let made = File::open(directory)?;
    // The owner of the directory above may have put a link there since: what is opened has to be what is there.
    let (opened, there) = (made.metadata()?, fs::symlink_metadata(directory)?);
    match (opened.dev(), opened.ino()) == (there.dev(), there.ino()) {
        true => give_to_owner_of(above, &made),
        false => Err(io::Error::other("the directory was replaced while it was made")),
    }
}

/// What root makes in a directory of another user belongs to that user: a daemon that runs as `crossbar` reads the key
/// that an operator makes for it.
fn give_to_owner_of(directory: &Path, made: &File) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    match made.metadata()?.uid() == 0 && owner.uid() != 0 {
        true => fchown(made, Some(owner.uid()), Some(owner.gid())),
        false => Ok(()),
    }
}

fn key_path(state_dir: &Path) -> PathBuf {
    state_dir.join("node.key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha12Rng;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let state_dir = temporary.path().join("crossbar/edge1");
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        assert!(read(&state_dir).unwrap().is_none());
        let key = read_or_generate(&state_dir, &mut rng).unwrap();
        assert_eq!((mode(&state_dir), mode(&key_path(&state_dir))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state_dir).unwrap().count(), 1);
        assert_eq!(read_or_generate(&state_dir, &mut rng).unwrap().to_seed(), key.to_seed());
        assert_eq!(public_key(&state_dir).unwrap(), Some(key.public()));
        assert!(!write(&key_path(&state_dir), &SecretKey::generate(&mut rng)).unwrap());
        assert_eq!(install(&state_dir, &key).unwrap(), key_path(&state_dir));
        let other = install(&state_dir, &SecretKey::generate(&mut rng)).err().unwrap().to_string();
        assert_eq!(other, format!("{}: the node has another key already", key_path(&state_dir).display()));
        assert_eq!(public_key(&state_dir).unwrap(), Some(key.public()));
    }

    #[test]
    fn what_is_made_belongs_to_the_owner_of_the_directory_above() {
        let temporary = tempfile::tempdir().unwrap();
        // Only root can give things away; for anybody else this is the user itself.
        let is_root = fs::metadata(temporary.path()).unwrap().uid() == 0;
        if is_root {
            std::os::unix::fs::chown(temporary.path(), Some(64_001), Some(64_002)).unwrap();
        }
        let above = fs::metadata(temporary.path()).unwrap();
        let state_dir = temporary.path().join("crossbar/edge1");
        read_or_generate(&state_dir, &mut ChaCha12Rng::seed_from_u64(1)).unwrap();
        for made in [state_dir.parent().unwrap(), &state_dir, &key_path(&state_dir)] {
            let made = fs::metadata(made).unwrap();
            assert_eq!((made.uid(), made.gid()), (above.uid(), above.gid()));
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let state_dir = temporary.path();
        read_or_generate(state_dir, &mut ChaCha12Rng::seed_from_u64(1)).unwrap();
        let path = key_path(state_dir);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = read(state_dir).err().unwrap().to_string();
        let expected =
            format!("{}: mode 0640 lets others read the node key, it must be 0600 (chmod 600)", path.display());
        assert_eq!(refusal, expected);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read(state_dir).unwrap().is_some());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let path = key_path(temporary.path());
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        file.write_all(b"not a key").unwrap();
        let refusal = read(temporary.path()).err().unwrap().to_string();
        assert_eq!(refusal, format!("{}: a node key is 64 hex digits", path.display()));
    }
}
