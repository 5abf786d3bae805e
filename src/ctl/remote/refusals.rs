//! Who was refused lately, and why; and what has been permitted, once more.

use super::asked::Asked;
use super::look::number;
use super::output::{answer, fail_with, say, say_json};
use super::words;
use crate::admin::command::{ForgetAnswers, MasterCommand, NodeCommand, RefusalsWanted};
use crate::admin::report::RefusalRow;
use crate::ctl::commands::{OfAnswers, OfRefusals};
use crate::ctl::run::Failure;
use crate::ctl::table::{Cell, Table};
use anyhow::Context;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// Prints what the master has of all nodes, or what a single edge has. The latest comes last.
pub(super) async fn list(asked: &mut Asked, of: &OfRefusals, is_json: bool) -> Result<(), Failure> {
    let OfRefusals { node, realm, authid, reason, limit } = of.clone();
    let wanted = RefusalsWanted { node, realm, authid, reason, limit: Some(limit) };
    let rows: Value = match asked.edge().map(str::to_owned) {
        Some(edge) => asked.of_node(&edge, &NodeCommand::Refusals(wanted)).await?,
        None => asked.of_master(&MasterCommand::Refusals(wanted)).await?,
    };
    if is_json {
        return Ok(say_json(&rows)?);
    }
    let rows: Vec<RefusalRow> = serde_json::from_value(rows).context("what is answered")?;
    Ok(say(table(&rows, &TimeZone::system()).to_string())?)
}

/// Has all nodes forget what authorizers have answered.
pub(super) async fn forget_answers(asked: &mut Asked, of: &OfAnswers, is_json: bool) -> Result<(), Failure> {
    let OfAnswers { realm, session, authid, role, uri } = of.clone();
    let command = NodeCommand::ForgetAnswers(ForgetAnswers { realm, session, authid, authrole: role, uri });
    let nodes = asked.nodes(None).await?;
    let (mut absent, mut told, mut n) = (nodes.absent, Vec::new(), 0);
    for id in nodes.ids {
        match asked.of_node::<usize>(&id, &command).await {
            Ok(of_node) => {
                n += of_node;
                told.push(id);
            }
            Err(error) => absent.push(format!("{id} does not answer: {error}")),
        }
    }
    let sentence = format!("answers are forgotten on {}; reviewed: {}", told.join(", "), words::count(n as u64));
    answer(is_json, &json!({"nodes": told, "reviewed": n}), &sentence)?;
    fail_with(&absent)
}

fn table(rows: &[RefusalRow], zone: &TimeZone) -> Table {
    const HEAD: [&str; 11] =
        ["TIME", "NODE", "REASON", "TIMES", "REALM", "SESSION", "AUTHID", "ROLE", "PEER", "WHAT", "WHY"];
    let mut table = Table::new(HEAD);
    for row in rows {
        let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("-"));
        let what: Vec<&str> = [row.action.as_deref(), row.uri.as_deref()].into_iter().flatten().collect();
        table.row([
            Cell::from(words::time_of_day(row.at_us, zone.clone()).as_str()),
            Cell::from(row.node.as_str()),
            Cell::from(row.reason.as_str()),
            number(words::count(row.times)),
            text(&row.realm),
            text(&row.session.map(|session| session.to_string())),
            text(&row.authid),
            text(&row.authrole),
            text(&row.peer),
            text(&(!what.is_empty()).then(|| what.join(" "))),
            Cell::from(row.text.as_str()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_who_and_what_and_why() {
        let row = RefusalRow {
            at_us: 1_700_000_000_000_000,
            node: "edge1".to_owned(),
            reason: "not_authorized".to_owned(),
            session: Some(7),
            authid: Some("dave".to_owned()),
            action: Some("call".to_owned()),
            uri: Some("com.x".to_owned()),
            text: "no".to_owned(),
            times: 1_200,
            ..RefusalRow::default()
        };
        let text = table(&[row], &TimeZone::UTC).to_string();
        let words: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        let expected = ["edge1", "not_authorized", "1,200", "-", "7", "dave", "-", "-", "call", "com.x", "no"];
        assert_eq!(words[words.len() - expected.len()..], expected, "{text}");
    }
}
