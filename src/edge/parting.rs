//! How clients are let go: one after the other, never all at once, and each when the calls have ended that it has under
//! way when its turn comes. A drain lets all of them go, a rebalance some.

use crate::drop::DropReason;
use crate::realm::dealer::Farewell;
use crate::router::shard::Shard;
use crate::wamp::{Id, SessionKey};
use rand::seq::SliceRandom;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// The clients of this node, and who is letting them go.
pub(super) struct Clients {
    shard: Rc<RefCell<Shard>>,
    /// When nobody says how long a drain may take.
    drain_time: Duration,
    task: RefCell<Option<JoinHandle<()>>>,
}

/// Who goes, and what they are told.
#[derive(Clone, Copy)]
struct Plan {
    /// None: everybody.
    count: Option<usize>,
    over: Duration,
    message: &'static str,
    reason: DropReason,
}

impl Clients {
    pub(super) fn new(shard: Rc<RefCell<Shard>>, drain_time: Duration) -> Clients {
        Clients { shard, drain_time, task: RefCell::new(None) }
    }

    /// Lets everybody go, in the background.
    pub(super) fn drain(&self, over: Option<Duration>) {
        let (shard, over) = (self.shard.clone(), over.unwrap_or(self.drain_time));
        self.replace_task(async move {
            announce(&shard, over).await;
            shard.borrow_mut().is_closed = true;
            part(shard, Plan::everybody(over)).await;
        });
    }

    /// Tells everybody who directs clients here that this node is leaving, and waits until they know. Then nobody new
    /// is let in, if so wished.
    pub(super) async fn announce_the_end(&self, is_closing: bool) {
        self.stop_task();
        announce(&self.shard, self.drain_time).await;
        self.shard.borrow_mut().is_closed = is_closing;
    }

    /// Lets everybody go, and waits until they have gone.
    pub(super) async fn let_all_go(&self) {
        part(self.shard.clone(), Plan::everybody(self.drain_time)).await;
    }

    /// Takes clients again. Those whose turn to go had come still go.
    pub(super) fn undrain(&self) {
        self.stop_task();
        let mut shard = self.shard.borrow_mut();
        (shard.is_draining, shard.is_closed) = (false, false);
        set_leaving(&mut shard, false);
        tracing::info!("the drain has been taken back");
    }

    /// Lets some clients go to other nodes, in the background. Of no effect in a drain.
    pub(super) fn shed(&self, count: usize, over: Duration) {
        if self.shard.borrow().is_draining {
            return;
        }
        let message = "please connect again: the load is being spread anew";
        let plan = Plan { count: Some(count), over, message, reason: DropReason::Rebalanced };
        tracing::info!(count, seconds = over.as_secs_f64(), "clients are sent to other nodes");
        self.replace_task(part(self.shard.clone(), plan));
    }

    fn replace_task(&self, work: impl Future<Output = ()> + 'static) {
        self.stop_task();
        *self.task.borrow_mut() = Some(tokio::task::spawn_local(work));
    }

    fn stop_task(&self) {
        if let Some(task) = self.task.borrow_mut().take() {
            task.abort();
        }
    }
}

impl Plan {
    /// What is left of a drain of this length after its announcement.
    fn everybody(drain: Duration) -> Plan {
        let over = drain - announcement(drain);
        Plan { count: None, over, message: "this node is shutting down", reason: DropReason::Shutdown }
    }
}

/// First nobody new is sent here any more.
async fn announce(shard: &Rc<RefCell<Shard>>, over: Duration) {
    let sessions = {
        let mut shard = shard.borrow_mut();
        shard.is_draining = true;
        set_leaving(&mut shard, true);
        shard.n_sessions()
    };
    tracing::info!(sessions, seconds = over.as_secs_f64(), "draining");
    // The load balancer hears of it from the agent check, the peers by their links. Who was sent away before that would
    // be sent here again.
    sleep(announcement(over)).await;
}

/// How long it takes in a drain of this length until everybody knows of it.
fn announcement(drain: Duration) -> Duration {
    ANNOUNCEMENT.min(drain / 4)
}

/// Gives one client after the other its turn to go, and waits until they have gone.
async fn part(shard: Rc<RefCell<Shard>>, plan: Plan) {
    let started = Instant::now();
    let until = shard.borrow().now().uptime + plan.over + CALLS_MAX;
    let farewell = Farewell { message: plan.message, reason: plan.reason, until };
    let mut going = leaving(&shard.borrow(), plan.count);
    let mut step = plan.over / u32::try_from(going.len()).unwrap_or(u32::MAX).max(1);
    let mut n_gone: u32 = 0;
    while !going.is_empty() {
        for (key, session) in &going {
            sleep_until(started + step.saturating_mul(n_gone)).await;
            let mut shard = shard.borrow_mut();
            if shard.session_at(*key) == Some(*session) {
                shard.send_elsewhere(*key, farewell);
                n_gone += 1;
            }
        }
        await_gone(&shard, &going).await;
        // Some have come before the door was closed.
        let is_everybody = plan.count.is_none() && shard.borrow().is_closed;
        going = if is_everybody { leaving(&shard.borrow(), None) } else { Vec::new() };
        step = Duration::ZERO;
    }
    tracing::info!(sessions = n_gone, "clients were let go");
}

/// Waits for those who have calls under way; the realm ends them when their time is over.
async fn await_gone(shard: &Rc<RefCell<Shard>>, going: &[(SessionKey, Id)]) {
    for (key, session) in going {
        while shard.borrow().session_at(*key) == Some(*session) {
            sleep(BUSY_POLL).await;
        }
    }
}

/// Who is to go, in random order, so that no kind of client goes all at once.
fn leaving(shard: &Shard, count: Option<usize>) -> Vec<(SessionKey, Id)> {
    let id = |(key, slot): (SessionKey, &crate::router::shard::RealmSlot)| {
        let member = slot.realm.members().member(key)?;
        member.is_visible().then_some((key, member.identity.session))
    };
    let mut sessions: Vec<(SessionKey, Id)> = shard.client_sessions().filter_map(id).collect();
    sessions.shuffle(&mut rand::rng());
    sessions.truncate(count.unwrap_or(usize::MAX));
    sessions
}

/// Calls go to other nodes from now on, where these have callees.
fn set_leaving(shard: &mut Shard, is_leaving: bool) {
    let now = shard.now();
    for index in shard.clustered_realms() {
        shard.with_realm(index, |realm, effects| realm.set_leaving(now, is_leaving, effects));
    }
    shard.work_off(now);
    shard.wake_flusher();
}

/// The agent check asks every half second.
const ANNOUNCEMENT: Duration = Duration::from_millis(1_200);
/// How much longer than planned calls may keep a session.
const CALLS_MAX: Duration = Duration::from_secs(5);
const BUSY_POLL: Duration = Duration::from_millis(10);
