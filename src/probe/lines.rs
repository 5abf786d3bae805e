//! The original's lines, word for word: people and scripts know them.

use super::clock::timestamp;
use super::process::Load;
use super::settings::Settings;
use crate::wire::{Dict, Value};

/// What one session has counted within one period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub received: u64,
    pub forwarded: u64,
    pub published: u64,
    pub calls_answered: u64,
    pub calls_issued: u64,
}

impl Counted {
    /// What was counted since `before`.
    pub(super) fn since(&self, before: &Counted) -> Counted {
        Counted {
            received: self.received - before.received,
            forwarded: self.forwarded - before.forwarded,
            published: self.published - before.published,
            calls_answered: self.calls_answered - before.calls_answered,
            calls_issued: self.calls_issued - before.calls_issued,
        }
    }
}

/// Said by the conductor and by each client process.
pub(super) fn starting(pid: u32) -> String {
    format!("Client with PID {pid} starting ..")
}

pub(super) fn started(pids: &[u32]) -> String {
    format!("Started clients with PIDs {pids:?}")
}

/// A session is welcome.
pub(super) fn connected(name: &str, batch: &str, realm: &str, session: u64, details: &Dict) -> String {
    let word = |key: &str| details.str(key).unwrap_or("None");
    let authextra = details.get("authextra").unwrap_or(&Value::Null);
    format!(
        "{} {name} connected [batch=\"{batch}\"]: SessionDetails(realm=<{realm}>, session={session}, authid=<{}>, \
         authrole=<{}>, authmethod={}, authprovider={}, authextra={}, resumed=None, resumable=None, resume_token=None)",
        timestamp(),
        word("authid"),
        word("authrole"),
        word("authmethod"),
        word("authprovider"),
        python(authextra),
    )
}

/// A session is subscribed, and publishes as soon as all are.
pub(super) fn ready(name: &str, settings: &Settings) -> String {
    let Settings { period, loops, rate, stride, size, .. } = settings;
    format!(
        "{} {name} ready [period={period}, loops={loops}, rate={rate}, stride={stride}, size={size}, logname={name}]",
        timestamp()
    )
}

/// The process's load; `switches` per second.
pub(super) fn load(load: &Load, switches: f64) -> String {
    format!(
        "{} LOAD: {:.2} user, {:.2} system, {:.1} mem_percent, {switches:.1} ctx",
        timestamp(),
        load.user,
        load.system,
        load.mem_percent
    )
}

/// What a session has received and published in the last `seconds`.
pub(super) fn events(name: &str, counted: &Counted, seconds: f64) -> String {
    let Counted { received, forwarded, published, .. } = counted;
    format!(
        "{} WAMP {name}.*: {received} events received ({forwarded} forwarded), {:.0} events/second, {published} events \
         published, {:.0} events/second",
        timestamp(),
        *received as f64 / seconds,
        *published as f64 / seconds,
    )
}

/// The same for calls; said only where there is somebody to call.
pub(super) fn calls(name: &str, counted: &Counted, seconds: f64) -> String {
    let Counted { calls_answered, calls_issued, .. } = counted;
    format!(
        "{} WAMP {name}.*: {calls_answered} calls answered, {:.0} calls/second, {calls_issued} calls issued, \
         {:.0} calls/second",
        timestamp(),
        *calls_answered as f64 / seconds,
        *calls_issued as f64 / seconds,
    )
}

pub(super) fn leaving(name: &str, reason: &str) -> String {
    format!("{} {name} leaving: reason=\"{reason}\"", timestamp())
}

pub(super) fn terminated() -> String {
    format!("{} Main loop terminated.", timestamp())
}

/// A remark with a time, for `--debug`.
pub(super) fn remark(name: &str, text: &str) -> String {
    format!("{} {name}: {text}", timestamp())
}

/// A value as Python writes it, which is what the original is written in.
fn python(value: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Uint(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Bytes(bytes) => format!("bytes.fromhex('{}')", hex::encode(bytes)),
        Value::List(values) => format!("[{}]", values.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Dict(dict) => {
            let pairs: Vec<_> = dict.iter().map(|(key, value)| format!("{}: {}", quoted(key), python(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind the time.
    fn rest(line: &str) -> &str {
        line.split_once(' ').unwrap().1
    }

    #[test]
    fn lines_are_those_of_the_original() {
        let extra = Dict::new().with("x_cb_node_id", Value::Null).with("x_cb_peer", "tcp4:127.0.0.1:1372");
        let details = Dict::new()
            .with("authid", "M9HL-79YM-QGWP-4X37-P395-Y5EW")
            .with("authrole", "anonymous")
            .with("authmethod", "anonymous")
            .with("authprovider", "static")
            .with("authextra", extra.with("x_cb_pid", 20404u64));
        assert_eq!(
            rest(&connected("publisher0.0", "78fbc10a", "realm1", 2306096914579341, &details)),
            "publisher0.0 connected [batch=\"78fbc10a\"]: SessionDetails(realm=<realm1>, session=2306096914579341, \
             authid=<M9HL-79YM-QGWP-4X37-P395-Y5EW>, authrole=<anonymous>, authmethod=anonymous, authprovider=static, \
             authextra={'x_cb_node_id': None, 'x_cb_peer': 'tcp4:127.0.0.1:1372', 'x_cb_pid': 20404}, resumed=None, \
             resumable=None, resume_token=None)"
        );
        let counted = Counted { received: 1, published: 1, ..Counted::default() };
        assert_eq!(
            rest(&events("publisher0.0", &counted, 1.0)),
            "WAMP publisher0.0.*: 1 events received (0 forwarded), 1 events/second, 1 events published, 1 events/second"
        );
        let now = Load { user: 1.24, system: 0.55, mem_percent: 0.94, switches: 3 };
        assert_eq!(rest(&load(&now, 3.0)), "LOAD: 1.24 user, 0.55 system, 0.9 mem_percent, 3.0 ctx");
        assert_eq!(
            rest(&leaving("publisher0.0", "wamp.close.transport_lost")),
            "publisher0.0 leaving: reason=\"wamp.close.transport_lost\""
        );
        assert_eq!(started(&[24288]), "Started clients with PIDs [24288]");
    }

    #[test]
    fn strings_of_others_stay_strings() {
        let value = Value::List(vec!["it's".into(), true.into(), Value::Bytes(vec![255]), Value::Int(-1)]);
        assert_eq!(python(&value), "['it\\'s', True, bytes.fromhex('ff'), -1]");
    }
}
