//! The time that the pure rooms are told. They never ask a clock: whoever drives them passes `Now` in.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

use std::time::Duration;

/// One instant, seen by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since the program (or the simulation) started. Deadlines are kept in this.
    pub uptime: Duration,
    /// Time since the Unix epoch. Only for time stamps that people read; it may jump.
    pub wall: Duration,
}

impl Now {
    /// The start of a simulation or a test: uptime zero, on 2026-01-01T00:00:00Z.
    pub const fn epoch() -> Now {
        Now { uptime: Duration::ZERO, wall: Duration::from_secs(1_767_225_600) }
    }

    /// The same two clocks, `step` later.
    pub fn after(self, step: Duration) -> Now {
        Now { uptime: self.uptime.saturating_add(step), wall: self.wall.saturating_add(step) }
    }
}
