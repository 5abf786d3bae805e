//! Listeners: which keys go together, which addresses are free, which files are there, and who comes in.

use super::host::Host;
use super::mistake::Findings;
use super::origin::Origins;
use super::raw;
use super::resolve::refuse_unsendable;
use super::resolve_auth::{Realms, methods};
use super::resolve_tls::tls;
use super::resolved::{Address, Compression, Listener, Purpose, Transport};
use super::table::{At, Scalar, Table};
use super::value::Text;
use crate::limits::Limits;
use crate::wire::Serializer;
use std::sync::Arc;

/// All listeners; None when one of them cannot be made sense of.
pub(super) fn listeners(
    file: &mut raw::File,
    limits: &Limits,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Vec<Listener>> {
    if file.listen.is_empty() {
        findings.add(None, "there is no [[listen]], at least one is needed");
    }
    refuse_clashes(file, host, findings);
    let realms = Realms::of(file);
    let mut listeners: Vec<Option<Listener>> = Vec::new();
    for (n, raw) in file.listen.iter().enumerate() {
        let number = file.listen[..n].iter().filter(|other| other.address == raw.address).count();
        let listener = listener(raw, &realms, limits, host, findings);
        listeners.push(listener.map(|listener| Listener { number, ..listener }));
    }
    for listen in &mut file.listen {
        set_default_auth(&mut listen.value);
    }
    listeners.into_iter().collect()
}

/// What holds where nothing is configured is shown to whoever prints the configuration.
fn set_default_auth(raw: &mut raw::Listen) {
    if raw.auth.is_none() && *raw.purpose == Purpose::Client && !*raw.echo {
        let role = At { value: Text("anonymous".to_owned()), at: None };
        let anonymous = raw::Anonymous { role: Some(role), authenticator: None, authenticator_realm: None };
        raw.auth = Some(raw::Auth { anonymous: Some(anonymous), ticket: None, wampcra: None, cryptosign: None });
    }
}

fn listener(
    raw: &raw::Listen,
    realms: &Realms<'_>,
    limits: &Limits,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Listener> {
    refuse_contradictions(raw, findings);
    refuse_serializers(raw, findings);
    let own = raw.limits.apply(limits);
    let places = ["message_bytes_max", "outbox_bytes_max"].map(|key| raw.limits.place(key));
    if places.iter().any(Option::is_some) {
        refuse_unsendable(&own, "[listen.limits]", places, findings);
    }
    let tls = match &raw.tls {
        None => Some(None),
        Some(raw) => tls(raw, host, findings).map(|tls| Some(Arc::new(tls))),
    };
    let auth = methods(raw, realms, host, findings);
    Some(Listener {
        address: address(raw, findings),
        number: 0,
        transport: *raw.r#type,
        purpose: *raw.purpose,
        path: raw.path.0.clone(),
        serializers: raw.serializers.value.clone(),
        batched: *raw.batched,
        info: *raw.info,
        proxy_protocol: *raw.proxy_protocol,
        proxies: raw.proxies.value.clone(),
        ping_interval: raw.ping_interval.0,
        ping_rawsocket: *raw.ping_rawsocket,
        ping_timeout: raw.ping_timeout.0,
        allowed_origins: Origins::new(raw.allowed_origins.value.clone(), *raw.allow_null_origin),
        compression: raw.compression.as_ref().filter(|raw| *raw.enabled).map(compression),
        tls: tls?,
        require_subprotocol: *raw.require_subprotocol,
        echo: *raw.echo,
        backlog: raw.backlog.0 as u32,
        auth: auth?,
        limits: own,
    })
}

fn compression(raw: &raw::Compression) -> Compression {
    Compression {
        server_window_bits_max: raw.server_window_bits_max.0 as u8,
        client_window_bits_max: raw.client_window_bits_max.0 as u8,
        server_no_context_takeover: *raw.server_no_context_takeover,
        client_no_context_takeover: *raw.client_no_context_takeover,
        level: raw.level.0 as u8,
        message_bytes_min: raw.message_bytes_min.0 as usize,
    }
}

/// The mode of a socket file is a key of its own; in the meaning it belongs to the address.
fn address(raw: &raw::Listen, findings: &mut Findings<'_>) -> Address {
    match (raw.address.value.clone(), &raw.socket_mode) {
        (Address::Unix { path, .. }, Some(socket_mode)) => Address::Unix { path, mode: socket_mode.0 },
        (address @ Address::Tcp { .. }, Some(socket_mode)) => {
            findings.add(socket_mode.at, "socket_mode in [[listen]] is only for an address such as \"unix:/path\"");
            address
        }
        (address, None) => address,
    }
}

/// Notes keys that have no meaning for what this listener is.
fn refuse_contradictions(raw: &raw::Listen, findings: &mut Findings<'_>) {
    if *raw.r#type == Transport::RawSocket {
        for (key, at, literal) in [
            ("path", raw.path.at, raw.path.literal()),
            ("batched", raw.batched.at, raw.batched.literal()),
            ("info", raw.info.at, raw.info.literal()),
            ("allowed_origins", raw.allowed_origins.at, raw.allowed_origins.literal()),
            ("allow_null_origin", raw.allow_null_origin.at, raw.allow_null_origin.literal()),
            ("require_subprotocol", raw.require_subprotocol.at, raw.require_subprotocol.literal()),
            ("echo", raw.echo.at, raw.echo.literal()),
        ] {
            // A printed configuration shows the defaults of keys without meaning too.
            if raw::Listen::default_of(key) != Some(literal.as_str()) {
                let sentence = format!("{key} = {literal} in [[listen]] has no meaning for type = \"rawsocket\"");
                findings.add(at, sentence);
            }
        }
        if raw.compression.is_some() {
            findings.add(raw.r#type.at, "[listen.compression] has no meaning for type = \"rawsocket\"");
        }
    }
    if *raw.purpose == Purpose::Mesh {
        if *raw.r#type != Transport::RawSocket {
            findings.add(raw.purpose.at, "purpose = \"mesh\" in [[listen]] needs type = \"rawsocket\"");
        }
        if !raw.serializers.contains(&Serializer::Cbor) {
            let sentence = "serializers in a [[listen]] for the mesh must have \"cbor\", which links speak";
            findings.add(raw.serializers.at, sentence);
        }
        if raw.tls.is_some() {
            let sentence = "[listen.tls] has no meaning for purpose = \"mesh\", links are encrypted by the node keys";
            findings.add(raw.purpose.at, sentence);
        }
        if raw.auth.is_some() {
            let sentence = "[listen.auth] has no meaning for purpose = \"mesh\", where the node keys decide";
            findings.add(raw.purpose.at, sentence);
        }
    }
}

fn refuse_serializers(raw: &raw::Listen, findings: &mut Findings<'_>) {
    let serializers = &raw.serializers;
    if serializers.is_empty() {
        findings.add(serializers.at, "serializers in [[listen]] is empty, at least one is needed");
    }
    if let Some(twice) = (1..serializers.len()).find(|n| serializers[..*n].contains(&serializers[*n])) {
        let sentence = format!("{:?} is there twice in serializers of [[listen]]", serializers[twice].name());
        findings.add(serializers.at, sentence);
    }
}

/// Notes addresses that are listened on twice. A wildcard address takes its port on all addresses of its kind; what is
/// configured for IPv4 is not taken by `[::]`.
fn refuse_clashes(file: &raw::File, host: &Host, findings: &mut Findings<'_>) {
    let of_listen = file.listen.iter().map(|listen| ("address", "[[listen]]", &listen.address));
    let of_admin = [("listen", &file.admin.listen), ("agent_listen", &file.admin.agent_listen)]
        .into_iter()
        .filter_map(|(key, address)| Some((key, "[admin]", address.as_ref()?)));
    let mut taken: Vec<&At<Address>> = Vec::new();
    for (key, table, address) in of_listen.chain(of_admin) {
        if let Some(other) = taken.iter().find(|other| clash(other, address, host)) {
            let line = findings.line(other.at).map_or_else(String::new, |line| format!(" in line {line}"));
            let sentence = format!("{key} = \"{}\" in {table} is taken by \"{}\"{line}", address.value, other.value);
            findings.add(address.at, sentence);
        }
        taken.push(address);
    }
}

fn clash(one: &Address, other: &Address, host: &Host) -> bool {
    match (one, other) {
        (Address::Tcp { port: 0, .. }, _) => false,
        (Address::Tcp { host: one, port }, Address::Tcp { host: other, port: other_port }) if port == other_port => {
            match ((host.address)(one), (host.address)(other)) {
                (Some(one), Some(other)) if one.is_ipv4() == other.is_ipv4() => {
                    one == other || one.is_unspecified() || other.is_unspecified()
                }
                (Some(_), Some(_)) => false,
                _ => one == other,
            }
        }
        (Address::Unix { path, .. }, Address::Unix { path: other, .. }) => path == other,
        _ => false,
    }
}
