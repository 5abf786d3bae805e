//! Transports as listeners: what is spoken where, and who may come in.

use super::auth;
use super::document::{Item, Report, Section};
use super::draft::Draft;
use super::options::Options;
use super::realms::Realms;
use std::path::Path;

/// What a transport is converted with.
#[derive(Debug)]
pub(super) struct Context<'c, 'd> {
    pub(super) realms: &'c Realms<'d>,
    /// The path of the transport that is for the links of the mesh.
    pub(super) mesh_transport: Option<&'c str>,
    /// The directory that relative paths are relative to.
    pub(super) base: &'c Path,
    /// A variable of the environment.
    pub(super) environment: fn(&str) -> Option<String>,
}

/// One transport, whichever of the forms it was written in.
#[derive(Debug)]
struct Front<'d> {
    kind: &'static str,
    path: String,
    endpoint: Item<'d>,
    /// The path of WebSocket URLs, and where it is said.
    http_path: Option<(String, String)>,
    serializers: Option<Item<'d>>,
    websocket: Option<Item<'d>>,
    rawsocket: Option<Item<'d>>,
    auth: Option<Item<'d>>,
}

/// None when the transport is not carried over, which is then reported.
pub(super) fn convert(item: &Item<'_>, context: &Context<'_, '_>, report: &mut Report) -> Option<Draft> {
    let mut section = item.section(report)?;
    section.take("id");
    let kind = section.need("type", report)?.text(report)?;
    if !["websocket", "rawsocket", "universal", "web"].contains(&kind) {
        report.remark(&item.path, format!("not carried over: transports of type {kind:?} do not exist here"));
        return None;
    }
    let endpoint = section.need("endpoint", report)?;
    let front = match kind {
        "websocket" | "rawsocket" => single(kind, &mut section, endpoint, report),
        "web" => {
            let paths = section.need("paths", report)?;
            web(&item.path, &paths, endpoint, report)
        }
        _ => universal(&mut section, endpoint, report),
    };
    section.leave("cookie", "not carried over: sessions are not told apart by cookies", report);
    section.finish(report);
    write(&front?, context, report)
}

/// A port that speaks one thing.
fn single<'d>(kind: &str, section: &mut Section<'d>, endpoint: Item<'d>, report: &mut Report) -> Option<Front<'d>> {
    let url = section.take("url");
    let http_path = url.and_then(|url| Some((path_of_url(url.text(report)?)?, url.path)));
    let options = section.take("options");
    let is_websocket = kind == "websocket";
    Some(Front {
        kind: if is_websocket { "websocket" } else { "rawsocket" },
        path: section.path.clone(),
        endpoint,
        http_path: http_path.filter(|_| is_websocket),
        serializers: section.take("serializers"),
        websocket: options.clone().filter(|_| is_websocket),
        rawsocket: options.filter(|_| !is_websocket),
        auth: section.take("auth"),
    })
}

/// The paths of a web transport, of which the first that speaks WebSocket is carried over.
fn web<'d>(path: &str, paths: &Item<'d>, endpoint: Item<'d>, report: &mut Report) -> Option<Front<'d>> {
    let mut paths = paths.section(report)?;
    let mut front: Option<Front<'d>> = None;
    for (name, item) in paths.rest() {
        let Some(mut service) = item.section(report) else { continue };
        match service.take_text("type", report) {
            Some("websocket") if front.is_none() => {
                let mut found = single("websocket", &mut service, endpoint.clone(), report)?;
                found.path = path.to_owned();
                found.http_path = Some((format!("/{}", name.trim_start_matches('/')), item.path.clone()));
                front = Some(found);
                service.leave("cookie", "not carried over: sessions are not told apart by cookies", report);
                service.finish(report);
            }
            Some("websocket") => report.remark(&item.path, "not carried over: a port has one path for WebSockets"),
            Some("nodeinfo") if name.trim_matches('/') == "info" => {}
            Some("nodeinfo") => report.remark(&item.path, "this page is at /info"),
            kind => {
                let kind = kind.unwrap_or("none");
                let sentence =
                    format!("not carried over: {kind} is for a web server, which can stand beside this router");
                report.remark(&item.path, sentence);
            }
        }
    }
    if front.is_none() {
        report.remark(path, "not carried over: none of its paths speaks WebSocket");
    }
    front
}

