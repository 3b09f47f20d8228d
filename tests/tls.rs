//! `wss` through the public API, against a server with a root of its own.

#![cfg(not(target_family = "wasm"))]

#[path = "common/certificates.rs"]
mod certificates;

use everwire::{Cause, Client, ClientBuilder, Dialect, ErrorKind};
use futures::{SinkExt, StreamExt};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A server for `localhost` that greets each client, the root to trust, and a client of it.
async fn server() -> (Vec<u8>, ClientBuilder) {
    let (root, config) = certificates::certificates();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    #[allow(clippy::disallowed_methods)] // the server is no part of everwire
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // A client that does not trust us leaves in the middle of the handshake.
            let Ok(tls) = acceptor.accept(tcp).await else { continue };
            let mut socket = tokio_tungstenite::accept_async(tls).await.expect("a handshake");
            socket.send("welcome".into()).await.expect("sent");
            while socket.next().await.is_some_and(|message| message.is_ok()) {}
        }
    });
    (root, Client::builder(Dialect::raw()).url(format!("https://localhost:{port}/")).max_attempts(1))
}

#[tokio::test]
async fn a_root_that_is_added_is_trusted() {
    let (root, builder) = server().await;
    let client = builder.root_certificate(root).build().expect("a client");
    let mut events = client.events();
    client.connect().expect("idle");
    assert_eq!(events.next().await.expect("an event").text(), Some("welcome"));
    client.close().await;
    assert!(matches!(client.closed().await, Cause::ByUser));
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
