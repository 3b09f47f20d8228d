//! TLS for native sockets: rustls with a provider of its own, so that nothing process-wide is needed or touched.

use crate::proto::{Error, ErrorKind};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Whom to trust. The system's roots are read at the first `wss` dial, and only then.
pub(super) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the extra roots. Fails with [`ErrorKind::Config`] if one of the texts holds no certificate.
    pub(super) fn new(pems: &[Vec<u8>]) -> Result<Self, Error> {
        let mut extra = Vec::new();
        for (index, pem) in pems.iter().enumerate() {
            extra.extend(read_pem(pem).map_err(|error| error.with_path(format!("root_certificate[{index}]")))?);
        }
        Ok(Self { extra, config: OnceCell::new() })
    }

    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        self.config.get_or_try_init(|| self.load()).await.cloned()
    }

    async fn load(&self) -> Result<Arc<ClientConfig>, Error> {
        let system = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|error| connect_error("the system's root certificates could not be read").with_source(error))?;
        let mut roots = RootCertStore::empty();
        // Some systems hold roots that no one can parse: those trust nobody, and stop nobody.
        roots.add_parsable_certificates(system.certs.into_iter().chain(self.extra.iter().cloned()));
        if roots.is_empty() {
            return Err(connect_error("no root certificates were found: TLS can trust nobody"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| connect_error("TLS could not be set up").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::new(ErrorKind::Config, "not a PEM certificate").with_source(error))?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(certificate.clone())
            .map_err(|error| Error::new(ErrorKind::Config, "not a usable root certificate").with_source(error))?;
    }
    if certificates.is_empty() {
        return Err(Error::new(ErrorKind::Config, "no PEM certificate in it"));
    }
    Ok(certificates)
}

fn connect_error(message: &'static str) -> Error {
    Error::new(ErrorKind::Connect, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_no_certificate_is_refused_by_its_path() {
        let good = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate").cert.pem();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!", broken] {
            let error = Tls::new(&[good.clone().into(), bad.into()]).err().expect("must be refused");
            assert_eq!(error.kind(), ErrorKind::Config, "{bad:?}");
            assert_eq!(error.path(), Some("root_certificate[1]"), "{bad:?}");
        }
        Tls::new(&[good.into()]).expect("a good one is taken");
    }
}
