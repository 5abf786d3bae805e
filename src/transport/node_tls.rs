//! TLS 1.3 among the programs of a cluster. Each side shows its ed25519 key itself (a raw public key, RFC 7250), so
//! that there are no certificates: the dialer expects exactly one key, and the listener admits the keys that it is
//! given. Nothing of one session helps to open another one: there are no tickets, no resumption and no early data.

use crate::auth::cryptosign::{PublicKey, SecretKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerMisbehaved, ServerConfig, SignatureScheme,
};
use std::io;
use std::sync::Arc;

/// The protocol of links and its major version, as ALPN names it.
pub const LINK_ALPN: &[u8] = b"crossbar-link/1";

/// What a listener needs that has this key and admits these keys. Who names another protocol than `alpn` is refused.
pub fn server_config(key: &SecretKey, admitted: Vec<PublicKey>, alpn: &[u8]) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let own = Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(key, &provider)?));
    let verifier = Arc::new(Keys { expected: admitted, provider: provider.clone() });
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(own);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// What a dialer needs that has this key and goes on with nobody but the one with the key `expected`.
pub fn client_config(key: &SecretKey, expected: PublicKey, alpn: &[u8]) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let own = Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(key, &provider)?));
    let verifier = Arc::new(Keys { expected: vec![expected], provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = builder.with_client_cert_resolver(own);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The key in the forms that TLS shows and signs with.
fn certified(key: &SecretKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
    let private = [PKCS8_PREFIX, &key.to_seed()].concat();
    let private = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(private).into())?;
    let public = CertificateDer::from([SPKI_PREFIX, &key.public().0].concat());
    Ok(Arc::new(CertifiedKey::new(vec![public], private)))
}

/// The key that a peer has shown instead of a certificate; None if it is a certificate or a key of another kind.
pub fn shown_key(shown: &CertificateDer<'_>) -> Option<PublicKey> {
    Some(PublicKey(shown.strip_prefix(SPKI_PREFIX)?.try_into().ok()?))
}

/// What a failed handshake says to an operator.
pub fn sentence(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(unknown)))) => unknown.to_string(),
        Some(Error::AlertReceived(AlertDescription::CertificateUnknown)) => {
            "the other side does not admit the key of this one".to_owned()
        }
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol) => {
            "the two have no version of the protocol in common".to_owned()
        }
        Some(Error::InvalidMessage(_)) => format!("it speaks no TLS ({error})"),
        _ => error.to_string(),
    }
}

/// Whether a handshake has failed because of the key that the peer has shown.
pub fn is_unknown_key(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(error, Some(Error::InvalidCertificate(CertificateError::Other(_)) | Error::NoCertificatesPresented))
}

/// A key that is not expected here.
#[derive(Debug, thiserror::Error)]
enum UnknownKey {
    #[error("its key {0} is not the expected one")]
    Key(PublicKey),
    #[error("it shows no ed25519 key")]
    None,
}

/// Takes these keys and no others, on either side.
#[derive(Debug)]
struct Keys {
    expected: Vec<PublicKey>,
    provider: Arc<CryptoProvider>,
}

impl Keys {
    fn judge(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let unknown = match shown_key(shown) {
            Some(key) if self.expected.contains(&key) => return Ok(()),
            Some(key) => UnknownKey::Key(key),
            None => UnknownKey::None,
        };
        Err(CertificateError::Other(OtherError(Arc::new(unknown))).into())
    }

    fn verify(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.provider.signature_verification_algorithms)
    }
}

/// TLS 1.2 is not offered; whoever signs as it does cheats.
fn old_signature() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

/// What both verifiers say of signatures.
macro_rules! signatures_of_raw_keys {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            old_signature()
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.verify(message, key, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for Keys {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(shown).map(|()| ServerCertVerified::assertion())
    }

    signatures_of_raw_keys!();
}

impl ClientCertVerifier for Keys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(shown).map(|()| ClientCertVerified::assertion())
    }

    signatures_of_raw_keys!();
}

/// What stands before the seed of an ed25519 key in PKCS#8 (RFC 8410).
const PKCS8_PREFIX: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What stands before the 32 bytes of an ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
