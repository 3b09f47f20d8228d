//! Natively, a client behind an HTTP proxy: a little one that tunnels, and ones that refuse.

#![cfg(all(not(target_family = "wasm"), feature = "proxy"))]

#[path = "common/certificates.rs"]
mod certificates;

use everwire::{Client, ClientBuilder, Dialect, Error, ErrorKind};
use futures::{SinkExt, StreamExt};
use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

const SECRET: &str = "s3cret";

/// The heads of the requests that a proxy got.
type Seen = Arc<Mutex<Vec<String>>>;

#[allow(clippy::disallowed_methods)] // the peers are no part of everwire
fn serve(play: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(play);
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// A proxy that gives this answer to everybody, and tunnels after a 200. It never hangs up.
async fn proxy(answer: &'static str) -> (u16, Seen) {
    let ((listener, port), seen) = (listen().await, Seen::default());
    let all = seen.clone();
    serve(async move {
        let mut refused = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.expect("a request"));
            }
            let head = String::from_utf8(head).expect("text");
            let place = head.split(' ').nth(1).expect("a place").to_owned();
            all.lock().expect("unpoisoned").push(head);
            client.write_all(answer.as_bytes()).await.expect("written");
            if !answer.contains(" 200 ") {
                refused.push(client);
            } else {
                let mut server = TcpStream::connect(place.replace("localhost", "127.0.0.1")).await.expect("a server");
                serve(async move { drop(copy_bidirectional(&mut client, &mut server).await) });
            }
        }
    });
    (port, seen)
}

/// A server that greets each client.
async fn server() -> u16 {
    let (listener, port) = listen().await;
    serve(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut socket) = tokio_tungstenite::accept_async(tcp).await else { continue };
            socket.send("welcome".into()).await.expect("sent");
            serve(async move { while socket.next().await.is_some_and(|message| message.is_ok()) {} });
        }
    });
    port
}

fn client(url: String) -> ClientBuilder {
    Client::builder(Dialect::raw()).url(url).max_attempts(1)
}

async fn assert_welcome(builder: ClientBuilder) {
    let client = builder.build().expect("a client");
    let mut events = client.events();
    client.connect().expect("idle");
    let event = timeout(Duration::from_secs(10), events.next()).await.expect("in time");
    assert_eq!(event.expect("an event").text(), Some("welcome"));
    client.close().await;
}

async fn refused(builder: ClientBuilder) -> Error {
    let error = builder.connect().await.expect_err("must be refused");
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    error
}

#[tokio::test]
async fn a_connection_goes_through_the_proxy_with_its_credentials() {
    let ((port, seen), server) =
        (proxy("HTTP/1.0 200 Connection established\r\nVia: us\r\n\r\n").await, server().await);
    let with_proxy =
        client(format!("ws://127.0.0.1:{server}")).proxy(format!("http://al%40ice:{SECRET}@127.0.0.1:{port}"));
    assert!(!format!("{with_proxy:?}").contains(SECRET));
    assert_welcome(with_proxy).await;
    let head = seen.lock().expect("unpoisoned")[0].clone();
    assert!(
        head.starts_with(&format!("CONNECT 127.0.0.1:{server} HTTP/1.1\r\nHost: 127.0.0.1:{server}\r\n")),
        "{head}"
    );
    // al@ice:s3cret
    assert!(head.contains("Proxy-Authorization: Basic YWxAaWNlOnMzY3JldA==\r\n"), "{head}");
}

