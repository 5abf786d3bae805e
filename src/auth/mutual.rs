//! Mutual proof: how the programs of a cluster prove their keys to one another, as nodes on links, as nodes and
//! operators at the master, and as operators on the admin port of a node.
//!
//! The dialer says in HELLO who it is and what for (`pubkey`, `purpose`, `nonce`), the listener answers with a
//! CHALLENGE of `node`, `pubkey`, `nonce` and `signature`, and the dialer with its own signature. Both sign all of it:
//! the side, the purpose, the realm, the ids, keys and nonces of both, and the TLS channel on which they meet. So a
//! signature is worth something only to whom it was made for, only then and only for that purpose; whoever passes it on
//! to another program, or has it made by one, has nothing.
//!
//! Cryptosign signs 32 bytes that the other side chooses. What is signed here is longer, so that neither of the two
//! signatures can be taken for the other although they may be of the same key.

use super::cryptosign::{ChannelId, PublicKey, SecretKey};
use rand::CryptoRng;

/// The `authmethod`.
pub const METHOD: &str = "mutual";

/// 32 random bytes of one side, so that no signature of an earlier session holds again.
pub type Nonce = [u8; 32];

/// What a session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A link between two nodes.
    Link,
    /// A node tells the master how it is, and does what it is asked.
    Report,
    /// An operator asks a node or the master.
    Operate,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Link, Purpose::Report, Purpose::Operate];

    /// The word in HELLO.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Link => "link",
            Purpose::Report => "report",
            Purpose::Operate => "operate",
        }
    }

    pub fn from_name(name: &str) -> Option<Purpose> {
        Purpose::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// One of the two that meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub id: String,
    pub key: PublicKey,
    pub nonce: Nonce,
}

/// Everything that both of them sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    pub purpose: Purpose,
    pub realm: String,
    pub dialer: Party,
    pub listener: Party,
    /// Of the TLS channel on which they meet: each signs that which it has, so that the two do not agree where somebody
    /// stands between two channels. None where there is no TLS.
    pub channel_id: Option<ChannelId>,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Dialer,
    Listener,
}

impl Meeting {
    /// The signature of one side, 128 hex digits. `key` is the private half of the key of that side.
    pub fn sign(&self, side: Side, key: &SecretKey) -> String {
        hex::encode(key.sign_bytes(&self.transcript(side)))
    }

    /// Whether `signature` was made by this side's key for this meeting.
    pub fn verify(&self, side: Side, signature: &str) -> bool {
        let key = match side {
            Side::Dialer => self.dialer.key,
            Side::Listener => self.listener.key,
        };
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).is_ok() && key.verify_bytes(&self.transcript(side), &bytes)
    }

    /// What is signed: every part behind its length, so that no two meetings give the same bytes.
    fn transcript(&self, side: Side) -> Vec<u8> {
        let side: &[u8] = match side {
            Side::Dialer => b"dialer",
            Side::Listener => b"listener",
        };
        let channel_id = self.channel_id.as_ref().map_or(&[][..], |id| &id[..]);
        let parts: [&[u8]; 11] = [
            LABEL,
            side,
            self.purpose.name().as_bytes(),
            self.realm.as_bytes(),
            self.dialer.id.as_bytes(),
            &self.dialer.key.0,
            &self.dialer.nonce,
            self.listener.id.as_bytes(),
            &self.listener.key.0,
            &self.listener.nonce,
            channel_id,
        ];
        let mut transcript = Vec::new();
        for part in parts {
            transcript.extend_from_slice(&(part.len() as u64).to_be_bytes());
            transcript.extend_from_slice(part);
        }
        transcript
    }
}

/// A fresh nonce.
pub fn random_nonce(rng: &mut dyn CryptoRng) -> Nonce {
    super::cryptosign::random_challenge(rng)
}

const LABEL: &[u8] = b"crossbar-cluster mutual proof, version 1";
/// Longer alone than what cryptosign signs.
const _: () = assert!(LABEL.len() > 32);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn meeting() -> Meeting {
        let party = |id: &str, seed| Party { id: id.to_owned(), key: key(seed).public(), nonce: [seed + 10; 32] };
        Meeting {
            purpose: Purpose::Link,
            realm: "realm1".to_owned(),
            dialer: party("edge1", 1),
            listener: party("edge2", 2),
            channel_id: None,
        }
    }

    #[test]
    fn a_signature_holds_for_one_meeting_and_one_side() {
        let signature = meeting().sign(Side::Dialer, &key(1));
        assert!(meeting().verify(Side::Dialer, &signature));
        assert!(!meeting().verify(Side::Listener, &signature));
        let changes: [fn(&mut Meeting); 9] = [
            |meeting| meeting.purpose = Purpose::Operate,
            |meeting| meeting.realm = "realm2".to_owned(),
            |meeting| meeting.dialer.id = "edge3".to_owned(),
            |meeting| meeting.dialer.key = key(3).public(),
            |meeting| meeting.dialer.nonce = [0; 32],
            |meeting| meeting.listener.id = "edge3".to_owned(),
            |meeting| meeting.listener.key = key(3).public(),
            |meeting| meeting.listener.nonce = [0; 32],
            |meeting| meeting.channel_id = Some([0; 32]),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut other = meeting();
            change(&mut other);
            assert!(!other.verify(Side::Dialer, &signature), "change {n}");
        }
        assert!(!meeting().verify(Side::Dialer, &signature[2..]));
        assert!(!meeting().verify(Side::Dialer, &"zz".repeat(64)));
    }

    #[test]
    fn text_does_not_move_from_one_part_into_the_next() {
        let mut moved = meeting();
        (moved.realm, moved.dialer.id) = ("realm1e".to_owned(), "dge1".to_owned());
        assert_ne!(meeting().transcript(Side::Dialer), moved.transcript(Side::Dialer));
    }
}
