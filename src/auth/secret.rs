//! Text that must not leak: a ticket, a password or a derived key. It prints as `***` and compares in constant time.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// A secret text. Use [`Secret::expose`] only where the text itself is needed, never for printing.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    pub fn new(text: impl Into<Box<str>>) -> Secret {
        Secret(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret. The time taken tells nothing about where the two differ, nor how long the secret
    /// is: what is compared are digests of equal length.
    pub fn matches(&self, given: &str) -> bool {
        let ours = Sha256::digest(self.0.as_bytes());
        let theirs = Sha256::digest(given.as_bytes());
        ours.as_slice().ct_eq(theirs.as_slice()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What is printed in the place of every secret, whatever its length.
const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "*** *** Some(\n    ***,\n)");
    }

    #[test]
    fn a_secret_matches_only_itself() {
        let secret = Secret::new("secret123");
        assert!(secret.matches("secret123"));
        for other in ["", "secret12", "secret1234", "Secret123", "secret123\0"] {
            assert!(!secret.matches(other), "{other:?}");
        }
        assert_eq!(secret, Secret::new("secret123".to_owned()));
    }
}
