//! Pages: what links fetch from one another goes into messages that every link carries, however much there is.

use crate::drop::DropReason;
use crate::limits::{PAGE_BYTES, PAGE_ENTRIES, RAWSOCKET_BYTES_MAX};
use crate::realm::Effect;
use crate::wire::{Dict, Payload, Serializer, Value};

/// A page that is being filled, in the order in which the peer asks for what it holds.
#[derive(Debug, Default)]
pub(super) struct Page {
    entries: Vec<Value>,
    bytes: usize,
    /// Entries that no message can carry.
    n_skipped: usize,
}

impl Page {
    /// Adds an entry; false where it is for the next page. One entry there always is; one that would not fit into any
    /// message is left out and counted.
    pub(super) fn push(&mut self, entry: Value) -> bool {
        let bytes = bytes_of(&entry);
        if bytes > ENTRY_BYTES_MAX {
            self.n_skipped += 1;
            return true;
        }
        let is_full = self.bytes + bytes > PAGE_BYTES || self.entries.len() >= PAGE_ENTRIES;
        if is_full && !self.entries.is_empty() {
            return false;
        }
        self.bytes += bytes;
        self.entries.push(entry);
        true
    }

    /// The arguments of the RESULT: the entries, and where the next page begins (null if this was the last).
    pub(super) fn finish(self, more: Value, out: &mut Vec<Effect>) -> Vec<Value> {
        out.extend((0..self.n_skipped).map(|_| Effect::Drop { reason: DropReason::ReceiverLimit }));
        vec![Value::List(self.entries), more]
    }
}

/// What a value takes in a message of a link.
fn bytes_of(value: &Value) -> usize {
    match value.cbor_bytes_max() {
        bytes if bytes <= PAGE_BYTES => bytes,
        // Only where it may matter it is worth a copy.
        _ => Payload::from_values(vec![value.clone()], Dict::new()).elements_in(Serializer::Cbor).0.len(),
    }
}

/// The largest entry that a message can carry.
const ENTRY_BYTES_MAX: usize = RAWSOCKET_BYTES_MAX - (1 << 10);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> Value {
        Value::Bytes(vec![0; bytes])
    }

    fn filled(entries: &[usize]) -> (usize, Page) {
        let mut page = Page::default();
        let n = entries.iter().take_while(|bytes| page.push(entry(**bytes))).count();
        (n, page)
    }

    #[test]
    fn a_page_is_cut_by_bytes_and_by_count_and_is_never_empty() {
        assert_eq!(filled(&[100 << 10; 4]).0, 2);
        assert_eq!(filled(&[15 << 20, 1]).0, 1, "the first one always fits");
        assert_eq!(filled(&[1; 1_500]).0, PAGE_ENTRIES);
    }

    #[test]
    fn an_entry_that_no_message_can_carry_is_skipped_and_counted() {
        let (n, page) = filled(&[1, 17 << 20, 1]);
        assert_eq!(n, 3);
        let mut out = Vec::new();
        let args = page.finish(Value::Null, &mut out);
        assert_eq!(args, [Value::List(vec![entry(1), entry(1)]), Value::Null]);
        assert_eq!(out, [Effect::Drop { reason: DropReason::ReceiverLimit }]);
    }
}
