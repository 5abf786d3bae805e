//! Texts of others in what operators read: short, and on one line.

/// A text of at most so many bytes in which nothing can be taken for another line or move a terminal's cursor: what
/// cannot be printed is written as its escape, and `…` stands for what is too long. A text that has gone through this
/// is not changed by it again.
pub fn on_one_line(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let before = out.len();
        match character {
            '"' | '\'' | '\\' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
        if out.len() > bytes_max {
            out.truncate(before);
            while out.len() + ELLIPSIS.len_utf8() > bytes_max && out.pop().is_some() {}
            out.push(ELLIPSIS);
            break;
        }
    }
    out
}

const ELLIPSIS: char = '…';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_on_their_line_and_are_short() {
        let escaped = r"a\r\n\u{1b}[1m\u{9b}\u{2028}\u{202e}";
        for (text, expected) in [
            ("a \"b\" c:\\d é", "a \"b\" c:\\d é"),
            ("a\r\n\u{1b}[1m\u{9b}\u{2028}\u{202e}", escaped),
            (escaped, escaped),
        ] {
            assert_eq!(on_one_line(text, 100), expected);
        }
        assert_eq!(on_one_line("äöüäöü", 12), "äöüäöü");
        assert_eq!(on_one_line("äöüäöü", 11), "äöüä…");
        for bytes_max in 3..50 {
            assert!(on_one_line(&"\u{202e}ä".repeat(100), bytes_max).len() <= bytes_max);
        }
    }
}
