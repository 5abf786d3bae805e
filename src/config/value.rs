//! The values of the configuration: how each is written and what it is. Parsing is all the validation there is, so a
//! value that was read can be relied on.

use super::mistake::{nearest, one_of};
use super::origin::OriginPattern;
use super::resolved::{Address, InfoPage, LogFormat, ProxyProtocol, Purpose, SlowConsumer, Transport};
use super::table::{Scalar, string_literal};
use crate::auth::Secret;
use crate::auth::cryptosign::PublicKey;
use crate::cluster::is_node_id;
use crate::realm::Action;
use crate::session::admission::RequestIds;
use crate::wamp::uri::{Match, UriCheck};
use crate::wire::Serializer;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// Some bytes, as `"64KiB"` or a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// Some time, as `"250ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int<const MIN: u64, const MAX: u64>(pub(super) u64);

/// Text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(pub(super) String);

/// The id of a node: it appears in file names, metrics and on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeId(pub(super) String);

/// The name of a master or an operator, which may be that of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

/// A name of a host, as `Host` of an HTTP request has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

/// The path of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpPath(pub(super) String);

/// The mode of a file, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode(pub(super) u32);

/// A filter of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogLevel(pub(super) String);

/// Where a WebSocket server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebSocketUrl(pub(super) String);

/// A secret, or where to find it. Only references are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretText {
    Inline(Secret),
    Environment(String),
    File(PathBuf),
    /// A credential that systemd hands to the unit.
    Credential(String),
}

impl SecretText {
    /// How a secret may be written.
    pub(super) fn forms() -> &'static str {
        "the secret itself, \"env:NAME\", \"file:/path\" or \"credential:NAME\""
    }
}

/// What may be disclosed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disclose {
    Caller,
    Publisher,
}

impl Scalar for bool {
    fn allowed() -> String {
        "true or false".to_owned()
    }

    fn parse(value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }

    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Scalar for Size {
    fn allowed() -> String {
        "a size such as 4096, \"64KiB\" or \"1MiB\"".to_owned()
    }

    fn parse(value: &DeValue<'_>) -> Option<Size> {
        match value {
            DeValue::String(text) => {
                let digits = text.bytes().take_while(u8::is_ascii_digit).count();
                let factor = SIZES.iter().find(|(unit, _)| *unit == text[digits..].trim_start())?.1;
                text[..digits].parse::<u64>().ok()?.checked_mul(factor).map(Size)
            }
            _ => integer(value).map(Size),
        }
    }

    fn literal(&self) -> String {
        match SIZES.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) if *factor > 1 && self.0 > 0 => format!("\"{}{unit}\"", self.0 / factor),
            _ => self.0.to_string(),
        }
    }
}

impl Scalar for Span {
    fn allowed() -> String {
        "a duration such as \"250ms\", \"10s\" or \"2m\"".to_owned()
    }

    fn parse(value: &DeValue<'_>) -> Option<Span> {
        let text = value.as_str()?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let factor = TIMES_US.iter().find(|(unit, _)| *unit == text[digits..].trim_start())?.1;
        text[..digits].parse::<u64>().ok()?.checked_mul(factor).map(|us| Span(Duration::from_micros(us)))
    }

    fn literal(&self) -> String {
        let us = self.0.as_micros() as u64;
        // Zero is zero of anything; milliseconds read best.
        let (unit, factor) = match TIMES_US.iter().find(|(_, factor)| us.is_multiple_of(*factor)) {
            Some(time) if us > 0 => *time,
            _ => ("ms", 1_000),
        };
        format!("\"{}{unit}\"", us / factor)
    }
}

impl<const MIN: u64, const MAX: u64> Scalar for Int<MIN, MAX> {
    fn allowed() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(value: &DeValue<'_>) -> Option<Int<MIN, MAX>> {
        integer(value).filter(|number| (MIN..=MAX).contains(number)).map(Int)
    }

    fn literal(&self) -> String {
        self.0.to_string()
    }
}

impl<T: Scalar> Scalar for Vec<T> {
    fn allowed() -> String {
        format!("a list, each entry {}", T::allowed())
    }

    fn parse(value: &DeValue<'_>) -> Option<Vec<T>> {
        value.as_array()?.iter().map(|value| T::parse(value.get_ref())).collect()
    }

    fn literal(&self) -> String {
        format!("[{}]", self.iter().map(Scalar::literal).collect::<Vec<_>>().join(", "))
    }

