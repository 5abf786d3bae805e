//! `rebalance` and `gate`: what is started and then waited for.

use super::asked::Asked;
use super::look::{Look, number};
use super::output::{Progress, answer, remark, say, say_json};
use super::words;
use crate::admin::cluster_status::ClusterStatus;
use crate::admin::command::MasterCommand;
use crate::ctl::run::Failure;
use crate::ctl::table::{Cell, Table};
use anyhow::{Context, anyhow};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Evens out the sessions, and says what has come of it.
pub(super) async fn rebalance(
    asked: &mut Asked,
    rate: Option<u32>,
    is_waiting: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let before = asked.look().await?;
    let began = Instant::now();
    asked.of_master(&MasterCommand::Rebalance { rate: rate.map(f64::from) }).await?;
    if !is_waiting {
        let value = json!({"before": spread(&before)});
        return Ok(answer(is_json, &value, "a rebalance has begun; `crossbarctl status` shows how it goes on")?);
    }
    let (after, moved) = await_rebalanced(asked).await?;
    let took = began.elapsed().as_secs_f64();
    if is_json {
        let value = json!({
            "before": spread(&before), "after": spread(&after), "moved": moved, "seconds": took,
            "is_even": is_even(&after),
        });
        say_json(&value)?;
    } else {
        let mut table = Table::new(["NODE", "BEFORE", "AFTER"]);
        for line in &after.lines {
            let cell = |look: &Look| {
                let sessions = look.line(&line.id).ok().and_then(|line| line.sessions());
                sessions.map_or(Cell::Absent, |sessions| number(words::count(sessions as u64)))
            };
            table.row([Cell::from(line.id.as_str()), cell(&before), cell(&after)]);
        }
        let (moved, took) = (words::plural(moved, "session"), words::duration(took));
        say(format!("{moved} moved in {took}\n\n{table}"))?;
    }
    match is_even(&after) {
        true => Ok(()),
        false => {
            Err(anyhow!("the sessions are not spread evenly: do clients come back, and to the emptiest node?").into())
        }
    }
}

/// Waits until no rebalance is under way. Returns how things are then, and how many sessions were moved.
async fn await_rebalanced(asked: &mut Asked) -> anyhow::Result<(Look, usize)> {
    let mut progress = Progress::new();
    let mut moved = 0;
    loop {
        let look = asked.look().await?;
        match &cluster(&look)?.rebalance {
            None => return Ok((look, moved)),
            Some(rebalance) => {
                moved = rebalance.moved;
                progress.tell(format!("round {}: {} moved", rebalance.rounds, words::plural(moved, "session")));
            }
        }
        sleep(POLL).await;
    }
}

/// The sessions of every node.
fn spread(look: &Look) -> serde_json::Map<String, serde_json::Value> {
    look.lines.iter().map(|line| (line.id.clone(), line.sessions().into())).collect()
}

/// Whether every node that serves is within 5 % of the fair share, or within one session.
fn is_even(look: &Look) -> bool {
    let serving = look.lines.iter().filter(|line| line.is_up()).filter_map(|line| line.sessions());
    let sessions: Vec<f64> = serving.map(|sessions| sessions as f64).collect();
    let fair = sessions.iter().sum::<f64>() / sessions.len().max(1) as f64;
    sessions.iter().all(|sessions| (sessions - fair).abs() <= (fair * TOLERANCE).max(1.0))
}

/// Waits until the cluster is whole and carries load everywhere. A master that is started again meanwhile is waited for
/// as well.
pub(super) async fn gate(
    asked: &mut Asked,
    seconds: Option<u32>,
    is_rebalancing: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    let (mut last, mut may_rebalance) = (String::new(), is_rebalancing);
    loop {
        let looked = asked.look().await;
        let reason = match &looked {
            Ok(look) => match &cluster(look)?.gate.waits_for {
                None => return Ok(answer(is_json, &look.raw["gate"], "the gate is open")?),
                Some(reason) => reason.clone(),
            },
            Err(error) => error.to_string(),
        };
        if reason != last {
            remark(&format!("waiting: {reason}"));
            last.clone_from(&reason);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            if let (true, Ok(look)) = (is_json, &looked) {
                say_json(&look.raw["gate"])?;
            }
            let seconds = words::duration(seconds.unwrap_or(0).into());
            return Err(anyhow!("the gate is still closed after {seconds}: {reason}").into());
        }
        match &looked {
            // All are there and linked: then only load can be missing.
            Ok(look) if may_rebalance && look.is_whole() && cluster(look)?.rebalance.is_none() => {
                may_rebalance = false;
                asked.of_master(&MasterCommand::Rebalance { rate: None }).await?;
                remark("a rebalance has begun");
            }
            Ok(_) => {}
            // Why it cannot be opened again is told by the next look.
            Err(_) => drop(asked.reopen().await),
        }
        sleep(deadline.map_or(GATE_POLL, |deadline| GATE_POLL.min(deadline - Instant::now()))).await;
    }
}

fn cluster(look: &Look) -> anyhow::Result<&ClusterStatus> {
    look.cluster.as_ref().context("only the master can tell")
}

const POLL: Duration = Duration::from_millis(500);
const GATE_POLL: Duration = Duration::from_secs(1);
/// What a rebalance promises.
const TOLERANCE: f64 = 0.05;
