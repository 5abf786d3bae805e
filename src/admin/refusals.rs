//! Who was refused, and why: one line of the log and one entry for each loss and refusal, as far as nobody causes too
//! many of them. What is left out is counted by who caused it, and said at the end of a `WINDOW`.
//!
//! All lines are of one form, `refusal: REASON: WHO: WHAT: WHY`, so that one search finds them, and have the same parts
//! as fields.

use super::command::RefusalsWanted;
use super::report::RefusalRow;
use super::text::on_one_line;
use crate::drop::DropReason;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Who causes refusals, and is told apart from others in what it may have written of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    Session(u64),
    Address(IpAddr),
    /// Whoever is not known, and all for whom the table of causes has no room.
    Others,
}

/// The latest refusals, and how many more there were.
#[derive(Debug)]
pub struct RefusalLog {
    kept: VecDeque<RefusalRow>,
    kept_bytes: usize,
    /// The number of the last entry. Numbers grow over a restart, too, because they begin with the time.
    number: u64,
    counts: HashMap<Cause, Count>,
    n_written: u32,
    /// The last number of each other node.
    taken: HashMap<String, u64>,
    /// The uptime at which counting begins anew.
    window_ends: Duration,
}

/// What one cause has had in this window.
#[derive(Clone, Debug, Default)]
struct Count {
    n_written: u32,
    n_left_out: u64,
    /// The first that was left out, for its line at the end of the window.
    example: Option<RefusalRow>,
}

impl RefusalLog {
    /// An empty log of a program that was started at this time since the epoch.
    pub fn new(wall: Duration) -> RefusalLog {
        RefusalLog {
            kept: VecDeque::new(),
            kept_bytes: 0,
            number: u64::try_from(wall.as_micros()).unwrap_or(0),
            counts: HashMap::new(),
            n_written: 0,
            taken: HashMap::new(),
            window_ends: Duration::ZERO,
        }
    }

    /// Something was refused or lost. `causes` are whose fault it is, such as a session and its address; `describe` is
    /// called only if the entry is to be written.
    pub fn note(&mut self, uptime: Duration, causes: &[Cause], describe: impl FnOnce() -> RefusalRow) {
        self.handle_tick(uptime);
        match self.exhausted(causes) {
            None => self.write(describe()),
            Some(cause) => {
                let count = self.counts.entry(cause).or_default();
                count.n_left_out += 1;
                if count.example.is_none() {
                    count.example = Some(cleaned(describe()));
                }
            }
        }
    }

    /// Counts one more refusal of these causes. Gives the cause that has already written all that it may, if there is
    /// one.
    fn exhausted(&mut self, causes: &[Cause]) -> Option<Cause> {
        let mut known = [Cause::Others; 2];
        for (place, cause) in known.iter_mut().zip(causes) {
            let has_room = self.counts.len() < CAUSES_MAX || self.counts.contains_key(cause);
            *place = if has_room { *cause } else { Cause::Others };
        }
        let known = &known[..causes.len().clamp(1, 2)];
        let n_written = |cause: &Cause| self.counts.get(cause).map_or(0, |count| count.n_written);
        if let Some(cause) = known.iter().find(|cause| n_written(cause) >= lines_max(**cause)) {
            return Some(*cause);
        }
        if self.n_written >= LINES_MAX {
            return Some(known[0]);
        }
        self.n_written += 1;
        for cause in known {
            self.counts.entry(*cause).or_default().n_written += 1;
        }
        None
    }

    /// At the end of a window it is said what was left out: by those who caused most of it, and by all others together.
    pub fn handle_tick(&mut self, uptime: Duration) {
        if uptime < self.window_ends {
            return;
        }
        (self.window_ends, self.n_written) = (uptime + WINDOW, 0);
        if self.counts.is_empty() {
            return;
        }
        let counts = std::mem::take(&mut self.counts);
        let mut left_out: Vec<(u64, RefusalRow)> =
            counts.into_values().filter_map(|count| Some((count.n_left_out, count.example?))).collect();
        left_out.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        let n_others: u64 = left_out.drain(SUMMARIES_MAX.min(left_out.len())..).map(|(n, _)| n).sum();
        for (times, row) in left_out {
            let text = format!("{times} more by the same were left out, the first: {}", row.text);
            self.write(RefusalRow { times, text, ..row });
        }
        if n_others > 0 {
            tracing::info!(n_others, "refusal: {n_others} more by others were left out");
        }
    }

    fn write(&mut self, row: RefusalRow) {
        self.number += 1;
        let row = RefusalRow { number: self.number, ..cleaned(row) };
        tell(&row);
        self.keep(row);
    }

