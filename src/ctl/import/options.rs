//! The `options` of a transport: some are keys of a listener, some its limits, and of the others it is said why not.

use super::document::{Item, Report, Section};
use super::draft::Draft;
use crate::config::origin::OriginPattern;
use crate::limits::Limits;

/// What options become.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) keys: Draft,
    pub(super) compression: Draft,
    pub(super) limits: Draft,
    has_message_size: bool,
}

impl Options {
    pub(super) fn websocket(&mut self, item: &Item<'_>, report: &mut Report) {
        let Some(mut section) = item.section(report) else { return };
        self.message_size(&mut section, report);
        if let Some(interval) = section.take("auto_ping_interval")
            && let Some(ms) = interval.number(report)
        {
            self.keys.set("ping_interval", span(ms), &interval.path);
        }
        timeout(&mut section, "auto_ping_timeout", "ping_timeout", &mut self.keys, report);
        timeout(&mut section, "open_handshake_timeout", "handshake_timeout", &mut self.limits, report);
        timeout(&mut section, "close_handshake_timeout", "close_timeout", &mut self.limits, report);
        for (from, to) in
            [("allow_null_origin", "allow_null_origin"), ("require_websocket_subprotocol", "require_subprotocol")]
        {
            if let Some(item) = section.take(from)
                && let Some(is_so) = item.boolean(report)
            {
                self.keys.set(to, is_so, &item.path);
            }
        }
        if let Some(origins) = section.take("allowed_origins") {
            self.origins(&origins, report);
        }
        if let Some(compression) = section.take("compression") {
            self.compression(&compression, report);
        }
        for (key, sentence) in WITHOUT_COUNTERPART {
            section.leave(key, sentence, report);
        }
        section.finish(report);
    }

    pub(super) fn rawsocket(&mut self, item: &Item<'_>, report: &mut Report) {
        let Some(mut section) = item.section(report) else { return };
        self.message_size(&mut section, report);
        section.finish(report);
    }

    /// Says what holds where the file does not say how large a message may be: it is less than in Crossbar.io.
    pub(super) fn say_message_size(&self, path: &str, report: &mut Report) {
        if !self.has_message_size {
            report.remark(path, "max_message_size is not set: here messages of more than 1 MiB are refused by default");
        }
    }

    fn message_size(&mut self, section: &mut Section<'_>, report: &mut Report) {
        let Some(item) = section.take("max_message_size") else { return };
        match item.number(report) {
            None => {}
            Some(0) => report.remark(&item.path, "0 is not carried over: by default a message has at most 1 MiB here"),
            Some(_) if self.has_message_size => {
                report.remark(&item.path, "not carried over: the size for WebSocket messages holds for the whole port");
            }
            Some(bytes) => {
                self.limits.set("message_bytes_max", bytes as i64, &item.path);
                if bytes > Limits::default().outbox_bytes_max as u64 {
                    self.limits.set("outbox_bytes_max", bytes as i64, &item.path);
                }
            }
        }
        self.has_message_size = true;
    }

    fn origins(&mut self, item: &Item<'_>, report: &mut Report) {
        let mut origins = Vec::new();
        for origin in item.list(report) {
            let Some(text) = origin.text(report) else { continue };
            match OriginPattern::parse(text) {
                Some(_) => origins.push(text),
                None => {
                    report.remark(&origin.path, "not carried over: it is no origin such as \"https://*.example.com\"")
                }
            }
        }
        self.keys.set("allowed_origins", origins, &item.path);
    }

    fn compression(&mut self, item: &Item<'_>, report: &mut Report) {
        let Some(mut kinds) = item.section(report) else { return };
        let deflate = kinds.take("deflate");
        for (_, other) in kinds.rest() {
            report.remark(&other.path, "not carried over: deflate is the only compression here");
        }
        let Some(mut section) = deflate.and_then(|item| item.section(report)) else { return };
        self.compression.table("[listen.compression]", &section.path);
        for (from, to) in
            [("max_window_bits", "server_window_bits_max"), ("request_max_window_bits", "client_window_bits_max")]
        {
            let Some(item) = section.take(from) else { continue };
            match item.number(report) {
                // Zero leaves it to the client, for which there is the largest window.
                None | Some(0) => {}
                Some(bits) => self.compression.set(to, bits as i64, &item.path),
            }
        }
        for (from, to) in [
            ("no_context_takeover", "server_no_context_takeover"),
            ("request_no_context_takeover", "client_no_context_takeover"),
        ] {
            if let Some(item) = section.take(from)
                && let Some(is_so) = item.boolean(report)
            {
                self.compression.set(to, is_so, &item.path);
            }
        }
        section.leave("memory_level", "not carried over: the deflate library here has no such setting", report);
        section.finish(report);
    }
}

/// A time in milliseconds, of which zero means that there is no bound.
fn timeout(section: &mut Section<'_>, from: &str, to: &str, into: &mut Draft, report: &mut Report) {
    let Some(item) = section.take(from) else { return };
    match item.number(report) {
        None => {}
        Some(0) => report.remark(&item.path, "0 is not carried over: there is always a bound here"),
        Some(ms) => into.set(to, span(ms), &item.path),
    }
}

/// `"10s"`, `"2500ms"`
fn span(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// Options for which there is nothing here, and what there is instead.
const WITHOUT_COUNTERPART: [(&str, &str); 15] = [
    ("max_frame_size", "not needed: the size of a message is bounded, in however many frames it comes"),
    ("auto_fragment_size", "not needed: messages are sent as one frame"),
    ("auto_ping_size", "not needed: pings carry what finds their answers again"),
    ("auto_ping_restart_on_any_traffic", "not needed: only silent connections are pinged"),
    ("fail_by_drop", "not needed: a connection with a fault gets its close frame, and little time for the answer"),
    ("echo_close_codereason", "not needed: a close frame is answered as RFC 6455 says"),
    ("validate_utf8", "not needed: text is always checked"),
    ("mask_server_frames", "not carried over: RFC 6455 forbids it"),
    ("require_masked_client_frames", "not needed: RFC 6455 demands it"),
    ("apply_mask", "not carried over: RFC 6455 demands it"),
    ("tcp_nodelay", "not needed: it is always on"),
    ("enable_hybi10", "not carried over: RFC 6455 is what is spoken"),
    ("enable_rfc6455", "not needed: RFC 6455 is what is spoken"),
    ("enable_webstatus", "not needed: the status page is always there"),
    ("show_server_version", "not carried over: answers do not name a version"),
];