    const IS_SECRET: bool = T::IS_SECRET;
}

/// Types that are written as a string of their own syntax: what is allowed, how it is parsed, how it is written.
macro_rules! strings {
    ($($type:ty: $allowed:literal, |$text:ident| $parse:expr, |$value:ident| $write:expr;)*) => {$(
        impl Scalar for $type {
            fn allowed() -> String {
                $allowed.to_owned()
            }

            fn parse(value: &DeValue<'_>) -> Option<Self> {
                let $text = value.as_str()?;
                $parse
            }

            fn literal(&self) -> String {
                let $value = self;
                string_literal(&$write)
            }
        }
    )*};
}

strings! {
    Text: "text that is not empty",
        |text| (!text.trim().is_empty()).then(|| Text(text.to_owned())),
        |text| text.0;
    String: "text",
        |text| Some(text.to_owned()),
        |text| text;
    NodeId: "a name of letters, digits, '-' and '_', at most 64",
        |text| is_node_id(text).then(|| NodeId(text.to_owned())),
        |id| id.0;
    Name: "a name of letters, digits, '-', '_' and '.', at most 64",
        |text| (is_plain(text) && text.len() <= 64).then(|| Name(text.to_owned())),
        |name| name.0;
    PathBuf: "the path of a file or directory",
        |text| (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text)),
        |path| path.display().to_string();
    HttpPath: "a path that starts with '/'",
        |text| is_http_path(text).then(|| HttpPath(text.to_owned())),
        |path| path.0;
    Mode: "a mode in octal such as \"0660\"",
        |text| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).map(Mode),
        |mode| format!("{:04o}", mode.0);
    LogLevel: "a filter such as \"info\" or \"info,crossbar_cluster::session=debug\"",
        |text| check_log_filter(text).is_ok().then(|| LogLevel(text.to_owned())),
        |level| level.0;
    Address: "\"host:port\", \"[ipv6]:port\" or \"unix:/path\"",
        |text| parse_address(text),
        |address| address.to_string();
    OriginPattern: "an origin such as \"https://*.example.com\", or \"*\"",
        |text| OriginPattern::parse(text),
        |origin| origin.as_str();
    HostName: "the name of a host such as \"cluster.example.com\"",
        |text| is_plain(text).then(|| HostName(text.to_owned())),
        |name| name.0;
    WebSocketUrl: "a URL such as \"ws://host:9000/ws\" or \"wss://host/ws\"",
        |text| is_websocket_url(text).then(|| WebSocketUrl(text.to_owned())),
        |url| url.0;
    IpAddr: "an IP address",
        |text| text.parse().map(|address: IpAddr| address.to_canonical()).ok(),
        |address| address.to_string();
    PublicKey: "a public key of 64 hex digits",
        |text| text.parse().ok(),
        |key| key.to_string();
}

impl Scalar for SecretText {
    fn allowed() -> String {
        "text that is not empty, \"env:NAME\", \"file:/path\" or \"credential:NAME\"".to_owned()
    }

    fn parse(value: &DeValue<'_>) -> Option<SecretText> {
        let text = value.as_str()?;
        match text.split_once(':') {
            Some(("env", name)) => is_plain(name).then(|| SecretText::Environment(name.to_owned())),
            Some(("credential", name)) => is_credential(name).then(|| SecretText::Credential(name.to_owned())),
            Some(("file", path)) => (!path.is_empty()).then(|| SecretText::File(PathBuf::from(path))),
            _ => (!text.is_empty()).then(|| SecretText::Inline(Secret::new(text))),
        }
    }

    fn literal(&self) -> String {
        string_literal(&match self {
            SecretText::Inline(secret) => secret.to_string(),
            SecretText::Environment(name) => format!("env:{name}"),
            SecretText::File(path) => format!("file:{}", path.display()),
            SecretText::Credential(name) => format!("credential:{name}"),
        })
    }

    const IS_SECRET: bool = true;
}

/// Whether systemd gives credentials such names: those of files in one directory.
fn is_credential(name: &str) -> bool {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(is_in_name)
}

/// Enums whose values are words.
macro_rules! words {
    ($($type:ty { $($value:path = $word:literal,)* })*) => {$(
        impl Scalar for $type {
            fn allowed() -> String {
                crate::config::mistake::one_of([$($word,)*]).replace('\'', "\"")
            }

            fn parse(value: &DeValue<'_>) -> Option<Self> {
                match value.as_str()? {
                    $($word => Some($value),)*
                    _ => None,
                }
            }

            fn literal(&self) -> String {
                string_literal(match self { $($value => $word,)* })
            }
        }
    )*};
}

