//! What is on the nodes, row by row: sessions, registrations and subscriptions; and what is done with a single session.

use super::asked::Asked;
use super::look::number;
use super::output::{answer, fail_with, say, say_json};
use super::words;
use crate::admin::command::{NodeCommand, Rows};
use crate::admin::report::{PatternRow, SessionRow};
use crate::ctl::run::Failure;
use crate::ctl::table::{Cell, Table};
use anyhow::{Context, anyhow};
use serde_json::{Value, json};

/// Which list.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Sessions,
    Registrations,
    Subscriptions,
}

impl List {
    fn command(self, rows: Rows) -> NodeCommand {
        match self {
            List::Sessions => NodeCommand::Sessions(rows),
            List::Registrations => NodeCommand::Registrations(rows),
            List::Subscriptions => NodeCommand::Subscriptions(rows),
        }
    }

    fn table(self, rows: &[Value]) -> anyhow::Result<Table> {
        Ok(match self {
            List::Sessions => session_table(&read(rows)?),
            List::Registrations | List::Subscriptions => pattern_table(self, &read(rows)?),
        })
    }
}

/// Prints the rows of all nodes. Of nodes that do not answer the rest is not withheld.
pub(super) async fn list(asked: &mut Asked, list: List, realm: Option<&str>, is_json: bool) -> Result<(), Failure> {
    let (rows, absent) = collect(asked, list, realm).await?;
    match is_json {
        true => say_json(&Value::Array(rows))?,
        false => say(list.table(&rows)?.to_string())?,
    }
    fail_with(&absent)
}

/// The rows of all nodes, and a sentence for each node that does not answer.
async fn collect(asked: &mut Asked, list: List, realm: Option<&str>) -> anyhow::Result<(Vec<Value>, Vec<String>)> {
    let nodes = asked.nodes(None).await?;
    let (mut rows, mut absent) = (Vec::new(), nodes.absent);
    for id in &nodes.ids {
        if let Err(error) = collect_of(asked, id, list, realm, &mut rows).await {
            absent.push(format!("{id} does not answer: {error}"));
        }
    }
    Ok((rows, absent))
}

/// A node tells its rows by the page.
async fn collect_of(
    asked: &mut Asked,
    id: &str,
    list: List,
    realm: Option<&str>,
    rows: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let mut skip = 0;
    loop {
        let wanted = Rows { realm: realm.map(str::to_owned), skip: Some(skip), limit: None };
        let page: Vec<Value> = asked.of_node(id, &list.command(wanted)).await?;
        if page.is_empty() {
            return Ok(());
        }
        skip += page.len();
        rows.extend(page);
    }
}

fn session_table(rows: &[SessionRow]) -> Table {
    const HEAD: [&str; 11] =
        ["NODE", "REALM", "SESSION", "AUTHID", "ROLE", "FOR", "SUBS", "REGS", "QUEUED", "PROTOCOL", "PEER"];
    let mut table = Table::new(HEAD);
    for row in rows {
        table.row([
            Cell::from(row.node.as_str()),
            Cell::from(row.realm.as_str()),
            Cell::from(row.session),
            Cell::from(row.authid.as_str()),
            Cell::from(row.authrole.as_str()),
            number(words::duration(row.seconds)),
            number(words::count(row.subscriptions as u64)),
            number(words::count(row.registrations as u64)),
            number(words::bytes(row.queued_bytes as u64)),
            Cell::from(row.protocol.as_str()),
            Cell::from(row.peer.as_str()),
        ]);
    }
    table
}

