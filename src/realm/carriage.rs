//! What links between nodes can carry: what does not fit is refused to whoever sends it, before anything else is done.

use crate::limits::RAWSOCKET_BYTES_MAX;
use crate::wire::{Dict, Payload, Serializer};

/// Whether a link can carry a message with these options (or details) and this payload.
pub fn is_carried(options: &Dict, payload: &Payload) -> bool {
    let Some(left) = CARRIED_BYTES_MAX.checked_sub(options.cbor_bytes_max()) else { return false };
    // To transcode what is surely small enough would be in vain.
    payload.len().saturating_mul(GROWTH_MAX) <= left || {
        let (args, kwargs) = payload.elements_in(Serializer::Cbor);
        args.len() + kwargs.len() <= left
    }
}

/// The sentence for whoever sends what links cannot carry.
pub fn sentence() -> String {
    format!("links between nodes carry {CARRIED_BYTES_MAX} bytes of options and arguments")
}

/// The most that options and arguments, in CBOR, may have together.
pub const CARRIED_BYTES_MAX: usize = RAWSOCKET_BYTES_MAX - ENVELOPE_BYTES_MAX;
/// What a link adds: a URI (at most 64 KiB), who has sent it, and what the message is.
const ENVELOPE_BYTES_MAX: usize = 256 << 10;
/// How much longer a payload may become in CBOR: MessagePack's dict key `false` of one byte has six bytes there, and a
/// number of three characters and a comma in JSON has nine.
const GROWTH_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Elements, Value};

    fn payload(serializer: Serializer, args: &[u8]) -> Payload {
        Payload::from_raw(serializer, args, &[])
    }

    #[test]
    fn what_is_carried_is_measured_as_links_carry_it() {
        let floats = |n: usize| format!("[{}0.5]", "0.1,".repeat(n));
        let n = CARRIED_BYTES_MAX / 9;
        assert!(
            !is_carried(&Dict::new(), &payload(Serializer::Json, floats(n).as_bytes())),
            "less than half of it in JSON"
        );
        let bytes = |n: usize| Payload::from_values(vec![Value::Bytes(vec![0; n])], Dict::new());
        assert!(is_carried(&Dict::new(), &bytes(CARRIED_BYTES_MAX - 6)));
        assert!(!is_carried(&Dict::new(), &bytes(CARRIED_BYTES_MAX - 5)));
        let options = Dict::new().with("eligible_authid", Value::List(vec!["x".repeat(1 << 20).into(); 16]));
        assert!(!is_carried(&options, &Payload::empty()), "options count as well");
    }

    #[test]
    fn nothing_grows_more_than_is_reckoned_with() {
        // Of MessagePack: dicts whose keys are true, false, null, 127, -128 and an empty binary.
        let keys: [&[u8]; 6] = [&[0xc3], &[0xc2], &[0xc0], &[0x7f], &[0xd0, 0x80], &[0xc4, 0]];
        let dicts = keys.map(|key| [&[0x91, 0x8a][..], &[key, &[0xc0]].concat().repeat(10)].concat());
        let numbers = [[0x91, 0xca, 0x3d, 0xcc, 0xcc, 0xcd].to_vec(), [0x91, 0x7f].to_vec(), [0x91, 0xe0].to_vec()];
        let of_msgpack = dicts.into_iter().chain(numbers).map(|args| (Serializer::MsgPack, args));
        let texts = ["[0.1]", "[-0,-0]", "[{\"\":-0}]", "[\"\\u0000AAAA\"]"];
        let of_json = texts.into_iter().map(|text| (Serializer::Json, text.as_bytes().to_vec()));
        for (serializer, args) in of_msgpack.chain(of_json) {
            let message = match serializer {
                Serializer::Json => [b"[1,", &args[..], b"]"].concat(),
                _ => [&[0x92, 1], &args[..]].concat(),
            };
            Elements::split(serializer, &message, 8).expect("it is well formed");
            let payload = payload(serializer, &args);
            let grown = payload.elements_in(Serializer::Cbor).0.len();
            assert!(grown > 1 && grown <= payload.len() * GROWTH_MAX, "{serializer:?} {args:x?}: {grown}");
        }
    }
}
