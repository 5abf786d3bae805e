//! How a payload that arrives in pieces gets its memory, for every kind of frame alike.

/// Room that the announcement of a long frame is granted ahead of its bytes.
const RESERVE_BYTES: usize = 4 << 10;

/// Adds a piece to the `gathered` ones; `left` bytes of the frame are still to come.
///
/// There is room for what is announced, but never much more than has arrived: to announce costs the peer nothing. And
/// never more than is announced, so that what is handed out at the end is not half empty.
pub(super) fn append(gathered: &mut Vec<u8>, piece: &[u8], left: usize) {
    if gathered.capacity().saturating_sub(gathered.len()) < piece.len() {
        let announced = left.min(gathered.len().max(RESERVE_BYTES));
        gathered.reserve_exact(piece.len().saturating_add(announced));
    }
    gathered.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_what_has_arrived_and_not_what_is_announced() {
        let mut gathered = Vec::new();
        append(&mut gathered, b"x", 1 << 30);
        assert!(gathered.capacity() <= 1 + RESERVE_BYTES);

        let announced = 100_000;
        let mut gathered = Vec::new();
        let mut grown = 0;
        for arrived in (1_000..=announced).step_by(1_000) {
            let before = gathered.capacity();
            append(&mut gathered, &[0; 1_000], announced - arrived);
            grown += usize::from(gathered.capacity() != before);
            assert!(gathered.capacity() <= 2 * arrived + RESERVE_BYTES);
        }
        assert_eq!(gathered.capacity(), announced);
        assert!(grown < 10, "it doubles, and does not creep");
    }
}
