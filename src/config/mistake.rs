//! What is wrong with a configuration file, one sentence per mistake, all of them at once.

use std::fmt;
use toml::Spanned;

/// One mistake. Prints as `edge-1.toml:14:1: unknown key 'adress' in [[listen]], did you mean 'address'?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    /// Line and column, both from 1; None when the mistake is that something is not there.
    pub place: Option<(usize, usize)>,
    pub sentence: String,
}

/// Everything that is wrong with one configuration, at least one thing. Prints one mistake per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.sentence),
            None => write!(f, "{}: {}", self.file, self.sentence),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{mistake}")?;
        }
        Ok(())
    }
}

/// Collects mistakes while a file is read and resolved.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    file: String,
    text: &'t str,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    /// What is read now is a default and stands nowhere in the file.
    is_default: bool,
}

impl<'t> Findings<'t> {
    pub(super) fn new(file: impl Into<String>, text: &'t str) -> Findings<'t> {
        Findings { file: file.into(), text, mistakes: Vec::new(), warnings: Vec::new(), is_default: false }
    }

    /// Notes a mistake at this byte of the text.
    pub(super) fn add(&mut self, at: Option<usize>, sentence: impl Into<String>) {
        let mistake = self.mistake(at, sentence.into());
        self.mistakes.push(mistake);
    }

    /// Notes what works, but not as it should.
    pub(super) fn warn(&mut self, at: Option<usize>, sentence: impl Into<String>) {
        let warning = self.mistake(at, format!("warning: {}", sentence.into()));
        self.warnings.push(warning);
    }

    /// The warnings so far.
    pub(super) fn take_warnings(&mut self) -> Vec<Mistake> {
        std::mem::take(&mut self.warnings)
    }

    fn mistake(&self, at: Option<usize>, sentence: String) -> Mistake {
        Mistake { file: self.file.clone(), place: at.map(|at| place(self.text, at)), sentence }
    }

    /// Reads a default.
    pub(super) fn in_default<T>(&mut self, read: impl FnOnce(&mut Findings<'t>) -> T) -> T {
        self.is_default = true;
        let value = read(self);
        self.is_default = false;
        value
    }

    /// Where `value` stands in the file.
    pub(super) fn place_of<T>(&self, value: &Spanned<T>) -> Option<usize> {
        if self.is_default { None } else { Some(value.span().start) }
    }

    /// The line, from 1, of this byte of the text.
    pub(super) fn line(&self, at: Option<usize>) -> Option<usize> {
        at.map(|at| place(self.text, at).0)
    }

    /// `value` when nothing was found, else all that was found, in the order of the file.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Mistakes> {
        // Without a place means that something is missing, which is best read last.
        self.mistakes.sort_by_key(|mistake| mistake.place.unwrap_or((usize::MAX, 0)));
        match value {
            Some(value) if self.mistakes.is_empty() => Ok(value),
            None if self.mistakes.is_empty() => unreachable!("what could not be read was noted"),
            _ => Err(Mistakes(self.mistakes)),
        }
    }
}

/// Line and column of a byte, both from 1; columns are characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The one of `known` that somebody who wrote `word` may have meant.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(word, known);
    known.min_by_key(distance).filter(|known| distance(known) <= (word.chars().count() / 3).max(1))
}

/// `'a', 'b' or 'c'`
pub(super) fn one_of<'k>(known: impl IntoIterator<Item = &'k str>) -> String {
    let mut quoted: Vec<String> = known.into_iter().map(|known| format!("'{known}'")).collect();
    match (quoted.pop(), quoted.is_empty()) {
        (None, _) => "nothing".to_owned(),
        (Some(only), true) => only,
        (Some(last), false) => format!("{} or {last}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let text = "a = 1\n\u{e4} = 2";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 4), (1, 5));
        assert_eq!(place(text, 8), (2, 2));
        assert_eq!(place(text, 999), (2, 6));
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = || ["address", "path", "purpose"].into_iter();
        assert_eq!(nearest("adress", known()), Some("address"));
        assert_eq!(nearest("pahts", known()), None);
        assert_eq!(nearest("prupose", known()), Some("purpose"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(one_of(known()), "'address', 'path' or 'purpose'");
    }
}
