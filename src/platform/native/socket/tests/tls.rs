//! `wss` against a server with a root of its own.

#[path = "../../../../../tests/common/certificates.rs"]
mod certificates;

use super::*;
use certificates::certificates;
use rustls::crypto::CryptoProvider;
use tokio_rustls::TlsAcceptor;

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
    let mut config = SocketConfig::new(LIMIT);
    if trusted {
        config.options.root_certificate(root);
    }
    SocketConnector::new(config)?.dial(request(format!("wss://{host}:{port}/?token=s3cret"))).await
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
    assert_eq!(text_of(next_message(&mut socket).await), "welcome");
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