/// A port that tells what it is spoken to in.
fn universal<'d>(section: &mut Section<'d>, endpoint: Item<'d>, report: &mut Report) -> Option<Front<'d>> {
    let path = section.path.clone();
    section.leave("mqtt", "not carried over: this router speaks WAMP only", report);
    let web_paths = section.take("web").and_then(|web| web.section(report)).and_then(|mut web| web.take("paths"));
    let websocket = match section.take("websocket") {
        Some(paths) => web(&path, &paths, endpoint.clone(), report),
        None => None,
    };
    if let Some(mut paths) = web_paths.and_then(|paths| paths.section(report)) {
        for (name, item) in paths.rest() {
            let is_info = name.trim_matches('/') == "info";
            let is_nodeinfo = item.value.get("type").is_some_and(|kind| kind == "nodeinfo");
            if !(is_info && is_nodeinfo) {
                report.remark(
                    &item.path,
                    "not carried over: pages are for a web server, which can stand beside this router",
                );
            }
        }
    }
    let rawsocket = section.take("rawsocket").and_then(|item| item.section(report)).and_then(|mut rawsocket| {
        let front = single("rawsocket", &mut rawsocket, endpoint, report);
        rawsocket.finish(report);
        front
    });
    match (websocket, rawsocket) {
        (Some(websocket), Some(rawsocket)) => {
            if websocket.auth.as_ref().map(|item| item.value) != rawsocket.auth.as_ref().map(|item| item.value) {
                let sentence = "not carried over: its auth is not that of the WebSockets, and a port has one";
                report.remark(&rawsocket.path, sentence);
                return Some(websocket);
            }
            if let Some(serializers) = &rawsocket.serializers {
                report
                    .remark(&serializers.path, "not carried over: a port has one list of serializers, the WebSockets'");
            }
            Some(Front { kind: "universal", rawsocket: rawsocket.rawsocket, ..websocket })
        }
        (Some(one), None) | (None, Some(one)) => Some(Front { path, ..one }),
        (None, None) => {
            report.remark(&path, "not carried over: it speaks neither WebSocket nor RawSocket");
            None
        }
    }
}

fn write(front: &Front<'_>, context: &Context<'_, '_>, report: &mut Report) -> Option<Draft> {
    let is_mesh = context.mesh_transport == Some(front.path.as_str());
    let auth = match &front.auth {
        _ if is_mesh => Draft::default(),
        None if context.realms.has_role("anonymous") => Draft::default(),
        None => {
            report.remark(&front.path, "not carried over: it admits the role 'anonymous', which no realm has");
            return None;
        }
        Some(item) => match auth::convert(item, context.realms, report) {
            Some(auth) => auth,
            None => {
                report.remark(&front.path, "not carried over: none of its ways to come in is");
                return None;
            }
        },
    };
    let mut draft = Draft::default();
    draft.table("[[listen]]", &front.path);
    draft.set("type", front.kind, &front.path);
    let tls = endpoint(&front.endpoint, context, &mut draft, report)?;
    if is_mesh {
        draft.set("purpose", "mesh", &front.path);
    }
    if let Some((path, source)) = &front.http_path {
        draft.set("path", path.as_str(), source);
    }
    if let Some(item) = &front.serializers {
        serializers(item, &mut draft, report)?;
    }
    let mut options = Options::default();
    front.websocket.iter().for_each(|item| options.websocket(item, report));
    front.rawsocket.iter().for_each(|item| options.rawsocket(item, report));
    if !is_mesh {
        options.say_message_size(&front.path, report);
    }
    draft.append(options.keys);
    draft.append(options.compression);
    if is_mesh && !tls.is_empty() {
        report.remark(
            &front.endpoint.path,
            "its tls is not carried over: links are not encrypted, keep them inside one site",
        );
    } else {
        draft.append(tls);
    }
    draft.append(auth);
    if !options.limits.is_empty() {
        draft.table("[listen.limits]", &front.path);
        draft.append(options.limits);
    }
    Some(draft)
}

fn serializers(item: &Item<'_>, draft: &mut Draft, report: &mut Report) -> Option<()> {
    let mut known = Vec::new();
    for entry in item.list(report) {
        match entry.text(report)? {
            name @ ("cbor" | "msgpack" | "json") => known.push(name),
            name => {
                report.remark(&entry.path, format!("not carried over: the serializer {name:?} does not exist here"))
            }
        }
    }
    if known.is_empty() {
        report.mistake(&item.path, "none of its serializers exists here, known are \"cbor\", \"msgpack\" and \"json\"");
        return None;
    }
    draft.set("serializers", known, &item.path);
    Some(())
}

