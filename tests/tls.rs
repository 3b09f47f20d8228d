//! `wss` through the public API, against a server with a root of its own.

#![cfg(not(target_family = "wasm"))]

#[path = "common/certificates.rs"]
mod certificates;

use certificates::Certificates;
use everwire::{Cause, Client, ClientBuilder, Dialect, ErrorKind};
use futures::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::TlsAcceptor;

/// A server for `localhost` that greets each client, the root to trust, and a client of it.
async fn server() -> (Vec<u8>, ClientBuilder) {
    let (root, config) = certificates::certificates();
    (root, serve(config).await)
}

/// A server for `localhost` with this configuration, and a client of it.
async fn serve(config: ServerConfig) -> ClientBuilder {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    #[allow(clippy::disallowed_methods)] // the server is no part of everwire
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // A client that does not trust us leaves in the middle of the handshake.
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            let Ok(mut socket) = tokio_tungstenite::accept_async(tls).await else { continue };
            socket.send("welcome".into()).await.expect("sent");
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
        }
    });
    Client::builder(Dialect::raw()).url(format!("https://localhost:{port}/")).max_attempts(1)
}

/// Connects, and waits to be welcome.
async fn assert_welcome(builder: ClientBuilder) {
    let client = builder.build().expect("a client");
    let mut events = client.events();
    client.connect().expect("idle");
    let event = timeout(Duration::from_secs(10), events.next()).await.expect("in time");
    assert_eq!(event.expect("an event").text(), Some("welcome"));
    client.close().await;
    assert!(matches!(client.closed().await, Cause::ByUser));
}

#[tokio::test]
async fn a_root_that_is_added_is_trusted() {
    let (root, builder) = server().await;
    assert_welcome(builder.root_certificate(root)).await;
}

#[tokio::test]
async fn without_it_the_server_is_refused() {
    let (_, builder) = server().await;
    let error = builder.connect().await.expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
}

#[tokio::test]
async fn a_root_that_is_no_certificate_is_refused_at_once() {
    let (_, builder) = server().await;
    let error = builder.root_certificate("no certificate").build().expect_err("must be refused");
    assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some("root_certificate[0]")));
}

/// A server that asks who its clients are lets in who has a certificate of its root, and nobody else.
#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let made = Certificates::new();
    let (certificate, key) = made.identity("alice");
    let builder = serve(made.server(true)).await.root_certificate(made.root());
    assert_welcome(builder.client_certificate(certificate, key)).await;
    let strangers = serve(made.server(true)).await.root_certificate(made.root());
    let error = strangers.connect().await.expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert!(format!("{error:?}").contains("ertificateRequired"), "{error:?}");
    let (certificate, key) = Certificates::new().identity("mallory");
    let foreign = serve(made.server(true)).await.root_certificate(made.root()).client_certificate(certificate, key);
    assert_eq!(foreign.connect().await.expect_err("must be refused").kind(), ErrorKind::Connect);
}

/// The same by a configuration of one's own: nothing of it is changed.
#[tokio::test]
async fn a_rustls_configuration_of_ones_own_is_used_as_it_is() {
    let made = Certificates::new();
    let (certificate, key) = made.identity("alice");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&made.root()).expect("PEM")).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("TLS 1.2")
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(&certificate).expect("PEM")],
            PrivateKeyDer::from_pem_slice(&key).expect("PEM"),
        )
        .expect("a configuration");
    assert_welcome(serve(made.server(true)).await.tls_config(config)).await;
}

#[tokio::test]
async fn a_setting_of_tls_that_cannot_be_used_is_named() {
    let made = Certificates::new();
    let (certificate, key) = made.identity("alice");
    let refused = |builder: ClientBuilder| {
        let error = builder.build().expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        error.path().expect("a path").to_owned()
    };
    let client = || Client::builder(Dialect::raw()).url("wss://localhost");
    assert_eq!(refused(client().client_certificate("", key.clone())), "client_certificate");
    assert_eq!(refused(client().client_certificate(certificate, "no key")), "client_certificate.key");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    assert_eq!(refused(client().tls_config(config).root_certificate(made.root())), "tls_config");
}
