//! Points in wall time as people write them (RFC 3339), for the meta API.

use jiff::Timestamp;
use std::time::Duration;

/// Wall time since the Unix epoch as `2026-01-01T00:00:00.000Z`.
pub fn to_text(wall: Duration) -> String {
    // Durations that no calendar holds (year 10,000 and later) are shown as its end.
    let timestamp = i64::try_from(wall.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::new(seconds, wall.subsec_nanos() as i32).ok())
        .unwrap_or(Timestamp::MAX);
    format!("{timestamp:.3}")
}

/// The time that `to_text` tells. What is compared with times that came from there has to be as coarse.
pub const fn truncated(wall: Duration) -> Duration {
    Duration::new(wall.as_secs(), wall.subsec_millis() * 1_000_000)
}

/// Wall time since the Unix epoch, from any RFC 3339 text. Times before the epoch are the epoch.
pub fn from_text(text: &str) -> Option<Duration> {
    let timestamp: Timestamp = text.parse().ok()?;
    Some(Duration::try_from(timestamp.as_duration()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Now;

    #[test]
    fn times_are_written_and_read() {
        let wall = Now::epoch().wall + Duration::from_millis(7);
        assert_eq!(to_text(wall), "2026-01-01T00:00:00.007Z");
        assert_eq!(truncated(wall + Duration::from_micros(999)), wall);
        assert_eq!(from_text("2026-01-01T00:00:00.007Z"), Some(wall));
        assert_eq!(from_text("2026-01-01T01:00:00.007+01:00"), Some(wall));
        assert_eq!(from_text("1960-01-01T00:00:00Z"), Some(Duration::ZERO));
        assert_eq!(from_text("yesterday"), None);
        assert_eq!(to_text(Duration::MAX).get(..5), Some("9999-"));
    }
}
