//! `top`: the nodes and their figures, live. On a terminal a picture that changes, else a line per second.

use super::asked::Asked;
use super::contact::Contact;
use super::look::Look;
use super::output::say;
use super::screen::Screen;
use super::words;
use crate::ctl::run::Failure;
use crate::ctl::table::clean;
use jiff::tz::TimeZone;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Looks every second until the operator has seen enough, or so many times.
pub(super) async fn top(contact: &Contact, iterations: Option<u32>, is_json: bool) -> Result<(), Failure> {
    let mut asked = Asked::open(contact).await?;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let left = iterations.unwrap_or(u32::MAX);
    if is_json || !std::io::stdout().is_terminal() {
        for _ in 0..left {
            ticks.tick().await;
            let look = asked.look().await?;
            say(if is_json { format!("{}\n", look.raw) } else { line(&look) + "\n" })?;
        }
        return Ok(());
    }
    let mut interrupt = signal(SignalKind::interrupt()).map_err(anyhow::Error::from)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    let mut screen = Screen::open().map_err(anyhow::Error::from)?;
    let mut watch = Watch { contact, asked: Some(asked), picture: String::new() };
    for _ in 0..left {
        tokio::select! {
            () = watch.renew(&mut ticks) => {}
            () = screen.quit() => break,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
        screen.show(&watch.picture).map_err(anyhow::Error::from)?;
    }
    Ok(())
}

/// What is looked at; it may go away and come back.
struct Watch<'c> {
    contact: &'c Contact,
    asked: Option<Asked>,
    picture: String,
}

impl Watch<'_> {
    async fn renew(&mut self, ticks: &mut Interval) {
        ticks.tick().await;
        let looked = match self.asked.take() {
            Some(asked) => Ok(asked),
            None => Asked::open(self.contact).await,
        };
        let looked = match looked {
            Ok(mut asked) => asked.look().await.map(|look| (asked, look)),
            Err(error) => Err(error),
        };
        match looked {
            Ok((asked, look)) => {
                self.picture = picture(&look);
                self.asked = Some(asked);
            }
            Err(error) => {
                let last = self.picture.split_once(LOST).map_or(self.picture.as_str(), |(_, last)| last);
                self.picture = format!("! {error:#}{LOST}{last}");
            }
        }
    }
}

/// The picture: a headline, the nodes, what is wrong, and what has happened last.
fn picture(look: &Look) -> String {
    let mut out = format!("{}\n", line(look));
    if let Some(cluster) = &look.cluster {
        let master = &cluster.master;
        let up = words::duration(master.uptime_seconds as f64);
        out += &format!("master {} on {}, version {}, up {up}\n", master.id, master.hostname, master.version);
    }
    out += &format!("\n{}", look.long_table());
    for warning in look.warnings() {
        out += &format!("! {}\n", clean(&warning));
    }
    if let Some(cluster) = &look.cluster {
        out += "\n";
        for event in &cluster.events {
            let time = words::time_of_text(&event.at, TimeZone::system());
            out += &format!("{time}  {:<10}  {}\n", event.kind, clean(&event.text));
        }
    }
    out
}

/// Everything in one line.
fn line(look: &Look) -> String {
    let figures = || look.lines.iter().filter_map(|line| line.figures);
    let headline = look.headline();
    match figures().next() {
        None => format!("{}  {headline}", words::clock()),
        Some(_) => {
            let sum = |of: fn(&super::look::Figures) -> f64| words::rate(figures().map(|figures| of(&figures)).sum());
            let outbox = words::bytes(figures().map(|figures| figures.outbox_bytes).sum());
            let (events, messages) = (sum(|figures| figures.events_out), sum(|figures| figures.messages_in));
            let drops = sum(|figures| figures.drops);
            let clock = words::clock();
            format!("{clock}  {headline}, {events} events/s, {messages} in/s, {drops} drops/s, {outbox} waiting")
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);
/// Between the sentence that says why the picture does not change any more and the last picture.
const LOST: &str = "; the last that was seen:\n\n";
