//! What links between nodes can carry: what does not fit is refused to whoever sends it, before anything else is done.

use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::wire::{Dict, Payload};

/// Whether a link can carry a message with these options (or details) and this payload, which travels as it came.
pub fn is_carried(options: &Dict, payload: &Payload) -> bool {
    options.cbor_bytes_max().saturating_add(payload.len()) <= CARRIED_BYTES_MAX
}

/// The sentence for whoever sends what links cannot carry.
pub fn sentence() -> String {
    format!("links between nodes carry {CARRIED_BYTES_MAX} bytes of options and arguments")
}

/// The most bytes that options, in CBOR, and arguments, in their own serializer, may have together.
pub const CARRIED_BYTES_MAX: usize = RAWSOCKET_BYTES_MAX - ENVELOPE_BYTES_MAX;
/// What a link adds: a URI (at most 64 KiB), who has sent it, and what the message is.
const ENVELOPE_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Serializer, Value};

    #[test]
    fn what_is_carried_is_measured_as_links_carry_it() {
        let payload = |serializer, bytes: usize| Payload::from_raw(serializer, &vec![b'1'; bytes], &[]);
        let empty = Dict::new().cbor_bytes_max();
        for serializer in Serializer::ALL {
            assert!(is_carried(&Dict::new(), &payload(serializer, CARRIED_BYTES_MAX - empty)), "{serializer:?}");
            assert!(!is_carried(&Dict::new(), &payload(serializer, CARRIED_BYTES_MAX - empty + 1)), "{serializer:?}");
        }
        let options = Dict::new().with("eligible_authid", Value::List(vec!["x".repeat(1 << 20).into(); 16]));
        assert!(!is_carried(&options, &Payload::empty()), "options count as well");
    }
}
