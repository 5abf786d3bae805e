//! Who belongs to the cluster: what the master hands out, and what every node keeps on disk for the time when there is
//! no master.

use crate::auth::cryptosign::PublicKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether this may be the id of a node: 1 to 64 letters, digits, `-` and `_`. No dot, because ids are components of
/// URIs: a node `a` would answer for a node `a.b`.
pub fn is_node_id(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(is_plain)
}

/// One node, as the others have to know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    #[serde(deserialize_with = "read_id")]
    pub id: String,
    /// Where it listens for links: `host:port` or `unix:/path`.
    pub address: String,
    /// The public half of its node key, 64 hex digits.
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub public_key: PublicKey,
}

/// All nodes. Of two, the one with the higher version is newer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    #[serde(default)]
    pub version: u64,
    pub members: Vec<Member>,
}

impl Membership {
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }
}

fn write_key<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is no public key of 64 hex digits")))
}

fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match is_node_id(&text) {
        true => Ok(text),
        false => Err(serde::de::Error::custom("the id of a node is 1 to 64 letters, digits, '-' and '_'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_is_read_as_it_was_written() {
        let member = Member { id: "edge1".into(), address: "brummer1:5081".into(), public_key: PublicKey([7; 32]) };
        let membership = Membership { version: 3, members: vec![member] };
        let text = serde_json::to_string(&membership).unwrap();
        assert!(text.contains(&"07".repeat(32)), "{text}");
        assert_eq!(serde_json::from_str::<Membership>(&text).unwrap(), membership);
        let bad = text.replace("0707", "zz");
        let error = serde_json::from_str::<Membership>(&bad).unwrap_err().to_string();
        assert!(error.contains("no public key of 64 hex digits"), "{error}");
        for id in ["", "a.b", "edge 1", "\u{e9}", &"x".repeat(65)] {
            assert!(!is_node_id(id), "{id:?}");
            assert!(serde_json::from_str::<Membership>(&text.replace("edge1", id)).is_err(), "{id:?}");
        }
    }
}
