//! An outcome as one page for a browser: totals, charts over time, and who was away. Nothing is loaded from elsewhere,
//! so that the file can be kept and sent on.

mod chart;

use super::outcome::{Moment, Outcome};
use super::summary::{grouped, rows};
use chart::{Chart, Scale, Series, escape};
use std::collections::BTreeSet;

/// The page.
pub fn html(outcome: &Outcome) -> String {
    let settings = &outcome.settings;
    let load = format!(
        "{} clients × {} connections, loops {}, rate {}, stride {}, {} bytes, {} s, {}",
        settings.clients,
        settings.connections,
        settings.loops,
        settings.rate,
        settings.stride,
        settings.size,
        settings.duration,
        settings.urls.join(", "),
    );
    let (verdict, class) = if outcome.ok { ("nothing was lost", "good") } else { ("not all went well", "bad") };
    format!(
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\"><title>crossbar-probe, {started}</title>\
         <style>{STYLE}</style></head><body><main><h1>crossbar-probe <b class={class}>{verdict}</b></h1>\
         <p class=soft>{started}. {load}</p>{tiles}{charts}<h2>Totals</h2>{totals}{outages}</main></body></html>\n",
        started = escape(&outcome.started),
        load = escape(&load),
        tiles = tiles(outcome),
        charts = charts(outcome),
        totals = totals(outcome),
        outages = outages(outcome),
    )
}

/// The figures that are looked for first.
fn tiles(outcome: &Outcome) -> String {
    let events = &outcome.events;
    let tiles = [
        (grouped(events.received_per_second.round() as u64), "events/s received"),
        (format!("{:.1} ms", outcome.latency_ms.p50), "median latency"),
        (format!("{:.1} ms", outcome.latency_ms.p99), "99 % within"),
        (grouped(events.lost), "events lost"),
        (outcome.sessions.to_string(), "sessions"),
        (outcome.reconnects.lost.to_string(), "connections lost"),
    ];
    let tiles: String = tiles.iter().map(|(value, name)| format!("<div><b>{value}</b>{name}</div>")).collect();
    format!("<section class=tiles>{tiles}</section>")
}

fn charts(outcome: &Outcome) -> String {
    // The last entry is the rest of a second, in which nothing was published any more.
    let whole_seconds = (outcome.settings.duration as usize).clamp(1, outcome.timeline.len().max(1));
    let timeline = &outcome.timeline[..whole_seconds.min(outcome.timeline.len())];
    let series = |name: &str, of: fn(&Moment) -> f64| Series {
        name: name.to_owned(),
        values: timeline.iter().map(of).collect(),
    };
    let throughput = Chart {
        unit: "events/s",
        series: vec![
            series("received", |moment| moment.received as f64),
            series("of those, forwarded by another edge", |moment| moment.forwarded as f64),
        ],
        scale: Scale::Linear,
        reference: Some(("offered", outcome.events.offered_per_second)),
        colours: 'c',
    };
    let latency = Chart {
        unit: "ms",
        series: vec![
            series("p50", |moment| moment.latency_ms.p50),
            series("p90", |moment| moment.latency_ms.p90),
            series("p99", |moment| moment.latency_ms.p99),
            series("max", |moment| moment.latency_ms.max),
        ],
        scale: Scale::Logarithmic,
        reference: None,
        colours: 'o',
    };
    let nodes: BTreeSet<&String> = timeline.iter().flat_map(|moment| moment.nodes.keys()).collect();
    let of_node = |node: &&String| Series {
        name: (*node).clone(),
        values: timeline.iter().map(|moment| moment.nodes.get(*node).copied().unwrap_or(0) as f64).collect(),
    };
    let connections = Chart {
        unit: "sessions",
        series: nodes.iter().map(of_node).collect(),
        scale: Scale::Stacked,
        reference: None,
        colours: 'c',
    };
    format!(
        "<h2>Throughput</h2>{}<h2>Latency</h2>{}<h2>Sessions per edge</h2>{}",
        throughput.render(),
        latency.render(),
        connections.render()
    )
}

