//! What the builder refuses, and what is never shown.

use super::peer::{Diary, Server, soon};
use everwire::{Client, Dialect, ErrorKind};
use std::time::Duration;

#[tokio::test]
async fn wrong_settings_are_named() {
    let stream = || Client::builder(Dialect::stream()).param("api_key", "k").param("user_id", "a").token("t");
    let raw = || Client::builder(Dialect::raw());
    let fails = |builder: everwire::ClientBuilder| {
        let error = builder.build().expect_err("wrong");
        (error.kind(), error.path().unwrap_or_default().to_owned())
    };
    let config = |path: &str| (ErrorKind::Config, path.to_owned());
    assert_eq!(fails(raw()), config("url"));
    for url in ["", "nonsense", "/path", "ftp://h/", "ws://", "ws://user:pass@h/", "ws://h:99999/", "ws://[::1/"] {
        assert_eq!(fails(raw().url(url)), config("url"), "{url}");
    }
    assert_eq!(fails(stream().url("ws://h").backoff(Duration::ZERO, Duration::ZERO)), config("backoff.base"));
    assert_eq!(fails(stream().jitter(2.0)), config("backoff.jitter"));
    assert_eq!(fails(stream().max_message_size(0)), config("max_message_size"));
    for bytes in [0, 511, (1 << 20) + 1] {
        assert_eq!(fails(stream().read_buffer(bytes)), config("read_buffer"));
    }
    assert_eq!(fails(stream().compression_threshold(1)), config("compression_threshold"));
    assert_eq!(fails(stream().param("bad", pair_keyed())), config("params.bad"));
    assert_eq!(fails(Client::builder(Dialect::stream()).param("api_key", "k").token("t")), config("params.user_id"));
    assert_eq!(fails(Client::builder(Dialect::envelope()).url("ws://h")), config("token"));
    assert_eq!(Dialect::builtin("strema").unwrap_err().path(), Some("dialect"));
    // The default base of Stream is there (S0-3).
    assert!(stream().build().is_ok());
}

/// A value that has no JSON: a map whose keys are no strings.
fn pair_keyed() -> std::collections::BTreeMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}

#[test]
fn a_missing_runtime_is_an_error_and_not_a_panic() {
    let error = Client::builder(Dialect::raw()).url("ws://h").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
}

// N-7: a token is in no error, no lifecycle step, no Debug and no URL shown.
#[tokio::test]
async fn a_token_is_never_shown() {
    let server = Server::start().await;
    let secret = "very-secret-token";
    let builder = Client::builder(Dialect::stream_v1())
        .url(format!("{}/connect?token={secret}", server.url()))
        .param("api_key", "k")
        .param("user_id", "alice")
        .token(secret)
        .max_attempts(2)
        .backoff(Duration::from_millis(1), Duration::from_millis(1));
    let mut shown = format!("{builder:?}");
    let client = builder.build().unwrap();
    let diary = Diary::of(&client);
    client.connect().unwrap();
    let mut peer = server.accept().await;
    peer.send(r#"{"type":"connection.error","error":{"code":43,"message":"bad signature"}}"#).await;
    let error = soon(client.ready()).await.unwrap_err();
    shown += &format!("{error} {error:?} {:?} {client:?} {:?}", client.closed().await, diary.words());
    assert!(shown.contains("dial: ws://127.0.0.1"), "{shown}");
    assert!(!shown.contains(secret), "{shown}");
}

// S1-14
#[tokio::test]
async fn a_client_shows_where_it_is_and_what_it_was_built_with() {
    let server = Server::start().await;
    let builder =
        server.builder().max_message_size(4096).event_capacity(7).url(format!("{}/?token=hush", server.url()));
    let (client, _peer) = server.connect(builder).await;
    assert_eq!(client.url(), format!("{}/", server.url()));
    assert!(client.is_connected());
    assert_eq!(client.latency(), None);
    let config = client.config();
    assert_eq!((config.max_message_size, config.event_capacity), (4096, 7));
    assert_eq!(config.backoff.base, Duration::from_millis(10));
    assert_eq!((config.dialect.as_str(), config.open_timeout), ("stream", Duration::from_secs(10)));
    assert!(!format!("{config:?}").contains("hush"));
    soon(client.close()).await;
    assert!(!client.is_connected());
    let error = server.builder().event_capacity(0).build().unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some("event_capacity")));
}
