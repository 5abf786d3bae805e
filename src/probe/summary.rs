//! An outcome as a table for a terminal.

use super::outcome::Outcome;
use std::collections::BTreeMap;

/// The totals of a run, a line per figure.
pub fn table(outcome: &Outcome) -> String {
    let rows = rows(outcome);
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

/// The totals as pairs of name and value.
pub(super) fn rows(outcome: &Outcome) -> Rows {
    let mut rows = Vec::new();
    event_rows(outcome, &mut rows);
    call_rows(outcome, &mut rows);
    session_rows(outcome, &mut rows);
    for part in &outcome.cpu {
        let per_event = part.microseconds_per_event;
        rows.push((format!("CPU of {}", part.name), format!("{:.2} s, {per_event:.2} µs per event", part.seconds)));
    }
    let verdict = if outcome.ok { "nothing was lost" } else { "NOT ALL WENT WELL" };
    rows.push(("verdict".to_owned(), verdict.to_owned()));
    rows
}

pub(super) type Rows = Vec<(String, String)>;

fn event_rows(outcome: &Outcome, rows: &mut Rows) {
    let events = &outcome.events;
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row(
        "published",
        format!(
            "{} in {:.1} s, {} acknowledged",
            grouped(events.published),
            outcome.seconds,
            grouped(events.acknowledged)
        ),
    );
    row("received", format!("{} of {} events", grouped(events.received), grouped(events.expected)));
    row(
        "rate",
        format!(
            "{} events/s received of {} offered, {:.1} Mbit/s of payload",
            grouped(events.received_per_second.round() as u64),
            grouped(events.offered_per_second.round() as u64),
            events.megabits_per_second
        ),
    );
    let share = events.forwarded as f64 * 100.0 / events.received.max(1) as f64;
    row("forwarded", format!("{} events, {share:.1} %", grouped(events.forwarded)));
    let q = &outcome.latency_ms;
    let latency =
        format!("p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1} ms", q.p50, q.p90, q.p99, q.p99_9, q.max);
    row("latency", latency);
    row("lost", grouped(events.lost));
    row("duplicated", grouped(events.duplicated));
    row("out of order", grouped(events.reordered));
    let rare = [
        ("corrupted", events.corrupted),
        ("unanswered", events.unanswered),
        ("lost with the publisher's node", events.lost_with_publisher),
        ("missing, never acknowledged", events.missing_unacknowledged),
        ("missed while away", events.missed_while_away),
    ];
    for (name, count) in rare.into_iter().filter(|(_, count)| *count > 0) {
        row(name, grouped(count));
    }
    if !events.refused.is_empty() {
        row("refused", counts(&events.refused));
    }
}

fn call_rows(outcome: &Outcome, rows: &mut Rows) {
    let calls = &outcome.calls;
    if calls.issued == 0 {
        return;
    }
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row("calls", format!("{} of {} answered", grouped(calls.answered), grouped(calls.issued)));
    let q = &calls.latency_ms;
    row("call latency", format!("p50 {:.1}, p90 {:.1}, p99 {:.1}, max {:.1} ms", q.p50, q.p90, q.p99, q.max));
    let rare = [
        ("calls answered wrongly", calls.wrong),
        ("calls unanswered", calls.unanswered),
        ("calls lost with the caller's session", calls.abandoned),
        ("calls made again after a GOODBYE", calls.repeated),
        ("answers to no call", calls.unexpected),
    ];
    for (name, count) in rare.into_iter().filter(|(_, count)| *count > 0) {
        row(name, grouped(count));
    }
    if !calls.errors.is_empty() {
        row("call errors", counts(&calls.errors));
        let q = &calls.error_latency_ms;
        row("errors came after", format!("p50 {:.1}, p90 {:.1}, p99 {:.1}, max {:.1} ms", q.p50, q.p90, q.p99, q.max));
    }
}

fn session_rows(outcome: &Outcome, rows: &mut Rows) {
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row("sessions", format!("{}: {}", outcome.sessions, counts(&outcome.nodes)));
    if outcome.sessions_absent > 0 {
        row("sessions absent", outcome.sessions_absent.to_string());
    }
    let again = &outcome.reconnects;
    if again.lost > 0 {
        row(
            "reconnects",
            format!(
                "{} of {} back, after {:.0} ms in the middle and {:.0} ms at most",
                again.back, again.lost, again.away_median, again.away_max
            ),
        );
        row(
            "gap in their events",
            format!("{:.0} ms in the middle, {:.0} ms at most", again.gap_median, again.gap_max),
        );
    }
    for (node, silence) in &outcome.silences_ms {
        row(&format!("silence from {node}"), format!("{:.0} ms median, {:.0} ms at most", silence.median, silence.max));
    }
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// `4,096,000`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 3 == first {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_stand_in_groups_of_three() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (204_800, "204,800"), (4_096_000, "4,096,000")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
    }
}
