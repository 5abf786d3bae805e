//! Crossbar.io's node key, `key.priv`: lines of `tag: value`, of which two matter.

use crate::auth::cryptosign::{PublicKey, SecretKey, parse_challenge};
use std::path::Path;

/// The key in this text. The error is a sentence.
pub(super) fn parse(text: &str) -> Result<SecretKey, String> {
    let value = |tag: &str| {
        let tags = text.lines().filter_map(|line| line.split_once(':'));
        tags.filter(|(name, _)| name.trim() == tag).map(|(_, value)| value.trim()).next()
    };
    let Some(private) = value("private-key-ed25519") else {
        return Err("there is no line with private-key-ed25519".to_owned());
    };
    let seed = parse_challenge(private).ok_or("private-key-ed25519 must be 64 hex digits")?;
    let key = SecretKey::from_seed(seed);
    match value("public-key-ed25519").map(str::parse::<PublicKey>) {
        Some(Ok(public)) if public == key.public() => Ok(key),
        None => Ok(key),
        Some(_) => Err("public-key-ed25519 is not the public half of private-key-ed25519".to_owned()),
    }
}

/// The key beside a configuration, None where there is none. The error is a sentence that names the file.
pub(super) fn beside(
    configuration: &Path,
    read: fn(&Path) -> std::io::Result<Vec<u8>>,
) -> Result<Option<SecretKey>, String> {
    let path = configuration.with_file_name("key.priv");
    match read(&path) {
        Ok(bytes) => {
            let key = parse(&String::from_utf8_lossy(&bytes));
            key.map(Some).map_err(|sentence| format!("{}: {sentence}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_must_belong_together() {
        let key = SecretKey::from_seed([7; 32]);
        let (private, public) = (hex::encode([7; 32]), key.public());
        let text = "Node key - KEEP THIS SAFE!\n\ncreator: a@b\ncreated-at: 2019-03-05T19:57:09.000Z\n";
        let whole = format!("{text}public-key-ed25519: {public}\nprivate-key-ed25519: {private}\n");
        assert_eq!(parse(&whole).unwrap().public(), public);
        let other = SecretKey::from_seed([8; 32]).public();
        assert!(parse(&whole.replace(&public.to_string(), &other.to_string())).err().unwrap().contains("public half"));
        assert!(parse(text).err().unwrap().contains("no line"));
        assert!(parse("private-key-ed25519: abc\n").err().unwrap().contains("64 hex digits"));
    }
}