fn pattern_table(list: List, rows: &[PatternRow]) -> Table {
    let table = match list {
        List::Registrations => Table::new(["NODE", "REALM", "ID", "PROCEDURE", "MATCH", "INVOKE", "CALLEES"]),
        _ => Table::new(["NODE", "REALM", "ID", "TOPIC", "MATCH", "SUBSCRIBERS"]),
    };
    rows.iter().fold(table, |mut table, row| {
        let named = [row.node.as_str(), row.realm.as_str()].map(Cell::from);
        let pattern = [Cell::from(row.id), Cell::from(row.uri.as_str()), Cell::from(row.r#match.as_str())];
        let invoke = row.invoke.as_deref().map(Cell::from);
        let members = [number(words::count(row.members as u64))];
        table.row(named.into_iter().chain(pattern).chain(invoke).chain(members));
        table
    })
}

fn read<T: serde::de::DeserializeOwned>(rows: &[Value]) -> anyhow::Result<Vec<T>> {
    let row = |row: &Value| serde_json::from_value(row.clone());
    rows.iter().map(row).collect::<Result<_, _>>().context("what the nodes answer")
}

/// Ends a session, wherever it is.
pub(super) async fn kick(asked: &mut Asked, session: u64, realm: Option<&str>, is_json: bool) -> Result<(), Failure> {
    let nodes = asked.nodes(None).await?;
    let (mut absent, mut kicked) = (nodes.absent, None);
    for id in &nodes.ids {
        match kick_at(asked, id, session, realm).await {
            Ok(true) => {
                kicked = Some(id);
                break;
            }
            Ok(false) => {}
            Err(error) => absent.push(format!("{id} does not answer: {error}")),
        }
    }
    if let Some(id) = kicked {
        let sentence = format!("the session {session} on {id} was ended");
        return Ok(answer(is_json, &json!({"session": session, "node": id}), &sentence)?);
    }
    if is_json {
        say_json(&json!({"session": session, "node": null}))?;
    }
    let of_realm = realm.map_or(String::new(), |realm| format!(" in {realm}"));
    absent.insert(0, format!("there is no session {session}{of_realm} on {}", nodes.ids.join(", ")));
    fail_with(&absent)
}

async fn kick_at(asked: &mut Asked, id: &str, session: u64, realm: Option<&str>) -> anyhow::Result<bool> {
    if realm.is_some() {
        let mut rows = Vec::new();
        collect_of(asked, id, List::Sessions, realm, &mut rows).await?;
        if !rows.iter().any(|row| row["session"] == session) {
            return Ok(false);
        }
    }
    asked.of_node(id, &NodeCommand::Kick { session, reason: None }).await
}

/// Changes what a node logs.
pub(super) async fn log_level(asked: &mut Asked, id: &str, level: &str, is_json: bool) -> Result<(), Failure> {
    if let Some(sentence) = asked.nodes(Some(id)).await?.absent.first() {
        return Err(anyhow!("{sentence}").into());
    }
    let command = NodeCommand::LogLevel { level: Some(level.to_owned()) };
    let now: String = asked.of_node(id, &command).await?;
    let sentence = format!("{id} logs {now} now, until it is started again");
    Ok(answer(is_json, &json!({"node": id, "level": now}), &sentence)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_shown_with_their_node_and_in_words() {
        let rows = [json!({
            "node": "edge1", "realm": "realm1", "session": 8_123_456_789_u64, "authid": "alice", "authrole": "user",
            "peer": "tcp4:192.0.2.1:51926", "protocol": "wamp.2.cbor", "seconds": 192.5, "subscriptions": 1_500,
            "registrations": 0, "queued_bytes": 1_536,
        })];
        let table = List::Sessions.table(&rows).unwrap().to_string();
        let expected = "\
NODE   REALM      SESSION  AUTHID  ROLE    FOR   SUBS  REGS   QUEUED  PROTOCOL     PEER
edge1  realm1  8123456789  alice   user  3m12s  1,500     0  1.5 KiB  wamp.2.cbor  tcp4:192.0.2.1:51926
";
        assert_eq!(table, expected);
    }

    #[test]
    fn only_registrations_say_how_they_are_invoked() {
        let row = |invoke: Option<&str>| {
            json!({"node": "edge1", "realm": "realm1", "id": 7, "uri": "com.example", "match": "exact",
                   "invoke": invoke, "members": 2})
        };
        let table = List::Registrations.table(&[row(Some("single"))]).unwrap().to_string();
        assert!(table.ends_with("edge1  realm1   7  com.example  exact  single        2\n"), "{table}");
        let table = List::Subscriptions.table(&[row(None)]).unwrap().to_string();
        assert!(table.ends_with("edge1  realm1   7  com.example  exact            2\n"), "{table}");
    }
}