/// Writes the address and what belongs to it; returns the table for TLS.
fn endpoint(item: &Item<'_>, context: &Context<'_, '_>, draft: &mut Draft, report: &mut Report) -> Option<Draft> {
    let mut section = item.section(report)?;
    let mut tls = Draft::default();
    match section.need("type", report)?.text(report)? {
        "unix" => {
            let path = section.need("path", report)?;
            let file = context.base.join(path.text(report)?);
            draft.set("address", format!("unix:{}", file.display()), &path.path);
        }
        "tcp" => {
            let version = section.take("version").and_then(|version| version.number(report));
            let any = if version == Some(6) { "::" } else { "0.0.0.0" };
            let host = section.take_text("interface", report).unwrap_or(any);
            let port = port(&section.need("port", report)?, context, report)?;
            draft.set("address", authority(host, port), &item.path);
            section.leave("shared", "not needed: one process has the port", report);
            section.leave("user_timeout", "not needed: dead peers are found by pings and keepalive", report);
            if let Some(of_tls) = section.take("tls").and_then(|tls| tls.section(report)) {
                write_tls(of_tls, context.base, &mut tls, report);
            }
        }
        other => {
            report.remark(&item.path, format!("not carried over: endpoints of type {other:?} do not exist here"));
            return None;
        }
    }
    if let Some(backlog) = section.take("backlog")
        && let Some(number) = backlog.number(report)
    {
        draft.set("backlog", number as i64, &backlog.path);
    }
    section.finish(report);
    Some(tls)
}

/// A number, or a variable of the environment: `$PORT` or `${PORT}`.
fn port(item: &Item<'_>, context: &Context<'_, '_>, report: &mut Report) -> Option<u64> {
    let Some(name) = item.value.as_str().and_then(|text| text.strip_prefix('$')) else { return item.number(report) };
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    match (context.environment)(name).and_then(|value| value.parse().ok()) {
        Some(port) => {
            report.remark(&item.path, format!("the variable {name} is carried over with the value that it has now"));
            Some(port)
        }
        None => {
            report.mistake(&item.path, format!("the environment has no number as the variable {name}"));
            None
        }
    }
}

fn write_tls(mut section: Section<'_>, base: &Path, tls: &mut Draft, report: &mut Report) {
    tls.table("[listen.tls]", &section.path);
    for key in ["certificate", "key"] {
        if let Some(item) = section.need(key, report)
            && let Some(file) = item.text(report)
        {
            tls.set(key, base.join(file).display().to_string(), &item.path);
        }
    }
    if let Some(chain) = section.take("chain_certificates")
        && !chain.list(report).is_empty()
    {
        report.remark(&chain.path, "not carried over: append these to the file of the certificate");
    }
    if let Some(authorities) = section.take("ca_certificates") {
        let files = authorities.texts(report);
        if let [first, ..] = files[..] {
            tls.set("client_ca", base.join(first).display().to_string(), &authorities.path);
        }
        if files.len() > 1 {
            report.remark(&authorities.path, "only the first is carried over: append the others to its file");
        }
    }
    section.leave("dhparam", "not needed: the key exchange is that of TLS 1.3, or elliptic curves", report);
    section.leave("ciphers", "not carried over: only ciphers without known weaknesses are offered", report);
    section.finish(report);
}

/// Where an endpoint connects to, as a link is told it.
pub(super) fn connecting_address(item: &Item<'_>, report: &mut Report) -> Option<String> {
    let mut section = item.section(report)?;
    let address = match section.need("type", report)?.text(report)? {
        "unix" => format!("unix:{}", section.need("path", report)?.text(report)?),
        "tcp" => {
            let host = section.need("host", report)?.text(report)?;
            authority(host, section.need("port", report)?.number(report)?)
        }
        other => {
            report.mistake(&item.path, format!("an endpoint of type {other:?} is nothing that can be linked to here"));
            return None;
        }
    };
    section.leave("tls", "not carried over: links are not encrypted, keep them inside one site", report);
    section.leave("timeout", "not needed: links are dialed until they are up", report);
    section.leave("version", "not needed: every address of a name is tried", report);
    section.finish(report);
    Some(address)
}

/// `ws://host:port/path` as `host:port`
pub(super) fn address_of_url(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let address = rest.split('/').next()?;
    address.contains(':').then(|| address.to_owned())
}

/// `ws://host:port/path` as `/path`
fn path_of_url(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    rest.split_once('/').filter(|(_, path)| !path.is_empty()).map(|(_, path)| format!("/{path}"))
}

fn authority(host: &str, port: u64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
