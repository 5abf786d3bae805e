//! What a shard does by the clock rather than by what arrives: pings, deadlines of sessions and closings, and the delay
//! that events may wait, which follows the load.

use super::connection::Ending;
use super::shard::{Pings, Shard};
use crate::drop::DropReason;
use crate::limits::Limits;
use crate::transport::{Class, Wrapping};
use crate::wamp::SessionKey;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// How often every connection is looked at. All deadlines of connections are kept to this precision, which saves a
/// timer per connection.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Looks after the shard until the program ends.
pub async fn run_housekeeping(shard: Rc<RefCell<Shard>>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shard.borrow_mut().handle_tick();
    }
}

impl Shard {
    fn handle_tick(&mut self) {
        let now = self.now();
        let elapsed = now.uptime.saturating_sub(self.ticked);
        self.forgive_silence(elapsed.saturating_sub(2 * TICK));
        let keys: Vec<SessionKey> = self.connections.iter().map(|(key, _)| SessionKey(key as u32)).collect();
        for key in keys {
            self.look_after(now, key);
        }
        self.tracer.handle_tick(now);
        self.refusals.handle_tick(now.uptime);
        if !elapsed.is_zero() {
            let events_per_second = self.queued_events as f64 / elapsed.as_secs_f64();
            self.event_delay = event_delay(&self.limits, events_per_second);
            self.queued_events = 0;
        }
        self.ticked = now.uptime;
    }

    /// For so long this shard was busy and read nothing. Whoever was asked whether it lives may have answered.
    fn forgive_silence(&mut self, busy: Duration) {
        if !busy.is_zero() {
            let asked = self.connections.iter_mut().filter_map(|(_, connection)| connection.pinged.as_mut());
            asked.for_each(|at| *at += busy);
        }
    }

    fn look_after(&mut self, now: crate::time::Now, key: SessionKey) {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return };
        match connection.ending {
            Ending::Dead => {}
            Ending::Closing { deadline, .. } if now.uptime >= deadline => {
                // The close was our wish and the peer's silence harms nobody; it is only worth counting.
                self.kill(key, DropReason::CloseTimeout);
            }
            Ending::Closing { .. } => {}
            Ending::Open => {
                if connection.protocol.poll_timeout().is_some_and(|at| at <= now.uptime) {
                    self.with_protocol(now, key, |protocol, cx, _, steps| protocol.handle_timeout(cx, steps));
                    return self.work_off(now);
                }
                let is_pinged =
                    connection.listener.pings.rawsocket || connection.outbound.wrapping != Wrapping::RawSocket;
                // Whoever is not read cannot answer.
                if !is_pinged || connection.throttled_until.is_some() {
                    return;
                }
                match liveness(connection.listener.pings, connection.heard, connection.pinged, now.uptime) {
                    Liveness::Fine => {}
                    Liveness::Ping => {
                        connection.pinged = Some(now.uptime);
                        connection.ping_sent = now.uptime;
                        if let Ok(ping) = connection.outbound.ping(&now.uptime.as_nanos().to_be_bytes()[4..]) {
                            self.queue(key, ping, Class::Ping);
                        }
                        self.wake_flusher();
                    }
                    Liveness::Lost => self.kill(key, DropReason::PingTimeout),
                }
            }
        }
    }
}

/// What a connection's silence calls for.
#[derive(Debug, PartialEq, Eq)]
enum Liveness {
    Fine,
    Ping,
    Lost,
}

/// Any byte from the peer counts as life; only who is silent is pinged.
fn liveness(pings: Pings, heard: Duration, pinged: Option<Duration>, uptime: Duration) -> Liveness {
    if pings.interval.is_zero() {
        return Liveness::Fine;
    }
    match pinged {
        Some(at) if uptime >= at + pings.timeout => Liveness::Lost,
        Some(_) => Liveness::Fine,
        None if uptime >= heard + pings.interval => Liveness::Ping,
        None => Liveness::Fine,
    }
}

/// How long an event may wait for company at this load: nothing while a write per event is affordable, then rising with
/// what those writes would cost, up to the configured bound.
///
/// It follows the rate of events, which waiting does not change, and not the CPU time, which waiting lowers: so it
/// cannot swing.
fn event_delay(limits: &Limits, events_per_second: f64) -> Duration {
    let cores_for_writes = events_per_second * WRITE_SECONDS;
    let share = (cores_for_writes - IDLE_CORES) / (BUSY_CORES - IDLE_CORES);
    limits.event_delay_max.mul_f64(share.clamp(0.0, 1.0)).max(limits.event_delay_min)
}

/// What one write of a small event costs, measured on loopback (see docs/benchmarks.md).
const WRITE_SECONDS: f64 = 2.5e-6;
/// Up to this share of a core, single writes are affordable; from the other on, events wait as long as they may.
const IDLE_CORES: f64 = 0.05;
const BUSY_CORES: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_wait_only_under_load_and_never_longer_than_allowed() {
        let limits = Limits::default();
        assert_eq!(event_delay(&limits, 1_000.0), Duration::ZERO);
        let some = event_delay(&limits, 100_000.0);
        assert!(some > Duration::ZERO && some < limits.event_delay_max, "{some:?}");
        assert_eq!(event_delay(&limits, 1_000_000.0), limits.event_delay_max);
        let fixed = Limits { event_delay_min: limits.event_delay_max, ..limits };
        assert_eq!(event_delay(&fixed, 0.0), fixed.event_delay_max);
    }
}
