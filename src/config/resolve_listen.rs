//! Listeners: which keys go together, which addresses are free, which files are there, and who comes in.

use super::host::Host;
use super::mistake::Findings;
use super::origin::Origins;
use super::raw;
use super::resolve_auth::{Realms, methods};
use super::resolved::{Address, Compression, Listener, Purpose, Tls, Transport};
use super::table::{At, Scalar, Table};
use super::value::Text;
use crate::limits::Limits;
use crate::wire::Serializer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;

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
    for listen in &mut file.listen {
        set_socket_mode(&mut listen.value, findings);
    }
    refuse_clashes(file, findings);
    let realms = Realms::of(file);
    let listeners: Vec<Option<Listener>> =
        file.listen.iter().map(|raw| listener(raw, &realms, limits, host, findings)).collect();
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
    raw.tls.iter().for_each(|tls| refuse_certificates(tls, host, findings));
    let auth = methods(raw, realms, host, findings);
    Some(Listener {
        address: raw.address.value.clone(),
        transport: *raw.r#type,
        purpose: *raw.purpose,
        path: raw.path.0.clone(),
        serializers: raw.serializers.value.clone(),
        batched: *raw.batched,
        proxy_protocol: *raw.proxy_protocol,
        proxies: raw.proxies.value.clone(),
        ping_interval: raw.ping_interval.0,
        ping_rawsocket: *raw.ping_rawsocket,
        ping_timeout: raw.ping_timeout.0,
        allowed_origins: Origins::new(raw.allowed_origins.value.clone(), *raw.allow_null_origin),
        compression: raw.compression.as_ref().filter(|raw| *raw.enabled).map(compression),
        tls: raw.tls.as_ref().map(|raw| Tls {
            certificate: raw.certificate.value.clone(),
            key: raw.key.value.clone(),
            client_ca: raw.client_ca.as_ref().map(|path| path.value.clone()),
        }),
        require_subprotocol: *raw.require_subprotocol,
        echo: *raw.echo,
        backlog: raw.backlog.0 as u32,
        auth: auth?,
        limits: raw.limits.apply(limits),
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
fn set_socket_mode(raw: &mut raw::Listen, findings: &mut Findings<'_>) {
    match (&mut raw.address.value, &raw.socket_mode) {
        (Address::Unix { mode, .. }, Some(socket_mode)) => *mode = socket_mode.0,
        (Address::Tcp { .. }, Some(socket_mode)) => {
            findings.add(socket_mode.at, "socket_mode in [[listen]] is only for an address such as \"unix:/path\"");
        }
        (_, None) => {}
    }
}

/// Notes keys that have no meaning for what this listener is.
fn refuse_contradictions(raw: &raw::Listen, findings: &mut Findings<'_>) {
    if *raw.r#type == Transport::RawSocket {
        for (key, at, literal) in [
            ("path", raw.path.at, raw.path.literal()),
            ("batched", raw.batched.at, raw.batched.literal()),
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

/// Notes certificates and keys that are not there, are something else or do not belong together.
fn refuse_certificates(raw: &raw::Tls, host: &Host, findings: &mut Findings<'_>) {
    let chain = read_certificates("certificate", &raw.certificate, host, findings);
    let key = read_pem("key", &raw.key, host, findings).and_then(|pem| {
        let key = PrivateKeyDer::from_pem_slice(&pem).ok();
        if key.is_none() {
            refuse_file("key", &raw.key, "there is no private key in PEM", findings);
        }
        key
    });
    if let (Some(chain), Some(key)) = (chain, key) {
        let pair = rustls::sign::CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider());
        if let Err(error) = pair {
            refuse_file("key", &raw.key, &format!("it does not go with the certificate: {error}"), findings);
        }
    }
    raw.client_ca.iter().for_each(|path| drop(read_certificates("client_ca", path, host, findings)));
}

fn read_certificates(
    key: &str,
    path: &At<PathBuf>,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let pem = read_pem(key, path, host, findings)?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => return Some(certificates),
        Ok(_) => refuse_file(key, path, "there is no certificate in PEM", findings),
        Err(error) => refuse_file(key, path, &error.to_string(), findings),
    }
    None
}

fn read_pem(key: &str, path: &At<PathBuf>, host: &Host, findings: &mut Findings<'_>) -> Option<Vec<u8>> {
    (host.read)(path).map_err(|error| refuse_file(key, path, &error.to_string(), findings)).ok()
}

fn refuse_file(key: &str, path: &At<PathBuf>, what: &str, findings: &mut Findings<'_>) {
    findings.add(path.at, format!("{key} = \"{}\" in [listen.tls]: {what}", path.display()));
}

/// Notes addresses that are listened on twice. A wildcard address takes its port on all addresses of its kind.
fn refuse_clashes(file: &raw::File, findings: &mut Findings<'_>) {
    let of_listen = file.listen.iter().map(|listen| ("address", "[[listen]]", &listen.address));
    let of_admin = [("listen", &file.admin.listen), ("agent_listen", &file.admin.agent_listen)]
        .into_iter()
        .filter_map(|(key, address)| Some((key, "[admin]", address.as_ref()?)));
    let mut taken: Vec<&At<Address>> = Vec::new();
    for (key, table, address) in of_listen.chain(of_admin) {
        if let Some(other) = taken.iter().find(|other| clash(other, address)) {
            let line = findings.line(other.at).map_or_else(String::new, |line| format!(" in line {line}"));
            let sentence = format!("{key} = \"{}\" in {table} is taken by \"{}\"{line}", address.value, other.value);
            findings.add(address.at, sentence);
        }
        taken.push(address);
    }
}

fn clash(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp { port: 0, .. }, _) => false,
        (Address::Tcp { host: one, port }, Address::Tcp { host: other, port: other_port }) => {
            let is_wildcard = |host: &str| host == "0.0.0.0" || host == "::";
            let is_same_kind = one.contains(':') == other.contains(':');
            port == other_port && (one == other || is_same_kind && (is_wildcard(one) || is_wildcard(other)))
        }
        (Address::Unix { path, .. }, Address::Unix { path: other, .. }) => path == other,
        _ => false,
    }
}
