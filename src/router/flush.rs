//! Turns, and their write half: connections are read and what they sent is routed (`turn`), then every connection that
//! was touched is written once, or held a little for company.

use super::connection::Ending;
use super::shard::{Shard, WRITE_CHUNK_BYTES};
use crate::limits::WRITE_MAX;
use crate::wamp::SessionKey;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The task that does one turn after the other. Connections that become readable wake it, and it runs after all that
/// were ready before it: so one turn reads them all, and one flush covers all that they queued.
pub async fn run_flusher(shard: Rc<RefCell<Shard>>) {
    loop {
        let deadline = shard.borrow().next_deadline();
        let woken = poll_fn(|cx| {
            let mut shard = shard.borrow_mut();
            let has_work = shard.turn_started.is_some() || shard.is_busy();
            if has_work || shard.deadlines_changed {
                shard.deadlines_changed = false;
                return Poll::Ready(());
            }
            shard.flusher = Some(cx.waker().clone());
            Poll::Pending
        });
        match deadline {
            None => woken.await,
            Some(at) => {
                let at = shard.borrow().instant_of(at);
                tokio::select! {
                    biased;
                    () = woken => {}
                    () = tokio::time::sleep_until(at.into()) => {}
                }
            }
        }
        let is_waiting = {
            let mut shard = shard.borrow_mut();
            shard.serve_rounds();
            shard.end_turn();
            shard.is_busy()
        };
        if is_waiting {
            // Everybody else first: new connections, sockets that have become ready, timers, pages.
            tokio::task::yield_now().await;
        }
    }
}

impl Shard {
    /// Marks the start of a turn: the end of it is then due.
    pub(super) fn begin_turn(&mut self) {
        if self.turn_started.is_none() {
            self.turn_started = Some(Instant::now());
            self.wake_flusher();
        }
    }

    /// Makes sure that the flusher looks at its deadlines again.
    pub fn wake_flusher(&mut self) {
        self.deadlines_changed = true;
        if let Some(waker) = self.flusher.take() {
            waker.wake();
        }
    }

    /// Has a connection flushed at the end of the turn.
    pub(super) fn touch(&mut self, key: SessionKey) {
        if let Some(connection) = self.connection(key)
            && !connection.is_touched
        {
            connection.is_touched = true;
            self.touched.push(key);
            self.wake_flusher();
        }
    }

    /// Whether there is something to do that waits for nothing.
    fn is_busy(&self) -> bool {
        !self.rounds.is_empty() || !self.touched.is_empty() || !self.ended.is_empty() || self.has_due
    }

    /// Writes what has to be written, lets go of whom a deadline held, and lets the realms see the time.
    pub(super) fn end_turn(&mut self) {
        let now = self.now();
        self.handle_realm_timeouts(now);
        self.unstall(now.uptime);
        self.unthrottle(now.uptime);
        let ends = Instant::now() + WRITE_MAX;
        self.flush_touched(now.uptime, ends);
        self.flush_held(now.uptime, ends);
        self.leave_ended();
        self.relieve_memory();
        if let Some(started) = self.turn_started.take() {
            self.stats.count_turn(started.elapsed());
        }
    }

    /// Writes to whom something was queued. Events may wait for company, and where there are many connections, until
    /// those have been written to that wait for an answer.
    fn flush_touched(&mut self, uptime: Duration, ends: Instant) {
        let delay = self.event_delay;
        let due = uptime + delay;
        let mut touched = std::mem::take(&mut self.touched);
        let is_crowd = touched.len() > CROWD;
        let mut n_seen = 0;
        for &key in &touched {
            n_seen += 1;
            let Some(connection) = self.connection(key) else { continue };
            connection.is_touched = false;
            if connection.wants_write {
                // The socket has no room; its task writes when there is some.
                continue;
            }
            if !connection.outbox.holds_only_events() || (delay.is_zero() && !is_crowd) {
                self.flush(key);
                if is_crowd && Instant::now() >= ends {
                    break;
                }
            } else if !connection.is_held {
                connection.is_held = true;
                self.held.push_back((due, key));
            }
        }
        touched.drain(..n_seen);
        // Routing within the flush (a connection that turns out lost) may have touched others.
        touched.append(&mut self.touched);
        self.touched = touched;
    }

    /// Writes to those whose events have waited long enough.
    fn flush_held(&mut self, uptime: Duration, ends: Instant) {
        self.has_due = false;
        while let Some(&(at, key)) = self.held.front()
            && at <= uptime
        {
            if Instant::now() >= ends {
                self.has_due = true;
                return;
            }
            self.held.pop_front();
            if self.connection(key).is_some_and(|connection| connection.is_held) {
                self.flush(key);
            }
        }
    }

    /// Writes as much of a connection's outbox as the socket takes.
    pub(super) fn flush(&mut self, key: SessionKey) {
        let mut scratch = std::mem::take(&mut self.write_buffer);
        let lost = self.write_out(key, &mut scratch);
        self.write_buffer = scratch;
        if lost {
            self.lose(key);
        }
    }

    /// True when the socket is lost.
    fn write_out(&mut self, key: SessionKey, scratch: &mut Vec<u8>) -> bool {
        let Some(connection) = self.connections.get_mut(key.0 as usize) else { return false };
        connection.is_held = false;
        connection.wants_write = false;
        while !connection.outbox.is_empty() {
            let chunk = connection.outbox.next_chunk(scratch, WRITE_CHUNK_BYTES);
            match connection.stream.try_write(chunk) {
                Ok(n) => {
                    self.stats.count_write(n);
                    connection.outbox.advance(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.wants_write = true;
                    connection.wake();
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        match connection.stream.try_flush() {
            Ok(true) => {}
            Ok(false) => {
                connection.wants_write = true;
                connection.wake();
                return false;
            }
            Err(_) => return true,
        }
        if let Ending::Closing { deadline, is_shut: false } = connection.ending {
            connection.ending = Ending::Closing { deadline, is_shut: true };
            connection.stream.shutdown();
        }
        false
    }

    /// The next time at which something is due without anything arriving.
    fn next_deadline(&self) -> Option<Duration> {
        let held = self.held.front().map(|(at, _)| *at);
        let stalled = self.stalled.front().map(|(at, _)| *at);
        let realms = self.realms.iter().filter_map(|slot| slot.realm.poll_timeout());
        realms.chain(held).chain(stalled).chain(self.next_unthrottled()).min()
    }

    fn handle_realm_timeouts(&mut self, now: crate::time::Now) {
        for index in 0..self.realms.len() {
            let due = self.realms[index].realm.poll_timeout();
            if due.is_some_and(|at| at <= now.uptime) {
                let index = super::shard::RealmIndex(index);
                self.with_realm(index, |realm, effects| realm.handle_timeout(now, effects));
            }
        }
        self.work_off(now);
    }

    fn unstall(&mut self, uptime: Duration) {
        while let Some(&(until, key)) = self.stalled.front()
            && until <= uptime
        {
            self.stalled.pop_front();
            if let Some(connection) = self.connection(key) {
                connection.stalled_until = None;
                connection.wake();
            }
        }
    }
}

/// As many connections are written at once, whatever they are sent.
const CROWD: usize = 16;
