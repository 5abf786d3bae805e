//! What one session has received from each publisher: whether all of it, once, and in order.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The sequences that one session has seen and not seen, of all publishers.
#[derive(Debug)]
pub(super) struct Tally {
    /// The sequence that is expected next, per publisher.
    next: Vec<u32>,
    /// Publishers that have not been heard since the session was opened anew: what they published in between was
    /// missed, not lost.
    unheard: Vec<bool>,
    n_unheard: usize,
    /// Sequences that were skipped and have not come since.
    holes: Vec<Hole>,
    pub late: u64,
    pub repeated: u64,
}

/// Sequences of one publisher that a session did not receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hole {
    pub publisher: u32,
    pub from: u32,
    /// Exclusive.
    pub to: u32,
    /// The session was away when they were published, or came back in between.
    pub away: bool,
}

impl Hole {
    pub(super) fn range(&self) -> Range<u32> {
        self.from..self.to
    }
}

impl Tally {
    pub(super) fn new(publishers: usize) -> Tally {
        Tally {
            next: vec![0; publishers],
            unheard: vec![false; publishers],
            n_unheard: 0,
            holes: Vec::new(),
            late: 0,
            repeated: 0,
        }
    }

    /// Takes note of one event. False when there is no such publisher.
    pub(super) fn see(&mut self, publisher: u32, sequence: u32) -> bool {
        let Some(next) = self.next.get_mut(publisher as usize) else { return false };
        if *next == sequence && self.n_unheard == 0 {
            *next += 1;
            return true;
        }
        let expected = *next;
        *next = expected.max(sequence.saturating_add(1));
        let away = std::mem::take(&mut self.unheard[publisher as usize]);
        self.n_unheard -= usize::from(away);
        if sequence > expected {
            self.holes.push(Hole { publisher, from: expected, to: sequence, away });
        } else if sequence < expected {
            self.fill(publisher, sequence);
        }
        true
    }

    /// The session was lost. Until each publisher is heard again, what it skips was missed.
    pub(super) fn go_away(&mut self) {
        self.unheard.fill(true);
        self.n_unheard = self.unheard.len();
    }

    /// Whether everything has arrived that was published, apart from what is known to be missing, and from publishers
    /// that may have said nothing since the session came back.
    pub(super) fn has_reached(&self, totals: &[u32]) -> bool {
        self.next.iter().zip(totals).zip(&self.unheard).all(|((next, total), unheard)| next >= total || *unheard)
    }

    /// Ends the count: whatever has not arrived of the totals is a hole as well.
    pub(super) fn into_holes(mut self, totals: &[u32]) -> Vec<Hole> {
        for (publisher, (next, total)) in self.next.iter().zip(totals).enumerate() {
            if next < total {
                let away = self.unheard[publisher];
                self.holes.push(Hole { publisher: publisher as u32, from: *next, to: *total, away });
            }
        }
        self.holes
    }

    /// An event that is not new: it fills a hole, or it is one too many.
    fn fill(&mut self, publisher: u32, sequence: u32) {
        let hole = self.holes.iter().position(|hole| hole.publisher == publisher && hole.range().contains(&sequence));
        let Some(index) = hole else {
            self.repeated += 1;
            return;
        };
        self.late += 1;
        let hole = self.holes.swap_remove(index);
        let parts = [Hole { to: sequence, ..hole }, Hole { from: sequence + 1, ..hole }];
        self.holes.extend(parts.into_iter().filter(|part| !part.range().is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sequences: &[u32]) -> Tally {
        let mut tally = Tally::new(2);
        for sequence in sequences {
            assert!(tally.see(1, *sequence));
        }
        tally
    }

    fn missing(tally: Tally, total: u32) -> Vec<(u32, u32, bool)> {
        let mut holes = tally.into_holes(&[0, total]);
        holes.sort_by_key(|hole| hole.from);
        assert!(holes.iter().all(|hole| hole.publisher == 1));
        holes.into_iter().map(|hole| (hole.from, hole.to, hole.away)).collect()
    }

    #[test]
    fn everything_once_and_in_order_leaves_nothing_to_say() {
        let tally = seen(&[0, 1, 2, 3]);
        assert!(tally.has_reached(&[0, 4]) && !tally.has_reached(&[0, 5]));
        assert_eq!((tally.late, tally.repeated), (0, 0));
        assert_eq!(missing(tally, 4), []);
    }

    #[test]
    fn what_is_skipped_is_missing_until_it_comes() {
        let tally = seen(&[0, 5, 2]);
        assert_eq!((tally.late, tally.repeated), (1, 0));
        assert_eq!(missing(tally, 6), [(1, 2, false), (3, 5, false)]);
        let tally = seen(&[0, 3, 1, 2, 4]);
        assert_eq!((tally.late, tally.repeated), (2, 0));
        assert_eq!(missing(tally, 5), []);
    }

    #[test]
    fn what_comes_twice_is_counted_once_more() {
        let tally = seen(&[0, 1, 1, 0, 2]);
        assert_eq!((tally.late, tally.repeated), (0, 2));
        assert_eq!(missing(tally, 3), []);
        let tally = seen(&[0, 3, 1, 1]);
        assert_eq!((tally.late, tally.repeated), (1, 1));
    }

    #[test]
    fn the_end_is_missing_too() {
        assert_eq!(missing(seen(&[0, 1]), 4), [(2, 4, false)]);
        assert_eq!(missing(seen(&[]), 2), [(0, 2, false)]);
    }

    #[test]
    fn a_session_that_was_away_has_missed_and_not_lost() {
        let mut tally = seen(&[0, 1]);
        tally.go_away();
        tally.see(1, 5);
        tally.see(1, 7);
        assert_eq!(missing(tally, 8), [(2, 5, true), (6, 7, false)]);

        let mut tally = seen(&[0, 1]);
        tally.go_away();
        tally.see(1, 2);
        tally.see(1, 4);
        assert_eq!(missing(tally, 5), [(3, 4, false)]);

        let mut tally = seen(&[0]);
        tally.go_away();
        assert!(tally.has_reached(&[5, 3]));
        assert_eq!(missing(tally, 3), [(1, 3, true)]);
    }

    #[test]
    fn a_publisher_that_does_not_exist_is_refused() {
        assert!(!Tally::new(2).see(2, 0));
    }
}