words! {
    Transport {
        Transport::WebSocket = "websocket",
        Transport::RawSocket = "rawsocket",
        Transport::Universal = "universal",
    }
    Purpose {
        Purpose::Client = "client",
        Purpose::Mesh = "mesh",
    }
    InfoPage {
        InfoPage::Brief = "brief",
        InfoPage::Full = "full",
    }
    ProxyProtocol {
        ProxyProtocol::Off = "off",
        ProxyProtocol::Optional = "optional",
        ProxyProtocol::Required = "required",
    }
    LogFormat {
        LogFormat::Auto = "auto",
        LogFormat::Human = "human",
        LogFormat::Json = "json",
        LogFormat::Journal = "journal",
    }
    SlowConsumer {
        SlowConsumer::Disconnect = "disconnect",
        SlowConsumer::DropOldest = "drop_oldest",
    }
    RequestIds {
        RequestIds::Strict = "strict",
        RequestIds::Lenient = "lenient",
    }
    UriCheck {
        UriCheck::Strict = "strict",
        UriCheck::Loose = "loose",
    }
    Match {
        Match::Exact = "exact",
        Match::Prefix = "prefix",
        Match::Wildcard = "wildcard",
    }
    Serializer {
        Serializer::Cbor = "cbor",
        Serializer::MsgPack = "msgpack",
        Serializer::Json = "json",
    }
    Action {
        Action::Call = "call",
        Action::Register = "register",
        Action::Publish = "publish",
        Action::Subscribe = "subscribe",
    }
    Disclose {
        Disclose::Caller = "caller",
        Disclose::Publisher = "publisher",
    }
}

/// A whole number that is not negative.
pub(super) fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether `text` is a filter of log lines: a level, or a list of `module=level`. The error is one sentence.
pub fn check_log_filter(text: &str) -> Result<(), String> {
    let Some(wrong) = text.split(',').find(|directive| !is_log_directive(directive)) else { return Ok(()) };
    let hint =
        nearest(wrong, LOG_LEVELS.into_iter()).map_or_else(String::new, |level| format!(" (did you mean '{level}'?)"));
    let levels = one_of(LOG_LEVELS);
    Err(format!("{wrong:?} is no log level{hint}, it must be {levels}, or a list of module=level"))
}

/// `level` or `module::path=level`
fn is_log_directive(text: &str) -> bool {
    let (target, level) = text.split_once('=').map_or((None, text), |(target, level)| (Some(target), level));
    target.is_none_or(|target| is_plain(&target.replace("::", "_")))
        && LOG_LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
}

fn is_http_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'))
}

fn is_websocket_url(text: &str) -> bool {
    let Ok(url) = text.parse::<hyper::Uri>() else { return false };
    matches!(url.scheme_str(), Some("ws" | "wss")) && url.host().is_some_and(|host| !host.is_empty())
}

/// See `Address`. The mode of a socket file comes from a key of its own.
fn parse_address(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        let is_path = !path.is_empty() && path.len() <= UNIX_PATH_BYTES_MAX && !path.contains('\0');
        return is_path.then(|| Address::Unix { path: PathBuf::from(path), mode: SOCKET_MODE });
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => is_plain(host).then(|| host.to_owned())?,
    };
    // `parse` alone would take "+80".
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    Some(Address::Tcp { host, port: port.parse().ok().filter(|_| is_number)? })
}

/// Members of the group that owns the socket may connect, for a proxy in front of it.
const SOCKET_MODE: u32 = 0o660;

/// The kernel's `sun_path`, without the zero at its end.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// From none to all.
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Largest first, so that the first that divides a size prints it shortest.
const SIZES: [(&str, u64); 6] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];

