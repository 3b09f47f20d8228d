//! TLS for native sockets: rustls with a provider of its own, so that nothing process-wide is needed or touched.

use super::wire::Tcp;
use crate::{
    platform::SocketOptions,
    proto::{Error, ErrorKind},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{io, sync::Arc};
use tokio::sync::OnceCell;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The roots to trust, and the client's certificate. The system's roots are read at the first `wss` dial, and only then.
pub(super) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    identity: Option<Arc<SingleCertAndKey>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the certificates and the key. Fails with [`ErrorKind::Config`] and the path of what cannot be used.
    pub(super) fn new(options: &SocketOptions) -> Result<Self, Error> {
        let mut extra = Vec::new();
        for (index, pem) in options.root_certificates.iter().enumerate() {
            extra.extend(read_roots(pem).map_err(|error| error.with_path(format!("root_certificate[{index}]")))?);
        }
        let identity = match &options.client_certificate {
            Some((chain, key)) => Some(Arc::new(read_identity(chain, key)?)),
            None => None,
        };
        let config = match &options.tls_config {
            Some(_) if identity.is_some() || !extra.is_empty() => {
                let message = "holds every TLS setting: `root_certificate` and `client_certificate` would be ignored";
                return Err(Error::wrong("tls_config", message));
            }
            config => OnceCell::new_with(config.clone()),
        };
        Ok(Self { extra, identity, config })
    }

    /// Makes the connection a safe one.
    pub(super) async fn connect(&self, host: String, tcp: Tcp) -> Result<TlsStream<Tcp>, Error> {
        let name = ServerName::try_from(host).map_err(|_| {
            Error::wrong("url", "the host is neither a DNS name nor an IP address, so TLS cannot verify it")
        })?;
        let config = self.config.get_or_try_init(|| self.load()).await?.clone();
        TlsConnector::from(config).connect(name, tcp).await.map_err(failed)
    }

    async fn load(&self) -> Result<Arc<ClientConfig>, Error> {
        let system = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|error| connect_error("the system's root certificates could not be read").with_source(error))?;
        let mut roots = RootCertStore::empty();
        // Some systems hold roots that no one can parse: those trust nobody, and stop nobody.
        roots.add_parsable_certificates(system.certs.into_iter().chain(self.extra.iter().cloned()));
        if roots.is_empty() {
            return Err(connect_error(
                "no root certificates were found, so no server can be verified; `root_certificate` adds one",
            ));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| connect_error("TLS could not be set up").with_source(error))?
            .with_root_certificates(roots);
        Ok(Arc::new(match &self.identity {
            Some(identity) => config.with_client_cert_resolver(identity.clone()),
            None => config.with_no_client_auth(),
        }))
    }
}

fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = read_certificates(pem)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(certificate.clone())
            .map_err(|error| config_error("not a usable root certificate").with_source(error))?;
    }
    Ok(certificates)
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| config_error("not a PEM certificate").with_source(error))?;
    if certificates.is_empty() {
        return Err(config_error("no PEM certificate in it"));
    }
    Ok(certificates)
}

/// A certificate with its chain, and the key that belongs to it. No error shows anything of the key.
fn read_identity(chain: &[u8], key: &[u8]) -> Result<SingleCertAndKey, Error> {
    let chain = read_certificates(chain).map_err(|error| error.with_path("client_certificate"))?;
    let of_key = |message| config_error(message).with_path("client_certificate.key");
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|_| of_key("no PEM private key in it, or one with a password"))?;
    match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
        Ok(certified) => Ok(certified.into()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(of_key("is not the key of the certificate")),
        Err(rustls::Error::InvalidCertificate(error)) => {
            let error = config_error("not a usable certificate").with_source(rustls::Error::InvalidCertificate(error));
            Err(error.with_path("client_certificate"))
        }
        Err(_) => Err(of_key("not a usable private key")),
    }
}

