//! Figures in words, as people read them at a glance.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `12s`, `3m12s`, `4h05m`, `3d04h`: the two largest units.
pub(super) fn duration(seconds: f64) -> String {
    // A float that is no sensible number of seconds becomes the nearest one.
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (minutes, hours, days) {
        (0, ..) => format!("{seconds}s"),
        (_, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (.., 0) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How often per second: whole numbers, and one decimal below ten.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 0.05 => "0".to_owned(),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => count(rate.round() as u64),
    }
}

/// `512 B`, `1.5 KiB`, `12 MiB`.
pub(super) fn bytes(number: u64) -> String {
    let mut amount = number as f64;
    let mut unit = 0;
    while amount >= 1_023.5 && unit + 1 < UNITS.len() {
        amount /= 1_024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && amount < 9.95);
    format!("{amount:.decimals$} {}", UNITS[unit])
}

/// `1 session`, `2 sessions`.
pub(super) fn plural(number: usize, one: &str) -> String {
    format!("{} {one}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// The time of day to the microsecond, in the time zone of whoever looks.
pub(super) fn time_of_day(at_us: u64, zone: TimeZone) -> String {
    let at = i64::try_from(at_us).ok().and_then(|at| Timestamp::from_microsecond(at).ok());
    at.map_or_else(|| "?".to_owned(), |at| at.to_zoned_datetime(zone).strftime("%H:%M:%S%.6f").to_string())
}

/// The time of day of a moment in RFC 3339, likewise.
pub(super) fn time_of_text(text: &str, zone: TimeZone) -> String {
    let at = text.parse::<Timestamp>();
    at.map_or_else(|_| "?".to_owned(), |at| at.to_zoned_datetime(zone).strftime("%H:%M:%S").to_string())
}

/// The time of day now, to the second.
pub(super) fn clock() -> String {
    Timestamp::now().to_zoned_datetime(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        let cases = [
            (-1.0, "0s"),
            (f64::NAN, "0s"),
            (59.9, "59s"),
            (60.0, "1m00s"),
            (192.4, "3m12s"),
            (3_600.0, "1h00m"),
            (14_730.0, "4h05m"),
            (86_400.0, "1d00h"),
            (275_000.0, "3d04h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_grouped_and_rates_and_bytes_are_rounded() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.01, 0.4, 9.94, 9.96, 12_345.6].map(rate), ["0", "0.4", "9.9", "10", "12,346"]);
        assert_eq!([0, 1_000, 1_024, 1_536, 12 << 20].map(bytes), ["0 B", "1000 B", "1.0 KiB", "1.5 KiB", "12 MiB"]);
        assert_eq!(bytes(1_048_575), "1.0 MiB");
        assert_eq!([1, 2].map(|number| plural(number, "session")), ["1 session", "2 sessions"]);
    }

    #[test]
    fn a_time_of_day_has_microseconds() {
        assert_eq!(time_of_day(1_700_000_000_123_456, TimeZone::UTC), "22:13:20.123456");
        assert_eq!(time_of_day(u64::MAX, TimeZone::UTC), "?");
        assert_eq!(time_of_text("2026-11-24T23:42:05.592Z", TimeZone::UTC), "23:42:05");
        assert_eq!(time_of_text("yesterday", TimeZone::UTC), "?");
    }
}
