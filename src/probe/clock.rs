//! The probe's one clock, and time as people read it.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tokio::time::Instant;

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a host share: what one stamps, another can subtract.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The same instant for tokio's timers.
pub(super) fn instant_of(at_ns: u64) -> Instant {
    Instant::now() + Duration::from_nanos(at_ns.saturating_sub(monotonic_ns()))
}

/// The local time as the original's lines begin with it: `2019-03-05T19:57:09+0100`.
pub(super) fn timestamp() -> String {
    jiff::ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}
