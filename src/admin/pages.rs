//! The pages for people: one small style, light and dark, nothing loaded from elsewhere.

use super::{NodeBrief, NodeStatus};

/// `GET /` on a port that speaks WAMP: says what this is, and who served whom.
pub fn status_page(node: &str, pid: u32, peer: &str, websocket_path: &str) -> String {
    let body = format!(
        "<h1>{node}</h1>\
         <p class=lead>This is a <strong>crossbar-edge</strong>, a router of a crossbar-cluster. Programs talk to it \
         over <a href=\"https://wamp-proto.org/\">WAMP</a>: WebSocket at <code>{path}</code>, with \
         <code>wamp.2.cbor</code>, <code>wamp.2.msgpack</code> or <code>wamp.2.json</code>.</p>\
         <p>Served for {peer} from crossbar-edge router worker with PID {pid}.</p>\
         <p><a href=\"/info\">What this node is doing</a></p>",
        node = escape(node),
        path = escape(websocket_path),
        peer = escape(peer),
    );
    page(&format!("{node} – crossbar-edge"), &body)
}

/// `GET /info` for clients: that the node is there.
pub fn brief_page(brief: &NodeBrief) -> String {
    let body = facts(&[
        ("Node", brief.node.clone()),
        ("State", brief.state.clone()),
        ("Program", format!("{} {}", brief.program, brief.version)),
        ("Started", brief.started.clone()),
        ("Up for", duration(brief.uptime_seconds)),
    ]);
    info_body(&brief.node, &body)
}

/// `GET /info` for operators: the state of the node as tables.
pub fn info_page(status: &NodeStatus) -> String {
    let facts = facts(&[
        ("Node", status.node.clone()),
        ("State", status.state.to_owned()),
        ("Host", status.hostname.clone()),
        ("PID", status.pid.to_string()),
        ("Started", status.started.clone()),
        ("Up for", duration(status.uptime_seconds)),
        ("Public key", status.public_key.clone()),
        ("Descriptors", status.descriptors_max.to_string()),
        ("Connections", status.connections.to_string()),
        ("Sessions", status.sessions.to_string()),
        ("Events wait at most", format!("{:.1} ms", status.event_delay_ms)),
    ]);
    let realms = status.realms.iter().map(|realm| {
        vec![
            realm.name.clone(),
            realm.sessions.to_string(),
            realm.subscriptions.to_string(),
            realm.registrations.to_string(),
        ]
    });
    let listeners = status.listeners.iter().map(|listener| {
        vec![listener.address.clone(), listener.connections.to_string(), listener.handshakes.to_string()]
    });
    let links = status.mesh.links.iter().map(|link| {
        let word = |is_up: bool| if is_up { "up" } else { "down" }.to_owned();
        vec![
            link.peer.clone(),
            link.realm.clone(),
            link.address.clone(),
            word(link.is_up),
            word(link.is_up_inbound),
            link.round_trip_ms.map_or_else(String::new, |ms| format!("{ms:.2} ms")),
            link.last_error.clone().unwrap_or_default(),
        ]
    });
    let links = match status.mesh.links.is_empty() {
        true => String::new(),
        false => {
            let head = ["Peer", "Realm", "Address", "Out", "In", "Round trip", "Last error"];
            format!("<h2>Links</h2>{}", table(&head, links))
        }
    };
    let body = format!(
        "{facts}{links}<h2>Realms</h2>{}<h2>Listeners</h2>{}",
        table(&["Realm", "Sessions", "Subscriptions", "Registrations"], realms),
        table(&["Address", "Connections", "In handshake"], listeners),
    );
    info_body(&status.node, &body)
}

fn info_body(node: &str, body: &str) -> String {
    page(&format!("{node} – info"), &format!("<h1>{}</h1>{body}", escape(node)))
}

/// Names and values as a table, without those that have no value.
fn facts(facts: &[(&str, String)]) -> String {
    let rows = facts.iter().filter(|(_, value)| !value.is_empty());
    let rows: String =
        rows.map(|(name, value)| format!("<tr><th>{name}</th><td>{}</td></tr>", escape(value))).collect();
    format!("<table>{rows}</table>")
}

/// The page for a path that is not served.
pub fn not_found_page(path: &str) -> String {
    let body = format!(
        "<h1>Not here</h1><p>There is nothing at <code>{}</code>. Try <a href=\"/\">the start</a> or \
         <a href=\"/info\">the state of this node</a>.</p>",
        escape(path)
    );
    page("Not found – crossbar-edge", &body)
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, cells: &[String]| -> String {
        cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect()
    };
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: String = rows.map(|row| format!("<tr>{}</tr>", cells("td", &row))).collect();
    format!("<table class=wide><tr>{}</tr>{rows}</table>", cells("th", &head))
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\"><title>{}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main><footer>crossbar-cluster {}</footer></body></html>",
        escape(title),
        env!("CARGO_PKG_VERSION"),
    )
}

/// Text for HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// `1 d 2 h`, `3 h 4 min`, `5 min 6 s`: the two largest units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6675;--line:#d9dee5;--ground:#f7f8fa;--accent:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--line:#313945;--ground:#14181e;--accent:#ff8a80}}\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);\
font:16px/1.55 system-ui,sans-serif}main{max-width:46rem;margin:0 auto;padding:3rem 1.25rem 1rem}\
h1{font-size:1.9rem;margin:0 0 .75rem;border-left:.3rem solid var(--accent);padding-left:.75rem}\
h2{font-size:1.1rem;margin:2rem 0 .5rem}.lead{font-size:1.1rem}a{color:var(--accent)}\
code{font-size:.92em;background:color-mix(in srgb,var(--line) 55%,transparent);padding:.1em .35em;border-radius:.25em}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .75rem .4rem 0;\
border-bottom:1px solid var(--line);overflow-wrap:anywhere;font-variant-numeric:tabular-nums}\
th{font-weight:600;color:var(--soft);white-space:nowrap}\
footer{max-width:46rem;margin:0 auto;padding:1rem 1.25rem 3rem;color:var(--soft);font-size:.85rem}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn durations_show_two_units() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3_661), "1 h 1 min");
        assert_eq!(duration(90_061), "1 d 1 h");
    }
}
