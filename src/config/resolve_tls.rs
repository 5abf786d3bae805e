//! Certificates and keys: whether the files are there, what is in them, and whether it goes together.

use super::host::Host;
use super::mistake::Findings;
use super::raw;
use super::resolved::Tls;
use super::table::At;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// What the files of `[listen.tls]` hold. None when something is wrong with them, which is then in `findings`.
pub(super) fn tls(raw: &raw::Tls, host: &Host, findings: &mut Findings<'_>) -> Option<Tls> {
    let provider = ring::default_provider();
    let chain = certificates("certificate", &raw.certificate, host, findings);
    let key = private_key(&raw.key, &provider, host, findings);
    let client_ca = match &raw.client_ca {
        None => Some(Vec::new()),
        Some(path) => authorities(path, provider.clone(), host, findings),
    };
    let tls = Tls { chain: chain?, key: key?, client_ca: client_ca? };
    warn_of_dates(&raw.certificate, &tls.chain, host, findings);
    if let Some(mode) = (host.mode)(&raw.key).filter(|mode| mode & 0o037 != 0) {
        let what = format!("mode {mode:04o} lets others read or replace the private key, it should be 0600 or 0640");
        findings.warn(raw.key.at, sentence("key", &raw.key, &what));
    }
    match CertifiedKey::from_der(tls.chain.clone(), tls.key.clone_key(), &provider) {
        Ok(_) => Some(tls),
        Err(error) => refuse("key", &raw.key, &format!("it does not go with the certificate: {error}"), findings),
    }
}

/// Clients will not take a certificate outside of its dates, or one that another stands for that is.
fn warn_of_dates(path: &At<PathBuf>, chain: &[CertificateDer<'_>], host: &Host, findings: &mut Findings<'_>) {
    for certificate in chain {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { continue };
        let (subject, validity) = (parsed.subject(), parsed.validity());
        let now = (host.now)();
        let what = match () {
            () if validity.not_after.timestamp() < now => format!("{subject} has expired, on {}", validity.not_after),
            () if validity.not_before.timestamp() > now => {
                format!("{subject} is not valid yet, only from {}", validity.not_before)
            }
            () => continue,
        };
        findings.warn(path.at, sentence("certificate", path, &what));
    }
}

fn certificates(
    name: &str,
    path: &At<PathBuf>,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let text = read(name, path, host, findings)?;
    match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => refuse(name, path, &absent("certificate", &text), findings),
        Ok(certificates) => Some(certificates),
        Err(error) => refuse(name, path, &broken(&error), findings),
    }
}

/// Those whose signature makes a client's certificate good.
fn authorities(
    path: &At<PathBuf>,
    provider: CryptoProvider,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = certificates("client_ca", path, host, findings)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        if let Err(error) = roots.add(certificate.clone()) {
            return refuse("client_ca", path, &format!("a certificate in it is none: {error}"), findings);
        }
    }
    match WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider)).build() {
        Ok(_) => Some(certificates),
        Err(error) => refuse("client_ca", path, &error.to_string(), findings),
    }
}

fn private_key(
    path: &At<PathBuf>,
    provider: &CryptoProvider,
    host: &Host,
    findings: &mut Findings<'_>,
) -> Option<PrivateKeyDer<'static>> {
    let text = read("key", path, host, findings)?;
    if is_encrypted(&text) {
        let sentence =
            "the private key is encrypted, but it must be plain, for example by `openssl pkey -in OLD -out NEW`";
        return refuse("key", path, sentence, findings);
    }
    let key = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) => return refuse("key", path, &absent("private key", &text), findings),
        Err(error) => return refuse("key", path, &broken(&error), findings),
    };
    match provider.key_provider.load_private_key(key.clone_key()) {
        Ok(_) => Some(key),
        Err(_) => {
            let sentence = "the private key is damaged or of an unsupported kind; supported are RSA from 2048 bits, \
                            ECDSA on P-256 and P-384, and Ed25519";
            refuse("key", path, sentence, findings)
        }
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    let has = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// What a file is that has none of what is sought in it.
fn absent(what: &str, text: &[u8]) -> String {
    let label = text.split(|byte| *byte == b'\n').find_map(|line| {
        let line = str::from_utf8(line).ok()?.trim();
        line.strip_prefix("-----BEGIN ")?.strip_suffix("-----").map(str::to_owned)
    });
    match label {
        Some(label) => format!("there is no {what} in it, but a {label}"),
        None if text.is_empty() => "the file is empty".to_owned(),
        None => format!("there is no {what} in it, it is no PEM (text with a line -----BEGIN …-----)"),
    }
}

/// What is wrong with something that begins like PEM.
fn broken(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "the PEM is cut off, its line -----END …----- is missing".to_owned(),
        pem::Error::Base64Decode(_) => "the PEM is damaged: there is something else than base64 in it".to_owned(),
        error => format!("the PEM is damaged: {error}"),
    }
}

fn read(name: &str, path: &At<PathBuf>, host: &Host, findings: &mut Findings<'_>) -> Option<Vec<u8>> {
    match (host.read)(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => refuse(name, path, &error.to_string(), findings),
    }
}

fn refuse<T>(name: &str, path: &At<PathBuf>, what: &str, findings: &mut Findings<'_>) -> Option<T> {
    findings.add(path.at, sentence(name, path, what));
    None
}

fn sentence(name: &str, path: &Path, what: &str) -> String {
    format!("{name} = \"{}\" in [listen.tls]: {what}", path.display())
}
