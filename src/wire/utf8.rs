//! UTF-8 checked in pieces, so that a text message fails at its first wrong byte and not when its last one has arrived.

use simdutf8::compat;

/// The bytes are not, or cannot become, UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid UTF-8")]
pub struct InvalidUtf8;

/// Checks a text that arrives in pieces cut anywhere, also inside a character.
///
/// It keeps only the character that the last piece has left open, at most three bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Checker {
    open: [u8; 4],
    open_len: u8,
}

impl Utf8Checker {
    /// Checks the next piece. It fails as soon as no continuation could make the text valid: a surrogate at its second
    /// byte, for example.
    pub fn check(&mut self, piece: &[u8]) -> Result<(), InvalidUtf8> {
        let piece = self.complete_open(piece)?;
        let Err(error) = compat::from_utf8(piece) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let tail = piece.get(error.valid_up_to()..).unwrap_or_default();
        for (kept, byte) in self.open.iter_mut().zip(tail) {
            *kept = *byte;
            self.open_len = self.open_len.saturating_add(1);
        }
        Ok(())
    }

    /// The text is over: no character may be open. The checker is then as new.
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        match std::mem::take(&mut self.open_len) {
            0 => Ok(()),
            _ => Err(InvalidUtf8),
        }
    }

    /// Continues the open character, if there is one, and returns what follows it.
    fn complete_open<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], InvalidUtf8> {
        while self.open_len > 0 {
            let Some((byte, rest)) = piece.split_first() else { break };
            // A character has at most four bytes, so that a fifth one can only be an error.
            let Some(open) = self.open.get_mut(..=usize::from(self.open_len)) else {
                return Err(InvalidUtf8);
            };
            if let Some(last) = open.last_mut() {
                *last = *byte;
            }
            match std::str::from_utf8(open) {
                Ok(_) => self.open_len = 0,
                Err(error) if error.error_len().is_none() => self.open_len = self.open_len.saturating_add(1),
                Err(_) => return Err(InvalidUtf8),
            }
            piece = rest;
        }
        Ok(piece)
    }
}

/// Checks a text that is there as a whole.
pub fn check(text: &[u8]) -> Result<(), InvalidUtf8> {
    match simdutf8::basic::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(InvalidUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes at both ends of every range that the UTF-8 table distinguishes.
    const EDGES: [u8; 26] = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
        0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff,
    ];

    fn accepts(pieces: &[&[u8]]) -> bool {
        let mut checker = Utf8Checker::default();
        pieces.iter().all(|piece| checker.check(piece).is_ok()) && checker.finish().is_ok()
    }

    /// Where the text fails when it arrives byte by byte: the number of bytes that were accepted before.
    fn fails_after(text: &[u8]) -> Option<usize> {
        let mut checker = Utf8Checker::default();
        text.iter().position(|byte| checker.check(&[*byte]).is_err())
    }

    #[test]
    fn every_sequence_of_edge_bytes_is_judged_as_the_standard_library_judges_it() {
        let mut text = [0; 4];
        for index in 0..EDGES.len().pow(4) {
            for (place, byte) in text.iter_mut().enumerate() {
                *byte = EDGES[index / EDGES.len().pow(place as u32) % EDGES.len()];
            }
            let valid = std::str::from_utf8(&text).is_ok();
            assert_eq!(check(&text).is_ok(), valid, "{text:x?}");
            assert_eq!(accepts(&[&text]), valid, "{text:x?}");
            assert_eq!(accepts(&[&text[..1], &text[1..]]), valid, "{text:x?}");
            assert_eq!(accepts(&[&text[..2], &text[2..]]), valid, "{text:x?}");
            assert_eq!(accepts(&[&text[..1], &text[1..2], &text[2..3], &text[3..]]), valid, "{text:x?}");
        }
    }

    #[test]
    fn a_text_fails_at_the_first_byte_that_nothing_can_mend() {
        assert_eq!(fails_after(b"ab\xed\xa0\x80"), Some(3), "a surrogate");
        assert_eq!(fails_after(b"\xf4\x90\x80\x80"), Some(1), "beyond U+10FFFF");
        assert_eq!(fails_after(b"\xe0\x80\x80"), Some(1), "overlong");
        assert_eq!(fails_after(b"\xc0\x80"), Some(0), "overlong");
        assert_eq!(fails_after(b"\xf5"), Some(0), "no such lead byte");
        assert_eq!(fails_after("\u{10ffff}\u{d7ff}".as_bytes()), None);
    }

    #[test]
    fn a_text_that_ends_inside_a_character_is_refused_at_its_end() {
        let mut checker = Utf8Checker::default();
        assert_eq!(checker.check(b"\xf0\x9f\x98"), Ok(()));
        assert_eq!(checker.finish(), Err(InvalidUtf8));
        assert_eq!(checker.finish(), Ok(()), "the checker is as new");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in prop_oneof![".{0,40}".prop_map(String::into_bytes), any::<Vec<u8>>()],
                              cuts in prop::collection::vec(0usize..60, 0..5)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(accepts(&pieces), std::str::from_utf8(&text).is_ok());
        }
    }
}