fn totals(outcome: &Outcome) -> String {
    let rows: String = rows(outcome)
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value)))
        .collect();
    format!("<table>{rows}</table>")
}

/// Who lost its connection, when, and for how long.
fn outages(outcome: &Outcome) -> String {
    let outages = &outcome.reconnects.outages;
    if outages.is_empty() {
        return String::new();
    }
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.0} ms"));
    let rows: String = outages
        .iter()
        .map(|outage| {
            format!(
                "<tr><td>{}</td><td>{:.1} s</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&outage.session),
                outage.at,
                escape(&outage.from),
                escape(outage.to.as_deref().unwrap_or("–")),
                ms(outage.away_ms),
                ms(outage.gap_ms),
                outage.attempts,
            )
        })
        .collect();
    format!(
        "<h2>Connections lost</h2><table><tr><th>Session</th><th>At</th><th>From</th><th>To</th><th>Away</th>\
         <th>Gap in events</th><th>Attempts</th></tr>{rows}</table>"
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6675;--line:#e1e5ea;--ground:#fbfbfc;\
--good:#18794e;--bad:#b3261e;\
--c0:#0b63b0;--c1:#d9820a;--c2:#0f8a63;--c3:#b8558f;--c4:#6a5fc1;--c5:#7a7f87;\
--o0:#9ec8ee;--o1:#4f97d6;--o2:#0b63b0;--o3:#0a2f57}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--line:#2b323b;--ground:#14181e;--good:#5bd6a0;\
--bad:#ff8a80;--c0:#5aa9f0;--c1:#f0b04a;--c2:#4cc9a0;--c3:#e292c0;--c4:#a79df0;--c5:#a4abb5;\
--o0:#2b5a86;--o1:#3f86c9;--o2:#7fbdf5;--o3:#d8ecff}}\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\
main{max-width:52rem;margin:0 auto;padding:2rem 1.25rem 4rem}h1{font-size:1.6rem;margin:0}\
h1 b{font-size:.95rem;font-weight:600;margin-left:.5rem;vertical-align:middle}\
.good{color:var(--good)}.bad{color:var(--bad)}\
h2{font-size:1.05rem;margin:2.25rem 0 .25rem}.soft{color:var(--soft);margin:.25rem 0 1.5rem;overflow-wrap:anywhere}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:1rem;\
color:var(--soft);font-size:.85rem}\
.tiles b{display:block;color:var(--ink);font-size:1.45rem;font-weight:600;line-height:1.2;\
font-variant-numeric:tabular-nums}\
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;color:var(--soft);font-size:.85rem;margin:.25rem 0}\
.legend i{display:inline-block;width:.9rem;height:.2rem;margin-right:.4rem;vertical-align:middle;\
background:currentColor}\
i.dash{background:none!important;border-top:2px dashed var(--soft);height:0}\
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}\
text.y{text-anchor:end}text.x{text-anchor:middle}path.grid{stroke:var(--line)}\
path.line{fill:none;stroke-width:2;stroke-linejoin:round}path.dash{stroke:var(--soft);stroke-dasharray:5 4;fill:none}\
path.area{stroke:var(--ground);stroke-width:1}\
.c0{--k:var(--c0)}.c1{--k:var(--c1)}.c2{--k:var(--c2)}.c3{--k:var(--c3)}.c4{--k:var(--c4)}.c5{--k:var(--c5)}\
.o0{--k:var(--o0)}.o1{--k:var(--o1)}.o2{--k:var(--o2)}.o3{--k:var(--o3)}\
i[class]{background:var(--k)}path.line{stroke:var(--k)}path.area{fill:var(--k);fill-opacity:.85}\
rect.tip{fill:var(--ink);opacity:0}rect.tip:hover{opacity:.07}\
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem .75rem .3rem 0;\
border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums;vertical-align:top}\
th{font-weight:600;color:var(--soft);white-space:nowrap}";