    /// Takes over what another node has written, but what it has told before.
    pub fn take_in(&mut self, node: &str, rows: Vec<RefusalRow>) {
        let mut last = self.taken.get(node).copied().unwrap_or(0);
        for row in rows.into_iter().take(TOLD_MAX) {
            if row.number > last {
                last = row.number;
                self.keep(RefusalRow { node: node.to_owned(), ..cleaned(row) });
            }
        }
        self.taken.insert(node.to_owned(), last);
    }

    /// A node does not belong to the cluster any more.
    pub fn forget(&mut self, node: &str) {
        self.taken.remove(node);
    }

    fn keep(&mut self, row: RefusalRow) {
        self.kept_bytes += bytes_of(&row);
        self.kept.push_back(row);
        while self.kept.len() > KEPT_MAX || self.kept_bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= bytes_of(&oldest);
        }
    }

    /// Those that are asked for. The error says that there is no such reason.
    pub fn rows(&self, wanted: &RefusalsWanted) -> Result<Vec<RefusalRow>, String> {
        if let Some(reason) = wanted.reason.as_deref()
            && DropReason::from_name(reason).is_none()
        {
            let names: Vec<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
            return Err(format!("there is no reason {reason:?}; there are {}", names.join(", ")));
        }
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        let fits = |row: &&RefusalRow| {
            is(&wanted.node, Some(&row.node))
                && is(&wanted.realm, row.realm.as_deref())
                && is(&wanted.authid, row.authid.as_deref())
                && is(&wanted.reason, Some(&row.reason))
        };
        let limit = wanted.limit.unwrap_or(ROWS_DEFAULT).min(KEPT_MAX);
        let mut bytes = 0;
        let fits_in = |row: &&RefusalRow| {
            bytes += bytes_of(row);
            bytes <= ANSWER_BYTES_MAX
        };
        let rows = self.kept.iter().rev().filter(fits).take(limit).take_while(fits_in);
        let mut rows: Vec<RefusalRow> = rows.cloned().collect();
        rows.reverse();
        Ok(rows)
    }

    /// Own entries after the one with this number, the oldest first: as many as are told at a time.
    pub fn after(&self, number: u64) -> Vec<RefusalRow> {
        self.kept.iter().filter(|row| row.number > number).take(TOLD_MAX).cloned().collect()
    }
}

/// One line, with all that is known as fields.
fn tell(row: &RefusalRow) {
    let RefusalRow { reason, session, times, .. } = row;
    let (authid, role, realm) = (row.authid.as_deref(), row.authrole.as_deref(), row.realm.as_deref());
    let (peer, uri, text) = (row.peer.as_deref(), row.uri.as_deref(), line(row));
    tracing::info!(target: TARGET, reason, session, authid, role, realm, peer, uri, times, "refusal: {text}");
}

/// The target of the lines, by which they can be filtered.
const TARGET: &str = "crossbar_cluster::admin::refusals";