/// Why there is no safe connection.
pub(super) fn failed(error: io::Error) -> Error {
    let message = match tls_error(&error) {
        Some(error) => reason(error),
        None => "the connection broke during the TLS handshake",
    };
    connect_error(message).with_source(error)
}

/// Whether it was TLS that failed, and not the connection below it.
pub(super) fn is_tls(error: &io::Error) -> bool {
    tls_error(error).is_some()
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What a user may be able to mend, in words; the error itself is the source.
fn reason(error: &rustls::Error) -> &'static str {
    use rustls::{AlertDescription as Alert, CertificateError as E, Error::AlertReceived, Error::InvalidCertificate};
    match error {
        InvalidCertificate(E::UnknownIssuer) => {
            "the server's certificate is signed by an unknown authority; `root_certificate` adds one"
        }
        InvalidCertificate(E::Expired | E::ExpiredContext { .. }) => "the server's certificate has expired",
        InvalidCertificate(E::NotValidYet | E::NotValidYetContext { .. }) => {
            "the server's certificate is not valid yet"
        }
        InvalidCertificate(E::NotValidForName | E::NotValidForNameContext { .. }) => {
            "the server's certificate is for another host"
        }
        InvalidCertificate(_) => "the server's certificate is not valid",
        AlertReceived(Alert::CertificateRequired) => {
            "the server asks for a certificate; `client_certificate` sends one"
        }
        _ => "the TLS handshake failed",
    }
}

fn config_error(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn connect_error(message: &'static str) -> Error {
    Error::new(ErrorKind::Connect, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate and its key, as PEM.
    fn identity() -> (Vec<u8>, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
    }

    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const NO_CERTIFICATES: [&str; 4] = ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!", BROKEN];

    fn refused(set: impl FnOnce(&mut SocketOptions)) -> String {
        let mut options = SocketOptions::default();
        set(&mut options);
        let error = Tls::new(&options).err().expect("must be refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("s3cret"));
        error.path().expect("a path").to_owned()
    }

    #[test]
    fn a_root_that_is_no_certificate_is_refused_by_its_path() {
        let (good, _) = identity();
        for bad in NO_CERTIFICATES {
            let path = refused(|options| {
                options.root_certificate(good.clone());
                options.root_certificate(bad.into());
            });
            assert_eq!(path, "root_certificate[1]", "{bad:?}");
        }
        let mut options = SocketOptions::default();
        options.root_certificate(good);
        Tls::new(&options).expect("a good one is taken");
    }

    #[test]
    fn a_client_certificate_that_cannot_be_used_is_refused_by_its_path() {
        let (certificate, key) = identity();
        let of = |certificate: &[u8], key: &[u8]| {
            refused(|options| options.client_certificate(certificate.to_vec(), key.to_vec()))
        };
        for bad in NO_CERTIFICATES {
            assert_eq!(of(bad.as_bytes(), &key), "client_certificate", "{bad:?}");
        }
        let (_, another) = identity();
        let no_key = b"-----BEGIN PRIVATE KEY-----\ns3cret==\n-----END PRIVATE KEY-----\n";
        for bad in [&b""[..], b"s3cret", no_key, &certificate, &another] {
            assert_eq!(of(&certificate, bad), "client_certificate.key", "{:?}", String::from_utf8_lossy(bad));
        }
        let mut options = SocketOptions::default();
        options.client_certificate(certificate, key);
        Tls::new(&options).expect("a good one is taken");
    }

    #[test]
    fn a_configuration_of_ones_own_leaves_no_room_for_others() {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let (certificate, key) = identity();
        let path = refused(|options| {
            options.tls_config(config.clone().into());
            options.root_certificate(certificate.clone());
        });
        assert_eq!(path, "tls_config");
        let path = refused(|options| {
            options.tls_config(config.into());
            options.client_certificate(certificate, key);
        });
        assert_eq!(path, "tls_config");
    }
}
