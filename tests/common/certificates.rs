//! A root of our own, and a server for `localhost` that it vouches for.

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use std::sync::Arc;

/// A root, as PEM, and a server certificate for `localhost` that it signed.
#[allow(dead_code)] // each test file uses its part
pub(crate) fn certificates() -> (Vec<u8>, ServerConfig) {
    let made = Certificates::new();
    (made.root(), made.server(false))
}

/// What a root of our own vouches for.
pub(crate) struct Certificates(CertifiedIssuer<'static, KeyPair>);

#[allow(dead_code)] // each test file uses its part
impl Certificates {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root"))
    }

    /// The root, as PEM.
    pub(crate) fn root(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for this name and its key, as PEM.
    pub(crate) fn identity(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let (certificate, key) = self.sign(name, |_| {});
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }

    /// A server for `localhost`; it may ask its clients for a certificate that this root signed.
    pub(crate) fn server(&self, asks: bool) -> ServerConfig {
        self.server_with("localhost", asks, |_| {})
    }

    /// A server for this name, with a certificate that is changed before it is signed.
    pub(crate) fn server_with(
        &self,
        name: &str,
        asks: bool,
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerConfig {
        let (certificate, key) = self.sign(name, change);
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.expect("TLS versions");
        let builder = match asks {
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.0.der().clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
            false => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        builder.with_single_cert(vec![certificate.der().clone()], key).expect("a server")
    }

    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        change(&mut params);
        let signed = params.signed_by(&key, &self.0);
        (signed.expect("a certificate"), key)
    }
}