/// Largest first.
const TIMES_US: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Scalar>(literal: &str) -> Option<T> {
        T::parse(DeValue::parse(literal).unwrap().get_ref())
    }

    /// The literal that a literal is printed as, empty when it is refused.
    fn printed<T: Scalar>(literal: &str) -> String {
        parse::<T>(literal).map_or_else(String::new, |value| value.literal())
    }

    #[test]
    fn sizes_print_in_their_largest_unit() {
        for (literal, expected) in [
            ("4096", "\"4KiB\""),
            ("\"4096\"", "\"4KiB\""),
            ("\"4 KiB\"", "\"4KiB\""),
            ("\"1MiB\"", "\"1MiB\""),
            ("1000", "1000"),
            ("\"1000B\"", "1000"),
            ("0", "0"),
            ("0x10", "16"),
            ("\"1MB\"", ""),
            ("\"MiB\"", ""),
            ("-1", ""),
            ("1.5", ""),
            ("\"99999999999TiB\"", ""),
            ("99999999999999999999", ""),
        ] {
            assert_eq!(printed::<Size>(literal), expected, "{literal}");
        }
    }

    #[test]
    fn durations_print_in_their_largest_unit() {
        for (literal, expected) in [
            ("\"10s\"", "\"10s\""),
            ("\"250ms\"", "\"250ms\""),
            ("\"60s\"", "\"1m\""),
            ("\"1500 ms\"", "\"1500ms\""),
            ("\"0s\"", "\"0ms\""),
            ("\"36h\"", "\"36h\""),
            ("\"500us\"", "\"500us\""),
            ("\"10\"", ""),
            ("10", ""),
            ("\"s\"", ""),
            ("\"-1s\"", ""),
            ("\"99999999999999d\"", ""),
        ] {
            assert_eq!(printed::<Span>(literal), expected, "{literal}");
        }
    }

    #[test]
    fn addresses_name_a_port_or_a_file() {
        for (text, expected) in [
            ("0.0.0.0:8081", Some("0.0.0.0:8081")),
            ("matterhorn:80", Some("matterhorn:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("[0:0::1]:80", Some("[::1]:80")),
            ("unix:/run/edge.sock", Some("unix:/run/edge.sock")),
            ("::1:80", None),
            (":80", None),
            ("host", None),
            ("host:+80", None),
            ("host:65536", None),
            ("a b:80", None),
            ("unix:", None),
        ] {
            assert_eq!(parse_address(text).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn strings_have_their_own_syntax() {
        assert_eq!(printed::<Mode>("\"660\""), "\"0660\"");
        assert_eq!(printed::<Mode>("\"888\""), "");
        assert_eq!(printed::<LogLevel>("\"info,hyper=warn\""), "\"info,hyper=warn\"");
        assert_eq!(printed::<LogLevel>("\"info,a::b=debug\""), "\"info,a::b=debug\"");
        assert_eq!(printed::<LogLevel>("\"loud\""), "");
        assert_eq!(printed::<IpAddr>("\"::ffff:127.0.0.1\""), "\"127.0.0.1\"");
        assert_eq!(printed::<LogLevel>("\"info,\""), "");
        assert_eq!(printed::<HttpPath>("\"ws\""), "");
        assert_eq!(printed::<WebSocketUrl>("\"ws://matterhorn:9000/ws\""), "\"ws://matterhorn:9000/ws\"");
        assert_eq!(printed::<WebSocketUrl>("\"http://matterhorn\""), "");
        assert_eq!(printed::<NodeId>("\"edge 1\""), "");
        assert_eq!(printed::<NodeId>("\"edge.1\""), "");
        assert_eq!(printed::<Name>("\"matterhorn.example.com\""), "\"matterhorn.example.com\"");
        assert_eq!(printed::<Int<9, 15>>("8"), "");
        assert_eq!(printed::<Vec<Serializer>>("[\"cbor\", \"json\"]"), "[\"cbor\", \"json\"]");
        assert_eq!(printed::<Vec<Serializer>>("[\"cbor\", \"xml\"]"), "");
        assert_eq!(Transport::allowed(), "\"websocket\", \"rawsocket\" or \"universal\"");
    }

    #[test]
    fn secrets_print_only_where_they_are() {
        assert_eq!(printed::<SecretText>("\"swordfish\""), "\"***\"");
        assert_eq!(printed::<SecretText>("\"env:TICKET\""), "\"env:TICKET\"");
        assert_eq!(printed::<SecretText>("\"file:/run/ticket\""), "\"file:/run/ticket\"");
        assert_eq!(printed::<SecretText>("\"credential:ticket.joe\""), "\"credential:ticket.joe\"");
        for none in ["", "credential:", "credential:../ticket", "credential:.."] {
            assert_eq!(printed::<SecretText>(&format!("\"{none}\"")), "", "{none}");
        }
    }
}