#[tokio::test]
async fn tls_goes_through_the_tunnel_to_the_server() {
    let (root, config) = certificates::certificates();
    let (listener, server) = listen().await;
    serve(async move {
        let tls = TlsAcceptor::from(Arc::new(config)).accept(listener.accept().await.expect("a client").0).await;
        let mut socket = tokio_tungstenite::accept_async(tls.expect("TLS")).await.expect("a handshake");
        socket.send("welcome".into()).await.expect("sent");
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    });
    let (port, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let client = client(format!("wss://localhost:{server}")).root_certificate(root);
    assert_welcome(client.proxy(format!("http://127.0.0.1:{port}"))).await;
    assert!(!seen.lock().expect("unpoisoned")[0].contains("Authorization"));
}

#[tokio::test]
async fn what_a_proxy_answers_is_a_typed_error() {
    let statuses = [(407, false), (401, false), (403, false), (429, true), (502, true), (503, true), (504, true)];
    for (status, retryable) in statuses {
        let answer = format!("HTTP/1.1 {status} No\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n");
        let (port, _) = proxy(answer.leak()).await;
        let error =
            refused(client("ws://nowhere.invalid".into()).proxy(format!("http://a:{SECRET}@127.0.0.1:{port}"))).await;
        assert_eq!((error.kind(), error.status()), (ErrorKind::Proxy, Some(status)));
        assert_eq!(error.is_retryable(), retryable, "{status}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    }
    let (port, _) = proxy("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let error = refused(client("ws://nowhere.invalid".into()).proxy(format!("http://127.0.0.1:{port}"))).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::Proxy, None));
    let (_, free) = listen().await;
    let error =
        refused(client("ws://nowhere.invalid".into()).proxy(format!("http://a:{SECRET}@127.0.0.1:{free}"))).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
}

/// The proxy keeps the connections open.
#[tokio::test]
async fn what_a_proxy_says_is_told_after_interim_answers_and_in_any_version_of_http() {
    let answers = [
        "HTTP/1.1 407 Who\r\nContent-Length: 11\r\n\r\nlog in here",
        "HTTP/1.0 407 Who\r\n\r\nlog in here",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 407 Who\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nlog in here\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let (port, _) = proxy(answer).await;
        let client = client("ws://nowhere.invalid".into()).proxy(format!("http://a:{SECRET}@127.0.0.1:{port}"));
        let error = refused(client).await;
        assert_eq!((error.kind(), error.status()), (ErrorKind::Proxy, Some(407)), "{answer:?}");
        assert_eq!(error.response(), Some("log in here"), "{answer:?}");
    }
    let (port, _) = proxy("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await;
    let client = client(format!("ws://127.0.0.1:{}", server().await));
    assert_welcome(client.proxy(format!("http://127.0.0.1:{port}"))).await;
}

#[tokio::test]
async fn a_proxy_that_is_none_is_refused_by_its_path() {
    for url in
        ["", SECRET, "https://a:s3cret@h", "socks5://a:s3cret@h", "http://", "http://h/path", "http://h?q", "h:1"]
    {
        let error = client("ws://h".into()).proxy(url).build().expect_err("must be refused");
        assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some("proxy")), "{url}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }
}

/// The environment is looked at only when that is asked for. It cannot be changed safely within a program, so the test
/// runs itself again with another.
#[tokio::test]
async fn the_environment_counts_when_it_is_asked_for() {
    const TEST: &str = "the_environment_counts_when_it_is_asked_for";
    if let Ok(server) = std::env::var("EVERWIRE_TEST_SERVER") {
        let url = format!("ws://127.0.0.1:{server}");
        // This one does not ask.
        assert_welcome(client(url.clone())).await;
        if std::env::var_os("EVERWIRE_TEST_EXCEPTED").is_some() {
            return assert_welcome(client(url).proxy_from_env()).await;
        }
        let error = refused(client(url).proxy_from_env()).await;
        return assert_eq!((error.kind(), error.status()), (ErrorKind::Proxy, Some(407)));
    }
    let (port, seen) = proxy("HTTP/1.1 407 Who\r\n\r\n").await;
    let server = server().await.to_string();
    let run = |more: &'static [(&str, &str)]| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        command.env("ALL_PROXY", format!("http://127.0.0.1:{port}")).env("EVERWIRE_TEST_SERVER", &server);
        command.args(["--exact", TEST]).envs(more.iter().copied());
        tokio::task::spawn_blocking(move || command.output().expect("it runs"))
    };
    for more in [&[][..], &[("NO_PROXY", "example.com, 127.0.0.0/8"), ("EVERWIRE_TEST_EXCEPTED", "1")]] {
        let output = run(more).await.expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(seen.lock().expect("unpoisoned").len(), 1);
}
