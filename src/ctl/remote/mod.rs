//! The commands that ask a running cluster: the master, or a single edge.
//!
//! `contact` finds out who is asked, `asked` is the session with them, `look` what is seen; `lists`, `steer` (with
//! `caution`), `balance`, `trace`, `refusals` and `top` are the commands.

mod asked;
mod balance;
mod caution;
mod contact;
mod lists;
mod look;
mod output;
mod refusals;
mod screen;
mod steer;
mod top;
mod trace;
mod words;

use super::commands::{Remote, Target};
use super::links;
use super::run::Failure;
use anyhow::{Context, anyhow};
use asked::Asked;
use contact::Contact;
use lists::List;
use output::{is_closed_pipe, say, say_json};
use serde_json::Value;

/// Carries out one command and prints what came of it.
pub(super) fn run(command: &Remote, target: &Target, is_json: bool) -> Result<(), Failure> {
    let contact = Contact::of(target)?;
    if let (false, Some(name)) = (contact.is_master, only_of_the_master(command)) {
        return Err(anyhow!("{}: an edge knows no `{name}`, only the master does (--master)", contact.url).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    match runtime.block_on(ask(command, &contact, is_json)) {
        Err(failure) if is_closed_pipe(&failure) => Ok(()),
        done => done,
    }
}

/// The name of a command for which a single edge does not know enough.
fn only_of_the_master(command: &Remote) -> Option<&'static str> {
    match command {
        Remote::Node(_) => Some("node"),
        Remote::Rebalance { .. } => Some("rebalance"),
        Remote::Gate { .. } => Some("gate"),
        _ => None,
    }
}

async fn ask(command: &Remote, contact: &Contact, is_json: bool) -> Result<(), Failure> {
    if let Remote::Top { iterations } = command {
        return top::top(contact, *iterations, is_json).await;
    }
    let mut asked = Asked::open(contact).await?;
    let done = carry_out(command, &mut asked, is_json).await;
    asked.close().await;
    done
}

async fn carry_out(command: &Remote, asked: &mut Asked, is_json: bool) -> Result<(), Failure> {
    match command {
        Remote::Status => status(asked, is_json).await,
        Remote::Nodes => nodes(asked, is_json).await,
        Remote::Links => matrix(asked, is_json).await,
        Remote::ForgetAnswers(of) => refusals::forget_answers(asked, of, is_json).await,
        Remote::Refusals(of) => refusals::list(asked, of, is_json).await,
        Remote::Sessions(of) => lists::list(asked, List::Sessions, of.realm.as_deref(), is_json).await,
        Remote::Registrations(of) => lists::list(asked, List::Registrations, of.realm.as_deref(), is_json).await,
        Remote::Subscriptions(of) => lists::list(asked, List::Subscriptions, of.realm.as_deref(), is_json).await,
        Remote::Node(command) => steer::node(asked, command, is_json).await,
        Remote::Drain { id, seconds, no_wait, last } => {
            caution::before_drain(asked, id, *last).await?;
            steer::drain(asked, id, *seconds, !no_wait, is_json).await
        }
        Remote::Undrain { id } => steer::undrain(asked, id, is_json).await,
        Remote::Rebalance { rate, no_wait } => balance::rebalance(asked, *rate, !no_wait, is_json).await,
        Remote::Kick { session, realm } => lists::kick(asked, *session, realm.as_deref(), is_json).await,
        Remote::Trace(trace) => trace::trace(asked, trace, is_json).await,
        Remote::LogLevel { id, level } => lists::log_level(asked, id, level, is_json).await,
        Remote::Gate { seconds, rebalance } => balance::gate(asked, *seconds, *rebalance, is_json).await,
        Remote::Top { .. } => unreachable!("it opens sessions of its own"),
    }
}

/// Whether the cluster, or the edge, is whole: also by the exit code.
async fn status(asked: &mut Asked, is_json: bool) -> Result<(), Failure> {
    let look = asked.look().await?;
    if is_json {
        say_json(&look.raw)?;
    } else {
        let warnings: String = look.warnings().iter().map(|warning| format!("! {warning}\n")).collect();
        let gap = if warnings.is_empty() { "" } else { "\n" };
        say(format!("{}\n\n{}{gap}{warnings}", look.headline(), look.short_table()))?;
    }
    if look.is_whole() { Ok(()) } else { Err(Failure::Told) }
}

async fn nodes(asked: &mut Asked, is_json: bool) -> Result<(), Failure> {
    let look = asked.look().await?;
    let done = match is_json {
        true if look.cluster.is_some() => say_json(&look.raw["nodes"]),
        true => say_json(&Value::Array(vec![look.raw])),
        false => say(look.long_table().to_string()),
    };
    Ok(done?)
}

async fn matrix(asked: &mut Asked, is_json: bool) -> Result<(), Failure> {
    let look = asked.look().await?;
    if is_json {
        return Ok(say_json(&look.raw_links())?);
    }
    let (nodes, links) = look.links();
    Ok(say(links::matrix(&nodes, &links).to_string())?)
}