/// What the line says: why, who, what, and the reason in a sentence.
fn line(row: &RefusalRow) -> String {
    let session = row.session.map(|session| format!("session {session}"));
    let authid = row.authid.as_deref().map(|authid| format!("authid {authid}"));
    let role = row.authrole.as_deref().map(|role| format!("role {role}"));
    let peer = row.peer.as_deref().map(|peer| format!("at {peer}"));
    let realm = row.realm.as_deref().map(|realm| format!("in {realm}"));
    let who: Vec<String> = [session, authid, role, peer, realm].into_iter().flatten().collect();
    let what = match (&row.action, &row.uri) {
        (Some(action), Some(uri)) => Some(format!("{action} {uri}")),
        (what, uri) => what.clone().or(uri.clone()),
    };
    let who = (!who.is_empty()).then(|| who.join(" "));
    let parts = [Some(row.reason.clone()), who, what, Some(row.text.clone())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// The same entry with all that clients have said in it short and without control characters.
fn cleaned(row: RefusalRow) -> RefusalRow {
    let short = |text: String| on_one_line(&text, NAME_BYTES_MAX);
    RefusalRow {
        reason: short(row.reason),
        text: on_one_line(&row.text, SENTENCE_BYTES_MAX),
        authid: row.authid.map(short),
        authrole: row.authrole.map(short),
        realm: row.realm.map(short),
        peer: row.peer.map(short),
        action: row.action.map(short),
        uri: row.uri.map(short),
        ..row
    }
}

/// About what an entry takes in memory.
fn bytes_of(row: &RefusalRow) -> usize {
    let texts = [&row.authid, &row.authrole, &row.realm, &row.peer, &row.action, &row.uri];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    size_of::<RefusalRow>() + row.node.len() + row.reason.len() + row.text.len() + texts
}

/// How many lines one cause may write in a window. Many sessions may come from one address.
fn lines_max(cause: Cause) -> u32 {
    match cause {
        Cause::Session(_) => 10,
        Cause::Address(_) => 30,
        Cause::Others => 50,
    }
}

/// How long lines are counted before the rest is summed up.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Lines of all causes together in a window.
const LINES_MAX: u32 = 100;
/// Lines at the end of a window, each for one that has caused too many.
const SUMMARIES_MAX: usize = 10;
/// Causes that are told apart in a window.
const CAUSES_MAX: usize = 1_000;
/// Entries that are kept, and the bytes that they may take.
const KEPT_MAX: usize = 1_000;
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Entries that go with one heartbeat.
const TOLD_MAX: usize = 100;
/// Entries in an answer, if nothing is said.
const ROWS_DEFAULT: usize = 100;
/// Of a name or URI, and of a sentence, so much is kept. It is less than what the master takes of a heartbeat.
const NAME_BYTES_MAX: usize = 200;
const SENTENCE_BYTES_MAX: usize = 600;
/// An answer weighs about as much at most, which is less than half of what a message may by default.
const ANSWER_BYTES_MAX: usize = 400 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> RefusalRow {
        RefusalRow { reason: "not_authorized".to_owned(), text: text.to_owned(), ..RefusalRow::default() }
    }

    fn kept(log: &RefusalLog) -> Vec<(u64, String)> {
        log.kept.iter().map(|row| (row.times, row.text.clone())).collect()
    }

    #[test]
    fn a_flood_of_one_session_is_ten_entries_and_one_that_counts_the_rest() {
        let mut log = RefusalLog::new(Duration::ZERO);
        let causes = [Cause::Session(7), Cause::Address([127, 0, 0, 1].into())];
        for n in 0..100_000 {
            log.note(Duration::from_secs(1), &causes, || row(&format!("no {n}")));
        }
        log.note(Duration::from_secs(1), &[Cause::Session(8), causes[1]], || row("another session"));
        assert_eq!((log.kept.len(), log.counts.len()), (11, 3));
        log.handle_tick(Duration::from_secs(1) + WINDOW);
        assert_eq!(log.kept.len(), 12);
        let text = "99990 more by the same were left out, the first: no 10".to_owned();
        assert_eq!(kept(&log).last(), Some(&(99_990, text)));
        assert!(log.counts.is_empty(), "nothing is kept of a window that is over");
    }

    #[test]
    fn so_many_causes_as_there_may_be_take_no_more_memory_than_was_said() {
        let mut log = RefusalLog::new(Duration::ZERO);
        for n in 0..100_000 {
            log.note(Duration::from_secs(1), &[Cause::Session(n)], || row(&"x".repeat(10_000)));
        }
        assert!(log.counts.len() <= CAUSES_MAX + 1);
        log.handle_tick(Duration::from_secs(1) + WINDOW);
        assert_eq!(log.kept.len(), LINES_MAX as usize + SUMMARIES_MAX);
        for window in 1..200 {
            for n in 0..100 {
                log.note(WINDOW * 2 * window, &[Cause::Session(n)], || row(&"x".repeat(10_000)));
            }
        }
        assert!(log.kept.len() <= KEPT_MAX && log.kept_bytes <= KEPT_BYTES_MAX);
    }

    #[test]
    fn nobody_writes_lines_of_others() {
        let mut log = RefusalLog::new(Duration::ZERO);
        let refused = RefusalRow { uri: Some("com.x\nrefusal: \u{1b}[2J\u{202e}".to_owned()), ..row("no \r\n") };
        log.note(Duration::ZERO, &[Cause::Others], || refused);
        let row = &log.kept[0];
        assert_eq!(row.uri.as_deref(), Some(r"com.x\nrefusal: \u{1b}[2J\u{202e}"));
        assert_eq!(line(row), r"not_authorized: com.x\nrefusal: \u{1b}[2J\u{202e}: no \r\n");
    }

    #[test]
    fn entries_are_found_by_what_is_asked() {
        let mut log = RefusalLog::new(Duration::ZERO);
        for (realm, authid) in [("a", "x"), ("a", "y"), ("b", "x")] {
            let (realm, authid) = (Some(realm.to_owned()), Some(authid.to_owned()));
            log.note(Duration::ZERO, &[], || RefusalRow { realm, authid, ..row("no") });
        }
        let found = |realm: Option<&str>, authid: Option<&str>, limit| {
            let (realm, authid) = (realm.map(str::to_owned), authid.map(str::to_owned));
            let wanted = RefusalsWanted { realm, authid, limit, ..RefusalsWanted::default() };
            log.rows(&wanted).expect("rows").len()
        };
        assert_eq!(
            (found(None, None, None), found(Some("a"), None, None), found(Some("a"), Some("x"), None)),
            (3, 2, 1)
        );
        assert_eq!((found(None, None, Some(2)), found(Some("c"), None, None)), (2, 0));
        let wanted = RefusalsWanted { reason: Some("nope".to_owned()), ..RefusalsWanted::default() };
        assert!(log.rows(&wanted).is_err_and(|error| error.starts_with("there is no reason \"nope\"; there are ")));
    }
}
