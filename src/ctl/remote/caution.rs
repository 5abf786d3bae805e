//! Commands that take something away look first, say what they are about to do, and ask: on a terminal by a question,
//! elsewhere by the option `--yes`. What hurts more than it says has an option of its own.

use super::asked::Asked;
use super::look::Look;
use super::words::plural;
use crate::auth::cryptosign::PublicKey;
use anyhow::bail;
use std::io::{self, BufRead, IsTerminal, Write};

/// Before a node is admitted: asks whether a node of this name that has another address or key is to be replaced.
pub(super) async fn before_add(
    asked: &mut Asked,
    id: &str,
    address: &str,
    key: &PublicKey,
    is_replacing: bool,
    is_sure: bool,
) -> anyhow::Result<()> {
    let look = asked.look().await?;
    let mut members = look.cluster.iter().flat_map(|cluster| &cluster.nodes);
    let Some(member) = members.find(|member| member.id == id) else { return Ok(()) };
    if member.address == address && member.public_key == key.to_string() {
        return Ok(());
    }
    let before =
        format!("{id} belongs to the cluster already, at {} with the key {}", member.address, member.public_key);
    if !is_replacing {
        bail!("{before}; --replace gives it this address and key, and its links end until it runs with them");
    }
    let will =
        format!("{before}. It gets the address {address} and the key {key}: its links end until it runs with them");
    confirm(&format!("{will}. {}", standing(&look, id)), is_sure)
}

/// Before a node is removed.
pub(super) async fn before_remove(asked: &mut Asked, id: &str, is_sure: bool, is_last: bool) -> anyhow::Result<()> {
    let look = asked.look().await?;
    if !is_last {
        check_last(&look, id, "remove")?;
    }
    // The master names the nodes that there are.
    if look.line(id).is_err() {
        return Ok(());
    }
    let will = format!("{id} is taken out of the cluster: its links end, its key opens nothing any more");
    confirm(&format!("{will}, and it lets its clients go. {}", standing(&look, id)), is_sure)
}

/// Before a node is drained. A single edge that is asked itself knows of no others.
pub(super) async fn before_drain(asked: &mut Asked, id: &str, is_last: bool) -> anyhow::Result<()> {
    if is_last || asked.edge().is_some() {
        return Ok(());
    }
    check_last(&asked.look().await?, id, "drain")
}

/// Whether another node takes clients when this one does not any more.
fn check_last(look: &Look, id: &str, what: &str) -> anyhow::Result<()> {
    let is_serving = look.lines.iter().any(|line| line.id == id && line.is_up());
    if is_serving && !look.lines.iter().any(|line| line.id != id && line.is_up()) {
        bail!("{id} is the only node that takes clients: {what} it with --last if nobody is to be served any more");
    }
    Ok(())
}

/// How a node is now, in one sentence.
fn standing(look: &Look, id: &str) -> String {
    match look.line(id) {
        Ok(line) => {
            let sessions = line.sessions().map_or("nothing is known of its sessions".to_owned(), |sessions| {
                format!("it has {}", plural(sessions, "session"))
            });
            format!("It is {} now, and {sessions}", line.state)
        }
        Err(_) => "Nothing is known of it".to_owned(),
    }
}

/// Says what is about to be done, and goes on only if it is wanted.
fn confirm(will: &str, is_sure: bool) -> anyhow::Result<()> {
    if is_sure {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!("nothing was done. {will}. There is no terminal to ask on: --yes does it");
    }
    write!(io::stderr(), "{will}.\nGo on? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing was done"),
    }
}
