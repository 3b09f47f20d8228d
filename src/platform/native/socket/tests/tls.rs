//! `wss` against a server with a root of its own.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::PrivateKeyDer,
};
use tokio_rustls::TlsAcceptor;

/// A root, as PEM, and a server certificate for `localhost` that it signed.
fn certificates() -> (Vec<u8>, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()])
        .and_then(|params| params.signed_by(&key, &root))
        .expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
        .expect("a server");
    (root.pem().into_bytes(), config)
}

/// Dials `wss://{host}:…`, where a server for `localhost` listens that greets each client.
async fn dial(host: &str, trusted: bool) -> Result<Socket, Error> {
    let (root, config) = certificates();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    serve(async move {
        let (tcp, _) = listener.accept().await.expect("a client");
        // A client that does not trust us leaves in the middle of the handshake.
        let Ok(tls) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await else { return };
        let Ok(mut server) = accept_async(tls).await else { return };
        server.send("welcome".into()).await.expect("sent");
        while server.next().await.is_some_and(|message| message.is_ok()) {}
    });
    let root_certificates = if trusted { vec![root] } else { Vec::new() };
    let connector = SocketConnector::new(SocketConfig { max_message_size: LIMIT, root_certificates })?;
    connector.dial(request(format!("wss://{host}:{port}/?token=s3cret"))).await
}

fn assert_refused(dialled: Result<Socket, Error>) {
    let error = dialled.err().expect("must be refused");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(format!("{error:?}").contains("certificate"), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn a_server_whose_root_is_trusted_is_reached() {
    let mut socket = dial("localhost", true).await.expect("a socket");
    assert_eq!(text_of(next(&mut socket).await), "welcome");
    socket.close(1000, "");
    assert_eq!(end(&mut socket).await.code, Some(1000));
}

#[tokio::test]
async fn a_server_whose_root_is_unknown_is_refused() {
    assert_refused(dial("localhost", false).await);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    assert_refused(dial("127.0.0.1", true).await);
}

/// Pitfall 18: nothing process-wide is needed, and nothing is left behind.
#[tokio::test]
async fn no_process_wide_provider_is_installed() {
    assert!(CryptoProvider::get_default().is_none());
    dial("localhost", true).await.expect("a socket");
    assert!(CryptoProvider::get_default().is_none());
}
