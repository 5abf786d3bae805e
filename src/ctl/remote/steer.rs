//! Who belongs to the cluster, and which nodes take clients: commands that change something.

use super::asked::Asked;
use super::caution;
use super::output::{Progress, answer};
use super::words;
use crate::admin::command::{MasterCommand, NodeCommand};
use crate::cluster::State;
use crate::ctl::commands;
use crate::ctl::run::Failure;
use anyhow::{anyhow, bail};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Admits or removes a node.
pub(super) async fn node(asked: &mut Asked, command: &commands::NodeCommand, is_json: bool) -> Result<(), Failure> {
    let (command, id, sentence) = match command {
        commands::NodeCommand::Add { id, address, public_key, replace, yes } => {
            caution::before_add(asked, id, address, public_key, *replace, *yes).await?;
            let (address, public_key) = (address.clone(), public_key.to_string());
            let sentence = format!("{id} at {address} belongs to the cluster now: all others link with it");
            (MasterCommand::NodeAdd { id: id.clone(), address, public_key }, id, sentence)
        }
        commands::NodeCommand::Remove { id, yes, last } => {
            caution::before_remove(asked, id, *yes, *last).await?;
            let sentence = format!("{id} does not belong to the cluster any more: all others refuse it");
            (MasterCommand::NodeRemove { id: id.clone() }, id, sentence)
        }
    };
    asked.of_master(&command).await?;
    let membership: Value = asked.of_master(&MasterCommand::Membership).await?;
    let value = json!({"node": id, "membership": membership["version"]});
    Ok(answer(is_json, &value, &sentence)?)
}

/// Lets the clients of a node go, and waits until they are gone.
pub(super) async fn drain(
    asked: &mut Asked,
    id: &str,
    seconds: Option<u32>,
    is_waiting: bool,
    is_json: bool,
) -> Result<(), Failure> {
    let before = reachable_sessions(asked, id).await?;
    let seconds = seconds.map(f64::from);
    match asked.edge() {
        Some(_) => asked.of_node(id, &NodeCommand::Drain { seconds }).await?,
        None => drop(asked.of_master(&MasterCommand::Drain { id: id.to_owned(), seconds }).await?),
    }
    if !is_waiting {
        let sentence = format!("{id} lets its clients go: {}", words::plural(before, "session"));
        return Ok(answer(is_json, &json!({"node": id, "sessions": before}), &sentence)?);
    }
    let began = Instant::now();
    await_drained(asked, id, before).await?;
    let took = began.elapsed().as_secs_f64();
    let (sessions, time) = (words::plural(before, "session"), words::duration(took));
    let sentence = format!("{id} is drained: {sessions} gone in {time}");
    Ok(answer(is_json, &json!({"node": id, "sessions": before, "seconds": took}), &sentence)?)
}

/// The sessions of a node that can be asked.
async fn reachable_sessions(asked: &mut Asked, id: &str) -> anyhow::Result<usize> {
    if let Some(sentence) = asked.nodes(Some(id)).await?.absent.first() {
        bail!("{sentence}");
    }
    Ok(asked.look().await?.line(id)?.sessions().unwrap_or(0))
}

async fn await_drained(asked: &mut Asked, id: &str, before: usize) -> anyhow::Result<()> {
    let mut progress = Progress::new();
    let (mut has_begun, began) = (false, Instant::now());
    loop {
        let look = asked.look().await?;
        let line = look.line(id)?;
        has_begun |= line.is_draining();
        match line.sessions() {
            Some(0) if line.is_draining() => return Ok(()),
            Some(sessions) if line.is_draining() => {
                let left = words::count(sessions as u64);
                progress.tell(format!("{id}: {left} of {} left", words::plural(before.max(sessions), "session")));
            }
            _ if line.is_up() && has_begun => bail!("the drain of {id} was taken back"),
            _ if line.is_up() && began.elapsed() < BEGIN_MAX => {}
            // It is heard of again, or it is down.
            _ if line.state == State::Late.name() => {}
            _ => bail!("{id} does not drain: it is {} ({})", line.state, line.reason),
        }
        sleep(POLL).await;
    }
}

/// Lets clients come to a node again.
pub(super) async fn undrain(asked: &mut Asked, id: &str, is_json: bool) -> Result<(), Failure> {
    reachable_sessions(asked, id).await?;
    match asked.edge() {
        Some(_) => asked.of_node(id, &NodeCommand::Undrain).await?,
        None => drop(asked.of_master(&MasterCommand::Undrain { id: id.to_owned() }).await?),
    }
    let began = Instant::now();
    while !asked.look().await?.line(id)?.is_up() {
        if began.elapsed() > BEGIN_MAX {
            return Err(anyhow!("{id} was asked to take clients again, but within {BEGIN_MAX:?} it does not").into());
        }
        sleep(POLL).await;
    }
    Ok(answer(is_json, &json!({"node": id}), &format!("{id} takes clients again"))?)
}

const POLL: Duration = Duration::from_millis(500);
/// A node does what it is told at once, and the master hears of it within a second.
const BEGIN_MAX: Duration = Duration::from_secs(5);
