//! `trace`: messages as they pass, on one node or on all, merged by time.

use super::asked::Asked;
use super::output::{remark, say};
use super::words;
use crate::admin::command::{NodeCommand, TraceRequest};
use crate::admin::report::{TraceLine, TraceLines, TraceStarted};
use crate::ctl::commands;
use crate::ctl::run::Failure;
use crate::ctl::table::clean;
use anyhow::{Context, anyhow, bail};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// The trace on one node.
#[derive(Debug)]
struct Traced {
    node: String,
    trace: u64,
    /// The number of the last line that was read.
    last: u64,
    lost: u64,
}

/// Shows lines until the traces end by themselves, enough were shown, or the operator has seen enough.
pub(super) async fn trace(asked: &mut Asked, trace: &commands::Trace, is_json: bool) -> Result<(), Failure> {
    let nodes = asked.nodes(trace.node.as_deref()).await?;
    nodes.absent.iter().for_each(|sentence| remark(sentence));
    if nodes.ids.is_empty() {
        return Err(anyhow!("there is no node to trace on").into());
    }
    let request = TraceRequest {
        session: trace.subject.session,
        topic: trace.subject.topic.clone(),
        procedure: trace.subject.procedure.clone(),
        lines: trace.lines.map(u64::from),
        seconds: trace.seconds.map(f64::from),
    };
    let mut traced = Vec::new();
    for node in nodes.ids {
        match asked.of_node::<TraceStarted>(&node, &NodeCommand::TraceStart(request.clone())).await {
            Ok(started) => traced.push(Traced { node, trace: started.trace, last: 0, lost: 0 }),
            Err(error) => {
                stop(asked, &traced).await;
                return Err(anyhow!("{node}: {error}").into());
            }
        }
    }
    let nodes_traced: Vec<&str> = traced.iter().map(|one| one.node.as_str()).collect();
    // Before it is offered: until it is awaited it would end the program, and the traces would be left behind.
    let mut interrupts = signal(SignalKind::interrupt()).context("Ctrl-C cannot be awaited")?;
    remark(&format!("tracing on {}; Ctrl-C ends it", nodes_traced.join(", ")));
    let followed = tokio::select! {
        followed = follow(asked, &mut traced, trace.lines, is_json) => followed,
        _ = interrupts.recv() => Ok(()),
    };
    // An answer that was under way when Ctrl-C came belongs to no question any more; it is passed over by its number.
    stop(asked, &traced).await;
    followed?;
    if nodes.absent.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

async fn follow(
    asked: &mut Asked,
    traced: &mut Vec<Traced>,
    lines_max: Option<u32>,
    is_json: bool,
) -> anyhow::Result<()> {
    let mut left = lines_max.map_or(usize::MAX, |lines| lines as usize);
    let mut merge = Merge::default();
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut n_failed = 0;
    while !traced.is_empty() && left > 0 {
        ticks.tick().await;
        let (mut at, mut endings) = (0, Vec::new());
        while let Some(one) = traced.get_mut(at) {
            let read = NodeCommand::TraceRead { trace: one.trace, after: one.last };
            let ended = match asked.of_node::<Value>(&one.node, &read).await {
                Ok(answer) => take(one, answer, &mut merge)?,
                Err(error) => {
                    n_failed += 1;
                    Some(error.to_string())
                }
            };
            match ended {
                None => at += 1,
                Some(why) => {
                    endings.push(format!("{}: the trace has ended: {why}", one.node));
                    traced.remove(at);
                }
            }
        }
        left -= show(merge.release(traced.is_empty()), left, is_json)?;
        endings.iter().for_each(|sentence| remark(sentence));
    }
    show(merge.release(true), left, is_json)?;
    if traced.is_empty() && n_failed > 0 {
        bail!("no node is traced any more");
    }
    Ok(())
}

/// Keeps the lines of an answer. Returns why the trace has ended, once it has.
fn take(one: &mut Traced, answer: Value, merge: &mut Merge) -> anyhow::Result<Option<String>> {
    let raw = answer["lines"].as_array().cloned().unwrap_or_default();
    let answer: TraceLines = serde_json::from_value(answer).context("what the node answers")?;
    if answer.lost > one.lost {
        let lost = answer.lost - one.lost;
        remark(&format!("{}: {} not kept: they came too fast", one.node, words::plural(lost as usize, "line")));
        one.lost = answer.lost;
    }
    one.last = answer.last;
    merge.lines.extend(answer.lines.into_iter().zip(raw));
    Ok(answer.ended)
}

async fn stop(asked: &mut Asked, traced: &[Traced]) {
    for one in traced {
        // Whatever cannot be stopped ends by itself when nobody reads it.
        let _ = asked.of_node::<Value>(&one.node, &NodeCommand::TraceStop { trace: one.trace }).await;
    }
}

/// Prints lines, at most so many. Returns how many.
fn show(lines: Vec<(TraceLine, Value)>, left: usize, is_json: bool) -> anyhow::Result<usize> {
    let n_shown = lines.len().min(left);
    for (line, raw) in lines.into_iter().take(n_shown) {
        match is_json {
            true => say(format!("{raw}\n"))?,
            false => say(text_of(&line, TimeZone::system()) + "\n")?,
        }
    }
    Ok(n_shown)
}

fn text_of(line: &TraceLine, zone: TimeZone) -> String {
    let time = words::time_of_day(line.at_us, zone);
    let arrow = if line.direction == "in" { "->" } else { "<-" };
    format!("{time}  {}  {:>16}  {arrow}  {}", clean(&line.node), line.session, clean(&line.message))
}

/// Lines of several nodes, read one after the other, in the order in which they passed.
#[derive(Debug, Default)]
struct Merge {
    lines: Vec<(TraceLine, Value)>,
    /// The time of the latest line of the round before. What passed until then has been read from every node by now.
    horizon: u64,
}

impl Merge {
    /// The lines before which no other can come any more; all of them once nothing more is read.
    fn release(&mut self, is_last: bool) -> Vec<(TraceLine, Value)> {
        self.lines.sort_by_key(|(line, _)| line.at_us);
        let horizon = if is_last { u64::MAX } else { self.horizon };
        self.horizon = self.lines.last().map_or(self.horizon, |(line, _)| line.at_us.max(self.horizon));
        let n = self.lines.partition_point(|(line, _)| line.at_us <= horizon);
        self.lines.drain(..n).collect()
    }
}

const POLL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn line(node: &str, at_us: u64) -> (TraceLine, Value) {
        let (node, direction, message) = (node.to_owned(), "in".to_owned(), "[48,1,{},\"a.b\"]".to_owned());
        (TraceLine { number: 1, at_us, node, session: 7, direction, message }, Value::Null)
    }

    fn released(merge: &mut Merge, lines: &[(&str, u64)], is_last: bool) -> Vec<u64> {
        merge.lines.extend(lines.iter().map(|(node, at_us)| line(node, *at_us)));
        merge.release(is_last).into_iter().map(|(line, _)| line.at_us).collect()
    }

    #[test]
    fn lines_of_several_nodes_come_in_the_order_of_their_times() {
        let mut merge = Merge::default();
        assert_eq!(released(&mut merge, &[("edge1", 10), ("edge1", 30), ("edge2", 20)], false), Vec::<u64>::new());
        // edge1 was read before edge2, so that its next lines may be older than the last of edge2.
        assert_eq!(released(&mut merge, &[("edge1", 25), ("edge2", 40)], false), [10, 20, 25, 30]);
        assert_eq!(released(&mut merge, &[], false), [40]);
        assert_eq!(released(&mut merge, &[("edge1", 50)], true), [50]);
    }

    #[test]
    fn a_line_says_when_where_who_and_which_way() {
        let (mut line, _) = line("edge1", 1_700_000_000_123_456);
        let expected = "22:13:20.123456  edge1                 7  ->  [48,1,{},\"a.b\"]";
        assert_eq!(text_of(&line, TimeZone::UTC), expected);
        line.direction = "out".to_owned();
        line.message = "[36,\u{1b}]".to_owned();
        assert!(text_of(&line, TimeZone::UTC).ends_with("<-  [36,\u{fffd}]"));
    }
}
